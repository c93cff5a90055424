"""Reports of a source are alike: what is the same in every one is read once, and only the rest of each message.

`AlikeReports(profile, sender).read(raw)` gives what `interpret.read_message` gives, refusals included. A message is
read in the short way only if it has the usual delimiters, nothing repeated, escaped or unprintable in any field, one
order of one patient, and lines of text (OBX) that differ in number and text alone. What it means then follows from:

- numbers, names and times that each message has of its own, which are read here by the profile's places;
- everything else that the profile looks at, field by field as sent. What those fields meant is learned of a message
  that was read in the long way, and believed as long as every one of them is the same.

Whatever else comes is read in the long way, which alone tells faults and notes.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any, Final

from samsyn.errors import BadInput
from samsyn.hl7v2.charsets import Charset, holds_utf8
from samsyn.hl7v2.interpret import RESULTS, interpret
from samsyn.hl7v2.meaning import Interpretation, PatientClaim, ReportEvent, SentIdentifier
from samsyn.hl7v2.parsing import Message, column, kind_field, parse
from samsyn.hl7v2.paths import Path
from samsyn.hl7v2.profile import Profile
from samsyn.hl7v2.readings.identity import LONGEST_NAME
from samsyn.hl7v2.readings.results import made_at
from samsyn.hl7v2.times import PointInTime, is_day, read_time
from samsyn.hl7v2.values import is_one_order, issuer_of
from samsyn.limits import (
    KIB,
    MAX_HL7_COMPONENTS,
    MAX_HL7_FIELDS,
    MAX_HL7_MESSAGE_BYTES,
    MAX_HL7_SEGMENTS,
    MAX_REPORT_CHARACTERS,
)
from samsyn.model.patient import Demographics
from samsyn.model.sender import Sender

_BEGINNING: Final = b"MSH|^~\\&|"
_MARKS_IN_BEGINNING: Final = 2
"""The repetition and the escape character, which stand nowhere else in a plain message."""
_NOT_PLAIN: Final = bytes({*range(0x0D), *range(0x0E, 0x20), *range(0x7F, 0xA1), 0xAD, *b"~\\"})
"""Bytes of a Latin text that make a field more than it says, or may be read in two ways; CR ends segments."""
_LATIN: Final = (Charset.LATIN_1, Charset.WINDOWS_1252)
_LINE: Final = "\rOBX|"
_LINE_FIELDS: Final = 12
"""Fields of a line up to its status (OBX-11), the name included."""
_DIGITS: Final = 9
_LONGEST_FORM: Final = 16 * KIB
_MOST_SEGMENTS_BESIDE: Final = 24
"""Segments beside the lines of text; a message with more is read in the long way."""
_MOST_FIELDS_READ: Final = 64
_MOST_PLANS: Final = 32
_REMEMBERED: Final = 256
"""Of each kind what is remembered of one source, some hundred bytes each; then it begins anew."""
_LONGEST_KEY: Final = 1_000
"""Characters of the fields that something is remembered by."""

Place = tuple[int, int, int, int]
"""Segment (by its number among those beside the lines), field, component and subcomponent; 0 as in `Path`."""


class _TakesLong(Exception):
    """The message is to be read in the long way."""


class _Remembered(dict[Any, Any]):
    """A bounded memory."""

    def keep(self, key: tuple[Any, ...], found: Any) -> None:
        """Keeps it, unless the key is too long."""
        if sum(len(part) for part in key if isinstance(part, str)) <= _LONGEST_KEY:
            if len(self) >= _REMEMBERED:
                self.clear()
            self[key] = found


class _Plan:
    """Where the profile's places are in messages of one sequence of segments. _TakesLong: they can not be told so."""

    def __init__(self, names: Sequence[str], own: Sequence[int], profile: Profile) -> None:
        """`names` of the segments beside the lines of text; `own`: which of them are the report's own."""
        self._names = names
        self._every = range(len(names))
        self._own = own
        rules, patient = profile.report, profile.patient
        self.other_kinds: set[str] = set()
        """Kinds of observation that the profile looks for: no line of text may be one."""
        self.reports = _Remembered()
        """Fields that decide, as sent -> what they mean for the report; and for the patient:"""
        self.patients = _Remembered()
        self.sent = self._places([Path("MSH", "", 7, 1)], self._every)
        self.told = self._places(rules.result_time, self._own, has_header=True)
        self.examined = self._places(rules.examined, self._own)
        self.accession = self._places(rules.accession, self._own)
        self.placer = self._places(rules.placer, self._own)
        self.filler = self._places(rules.filler, self._own)
        self.visit = self._places(patient.visit, self._every)
        self.account = self._places(patient.account, self._every)
        if any(each is None or names.count(names[each[0]]) > 1 for each in self.accession):
            raise _TakesLong  # the number's name space could stand in another segment
        if "NTE" in names:
            raise _TakesLong  # a comment, which is text of the report where it stands behind one of its lines
        if "PID" not in names or any(path.segment != "PID" or path.kind for path in patient.identifiers):
            raise _TakesLong
        self.pid, (self.identifier, *others) = (
            names.index("PID"),
            [path.field for path in patient.identifiers],
        )
        self.other_identifiers = tuple((self.pid, field) for field in others)
        """They are empty where the message is read in the short way."""
        report_paths = (
            rules.performer_unit, rules.study_uid, rules.author, rules.signer, rules.annulled_by, rules.code,
            rules.procedure, rules.reason, rules.status_at, (Path("ORC", "", 1),),
        )  # fmt: skip
        self.of_report = self._fields((path for paths in report_paths for path in paths), self._own)
        self.of_patient = self._fields(
            (
                *(condition.path for condition in (*patient.protected, *patient.unprotected)),
                *(Path("PID", "", field) for field in (8, 29, 30)),
            ),
            self._every,
        )
        """(segment, field) of all that decides on the rest of report and patient."""

    def _places(
        self, paths: Iterable[Path], among: Sequence[int], has_header: bool = False
    ) -> tuple[Place | None, ...]:
        """The places in order, None for the lines of text. `has_header`: the message's header is one, too."""
        found: list[Place | None] = []
        for path in paths:
            if path.segment == "OBX":
                if path.kind:
                    self.other_kinds.add(path.kind.upper())
                else:
                    found.append(None)
                continue
            where = self._named(path, [0] if has_header and path.segment == "MSH" else among)
            if path.kind or (not path.component and len(where) > 1):
                raise _TakesLong
            found += [(each, path.field, path.component, path.subcomponent) for each in where]
        return tuple(found)

    def _named(self, path: Path, among: Sequence[int]) -> list[int]:
        if path.segment == "MSH" and path.field <= 2:
            raise _TakesLong
        return [each for each in among if self._names[each] == path.segment]

    def _fields(self, paths: Iterable[Path], among: Sequence[int]) -> tuple[tuple[int, int], ...]:
        found: dict[tuple[int, int], None] = {}
        for path in paths:
            if path.segment == "OBX":
                if not path.kind:
                    raise _TakesLong
                self.other_kinds.add(path.kind.upper())
                continue
            for each in self._named(path, among):
                found[each, path.field] = None
                if path.kind:
                    found[each, kind_field(path.segment)] = None
        if len(found) > _MOST_FIELDS_READ:
            raise _TakesLong
        return tuple(found)


