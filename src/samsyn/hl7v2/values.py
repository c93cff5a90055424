"""Values that several messages share: times, owners, names of staff, study UIDs, groups of segments."""

import re
from collections.abc import Mapping, Sequence

from samsyn.errors import BadInput
from samsyn.hl7v2.faults import BadMessage
from samsyn.hl7v2.meaning import NOBODY
from samsyn.hl7v2.parsing import Message, Segment, Segments
from samsyn.hl7v2.paths import Path, first_of, parse_path
from samsyn.hl7v2.times import Doubt, PointInTime, read_time
from samsyn.limits import MAX_UID_CHARACTERS
from samsyn.model.organisation import Owner

_SENT = (parse_path("MSH-7.1"),)
_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){2,}")
_IN_SEQUENCE = ("PID", "ORC", "OBR")
_LONGEST_HEAD = 16
"""Segments of a message among which patient and order usually stand: the dozens behind are its lines."""
_UID = re.compile(r"[0-2](\.(0|[1-9][0-9]*))+")


def moment(
    paths: Sequence[Path], segments: Sequence[Segment], header: Segment | None = None
) -> PointInTime | None:
    """The first of the places that tells a time; BadMessage names the place when it holds something else. `header`:
    the message's, where the segments are those of one order without it."""
    order = segments
    for path in paths:
        if header is not None:
            segments = [header] if path.segment == header.name else order
        text = path.read(segments)
        if not text:
            continue
        try:
            return read_time(text)
        except BadInput as error:
            sequence = next((segment.sequence for segment in segments if path.matches(segment)), 1)
            raise BadMessage(path.segment, sequence, path.field, error.detail) from None
    return None


def sent_at(message: Message, paths: Sequence[Path] = _SENT) -> PointInTime | None:
    """When the message was sent (MSH-7) or its event recorded, by the sender's clock; in the autumn's repeated hour as
    its arrival tells which of the two is meant, and its arrival where the clock is so wrong that this was to come."""
    point = moment(paths, [message.msh] if paths is _SENT else message.segments)
    return point.told_by(message.arrived).not_ahead(message.arrived) if point is not None else None


def told_in(
    paths: Sequence[Path], segments: Sequence[Segment], header: Segment | None, sent: PointInTime | None
) -> PointInTime | None:
    """`moment` of something that was over when the message was sent, as that tells which of two hours is meant."""
    point = moment(paths, segments, header)
    if point is None or sent is None:
        return point
    return point.told_by(sent.begins, sent.doubt)


def note_doubt(
    made: PointInTime | None, paths: Sequence[Path], segments: Sequence[Segment], notes: list[str]
) -> None:
    """Tells the sender why the order of its versions can only be guessed."""
    if made is not None and made.doubt:
        place = place_of(paths, segments) or "MSH-7"
        why = "an hour that comes twice in that night; only a time zone tells which is meant"
        if made.doubt is Doubt.AHEAD:
            why = "a moment that is still to come; the report is filed as made when it came"
        elif made.doubt is Doubt.SKIPPED:
            why = "an hour that the change to summer time skips, taken as winter time; send a time zone"
        notes.append(f"{place}: {why}")


def required(paths: Sequence[Path], segments: Sequence[Segment], what: str) -> str:
    """The first place that is not empty; BadMessage when none is, naming the first place."""
    value = first_of(paths, segments)
    if not value:
        places = " or ".join(f"{path.segment}-{path.field}" for path in paths)
        raise BadMessage(
            paths[0].segment if paths else "MSH",
            1,
            paths[0].field if paths else 0,
            f"{what} is missing (looked in {places or 'no place: see the profile'})",
            101,
        )
    return value


def place_of(paths: Sequence[Path], segments: Sequence[Segment]) -> str:
    """Where the value that `first_of` gives stands, as faults are told: `OBR[2]-24`; "" when nowhere."""
    for path in paths:
        for segment in segments:
            if path.matches(segment) and path.read([segment]):
                number = f"[{segment.sequence}]" if segment.sequence > 1 else ""
                return f"{segment.name}{number}-{path.field}"
    return ""


def identifier_word(paths: Sequence[Path], segments: Sequence[Segment]) -> str:
    """An order number or accession number: one line, no control signs."""
    return " ".join(first_of(paths, segments).split())


def accession_number(
    paths: Sequence[Path], segments: Sequence[Segment], issuers: Mapping[str, str]
) -> tuple[str, str]:
    """(number, issuer) at the first place that has a number; issuer "" = the source's own numbers.

    An entity identifier (EI) tells its name space beside the number: id^namespace^universal id^type.
    """
    for path in paths:
        value = " ".join(path.read(segments).split())
        if value:
            if path.component != 1:
                return value, ""
            name, universal = path.component_of(segments, 2), path.component_of(segments, 3)
            return value, issuer_of(name, universal, issuers)
    return "", ""


