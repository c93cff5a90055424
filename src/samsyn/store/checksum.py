"""The quick check of a body on its way out: XXH3-64, computed when it came in, beside its SHA-256.

SHA-256 stays what proves a body: scrub, settling, making the index anew and every comparison go by it. A read only asks
whether the disk gave back what was written, some fifty times as fast (decision 0026). Bodies from before there were
checksums have none and are read by their SHA-256.
"""

import hashlib
from collections.abc import Callable
from typing import Final, TypeAlias

from xxhash import xxh3_64, xxh3_64_intdigest

from samsyn.model.imaging import StoredInstance

Bytes: TypeAlias = bytes | bytearray | memoryview
_SIGN: Final = 1 << 63
_PIECE_BYTES: Final = 1 << 20


def _signed(digest: int) -> int:
    """As the index keeps whole numbers: 64 bits with a sign."""
    return digest - (digest & _SIGN) * 2


def checksum_of(body: Bytes) -> int:
    """The checksum of a whole body, -2^63 to 2^63 - 1."""
    return _signed(xxh3_64_intdigest(body))


def is_whole(body: Bytes, instance: StoredInstance, proves: bool = False) -> bool:
    """Whether these are the bytes that were stored for the instance; `proves`: by their SHA-256."""
    if proves or instance.checksum is None:
        return hashlib.sha256(body).digest() == instance.sha256
    return checksum_of(body) == instance.checksum


class Checksum:
    """`checksum_of` a body that comes in pieces."""

    def __init__(self) -> None:
        self._digest = xxh3_64()

    def update(self, piece: Bytes) -> None:
        """The next bytes of the body."""
        self._digest.update(piece)

    @property
    def value(self) -> int:
        """The checksum of all bytes so far."""
        return _signed(self._digest.intdigest())


class Check:
    """`is_whole` for a body that comes in pieces."""

    def __init__(self, instance: StoredInstance, proves: bool = False) -> None:
        """`proves`: by SHA-256."""
        self._instance = instance
        self._sha256 = hashlib.sha256() if proves or instance.checksum is None else None
        self._checksum = Checksum()

    def update(self, piece: Bytes) -> None:
        """The next bytes of the body."""
        (self._sha256 or self._checksum).update(piece)

    def fits(self) -> bool:
        """Whether all pieces together are what was stored."""
        if self._sha256 is not None:
            return self._sha256.digest() == self._instance.sha256
        return self._checksum.value == self._instance.checksum


def reads_whole(read: Callable[[int, int], bytes], instance: StoredInstance) -> bool:
    """`is_whole` for a body that is read in pieces, from its place by `read(offset, length)`."""
    check, place = Check(instance), instance.location
    for offset in range(place.offset, place.offset + place.length, _PIECE_BYTES):
        check.update(read(offset, min(_PIECE_BYTES, place.offset + place.length - offset)))
    return check.fits()
