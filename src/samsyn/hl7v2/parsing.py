"""A bounded reader of HL7 v2 messages (chapter 2): segments, fields, repetitions, components.

Nothing is thrown away: unknown and Z-segments stay in order, and values are cut and unescaped only when asked
for, so a fault in a field that nobody reads refuses nothing. Every cut is counted before it is made; memory is
a small multiple of the message. Field numbers are the standard's: MSH-1 is the field separator itself.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
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

_NAME = re.compile(r"[A-Z][A-Z0-9]{2}")
_UTF8_MARK = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment. `sequence` counts segments of the same name in the message from 1."""

    name: str
    sequence: int
    fields: tuple[str, ...]
    """fields[n] is field n as sent, still escaped; fields[0] is the name."""
    delimiters: Delimiters
    charset: Charset

    def repetitions(self, field: int) -> int:
        """How many repetitions field `field` has; 0 when it is absent or empty."""
        return len(self._repeated(field))

    def whole(self, field: int, repetition: int = 1) -> str:
        """One repetition as text, for types without components (TX, FT, ST): `^` and `&` are letters there."""
        return self._plain(field, self._repetition(field, repetition))

    def every(self, field: int) -> list[str]:
        """Every repetition as `whole` gives it, cut once however many there are."""
        return [self._plain(field, raw) for raw in self._repeated(field)]

    def text(self, field: int, component: int = 1, subcomponent: int = 0, repetition: int = 1) -> str:
        """A component as text; "" when absent. `subcomponent` 0 = the component with its `&` unparted.

        HL7's null (`""`, delete the value) reads as "" too; `is_null` tells it apart.
        """
        if field >= len(self.fields) or not self.fields[field]:
            return ""
        raw = self.fields[field]
        if raw.isalnum():  # the usual case: nothing to cut or to unescape, since delimiters are neither
            return raw if component == 1 and repetition == 1 and subcomponent <= 1 else ""
        marks = self.delimiters
        if repetition == 1 and not subcomponent and raw.isprintable() and self._is_plain(raw):
            # Nothing repeated or escaped: one cut, as for most coded fields.
            parts = _cut(raw, marks.component, MAX_HL7_COMPONENTS, "MAX_HL7_COMPONENTS")
            value = parts[component - 1].strip() if 0 < component <= len(parts) else ""
            return "" if value == '""' else value
        raw = self._component(field, component, repetition)
        if subcomponent:
            parts = _cut(raw, self.delimiters.subcomponent, MAX_HL7_COMPONENTS, "MAX_HL7_COMPONENTS")
            raw = parts[subcomponent - 1] if subcomponent <= len(parts) else ""
        return self._plain(field, raw).strip()

    def _is_plain(self, raw: str) -> bool:
        marks = self.delimiters
        return (
            self.name != "MSH"
            and self.charset is not Charset.SWEDISH_7BIT
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
        if self.name == "MSH" and field <= 2:
            return (raw,)
        return _cut(raw, self.delimiters.repetition, MAX_HL7_REPETITIONS, "MAX_HL7_REPETITIONS")

    def _repetition(self, field: int, repetition: int) -> str:
        repeated = self._repeated(field)
        return repeated[repetition - 1] if 0 < repetition <= len(repeated) else ""

    def _component(self, field: int, component: int, repetition: int) -> str:
        raw = self._repetition(field, repetition)
        if self.name == "MSH" and field <= 2:
            return raw if component == 1 else ""
        parts = _cut(raw, self.delimiters.component, MAX_HL7_COMPONENTS, "MAX_HL7_COMPONENTS")
        return parts[component - 1] if 0 < component <= len(parts) else ""

    def _plain(self, field: int, raw: str) -> str:
        if raw == '""':
            return ""
        if self.name == "MSH" and field <= 2:
            return raw
        try:
            return unescape(raw, self.delimiters, self.charset)
        except BadInput as error:
            raise self.fault(field, error.detail) from None


@dataclass(frozen=True, slots=True)
class Message:
    """One message, segments in the order sent; the first is always MSH."""

    segments: tuple[Segment, ...]
    delimiters: Delimiters
    charset: Charset

    @property
    def msh(self) -> Segment:
        """The message header."""
        return self.segments[0]

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Segment]:
        """Every segment of that name, in order."""
        return (segment for segment in self.segments if segment.name == name)


