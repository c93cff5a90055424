"""Frames of every transfer syntax become the stored values, and what lies about itself is refused."""

import struct
import zlib
from dataclasses import replace
from typing import Any

import imagecodecs
import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.data import get_testdata_file
from pydicom.encaps import get_frame

from samsyn.errors import DamagedData, LimitExceeded, NotSupported, SamsynError
from samsyn.model.imaging import PixelLayout
from samsyn.render.codestream import jpeg_xl_head
from samsyn.render.decoding import decode_frame
from samsyn.render.words import EncodedFrame
from tests.render import frames
from tests.render.frames import layout, native

SAMPLES = np.random.default_rng(1912)


def values(kind: str, bits: int, shape: tuple[int, ...] = (64, 48)) -> np.ndarray:
    low, high = (-(1 << (bits - 1)), 1 << (bits - 1)) if kind[0] == "i" else (0, 1 << bits)
    return SAMPLES.integers(low, high, shape, dtype=np.int64).astype(kind)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    ("kind", "bits"), [("u1", 8), ("u2", 12), ("i2", 12), ("u2", 16), ("i2", 16), ("u4", 32)]
)
def test_native_pixels_of_either_byte_order_come_out_as_stored(kind: str, bits: int, order: str) -> None:
    pixels = values(kind, bits)
    decoded = decode_frame(native(pixels, stored=bits, order=order))
    assert decoded.dtype == pixels.dtype
    assert np.array_equal(decoded, pixels)


def test_bits_above_bits_stored_are_cut_off_because_they_may_be_an_old_overlay() -> None:
    pixels = values("u2", 12)
    dirty = pixels | SAMPLES.integers(0, 16, pixels.shape).astype("u2") << 12
    assert np.array_equal(decode_frame(native(dirty, stored=12)), pixels)


def test_signed_pixels_get_their_sign_from_the_highest_stored_bit() -> None:
    pixels = values("i2", 12)
    without_sign = pixels.view("u2") & 0x0FFF
    frame = native(without_sign.view("i2"), stored=12)
    assert np.array_equal(decode_frame(frame), pixels)


@pytest.mark.parametrize(("kind", "below"), [("u2", 0x000B), ("i2", 0x000B), ("u2", 0xF00B)])
def test_values_end_at_their_high_bit_and_what_stands_around_them_is_cut_off(kind: str, below: int) -> None:
    bits = 12 if below == 0x000B else 8
    pixels = values(kind, bits)
    high = 15 if bits == 12 else 11
    cells = (pixels.view("u2") & (1 << bits) - 1) << (high + 1 - bits) | below
    facts = layout(stored=bits, signed=kind == "i2")
    for syntax, data in ((frames.LITTLE, cells.tobytes()), (frames.RLE, frames.rle(cells))):
        decoded = decode_frame(EncodedFrame(data, facts, syntax, high_bit=high))
        assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize("high", [-1, 0, 11, 16])
def test_a_high_bit_that_leaves_no_room_for_the_value_says_nothing(high: int) -> None:
    pixels = values("u2", 12)
    assert np.array_equal(decode_frame(replace(native(pixels, stored=12), high_bit=high)), pixels)


