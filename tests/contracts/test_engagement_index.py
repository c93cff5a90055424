"""The engagement index knows who has reports here, whatever it does when it is told, and never a reserve number."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from samsyn import limits
from samsyn.access.facts import Policy, Release
from samsyn.access.national.soap import SoapClient
from samsyn.cli import scratch
from samsyn.errors import ConfigurationError
from samsyn.exchange.engagement_index.announcing import EngagementIndex
from samsyn.exchange.engagement_index.connected import engagement_index
from samsyn.model.sender import Sender
from samsyn.patients import links, registry
from samsyn.patients.identifiers import identify
from samsyn.providers.contracts import ContractPartners
from samsyn.settings import Settings
from samsyn.settings.contracts import EngagementIndexSettings
from samsyn.store.index import engagement_rows
from tests.contracts.index_service import IndexService, Row
from tests.hl7v2.messages import message, msh, obr, obx, pid
from tests.indexes import forget_index
from tests.reports.house import OTHER_RIS, RIS, House
from tests.waiting import until

TOLVAN, AGDA, RESERVE = "191212121212", "199001012385", "991981000010"
SLL = f"{RESERVE}^^^&1.2.752.97.3.1.3&ISO"
NORD, KLARA = "SE9990000001-0001", "SE9990000002-0001"
SOURCE, OTHER_SOURCE, REGION = "SE9990000001-E001", "SE9990000002-E001", scratch.REGION_SYSTEM
POLICY = Policy(releases=(Release(NORD, 14), Release(KLARA, 14)))


class HeldClock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.moment = datetime.now(UTC)

    def now(self) -> datetime:
        return self.moment

    def monotonic(self) -> float:
        return self.moment.timestamp()


class Stage:
    def __init__(self, folder: Path, service: IndexService) -> None:
        self.house = House(folder)
        self.service = service
        self.clock = HeldClock()
        self.partners = ContractPartners(scratch.make(folder).settings)
        self.number = 0

    async def report(
        self,
        text: str = "Inga tecken.",
        person: str = TOLVAN,
        sender: Sender = RIS,
        status: str = "F",
        **fields: str,
    ) -> None:
        self.number += 1
        extra = {int(key[1:]): value for key, value in fields.items()}
        known = pid(person if "^" in person else f"{person}^^^PNR", "Prov^Person", "", "")
        raw = message(msh("ORU^R01", f"E{self.number}"), known, obr({25: status} | extra), obx(text, status))
        filed = await self.house.send(raw, sender)
        assert filed.receipt.outcome == "stored", filed.verdict

    async def merge(self, survivor: str, subsumed: str, apart: bool = False) -> None:
        def decide(transaction: object) -> None:
            keys = [
                registry.find(transaction, identify(each, "", "", datetime.now(UTC).date()))  # type: ignore[arg-type]
                for each in (survivor, subsumed)
            ]
            (links.unmerge if apart else links.merge)(transaction, keys[0], keys[1], links.Word())  # type: ignore[arg-type]

        await self.house.store.commit(decide)

    @asynccontextmanager
    async def telling(self) -> AsyncIterator[EngagementIndex]:
        client = SoapClient(httpx.AsyncClient(trust_env=False), self.service.url, "5565594230")
        index = EngagementIndex(
            self.house.store, self.clock, self.partners, POLICY, client, first_pause_s=0.02
        )
        await index.start()
        try:
            yield index
        finally:
            await index.close()

    async def told(self) -> None:
        """Until everything has been told."""
        async with self.telling():
            await until(lambda: self.waiting == 0)

    @property
    def waiting(self) -> int:
        return self.house.store.peek(engagement_rows.count_waiting)

    def own(self) -> dict[Row, str]:
        """What the index knows, without the region's shared source system."""
        return {row: recent for row, recent in self.service.known.items() if row[1] != REGION}


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    service = IndexService()
    made = Stage(tmp_path / "data", service)
    yield made
    made.house.close()
    service.close()
    assert service.wrong == []


def recent(moment: datetime) -> str:
    from samsyn.clock import STOCKHOLM

    return moment.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")


# -- what is told


