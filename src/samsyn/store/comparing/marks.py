"""What the journal says lies in each series object: a sum over its instances (UID, SHA-256, length), gathered from the
records that settled them. 32 bytes for each series, however many instances it has; the order does not matter.

The index that is made from the journal keeps it beside its own tables.
"""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from samsyn.store.index.operations import SETTLED, Operation
from samsyn.store.index.port import IndexConnection

_BYTES: Final = 16
_MODULUS: Final = 1 << 8 * _BYTES


def sum_of(instances: Iterable[tuple[str, str, int]]) -> str:
    """The sum of some instances: (UID, SHA-256 in hex, length) of each."""
    return _hex(sum(_mark(*each) for each in instances))


def _mark(uid: str, sha256: str, length: int) -> int:
    told = f"{uid} {sha256} {length}".encode()
    return int.from_bytes(hashlib.blake2b(told, digest_size=_BYTES).digest(), "little")


def _hex(number: int) -> str:
    return f"{number % _MODULUS:0{2 * _BYTES}x}"


class SettledMarks:
    """The sums of all series, as of the records seen so far."""

    def __init__(self, connection: IndexConnection) -> None:
        self._connection = connection
        connection.execute("CREATE TABLE settled_mark(series_key INTEGER PRIMARY KEY, mark TEXT)")

    def take(self, operation: Operation) -> None:
        """Looks at an operation before it is made."""
        if operation[0] == SETTLED:
            self._add(operation[1], operation[5])
        elif operation[:2] == ["d", "series_object"]:
            self._connection.execute(
                "DELETE FROM settled_mark WHERE series_key = ?", (operation[2]["series_key"],)
            )

    def _add(self, series_key: int, uids: list[str]) -> None:
        rows: list[Any] = [
            self._connection.execute(
                "SELECT sop_uid, sha256, length FROM instance WHERE sop_uid = ? AND series_key = ?",
                (uid, series_key),
            ).fetchone()
            for uid in uids
        ]
        fresh = sum_of((row[0], row[1], row[2]) for row in rows if row is not None)
        mark = _hex(int(self.of(series_key), 16) + int(fresh, 16))
        self._connection.execute("INSERT OR REPLACE INTO settled_mark VALUES(?, ?)", (series_key, mark))

    def of(self, series_key: int) -> str:
        """The sum of what is settled of a series."""
        row = self._connection.execute(
            "SELECT mark FROM settled_mark WHERE series_key = ?", (series_key,)
        ).fetchone()
        return str(row[0]) if row is not None else _hex(0)
