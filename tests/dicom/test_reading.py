"""What intake reads of a data set, and what it refuses."""

import struct
import time
import tracemalloc
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from samsyn.dicom.reading import INDEXED_TAGS, summarize
from samsyn.dicom.requested import Requested, RequestElement, read_requested
from samsyn.dicom.structure import EXPLICIT_LITTLE_ENCODING
from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from tests.dicom.corpus import (
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    LONG,
    SEQUENCE_END,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    UNDEFINED,
    data_sets,
    element,
    implicit,
    item,
    minimal,
    pad,
)

BIG = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

REFUSED = {
    # No study, SOP class or instance UID: palettes, fragments and provoked errors of the corpus.
    *("fall.dcm", "hotiron.dcm", "hotmetalblue.dcm", "pet.dcm", "pet20step.dcm", "spring.dcm", "summer.dcm"),
    *("chrSQEncoding.dcm", "chrSQEncoding1.dcm", "UN_sequence.dcm", "bad_sequence.dcm", "priv_SQ.dcm"),
    *("JPEGLSNearLossless_08.dcm", "JPEGLSNearLossless_16.dcm", "SC_rgb_jls_lossy_line.dcm"),
    *("SC_rgb_jls_lossy_sample.dcm", "empty_charset_LEI.dcm", "no_meta_group_length.dcm"),
    "nested_priv_SQ.dcm",  # begins with group 0
    "winter.dcm",  # SOP Instance UID twice
    *("MR_truncated.dcm", "rtplan_truncated.dcm", "emri_small_jpeg_2k_lossless_too_short.dcm"),
    "SC_rgb_jpeg.dcm",  # implicit VR under a transfer syntax that is explicit
}


