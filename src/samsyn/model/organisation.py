"""Who answers for information: care providers and care units, named by HSA-id."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CareUnit:
    """A care unit (vårdenhet): the boundary of an inner block."""

    hsa_id: str
    name: str


@dataclass(frozen=True, slots=True)
class CareProvider:
    """A care provider (vårdgivare): the controller of what it documents; the boundary of an outer block."""

    hsa_id: str
    name: str
    units: tuple[CareUnit, ...] = ()
    phone: str = ""


@dataclass(frozen=True, slots=True)
class Owner:
    """The provider and unit that documented an item; both are HSA-ids, upper case."""

    provider: str
    unit: str
