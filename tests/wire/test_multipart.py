"""Multipart bodies, whole and in pieces."""

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from samsyn.limits import MAX_PART_HEADER_BYTES
from samsyn.wire.multipart import (
    Event,
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    PartPlace,
    PartsInPlace,
    boundary_of,
    closing,
    parse_media_type,
    part_head,
)

Part = tuple[dict[str, str], bytes]


def parts_of(events: list[Event]) -> list[Part]:
    """Whole parts; an unfinished one is left out."""
    found: list[Part] = []
    headers: dict[str, str] | None = None
    content = b""
    for event in events:
        match event:
            case PartBegin(begun):
                assert headers is None
                headers, content = dict(begun), b""
            case PartData(data):
                assert headers is not None
                assert data
                content += data
            case PartEnd():
                assert headers is not None
                found.append((headers, content))
                headers = None
    return found


def read(body: bytes, boundary: bytes = b"B", step: int = 0, **limits: int) -> list[Part]:
    reader = MultipartReader(boundary, **limits)
    events: list[Event] = []
    for start in range(0, len(body), step or max(len(body), 1)):
        events += reader.feed(body[start : start + step] if step else body)
    reader.finish()
    return parts_of(events)


def read_in_place(body: bytes, boundary: bytes = b"B", step: int = 0, **limits: int) -> list[Part]:
    reader = PartsInPlace(boundary, len(body), **limits)
    events: list[Event] = []
    for start in range(0, len(body), step or max(len(body), 1)):
        piece = body[start : start + step] if step else body
        reader.room[: len(piece)] = piece
        events += reader.filled(len(piece))
    reader.finish()
    assert not reader.room
    found: list[Part] = []
    for place in range(0, len(events), 3):
        begun, lies, ended = events[place : place + 3]
        assert isinstance(begun, PartBegin) and isinstance(lies, PartPlace) and isinstance(ended, PartEnd)
        found.append((dict(begun.headers), bytes(reader.buffer[lies.begin : lies.end])))
    return found


def write(contents: list[bytes], boundary: str = "B") -> bytes:
    pieces = []
    for number, content in enumerate(contents):
        pieces += [part_head(boundary, "application/dicom", first=number == 0), content]
    return b"".join(pieces) + closing(boundary)


HEADERS = {"content-type": "application/dicom"}


@given(
    st.lists(
        st.lists(
            st.sampled_from(
                [
                    b"\r\n--",
                    b"--",
                    b"B",
                    b"\r\n",
                    b"\r",
                    b"\n",
                    b"-",
                    b"x",
                    b"\0\xff",
                    b"\r\n--Bx",
                    b"\r\n--B-",
                ]
            ),
            max_size=12,
        ).map(b"".join),
        min_size=1,
        max_size=4,
    ),
    st.integers(1, 40),
)
def test_what_was_written_is_read_in_pieces_of_any_size(contents: list[bytes], step: int) -> None:
    boundary = "B-and-more"
    body = write(contents, boundary)
    expected = [(HEADERS, content) for content in contents]
    for way in (read, read_in_place):
        assert way(body, boundary.encode()) == expected
        assert way(body, boundary.encode(), step) == expected


@given(
    st.lists(st.sampled_from([b"\r\n--B", b"--", b"\r\n", b" ", b"x: y", b"a", b"-"]), max_size=20).map(
        b"".join
    )
)
def test_one_byte_at_a_time_tells_the_same_as_all_at_once(body: bytes) -> None:
    def outcome(step: int, way: Callable[..., list[Part]] = read) -> object:
        try:
            return way(body, b"B", step)
        except SamsynError as error:
            return type(error)

    assert outcome(1) == outcome(0) == outcome(3)
    for step in (1, 0, 3):
        assert outcome(step, read_in_place) == outcome(step)


def test_content_that_looks_like_a_longer_boundary_is_content() -> None:
    content = b"a\r\n--Bx\r\n--B-x\r\n--B \t x\r\n--B" + b" " * 65 + b"\r\nend"
    for step in (0, 1, 7):
        assert read(write([content]), b"B", step) == [(HEADERS, content)]


def test_legal_oddities_are_accepted() -> None:
    body = (
        b"this is a preamble\r\n--B \t\r\n\r\nno headers\r\n--B\r\nContent-Type: application/dicom;\r\n"
        b" transfer-syntax=1.2\r\nX-Empty:\r\n\r\n\r\n--B\r\nA: 1\r\na: 2\r\n folded\r\n\r\n--B--epilogue\r\n--B\r\n"
    )
    for step in (0, 1, 5):
        assert read(body, b"B", step) == [
            ({}, b"no headers"),
            ({"content-type": "application/dicom; transfer-syntax=1.2", "x-empty": ""}, b""),
            ({"a": "1"}, b""),
        ]


