"""Which accesses a targeted check picks: what is seldom wrong by chance and often wrong by curiosity. Pure."""

import unicodedata
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from samsyn.model.person_name import PersonName


class CheckKind(StrEnum):
    """How the accesses of a check are chosen."""

    RANDOM = "random"
    SURNAME = "surname"
    """The patient has the reader's surname: kin, or the own record."""
    OWN_NAME = "own-name"
    """The patient has the reader's whole name: most likely the own record."""
    COLLEAGUE = "colleague"
    """The patient has the whole name of somebody else who works at the provider."""
    PROTECTED = "protected"
    """The patient's identity is protected."""
    EMERGENCY = "emergency"
    """Every emergency access that has not been checked yet; no sample."""


@dataclass(frozen=True, slots=True)
class Access:
    """One person's looking at one patient in one day, named by its first entry."""

    sequence: int
    last_sequence: int
    actor: str
    patient_key: int


@dataclass(frozen=True, slots=True)
class PatientName:
    """What is compared: family and given name as the register has them, and whether the identity is protected."""

    family: str
    given: str
    is_protected: bool

    @classmethod
    def of(cls, dicom_name: str, is_protected: bool) -> "PatientName":
        """From the name as the register has it."""
        name = PersonName.of(dicom_name)
        return cls(plain(name.family), plain(name.given), is_protected)


def plain(name: str) -> str:
    """For comparing names: lower case, no accents, single spaces."""
    letters = unicodedata.normalize("NFKD", name.casefold())
    return " ".join("".join(each for each in letters if not unicodedata.combining(each)).split())


def picks(kind: CheckKind, access: Access, patient: PatientName, names: dict[str, str]) -> bool:
    """Whether the access is one that the kind of check looks for. `names`: plain full name by HSA-id."""
    reader = names.get(access.actor, "")
    match kind:
        case CheckKind.RANDOM | CheckKind.EMERGENCY:
            return True
        case CheckKind.PROTECTED:
            return patient.is_protected
        case CheckKind.SURNAME:
            return bool(patient.family) and f" {reader}".endswith(f" {patient.family}") and bool(reader)
        case CheckKind.OWN_NAME:
            return _is(reader, patient)
        case CheckKind.COLLEAGUE:
            return any(_is(name, patient) for actor, name in names.items() if actor != access.actor)


def _is(full_name: str, patient: PatientName) -> bool:
    """Whether a full name is the patient's: the surname, and one of the given names before it."""
    if not patient.family or not patient.given or not full_name.endswith(f" {patient.family}"):
        return False
    given: Collection[str] = full_name.removesuffix(f" {patient.family}").split()
    return patient.given.split()[0] in given
