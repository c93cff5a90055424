"""Images as the rooms speak of them."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PixelLayout:
    """How the pixels of one instance lie; offsets count bytes from the start of the data set as stored.

    For native data a frame has ceil(rows * columns * samples * bits_allocated / 8) bytes, frames back to back.
    """

    offset: int
    """First byte of the value of (7FE0,0010), after tag, VR and length. -1 = no pixel data."""
    length: int
    """Length of the value; -1 = undefined length, that is encapsulated."""
    rows: int
    columns: int
    samples: int
    bits_allocated: int
    bits_stored: int
    signed: bool
    photometric: str
    planar: int
    frames: int


@dataclass(frozen=True, slots=True)
class BodyLocation:
    """Where an instance's bytes lie in the journal."""

    segment: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class StoredInstance:
    """One instance as retrieval needs it."""

    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    study_uid: str
    series_uid: str
    number: int | None
    location: BodyLocation
    sha256: bytes
    checksum: int | None
    """The quick check of the body (`store.checksum`); None = it came before there was one."""
    pixels: PixelLayout | None


@dataclass(frozen=True, slots=True)
class StudySummary:
    """One study in a list."""

    study_uid: str
    date: str
    time: str
    description: str
    modalities: tuple[str, ...]
    accession: str
    series_count: int
    instance_count: int
    provider: str
    unit: str
