"""Byte ranges of HTTP (RFC 9110 14): from a Range header to spans of a body. Pure."""

import re
from itertools import pairwise
from typing import Final

from samsyn.limits import MAX_BYTE_RANGES

Span = tuple[int, int]
"""(first byte, length); the length is at least 1."""

_RANGE: Final = re.compile(r"(\d{0,18})\s*-\s*(\d{0,18})", re.ASCII)


def spans_of(header: str, length: int) -> tuple[Span, ...] | None:
    """The spans that a Range header asks for of a body of `length` bytes, in the order asked.

    None: the header is to be ignored (another unit, malformed, more than MAX_BYTE_RANGES, or spans that overlap,
    which would make us send more than the whole). Empty: legal, but nothing of it lies in the body (416).
    """
    unit, equals, rest = header.partition("=")
    if unit.strip().lower() != "bytes" or not equals:
        return None
    asked = [part.strip() for part in rest.split(",") if part.strip()]
    if not asked or len(asked) > MAX_BYTE_RANGES:
        return None
    spans: list[Span] = []
    for part in asked:
        found = _RANGE.fullmatch(part)
        if found is None or part == "-":
            return None
        first_text, last_text = found.groups()
        if first_text and last_text and int(first_text) > int(last_text):
            return None
        span = _span(first_text, last_text, length)
        if span is not None:
            spans.append(span)
    if _overlap(spans):
        return None
    return tuple(spans)


def _span(first_text: str, last_text: str, length: int) -> Span | None:
    if first_text:
        first = int(first_text)
        last = min(int(last_text), length - 1) if last_text else length - 1
    else:
        first, last = max(length - int(last_text), 0), length - 1
    return (first, last - first + 1) if first <= last and (first_text or int(last_text)) else None


def _overlap(spans: list[Span]) -> bool:
    ordered = sorted(spans)
    return any(first + size > following for (first, size), (following, _) in pairwise(ordered))


def content_range(span: Span | None, length: int) -> str:
    """The Content-Range of one span, or of a refusal (None)."""
    if span is None:
        return f"bytes */{length}"
    first, size = span
    return f"bytes {first}-{first + size - 1}/{length}"
