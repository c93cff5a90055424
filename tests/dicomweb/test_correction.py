"""Attributes are corrected as an overlay: what was sent stays, and what leaves says both."""

import io
from typing import Any

import orjson
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from samsyn.dicom.json import to_dicom_json
from samsyn.dicom.overlay import overlaid, overlay_model
from samsyn.dicom.transfer_syntaxes import DEFLATED_LITTLE, EXPLICIT_BIG, IMPLICIT_LITTLE
from samsyn.model.amendment import Amendment
from tests.dicom.corpus import data_sets
from tests.dicom.test_json import NOT_WELL_FORMED
from tests.dicom.test_reading import deflate
from tests.dicomweb.house import EXPLICIT, House, data_set, file_of, image, image_file, parts_of, store
from tests.dicomweb.test_feed import LaterClock, page
from tests.indexes import forget_index

STUDY = "/studies/2.25.10"
INSTANCE = f"{STUDY}/series/2.25.11/instances/2.25.1001"
TIME = "20240302080000.000000+0100"
THORAX = Amendment(0x00081030, "LO", "Thorax frontal och sida", TIME, "SE9990000001-0001")
NAME = Amendment(0x00100010, "PN", "Tolvansson^Örjan", TIME, "SE9990000001-0001")


async def put(house: House, *files: bytes) -> None:
    async with house.client() as client:
        assert (await store(client, list(files))).status_code == 200


async def correct(
    house: House, model: Any, token: str = "NORDSTEWARD", path: str = STUDY, **headers: str
) -> Any:
    async with house.client(token) as client:
        return await client.post(
            f"{path}/corrections?reason=wrong%20order",
            content=orjson.dumps(model),
            headers={"Content-Type": "application/dicom+json", **headers},
        )


async def get(house: House, path: str, accept: str = "*/*", **headers: str) -> Any:
    async with house.client() as client:
        return await client.get(path, headers={"Accept": accept, **headers})


def text(vr: str, value: str) -> dict[str, Any]:
    return {"vr": vr, "Value": [value]} if value else {"vr": vr}


async def test_every_answer_shows_the_right_value(house: House) -> None:
    await put(house, image_file(1), image_file(2))
    before = {path: await get(house, path) for path in (STUDY, f"{STUDY}/metadata", "/studies")}
    corrected = {
        "00081030": text("LO", "Hjärta"),
        "00080050": text("SH", "A77"),
        "00080020": text("DA", "20240229"),
    }
    assert (await correct(house, corrected)).status_code == 204
    [row] = (await get(house, "/studies?AccessionNumber=A77&StudyDate=20240229&includefield=all")).json()
    assert row["00081030"]["Value"] == ["Hjärta"]
    assert (await get(house, "/studies?ModalitiesInStudy=CT&StudyDate=20240229")).status_code == 200
    assert (await get(house, "/studies?AccessionNumber=A1")).status_code == 204
    for model in (await get(house, f"{STUDY}/metadata")).json():
        assert model["00080050"]["Value"] == ["A77"]
        [item] = model["04000561"]["Value"]
        [old] = item["04000550"]["Value"]
        assert (old["00080050"]["Value"], old["00081030"]["Value"]) == (["A1"], ["Thorax"])
        assert (list(model), list(old)) == (sorted(model), sorted(old)), "ascending (PS3.18 F.2.2)"
        assert (item["04000563"]["Value"], item["04000565"]["Value"]) == (["SAMSYN"], ["CORRECT"])
    contents = [content for _, content in parts_of(await get(house, STUDY))]
    contents.append((await get(house, INSTANCE, "application/dicom")).content)
    for content in contents:
        read = pydicom.dcmread(io.BytesIO(content))
        assert (read.AccessionNumber, read.StudyDescription, read.StudyDate) == ("A77", "Hjärta", "20240229")
        [item] = read.OriginalAttributesSequence
        assert item.ModifiedAttributesSequence[0].StudyDescription == "Thorax"
        assert read.PixelData == bytes(range(16))
    for path, answer in before.items():
        again = await get(house, path, **{"If-None-Match": answer.headers["etag"]})
        assert again.status_code == 200, path
    frame = await get(house, f"{INSTANCE}/frames/2", "application/octet-stream")
    assert frame.content == bytes(range(8, 16))
    part = await get(house, INSTANCE, "application/dicom", Range="bytes=-16")
    assert (part.status_code, part.content) == (206, bytes(range(16)))


