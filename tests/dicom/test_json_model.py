"""From metadata in JSON or XML back to a data set."""

import io
import json
from typing import Any

import orjson
import pydicom
import pytest
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from samsyn.dicom.json import bulk_value, to_dicom_json
from samsyn.dicom.json_model import encapsulated, encode_model, read_models
from samsyn.dicom.native_xml import NAMESPACE, model_to_xml, xml_to_model
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from tests.dicom.corpus import EXPLICIT, data_sets, element, item, minimal
from tests.dicom.test_json import NOT_WELL_FORMED

Model = dict[str, dict[str, Any]]


def no_bulk(address: str) -> bytes:
    raise BadInput(address)


def comparable(model: Model) -> Model:
    """Without what the way through a file of our own making changes on purpose."""
    made: Model = {}
    for key, entry in model.items():
        if key == "00080005" or key.endswith("0000"):
            continue  # text is written in UTF-8 and group lengths are left out
        values = entry.get("Value")
        if entry["vr"] == "SQ" and isinstance(values, list):
            entry = {"vr": "SQ", "Value": [comparable(each) for each in values]}
        elif entry["vr"] == "PN" and isinstance(values, list):
            entry = {"vr": "PN", "Value": [each and {g: n for g, n in each.items() if n} for each in values]}
        elif isinstance(values, list) and set(values) == {None}:
            entry = {"vr": entry["vr"]}
        made[key] = entry
    return made


def written(model: Model, bulk: Any) -> Model:
    data = encode_model(model, bulk)
    assert pydicom.dcmread(io.BytesIO(data), force=True) is not None
    return orjson.loads(to_dicom_json(data, EXPLICIT, "B"))


def native_objects() -> list[tuple[str, Model, Any]]:
    """The corpus' metadata with what gives their bulk data, without compressed pixels."""
    found = []
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED or len(data) > 300_000:
            continue
        model = orjson.loads(to_dicom_json(data, syntax, "B"))

        def bulk(address: str, data: bytes = data, syntax: str = syntax) -> bytes:
            return bytes(bulk_value(data, syntax, address.removeprefix("B/")))

        try:
            encode_model(model, bulk)
        except SamsynError:
            continue
        found.append((path.name, model, bulk))
    return found


def test_every_native_object_of_the_corpus_comes_back_from_its_metadata() -> None:
    objects = native_objects()
    assert len(objects) > 60
    for name, model, bulk in objects:
        assert comparable(written(model, bulk)) == comparable(model), name


def test_xml_says_what_the_json_says_of_every_object() -> None:
    checked = 0
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED or len(data) > 300_000:
            continue
        model = orjson.loads(to_dicom_json(data, syntax, "B"))
        back = xml_to_model(model_to_xml(model))
        assert json.dumps(as_told(back), sort_keys=True) == json.dumps(as_told(model), sort_keys=True), path
        checked += 1
    assert checked > 80


def as_told(model: Model) -> Model:
    """Values as text, since XML has nothing else; private elements without the place of their block."""
    made: Model = {}
    for key, entry in sorted(model.items()):
        tag = int(key, 16)
        if tag & 0x10000 and tag & 0xFFFF <= 0xFF:
            continue
        if tag & 0x10000:
            key = f"{key[:4]}xx{key[6:]} {len([k for k in made if k.startswith(key[:4])])}"
        values = entry.get("Value")
        if isinstance(values, list):
            told = [as_told(v) if entry["vr"] == "SQ" else named(v) for v in values]
            while told and told[-1] in (None, "None"):
                told.pop()
            entry = {"vr": entry["vr"], "Value": told} if told else {"vr": entry["vr"]}
        made[key] = entry
    return made


def named(value: Any) -> Any:
    if isinstance(value, dict):
        groups = {group: name.rstrip("^") for group, name in value.items() if name.strip("^")}
        return groups or None
    return str(float(value)) if isinstance(value, float | int) else _number_or_text(value)


def _number_or_text(value: Any) -> str:
    try:
        return str(float(value))
    except (TypeError, ValueError):
        return str(value)


def test_text_is_written_in_utf8_whatever_the_metadata_say() -> None:
    model = {
        "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
        "00100010": {"vr": "PN", "Value": [{"Alphabetic": "Åberg^Örjan", "Ideographic": "山田"}]},
        "00400275": {
            "vr": "SQ",
            "Value": [
                {
                    "00080005": {"vr": "CS", "Value": ["ISO_IR 100"]},
                    "00400007": {"vr": "LO", "Value": ["Hjärta"]},
                }
            ],
        },
    }
    found = written(model, no_bulk)
    assert found["00080005"]["Value"] == ["ISO_IR 192"]
    assert found["00100010"] == model["00100010"]
    assert found["00400275"]["Value"] == [{"00400007": {"vr": "LO", "Value": ["Hjärta"]}}]


