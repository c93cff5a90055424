"""StoreLog: in order, at most 500 in a call, nothing lost whatever the service does, nothing sent twice unnoticed."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.access.followup.review import LogEntry
from samsyn.audit import journal
from samsyn.cli import audit
from samsyn.exchange.auditing.outbox import Outbox
from samsyn.exchange.auditing.storelog import NationalLog, StoreLog, log_id, xml_text
from samsyn.model.subject import Purpose
from samsyn.store.transaction import Transaction
from tests.access.house import House, a_house
from tests.access.people import FOREIGN, FOREIGN_UNIT, HIMSELF, OWN, SYSTEM
from tests.exchange.log_service import LogService
from tests.followup.test_review import reader
from tests.waiting import until

ADDRESS = ("SE165565594230-1000", "SE9990000009-SAMSYN", "Samsyn", "Bilddiagnostik")


class Names:
    def provider_name(self, provider_hsa_id: str) -> str:
        return f"Vårdgivare {provider_hsa_id}"

    def unit_name(self, provider_hsa_id: str, unit_hsa_id: str) -> str:
        return f"Enhet {unit_hsa_id}"


@pytest.fixture
def service() -> Iterator[LogService]:
    service = LogService()
    yield service
    service.close()


def receiver(service: LogService, timeout: float = 5.0) -> StoreLog:
    http = httpx.AsyncClient(trust_env=False, timeout=timeout)
    return StoreLog(http, NationalLog(service.url, *ADDRESS), Names())


@asynccontextmanager
async def an_outbox(house: House, service: LogService, timeout: float = 5.0) -> AsyncIterator[Outbox]:
    outbox = Outbox(house.store, house.clock, receiver(service, timeout), first_pause_s=0.02)
    await outbox.start()
    try:
        yield outbox
    finally:
        await outbox.stop()


async def readings(house: House, count: int, first: int = 0) -> None:
    asa = reader("SE9990000004-77", "Åsa Öberg")
    await journal.write(
        house.store,
        *(
            entry(
                asa,
                Event.OPEN_IMAGES,
                1,
                owner_provider=FOREIGN,
                owner_unit=FOREIGN_UNIT,
                details={"of": f"2.25.{n}"},
            )
            for n in range(first, first + count)
        ),
    )


def give_numbers(transaction: Transaction) -> None:
    for issuer, value in (("2.25.99", "X-1"), ("1.2.752.129.2.1.3.1", "191212121212")):
        transaction.insert("patient_identifier", issuer=issuer, value=value, patient_key=1)


def arguments(service: LogService) -> list[str]:
    return [post["activityArgs"] for post in service.posts]


async def exceptions(house: House) -> list[tuple[int, str]]:
    rows = await house.store.read(
        lambda c: c.execute("SELECT sequence, state FROM audit_exception ORDER BY sequence").fetchall()
    )
    return [tuple(row) for row in rows]


@pytest.mark.slow
async def test_readings_arrive_complete_in_order_and_in_the_contracts_form(
    tmp_path: Path, service: LogService
) -> None:
    async with a_house(tmp_path) as house:
        await house.store.commit(give_numbers)
        await journal.write(
            house.store,
            entry(reader("SE9990000004-77", "Åsa Öberg"), Event.LOGIN, details={"name": "Åsa Öberg"}),
        )
        await readings(house, 1_203)
        async with an_outbox(house, service) as outbox:
            await until(lambda: len(service.posts) == 1_203)
            await until(lambda: outbox.waiting == 0)
        assert service.wrong == []
        assert arguments(service) == [f"2.25.{n}" for n in range(1_203)]
        assert max(service.calls) <= 500
        assert len(service.calls) == 3
        post = service.posts[0]
        assert (post["activityType"], post["purpose"], post["resourceType"]) == (
            "Läsa", "Vård och behandling", "Bilddiagnostik",
        )  # fmt: skip
        assert (post["userId"], post["name"], post["reader"]) == ("SE9990000004-77", "Åsa Öberg", OWN)
        assert (post["root"], post["extension"]) == ("1.2.752.129.2.1.3.1", "191212121212")
        assert post["careProviderId"] == FOREIGN
        assert post["startDate"].endswith("+01:00")


async def test_only_readings_of_patients_by_staff_and_systems_are_sent(
    tmp_path: Path, service: LogService
) -> None:
    async with a_house(tmp_path) as house:
        asa = reader("SE9990000004-77")
        await journal.write(
            house.store,
            entry(asa, Event.LOGIN),
            entry(replace(HIMSELF, patient_key=1), Event.OPEN_REPORT, 1),
            entry(asa, Event.OPEN_IMAGES, 1, purpose=Purpose.RESEARCH),
            entry(asa, Event.STORE_STUDY, 1),
            entry(asa, Event.EMERGENCY_CONSENT, 1),
            entry(
                replace(SYSTEM, hsa_id="LINDENPACS"), Event.SEND, 1, details={"of": "2.25.1", "to": "PACS"}
            ),
        )
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.waiting == 0)
        assert [(post["activityLevel"], post["activityType"]) for post in service.posts] == [
            ("EMERGENCY_CONSENT", "Nödöppning"), ("SEND", "Utskrift"),
        ]  # fmt: skip
        assert (service.posts[1]["name"], service.wrong) == ("LINDENPACS", [])


@pytest.mark.parametrize(
    "trouble",
    [
        "down",
        "fault",
        "nonsense",
        "denied",
        pytest.param("slow", marks=pytest.mark.slow),
        pytest.param("lost", marks=pytest.mark.slow),
        "trailing",
    ],
)
async def test_nothing_is_lost_doubled_or_reordered_whatever_the_service_does(
    trouble: str, tmp_path: Path, service: LogService
) -> None:
    async with a_house(tmp_path) as house:
        await readings(house, 40)
        service.plan = [trouble] * (1 if trouble in ("lost", "slow") else 3)
        async with an_outbox(house, service, timeout=0.5) as outbox:
            await until(lambda: outbox.waiting == 0)
            await readings(house, 20, first=40)
            await until(lambda: len(service.posts) == 60)
            await until(lambda: outbox.waiting == 0)
        assert arguments(service) == [f"2.25.{n}" for n in range(60)]
        assert {state for _, state in await exceptions(house)} <= {"presumed"}
        assert service.wrong == []


async def test_a_post_that_the_service_refuses_is_set_aside_alone_and_told(
    tmp_path: Path, service: LogService, capsys: pytest.CaptureFixture[str]
) -> None:
    service.refuses = "2.25.17"
    async with a_house(tmp_path) as house:
        await readings(house, 30)
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.waiting == 0)
        assert arguments(service) == [f"2.25.{n}" for n in range(30) if n != 17]
        assert await exceptions(house) == [(18, "refused")]
    assert audit.deliveries(None, tmp_path) == 1
    told = capsys.readouterr().out
    assert "storelog: entries up to 30 of 30 delivered." in told
    assert "entry 18 set aside (refused): VALIDATION_ERROR: activityArgs" in told


@pytest.mark.slow
async def test_a_service_that_refuses_everything_is_an_outage_and_no_reason_to_set_everything_aside(
    tmp_path: Path, service: LogService
) -> None:
    service.refuses = "2.25"
    async with a_house(tmp_path) as house:
        await readings(house, 60)
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.failures > 1)
            service.refuses = ""
            await until(lambda: outbox.waiting == 0)
        aside = await exceptions(house)
        assert len(aside) <= limits.MAX_REFUSED_IN_ROW
        assert len(service.posts) + len(aside) == 60


async def test_an_outage_over_a_restart_loses_nothing(tmp_path: Path, service: LogService) -> None:
    async with a_house(tmp_path) as house:
        await readings(house, 25)
        service.plan = ["down"] * 200
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.failures > 2)
        await readings(house, 25, first=25)
        service.plan = []
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.waiting == 0)
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.waiting == 0)
        assert arguments(service) == [f"2.25.{n}" for n in range(50)]


async def test_a_round_that_fails_after_it_got_something_through_is_no_reason_to_pause_longer(
    tmp_path: Path, service: LogService, caplog: pytest.LogCaptureFixture
) -> None:
    async with a_house(tmp_path) as house:
        await readings(house, 16)
        # The answer to the first call is lost, so every entry is asked about alone; each sixth call finds no service.
        service.plan = ["lost", *["ok", "ok", "ok", "ok", "ok", "fault"] * 40]
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.waiting == 0)
        assert arguments(service) == [f"2.25.{n}" for n in range(16)]
    pauses = [each.seconds for each in caplog.records if each.message == "audit-not-delivered"]  # type: ignore[attr-defined] # of `extra`
    assert len(pauses) > 4
    assert set(pauses) == {0.02}


async def test_a_pause_grows_with_each_failure(tmp_path: Path, service: LogService) -> None:
    async with a_house(tmp_path) as house:
        await readings(house, 1)
        service.plan = ["fault"] * 1_000
        async with an_outbox(house, service) as outbox:
            await until(lambda: outbox.failures >= 4)
        # 0.02, 0.04, 0.08 s between the first four: a service that is down is not stormed.
        assert 1_000 - len(service.plan) <= 6


def test_the_same_entry_has_the_same_id_and_others_have_others() -> None:
    assert log_id("a", 1) == log_id("a", 1)
    assert len({log_id(name, number) for name in "ab" for number in range(50)}) == 100
    assert len(log_id("a", 1)) == 36


def test_what_xml_can_not_hold_is_replaced() -> None:
    assert xml_text("Åsa\n\x00\x1b[0m\ud800\uffff") == "Åsa\n\ufffd\ufffd[0m\ufffd\ufffd"


def test_the_test_service_itself_refuses_what_the_contract_does_not_have() -> None:
    from lxml import etree

    from tests.exchange.log_service import POST, TYPES, complaints

    empty = etree.fromstring(f'<log xmlns="{TYPES}"><activity/><logId>1</logId></log>')
    assert "log: logId is missing" in complaints(empty, POST)
    assert any("not expected" in each for each in complaints(empty, POST))
    assert LogEntry


async def test_a_fault_of_our_own_stops_no_outbox(tmp_path: Path, service: LogService) -> None:
    class Stumbling(StoreLog):
        stumbles = 2

        def takes(self, entry: LogEntry) -> bool:
            if self.stumbles:
                self.stumbles -= 1
                raise ValueError("a fault")
            return super().takes(entry)

    async with a_house(tmp_path) as house:
        await readings(house, 3)
        address = NationalLog(service.url, *ADDRESS)
        outbox = Outbox(
            house.store, house.clock, Stumbling(httpx.AsyncClient(trust_env=False), address, Names()), 0.02
        )
        await outbox.start()
        await until(lambda: len(service.posts) == 3)
        await outbox.stop()
