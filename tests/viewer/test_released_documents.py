"""Reports that lie among the pictures as objects (SR, PDF): a patient who asks DICOMweb directly is given
them when it is given the report, and no sooner, at every way to an object or a number of objects."""

import io
import zipfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, KeyObjectSelectionDocumentStorage

from samsyn.ingest.receive import Arrival
from samsyn.model.subject import Subject, SubjectKind
from samsyn.reports.measured import Measured
from samsyn.settings.contracts import ReleaseSettings
from tests.reports.documents_made import (
    ENHANCED,
    PDF_BYTES,
    code,
    encapsulated,
    header,
    number,
    report,
    section,
    text,
    written,
)
from tests.store.test_settling import settle_all
from tests.viewer.house import House, a_house, read_document, sender_of
from tests.viewer.life_cycle import AFTER, NORD, Telling
from tests.viewer.test_life_cycle import page_of, report_of
from tests.viewer.test_pages import post
from tests.viewer.test_released import SAYS, TITLE, releasing

pytestmark = pytest.mark.slow

STUDY = "2.25.70"
IMAGE = "2.25.75"
DOCUMENTS = {"2.25.71": "sr", "2.25.72": "pdf", "2.25.73": "measurements", "2.25.74": "key objects"}
AT_ONCE = ReleaseSettings(when="signed")
WAITING = ReleaseSettings(when="signed", after_vidimering=True)
JSON = {"accept": "application/dicom+json"}
OBJECTS = {"accept": 'multipart/related; type="application/dicom"'}


def picture() -> bytes:
    data = header(CTImageStorage, IMAGE, "LC7", Modality="CT")
    data.Rows = data.Columns = 4
    data.SamplesPerPixel, data.BitsAllocated, data.BitsStored, data.HighBit = 1, 16, 16, 15
    data.PixelRepresentation, data.PhotometricInterpretation = 0, "MONOCHROME2"
    data.PixelData = bytes(32)
    return written(data)


def objects() -> list[bytes]:
    numbers = code("126000", "DCM", "Imaging Measurement Report")
    return [
        report(section("Fynd", text(SAYS)), accession="LC7"),
        encapsulated(PDF_BYTES, accession="LC7"),
        report(
            section("Mått", number("Längd", "18", "mm")),
            uid="2.25.73",
            accession="LC7",
            sop_class=ENHANCED,
            title=numbers,
        ),
        written(header(KeyObjectSelectionDocumentStorage, "2.25.74", "LC7", Modality="KO")),
        picture(),
    ]


@asynccontextmanager
async def told(
    folder: Path, rule: ReleaseSettings, *, reads: bool = True
) -> AsyncIterator[tuple[House, Telling]]:
    """Tolvan's signed report of forty days ago, and a study with the same as objects; `reads`: they have been read."""
    async with a_house(folder, releasing(rule)) as house:
        telling = Telling(house, "LC7", TITLE, 40)
        await telling.referral()
        await telling.version("F", 1, SAYS)
        sender = sender_of(NORD, NORD.units[0].hsa_id)
        for data in objects():
            await house.intake.receive(Arrival(sender, str(ExplicitVRLittleEndian), "test"), data)
        if reads:
            await read_documents(house)
        yield house, telling


async def read_documents(house: House) -> None:
    """Does what waits for reading."""
    for uid in ("2.25.71", "2.25.72", "2.25.73"):
        await read_document(house, uid)


async def found(person: httpx.AsyncClient, path: str) -> list[dict[str, Any]]:
    answer = await person.get(f"/dicomweb/{path}", headers=JSON)
    assert answer.status_code in (200, 204, 404), (path, answer.status_code)
    return list(answer.json()) if answer.status_code == 200 else []


def values(models: list[dict[str, Any]], tag: str) -> list[Any]:
    return [value for model in models for value in model[tag].get("Value", ())]


