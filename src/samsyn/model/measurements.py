"""Measured numbers and doses of structured reports, with the codes that their senders gave them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Concept:
    """A coded concept (PS3.3 8.8). `scheme_uid` is what the object itself tells about its coding scheme, or ""."""

    code: str
    scheme: str
    """Coding Scheme Designator: DCM, SCT, LN, UCUM, 99LOCAL …"""
    meaning: str
    scheme_uid: str = ""


@dataclass(frozen=True, slots=True)
class Quantity:
    """One number. `value` None: the sender says why there is none, or says nothing (`absent` None)."""

    concept: Concept
    value: float | None
    unit: Concept | None
    """UCUM in every object that keeps to the standard; None = not told."""
    absent: Concept | None = None


@dataclass(frozen=True, slots=True)
class Observed:
    """One measurement, or the numbers of one part of a dose report, that belong together."""

    place: str
    """Item numbers from the root of the content tree, such as 3.1.2: names it within its object."""
    concept: Concept
    """What was measured, or which part of the dose report it is."""
    quantities: tuple[Quantity, ...]
    """The number itself; several in a part of a dose report."""
    is_dose: bool = False
    site: Concept | None = None
    method: Concept | None = None
    modifiers: tuple[tuple[Concept, Concept], ...] = ()
    """(name, value) of the other codes that say what the number is about: finding, laterality, derivation …"""
    tracking: str = ""
    """What the sender calls the lesion or structure that is followed over time."""
    tracking_uid: str = ""


@dataclass(frozen=True, slots=True)
class MeasurementDocument:
    """What one structured report has measured."""

    sop_instance_uid: str
    date: str
    time: str
    """Of its content: DA and TM in Swedish time."""
    is_final: bool
    """Complete, and verified by somebody where somebody has measured; a machine's dose report needs nobody."""
    observed: tuple[Observed, ...]
