"""The one way in: what is stored, what is held, what is refused."""

import asyncio
import threading
import time
from datetime import datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from samsyn.audit import journal
from samsyn.clock import SystemClock
from samsyn.errors import BadInput, Mismatch, NotSupported
from samsyn.ingest.receive import Arrival, Intake
from samsyn.model.sender import Sender
from samsyn.store.objects.port import Objects
from tests.indexes import forget_index, make_store
from tests.waiting import PATIENCE_S, until

HOSPITAL = Sender("BENCH", "SE9990000001-0001", "SE9990000001-1001", "2.25.1", "2.25.2")
STRICT = Sender("STRICT", "SE9990000001-0001", "SE9990000001-1001", "", "2.25.2")


def data_set(**changes: object) -> bytes:
    """A small CT image of Tolvan Tolvansson, with changes."""
    image = Dataset()
    image.SpecificCharacterSet = "ISO_IR 100"
    image.SOPClassUID = CTImageStorage
    image.SOPInstanceUID = "2.25.100"
    image.StudyInstanceUID = "2.25.10"
    image.SeriesInstanceUID = "2.25.11"
    image.PatientID = "19121212-1212"
    image.PatientName = "Tolvansson^Tolvan"
    image.PatientBirthDate = "19121212"
    image.StudyDate = "20240301"
    image.AccessionNumber = "A1"
    image.Modality = "CT"
    image.Rows, image.Columns, image.BitsAllocated, image.BitsStored = 2, 2, 16, 12
    image.HighBit, image.PixelRepresentation, image.SamplesPerPixel = 11, 0, 1
    image.PhotometricInterpretation = "MONOCHROME2"
    image.PixelData = bytes(8)
    for name, value in changes.items():
        if value is None:
            delattr(image, name)
        else:
            setattr(image, name, value)
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, image)
    return bytes(stream.getvalue())


class Held(SystemClock):
    """A clock that stands at one moment."""

    def __init__(self, moment: str) -> None:
        self.moment = datetime.fromisoformat(moment)

    def now(self) -> datetime:
        return self.moment


class House:
    def __init__(self, folder: Path, remote: Objects | None = None) -> None:
        self.store = make_store(folder, SystemClock(), remote=remote)
        self.store.start()
        self.intake = Intake(self.store, SystemClock())

    async def send(self, data: bytes, sender: Sender = HOSPITAL, **envelope: str) -> tuple[str, str]:
        arrival = Arrival(sender, str(ExplicitVRLittleEndian), "association-1", **envelope)
        receipt, _ = await self.intake.receive(arrival, data)
        return receipt.outcome, receipt.reason

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        return self.store.peek(lambda connection: [tuple(row) for row in connection.execute(sql)])


@pytest.fixture
def house(tmp_path: Path):
    built = House(tmp_path)
    yield built
    built.store.close()


async def test_an_instance_becomes_patient_study_series_and_audit_entry(house: House) -> None:
    assert await house.send(data_set()) == ("stored", "")
    assert house.rows("SELECT value, issuer FROM patient_identifier") == [
        ("191212121212", "1.2.752.129.2.1.3.1")
    ]
    assert house.rows("SELECT study_uid, modalities, series_count, instance_count, begins FROM study") == [
        ("2.25.10", "CT", 1, 1, 20240301)
    ]
    assert house.rows("SELECT event, actor, patient_key FROM audit") == [("STORE_STUDY", "BENCH", 1)]
    assert await journal.verify(house.store) is None


EMPTY = {"StudyDate": "", "AccessionNumber": "", "StudyID": "", "Modality": "PR"}
FULL = {
    "SOPInstanceUID": "2.25.101", "SeriesInstanceUID": "2.25.12", "StudyDate": "20240301", "StudyTime": "1015",
    "AccessionNumber": "A7", "StudyID": "S7", "StudyDescription": "DT buk", "ReferringPhysicianName": "Ek^Åsa",
}  # fmt: skip
STUDY_ROW = (
    "SELECT study_date, study_time, begins, ends, accession, accession_issuer, study_id, description, referring,"
    " folded_referring FROM study"
)
BY_DAY = "SELECT modality, study_date FROM study_modality ORDER BY modality"


async def test_what_the_first_object_leaves_empty_a_later_series_tells(house: House) -> None:
    """Else nobody would find the study by its number or day, and its report would stand alone."""
    await house.send(data_set(**EMPTY))
    assert await house.send(data_set(**FULL)) == ("stored", "")
    told = ("20240301", "1015", 20240301, 20240301, "A7", "2.25.2", "S7", "DT buk", "Ek^Åsa", "ek^asa")
    assert house.rows(STUDY_ROW) == [told]
    assert house.rows(BY_DAY) == [("CT", "20240301"), ("PR", "20240301")]
    other = {"StudyDate": "20240302", "AccessionNumber": "A8", "StudyDescription": "", "StudyTime": "12"}
    await house.send(
        data_set(**{**FULL, **other, "SOPInstanceUID": "2.25.102", "SeriesInstanceUID": "2.25.13"})
    )
    assert house.rows(STUDY_ROW) == [told]


