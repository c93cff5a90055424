"""Files around data sets."""

import io
import struct

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.dicom.part10 import file_preamble_and_meta, split_part10
from samsyn.dicom.uids import IMPLEMENTATION_CLASS_UID, IMPLEMENTATION_VERSION_NAME, is_uid
from samsyn.errors import BadInput, SamsynError
from tests.dicom.corpus import EXPLICIT, data_sets, element, minimal

HEAD = file_preamble_and_meta("1.2.840.10008.5.1.4.1.1.7", "2.25.11", EXPLICIT)


def test_pydicom_reads_the_file_that_we_make_around_a_data_set() -> None:
    other = pydicom.dcmread(io.BytesIO(HEAD + minimal()))
    assert other.preamble == bytes(128)
    assert other.file_meta.MediaStorageSOPInstanceUID == other.SOPInstanceUID == "2.25.11"
    assert other.file_meta.TransferSyntaxUID == EXPLICIT
    assert other.file_meta.ImplementationClassUID == IMPLEMENTATION_CLASS_UID


def test_what_was_put_before_a_data_set_is_found_again() -> None:
    found = split_part10(HEAD + minimal())
    assert found.transfer_syntax_uid == EXPLICIT
    assert found.dataset_offset == len(HEAD)
    assert found.values[0x00020003] == "2.25.11"


def test_every_file_of_the_corpus_is_split_where_pydicom_splits_it() -> None:
    for path, syntax, data in data_sets():
        content = path.read_bytes()
        found = split_part10(content)
        assert found.transfer_syntax_uid == syntax
        assert content[found.dataset_offset :] == data, path


@pytest.mark.parametrize(
    "preamble", [b"MZ" + b"\x90" * 126, b"<html>".ljust(128), b"\xff" * 128, b"DICM" * 32]
)
def test_a_hostile_preamble_is_not_looked_at(preamble: bytes) -> None:
    found = split_part10(preamble + HEAD[128:] + minimal())
    assert found.dataset_offset == len(HEAD)


def test_meta_information_without_group_length_is_read() -> None:
    content = HEAD[:132] + HEAD[144:] + minimal()
    assert split_part10(content).dataset_offset == len(HEAD) - 12


def test_the_group_length_protects_deflated_bytes_that_look_like_meta_information() -> None:
    assert split_part10(HEAD + b"\x02\x00\x10\x00rest").dataset_offset == len(HEAD)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        minimal(),
        bytes(128) + b"DICX",
        HEAD[:132] + minimal(),
        HEAD[:140] + struct.pack("<I", 1 << 31) + HEAD[144:],
        HEAD[:140] + struct.pack("<I", 10) + HEAD[144:],
        HEAD[:150],
        HEAD[:132] + element(0x00020010, b"UI", b"../x") + minimal(),
        HEAD[:132] + element(0x00020010, b"UI", b"1.2\0") * 2 + minimal(),
        HEAD[:132] + element(0x00020016, b"AE", b"") * 10_000 + element(0x00020010, b"UI", b"1.2\0"),
        HEAD[:132] + element(0x00020102, b"OB", b"", 0xFFFFFFFF),
    ],
)
def test_a_broken_file_is_refused(content: bytes) -> None:
    with pytest.raises(BadInput):
        split_part10(content)


@given(st.binary(max_size=100))
def test_random_meta_information_raises_nothing_but_our_errors(noise: bytes) -> None:
    for content in (HEAD[:132] + noise, HEAD[:160] + noise):
        try:
            split_part10(content)
        except SamsynError:
            continue


def test_our_own_names_are_legal() -> None:
    assert is_uid(IMPLEMENTATION_CLASS_UID)
    assert len(IMPLEMENTATION_VERSION_NAME) <= 16
