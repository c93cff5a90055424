"""Instances are taken back by rejection notes: hidden from everybody, kept, and shown to stewards who ask."""

import io
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pydicom
import pytest

from samsyn.clock import STOCKHOLM, SystemClock
from samsyn.dicom.rejection import KEY_OBJECT_SELECTION, NoteFrame, read_rejection, write_rejection
from samsyn.errors import NotFound
from samsyn.model.predicate import Everything, Nothing, Predicate
from samsyn.model.rejection import REJECTION_CODES, Reference, RejectionNote
from samsyn.model.subject import SubjectKind
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.render.words import PictureOptions
from samsyn.reports.examination import History
from samsyn.retrieve.look import Look
from samsyn.store.index import examination_rows
from tests.dicomweb.house import (
    CT,
    EXPLICIT,
    House,
    data_set,
    file_of,
    image,
    image_file,
    parts_of,
    store,
    subject_like,
)
from tests.indexes import forget_index
from tests.store.test_settling import settle_all

STUDY = "/studies/2.25.10"
SERIES = f"{STUDY}/series/2.25.11"
INSTANCE = f"{SERIES}/instances/2.25.1001"
SOP = "00080018"


async def ask(
    house: House, path: str, token: str = "NORDWEB", method: str = "GET", accept: str = "*/*"
) -> Any:
    async with house.client(token) as client:
        return await client.request(method, path, headers={"Accept": accept})


async def filled(house: House) -> None:
    """One study with three instances in two series, and one of another provider."""
    async with house.client() as client:
        other = image_file(3, SeriesInstanceUID="2.25.12", Modality="MR")
        assert (await store(client, [image_file(1), image_file(2), other])).status_code == 200
    async with house.client("KLARAWEB") as client:
        klara = image_file(9, StudyInstanceUID="2.25.90", SeriesInstanceUID="2.25.91")
        assert (await store(client, [klara])).status_code == 200


def note_file(
    uids: list[str],
    uid: str = "2.25.500",
    code: str = "113001",
    study: str = "2.25.10",
    series: str = "2.25.11",
) -> bytes:
    """A rejection note of Tolvan's study that a modality would send."""
    references = tuple(Reference(study, series, each, CT) for each in uids)
    patient = {
        0x00100010: ("PN", ("Tolvansson^Tolvån",)),
        0x00100020: ("LO", ("19121212-1212",)),
        0x00100030: ("DA", ("19121212",)),
    }
    frame = NoteFrame(patient, study, f"{uid}.1", uid, "20240302", "080000", "Nordsjukhuset")
    data = write_rejection(RejectionNote(code, references), frame)
    return file_of(data, uid, EXPLICIT, KEY_OBJECT_SELECTION)


