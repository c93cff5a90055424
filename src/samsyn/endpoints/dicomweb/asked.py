"""What a retrieval asks for beside its address: forms that are accepted, what is already there, which bytes."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import parse_qs

from samsyn import __version__
from samsyn.access.view import View
from samsyn.endpoints.dicomweb.negotiation import Acceptable, acceptable, before
from samsyn.model.subject import Subject
from samsyn.render.words import PictureOptions

_TAGS = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_STRONG_TAGS = re.compile(rb'(?<!W/)"[\x21\x23-\x7e\x80-\xff]*"')
_SPACE_IN_TOKEN = re.compile(r"(?<=\w) (?=\w)", re.ASCII)
MORE = b'299 Samsyn "There are additional results that can be requested."'
_TAG_BYTES = 16
_FIELDS = (b"accept", b"if-none-match", b"if-range", b"range", b"accept-encoding")
_RANGE = _FIELDS.index(b"range")
_REMEMBERED_BYTES = 1_024
"""Longer requests are read anew each time, so that what is remembered is bounded."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One retrieval. The header fields are as they came, empty when they did not."""

    accepted: tuple[Acceptable, ...]
    query_string: bytes
    base: str
    """The address of the service as the client called it; "" where no answer needs it."""
    if_none_match: bytes = b""
    if_range: bytes = b""
    range: bytes = b""
    takes_gzip: bool = False
    """Whether the answer may be compressed (Accept-Encoding, RFC 9110 12.5.3)."""

    def has(self, tag: bytes) -> bool:
        """Whether the client holds what has this entity tag (If-None-Match, RFC 9110 13.1.2: weak comparison)."""
        if not self.if_none_match:
            return False
        if self.if_none_match.strip() == b"*":
            return True
        return tag.removeprefix(b"W/") in _TAGS.findall(self.if_none_match)

    def wanted_range(self, tag: bytes) -> str:
        """The Range header, "" when there is none or If-Range names another state (RFC 9110 13.1.5: strong
        comparison, and a date never fits, since no date is told)."""
        if self.if_range and (self.if_range.strip() != tag or tag.startswith(b"W/")):
            return ""
        return self.range.decode("latin-1")


def is_other(if_match: bytes, tag: bytes) -> bool:
    """Whether an If-Match names other states than the one with this tag (RFC 9110 13.1.1: strong comparison): who goes
    on with a download then gets nothing of another one."""
    return if_match.strip() != b"*" and (tag.startswith(b"W/") or tag not in _STRONG_TAGS.findall(if_match))


def asked(scope: Mapping[str, object], headers: Mapping[bytes, bytes], base: str) -> Asked:
    """What a request asks for: the `accept` parameter goes before the header, which counts where nothing of the
    parameter can be had (PS3.18 8.7.8.1). Only GET has ranges (RFC 9110 14.2)."""
    query_string = scope["query_string"]
    assert isinstance(query_string, bytes)
    fields = [headers.get(name, b"") for name in _FIELDS]
    if scope["method"] != "GET":
        fields[_RANGE] = b""
    if len(query_string) + sum(map(len, fields)) > _REMEMBERED_BYTES:
        return _parsed.__wrapped__(query_string, base, *fields)
    return _parsed(query_string, base, *fields)


@lru_cache(maxsize=512)
def _parsed(
    query_string: bytes,
    base: str,
    accept_field: bytes,
    if_none_match: bytes,
    if_range: bytes,
    range_field: bytes,
    accept_encoding: bytes,
) -> Asked:
    """A client asks for hundreds of things with the same fields; the result depends on nothing else."""
    accepted = acceptable(accept_field.decode("latin-1"))
    if b"accept=" in query_string:
        values = parse_qs(query_string.decode("latin-1")).get("accept")
        if values:
            # A plus sign is itself in an address (RFC 3986); only forms mean a space, which no media type has.
            named = acceptable(_SPACE_IN_TOKEN.sub("+", ",".join(values)))
            accepted = before(named, accepted if accept_field.strip() else ())
    return Asked(
        accepted,
        query_string,
        base,
        if_none_match,
        if_range,
        range_field,
        _takes_gzip(accept_encoding),
    )


def _takes_gzip(field: bytes) -> bool:
    for part in field.lower().split(b","):
        coding, _, weight = part.partition(b";")
        if coding.strip() == b"gzip":
            return weight.replace(b" ", b"").rstrip(b"0.") != b"q="
    return False


def entity_tag(view: View, *identity: object, weak: bool = False) -> bytes:
    """The entity tag of a representation that `identity` tells apart from every other.

    It is bound to the reader and the session, so that what one reader kept is nothing to another. `weak`: the same
    information, but not always the same bytes (multipart boundaries).
    """
    return tag_for(view.subject, *identity, weak=weak)


def tag_for(subject: Subject, *identity: object, weak: bool = False) -> bytes:
    """The same of what a reader sees without a View, since it is his own."""
    parts = [
        value if isinstance(value, bytes) else _text_of(value)
        for value in (__version__, subject.kind, subject.hsa_id, subject.session_id, *identity)
    ]
    told = b"".join([b"%d:%s" % (len(part), part) for part in parts])
    digest = hashlib.blake2b(told, digest_size=_TAG_BYTES).hexdigest().encode()
    return (b'W/"%s"' if weak else b'"%s"') % digest


def _text_of(value: object) -> bytes:
    # Options are written out slowly, and the same few are asked for again and again.
    return _options_text(value) if isinstance(value, PictureOptions) else str(value).encode()


@lru_cache(maxsize=128)
def _options_text(options: PictureOptions) -> bytes:
    return str(options).encode()