def test_packed_bits_may_begin_inside_a_byte() -> None:
    bits = SAMPLES.integers(0, 2, 3 * 5 * 7).astype(np.uint8)
    packed = np.packbits(bits, bitorder="little").tobytes()
    kind = layout(5, 7, allocated=1)
    begin = 35
    frame = EncodedFrame(packed[begin // 8 :], kind, frames.LITTLE, first_bit=begin % 8)
    assert np.array_equal(decode_frame(frame), bits[35:70].reshape(5, 7))


def test_colour_by_plane_and_colour_by_pixel_are_the_same_picture() -> None:
    colours = values("u1", 8, (6, 4, 3))
    by_plane = EncodedFrame(colours.transpose(2, 0, 1).tobytes(), layout(6, 4, 3, 8, planar=1), frames.LITTLE)
    assert np.array_equal(decode_frame(by_plane), colours)
    assert np.array_equal(decode_frame(native(colours)), colours)


def test_grey_and_pure_colours_survive_ybr_full() -> None:
    ybr = np.array([[[128, 128, 128], [76, 85, 255], [255, 128, 128]]], np.uint8)
    rgb = decode_frame(native(ybr, photometric="YBR_FULL"))
    assert np.abs(rgb.astype(int) - [[[128, 128, 128], [255, 0, 0], [255, 255, 255]]]).max() <= 1


LOSSLESS: list[tuple[str, Any]] = [
    (frames.JPEG_LS, imagecodecs.jpegls_encode),
    (frames.JPEG_2000, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k")),
    (frames.HTJ2K, imagecodecs.htj2k_encode),
    (frames.RLE, frames.rle),
    (frames.JPEG_XL_LOSSLESS, lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True)),
]


@pytest.mark.parametrize(("syntax", "encode"), LOSSLESS)
@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 12), ("u2", 16)])
def test_lossless_compression_gives_back_every_value(syntax: str, encode: Any, kind: str, bits: int) -> None:
    pixels = values(kind, bits)
    frame = EncodedFrame(
        bytes(encode(pixels)), layout(allocated=pixels.dtype.itemsize * 8, stored=bits), syntax
    )
    decoded = decode_frame(frame)
    assert decoded.dtype == pixels.dtype
    assert np.array_equal(decoded, pixels)


@pytest.mark.parametrize("encode", [LOSSLESS[1][1], LOSSLESS[2][1]])
def test_a_signed_codestream_and_an_unsigned_one_mean_the_same_under_a_signed_header(encode: Any) -> None:
    syntax = frames.JPEG_2000 if encode is LOSSLESS[1][1] else frames.HTJ2K
    pixels = values("i2", 16)
    for written in (pixels, pixels.view("u2")):
        frame = EncodedFrame(bytes(encode(written)), layout(signed=True), syntax)
        assert np.array_equal(decode_frame(frame), pixels)


@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (frames.JPEG_EXTENDED, lambda pixels: imagecodecs.jpeg8_encode(pixels, level=90, bitspersample=12)),
        (frames.JPEG_LS_NEAR, lambda pixels: imagecodecs.jpegls_encode(pixels, level=8)),
        (
            frames.JPEG_2000_LOSSY,
            lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=65, codecformat="j2k", reversible=False),
        ),
    ],
)
def test_what_a_lossy_codec_puts_above_the_brightest_value_stays_bright(syntax: str, encode: Any) -> None:
    # Where a codec draws a bright edge a little too bright, the tenth bit overflows.
    pixels = np.where(np.indices((64, 48)).sum(0) % 16 < 8, 1_023, 700).astype(np.uint16)
    pixels[::3] -= 20
    decoded = decode_frame(EncodedFrame(bytes(encode(pixels)), layout(stored=10), syntax))
    assert decoded.max() > 1_023
    assert decoded[pixels > 1_000].min() > 800