async def seen(house: House, person: httpx.AsyncClient) -> set[str]:
    """The objects that the person is given, by any way; the ways have to agree."""
    house.gatekeeper.forget_views()  # else what was kept holds for limits.VIEW_SECONDS
    instances = values(await found(person, f"studies/{STUDY}/instances"), "00080018")
    given = set(instances)
    series = await found(person, f"studies/{STUDY}/series")
    (study,) = await found(person, f"studies?StudyInstanceUID={STUDY}")
    assert len(series) == values([study], "00201206")[0] == len(instances)
    assert values([study], "00201208") == [len(instances)] and sum(values(series, "00201209")) == len(
        instances
    )
    assert set(values([study], "00080061")) == set(values(series, "00080060"))
    searched = {"SR": {"2.25.71", "2.25.73"}, "DOC": {"2.25.72"}, "KO": {"2.25.74"}, "CT": {IMAGE}}
    for modality, uids in searched.items():
        matched = await found(person, f"studies?ModalitiesInStudy={modality}")
        assert bool(matched) is bool(uids & given), modality
    assert set(values(await found(person, f"studies/{STUDY}/metadata"), "00080018")) == given
    whole = await person.get(f"/dicomweb/studies/{STUDY}", headers=OBJECTS)
    assert {uid for uid in (*DOCUMENTS, IMAGE) if uid.encode() in whole.content} == given
    assert (SAYS.encode("latin-1") in whole.content) is ("2.25.71" in given)
    zipped = await person.get(f"/dicomweb/studies/{STUDY}", headers={"accept": "application/zip"})
    assert len(zipfile.ZipFile(io.BytesIO(zipped.content)).namelist()) == len(given)
    for uid in (*DOCUMENTS, IMAGE):
        one = f"studies/{STUDY}/series/{uid}.1"
        ways = {
            f"{one}/instances/{uid}": OBJECTS,
            one: OBJECTS,
            f"{one}/instances/{uid}/metadata": JSON,
            f"{one}/metadata": JSON,
            f"{one}/instances": JSON,
            f"wado?requestType=WADO&studyUID={STUDY}&seriesUID={uid}.1&objectUID={uid}"
            "&contentType=application/dicom": {},
        }
        if uid in ("2.25.71", "2.25.73", "2.25.74"):
            for kind in ("text/html", "text/plain"):
                ways[f"{one}/rendered?accept={kind}"] = {"accept": kind}
                ways[f"{one}/instances/{uid}/rendered?accept={kind}"] = {"accept": kind}
        if uid == "2.25.72":
            ways[f"{one}/instances/{uid}/rendered"] = {"accept": "application/pdf"}
            ways[f"{one}/instances/{uid}/bulkdata/00420011"] = {"accept": "application/octet-stream"}
        if uid == IMAGE:
            ways[f"{one}/bulkdata"] = {"accept": "*/*"}
        for way, headers in ways.items():
            answer = await person.get(f"/dicomweb/{way}", headers=headers)
            assert (answer.status_code == 200) is (uid in given), (way, answer.status_code)
    key = await house._person("191212121212")
    subject = Subject(SubjectKind.PATIENT, f"patient-{key}", "Tolvan", None, patient_key=key)
    view = await house.gatekeeper.open_view(subject, frozenset({key}))  # type: ignore[arg-type] # None would fail
    (examination,) = await house.deps.history.examinations(view)
    (summary,) = examination.studies
    assert (summary.series_count, summary.instance_count) == (len(series), len(instances))
    assert set(summary.modalities) == set(values(series, "00080060"))
    assert bool(examination.measurements) is ("2.25.73" in given)
    assert bool(await Measured(house.retriever).of(view, summary)) is ("2.25.73" in given)
    by_uid = await house.retriever.by_instance_uids(view, [*DOCUMENTS, IMAGE])
    assert {each.sop_instance_uid for each in by_uid} == given
    return given


@pytest.mark.parametrize("settled", [False, True])
async def test_documents_follow_the_report_they_are_of(tmp_path: Path, settled: bool) -> None:
    everything = {*DOCUMENTS, IMAGE}
    async with told(tmp_path, WAITING) as (house, telling), await house.as_patient("tolvan") as person:
        if settled:
            await settle_all(house.store)
        assert await seen(house, person) == {IMAGE}
        async with house.logged_in("physician") as client:
            shown = await page_of(client, TITLE)
            answer = await post(client, shown, f"{shown.url.path}/vidimera", report=report_of(shown))
            assert answer.status_code == 303
        assert await seen(house, person) == everything
        # Another text has come since, which nobody has vidimerat; so it is with an annulled one.
        await telling.version("C", 24, AFTER)
        assert await seen(house, person) == {IMAGE}
        await telling.version("X", 26, "", reason="fel patient")
        assert await seen(house, person) == {IMAGE}


async def test_documents_of_a_released_report_are_given_when_somebody_has_read_them(tmp_path: Path) -> None:
    """A document that has just come may be a correction that nobody has vidimerat: it waits for its reading."""
    async with told(tmp_path, AT_ONCE, reads=False) as (house, _), await house.as_patient("tolvan") as person:
        assert await seen(house, person) == {IMAGE}
        await read_documents(house)
        assert await seen(house, person) == {*DOCUMENTS, IMAGE}


async def test_staff_is_given_documents_whatever_patients_may_read(tmp_path: Path) -> None:
    async with told(tmp_path, ReleaseSettings()) as (house, _):
        rows = house.store.peek(
            lambda connection: connection.execute("SELECT documents FROM series").fetchall()
        )
        assert sorted(row[0] for row in rows) == [0, 1, 1, 1, 1]
        async with house.logged_in("physician") as client:
            await page_of(client, TITLE)
            instances = await found(client, f"studies/{STUDY}/instances")
            assert set(values(instances, "00080018")) == {*DOCUMENTS, IMAGE}
