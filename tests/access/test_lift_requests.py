"""Requests to lift another provider's block: who may ask, who answers, what opens and when it closes again."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn import limits
from samsyn.access.administration import RegisterAdministration
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.reveal import Step
from samsyn.access.view import Gatekeeper, View
from samsyn.errors import BadInput, Conflict, LimitExceeded, NotAllowed, NotFound
from samsyn.model.registers import BlockKind, Ground, LiftAnswer, LiftRequest
from samsyn.model.subject import Assignment, Purpose, Subject, SubjectKind
from tests.access.house import House, a_house
from tests.access.people import COLLEAGUE, FOREIGN, FOREIGN_UNIT, OWN, THIRD, UNIT, staff
from tests.indexes import forget_index, make_store

GP, OTHER_GP = staff(), replace(staff(employee=COLLEAGUE), session_id="session-9")
ONE = frozenset({1})


def administrator(provider: str, unit: str) -> Subject:
    assignment = Assignment(
        f"{provider}-5", "Spärradministration", Purpose.ADMINISTRATION, provider, "", unit, ""
    )
    return Subject(
        SubjectKind.STAFF, f"{provider}-BA", "Tore", assignment, "blocks", frozenset({"block-administrator"})
    )


ADMINISTRATOR, OWN_ADMINISTRATOR = administrator(FOREIGN, FOREIGN_UNIT), administrator(OWN, UNIT)


class Desk:
    """The house with requests, administration and a patient whose information at FOREIGN is blocked."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.gate = house.gatekeeper
        self.requests = LiftRequests(house.store, house.clock, self.gate.registers)
        self.administration = RegisterAdministration(house.store, house.clock, self.gate.registers)

    async def in_danger(self, reader: Subject = GP) -> View:
        """The reader's View in an emergency, with the blocking providers named."""
        await self.gate.registers.attest_relation(reader, 1)
        await self.gate.registers.register_ground(reader, 1, Ground.EMERGENCY, personal=True, ends=None)
        return await self.gate.reveal(reader, 1, Step.BLOCKED_PROVIDERS)

    async def ask(self, *, for_unit: bool = False) -> LiftRequest:
        view = await self.in_danger()
        return await self.requests.ask(
            view, FOREIGN, for_unit=for_unit, phone="08-123 00", need="Hotad andning"
        )

    async def sees(self, reader: Subject = GP) -> set[str]:
        """What the reader sees after every step that the law lets him take."""
        view = await self.gate.reveal(reader, 1, Step.OTHER_PROVIDERS)
        if not view.choices.relevant and Ground.CONSENT not in view.grounds:
            await self.gate.reveal(reader, 1, Step.RELEVANT)
        view = await self.gate.reveal(reader, 1, Step.PROVIDERS, frozenset({FOREIGN, THIRD}))
        return await self.house.shown(view)


@pytest_asyncio.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with a_house(tmp_path) as house:
        await house.gatekeeper.registers.register_block(ADMINISTRATOR, 1, BlockKind.OUTER, FOREIGN)
        yield Desk(house)


async def test_a_request_opens_nothing_and_a_grant_opens_it_until_its_end(desk: Desk) -> None:
    request = await desk.ask()
    assert await desk.sees() == {"own.1", "third.1"}
    ends = desk.house.clock.now() + timedelta(minutes=10)
    answered = await desk.requests.answer(
        ADMINISTRATOR, request.request_id, LiftAnswer.GRANTED, ends=ends, told="Ring om det gäller mer"
    )
    assert (answered.answer, answered.until) == (LiftAnswer.GRANTED, ends)
    assert await desk.sees() == {"own.1", "third.1", "foreign.1"}
    (mine,) = await desk.requests.asked(await desk.gate.open_view(GP, ONE))
    assert (mine.answer, mine.told, mine.until) == (LiftAnswer.GRANTED, "Ring om det gäller mer", ends)
    desk.house.clock.move(601)
    assert await desk.sees() == {"own.1", "third.1"}
    events = await desk.house.events()
    assert [events.count(each) for each in ("REQUEST_LIFT", "ANSWER_LIFT", "LIFT_BLOCK")] == [1, 1, 1]


