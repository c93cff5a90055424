"""Small identifiers to bytes and back."""

import io
import math

import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.dicom.encoding import LATIN_1, UNICODE, decode, encode
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.model.attributes import Attributes
from tests.dicom.corpus import EXPLICIT, IMPLICIT, element, implicit, item
from tests.dicom.test_reading import BIG, nested

PATIENT_NAME, PATIENT_ID, CHARSET = 0x00100010, 0x00100020, 0x00080005

_texts = st.text("abcÅÄÖåäöé漢字 ^=0123", max_size=20).map(str.strip)
_values = {
    0x00100010: ("PN", _texts),
    0x00081030: ("LO", _texts),
    0x00080060: ("CS", st.text("ABC_0123456789", max_size=16)),
    0x00201208: ("IS", st.integers(-(2**31), 2**31 - 1)),
    0x00280030: ("DS", st.text("0123456789.", max_size=16)),
    0x00280010: ("US", st.integers(0, 65535)),
    0x00281101: ("US", st.integers(0, 65535)),
    0x00186020: ("SL", st.integers(-(2**31), 2**31 - 1)),
    0x00189073: ("FD", st.floats(allow_nan=False)),
    0x00209165: ("AT", st.integers(0, 2**32 - 1)),
    0x0020000D: ("UI", st.just("1.2.3")),
}


@st.composite
def attribute_sets(draw: st.DrawFn, depth: int = 2) -> Attributes:
    """Attributes without charset; an empty text only alone, as one empty value and none are the same bytes."""
    chosen = draw(st.sets(st.sampled_from(sorted(_values)), max_size=6))
    made: Attributes = {}
    for tag in chosen:
        vr, values = _values[tag]
        drawn = draw(st.lists(values, max_size=3))
        if all(value == "" for value in drawn):
            drawn = []
        if drawn and drawn[-1] == "" and vr in ("PN", "LO", "CS", "DS"):
            drawn[-1] = "1"
        made[tag] = (vr, tuple(drawn))
    if depth and draw(st.booleans()):
        made[0x00081140] = ("SQ", tuple(draw(st.lists(attribute_sets(depth - 1), max_size=2))))
    return made


@given(attribute_sets(), st.sampled_from([EXPLICIT, IMPLICIT, BIG]), st.sampled_from([UNICODE, LATIN_1]))
def test_what_was_encoded_is_decoded_to_the_same(attributes: Attributes, syntax: str, charset: str) -> None:
    back = decode(encode(attributes, syntax, charset), syntax)
    back.pop(CHARSET, None)
    assert back == attributes


@given(attribute_sets())
def test_pydicom_reads_what_we_encode(attributes: Attributes) -> None:
    stream = io.BytesIO(encode(attributes, EXPLICIT))
    other = pydicom.dcmread(stream, force=True) if attributes else pydicom.Dataset()
    for tag, (vr, values) in attributes.items():
        assert vr == other[tag].VR
        if vr in ("US", "SL", "AT", "IS"):
            theirs = other[tag].value if other[tag].VM > 1 else [other[tag].value] * other[tag].VM
            assert [int(value) for value in theirs] == list(values)


def test_text_beyond_ascii_is_sent_as_utf8_and_says_so() -> None:
    data = encode({PATIENT_NAME: ("PN", ("Öberg^Åsa",)), CHARSET: ("CS", ("ISO_IR 100",))}, EXPLICIT)
    assert decode(data, EXPLICIT) == {
        CHARSET: ("CS", ("ISO_IR 192",)),
        PATIENT_NAME: ("PN", ("Öberg^Åsa",)),
    }
    assert "Öberg^Åsa".encode() in data


def test_text_in_an_item_also_counts_for_the_character_set() -> None:
    data = encode({0x00081140: ("SQ", ({PATIENT_NAME: ("PN", ("Åsa",))},))}, EXPLICIT)
    assert decode(data, EXPLICIT)[CHARSET] == ("CS", ("ISO_IR 192",))


