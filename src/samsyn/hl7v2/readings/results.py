"""ORU (R01, and R30 to R32 of point-of-care devices) by a source's rules: versions of reports."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache

from samsyn.errors import LimitExceeded
from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, TABLE_VALUE_NOT_FOUND, BadMessage
from samsyn.hl7v2.meaning import ReportEvent
from samsyn.hl7v2.parsing import Message, Segment, Segments, column
from samsyn.hl7v2.paths import first_of
from samsyn.hl7v2.profile import Profile, ReportRules
from samsyn.hl7v2.readings.identity import read_patient
from samsyn.hl7v2.times import Doubt, PointInTime
from samsyn.hl7v2.values import (
    accession_number,
    identifier_word,
    moment,
    note_doubt,
    order_groups,
    own_segments,
    owner_of,
    required,
    sent_at,
    staff_names,
    study_uids,
    told_in,
)
from samsyn.limits import MAX_REPORT_CHARACTERS
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.texts import ReportStatus
from samsyn.model.value import value

_TEXT_TYPES = frozenset(("TX", "FT", "ST", ""))
_DELETED = frozenset("DWX")
_EMPTY_LINE = ("",)
_RTF = "{\\rtf"

_FINALITY = {
    ReportStatus.PRELIMINARY: 0,
    ReportStatus.FINAL: 1,
    ReportStatus.ADDENDUM: 2,
    ReportStatus.CORRECTION: 3,
    ReportStatus.ANNULLED: 4,
}


def read_reports(message: Message, profile: Profile, sender: Sender, notes: list[str]) -> list[ReportEvent]:
    """One event for each OBR of the message. BadMessage: an order has lines of text and no OBR to answer."""
    every = order_groups(message)
    groups = [group for group in every if group.named("OBR")]
    if len(groups) < len(every):
        _refuse_stray_lines(every)
    if not groups:
        raise BadMessage("OBR", 1, 0, "the message holds no report", SEGMENT_SEQUENCE)
    first: Segments | None = None
    events = []
    for group in groups:
        own = own_segments(group)
        first = first or own
        content = first if profile.report.text_in == "first" else own
        events.append(_report(message, group, own, content, profile, sender, notes))
    _refuse_hidden(events)
    return events


def _refuse_hidden(events: Sequence[ReportEvent]) -> None:
    """Of two whole texts for one order, procedure, status and time nobody can tell which holds: one would hide the
    other."""
    told: dict[object, str] = {}
    for number, event in enumerate(events if len(events) > 1 else (), start=1):
        order = (event.accession_issuer, event.accession, event.filler_id, event.procedure_text)
        name = (event.patient.identifiers, *order, event.status, event.result_time)
        if not event.fragment and told.setdefault(name, event.text) != event.text:
            sentence = "another text stands at the same order, procedure, status and time"
            raise BadMessage("OBR", number, 3, sentence)


def _refuse_stray_lines(groups: Sequence[Segments]) -> None:
    """An order that tells no report is passed over, but not what is answered in it."""
    for group in groups:
        own = own_segments(group)
        if own.named("OBX") and not own.named("OBR"):
            raise own.named("OBX")[0].fault(0, "the line stands behind no OBR of its order", SEGMENT_SEQUENCE)


def _report(
    message: Message,
    group: Segments,
    own: Segments,
    content: Segments,
    profile: Profile,
    sender: Sender,
    notes: list[str],
) -> ReportEvent:
    rules = profile.report
    texts = text_lines(content, rules, notes)
    text = report_text(texts, rules)
    status = _status(own, texts, rules, text)
    if not text and status is not ReportStatus.ANNULLED:
        raise BadMessage("OBX", 1, 5, "a report without text", REQUIRED_FIELD_MISSING)
    sent = sent_at(message)
    made = made_at(status, told_in(rules.result_time, own, message.msh, sent), sent, message.arrived)
    note_doubt(made, rules.result_time, own, notes)
    examined = moment(rules.examined, own)
    accession, accession_issuer = accession_number(rules.accession, own, profile.accession_issuers)
    if not accession:
        required(rules.accession, own, "the accession number")
    home = Owner(sender.provider, sender.unit)
    return ReportEvent(
        patient=read_patient(group, profile.patient, notes),
        owner=owner_of(rules.performer_unit, own, profile.units, home, rules.unknown_unit, notes),
        accession=accession,
        accession_issuer=accession_issuer,
        placer_id=identifier_word(rules.placer, own),
        filler_id=identifier_word(rules.filler, own),
        study_uids=study_uids(rules.study_uid, own, notes),
        status=status,
        fragment=rules.addendum == "fragment" and _is_addendum(status, own, texts, rules),
        result_time=made.begins if made else None,
        examined=examined.day if examined else "",
        author=staff_names(rules.author, own, everyone=False),
        signer=_signer(status, own, rules),
        procedure_code=first_of(rules.code, own),
        procedure_text=first_of(rules.procedure, own),
        text=text,
        reason=first_of(rules.reason, own),
        when=sent.begins if sent else None,
        doubt=made.doubt if made else Doubt.NONE,
    )


def _signer(status: ReportStatus, own: Sequence[Segment], rules: ReportRules) -> str:
    """Who answers for the version: nobody for a preliminary one, who took it back for an annulment."""
    if status is ReportStatus.PRELIMINARY:
        return ""
    if status is ReportStatus.ANNULLED:
        return staff_names(rules.annulled_by, own, everyone=False)
    return staff_names(rules.signer, own, everyone=True)


@value
class TextLines:
    """The OBX that hold report text, deleted ones too, each with what it is about."""

    segments: Sequence[Segment]
    kinds: list[str]
    words: list[str]
    """OBX-11 of each."""
    comments: Mapping[int, Sequence[Segment]]
    """By an OBX's number in the message, the NTE behind it: what the answering side adds to that line."""


