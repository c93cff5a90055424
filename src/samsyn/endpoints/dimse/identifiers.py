"""Identifiers of C-FIND, C-GET and C-MOVE: what is asked for, and what is answered (PS3.4 C.4). Pure."""

from dataclasses import dataclass, replace
from typing import Final

from samsyn.dicom.encoding import LATIN_1, UNICODE, decode
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dimse.contexts import PATIENT_ROOT
from samsyn.errors import BadInput, LimitExceeded, Mismatch
from samsyn.model.attributes import Attributes
from samsyn.search.keys import ITEM_KEYS, KEY_OF, UNIVERSAL_ID_TYPE, Kind, is_indexed, is_matched, is_returned
from samsyn.search.matching import asks
from samsyn.search.query import Level
from samsyn.wire.assembly import AgreedContext, Message

SPECIFIC_CHARACTER_SET: Final = 0x00080005
QUERY_RETRIEVE_LEVEL: Final = 0x00080052
RETRIEVE_AE_TITLE: Final = 0x00080054
INSTANCE_AVAILABILITY: Final = 0x00080056
FAILED_SOP_INSTANCE_UIDS: Final = 0x00080058
PATIENT_ID: Final = 0x00100020
STUDY_INSTANCE_UID: Final = 0x0020000D
SERIES_INSTANCE_UID: Final = 0x0020000E
SOP_INSTANCE_UID: Final = 0x00080018
TIMEZONE_OFFSET: Final = 0x00080201
_LATIN_TERMS: Final = frozenset({LATIN_1, "ISO 2022 IR 100"})
"""Who asks in Latin-1 is answered in it: older Nordic systems show nothing else (PS3.4 C.4.1.1.3.2 leaves it open)."""
_NO_KEYS: Final = frozenset(
    {
        SPECIFIC_CHARACTER_SET,
        QUERY_RETRIEVE_LEVEL,
        0x00080053,  # Query/Retrieve View
        RETRIEVE_AE_TITLE,
        INSTANCE_AVAILABILITY,
        TIMEZONE_OFFSET,
    }
)


@dataclass(frozen=True, slots=True)
class Asked:
    """A C-FIND identifier."""

    level: Level
    keys: dict[int, str]
    """Matching text by tag: only keys that search can match."""
    items: dict[tuple[int, int], str]
    """Matching text by (sequence, attribute of its item): only what search can match."""
    wanted: dict[int, str]
    """Tag -> VR of everything that the answer must have."""
    wanted_items: dict[int, dict[int, str]]
    """Sequence -> what its items shall hold (tag -> VR), where the question named something."""
    charset: str
    """Specific Character Set of the answers, where their text fits in it."""
    timezone: str
    """Timezone Offset From UTC of the question, "" = none."""
    ignored: bool
    """Whether optional keys are not supported for matching or existence (FF01, PS3.4 Table C.4-1)."""


@dataclass(frozen=True, slots=True)
class Targets:
    """A C-GET or C-MOVE identifier: which objects, by unique keys of one level and of those above it."""

    level: Level
    values: tuple[str, ...]
    """Each once."""
    study_uids: tuple[str, ...]
    """The studies in which the objects must be; () = any."""
    series_uids: tuple[str, ...]
    patient_id: str
    """Whose the objects must be, as matching text; "" = anybody's. Asked for below level PATIENT of Patient Root."""


def read(message: Message, context: AgreedContext) -> Attributes:
    """The identifier of a message. BadInput when there is none or it is broken; LimitExceeded when too large."""
    if message.over_limit:
        raise LimitExceeded(message.over_limit)
    if message.data is None:
        raise BadInput("the message has no identifier")
    return decode(memoryview(message.data), context.transfer_syntax)


def level_of(identifier: Attributes, model_uid: str) -> Level:
    """The Query/Retrieve Level. Mismatch when it is missing or the information model does not have it."""
    text = _text(identifier, QUERY_RETRIEVE_LEVEL)
    try:
        level = Level(text)
    except ValueError:
        raise Mismatch("Query/Retrieve Level is missing or unknown") from None
    if level is Level.PATIENT and model_uid not in PATIENT_ROOT:
        raise Mismatch("the Study Root model has no level PATIENT")
    return level


