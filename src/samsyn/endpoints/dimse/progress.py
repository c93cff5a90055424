"""Counting the sub-operations of C-GET and C-MOVE (PS3.4 C.4.2.1.6 to C.4.2.1.9)."""

from dataclasses import dataclass, field

from samsyn import limits
from samsyn.model.imaging import StoredInstance
from samsyn.wire import dimse_status as status
from samsyn.wire.dimse_status import StatusKind, status_kind


@dataclass(slots=True)
class Progress:
    """Sub-operations of one retrieval."""

    remaining: int
    completed: int = 0
    warning: int = 0
    failed: list[str] = field(default_factory=list)
    """SOP Instance UIDs of what failed."""
    why: str = ""
    """Comment about the first failure."""
    _told_again: float = 0.0

    def count(self, instance: StoredInstance, code: int) -> None:
        """One sub-operation ended with this status."""
        self.remaining -= 1
        kind = status_kind(code)
        if kind is StatusKind.SUCCESS:
            self.completed += 1
        elif kind is StatusKind.WARNING:
            self.warning += 1
        else:
            self.why = self.why or f"the receiver answered {code:04X}H"
            self.failed.append(instance.sop_instance_uid)

    def fail(self, instance: StoredInstance, why: str) -> None:
        """One sub-operation could not be done."""
        self.why = self.why or why
        self.count(instance, status.PROCESSING_FAILURE)

    def is_due(self, now: float) -> bool:
        """Whether the asker is to be told once more: at the first sub-operation, then each limits.PENDING_EVERY_S.

        `now`: of a clock that never goes back, in seconds."""
        if now < self._told_again:
            return False
        self._told_again = now + limits.PENDING_EVERY_S
        return True

    def final_status(self) -> int:
        """Success, B000 when some failed, A702 when nothing could be done (PS3.4 Table C.4-2)."""
        if not self.failed:
            return status.SUCCESS if not self.warning else status.SUB_OPERATIONS_WITH_FAILURES
        if self.completed or self.warning:
            return status.SUB_OPERATIONS_WITH_FAILURES
        return status.OUT_OF_RESOURCES_SUB_OPERATIONS