@lru_cache(maxsize=64)
def _upper(words: tuple[str, ...]) -> frozenset[str]:
    return frozenset(word.upper() for word in words)


def text_lines(segments: Segments, rules: ReportRules, notes: list[str]) -> TextLines:
    """Every OBX that holds report text, with the comments to it; what is listed and holds none is noted."""
    comments = _comments(segments) if segments.named("NTE") else {}
    listed, passed = _upper(rules.text_codes), _upper(rules.not_text)
    lines: Sequence[Segment] = segments.named("OBX")
    kinds = segments.kinds("OBX")
    if not (listed.issuperset(kinds) if listed else passed.isdisjoint(kinds)):
        wanted = [
            place for place, kind in enumerate(kinds) if (kind in listed if listed else kind not in passed)
        ]
        lines, kinds = [lines[place] for place in wanted], [kinds[place] for place in wanted]
        segments = Segments(lines)
    types = segments.codes("OBX", 2)
    if not _TEXT_TYPES.issuperset(types):
        for segment, type_word in zip(lines, types, strict=True):
            if type_word not in _TEXT_TYPES:
                place = f"OBX[{segment.sequence}]" if segment.sequence > 1 else "OBX"
                notes.append(f"{place}-2: a value of type {type_word[:3]} is not read as report text")
        wanted = [place for place, type_word in enumerate(types) if type_word in _TEXT_TYPES]
        lines, kinds = [lines[place] for place in wanted], [kinds[place] for place in wanted]
        segments = Segments(lines)
    own = {segment.sequence for segment in lines}
    if not comments.keys() <= own:
        notes.append("NTE: a comment that stands behind no line of report text is not read")
    return TextLines(lines, kinds, segments.codes("OBX", 11), comments)


def _comments(segments: Segments) -> dict[int, list[Segment]]:
    """NTE by the number of the OBX that they stand behind (7.3.1), 0 for another segment; what the orderer wrote
    (NTE-2 P) is no part of the answer."""
    found: dict[int, list[Segment]] = {}
    behind = 0
    for segment in segments:
        if segment.name != "NTE":
            behind = segment.sequence if segment.name == "OBX" else 0
        elif segment.code(2) != "P" and segment.text(3):
            found.setdefault(behind, []).append(segment)
    return found


