"""A study that was sent for the wrong person: given to the right one in one record, followed, and taken back."""

from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
import pytest_asyncio

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.access.view import Gatekeeper
from samsyn.audit import journal
from samsyn.clock import SystemClock
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.errors import BadInput, Conflict, DamagedData, LimitExceeded, NotAllowed, NotFound
from samsyn.ingest.receive import Arrival
from samsyn.jobs.queue import Job
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.model.predicate import Everything
from samsyn.model.subject import Assignment, Purpose, Right, Subject, SubjectKind
from samsyn.patients import links, registry
from samsyn.patients.identifiers import ISSUERS, Kind
from samsyn.reports.stewardship.decisions import Decisions
from samsyn.reports.stewardship.moving import Mover
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.documents import Documents
from samsyn.store.index import examination_rows, instance_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.settle import Settling
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.indexes import forget_index, make_store
from tests.ingest.test_receive import data_set
from tests.reports.house import KLARA, NORD, RIS, House
from tests.rot import rot

SYNTAX = "1.2.840.10008.1.2.1"
WRONG = PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], "191212121212")
RIGHT = PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], "199001012385")


def steward(provider: str = NORD, role: str = "steward") -> Subject:
    own = Assignment("A", "Förvaltning", Purpose.ADMINISTRATION, provider, "N", f"{provider}-U", "U")
    return Subject(SubjectKind.STAFF, "SE9990000001-9104", "Birger", own, "s", frozenset({role}))


