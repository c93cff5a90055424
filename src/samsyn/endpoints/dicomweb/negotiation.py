"""Which of the acceptable media types is sent (PS3.18 8.7.8, RFC 9110 12.5.1): parsing Accept and choosing."""

from dataclasses import dataclass, replace
from functools import lru_cache

from samsyn.errors import BadInput, SamsynError
from samsyn.wire.multipart import parse_media_type

_MAX_RANGES = 64
_MAX_ACCEPT_CHARACTERS = 8_192
MULTIPART = "multipart/related"
_MULTIPARTS = frozenset({MULTIPART, "multipart/*"})
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


_NOTHING = Acceptable("", False, "", 0.0)


@lru_cache(maxsize=512)
def acceptable(accept: str) -> tuple[Acceptable, ...]:
    """The ranges of an Accept header, best first; no header means anything.

    Ranges of quality 0, which say what is not wanted, stand last. Malformed ones are ignored (PS3.18 8.7.7); where
    there are only such, nothing is acceptable. BadInput: the header is too long.

    The result depends on the text alone, so that the few headers that clients really send are parsed once.
    """
    if not accept.strip():
        return (Acceptable(ANY, False, "", 1.0),)
    if len(accept) > _MAX_ACCEPT_CHARACTERS:
        raise BadInput("the Accept header is too long")
    parts = [part for part in _split(accept) if part.strip()]
    if not parts:
        return acceptable("")
    if len(parts) > _MAX_RANGES:
        raise BadInput("too many media ranges")
    found = [each for each in map(_range, parts) if each is not None] or [_NOTHING]
    return tuple(sorted(found, key=lambda each: -each.quality))


def before(first: tuple[Acceptable, ...], others: tuple[Acceptable, ...]) -> tuple[Acceptable, ...]:
    """Ranges of which the first are all liked more than the others."""
    ranges = (
        *(replace(each, quality=(1 + each.quality) / 2 if each.quality else 0.0) for each in first),
        *(replace(each, quality=each.quality / 2) for each in others),
    )
    return tuple(sorted(ranges, key=lambda each: -each.quality))


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


def _range(text: str) -> Acceptable | None:
    kind, semicolon, rest = text.partition(";")
    if kind.strip() == "*":
        # No media range, but what every program sends that asks through Java's own client: "*; q=.2, */*; q=.2".
        text = ANY + semicolon + rest
    try:
        parsed = parse_media_type(text)
        quality = float(parsed.get("q") or 1.0)
    except (SamsynError, ValueError):
        return None
    if not 0.0 <= quality <= 1.0:
        return None
    multipart = parsed.kind in _MULTIPARTS
    kind = (parsed.get("type") or ANY).lower() if multipart else parsed.kind
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
    ranges: tuple[Acceptable, ...], offers: tuple[Offer, ...], *, single: bool, parts_by_default: bool = True
) -> tuple[Offer, bool] | None:
    """The best offer and whether it goes as multipart; None = 406.

    `offers` come in our own order of preference, which counts among those that the asker likes alike. A range that
    names a transfer syntax takes only that; one that names none, or `*`, takes any. `*/*` means the resource's default
    form (PS3.18 8.7.7): multipart, unless `parts_by_default` says that it is a single part. The other form is sent
    only to who names it, and a single part only when there is one (`single`).
    """
    best: tuple[tuple[float, int], Offer, bool] | None = None
    for multipart in (True, False) if single else (True,):
        for offer in offers:
            weighed = weight(ranges, offer, multipart=multipart, default=multipart is parts_by_default)
            if weighed is not None and (best is None or weighed < best[0]):
                best = weighed, offer, multipart
    return best[1:] if best is not None else None


def weight(
    ranges: tuple[Acceptable, ...], offer: Offer, *, multipart: bool, default: bool
) -> tuple[float, int] | None:
    """How much an offer is liked in a form, the less the better: by the quality of the narrowest range that it lies in,
    then by the place of that range. None = it is not acceptable. `default`: whether `*/*` means this form."""
    found: tuple[tuple[int, bool], float, int] | None = None
    for place, wanted in enumerate(ranges):
        is_form = multipart if wanted.multipart else default if wanted.kind == ANY else not multipart
        if is_form and _fits(wanted, offer):
            narrowness = _narrowness(wanted)
            if found is None or narrowness > found[0]:
                found = narrowness, wanted.quality, place
    return (-found[1], found[2]) if found is not None and found[1] > 0 else None


def _fits(wanted: Acceptable, offer: Offer) -> bool:
    return wanted.transfer_syntax in ("", "*", offer.transfer_syntax) and wanted.matches(offer.kind)


def _narrowness(wanted: Acceptable) -> tuple[int, bool]:
    kind = 0 if wanted.kind == ANY else 1 if wanted.kind.endswith("/*") else 2
    return kind, wanted.transfer_syntax not in ("", "*")


@lru_cache(maxsize=512)
def choose_plain(ranges: tuple[Acceptable, ...], kinds: tuple[str, ...]) -> str | None:
    """The best of media types that are never multipart (JSON, pictures); None = 406."""
    weighed = [
        (found, number)
        for number, kind in enumerate(kinds)
        if (found := weight(ranges, Offer(kind, ""), multipart=False, default=True)) is not None
    ]
    return kinds[min(weighed)[1]] if weighed else None