async def test_a_time_of_another_day_is_not_the_studys(house: House) -> None:
    await house.send(data_set(StudyTime=""))
    await house.send(data_set(**{**FULL, "StudyDate": "20240302"}))
    assert house.rows("SELECT study_date, study_time FROM study") == [("20240301", "")]


async def test_another_providers_series_says_nothing_about_the_study(house: House) -> None:
    """Its accession number is of another name space."""
    await house.send(data_set(**EMPTY))
    klara = Sender("KLARA", "SE9990000002-0001", "SE9990000002-1001", "2.25.3", "2.25.4")
    assert await house.send(data_set(**FULL), klara) == ("stored", "")
    assert house.rows("SELECT study_date, accession, accession_issuer FROM study") == [("", "", "2.25.2")]


async def test_what_one_session_brings_of_a_study_at_once_is_noted_once(house: House) -> None:
    sent = [data_set(SOPInstanceUID=f"2.25.{number}") for number in range(100, 120)]
    other = data_set(SOPInstanceUID="2.25.200", StudyInstanceUID="2.25.20", SeriesInstanceUID="2.25.21")
    refused = data_set(SOPInstanceUID="2.25.100", PixelData=b"\1" * 8)
    outcomes = await asyncio.gather(*map(house.send, (*sent[:3], refused, *sent[3:], other)))
    assert [outcome for outcome, _ in outcomes].count("stored") == 21
    noted = house.rows("SELECT event, json_extract(details, '$.study') FROM audit ORDER BY sequence")
    assert sorted(noted) == [
        ("HOLD_INSTANCE", "2.25.10"),
        ("STORE_STUDY", "2.25.10"),
        ("STORE_STUDY", "2.25.20"),
    ]
    assert await journal.verify(house.store) is None


async def test_a_visit_is_noted_once_though_its_sender_has_not_heard_of_the_first_when_the_next_is_decided(
    house: House,
) -> None:
    gate = threading.Event()
    held = asyncio.create_task(house.store.commit(lambda _: gate.wait(PATIENCE_S)))
    await until(lambda: house.store._writer._turn.locked())
    first = asyncio.create_task(house.send(data_set()))
    await until(lambda: house.store._writer._handed.waiting == 1)
    gate.set()
    # This loop stands still: the record is durable, and nobody here has been told so.
    while house.store.records < 1:
        time.sleep(0.001)
    other = threading.Thread(target=asyncio.run, args=(house.send(data_set(SOPInstanceUID="2.25.101")),))
    other.start()
    other.join()
    await asyncio.gather(held, first)
    assert house.rows("SELECT event FROM audit") == [("STORE_STUDY",)]
    assert house.rows("SELECT instance_count FROM study") == [(2,)]


async def test_the_same_bytes_again_are_success_once_stored(house: House) -> None:
    await house.send(data_set())
    assert await house.send(data_set()) == ("already-stored", "")
    assert house.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_fifty_senders_of_the_same_instance_make_one(house: House) -> None:
    outcomes = await asyncio.gather(*(house.send(data_set()) for _ in range(50)))
    assert sorted(outcome for outcome, _ in outcomes) == ["already-stored"] * 49 + ["stored"]
    assert house.rows("SELECT instance_count FROM study") == [(1,)]


async def test_other_bytes_under_the_same_uid_are_held_once_and_never_overwrite(house: House) -> None:
    first = data_set()
    await house.send(first)
    changed = data_set(PixelData=b"\1" * 8)
    assert await house.send(changed) == ("held", "different-bytes")
    assert await house.send(changed) == ("held", "different-bytes")
    [(segment, offset, length)] = house.rows("SELECT segment, body_offset, length FROM instance")
    assert house.store.body(segment, offset, length) == first
    [(reason, segment, offset, length)] = house.rows("SELECT reason, segment, body_offset, length FROM held")
    assert reason == "different-bytes"
    assert house.store.body(segment, offset, length) == changed


async def test_a_study_of_another_patient_is_never_added_to(house: House) -> None:
    await house.send(data_set())
    other = data_set(SOPInstanceUID="2.25.101", PatientID="199001012385")
    assert await house.send(other) == ("held", "identity-conflict")
    known = data_set(
        SOPInstanceUID="2.25.102",
        StudyInstanceUID="2.25.20",
        SeriesInstanceUID="2.25.21",
        PatientID="199001012385",
    )
    assert await house.send(known) == ("stored", "")
    assert await house.send(data_set(SOPInstanceUID="2.25.103", PatientID="199001012385")) == (
        "held",
        "identity-conflict",
    )
    assert house.rows("SELECT instance_count FROM study ORDER BY study_key") == [(1,), (1,)]


