"""A bounded reader of HL7 v2 messages (chapter 2): segments, fields, repetitions, components.

Nothing is thrown away: unknown and Z-segments stay in order, and values are cut and unescaped only when asked
for, so a fault in a field that nobody reads refuses nothing. Every cut is counted before it is made; memory is
a small multiple of the message. Field numbers are the standard's: MSH-1 is the field separator itself.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from itertools import pairwise

from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.hl7v2.charsets import Charset, charset_for, decode
from samsyn.hl7v2.escapes import Delimiters, unescape
from samsyn.hl7v2.faults import DATA_TYPE_ERROR, SEGMENT_SEQUENCE, BadMessage
from samsyn.limits import (
    MAX_HL7_COMPONENTS,
    MAX_HL7_FIELDS,
    MAX_HL7_MESSAGE_BYTES,
    MAX_HL7_REPETITIONS,
    MAX_HL7_SEGMENTS,
)
from samsyn.model.value import value

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(slots=True, eq=False)
class Grammar:
    """How the values of one message are read, and those that were read: dozens of OBX repeat the same codes."""

    delimiters: Delimiters
    charset: Charset
    is_plain: bool = False
    """Nothing is repeated, escaped or unprintable in any field, so that each stands there as it is meant."""
    texts: dict[tuple[str, int, int, int], str] = field(default_factory=dict)
    """(field as sent, component, subcomponent, repetition) -> text."""
    parts: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """Field as sent -> its components, of plain fields."""
    codes: dict[str, str] = field(default_factory=dict)
    """Field as sent -> its first component in upper case."""


@dataclass(slots=True)
class Segment:
    """One segment. `sequence` counts segments of the same name in the message from 1.

    Nobody changes it; it is not frozen because a message has dozens, which would take three times as long to make.
    """

    name: str
    sequence: int
    fields: Sequence[str]
    """fields[n] is field n as sent, still escaped; fields[0] is the name. Nobody changes them."""
    grammar: Grammar

    @property
    def kind(self) -> str:
        """What it tells about, in upper case: OBX-3 observation identifier, NTE-4 comment type; field 1 of others."""
        return self.code(kind_field(self.name))

    def code(self, field: int) -> str:
        """The first component in upper case, as codes are compared."""
        raw = self.fields[field] if field < len(self.fields) else ""
        known = self.grammar.codes.get(raw)
        if known is None:
            known = self.text(field).upper()
            if field > 2 or self.name != "MSH":
                self.grammar.codes[raw] = known
        return known

    def repetitions(self, field: int) -> int:
        """How many repetitions field `field` has; 0 when it is absent or empty."""
        return len(self._repeated(field))

    def whole(self, field: int, repetition: int = 1) -> str:
        """One repetition as text, for types without components (TX, FT, ST): `^` and `&` are letters there."""
        return self._plain(field, self._repetition(field, repetition))

    def every(self, field: int) -> list[str]:
        """Every repetition as `whole` gives it, cut once however many there are."""
        if self.grammar.is_plain:
            raw = self.fields[field] if field < len(self.fields) else ""
            return ["" if raw == '""' else raw] if raw else []
        return [self._plain(field, raw) for raw in self._repeated(field)]

    def text(self, field: int, component: int = 1, subcomponent: int = 0, repetition: int = 1) -> str:
        """A component as text; "" when absent. `subcomponent` 0 = the component with its `&` unparted.

        HL7's null (`""`, delete the value) reads as "" too; `is_null` tells it apart.
        """
        fields = self.fields
        if field >= len(fields):
            return ""
        raw = fields[field]
        if not raw:
            return ""
        if raw.isalnum():  # the usual case: nothing to cut or to unescape, since delimiters are neither
            return raw if component == 1 and repetition == 1 and subcomponent <= 1 else ""
        if field <= 2 and self.name == "MSH":
            return self._read(field, component, subcomponent, repetition)
        grammar = self.grammar
        if grammar.is_plain:
            if repetition != 1:
                return ""
            parts = grammar.parts.get(raw) or self._plain_parts(raw)
            if not 0 < component <= len(parts):
                return ""
            value = parts[component - 1]
            if subcomponent and not value.isalnum():
                value = self._subcomponent(value, subcomponent)
            elif subcomponent > 1:
                return ""
            return "" if value == '""' else value.strip()
        place = (raw, component, subcomponent, repetition)
        known = grammar.texts.get(place)
        if known is None:
            known = grammar.texts[place] = self._read(field, component, subcomponent, repetition)
        return known

    def _plain_parts(self, raw: str) -> tuple[str, ...]:
        """The components of a plain field, kept for the next who asks."""
        parts = self.grammar.parts[raw] = self._cut_components(raw)
        return parts

    def _read(self, field: int, component: int, subcomponent: int, repetition: int) -> str:
        raw = self.fields[field]
        if repetition == 1 and not subcomponent and self._is_plain(raw):
            parts = self.grammar.parts.get(raw) or self._plain_parts(raw)
            value = parts[component - 1] if 0 < component <= len(parts) else ""
            return "" if value == '""' else value.strip()
        raw = self._component(field, component, repetition)
        if subcomponent:
            raw = self._subcomponent(raw, subcomponent)
        return self._plain(field, raw).strip()

    def _subcomponent(self, raw: str, subcomponent: int) -> str:
        parts = _cut(raw, self.grammar.delimiters.subcomponent, MAX_HL7_COMPONENTS, "MAX_HL7_COMPONENTS")
        return parts[subcomponent - 1] if subcomponent <= len(parts) else ""

    def _is_plain(self, raw: str) -> bool:
        marks = self.grammar.delimiters
        return (
            raw.isprintable()
            and self.name != "MSH"
            and self.grammar.charset is not Charset.SWEDISH_7BIT
            and not (marks.repetition and marks.repetition in raw)
            and not (marks.escape and marks.escape in raw)
        )

    def is_null(self, field: int) -> bool:
        """Whether the sender asks to delete the value (chapter 2.5.3: two quotation marks)."""
        return len(self.fields) > field and self.fields[field] == '""'

    def fault(self, field: int, sentence: str, condition: int = DATA_TYPE_ERROR) -> BadMessage:
        """An error that names this place; the sentence must not repeat the value."""
        return BadMessage(self.name, self.sequence, field, sentence, condition)

    def _repeated(self, field: int) -> tuple[str, ...]:
        raw = self.fields[field] if field < len(self.fields) else ""
        if not raw:
            return ()
        if self.grammar.is_plain or (self.name == "MSH" and field <= 2):
            return (raw,)
        return _cut(raw, self.grammar.delimiters.repetition, MAX_HL7_REPETITIONS, "MAX_HL7_REPETITIONS")

    def _repetition(self, field: int, repetition: int) -> str:
        repeated = self._repeated(field)
        return repeated[repetition - 1] if 0 < repetition <= len(repeated) else ""

    def _component(self, field: int, component: int, repetition: int) -> str:
        raw = self._repetition(field, repetition)
        if self.name == "MSH" and field <= 2:
            return raw if component == 1 else ""
        parts = self._cut_components(raw)
        return parts[component - 1] if 0 < component <= len(parts) else ""

    def _cut_components(self, raw: str) -> tuple[str, ...]:
        return _cut(raw, self.grammar.delimiters.component, MAX_HL7_COMPONENTS, "MAX_HL7_COMPONENTS")

    def _plain(self, field: int, raw: str) -> str:
        if raw == '""':
            return ""
        if self.grammar.is_plain or (self.name == "MSH" and field <= 2):
            return raw
        try:
            return unescape(raw, self.grammar.delimiters, self.grammar.charset)
        except BadInput as error:
            raise self.fault(field, error.detail) from None


def kind_field(name: str) -> int:
    """The field of such a segment that tells what it is about."""
    return 3 if name == "OBX" else 4 if name == "NTE" else 1


def column(segments: Sequence[Segment], field: int) -> list[str]:
    """Field `field` of each as sent, "" where there is none."""
    try:
        return [each.fields[field] for each in segments]
    except IndexError:
        return [each.fields[field] if field < len(each.fields) else "" for each in segments]


class Segments(tuple[Segment, ...]):
    """Segments in order that are found by name or kind without looking at the others: a report has dozens of OBX."""

    by_name: dict[str, list[Segment]]
    """Those of each name, in order."""
    _codes: dict[tuple[str, int], list[str]]

    def __new__(
        cls, segments: Iterable[Segment] = (), by_name: dict[str, list[Segment]] | None = None
    ) -> "Segments":
        """`by_name`: the same segments by their names, for who has them so already."""
        made = super().__new__(cls, segments)
        if by_name is None:
            by_name = {}
            for segment in made:
                by_name.setdefault(segment.name, []).append(segment)
        made.by_name = by_name
        made._codes = {}
        return made

    def named(self, name: str) -> Sequence[Segment]:
        """Those of that name, in order."""
        return self.by_name.get(name, ())

    def codes(self, name: str, field: int) -> list[str]:
        """`Segment.code` of each of that name, in order; what stands alike is read once."""
        found = self._codes.get((name, field))
        if found is None:
            segments = self.by_name.get(name, [])
            raws = column(segments, field)
            if not raws or raws.count(raws[0]) == len(raws):
                found = [segments[0].code(field)] * len(raws) if segments else []
            else:
                known: dict[str, str] = {}
                for segment, raw in zip(segments, raws, strict=True):
                    if raw not in known:
                        known[raw] = segment.code(field)
                found = [known[raw] for raw in raws]
            self._codes[name, field] = found
        return found

    def kinds(self, name: str) -> list[str]:
        """`Segment.kind` of each of that name, in order."""
        return self.codes(name, kind_field(name))

    def of_kind(self, name: str, kind: str) -> list[Segment]:
        """Those of that name that tell about `kind` (upper case), in order."""
        kinds = self.kinds(name)
        if kind not in kinds:
            return []
        return [segment for segment, each in zip(self.by_name[name], kinds, strict=True) if each == kind]

    def after(self, position: int) -> "Segments":
        """These without the first so many."""
        left = dict(self.by_name)
        for segment in self[:position]:
            others = left.pop(segment.name)[1:]
            if others:
                left[segment.name] = others
        return Segments(self[position:], left)


@value
class Message:
    """One message, segments in the order sent; the first is always MSH."""

    segments: Segments
    delimiters: Delimiters
    charset: Charset
    arrived: datetime | None = None
    """When it came, where the reader is to know; decides nothing but which of autumn's two hours was meant."""

    @property
    def msh(self) -> Segment:
        """The message header."""
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next(iter(self.segments.named(name)), None)

    def all(self, name: str) -> Iterator[Segment]:
        """Every segment of that name, in order."""
        return iter(self.segments.named(name))


