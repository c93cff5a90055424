"""Ports of loopback for servers that must be told theirs before they start."""

import random
import socket
from typing import Final

_FIRST: Final = 20_000
_COUNT: Final = 12_000
"""Below what Linux gives to who asks for any port (32768 and above): between the choice and the server's start, such a
one might be given to somebody else."""


class FreePorts:
    """Hands out TCP ports that nobody has, each once in 12,000."""

    def __init__(self) -> None:
        self._last = random.randrange(_COUNT)  # noqa: S311 - where another process most likely is not

    def take(self, count: int) -> list[int]:
        """So many. RuntimeError: there are not so many."""
        found: list[int] = []
        for _ in range(_COUNT):
            if len(found) == count:
                return found
            self._last = (self._last + 1) % _COUNT
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", _FIRST + self._last))
                except OSError:
                    continue
                found.append(_FIRST + self._last)
        raise RuntimeError("no port of loopback is free")
