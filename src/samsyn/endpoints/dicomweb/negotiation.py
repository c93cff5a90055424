"""Which of the acceptable media types is sent (PS3.18 8.7.4): parsing Accept and choosing."""

from dataclasses import dataclass
from functools import lru_cache

from samsyn.errors import BadInput
from samsyn.wire.multipart import parse_media_type

_MAX_RANGES = 64
_MAX_ACCEPT_CHARACTERS = 8_192
MULTIPART = "multipart/related"
ANY = "*/*"


@dataclass(frozen=True, slots=True)
class Acceptable:
    """One media range of an Accept header."""

    kind: str
    """Media type of the content itself: of the parts when `multipart`."""
    multipart: bool
    transfer_syntax: str
    """"" = not said, `*` = any."""
    quality: float

    def matches(self, kind: str) -> bool:
        """Whether a media type lies in the range."""
        return self.kind in (kind, ANY) or (
            self.kind.endswith("/*") and kind.startswith(self.kind.removesuffix("*"))
        )


@lru_cache(maxsize=512)
def acceptable(accept: str) -> tuple[Acceptable, ...]:
    """The ranges of an Accept header, best first; no header means anything. BadInput when malformed.

    Ranges of quality 0, which say what is not wanted, stand last.

    The result depends on the text alone, so that the few headers that clients really send are parsed once.
    """
    if not accept.strip():
        return (Acceptable(ANY, False, "", 1.0),)
    if len(accept) > _MAX_ACCEPT_CHARACTERS:
        raise BadInput("the Accept header is too long")
    found = [_range(part) for part in _split(accept) if part.strip()]
    if not found:
        return acceptable("")
    if len(found) > _MAX_RANGES:
        raise BadInput("too many media ranges")
    return tuple(sorted(found, key=lambda each: -each.quality))


def _split(accept: str) -> list[str]:
    """Ranges parted by commas outside quoted strings."""
    parts, current, quoted = [], "", False
    for character in accept:
        if character == '"':
            quoted = not quoted
        if character == "," and not quoted:
            parts.append(current)
            current = ""
        else:
            current += character
    return [*parts, current]


def _range(text: str) -> Acceptable:
    kind, semicolon, rest = text.partition(";")
    if kind.strip() == "*":
        # No media range, but what every program sends that asks through Java's own client: "*; q=.2, */*; q=.2".
        text = ANY + semicolon + rest
    parsed = parse_media_type(text)
    multipart = parsed.kind == MULTIPART
    kind = (parsed.get("type") or ANY).lower() if multipart else parsed.kind
    try:
        quality = float(parsed.get("q") or 1.0)
    except ValueError:
        raise BadInput("a quality value is malformed") from None
    if not 0.0 <= quality <= 1.0:
        raise BadInput("a quality value is malformed")
    return Acceptable(kind, multipart, parsed.get("transfer-syntax"), quality)


@dataclass(frozen=True, slots=True)
class Offer:
    """One way in which something can be sent."""

    kind: str
    transfer_syntax: str
    """UID of the content's transfer syntax; "" for types that have none (JSON, rendered pictures)."""
    decoded: bool = False
    """Whether the pixels must be decompressed first."""


@lru_cache(maxsize=512)
def choose(
    ranges: tuple[Acceptable, ...], offers: tuple[Offer, ...], *, single: bool
) -> tuple[Offer, bool] | None:
    """The best offer and whether it goes as multipart; None = 406.

    `offers` come in our own order of preference. A range that names a transfer syntax takes only that; one
    that names none takes any. `*/*` means the resource's default form, which is multipart (PS3.18 table
    8.7.4-1); a single part is sent only to who names it, and only when there is one (`single`).
    """
    for wanted in _positive(ranges):
        multipart = wanted.multipart or wanted.kind == ANY
        if not multipart and not single:
            continue
        for offer in offers:
            if _fits(wanted, offer) and not refused(ranges, wanted, offer, multipart):
                return offer, multipart
    return None


def _positive(ranges: tuple[Acceptable, ...]) -> tuple[Acceptable, ...]:
    return ranges if ranges[-1:] and ranges[-1].quality > 0 else tuple(r for r in ranges if r.quality > 0)


def _fits(wanted: Acceptable, offer: Offer) -> bool:
    return wanted.transfer_syntax in ("", "*", offer.transfer_syntax) and wanted.matches(offer.kind)


def refused(ranges: tuple[Acceptable, ...], wanted: Acceptable, offer: Offer, multipart: bool) -> bool:
    """Whether a range of quality 0 that is narrower than the one that lets the offer in names it
    (RFC 9110 12.5.1: the most specific range counts)."""
    if not ranges or ranges[-1].quality > 0:
        return False
    return any(
        unwanted.quality == 0
        and _fits(unwanted, offer)
        and (unwanted.multipart == multipart or unwanted.kind == ANY)
        and _narrowness(unwanted) >= _narrowness(wanted)
        for unwanted in ranges
    )


def _narrowness(wanted: Acceptable) -> tuple[int, bool]:
    kind = 0 if wanted.kind == ANY else 1 if wanted.kind.endswith("/*") else 2
    return kind, wanted.transfer_syntax not in ("", "*")


@lru_cache(maxsize=512)
def choose_plain(ranges: tuple[Acceptable, ...], kinds: tuple[str, ...]) -> str | None:
    """The best of media types that are never multipart (JSON, pictures); None = 406."""
    for wanted in _positive(ranges):
        if wanted.multipart:
            continue
        for kind in kinds:
            if wanted.matches(kind) and not refused(ranges, wanted, Offer(kind, ""), False):
                return kind
    return None
