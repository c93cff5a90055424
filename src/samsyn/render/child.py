"""The decoding child: `python -m samsyn.render.child`, one question at a time over its standard input and output.

Decoders are the largest attack surface for stored bytes, so they live here: no files, no sockets, bounded
memory, bounded processor time. A child that dies costs the picture that it was making.
"""

import os
import resource
import sys
import zlib
from typing import Final

import imagecodecs
import numpy as np
from PIL import Image

from samsyn.dicom.transfer_syntaxes import WRAPPED
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported
from samsyn.limits import DECODE_MEMORY_BYTES, DECODE_TIMEOUT_S
from samsyn.render.colour import rgb_to_ycbcr
from samsyn.render.decoding import check_layout, decode_cells, decode_frame, packed, unwrapped
from samsyn.render.display import fitting_window, picture_of
from samsyn.render.icons import icon
from samsyn.render.messages import (
    WINDOW,
    Decode,
    Guess,
    Icon,
    Outcome,
    Question,
    Show,
    Trace,
    answer_head,
    read_question,
)
from samsyn.render.waveform import traced
from samsyn.render.words import EncodedFrame

_MAX_DETAIL: Final = 300


def main() -> None:
    """Answers until the parent closes the pipe."""
    questions, answers = _private_pipes()
    _warm_up()
    _fence()
    _write(answers, answer_head(Outcome.READY, 0), b"")
    while (question := read_question(questions.read)) is not None:
        _allow_processor_time()
        head, body, is_spent = _answered(question)
        _write(answers, head, body)
        if is_spent:
            break


def _private_pipes() -> tuple["_Pipe", int]:
    """Takes standard input and output for the protocol, so that a codec that prints can not disturb it."""
    answers = os.dup(1)
    os.dup2(2, 1)
    return _Pipe(0), answers


class _Pipe:
    """Reads exact lengths; a large read is one allocation."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, length: int) -> bytes:
        """`length` bytes, or fewer at the end."""
        buffer = bytearray(length)
        view = memoryview(buffer)
        filled = 0
        while filled < length:
            got = os.readv(self._descriptor, [view[filled:]])
            if not got:
                break
            filled += got
        view.release()
        return bytes(buffer[:filled]) if filled < length else bytes(buffer)


def _write(descriptor: int, head: bytes, body: bytes) -> None:
    parts = [memoryview(head), memoryview(body)] if body else [memoryview(head)]
    while parts:
        written = os.writev(descriptor, parts)
        while parts and written >= len(parts[0]):
            written -= len(parts[0])
            parts.pop(0)
        if parts and written:
            parts[0] = parts[0][written:]


def _warm_up() -> None:
    """Loads every codec once: afterwards no file may be opened, and the first picture is not slow."""
    Image.preinit()  # Pillow loads its formats when the first is asked for, which the fence would not let it
    grey = np.zeros((16, 16), np.uint8)
    imagecodecs.jpeg8_decode(imagecodecs.jpeg8_encode(grey, level=90))
    imagecodecs.jpegls_decode(imagecodecs.jpegls_encode(grey))
    imagecodecs.jpeg2k_decode(imagecodecs.jpeg2k_encode(grey, level=0), numthreads=1)
    imagecodecs.htj2k_decode(imagecodecs.htj2k_encode(grey))
    imagecodecs.jpegxl_decode(imagecodecs.jpegxl_encode(grey, lossless=True), numthreads=1)
    imagecodecs.packbits_decode(b"\x00\x00")
    imagecodecs.png_encode(grey)
    zlib.compress(b"")
    icon("image", 16)


def _fence() -> None:
    """Limits that hold for the child's life: memory, no new files or sockets, nothing written, no core dumps."""
    resource.setrlimit(resource.RLIMIT_AS, (DECODE_MEMORY_BYTES, DECODE_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _allow_processor_time() -> None:
    """Moves the processor limit to DECODE_TIMEOUT_S from now; the kernel ends the child at it (SIGXCPU)."""
    usage = resource.getrusage(resource.RUSAGE_SELF)
    used = usage.ru_utime + usage.ru_stime
    resource.setrlimit(resource.RLIMIT_CPU, (int(used + DECODE_TIMEOUT_S) + 1, resource.RLIM_INFINITY))


def _answered(question: Question) -> tuple[bytes, bytes, bool]:
    """Head and body of the answer, and whether the child should be replaced (its memory is used up)."""
    try:
        if isinstance(question, Decode):
            if question.frame.transfer_syntax_uid in WRAPPED:
                return *_unwrapped(question.frame), False
            pixels = decode_frame(question.frame)
            samples = pixels.shape[2] if pixels.ndim == 3 else 1
            height, width = pixels.shape[:2]
            if question.to_ybr and samples == 3:
                pixels = rgb_to_ycbcr(pixels, question.frame.layout.bits_stored)
            little = pixels.astype(pixels.dtype.newbyteorder("<"), copy=False)
            if question.frame.layout.bits_allocated == 1:
                body, bits = packed(pixels), 1
            else:
                body = (little.transpose(2, 0, 1) if question.by_plane and samples == 3 else little).tobytes()
                bits = pixels.dtype.itemsize * 8
            return answer_head(Outcome.DONE, len(body), height, width, samples, bits), body, False
        if isinstance(question, Guess):
            pixels = decode_frame(question.frame)
            window = fitting_window(pixels, question.frame.layout, question.values)
            body = WINDOW.pack(window.center, window.width)
            return answer_head(Outcome.DONE, len(body)), body, False
        if isinstance(question, Show):
            pixels = decode_frame(question.frame)
            graphics = question.frame.graphics
            is_embedded = any(graphic.is_embedded for graphic in graphics)
            cells = decode_cells(question.frame) if is_embedded else None
            picture = picture_of(
                pixels, question.frame.layout, question.values, question.options, graphics, cells
            )
        elif isinstance(question, Trace):
            picture = traced(question.waveform, question.longest_side)
        elif isinstance(question, Icon):
            picture = icon(question.kind, question.side)
    except MemoryError:
        return *_refused(Outcome.LIMIT, "DECODE_MEMORY_BYTES"), True
    except LimitExceeded as error:
        return *_refused(Outcome.LIMIT, error.detail), False
    except NotSupported as error:
        return *_refused(Outcome.NOT_SUPPORTED, error.detail), False
    except BadInput as error:
        return *_refused(Outcome.BAD_OPTIONS, error.detail), False
    except DamagedData as error:
        return *_refused(Outcome.DAMAGED, error.detail), False
    except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
        return *_refused(Outcome.DAMAGED, f"cannot be shown: {type(error).__name__}"), False
    head = answer_head(Outcome.DONE, len(picture.data), picture.height, picture.width)
    return head, picture.data, False


def _unwrapped(frame: EncodedFrame) -> tuple[bytes, bytes]:
    """Native pixels that were only wrapped, byte for byte; bits behind the last pixel become zeros."""
    layout = frame.layout
    check_layout(layout)
    body = unwrapped(frame).data
    spare = layout.rows * layout.columns * layout.samples * layout.bits_allocated % 8
    if spare:
        body = body[:-1] + bytes([body[-1] & (1 << spare) - 1])
    head = answer_head(
        Outcome.DONE, len(body), layout.rows, layout.columns, layout.samples, layout.bits_allocated
    )
    return head, body


def _refused(outcome: Outcome, detail: str) -> tuple[bytes, bytes]:
    text = detail[:_MAX_DETAIL].encode("ascii", "replace")
    return answer_head(outcome, len(text)), text


if __name__ == "__main__":
    try:
        main()
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(0)
