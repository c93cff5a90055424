"""Decodes one stored frame to an array. Runs in the child process: the bytes come from anywhere.

What every path promises: the result has shape (rows, columns) for one sample and (rows, columns, 3) for three,
is C-contiguous in native byte order, holds the stored values (bits above Bits Stored removed, signed values
sign-extended; floating point numbers as they are), and colour is RGB whatever the stream was (PALETTE COLOR stays
indices: display has the LUT). The size is checked against the header and the limits before any codec runs.
"""

import zlib
from dataclasses import replace
from itertools import pairwise
from typing import Any, Final, TypeAlias

import imagecodecs
import numpy as np
from numpy.typing import NDArray

from samsyn.dicom.frames import swapped_words
from samsyn.dicom.transfer_syntaxes import (
    DEFLATED_FRAME,
    DEFLATED_LITTLE,
    EVERY_JPEG_XL,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    HTJ2K,
    HTJ2K_LOSSLESS,
    HTJ2K_LOSSLESS_RPCL,
    IMPLICIT_LITTLE,
    JPEG_2000,
    JPEG_2000_LOSSLESS,
    JPEG_2000_MULTI,
    JPEG_2000_MULTI_LOSSLESS,
    JPEG_BASELINE,
    JPEG_EXTENDED,
    JPEG_LOSSLESS,
    JPEG_LOSSLESS_SV1,
    JPEG_LS_LOSSLESS,
    JPEG_LS_NEAR,
    RLE_LOSSLESS,
    WRAPPED,
)
from samsyn.errors import BadInput, DamagedData, LimitExceeded, NotSupported
from samsyn.limits import MAX_FRAME_PIXELS
from samsyn.model.imaging import PixelLayout
from samsyn.render.codestream import CodestreamHead, jpeg2000_head, jpeg_head, jpeg_xl_gives_rgb, jpeg_xl_head
from samsyn.render.colour import partial_ycbcr_to_rgb, ycbcr_to_rgb
from samsyn.render.words import EncodedFrame

Pixels: TypeAlias = NDArray[Any]

