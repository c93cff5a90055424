"""Another uncompressed form of a data set has the same elements and values."""

import zlib
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import FileMetaDataset
from pydicom.filereader import _read_file_meta_info as read_meta
from pydicom.filereader import read_dataset, read_preamble
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.dicom.encoding import decode, encode
from samsyn.dicom.recoding import recode
from samsyn.dicom.transfer_syntaxes import (
    DEFLATED_LITTLE,
    EXPLICIT_BIG,
    EXPLICIT_LITTLE,
    IMPLICIT_LITTLE,
    JPEG_BASELINE,
)
from samsyn.errors import BadInput, LimitExceeded, NotSupported
from samsyn.model.attributes import Attributes

VALUES: Attributes = {
    0x00080005: ("CS", ("ISO_IR 192",)),
    0x00100010: ("PN", ("Skottår^Nils",)),
    0x00081140: ("SQ", ({0x00081155: ("UI", ("1.2.3",))}, {0x00081155: ("UI", ("1.2.4",))})),
    0x00280010: ("US", (512,)),
    0x00281050: ("DS", ("40", "50.5")),
}


def test_implicit_and_explicit_forms_say_the_same() -> None:
    explicit, implicit = encode(VALUES, EXPLICIT_LITTLE), encode(VALUES, IMPLICIT_LITTLE)
    assert decode(recode(implicit, IMPLICIT_LITTLE, EXPLICIT_LITTLE), EXPLICIT_LITTLE) == decode(
        explicit, EXPLICIT_LITTLE
    )
    assert decode(recode(explicit, EXPLICIT_LITTLE, IMPLICIT_LITTLE), IMPLICIT_LITTLE) == decode(
        implicit, IMPLICIT_LITTLE
    )


NUMBERS: Attributes = {
    0x00081140: ("SQ", ({0x00281101: ("US", (1, 2, 3)), 0x00289001: ("UL", (70_000,))},)),
    0x00189073: ("FD", (2.5,)),
    0x00209165: ("AT", (0x00209056,)),
    0x00280010: ("US", (512,)),
    0x7FE00008: ("OF", (b"\x01\x02\x03\x04",)),
    0x7FE00010: ("OW", (b"\x01\x02\x03\x04",)),
}


@pytest.mark.parametrize("target", [EXPLICIT_LITTLE, IMPLICIT_LITTLE])
def test_big_endian_numbers_are_turned_round(target: str) -> None:
    big = encode(VALUES | NUMBERS, EXPLICIT_BIG)
    little = decode(recode(big, EXPLICIT_BIG, target), target)
    turned = {
        0x7FE00008: ("OF", (b"\x04\x03\x02\x01",)),
        0x7FE00010: ("OW", (b"\x02\x01\x04\x03",)),
    }
    assert little == decode(encode(VALUES | NUMBERS | turned, target), target)


def test_a_real_big_endian_object_reads_the_same() -> None:
    path = get_testdata_file("ExplVR_BigEnd.dcm", download=False)
    assert path is not None
    sent = dcmread(path)
    stream = BytesIO(Path(path).read_bytes())
    read_preamble(stream, False)
    read_meta(stream)
    little = recode(stream.read(), EXPLICIT_BIG, EXPLICIT_LITTLE)
    got = read_dataset(BytesIO(little), is_implicit_VR=False, is_little_endian=True)
    pixels = {"PixelData"}
    assert {e.tag: e.value for e in got if e.keyword not in pixels} == {
        e.tag: e.value for e in sent if e.keyword not in pixels and e.tag.element
    }
    got.file_meta = FileMetaDataset()
    got.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert (got.pixel_array == sent.pixel_array).all()


def test_a_deflated_form_is_inflated() -> None:
    explicit = encode(VALUES, EXPLICIT_LITTLE)
    deflate = zlib.compressobj(wbits=-15)
    deflated = deflate.compress(explicit) + deflate.flush()
    assert recode(deflated, DEFLATED_LITTLE, EXPLICIT_LITTLE) == explicit
    assert recode(deflated, DEFLATED_LITTLE, IMPLICIT_LITTLE) == recode(
        explicit, EXPLICIT_LITTLE, IMPLICIT_LITTLE
    )


