"""Objects that tell their distance from UTC (0008,0201) are dated, ordered, searched and told in Swedish time."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from samsyn.clock import SystemClock
from samsyn.model.attributes import Attributes
from samsyn.search.find import Finder
from samsyn.search.query import Level, Query
from samsyn.wire.dimse import FindRequest
from samsyn.wire.user_information import ExtendedNegotiation
from tests.dimse.stage import QUERY_CONTEXTS, STUDY_FIND, Stage, ask, identifier, image, store

ARCHIVE = {
    # 00:30 on 2 March in Sweden, told in UTC.
    "1": {"StudyDate": "20240301", "StudyTime": "233000", "TimezoneOffsetFromUTC": "+0000"},
    # An hour before that, told in Swedish time.
    "2": {"StudyDate": "20240301", "StudyTime": "233000"},
    # 01:00 on 2 March in Sweden, told in Helsinki.
    "3": {"StudyDate": "20240302", "StudyTime": "020000", "TimezoneOffsetFromUTC": "+0200"},
    # No time: of its day, wherever it is told.
    "4": {"StudyDate": "20240301", "StudyTime": "", "TimezoneOffsetFromUTC": "+0000"},
    # An offset that is none: taken as Swedish time.
    "5": {"StudyDate": "20240301", "StudyTime": "2345", "TimezoneOffsetFromUTC": "CET"},
}


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        async with await made.connect() as sender:
            for name in ARCHIVE:
                assert (await store(sender, zoned(name))).status == 0
        yield made


def zoned(name: str, number: int = 3) -> Dataset:
    """An image of a study of ARCHIVE; every date and time in it is the study's."""
    told = ARCHIVE[name]
    both = {
        f"{what}{kind}": told[f"Study{kind}"] for what in ("Series", "Content") for kind in ("Date", "Time")
    }
    step = {f"PerformedProcedureStepStart{kind}": told[f"Study{kind}"] for kind in ("Date", "Time")}
    return image(
        SOPInstanceUID=f"2.25.{name}.{number}",
        StudyInstanceUID=f"2.25.{name}",
        SeriesInstanceUID=f"2.25.{name}.2",
        **told,
        **both,
        **step,
    )


async def answers(stage: Stage, *options: int, **keys: str) -> list[Attributes]:
    question = {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "", "StudyTime": "", **keys}
    wish = (ExtendedNegotiation(STUDY_FIND, bytes(options)),) if options else ()
    async with await stage.connect(contexts=QUERY_CONTEXTS, extended=wish) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, identifier(**question))
    assert final.command.status == 0
    return found


def names_of(found: list[Attributes]) -> str:
    return "".join(str(match[0x0020000D][1][0]).split(".")[2] for match in found)


async def test_the_index_has_them_in_swedish_time_at_every_level(stage: Stage) -> None:
    moments = [
        ("20240302", "003000"),
        ("20240301", "233000"),
        ("20240302", "010000"),
        ("20240301", ""),
        ("20240301", "2345"),
    ]
    assert stage.rows("SELECT study_date, study_time FROM study ORDER BY study_uid") == moments
    assert stage.rows("SELECT begins, ends FROM study ORDER BY study_uid") == [
        (int(day), int(day)) for day, _ in moments
    ]
    assert stage.rows("SELECT series_date, series_time FROM series ORDER BY series_uid") == moments
    assert stage.rows("SELECT started_date, started_time FROM series ORDER BY series_uid") == moments
    assert stage.rows("SELECT content_date, content_time FROM instance ORDER BY sop_uid") == moments


async def test_the_latest_moment_comes_first_whatever_zone_it_was_told_in(stage: Stage) -> None:
    assert names_of(await answers(stage, StudyDate="")) == "31524"