_NATIVE: Final = frozenset({IMPLICIT_LITTLE, EXPLICIT_LITTLE, DEFLATED_LITTLE, EXPLICIT_BIG})
_JPEG: Final = frozenset({JPEG_BASELINE, JPEG_EXTENDED, JPEG_LOSSLESS, JPEG_LOSSLESS_SV1})
_JPEG_LS: Final = frozenset({JPEG_LS_LOSSLESS, JPEG_LS_NEAR})
_JPEG_2000: Final = frozenset({JPEG_2000_LOSSLESS, JPEG_2000, JPEG_2000_MULTI_LOSSLESS, JPEG_2000_MULTI})
_HTJ2K: Final = frozenset({HTJ2K_LOSSLESS, HTJ2K_LOSSLESS_RPCL, HTJ2K})
_PHOTOMETRIC: Final = frozenset(
    {"MONOCHROME1", "MONOCHROME2", "PALETTE COLOR", "RGB"}
    | {"YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "YBR_PARTIAL_422", "YBR_PARTIAL_420", "XYB"}
)
_PARTIAL: Final = frozenset({"YBR_PARTIAL_422"})
"""Luminance from 16 to 235, colour from 16 to 240 (PS3.3 C.7.6.3.1.2)."""
_SHARING: Final = _PARTIAL | {"YBR_FULL_422"}
_LOSSLESS_PROCESSES: Final = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
_KEEPS_CELLS: Final = frozenset(f"1.2.840.10008.1.2.4.{n}" for n in (57, 70, 80, 90, 92, 110, 201, 202))
"""Transfer syntaxes that give back each bit of a cell. What others lose may lead beyond Bits Stored by a little, which
cut off would be the other end of the scale."""
_JPEG_END: Final = b"\xff\xd9"
"""EOI, and EOC of JPEG 2000."""
_JPEG_SCAN: Final = b"\xff\xda"
_MADE_UP: Final = bytes(range(1, 250, 7)) * 4
"""Entropy coded data of no meaning."""
_MAX_CODEC_BYTES_PER_SAMPLE: Final = 4


def decode_frame(frame: EncodedFrame) -> Pixels:
    """The frame as an array, see the module's promise.

    Raises LimitExceeded (a size above the limits), DamagedData (the bytes do not hold what the header says),
    NotSupported (a transfer syntax or pixel format without decoder). MemoryError is left to the caller.
    """
    layout = frame.layout
    check_layout(layout, frame.float_bits)
    syntax = frame.transfer_syntax_uid
    if not frame.data:
        raise DamagedData("the frame is empty")
    if frame.float_bits:
        return _floats(frame)
    if syntax in _NATIVE:
        return native(frame)
    if syntax in WRAPPED:
        return native(unwrapped(frame))
    try:
        if syntax == RLE_LOSSLESS:
            return _finished(_rle(frame.data, layout), frame)
        if syntax in _JPEG:
            return _jpeg(frame)
        if syntax in _JPEG_LS:
            return _jpeg_ls(frame)
        if syntax in _JPEG_2000 or syntax in _HTJ2K:
            # The codec for high throughput alone is the quicker one, but puts what loss leads beyond the scale at its
            # other end.
            return _jpeg_2000(frame, high_throughput=syntax in _HTJ2K - {HTJ2K})
        if syntax in EVERY_JPEG_XL:
            return _jpeg_xl(frame)
    except BadInput as error:
        raise DamagedData(error.detail) from error
    except MemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        raise DamagedData(f"the codec gave up: {type(error).__name__}") from error
    raise NotSupported(f"no decoder for transfer syntax {syntax}")


def decode_cells(frame: EncodedFrame) -> Pixels | None:
    """Whole cells of a frame of one sample, shape (rows, columns), with whatever stands around the stored values.
    Errors as decode_frame. None: its transfer syntax keeps only the values."""
    layout, syntax = frame.layout, frame.transfer_syntax_uid
    if syntax not in _NATIVE | WRAPPED | _KEEPS_CELLS | {RLE_LOSSLESS}:
        return None
    whole = replace(layout, bits_stored=layout.bits_allocated, signed=False)
    return decode_frame(replace(frame, layout=whole, high_bit=-1))


def check_layout(layout: PixelLayout, float_bits: int = 0) -> None:
    """Refuses a header that no frame can follow, before anything is allocated for it."""
    if layout.rows < 1 or layout.columns < 1:
        raise DamagedData("the header tells no rows or columns")
    if layout.rows * layout.columns > MAX_FRAME_PIXELS:
        raise LimitExceeded("MAX_FRAME_PIXELS")
    if layout.samples not in (1, 3):
        raise NotSupported(f"{layout.samples} samples per pixel")
    if float_bits:
        if layout.bits_allocated != float_bits:
            raise DamagedData(f"floating point numbers of {layout.bits_allocated} bits")
        if layout.photometric not in ("MONOCHROME1", "MONOCHROME2"):
            raise NotSupported("floating point numbers that are no grey levels")
    elif layout.bits_allocated not in (1, 8, 16, 32):
        raise NotSupported(f"{layout.bits_allocated} bits allocated")
    if not 1 <= layout.bits_stored <= layout.bits_allocated:
        raise DamagedData("more bits stored than allocated")
    if layout.photometric not in _PHOTOMETRIC:
        raise NotSupported("unknown photometric interpretation")
    if (layout.samples == 1) != (layout.photometric in ("MONOCHROME1", "MONOCHROME2", "PALETTE COLOR")):
        raise DamagedData("samples and photometric interpretation contradict each other")


def frame_bytes(layout: PixelLayout) -> int:
    """Bytes of one native frame of which every sample is there."""
    return (layout.rows * layout.columns * layout.samples * layout.bits_allocated + 7) // 8


def _shares_colour(layout: PixelLayout, length: int) -> bool:
    """Whether two neighbours share their colour in a native frame of so many bytes (PS3.3 C.7.6.3.1.2): by its length,
    since others have every sample, whatever their header calls them."""
    return layout.photometric in _SHARING and length < frame_bytes(layout)


def unwrapped(frame: EncodedFrame) -> EncodedFrame:
    """A frame of WRAPPED as the native one that it holds, without the padding behind it. DamagedData: it holds less."""
    layout, data = frame.layout, frame.data
    needed = frame_bytes(layout)
    if frame.transfer_syntax_uid == DEFLATED_FRAME:
        # What a stream gives beyond the frame is never made.
        try:
            data = zlib.decompressobj(-zlib.MAX_WBITS).decompress(data, needed)
        except zlib.error as error:
            raise DamagedData("the deflated frame is broken") from error
    if _shares_colour(layout, len(data)):
        needed = needed // 3 * 2
    if len(data) < needed:
        raise DamagedData(f"the frame has {len(data)} bytes, the header needs {needed}")
    return replace(frame, data=data[:needed], transfer_syntax_uid=EXPLICIT_LITTLE)


def native(frame: EncodedFrame) -> Pixels:
    """Uncompressed pixels (PS3.5 8.1): any of 1, 8, 16, 32 bits, either byte order, both planar forms."""
    layout, data = frame.layout, frame.data
    if layout.bits_allocated == 1:
        return _unpacked(data, layout, frame.first_bit)
    needed = frame_bytes(layout)
    shares = _shares_colour(layout, len(data))
    if shares:
        needed = needed // 3 * 2
    if len(data) < needed:
        raise DamagedData(f"the frame has {len(data)} bytes, the header needs {needed}")
    if frame.transfer_syntax_uid == EXPLICIT_BIG and layout.bits_allocated > 8:
        data = swapped_words(data, 16)
    stored = np.frombuffer(
        data, np.dtype(f"<u{layout.bits_allocated // 8}"), needed * 8 // layout.bits_allocated
    )
    stored = stored.astype(stored.dtype.newbyteorder("="), copy=False)
    if shares:
        spread = _spread_422(stored, layout)
        return partial_ycbcr_to_rgb(spread) if layout.photometric in _PARTIAL else ycbcr_to_rgb(spread, 8)
    if layout.samples == 3 and layout.planar == 1:
        stored = stored.reshape(3, layout.rows, layout.columns).transpose(1, 2, 0)
    if layout.photometric == "YBR_FULL_422":
        photometric = "RGB" if _is_rgb(stored.reshape(_shape(layout)), layout.bits_stored) else "YBR_FULL"
        frame = replace(frame, layout=replace(layout, photometric=photometric))
    return _finished(stored, frame)


def _floats(frame: EncodedFrame) -> Pixels:
    """Float Pixel Data and Double Float Pixel Data (PS3.3 C.7.6.24, C.7.6.25), which are native in every transfer
    syntax (PS3.5 A.4)."""
    layout, data = frame.layout, frame.data
    if len(data) < frame_bytes(layout):
        raise DamagedData(f"the frame has {len(data)} bytes, the header needs {frame_bytes(layout)}")
    kind = f"<f{layout.bits_allocated // 8}"
    stored = np.frombuffer(data, kind, layout.rows * layout.columns).reshape(_shape(layout))
    return stored.astype(stored.dtype.newbyteorder("="), copy=False)


def _is_rgb(samples: Pixels, bits: int) -> bool:
    """Whether samples of which the header tells that colour is shared, and which are all there, are RGB: those of who
    decompressed them and forgot to say so are, those of old ultrasound machines are YBR_FULL.

    Grey and black tell: pixels of three equal samples are that in RGB, those with both colours in the middle in
    YBR_FULL, where three equal ones are purple or green. Without either it is what the header says.
    """
    first, blue, red = (samples[..., channel].astype(np.int32) for channel in range(3))
    middle = 1 << (bits - 1)
    in_rgb = np.count_nonzero((abs(first - blue) <= 1) & (abs(first - red) <= 1))
    in_ybr = np.count_nonzero((abs(blue - middle) <= 1) & (abs(red - middle) <= 1))
    return bool(in_rgb > in_ybr)


def _unpacked(data: bytes, layout: PixelLayout, first_bit: int = 0) -> Pixels:
    """A byte for each pixel of one bit, the first of which is the lowest bit (PS3.5 8.1.1)."""
    count = layout.rows * layout.columns * layout.samples
    if len(data) * 8 < first_bit + count:
        raise DamagedData("the frame has fewer bits than the header needs")
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=first_bit + count, bitorder="little")
    return bits[first_bit:].reshape(_shape(layout))


