"""The data dictionary (PS3.6 chapter 6): keyword, tag and value representation. Thin over the published tables."""

from functools import lru_cache
from types import MappingProxyType

from samsyn.dicom.published import ELEMENTS, PRIVATE, REPEATING

AMBIGUOUS_VRS = frozenset({"US or SS", "OB or OW", "US or OW", "US or SS or OW"})
"""What `dictionary_vr` may say besides a VR; the data set decides (PS3.5 A.1)."""
_TAGS = MappingProxyType({keyword: tag for tag, (_, keyword) in ELEMENTS.items()})
_MASKS = tuple(
    (
        int(mask.replace("x", "0"), 16),
        sum(0xF << 4 * place for place, digit in enumerate(reversed(mask)) if digit != "x"),
    )
    for mask in REPEATING
)
"""For each repeating element: the digits that are told, and which they are."""


def _entry(tag: int) -> tuple[str, str]:
    """(VR, keyword); two empty texts for a private or unknown tag."""
    found = ELEMENTS.get(tag)
    if found is None and not tag >> 16 & 1:
        masks = zip(_MASKS, REPEATING.values(), strict=True)
        found = next((entry for (digits, told), entry in masks if tag & told == digits), None)
    return found or ("", "")


@lru_cache(maxsize=8_192)
def keyword_of(tag: int) -> str:
    """Keyword such as PatientName; "" for a private or unknown tag."""
    return _entry(tag)[1]


@lru_cache(maxsize=8_192)
def tag_of(keyword: str) -> int | None:
    """Tag of a keyword; None when there is none."""
    return _TAGS.get(keyword) if keyword else None  # retired entries have an empty keyword


@lru_cache(maxsize=8_192)
def dictionary_vr(tag: int) -> str:
    """VR of a tag as the dictionary says it: one of AMBIGUOUS_VRS too; UN for an unknown or private tag.

    Private creators (gggg,0010-00FF) are LO, group lengths UL (PS3.5 7.8.1, 7.2).
    """
    group, element = tag >> 16, tag & 0xFFFF
    if element == 0:
        return "UL"
    if group & 1:
        return "LO" if 0x10 <= element <= 0xFF else "UN"
    return _entry(tag)[0] or "UN"


@lru_cache(maxsize=8_192)
def private_vr(tag: int, creator: str) -> str:
    """VR of a private tag of a well-known creator; UN when it is not known."""
    known = PRIVATE.get(creator, {})
    digits = f"{tag:08X}"
    masks = digits, f"{digits[:4]}xx{digits[6:]}", f"{digits[:2]}xxxx{digits[6:]}"
    return next((known[mask] for mask in masks if mask in known), "UN")


def vr_of(tag: int) -> str:
    """One definite VR for a tag without data set: the first choice of an ambiguous one."""
    return dictionary_vr(tag).split(" ", 1)[0]