async def test_a_refusal_tells_why_and_opens_nothing(desk: Desk) -> None:
    request = await desk.ask()
    with pytest.raises(BadInput):
        await desk.requests.answer(ADMINISTRATOR, request.request_id, LiftAnswer.REFUSED)
    await desk.requests.answer(
        ADMINISTRATOR, request.request_id, LiftAnswer.REFUSED, told="Patienten är vaken och säger nej"
    )
    assert await desk.sees() == {"own.1", "third.1"}
    (mine,) = await desk.requests.asked(await desk.gate.open_view(GP, ONE))
    assert (mine.answer, mine.told) == (LiftAnswer.REFUSED, "Patienten är vaken och säger nej")


@pytest.mark.parametrize(
    ("asked_for_unit", "granted_for_unit", "colleague_sees"),
    [(False, False, False), (True, False, False), (False, True, False), (True, True, True)],
)
async def test_a_grant_is_for_the_unit_only_when_that_was_asked_for_and_granted(
    desk: Desk, asked_for_unit: bool, granted_for_unit: bool, colleague_sees: bool
) -> None:
    request = await desk.ask(for_unit=asked_for_unit)
    await desk.requests.answer(
        ADMINISTRATOR, request.request_id, LiftAnswer.GRANTED, for_unit=granted_for_unit
    )
    assert "foreign.1" in await desk.sees()
    await desk.in_danger(OTHER_GP)
    assert ("foreign.1" in await desk.sees(OTHER_GP)) is colleague_sees


async def test_nobody_asks_a_provider_that_the_law_has_not_let_him_name(desk: Desk) -> None:
    await desk.gate.registers.attest_relation(GP, 1)
    await desk.gate.registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=None)
    consented = await desk.gate.open_view(GP, ONE)
    with pytest.raises(NotFound):
        await desk.requests.ask(consented, FOREIGN, for_unit=False, phone="1", need="x")
    await desk.gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=True, ends=None)
    not_shown = await desk.gate.open_view(GP, ONE)
    with pytest.raises(NotFound):
        await desk.requests.ask(not_shown, FOREIGN, for_unit=False, phone="1", need="x")
    shown = await desk.gate.reveal(GP, 1, Step.BLOCKED_PROVIDERS)
    for owner in (THIRD, OWN, "SE0000000000-0", ""):
        with pytest.raises(NotFound):
            await desk.requests.ask(shown, owner, for_unit=False, phone="1", need="x")
    assert "REQUEST_LIFT" not in await desk.house.events()


async def test_a_request_needs_a_telephone_and_a_need_of_bounded_length(desk: Desk) -> None:
    view = await desk.in_danger()
    for phone, need in (("", "x"), ("1", " "), ("", "")):
        with pytest.raises(BadInput):
            await desk.requests.ask(view, FOREIGN, for_unit=False, phone=phone, need=need)
    with pytest.raises(LimitExceeded):
        await desk.requests.ask(
            view, FOREIGN, for_unit=False, phone="1", need="x" * (limits.MAX_REQUEST_CHARACTERS + 1)
        )


async def test_asking_twice_is_one_request(desk: Desk) -> None:
    first, second = await desk.ask(), await desk.ask()
    assert first == second
    assert len(await desk.requests.to_answer(ADMINISTRATOR)) == 1
    assert (await desk.house.events()).count("REQUEST_LIFT") == 1