async def test_a_report_makes_one_engagement_for_each_source_system_and_controller(stage: Stage) -> None:
    await stage.report()
    await stage.report(sender=OTHER_RIS, f18="ACC9", f3="K9")
    await stage.report("En till.", f18="ACC301", f3="RIS301")
    await stage.told()
    assert set(stage.service.known) == {
        (TOLVAN, SOURCE, NORD),
        (TOLVAN, REGION, NORD),
        (TOLVAN, OTHER_SOURCE, KLARA),
        (TOLVAN, REGION, KLARA),
    }


async def test_what_has_been_told_is_not_told_again(stage: Stage) -> None:
    await stage.report()
    await stage.told()
    calls = stage.service.calls
    await stage.report()  # the same version under another control id
    await stage.told()
    assert stage.service.calls == calls


@pytest.mark.parametrize("status", ["P", "F", "A", "C", "X"])
async def test_every_change_of_a_report_moves_the_most_recent_content(stage: Stage, status: str) -> None:
    await stage.report(f22="20240315101500")
    await stage.told()
    before = stage.own()[(TOLVAN, SOURCE, NORD)]
    await asyncio.sleep(1.1)  # the contract counts in seconds
    await stage.report("Nytt.", status=status, f22="20240316101500")
    await stage.told()
    after = stage.own()[(TOLVAN, SOURCE, NORD)]
    assert (after > before) == (status != "P")  # an unsigned text does not replace a signed one


async def test_a_reserve_number_is_never_told(stage: Stage) -> None:
    await stage.report(person=SLL)
    await stage.told()
    assert stage.service.calls == 0


async def test_a_merge_moves_the_engagement_to_the_main_number_and_a_parting_moves_it_back(
    stage: Stage,
) -> None:
    await stage.report(person=SLL)
    await stage.report(person=AGDA, f18="ACC2", f3="RIS2")
    await stage.told()
    assert set(stage.own()) == {(AGDA, SOURCE, NORD)}
    await stage.merge(AGDA, RESERVE)
    await stage.told()
    assert set(stage.own()) == {(AGDA, SOURCE, NORD)}
    await stage.report(person=TOLVAN, f18="ACC3", f3="RIS3")
    await stage.merge(TOLVAN, AGDA)
    await stage.told()
    assert set(stage.own()) == {(TOLVAN, SOURCE, NORD)}
    assert ((AGDA, SOURCE, NORD), True) in [(row, gone) for row, gone, _ in stage.service.history]
    await stage.merge(TOLVAN, AGDA, apart=True)
    await stage.told()
    assert set(stage.own()) == {(TOLVAN, SOURCE, NORD), (AGDA, SOURCE, NORD)}


async def test_a_report_that_reaches_its_patient_by_time_alone_is_told_then(stage: Stage) -> None:
    made = stage.clock.moment - timedelta(days=1)
    await stage.report(f7=recent(made), f22=recent(made))
    await stage.told()
    calls = stage.service.calls
    async with stage.telling():
        stage.clock.moment += timedelta(days=12)
        await asyncio.sleep(0.2)
        assert stage.service.calls == calls
        stage.clock.moment += timedelta(days=3)
        await until(lambda: stage.service.calls > calls)
    released = stage.own()[(TOLVAN, SOURCE, NORD)]
    assert recent(made + timedelta(days=14))[:8] <= released[:8] <= recent(stage.clock.moment)[:8]


# -- whatever the index does