@pytest.mark.parametrize("kind", ["u1", "i1", "u2", "i2", "rgb"])
@pytest.mark.parametrize(
    ("syntax", "encode"),
    [
        (frames.HTJ2K_LOSSY, lambda pixels: imagecodecs.htj2k_encode(pixels, level=0.02, reversible=False)),
        (
            frames.JPEG_2000_LOSSY,
            lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=70, codecformat="j2k", reversible=False),
        ),
    ],
)
def test_loss_at_the_ends_of_the_scale_leads_to_no_other_end(syntax: str, encode: Any, kind: str) -> None:
    """Black and white squares, in every bit of a cell: what is drawn too bright must not come out black."""
    white = (np.indices((160, 184)) // 8).sum(0) % 2 == 1
    cells = np.dtype("u1" if kind == "rgb" else kind)
    least, most = np.iinfo(cells).min, np.iinfo(cells).max
    pixels = np.where(white, most, least).astype(cells)
    if kind == "rgb":
        pixels = np.repeat(pixels[..., None], 3, axis=2)
    facts = layout(160, 184, 3 if kind == "rgb" else 1, cells.itemsize * 8, signed=kind[0] == "i")
    decoded = decode_frame(EncodedFrame(bytes(encode(pixels)), facts, syntax))
    assert np.abs(decoded.astype(int) - pixels).max() < (int(most) - int(least)) / 4


def rough(bits: int) -> np.ndarray:
    """Something like tissue."""
    rows, columns = np.indices((128, 144))
    level = (np.sin(columns / 9.0) + np.cos(rows / 7.0) + 2) / 4 * ((1 << bits) - 1)
    pixels = np.clip(np.rint(level + SAMPLES.normal(0, 3, level.shape)), 0, (1 << bits) - 1)
    return pixels.astype(np.uint8 if bits == 8 else np.uint16)


J2K = {"codecformat": "j2k"}
CODESTREAMS: dict[str, tuple[str, int, Any]] = {
    "JPEG": (frames.JPEG_BASELINE, 8, lambda pixels: imagecodecs.jpeg8_encode(pixels, level=90)),
    "JPEG of 12 bits": (
        frames.JPEG_EXTENDED,
        12,
        lambda pixels: imagecodecs.jpeg8_encode(pixels, level=90, bitspersample=12),
    ),
    "JPEG lossless": (
        frames.JPEG_LOSSLESS,
        12,
        lambda pixels: imagecodecs.ljpeg_encode(pixels, bitspersample=12),
    ),
    "JPEG-LS": (frames.JPEG_LS, 12, imagecodecs.jpegls_encode),
    "JPEG 2000": (frames.JPEG_2000, 12, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, **J2K)),
    "HTJ2K": (frames.HTJ2K, 12, imagecodecs.htj2k_encode),
    "HTJ2K lossy": (
        frames.HTJ2K_LOSSY,
        12,
        lambda pixels: imagecodecs.htj2k_encode(pixels, level=0.001, reversible=False),
    ),
    "RLE": (frames.RLE, 12, frames.rle),
    "JPEG XL": (frames.JPEG_XL, 12, lambda pixels: imagecodecs.jpegxl_encode(pixels, lossless=True)),
}


@pytest.mark.parametrize("name", CODESTREAMS)
def test_a_codestream_that_was_cut_off_is_no_picture_and_one_that_only_lacks_its_end_is(name: str) -> None:
    syntax, bits, encode = CODESTREAMS[name]
    pixels = rough(bits)
    data = bytes(encode(pixels))
    facts = layout(128, 144, allocated=8 * pixels.dtype.itemsize, stored=bits)
    whole = decode_frame(EncodedFrame(data, facts, syntax))
    for share in (0.3, 0.6, 0.9, 0.99):
        for padding in (b"", b"\0"):
            with pytest.raises(DamagedData):
                decode_frame(EncodedFrame(data[: int(len(data) * share)] + padding, facts, syntax))
    assert np.array_equal(decode_frame(EncodedFrame(data + b"\0", facts, syntax)), whole)
    if (
        name.startswith("JPEG")
        and data.endswith(b"\xff\xd9")
        and syntax not in (frames.JPEG_LS, frames.JPEG_2000)
    ):
        for end in (b"", b"\0"):
            assert np.array_equal(decode_frame(EncodedFrame(data[:-2] + end, facts, syntax)), whole)


def test_jpeg_lossless_gives_back_every_value() -> None:
    pixels = values("u2", 12)
    data = bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=12))
    assert np.array_equal(decode_frame(EncodedFrame(data, layout(stored=12), frames.JPEG_LOSSLESS)), pixels)