def asked(identifier: Attributes, model_uid: str) -> Asked:
    """What a C-FIND asks for (PS3.4 C.4.1.1.3.1)."""
    level = level_of(identifier, model_uid)
    charset = LATIN_1 if _LATIN_TERMS & set(_values(identifier, SPECIFIC_CHARACTER_SET)) else UNICODE
    question = Asked(level, {}, {}, {}, {}, charset, _text(identifier, TIMEZONE_OFFSET), False)
    ignored = False
    for tag, (vr, values) in identifier.items():
        if tag in _NO_KEYS:
            continue
        question.wanted[tag] = vr
        ignored |= not is_returned(tag, level)
        if vr == "SQ":
            ignored |= not _ask_items(question, tag, values)
            continue
        text = "\\".join(str(value) for value in values)
        if not asks(text.strip(" \0")):
            continue
        if is_indexed(tag, level):
            question.keys[tag] = text
        else:
            ignored = True
    return replace(question, ignored=ignored)


def _ask_items(question: Asked, sequence: int, items: tuple[object, ...]) -> bool:
    """Notes what one sequence asks for (PS3.4 C.2.2.2.6); whether all of it is supported."""
    if len(items) > 1:
        raise Mismatch("a sequence key has more than one item")
    if not items or not items[0]:
        return True
    if not isinstance(items[0], dict):
        raise BadInput("a sequence holds something that is no item")
    wanted: dict[int, str] = {}
    supported = True
    for tag, (vr, values) in items[0].items():
        wanted[tag] = vr
        key = ITEM_KEYS.get((sequence, tag))
        known = key is not None or (_is_sequence(sequence) and tag == UNIVERSAL_ID_TYPE)
        supported &= known
        text = "\\".join(str(value) for value in values) if vr != "SQ" else ""
        if not asks(text.strip(" \0")):
            continue
        if key is not None and is_matched(key, question.level):
            question.items[sequence, tag] = text
        else:
            supported = False
    question.wanted_items[sequence] = wanted
    return supported


def _is_sequence(tag: int) -> bool:
    key = KEY_OF.get(tag)
    return key is not None and key.kind is Kind.SEQUENCE


def answered(found: Attributes, question: Asked, retrieve_ae: str, timezone: str = "") -> Attributes:
    """The identifier of one match: every attribute that was asked for, empty when there is no value.

    `timezone`: the offset at which the answer's dates and times are told, "" = in Swedish time.
    """
    answer: Attributes = {tag: found.get(tag, (vr, ())) for tag, vr in question.wanted.items()}
    for sequence, wanted in question.wanted_items.items():
        items = tuple(
            {tag: item.get(tag, (vr, ())) for tag, vr in wanted.items()}
            for item in answer[sequence][1]
            if isinstance(item, dict)
        )
        answer[sequence] = ("SQ", items)
    answer[QUERY_RETRIEVE_LEVEL] = ("CS", (question.level.value,))
    answer[RETRIEVE_AE_TITLE] = ("AE", (retrieve_ae,))
    answer[INSTANCE_AVAILABILITY] = ("CS", ("ONLINE",))
    if timezone:
        answer[TIMEZONE_OFFSET] = ("SH", (timezone,))
    return answer


def targets(identifier: Attributes, model_uid: str) -> Targets:
    """What a C-GET or C-MOVE names (PS3.4 C.4.2.1.4). Mismatch without a unique key of its level."""
    level = level_of(identifier, model_uid)
    tag = {
        Level.PATIENT: PATIENT_ID,
        Level.STUDY: STUDY_INSTANCE_UID,
        Level.SERIES: SERIES_INSTANCE_UID,
        Level.IMAGE: SOP_INSTANCE_UID,
    }[level]
    values = _values(identifier, tag)
    if not values or not all(values):
        raise Mismatch("the unique key of the level is missing")
    if level is Level.PATIENT:
        if len(values) > 1 or any(character in values[0] for character in "*?"):
            raise Mismatch("level PATIENT takes one Patient ID without wild cards")
    elif not all(is_uid(value) for value in values):
        raise Mismatch("a unique key is not a UID")
    patient_ids = _values(identifier, PATIENT_ID) if model_uid in PATIENT_ROOT else ()
    return Targets(
        level,
        values,
        tuple(filter(None, _values(identifier, STUDY_INSTANCE_UID))),
        tuple(filter(None, _values(identifier, SERIES_INSTANCE_UID))),
        "" if level is Level.PATIENT else "\\".join(filter(asks, patient_ids)),
    )


def _values(identifier: Attributes, tag: int) -> tuple[str, ...]:
    """The values of a key, each once."""
    return tuple(dict.fromkeys(str(value).strip(" \0") for value in identifier.get(tag, ("", ()))[1]))


def _text(identifier: Attributes, tag: int) -> str:
    values = identifier.get(tag, ("", ()))[1]
    return str(values[0]).strip(" \0") if len(values) == 1 else ""