class AlikeReports:
    """Reads the messages of one source. For one thread at a time."""

    def __init__(self, profile: Profile, sender: Sender) -> None:
        self._profile = profile
        self._sender = sender
        self._charsets = _Remembered()
        """Fields of the header -> the character set of a message that is taken."""
        self._plans: dict[tuple[int | str, ...], _Plan | None] = {}
        """How many segments are before the lines of text, and the names of all beside them -> where things stand."""
        self._lines = _Remembered()
        """What stands before and behind the text of a line, and how many -> lengths before, and a form of all."""
        self.read_short = 0
        """How many were read in the short way."""

    def read(self, raw: bytes, arrived: datetime | None = None) -> Interpretation:
        """As `read_message` with this profile and sender."""
        try:
            found = self._short(raw, arrived)
        except _TakesLong:
            return self._long(raw, arrived)
        self.read_short += 1
        return found

    def _long(self, raw: bytes, arrived: datetime | None) -> Interpretation:
        message = parse(raw, self._profile.charset, self._profile.forced_charset, arrived)
        found = interpret(message, self._profile, self._sender)
        if raw.startswith(_BEGINNING):
            self._learn(raw, message, found)
        return found

    def _short(self, raw: bytes, arrived: datetime | None) -> Interpretation:
        text = self._text(raw)
        first, last = text.find(_LINE), text.rfind(_LINE)
        if first < 0:
            raise _TakesLong
        end = text.find("\r", last + 1)
        end = len(text) if end < 0 else end
        beside = text[:first].split("\r")
        place = len(beside)
        if end + 1 < len(text):
            beside += text[end + 1 :].removesuffix("\r").split("\r")
        if len(beside) > _MOST_SEGMENTS_BESIDE:
            raise _TakesLong
        segments = [line.split("|") for line in beside]
        if max(map(len, segments)) > MAX_HL7_FIELDS:
            raise _TakesLong
        segments[0].insert(1, "|")
        plan = self._plans.get((place, *[fields[0] for fields in segments]))
        if plan is None:
            raise _TakesLong
        line, texts = self._lines_of(text[first + 1 : end])
        of_report = plan.reports.get((line, *_read(segments, plan.of_report)))
        pid = segments[plan.pid]
        identifier = pid[plan.identifier] if plan.identifier < len(pid) else ""
        number, _, issued = identifier.partition("^")
        of_patient = plan.patients.get((issued, *_read(segments, plan.of_patient)))
        if of_report is None or of_patient is None or any(_read(segments, plan.other_identifiers)):
            raise _TakesLong
        sent = _moment(plan.sent, segments)
        told = _moment(plan.told, segments)
        examined = _moment(plan.examined, segments)
        # What is meant by such times depends on when the message came.
        if sent is not None and (sent.ambiguous or sent.doubt or sent.is_ahead(arrived)):
            raise _TakesLong
        if told is not None and (told.ambiguous or told.doubt or told.is_ahead(arrived)):
            raise _TakesLong
        accession, issuer = self._accession(plan, segments)
        owner, study_uids, status, is_fragment, author, signer, code, procedure, reason, heading = of_report
        made = made_at(status, told, sent, arrived)
        event = ReportEvent(
            patient=self._patient(pid, number, of_patient, plan, segments),
            owner=owner,
            accession=accession,
            accession_issuer=issuer,
            placer_id=_word(plan.placer, segments),
            filler_id=_word(plan.filler, segments),
            study_uids=study_uids,
            status=status,
            fragment=is_fragment,
            result_time=made.begins if made else None,
            examined=examined.day if examined else "",
            author=author,
            signer=signer,
            procedure_code=code,
            procedure_text=procedure,
            text=_joined([heading, *texts] if heading else texts),
            reason=reason,
            when=sent.begins if sent else None,
        )
        return Interpretation((event,))

    def _text(self, raw: bytes) -> str:
        """The message as text, plain in every field, with a header that is taken."""
        if not raw.startswith(_BEGINNING) or len(raw) > MAX_HL7_MESSAGE_BYTES:
            raise _TakesLong
        header = raw[: raw.find(b"\r")].split(b"|")
        charset = self._charsets.get(_envelope(header))
        if (
            charset is None
            or len(header) < 10
            or not header[9][:1].isalnum()
            or len(header[9]) > _LONGEST_KEY // 2
        ):
            raise _TakesLong
        if charset in _LATIN:
            if len(raw) - len(raw.translate(None, _NOT_PLAIN)) != _MARKS_IN_BEGINNING or holds_utf8(raw):
                raise _TakesLong
            return raw.decode("latin-1")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            raise _TakesLong from None
        marks = text.count("~") + text.count("\\")
        if marks != _MARKS_IN_BEGINNING or not text.replace("\r", "").isprintable():
            raise _TakesLong
        return text

    def _lines_of(self, block: str) -> tuple[tuple[str, str, str], list[str]]:
        """What all lines of text have in common as far as it means something (OBX-2, 3 and 11), and their texts.

        The lines are cut where a form of them tells, and the form filled with the texts has to give them again.
        """
        lines = block.split("\r")
        fields = lines[0].split("|")
        if not _LINE_FIELDS <= len(fields) <= MAX_HL7_FIELDS or not fields[1][:_DIGITS].isdecimal():
            raise _TakesLong
        before, behind = f"|{'|'.join(fields[2:5])}|", f"|{'|'.join(fields[6:])}"
        form = self._lines.get((before, behind, fields[1], len(lines)))
        if form is None:
            if len(lines) > MAX_HL7_SEGMENTS - _MOST_SEGMENTS_BESIDE:
                raise _TakesLong
            form = _form(before, behind, int(fields[1][:_DIGITS]), len(lines))
            if len(form[1]) <= _LONGEST_FORM:
                self._lines.keep((before, behind, fields[1], len(lines)), form)
        starts, whole = form
        stop = -len(behind)
        texts = [line[start:stop] for start, line in zip(starts, lines, strict=True)]
        if (
            whole % tuple(texts) != block
            or block.count("|") != len(lines) * (len(fields) - 1)
            or '""' in block
        ):
            raise _TakesLong
        return (fields[2], fields[3], fields[11]), texts

    def _accession(self, plan: _Plan, segments: list[list[str]]) -> tuple[str, str]:
        for place in plan.accession:
            number = " ".join(_at(place, segments).split())
            if number:
                assert place is not None  # _at would not have answered
                each, field, component, _ = place
                if component != 1:
                    return number, ""
                name, universal = (_at((each, field, part, 0), segments) for part in (2, 3))
                return number, issuer_of(name, universal, self._profile.accession_issuers)
        raise _TakesLong

    def _patient(
        self, pid: list[str], number: str, learned: Any, plan: _Plan, segments: list[list[str]]
    ) -> PatientClaim:
        number = number.strip()
        name, birth = (pid[field] if field < len(pid) else "" for field in (5, 7))
        if (
            not number
            or number == '""'
            or not (birth == "" or (len(birth) == len("YYYYMMDD") and is_day(birth)))
        ):
            raise _TakesLong
        issuer, is_recognised, sex, is_protected, deceased, is_unprotected = learned
        return PatientClaim(
            (SentIdentifier(number, issuer, is_recognised),),
            Demographics(_name(name), birth, sex, is_protected, deceased, is_unprotected),
            _word(plan.visit, segments),
            _word(plan.account, segments),
        )

    def _learn(self, raw: bytes, message: Message, found: Interpretation) -> None:
        """Remembers what a message meant that was read in the long way, if others like it can be read in the short."""
        if not all(segment.grammar.is_plain for segment in message.segments):
            return
        if found.notes or len(found.events) != 1 or not isinstance(found.events[0], ReportEvent):
            return
        kind = f"{message.msh.text(9).upper()}^{message.msh.text(9, 2).upper()}"
        if kind not in RESULTS or message.charset not in (*_LATIN, Charset.UTF_8):
            return
        names, place = _beside(message)
        sequence: tuple[int | str, ...] = (place, *names)
        if not 0 < len(names) <= _MOST_SEGMENTS_BESIDE or not is_one_order(message.segments):
            return
        if sequence not in self._plans:
            if len(self._plans) >= _MOST_PLANS:
                self._plans.clear()
            own = next((each for each, name in enumerate(names) if name in ("ORC", "OBR")), place)
            try:
                if own >= place:
                    raise _TakesLong  # the lines are not the order's
                self._plans[sequence] = _Plan(names, range(own, len(names)), self._profile)
            except _TakesLong:
                self._plans[sequence] = None
        plan = self._plans[sequence]
        if plan is not None and plan.other_kinds.isdisjoint(message.segments.kinds("OBX")):
            self._keep(raw, message, plan, found.events[0])

    def _keep(self, raw: bytes, message: Message, plan: _Plan, event: ReportEvent) -> None:
        lines = message.segments.named("OBX")
        columns = [set(column(lines, field)) for field in (2, 3, 11)]
        beside = [list(each.fields) for each in message.segments if each.name != "OBX"]
        (identifier,) = _read(beside, ((plan.pid, plan.identifier),))
        if (
            not event.text  # deleted lines, or an empty report that takes another back
            or any(len(words) != 1 for words in columns)
            or not identifier
            or any(_read(beside, plan.other_identifiers))
        ):
            return
        self._charsets.keep(_envelope(raw[: raw.find(b"\r")].split(b"|")), message.charset)
        plan.reports.keep(
            (tuple(words.pop() for words in columns), *_read(beside, plan.of_report)),
            (
                event.owner, event.study_uids, event.status, event.fragment, event.author, event.signer,
                event.procedure_code, event.procedure_text, event.reason,
                self._profile.report.headings.get(lines[0].kind, ""),
            ),
        )  # fmt: skip
        (sent,), said = event.patient.identifiers, event.patient.demographics
        plan.patients.keep(
            (identifier.partition("^")[2], *_read(beside, plan.of_patient)),
            (sent.issuer, sent.recognised, said.sex, said.protected, said.deceased, said.unprotected),
        )