@pytest.mark.parametrize("word", ["down", "slow", "nonsense", "fault", "no result", "lost"])
async def test_nothing_is_lost_whatever_the_index_does(
    stage: Stage, word: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NATIONAL_TIMEOUT_S", 0.3)
    monkeypatch.setattr(limits, "DELIVERY_PAUSE_S", 0.1)
    await stage.report()
    await stage.report(person=AGDA, f18="ACC2", f3="RIS2")
    stage.service.always = word
    async with stage.telling() as index:
        await until(lambda: index.failures >= 2)
        assert stage.waiting == 2
        stage.service.always = ""
        await until(lambda: stage.waiting == 0)
    assert set(stage.own()) == {(TOLVAN, SOURCE, NORD), (AGDA, SOURCE, NORD)}


async def test_info_is_taken_for_having_been_told(stage: Stage) -> None:
    stage.service.always = "info"
    await stage.report()
    await stage.told()
    assert stage.own()


async def test_an_index_that_is_not_there_at_all_gets_everything_when_it_is(stage: Stage) -> None:
    port = stage.service.port
    stage.service.close()
    await stage.report()
    async with stage.telling() as index:
        await until(lambda: index.failures >= 2)
        await stage.report("Rättat.", status="C", f22="20240320101500")
        stage.service = IndexService(port)
        await until(lambda: stage.waiting == 0)
    assert len(stage.service.history) == 2  # the present state, once for each source system


async def test_a_stop_in_the_middle_of_an_outage_loses_nothing(stage: Stage) -> None:
    stage.service.always = "lost"
    await stage.report()
    async with stage.telling() as index:
        await until(lambda: index.failures >= 1)
    stage.service.always = ""
    await stage.told()
    assert set(stage.own()) == {(TOLVAN, SOURCE, NORD)}


async def test_what_waits_outlives_the_index_of_rows(stage: Stage, tmp_path: Path) -> None:
    await stage.report()
    await stage.report(person=AGDA, f18="ACC2", f3="RIS2")
    stage.house.close()
    forget_index(tmp_path / "data")
    stage.house = House(tmp_path / "data")
    assert stage.waiting == 2
    await stage.told()
    assert len(stage.own()) == 2
    stage.house.close()
    forget_index(tmp_path / "data")
    stage.house = House(tmp_path / "data")
    assert stage.waiting == 0


async def test_one_that_is_refused_does_not_hold_the_others_and_is_tried_again_the_next_day(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    stage.service.refuses = AGDA
    await stage.report()
    await stage.report(person=AGDA, f18="ACC2", f3="RIS2")
    with caplog.at_level(logging.WARNING):
        await stage.told()
    assert set(stage.own()) == {(TOLVAN, SOURCE, NORD)}
    assert stage.house.store.peek(engagement_rows.count_refused) == 2
    assert "1212" not in caplog.text
    stage.service.refuses = ""
    stage.clock.moment += timedelta(days=1, seconds=1)
    async with stage.telling():
        await until(lambda: (AGDA, SOURCE, NORD) in stage.service.known)
        await until(lambda: stage.house.store.peek(engagement_rows.count_refused) == 0)


async def test_a_change_while_it_is_told_is_told_after(stage: Stage) -> None:
    stage.service.plan = ["slow"]
    await stage.report()
    async with stage.telling():
        await until(lambda: stage.service.calls == 1)
        await stage.report("Rättat.", status="C", f22="20240320101500")
        await until(lambda: stage.service.calls >= 2 and stage.waiting == 0)
    assert len(stage.service.history) == 4


async def test_many_persons_are_told_in_calls_of_bounded_size(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ENGAGEMENT_PERSONS", 2)
    for place, person in enumerate((TOLVAN, AGDA, "200002292399", "202201612393", "189001019802")):
        await stage.report(person=person, f18=f"ACC{place}", f3=f"RIS{place}")
    await stage.told()
    assert len(stage.own()) == 5
    assert stage.service.calls >= 3


def test_without_an_address_nothing_is_told_and_no_metric_pretends(stage: Stage) -> None:
    index = EngagementIndex(stage.house.store, stage.clock, stage.partners, POLICY, None)
    assert not index.is_on
    assert index.readings() == []


def test_the_settings_take_an_index_over_tls_or_on_loopback_only(tmp_path: Path) -> None:
    Settings.model_validate({"engagement_index": {"address": "https://ei.example/update"}})
    with pytest.raises(ValueError, match="https"):
        Settings.model_validate({"engagement_index": {"address": "http://ei.example/update"}})


def test_certificates_that_can_not_be_read_are_told_with_their_section(stage: Stage, tmp_path: Path) -> None:
    index = EngagementIndexSettings(address="https://ei.example/update", ca_file=tmp_path / "none.pem")
    with pytest.raises(ConfigurationError, match=r"\[engagement_index\]"):
        engagement_index(index, stage.house.store, stage.clock, stage.partners, POLICY)
