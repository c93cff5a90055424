"""Small values that every node sees, each with an end: what would otherwise live in one process's memory.

Nothing here is part of the record: losing all of it costs log-ins and some repeated work. So it is written beside the
journal, and a replay knows nothing of it.
"""

from collections.abc import Collection
from typing import Protocol


class SharedState(Protocol):
    """Values by kind and key. Any thread may call; each call is one question to a database. OutOfResources when that
    does not answer."""

    def get(self, kind: str, key: str) -> str | None:
        """The value; None when there is none, or its end has come."""

    def put(self, kind: str, key: str, value: str, seconds: float) -> None:
        """Sets the value for so long."""

    def renew(self, kind: str, key: str, value: str, seconds: float) -> bool:
        """Sets another value and end for what is there still; False: it is gone, and stays gone."""

    def take(self, kind: str, key: str) -> str | None:
        """The value, which nobody else gets any more: one of any number of callers has it."""

    def put_once(self, kind: str, key: str, seconds: float) -> bool:
        """Notes the key for so long; False when it was noted already."""

    def find(self, kind: str, prefix: str = "") -> list[tuple[str, str]]:
        """(key, value) of all whose keys begin so, in order of the keys."""

    def claim(self, kind: str, keys: Collection[str], owner: str, seconds: float) -> set[str]:
        """Takes or keeps leases for so long from now; those of the keys that the owner holds after it.

        One statement of the database, by its clock alone: no two owners hold one key at a time.
        """

    def release(self, kind: str, keys: Collection[str], owner: str) -> None:
        """Gives leases back; those that another one holds stay."""

    def sweep(self) -> int:
        """Takes away what has come to its end; how many those were."""

    def close(self) -> None:
        """Lets go of the connection."""