@pytest.mark.parametrize(
    ("corrected", "row", "told"),
    [
        # Corrected in Swedish time, told by each object at the offset that it has.
        ({"00080020": "20240310", "00080030": "001500"}, ("20240310", "001500"), ("20240309", "231500")),
        ({"00080020": "20240310"}, ("20240310", "003000"), ("20240309", "233000")),
        ({"00080030": "101500"}, ("20240302", "101500"), ("20240302", "091500")),
        ({"00080030": ""}, ("20240302", ""), ("20240302", "")),  # a day alone is not moved
    ],
)
async def test_a_corrected_moment_is_told_at_the_offset_of_each_object(
    house: House, corrected: dict[str, str], row: tuple[str, str], told: tuple[str, str]
) -> None:
    sent = {"StudyDate": "20240301", "StudyTime": "233000", "TimezoneOffsetFromUTC": "+0000"}
    await put(house, image_file(1, **sent))
    model = {tag: text("DA" if tag == "00080020" else "TM", value) for tag, value in corrected.items()}
    assert (await correct(house, model)).status_code == 204
    assert house.rows("SELECT study_date, study_time FROM study") == [row]
    [model] = (await get(house, f"{STUDY}/metadata")).json()
    assert tuple(model[tag].get("Value", [""])[0] for tag in ("00080020", "00080030")) == told
    [item] = model["04000561"]["Value"]
    for tag, before in (("00080020", "20240301"), ("00080030", "233000")):
        changed = item["04000550"]["Value"][0].get(tag)
        assert (changed["Value"][0] == before) if changed else model[tag]["Value"] == [before]
    read = pydicom.dcmread(io.BytesIO((await get(house, INSTANCE, "application/dicom")).content))
    assert (read.StudyDate, read.StudyTime, read.TimezoneOffsetFromUTC) == (*told, "+0000")


async def test_what_was_sent_stays_and_may_be_sent_again(house: House) -> None:
    await put(house, image_file(1))
    await correct(house, {"00081030": text("LO", "Hjärta")})
    await put(house, image_file(1))
    assert house.rows("SELECT COUNT(*) FROM instance") == [(1,)]
    await put(house, image_file(2))
    late = (await get(house, f"{INSTANCE.replace('1001', '1002')}/metadata")).json()
    assert late[0]["00081030"]["Value"] == ["Hjärta"]


async def test_what_was_corrected_to_nothing_is_not_told_again_by_a_later_series(house: House) -> None:
    await put(house, image_file(1))
    await correct(house, {"00081030": text("LO", ""), "00080050": text("SH", "")})
    await put(house, image_file(3, SeriesInstanceUID="2.25.12"))
    assert house.rows("SELECT description, accession FROM study") == [("", "")]


async def test_a_second_correction_keeps_the_first_ones_value_too(house: House) -> None:
    await put(house, image_file(1))
    await correct(house, {"00081030": text("LO", "Hjärta")})
    await correct(house, {"00081030": text("LO", "")})
    [model] = (await get(house, f"{STUDY}/metadata")).json()
    assert model["00081030"] == {"vr": "LO"}
    values = [item["04000550"]["Value"][0]["00081030"]["Value"] for item in model["04000561"]["Value"]]
    assert values == [["Thorax"], ["Hjärta"]]
    read = pydicom.dcmread(io.BytesIO((await get(house, INSTANCE, "application/dicom")).content))
    assert len(read.OriginalAttributesSequence) == 2
    assert read.StudyDescription == ""


async def test_a_correction_is_audited_told_in_the_feed_and_survives_a_new_index(house: House) -> None:
    house.feed_clock = LaterClock(30)
    house.use(None)
    await put(house, image_file(1))
    await correct(house, {"00081030": text("LO", "Hjärta")})
    [(details,)] = house.rows("SELECT details FROM audit WHERE event = 'AMEND_STUDY'")
    assert orjson.loads(details) == {"study": "2.25.10", "attributes": "00081030", "reason": "wrong order"}
    told = (await page(house))["changes"][-1]
    assert (told["kind"], told["study"], told["attributes"]) == ("corrected", "2.25.10", ["00081030"])
    folder, before = house.store.folder, house.rows("SELECT * FROM amendment")
    house.close()
    forget_index(folder)
    house.__init__(folder)  # type: ignore[misc]
    assert house.rows("SELECT * FROM amendment") == before
    assert (await get(house, f"{STUDY}/metadata")).json()[0]["00081030"]["Value"] == ["Hjärta"]


@pytest.mark.parametrize(
    ("model", "status"),
    [
        ({}, 400),
        ([], 400),
        ({"00100020": text("LO", "191212121212")}, 400),
        ({"0020000D": text("UI", "2.25.1")}, 400),
        ({"00080020": text("DA", "20241301")}, 400),
        ({"00080020": text("DA", "2024-1-1")}, 400),
        ({"00080030": text("TM", "2560")}, 400),
        ({"00080050": text("SH", "x" * 17)}, 400),
        ({"00081030": text("LO", "a\nb")}, 400),
        ({"00081030": {"vr": "LO", "Value": ["a", "b"]}}, 400),
        ({"00081030": text("LO", "a\\b")}, 400),
        ({"00100040": text("CS", "X")}, 400),
        ({"nonsense": text("LO", "a")}, 400),
    ],
)
async def test_what_can_not_be_corrected_is_refused(house: House, model: Any, status: int) -> None:
    await put(house, image_file(1))
    assert (await correct(house, model)).status_code == status
    assert house.rows("SELECT COUNT(*) FROM amendment") == [(0,)]


