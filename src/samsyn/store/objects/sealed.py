"""Objects whose every read is checked: block by block against SHA-256, whatever lies between us and the bytes.

Behind an object's own bytes lies a seal: the SHA-256 of each block of it, and a footer with their number and hash::

    bytes as given | SHA-256 of block 0 | SHA-256 of block 1 | … | footer

So a range of any object costs the blocks that it touches, what an object store or the network made of them is found
before anybody sees it, and the front of each object stays what it was: a journal segment or a series object as the
embedded form writes it. Blocks that were read and found good are kept in memory within bounds.
"""

import hashlib
import struct
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from threading import Lock
from typing import Final

from samsyn import limits
from samsyn.errors import DamagedData
from samsyn.store.objects.port import Listed, Objects, Piece

FOOTER: Final = struct.Struct("<4sIQ32s")
"""Magic, block size, length of the bytes as given, SHA-256 of the blocks' hashes."""
_MAGIC: Final = b"SQ01"
_BLOCK: Final = 256 * limits.KIB
"""A frame of a CT slice is two of these; the seal of a gigabyte is 128 KiB."""
_HASH: Final = 32
_KEPT_SEALS: Final = 20_000
"""Objects whose hashes are kept in memory: most have one to four blocks."""


def seal(pieces: Sequence[Piece]) -> bytes:
    """Hashes and footer, to be put behind the pieces."""
    hashes = bytearray()
    digest, filled, length = hashlib.sha256(), 0, 0
    for piece in pieces:
        waiting = memoryview(piece)
        length += len(waiting)
        while waiting:
            part = waiting[: _BLOCK - filled]
            digest.update(part)
            filled += len(part)
            waiting = waiting[len(part) :]
            if filled == _BLOCK:
                hashes += digest.digest()
                digest, filled = hashlib.sha256(), 0
    if filled:
        hashes += digest.digest()
    return bytes(hashes) + FOOTER.pack(_MAGIC, _BLOCK, length, hashlib.sha256(hashes).digest())