_OF_HEADER: Final = itemgetter(8, 10, 11, 17)
"""MSH-9, 11, 12 and 18 of a header that was cut at its separators."""


def _envelope(header: list[bytes]) -> tuple[bytes, ...]:
    """What of a header decides whether a message is taken, and how it is read; MSH-18 empty where it is missing."""
    if len(header) <= 17:
        header = header + [b""] * (18 - len(header))
    return tuple(_OF_HEADER(header))


def _beside(message: Message) -> tuple[tuple[str, ...], int]:
    """Names of the segments beside the lines of text, and how many are before these; no names where the lines do not
    stand together."""
    names = [segment.name for segment in message.segments]
    count = names.count("OBX")
    first = names.index("OBX") if count else 0
    if not count or names[first : first + count].count("OBX") != count:
        return (), 0
    return (*names[:first], *names[first + count :]), first


def _form(before: str, behind: str, number: int, count: int) -> tuple[list[int], str]:
    """Where the text begins in each of so many lines that are numbered on, and all of them with %s in its place."""
    begins = [f"OBX|{number + each}{before}" for each in range(count)]
    shape = "\r".join([f"{each}\0{behind}" for each in begins])
    return [len(each) for each in begins], shape.replace("%", "%%").replace("\0", "%s")


def _read(segments: list[list[str]], places: tuple[tuple[int, int], ...]) -> list[str]:
    """Those fields as sent."""
    return [segments[each][field] if field < len(segments[each]) else "" for each, field in places]


