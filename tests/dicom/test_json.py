"""The DICOM JSON model and the bulk values it points to."""

import base64
import contextlib
import json
import struct
import time
import warnings

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.dicom.json import ALWAYS_WANTED, BULK_BYTES, attributes_to_json, bulk_value, to_dicom_json
from samsyn.errors import LimitExceeded, NotFound, NotSupported, SamsynError
from samsyn.model.attributes import Attributes
from samsyn.render.header import PICTURE_TAGS
from tests.dicom.corpus import (
    EXPLICIT,
    IMPLICIT,
    ITEM_END,
    SEQUENCE_END,
    UNDEFINED,
    data_sets,
    element,
    implicit,
    item,
    minimal,
    pad,
)
from tests.dicom.test_reading import BIG, DEFLATED, deflate, nested

NOT_WELL_FORMED = {
    *("MR_truncated.dcm", "SC_rgb_jpeg.dcm", "rtplan_truncated.dcm"),
    "emri_small_jpeg_2k_lossless_too_short.dcm",
}
PIXELS = "7FE00010"
PIXEL_DATA_TAG = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")
PIXEL_KEYS = {"7FE00010", "7FE00008", "7FE00009"}
Model = dict[str, dict[str, object]]


def convert(data: bytes, syntax: str = EXPLICIT) -> Model:
    made = orjson.loads(to_dicom_json(data, syntax, "B"))
    assert isinstance(made, dict)
    return made


def normalized(model: Model) -> Model:
    """Takes out the differences that are meant; see the test below."""
    made: Model = {}
    for key, entry in model.items():
        if key.endswith("0000"):
            continue  # 1. group lengths are retired and say nothing about the object
        if key in PIXEL_KEYS:
            entry = {"vr": entry["vr"]}  # 2. pixel data are always bulk data here, however few
        values = entry.get("Value")
        if entry["vr"] == "SQ":
            values = [normalized(each) for each in values] if isinstance(values, list) else []
            entry = {"vr": "SQ", "Value": values}  # 3. an empty sequence has no Value (PS3.18 F.2.5)
        elif isinstance(values, list):
            # 4. an empty value among several is null (PS3.18 F.2.5), padding of each value is taken off
            entry = {
                "vr": entry["vr"],
                "Value": [(each.strip() or None) if isinstance(each, str) else each for each in values],
            }
        made[key] = entry
    return made


@pytest.mark.slow
def test_every_object_of_the_corpus_becomes_what_pydicom_makes_of_it() -> None:
    compared = 0
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED:
            with pytest.raises(SamsynError):
                to_dicom_json(data, syntax, "B")
            continue
        mine = convert(data, syntax)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            theirs = json.loads(
                json.dumps(
                    pydicom.dcmread(path).to_json_dict(
                        bulk_data_threshold=(BULK_BYTES + 1) * 4 // 3,
                        bulk_data_element_handler=lambda _: "",
                        suppress_invalid_tags=True,  # 5. pydicom drops what it can not convert, we show it as text
                    )
                )
            )
        left, right = normalized(mine), normalized(theirs)
        assert not set(right) - set(left), path
        for key, entry in right.items():
            ours = left[key]
            if "BulkDataURI" in entry:
                assert ours["vr"] == entry["vr"], (path, key)
                assert str(ours["BulkDataURI"]).startswith("B/"), (path, key)
            else:
                if syntax == BIG and "InlineBinary" in entry:
                    continue  # 6. binary words are little endian here (PS3.18 F.2.7); pydicom leaves them
                assert _without_addresses(ours) == _without_addresses(entry), (path, key)
        compared += 1
    assert compared > 230


def test_what_is_wanted_is_told_as_the_whole_tells_it() -> None:
    compared = 0
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED:
            continue
        whole = convert(data, syntax)
        tags = [tag for key in whole if not (tag := int(key, 16)) & 0x10000]
        for wanted in (PICTURE_TAGS, ALWAYS_WANTED | set(tags[::3]), ALWAYS_WANTED | set(tags[-2:])):
            told = orjson.loads(to_dicom_json(data, syntax, "B", wanted))
            before = [key for key in whole if int(key, 16) in wanted and key < PIXELS]
            assert {key: told[key] for key in told if key != PIXELS} == {key: whole[key] for key in before}, (
                path
            )
            assert told.get(PIXELS, {}).get("vr") == whole.get(PIXELS, {}).get("vr"), path
            if syntax != DEFLATED:
                at = data.find(PIXEL_DATA_TAG[syntax == BIG])
                cut = (
                    data[: at + 12]
                    if at > 0 and PIXELS in whole and data.count(data[at : at + 4]) == 1
                    else data
                )
                assert orjson.loads(to_dicom_json(cut, syntax, "B", wanted)) == told, path
        compared += 1
    assert compared > 230


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
@given(st.binary(max_size=200))
def test_random_bytes_that_are_not_wanted_give_json_or_our_own_errors(syntax: str, noise: bytes) -> None:
    with contextlib.suppress(SamsynError):
        orjson.loads(to_dicom_json(noise, syntax, "B", PICTURE_TAGS))


