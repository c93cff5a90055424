"""Multipart bodies (RFC 2046 5.1, RFC 2387) as a sans-IO machine: bytes in, events out; and the way back.

The reader holds at most one delimiter's length of body, or one part's headers, whatever the chunks are. Where a body
lies in memory as a whole, its parts are found where they are (`PartsInPlace`).
"""

import re
from abc import abstractmethod
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from types import MappingProxyType
from typing import TypeAlias

from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import MAX_PART_HEADER_BYTES, MAX_STOW_BYTES, MAX_STOW_PARTS

_MAX_PADDING_BYTES = 64
"""White space that may follow a delimiter; more is no delimiter."""
_REMEMBERED = 64
"""Media types, and headers of parts: a sender says the same again and again. Each has MAX_PART_HEADER_BYTES at most."""
_WORD = r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+"
_MEDIA_TYPE = re.compile(rf"\s*({_WORD}|\*)/({_WORD}|\*)\s*", re.ASCII)
_PARAMETER = re.compile(
    rf';\s*(?:({_WORD})\s*=\s*(?:({_WORD}(?:/{_WORD})?)|"((?:[^"\\\r\n]|\\[^\r\n])*)"))?\s*', re.ASCII
)
_BOUNDARY = re.compile(r"[0-9A-Za-z'()+_,\-./:=? ]{0,199}[0-9A-Za-z'()+_,\-./:=?]", re.ASCII)
"""RFC 2046 5.1.1 allows 70 characters, but Orthanc sends 73 (two UUIDs) and nothing is gained by refusing it."""
_HEADER_NAME = re.compile(_WORD, re.ASCII)


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type with its parameters; names in lower case, values as written."""

    kind: str
    """`type/subtype`, lower case."""
    parameters: MappingProxyType[str, str]

    def get(self, name: str) -> str:
        """A parameter, "" when it is absent."""
        return self.parameters.get(name, "")


@lru_cache(maxsize=_REMEMBERED)
def parse_media_type(text: str) -> MediaType:
    """One media type (RFC 9110 8.3.1); an unquoted `type=application/dicom` is forgiven. BadInput if malformed.

    Of a parameter that stands twice the first holds.
    """
    if len(text) > MAX_PART_HEADER_BYTES:
        raise LimitExceeded("MAX_PART_HEADER_BYTES")
    match = _MEDIA_TYPE.match(text)
    if match is None:
        raise BadInput("a media type is malformed")
    parameters: dict[str, str] = {}
    position = match.end()
    while position < len(text):
        found = _PARAMETER.match(text, position)
        if found is None:
            raise BadInput("a media type parameter is malformed")
        name, bare, quoted = found.groups()
        if name:
            value = bare if bare is not None else re.sub(r"\\(.)", r"\1", quoted)
            parameters.setdefault(name.lower(), value)
        position = found.end()
    return MediaType(f"{match[1]}/{match[2]}".lower(), MappingProxyType(parameters))


def boundary_of(media_type: MediaType) -> bytes:
    """The boundary of a multipart/related type; NotSupported for other types, BadInput for a bad boundary."""
    if media_type.kind != "multipart/related":
        raise NotSupported("the body is not multipart/related")
    boundary = media_type.get("boundary")
    if not _BOUNDARY.fullmatch(boundary):
        raise BadInput("the multipart boundary is missing or illegal")
    return boundary.encode("ascii")


@dataclass(frozen=True, slots=True)
class PartBegin:
    """A part begins. Header names are in lower case."""

    headers: MappingProxyType[str, str]


@dataclass(frozen=True, slots=True)
class PartData:
    """Some bytes of the part."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PartEnd:
    """The part is whole."""


@dataclass(frozen=True, slots=True)
class PartPlace:
    """Where the bytes of the part lie: from `begin` to before `end`."""

    begin: int
    end: int


Event: TypeAlias = PartBegin | PartData | PartPlace | PartEnd


class _State(Enum):
    PREAMBLE = 0
    HEADERS = 1
    BODY = 2
    EPILOGUE = 3


