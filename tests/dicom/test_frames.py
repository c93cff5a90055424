"""Where frames lie."""

import io
import struct

import numpy as np
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.encaps import encapsulate, encapsulate_extended, generate_frames

from samsyn.dicom.frames import frame_bits, frame_ranges, native_frame, octets, swapped_words
from samsyn.dicom.reading import summarize
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.model.imaging import PixelLayout
from tests.dicom.corpus import SEQUENCE_END, data_sets, item
from tests.dicom.test_reading import DEFLATED, REFUSED

JPEG = "1.2.840.10008.1.2.4.50"
RLE = "1.2.840.10008.1.2.5"
MPEG4 = "1.2.840.10008.1.2.4.102"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"


def layout(frames: int, length: int = -1, offset: int = 0, **facts: int | str) -> PixelLayout:
    base: dict[str, int | str] = {"rows": 2, "columns": 2, "samples": 1, "bits_allocated": 8}
    base |= {"bits_stored": 8, "photometric": "MONOCHROME2", "planar": 0} | facts
    return PixelLayout(offset=offset, length=length, frames=frames, signed=False, **base)  # type: ignore[arg-type]


def joined(data: bytes, ranges: list[list[tuple[int, int]]]) -> list[bytes]:
    return [b"".join(data[start : start + length] for start, length in frame) for frame in ranges]


@given(
    frames=st.integers(0, 9),
    rows=st.integers(0, 5),
    columns=st.integers(1, 5),
    bits=st.sampled_from([1, 8, 16, 32]),
    samples=st.sampled_from([1, 3]),
    photometric=st.sampled_from(["MONOCHROME2", "YBR_FULL_422", "RGB"]),
    length=st.integers(-1, 400),
    total=st.integers(0, 410),
    syntax=st.sampled_from([EXPLICIT, BIG]),
)
def test_one_native_frame_lies_where_the_table_of_all_says(
    frames: int,
    rows: int,
    columns: int,
    bits: int,
    samples: int,
    photometric: str,
    length: int,
    total: int,
    syntax: str,
) -> None:
    facts: dict[str, int | str] = {"rows": rows, "columns": columns, "bits_allocated": bits}
    pixels = layout(frames, length, 7, **facts | {"samples": samples, "photometric": photometric})
    found = [native_frame(pixels, total, number, syntax) for number in range(frames + 2)]
    assert found[0] is None and found[-1] is None
    if length < 0:
        assert not any(found)
        return
    try:
        table = frame_ranges(b"", total, pixels, syntax)
    except BadInput:
        assert not any(found)
    else:
        assert [[each] for each in found[1:-1]] == table


def test_frames_of_the_corpus_are_those_that_pydicom_finds() -> None:
    compared = 0
    for path, syntax, data in data_sets():
        if path.name in REFUSED or syntax == DEFLATED:
            continue
        pixels = summarize(data, syntax).pixels
        if pixels is None:
            continue
        other = pydicom.dcmread(path)
        if "PixelData" not in other:
            continue
        try:
            mine = joined(data, frame_ranges(data, len(data), pixels, syntax))
        except BadInput:
            assert pixels.rows == 0 or len(other.PixelData) < frame_bits(pixels) * pixels.frames / 8, path
            continue
        if syntax == BIG and pixels.bits_allocated > 1:
            word_bits = 16 if other["PixelData"].VR == "OW" else 8
            if pixels.planar == 0:
                array = other.pixel_array.reshape(pixels.frames, -1)
                little = [frame.astype(frame.dtype.newbyteorder("<")).tobytes() for frame in array]
                if pixels.bits_allocated == 32:  # pydicom turns round 32 bits of an OW, and not its words
                    little = [
                        np.frombuffer(frame, "<u4").byteswap().view("<u2").byteswap().tobytes()
                        for frame in little
                    ]
                turned = [octets(frame, pixels, n, word_bits) for n, frame in enumerate(mine, 1)]
                assert turned == little, path
        elif pixels.length >= 0:
            size = frame_bits(pixels) // 8
            if frame_bits(pixels) % 8 == 0:
                assert mine == [other.PixelData[size * n : size * (n + 1)] for n in range(pixels.frames)], (
                    path
                )
        else:
            assert mine == list(generate_frames(other.PixelData, number_of_frames=pixels.frames)), path
        compared += 1
    assert compared > 130