def test_plain_text_needs_no_character_set() -> None:
    assert decode(encode({PATIENT_NAME: ("PN", ("A^B",))}, IMPLICIT), IMPLICIT) == {
        PATIENT_NAME: ("PN", ("A^B",))
    }


def test_a_query_in_latin_1_is_understood() -> None:
    data = element(CHARSET, b"CS", b"ISO_IR 100") + element(PATIENT_NAME, b"PN", "Åsa*".encode("latin-1"))
    assert decode(data, EXPLICIT)[PATIENT_NAME] == ("PN", ("Åsa*",))


def test_a_wildcard_where_a_number_belongs_stays_text() -> None:
    assert decode(implicit(0x00200013, b"1*"), IMPLICIT)[0x00200013] == ("IS", ("1*",))


def test_group_lengths_are_left_out() -> None:
    assert decode(implicit(0x00080000, b"\0\0\0\0") + implicit(0x00080060, b"CT"), IMPLICIT) == {
        0x00080060: ("CS", ("CT",))
    }


@pytest.mark.parametrize("value", [1e-17 / 3, math.pi * 1e30, -math.pi, 100000000000000000000, 3, 0.1])
def test_a_decimal_fits_into_sixteen_characters(value: float) -> None:
    (text,) = decode(encode({0x00280030: ("DS", (value,))}, EXPLICIT), EXPLICIT)[0x00280030][1]
    assert isinstance(text, str)
    assert len(text) <= 16
    assert float(text) == pytest.approx(value)


@pytest.mark.parametrize(
    "attributes",
    [
        {0x00280010: ("US", (70000,))},
        {0x00280010: ("US", ("x",))},
        {0x00280030: ("DS", (math.nan,))},
        {0x00080060: ("CS", ("漢",))},
        {0x00280010: ("US", (1,) * 40_000)},
        {0x00081140: ("SQ", ("x",))},
        {0x00420011: ("OB", ("x",))},
    ],
)
def test_values_that_do_not_fit_are_refused(attributes: Attributes) -> None:
    with pytest.raises(BadInput):
        encode(attributes, EXPLICIT)


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_text_too_long_for_its_representation_keeps_its_value(syntax: str) -> None:
    """As VR UN (PS3.5 6.2.2): what stands beside it must not be lost for it."""
    attributes: Attributes = {
        0x00081030: ("LO", ("å" * 40_000,)),
        0x0020000D: ("UI", tuple(f"2.25.{number}" for number in range(9_000))),
        0x00200010: ("SH", ("1",)),
    }
    data = encode(attributes, syntax)
    assert decode(data, syntax) == {CHARSET: ("CS", (UNICODE,)), **attributes}
    if syntax == EXPLICIT:
        other = pydicom.dcmread(io.BytesIO(data), force=True)
        assert (other[0x00081030].VR, len(other[0x00081030].value), other.StudyID) == ("UN", 80_000, "1")


@pytest.mark.parametrize("depth", [100, 1_000, 20_000])
@pytest.mark.parametrize("defined", [True, False])
def test_a_deeply_nested_identifier_is_refused(depth: int, defined: bool) -> None:
    with pytest.raises(LimitExceeded):
        decode(nested(depth, defined=defined), EXPLICIT)


def test_a_too_large_identifier_is_refused() -> None:
    with pytest.raises(LimitExceeded, match="MAX_IDENTIFIER_BYTES"):
        decode(bytes((1 << 20) + 1), EXPLICIT)


@given(st.binary(max_size=200), st.sampled_from([EXPLICIT, IMPLICIT, BIG]))
def test_random_bytes_raise_nothing_but_our_errors(noise: bytes, syntax: str) -> None:
    for data in (noise, element(0x00081140, b"SQ", item(noise)), implicit(0x00081140, item(noise))):
        try:
            decode(data, syntax)
        except SamsynError:
            continue