async def test_only_the_owners_block_administrator_sees_and_answers(desk: Desk) -> None:
    request = await desk.ask()
    assert await desk.requests.to_answer(OWN_ADMINISTRATOR) == ()
    with pytest.raises(NotAllowed):
        await desk.requests.to_answer(GP)
    for nobody in (OWN_ADMINISTRATOR, GP, replace(ADMINISTRATOR, roles=frozenset())):
        with pytest.raises(NotFound):
            await desk.requests.answer(nobody, request.request_id, LiftAnswer.GRANTED)
    with pytest.raises(NotFound):
        await desk.requests.answer(ADMINISTRATOR, "made-up", LiftAnswer.GRANTED)
    assert "foreign.1" not in await desk.sees()


async def test_a_request_is_answered_once_and_within_a_day(desk: Desk) -> None:
    request = await desk.ask()
    await desk.requests.answer(ADMINISTRATOR, request.request_id, LiftAnswer.REFUSED, told="Nej")
    with pytest.raises(Conflict):
        await desk.requests.answer(ADMINISTRATOR, request.request_id, LiftAnswer.GRANTED)
    again = await desk.ask()
    assert again.request_id != request.request_id
    desk.house.clock.move(limits.LIFT_REQUEST_HOURS * 3600)
    with pytest.raises(Conflict):
        await desk.requests.answer(ADMINISTRATOR, again.request_id, LiftAnswer.GRANTED)


@pytest.mark.parametrize("days", [-1, 0, limits.LIFT_DAYS + 0.01])
async def test_a_lift_ends_after_now_and_within_seven_days(desk: Desk, days: float) -> None:
    request = await desk.ask()
    ends = desk.house.clock.now() + timedelta(days=days)
    with pytest.raises(BadInput):
        await desk.requests.answer(ADMINISTRATOR, request.request_id, LiftAnswer.GRANTED, ends=ends)
    assert "foreign.1" not in await desk.sees()


async def test_a_lift_without_an_end_lasts_to_the_end_of_the_day(desk: Desk) -> None:
    request = await desk.ask()
    answered = await desk.requests.answer(ADMINISTRATOR, request.request_id, LiftAnswer.GRANTED)
    assert answered.until is not None
    assert answered.until.isoformat() == "2026-11-22T23:00:00+00:00"


async def test_an_administrator_reads_and_ends_only_the_own_providers_rows(desk: Desk) -> None:
    await desk.ask()
    theirs = await desk.administration.overview(ADMINISTRATOR, 1)
    assert [block.provider for block in theirs.blocks] == [FOREIGN]
    assert (theirs.consents, theirs.relations) == ((), ())
    own = await desk.administration.overview(OWN_ADMINISTRATOR, 1)
    assert own.blocks == ()
    assert [consent.ground for consent in own.consents] == [Ground.EMERGENCY]
    (relation,) = own.relations
    for nobody in (ADMINISTRATOR, GP):
        with pytest.raises(NotFound):
            await desk.administration.end_relation(nobody, relation.relation_id)
    with pytest.raises(NotAllowed):
        await desk.administration.overview(GP, 1)
    await desk.administration.end_relation(OWN_ADMINISTRATOR, relation.relation_id)
    await desk.gate.registers.end_ground(OWN_ADMINISTRATOR, own.consents[0].consent_id, annulled=True)
    assert await desk.house.shown(await desk.gate.open_view(GP, ONE)) == set()
    events = await desk.house.events()
    assert events.count("READ_REGISTER") == 2
    assert [events.count(each) for each in ("END_RELATION", "ANNUL_CONSENT")] == [1, 1]


async def test_requests_survive_a_restart(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await house.gatekeeper.registers.register_block(ADMINISTRATOR, 1, BlockKind.OUTER, FOREIGN)
        asked = await Desk(house).ask(for_unit=True)
    forget_index(tmp_path)
    store = make_store(tmp_path, house.clock)
    store.start()
    try:
        again = Desk(House(store, house.clock, Gatekeeper(store, house.clock)))
        assert await again.requests.to_answer(ADMINISTRATOR) == (asked,)
    finally:
        store.close()