@pytest.mark.parametrize("has_bot", [True, False])
@pytest.mark.parametrize("fragments_per_frame", [1, 3])
def test_encapsulated_frames_are_found_with_and_without_offset_table(
    has_bot: bool, fragments_per_frame: int
) -> None:
    frames = [b"\xff\xd8" + bytes([n]) * (20 + 2 * n) + b"\xff\xd9" for n in range(5)]
    data = encapsulate(frames, fragments_per_frame=fragments_per_frame, has_bot=has_bot) + SEQUENCE_END
    found = joined(data, frame_ranges(data, len(data), layout(5), JPEG))
    assert [frame.rstrip(b"\0") for frame in found] == frames


@pytest.mark.parametrize(
    "entries", [(0, 28, 56), (0, 1, 2), (8, 92, 176), (0, 84, 4096), (0, 84), (84, 0, 168), ()]
)
def test_an_offset_table_that_is_wrong_parts_no_frames(entries: tuple[int, ...]) -> None:
    """Three frames in three fragments of 20 bytes each: the frames begin 0, 84 and 168 bytes behind the table."""
    frames = [b"\xff\xd8" + bytes([n]) * 56 + b"\xff\xd9" for n in range(3)]
    data = struct.pack("<HHI", 0xFFFE, 0xE000, 4 * len(entries)) + struct.pack(f"<{len(entries)}I", *entries)
    data += b"".join(item(frame[n : n + 20]) for frame in frames for n in (0, 20, 40)) + SEQUENCE_END
    assert joined(data, frame_ranges(data, len(data), layout(3), JPEG)) == frames


def test_an_offset_table_is_followed_where_frames_have_no_mark_that_is_known() -> None:
    frames = [b"ab" + bytes([n]) * 58 for n in range(3)]
    data = struct.pack("<HHI3I", 0xFFFE, 0xE000, 12, 0, 84, 168)
    data += b"".join(item(frame[n : n + 20]) for frame in frames for n in (0, 20, 40)) + SEQUENCE_END
    assert joined(data, frame_ranges(data, len(data), layout(3), JPEG)) == frames


def test_an_extended_offset_table_is_not_needed() -> None:
    frames = [b"\xff\xd8" + bytes([n]) * 30 for n in range(4)]
    value, _, _ = encapsulate_extended(frames)
    value += SEQUENCE_END
    assert joined(value, frame_ranges(value, len(value), layout(4), JPEG)) == frames


def test_a_wrong_offset_table_is_not_believed() -> None:
    frames = [item(b"\xff\xd8aaaa"), item(b"bbbb"), item(b"\xff\xd8cc")]
    for table in ((0, 7), (5, 14), (14, 0), (0, 0), (0, 14, 26), (0, 1 << 31)):
        data = item(struct.pack(f"<{len(table)}I", *table)) + b"".join(frames) + SEQUENCE_END
        assert joined(data, frame_ranges(data, len(data), layout(2), JPEG)) == [
            b"\xff\xd8aaaabbbb",
            b"\xff\xd8cc",
        ]


def test_frames_that_can_not_be_told_apart_are_refused() -> None:
    data = item(b"") + item(b"aa") * 5 + SEQUENCE_END
    for frames, syntax in ((2, JPEG), (2, RLE), (6, JPEG)):
        with pytest.raises(BadInput):
            frame_ranges(data, len(data), layout(frames), syntax)


def test_all_fragments_make_a_single_frame_and_a_video() -> None:
    data = item(b"") + item(b"aa") + item(b"bb") + SEQUENCE_END
    assert joined(data, frame_ranges(data, len(data), layout(1), JPEG)) == [b"aabb"]
    assert joined(data, frame_ranges(data, len(data), layout(250), MPEG4)) == [b"aabb"]


def test_only_headers_are_read_of_large_fragments() -> None:
    data = item(b"") + b"".join(item(b"\xff\xd8" + bytes(100_000)) for _ in range(10)) + SEQUENCE_END
    stream = io.BytesIO(b"x" * 100 + data)
    amounts: list[int] = []

    def read(offset: int, length: int) -> bytes:
        stream.seek(offset)
        got = stream.read(length)
        amounts.append(len(got))
        return got

    ranges = frame_ranges(read, 100 + len(data), layout(10, offset=100), JPEG)
    assert [frame[0][1] for frame in ranges] == [100_002] * 10
    assert sum(amounts) < 60_000


