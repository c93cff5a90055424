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