@pytest.mark.parametrize(
    ("kind", "bits"), [("u1", 7), ("u2", 10), ("u2", 12), ("u2", 15), ("i2", 12), ("i2", 16)]
)
@pytest.mark.parametrize("boxed", [False, True])
def test_jpeg_xl_without_loss_gives_back_every_value_of_any_depth(kind: str, bits: int, boxed: bool) -> None:
    pixels = values(kind, bits)
    plain = pixels.view(pixels.dtype.str.replace("i", "u")) & (1 << bits) - 1
    data = bytes(imagecodecs.jpegxl_encode(plain, lossless=True, bitspersample=bits, usecontainer=boxed))
    facts = layout(allocated=pixels.dtype.itemsize * 8, stored=bits, signed=kind[0] == "i")
    assert np.array_equal(decode_frame(EncodedFrame(data, facts, frames.JPEG_XL_LOSSLESS)), pixels)


@pytest.mark.parametrize(
    "shape", [(1, 1), (7, 300), (64, 64), (40, 48, 3), (1_080, 1_920), (24, 36, 3), (9, 5, 3)]
)
def test_the_head_of_jpeg_xl_tells_size_depth_and_colours(shape: tuple[int, ...]) -> None:
    """However its encoder writes them: by a ratio, in eighths, in 9 to 30 bits."""
    for bits in (4, 8, 10, 12, 16):
        pixels = values("u1" if bits <= 8 else "u2", bits, shape)
        for lossless in (True, False):
            data = imagecodecs.jpegxl_encode(pixels, bitspersample=bits, lossless=lossless)
            head = jpeg_xl_head(bytes(data))
            assert (head.rows, head.columns) == shape[:2]
            assert (head.components, head.precision) == (3 if len(shape) == 3 else 1, bits)
            assert head.is_transformed == (not lossless)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL", "YBR_FULL_422", "XYB"])
def test_colours_that_jpeg_xl_has_made_its_own_come_out_as_rgb(photometric: str) -> None:
    rgb = np.kron(SAMPLES.integers(0, 256, (3, 4, 3), np.uint8), np.ones((16, 16, 1), np.uint8))
    jpeg = bytes(imagecodecs.jpeg8_encode(rgb, level=95, subsampling="444"))
    facts = layout(48, 64, 3, 8, photometric=photometric)
    again = EncodedFrame(bytes(imagecodecs.jpegxl_encode_jpeg(jpeg)), facts, frames.JPEG_XL_RECOMPRESSION)
    assert np.abs(decode_frame(again).astype(int) - imagecodecs.jpeg8_decode(jpeg)).max() <= 4
    lossy = EncodedFrame(bytes(imagecodecs.jpegxl_encode(rgb, distance=0.1)), facts, frames.JPEG_XL)
    assert np.abs(decode_frame(lossy).astype(int) - rgb).mean() < 3