class _Splitter:
    """What both readers have in common: finds delimiters and headers in a buffer that fills."""

    def __init__(self, boundary: bytes, buffer: bytearray, max_parts: int) -> None:
        """The first delimiter may stand at the very beginning, without the line end before it: so the buffer begins
        with one that is not of the body."""
        self._delimiter = b"\r\n--" + boundary
        self._buffer = buffer
        self._buffer[:2] = b"\r\n"
        self._end = 2
        """How much of the buffer has come."""
        self._state = _State.PREAMBLE
        self._scanned = 0
        self._lead = 0
        """Bytes at the start of the buffer that belong to the headers unless a delimiter begins with them."""
        self._parts = 0
        self._max_parts = max_parts

    def finish(self) -> None:
        """Says that no more bytes come; BadInput when the closing delimiter has not come."""
        if not self._is_over():
            raise BadInput("the multipart body ends before its closing delimiter")

    def _is_over(self) -> bool:
        return self._state is _State.EPILOGUE

    def _take_all(self, start: int, events: list[Event]) -> int:
        """Takes headers and parts that have come whole; where what is left begins."""
        while True:
            if self._state is _State.HEADERS:
                after = self._take_headers(start, events)
            else:
                after = self._take_until_delimiter(start, events)
            if after < 0:
                return start
            start = after
            if self._is_over():
                return self._end

    def _take_headers(self, start: int, events: list[Event]) -> int:
        """The position behind the headers, or -1 when they have not all come."""
        buffer = self._buffer
        if buffer.startswith(b"\r\n", start, self._end):
            end, after = start, start + 2
        else:
            end = buffer.find(b"\r\n\r\n", max(start, self._scanned), self._end)
            after = end + 4
        length = (end if end >= 0 else self._end) - start
        if length > MAX_PART_HEADER_BYTES:
            raise LimitExceeded("MAX_PART_HEADER_BYTES")
        if end < 0:
            self._scanned = max(start, self._end - 3)
            return -1
        self._parts += 1
        if self._parts > self._max_parts:
            raise LimitExceeded("MAX_STOW_PARTS")
        events.append(PartBegin(_parse_headers(bytes(buffer[start:end]))))
        self._state = _State.BODY
        # The line end that closes the headers may already be that of the delimiter behind an empty part.
        self._scanned = after - 2
        self._lead = 2
        return after - 2

    def _take_until_delimiter(self, start: int, events: list[Event]) -> int:
        """The position behind the next delimiter line, or -1 when it has not come."""
        buffer, delimiter, last = self._buffer, self._delimiter, self._end
        search = max(start, self._scanned)
        while True:
            found = buffer.find(delimiter, search, last)
            if found < 0:
                self._scanned = max(start, last - len(delimiter) + 1)
                return -1
            behind = found + len(delimiter)
            if buffer.startswith(b"--", behind, last):
                self._end_part(start, found, events)
                self._state = _State.EPILOGUE
                return behind + 2
            line_end = buffer.find(b"\r\n", behind, min(behind + _MAX_PADDING_BYTES + 2, last))
            padding = buffer[
                behind : line_end if line_end >= 0 else min(behind + _MAX_PADDING_BYTES + 1, last)
            ]
            if line_end >= 0 and not padding.strip(b" \t"):
                self._end_part(start, found, events)
                self._state = _State.HEADERS
                self._scanned = 0
                return line_end + 2
            # Not a delimiter (yet): wait for more while it still may become one, else it is content.
            if line_end < 0 and len(padding) <= _MAX_PADDING_BYTES and _may_become_delimiter(bytes(padding)):
                self._scanned = found
                return -1
            search = found + 1

    def _end_part(self, start: int, end: int, events: list[Event]) -> None:
        if self._state is not _State.BODY:
            return
        self._give(start, end, events)
        events.append(PartEnd())

    @abstractmethod
    def _give(self, start: int, end: int, events: list[Event]) -> None:
        """Tells the bytes of a part."""