async def test_only_the_owners_stewards_correct(house: House) -> None:
    await put(house, image_file(1))
    model = {"00081030": text("LO", "Hjärta")}
    assert (await correct(house, model, "NORDWEB")).status_code == 403
    assert (await correct(house, model, "KLARASTEWARD")).status_code == 404
    assert (await correct(house, model, "")).status_code == 401
    assert (await correct(house, model, path=f"{STUDY}9")).status_code == 404
    assert (await correct(house, model, **{"Content-Type": "application/json"})).status_code == 415
    assert house.rows("SELECT COUNT(*) FROM amendment") == [(0,)]


# -- the overlay itself ----------------------------------------------------------------------------------------


def test_every_object_of_the_corpus_keeps_all_else() -> None:
    checked = 0
    for path, syntax, data in data_sets():
        if path.name in NOT_WELL_FORMED or len(data) > 300_000:
            continue
        model = orjson.loads(to_dicom_json(data, syntax, "B"))
        made = orjson.loads(to_dicom_json(overlaid(data, syntax, [THORAX]), syntax, "B"))
        old = made.pop("04000561")["Value"][-1]["04000550"]["Value"][0]["00081030"]
        assert old == model.get("00081030", {"vr": "LO"}), path
        assert made.pop("00081030")["Value"] == [THORAX.value], path
        model.pop("00081030", None)
        model.pop("04000561", None)
        assert made == model, path
        checked += 1
    assert checked > 80


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192", "", None, "ISO_IR 144"])
def test_text_is_written_in_the_objects_own_character_set(charset: str | None) -> None:
    made = image(PatientName="Tolvansson^A")
    del made.SpecificCharacterSet
    if charset is not None:
        made.SpecificCharacterSet = charset
    [found] = [pydicom.dcmread(io.BytesIO(file_of(overlaid(data_set(made), EXPLICIT, [NAME]))))]
    expected = "Tolvansson^Orjan" if charset == "ISO_IR 144" else "Tolvansson^Örjan"
    assert str(found.PatientName) == expected
    assert (
        str(found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0].PatientName) == "Tolvansson^A"
    )


@pytest.mark.parametrize("codec", ["utf-8", "latin-1"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT_LITTLE])
def test_what_stands_there_without_a_character_set_keeps_its_meaning(codec: str, syntax: str) -> None:
    """It is read as UTF-8 where it can be that, else as Latin-1; the correction declares what it is."""
    undeclared = image(InstitutionName="SJUKHUS XX", PatientName="Tolvansson^A")
    del undeclared.SpecificCharacterSet
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, syntax == IMPLICIT_LITTLE
    pydicom.filewriter.write_dataset(stream, undeclared)
    data = stream.getvalue().replace(b"SJUKHUS XX", "SJUKHUS Å".encode(codec).ljust(10))
    model = orjson.loads(to_dicom_json(overlaid(data, syntax, [NAME]), syntax, "B"))
    assert model["00080080"]["Value"] == ["SJUKHUS Å"]
    assert model["00100010"]["Value"] == [{"Alphabetic": "Tolvansson^Örjan"}]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT_LITTLE, EXPLICIT_BIG, DEFLATED_LITTLE])
def test_the_overlay_is_in_the_objects_own_transfer_syntax(syntax: str) -> None:
    made = image(PixelData=None)
    stream = pydicom.filebase.DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = syntax != EXPLICIT_BIG, syntax == IMPLICIT_LITTLE
    pydicom.filewriter.write_dataset(stream, made)
    data = deflate(stream.getvalue()) if syntax == DEFLATED_LITTLE else stream.getvalue()
    model = orjson.loads(to_dicom_json(overlaid(data, syntax, [THORAX]), syntax, "B"))
    expected = orjson.loads(to_dicom_json(data, syntax, "B"))
    overlay_model(expected, [THORAX])
    assert model == expected


@pytest.mark.parametrize("undefined", [True, False])
def test_what_was_modified_before_stays_in_the_sequence(undefined: bool) -> None:
    earlier = Dataset()
    earlier.ModifyingSystem = "OTHER"
    made = image()
    made.OriginalAttributesSequence = Sequence([earlier])
    made["OriginalAttributesSequence"].is_undefined_length = undefined
    read = pydicom.dcmread(io.BytesIO(file_of(overlaid(data_set(made), EXPLICIT, [THORAX, NAME]))))
    assert [item.ModifyingSystem for item in read.OriginalAttributesSequence] == ["OTHER", "SAMSYN"]
    modified = read.OriginalAttributesSequence[1].ModifiedAttributesSequence[0]
    assert (modified.StudyDescription, str(modified.PatientName)) == ("Thorax", "Tolvansson^Tolvån")