def test_colours_that_jpeg_xl_has_left_alone_are_those_of_the_header() -> None:
    rgb = ultrasound()
    data = bytes(imagecodecs.jpegxl_encode(rgb, lossless=True))
    assert np.array_equal(
        decode_frame(EncodedFrame(data, layout(16, 24, 3, 8), frames.JPEG_XL_LOSSLESS)), rgb
    )
    data = bytes(imagecodecs.jpegxl_encode(ybr_of(rgb), lossless=True))
    facts = layout(16, 24, 3, 8, photometric="YBR_FULL")
    decoded = decode_frame(EncodedFrame(data, facts, frames.JPEG_XL_LOSSLESS))
    assert np.abs(decoded.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("predictor", range(1, 8))
@pytest.mark.parametrize(("kind", "bits"), [("u1", 6), ("u1", 8), ("u2", 12), ("u2", 16)])
def test_jpeg_lossless_of_every_predictor_with_restarts_and_with_bits_left_out(
    kind: str, bits: int, predictor: int
) -> None:
    """The codestream is written down by hand. With a point transform values come back times two to the power of it."""
    pixels = values(kind, bits, (11, 13))
    if bits == 16:
        pixels[:4, ::2], pixels[:4, 1::2] = 0, 32_768  # the one difference of 16 bits
    for point in (0, 2):
        for rows_again in (0, 1, 3):
            data = frames.jpeg_lossless(pixels, bits, predictor, point, rows_again)
            facts = layout(11, 13, allocated=pixels.dtype.itemsize * 8, stored=bits)
            decoded = decode_frame(EncodedFrame(data, facts, frames.JPEG_LOSSLESS_ANY))
            assert np.array_equal(decoded, pixels >> point << point), (point, rows_again)


@pytest.mark.parametrize("transform", [None, 0, 1])
def test_colours_of_jpeg_lossless_are_those_of_the_header_whatever_its_marks_say(
    transform: int | None,
) -> None:
    colours = values("u1", 8, (9, 11, 3))
    data = bytes(imagecodecs.jpeg8_encode(colours, lossless=True, colorspace="RGB", outcolorspace="RGB"))
    if transform is None:
        mark = b"\xff\xe0\0\x10JFIF\0\1\1\0\0\1\0\1\0\0"
    else:
        mark = b"\xff\xee\0\x0eAdobe\0\x64\0\0\0\0" + bytes([transform])
    start = data.index(b"\xff\xc3")
    frame = EncodedFrame(data[:2] + mark + data[start:], layout(9, 11, 3, 8), frames.JPEG_LOSSLESS)
    assert np.array_equal(decode_frame(frame), colours)


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL_422", "YBR_FULL"])
def test_a_red_jpeg_is_red_whatever_the_header_calls_its_colours(photometric: str) -> None:
    red = np.zeros((16, 16, 3), np.uint8)
    red[..., 0] = 250
    data = bytes(imagecodecs.jpeg8_encode(red, level=95))
    decoded = decode_frame(
        EncodedFrame(data, layout(16, 16, 3, 8, photometric=photometric), frames.JPEG_BASELINE)
    )
    assert np.abs(decoded.astype(int) - red).max() <= 6


@pytest.mark.parametrize("photometric", ["RGB", "YBR_RCT", "YBR_FULL", "YBR_FULL_422"])
def test_a_codestream_that_undoes_its_own_colour_transform_gives_rgb_whatever_the_header_calls_it(
    photometric: str,
) -> None:
    colours = values("u1", 8, (16, 16, 3))
    data = bytes(imagecodecs.jpeg2k_encode(colours, level=0, codecformat="j2k", mct=True, reversible=True))
    facts = layout(16, 16, 3, 8, photometric=photometric)
    assert np.array_equal(decode_frame(EncodedFrame(data, facts, frames.JPEG_2000)), colours)


def test_a_codestream_without_a_colour_transform_holds_the_colours_of_the_header() -> None:
    grey_in_ybr = np.full((16, 16, 3), 128, np.uint8)
    grey_in_ybr[..., 0] = 188
    data = bytes(imagecodecs.jpeg2k_encode(grey_in_ybr, level=0, codecformat="j2k", mct=False))
    frame = EncodedFrame(data, layout(16, 16, 3, 8, photometric="YBR_FULL"), frames.JPEG_2000)
    assert (decode_frame(frame) == 188).all()


@pytest.mark.parametrize(
    ("photometric", "syntax"),
    [
        *[("YBR_RCT", syntax) for syntax in (frames.LITTLE, frames.RLE, frames.JPEG_LS)],
        *[("YBR_ICT", syntax) for syntax in (frames.LITTLE, frames.RLE, frames.JPEG_LS)],
        *[("YBR_FULL_422", syntax) for syntax in (frames.RLE, frames.JPEG_LS)],
    ],
)
def test_colours_that_can_not_be_what_the_header_calls_them_are_refused(
    photometric: str, syntax: str
) -> None:
    colours = values("u1", 8, (16, 16, 3))
    data = {
        frames.LITTLE: colours.tobytes(),
        frames.RLE: frames.rle(colours.reshape(-1, 3).T, planes=3),
        frames.JPEG_LS: bytes(imagecodecs.jpegls_encode(colours)),
    }[syntax]
    assert np.array_equal(decode_frame(EncodedFrame(data, layout(16, 16, 3, 8), syntax)), colours)
    with pytest.raises(NotSupported):
        decode_frame(EncodedFrame(data, layout(16, 16, 3, 8, photometric=photometric), syntax))


def ybr_of(rgb: np.ndarray) -> np.ndarray:
    """YBR_FULL as PS3.3 C.7.6.3.1.2 writes it down."""
    red, green, blue = (rgb[..., channel].astype(float) for channel in range(3))
    luma = 0.2990 * red + 0.5870 * green + 0.1140 * blue
    from_blue = -0.1687 * red - 0.3313 * green + 0.5 * blue + 128
    from_red = 0.5 * red - 0.4187 * green - 0.0813 * blue + 128
    return np.clip(np.rint(np.stack([luma, from_blue, from_red], axis=-1)), 0, 255).astype(np.uint8)


def ultrasound() -> np.ndarray:
    """Mostly black, a grey fan, a few colours."""
    rgb = np.zeros((16, 24, 3), np.uint8)
    rgb[4:12, 4:20] = SAMPLES.integers(0, 256, (8, 16, 1), np.uint8)
    rgb[6:9, 8:12] = SAMPLES.integers(0, 256, (3, 4, 3), np.uint8)
    return rgb


@pytest.mark.parametrize("syntax", [frames.LITTLE, frames.ENCAPSULATED, frames.DEFLATED_FRAME])
@pytest.mark.parametrize("planar", [0, 1])
@pytest.mark.parametrize("kind", ["RGB", "YBR_FULL"])
def test_samples_that_are_all_there_are_no_shared_ones_whatever_the_header_calls_them(
    kind: str, planar: int, syntax: str
) -> None:
    rgb = ultrasound()
    stored = ybr_of(rgb) if kind == "YBR_FULL" else rgb
    data = (stored.transpose(2, 0, 1) if planar else stored).tobytes()
    facts = replace(layout(16, 24, 3, 8, photometric="YBR_FULL_422", planar=planar), length=len(data))
    frame = EncodedFrame(deflated(data) if syntax == frames.DEFLATED_FRAME else data, facts, syntax)
    assert np.abs(decode_frame(frame).astype(int) - rgb).max() <= 2


def test_samples_of_ten_bits_that_are_all_there_are_told_apart_like_those_of_eight() -> None:
    rgb = ultrasound().astype("u2") * 4
    ybr = np.zeros_like(rgb)
    ybr[..., 0], ybr[..., 1:] = rgb[..., 0], 512  # of grey alone
    facts = layout(16, 24, 3, 16, stored=10, photometric="YBR_FULL_422")
    assert np.array_equal(decode_frame(EncodedFrame(rgb.tobytes(), facts, frames.LITTLE)), rgb)
    grey = np.repeat(rgb[..., :1], 3, axis=2)
    assert np.array_equal(decode_frame(EncodedFrame(ybr.tobytes(), facts, frames.LITTLE)), grey)


def test_samples_without_grey_are_what_the_header_calls_them() -> None:
    rgb = np.full((4, 4, 3), (200, 40, 90), np.uint8)
    facts = replace(layout(4, 4, 3, 8, photometric="YBR_FULL_422"), length=48)
    decoded = decode_frame(EncodedFrame(ybr_of(rgb).tobytes(), facts, frames.LITTLE))
    assert np.abs(decoded.astype(int) - rgb).max() <= 2


@pytest.mark.parametrize("syntax", [frames.LITTLE, frames.ENCAPSULATED, frames.DEFLATED_FRAME])
def test_colour_that_two_neighbours_share_is_theirs_in_every_native_form(syntax: str) -> None:
    """Y1 Y2 Cb Cr: red and dark red, blue and black, by hand."""
    data = bytes([76, 30, 85, 255, 29, 0, 255, 107])
    facts = replace(layout(1, 4, 3, 8, photometric="YBR_FULL_422"), length=8)
    frame = EncodedFrame(deflated(data) if syntax == frames.DEFLATED_FRAME else data, facts, syntax)
    expected = [[254, 0, 0], [208, 0, 0], [0, 0, 254], [0, 0, 225]]
    assert np.abs(decode_frame(frame)[0].astype(int) - expected).max() <= 1


def deflated(data: bytes) -> bytes:
    machine = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    made = machine.compress(data) + machine.flush()
    return made + b"\0" * (len(made) % 2)


@pytest.mark.parametrize(("kind", "bits"), [("u1", 8), ("u2", 12), ("i2", 16), ("u4", 32)])
def test_native_frames_in_fragments_are_what_they_are_without_them(kind: str, bits: int) -> None:
    pixels = values(kind, bits, (7, 9))
    facts = layout(7, 9, allocated=pixels.dtype.itemsize * 8, stored=bits, signed=kind[0] == "i")
    data = pixels.tobytes()
    for syntax, wrapped in (
        (frames.ENCAPSULATED, data + b"\0" * (len(data) % 2)),
        (frames.DEFLATED_FRAME, deflated(data)),
    ):
        assert np.array_equal(decode_frame(EncodedFrame(wrapped, facts, syntax)), pixels)
        with pytest.raises(DamagedData):
            decode_frame(EncodedFrame(wrapped[: len(wrapped) // 2], facts, syntax))


FOREIGN = [
    "MR_small_RLE.dcm",
    "SC_rgb_rle_16bit.dcm",
    "emri_small_RLE.dcm",
    "emri_small_jpeg_2k_lossless.dcm",
    "emri_small_jpeg_ls_lossless.dcm",
    "JPEG2000.dcm",
    "JPGLosslessP14SV1_1s_1f_8b.dcm",
    "JPGExtended.dcm",
    "JPEG-lossy.dcm",
    "examples_ybr_color.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
    "GDCMJ2K_TextGBR.dcm",
]


@pytest.mark.parametrize("name", FOREIGN)
def test_the_pixels_of_other_makers_files_are_decoded(name: str) -> None:
    path = get_testdata_file(name)
    assert isinstance(path, str)
    data_set = pydicom.dcmread(path)
    syntax = str(data_set.file_meta.TransferSyntaxUID)
    count = int(data_set.get("NumberOfFrames") or 1)
    data = data_set.PixelData
    if data_set.file_meta.TransferSyntaxUID.is_encapsulated:
        data = get_frame(data, 0, number_of_frames=count)
    kind = PixelLayout(
        offset=0,
        length=-1,
        rows=data_set.Rows,
        columns=data_set.Columns,
        samples=data_set.SamplesPerPixel,
        bits_allocated=data_set.BitsAllocated,
        bits_stored=data_set.BitsStored,
        signed=bool(data_set.PixelRepresentation),
        photometric=data_set.PhotometricInterpretation,
        planar=data_set.get("PlanarConfiguration") or 0,
        frames=count,
    )
    decoded = decode_frame(EncodedFrame(data, kind, syntax))
    assert decoded.shape[:2] == (kind.rows, kind.columns)
    assert int(decoded.max()) > int(decoded.min())
    assert int(decoded.max()) < 1 << kind.bits_stored
    if syntax == frames.RLE:
        reference = data_set.pixel_array
        assert np.array_equal(decoded, reference[0] if count > 1 else reference)


@pytest.mark.parametrize(
    ("data", "syntax"),
    [
        (frames.jpeg_that_claims(65_535, 65_535), frames.JPEG_BASELINE),
        (frames.jpeg_that_claims(64, 4_800), frames.JPEG_BASELINE),
        (frames.jpeg_2000_that_claims(2**31, 2**31), frames.JPEG_2000),
        (frames.jpeg_2000_that_claims(2**31, 2**31), frames.HTJ2K),
        (frames.jpeg_2000_that_claims(60_000, 60_000, tile=1), frames.JPEG_2000),
        (frames.jpeg_xl_that_claims(2**30, 2**30), frames.JPEG_XL),
        (frames.jpeg_xl_that_claims(64, 4_800), frames.JPEG_XL_LOSSLESS),
    ],
)
def test_a_codestream_that_claims_another_size_than_the_header_reaches_no_codec(
    data: bytes, syntax: str
) -> None:
    with pytest.raises((DamagedData, LimitExceeded)):
        decode_frame(EncodedFrame(data, layout(allocated=8), syntax))


def test_a_header_with_more_pixels_than_the_limit_is_refused_before_anything_is_allocated() -> None:
    with pytest.raises(LimitExceeded, match="MAX_FRAME_PIXELS"):
        decode_frame(EncodedFrame(b"\0\0", layout(65_535, 65_535), frames.LITTLE))


@pytest.mark.parametrize(
    "kind",
    [
        layout(rows=0),
        layout(columns=0),
        layout(allocated=8, stored=12),
        layout(samples=3, allocated=8, photometric="MONOCHROME2"),
        layout(samples=4, allocated=8),
        layout(allocated=24),
        layout(photometric="HSV"),
    ],
)
def test_an_impossible_header_is_refused(kind: PixelLayout) -> None:
    with pytest.raises((DamagedData, NotSupported)):
        decode_frame(EncodedFrame(bytes(100_000), kind, frames.LITTLE))


def test_rle_runs_that_promise_more_than_the_frame_are_cut_and_those_that_give_less_are_refused() -> None:
    head = struct.pack("<16I", 1, 64, *[0] * 14)
    long = EncodedFrame(head + b"\x81\x07" * 100, layout(8, 8, allocated=8), frames.RLE)
    assert decode_frame(long).tolist() == [[7] * 8] * 8
    short = EncodedFrame(head + b"\xff\x07", layout(8, 8, allocated=8), frames.RLE)
    with pytest.raises(DamagedData):
        decode_frame(short)
    with pytest.raises(DamagedData):
        decode_frame(
            EncodedFrame(struct.pack("<16I", 1, 2**31, *[0] * 14), layout(8, 8, allocated=8), frames.RLE)
        )


def test_video_has_no_decoder_and_says_so() -> None:
    with pytest.raises(NotSupported):
        decode_frame(EncodedFrame(b"\0\0\1\xb3", layout(allocated=8), "1.2.840.10008.1.2.4.102"))


@given(
    syntax=st.sampled_from(
        [
            *(frames.JPEG_BASELINE, frames.JPEG_LOSSLESS, frames.JPEG_LS, frames.RLE, frames.LITTLE),
            *(frames.JPEG_XL, frames.ENCAPSULATED, frames.DEFLATED_FRAME),
        ]
    ),
    data=st.one_of(
        st.binary(max_size=300),
        st.binary(max_size=300).map(lambda rest: frames.jpeg_xl_that_claims(16, 8)[:12] + rest),
    ),
)
def test_random_bytes_are_refused_with_our_own_errors(syntax: str, data: bytes) -> None:
    try:
        decoded = decode_frame(EncodedFrame(data, layout(16, 8, allocated=8), syntax))
    except SamsynError:
        return
    assert decoded.shape == (16, 8)


@pytest.mark.parametrize("photometric", ["YBR_FULL", "RGB", "YBR_ICT"])
def test_jpeg_2000_with_subsampled_components_is_refused_and_not_turned_into_other_colours(
    photometric: str,
) -> None:
    kind = layout(32, 48, 3, 8, photometric=photometric)
    planes = [np.full((32, 48), level, np.uint8) for level in (90, 100, 200)]
    whole = frames.jpeg_2000_of(planes, [(1, 1)] * 3)
    decoded = decode_frame(EncodedFrame(whole, kind, frames.JPEG_2000_LOSSY))
    expected = planes if photometric != "YBR_FULL" else [[191], [48], [40]]
    assert [
        abs(int(decoded[0, 0, n]) - int(np.ravel(plane)[0])) <= 1 for n, plane in enumerate(expected)
    ] == [True] * 3
    for across, down in ((2, 2), (2, 1), (1, 2), (4, 1)):
        uneven = [planes[0], *(plane[::down, ::across] for plane in planes[1:])]
        data = frames.jpeg_2000_of(uneven, [(1, 1), (across, down), (across, down)])
        for syntax in (frames.JPEG_2000, frames.JPEG_2000_LOSSY):
            with pytest.raises(NotSupported, match="subsampled"):
                decode_frame(EncodedFrame(data, kind, syntax))