def parse(
    raw: bytes,
    default: Charset = Charset.LATIN_1,
    forced: Charset | None = None,
    arrived: datetime | None = None,
) -> Message:
    """Read one message as it stood in its MLLP block or file.

    Segments end with CR; CR LF and, in files, LF alone are tolerated. `default` is the source's character set
    when MSH-18 is silent, `forced` overrules MSH-18. Raises BadInput, BadMessage, NotSupported (character set)
    or LimitExceeded; never anything else, whatever the bytes.
    """
    if len(raw) > MAX_HL7_MESSAGE_BYTES:
        raise LimitExceeded(
            f"MAX_HL7_MESSAGE_BYTES: the message is larger than {MAX_HL7_MESSAGE_BYTES} bytes"
        )
    raw = raw.removeprefix(_UTF8_MARK).lstrip(b"\r\n")
    delimiters = read_delimiters(raw)
    charset = charset_for(_declared_charset(raw, delimiters), default, forced)
    lines = _lines(decode(raw, charset))
    segments = _segments(lines, delimiters, charset)
    return Message(segments, delimiters, charset, arrived)


def read_delimiters(raw: bytes) -> Delimiters:
    """MSH-1 and MSH-2 of a message. BadInput when it does not begin with a usable MSH."""
    if not raw.startswith(b"MSH") or len(raw) < 5:
        raise BadMessage("MSH", 1, 0, "a message begins with an MSH segment", SEGMENT_SEQUENCE)
    line = raw[:64].splitlines()[0]
    return _delimiters(raw[3:4], line[4:].split(raw[3:4], 1)[0])


