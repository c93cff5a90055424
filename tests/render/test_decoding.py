"""Frames of every transfer syntax become the stored values, and what lies about itself is refused."""

import struct
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


def test_big_endian_words_of_eight_bit_pixels_are_turned() -> None:
    pixels = values("u1", 8, (4, 4))
    turned = pixels.reshape(-1, 2)[:, ::-1].tobytes()
    frame = EncodedFrame(turned, layout(4, 4, allocated=8), frames.BIG, words_swapped=True)
    assert np.array_equal(decode_frame(frame), pixels)


def test_grey_and_pure_colours_survive_ybr_full() -> None:
    ybr = np.array([[[128, 128, 128], [76, 85, 255], [255, 128, 128]]], np.uint8)
    rgb = decode_frame(native(ybr, photometric="YBR_FULL"))
    assert np.abs(rgb.astype(int) - [[[128, 128, 128], [255, 0, 0], [255, 255, 255]]]).max() <= 1


LOSSLESS: list[tuple[str, Any]] = [
    (frames.JPEG_LS, imagecodecs.jpegls_encode),
    (frames.JPEG_2000, lambda pixels: imagecodecs.jpeg2k_encode(pixels, level=0, codecformat="j2k")),
    (frames.HTJ2K, imagecodecs.htj2k_encode),
    (frames.RLE, frames.rle),
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


def test_jpeg_lossless_gives_back_every_value() -> None:
    pixels = values("u2", 12)
    data = bytes(imagecodecs.ljpeg_encode(pixels, bitspersample=12))
    assert np.array_equal(decode_frame(EncodedFrame(data, layout(stored=12), frames.JPEG_LOSSLESS)), pixels)


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


def test_shared_colour_samples_that_are_all_there_contradict_the_header() -> None:
    facts = replace(layout(4, 4, 3, 8, photometric="YBR_FULL_422"), length=4 * 4 * 3)
    with pytest.raises(DamagedData):
        decode_frame(EncodedFrame(bytes(4 * 4 * 2), facts, frames.LITTLE))


def test_a_frame_that_shares_a_big_endian_word_with_its_neighbour_is_refused() -> None:
    frame = EncodedFrame(bytes(9), layout(3, 3, allocated=8), frames.BIG, words_swapped=True)
    with pytest.raises(NotSupported):
        decode_frame(frame)


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
        [frames.JPEG_BASELINE, frames.JPEG_LOSSLESS, frames.JPEG_LS, frames.RLE, frames.LITTLE]
    ),
    data=st.binary(max_size=300),
)
def test_random_bytes_are_refused_with_our_own_errors(syntax: str, data: bytes) -> None:
    try:
        decoded = decode_frame(EncodedFrame(data, layout(16, 8, allocated=8), syntax))
    except SamsynError:
        return
    assert decoded.shape == (16, 8)
