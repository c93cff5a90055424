"""Pages of patients that a session has left without a log-out: after a new log-in the same page can be gone on with.

A handle means nothing outside its session. So that an ended session does not cost the search for the patient again, it
is kept here for whom it was made, and for nobody else. What is opened anew is opened by the rules of the moment.
"""

from dataclasses import dataclass

from samsyn import limits
from samsyn.access.waiting import WaitingRooms
from samsyn.model.subject import Subject


@dataclass(frozen=True, slots=True)
class Left:
    """For whom a handle was made."""

    employee: str
    """HSA-id of the reader."""
    assignment: str
    """HSA-id of his assignment: in another one he seeks the patient anew."""
    patient_key: int


class LeftPages:
    """Handles with their patients; bounded, and gone after limits.SESSION_LIFETIME_S, a log-out or a closing."""

    def __init__(self, rooms: WaitingRooms) -> None:
        self._waiting = rooms.room("left", Left, limits.SESSION_LIFETIME_S, limits.MAX_LEFT_PAGES)

    def keep(self, reader: Subject, handle: str, patient_key: int) -> None:
        """The patient is open under the handle for this reader."""
        if reader.assignment is not None:
            self._waiting.put(handle, Left(reader.hsa_id, reader.assignment.hsa_id, patient_key))

    def patient_key(self, reader: Subject, handle: str) -> int | None:
        """The patient that the same reader had open under the handle in the same assignment, or None."""
        left = self._waiting.look(handle)
        if left is None or reader.assignment is None:
            return None
        is_same = (left.employee, left.assignment) == (reader.hsa_id, reader.assignment.hsa_id)
        return left.patient_key if is_same else None

    def forget(self, handle: str) -> None:
        """The patient was closed, or the reader has logged out."""
        self._waiting.take(handle)