async def send(house: House, note: bytes, token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        return await store(client, [note])


async def found(house: House, path: str, token: str = "NORDWEB") -> list[Any]:
    response = await ask(house, path, token)
    return [] if response.status_code == 204 else response.json()


async def uids(house: House, path: str, token: str = "NORDWEB") -> list[str]:
    return sorted(row[SOP]["Value"][0] for row in await found(house, path, token))


async def test_a_body_part_that_only_rejected_images_name_is_not_told(house: House) -> None:
    async with house.client() as client:
        chest, brain = (
            image_file(1, BodyPartExamined="CHEST"),
            image_file(3, SeriesInstanceUID="2.25.12", BodyPartExamined="BRAIN"),
        )
        assert (await store(client, [chest, brain])).status_code == 200

    def told(predicate: Predicate) -> dict[str, tuple[str, ...]]:
        return house.store.peek(lambda c: examination_rows.body_parts(c, predicate, ["2.25.10"]))

    assert told(Everything()) == {"2.25.10": ("BRAIN", "CHEST")}
    assert told(Nothing()) == {}
    assert (await send(house, note_file(["2.25.1003"], series="2.25.12"))).status_code == 200
    assert told(Everything()) == {"2.25.10": ("CHEST",)}


@pytest.mark.parametrize("code", list(REJECTION_CODES))
async def test_what_a_note_names_is_hidden_everywhere(house: House, code: str) -> None:
    await filled(house)
    before = await ask(house, f"{STUDY}/metadata")
    assert (await send(house, note_file(["2.25.1001"], code=code))).status_code == 200
    assert await uids(house, "/instances?PatientID=191212121212") == ["2.25.1002", "2.25.1003"]
    assert await uids(house, f"{SERIES}/instances") == ["2.25.1002"]
    absent = await ask(house, INSTANCE.replace("1001", "9999"))
    for resource in ("", "/metadata", "/frames/1", "/bulkdata/7FE00010", "/rendered", "/thumbnail"):
        hidden = await ask(house, INSTANCE + resource)
        assert (hidden.status_code, hidden.content) == (404, absent.content), resource
    assert len(parts_of(await ask(house, STUDY))) == 2
    after = await ask(house, f"{STUDY}/metadata")
    assert [each[SOP]["Value"] for each in after.json()] == [["2.25.1002"], ["2.25.1003"]]
    assert after.headers["etag"] != before.headers["etag"]
    [study] = await found(house, "/studies")
    assert (study["00201206"]["Value"], study["00201208"]["Value"]) == ([2], [2])
    [series] = await found(house, f"{STUDY}/series?Modality=CT")
    assert series["00201209"]["Value"] == [1]


async def test_a_series_or_study_with_nothing_left_is_hidden_as_a_whole(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1003"], series="2.25.12"))
    [study] = await found(house, "/studies")
    assert study["00080061"]["Value"] == ["CT"]
    assert study["00201206"]["Value"] == [1]
    assert await found(house, f"{STUDY}/series?Modality=MR") == []
    assert await found(house, "/studies?ModalitiesInStudy=MR") == []
    assert len(await found(house, "/studies?ModalitiesInStudy=CT")) == 1
    await send(house, note_file(["2.25.1001", "2.25.1002"], uid="2.25.501"))
    assert await found(house, "/studies") == []
    assert (await ask(house, STUDY)).status_code == 404
    assert (await ask(house, f"{STUDY}/metadata")).status_code == 404


async def test_stewards_see_what_was_rejected_where_they_ask_for_it(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1001"]))
    everything = ["2.25.1001", "2.25.1002", "2.25.1003", "2.25.500"]
    assert await uids(house, f"/rejected{STUDY}/instances", "NORDSTEWARD") == everything
    assert await uids(house, f"{STUDY}/instances", "NORDSTEWARD") == ["2.25.1002", "2.25.1003"]
    [study] = await found(house, "/rejected/studies", "NORDSTEWARD")
    assert study["00201208"]["Value"] == [4]
    assert study["00081190"]["Value"] == [f"http://samsyn.test/dicomweb/rejected{STUDY}"]
    single = await ask(house, f"/rejected{INSTANCE}", "NORDSTEWARD", accept="application/dicom")
    assert single.content.endswith(data_set(image()))
    assert len((await ask(house, f"/rejected{STUDY}/metadata", "NORDSTEWARD")).json()) == 4
    for token in ("NORDWEB", "KLARAWEB"):
        assert (await ask(house, f"/rejected{INSTANCE}", token)).status_code == 403
    assert (await ask(house, f"/rejected{INSTANCE}", "KLARASTEWARD")).status_code == 404
    assert await found(house, "/rejected/studies?PatientID=191212121212", "KLARASTEWARD") != []
    assert await uids(house, "/rejected/instances", "KLARASTEWARD") == ["2.25.1009"]


async def test_a_picture_that_was_found_before_is_not_shown_after(house: House, tmp_path: Path) -> None:
    await filled(house)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    [instance] = await house.retriever.instances(view, "2.25.10", "2.25.11", "2.25.1001")
    children = DecodingChildren(1)
    pictures = Pictures(house.retriever, children, tmp_path / "pictures", SystemClock())
    await children.start()
    looked: dict[str, Look] = {}
    try:
        assert isinstance((await house.retriever.data_sets(view, [instance], looked))[0], memoryview)
        await pictures.rendered(view, instance, 1, PictureOptions())
        await pictures.thumbnail(view, instance)
        await send(house, note_file(["2.25.1001"]))
        for ask_again in (
            lambda: pictures.rendered(view, instance, 1, PictureOptions()),
            lambda: pictures.thumbnail(view, instance),
            lambda: pictures.decoded(view, instance, 1),
            lambda: house.retriever.frame(view, instance, 1),
            lambda: house.retriever.data_set(view, instance),
        ):
            with pytest.raises(NotFound):
                await ask_again()
        for seen in (None, looked):
            assert isinstance((await house.retriever.data_sets(view, [instance], seen))[0], NotFound)
    finally:
        await children.stop()


async def test_a_patients_history_counts_only_what_is_shown(house: House) -> None:
    await filled(house)
    [(patient_key,)] = house.rows("SELECT patient_key FROM study WHERE study_uid = '2.25.10'")
    reader = subject_like(house, "NORDWEB", kind=SubjectKind.STAFF, session_id="s1")
    await house.gatekeeper.registers.attest_relation(reader, patient_key)

    async def studies() -> list[Any]:
        view = await house.gatekeeper.open_view(reader, frozenset({patient_key}))
        found = await History(house.store).examinations(view)
        own = [study for each in found for study in each.studies if study.study_uid == "2.25.10"]
        return [(study.series_count, study.instance_count, study.modalities) for study in own]

    assert await studies() == [(2, 3, ("CT", "MR"))]
    await send(house, note_file(["2.25.1003"], series="2.25.12"))
    assert await studies() == [(1, 2, ("CT",))]
    await send(house, note_file(["2.25.1001", "2.25.1002"], uid="2.25.501"))
    assert await studies() == []


async def test_another_providers_instance_is_not_hidden_by_naming_it_in_the_own_study(house: House) -> None:
    await filled(house)
    assert (await send(house, note_file(["2.25.1009"]))).status_code == 409
    assert await uids(house, "/instances", "KLARAWEB") == ["2.25.1009"]
    await send(house, note_file(["2.25.1008"], uid="2.25.501"))
    async with house.client("KLARAWEB") as client:
        late = image_file(8, StudyInstanceUID="2.25.90", SeriesInstanceUID="2.25.91")
        assert (await store(client, [late])).status_code == 200
    assert await uids(house, "/instances", "KLARAWEB") == ["2.25.1008", "2.25.1009"]
    path = "/studies/2.25.90/series/2.25.91/instances/2.25.1008"
    assert (await ask(house, f"{path}/frames/1", "KLARAWEB")).status_code == 200


async def test_settled_instances_are_rejected_and_come_back_like_others(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1001"]))
    await settle_all(house.store)
    left = ["2.25.1002", "2.25.1003"]
    assert await uids(house, "/instances?PatientID=191212121212") == left
    assert (await ask(house, f"{INSTANCE}/frames/1")).status_code == 404
    assert len((await ask(house, f"{STUDY}/metadata")).json()) == 2
    assert (await send(house, note_file(["2.25.1002"], uid="2.25.501"))).status_code == 200
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1003"]
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [1]
    everything = [*("2.25.1001", "2.25.1002", "2.25.1003"), "2.25.500", "2.25.501"]
    assert await uids(house, f"/rejected{STUDY}/instances", "NORDSTEWARD") == everything
    changes = house.rows("SELECT * FROM change")
    [(key,)] = house.rows("SELECT series_key FROM series WHERE series_uid = '2.25.11'")
    await house.store.commit(lambda transaction: transaction.unsettle(key))
    assert house.rows("SELECT * FROM change") == changes, "rows that come back are nothing that happened"
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [1]
    await send(house, note_file(["2.25.501"], uid="2.25.502", series="2.25.501.1"))
    assert await uids(house, f"{STUDY}/instances") == left


async def test_what_was_rejected_stays_hidden_when_its_series_is_moved(house: House) -> None:
    await filled(house)
    async with house.client() as client:
        await store(client, [image_file(7, StudyInstanceUID="2.25.70", SeriesInstanceUID="2.25.71")])
    await send(house, note_file(["2.25.1001"]))
    [(study_key,)] = house.rows("SELECT study_key FROM study WHERE study_uid = '2.25.70'")
    [(series_key,)] = house.rows("SELECT series_key FROM series WHERE series_uid = '2.25.11'")
    await house.store.commit(
        lambda transaction: transaction.update("series", {"series_key": series_key}, study_key=study_key)
    )
    for path in ("/studies/2.25.70/instances", "/studies/2.25.70/series/2.25.11/instances"):
        assert "2.25.1001" not in await uids(house, path)
    moved = "/studies/2.25.70/series/2.25.11/instances"
    assert (await ask(house, f"{moved}/2.25.1001/metadata")).status_code == 404
    assert (await ask(house, f"{moved}/2.25.1002/metadata")).status_code == 200
    counts = house.rows("SELECT study_uid, hidden_count FROM study ORDER BY study_uid")
    assert counts == [("2.25.10", 1), ("2.25.70", 1), ("2.25.90", 0)], "the note itself stays where it was"


async def test_only_the_owner_takes_instances_back(house: House) -> None:
    await filled(house)
    stranger = note_file(["2.25.1001"])
    refused = await send(house, stranger, "KLARAWEB")
    assert refused.status_code == 409
    assert refused.json()["00081198"]["Value"][0]["00081197"]["Value"] == [0x0124]
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]
    assert house.rows("SELECT COUNT(*) FROM rejected") == [(0,)]
    assert house.rows("SELECT COUNT(*) FROM instance") == [(4,)]


async def test_an_instance_that_was_rejected_before_it_came_is_hidden_when_it_comes(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1004"], code="113038"))
    async with house.client() as client:
        assert (await store(client, [image_file(4)])).status_code == 200
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [3]


async def test_a_rejected_note_is_taken_back_and_its_instances_come_back(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1001", "2.25.1002"]))
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1003"]
    assert (
        await send(house, note_file(["2.25.500"], uid="2.25.501", series="2.25.500.1"))
    ).status_code == 200
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [3]
    await send(house, note_file(["2.25.1001"], uid="2.25.502"))
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1002", "2.25.1003"]


async def test_what_two_notes_name_is_hidden_until_both_are_taken_back(house: House) -> None:
    """A picture of the wrong patient must not come back because a remark about its quality goes."""
    await filled(house)
    await send(house, note_file(["2.25.1001", "2.25.1002"]))
    await send(house, note_file(["2.25.1001"], uid="2.25.501", code="113037"))
    await send(house, note_file(["2.25.1001"], uid="2.25.502", code="113038"))
    await send(house, note_file(["2.25.500"], uid="2.25.503", series="2.25.500.1"))
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1002", "2.25.1003"]
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [2]
    await send(house, note_file(["2.25.502"], uid="2.25.504", series="2.25.502.1"))  # the one that waits
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1002", "2.25.1003"]
    await send(house, note_file(["2.25.501"], uid="2.25.505", series="2.25.501.1"))
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]
    await send(house, note_file(["2.25.1001"], uid="2.25.506"))
    await send(house, note_file(["2.25.506"], uid="2.25.507", series="2.25.506.1"))
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]


async def test_sending_a_note_again_changes_nothing(house: House) -> None:
    await filled(house)
    for _ in range(2):
        assert (await send(house, note_file(["2.25.1001"]))).status_code == 200
    await send(house, note_file(["2.25.1001"], uid="2.25.501"))
    [study] = await found(house, "/studies")
    assert study["00201208"]["Value"] == [2]


async def test_another_key_object_selection_is_an_object_like_others(house: House) -> None:
    await filled(house)
    note = note_file(["2.25.1001"]).replace(b"113001", b"113000")
    assert (await send(house, note)).status_code == 200
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003", "2.25.500"]


async def test_the_note_is_audited_and_survives_a_new_index(house: House) -> None:
    await filled(house)
    await send(house, note_file(["2.25.1001"], code="113037"))
    [(event, details)] = house.rows("SELECT event, details FROM audit WHERE event = 'REJECT_INSTANCES'")
    assert event == "REJECT_INSTANCES"
    assert {"reason": "113037", "instances": "1"}.items() <= orjson.loads(details).items()
    counted = "SELECT hidden_count FROM study UNION ALL SELECT hidden_count FROM series"
    folder, counts = house.store.folder, house.rows(counted)
    house.close()
    forget_index(folder)
    house.__init__(folder)  # type: ignore[misc]
    assert house.rows(counted) == counts
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1002", "2.25.1003"]


# -- DELETE ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "left"),
    [
        (INSTANCE, ["2.25.1002", "2.25.1003"]),
        (SERIES, ["2.25.1003"]),
        (STUDY, []),
        (f"{INSTANCE}?reason=113039", ["2.25.1002", "2.25.1003"]),
    ],
)
async def test_deleting_is_rejecting(house: House, path: str, left: list[str]) -> None:
    await filled(house)
    response = await ask(house, path, "NORDSTEWARD", "DELETE")
    assert (response.status_code, response.content) == (204, b"")
    assert await uids(house, "/instances") == left
    assert house.rows("SELECT COUNT(*) FROM instance") == [(5,)]
    address = response.headers["content-location"].removeprefix("http://samsyn.test/dicomweb")
    note = await ask(house, address, "NORDSTEWARD", accept="application/dicom")
    read = pydicom.dcmread(io.BytesIO(note.content))
    assert read.ConceptNameCodeSequence[0].CodeValue == ("113039" if "reason" in path else "113001")
    assert str(read.PatientName) == "Tolvansson^Tolvån"
    assert read.StudyDate == "20240301"
    assert (await ask(house, path, "NORDSTEWARD", "DELETE")).status_code == 404


async def test_a_note_tells_its_moment_in_the_zone_of_what_it_takes_back(house: House) -> None:
    """PS3.3 C.12.1.1.8: the offset that the study's date is told at holds for the note's own moment too."""
    moment = {"StudyTime": "233000", "TimezoneOffsetFromUTC": "-1100"}
    async with house.client() as client:
        assert (await store(client, [image_file(1, **moment)])).status_code == 200
    began = datetime.now(UTC)
    response = await ask(house, STUDY, "NORDSTEWARD", "DELETE")
    address = response.headers["content-location"].removeprefix("http://samsyn.test/dicomweb")
    note = await ask(house, address, "NORDSTEWARD", accept="application/dicom")
    read = pydicom.dcmread(io.BytesIO(note.content))
    assert (read.StudyDate, read.StudyTime, read.get("TimezoneOffsetFromUTC")) == (
        "20240301",
        "233000",
        "-1100",
    )
    [(day, time)] = house.rows(
        f"SELECT content_date, content_time FROM instance WHERE sop_class = '{KEY_OBJECT_SELECTION}'"
    )
    made = datetime.strptime(f"{day}{time}", "%Y%m%d%H%M%S").replace(tzinfo=STOCKHOLM)
    assert began - timedelta(seconds=1) <= made <= datetime.now(UTC)
    assert house.rows("SELECT study_date, study_time FROM study") == [("20240302", "113000")]


async def test_what_was_deleted_is_brought_back_by_deleting_the_note(house: House) -> None:
    await filled(house)
    deleted = await ask(house, INSTANCE, "NORDSTEWARD", "DELETE")
    note = deleted.headers["content-location"].removeprefix("http://samsyn.test/dicomweb")
    assert (await ask(house, note, "NORDSTEWARD", "DELETE")).status_code == 204
    assert await uids(house, f"{STUDY}/instances") == ["2.25.1001", "2.25.1002", "2.25.1003"]


@pytest.mark.parametrize(
    ("path", "token", "status"),
    [
        (INSTANCE, "NORDWEB", 403),
        (INSTANCE, "KLARASTEWARD", 404),
        (INSTANCE, "", 401),
        (f"{STUDY}9", "NORDSTEWARD", 404),
        (f"{INSTANCE}?reason=113000", "NORDSTEWARD", 400),
        (f"{INSTANCE}?cause=113001", "NORDSTEWARD", 400),
        (f"{INSTANCE}?reason=113001&reason=113037", "NORDSTEWARD", 400),
        (f"{INSTANCE}/frames/1", "NORDSTEWARD", 405),
        ("/studies", "NORDSTEWARD", 405),
    ],
)
async def test_who_may_not_delete_changes_nothing(house: House, path: str, token: str, status: int) -> None:
    await filled(house)
    assert (await ask(house, path, token, "DELETE")).status_code == status
    assert house.rows("SELECT COUNT(*) FROM rejected") == [(0,)]


async def test_a_person_deletes_with_the_role_and_a_token_only(house: House) -> None:
    await filled(house)
    staff = {
        "kind": SubjectKind.STAFF,
        "hsa_id": "SE9990000001-2001",
        "name": "Sten Steward",
        "session_id": "s1",
    }
    house.people["steward"] = subject_like(house, "NORDWEB", roles=frozenset({"steward"}), **staff)
    house.people["doctor"] = subject_like(house, "NORDWEB", roles=frozenset(), **staff)
    assert (await ask(house, INSTANCE, "doctor", "DELETE")).status_code == 403
    async with house.client("", Cookie="steward") as client:
        assert (await client.delete(INSTANCE)).status_code == 403
    assert (await ask(house, INSTANCE, "steward", "DELETE")).status_code == 404, "no care relation"
    [(patient_key,)] = house.rows("SELECT patient_key FROM study WHERE study_uid = '2.25.10'")
    await house.gatekeeper.registers.attest_relation(house.people["steward"], patient_key)
    assert (await ask(house, INSTANCE, "steward", "DELETE")).status_code == 204
    [(actor,)] = house.rows("SELECT actor FROM audit WHERE event = 'REJECT_INSTANCES'")
    assert actor == "SE9990000001-2001"


# -- the note itself -------------------------------------------------------------------------------------------


def test_a_written_note_is_read_as_what_it_says() -> None:
    note = note_file(["2.25.1001", "2.25.1002"], code="113038")
    read = pydicom.dcmread(io.BytesIO(note))
    back = read_rejection(data_set(read), EXPLICIT)
    assert back is not None
    assert (back.code, [each.sop_instance_uid for each in back.references]) == (
        "113038",
        ["2.25.1001", "2.25.1002"],
    )
    assert len(read.ContentSequence) == 2


@pytest.mark.parametrize("broken", ["no references", "bad uid"])
async def test_a_note_that_can_not_be_followed_is_refused(house: House, broken: str) -> None:
    await filled(house)
    read = pydicom.dcmread(io.BytesIO(note_file(["2.25.1001"])))
    if broken == "no references":
        del read.CurrentRequestedProcedureEvidenceSequence
        note = file_of(data_set(read), "2.25.500", EXPLICIT, KEY_OBJECT_SELECTION)
    else:
        note = note_file(["2.25.1001"]).replace(b"2.25.1001", b"../../etc")
    assert (await send(house, note)).status_code == 409
    assert house.rows("SELECT COUNT(*) FROM rejected") == [(0,)]