@contextmanager
def memory_under(limit_bytes: int) -> Iterator[None]:
    """Fails when the block's allocations pass the limit at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


def deflate(data: bytes) -> bytes:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    return machine.compress(data) + machine.flush()


def test_every_legal_object_of_the_corpus_is_read_as_pydicom_reads_it() -> None:
    read = 0
    for path, syntax, data in data_sets():
        if path.name in REFUSED:
            with pytest.raises(BadInput):
                summarize(data, syntax)
            continue
        summary = summarize(data, syntax)
        other = pydicom.dcmread(path)
        assert summary.sop_class_uid == str(other.SOPClassUID), path
        assert summary.sop_instance_uid == str(other.SOPInstanceUID), path
        assert summary.study_uid == str(other.StudyInstanceUID), path
        assert summary.series_uid == str(other.SeriesInstanceUID), path
        assert set(summary.values) == INDEXED_TAGS & set(map(int, other.keys())), path
        if "PixelData" in other:
            assert summary.pixels is not None, path
            assert summary.pixels.rows == other.get("Rows", 0), path
            stated = str(other.get("NumberOfFrames", 1) or 1)  # one file says 1A
            assert summary.pixels.frames == (int(stated) if stated.isdecimal() else 1), path
            if summary.pixels.length >= 0 and syntax != DEFLATED:
                start, length = summary.pixels.offset, summary.pixels.length
                assert data[start : start + length] == other.PixelData, path
            else:
                assert syntax == DEFLATED or other["PixelData"].is_undefined_length, path
        read += 1
    assert read > 200


def test_the_same_object_is_read_alike_in_every_native_transfer_syntax() -> None:
    plain = minimal(
        before=element(0x00081030, b"LO", "Röntgen höger hand".encode()),
        after=element(0x00280010, b"US", b"\x02\0") + element(0x7FE00010, b"OW", b"\1\2\3\4"),
        charset=b"ISO_IR 192",
    )
    expected = summarize(plain, EXPLICIT)
    assert expected.values[0x00081030] == "Röntgen höger hand"
    assert expected.pixels is not None
    assert (expected.pixels.rows, expected.pixels.length) == (2, 4)
    assert summarize(deflate(plain), DEFLATED) == expected
    assert summarize(deflate(plain) + b"\0", DEFLATED) == expected
    in_implicit, in_big = b"", b""
    for tag, vr, value in _elements(plain):
        in_implicit += implicit(tag, value)
        swapped = value[::-1] if vr == b"US" else value
        head = struct.pack(">HH2s", tag >> 16, tag & 0xFFFF, vr)
        size = struct.pack(">HI", 0, len(value)) if vr in LONG else struct.pack(">H", len(value))
        in_big += head + size + swapped
    for data, syntax in ((in_implicit, IMPLICIT), (in_big, BIG)):
        summary = summarize(data, syntax)
        assert summary.values == expected.values
        assert summary.pixels is not None
        assert summary.pixels.rows == 2
        assert data[summary.pixels.offset :] == b"\1\2\3\4"


def _elements(data: bytes) -> list[tuple[int, bytes, bytes]]:
    found, at = [], 0
    while at < len(data):
        group, number, vr, length = struct.unpack_from("<HH2sH", data, at)
        at += 8
        if vr in LONG:
            length = struct.unpack_from("<I", data, at)[0]
            at += 4
        found.append((group << 16 | number, vr, data[at : at + length]))
        at += length
    return found


@pytest.mark.parametrize("missing", [SOP_CLASS, SOP_INSTANCE, STUDY, SERIES])
def test_a_data_set_without_one_of_its_four_uids_is_refused(missing: bytes) -> None:
    with pytest.raises(BadInput):
        summarize(minimal().replace(missing, b""), EXPLICIT)


@pytest.mark.parametrize(
    "uid",
    [
        b"../../etc/passwd",
        b"/absolute/path",
        b"1.2.3\0../x",
        b"1.02.3",
        b"1..2",
        b".1.2",
        b"1.2.",
        b"",
        b"1" * 65,
        b"1.2;rm -rf",
        b"1.2\n",
        "1.٢.3".encode(),
        "1.²".encode("latin-1"),
        b"*",
    ],
)
def test_an_impossible_uid_is_refused_and_never_repeated_in_the_message(uid: bytes) -> None:
    data = minimal().replace(STUDY, element(0x0020000D, b"UI", pad(uid, b"\0")))
    with pytest.raises(BadInput) as refusal:
        summarize(data, EXPLICIT)
    if uid:
        assert uid.decode("latin-1") not in str(refusal.value)


def test_padding_behind_a_uid_is_forgiven() -> None:
    data = minimal().replace(STUDY, element(0x0020000D, b"UI", b"2.25.22 "))
    assert summarize(data, EXPLICIT).study_uid == "2.25.22"


def test_an_identifier_that_stands_twice_is_refused() -> None:
    patient = element(0x00100020, b"LO", b"191212121212")
    with pytest.raises(BadInput):
        summarize(minimal(before=patient + patient), EXPLICIT)


def test_every_truncation_is_refused() -> None:
    data = minimal(
        before=element(
            0x00081140, b"SQ", item(element(0x00081150, b"UI", b"1.2\0"), None) + SEQUENCE_END, UNDEFINED
        ),
        after=element(0x7FE00010, b"OW", b"\0" * 8),
    )
    summarize(data, EXPLICIT)
    whole = {len(minimal())}
    whole.add(len(data))
    for size in range(len(data)):
        if size not in {len(data) - 20}:  # exactly without its last element it is a whole data set again
            with pytest.raises(BadInput):
                summarize(data[:size], EXPLICIT)


def test_trailing_padding_element_is_part_of_a_whole_data_set() -> None:
    summarize(minimal(after=element(0xFFFCFFFC, b"OB", b"\0" * 100)), EXPLICIT)
    with pytest.raises(BadInput):
        summarize(minimal() + b"\0" * 100, EXPLICIT)


@pytest.mark.parametrize("length", [0xFFFFFFFE, 0xFFFFFFFF, 0x7FFFFFFF, 9, 1 << 20])
@pytest.mark.parametrize("vr", [b"OB", b"UN", b"UT", b"SQ", b"OW"])
def test_a_lying_length_is_refused_without_allocating(vr: bytes, length: int) -> None:
    data = minimal(after=element(0x00420011, vr, b"12345678", length))
    with memory_under(1 << 20), pytest.raises(BadInput):
        summarize(data, EXPLICIT)


def nested(depth: int, *, defined: bool, inside_un: bool = False) -> bytes:
    """Sequences in sequences, built from the inside."""
    if not defined:
        opening = (
            implicit(0x00081140, b"", UNDEFINED) if inside_un else element(0x00081140, b"SQ", b"", UNDEFINED)
        )
        body = (opening + item(b"", UNDEFINED)) * depth + (ITEM_END + SEQUENCE_END) * depth
        if inside_un:
            body = element(0x00091010, b"UN", item(body) + SEQUENCE_END, UNDEFINED)
        return body
    sizes = [0]
    for _ in range(depth):
        sizes.append(sizes[-1] + 20)
    return b"".join(
        element(0x00081140, b"SQ", b"", size - 12) + item(b"", size - 20) for size in reversed(sizes[1:])
    )


@pytest.mark.parametrize("depth", [33, 100, 1_000, 100_000])
@pytest.mark.parametrize("kind", ["defined", "undefined", "inside UN"])
def test_deep_nesting_is_refused_by_its_named_limit(depth: int, kind: str) -> None:
    data = minimal(after=nested(depth, defined=kind == "defined", inside_un=kind == "inside UN"))
    before = time.process_time()
    with pytest.raises(LimitExceeded, match="MAX_SEQUENCE_DEPTH"):
        summarize(data, EXPLICIT)
    assert time.process_time() - before < 1


@pytest.mark.parametrize("kind", ["defined", "undefined", "inside UN"])
def test_nesting_of_real_objects_is_read(kind: str) -> None:
    summarize(minimal(after=nested(20, defined=kind == "defined", inside_un=kind == "inside UN")), EXPLICIT)


@pytest.mark.slow
def test_a_deflate_bomb_is_refused_while_inflating() -> None:
    machine = zlib.compressobj(9, zlib.DEFLATED, -15)
    zeros = bytes(1 << 20)
    bomb = b"".join(machine.compress(zeros) for _ in range(256)) + machine.flush()
    with memory_under(64 << 20), pytest.raises(LimitExceeded):
        summarize(bomb, DEFLATED)


def test_a_broken_or_unfinished_deflate_stream_is_refused() -> None:
    good = deflate(minimal())
    for data in (good[:-3], good + b"more", b"\xff" * 50, b""):
        with pytest.raises(BadInput):
            summarize(data, DEFLATED)


@pytest.mark.parametrize("what", ["elements", "items", "fragments"])
def test_more_than_a_million_elements_are_refused_in_bounded_time(what: str) -> None:
    many = 1_000_001
    body = {
        "elements": element(0x00091001, b"LO", b"") * many,
        "items": element(0x00081140, b"SQ", item(b"") * many),
        "fragments": element(0x7FE00010, b"OB", item(b"") * many + SEQUENCE_END, UNDEFINED),
    }[what]
    before = time.process_time()
    with pytest.raises(LimitExceeded, match="MAX_ELEMENTS"):
        summarize(minimal(after=body), EXPLICIT)
    assert time.process_time() - before < 5


def test_a_message_or_file_in_place_of_a_data_set_is_refused() -> None:
    for head in (
        implicit(0x00000000, b"\0\0\0\0"),
        element(0x00020010, b"UI", b"1.2\0"),
        b"\0" * 128 + b"DICM",
    ):
        with pytest.raises(BadInput):
            summarize(head + minimal(), EXPLICIT)


def test_an_unknown_transfer_syntax_is_not_supported() -> None:
    with pytest.raises(NotSupported):
        summarize(minimal(), "1.2.3")


@pytest.mark.parametrize(
    ("charset", "value", "text"),
    [
        (b"ISO_IR 100", "Åsa^Öberg".encode("latin-1"), "Åsa^Öberg"),
        (b"ISO_IR 192", "Åsa^Öberg".encode(), "Åsa^Öberg"),
        (None, "Åsa^Öberg".encode("latin-1"), "Åsa^Öberg"),
        (None, "Åsa^Öberg".encode(), "Åsa^Öberg"),
        (b"NONSENSE", "Åsa^Öberg".encode("latin-1"), "Åsa^Öberg"),
        (b"\\ISO 2022 IR 87", b"Yamada^Tarou=\x1b$B;3ED\x1b(B^\x1b$BB@O:\x1b(B", "Yamada^Tarou=山田^太郎"),
        (
            b"\\ISO 2022 IR 149",
            b"Hong^Gildong=\x1b$)C\xfb\xf3^\x1b$)C\xd1\xce\xd4\xd7",
            "Hong^Gildong=洪^吉洞",
        ),
        (b"ISO 2022 IR 100\\ISO 2022 IR 144", b"\xc5sa^\x1b-L\xbb\xee\xda", "Åsa^Люк"),
        (b"GB18030", "王^小东".encode("gb18030"), "王^小东"),
        (b"ISO_IR 192", b"\xc5sa", "\ufffdsa"),
    ],
)
def test_names_are_decoded_by_their_character_set(charset: bytes | None, value: bytes, text: str) -> None:
    data = minimal(before=element(0x00100010, b"PN", pad(value)), charset=charset)
    assert summarize(data, EXPLICIT).values[0x00100010] == text


@given(
    st.binary(max_size=40),
    st.sampled_from([b"", b"ISO_IR 13", b"\\ISO 2022 IR 87", b"x\\y", b"GBK", b"\xff"]),
)
def test_no_bytes_in_a_text_can_make_reading_fail(value: bytes, charset: bytes) -> None:
    data = minimal(before=element(0x00100010, b"PN", value), charset=charset)
    assert isinstance(summarize(data, EXPLICIT).values[0x00100010], str)


@given(st.binary(max_size=300), st.sampled_from([EXPLICIT, IMPLICIT, BIG, DEFLATED]))
def test_random_bytes_are_refused_with_our_own_errors_only(noise: bytes, syntax: str) -> None:
    with pytest.raises(SamsynError):
        summarize(noise, syntax)
    with suppress(SamsynError):
        summarize(minimal(after=noise), EXPLICIT)


def test_reading_a_part_of_a_larger_buffer_needs_no_copy() -> None:
    data = minimal(before=element(0x00100020, b"LO", b"191212121212"))
    padded = memoryview(b"x" * 10 + data + b"y" * 10)[10:-10]
    assert summarize(padded, EXPLICIT) == summarize(data, EXPLICIT)


@pytest.mark.parametrize("form", ["explicit", "implicit", "big", "deflated", "undefined"])
def test_what_a_series_was_ordered_as_is_read_in_every_encoding(form: str) -> None:
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID, made.SOPInstanceUID = "1.2.840.10008.5.1.4.1.1.2", "2.25.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = "2.25.2", "2.25.3"
    item, empty = Dataset(), Dataset()
    item.ScheduledProcedureStepID, item.RequestedProcedureID = "STEG-Å", "P1"
    made.RequestAttributesSequence = [item, empty, item]
    made["RequestAttributesSequence"].is_undefined_length = form == "undefined"
    syntax = {
        "implicit": ImplicitVRLittleEndian,
        "big": ExplicitVRBigEndian,
    }.get(form, ExplicitVRLittleEndian)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax.is_little_endian, syntax.is_implicit_VR
    write_dataset(stream, made)
    data, uid = bytes(stream.getvalue()), str(syntax)
    if form == "deflated":
        deflate = zlib.compressobj(wbits=-15)
        data, uid = deflate.compress(data) + deflate.flush(), "1.2.840.10008.1.2.1.99"
    found = read_requested(summarize(data, uid).request)
    assert found == (Requested("STEG-Å", "P1", ""),)


def test_a_request_that_can_not_be_read_leaves_the_object_good() -> None:
    assert read_requested(RequestElement(b"\x40\x00\x75\x02SQ\0\0\x09", b"", EXPLICIT_LITTLE_ENCODING)) == ()
    assert read_requested(None) == ()
