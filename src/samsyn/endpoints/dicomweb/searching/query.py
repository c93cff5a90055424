"""Parameters of a QIDO-RS search (PS3.18 8.3.4, 10.6.1.2): from a query string to search.query.Query."""

import re
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl

from samsyn.dicom.dictionary import tag_of, vr_of
from samsyn.dicom.uids import is_uid
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import MAX_QUERY_CHARACTERS, MAX_SEARCH_ROWS
from samsyn.search.query import Level, Query

STUDY_INSTANCE_UID = 0x0020000D
SERIES_INSTANCE_UID = 0x0020000E
SOP_INSTANCE_UID = 0x00080018
PATIENT_ID = 0x00100020

_STUDY = frozenset(
    {
        *(0x00080005, 0x00080020, 0x00080030, 0x00080050, 0x00080056, 0x00080061, 0x00080090, 0x00080201),
        *(0x00081190, 0x00100010, 0x00100020, 0x00100030, 0x00100040, 0x0020000D, 0x00200010),
        *(0x00201206, 0x00201208),
    }
)
_SERIES = frozenset(
    {
        *(0x00080005, 0x00080060, 0x00080201, 0x0008103E, 0x00081190, 0x0020000E, 0x00200011, 0x00201209),
        *(0x00400244, 0x00400245, 0x00400275),
    }
)
_INSTANCE = frozenset(
    {
        *(0x00080005, 0x00080016, 0x00080018, 0x00080056, 0x00080201, 0x00081190, 0x00083002, 0x00200013),
        *(0x00280008, 0x00280010, 0x00280011, 0x00280100),
    }
)
DEFAULTS: MappingProxyType[Level, frozenset[int]] = MappingProxyType(
    {Level.STUDY: _STUDY, Level.SERIES: _SERIES, Level.IMAGE: _INSTANCE}
)
"""Attributes that are answered without being asked for (PS3.18 tables 10.6.3-3 to 10.6.3-5)."""

_TAG = re.compile(r"[0-9A-Fa-f]{8}", re.ASCII)
_MAX_PARAMETERS = 256


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search request."""

    query: Query
    """Asks for one row more than `wanted`, which tells whether there is more."""
    wanted: int
    capped: bool
    """Whether our own limit cut what the client asked for, or he named none."""
    included: frozenset[int] | None
    """Attributes to answer; None = all."""


def parse_search(level: Level, query_string: bytes, known: dict[int, str]) -> Search:
    """A search at a level; `known` are the UIDs that the path already names.

    Nothing is dropped silently: an unknown parameter, a key that stands twice or a malformed number is
    BadInput, a key that the index does not match is NotSupported (by search). LimitExceeded:
    MAX_QUERY_CHARACTERS. The page is cut to MAX_SEARCH_ROWS.
    """
    if len(query_string) > MAX_QUERY_CHARACTERS:
        raise LimitExceeded("MAX_QUERY_CHARACTERS")
    keys = dict(known)
    included = set(DEFAULTS[level] | _context(level, known))
    everything = False
    limit, offset, fuzzy = -1, 0, False
    seen: set[str] = set()
    for name, value in _parameters(query_string):
        if name != "includefield" and name in seen:
            raise BadInput("a parameter stands twice")
        seen.add(name)
        match name:
            case "limit":
                limit = _number(value)
            case "offset":
                offset = _number(value)
            case "fuzzymatching":
                fuzzy = _truth(value)
            case "includefield":
                everything = everything or value == "all"
                included |= {_tag(part) for part in value.split(",")} if value != "all" else set()
            case "accept" | "charset":
                continue
            case _:
                tag = _tag(name)
                if tag in keys:
                    raise BadInput("a key stands twice")
                keys[tag] = _key_value(tag, value)
                included.add(tag)
    wanted = min(limit, MAX_SEARCH_ROWS) if limit >= 0 else MAX_SEARCH_ROWS
    query = Query(level, keys, wanted + 1, offset, fuzzy)
    return Search(query, wanted, limit < 0 or limit > wanted, None if everything else frozenset(included))


def _context(level: Level, known: dict[int, str]) -> set[int]:
    """What a search over several studies or series answers of the levels above (PS3.18 10.6.3.3)."""
    context: set[int] = {STUDY_INSTANCE_UID} if level is not Level.STUDY else set()
    if level is not Level.STUDY and STUDY_INSTANCE_UID not in known:
        context |= DEFAULTS[Level.STUDY]
    if level is Level.IMAGE:
        context.add(SERIES_INSTANCE_UID)
        if SERIES_INSTANCE_UID not in known:
            context |= DEFAULTS[Level.SERIES]
    return context


def _parameters(query_string: bytes) -> list[tuple[str, str]]:
    try:
        text = query_string.decode("ascii")
        return parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except (ValueError, UnicodeDecodeError):
        raise BadInput("the query string is malformed") from None


def _tag(name: str) -> int:
    """Tag of a keyword or of eight hexadecimal digits."""
    if _TAG.fullmatch(name):
        return int(name, 16)
    if "." in name:
        raise NotSupported("keys inside sequences are not matched")
    tag = tag_of(name)
    if tag is None:
        raise BadInput("an attribute is unknown")
    return tag


def _key_value(tag: int, value: str) -> str:
    """A matching value in DICOM's own form; lists of UIDs may be parted by commas (PS3.18 8.3.4.1)."""
    if vr_of(tag) != "UI":
        return value
    uids = re.split(r"[,\\]", value)
    if not all(is_uid(uid) for uid in uids if uid):
        raise BadInput("a UID is malformed")
    return "\\".join(uids)


def _number(value: str) -> int:
    if not (value.isascii() and value.isdigit() and len(value) <= 9):
        raise BadInput("limit and offset are whole numbers from 0")
    return int(value)


def _truth(value: str) -> bool:
    if value not in ("true", "false"):
        raise BadInput("fuzzymatching is true or false")
    return value == "true"