def report_text(texts: TextLines, rules: ReportRules) -> str:
    """The text of a report from its text segments: those that are not deleted, repetitions and `\\.br\\` as lines,
    comments (NTE) behind the line that they are about.

    Only blanks at line ends and empty lines at both ends are taken away; the text is shown as plain text, so
    markup in it stays what it is: letters.
    """
    deleted = _DELETED.intersection(texts.words)
    headings = rules.headings if not rules.headings.keys().isdisjoint(texts.kinds) else {}
    is_plain = not deleted and not headings and not texts.comments
    lines = _plain_lines(texts.segments) if is_plain else []
    heading = ""
    for segment, kind, word in () if lines else zip(texts.segments, texts.kinds, texts.words, strict=True):
        if deleted and word in deleted:
            continue
        if headings:
            wanted = headings.get(kind, "")
            if wanted and wanted != heading:
                lines += ["", wanted] if lines else [wanted]
            heading = wanted or heading
        lines += segment.every(5) or _EMPTY_LINE
        for comment in texts.comments.get(segment.sequence, ()):
            lines += comment.every(3)
    text = "\n".join([line.rstrip() for line in "\n".join(lines).split("\n")]).strip("\n")
    if _RTF in text:
        # Its letters are hidden among commands, and what it strikes out would read as if it stood.
        raise texts.segments[0].fault(5, "a text in RTF is not read; send plain text (TX or FT)")
    if len(text) > MAX_REPORT_CHARACTERS:
        raise LimitExceeded(
            f"MAX_REPORT_CHARACTERS: a report of more than {MAX_REPORT_CHARACTERS} characters"
        )
    return text if text.strip() else ""


def _plain_lines(segments: Sequence[Segment]) -> list[str]:
    """A line for each segment where nothing has to be cut or unescaped in any; else none."""
    if not all(segment.grammar.is_plain for segment in segments):
        return []
    lines = column(segments, 5)
    return ["" if line == '""' else line for line in lines] if '""' in lines else lines


def _status(own: Segments, texts: TextLines, rules: ReportRules, text: str) -> ReportStatus:
    """OBR-25 and OBX-11 together; where they disagree, the less final holds, but a correction stays one.

    A preliminary must never be shown as final (sweden 4.2), so P on one side outweighs F on the other.
    """
    if any(orc.text(1).upper() in rules.annulling_controls for orc in own.named("ORC")[:1]):
        return ReportStatus.ANNULLED
    order = _order_status(own, rules)
    lines = _line_statuses(texts, rules)
    if order is ReportStatus.ANNULLED or (lines and all(line is ReportStatus.ANNULLED for line in lines)):
        return ReportStatus.ANNULLED
    told = [line for line in lines if line is not ReportStatus.ANNULLED]
    if order is not None:
        told.append(order)
    if not told:
        raise BadMessage("OBR", 1, 25, "the report status is missing", REQUIRED_FIELD_MISSING)
    status = (
        ReportStatus.PRELIMINARY if ReportStatus.PRELIMINARY in told else max(told, key=_FINALITY.__getitem__)
    )
    if not text and rules.empty_final_annuls and status is not ReportStatus.PRELIMINARY:
        return ReportStatus.ANNULLED
    return status


def _is_addendum(status: ReportStatus, own: Sequence[Segment], texts: TextLines, rules: ReportRules) -> bool:
    """Whether the text only adds: an addendum, or one that nobody has signed yet. Where the order is no addendum and
    only some of its lines are, the report stands there too."""
    order, lines = _order_status(own, rules), _line_statuses(texts, rules)
    if order is not ReportStatus.ADDENDUM and set(lines) - {ReportStatus.ADDENDUM, ReportStatus.ANNULLED}:
        return False
    if status is not ReportStatus.PRELIMINARY:
        return status is ReportStatus.ADDENDUM
    return ReportStatus.ADDENDUM in (order, *lines)


def _order_status(own: Sequence[Segment], rules: ReportRules) -> ReportStatus | None:
    word = identifier_word(rules.status_at, own).upper()
    if not word:
        return None
    if word not in rules.statuses:
        field = rules.status_at[0]
        raise BadMessage(
            field.segment, 1, field.field, "this status is not in the profile's table", TABLE_VALUE_NOT_FOUND
        )
    return ReportStatus(rules.statuses[word])


def _line_statuses(texts: TextLines, rules: ReportRules) -> list[ReportStatus]:
    """What the lines say, each status once."""
    words = dict.fromkeys(texts.words)
    words.pop("", None)
    for word in words:
        if word not in rules.statuses:
            segment = texts.segments[texts.words.index(word)]
            raise segment.fault(11, "this status is not in the profile's table", TABLE_VALUE_NOT_FOUND)
    return [ReportStatus(rules.statuses[word]) for word in words]


def made_at(
    status: ReportStatus, told: PointInTime | None, sent: PointInTime | None, arrived: datetime | None
) -> PointInTime | None:
    """When the version came to be. An annulment often repeats the time of what it annuls: the later counts."""
    told = told.not_ahead(arrived) if told is not None else None
    if status is ReportStatus.ANNULLED and told is not None and sent is not None:
        return told if told.begins >= sent.begins else sent
    return told or sent