def _without_addresses(value: object) -> object:
    if isinstance(value, dict):
        return {
            key: (_without_addresses(each) if key != "BulkDataURI" else "") for key, each in value.items()
        }
    return [_without_addresses(each) for each in value] if isinstance(value, list) else value


def test_every_address_in_the_corpus_leads_to_the_value_that_pydicom_has() -> None:
    followed = 0
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED:
            continue
        other = pydicom.dcmread(path)
        for address in _addresses(convert(data, syntax)):
            place = address.removeprefix("B/")
            steps = place.split("/")
            item_there = other
            for tag, number in zip(steps[:-1:2], steps[1::2], strict=True):
                item_there = item_there[int(tag, 16)].value[int(number)]
            expected = item_there[int(steps[-1], 16)]
            if expected.is_undefined_length and len(steps) == 1 and steps[0] == "7FE00010":
                with pytest.raises(NotSupported):
                    bulk_value(data, syntax, place)
            elif expected.is_undefined_length:
                fragments = b"".join(pydicom.encaps.generate_fragments(expected.value))
                assert fragments.endswith(bytes(bulk_value(data, syntax, place)))
            elif syntax != BIG:
                assert bytes(bulk_value(data, syntax, place)) == expected.value, (path, place)
            followed += 1
    assert followed > 150


def _addresses(model: Model) -> list[str]:
    found: list[str] = []
    for entry in model.values():
        if "BulkDataURI" in entry:
            found.append(str(entry["BulkDataURI"]))
        values = entry.get("Value")
        if entry["vr"] == "SQ" and isinstance(values, list):
            for each in values:
                found.extend(_addresses(each))
    return found


WAVEFORM = struct.pack("<600h", *range(600))


@pytest.mark.parametrize("undefined", [True, False])
def test_nested_bulk_data_are_found_by_their_path(undefined: bool) -> None:
    first = element(0x003A0005, b"US", b"\2\0")
    second = element(0x54001010, b"OW", WAVEFORM)
    if undefined:
        items = item(first, UNDEFINED) + ITEM_END + item(second, UNDEFINED) + ITEM_END + SEQUENCE_END
        data = minimal(after=element(0x54000100, b"SQ", items, UNDEFINED))
    else:
        data = minimal(after=element(0x54000100, b"SQ", item(first) + item(second)))
    entry = convert(data)["54000100"]["Value"]
    assert isinstance(entry, list)
    assert entry[1]["54001010"] == {"vr": "OW", "BulkDataURI": "B/54000100/1/54001010"}
    assert bytes(bulk_value(data, EXPLICIT, "54000100/1/54001010")) == WAVEFORM
    assert bytes(bulk_value(deflate(data), DEFLATED, "54000100/1/54001010")) == WAVEFORM


@pytest.mark.parametrize(
    "path",
    [
        *("54001010", "54000100/0/54001010", "54000100/9/54001010", "54000100", "00100010", "0020000D", ""),
        *("/", "x", "../../etc/passwd", "54000100/1", "54000100/-1/54001010", "54000100/1/54001010/"),
        *("00100010/0/00100020", "FFFEE000", "54000100/1/FFFEE00D", "54000100/99999999/54001010"),
        "54000100/0/" * 40 + "54001010",
    ],
)
def test_a_path_that_leads_nowhere_is_not_found(path: str) -> None:
    items = item(element(0x003A0005, b"US", b"\2\0")) + item(element(0x54001010, b"OW", WAVEFORM))
    with pytest.raises(NotFound):
        bulk_value(minimal(after=element(0x54000100, b"SQ", items)), EXPLICIT, path)