def test_a_body_without_its_closing_delimiter_is_refused_but_its_whole_parts_are_told() -> None:
    body = write([b"one", b"two", b"three"])
    for cut in range(len(body) - len(b"--\r\n")):
        reader = MultipartReader(b"B")
        parts = parts_of(reader.feed(body[:cut]))
        assert parts == [(HEADERS, content) for content in (b"one", b"two", b"three")][: len(parts)]
        with pytest.raises(BadInput):
            reader.finish()


@pytest.mark.parametrize(
    "body",
    [
        b"--B\r\nno colon\r\n\r\nx\r\n--B--",
        b"--B\r\n folded: x\r\n\r\n--B--",
        b"--B\r\nna me: x\r\n\r\n--B--",
    ],
)
def test_malformed_part_headers_are_refused(body: bytes) -> None:
    for step in (0, 1):
        with pytest.raises(BadInput):
            read(body, b"B", step)


def test_limits_of_headers_preamble_parts_and_body() -> None:
    with pytest.raises(LimitExceeded, match="MAX_PART_HEADER_BYTES"):
        read(b"--B\r\nX: " + b"a" * (MAX_PART_HEADER_BYTES + 10), b"B", 1_000)
    with pytest.raises(LimitExceeded, match="MAX_PART_HEADER_BYTES"):
        read(b"x" * (MAX_PART_HEADER_BYTES + 100), b"B", 1_000)
    with pytest.raises(LimitExceeded, match="MAX_STOW_PARTS"):
        read(write([b""] * 11), max_parts=10)
    with pytest.raises(LimitExceeded, match="MAX_STOW_BYTES"):
        read(write([b"x" * 100]), max_bytes=100)


def test_a_million_empty_parts_are_refused_at_once() -> None:
    before = time.process_time()
    with pytest.raises(LimitExceeded):
        read(b"--B\r\n\r\n\r\n" * 1_000_000, b"B", 65_536)
    assert time.process_time() - before < 1


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"\r\n--", b"\r", b"\r\n--B x", b"\r\n--B-", b"x"])
def test_reading_is_linear_and_holds_no_body(content: bytes) -> None:
    chunk = content * (65_536 // len(content))

    def cost(chunks: int) -> float:
        reader = MultipartReader(b"B")
        reader.feed(b"--B\r\n\r\n")
        before = time.process_time()
        for _ in range(chunks):
            reader.feed(chunk)
        return time.process_time() - before

    tracemalloc.start()
    try:
        cost(20)
        assert tracemalloc.get_traced_memory()[1] < 12 * 65_536
    finally:
        tracemalloc.stop()
    assert cost(80) < 8 * max(cost(20), 0.002)


def test_media_types_are_parsed_with_their_parameters() -> None:
    parsed = parse_media_type('Multipart/Related; TYPE="application/dicom" ; boundary="a \\"b"; x=1;')
    assert parsed.kind == "multipart/related"
    assert (parsed.get("type"), parsed.get("boundary"), parsed.get("x")) == ("application/dicom", 'a "b', "1")
    assert parse_media_type("multipart/related; type=application/dicom; boundary=b").get("boundary") == "b"
    assert parse_media_type("*/*").kind == "*/*"
    for malformed in ("", "text", "text/", "/x", "text/plain; =", "text/plain x", 'a/b; c="d', "a/b; c=d=e"):
        with pytest.raises(BadInput):
            parse_media_type(malformed)


@given(st.text(max_size=60))
def test_a_random_media_type_is_parsed_or_refused(text: str) -> None:
    try:
        parse_media_type(text)
    except SamsynError:
        return


@pytest.mark.parametrize(
    "boundary", ["", '""', '"ends in space "', '"' + "x" * 201 + '"', '"b\u00e5"', '"a[b"']
)
def test_an_illegal_boundary_is_refused(boundary: str) -> None:
    with pytest.raises(BadInput):
        boundary_of(
            parse_media_type(f"multipart/related; boundary={boundary}" if boundary else "multipart/related")
        )
    with pytest.raises(NotSupported):
        boundary_of(parse_media_type("multipart/form-data; boundary=x"))