def issuer_of(name: str, universal: str, issuers: Mapping[str, str]) -> str:
    """The issuer that a name space (EI-2 and EI-3) stands for; "" = the source's own numbers."""
    if _OID.fullmatch(universal):
        return universal
    return issuers.get(name.upper(), "") if name else ""


def study_uids(paths: Sequence[Path], segments: Sequence[Segment], notes: list[str]) -> tuple[str, ...]:
    """Study Instance UIDs of all places; what is no UID is left out with a note (PS3.5 9.1)."""
    found: dict[str, None] = {}
    for path in paths:
        for text in path.read(segments).split("\n"):
            uid = text.split("^", 1)[0].strip()
            if not uid:
                continue
            if len(uid) <= MAX_UID_CHARACTERS and _UID.fullmatch(uid):
                found[uid] = None
            else:
                notes.append(f"{path.segment}-{path.field}: not a study UID, left out")
    return tuple(found)


def owner_of(
    paths: Sequence[Path],
    segments: Sequence[Segment],
    units: Mapping[str, Owner],
    sender: Owner,
    unknown: str,
    notes: list[str],
) -> Owner:
    """The owner that the unit code at one of the places names. No code = `sender`; an unknown one by the profile's
    rule.

    An unknown code hides by default: filing under a neighbouring unit would pass by that unit's blocks.
    """
    code = identifier_word(paths, segments)
    if not code:
        return sender
    known = units.get(code.upper())
    if known is not None:
        return known
    if unknown == "sender":
        return sender
    notes.append(
        f"{place_of(paths, segments)}: this unit's code is not in the profile's [units]: hidden until it is"
    )
    return NOBODY


def staff_name(segment: Segment, field: int, repetition: int) -> str:
    """`Given Family` of an XCN (id^family^given) or an NDL (id&family&given); the id when no name was sent."""
    if segment.text(field, 1, 2, repetition) or segment.text(field, 1, 3, repetition):
        number, family, given = (segment.text(field, 1, part, repetition) for part in (1, 2, 3))
    else:
        number = segment.text(field, 1, 1, repetition)
        family = segment.text(field, 2, 1, repetition)
        given = segment.text(field, 3, 1, repetition)
    name = " ".join(part for part in (given, family) if part)
    return " ".join((name or number).split())


def staff_names(paths: Sequence[Path], segments: Sequence[Segment], everyone: bool) -> str:
    """Names at the places, parted by comma; only the first place that names somebody unless `everyone`."""
    names: dict[str, None] = {}
    for path in paths:
        for segment in path.among(segments):
            if path.field >= len(segment.fields):
                continue
            for repetition in range(1, segment.repetitions(path.field) + 1):
                name = staff_name(segment, path.field, repetition)
                if name:
                    names[name] = None
        if names and not everyone:
            break
    return ", ".join(names)


def order_groups(message: Message) -> list[Segments]:
    """The orders of a message, each with the header segments before it.

    A group begins with ORC, or with an OBR when the group before already has one; whatever follows (NTE, OBX,
    IPC, Z-segments) belongs to it. A second PID begins a new patient, which the groups after it belong to.
    """
    if is_one_order(message.segments):
        return [message.segments]
    head: list[Segment] = []
    groups: list[list[Segment]] = []
    current = head
    has_report = False
    for segment in message.segments:
        name = segment.name
        if name == "PID" and current is not head:
            current = head = [message.msh]
        elif name in ("ORC", "OBR"):
            if current is head or name == "ORC" or has_report:
                current = list(head)
                groups.append(current)
                has_report = False
            has_report = has_report or name == "OBR"
        current.append(segment)
    return [Segments(group) for group in groups]


def is_one_order(segments: Segments) -> bool:
    """Whether the message is one order of one patient, in the usual sequence: PID, ORC, OBR."""
    by_name = segments.by_name
    for name in _IN_SEQUENCE:
        if name in by_name and len(by_name[name]) > 1:
            return False
    present = [segment.name for segment in segments[:_LONGEST_HEAD] if segment.name in _IN_SEQUENCE]
    wanted = [name for name in _IN_SEQUENCE if name in by_name]
    return len(wanted) > 0 and wanted[-1] != "PID" and present == wanted


def own_segments(group: Segments) -> Segments:
    """The group without the patient's and message's head: from its ORC or OBR on."""
    for position, segment in enumerate(group):
        if segment.name in ("ORC", "OBR"):
            return group.after(position)
    return Segments()