class Archive(House):
    """The house with the rooms that move."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.forgotten: list[str] = []
        self.mover = Mover(self.store, SystemClock(), self.forgotten.append)
        self.decisions = Decisions(
            self.store, SystemClock(), self.intake, self.filing, lambda provider, name: None, self.mover
        )

    async def person(self, identifier: PatientIdentifier, name: str, birth: str, sex: str) -> int:
        def decide(transaction: Transaction) -> int:
            facts = Demographics(name, birth, sex)
            return registry.find_or_make(transaction, identifier, facts, DemographicsOrigin.ADT)

        return (await self.store.commit(decide)).value

    async def send_image(self, number: int, study: str = "2.25.7", series: str = "1", **more: object) -> str:
        data = data_set(
            StudyInstanceUID=study,
            SeriesInstanceUID=f"{study}.{series}",
            SOPInstanceUID=f"{study}.{series}.{number}",
            AccessionNumber="ACC300",
            **more,
        )
        receipt, _ = await self.intake.receive(Arrival(RIS, SYNTAX, "a"), data)
        return receipt.outcome

    async def report(self, control: str, number: str = "191212121212", text: str = "Svar") -> str:
        raw = message(
            msh("ORU^R01", control),
            pid(f"{number}^^^PNR", "", "", ""),
            obr({3: f"F{control}", 18: "ACC300"}),
            obx(text),
        )
        return (await self.send(raw)).verdict.code

    async def things(self, key: int) -> set[str]:
        def ask(connection: Any) -> set[str]:
            keys = frozenset({key})
            found = {row["study_uid"] for row in examination_rows.studies(connection, Everything(), keys)}
            return found | {row["text"] for row in examination_rows.reports(connection, Everything(), keys)}

        return await self.store.read(ask)

    async def header(self, sop_uid: str) -> pydicom.Dataset:
        ((segment, offset, length),) = await self.all(
            "SELECT segment, body_offset, length FROM instance WHERE sop_uid = ?", sop_uid
        )
        body = self.store.body(segment, offset, length)
        return pydicom.dcmread(BytesIO(file_preamble_and_meta("1.2", sop_uid, SYNTAX) + body))

    async def bodies(self, study_uid: str) -> dict[str, bytes]:
        """Every instance of a study as it is read now."""

        def ask(connection: Any) -> dict[str, bytes]:
            facts = instance_rows.study_facts(connection, study_uid)
            assert facts is not None
            return {
                each.sop_instance_uid: self.store.body(
                    each.location.segment, each.location.offset, each.location.length
                )
                for each in instance_rows.instances_of_study(connection, facts[0])
            }

        return await self.store.read(ask)

    async def settle(self) -> None:
        """Every series becomes an object."""
        for (key,) in await self.all("SELECT series_key FROM series"):
            await Settling(self.store, SystemClock()).settle(key)

    async def work(self) -> None:
        for key, kind, name, payload in await self.all(
            "SELECT job_key, kind, name, payload FROM job WHERE kind = 'late-object'"
        ):
            await self.mover.file_late(Job(key, kind, name, payload, 0))


@pytest_asyncio.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    made = Archive(tmp_path / "data")
    yield made
    made.close()


async def two_people(archive: Archive) -> tuple[int, int]:
    return (
        await archive.person(WRONG, "Tolvansson^Tolvan", "19121212", "M"),
        await archive.person(RIGHT, "Ekström^Åsa", "19900101", "F"),
    )


async def test_images_and_texts_go_together_with_headers_that_tell_both(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    for number in (1, 2, 3):
        assert await archive.send_image(number) == "stored"
    assert await archive.report("1") == "AA"
    await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient på arbetslistan")
    assert await archive.things(wrong) == set()
    assert await archive.things(right) == {"2.25.7", "Svar"}
    found = await archive.header("2.25.7.1.2")
    assert (found.PatientID, found.PatientName) == ("199001012385", "Ekström^Åsa")
    assert (found.PatientBirthDate, found.PatientSex) == ("19900101", "F")
    before = found.OriginalAttributesSequence[0].ModifiedAttributesSequence[0]
    assert (before.PatientID, before.PatientName) == ("19121212-1212", "Tolvansson^Tolvan")
    assert found.PixelData == bytes(8)
    assert archive.forgotten == ["2.25.7"]
    events = await archive.all("SELECT patient_key FROM audit WHERE event = 'MOVE_OBJECT' ORDER BY 1")
    assert events == [(wrong,), (right,)]


async def test_undoing_brings_every_byte_and_every_row_back(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    for number in (1, 2):
        await archive.send_image(number)
    await archive.report("1")
    columns = "sop_uid, segment, body_offset, length, sha256, pixel_offset"
    before = await archive.all(f"SELECT {columns} FROM instance ORDER BY sop_uid")
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    assert await archive.all(f"SELECT {columns} FROM instance ORDER BY sop_uid") != before
    await archive.decisions.undo(steward(), act)
    assert await archive.all(f"SELECT {columns} FROM instance ORDER BY sop_uid") == before
    assert await archive.things(wrong) == {"2.25.7", "Svar"}
    assert await archive.things(right) == set()
    with pytest.raises(Conflict):
        await archive.decisions.undo(steward(), act)


async def test_what_arrives_late_for_the_former_person_follows_and_comes_back(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    await archive.send_image(1)
    await archive.report("1")
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    assert await archive.send_image(2) == "stored"
    assert await archive.send_image(3, series="2") == "stored"
    await archive.work()
    assert await archive.report("2", text="Tillägg") == "AA"
    assert await archive.things(right) == {"2.25.7", "Svar", "Tillägg"}
    assert await archive.things(wrong) == set()
    assert await archive.all("SELECT instance_count, series_count FROM study") == [(3, 2)]
    late = await archive.header("2.25.7.2.3")
    assert (late.PatientID, late.PatientName) == ("199001012385", "Ekström^Åsa")
    for number, series in ((1, "1"), (2, "1"), (3, "2")):
        assert await archive.send_image(number, series=series) == "already-stored"
    assert await archive.all("SELECT COUNT(*) FROM held WHERE settled = ''") == [(0,)]
    await archive.decisions.undo(steward(), act)
    assert await archive.things(wrong) == {"2.25.7", "Svar", "Tillägg"}
    assert (await archive.header("2.25.7.2.3")).PatientID == "19121212-1212"


async def test_a_report_that_is_sent_anew_for_the_right_person_stays_there(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    await archive.send_image(1)
    await archive.report("1")
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    assert await archive.report("2", "199001012385", "Rättat svar") == "AA"
    await archive.decisions.undo(steward(), act)
    assert await archive.things(right) == {"Rättat svar"}
    assert await archive.things(wrong) == {"2.25.7", "Svar"}


async def test_some_series_are_split_off_into_a_study_of_their_own_and_joined_again(
    archive: Archive,
) -> None:
    wrong, right = await two_people(archive)
    for series, number in (("1", 1), ("1", 2), ("2", 1)):
        await archive.send_image(number, series=series)
    await archive.report("1")
    chosen = frozenset({"2.25.7.2"})
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Två patienter i en studie", series=chosen)
    assert await archive.things(wrong) == {"2.25.7", "Svar"}
    (uid,) = await archive.things(right)
    assert uid.startswith("2.25.") and uid != "2.25.7"
    found = await archive.header("2.25.7.2.1")
    assert (found.StudyInstanceUID, found.PatientID) == (uid, "199001012385")
    assert (await archive.header("2.25.7.1.1")).PatientID == "19121212-1212"
    rows = await archive.all("SELECT instance_count, series_count FROM study ORDER BY study_key")
    assert rows == [(2, 1), (1, 1)]
    moves = "SELECT study_uid, detail FROM change WHERE kind = 'moved'"
    assert await archive.all(moves) == [("2.25.7", f" {uid}")]
    assert await archive.send_image(2, series="2") == "stored"
    assert await archive.send_image(3, series="1") == "stored"
    await archive.work()
    rows = await archive.all("SELECT instance_count, series_count FROM study ORDER BY study_key")
    assert rows == [(3, 1), (2, 1)]
    await archive.decisions.undo(steward(), act)
    rows = await archive.all("SELECT study_uid, instance_count, series_count, modalities FROM study")
    assert rows == [("2.25.7", 5, 2, "CT")]
    assert await archive.all(moves) == [("2.25.7", f" {uid}"), ("2.25.7", " ")]


async def test_a_person_whom_nobody_knew_is_made_without_a_name(archive: Archive) -> None:
    await archive.person(WRONG, "Tolvansson^Tolvan", "19121212", "M")
    await archive.send_image(1)
    await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    found = await archive.header("2.25.7.1.1")
    assert (found.PatientID, found.PatientName) == ("199001012385", "")


async def test_the_consequences_tell_who_has_seen_it_and_who_must_be_told(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    await archive.send_image(1)
    await archive.report("1")

    def seen(transaction: Transaction) -> None:
        doctor = steward(KLARA)
        for event in (Event.OPEN_IMAGES, Event.OPEN_IMAGES, Event.OPEN_REPORT):
            journal.append(transaction, entry(doctor, event, wrong, details={"of": "2.25.7"}))
        journal.append(
            transaction, entry(doctor, Event.SEND, wrong, details={"of": "2.25.7", "to": "LINDENPACS"})
        )
        journal.append(transaction, entry(doctor, Event.OPEN_IMAGES, wrong, details={"of": "2.25.8"}))

    await archive.store.commit(seen)
    found = await archive.mover.consequences(steward(), "2.25.7", RIGHT)
    assert (found.former.key, found.owner.key if found.owner else 0) == (wrong, right)
    assert (found.instances, found.reports) == (1, 1)
    told = {(each.event, each.times, each.receiver) for each in found.seen}
    assert told == {("OPEN_IMAGES", 2, ""), ("OPEN_REPORT", 1, ""), ("SEND", 1, "LINDENPACS")}
    assert (KLARA, f"{KLARA}-U") in found.to_tell
    assert (NORD, RIS.unit) in found.to_tell
    assert await archive.things(wrong) == {"2.25.7", "Svar"}


async def test_who_is_no_steward_of_the_owner_moves_nothing(archive: Archive) -> None:
    wrong, _ = await two_people(archive)
    await archive.send_image(1)
    with pytest.raises(NotFound):
        await archive.mover.move(steward(KLARA), "2.25.7", RIGHT, "Fel patient")
    with pytest.raises(NotAllowed):
        await archive.mover.move(steward(NORD, "log-reviewer"), "2.25.7", RIGHT, "Fel patient")
    with pytest.raises(BadInput):
        await archive.mover.move(steward(), "2.25.7", RIGHT, "  ")
    with pytest.raises(Conflict):
        await archive.mover.move(steward(), "2.25.7", WRONG, "Samma")
    assert await archive.things(wrong) == {"2.25.7"}


async def test_a_crash_before_the_last_record_leaves_nothing_half_and_a_rebuild_agrees(
    archive: Archive, tmp_path: Path
) -> None:
    wrong, right = await two_people(archive)
    for number in range(1, 8):
        await archive.send_image(number)
    store = archive.store
    real = store.commit
    calls = 0

    async def stopping(*arguments: Any, **more: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 5:
            raise _Died
        return await real(*arguments, **more)

    archive.mover._store = _Stopping(store, stopping)  # type: ignore[assignment]
    with pytest.raises(_Died):
        await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    archive.mover._store = store
    assert await archive.things(wrong) == {"2.25.7"}
    assert await archive.all("SELECT COUNT(*) FROM correction") == [(0,)]
    await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    tables = ("instance", "study", "series", "correction", "original_body", "moved_row", "steward_act")
    before = [await archive.all(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    archive.store.close()
    forget_index(tmp_path / "data")
    archive.store = make_store(tmp_path / "data", SystemClock())
    archive.store.start()
    assert [await archive.all(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert await archive.things(right) == {"2.25.7"}


class _Died(Exception):
    """The end of the process."""


class _Stopping:
    """The store, whose process dies at a certain record."""

    def __init__(self, store: Store, commit: Any) -> None:
        self._store = store
        self.commit = commit

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)


async def test_readers_get_the_corrected_object_at_once_also_from_what_was_kept(
    archive: Archive, tmp_path: Path
) -> None:
    await two_people(archive)
    await archive.send_image(1)
    executor = ThreadPoolExecutor(1)
    retriever = Retriever(archive.store, Documents(archive.store, executor, SystemClock()))
    archive.mover._forget = retriever.known.forget
    own = Assignment("", "PACS", Purpose.CARE, NORD, "N", RIS.unit, "U", (Right("Läsa", "UND", "SJF"),))
    view = await Gatekeeper(archive.store, SystemClock()).open_view(
        Subject(SubjectKind.SYSTEM, "PACS", "PACS", own, "s")
    )
    assert b"Tolvansson" in await retriever.metadata(view, "2.25.7")
    await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    document = await retriever.metadata(view, "2.25.7")
    assert "Ekström^Åsa" in document.decode()
    (instance,) = await retriever.instances(view, "2.25.7")
    assert b"199001012385" in await retriever.data_set(view, instance)
    executor.shutdown()


async def test_a_settled_study_moves_and_comes_back_with_every_byte(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    for number in (1, 2, 3):
        await archive.send_image(number, series=str(1 + number % 2))
    sent = await archive.bodies("2.25.7")
    await archive.settle()
    assert await archive.bodies("2.25.7") == sent
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    assert await archive.things(right) == {"2.25.7"}
    moved = await archive.bodies("2.25.7")
    assert set(moved) == set(sent)
    assert all(b"19900101" in moved[uid] and moved[uid] != sent[uid] for uid in sent)
    await archive.settle()
    assert await archive.bodies("2.25.7") == moved
    assert await archive.send_image(1, series="2") == "already-stored"
    await archive.decisions.undo(steward(), act)
    assert await archive.bodies("2.25.7") == sent
    await archive.settle()
    assert await archive.bodies("2.25.7") == sent
    assert await archive.things(wrong) == {"2.25.7"}
    assert await archive.all("SELECT COUNT(*) FROM instance") == [(0,)]
    assert await archive.all("SELECT instance_count FROM study") == [(3,)]


async def test_what_was_sent_under_two_numbers_is_parted_also_when_it_is_settled(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    await archive.store.commit(lambda transaction: links.merge(transaction, wrong, right, links.Word()))
    await archive.send_image(1)
    more = {"PatientID": RIGHT.value, "PatientName": "Ekström^Åsa", "PatientBirthDate": "19900101"}
    archive.intake._compared["2.25.7", RIGHT, Demographics("Ekström^Åsa", "19900101")] = (
        None  # the contradiction is not what is looked at here
    )
    for number in (2, 3):
        assert await archive.send_image(number, **more) == "stored"
    await archive.settle()
    await archive.store.commit(lambda transaction: links.unmerge(transaction, wrong, right, links.Word()))
    held = await archive.all("SELECT sop_uid FROM held WHERE settled = '' ORDER BY sop_uid")
    assert held == [("2.25.7.1.2",), ("2.25.7.1.3",)]
    assert await archive.all("SELECT instance_count, series_count FROM study") == [(1, 1)]
    ((segment, offset, length), _) = await archive.all("SELECT segment, body_offset, length FROM held")
    assert RIGHT.value.encode() in archive.store.body(segment, offset, length)


async def test_a_report_without_images_is_moved_alone_followed_and_taken_back(archive: Archive) -> None:
    wrong, right = await two_people(archive)
    await archive.report("1")
    (row,) = await archive.mover.texts(steward(), wrong)
    number = (row["accession_issuer"], row["accession"])
    told = await archive.mover.text_consequences(steward(), wrong, number, RIGHT)
    assert (told.reports, told.instances, told.former.key) == (1, 0, wrong)
    act = await archive.mover.move_texts(steward(), wrong, number, RIGHT, "Fel patient")
    assert await archive.report("2", text="Tillägg") == "AA"
    assert await archive.things(right) == {"Svar", "Tillägg"}
    assert await archive.mover.texts(steward(), wrong) == []
    with pytest.raises(Conflict):
        await archive.mover.move_texts(steward(), right, number, RIGHT, "igen")
    await archive.decisions.undo(steward(), act)
    assert await archive.things(wrong) == {"Svar", "Tillägg"}
    with pytest.raises(NotFound):
        await archive.mover.move_texts(steward(KLARA), wrong, number, RIGHT, "annans")
    with pytest.raises(NotFound):
        await archive.mover.text_consequences(steward(KLARA), wrong, number)
    with pytest.raises(BadInput):
        await archive.mover.move_texts(steward(), wrong, number, RIGHT, "")


async def test_a_held_object_that_is_not_held_in_memory_is_filed_as_it_came(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = bytes(range(256)) * 4_000
    assert await archive.send_image(1) == "stored"
    assert await archive.send_image(2, study="2.25.8", PatientID="", PixelData=pixels) == "held"
    assert await archive.send_image(3, PatientID="", PixelData=pixels) == "held"
    (first,), (second,) = await archive.all("SELECT held_key FROM held ORDER BY held_key")
    monkeypatch.setattr(limits, "MAX_INSTANCE_IN_MEMORY_BYTES", 500_000)
    monkeypatch.setattr(limits, "SPOOL_PIECE_BYTES", 300_000)
    monkeypatch.setattr(archive.decisions, "_source_of", lambda provider, name: (RIS, ""))
    assert await archive.decisions.release(steward(), first, "känd", RIGHT) == (1, 0)
    monkeypatch.setattr(limits, "MAX_INSTANCE_IN_MEMORY_BYTES", 5_000_000)
    ((sha256, patient),) = await archive.all(
        "SELECT sha256, value FROM instance JOIN series USING (series_key) JOIN study USING (study_key)"
        " JOIN patient_identifier USING (patient_key) WHERE sop_uid = '2.25.8.1.2'"
    )
    ((held,),) = await archive.all("SELECT sha256 FROM held WHERE held_key = ?", first)
    assert (sha256, patient) == (held, RIGHT.value)
    monkeypatch.setattr(limits, "MAX_INSTANCE_IN_MEMORY_BYTES", 500_000)
    with pytest.raises(LimitExceeded, match="another study"):
        await archive.decisions.release(steward(), second, "känd", RIGHT)
    assert not list(archive.store.folder.rglob("*.arriving"))


@pytest.mark.parametrize("goes_back", [False, True])
async def test_a_late_text_follows_a_study_that_was_moved_on_or_back_and_every_undoing(
    archive: Archive, goes_back: bool
) -> None:
    wrong, right = await two_people(archive)
    number = PatientIdentifier(WRONG.issuer, "189001019802")
    third = await archive.person(number, "Testman^Karl", "18900101", "M")
    await archive.send_image(1)
    await archive.report("1")
    acts = [
        await archive.mover.move(steward(), "2.25.7", owner, "Fel patient")
        for owner in (RIGHT, WRONG if goes_back else number)
    ]
    assert await archive.report("2", text="Tillägg") == "AA"
    everything = {"2.25.7", "Svar", "Tillägg"}
    for owner in (wrong if goes_back else third, right, wrong):
        assert await archive.things(owner) == everything
        for other in {wrong, right, third} - {owner}:
            assert await archive.things(other) == set()
        if acts:
            await archive.decisions.undo(steward(), acts.pop())


@pytest.mark.parametrize("settled", [False, True])
async def test_a_late_object_has_the_header_of_whom_its_study_is_at_every_undoing(
    archive: Archive, settled: bool
) -> None:
    await two_people(archive)
    number = PatientIdentifier(WRONG.issuer, "189001019802")
    await archive.person(number, "Testman^Karl", "18900101", "M")
    await archive.send_image(1)
    first = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    second = await archive.mover.move(steward(), "2.25.7", number, "Fel igen")
    assert await archive.send_image(2, series="2") == "stored"
    await archive.work()
    if settled:
        await archive.settle()

    async def named() -> set[str]:
        bodies = await archive.bodies("2.25.7")
        assert len(bodies) == 2
        made = (file_preamble_and_meta("1.2", uid, SYNTAX) + body for uid, body in bodies.items())
        return {pydicom.dcmread(BytesIO(each)).PatientID.replace("-", "") for each in made}

    assert await named() == {"189001019802"}
    await archive.decisions.undo(steward(), second)
    await archive.work()
    assert await named() == {RIGHT.value}
    await archive.decisions.undo(steward(), first)
    assert await named() == {WRONG.value}


async def rotten(archive: Archive, table: str, sop_uid: str) -> None:
    """Hurts the pixels of an object, which no reading of its header sees."""
    ((segment, offset, length),) = await archive.all(
        f"SELECT segment, body_offset, length FROM {table} WHERE sop_uid = ?", sop_uid
    )
    rot(archive.store, segment, offset + length - 3)


async def test_what_has_rotted_is_not_filed_anew_under_a_hash_of_its_own(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.decisions, "_source_of", lambda provider, name: (RIS, ""))
    await two_people(archive)
    assert await archive.send_image(1, study="2.25.8") == "stored"
    await archive.mover.move(steward(), "2.25.8", RIGHT, "Fel patient")
    assert await archive.send_image(2, study="2.25.8") == "stored"  # and waits as it came to be corrected
    await rotten(archive, "held", "2.25.8.1.2")
    with pytest.raises(DamagedData):
        await archive.work()
    assert await archive.send_image(1) == "stored"
    await rotten(archive, "instance", "2.25.7.1.1")
    with pytest.raises(DamagedData):
        await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    for number, is_large in ((3, False), (4, True)):
        assert await archive.send_image(number, study=f"2.25.{number}", PatientID="") == "held"
        await rotten(archive, "held", f"2.25.{number}.1.{number}")
        ((key, length),) = await archive.all(
            "SELECT held_key, length FROM held WHERE study_uid = ?", f"2.25.{number}"
        )
        if is_large:
            monkeypatch.setattr(limits, "MAX_INSTANCE_IN_MEMORY_BYTES", length - 1)
            monkeypatch.setattr(limits, "SPOOL_PIECE_BYTES", 100)
        with pytest.raises(DamagedData):
            await archive.decisions.release(steward(), key, "känd", RIGHT)
    filed = await archive.all("SELECT sop_uid FROM instance ORDER BY 1")
    assert filed == [("2.25.7.1.1",), ("2.25.8.1.1",)]
    assert not list(archive.store.folder.rglob("*.arriving"))


async def test_a_held_message_that_has_rotted_is_not_filed(
    archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(archive.decisions, "_source_of", lambda provider, name: (RIS, "standard"))
    await two_people(archive)
    assert await archive.report("1", number="4711", text="Inga tecken till pneumoni") != "AR"
    ((key, segment, offset, length),) = await archive.all(
        "SELECT held_key, segment, body_offset, length FROM held"
    )
    body = archive.store.body(segment, offset, length)
    rot(archive.store, segment, offset + body.index(b"pneumoni"))
    with pytest.raises(DamagedData):
        await archive.decisions.release(steward(), key, "känd", None)
