"""Who the patient is: identifiers are (issuer, value) pairs, never bare numbers."""

from dataclasses import dataclass
from enum import StrEnum

from samsyn.model.value import value


@value
class PatientIdentifier:
    """One identifier: `issuer` is an OID (or a provider's local issuer), `value` its canonical form.

    Canonical means 12 characters without separator for the Swedish kinds, as sent otherwise.
    """

    issuer: str
    value: str


class DemographicsOrigin(StrEnum):
    """Where name, birth date and sex came from; a later, weaker origin never overwrites a stronger one."""

    IMAGE = "image"
    REFERRAL = "referral"
    ADT = "adt"


@value
class Demographics:
    """What a source said about a person. Empty string = not said. `name` is DICOM PN (family^given)."""

    name: str = ""
    birth_date: str = ""
    """YYYYMMDD or empty; never derived from the number."""
    sex: str = ""
    """M, F, O or empty."""
    protected: bool = False
    """Protected identity (skyddade personuppgifter)."""
    deceased: str = ""
    """Day of death as YYYYMMDD, Y = dead since an unknown day, N = said to live, empty = not said."""
    unprotected: bool = False
    """The source said that the identity is not protected (any more), which is more than not saying that it is."""


@dataclass(frozen=True, slots=True)
class Patient:
    """A person as the index knows him; `key` is internal and never leaves the house."""

    key: int
    identifiers: tuple[PatientIdentifier, ...]
    demographics: Demographics