def parse(raw: bytes, default: Charset = Charset.LATIN_1, forced: Charset | None = None) -> Message:
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
    counts: dict[str, int] = {}
    segments: list[Segment] = []
    for line in lines:
        segments.append(_segment(line, len(segments) + 1, counts, delimiters, charset))
    if sum(1 for segment in segments if segment.name == "MSH") > 1:
        raise BadMessage(
            "MSH", 2, 0, "one block holds two messages; each needs its own frame", SEGMENT_SEQUENCE
        )
    return Message(tuple(segments), delimiters, charset)


def read_delimiters(raw: bytes) -> Delimiters:
    """MSH-1 and MSH-2 of a message. BadInput when it does not begin with a usable MSH."""
    if not raw.startswith(b"MSH") or len(raw) < 5:
        raise BadMessage("MSH", 1, 0, "a message begins with an MSH segment", SEGMENT_SEQUENCE)
    field = chr(raw[3])
    line = re.split(rb"[\r\n]", raw[:64], maxsplit=1)[0]
    encoding = line[4:].split(raw[3:4], 1)[0].decode("latin-1")
    given = field + encoding
    if not 1 <= len(encoding) <= 5:
        raise BadMessage("MSH", 1, 2, "one to five encoding characters are needed, as in ^~\\&")
    if len(set(given)) != len(given) or any(not _is_delimiter(character) for character in given):
        raise BadMessage(
            "MSH", 1, 2, "delimiters must be different printable ASCII signs, no letters or digits"
        )
    padded = [*encoding, "", "", "", ""]
    return Delimiters(field, padded[0], padded[1], padded[2], padded[3], padded[4])


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
    line = re.split(rb"[\r\n]", raw, maxsplit=1)[0]
    fields = line.split(delimiters.field.encode("ascii"), 18)
    if len(fields) < 18:
        return ""
    declared = fields[17].decode("ascii", errors="replace")
    if delimiters.repetition:
        declared = declared.split(delimiters.repetition, 1)[0]
    if "\ufffd" in declared:
        raise NotSupported("MSH-18: the character set's name is not readable")
    return declared


def _lines(text: str) -> list[str]:
    """Segments without their ends. LF inside CR-ended segments is a line break of the text, not an end."""
    end = "\r" if "\r" in text else "\n"
    if text.count(end) > 2 * MAX_HL7_SEGMENTS:
        raise LimitExceeded(f"MAX_HL7_SEGMENTS: more than {MAX_HL7_SEGMENTS} segments")
    lines = [line.strip("\n") if end == "\r" else line for line in text.split(end)]
    lines = [line for line in lines if line.strip()]
    if len(lines) > MAX_HL7_SEGMENTS:
        raise LimitExceeded(f"MAX_HL7_SEGMENTS: more than {MAX_HL7_SEGMENTS} segments")
    return lines


def _segment(
    line: str, number: int, counts: dict[str, int], delimiters: Delimiters, charset: Charset
) -> Segment:
    name = line[:3]
    if not _NAME.fullmatch(name) or (len(line) > 3 and line[3] != delimiters.field):
        raise BadInput(
            f"segment {number} does not begin with a segment name and the field separator "
            "(a line break inside a text must be sent as \\.br\\)"
        )
    counts[name] = counts.get(name, 0) + 1
    fields = _cut(line, delimiters.field, MAX_HL7_FIELDS, "MAX_HL7_FIELDS")
    if name == "MSH":
        fields = (fields[0], delimiters.field, *fields[1:])
    return Segment(name, counts[name], fields, delimiters, charset)


def _cut(raw: str, delimiter: str, most: int, limit: str) -> tuple[str, ...]:
    if not delimiter or delimiter not in raw:
        return (raw,)
    if raw.count(delimiter) >= most:
        raise LimitExceeded(f"{limit}: more than {most}")
    return tuple(raw.split(delimiter))
