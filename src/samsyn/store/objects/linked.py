"""Segments of one record whose large body lies in an object of its own, put before anybody knew the segment's number.

Everything that nodes share waits while a batch is put, so no body of gigabytes can be put then. It goes ahead, under a
name that nothing else has, and in its turn the segment is a few bytes that point at it::

    bodies/<name>         the body
    links/<segment>       frame | header | <name>
    journal/<segment>     magic | half of the link's SHA-256

For whoever reads it, the segment is frame, body and header, as any other. What stands under its own name is shorter
than a frame, so that no range of the segment that is asked for there is answered with other bytes; and of two nodes
that try the same number only one puts what counts.
"""

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Final

from samsyn.errors import Conflict, DamagedData
from samsyn.store.objects.port import Objects, Piece
from samsyn.store.records import FRAME, decode_frame

BODIES: Final = "bodies/"
LINKS: Final = "links/"
_MAGIC: Final = b"LK"
POINTER_BYTES: Final = len(_MAGIC) + 16
"""Length of what stands under the name of a linked segment."""
assert FRAME.size > POINTER_BYTES
_KEPT: Final = 10_000
"""Links that are kept in memory: some hundred bytes each."""


@dataclass(frozen=True, slots=True)
class _Link:
    body: str
    """The body's object."""
    body_bytes: int
    header_bytes: int

    @property
    def size(self) -> int:
        """Length of the segment."""
        return FRAME.size + self.body_bytes + self.header_bytes


class LinkedSegments:
    """Puts, finds and reads them. Any thread may call."""

    def __init__(self, objects: Objects, name_of: Callable[[int], str]) -> None:
        """`name_of`: the name of a segment's own object."""
        self._objects = objects
        self._name_of = name_of
        self._lock = Lock()
        self._links: OrderedDict[int, _Link] = OrderedDict()

    def put_body(self, body: Piece) -> str:
        """Makes a body durable that no segment has yet; its object's name. Errors of the port."""
        name = f"{BODIES}{secrets.token_hex(16)}"
        self._objects.put_new(name, [body])
        return name

    def put(self, segment: int, body: str, frame: bytes, header: bytes) -> None:
        """Makes the segment of a body that was put. Conflict: the number is taken."""
        link = b"".join((frame, header, body.encode()))
        try:
            self._objects.put_new(_link_name(segment), [link])
        except Conflict:
            # Of an attempt that was lost in between, so that the number itself may be free: whoever passes over it has
            # to take it, see `object_journal`. An empty segment holds no record.
            self._objects.put_new(self._name_of(segment), [])
            raise
        self._objects.put_new(self._name_of(segment), [_pointer(link)])

    def knows(self, segment: int) -> bool:
        """Whether the segment is known to be one of these; nothing is asked."""
        with self._lock:
            return segment in self._links

    def find(self, segment: int) -> bool:
        """Whether the segment is one of these; the object store is asked when that is not known. DamagedData: it is,
        and what it points at is not what was put."""
        return self._found(segment) is not None

    def size(self, segment: int) -> int:
        """The segment's length. DamagedData: it is none of these."""
        return self._known(segment).size

    def read(self, segment: int, offset: int, length: int) -> bytes:
        """Exactly these bytes of the segment. DamagedData: it has not so many, is none of these or can not be read."""
        link = self._known(segment)
        if offset + length > link.size:
            raise DamagedData(f"journal segment {segment} ends early")
        name, end = _link_name(segment), FRAME.size + link.body_bytes
        parts = (
            (0, FRAME.size, name, 0),
            (FRAME.size, end, link.body, 0),
            (end, link.size, name, FRAME.size),
        )
        found = [
            self._objects.read(
                where, at + max(offset, begins) - begins, min(offset + length, ends) - max(offset, begins)
            )
            for begins, ends, where, at in parts
            if max(offset, begins) < min(offset + length, ends)
        ]
        return found[0] if len(found) == 1 else b"".join(found)

    def forget(self, segment: int) -> None:
        """It may lie elsewhere by now: the next question is asked of the object store."""
        with self._lock:
            self._links.pop(segment, None)

    def drop(self, segment: int) -> None:
        """Takes away all that is left of a segment, whose own name is gone already."""
        name = _link_name(segment)
        size = self._objects.size(name)
        if size is not None:
            body = _read_link(self._objects.read(name, 0, size)).body
            self._objects.delete(body)
            self._objects.delete(name)
        self.forget(segment)

    def unnamed(self) -> set[str]:
        """Names of bodies that no segment has, and of links that are no segment's: what lost attempts left, and what is
        just being put."""
        bodies = {each.name for each in self._objects.names(BODIES)}
        unnamed: set[str] = set()
        for each in list(self._objects.names(LINKS)):
            segment = int(each.name.removeprefix(LINKS))
            link = self._found(segment)
            if link is None:
                unnamed.add(each.name)
            else:
                bodies.discard(link.body)
        return unnamed | bodies

    def _known(self, segment: int) -> _Link:
        link = self._found(segment)
        if link is None:
            raise DamagedData(f"journal segment {segment} is not there")
        return link

    def _found(self, segment: int) -> _Link | None:
        with self._lock:
            kept = self._links.get(segment)
        if kept is not None:
            return kept
        name = self._name_of(segment)
        if self._objects.size(name) != POINTER_BYTES:
            return None
        pointer = self._objects.read(name, 0, POINTER_BYTES)
        size = self._objects.size(_link_name(segment))
        content = self._objects.read(_link_name(segment), 0, size) if size else b""
        if _pointer(content) != pointer:
            raise DamagedData(f"journal segment {segment} does not point at what lies there")
        link = _read_link(content)
        with self._lock:
            self._links[segment] = link
            while len(self._links) > _KEPT:
                self._links.popitem(last=False)
        return link


def _link_name(segment: int) -> str:
    return f"{LINKS}{segment:012d}"


def _pointer(link: bytes) -> bytes:
    return _MAGIC + hashlib.sha256(link).digest()[: POINTER_BYTES - len(_MAGIC)]


def _read_link(content: bytes) -> _Link:
    frame = decode_frame(content[: FRAME.size])
    if frame is None:
        raise DamagedData("a link to a large body is damaged")
    header_bytes, body_bytes, _ = frame
    return _Link(content[FRAME.size + header_bytes :].decode("ascii"), body_bytes, header_bytes)