@pytest.mark.parametrize("name", ["MR_small_implicit.dcm", "rtplan.dcm", "CT_small.dcm", "test-SR.dcm"])
def test_a_real_object_reads_the_same_in_either_form(name: str) -> None:
    path = get_testdata_file(name, download=False)
    if path is None:
        pytest.skip("pydicom's own files are not installed")
    original = dcmread(str(path))
    stream = BytesIO(Path(str(path)).read_bytes())
    read_preamble(stream, False)
    read_meta(stream)
    source = str(original.file_meta.TransferSyntaxUID)
    other = IMPLICIT_LITTLE if source == EXPLICIT_LITTLE else EXPLICIT_LITTLE
    changed = recode(stream.read(), source, other)
    for data, form in ((changed, other), (recode(changed, other, source), source)):
        read = read_dataset(BytesIO(data), form == IMPLICIT_LITTLE, True)
        for element in original:
            if element.tag.is_private or element.tag.element == 0:
                continue
            assert read[element.tag].value == element.value, element.tag
        private = sum(element.tag.is_private for element in original)
        assert sum(element.tag.is_private for element in read) == private


def test_sequences_of_undefined_length_and_unknown_ones_come_out_defined() -> None:
    inner = b"\x08\x00\x55\x11\x04\x00\x00\x001.2\0"
    item = b"\xfe\xff\x00\xe0\xff\xff\xff\xff" + inner + b"\xfe\xff\x0d\xe0\0\0\0\0"
    end = b"\xfe\xff\xdd\xe0\0\0\0\0"
    private = b"\x09\x00\x10\x10\xff\xff\xff\xff" + item + end
    explicit = recode(private, IMPLICIT_LITTLE, EXPLICIT_LITTLE)
    assert explicit[:8] == b"\x09\x00\x10\x10SQ\0\0"
    assert b"\x08\x00\x55\x11UI\x04\x001.2\0" in explicit
    unknown = b"\x09\x00\x10\x10UN\0\0\xff\xff\xff\xff" + item + end
    back = recode(unknown, EXPLICIT_LITTLE, IMPLICIT_LITTLE)
    assert back == b"\x09\x00\x10\x10\x14\0\0\0" + b"\xfe\xff\x00\xe0\x0c\0\0\0" + inner


def test_signed_pixels_make_their_ambiguous_attributes_signed() -> None:
    for sign, vr in ((0, b"US"), (1, b"SS")):
        data = b"\x28\x00\x03\x01\x02\0\0\0" + bytes((sign, 0)) + b"\x28\x00\x06\x01\x02\0\0\0\x05\0"
        assert b"\x28\x00\x06\x01" + vr in recode(data, IMPLICIT_LITTLE, EXPLICIT_LITTLE)


def test_nesting_deeper_than_the_limit_is_refused() -> None:
    data = b""
    for _ in range(40):
        item = b"\xfe\xff\x00\xe0" + len(data).to_bytes(4, "little") + data
        data = b"\x08\x00\x40\x11" + len(item).to_bytes(4, "little") + item
    with pytest.raises(LimitExceeded):
        recode(data, IMPLICIT_LITTLE, EXPLICIT_LITTLE)


@given(st.binary(max_size=300))
def test_no_bytes_raise_anything_but_refusals(data: bytes) -> None:
    for source, target in ((IMPLICIT_LITTLE, EXPLICIT_LITTLE), (EXPLICIT_LITTLE, IMPLICIT_LITTLE)):
        with suppress(BadInput, LimitExceeded):
            recode(data, source, target)


@pytest.mark.parametrize("source", ["1.2.840.10008.1.2.4.102", JPEG_BASELINE])
def test_other_syntaxes_are_not_touched(source: str) -> None:
    with pytest.raises(NotSupported):
        recode(b"", source, EXPLICIT_LITTLE)


def test_what_can_not_be_read_is_refused() -> None:
    with pytest.raises(BadInput):
        recode(b"\x08\x00\x18\x00UI\xff\xff1.2", EXPLICIT_LITTLE, IMPLICIT_LITTLE)
