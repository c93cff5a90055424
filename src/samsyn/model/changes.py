"""Words of the change feed."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ChangeKind(StrEnum):
    """What happened."""

    STORED = "stored"
    """Instances of one series arrived."""
    REJECTED = "rejected"
    """A rejection note took instances back."""
    RESTORED = "restored"
    """A rejection note was taken back itself."""
    CORRECTED = "corrected"
    """Attributes of the study were corrected."""
    MOVED = "moved"
    """The study or some of its series was given to another patient, or back: what was copied of it is read anew."""


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that happened to a study. It never changes once it was told."""

    cursor: int
    """Its place in the feed; grows, with gaps where others' studies changed."""
    kind: ChangeKind
    time: datetime
    study_uid: str
    series_uid: str
    """"" where several series may be concerned."""
    instances: int
    """How many instances it is about."""
    code: str
    """Of a rejection: a key of rejection.REJECTION_CODES."""
    sop_instance_uids: tuple[str, ...]
    """Of a rejection or its end: which instances."""
    attributes: tuple[str, ...]
    """Of a correction: which attributes, as eight hexadecimal digits."""
    into: str
    """Of a move: the study in which the moved series are now, where that is another one, else ""."""


@dataclass(frozen=True, slots=True)
class ChangePage:
    """Some changes in order."""

    changes: tuple[Change, ...]
    cursor: int
    """Where to go on; everything up to it has been told or is hidden from this reader."""
    is_last: bool
    """Whether nothing is known behind the cursor yet."""
