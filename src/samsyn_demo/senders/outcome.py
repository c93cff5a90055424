"""What every sender shares: what a refusal is, and how long to wait for a server that is not up yet."""

import time
from collections.abc import Iterator

PATIENCE_SECONDS = 45.0
"""How long a sender keeps trying to reach the server before it gives up."""
_FIRST_PAUSE_SECONDS = 0.05
_LONGEST_PAUSE_SECONDS = 2.0


class Refused(Exception):
    """The server answered something else than plain success, or could not be reached.

    The text says which system was answered what. It never holds anything about a patient.
    """


def attempts(patience: float = PATIENCE_SECONDS) -> Iterator[int]:
    """Counts attempts from 1, sleeping ever longer between them; ends when `patience` seconds are over."""
    deadline = time.monotonic() + patience
    pause, number = _FIRST_PAUSE_SECONDS, 1
    while True:
        yield number
        if time.monotonic() + pause > deadline:
            return
        time.sleep(pause)
        pause, number = min(2 * pause, _LONGEST_PAUSE_SECONDS), number + 1
