"""Settled, late, moved, taken back, rejected, linked, parted, given back and told anew, all together in any order, also
between the steps of settling: an archive that settles answers like its twin that never does."""

import asyncio
import contextlib
import random
import shutil
from collections.abc import Awaitable, Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.dicom.rejection import NoteFrame, write_rejection
from samsyn.errors import Conflict, NotFound, SamsynError
from samsyn.ingest.receive import Arrival
from samsyn.model.patient import Demographics
from samsyn.model.rejection import Reference, RejectionNote
from samsyn.patients import links
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from tests.indexes import forget_index, rebuild_index
from tests.reports.house import RIS
from tests.reports.test_moving import RIGHT, SYNTAX, Archive, steward, two_people
from tests.store.test_settling_meanwhile import settling_while

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY = "2.25.7"
PIXELS = {"Rows": 100, "Columns": 100, "PixelData": bytes(range(250)) * 80}


class Twin:
    """One of the two, with what it did last."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.archive = Archive(folder)
        self.people = (0, 0)
        self.acts: list[int] = []

    async def begin(self) -> None:
        self.people = await two_people(self.archive)

    def again(self) -> None:
        self.archive.close()
        rebuild_index(self.folder)
        self.archive = Archive(self.folder)

    async def send(self, number: int) -> object:
        return await self.archive.send_image(number, series=str(1 + number % 2), **PIXELS)

    async def send_right(self, number: int) -> object:
        """For the other person, into the same study: stored while they are linked."""
        facts = Demographics("Ekström^Åsa", "19900101")
        # That they differ is not what is looked at here.
        self.archive.intake._compared[STUDY, RIGHT, facts] = None
        more = {"PatientID": RIGHT.value, "PatientName": facts.name, "PatientBirthDate": facts.birth_date}
        return await self.archive.send_image(10 + number, series=str(1 + number % 2), **PIXELS, **more)

    async def report(self, number: int) -> object:
        return await self.archive.report(str(number), text=f"Svar {number}")

    async def move(self, _: int) -> object:
        self.acts.append(await self.archive.mover.move(steward(), STUDY, RIGHT, "Fel patient"))
        return "moved"

    async def undo(self, _: int) -> object:
        if self.acts:
            await self.archive.decisions.undo(steward(), self.acts.pop())
        return "undone"

    async def work(self, _: int) -> object:
        await self.archive.work()
        return ""

    async def reject(self, number: int) -> object:
        series = f"{STUDY}.{1 + number % 2}"
        references = (Reference(STUDY, series, f"{series}.{number}", CT),)
        patient = {
            0x00100010: ("PN", ("Tolvansson^Tolvan",)),
            0x00100020: ("LO", ("19121212-1212",)),
            0x00100030: ("DA", ("19121212",)),
        }
        uid = f"2.25.9.{number}"
        frame = NoteFrame(patient, STUDY, f"{uid}.1", uid, "20240302", "080000", "Nordsjukhuset")
        data = write_rejection(RejectionNote("113001", references), frame)
        receipt, _ = await self.archive.intake.receive(Arrival(RIS, SYNTAX, "a"), data)
        return receipt.outcome

    async def link(self, number: int) -> object:
        act = links.merge if number % 2 else links.unmerge
        await self.archive.store.commit(lambda transaction: act(transaction, *self.people, links.Word()))
        return ""

    async def settle(self, number: int, *between: Callable[[], Awaitable[object]]) -> None:
        keys = [key for (key,) in await self.archive.all("SELECT series_key FROM series ORDER BY 1")]
        if not keys:
            return
        with contextlib.suppress(Conflict):
            await settling_while(self.archive.store, *between).settle(keys[number % len(keys)])

    async def answers(self) -> list[Any]:
        archive = self.archive
        found: list[Any] = [await archive.things(key) for key in self.people]
        for (uid,) in await archive.all("SELECT study_uid FROM study ORDER BY 1"):
            bodies = await archive.bodies(uid)
            found.append([(each, *shown(each, bodies[each])) for each in sorted(bodies)])
        for sql in (
            "SELECT study_uid, instance_count, series_count, hidden_count FROM study ORDER BY 1",
            "SELECT series_uid, instance_count, hidden_count FROM series ORDER BY 1",
            "SELECT sop_uid, reason, settled <> '' FROM held ORDER BY 1, 2",
            "SELECT sop_uid, revoked <> '', arrived FROM rejected ORDER BY 1",
        ):
            found.append(await archive.all(sql))
        return found


def shown(uid: str, body: bytes) -> tuple[str, str, bytes | None]:
    """Whose picture it says that it is, and the picture."""
    found = pydicom.dcmread(BytesIO(file_preamble_and_meta("1.2", uid, SYNTAX) + body))
    return str(found.PatientID), str(found.PatientName), found.get("PixelData")


VERBS = ("send", "send_right", "report", "move", "undo", "work", "reject", "link")
PARTED_MEANWHILE = [
    ("link", 1, []),
    ("send", 0, []),
    ("send_right", 2, []),
    ("settle", 0, []),
    ("send", 4, []),
    ("settle", 0, [("link", 0)]),
]
"""Two persons are parted, whereby one's images leave the other's study, while a late instance of it settles."""
STEPS = some.lists(
    some.tuples(
        some.sampled_from(
            (*VERBS, "send", "send", "settle", "settle", "settle", "give back", "rebuild", "scrub")
        ),
        some.integers(0, 7),
        some.lists(some.tuples(some.sampled_from(VERBS), some.integers(0, 7)), max_size=2),
    ),
    min_size=6,
    max_size=20,
)


@settings(suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@example(steps=PARTED_MEANWHILE)
@given(steps=STEPS)
def test_an_archive_that_settles_answers_like_its_twin(
    steps: list[tuple[str, int, list[tuple[str, int]]]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "SEGMENT_BYTES", 100_000)
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    monkeypatch.setattr(limits, "SETTLE_ROWS", 2)
    folder = tmp_path / str(random.getrandbits(64))
    asyncio.run(both(folder, steps))
    shutil.rmtree(folder)


async def both(folder: Path, steps: list[tuple[str, int, list[tuple[str, int]]]]) -> None:
    settled, plain = Twin(folder / "settled"), Twin(folder / "plain")
    await settled.begin()
    await plain.begin()

    async def act(verb: str, number: int) -> None:
        assert await outcome(settled, verb, number) == await outcome(plain, verb, number)

    def later(verb: str, number: int) -> Callable[[], Awaitable[object]]:
        return lambda: act(verb, number)

    try:
        for verb, number, between in steps:
            if verb == "settle":
                await settled.settle(number, *(later(*each) for each in between))
            elif verb == "give back":
                await GivingBack(settled.archive.store, SystemClock()).look()
            elif verb == "scrub":
                assert (await Scrub(settled.archive.store, SystemClock()).whole_pass()).damaged == []
            elif verb == "rebuild":
                settled.again()
            else:
                await act(verb, number)
        assert await settled.answers() == await plain.answers()
        settled.again()
        assert await settled.answers() == await plain.answers()
        assert (await Scrub(settled.archive.store, SystemClock()).whole_pass()).damaged == []
    finally:
        for each in (settled, plain):
            each.archive.close()
            forget_index(each.folder)


async def outcome(twin: Twin, verb: str, number: int) -> object:
    try:
        return await getattr(twin, verb)(number)
    except (Conflict, NotFound) as refusal:
        return type(refusal)
    except SamsynError as refusal:
        return type(refusal), refusal.detail