def packed(pixels: Pixels) -> bytes:
    """The way back: pixels of one bit as a native frame has them, its last byte filled up with zeros."""
    return np.packbits(pixels.reshape(-1) != 0, bitorder="little").tobytes()


def _spread_422(stored: Pixels, layout: PixelLayout) -> Pixels:
    """Y1 Y2 Cb Cr for each two neighbours to three samples per pixel (PS3.3 C.7.6.3.1.2)."""
    if layout.bits_allocated != 8 or layout.columns % 2:
        raise NotSupported("shared colour with other than 8 bits or an odd number of columns")
    quads = stored.reshape(layout.rows, layout.columns // 2, 4)
    spread = np.empty((layout.rows, layout.columns, 3), np.uint8)
    spread[:, 0::2, 0] = quads[:, :, 0]
    spread[:, 1::2, 0] = quads[:, :, 1]
    for channel in (1, 2):
        spread[:, 0::2, channel] = spread[:, 1::2, channel] = quads[:, :, channel + 1]
    return spread


def _shape(layout: PixelLayout) -> tuple[int, ...]:
    return (
        (layout.rows, layout.columns)
        if layout.samples == 1
        else (layout.rows, layout.columns, layout.samples)
    )


def _finished(stored: Pixels, frame: EncodedFrame) -> Pixels:
    """Shape, bits around the stored value, sign and colour of samples that no codec has interpreted."""
    layout = frame.layout
    pixels = stored.reshape(_shape(layout))
    pixels = _in_stored_bits(pixels, layout.bits_stored, layout.signed, _bits_below(frame))
    return _in_rgb(np.ascontiguousarray(pixels), layout)


def _in_rgb(pixels: Pixels, layout: PixelLayout) -> Pixels:
    """Colour of which every sample is there, as RGB; what no such samples can be is not guessed at."""
    if layout.samples == 1 or layout.photometric == "RGB":
        return pixels
    if layout.photometric != "YBR_FULL":
        raise NotSupported(f"{layout.photometric} in this form")
    return ycbcr_to_rgb(pixels, layout.bits_stored)


def _bits_below(frame: EncodedFrame) -> int:
    """Bits of a cell below the stored value; a High Bit that leaves the value no room says nothing."""
    layout = frame.layout
    is_followed = layout.bits_stored <= frame.high_bit < layout.bits_allocated
    return frame.high_bit + 1 - layout.bits_stored if is_followed else 0


def _in_stored_bits(pixels: Pixels, bits: int, signed: bool, below: int = 0) -> Pixels:
    """Values with exactly `bits` significant bits, which begin above `below` others: the rest is cut off or becomes
    copies of the sign."""
    width = pixels.dtype.itemsize * 8
    if below:
        pixels = pixels.view(np.dtype(f"u{pixels.dtype.itemsize}")) >> below
    if signed:
        pixels = pixels.view(np.dtype(f"i{pixels.dtype.itemsize}"))
        if bits < width:
            spare = width - bits
            pixels = (pixels << spare) >> spare
        return pixels
    pixels = pixels.view(np.dtype(f"u{pixels.dtype.itemsize}"))
    return pixels & np.array((1 << bits) - 1, pixels.dtype) if bits < width else pixels


def _rle(data: bytes, layout: PixelLayout) -> Pixels:
    """RLE Lossless (PS3.5 annex G): one PackBits segment per byte plane, most significant first; pixels of one bit
    are packed in theirs as in a native frame."""
    is_packed = layout.bits_allocated == 1
    width = max(layout.bits_allocated // 8, 1)
    planes = 1 if is_packed else layout.samples * width
    count = frame_bytes(layout) if is_packed else layout.rows * layout.columns
    starts = np.frombuffer(data, "<u4", 16) if len(data) >= 64 else np.zeros(16, "<u4")
    if starts[0] != planes:
        raise DamagedData(f"RLE: {int(starts[0])} segments, the header needs {planes}")
    edges = [int(start) for start in starts[1 : planes + 1]] + [len(data)]
    if edges[0] < 64 or any(first >= second for first, second in pairwise(edges)):
        raise DamagedData("RLE: impossible segment offsets")
    pixels = np.empty((count, 1 if is_packed else layout.samples, width), np.uint8)
    for plane in range(planes):
        segment = data[edges[plane] : edges[plane + 1]]
        # Each pair of bytes can grow to 128; above that the segment lies about its size.
        if len(segment) * 64 < count:
            raise DamagedData("RLE: segment too short for the frame")
        pixels[:, plane // width, width - 1 - plane % width] = _segment(segment, count)
    if is_packed:
        return _unpacked(pixels.tobytes(), layout)
    return pixels.reshape(-1).view(np.dtype(f"<u{width}")).astype(f"=u{width}", copy=False)


def _segment(segment: bytes, count: int) -> Pixels:
    """At least `count` bytes of one PackBits segment; surplus (padding) is dropped."""
    unpacked = np.frombuffer(imagecodecs.packbits_decode(segment), np.uint8)
    if unpacked.size < count:
        raise DamagedData("RLE: segment ends before the frame does")
    return unpacked[:count]


def _agrees(head: CodestreamHead, layout: PixelLayout) -> None:
    """The codestream must be as large as the header says: a codec allocates what the codestream says."""
    if head.rows * head.columns * head.components > MAX_FRAME_PIXELS * 3:
        raise LimitExceeded("MAX_FRAME_PIXELS")
    if (head.rows, head.columns) != (layout.rows, layout.columns):
        raise DamagedData(
            f"header and codestream differ in size: {layout.rows} x {layout.columns}, {head.rows} x {head.columns}"
        )
    if head.components != layout.samples:
        raise DamagedData("header and codestream differ in samples per pixel")
    if head.precision > max(layout.bits_allocated, 8) or head.precision > 8 * _MAX_CODEC_BYTES_PER_SAMPLE:
        raise DamagedData("the codestream has more bits than are allocated")


def _jpeg(frame: EncodedFrame) -> Pixels:
    """JPEG baseline, extended (8 and 12 bit) and lossless (T.81)."""
    data, layout = frame.data, frame.layout
    head = jpeg_head(data)
    _agrees(head, layout)
    if head.process in _LOSSLESS_PROCESSES:
        # Samples as they are: marks of another colour would have the codec convert what must not change.
        asis = "RGB" if layout.samples == 3 else None
        return _from_codec(_whole_jpeg(data, asis, asis), frame, head)
    if layout.samples == 1:
        return _from_codec(_whole_jpeg(data), frame, head)
    colourspace = "RGB" if _holds_rgb(head, layout) else "YCBCR"
    return np.ascontiguousarray(_in_shape(_whole_jpeg(data, colourspace, "RGB"), layout))


def _whole_jpeg(data: bytes, colourspace: str | None = None, wanted: str | None = None) -> Pixels:
    """The codec's array of all of the picture. DamagedData: the stream ends before the picture does, of which the codec
    makes something up.

    Streams are met that are whole and have no end marker. In those the codec asks for nothing that is not there, so
    whatever stands in its place makes no difference.
    """
    pixels: Pixels = imagecodecs.jpeg8_decode(data, colorspace=colourspace, outcolorspace=wanted)
    if data.rfind(_JPEG_END) < data.rfind(_JPEG_SCAN):
        more = data + _MADE_UP + _JPEG_END
        if not np.array_equal(
            pixels, imagecodecs.jpeg8_decode(more, colorspace=colourspace, outcolorspace=wanted)
        ):
            raise DamagedData("the codestream ends too early")
    return pixels


def _holds_rgb(head: CodestreamHead, layout: PixelLayout) -> bool:
    """Whether three components are RGB: the stream's own marks win over the header, which is often wrong."""
    if head.transform is not None:
        return head.transform == 0
    if head.has_jfif:
        return False
    return head.component_ids == b"RGB" or layout.photometric == "RGB"


def _jpeg_ls(frame: EncodedFrame) -> Pixels:
    head = jpeg_head(frame.data)
    if head.process != 0xF7:
        raise DamagedData("JPEG-LS: another JPEG process")
    _agrees(head, frame.layout)
    return _from_codec(imagecodecs.jpegls_decode(frame.data), frame, head)


def _jpeg_2000(frame: EncodedFrame, high_throughput: bool) -> Pixels:
    data = frame.data
    head = jpeg2000_head(data)
    _agrees(head, frame.layout)
    if head.is_uneven:
        # The codec makes RGB of some of these, whatever the header calls the colours, and of others nothing.
        raise NotSupported("JPEG 2000 with subsampled components")
    # The codec for high throughput alone shows what is left of a stream that was cut off; the other one refuses it.
    if high_throughput and data.rstrip(b"\0").endswith(_JPEG_END):
        pixels = imagecodecs.htj2k_decode(data[head.start :])
    else:
        pixels = imagecodecs.jpeg2k_decode(data[head.start :], numthreads=1)
    is_rgb = head.is_transformed or frame.layout.photometric in ("YBR_RCT", "YBR_ICT")
    if is_rgb and frame.layout.samples == 3:
        # The codec has undone the transform; the header often still names what the colours were before it.
        frame = replace(frame, layout=replace(frame.layout, photometric="RGB"))
    return _from_codec(pixels, frame, head)


def _jpeg_xl(frame: EncodedFrame) -> Pixels:
    head, layout = jpeg_xl_head(frame.data), frame.layout
    _agrees(head, layout)
    pixels = imagecodecs.jpegxl_decode(frame.data, numthreads=1)
    if layout.samples == 3 and jpeg_xl_gives_rgb(head, frame.transfer_syntax_uid, layout.photometric):
        frame = replace(frame, layout=replace(layout, photometric="RGB"))
    return _from_codec(pixels, frame, head)


def _in_shape(pixels: Pixels, layout: PixelLayout) -> Pixels:
    wanted = _shape(layout)
    if pixels.shape == wanted:
        return pixels
    if layout.samples == 3 and pixels.shape == (3, layout.rows, layout.columns):
        return pixels.transpose(1, 2, 0)
    if pixels.size != int(np.prod(wanted)):
        raise DamagedData("the codec's picture has another size than the header says")
    return pixels.reshape(wanted)


def _from_codec(pixels: Pixels, frame: EncodedFrame, head: CodestreamHead) -> Pixels:
    """A codec's array with the header's signedness and width.

    A codestream whose signedness contradicts Pixel Representation is met in practice; the header wins, and
    the sign is where the codestream's precision puts it. A lossless one with more precision than Bits Stored holds
    cells as they were, with whatever stands around the values.
    """
    layout = frame.layout
    pixels = _in_shape(pixels, layout)
    if pixels.dtype.kind not in "iu":
        raise NotSupported("the codestream holds other than whole numbers")
    has_cells = head.precision > layout.bits_stored and frame.transfer_syntax_uid in _KEEPS_CELLS
    if layout.signed != head.signed or has_cells:
        below = _bits_below(frame) if has_cells and head.precision > frame.high_bit else 0
        bits = layout.bits_stored if has_cells else head.precision
        pixels = _in_stored_bits(np.ascontiguousarray(pixels), bits, layout.signed, below)
    kind = "i" if layout.signed else "u"
    wanted = np.dtype(f"{kind}{max(layout.bits_allocated // 8, 1)}")
    return _in_rgb(np.ascontiguousarray(pixels.astype(wanted, copy=False)), layout)
