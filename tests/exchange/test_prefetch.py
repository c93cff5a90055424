"""Before a booked examination the unit's PACS gets the earlier ones that it may see, by its provider's rule, once."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from samsyn import limits
from samsyn.clock import STOCKHOLM, SystemClock
from samsyn.exchange import prefetch
from samsyn.jobs import queue
from samsyn.model.sender import Sender
from samsyn.reports.file import Filing
from samsyn.settings import Settings
from samsyn.store.transaction import Transaction
from samsyn.wire.dimse import StoreRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import CT, Stage, image, settings_of, store
from tests.hl7v2.messages import pid
from tests.hl7v2.test_bookings import siu

OWN, UNIT = "SE9990000001-0001", "SE9990000001-1001"
FOREIGN, FOREIGN_UNIT = "SE9990000002-0001", "SE9990000002-1001"
RIS = Sender("NORDRIS", OWN, UNIT, "2.25.1", OWN)
LATELY = (datetime.now(UTC) - timedelta(days=400)).strftime("%Y%m%d")
UNFINISHED = "SELECT 1 FROM transfer WHERE state NOT IN ('done', 'incomplete', 'cancelled')"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 0.05)
    monkeypatch.setattr(limits, "MAX_OUTGOING_PAUSE_S", 0.1)
    monkeypatch.setattr(limits, "VIEW_SECONDS", 0.0)
    monkeypatch.setattr(prefetch, "_EVERY_S", 0.1)
    monkeypatch.setattr(prefetch, "_AGAIN_S", 0.2)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer("SINK", [CT]) as made:
        yield made


def settings(folder: Path, port: int, **rule: Any) -> Settings:
    values = settings_of(folder, port).model_dump()
    values["provider"][0]["prefetch"] = [{"to": "SINK", **rule}]
    return Settings.model_validate(values)


def stage_of(folder: Path, peer: Peer, **rule: Any) -> Stage:
    return Stage(folder, settings=settings(folder, peer.port, **rule))


async def foreign(stage: Stage, number: int = 0, **changes: object) -> None:
    """Another provider's study of Tolvan, one instance."""
    made = {
        "StudyInstanceUID": f"2.25.1{number}",
        "SeriesInstanceUID": f"2.25.1{number}.1",
        "SOPInstanceUID": f"2.25.1{number}.1.1",
        "StudyDate": LATELY,
        "AccessionNumber": f"K{number}",
    }
    async with await stage.connect("KLARAPACS") as sender:
        assert (await store(sender, image(**{**made, **changes}))).status == 0


async def book(stage: Stage, hours: float = 5, event: str = "S12", control: str = "B1", **more: str) -> None:
    """The provider's RIS books Tolvan for that many hours from now."""
    now = datetime.now(UTC)
    start = (now + timedelta(hours=hours)).astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")
    raw = siu(event, start, control, f"{now:%Y%m%d%H%M%S}+0000", pid(), **more)
    filed = await Filing(stage.store, SystemClock()).file_message(RIS, "standard", raw)
    assert filed.receipt.outcome == "stored"


async def consent(stage: Stage) -> None:
    def decide(transaction: Transaction) -> None:
        now = datetime.now(UTC)
        transaction.insert(
            "consent",
            consent_id="c1",
            patient_key=1,
            ground="consent",
            provider=OWN,
            unit=UNIT,
            employee="",
            starts=(now - timedelta(hours=1)).isoformat(),
            ends=(now + timedelta(days=30)).isoformat(),
            channel="unit",
            ended=None,
        )

    await stage.store.commit(decide)
    stage.gatekeeper.forget_views()


async def looked(stage: Stage, times: int = 3) -> None:
    """That many looks at the bookings from now on have been made, and what they asked for has been done."""
    for _ in range(times):
        await stage.prefetching.work(queue.Job(0, prefetch.PREFETCH_JOB, "look", "", 0))
    await stage.until(lambda: not stage.rows(UNFINISHED))


def studies_sent(stage: Stage) -> list[object]:
    return [row[0] for row in stage.rows("SELECT study_uid FROM transfer ORDER BY study_uid")]


async def test_a_booking_brings_the_other_providers_examination_to_the_units_archive(
    tmp_path: Path, peer: Peer
) -> None:
    async with stage_of(tmp_path, peer) as stage:
        await foreign(stage)
        await book(stage)
        await consent(stage)
        await stage.prefetching.begin()
        arrived = await peer.next()
        await stage.until(lambda: not stage.rows(UNFINISHED))
        opened = stage.rows("SELECT actor, details FROM audit WHERE details LIKE '%SINK%'")
    assert isinstance(arrived.command, StoreRequest)
    assert arrived.command.sop_instance_uid == "2.25.10.1.1"
    assert opened
    assert {actor for actor, _ in opened} == {"SINK"}