async def test_a_day_is_a_swedish_day_without_the_option(stage: Stage) -> None:
    """PS3.4 C.2.2.2.1.3: without the option nothing is said of zones, so all have the archive's."""
    found = await answers(stage, StudyDate="20240302")
    assert sorted(names_of(found)) == ["1", "3"]
    assert names_of(await answers(stage, StudyDate="20240301", ModalitiesInStudy="CT")) == "524"
    assert {each[0x00080020][1] for each in found} == {("20240302",)}
    assert all(0x00080201 not in each for each in found)
    assert names_of(await answers(stage, StudyDate="20240302", TimezoneOffsetFromUTC="+0000")) == "31"


async def test_with_the_option_question_and_answer_are_at_its_offset(stage: Stage) -> None:
    found = await answers(
        stage, 0, 1, 0, 1, StudyDate="20240301", StudyTime="2330-", TimezoneOffsetFromUTC="+0000"
    )
    assert names_of(found) == "1"
    told = [(each[0x00080020][1], each[0x00080030][1], each[0x00080201][1]) for each in found]
    assert told == [(("20240301",), ("233000",), ("+0000",))]


async def test_a_series_that_completes_a_study_is_moved_too(stage: Stage) -> None:
    async with await stage.connect() as sender:
        empty = {"StudyInstanceUID": "2.25.9", "StudyDate": "", "StudyTime": ""}
        first = image(SOPInstanceUID="2.25.9.3", SeriesInstanceUID="2.25.9.2", **empty)
        second = zoned("1", 4)
        second.StudyInstanceUID, second.SeriesInstanceUID = "2.25.9", "2.25.9.5"
        for each in (first, second):
            assert (await store(sender, each)).status == 0
    row = "SELECT study_date, study_time, begins FROM study WHERE study_uid = '2.25.9'"
    assert stage.rows(row) == [("20240302", "003000", 20240302)]


async def test_what_one_connection_brings_is_moved_for_each_object_alike(stage: Stage) -> None:
    """What the data sets of a connection have in common is read once: an offset among it, and one that is not."""
    async with await stage.connect() as sender:
        for number in range(10, 20):
            assert (await store(sender, zoned("1" if number % 4 else "2", number))).status == 0
    rows = stage.rows(
        "SELECT sop_uid, content_date, content_time FROM instance WHERE sop_uid LIKE '2.25._.1_'"
    )
    assert len(rows) == 10
    for uid, day, time in rows:
        told = ("20240301", "233000") if str(uid).startswith("2.25.2.") else ("20240302", "003000")
        assert (day, time) == told


class Night(SystemClock):
    """A minute past midnight in Sweden, on 11 December in UTC."""

    def now(self) -> datetime:
        return datetime(2012, 12, 11, 23, 1, tzinfo=UTC)


async def test_ten_digits_ask_for_whom_they_mean_on_the_swedish_day(stage: Stage) -> None:
    async with await stage.connect() as sender:
        born = image(SOPInstanceUID="2.25.6.3", StudyInstanceUID="2.25.6", PatientID="20121212-1212")
        born.SeriesInstanceUID = "2.25.6.2"
        assert (await store(sender, born)).status == 0
    view = await stage.gatekeeper.open_view(stage.connections.dicom_peer("BENCH", "127.0.0.1", None).subject)
    found = await Finder(stage.store, Night()).find(view, Query(Level.STUDY, {0x00100020: "121212-1212"}))
    assert names_of(found) == "6"


async def test_impossible_times_stay_in_the_object_and_out_of_the_index(stage: Stage) -> None:
    async with await stage.connect() as sender:
        for number, time in enumerate(("9999", "2561", "123", "24", "235960")):
            odd = image(SOPInstanceUID=f"2.25.7{number}", StudyInstanceUID=f"2.25.8{number}")
            odd.add_new(0x00080030, "LO", time)
            odd.SeriesInstanceUID = f"2.25.9{number}"
            odd[0x00080030].VR = "TM"
            assert (await store(sender, odd)).status == 0
    rows = stage.rows("SELECT study_time FROM study WHERE study_uid LIKE '2.25.8_' ORDER BY study_uid")
    assert rows == [("",), ("",), ("",), ("",), ("235960",)]
