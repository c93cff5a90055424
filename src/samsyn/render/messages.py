"""The pipe protocol between the parent and a decoding child: length-prefixed, one answer per question.

The parent's questions are pickled: only the parent makes them, and the child trusts it. The child's answers
are a fixed head and plain bytes: a child that was taken over by its input can lie about a picture, but it can
not make the parent run or allocate anything.
"""

import pickle
import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import IntEnum
from typing import Final, TypeAlias

from samsyn.render.words import DisplayValues, EncodedFrame, PictureOptions, Waveform

_QUESTION: Final = struct.Struct(">IQ")
_ANSWER: Final = struct.Struct(">BIIBBQ")
WINDOW: Final = struct.Struct(">dd")
"""Body of the answer to Guess: centre and width."""
ANSWER_BYTES: Final = _ANSWER.size


@dataclass(frozen=True, slots=True)
class Show:
    """Make a picture of a frame."""

    frame: EncodedFrame
    values: DisplayValues
    options: PictureOptions


@dataclass(frozen=True, slots=True)
class Decode:
    """Give the pixels back uncompressed."""

    frame: EncodedFrame
    to_ybr: bool = False
    """Colours, which come out as RGB, become YBR_FULL."""
    by_plane: bool = False
    """All of the first sample, then of the second, then of the third (Planar Configuration 1)."""


@dataclass(frozen=True, slots=True)
class Trace:
    """Draw a waveform on a millimetre grid, as PNG."""

    waveform: Waveform
    longest_side: int | None


@dataclass(frozen=True, slots=True)
class Icon:
    """Draw the neutral sign for what has no picture."""

    kind: str
    side: int


@dataclass(frozen=True, slots=True)
class Guess:
    """Find a window for pictures whose header has none."""

    frame: EncodedFrame
    values: DisplayValues


Question: TypeAlias = Show | Decode | Trace | Icon | Guess


class Outcome(IntEnum):
    """How a question ended."""

    DONE = 0
    DAMAGED = 1
    LIMIT = 2
    NOT_SUPPORTED = 3
    BAD_OPTIONS = 4
    READY = 5
    """Sent once, unasked, when the child has warmed up."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The fixed head of an answer; `length` bytes of picture, pixels or plain text follow it."""

    outcome: Outcome
    height: int
    width: int
    samples: int
    bits: int
    length: int


def question_parts(question: Question) -> tuple[bytes, bytes]:
    """Head with everything but the pixels, and the pixels, so that they are not copied once more."""
    body = b""
    if isinstance(question, Show | Decode | Guess):
        body = question.frame.data
        question = replace(question, frame=replace(question.frame, data=b""))
    head = pickle.dumps(question, protocol=5)
    return _QUESTION.pack(len(head), len(body)) + head, body


def read_question(read: Callable[[int], bytes]) -> Question | None:
    """The parent's next question; None when it closed the pipe. `read(n)` gives n bytes, fewer at the end."""
    prefix = read(_QUESTION.size)
    if len(prefix) < _QUESTION.size:
        return None
    head_bytes, body_bytes = _QUESTION.unpack(prefix)
    question: Question = pickle.loads(read(head_bytes))  # noqa: S301 - made by the parent alone
    body = read(body_bytes)
    if len(body) < body_bytes:
        return None
    if isinstance(question, Show | Decode | Guess):
        return replace(question, frame=replace(question.frame, data=body))
    return question


def answer_head(
    outcome: Outcome, length: int, height: int = 0, width: int = 0, samples: int = 0, bits: int = 0
) -> bytes:
    """The bytes that stand before an answer's body."""
    return _ANSWER.pack(outcome, height, width, samples, bits, length)


def parsed_answer(head: bytes) -> Answer:
    """The head of an answer, ANSWER_BYTES long. Raises ValueError for an outcome that does not exist."""
    outcome, height, width, samples, bits, length = _ANSWER.unpack(head)
    return Answer(Outcome(outcome), height, width, samples, bits, length)