def test_native_frames_lie_back_to_back() -> None:
    assert frame_ranges(b"", 1 << 20, layout(3, length=12, offset=7), EXPLICIT) == [
        [(7, 4)],
        [(11, 4)],
        [(15, 4)],
    ]
    shared = layout(1, length=8, samples=3, photometric="YBR_FULL_422")
    assert frame_ranges(b"", 1 << 20, shared, EXPLICIT) == [[(0, 8)]]
    of_every_sample = layout(2, length=24, samples=3, photometric="YBR_FULL_422")
    assert frame_ranges(b"", 1 << 20, of_every_sample, EXPLICIT) == [[(0, 12)], [(12, 12)]]


def test_frames_of_single_bits_cover_every_byte_they_touch() -> None:
    bits = layout(3, length=4, bits_allocated=1, rows=3, columns=3)
    assert frame_ranges(b"", 1 << 20, bits, EXPLICIT) == [[(0, 2)], [(1, 2)], [(2, 2)]]


@pytest.mark.parametrize(
    ("frames", "length", "rows"), [(4, 12, 2), (1_000_000, 12, 65_535), (1, 12, 0), (1, 0, 2)]
)
def test_pixel_data_too_short_for_its_claim_is_refused(frames: int, length: int, rows: int) -> None:
    with pytest.raises(BadInput):
        frame_ranges(b"", 1 << 20, layout(frames, length=length, rows=rows), EXPLICIT)


def test_torn_encapsulation_is_refused() -> None:
    whole = item(b"\0\0\0\0") + item(b"\xff\xd8aaaa") + SEQUENCE_END
    for size in range(len(whole)):
        with pytest.raises(BadInput):
            frame_ranges(whole[:size], size, layout(1), JPEG)
    with pytest.raises(BadInput):
        frame_ranges(whole, len(whole), layout(1), EXPLICIT)


def test_a_million_fragments_are_refused() -> None:
    with pytest.raises(LimitExceeded):
        frame_ranges(item(b"") * 1_000_003, 8_000_024, layout(2), JPEG)


@given(st.binary(max_size=120), st.integers(1, 5))
def test_random_fragments_raise_nothing_but_our_errors(noise: bytes, frames: int) -> None:
    for data in (noise, item(b"") + noise, item(noise) + item(noise) + SEQUENCE_END):
        try:
            frame_ranges(data, len(data), layout(frames), JPEG)
        except SamsynError:
            continue


@given(
    frames=st.integers(1, 5),
    rows=st.integers(1, 5),
    columns=st.integers(1, 5),
    bits=st.sampled_from([1, 8, 16, 24, 32]),
    data=st.binary(min_size=500, max_size=500),
)
def test_frames_of_big_endian_words_are_those_of_the_same_value_in_little_endian(
    frames: int, rows: int, columns: int, bits: int, data: bytes
) -> None:
    """PS3.5 A.3 and 6.2: what is turned round are the words of the whole value; frames know nothing of it."""
    facts: dict[str, int | str] = {"rows": rows, "columns": columns, "bits_allocated": bits}
    pixels = layout(frames, len(data), **facts)
    turned = np.frombuffer(data, "<u2").astype(">u2").tobytes()
    for value, word_bits in ((turned, 16), (data, 8))[: 2 if bits <= 8 else 1]:
        found = joined(value, frame_ranges(value, len(value), pixels, BIG))
        little = joined(data, frame_ranges(data, len(data), pixels, EXPLICIT))
        assert [octets(frame, pixels, n, word_bits) for n, frame in enumerate(found, 1)] == little


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2.1.98", "1.2.840.10008.1.2.8.1", RLE])
def test_fragments_without_marks_of_their_own_are_not_parted_by_what_they_begin_with(syntax: str) -> None:
    data = encapsulate([b"\xff\xd8ab", b"cdef", b"\xff\xd8gh"], has_bot=False) + SEQUENCE_END
    with pytest.raises(BadInput):
        frame_ranges(data, len(data), layout(2), syntax)
    assert len(frame_ranges(data, len(data), layout(3), syntax)) == 3


@given(st.binary(max_size=64), st.sampled_from([8, 16, 32, 64]))
def test_swapping_words_twice_gives_the_same(pixels: bytes, bits: int) -> None:
    whole = pixels[: len(pixels) - len(pixels) % (bits // 8)]
    assert swapped_words(swapped_words(whole, bits), bits) == whole
    assert swapped_words(b"\1\2\3\4", 16) == b"\2\1\4\3"