def test_a_compressed_icon_is_its_fragments_joined() -> None:
    pixels = element(0x7FE00010, b"OB", pydicom.encaps.encapsulate([b"icon"]) + SEQUENCE_END, UNDEFINED)
    data = minimal(after=element(0x00880200, b"SQ", item(pixels)))
    [icon] = convert(data)["00880200"]["Value"]
    assert icon["7FE00010"] == {"vr": "OB", "BulkDataURI": "B/00880200/0/7FE00010"}
    assert bytes(bulk_value(data, EXPLICIT, "00880200/0/7FE00010")) == b"icon"


def test_big_endian_words_leave_as_little_endian() -> None:
    head = struct.pack(">HH2sHI", 0x5400, 0x1010, b"OW", 0, len(WAVEFORM))
    data = head + struct.pack(">600h", *range(600))
    assert bytes(bulk_value(data, BIG, "54001010")) == WAVEFORM
    short = struct.pack(">HH2sHI", 0x5400, 0x1010, b"OW", 0, 4) + b"\0\1\0\2"
    assert convert(short, BIG)["54001010"]["InlineBinary"] == base64.b64encode(b"\1\0\2\0").decode()


def test_short_binary_values_stand_in_the_json_and_pixels_never_do() -> None:
    data = minimal(after=element(0x00420011, b"OB", bytes(BULK_BYTES)) + element(0x7FE00010, b"OB", b"\1\2"))
    model = convert(data)
    assert model["00420011"]["InlineBinary"] == base64.b64encode(bytes(BULK_BYTES)).decode()
    assert model["7FE00010"] == {"vr": "OB", "BulkDataURI": "B/7FE00010"}
    longer = minimal(after=element(0x00420011, b"OB", bytes(BULK_BYTES + 2)))
    assert convert(longer)["00420011"] == {"vr": "OB", "BulkDataURI": "B/00420011"}


def test_numbers_that_are_none_stand_as_strings() -> None:
    data = (
        element(0x00200013, b"IS", b"1A")
        + element(0x00280030, b"DS", pad(b"0.5\\NaN\\1_0\\1e999\\\\7"))
        + element(0x00189073, b"FD", struct.pack("<3d", float("nan"), float("-inf"), 1.5))
        + element(0x00281052, b"DS", pad(b"9" * 5_000))
        + element(0x00201208, b"IS", pad(b"9" * 5_000))
    )
    model = convert(data)
    assert model["00200013"]["Value"] == ["1A"]
    assert model["00280030"]["Value"] == [0.5, "NaN", "1_0", "1e999", None, 7.0]
    assert model["00189073"]["Value"] == ["NaN", "-Infinity", 1.5]
    assert model["00281052"]["Value"] == ["9" * 5_000]
    assert model["00201208"]["Value"] == ["9" * 5_000]


def test_names_have_their_component_groups() -> None:
    name = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    data = minimal(
        before=element(0x00100010, b"PN", pad((name + "\\Öberg^Åsa").encode())), charset=b"ISO_IR 192"
    )
    assert convert(data)["00100010"]["Value"] == [
        {"Alphabetic": "Yamada^Tarou", "Ideographic": "山田^太郎", "Phonetic": "やまだ^たろう"},
        {"Alphabetic": "Öberg^Åsa"},
    ]


def test_an_item_inherits_the_character_set_and_may_have_its_own() -> None:
    own = element(0x00080005, b"CS", b"ISO_IR 100") + element(0x00081030, b"LO", pad("Å".encode("latin-1")))
    heir = element(0x00081030, b"LO", "Å".encode())
    data = minimal(after=element(0x00081140, b"SQ", item(own) + item(heir)), charset=b"ISO_IR 192")
    values = convert(data)["00081140"]["Value"]
    assert isinstance(values, list)
    assert [each["00081030"]["Value"] for each in values] == [["Å"], ["Å"]]


def test_values_sent_as_unknown_are_shown_by_what_the_dictionary_says() -> None:
    inner = item(implicit(0x00080100, b"T-D1100 "))
    data = (
        element(0x00081030, b"UN", b"Thorax")
        + element(0x00082218, b"UN", inner)
        + element(0x00082228, b"UN", b"no sequence")
        + element(0x00090010, b"LO", pad(b"GEMS_IDEN_01"))
        + element(0x00091001, b"UN", b"GE_GENESIS_FF ")
        + element(0x00091099, b"UN", b"\1\2")
    )
    model = convert(data)
    assert model["00081030"] == {"vr": "LO", "Value": ["Thorax"]}
    assert model["00082218"] == {"vr": "SQ", "Value": [{"00080100": {"vr": "SH", "Value": ["T-D1100"]}}]}
    assert model["00082228"]["vr"] == "UN"
    assert model["00091001"] == {"vr": "LO", "Value": ["GE_GENESIS_FF"]}
    assert model["00091099"] == {"vr": "UN", "InlineBinary": "AQI="}


