"""Views on a real store: made from the registers, audited first, short-lived, and the only key there is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import pytest_asyncio

from samsyn import limits
from samsyn.access.facts import ALL, Policy
from samsyn.access.reveal import Step
from samsyn.access.rules import Indicators, Reason
from samsyn.access.view import Gatekeeper, View
from samsyn.audit import journal
from samsyn.errors import BadInput, LimitExceeded, NotAllowed, NotFound, SamsynError, StoreFailed
from samsyn.model.predicate import Everything, Item, Nothing
from samsyn.model.registers import BlockKind, Ground
from samsyn.model.subject import Purpose, Scope
from samsyn.store.transaction import Transaction
from tests.access.house import House, a_house
from tests.access.people import (
    FOREIGN,
    FOREIGN_UNIT,
    HIMSELF,
    OTHER_UNIT,
    OWN,
    SYSTEM,
    THIRD,
    UNIT,
    staff,
)
from tests.indexes import make_store

GP = staff()
P1 = frozenset({1})
ADMIN = replace(
    staff(purpose=Purpose.ADMINISTRATION),
    hsa_id="SE9990000004-9009",
    session_id="session-9",
    roles=frozenset({"block-administrator"}),
)
FOREIGN_ADMIN = replace(
    ADMIN,
    assignment=replace(ADMIN.assignment, provider_hsa_id=FOREIGN, unit_hsa_id=FOREIGN_UNIT),  # type: ignore[type-var]
)


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as made:
        yield made


async def consenting(house: House, ground: Ground = Ground.CONSENT, personal: bool = False) -> str:
    """Relation, ground and both steps towards every other provider."""
    await house.gatekeeper.registers.attest_relation(GP, 1)
    given = await house.gatekeeper.registers.register_ground(GP, 1, ground, personal=personal, ends=None)
    await house.gatekeeper.reveal(GP, 1, Step.OTHER_PROVIDERS)
    await house.gatekeeper.reveal(GP, 1, Step.PROVIDERS, frozenset({ALL}))
    return given.consent_id


async def sees(house: House, subject=GP, keys=P1) -> set[str]:  # type: ignore[no-untyped-def]
    return await house.shown(await house.gatekeeper.open_view(subject, keys))


def test_nobody_but_the_gatekeeper_can_make_a_view() -> None:
    with pytest.raises(TypeError):
        View(
            GP,
            Purpose.CARE,
            Everything(),
            None,
            Indicators(),
            None,  # type: ignore[arg-type]
            None,  # type: ignore[arg-type]
            frozenset(),
            True,
            None,  # type: ignore[arg-type]
            (),
            object(),
        )


async def test_a_made_view_can_not_be_widened(house: House) -> None:
    view = await house.gatekeeper.open_view(GP, P1)
    with pytest.raises(AttributeError):
        view.predicate = Everything()  # type: ignore[misc]


async def test_the_way_of_a_general_practitioner_from_nothing_to_the_other_providers(house: House) -> None:
    gate = house.gatekeeper
    assert await sees(house) == set()
    await gate.registers.attest_relation(GP, 1)
    view = await gate.open_view(GP, P1)
    assert await house.shown(view) == {"own.1"}
    assert view.indicators == Indicators(more_in_own_provider=True, unblocked_elsewhere=True)
    assert view.names.providers == frozenset()
    with pytest.raises(NotAllowed):
        await gate.reveal(GP, 1, Step.OTHER_PROVIDERS)
    await gate.registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=None)
    assert await sees(house) == {"own.1"}
    view = await gate.reveal(GP, 1, Step.OTHER_PROVIDERS, wording="Visa andra vårdgivare")
    assert view.names.providers == {FOREIGN, THIRD}
    view = await gate.reveal(GP, 1, Step.PROVIDERS, frozenset({FOREIGN}))
    assert await house.shown(view) == {"own.1", "foreign.1"}
    assert view.names.providers == {THIRD}
    view = await gate.reveal(GP, 1, Step.PROVIDERS, frozenset({ALL}))
    assert await house.shown(view) == {"own.1", "foreign.1", "third.1"}
    await gate.reveal(GP, 1, Step.OTHER_UNITS)
    view = await gate.reveal(GP, 1, Step.UNITS, frozenset({OTHER_UNIT}))
    assert await house.shown(view) == {"own.1", "other.1", "foreign.1", "third.1"}
    assert view.indicators == Indicators()
    assert await house.events() == [
        "SEARCH_PATIENT",
        "ATTEST_RELATION",
        "ATTEST_CONSENT",
        "REVEAL_OTHER_PROVIDER",
        "ENTER_CARE_SYSTEM",
        "ENTER_CARE_SYSTEM",
        "REVEAL_OTHER_UNITS",
        "CHOOSE_UNITS",
    ]
    assert await journal.verify(house.store) is None


async def test_a_withdrawn_consent_closes_at_the_very_next_opening(house: House) -> None:
    consent_id = await consenting(house)
    assert "foreign.1" in await sees(house)
    await house.gatekeeper.registers.end_ground(GP, consent_id)
    assert await sees(house) == {"own.1"}
    await house.gatekeeper.registers.end_ground(GP, consent_id)
    assert (await house.events()).count("WITHDRAW_CONSENT") == 1


async def test_a_view_that_is_asked_for_each_object_stays_as_long_as_it_is_true(house: House) -> None:
    consent_id = await consenting(house)
    view = await house.gatekeeper.open_view(GP, P1)
    house.clock.move(2)
    written = await house.events()
    assert await view.renew(view) is view
    assert await house.events() == written
    await house.gatekeeper.registers.end_ground(GP, consent_id)
    renewed = await view.renew(view)
    assert renewed is not view
    assert await house.shown(renewed) == {"own.1"}
    assert await renewed.renew(renewed) is renewed


@pytest.mark.parametrize("end", ["session", "views", "time"])
async def test_a_view_is_opened_anew_when_what_it_rests_on_is_gone(house: House, end: str) -> None:
    await consenting(house)
    view = await house.gatekeeper.open_view(GP, P1)
    house.clock.move(2)
    assert await view.renew(view) is view
    if end == "session":
        house.gatekeeper.forget_session(GP.session_id)
    elif end == "views":
        house.gatekeeper.forget_views()
    else:
        house.clock.move(limits.VIEW_SECONDS)
    renewed = await view.renew(view)
    assert renewed is not view
    assert ("foreign.1" in await house.shown(renewed)) is (end != "session")


async def test_a_block_closes_at_the_very_next_opening_and_only_its_owner_ends_it(house: House) -> None:
    await consenting(house)
    registers = house.gatekeeper.registers
    block = await registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    assert await sees(house) == {"own.1", "third.1"}
    assert (await house.gatekeeper.open_view(GP, P1)).indicators.blocked_elsewhere
    for nobody in (GP, ADMIN):
        with pytest.raises((NotAllowed, NotFound)):
            await registers.end_block(nobody, block.block_id)
        with pytest.raises((NotAllowed, NotFound)):
            await registers.lift_block(nobody, block.block_id, unit=UNIT, reason="consent")
    lift = await registers.lift_block(FOREIGN_ADMIN, block.block_id, unit=UNIT, reason="consent")
    assert "foreign.1" in await sees(house)
    await registers.end_lift(FOREIGN_ADMIN, lift.lift_id)
    assert "foreign.1" not in await sees(house)
    await registers.end_block(FOREIGN_ADMIN, block.block_id)
    assert "foreign.1" in await sees(house)


async def test_a_lift_expires_at_its_second_even_inside_a_kept_view(house: House) -> None:
    await consenting(house)
    registers = house.gatekeeper.registers
    block = await registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    ends = house.clock.now() + timedelta(seconds=2)
    await registers.lift_block(FOREIGN_ADMIN, block.block_id, unit=UNIT, reason="consent", ends=ends)
    assert "foreign.1" in await sees(house)
    house.clock.move(1.9)
    assert "foreign.1" in await sees(house)
    house.clock.move(0.2)
    assert "foreign.1" not in await sees(house)


async def test_an_inner_block_is_passed_by_a_registered_lift_of_the_reader(house: House) -> None:
    gate = house.gatekeeper
    await gate.registers.attest_relation(GP, 1)
    block = await gate.registers.register_block(ADMIN, 1, BlockKind.INNER, OWN, OTHER_UNIT)
    await gate.reveal(GP, 1, Step.OTHER_UNITS)
    view = await gate.reveal(GP, 1, Step.UNITS, frozenset({ALL}))
    assert await house.shown(view) == {"own.1"}
    assert view.indicators.blocked_in_own_provider
    view = await gate.reveal(GP, 1, Step.BLOCKED_UNITS)
    assert view.names.blocked_units == {OTHER_UNIT}
    with pytest.raises(NotAllowed):
        await gate.registers.lift_block(GP, block.block_id, unit=OTHER_UNIT, reason="consent")
    with pytest.raises(NotAllowed):
        await gate.registers.lift_block(GP, block.block_id, unit=UNIT, reason="emergency")
    with pytest.raises(NotAllowed):
        await gate.registers.lift_block(
            staff(Scope.UNIT), block.block_id, unit=UNIT, employee=GP.hsa_id, reason="emergency"
        )
    await gate.registers.lift_block(GP, block.block_id, unit=UNIT, employee=GP.hsa_id, reason="emergency")
    assert await sees(house) == {"own.1", "other.1"}
    assert ("EMERGENCY_PASS_BLOCKED", "Nödöppning", 1, OWN) in await house.audited()


async def test_an_emergency_takes_two_steps_and_is_written_as_emergency(house: House) -> None:
    gate = house.gatekeeper
    await gate.registers.attest_relation(GP, 1)
    with pytest.raises(NotAllowed):
        await gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=False, ends=None)
    await gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=True, ends=None)
    await gate.reveal(GP, 1, Step.OTHER_PROVIDERS)
    view = await gate.reveal(GP, 1, Step.PROVIDERS, frozenset({FOREIGN}))
    assert await house.shown(view) == {"own.1"}
    view = await gate.reveal(GP, 1, Step.RELEVANT)
    assert await house.shown(view) == {"own.1", "foreign.1"}
    await gate.record_opening(view, "foreign.1", "images")
    assert ("OPEN_IMAGES", "Nödöppning", 1, FOREIGN) in await house.audited()
    house.clock.move(limits.EMERGENCY_HOURS * 3600)
    await gate.registers.attest_relation(GP, 1)
    assert await sees(house) == {"own.1"}


async def test_only_an_emergency_names_who_has_blocked_elsewhere(house: House) -> None:
    gate = house.gatekeeper
    await consenting(house)
    await gate.registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    with pytest.raises(NotAllowed):
        await gate.reveal(GP, 1, Step.BLOCKED_PROVIDERS)
    await gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=True, ends=None)
    view = await gate.reveal(GP, 1, Step.BLOCKED_PROVIDERS)
    assert view.names.blocked_providers == {FOREIGN}
    assert "foreign.1" not in await house.shown(view)


async def test_steps_out_of_order_are_refused_and_leave_no_entry(house: House) -> None:
    gate = house.gatekeeper
    await gate.registers.attest_relation(GP, 1)
    await gate.open_view(GP, P1)
    await gate.open_view(SYSTEM, P1)
    before = await house.events()
    for step, names in (
        (Step.UNITS, frozenset({ALL})),
        (Step.PROVIDERS, frozenset({ALL})),
        (Step.RELEVANT, frozenset()),
        (Step.BLOCKED_PROVIDERS, frozenset()),
    ):
        with pytest.raises(NotAllowed):
            await gate.reveal(GP, 1, step, names)
    with pytest.raises(BadInput):
        await gate.reveal(GP, 1, Step.OTHER_UNITS, frozenset({ALL}))
    with pytest.raises(NotAllowed):
        await gate.reveal(SYSTEM, 1, Step.OTHER_UNITS)
    assert await house.events() == before


async def test_choices_belong_to_one_session_and_die_with_it(house: House) -> None:
    await consenting(house)
    assert "foreign.1" in await sees(house)
    assert await sees(house, replace(GP, session_id="another")) == {"own.1"}
    house.gatekeeper.forget_session(GP.session_id)
    assert await sees(house) == {"own.1"}


async def test_a_view_is_made_once_within_its_seconds_and_written_once_a_quarter(house: House) -> None:
    first = await house.gatekeeper.open_view(GP, P1)
    assert await house.gatekeeper.open_view(GP, P1) is first
    house.clock.move(limits.VIEW_SECONDS)
    assert await house.gatekeeper.open_view(GP, P1) is not first
    assert await house.events() == ["SEARCH_PATIENT"]
    house.clock.move(limits.AUDIT_REPEAT_S)
    await house.gatekeeper.open_view(GP, P1)
    assert await house.events() == ["SEARCH_PATIENT"] * 2


async def test_a_system_sees_its_provider_and_others_only_where_its_unit_has_ground_and_relation(
    house: House,
) -> None:
    gate = house.gatekeeper
    own = {f"{name}.{person}" for name in ("own", "other") for person in (1, 2, 3)}
    view = await gate.open_view(SYSTEM)
    assert view.patient_keys is None
    assert await house.shown(view) == own
    await gate.registers.register_block(ADMIN, 2, BlockKind.INNER, OWN, OTHER_UNIT)
    assert await sees(house, SYSTEM, None) == own
    await gate.registers.attest_relation(GP, 1)
    await gate.registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=None)
    assert await sees(house, SYSTEM, None) == own | {"foreign.1", "third.1"}
    assert await sees(house, SYSTEM, frozenset({1})) == {"own.1", "other.1", "foreign.1", "third.1"}
    await gate.registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    assert await sees(house, SYSTEM, None) == own | {"third.1"}
    view = await gate.open_view(SYSTEM)
    assert view.why(Item(2, OWN, UNIT, 20200301, 20200301)).reason is Reason.OWN_SYSTEM


async def test_a_systems_unit_does_not_lean_on_personal_or_emergency_grounds(house: House) -> None:
    await consenting(house, Ground.EMERGENCY, personal=True)
    await house.gatekeeper.registers.register_ground(GP, 1, Ground.CONSENT, personal=True, ends=None)
    assert "foreign.1" not in await sees(house, SYSTEM, None)
    assert "foreign.1" not in await sees(house, SYSTEM, P1)


async def test_staff_without_a_patient_see_nothing(house: House) -> None:
    view = await house.gatekeeper.open_view(GP)
    assert isinstance(view.predicate, Nothing)


async def test_a_patient_sees_the_own_record_and_nobody_elses(house: House) -> None:
    himself = replace(HIMSELF, patient_key=1)
    assert await sees(house, himself) == {"own.1", "other.1", "foreign.1", "third.1"}
    assert await sees(house, himself, frozenset({2})) == set()
    assert await sees(house, himself, None) == set()
    assert ("OWN_RECORD", "Läsa", 1, "") in await house.audited()


async def test_a_patient_blocks_at_once_and_may_withdraw_what_others_registered(house: House) -> None:
    himself = replace(HIMSELF, patient_key=1)
    consent_id = await consenting(house)
    await house.gatekeeper.registers.register_block(himself, 1, BlockKind.OUTER, FOREIGN)
    assert "foreign.1" not in await sees(house)
    await house.gatekeeper.registers.end_ground(himself, consent_id)
    assert await sees(house) == {"own.1"}
    with pytest.raises(NotFound):
        await house.gatekeeper.registers.register_block(himself, 2, BlockKind.OUTER, FOREIGN)


async def test_the_other_number_of_a_merged_person_brings_his_blocks_and_consents(house: House) -> None:
    await house.gatekeeper.registers.register_block(FOREIGN_ADMIN, 2, BlockKind.OUTER, FOREIGN)
    await consenting(house)
    assert "foreign.1" in await sees(house)

    def merge(transaction: Transaction) -> None:
        transaction.update("patient", {"patient_key": 2}, merged_into=1)

    await house.store.commit(merge)
    house.gatekeeper.forget_views()
    shown = await sees(house, GP, frozenset({2}))
    assert shown == await sees(house) == {"own.1", "own.2", "third.1", "third.2"}


async def test_openings_are_written_before_they_are_allowed_and_once_per_quarter(house: House) -> None:
    await consenting(house)
    view = await house.gatekeeper.open_view(GP, P1)
    await asyncio.gather(*(house.gatekeeper.record_opening(view, "foreign.1", "images") for _ in range(50)))
    await house.gatekeeper.record_opening(view, "foreign.1", "metadata")
    openings = [row for row in await house.audited() if row[0].startswith("OPEN_")]
    assert openings == [("OPEN_IMAGES", "Läsa", 1, FOREIGN), ("OPEN_METADATA", "Läsa", 1, FOREIGN)]
    house.clock.move(limits.AUDIT_REPEAT_S)
    await house.gatekeeper.record_opening(view, "foreign.1", "images")
    assert (await house.events()).count("OPEN_IMAGES") == 2


async def test_opening_what_is_hidden_looks_like_opening_what_is_not_there(house: House) -> None:
    await house.gatekeeper.registers.attest_relation(GP, 1)
    view = await house.gatekeeper.open_view(GP, P1)
    refusals = []
    for uid in ("foreign.1", "9.9.9"):
        with pytest.raises(NotFound) as refused:
            await house.gatekeeper.record_opening(view, uid, "images")
        refusals.append(str(refused.value))
    assert refusals[0] == refusals[1]


async def test_when_the_journal_can_not_be_written_nothing_is_opened(house: House) -> None:
    await consenting(house)
    view = await house.gatekeeper.open_view(GP, P1)
    house.store._writer._failure = StoreFailed("disk")
    with pytest.raises(SamsynError):
        await house.gatekeeper.record_opening(view, "foreign.1", "images")
    with pytest.raises(SamsynError):
        await house.gatekeeper.open_view(GP, frozenset({2}))
    house.store._writer._failure = None
    await house.gatekeeper.record_opening(view, "foreign.1", "images")
    assert (await house.events()).count("OPEN_IMAGES") == 1


async def test_a_search_is_written_with_its_door(house: House) -> None:
    view = await house.gatekeeper.open_view(SYSTEM)
    for _ in range(3):
        await house.gatekeeper.record_search(view, "dimse")
    await house.gatekeeper.record_search(view, "dicomweb", P1)
    assert await house.events() == ["SYSTEM_VIEW", "SEARCH", "SEARCH"]


async def test_an_unknown_block_register_leaves_the_own_unit_open_and_closes_the_rest(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        known = [True]
        gate = house.gatekeeper = Gatekeeper(house.store, house.clock, None, lambda: known[0])
        await consenting(house)
        assert "foreign.1" in await sees(house)
        known[0] = False
        view = await gate.open_view(GP, P1)
        assert not view.blocks_known
        assert await house.shown(view) == {"own.1"}


async def test_who_has_no_relation_right_or_purpose_writes_nothing_in_the_registers(house: House) -> None:
    registers = house.gatekeeper.registers
    with pytest.raises(NotAllowed):
        await registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=None)
    for nobody in (staff(None), staff(purpose=Purpose.ADMINISTRATION), SYSTEM, replace(GP, assignment=None)):
        with pytest.raises(NotAllowed):
            await registers.attest_relation(nobody, 1)
    with pytest.raises(NotFound):
        await registers.attest_relation(GP, 999)
    for subject in (GP, SYSTEM):
        with pytest.raises(NotAllowed):
            await registers.register_block(subject, 1, BlockKind.OUTER, OWN)
    with pytest.raises(NotAllowed):
        await registers.register_block(ADMIN, 1, BlockKind.OUTER, FOREIGN)
    assert await house.events() == []


async def test_times_of_register_rows_are_bounded(house: House) -> None:
    registers, now = house.gatekeeper.registers, house.clock.now()
    for ends in (now, now - timedelta(days=1), now + timedelta(days=15)):
        with pytest.raises(BadInput):
            await registers.attest_relation(GP, 1, ends)
    await registers.attest_relation(GP, 1)
    with pytest.raises(BadInput):
        await registers.register_ground(GP, 1, Ground.CONSENT, personal=False, ends=now)
    with pytest.raises(BadInput):
        await registers.register_ground(
            GP, 1, Ground.EMERGENCY, personal=True, ends=now + timedelta(hours=25)
        )
    block = await registers.register_block(ADMIN, 1, BlockKind.INNER, OWN, OTHER_UNIT)
    with pytest.raises(BadInput):
        await registers.lift_block(
            ADMIN, block.block_id, unit=UNIT, reason="consent", ends=now + timedelta(days=7, seconds=1)
        )


async def test_consent_for_one_person_is_not_for_a_colleague(house: House) -> None:
    colleague = replace(GP, hsa_id="SE9990000004-9002", session_id="session-c")
    await house.gatekeeper.registers.attest_relation(colleague, 1)
    await consenting(house, personal=True)
    with pytest.raises(NotAllowed):
        await house.gatekeeper.reveal(colleague, 1, Step.OTHER_PROVIDERS)
    assert await sees(house, colleague) == {"own.1"}


async def test_registered_grounds_are_listed_for_the_unit_and_the_patient_only(house: House) -> None:
    consent_id = await consenting(house)
    registers = house.gatekeeper.registers
    assert [c.consent_id for c in await registers.consents_for(GP, 1)] == [consent_id]
    assert len(await registers.consents_for(replace(HIMSELF, patient_key=1), 1)) == 1
    assert await registers.consents_for(replace(HIMSELF, patient_key=2), 1) == ()
    assert await registers.consents_for(FOREIGN_ADMIN, 1) == ()
    with pytest.raises(NotFound):
        await registers.end_ground(
            replace(FOREIGN_ADMIN, assignment=replace(FOREIGN_ADMIN.assignment, purpose=Purpose.CARE)),  # type: ignore[type-var]
            consent_id,
        )


async def test_a_block_administrator_lists_the_own_providers_blocks(house: House) -> None:
    registers = house.gatekeeper.registers
    block = await registers.register_block(ADMIN, 1, BlockKind.INNER, OWN, OTHER_UNIT)
    assert [b.block_id for b in await registers.blocks_at(ADMIN)] == [block.block_id]
    assert await registers.blocks_at(FOREIGN_ADMIN) == ()
    with pytest.raises(NotAllowed):
        await registers.blocks_at(GP)


async def test_a_view_names_a_bounded_number_of_persons(house: House) -> None:
    with pytest.raises(LimitExceeded):
        await house.gatekeeper.open_view(SYSTEM, frozenset(range(limits.MAX_VIEW_PERSONS + 1)))


async def test_everything_in_the_registers_survives_a_restart(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        await consenting(house)
        await house.gatekeeper.registers.register_block(FOREIGN_ADMIN, 1, BlockKind.OUTER, FOREIGN)
    clock = house.clock
    store = make_store(tmp_path, clock)
    store.start()
    try:
        again = House(store, clock, Gatekeeper(store, clock, Policy()))
        await again.gatekeeper.reveal(GP, 1, Step.OTHER_PROVIDERS)
        view = await again.gatekeeper.reveal(GP, 1, Step.PROVIDERS, frozenset({ALL}))
        assert await again.shown(view) == {"own.1", "third.1"}
        assert await journal.verify(store) is None
    finally:
        store.close()


async def test_each_emergency_is_attested_anew(house: House) -> None:
    gate = house.gatekeeper
    first = await consenting(house, Ground.EMERGENCY, personal=True)
    await gate.reveal(GP, 1, Step.OTHER_PROVIDERS)
    await gate.reveal(GP, 1, Step.RELEVANT)
    view = await gate.reveal(GP, 1, Step.PROVIDERS, frozenset({FOREIGN}))
    assert "foreign.1" in await house.shown(view)
    await gate.registers.end_ground(GP, first)
    house.clock.move(60)
    await gate.registers.register_ground(GP, 1, Ground.EMERGENCY, personal=True, ends=None)
    view = await gate.open_view(GP, P1)
    assert "foreign.1" not in await house.shown(view)
    view = await gate.reveal(GP, 1, Step.RELEVANT)
    assert "foreign.1" in await house.shown(view)
