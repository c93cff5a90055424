"""Shared state of one process: what a single node and tests use."""

from collections.abc import Collection
from threading import Lock

from samsyn.clock import Clock


class MemoryState:
    """The port in a dictionary."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = Lock()
        self._values: dict[tuple[str, str], tuple[str, float]] = {}

    def get(self, kind: str, key: str) -> str | None:
        """See the port."""
        with self._lock:
            return self._present(kind, key)

    def _present(self, kind: str, key: str) -> str | None:
        found = self._values.get((kind, key))
        return found[0] if found is not None and found[1] > self._clock.monotonic() else None

    def put(self, kind: str, key: str, value: str, seconds: float) -> None:
        """See the port."""
        with self._lock:
            self._values[kind, key] = (value, self._clock.monotonic() + seconds)

    def renew(self, kind: str, key: str, value: str, seconds: float) -> bool:
        """See the port."""
        with self._lock:
            if self._present(kind, key) is None:
                return False
            self._values[kind, key] = (value, self._clock.monotonic() + seconds)
            return True

    def take(self, kind: str, key: str) -> str | None:
        """See the port."""
        with self._lock:
            found = self._present(kind, key)
            self._values.pop((kind, key), None)
            return found

    def put_once(self, kind: str, key: str, seconds: float) -> bool:
        """See the port."""
        with self._lock:
            if self._present(kind, key) is not None:
                return False
            self._values[kind, key] = ("", self._clock.monotonic() + seconds)
            return True

    def find(self, kind: str, prefix: str = "") -> list[tuple[str, str]]:
        """See the port."""
        with self._lock:
            keys = sorted(key for found, key in self._values if found == kind and key.startswith(prefix))
            present = [(key, self._present(kind, key)) for key in keys]
            return [(key, value) for key, value in present if value is not None]

    def claim(self, kind: str, keys: Collection[str], owner: str, seconds: float) -> set[str]:
        """See the port."""
        with self._lock:
            own = {key for key in keys if self._present(kind, key) in (None, owner)}
            for key in own:
                self._values[kind, key] = (owner, self._clock.monotonic() + seconds)
            return own

    def release(self, kind: str, keys: Collection[str], owner: str) -> None:
        """See the port."""
        with self._lock:
            for key in keys:
                if self._present(kind, key) == owner:
                    del self._values[kind, key]

    def sweep(self) -> int:
        """See the port."""
        with self._lock:
            now = self._clock.monotonic()
            over = [place for place, (_, until) in self._values.items() if until <= now]
            for place in over:
                del self._values[place]
            return len(over)

    def close(self) -> None:
        """Nothing is held."""
