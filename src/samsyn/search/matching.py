"""From DICOM matching text to conditions of the index (PS3.4 C.2.2.2). Pure."""

import re
from collections.abc import Sequence

from samsyn.dicom.dictionary import keyword_of
from samsyn.dicom.names import folded
from samsyn.dicom.requested import REQUEST_ATTRIBUTES
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.limits import MAX_KEY_CHARACTERS, MAX_KEY_PATTERNS, MAX_KEY_VALUES
from samsyn.search.keys import (
    DATE_AND_TIME,
    ISSUER_OF_PATIENT_ID,
    ISSUER_QUALIFIERS,
    ITEM_KEYS,
    KEY_OF,
    UNIVERSAL_ID,
    Key,
    Kind,
    is_matched,
)
from samsyn.search.moments import date_range, moment_range, time_range
from samsyn.search.query import Query
from samsyn.store.index.find_rows import Condition

STUDY_DATE = 0x00080020
_NEVER_MATCHED = frozenset({0x00080005, 0x00080052, 0x00080053, 0x00080054, 0x00080201})
"""What a question carries about itself: character set, level, view, AE title, time zone."""
_EMPTY = '""'
_MAX_NAME_GROUPS = 3


class NotMatched(NotSupported):
    """Keys with values that can not restrict the search. It is not made: without them it would find what was not asked
    for."""

    def __init__(self, names: Sequence[str]) -> None:
        """`names`: keywords or tags, paths of them for keys inside sequences."""
        super().__init__(f"{', '.join(names)}: not matched at this level")
        self.names = tuple(names)


def conditions_of(query: Query) -> list[Condition]:
    """Every key as conditions, but for the patient's id and its issuer, which need the register.

    BadInput: a date, time or number that is none. NotMatched: keys with a value that are not indexed at the level;
    dropping them would answer another question than was asked. LimitExceeded: MAX_KEY_VALUES.
    """
    keys = {tag: text.strip(" \0") for tag, text in query.keys.items()}
    conditions: list[Condition] = []
    together = _combined(keys, query) if _wants_moments(query) else {}
    unmatched: list[str] = []
    for tag, value in keys.items():
        if tag in _NEVER_MATCHED or not asks(value):
            continue
        key = KEY_OF.get(tag)
        if key is None or not is_matched(key, query.level):
            unmatched.append(_called(tag))
            continue
        conditions.extend(together[tag] if tag in together else _conditions(key, value, query))
    requested: list[tuple[str, tuple[tuple[str, bool], ...]]] = []
    for (sequence, tag), text in query.items.items():
        value = text.strip(" \0")
        if not asks(value):
            continue
        key = ITEM_KEYS.get((sequence, tag))
        if key is None or not is_matched(key, query.level):
            unmatched.append(f"{_called(sequence)}.{_called(tag)}")
            continue
        if sequence == REQUEST_ATTRIBUTES:
            requested.append((key.column.partition(".")[2], _patterns(_values(value))))
        else:
            conditions.extend(_conditions(key, value, query))
    if unmatched:
        raise NotMatched(unmatched)
    if requested:
        # All keys of one item have to match in the same item (C.2.2.2.6).
        conditions.append(Condition("", "request", tuple(requested)))
    return conditions


def _called(tag: int) -> str:
    return keyword_of(tag) or f"{tag:08X}"


def asks(value: str) -> bool:
    """Whether a value restricts the answer; empty ones and nothing but `*` are universal (C.2.2.2.3).

    `* *` is neither: a space between two characters counts."""
    if not value.strip("*\\ \0"):
        return any(part.strip(" \0").strip("*") for part in value.split("\\"))
    return True


def issuer_of(query: Query) -> str:
    """The issuer that the patient's id must have; "" = any."""
    item = query.items.get((ISSUER_QUALIFIERS, UNIVERSAL_ID), "")
    value = (item or query.keys.get(ISSUER_OF_PATIENT_ID, "")).strip(" \0")
    return value if asks(value) else ""


def _conditions(key: Key, value: str, query: Query) -> list[Condition]:
    column = key.column
    if value == _EMPTY and query.matching.empty:
        if key.kind is Kind.MODALITIES:
            column = "study.modalities"
        if key.kind in (Kind.PATIENT_ID, Kind.ISSUER):
            return [Condition("", "never", ())]
        return [Condition(column, "empty", ())]
    match key.kind:
        case Kind.PATIENT_ID | Kind.ISSUER:
            return []
        case Kind.NAME:
            return _name(column, value, query.fuzzy)
        case Kind.MODALITIES:
            # The same days once more, where the index has modality and date together.
            dates = query.keys.get(STUDY_DATE, "").strip(" \0")
            is_range = query.matching.offset_minutes is None and asks(dates) and dates != _EMPTY
            first, last = date_range(dates) if is_range else ("", "")
            return [Condition("", "modality", (_patterns(_values(value)), first, last))]
        case Kind.UID:
            return [Condition(column, "one-of", tuple(_values(value, r"[\\,]")))]
        case Kind.DATE:
            return [Condition(column, "range", date_range(value))]
        case Kind.TIME:
            return [Condition(column, "time-range", time_range(value))]
        case Kind.NUMBER:
            return [Condition(column, "one-of", tuple(_number(part) for part in _values(value)))]
        case _:
            return [_text(column, value)]


