"""Where immutable objects lie: a folder, or an S3-compatible object store. One small port, the same for both.

An object has a name and bytes; it is put whole, once, and never changed. Every call ends within a bounded time, and
its errors say what holds afterwards:

* OutOfResources: not now (no answer in time, the network, 5xx, a full disk). A put may have been done or may yet be;
  putting the same bytes under the same name again is right in both cases.
* StoreFailed: never like this (credentials, bucket, permissions): somebody has to mend the settings.
* DamagedData: the object is not there, or has not the bytes that were asked for.
* Conflict: the name is taken by other bytes, which stay.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Protocol, TypeAlias

Piece: TypeAlias = bytes | bytearray | memoryview

_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*){0,5}")
_LONGEST_NAME: Final = 200


@dataclass(frozen=True, slots=True)
class Listed:
    """One object of a listing."""

    name: str
    size: int
    """Bytes."""


class Objects(Protocol):
    """The port. Any thread may call; calls block for as long as the disk or the network takes."""

    def put_new(self, name: str, pieces: Sequence[Piece]) -> None:
        """Puts the pieces, in order, as one object; durable when this returns.

        The name holds exactly these bytes then, whether they were put now or lay there already (a repeated call is
        no error). Conflict: other bytes lie there. OutOfResources, StoreFailed: see the module.
        """

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly `length` bytes from `offset` on. DamagedData: the object is not there or is shorter."""

    def size(self, name: str) -> int | None:
        """Bytes of an object; None = there is none."""

    def names(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """The objects whose names begin with `prefix` (which ends with "/") and come behind `after`, in order of
        their names. What is put meanwhile may be missing."""

    def delete(self, name: str) -> None:
        """Takes an object away; nothing happens when there is none."""

    def close(self) -> None:
        """Lets go of files and connections."""


def checked(name: str) -> str:
    """The name, if it is one of ours: small letters and digits in a few folders. ValueError otherwise.

    Names are made from numbers by the store itself; this keeps it so.
    """
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no name of an object")
    return name
