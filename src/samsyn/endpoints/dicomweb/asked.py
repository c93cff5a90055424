"""What a retrieval asks for beside its address: forms that are accepted, what is already there, which bytes."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from samsyn import __version__
from samsyn.access.view import View
from samsyn.endpoints.dicomweb.negotiation import Acceptable, acceptable

_TAGS = re.compile(rb'(?:W/)?("[\x21\x23-\x7e\x80-\xff]*")')
_TAG_BYTES = 16


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


def asked(scope: Mapping[str, object], headers: Mapping[bytes, bytes], base: str) -> Asked:
    """What a request asks for: the `accept` parameter goes before the header (PS3.18 8.3.3.1)."""
    query_string = scope["query_string"]
    assert isinstance(query_string, bytes)
    accept = headers.get(b"accept", b"").decode("latin-1")
    if b"accept=" in query_string:
        values = parse_qs(query_string.decode("latin-1")).get("accept")
        accept = ",".join(values) if values else accept
    return Asked(
        acceptable(accept),
        query_string,
        base,
        headers.get(b"if-none-match", b""),
        headers.get(b"if-range", b""),
        headers.get(b"range", b""),
        _takes_gzip(headers.get(b"accept-encoding", b"")),
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
    digest = hashlib.blake2b(digest_size=_TAG_BYTES)
    subject = view.subject
    for part in (__version__, subject.kind, subject.hsa_id, subject.session_id, *identity):
        value = part if isinstance(part, bytes) else str(part).encode()
        digest.update(b"%d:" % len(value))
        digest.update(value)
    return (b'W/"%s"' if weak else b'"%s"') % digest.hexdigest().encode()
