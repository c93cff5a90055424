"""Parameters of a QIDO-RS search (PS3.18 8.3.4, 10.6.1.2): from a query string to search.query.Query."""

import re
from dataclasses import dataclass
from types import MappingProxyType

from samsyn.dicom.dictionary import tag_of, vr_of
from samsyn.dicom.moments import offset_minutes
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.parameters import is_foreign, pairs_of, truth, whole_number
from samsyn.errors import BadInput, NotSupported
from samsyn.limits import MAX_SEARCH_ROWS
from samsyn.search.keys import is_returned
from samsyn.search.query import Level, Matching, Query

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
_MAX_STEPS = 8
_OWN = frozenset(
    {
        *("limit", "offset", "fuzzymatching", "emptyvaluematching", "multiplevaluematching", "includefield"),
        *("accept", "charset"),
    }
)
"""Parameters that are no attributes."""
_TIMEZONE = 0x00080201
_OURS = frozenset({0x00080005, 0x00080056, _TIMEZONE, 0x00081190})
"""Attributes that this door adds to every match."""


@dataclass(frozen=True, slots=True)
class Search:
    """A parsed search request."""

    query: Query
    """Asks for one row more than `wanted`, which tells whether there is more."""
    wanted: int
    included: frozenset[int] | None
    """Attributes to answer; None = all."""
    unknown: tuple[int, ...]
    """Attributes that were asked for by includefield and that no match has."""
    foreign: tuple[str, ...]
    """Parameters that are ignored, since they are none of ours."""
    timezone: str
    """Timezone Offset From UTC in which dates and times are asked and told, "" = in Swedish time."""


def parse_search(level: Level, query_string: bytes, known: dict[int, str]) -> Search:
    """A search at a level; `known` are the UIDs that the path already names.

    A key inside a sequence is written as a path of tags or keywords parted by dots (PS3.18 8.3.4.1).
    Nothing is dropped silently: an unknown attribute, a key that stands twice or a malformed number is
    BadInput, a key that the index does not match is NotSupported (by search). AddressTooLong:
    MAX_QUERY_CHARACTERS. The page is cut to MAX_SEARCH_ROWS.
    """
    keys, items = dict(known), dict[tuple[int, int], str]()
    fields, everything = set[int](), False
    limit, offset, fuzzy, empty, timezone = -1, 0, False, False, ""
    seen: set[str] = set()
    foreign: list[str] = []
    for name, value in pairs_of(query_string, _MAX_PARAMETERS):
        if is_foreign(name) and name not in _OWN:
            foreign.append(name)
            continue
        if name != "includefield" and name in seen:
            raise BadInput("a parameter stands twice")
        seen.add(name)
        match name:
            case "limit":
                limit = whole_number(value)
            case "offset":
                offset = whole_number(value)
            case "fuzzymatching":
                fuzzy = truth(name, value)
            case "emptyvaluematching":
                empty = truth(name, value)
            case "multiplevaluematching":
                truth(name, value)
            case "includefield":
                everything = everything or value == "all"
                fields |= {_path(part)[0] for part in value.split(",") if part} if value != "all" else set()
            case "accept" | "charset":
                continue
            case _:
                path = _path(name)
                if path[0] == _TIMEZONE:
                    # An offset east of Greenwich begins with a plus sign, which few write as %2B.
                    timezone = f"+{value[1:]}" if value.startswith(" ") else value
                elif len(path) == 1:
                    if path[0] in keys:
                        raise BadInput("a key stands twice")
                    keys[path[0]] = _key_value(path[0], value)
                    fields.add(path[0])
                else:
                    items[_item_key(path, items)] = value
                    fields.add(path[0])
    included = DEFAULTS[level] | _context(level, known) | fields
    wanted = min(limit, MAX_SEARCH_ROWS) if limit >= 0 else MAX_SEARCH_ROWS
    matching = Matching(offset_minutes=offset_minutes(timezone), empty=empty)
    query = Query(level, keys, wanted + 1, offset, fuzzy, matching, items)
    return Search(
        query,
        wanted,
        None if everything else frozenset(included),
        tuple(sorted(tag for tag in fields if not (is_returned(tag, level) or tag in _OURS or tag in keys))),
        tuple(foreign),
        timezone,
    )


def _item_key(path: tuple[int, ...], items: dict[tuple[int, int], str]) -> tuple[int, int]:
    """A key of one step into a sequence; search tells whether it is matched."""
    if len(path) != 2:
        raise NotSupported("keys deeper in sequences are not matched")
    if (path[0], path[1]) in items:
        raise BadInput("a key stands twice")
    return path[0], path[1]


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


def _path(name: str) -> tuple[int, ...]:
    """Tags of an attribute path: keywords or eight hexadecimal digits, parted by dots."""
    steps = name.split(".")
    if len(steps) > _MAX_STEPS:
        raise BadInput("an attribute path is too deep")
    return tuple(_tag(step) for step in steps)


def _tag(name: str) -> int:
    """Tag of a keyword or of eight hexadecimal digits."""
    if _TAG.fullmatch(name):
        return int(name, 16)
    tag = tag_of(name)
    if tag is None:
        raise BadInput("an attribute is unknown")
    return tag


def _key_value(tag: int, value: str) -> str:
    """A matching value in DICOM's own form; lists of UIDs may be parted by commas (PS3.18 8.3.4.1), and those of code
    strings, which hold none: several modalities in OHIF's list of studies come so."""
    if vr_of(tag) == "CS":
        return value.replace(",", "\\")
    if vr_of(tag) != "UI":
        return value
    uids = re.split(r"[,\\]", value)
    if not all(is_uid(uid) for uid in uids if uid):
        raise BadInput("a UID is malformed")
    return "\\".join(uids)
