"""Trying a profile against messages: what each would file, what is not understood, and what nobody reads.

Pure: nothing is filed. Places are told by the line of the file that the segment stands in.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import verdict_on
from samsyn.hl7v2.header import Header, peek
from samsyn.hl7v2.interpret import interpret
from samsyn.hl7v2.meaning import Event
from samsyn.hl7v2.parsing import Message, Segment, Segments, parse, split_batch
from samsyn.hl7v2.profile import Profile
from samsyn.model.sender import Sender

_PLACE = re.compile(r"(?P<name>[A-Z][A-Z0-9]{2})(?:\[(?P<sequence>[0-9]+)\])?(?=[-:])")
_FRAME = re.compile(rb"\x0b|\x1c\r?")
_ALWAYS_READ = {"MSH": range(1, 26), "EVN": range(1, 8)} | dict.fromkeys(
    ("PID", "OBR", "OBX", "NTE", "TXA", "PV1"), range(1, 2)
)
"""Fields that routing and numbering use, or that tell nothing by themselves."""


@dataclass(frozen=True, slots=True)
class Remark:
    """Something about one place. `line` counts the file's lines from 1; 0 = no single line."""

    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Trial:
    """What would become of one message."""

    first_line: int
    header: Header
    events: tuple[Event, ...]
    """What would be filed; empty when the message is refused."""
    answer: str
    """AA, AE or AR."""
    refusal: Remark | None
    not_understood: tuple[Remark, ...]
    not_read: tuple[Remark, ...]
    """Fields with a value that no rule of the profile looks at. The message keeps them, the pages do not show
    them."""


class _Watched(tuple[str, ...]):
    """A segment's fields that note which of them were asked for."""

    asked: set[int]

    def __getitem__(self, field: Any) -> Any:
        self.asked.add(field)
        return super().__getitem__(field)


def try_file(raw: bytes, profile: Profile, sender: Sender) -> list[Trial]:
    """Every message of a file: one message, a batch (FHS/BHS), messages one after the other, or an MLLP dump.

    Raises BadInput or LimitExceeded when the file can not be cut into messages.
    """
    plain = _FRAME.sub(b"", raw)
    trials = []
    position = 0
    for part in split_batch(plain):
        position = plain.index(part, position)
        trials.append(_try(part, _line_ends(plain[:position]) + 1, profile, sender))
        position += len(part)
    return trials


def _try(raw: bytes, first_line: int, profile: Profile, sender: Sender) -> Trial:
    header = peek(raw)
    try:
        message = _watched(parse(raw, profile.charset, profile.forced_charset))
    except SamsynError as refusal:
        return _refused(refusal, first_line, header, ())
    lines = _lines_of(raw, message.segments, first_line)
    try:
        meant = interpret(message, profile, sender)
    except SamsynError as refusal:
        return _refused(refusal, first_line, header, lines)
    notes = tuple(Remark(_line(note, lines), note) for note in meant.notes)
    return Trial(first_line, header, meant.events, "AA", None, notes, _unread(lines))


def _refused(
    refusal: SamsynError, first_line: int, header: Header, lines: Sequence[tuple[int, Segment]]
) -> Trial:
    verdict = verdict_on(refusal)
    remark = Remark(_line(refusal.detail, lines), verdict.sentence)
    return Trial(first_line, header, (), verdict.code.value, remark, (), ())


def _watched(message: Message) -> Message:
    segments = []
    for each in message.segments:
        fields = _Watched(each.fields)
        fields.asked = set()
        segments.append(Segment(each.name, each.sequence, fields, each.grammar))
    return replace(message, segments=Segments(segments))


def _lines_of(raw: bytes, segments: Sequence[Segment], first_line: int) -> tuple[tuple[int, Segment], ...]:
    """Each segment with its line. A CR, a LF or both end a line, as an editor shows them."""
    names = [(number, line[:3]) for number, line in enumerate(re.split(rb"\r\n|\r|\n", raw), first_line)]
    found = []
    position = 0
    for segment in segments:
        wanted = segment.name.encode("ascii")
        while position < len(names) and names[position][1] != wanted:
            position += 1
        found.append((names[position][0] if position < len(names) else 0, segment))
        position += 1
    return tuple(found)


def _line_ends(raw: bytes) -> int:
    return len(re.findall(rb"\r\n|\r|\n", raw))


def _line(note: str, lines: Sequence[tuple[int, Segment]]) -> int:
    """The line of the place that a note or refusal begins with."""
    match = _PLACE.match(note)
    if match is None:
        return 0
    sequence = int(match["sequence"] or 1)
    wanted = (match["name"], sequence)
    return next((line for line, segment in lines if (segment.name, segment.sequence) == wanted), 0)


def _unread(lines: Sequence[tuple[int, Segment]]) -> tuple[Remark, ...]:
    remarks = []
    for line, segment in lines:
        asked = segment.fields.asked if isinstance(segment.fields, _Watched) else set()
        passed = _ALWAYS_READ.get(segment.name, ())
        left = [
            number
            for number, value in enumerate(segment.fields)
            if number and value and number not in asked and number not in passed
        ]
        if left:
            place = f"{segment.name}[{segment.sequence}]" if segment.sequence > 1 else segment.name
            remarks.append(Remark(line, ", ".join(f"{place}-{number}" for number in left)))
    return tuple(remarks)
