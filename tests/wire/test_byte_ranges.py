"""Byte ranges: which spans a header means."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.limits import MAX_BYTE_RANGES
from samsyn.wire.byte_ranges import content_range, spans_of


@pytest.mark.parametrize(
    ("header", "spans"),
    [
        ("bytes=0-0", ((0, 1),)),
        ("bytes=2-4", ((2, 3),)),
        ("BYTES = 8-", ((8, 2),)),
        ("bytes=-3", ((7, 3),)),
        ("bytes=-30", ((0, 10),)),
        ("bytes=5-99", ((5, 5),)),
        ("bytes=0-1, 4-5,", ((0, 2), (4, 2))),
        ("bytes=8-9,0-1", ((8, 2), (0, 2))),
        ("bytes=0-1,99-", ((0, 2),)),
        ("bytes=10-", ()),
        ("bytes=-0", ()),
    ],
)
def test_legal_ranges_are_spans_inside_the_body(header: str, spans: tuple[tuple[int, int], ...]) -> None:
    assert spans_of(header, 10) == spans


@pytest.mark.parametrize(
    "header",
    ["", "bytes", "bytes=", "bytes=-", "bytes=a-b", "bytes=4-2", "items=0-1", "bytes=0-5,3-9", "bytes=0--1"],
)
def test_what_is_no_use_is_ignored(header: str) -> None:
    assert spans_of(header, 1000) is None


def test_more_ranges_than_the_limit_are_ignored() -> None:
    many = [f"{n}-{n}" for n in range(0, 2 * MAX_BYTE_RANGES + 2, 2)]
    assert spans_of("bytes=" + ",".join(many), 1000) is None
    assert len(spans_of("bytes=" + ",".join(many[1:]), 1000) or ()) == MAX_BYTE_RANGES


@given(st.text(alphabet="bytes=0123456789-, ", max_size=40), st.integers(0, 2_000))
def test_no_header_reaches_outside_the_body(header: str, length: int) -> None:
    spans = spans_of(header, length) or ()
    assert all(first >= 0 and size >= 1 and first + size <= length for first, size in spans)
    assert sum(size for _, size in spans) <= length


def test_a_content_range_names_first_last_and_whole() -> None:
    assert content_range((2, 3), 10) == "bytes 2-4/10"
    assert content_range(None, 10) == "bytes */10"