def test_compressed_frames_are_fragments_of_even_length() -> None:
    data = encode_model({"00100020": {"vr": "LO", "Value": ["1"]}}, no_bulk, encapsulated([b"abc", b"de"]))
    read = pydicom.dcmread(io.BytesIO(data), force=True)
    assert list(pydicom.encaps.generate_frames(read.PixelData, number_of_frames=2)) == [b"abc\0", b"de"]


@pytest.mark.parametrize(
    "model",
    [
        {"x": {"vr": "LO"}},
        {"00100010": 1},
        {"00100010": {"vr": "XX"}},
        {"00100010": {"vr": "PN", "Value": "x"}},
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": 1}]}},
        {"00100020": {"vr": "LO", "Value": [{}]}},
        {"00100020": {"vr": "LO", "Value": ["1"], "InlineBinary": ""}},
        {"00280010": {"vr": "US", "Value": ["x"]}},
        {"00280010": {"vr": "US", "Value": [70_000]}},
        {"00280010": {"vr": "US", "Value": [1.5]}},
        {"00280009": {"vr": "AT", "Value": ["1"]}},
        {"00420011": {"vr": "OB", "InlineBinary": "#"}},
        {"00420011": {"vr": "OB", "Value": ["x"]}},
        {"00420011": {"vr": "OB", "BulkDataURI": "nowhere"}},
        {"00081140": {"vr": "SQ", "Value": ["x"]}},
        {"00081140": {"vr": "SQ", "BulkDataURI": "x"}},
        {"FFFEE000": {"vr": "OB"}},
        {"00000002": {"vr": "UI", "Value": ["1.2"]}},
    ],
)
def test_what_is_none_of_the_model_is_refused(model: Any) -> None:
    with pytest.raises(BadInput):
        encode_model(model, no_bulk)


def test_deep_and_endless_metadata_are_refused() -> None:
    model: Any = {}
    for _ in range(100):
        model = {"00081140": {"vr": "SQ", "Value": [model]}}
    with pytest.raises(LimitExceeded):
        encode_model({"00081140": {"vr": "SQ", "Value": [model]}}, no_bulk)
    for body in (b"", b"1", b"[]", b"[1]", b"{", b"[" * 100_000):
        with pytest.raises(BadInput):
            read_models(body)


def test_private_elements_keep_their_creator_through_xml() -> None:
    data = minimal(
        after=element(0x00091012, b"LO", b"MAKER ")
        + element(0x00091201, b"LO", b"kept")
        + element(0x00400275, b"SQ", item(element(0x00400007, b"LO", b"x ")))
    ).replace(b"\x09\0\x12\x10", b"\x09\0\x12\x00")
    model = orjson.loads(to_dicom_json(data, EXPLICIT, "B"))
    document = model_to_xml(model)
    [private] = etree.fromstring(document).findall(f"{{{NAMESPACE}}}DicomAttribute[@privateCreator]")
    assert (private.get("tag"), private.get("privateCreator")) == ("00090001", "MAKER")
    back = xml_to_model(document)
    assert back["00090010"] == {"vr": "LO", "Value": ["MAKER"]}
    assert back["00091001"]["Value"] == ["kept"]


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'


@pytest.mark.parametrize(
    "document",
    [
        b"",
        b"<a",
        b"<other/>",
        BOMB + b"<NativeDicomModel>&b;</NativeDicomModel>",
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd"><NativeDicomModel/>',
        b"<NativeDicomModel><x/></NativeDicomModel>",
        b'<NativeDicomModel><DicomAttribute tag="x" vr="LO"/></NativeDicomModel>',
        b'<NativeDicomModel><DicomAttribute tag="00100020"/></NativeDicomModel>',
        b'<NativeDicomModel><DicomAttribute tag="00100020" vr="LO"><Value number="-1"/></DicomAttribute>'
        b"</NativeDicomModel>",
        b'<NativeDicomModel><DicomAttribute tag="00100020" vr="LO"/><DicomAttribute tag="00100020" vr="LO"/>'
        b"</NativeDicomModel>",
    ],
)
def test_xml_that_is_none_of_the_model_is_refused(document: bytes) -> None:
    with pytest.raises(BadInput):
        xml_to_model(document)


def test_a_value_with_a_huge_number_costs_no_memory() -> None:
    value = '<Value number="999999">1</Value>'
    attributes = "".join(
        f'<DicomAttribute tag="0010{n:04X}" vr="LO">{value}</DicomAttribute>' for n in range(2, 99)
    )
    with pytest.raises(LimitExceeded):
        xml_to_model(f"<NativeDicomModel>{attributes}</NativeDicomModel>".encode())


@given(st.text(max_size=30))
def test_any_text_can_be_written_as_xml(text: str) -> None:
    model = {"00104000": {"vr": "LT", "Value": [text]}}
    found = xml_to_model(model_to_xml(model)).get("00104000", {}).get("Value", [""])
    clean = [c for c in text if c.isprintable()]
    assert all(character in str(found) for character in clean if character not in "\\'")
