"""What a search for workitems asks (PS3.18 11.9, PS3.4 CC.2.8), and whether a workitem is that. Pure."""

import re
from calendar import IllegalMonthError, monthrange
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType
from typing import Final

from samsyn.clock import STOCKHOLM
from samsyn.dicom.dictionary import keyword_of, tag_of, vr_of
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.parameters import is_foreign, pairs_of, truth, whole_number
from samsyn.endpoints.dicomweb.workitems.workitem import STATES
from samsyn.errors import BadInput
from samsyn.limits import MAX_KEY_CHARACTERS, MAX_SEARCH_ROWS
from samsyn.search.matching import NotMatched

Told = Mapping[str, Mapping[str, object]]
_Path = tuple[int, ...]

_STATE: Final = 0x00741000
_INPUT: Final = 0x00404021
_KEYS: Final[tuple[_Path, ...]] = (
    (0x00080016,),
    (0x00080018,),
    (0x00404005,),
    (0x00404010,),
    (_INPUT, 0x0020000D),
    (_INPUT, 0x0020000E),
    (0x00404041,),
    (_STATE,),
    (0x00741200,),
    (0x00741202,),
    (0x00741204,),
)
"""Attributes that a workitem of ours has and that its asker knows."""
_ZONE: Final = r"[+-](?:0[0-9]|1[0-4])[0-5][0-9]"
_MOMENT: Final = re.compile(rf"([0-9]{{4}})((?:[0-9]{{2}}){{0,5}})(?:\.([0-9]{{1,6}}))?({_ZONE})?", re.ASCII)
_RANGE: Final = re.compile(rf"([0-9.]*(?:{_ZONE})?)-([0-9.]*(?:{_ZONE})?)", re.ASCII)
_TRUTHS: Final = frozenset({"fuzzymatching", "emptyvaluematching", "multiplevaluematching"})
_MAX_PARAMETERS: Final = 64
_PATH: Final = re.compile(r"[A-Za-z0-9]{1,64}(\.[A-Za-z0-9]{1,64}){0,7}", re.ASCII)
"""How attributes may be written; no more of a name is told back."""
PARAMETERS: Final = MappingProxyType(
    {
        "limit": "most results of one answer",
        "offset": "results to leave out at the beginning",
        "includefield": "read and of no effect: every attribute is answered",
        **dict.fromkeys(sorted(_TRUTHS), "read and of no effect"),
        **{".".join(map(keyword_of, path)): "matching key" for path in _KEYS},
    }
)


@dataclass(frozen=True, slots=True)
class Question:
    """A parsed search."""

    keys: Mapping[_Path, str]
    limit: int
    offset: int
    foreign: tuple[str, ...]
    """Parameters that are ignored, since they are none of ours."""

    def finds(self, model: Told) -> bool:
        """Whether a workitem has all that is asked for."""
        return all(_matches(path, value, _values(model, path)) for path, value in self.keys.items())


def parse_question(query_string: bytes) -> Question:
    """BadInput: a parameter stands twice or is malformed. NotMatched: an attribute that is not matched."""
    numbers = {"limit": MAX_SEARCH_ROWS, "offset": 0}
    keys: dict[_Path, str] = {}
    foreign: list[str] = []
    seen: set[str | _Path] = set()
    for name, value in pairs_of(query_string, _MAX_PARAMETERS):
        if name in ("accept", "charset", "includefield"):
            continue
        is_own = name in numbers or name in _TRUTHS
        if not is_own and is_foreign(name):
            foreign.append(name)
            continue
        key = name if is_own else _path(name)
        if key in seen:
            raise BadInput("a parameter stands twice")
        seen.add(key)
        if name in numbers:
            numbers[name] = whole_number(value)
        elif isinstance(key, tuple) and value not in ("", "*"):
            keys[key] = _checked(key, value)
        elif name in _TRUTHS:
            truth(name, value)
    return Question(keys, min(numbers["limit"], MAX_SEARCH_ROWS), numbers["offset"], tuple(foreign))


def _path(name: str) -> _Path:
    tags = [
        int(step, 16) if re.fullmatch("[0-9A-Fa-f]{8}", step) else tag_of(step) for step in name.split(".")
    ]
    path = tuple(tag for tag in tags if tag is not None)
    if len(path) < len(tags):
        raise NotMatched((name,)) if _PATH.fullmatch(name) else BadInput("an attribute is malformed")
    if path not in _KEYS:
        raise NotMatched((name,))
    return path


def _checked(path: _Path, value: str) -> str:
    vr = vr_of(path[-1])
    if len(value) > MAX_KEY_CHARACTERS:
        raise BadInput("a key is too long")
    if path == (_STATE,) and value not in STATES.values():
        raise BadInput("ProcedureStepState is SCHEDULED, IN PROGRESS, COMPLETED or CANCELED")
    if vr == "UI" and not all(map(is_uid, re.split(r"[,\\]", value))):
        raise BadInput("a UID is malformed")
    if vr == "DT":
        _bounds(value)
    return value


def _bounds(text: str) -> tuple[datetime | None, datetime | None]:
    """The first and last moment of a DT or of a range of them (PS3.5 6.2, PS3.4 C.2.2.2.5); None = open. A hyphen with
    four digits that can be a time zone is one. BadInput: it is none of that."""
    ends = None if _MOMENT.fullmatch(text) else _RANGE.fullmatch(text)
    first, last = ends.groups() if ends else (text, text)
    if not (first or last):
        raise BadInput("a moment is malformed")
    return _moment(first, is_last=False), _moment(last, is_last=True)


def _moment(text: str, *, is_last: bool) -> datetime | None:
    """The beginning or the end of what a DT tells; without a zone in Swedish time."""
    if not text:
        return None
    form = _MOMENT.fullmatch(text)
    if form is None or (form[3] and len(form[2]) < 10):
        raise BadInput("a moment is malformed")
    year, told = int(form[1]), [int(form[2][at : at + 2]) for at in range(0, len(form[2]), 2)]
    zone = datetime.strptime(form[4], "%z").tzinfo if form[4] else STOCKHOLM
    try:
        months = told[:1] or [12 if is_last else 1]
        days = told[1:2] or [monthrange(year, months[0])[1] if is_last else 1]
        times = told[2:] + ([23, 59, 59] if is_last else [0, 0, 0])[len(told[2:]) :]
        fraction = int((form[3] or "").ljust(6, "9" if is_last else "0"))
        return datetime(year, months[0], days[0], times[0], times[1], times[2], fraction, zone)
    except (ValueError, IllegalMonthError):
        raise BadInput("a moment is malformed") from None


def _values(model: Told, path: _Path) -> list[str]:
    found: list[object] = [model]
    for tag in path:
        elements = [each.get(f"{tag:08X}") for each in found if isinstance(each, Mapping)]
        found = [value for each in elements if isinstance(each, Mapping) for value in each.get("Value", ())]
    return [str(value) for value in found]


def _matches(path: _Path, asked: str, values: list[str]) -> bool:
    vr = vr_of(path[-1])
    if vr == "UI":
        return not set(re.split(r"[,\\]", asked)).isdisjoint(values)
    if vr == "DT":
        first, last = _bounds(asked)
        moments = [moment for value in values if (moment := _moment(value, is_last=False)) is not None]
        return any((not first or first <= each) and (not last or each <= last) for each in moments)
    pattern = "".join(".*" if each == "*" else "." if each == "?" else re.escape(each) for each in asked)
    return any(re.fullmatch(pattern, value, re.DOTALL) for value in values)
