"""The active choices of every session, by patient; in memory only, gone with the session."""

from collections import OrderedDict

from samsyn import limits
from samsyn.access.facts import Choices


class ActiveChoices:
    """Remembers what each session has chosen to see of each person.

    A person is known by the lowest of his keys: after a merge the choices are made anew (the closed side).
    """

    def __init__(self) -> None:
        self._chosen: OrderedDict[tuple[str, int], Choices] = OrderedDict()
        self.version = 0
        """Grows with every choice."""

    def of(self, session_id: str, patient_keys: frozenset[int]) -> Choices:
        """The session's choices for the person; none without a session."""
        if not session_id or not patient_keys:
            return Choices()
        return self._chosen.get((session_id, min(patient_keys)), Choices())

    def record(self, session_id: str, patient_keys: frozenset[int], choices: Choices) -> None:
        """Sets the session's choices for the person."""
        key = (session_id, min(patient_keys))
        self._chosen[key] = choices
        self.version += 1
        self._chosen.move_to_end(key)
        while len(self._chosen) > limits.MAX_KEPT_CHOICES:
            self._chosen.popitem(last=False)

    def forget(self, session_id: str) -> None:
        """Drops everything that the session has chosen: at log-out and at change of assignment."""
        for key in [key for key in self._chosen if key[0] == session_id]:
            del self._chosen[key]