async def test_a_series_under_two_studies_is_held(house: House) -> None:
    await house.send(data_set())
    assert await house.send(data_set(SOPInstanceUID="2.25.104", StudyInstanceUID="2.25.30")) == (
        "held",
        "identity-conflict",
    )


@pytest.mark.parametrize("number", ["", "ABC123"])
async def test_an_identifier_without_issuer_is_held_not_guessed(house: House, number: str) -> None:
    assert await house.send(data_set(PatientID=number), sender=STRICT) == ("held", "unknown-issuer")
    assert house.rows("SELECT COUNT(*) FROM patient") == [(0,)]


async def test_a_local_identifier_gets_its_senders_issuer(house: House) -> None:
    assert await house.send(data_set(PatientID="MRN-7")) == ("stored", "")
    assert house.rows("SELECT value, issuer FROM patient_identifier") == [("MRN-7", "2.25.1")]


async def test_an_image_never_overwrites_what_is_known_of_the_person(house: House) -> None:
    await house.send(data_set())
    await house.send(
        data_set(SOPInstanceUID="2.25.105", PatientName="Annan^Namn", PatientBirthDate="19300101")
    )
    assert house.rows("SELECT name, birth_date FROM patient") == [("Tolvansson^Tolvan", "19121212")]


async def test_the_envelope_must_name_what_is_in_it(house: House) -> None:
    with pytest.raises(Mismatch):
        await house.send(data_set(), sop_instance_uid="2.25.999")
    with pytest.raises(Mismatch):
        await house.send(data_set(), sop_class_uid="1.2.840.10008.5.1.4.1.1.4")
    with pytest.raises(Mismatch):
        await house.send(data_set(), study_uid="2.25.999")
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]


async def test_private_classes_only_from_senders_who_may(house: House) -> None:
    private = data_set(SOPClassUID="1.3.12.2.1107.5.9.1")
    with pytest.raises(NotSupported):
        await house.send(private)
    allowed = Sender("P", HOSPITAL.provider, HOSPITAL.unit, "2.25.1", "2.25.2", private_classes=True)
    assert await house.send(private, sender=allowed) == ("stored", "")


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x08\x00",
        data_set()[:-3],
        data_set()[:-25],
        data_set(StudyInstanceUID=None),
        b"GET / HTTP/1.1\r\n\r\n",
    ],
)
async def test_broken_data_sets_leave_nothing(house: House, data: bytes) -> None:
    with pytest.raises(BadInput):
        await house.send(data)
    assert house.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    assert house.rows("SELECT COUNT(*) FROM held") == [(0,)]


async def test_a_restart_finds_everything_again(tmp_path: Path) -> None:
    house = House(tmp_path)
    for number in range(20):
        await house.send(
            data_set(SOPInstanceUID=f"2.25.{number + 1000}", SeriesInstanceUID=f"2.25.5{number % 3}")
        )
    before = house.rows("SELECT * FROM instance ORDER BY sop_uid") + house.rows("SELECT * FROM study")
    house.store.close()
    forget_index(tmp_path)
    again = House(tmp_path)
    assert again.rows("SELECT * FROM instance ORDER BY sop_uid") + again.rows("SELECT * FROM study") == before
    assert await journal.verify(again.store) is None
    again.store.close()


async def test_what_differs_between_connections_is_compared_on_each_of_them(house: House) -> None:
    for number in range(30):
        for source in ("1", "2", "3"):
            study = f"2.25.{source * 9}"
            made = data_set(
                SOPInstanceUID=f"{study}.{100 + number}",
                StudyInstanceUID=study,
                SeriesInstanceUID=f"{study}.1",
            )
            await house.send(made, source=source)
    known = {key[1]: alike for key, alike in house.intake._alike.items()}
    for source in ("1", "2", "3"):
        fixed = {tag: raw for run in known[source].runs.values() for tag, raw in run.fixed.items()}
        assert bytes(fixed[0x0020000D]).startswith(f"2.25.{source * 9}".encode())


@pytest.mark.parametrize(
    ("now", "number"),
    [
        ("2012-12-11T22:59:00Z", "191212121212"),
        ("2012-12-11T23:01:00Z", "201212121212"),  # a minute past midnight in Sweden, the child's first day
        ("2012-12-12T22:59:00Z", "201212121212"),
    ],
)
async def test_ten_digits_are_of_whom_they_are_on_the_swedish_day(
    tmp_path: Path, now: str, number: str
) -> None:
    """By the day in UTC the pictures of a child born in the night were those of somebody a hundred years older."""
    house = House(tmp_path / "data")
    arrival = Arrival(HOSPITAL, str(ExplicitVRLittleEndian), "association-1")
    await Intake(house.store, Held(now)).receive(arrival, data_set(PatientID="121212-1212"))
    assert house.rows("SELECT value FROM patient_identifier") == [(number,)]
    house.store.close()
