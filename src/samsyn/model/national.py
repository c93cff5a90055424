"""Rows of the national security services as they are copied here. Times are aware and in UTC."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from samsyn.model.registers import BlockKind


@dataclass(frozen=True, slots=True)
class NationalLift:
    """A temporary lift (temporaryRevoke) of a block."""

    lift_id: str
    unit: str
    employee: str
    """HSA-id of the one person it is for; "" = the whole unit."""
    ends: datetime


@dataclass(frozen=True, slots=True)
class NationalBlock:
    """A block as the national service keeps it. `issuer` is the OID of the number's kind."""

    block_id: str
    issuer: str
    number: str
    kind: BlockKind
    provider: str
    unit: str
    first: int | None
    last: int | None
    lifts: tuple[NationalLift, ...] = ()


class Register(StrEnum):
    """The national registers that say who may read, and that take registrations."""

    CONSENT = "consent"
    """The consent service (samtyckestjänsten)."""
    RELATION = "relation"
    """The patient relation service (patientrelationstjänsten)."""


@dataclass(frozen=True, slots=True)
class NationalGrant:
    """A consent, an emergency or a care relation as a national register keeps it."""

    grant_id: str
    issuer: str
    """OID of the number's kind; "" where the contract has none (patient relation 1)."""
    number: str
    kind: str
    """A Ground's value, or "relation"."""
    provider: str
    unit: str
    employee: str
    """HSA-id of the one person it is for; "" = the whole unit."""
    starts: datetime
    ends: datetime | None


@dataclass(frozen=True, slots=True)
class AccessElsewhere:
    """One access to a patient's information that another system has told the national log service of."""

    provider: str
    provider_name: str
    unit: str
    unit_name: str
    at: datetime
    user: str
    """HSA-id."""
    user_name: str
    purpose: str
    resource: str
    """What kind of information it was, in the word of whoever told it."""


@dataclass(frozen=True, slots=True)
class AccessReport:
    """An answer of the log service. Exactly one of the first three holds."""

    is_ready: bool
    is_too_much: bool
    """More than the service tells at once: ask for fewer days."""
    queued: str
    """The report is being made and is fetched under this id; "" when it is not."""
    wait_s: float = 0.0
    """How long the service thinks that it takes."""
    accesses: tuple[AccessElsewhere, ...] = ()