class MultipartReader(_Splitter):
    """Reads one multipart body. After an error it must not be fed again."""

    def __init__(
        self, boundary: bytes, *, max_bytes: int = MAX_STOW_BYTES, max_parts: int = MAX_STOW_PARTS
    ) -> None:
        super().__init__(boundary, bytearray(2), max_parts)
        self._skipped = 0
        self._received = 0
        self._max_bytes = max_bytes

    def feed(self, chunk: bytes) -> list[Event]:
        """Takes the next bytes and tells what they complete.

        BadInput: malformed headers. LimitExceeded: MAX_STOW_BYTES, MAX_STOW_PARTS, MAX_PART_HEADER_BYTES
        (which also bounds what may stand before the first part).
        """
        self._received += len(chunk)
        if self._received > self._max_bytes:
            raise LimitExceeded("MAX_STOW_BYTES")
        events: list[Event] = []
        if self._is_over():
            return events
        self._buffer += chunk
        self._end = len(self._buffer)
        start = self._release(self._take_all(0, events), events)
        del self._buffer[:start]
        self._end -= start
        self._scanned = max(0, self._scanned - start)
        return events

    def _give(self, start: int, end: int, events: list[Event]) -> None:
        start += self._lead
        self._lead = 0
        if end > start:
            events.append(PartData(bytes(memoryview(self._buffer)[start:end])))

    def _release(self, start: int, events: list[Event]) -> int:
        """Gives away content that can not be part of a delimiter any more; the new start of what is kept."""
        if self._state is _State.BODY and self._scanned > start + self._lead:
            self._give(start, self._scanned, events)
            return self._scanned
        if self._state is _State.PREAMBLE and self._scanned > start:
            self._skipped += self._scanned - start
            if self._skipped > MAX_PART_HEADER_BYTES:
                raise LimitExceeded("MAX_PART_HEADER_BYTES")
            return self._scanned
        return start


class PartsInPlace(_Splitter):
    """Reads one multipart body in the buffer that it is written to, which stays as it is while anybody needs a part."""

    def __init__(self, boundary: bytes, length: int, *, max_parts: int = MAX_STOW_PARTS) -> None:
        """`length` of the body in bytes, which the caller bounds."""
        super().__init__(boundary, bytearray(length + 2), max_parts)
        self.buffer = memoryview(self._buffer)
        """What the places of parts count in."""
        self._start = 0

    @property
    def room(self) -> memoryview:
        """Where the rest of the body goes, from its beginning."""
        return self.buffer[self._end :]

    def filled(self, count: int) -> list[Event]:
        """So many bytes more have come: what they complete. Errors as of MultipartReader.feed; the bytes of a part are
        told at its end, as a PartPlace."""
        self._end += count
        events: list[Event] = []
        if not self._is_over():
            self._start = self._take_all(self._start, events)
            if self._state is _State.PREAMBLE and self._scanned > MAX_PART_HEADER_BYTES:
                raise LimitExceeded("MAX_PART_HEADER_BYTES")
        return events

    def let_go(self) -> None:
        """Nobody needs the body any more."""
        self._buffer = bytearray()
        self.buffer = memoryview(self._buffer)

    def _give(self, start: int, end: int, events: list[Event]) -> None:
        begin, self._lead = start + self._lead, 0
        events.append(PartPlace(begin, max(begin, end)))


def _may_become_delimiter(padding: bytes) -> bool:
    """Whether what follows the boundary so far can still grow into `--`, or white space and a line end."""
    rest = padding.lstrip(b" \t")
    return rest in (b"", b"\r") or padding == b"-"


@lru_cache(maxsize=_REMEMBERED)
def _parse_headers(block: bytes) -> MappingProxyType[str, str]:
    """Header fields of a part; folded lines are joined, of a repeated field the first holds."""
    headers: dict[str, str] = {}
    last = ""
    for line in block.decode("latin-1").split("\r\n") if block else ():
        if line[:1] in (" ", "\t"):
            if not last:
                raise BadInput("the headers of a part begin with a folded line")
            headers[last] += " " + line.strip()
            continue
        name, colon, value = line.partition(":")
        if not colon or not _HEADER_NAME.fullmatch(name):
            raise BadInput("a header of a part is malformed")
        last = name.lower()
        if last in headers:
            last = f"{last} "  # a repeated field keeps its folded lines to itself
        headers[last] = value.strip(" \t")
    return MappingProxyType({name: value for name, value in headers.items() if not name.endswith(" ")})


def part_head(boundary: str, content_type: str, location: str = "", *, first: bool = False) -> bytes:
    """The delimiter and headers before a part's bytes. `first` leaves out the line end before the delimiter."""
    place = f"Content-Location: {location}\r\n" if location else ""
    start = "" if first else "\r\n"
    return f"{start}--{boundary}\r\nContent-Type: {content_type}\r\n{place}\r\n".encode("latin-1")


def closing(boundary: str) -> bytes:
    """The closing delimiter behind the last part's bytes."""
    return f"\r\n--{boundary}--\r\n".encode("ascii")