@lru_cache(maxsize=64)
def _delimiters(separator: bytes, encoding_characters: bytes) -> Delimiters:
    """MSH-1 and MSH-2 judged; a source sends the same ones for years."""
    encoding = encoding_characters.decode("latin-1")
    given = separator.decode("latin-1") + encoding
    if not 1 <= len(encoding) <= 5:
        raise BadMessage("MSH", 1, 2, "one to five encoding characters are needed, as in ^~\\&")
    if len(set(given)) != len(given) or any(not _is_delimiter(character) for character in given):
        raise BadMessage(
            "MSH", 1, 2, "delimiters must be different printable ASCII signs, no letters or digits"
        )
    padded = [*encoding, "", "", "", ""]
    return Delimiters(given[0], padded[0], padded[1], padded[2], padded[3], padded[4])


def is_batch(raw: bytes) -> bool:
    """Whether the bytes begin as a batch: with a file or batch header (FHS, BHS)."""
    return raw.removeprefix(_UTF8_MARK).lstrip(b"\r\n")[:3] in (b"FHS", b"BHS")


def split_batch(raw: bytes) -> tuple[bytes, ...]:
    """The messages of a batch file (FHS/BHS ... BTS/FTS, chapter 2.10.3), each byte for byte.

    A lone message comes back as one. BadInput when the file's own counts (BTS-1) disagree with what it holds.
    """
    starts = [match.start() for match in re.finditer(rb"(?:\A|(?<=[\r\n]))MSH(?=[^A-Za-z0-9\s])", raw)]
    if len(starts) > MAX_HL7_SEGMENTS:
        raise LimitExceeded("MAX_HL7_SEGMENTS: too many messages in one batch file")
    messages = []
    for start, end in pairwise([*starts, len(raw)]):
        trailer = re.search(rb"[\r\n](?:BHS|BTS|FTS)", raw[start:end])
        messages.append(raw[start : start + trailer.start() + 1 if trailer else end])
    told = [int(count) for count in re.findall(rb"(?:\A|[\r\n])BTS.([0-9]{1,9})", raw)]
    if told and sum(told) != len(messages):
        raise BadMessage("BTS", 1, 1, f"the file tells {sum(told)} messages and holds {len(messages)}")
    return tuple(messages)


