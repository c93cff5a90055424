"""The pipe protocol between the store and a coding child: a fixed head and plain bytes both ways, so that a child that
was taken over by its input can lie about a frame (its CRC tells), and do nothing else."""

import struct
from typing import Final

from samsyn.store.packing.extents import Codec, Shape

QUESTION: Final = struct.Struct(">BBIIBBBBQ")
"""What, codec, rows, columns, samples, bits, signed, big endian, length of the body."""
ANSWER: Final = struct.Struct(">BQ")
"""Outcome, length of the body."""
CODE: Final = 1
DECODE: Final = 2
DONE: Final = 0
FAILED: Final = 1
READY: Final = 2
"""Sent once, unasked, when the child can be asked."""


def question(what: int, codec: Codec, shape: Shape, length: int) -> bytes:
    """The head of a question."""
    return QUESTION.pack(
        *(what, codec, shape.rows, shape.columns, shape.samples, shape.bits),
        *(shape.signed, shape.big_endian, length),
    )


def read_question(head: bytes) -> tuple[int, int, Shape, int]:
    """What, codec, shape and length of the body."""
    what, codec, rows, columns, samples, bits, signed, big_endian, length = QUESTION.unpack(head)
    return what, codec, Shape(rows, columns, samples, bits, bool(signed), bool(big_endian)), length
