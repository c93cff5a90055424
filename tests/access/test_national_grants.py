"""National registers of consent and care relation: read, registered in, ended, and closed when out of reach."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.responses import Response

from samsyn import limits
from samsyn.access.administration import RegisterAdministration
from samsyn.access.facts import ALL
from samsyn.access.national.connected import ConnectedMasters
from samsyn.access.national.consent import ConsentContract
from samsyn.access.national.copies import Pace
from samsyn.access.national.relation import RelationContract
from samsyn.access.national.soap import SoapClient, tls
from samsyn.access.reveal import Step
from samsyn.access.view import Gatekeeper
from samsyn.errors import LimitExceeded, NotAllowed, NotFound, NotSupported, OutOfResources
from samsyn.model.national import Register
from samsyn.model.registers import Ground
from tests.access.grant_service import CONSENT, Given, GrantService, a_grant_service
from tests.access.house import House, a_house
from tests.access.national_service import PERSONNUMMER, fault
from tests.access.people import COLLEAGUE, FOREIGN, FOREIGN_UNIT, HIMSELF, ME, OWN, SYSTEM, UNIT, staff
from tests.access.soap_server import Certificates
from tests.waiting import PATIENCE_S

GP = staff()
NUMBER, OTHER_NUMBER = "191212121212", "189001019802"
STALE = timedelta(seconds=60)
EVERYTHING = {"own.1", "other.1", "foreign.1", "third.1"}
NEAR = {"own.1", "other.1"}


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


class Connected:
    """A house that goes by national registers of consent and relation."""

    def __init__(
        self, house: House, consents: GrantService, relations: GrantService, certificates: Certificates
    ) -> None:
        self.house, self.consents, self.relations = house, consents, relations
        self._context = tls(certificates.client, certificates.client_key, certificates.ca)
        self.gate = Gatekeeper(house.store, house.clock)
        self.masters = self.made()

    def made(self) -> ConnectedMasters:
        contracts = [
            ConsentContract(SoapClient(self._http(), self.consents.address, "SE165565594230-1000")),
            RelationContract(SoapClient(self._http(), self.relations.address, "SE165565594230-1000")),
        ]
        pace = Pace(0.05, timedelta(seconds=600), STALE)
        masters = ConnectedMasters(
            self.house.store, self.house.clock, self.gate.registers, contracts, [OWN], pace
        )
        self.gate.registers.connect(masters)
        return masters

    def _http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(verify=self._context)

    async def read(self, register: Register = Register.CONSENT) -> tuple[bool, int, int]:
        copy = self.masters.copy(register)
        assert copy is not None
        reading = await copy.read(OWN)
        return reading.whole, reading.changed, reading.gone

    async def shown(self) -> set[str]:
        return await self.house.shown(await self.gate.open_view(GP, frozenset({1})))

    async def chosen(self) -> set[str]:
        """Everything that can be chosen is chosen."""
        for step in (Step.OTHER_UNITS, Step.OTHER_PROVIDERS):
            try:
                await self.gate.reveal(GP, 1, step)
            except NotAllowed:
                continue
        for step in (Step.UNITS, Step.PROVIDERS):
            try:
                await self.gate.reveal(GP, 1, step, frozenset({ALL}))
            except NotAllowed:
                continue
        return await self.shown()

    async def consent(self, *, personal: bool = False) -> str:
        consent = await self.gate.registers.register_ground(
            GP, 1, Ground.CONSENT, personal=personal, ends=None, channel="phone"
        )
        return consent.consent_id

    async def waiting(self) -> int:
        rows = await self.house.store.read(
            lambda c: c.execute("SELECT COUNT(*) FROM job WHERE kind = 'tell-national-register'").fetchone()
        )
        return int(rows[0])


@pytest_asyncio.fixture
async def there(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Connected]:
    async with (
        a_house(tmp_path) as house,
        a_grant_service(certificates) as consents,
        a_grant_service(certificates) as relations,
    ):
        there = Connected(house, consents, relations, certificates)

        def numbers(transaction) -> None:  # type: ignore[no-untyped-def] # a decision
            transaction.insert("patient_identifier", issuer=PERSONNUMMER, value=NUMBER, patient_key=1)

        await house.store.commit(numbers)
        await there.read()
        await there.read(Register.RELATION)
        await there.gate.registers.attest_relation(GP, 1)
        yield there
        await there.masters.stop()


async def test_a_consent_is_registered_there_first_in_the_contracts_own_order(there: Connected) -> None:
    consent_id = await there.consent(personal=True)
    kept = there.consents.given[consent_id]
    assert (kept.number, kept.issuer, kept.kind, kept.employee) == (NUMBER, PERSONNUMMER, "Consent", ME)
    assert (kept.provider, kept.unit, kept.ends) == (OWN, UNIT, "")
    action = there.consents.bodies[-1][-1]
    told = [each.text or each[0].text for each in action]
    assert told[1] == told[3] == ME
    assert told[-1].startswith("phone")
    operation, soap_action, logical = there.consents.calls[-1]
    space = "urn:riv:informationsecurity:authorization:consent:RegisterExtendedConsentResponder:2"
    assert (soap_action, logical) == (f"{space}:{operation}", OWN)
    assert await there.chosen() == EVERYTHING


@pytest.mark.parametrize(
    ("answer", "code", "error"),
    [
        (fault(), "OK", OutOfResources),
        (Response(b"<html/>", 503), "OK", OutOfResources),
        (Response(b"nonsense", 200), "OK", OutOfResources),
        (None, "ACCESSDENIED", OutOfResources),
        (None, "ERROR", OutOfResources),
        (None, "VALIDATION_ERROR", NotSupported),
        (None, "", OutOfResources),
    ],
    ids=["fault", "503", "nonsense", "access denied", "error", "refused", "no code"],
)
async def test_a_consent_that_the_register_has_not_taken_is_none_and_says_so(
    there: Connected, answer: Response | None, code: str, error: type[Exception]
) -> None:
    there.consents.answer, there.consents.changing = answer, code
    with pytest.raises(error):
        await there.consent()
    assert await there.chosen() == NEAR
    events = [each[0] for each in await there.house.audited()]
    assert events.count("ATTEST_CONSENT") == 2
    allowed = await there.house.store.read(
        lambda c: c.execute("SELECT allowed FROM audit WHERE event = 'ATTEST_CONSENT'").fetchall()
    )
    assert [row[0] for row in allowed] == [1, 0]
    there.consents.answer, there.consents.changing = None, "OK"
    await there.consent()
    assert await there.chosen() == EVERYTHING


async def test_a_slow_register_is_given_up_though_it_keeps_talking(
    there: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "NATIONAL_GRANT_TIMEOUT_S", 0.2)
    there.consents.wait_s = 0.6
    with pytest.raises(OutOfResources):
        await there.consent()
    assert await there.chosen() == NEAR


async def test_the_same_registration_again_is_one(there: Connected) -> None:
    there.consents.changing = "ALREADYEXISTS"
    await there.consent()
    assert await there.chosen() == EVERYTHING


@pytest.mark.slow
async def test_a_withdrawal_closes_here_at_once_and_is_told_when_the_register_is_back(
    there: Connected,
) -> None:
    consent_id = await there.consent()
    assert await there.chosen() == EVERYTHING
    there.consents.answer = fault()
    await there.gate.registers.end_ground(GP, consent_id)
    assert await there.shown() == NEAR
    await there.masters.start()
    assert not await there.masters.told(consent_id)
    assert await there.waiting() == 1
    there.consents.answer = None
    await there.read()
    assert await there.shown() == NEAR, "the register still lists it"
    there.house.clock.move(10)
    assert await there.masters.told(consent_id)
    assert there.consents.given[consent_id].ended is not None
    assert there.consents.calls_of("CancelExtendedConsent") >= 1


async def test_a_wrong_registration_is_annulled_and_one_that_is_gone_already_is_no_trouble(
    there: Connected,
) -> None:
    consent_id = await there.consent()
    await there.gate.registers.end_ground(GP, consent_id, annulled=True)
    del there.consents.given[consent_id]
    await there.masters.start()
    assert await there.masters.told(consent_id)
    assert there.consents.calls_of("DeleteExtendedConsent") == 1


async def test_the_patient_himself_ends_a_consent_by_an_operation_of_his_own(there: Connected) -> None:
    consent_id = await there.consent()
    himself = replace(HIMSELF, patient_key=1, hsa_id="patient-1")
    await there.gate.registers.end_ground(himself, consent_id)
    assert await there.chosen() == NEAR
    await there.masters.start()
    assert await there.masters.told(consent_id)
    assert there.consents.given[consent_id].ended is not None
    space = "urn:riv:informationsecurity:authorization:consent:EndConsentByPatientResponder:1"
    assert f"{space}:EndConsentByPatient" in {call[1] for call in there.consents.calls}


async def test_a_consent_made_elsewhere_opens_and_its_withdrawal_there_closes_within_five_seconds(
    there: Connected,
) -> None:
    await there.masters.start()
    there.consents.put(Given("a", NUMBER, OWN, UNIT))
    async with asyncio.timeout(PATIENCE_S):
        while await there.chosen() != EVERYTHING:
            await asyncio.sleep(0.1)
    there.consents.end("a")
    for _ in range(50):
        await asyncio.sleep(0.1)
        if await there.shown() == NEAR:
            break
    assert await there.shown() == NEAR


async def test_what_was_taken_back_and_never_told_again_is_found_by_the_whole_reading(
    there: Connected,
) -> None:
    there.consents.put(Given("a", NUMBER, OWN, UNIT))
    assert await there.read() == (False, 1, 0)
    await there.read()
    there.consents.forgets_cancelled = True
    there.consents.end("a")
    assert await there.read() == (False, 0, 0)
    there.house.clock.move(601)
    assert await there.read() == (True, 0, 1)


async def test_readings_go_on_where_they_ended_and_take_every_part(there: Connected) -> None:
    there.consents.page_size = 3
    for number in range(10):
        there.consents.put(Given(f"c{number}", OTHER_NUMBER, OWN, UNIT))
    assert await there.read() == (False, 10, 0)
    assert there.consents.asked[0] is None
    assert all(there.consents.asked[1:])
    assert await there.read() == (False, 0, 0)


async def test_a_register_that_tells_the_same_part_for_ever_is_given_up(
    there: Connected, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_NATIONAL_PAGES", 3)
    there.consents.page_size = 1
    for number in range(10):
        there.consents.put(Given(f"c{number}", OTHER_NUMBER, OWN, UNIT))
    with pytest.raises(LimitExceeded):
        await there.read()
    assert await there.shown() == {"own.1"}


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        (Given("a", NUMBER, OWN, UNIT), True),
        (Given("a", NUMBER, OWN.lower(), UNIT.lower()), True),
        (Given("a", NUMBER, OWN, UNIT, employee=ME), True),
        (Given("a", NUMBER, OWN, UNIT, employee=COLLEAGUE), False),
        (Given("a", NUMBER, OWN, "SE9990000004-1002"), False),
        (Given("a", NUMBER, FOREIGN, FOREIGN_UNIT), False),
        (Given("a", OTHER_NUMBER, OWN, UNIT), False),
        (Given("a", NUMBER, OWN, UNIT, issuer="1.2.752.129.2.1.3.3"), False),
        (Given("a", NUMBER, OWN, UNIT, starts="2026-12-24T00:00:00+01:00"), False),
        (Given("a", NUMBER, OWN, UNIT, ends="2026-11-22T10:59:00+01:00"), False),
        (Given("a", NUMBER, OWN, UNIT, ends="2026-11-22T11:01:00+01:00"), True),
        (Given("a", NUMBER, OWN, UNIT, ends="2026-11-22T11:01:00"), True),
        (Given("a", NUMBER, OWN, UNIT, ends="when he is well"), False),
        (Given("a", NUMBER, OWN, UNIT, starts="yesterday"), False),
        (Given("a", NUMBER, OWN, UNIT, kind="Agreement"), False),
        (Given("a", NUMBER, OWN, UNIT, scope="Galaxy"), False),
        (Given("a", "", OWN, UNIT), False),
        (Given("a", NUMBER, OWN, UNIT, extra='<n:ends xmlns:n="urn:newer">2020</n:ends>'), True),
    ],
)  # fmt: skip
async def test_what_a_consent_from_the_register_opens(there: Connected, given: Given, opens: bool) -> None:
    there.consents.put(given)
    await there.read()
    assert (await there.chosen() == EVERYTHING) is opens


async def test_an_emergency_from_the_register_demands_the_second_attestation(there: Connected) -> None:
    there.consents.put(Given("a", NUMBER, OWN, UNIT, kind="Emergency"))
    await there.read()
    assert await there.chosen() == NEAR
    view = await there.gate.open_view(GP, frozenset({1}))
    assert view.grounds == {Ground.EMERGENCY}
    assert view.names.providers


@pytest.mark.slow
@pytest.mark.parametrize("ground", [Ground.EMERGENCY, Ground.INCAPACITY])
async def test_danger_does_not_wait_for_the_register(there: Connected, ground: Ground) -> None:
    there.consents.answer = fault()
    consent = await there.gate.registers.register_ground(
        GP, 1, ground, personal=True, ends=None, wording="Blöder"
    )
    view = await there.gate.reveal(GP, 1, Step.OTHER_PROVIDERS)
    assert view.grounds == {ground}
    await there.masters.start()
    assert not await there.masters.told(consent.consent_id)
    there.consents.answer = None
    there.house.clock.move(10)
    assert await there.masters.told(consent.consent_id)
    kept = there.consents.given[consent.consent_id]
    assert kept.kind == "Emergency"
    reason = there.consents.bodies[-1].findtext(f".//{{{CONSENT}}}reasonText") or ""
    assert any(
        (body.findtext(f".//{{{CONSENT}}}reasonText") or "").startswith(ground.value)
        for body in there.consents.bodies
    ), reason
    await there.read()
    view = await there.gate.open_view(GP, frozenset({1}))
    assert view.grounds == {ground}, "the own register knows which ground it was"
    await there.gate.registers.end_ground(GP, consent.consent_id)
    assert await there.masters.told(consent.consent_id)
    assert there.consents.given[consent.consent_id].ended is not None


async def test_a_child_who_can_not_consent_needs_no_register(there: Connected) -> None:
    there.consents.answer = fault()
    await there.gate.registers.change(
        lambda transaction: transaction.update("patient", {"patient_key": 1}, birth_date="20200101")
    )
    await there.gate.registers.register_ground(GP, 1, Ground.CHILD, personal=False, ends=None)
    assert await there.chosen() == EVERYTHING
    assert await there.waiting() == 1, "the relation alone waits to be told"


async def test_a_clock_that_was_set_back_does_not_make_an_old_copy_young(there: Connected) -> None:
    await there.consent()
    assert await there.chosen() == EVERYTHING
    there.house.clock.move(-STALE.total_seconds() - 1)
    view = await there.gate.open_view(GP, frozenset({1}))
    assert Register.CONSENT in view.unreachable


async def test_a_copy_that_is_too_old_opens_nothing_and_says_so(there: Connected) -> None:
    await there.consent()
    assert await there.chosen() == EVERYTHING
    assert (await there.gate.open_view(GP, frozenset({1}))).unreachable == frozenset()
    there.consents.answer = fault()
    with pytest.raises(OutOfResources):
        await there.read()
    there.house.clock.move(STALE.total_seconds() + 1)
    await there.read(Register.RELATION)
    assert await there.shown() == NEAR
    view = await there.gate.open_view(GP, frozenset({1}))
    assert view.unreachable == {Register.CONSENT}
    assert view.indicators.unblocked_elsewhere
    assert await there.gate.registers.consents_for(GP, 1) == ()
    there.consents.answer = None
    await there.read()
    assert await there.shown() == EVERYTHING


async def test_a_restart_goes_on_with_the_copy_until_it_is_too_old(there: Connected) -> None:
    await there.consent()
    await there.chosen()
    there.consents.answer = there.relations.answer = fault()
    await there.masters.stop()
    there.masters = there.made()
    assert await there.shown() == NEAR
    await there.masters.start()
    assert await there.shown() == EVERYTHING
    there.house.clock.move(STALE.total_seconds() + 1)
    assert await there.shown() == NEAR


async def test_a_connected_system_leans_on_the_units_consent_from_the_register(there: Connected) -> None:
    there.consents.put(Given("a", NUMBER, OWN, UNIT))
    await there.read()
    there.gate.forget_views()
    view = await there.gate.open_view(SYSTEM)
    assert "foreign.1" in await there.house.shown(view)
    there.consents.end("a")
    await there.read()
    assert "foreign.1" not in await there.house.shown(await there.gate.open_view(SYSTEM))


async def test_consents_of_the_register_are_listed_and_ended_by_their_unit_only(there: Connected) -> None:
    there.consents.put(Given("a", NUMBER, OWN, UNIT))
    there.consents.put(Given("b", NUMBER, OWN, "SE9990000004-1002"))
    await there.read()
    listed = await there.gate.registers.consents_for(GP, 1)
    assert [(each.consent_id, each.channel) for each in listed] == [("a", "national")]
    with pytest.raises(NotFound):
        await there.gate.registers.end_ground(GP, "b")
    await there.gate.registers.end_ground(GP, "a")
    await there.gate.registers.end_ground(GP, "a")
    assert (await there.house.events()).count("WITHDRAW_CONSENT") == 1


async def test_a_person_without_a_national_number_is_told_so(there: Connected) -> None:
    await there.gate.registers.attest_relation(GP, 2)
    with pytest.raises(NotSupported):
        await there.gate.registers.register_ground(GP, 2, Ground.CONSENT, personal=False, ends=None)
    assert there.consents.calls_of("RegisterExtendedConsent") == 0


async def test_a_relation_is_told_in_the_older_contracts_own_forms(there: Connected) -> None:
    await there.masters.start()
    relation = await there.gate.registers.attest_relation(GP, 1)
    assert await there.masters.told(relation.relation_id)
    kept = there.relations.given[relation.relation_id]
    assert (kept.number, kept.provider, kept.unit, kept.employee) == (NUMBER, OWN, UNIT, ME)
    assert kept.ends
    actions = {call[1] for call in there.relations.calls if call[0] == "RegisterExtendedPatientRelation"}
    space = "urn:riv:ehr:patientrelationship:administration:RegisterExtendedPatientRelationResponder:1"
    assert actions == {f"{space}:RegisterExtendedPatientRelation"}


async def test_a_relation_that_the_administrator_ends_is_taken_back_there_too(there: Connected) -> None:
    await there.masters.start()
    relation = await there.gate.registers.attest_relation(GP, 1)
    assert await there.masters.told(relation.relation_id)
    own = replace(GP, roles=frozenset({"block-administrator"}), session_id="administration")
    administration = RegisterAdministration(there.house.store, there.house.clock, there.gate.registers)
    await administration.end_relation(own, relation.relation_id, "Gäller inte")
    assert await there.masters.told(relation.relation_id)
    assert there.relations.given[relation.relation_id].ended is not None


@pytest.mark.parametrize(
    ("given", "opens"),
    [
        (Given("r", NUMBER, OWN, UNIT, employee=ME, ends="2026-11-23T00:00:00+01:00"), True),
        (Given("r", NUMBER, OWN, UNIT, employee=COLLEAGUE, ends="2026-11-23T00:00:00+01:00"), False),
        (Given("r", NUMBER, OWN, UNIT, employee=ME), False),
        (Given("r", NUMBER, OWN, UNIT, ends="2026-11-23T00:00:00+01:00"), False),
        (Given("r", OTHER_NUMBER, OWN, UNIT, employee=ME, ends="2026-11-23T00:00:00+01:00"), False),
        (Given("r", NUMBER, OWN, "SE9990000004-1002", employee=ME, ends="2026-11-23T00:00:00+01:00"), False),
        (Given("r", NUMBER, OWN, UNIT, employee=ME, ends="2026-11-22T10:59:00+01:00"), False),
    ],
)
async def test_what_a_relation_from_the_register_opens(there: Connected, given: Given, opens: bool) -> None:
    there.house.clock.move(1)

    def ended(transaction) -> None:  # type: ignore[no-untyped-def] # a decision
        transaction.update("care_relation", {"patient_key": 1}, ends=transaction.time)

    await there.gate.registers.change(ended)
    assert await there.shown() == set()
    there.relations.put(given)
    await there.read(Register.RELATION)
    assert (await there.shown() == {"own.1"}) is opens
    there.house.clock.move(STALE.total_seconds() + 1)
    assert await there.shown() == set(), "a copy that is too old opens nothing"


async def test_own_information_stays_open_while_both_registers_are_away(there: Connected) -> None:
    there.consents.answer = there.relations.answer = fault()
    there.house.clock.move(STALE.total_seconds() + 1)
    await there.gate.registers.attest_relation(GP, 1)
    assert "own.1" in await there.shown()
    view = await there.gate.open_view(GP, frozenset({1}))
    assert view.unreachable == {Register.CONSENT, Register.RELATION}