def length_of(sealed_size: int) -> int:
    """How many bytes were given, from the size of object and seal together. DamagedData: it can not be a sealed one."""
    rest = sealed_size - FOOTER.size
    blocks = -(-rest // (_BLOCK + _HASH))
    length = rest - blocks * _HASH
    if rest < 0 or length < 0 or -(-length // _BLOCK) != blocks:
        raise DamagedData("an object is shorter than its seal")
    return length


def unsealed(tail: bytes, length: int) -> tuple[bytes, ...]:
    """The blocks' hashes, from everything behind the object's own `length` bytes. DamagedData: the seal is broken."""
    hashes, footer = tail[: -FOOTER.size], tail[-FOOTER.size :]
    if len(footer) == FOOTER.size:
        magic, block, told, sha256 = FOOTER.unpack(footer)
        if (magic, block, told) == (_MAGIC, _BLOCK, length) and hashlib.sha256(hashes).digest() == sha256:
            return tuple(hashes[at : at + _HASH] for at in range(0, len(hashes), _HASH))
    raise DamagedData("an object's seal is damaged")


class SealedObjects:
    """The port over another one's objects, sealed. Sizes are those of the bytes as given."""

    def __init__(self, objects: Objects, kept_bytes: int) -> None:
        """`kept_bytes`: blocks that are kept in memory in all."""
        self._objects = objects
        self._most = kept_bytes
        self._lock = Lock()
        self._seals: OrderedDict[str, tuple[int, tuple[bytes, ...]]] = OrderedDict()
        self._blocks: OrderedDict[tuple[str, int], memoryview] = OrderedDict()
        self.kept_bytes = 0
        """Blocks in memory just now, in bytes, for metrics."""

    def put_new(self, name: str, pieces: Sequence[Piece]) -> None:
        """Puts the pieces with their seal."""
        self._objects.put_new(name, [*pieces, seal(pieces)])

    def read(self, name: str, offset: int, length: int) -> bytes:
        """Exactly these bytes, each block of them with its hash. DamagedData also when one has not."""
        size, hashes = self._seal(name)
        if offset < 0 or offset + length > size:
            raise DamagedData(f"object {name} ends early")
        if length == 0:
            return b""
        first, last = offset // _BLOCK, (offset + length - 1) // _BLOCK
        found = self._found(name, first, last)
        for run in _missing(found, first, last):
            found |= self._fetch(name, size, hashes, run)
        if first == last:
            return bytes(found[first][offset - first * _BLOCK :][:length])
        whole = b"".join(found[number] for number in range(first, last + 1))
        return whole[offset - first * _BLOCK :][:length]

    def size(self, name: str) -> int | None:
        """Length of the bytes as given, by the object's own size; the seal is not read."""
        size = self._objects.size(name)
        return length_of(size) if size is not None else None

    def names(self, prefix: str, after: str = "") -> Iterator[Listed]:
        """As the port; DamagedData for what can not be one of ours."""
        for each in self._objects.names(prefix, after):
            yield Listed(each.name, length_of(each.size))

    def delete(self, name: str) -> None:
        """Takes it away and forgets it."""
        self._objects.delete(name)
        self.forget(name)

    def forget(self, name: str) -> None:
        """Drops what is kept of an object: the next read asks the store."""
        with self._lock:
            _, hashes = self._seals.pop(name, (0, ()))
            for number in range(len(hashes)):
                dropped = self._blocks.pop((name, number), None)
                self.kept_bytes -= len(dropped) if dropped is not None else 0

    def close(self) -> None:
        """Closes the port below."""
        self._objects.close()

    def _seal(self, name: str) -> tuple[int, tuple[bytes, ...]]:
        with self._lock:
            kept = self._seals.get(name)
            if kept is not None:
                self._seals.move_to_end(name)
                return kept
        try:
            found = self._read_seal(name)
        except DamagedData:
            found = self._read_seal(name)  # it may have been hurt on its way; once more, and then it is told
        with self._lock:
            self._seals[name] = found
            while len(self._seals) > _KEPT_SEALS:
                self._seals.popitem(last=False)
        return found

    def _read_seal(self, name: str) -> tuple[int, tuple[bytes, ...]]:
        whole = self._objects.size(name)
        if whole is None:
            raise DamagedData(f"object {name} is not there")
        length = length_of(whole)
        if whole > 2 * _BLOCK:
            return length, unsealed(self._objects.read(name, length, whole - length), length)
        data = memoryview(
            self._objects.read(name, 0, whole)
        )  # a small object costs the question, not the bytes
        hashes = unsealed(bytes(data[length:]), length)
        self._keep_all(name, _checked(name, data[:length], hashes, 0))
        return length, hashes

    def _found(self, name: str, first: int, last: int) -> dict[int, memoryview]:
        found: dict[int, memoryview] = {}
        with self._lock:
            for number in range(first, last + 1):
                block = self._blocks.get((name, number))
                if block is not None:
                    self._blocks.move_to_end((name, number))
                    found[number] = block
        return found

    def _fetch(
        self, name: str, size: int, hashes: tuple[bytes, ...], run: tuple[int, int]
    ) -> dict[int, memoryview]:
        """Reads and checks blocks `run[0]` to `run[1]`. What is not good is asked for once more, since it may have
        been hurt on its way."""
        begins, ends = run[0] * _BLOCK, min((run[1] + 1) * _BLOCK, size)
        wanted = hashes[run[0] : run[1] + 1]
        data = memoryview(self._objects.read(name, begins, ends - begins))
        try:
            blocks = _checked(name, data, wanted, run[0])
        except DamagedData:
            data = memoryview(self._objects.read(name, begins, ends - begins))
            blocks = _checked(name, data, wanted, run[0])
        self._keep_all(name, blocks)
        return blocks

    def _keep_all(self, name: str, blocks: dict[int, memoryview]) -> None:
        if len(blocks) * _BLOCK > self._most // 4:
            return  # one long sweep (a whole series for a receiver) shall not push everything else out
        copies = {number: memoryview(bytes(block)) for number, block in blocks.items()}
        with self._lock:
            for number, block in copies.items():
                if (name, number) not in self._blocks:
                    self._blocks[name, number] = block
                    self.kept_bytes += len(block)
            while self.kept_bytes > self._most:
                _, dropped = self._blocks.popitem(last=False)
                self.kept_bytes -= len(dropped)


def _missing(found: dict[int, memoryview], first: int, last: int) -> list[tuple[int, int]]:
    """Runs of block numbers (first, last) that have to be asked for."""
    runs: list[tuple[int, int]] = []
    for number in range(first, last + 1):
        if number in found:
            continue
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


def _checked(name: str, data: memoryview, hashes: tuple[bytes, ...], first: int) -> dict[int, memoryview]:
    """The blocks by number; DamagedData when one has not its hash."""
    blocks: dict[int, memoryview] = {}
    for place, sha256 in enumerate(hashes):
        block = data[place * _BLOCK : (place + 1) * _BLOCK]
        if hashlib.sha256(block).digest() != sha256:
            raise DamagedData(f"object {name} is damaged in block {first + place}")
        blocks[first + place] = block
    return blocks
