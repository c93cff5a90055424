"""The coding child: `python -m samsyn.store.packing.child`, one question at a time over its standard input and output.

Codecs are C code that gets bytes from anywhere, so they live here: no files, no sockets, bounded memory, bounded
processor time. A child that dies costs the frame that it had.
"""

import os
import resource
import sys
from typing import Final

import imagecodecs
import numpy as np

from samsyn.limits import DECODE_MEMORY_BYTES, DECODE_TIMEOUT_S
from samsyn.store.packing import codecs
from samsyn.store.packing.extents import Codec, Shape
from samsyn.store.packing.messages import ANSWER, CODE, DONE, FAILED, QUESTION, READY, read_question

_KEPT_FROM: Final = 0.95
"""A frame that does not become smaller than this part of itself stays as it is."""


def main() -> None:
    """Answers until the parent closes the pipe."""
    answers = os.dup(1)
    os.dup2(2, 1)
    grey = np.zeros((16, 16), np.uint16)
    imagecodecs.jpegls_decode(imagecodecs.jpegls_encode(grey))
    imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(grey, level=0), numthreads=1)
    imagecodecs.htj2k_decode(imagecodecs.htj2k_encode(grey))
    for limit, value in (
        (resource.RLIMIT_AS, DECODE_MEMORY_BYTES),
        (resource.RLIMIT_NOFILE, 0),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(limit, (value, value))
    _write(answers, ANSWER.pack(READY, 0))
    while len(head := _read(QUESTION.size)) == QUESTION.size:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        until = int(usage.ru_utime + usage.ru_stime + DECODE_TIMEOUT_S) + 1
        resource.setrlimit(resource.RLIMIT_CPU, (until, resource.RLIM_INFINITY))
        what, codec, shape, length = read_question(head)
        body = _answered(what, Codec(codec), shape, _read(length))
        _write(answers, ANSWER.pack(FAILED if body is None else DONE, len(body or b"")))
        _write(answers, body or b"")


def _answered(what: int, codec: Codec, shape: Shape, data: bytes) -> bytes | None:
    """The frame coded or decoded; None when that can not be done, or is not worth it, or would not come back."""
    try:
        if what != CODE:
            return codecs.decoded(codec, shape, data)
        made = codecs.coded(codec, shape, data)
        if len(made) > len(data) * _KEPT_FROM or codecs.decoded(codec, shape, made) != data:
            return None
        return made
    except (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError):
        return None


def _read(length: int) -> bytes:
    buffer = bytearray(length)
    view, filled = memoryview(buffer), 0
    while filled < length and (got := os.readv(0, [view[filled:]])):
        filled += got
    return bytes(view[:filled])


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