def _at(place: Place | None, segments: list[list[str]]) -> str:
    """What stands at a place of a plain message; see `Segment.text` and `Path.read`."""
    if place is None:
        raise _TakesLong
    each, field, component, subcomponent = place
    fields = segments[each]
    raw = fields[field] if field < len(fields) else ""
    if not raw or raw.isalnum():
        return raw if component <= 1 and subcomponent <= 1 else ""
    if component:
        parts = raw.split("^", MAX_HL7_COMPONENTS)
        if len(parts) > MAX_HL7_COMPONENTS or (subcomponent and "&" in raw):
            raise _TakesLong
        raw = parts[component - 1] if component <= len(parts) and subcomponent <= 1 else ""
    return "" if raw == '""' else raw.strip()


def _first(places: Iterable[Place | None], segments: list[list[str]]) -> str:
    """The first of the places that is not empty."""
    for place in places:
        found = _at(place, segments)
        if found:
            return found
    return ""


def _word(places: Iterable[Place | None], segments: list[list[str]]) -> str:
    found = _first(places, segments)
    return " ".join(found.split()) if " " in found else found


def _moment(places: Iterable[Place | None], segments: list[list[str]]) -> PointInTime | None:
    try:
        return read_time(_first(places, segments))
    except BadInput:
        raise _TakesLong from None


def _name(raw: str) -> str:
    """PID-5 of a plain message; see `readings.identity`."""
    if "=" in raw or "&" in raw or '"' in raw or raw.count("^") >= MAX_HL7_COMPONENTS:
        raise _TakesLong
    parts = [" ".join(part.split()) if " " in part else part for part in raw.split("^", 3)[:3]]
    return "^".join(parts).rstrip("^")[:LONGEST_NAME]


def _joined(texts: list[str]) -> str:
    """The text of a report of plain lines; see `readings.results.report_text`."""
    text = "\n".join(texts)
    if " \n" in text or text[-1:] in ("", " ", "\n") or text[0] == "\n":
        text = "\n".join([line.rstrip() for line in texts]).strip("\n")
    if not text or len(text) > MAX_REPORT_CHARACTERS or text.isspace():
        raise _TakesLong
    return text
