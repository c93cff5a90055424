"""For how long the index's transaction is left open over several turns of the writer: they share its commit."""

import time
from typing import Final

from samsyn import limits

LEFT_OPEN_S: Final = 0.02
"""For so long at the most is the index behind what was answered, while nobody asks it: some ten records share its
commit."""
_ASKED_LATELY_S: Final = 0.05
"""So long after somebody asked the index each turn of the thread ends its transaction again: who asks on the event loop
waits for the rest of one turn now and then, not each time."""
_BRIEF_S: Final = 0.005
"""A write with its sync for whose end who asks the index may have to wait."""
_BRIEF_BYTES: Final = 2 * limits.MIB
"""What such a turn writes at the most; a commit is little beside more of it."""
_TIDY_EVERY_S: Final = 0.05


class LeftOpen:
    """The times that it follows from."""

    def __init__(self) -> None:
        self._begun = self._asked = self._tidied = 0.0

    def begun(self) -> None:
        """A transaction was left open by its first turn."""
        self._begun = time.monotonic()

    def asked(self) -> None:
        """Somebody asks the index."""
        self._asked = time.monotonic()

    def tidied(self) -> None:
        """The index's log was looked after, which has to be between two transactions."""
        self._tidied = time.monotonic()

    def left_s(self) -> float:
        """For how long it may be left open yet; 0 = no longer."""
        return max(self._begun + LEFT_OPEN_S - time.monotonic(), 0.0)

    def is_brief(self, append_s: float) -> bool:
        """Whether a turn of the thread may leave one open: nobody asks just now, and a write with its sync, which takes
        `append_s` of late, is not long."""
        return append_s < _BRIEF_S and time.monotonic() - self._asked >= _ASKED_LATELY_S

    def goes_on(self, size: int) -> bool:
        """Whether a turn of the thread that writes so many bytes may go on in one."""
        return size <= _BRIEF_BYTES and time.monotonic() - self._tidied < _TIDY_EVERY_S
