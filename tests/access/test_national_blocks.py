"""The copy of the national blocks: read over real SOAP and TLS, true after every change, closed when too old."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response

from samsyn.access.facts import ALL
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.national.replica import BlockReplica, Reading
from samsyn.access.national.soap import SoapClient, tls
from samsyn.access.reveal import Step
from samsyn.access.view import Gatekeeper
from samsyn.errors import ConfigurationError, OutOfResources
from samsyn.model.registers import Ground, LiftAnswer
from samsyn.store.store import Store
from tests.access.house import House, a_house
from tests.access.national_service import PERSONNUMMER, Kept, Service, a_service, fault
from tests.access.people import FOREIGN, FOREIGN_UNIT, ME, OTHER_UNIT, OWN, THIRD, THIRD_UNIT, UNIT, staff
from tests.access.soap_server import Certificates
from tests.access.test_lift_requests import ADMINISTRATOR

GP = staff()
SAMORDNINGSNUMMER, COORDINATION = "1.2.752.129.2.1.3.3", "202601612381"
NUMBER, OTHER_NUMBER = "191212121212", "189001019802"
STALE = timedelta(minutes=15)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Copy:
    """A house whose gatekeeper trusts the register only as long as the copy is young."""

    def __init__(self, house: House, service: Service, certificates: Certificates) -> None:
        self.house, self.service = house, service
        context = tls(certificates.client, certificates.client_key, certificates.ca)
        self.http = httpx.AsyncClient(verify=context)
        self.gate = Gatekeeper(house.store, house.clock, blocks_known=self._known)
        self.replica = self.made()

    def made(self, store: Store | None = None) -> BlockReplica:
        client = SoapClient(self.http, self.service.address, "SE165565594230-1000")
        return BlockReplica(
            store or self.house.store,
            self.house.clock,
            self.gate.registers,
            client,
            stale_after=STALE,
            every_s=60,
        )

    def _known(self) -> bool:
        return self.replica.is_known()

    async def shown(self) -> set[str]:
        view = await self.gate.reveal(GP, 1, Step.PROVIDERS, frozenset({ALL}))
        return await self.house.shown(view)


@pytest_asyncio.fixture
async def copy(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Copy]:
    async with a_house(tmp_path) as house, a_service(certificates) as service:
        copy = Copy(house, service, certificates)

        def numbers(transaction) -> None:  # type: ignore[no-untyped-def]
            transaction.insert("patient_identifier", issuer=PERSONNUMMER, value=NUMBER, patient_key=1)

        await house.store.commit(numbers)
        await copy.replica.read()
        await copy.gate.registers.attest_relation(GP, 1)
        await copy.gate.registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=None)
        await copy.gate.reveal(GP, 1, Step.OTHER_UNITS)
        await copy.gate.reveal(GP, 1, Step.UNITS, frozenset({ALL}))
        await copy.gate.reveal(GP, 1, Step.OTHER_PROVIDERS)
        yield copy
        await copy.http.aclose()


async def test_calls_bear_the_action_and_the_logical_address(copy: Copy) -> None:
    action = "urn:riv:informationsecurity:authorization:blocking:GetBlocksResponder:4:GetBlocks"
    assert copy.service.actions == [(action, "SE165565594230-1000")]


async def test_a_block_closes_after_the_next_reading_and_its_end_opens(copy: Copy) -> None:
    everything = {"own.1", "other.1", "foreign.1", "third.1"}
    assert await copy.shown() == everything
    copy.service.put(Kept("b1", NUMBER, FOREIGN))
    assert await copy.replica.read() == Reading(whole=False, changed=1, gone=0)
    assert await copy.shown() == everything - {"foreign.1"}
    assert (await copy.gate.open_view(GP, frozenset({1}))).indicators.blocked_elsewhere
    copy.service.cancel("b1")
    assert await copy.replica.read() == Reading(whole=True, changed=0, gone=1)
    assert await copy.shown() == everything


async def test_readings_go_on_where_the_last_one_ended_and_are_whole_only_after_a_cancellation(
    copy: Copy,
) -> None:
    copy.service.put(Kept("b1", OTHER_NUMBER, FOREIGN))
    await copy.replica.read()
    copy.service.put(Kept("b2", OTHER_NUMBER, THIRD))
    await copy.replica.read()
    first, second, third = copy.service.asked
    assert first is None
    assert second is not None and third is not None and second < third
    copy.service.cancel("b1")
    await copy.replica.read()
    assert copy.service.asked[-1] is None
    assert len(copy.service.asked) == 5


@pytest.mark.parametrize(
    ("block", "hidden"),
    [
        (Kept("b", NUMBER, FOREIGN, kind="Inner", unit=FOREIGN_UNIT), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, kind="Inner", unit="SE9990000001-9999"), set()),
        (Kept("b", NUMBER, FOREIGN, kind="Inner"), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, kind="Sideways"), {"foreign.1"}),
        (Kept("b", NUMBER, OWN, kind="Inner", unit=OTHER_UNIT), {"other.1"}),
        (Kept("b", NUMBER, OWN, kind="Outer"), set()),
        (Kept("b", NUMBER.lower(), FOREIGN.lower()), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, starts="2020-03-01T00:00:00+01:00"), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, starts="2020-03-02T00:00:00+01:00"), set()),
        (Kept("b", NUMBER, FOREIGN, ends="2020-03-01T23:59:59+01:00"), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, ends="2020-02-29T22:00:00Z"), set()),
        (Kept("b", NUMBER, FOREIGN, ends="2020-02-29T23:30:00Z"), {"foreign.1"}),
        (Kept("b", NUMBER, FOREIGN, starts="next year"), {"foreign.1"}),
        (Kept("b", OTHER_NUMBER, FOREIGN), set()),
        (Kept("b", NUMBER, FOREIGN, extra='<n:x xmlns:n="urn:newer"><n:y/></n:x>'), {"foreign.1"}),
        (
            Kept(
                "b", NUMBER, FOREIGN,
                extra="<b:excludedInformationTypes><b:infoTypeId>lak</b:infoTypeId>"
                "<b:infoTypeDescription>x</b:infoTypeDescription></b:excludedInformationTypes>",
            ),
            {"foreign.1"},
        ),
    ],
)  # fmt: skip
async def test_what_a_block_hides(copy: Copy, block: Kept, hidden: set[str]) -> None:
    copy.service.put(block)
    await copy.replica.read()
    assert await copy.shown() == {"own.1", "other.1", "foreign.1", "third.1"} - hidden


@pytest.mark.parametrize(
    ("revoke", "opens"),
    [
        (("r", "+1", UNIT, ""), True),
        (("r", "+1", UNIT, ME), True),
        (("r", "+1", UNIT, "SE9990000004-9999"), False),
        (("r", "+1", THIRD_UNIT, ""), False),
        (("r", "-1", UNIT, ""), False),
        (("r", "soon", UNIT, ""), False),
        (("r", "+240", UNIT, ""), False),
    ],
)
async def test_whom_a_temporary_lift_is_for(
    copy: Copy, revoke: tuple[str, str, str, str], opens: bool
) -> None:
    lift_id, when, unit, employee = revoke
    end = when
    if when != "soon":
        end = (copy.house.clock.now() + timedelta(hours=int(when))).isoformat()
    copy.service.put(Kept("b", NUMBER, FOREIGN, revokes=[(lift_id, end, unit, employee)]))
    await copy.replica.read()
    assert ("foreign.1" in await copy.shown()) is opens


async def test_a_lift_that_runs_out_closes_without_another_reading(copy: Copy) -> None:
    ends = (copy.house.clock.now() + timedelta(minutes=5)).isoformat()
    copy.service.put(Kept("b", NUMBER, FOREIGN, revokes=[("r", ends, UNIT, "")]))
    await copy.replica.read()
    assert "foreign.1" in await copy.shown()
    copy.house.clock.move(301)
    assert "foreign.1" not in await copy.shown()


async def test_a_person_who_becomes_known_later_is_blocked_from_the_first_moment(copy: Copy) -> None:
    copy.service.put(Kept("b", OTHER_NUMBER, FOREIGN))
    await copy.replica.read()
    assert "foreign.1" in await copy.shown()

    def linked(transaction) -> None:  # type: ignore[no-untyped-def]
        transaction.insert("patient_identifier", issuer=PERSONNUMMER, value=OTHER_NUMBER, patient_key=1)

    await copy.house.store.commit(linked)
    copy.gate.forget_views()
    assert "foreign.1" not in await copy.shown()


@pytest.mark.parametrize(
    "answer",
    [
        fault(),
        Response(b"<html>Service unavailable</html>", 503),
        Response(b"<html>Service unavailable</html>", 200),
        Response(b"", 200),
        Response(b"<!DOCTYPE x [<!ENTITY a 'b'>]><x/>", 200),
        Response(
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body/></s:Envelope>', 200
        ),
        Response(
            b'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body><other/></s:Body></s:Envelope>',
            200,
        ),
        Response(b"", 302, headers={"location": "https://evil.example/"}),
    ],
    ids=[
        "fault",
        "503",
        "a web page",
        "nothing",
        "document type",
        "empty body",
        "another answer",
        "redirect",
    ],
)
async def test_a_confused_service_changes_nothing_until_the_copy_is_too_old(
    copy: Copy, answer: Response
) -> None:
    copy.service.put(Kept("b", NUMBER, FOREIGN))
    await copy.replica.read()
    copy.service.answer = answer
    with pytest.raises(OutOfResources):
        await copy.replica.read()
    assert await copy.shown() == {"own.1", "other.1", "third.1"}
    copy.house.clock.move(STALE.total_seconds() + 1)
    assert await copy.shown() == {"own.1"}
    assert not (await copy.gate.open_view(GP, frozenset({1}))).blocks_known
    copy.service.answer = None
    await copy.replica.read()
    assert await copy.shown() == {"own.1", "other.1", "third.1"}


async def test_a_refusal_and_a_block_without_patient_change_nothing(copy: Copy) -> None:
    copy.service.result = "ACCESSDENIED"
    with pytest.raises(OutOfResources):
        await copy.replica.read()
    copy.service.result = "OK"
    copy.service.put(Kept("b", "", FOREIGN))
    with pytest.raises(OutOfResources):
        await copy.replica.read()
    assert "foreign.1" in await copy.shown()


@pytest.mark.parametrize(
    ("number", "issuer"),
    [
        (COORDINATION, PERSONNUMMER),  # often sent so: the day in the number tells which of the two it is
        (NUMBER, SAMORDNINGSNUMMER),
        (NUMBER, ""),
        (NUMBER, f"urn:oid:{PERSONNUMMER}"),
        (f"{NUMBER[:8]}-{NUMBER[8:]}", PERSONNUMMER),
    ],
)
async def test_a_block_whose_number_is_told_oddly_still_hides(copy: Copy, number: str, issuer: str) -> None:
    await copy.house.store.commit(
        lambda transaction: transaction.insert(
            "patient_identifier", issuer=SAMORDNINGSNUMMER, value=COORDINATION, patient_key=1
        )
    )
    copy.service.put(Kept("b", number, FOREIGN, issuer=issuer))
    await copy.replica.read()
    assert await copy.shown() == {"own.1", "other.1", "third.1"}


async def test_a_block_under_a_providers_own_number_hides_nobody_of_another_issuer(copy: Copy) -> None:
    copy.service.put(Kept("b", NUMBER, FOREIGN, issuer="2.25.9990000001.1"))
    await copy.replica.read()
    assert "foreign.1" in await copy.shown()


async def test_two_different_blocks_under_one_id_are_not_taken_for_one(copy: Copy) -> None:
    copy.service.put(Kept("b", NUMBER, FOREIGN))
    await copy.replica.read()
    copy.service.put(Kept("first", NUMBER, THIRD))
    copy.service.blocks["second"] = replace(
        copy.service.blocks["first"], block_id="first", number=OTHER_NUMBER
    )
    with pytest.raises(OutOfResources):
        await copy.replica.read()
    assert await copy.shown() == {"own.1", "other.1", "third.1"}
    copy.service.blocks["second"] = copy.service.blocks["first"]
    assert (await copy.replica.read()).changed == 1
    assert await copy.shown() == {"own.1", "other.1"}


async def test_a_number_that_stands_in_parts_is_not_read_as_its_first_part(copy: Copy) -> None:
    copy.service.put(Kept("b", f"{NUMBER[:8]}<?part?>{NUMBER[8:]}", FOREIGN))
    with pytest.raises(OutOfResources):
        await copy.replica.read()


async def test_a_clock_that_was_set_back_does_not_make_an_old_copy_young(copy: Copy) -> None:
    copy.house.clock.move(-60)
    assert copy.replica.is_known()
    copy.house.clock.move(-STALE.total_seconds())
    assert not copy.replica.is_known()
    assert not (await copy.gate.open_view(GP, frozenset({1}))).blocks_known
    await copy.replica.read()
    assert copy.replica.is_known()


async def test_a_slow_service_is_given_up(copy: Copy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samsyn.limits.NATIONAL_TIMEOUT_S", 0.2)
    copy.service.wait_s = 0.6
    with pytest.raises(OutOfResources):
        await copy.replica.read()


async def test_without_our_certificate_or_with_a_stranger_there_is_no_conversation(
    copy: Copy, certificates: Certificates, tmp_path: Path
) -> None:
    strangers = Certificates(tmp_path)
    for context in (
        tls(None, None, certificates.ca),
        tls(certificates.client, certificates.client_key, strangers.ca),
    ):
        async with httpx.AsyncClient(verify=context) as http:
            client = SoapClient(http, copy.service.address, "SE1")
            replica = BlockReplica(
                copy.house.store, copy.house.clock, copy.gate.registers, client, stale_after=STALE, every_s=60
            )
            with pytest.raises(OutOfResources):
                await replica.read()
            assert not replica.is_known()
    with pytest.raises(ConfigurationError):
        tls(tmp_path / "none.pem", None, None)


async def test_before_the_first_reading_nothing_but_the_own_unit_is_shown_and_a_restart_goes_on(
    copy: Copy,
) -> None:
    copy.service.put(Kept("b", NUMBER, FOREIGN))
    await copy.replica.read()
    again = copy.made()
    assert not again.is_known()
    copy.service.answer = fault()
    await again.start()
    assert again.is_known()
    await again.stop()
    assert await copy.shown() == {"own.1", "other.1", "third.1"}
    copy.house.clock.move(STALE.total_seconds() + 1)
    assert not again.is_known()


async def test_two_thousand_blocks_come_in_and_go_in_portions(copy: Copy) -> None:
    for number in range(2_000):
        copy.service.blocks[f"b{number}"] = Kept(
            f"b{number}", OTHER_NUMBER, FOREIGN, stored=copy.service.told_until
        )
    assert (await copy.replica.read()).changed == 2_000
    assert (await copy.replica.read()).changed == 0
    for number in range(1, 2_000):
        del copy.service.blocks[f"b{number}"]
    copy.service.cancel("b0")
    assert (await copy.replica.read()).gone == 2_000


async def test_the_owner_lifts_a_national_block_here_for_a_reader_who_has_asked(copy: Copy) -> None:
    copy.service.put(Kept("b", NUMBER, FOREIGN))
    await copy.replica.read()
    await copy.gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=True, ends=None)
    view = await copy.gate.reveal(GP, 1, Step.BLOCKED_PROVIDERS)
    requests = LiftRequests(copy.house.store, copy.house.clock, copy.gate.registers)
    asked = await requests.ask(view, FOREIGN, for_unit=False, phone="08-1", need="Andnöd")
    assert "foreign.1" not in await copy.shown()
    await requests.answer(ADMINISTRATOR, asked.request_id, LiftAnswer.GRANTED)
    assert "foreign.1" in await copy.shown()
    await copy.replica.read()
    assert "foreign.1" in await copy.shown()
    copy.house.clock.move(24 * 3600)
    await copy.replica.read()
    await copy.gate.registers.attest_relation(GP, 1)
    assert "foreign.1" not in await copy.shown()
