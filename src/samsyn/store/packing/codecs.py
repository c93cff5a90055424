"""One native frame to a lossless code stream and back, bit for bit. Runs in the child process: the bytes come from
anywhere.

All bits of the container are kept, those above Bits Stored too. Signed values are shifted to unsigned ones that lie in
the same order, which the codecs predict better.
"""

from typing import Any, Final

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from samsyn.store.packing.extents import Codec, Shape

_SIGN: Final = {8: 0x80, 16: 0x8000}


def coded(codec: Codec, shape: Shape, data: bytes) -> bytes:
    """The code stream of a frame. RuntimeError and ValueError as of the codec."""
    pixels = _turned(np.frombuffer(data, _stored(shape)), shape).reshape(_form(shape))
    match codec:
        case Codec.JPEG_LS:
            return bytes(imagecodecs.jpegls_encode(pixels))
        case Codec.JPEG_2000:
            made = imagecodecs.jpeg2k_encode(
                pixels, level=0, reversible=True, codecformat="j2k", numthreads=1
            )
            return bytes(made)
        case Codec.HTJ2K:
            return bytes(imagecodecs.htj2k_encode(pixels))
    raise ValueError("no codec")


def decoded(codec: Codec, shape: Shape, data: bytes) -> bytes:
    """The frame of a code stream that `coded` made. RuntimeError and ValueError as of the codec."""
    match codec:
        case Codec.JPEG_LS:
            pixels = imagecodecs.jpegls_decode(data)
        case Codec.JPEG_2000:
            pixels = imagecodecs.jpeg2k_decode(data, numthreads=1)
        case Codec.HTJ2K:
            pixels = imagecodecs.htj2k_decode(data)
        case _:
            raise ValueError("no codec")
    native = _stored(shape).newbyteorder("=")
    if pixels.dtype != native or pixels.size * pixels.itemsize != shape.length:
        raise ValueError("the code stream is of another form")
    return _turned(pixels.reshape(-1), shape).astype(_stored(shape), copy=False).tobytes()


def _stored(shape: Shape) -> "np.dtype[Any]":
    return np.dtype(f"{'>' if shape.big_endian else '<'}u{shape.bits // 8}")


def _form(shape: Shape) -> tuple[int, ...]:
    return (shape.rows, shape.columns) if shape.samples == 1 else (shape.rows, shape.columns, shape.samples)


def _turned(pixels: NDArray[Any], shape: Shape) -> NDArray[Any]:
    """In native byte order, the sign bit of signed values turned round (its own inverse)."""
    pixels = pixels.astype(pixels.dtype.newbyteorder("="), copy=False)
    return pixels ^ pixels.dtype.type(_SIGN[shape.bits]) if shape.signed else pixels