def values_of(value: str) -> list[str]:
    """The values of a list (C.2.2.2.8), as they were told. LimitExceeded: MAX_KEY_VALUES, MAX_KEY_PATTERNS."""
    parts = [part for part in _values(value) if part]
    _patterns(parts)
    return parts


def _values(value: str, separator: str = r"\\") -> list[str]:
    parts = [part.strip(" \0") for part in re.split(separator, value)]
    if len(parts) > MAX_KEY_VALUES:
        raise LimitExceeded("MAX_KEY_VALUES")
    return parts


def _patterns(values: list[str]) -> tuple[tuple[str, bool], ...]:
    """(value or LIKE pattern, whether it is a pattern) of each value. LimitExceeded: MAX_KEY_PATTERNS."""
    parts = [part for part in values if part]
    found = tuple((like_pattern(part), True) if has_wild_card(part) else (part, False) for part in parts)
    if len(found) > MAX_KEY_PATTERNS and any(is_pattern for _, is_pattern in found):
        raise LimitExceeded("MAX_KEY_PATTERNS")
    return found


def _text(column: str, value: str) -> Condition:
    """Single value, wild card or any of a list (C.2.2.2.1, C.2.2.2.4, C.2.2.2.8); case matters."""
    patterns = _patterns(_values(value))
    if not any(is_pattern for _, is_pattern in patterns):
        return Condition(column, "one-of", tuple(text for text, _ in patterns))
    return Condition(column, "any-like", patterns)


def has_wild_card(value: str) -> bool:
    """Whether `*` or `?` stand in the value (C.2.2.2.4)."""
    return "*" in value or "?" in value


def like_pattern(value: str) -> str:
    """DICOM wild cards as a LIKE pattern with `\\` as escape: everything else stands for itself.

    LimitExceeded: MAX_KEY_CHARACTERS.
    """
    if len(value) > MAX_KEY_CHARACTERS:
        raise LimitExceeded("MAX_KEY_CHARACTERS")
    escaped = value.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return re.sub(r"\*+", "%", escaped).replace("?", "_")


def _name(column: str, value: str, fuzzy: bool) -> list[Condition]:
    """A name matches when each group of the key matches some group of it (C.2.2.2.1, PS3.5 6.2.1.2).

    Case and accents are folded. Fuzzy: each word is the beginning of some word of the name. LimitExceeded:
    MAX_KEY_PATTERNS words or names. BadInput: more than three groups, or a list of names with several.
    """
    if fuzzy:
        words = [word for word in re.split(r"[\^=,*\\\s]+", folded(value)) if word]
        if len(words) > MAX_KEY_PATTERNS:
            raise LimitExceeded("MAX_KEY_PATTERNS")
        return [Condition(column, "word", (f"%^{like_pattern(word)}%",)) for word in words]
    names = [folded(part).split("=") for part in _values(value)]
    if len(names) > 1:
        if any(len(groups) > 1 for groups in names):
            raise BadInput("a list of names has names with several component groups")
        forms = _forms([groups[0] for groups in names])
        return [Condition(column, "name", forms)] if forms else []
    if len(names[0]) > _MAX_NAME_GROUPS:
        raise BadInput("a name has more than three component groups")
    return [Condition(column, "name", _forms([group])) for group in names[0] if asks(group)]


def _forms(groups: list[str]) -> tuple[tuple[str, bool], ...]:
    """What the groups stand for: "A^*" means A too, since empty components may be left out (PS3.5 6.2)."""
    forms: list[str] = []
    for group in groups:
        forms.append(group)
        while forms[-1].endswith("^*") and asks(forms[-1]):
            forms.append(forms[-1][:-2])
            if len(forms) > MAX_KEY_PATTERNS:
                raise LimitExceeded("MAX_KEY_PATTERNS")
    return _patterns(forms)


def _wants_moments(query: Query) -> bool:
    return query.matching.combined or query.matching.offset_minutes is not None


def _combined(keys: dict[int, str], query: Query) -> dict[int, list[Condition]]:
    """Conditions of dates with their times as one moment; the time is asked for within its date's condition."""
    found: dict[int, list[Condition]] = {}
    offset = query.matching.offset_minutes
    for date_tag, time_tag in DATE_AND_TIME:
        dates, times = keys.get(date_tag, ""), keys.get(time_tag, "")
        if not asks(dates) or _EMPTY in (dates, times) or not (asks(times) or offset is not None):
            continue
        date_key, time_key = KEY_OF[date_tag], KEY_OF[time_tag]
        if not is_matched(date_key, query.level):
            continue
        first, last = moment_range(dates, times if asks(times) else "", offset)
        # A date without time is of that day wherever it is told, since nothing can be moved.
        days = None if asks(times) else date_range(dates)
        earliest, latest = days or (first, last)
        found[date_tag] = [
            Condition(date_key.column, "range", (min(first[:8], earliest[:8]), max(last[:8], latest[:8]))),
            Condition(date_key.column, "moment", (time_key.column, first, last, days)),
        ]
        found[time_tag] = []
    return found


def _number(value: str) -> int:
    try:
        number = int(value)
    except ValueError:
        raise BadInput("not a whole number") from None
    if abs(number) >= 2**63:
        raise BadInput("a number that no attribute can have")
    return number