async def test_without_the_patients_consent_nothing_leaves_and_with_it_the_next_look_sends(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "_AGAIN_S", 0.0)
    async with stage_of(tmp_path, peer) as stage:
        await foreign(stage)
        await book(stage)
        await looked(stage)
        assert studies_sent(stage) == []
        await consent(stage)
        await looked(stage)
        assert studies_sent(stage) == ["2.25.10"]


async def test_a_study_is_sent_once_however_often_it_is_looked_at_and_booked(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prefetch, "_AGAIN_S", 0.0)
    async with stage_of(tmp_path, peer) as stage:
        await foreign(stage)
        await book(stage)
        await consent(stage)
        await looked(stage)
        await book(stage, 6, "S13", "B2")
        await book(stage, 7, "S12", "B3", f2="BOK78")
        await looked(stage)
        assert studies_sent(stage) == ["2.25.10"]
    assert peer.arrived.qsize() == 1


@pytest.mark.parametrize(
    ("rule", "hours", "sent"),
    [
        ({"hours_before": 4}, 5, []),
        ({"hours_before": 6}, 5, ["2.25.10"]),
        ({}, -1, []),
        ({"units": ["SE9990000001-1001"]}, 5, ["2.25.10"]),
        ({"modalities": ["MR"]}, 5, []),
        ({"modalities": ["MR", "CT"]}, 5, ["2.25.10"]),
        ({"years": 1}, 5, []),
    ],
)
async def test_the_rule_says_when_and_which(
    tmp_path: Path, peer: Peer, rule: dict[str, Any], hours: float, sent: list[str]
) -> None:
    async with stage_of(tmp_path, peer, **rule) as stage:
        await foreign(stage)
        await book(stage, hours)
        await consent(stage)
        await looked(stage)
        assert studies_sent(stage) == sent


async def test_the_newest_studies_go_first_and_no_more_than_the_rule_says(tmp_path: Path, peer: Peer) -> None:
    days = [(datetime.now(UTC) - timedelta(days=back)).strftime("%Y%m%d") for back in (300, 100, 200)]
    async with stage_of(tmp_path, peer, most=2) as stage:
        for number, day in enumerate(days):
            await foreign(stage, number, StudyDate=day)
        await book(stage)
        await consent(stage)
        await looked(stage)
        assert studies_sent(stage) == ["2.25.11", "2.25.12"]


async def test_the_archives_own_studies_stay_where_they_are_unless_the_rule_says_so(
    tmp_path: Path, peer: Peer
) -> None:
    for own, sent in ((False, []), (True, ["2.25.10"])):
        folder = tmp_path / str(own)
        async with stage_of(folder, peer, own=own) as stage:
            async with await stage.connect() as sender:
                assert (await store(sender, image(StudyDate=LATELY))).status == 0
            await book(stage)
            await looked(stage)
            assert studies_sent(stage) == sent


async def test_a_cancelled_booking_sends_nothing(tmp_path: Path, peer: Peer) -> None:
    async with stage_of(tmp_path, peer) as stage:
        await foreign(stage)
        await book(stage)
        await book(stage, 5, "S15", "B2")
        await consent(stage)
        await looked(stage)
        assert studies_sent(stage) == []


async def test_a_full_queue_makes_the_rest_wait_for_the_next_look(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TRANSFERS", 1)
    async with stage_of(tmp_path, peer) as stage:
        for number in range(3):
            await foreign(stage, number)
        await book(stage)
        await consent(stage)
        for _ in range(3):
            await looked(stage, 1)
        assert studies_sent(stage) == ["2.25.10", "2.25.11", "2.25.12"]


async def test_without_rules_the_job_ends(tmp_path: Path, peer: Peer) -> None:
    async with stage_of(tmp_path, peer) as stage:
        await stage.prefetching.begin()
        await stage.until(lambda: bool(stage.rows("SELECT 1 FROM job WHERE kind = 'prefetch'")))
    async with Stage(tmp_path, peer.port) as stage:
        await stage.until(lambda: not stage.rows("SELECT 1 FROM job WHERE kind = 'prefetch'"))


def test_a_rule_needs_an_archive_of_its_own_provider_and_known_units(tmp_path: Path) -> None:
    for rule in ({"to": "BENCH"}, {"to": "KLARAPACS"}, {"units": [FOREIGN_UNIT]}):
        with pytest.raises(ValidationError, match="provider SE9990000001-0001"):
            settings(tmp_path, 11199, **rule)
