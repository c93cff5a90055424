"""Tables of the standard."""

import random

from pydicom import datadict
from pydicom._dicom_dict import DicomDictionary, RepeatersDictionary
from pydicom._private_dict import private_dictionaries
from pydicom.uid import UID, AllTransferSyntaxes

from samsyn.dicom.dictionary import dictionary_vr, keyword_of, private_vr, tag_of, vr_of
from samsyn.dicom.sop_classes import STORAGE_CLASSES, is_private, is_storage_class
from samsyn.dicom.transfer_syntaxes import TRANSFER_SYNTAXES, find
from samsyn.dicom.uids import is_uid


def test_transfer_syntaxes_agree_with_the_registry() -> None:
    for uid, syntax in TRANSFER_SYNTAXES.items():
        other = UID(uid)
        if other in AllTransferSyntaxes:
            facts = (other.is_implicit_VR, other.is_little_endian, other.is_deflated, other.is_encapsulated)
            assert facts == (not syntax.explicit, syntax.little, syntax.deflated, syntax.encapsulated), uid
    assert {str(uid) for uid in AllTransferSyntaxes} - set(TRANSFER_SYNTAXES) <= {
        "1.2.840.10008.1.2.4.52",  # retired JPEG processes that no codec of today reads
        "1.2.840.10008.1.2.4.53",
        *(f"1.2.840.10008.1.2.4.{last}" for last in (54, 55, 56, 58, 59, 60, 61, 62, 63, 64, 65, 66)),
        "1.2.840.10008.1.2.4.94",  # JPIP: the pixels are elsewhere
        "1.2.840.10008.1.2.4.95",
        "1.2.840.10008.1.2.4.204",
        "1.2.840.10008.1.2.4.205",
        *(f"1.2.840.10008.1.2.7.{last}" for last in (1, 2, 3)),  # SMPTE streams are no files
        "1.2.840.10008.1.20",
    }
    assert find("1.2.3") is None


def test_storage_classes_hold_images_reports_waveforms_and_retired_ones() -> None:
    for uid in (
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.840.10008.5.1.4.1.1.104.1",
        "1.2.840.10008.5.1.4.1.1.9.1.1",
        "1.2.840.10008.5.1.4.1.1.88.33",
        "1.2.840.10008.5.1.4.1.1.6",
    ):
        assert is_storage_class(uid)
        assert is_uid(uid)
    assert not is_storage_class("1.2.840.10008.1.20.1")
    assert not is_storage_class("1.2.840.10008.5.1.4.1.2.2.1")
    assert len(STORAGE_CLASSES) > 150
    assert is_private("1.2.840.113619.4.26")
    assert not is_private("1.2.840.10008.5.1.4.1.1.2")


def test_keywords_tags_and_representations() -> None:
    assert tag_of("PatientName") == 0x00100010
    assert tag_of("NoSuchThing") is None
    assert tag_of("") is None
    assert keyword_of(0x00100010) == "PatientName"
    assert keyword_of(0x00091001) == ""
    assert dictionary_vr(0x00280106) == "US or SS"
    assert vr_of(0x00280106) == "US"
    assert vr_of(0x60023000) == "OB"  # repeating group
    assert vr_of(0x00080000) == "UL"
    assert vr_of(0x00090010) == "LO"
    assert vr_of(0x00091001) == "UN"
    assert vr_of(0x00081199) == "SQ"
    assert private_vr(0x00091001, "GEMS_IDEN_01") == "LO"
    assert private_vr(0x00091001, "nobody") == "UN"


def test_every_element_is_told_as_pydicom_tells_it() -> None:
    source = random.Random(7)
    tags = [*DicomDictionary, *(source.getrandbits(32) for _ in range(2_000))]
    for mask in RepeatersDictionary:
        tags += [int(mask.replace("x", f"{source.randrange(16):X}"), 16) for _ in range(4)]
    for tag in tags:
        if tag & 0xFFFF == 0 or tag >> 16 & 1:
            continue  # lengths of groups and private elements are told by rule
        known = tag in DicomDictionary or datadict.mask_match(tag)
        assert keyword_of(tag) == (datadict.dictionary_keyword(tag) if known else ""), f"{tag:08x}"
        assert dictionary_vr(tag) == (datadict.dictionary_VR(tag) if known else "UN"), f"{tag:08x}"
    for keyword, found in datadict.keyword_dict.items():
        assert tag_of(keyword) == (found if keyword else None), keyword


def test_every_private_element_is_told_as_pydicom_tells_it() -> None:
    for creator, entries in private_dictionaries.items():
        for mask in entries:
            tag = int(mask.replace("xxxx", "0110").replace("xx", "10").replace("x", "1"), 16)
            try:
                told = datadict.private_dictionary_VR(tag, creator)
            except KeyError:
                told = "UN"  # some entries of the table are written so that nothing finds them
            assert private_vr(tag, creator) == told, (creator, mask)
    assert private_vr(0xFFFF0099, "GEMS_IDEN_01") == "UN"
