"""Images and texts that miss each other: what is listed, what is suggested, what a steward's word joins and parts."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from samsyn.clock import STOCKHOLM, SystemClock
from samsyn.errors import BadInput, Conflict, NotAllowed, NotFound
from samsyn.ingest.receive import Arrival
from samsyn.model.predicate import Everything
from samsyn.reports.examination import _joined
from samsyn.reports.stewardship.joining import Joining
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.ingest.test_receive import data_set
from tests.reports.house import OTHER_RIS, RIS
from tests.reports.test_moving import Archive, steward

TODAY = datetime.now(STOCKHOLM)
DAY = TODAY.strftime("%Y%m%d")
ISSUER = RIS.accession_issuer


@pytest_asyncio.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    made = Archive(tmp_path / "data")
    yield made
    made.close()


def joining(archive: Archive) -> Joining:
    return Joining(archive.store, SystemClock())


async def study(archive: Archive, number: int, accession: str = "", day: str = DAY, **more: Any) -> str:
    uid = f"2.25.8{number}"
    sender = more.pop("sender", RIS)
    data = data_set(
        StudyInstanceUID=uid,
        SeriesInstanceUID=f"{uid}.1",
        SOPInstanceUID=f"{uid}.1.1",
        AccessionNumber=accession,
        StudyDate=day,
        **more,
    )
    receipt, _ = await archive.intake.receive(Arrival(sender, "1.2.840.10008.1.2.1", "a"), data)
    assert receipt.outcome == "stored"
    return uid


async def text(archive: Archive, accession: str, day: str = DAY, number: str = "191212121212") -> None:
    raw = message(
        msh("ORU^R01", f"c{accession}{number}", sent=f"{day}120000"),
        pid(f"{number}^^^PNR", "Tolvansson^Tolvan" if number == "191212121212" else "", "", ""),
        obr({2: f"P{accession}", 3: f"F{accession}", 7: f"{day}110000", 18: accession, 22: f"{day}120000"}),
        obx(f"Svar {accession}"),
    )
    filed = await archive.send(raw)
    assert filed.verdict.code == "AA", filed


async def examinations(archive: Archive) -> list[tuple[list[str], list[str]]]:
    """(study UIDs, texts) of every examination of person 1."""

    def ask(connection: Any) -> Any:
        keys, everything = frozenset({1}), Everything()
        rows = [
            read(connection, everything, keys)
            for read in (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
        ]
        return _joined(*rows, joins=examination_rows.joins(connection, keys))

    return sorted(
        (sorted(each.study_uid for each in found.studies), sorted(each.text for each in found.reports))
        for found in await archive.store.read(ask)
    )


async def test_a_study_without_text_is_listed_with_texts_around_its_day_the_nearest_first(
    archive: Archive,
) -> None:
    uid = await study(archive, 1)
    await study(archive, 2, "ACC9")
    await text(archive, "ACC9")
    near = (TODAY - timedelta(days=1)).strftime("%Y%m%d")
    far = (TODAY - timedelta(days=30)).strftime("%Y%m%d")
    for accession, day in (("ACC1", near), ("ACC2", DAY), ("ACC3", far)):
        await text(archive, accession, day)
    (case,) = await joining(archive).unjoined(steward())
    assert case.study_uid == uid
    assert [(each.accession, each.days_apart) for each in case.suggestions] == [("ACC2", 0), ("ACC1", 1)]


async def test_the_stewards_word_makes_one_examination_of_both_and_can_be_taken_back(
    archive: Archive,
) -> None:
    uid = await study(archive, 1)
    await text(archive, "ACC1")
    apart = [([], ["Svar ACC1"]), ([uid], [])]
    assert await examinations(archive) == apart
    act = await joining(archive).join(steward(), uid, ISSUER, "ACC1", "Numret saknas i bilderna")
    assert await examinations(archive) == [([uid], ["Svar ACC1"])]
    assert await joining(archive).unjoined(steward()) == []
    with pytest.raises(Conflict):
        await joining(archive).join(steward(), uid, ISSUER, "ACC1", "igen")
    await archive.decisions.undo(steward(), act)
    assert await examinations(archive) == apart
    assert len(await joining(archive).unjoined(steward())) == 1


async def test_a_text_that_comes_later_joins_by_itself_and_leaves_the_list(archive: Archive) -> None:
    await study(archive, 1, "ACC1")
    assert len(await joining(archive).unjoined(steward())) == 1
    await text(archive, "ACC1")
    assert await joining(archive).unjoined(steward()) == []


async def test_one_referral_has_several_studies_and_one_study_several_referrals(archive: Archive) -> None:
    first, second = await study(archive, 1, "ACC1"), await study(archive, 2, "ACC1")
    await text(archive, "ACC1")
    assert await examinations(archive) == [([first, second], ["Svar ACC1"])]
    raw = message(
        msh("ORU^R01", "c2", sent=f"{DAY}120000"),
        pid("191212121212^^^PNR"),
        obr({3: "F2", 18: "ACC2", 22: f"{DAY}120000"}),
        f"OBX|1|HD|113014^Study Instance UID^DCM||{first}||||||F",
        obx("Svar ACC2", number=2),
    )
    await archive.send(raw)
    assert await archive.all("SELECT study_uid FROM report WHERE accession = 'ACC2'") == [(first,)]
    assert await examinations(archive) == [([first, second], ["Svar ACC1", "Svar ACC2"])]


async def test_a_number_that_somebody_else_has_texts_under_is_told(archive: Archive) -> None:
    await study(archive, 1, "ACC1")
    await text(archive, "ACC1", number="199001012385")
    (case,) = await joining(archive).unjoined(steward())
    assert case.elsewhere is not None
    assert case.elsewhere.identifiers[0].value == "199001012385"


async def test_only_the_own_providers_studies_and_only_the_same_persons_texts(archive: Archive) -> None:
    uid = await study(archive, 1)
    other = await study(archive, 2, sender=OTHER_RIS)
    await text(archive, "ACC1", number="199001012385")
    assert [each.study_uid for each in await joining(archive).unjoined(steward())] == [uid]
    with pytest.raises(NotFound):
        await joining(archive).join(steward(), uid, ISSUER, "ACC1", "fel person")
    with pytest.raises(NotFound):
        await joining(archive).join(steward(), other, ISSUER, "ACC1", "annans")
    with pytest.raises(BadInput):
        await joining(archive).join(steward(), uid, ISSUER, "ACC1", "")
    with pytest.raises(NotAllowed):
        await joining(archive).unjoined(steward(role="log-reviewer"))


async def test_studies_that_seem_to_be_one_are_listed_and_another_providers_is_not_described(
    archive: Archive,
) -> None:
    one = await study(archive, 1, "A1", StudyTime="101500", StudyDescription="DT thorax")
    other = await study(archive, 2, "A2", StudyTime="101900", StudyDescription="DT thorax kopia")
    await study(archive, 3, "A3", StudyTime="150000")
    foreign = await study(archive, 4, "A1", StudyTime="090000", StudyDescription="Hemlig", sender=OTHER_RIS)
    pairs = await joining(archive).alike(steward())
    assert {(each.one_uid, each.other_uid, each.is_foreign) for each in pairs} == {
        (one, other, False),
        (one, foreign, True),
    }
    assert not any("Hemlig" in each.one + each.other for each in pairs)
    act = await joining(archive).not_alike(steward(), one, other, "Två undersökningar")
    assert len(await joining(archive).alike(steward())) == 1
    await archive.decisions.undo(steward(), act)
    assert len(await joining(archive).alike(steward())) == 2
    with pytest.raises(NotFound):
        await joining(archive).not_alike(steward("SE9990000009-0001"), one, other, "x")
