"""The data dictionary (PS3.6 chapter 6): keyword, tag and value representation. Thin over pydicom's tables."""

from functools import lru_cache

from pydicom.datadict import dictionary_keyword, dictionary_VR, private_dictionary_VR, tag_for_keyword

AMBIGUOUS_VRS = frozenset({"US or SS", "OB or OW", "US or OW", "US or SS or OW"})
"""What `dictionary_vr` may say besides a VR; the data set decides (PS3.5 A.1)."""


@lru_cache(maxsize=8_192)
def keyword_of(tag: int) -> str:
    """Keyword such as PatientName; "" for a private or unknown tag."""
    try:
        return dictionary_keyword(tag)
    except KeyError:
        return ""


@lru_cache(maxsize=8_192)
def tag_of(keyword: str) -> int | None:
    """Tag of a keyword; None when there is none."""
    tag = tag_for_keyword(keyword) if keyword else None  # retired entries have an empty keyword
    return int(tag) if tag is not None else None


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
    try:
        return str(dictionary_VR(tag))
    except KeyError:
        return "UN"


@lru_cache(maxsize=8_192)
def private_vr(tag: int, creator: str) -> str:
    """VR of a private tag of a well-known creator; UN when it is not known."""
    try:
        return str(private_dictionary_VR(tag, creator))
    except KeyError:
        return "UN"


def vr_of(tag: int) -> str:
    """One definite VR for a tag without data set: the first choice of an ambiguous one."""
    return dictionary_vr(tag).split(" ", 1)[0]