def test_implicit_values_take_their_representation_from_the_dictionary_and_the_data_set() -> None:
    data = (
        implicit(0x00280103, b"\1\0")
        + implicit(0x00280106, b"\xff\xff")
        + implicit(0x00283006, b"\1\0\2\0")
        + implicit(0x60003000, b"\1\0")
        + implicit(0x00091001, b"ab")
    )
    model = convert(data, IMPLICIT)
    assert model["00280106"] == {"vr": "SS", "Value": [-1]}
    assert model["00283006"]["vr"] == "OW"
    assert model["60003000"]["vr"] == "OW"
    assert model["00091001"]["vr"] == "UN"


def test_deep_nesting_is_refused_even_inside_what_intake_did_not_open() -> None:
    deep = nested(1_000, defined=False, inside_un=False)
    with pytest.raises(LimitExceeded):
        to_dicom_json(minimal(after=deep), EXPLICIT, "B")
    in_un = implicit(0x00081140, item(b"", UNDEFINED), UNDEFINED)
    body = element(0x00082218, b"UN", item(in_un * 1_000))
    assert convert(minimal(before=body))["00082218"]["vr"] == "UN"


@given(st.binary(max_size=200), st.sampled_from([EXPLICIT, IMPLICIT, BIG]))
def test_random_bytes_give_json_or_our_own_errors(noise: bytes, syntax: str) -> None:
    for data in (noise, element(0x00081140, b"SQ", item(noise)), implicit(0x00081140, item(noise))):
        try:
            orjson.loads(to_dicom_json(data, syntax, "B"))
        except SamsynError:
            continue


@given(
    st.binary(max_size=60),
    st.sampled_from(
        [b"PN", b"LO", b"IS", b"DS", b"UC", b"AT", b"FD", b"FL", b"UL", b"SV", b"UI", b"TM", b"UN"]
    ),
    st.sampled_from([None, b"ISO_IR 192", b"\\ISO 2022 IR 87", b"GB18030", b"ISO_IR 13"]),
)
def test_no_bytes_in_a_value_can_break_the_json(value: bytes, vr: bytes, charset: bytes | None) -> None:
    assert len(convert(minimal(after=element(0x00999999, vr, value), charset=charset))) >= 5


def test_a_ct_header_is_converted_in_well_under_a_millisecond_per_hundred_elements() -> None:
    data = next(data for path, _, data in data_sets() if path.name == "CT_small.dcm")
    best = 1.0
    for _ in range(10):
        begin = time.process_time()
        for _ in range(5):
            made = to_dicom_json(data, EXPLICIT, "B")
        best = min(best, (time.process_time() - begin) / 5)
    per_element = best / made.count(b'"vr"')
    print(f"to_dicom_json of CT_small: {best * 1e6:.0f} us, {per_element * 1e6:.1f} us per element")
    assert per_element < 20e-6


def test_search_answers_become_json() -> None:
    answer: Attributes = {
        0x00100010: ("PN", ("Öberg^Åsa",)),
        0x00080061: ("CS", ("CT", "PR")),
        0x00081030: ("LO", ()),
        0x00201208: ("IS", (7,)),
        0x00100024: ("SQ", ({0x00400032: ("UT", ("1.2.752.129.2.1.3.1",))},)),
        0x00209165: ("AT", (0x00200013,)),
        0x00280030: ("DS", ("0.5", 0.25, float("nan"))),
        0x00420011: ("OB", (b"\1\2",)),
    }
    assert attributes_to_json(answer) == {
        "00080061": {"vr": "CS", "Value": ["CT", "PR"]},
        "00081030": {"vr": "LO"},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Öberg^Åsa"}]},
        "00100024": {
            "vr": "SQ",
            "Value": [{"00400032": {"vr": "UT", "Value": ["1.2.752.129.2.1.3.1"]}}],
        },
        "00201208": {"vr": "IS", "Value": [7]},
        "00209165": {"vr": "AT", "Value": ["00200013"]},
        "00280030": {"vr": "DS", "Value": [0.5, 0.25, "NaN"]},
        "00420011": {"vr": "OB", "InlineBinary": "AQI="},
    }
    assert list(attributes_to_json(answer)) == sorted(attributes_to_json(answer))