def _is_delimiter(character: str) -> bool:
    return 0x21 <= ord(character) <= 0x7E and not character.isalnum()


def _declared_charset(raw: bytes, delimiters: Delimiters) -> str:
    """MSH-18's first repetition; every character set read here has ASCII delimiters."""
    ends = [place for place in (raw.find(b"\r"), raw.find(b"\n")) if place >= 0]
    line = raw[: min(ends, default=len(raw))]
    fields = line.split(delimiters.field.encode("ascii"), 18)
    if len(fields) < 18:
        return ""
    declared = fields[17].decode("ascii", errors="replace")
    if delimiters.repetition:
        declared = declared.split(delimiters.repetition, 1)[0]
    if "\ufffd" in declared:
        raise NotSupported("MSH-18: the character set's name is not readable")
    return declared


def _is_plain(text: str, delimiters: Delimiters, charset: Charset) -> bool:
    """Whether no field in it has anything to part into repetitions, to unescape or to refuse."""
    return (
        charset is not Charset.SWEDISH_7BIT
        and not (delimiters.repetition and delimiters.repetition in text)
        and not (delimiters.escape and delimiters.escape in text)
        and text.isprintable()
    )


def _lines(text: str) -> list[str]:
    """Segments without their ends. LF inside CR-ended segments is a line break of the text, not an end."""
    end = "\r" if "\r" in text else "\n"
    if text.count(end) > 2 * MAX_HL7_SEGMENTS:
        raise LimitExceeded(f"MAX_HL7_SEGMENTS: more than {MAX_HL7_SEGMENTS} segments")
    lines = text.split(end)
    if end == "\r" and "\n" in text:
        lines = [line.strip("\n") for line in lines]
    lines = [line for line in lines if line and not line.isspace()]
    if len(lines) > MAX_HL7_SEGMENTS:
        raise LimitExceeded(f"MAX_HL7_SEGMENTS: more than {MAX_HL7_SEGMENTS} segments")
    return lines


def _segments(lines: Sequence[str], delimiters: Delimiters, charset: Charset) -> Segments:
    mark = delimiters.field
    plain, other = Grammar(delimiters, charset, True), Grammar(delimiters, charset)
    all_plain = _is_plain("".join(lines[1:]), delimiters, charset)
    by_name: dict[str, list[Segment]] = {}
    segments: list[Segment] = []
    for line in lines:
        fields = line.split(mark, MAX_HL7_FIELDS)
        name = fields[0]
        alike = by_name.get(name)
        if alike is None:
            if not _NAME.fullmatch(name):
                raise BadInput(
                    f"segment {len(segments) + 1} does not begin with a segment name and the field separator "
                    "(a line break inside a text must be sent as \\.br\\)"
                )
            alike = by_name[name] = []
        if len(fields) > MAX_HL7_FIELDS:
            raise LimitExceeded(f"MAX_HL7_FIELDS: more than {MAX_HL7_FIELDS}")
        if name == "MSH":
            is_plain = _is_plain("".join(fields[2:]), delimiters, charset)
            fields.insert(1, mark)
        else:
            is_plain = all_plain or _is_plain(line, delimiters, charset)
        segment = Segment(name, len(alike) + 1, fields, plain if is_plain else other)
        alike.append(segment)
        segments.append(segment)
    if len(by_name["MSH"]) > 1:
        raise BadMessage(
            "MSH", 2, 0, "one block holds two messages; each needs its own frame", SEGMENT_SEQUENCE
        )
    return Segments(segments, by_name)


def _cut(raw: str, delimiter: str, most: int, limit: str) -> tuple[str, ...]:
    """The parts, at most `most`; LimitExceeded tells of more before they are made."""
    if not delimiter or delimiter not in raw:
        return (raw,)
    parts = raw.split(delimiter, most)
    if len(parts) > most:
        raise LimitExceeded(f"{limit}: more than {most}")
    return tuple(parts)
