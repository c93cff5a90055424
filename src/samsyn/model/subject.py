"""Who asks: staff with a chosen assignment, systems, patients."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Purpose(StrEnum):
    """Purpose of an assignment (medarbetaruppdragets ändamål), in the national words."""

    CARE = "Vård och behandling"
    QUALITY = "Kvalitetssäkring"
    LEGAL = "Annan dokumentation enligt lag"
    STATISTICS = "Statistik"
    ADMINISTRATION = "Administration"
    RESEARCH = "Forskning"
    OWN_RECORD = "Direktåtkomst"
    """A patient's reading of the own record."""


class Role(StrEnum):
    """Duties beyond care, as a log-in bears them (HSA's hsaSystemRole)."""

    BLOCK_ADMINISTRATOR = "block-administrator"
    LOG_REVIEWER = "log-reviewer"
    EXCHANGE_DESK = "exchange-desk"
    STEWARD = "steward"
    PROTECTED_IDENTITY = "protected-identity"
    """Sees the names of people with protected identity."""


class Serves(StrEnum):
    """Whom a national consumer serves; stands among its roles."""

    CARE = "care"
    """Staff elsewhere."""
    PATIENTS = "patients"
    """Patients; it is also told of the patient as whom it reads."""


class Scope(StrEnum):
    """How far an assignment's reading right reaches."""

    UNIT = "VE"
    PROVIDER = "VG"
    CROSS_PROVIDER = "SJF"


@dataclass(frozen=True, slots=True)
class Right:
    """One right of an assignment, from `activity;information;scope` (e.g. Läsa;UND;SJF)."""

    activity: str
    information: str
    scope: str


@dataclass(frozen=True, slots=True)
class Assignment:
    """A staff assignment (medarbetaruppdrag): a person works at a unit for a purpose with rights."""

    hsa_id: str
    name: str
    purpose: Purpose
    provider_hsa_id: str
    provider_name: str
    unit_hsa_id: str
    unit_name: str
    rights: tuple[Right, ...] = ()
    ends: datetime | None = None
    """When the assignment or its unit ends in the directory; None = not said."""

    def reading_scope(self) -> Scope | None:
        """The widest scope in which images and reports may be read; None when they may not be read."""
        scopes = {
            right.scope
            for right in self.rights
            if right.activity == "Läsa" and right.information in ("alla", "UND")
        }
        for scope in (Scope.CROSS_PROVIDER, Scope.PROVIDER, Scope.UNIT):
            if scope.value in scopes:
                return scope
        return None


class SubjectKind(StrEnum):
    """What sort of reader or sender this is."""

    STAFF = "staff"
    SYSTEM = "system"
    PATIENT = "patient"
    CONSUMER = "consumer"
    """A national consumer (tjänstekonsument): reads by a national contract and applies the law where it shows."""


@dataclass(frozen=True, slots=True)
class Subject:
    """Somebody who is logged in, with one chosen assignment; or a known system.

    `hsa_id` is the employee's or system's HSA-id, or the patient's key for kind PATIENT. A system acts for
    `assignment.provider_hsa_id` and `assignment.unit_hsa_id`.
    """

    kind: SubjectKind
    hsa_id: str
    name: str
    assignment: Assignment | None
    session_id: str = ""
    """Internal id of the login session or association, for the audit journal; never a secret."""
    roles: frozenset[str] = frozenset()
    """Values of Role; of a national consumer, one of Serves."""
    patient_key: int | None = None
    """The person himself, for kind PATIENT."""
    guardian_of: frozenset[int] = frozenset()
    """For kind PATIENT: the children whom he is the guardian of (vårdnadshavare), as the register of guardians stands
    when a View is made; empty in what a log-in gives."""
    protected: bool = False
    """Staff with protected personal data (skyddade personuppgifter): the name is told to nobody else."""

    @property
    def told_name(self) -> str:
        """The name as others may read it; "" when it is protected."""
        return "" if self.protected else self.name

    @property
    def audited_as(self) -> tuple[str, str, str]:
        """What makes an audited reader one and the same: person or system, session, assignment."""
        return self.hsa_id, self.session_id, self.assignment.hsa_id if self.assignment else ""

    @property
    def usual_purpose(self) -> Purpose:
        """What a View is opened for when nothing else is said: care, or a patient's own record."""
        return Purpose.OWN_RECORD if self.kind is SubjectKind.PATIENT else Purpose.CARE

    @property
    def reads_for_care(self) -> bool:
        """Whether this is staff whose chosen assignment can read for care at all (PDL 4:2)."""
        own = self.assignment
        return (
            self.kind is SubjectKind.STAFF
            and own is not None
            and own.purpose is Purpose.CARE
            and own.reading_scope() is not None
        )
