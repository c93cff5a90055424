"""What a browser has with one node it has with every node: session, log-in under way, opened patients, choices."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from samsyn import limits
from samsyn.access.authentication.claims import PersonLoggedIn
from samsyn.access.authentication.oidc import LoggedIn
from samsyn.access.authentication.sessions import Ending
from samsyn.access.authentication.shared_sessions import SharedSessions
from samsyn.access.facts import Choices
from samsyn.access.launches import Launch, Launches
from samsyn.access.shared_opened import SharedChoices, SharedOpened
from samsyn.access.waiting import WaitingRooms
from samsyn.errors import NotFound
from samsyn.store.shared.memory import MemoryState
from tests.access.house import HeldClock
from tests.access.people import HIMSELF, NOW, staff

GP = replace(
    staff(ends=NOW + timedelta(days=3)), roles=frozenset({"steward", "log-reviewer"}), protected=True
)


@pytest.mark.parametrize("subject", [GP, HIMSELF, staff()])
def test_a_session_that_one_node_opened_is_the_same_on_another(subject) -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock)
    secret, session = one.open(subject, "proof")
    assert two.find(secret) == session
    assert two.look(secret) == session
    assert two.find(secret + "x") is None
    assert secret not in repr(vars(shared))


def test_log_out_at_one_node_ends_the_session_at_all() -> None:
    clock, ended = HeldClock(), []
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock, ended.append)
    secret, session = one.open(GP)
    other, _ = one.open(replace(GP, hsa_id="SE9990000004-9002"))
    assert two.close(secret) == session
    assert one.find(secret) is None
    assert ended == [session.subject.session_id]
    assert two.close(secret) is None
    assert len(two.close_those(lambda each: each.subject.hsa_id == "SE9990000004-9002")) == 1
    assert one.look(other) is None
    assert len(one) == 0


def test_a_session_that_ends_while_another_node_notes_its_use_stays_ended() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock)
    secret, _ = one.open(GP)
    clock.move(60)
    read = shared.get

    def overtaken(kind: str, key: str) -> str | None:
        found = read(kind, key)
        assert two.close(secret) is not None
        return found

    shared.get = overtaken  # type: ignore[method-assign] # log-out comes between reading and noting
    assert one.find(secret) is None
    shared.get = read  # type: ignore[method-assign] # and every later request
    assert one.find(secret) is None
    assert len(one) == 0


def test_use_at_any_node_keeps_a_session_and_looking_does_not() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock)
    secret, _ = one.open(GP)
    for _ in range(3):
        clock.move(limits.SESSION_IDLE_S - 20)
        assert two.find(secret) is not None
    clock.move(limits.SESSION_IDLE_S - 20)
    assert one.look(secret) is not None
    clock.move(30)
    assert one.find(secret) is None


def test_a_session_ends_after_its_longest_time_wherever_it_is_used() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    sessions = SharedSessions(shared, clock)
    secret, _ = sessions.open(GP)
    for _ in range(int(limits.SESSION_LIFETIME_S / 600) - 1):
        clock.move(600)
        assert sessions.find(secret) is not None
    clock.move(601)
    assert sessions.find(secret) is None


def test_every_node_knows_when_a_session_ends_and_whether_use_puts_it_off() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock)
    secret, _ = one.open(GP)
    clock.move(limits.SESSION_IDLE_S - 60)
    assert two.ending(secret) == Ending(60, True)
    assert two.find(secret) is not None
    assert one.ending(secret) == Ending(limits.SESSION_IDLE_S, True)
    while limits.SESSION_LIFETIME_S - (clock.now() - NOW).total_seconds() > 600:
        clock.move(600)
        assert one.find(secret) is not None
    ending = two.ending(secret)
    assert ending is not None and ending.seconds <= 600 and not ending.can_go_on
    assert two.ending(secret + "x") is None


def test_a_changed_assignment_is_a_new_session_for_all_nodes() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = SharedSessions(shared, clock), SharedSessions(shared, clock)
    secret, session = one.open(GP, "proof")
    rotated = two.rotate(secret, staff())
    assert rotated is not None
    fresh, changed = rotated
    assert one.find(secret) is None
    assert one.find(fresh) == changed
    assert changed.id_token == "proof"
    assert changed.subject.session_id != session.subject.session_id


def test_opened_patients_and_the_current_one_are_the_same_at_every_node() -> None:
    shared = MemoryState(HeldClock())
    one, two = SharedOpened(shared), SharedOpened(shared)
    first, second = one.open("s", 7), two.open("s", 8)
    assert two.patient_key("s", first) == 7
    assert one.current("s") == 7
    assert one.open("s", 8) == second
    assert two.latest("s") == [(second, 8), (first, 7)]
    assert two.look("s", first) == 7
    assert one.current("s") == 8
    assert one.keys("s") == frozenset({7, 8})
    assert one.keys("other") == frozenset()
    only = two.open_only("s", 9)
    assert one.latest("s") == [(only, 9)]
    with pytest.raises(NotFound):
        one.patient_key("s", first)
    with pytest.raises(NotFound):
        one.look("other", only)
    for key in range(100, 100 + limits.MAX_OPENED_PATIENTS + 5):
        one.open("s", key)
    assert len(two.keys("s")) == limits.MAX_OPENED_PATIENTS
    two.forget("s")
    assert one.current("s") is None


def test_choices_made_at_one_node_count_at_another_and_end_with_the_session() -> None:
    shared = MemoryState(HeldClock())
    one, two = SharedChoices(shared), SharedChoices(shared)
    chosen = Choices(
        units_shown=True,
        units=frozenset({"a", "b"}),
        relevant=True,
        attested=datetime(2026, 1, 1, tzinfo=UTC),
    )
    one.record("s", frozenset({9, 4}), chosen)
    assert two.of("s", frozenset({4, 9})) == chosen
    assert two.of("s", frozenset({9})) == Choices()
    assert two.of("", frozenset({4})) == Choices()
    two.forget("s")
    assert one.of("s", frozenset({4, 9})) == Choices()


@pytest.mark.parametrize("who", [GP, PersonLoggedIn("191212121212", "Tolvan")])
def test_a_log_in_under_way_comes_back_to_any_node_and_once(who) -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = (WaitingRooms(clock, shared).room("login", LoggedIn, 60, 10) for _ in range(2))
    one.put("state", LoggedIn(who, "proof"))
    assert two.take("state") == LoggedIn(who, "proof")
    assert one.take("state") is None
    one.put("late", LoggedIn(who, ""))
    clock.move(61)
    assert two.take("late") is None


def test_what_works_once_works_once_in_all_nodes() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    for rooms in (WaitingRooms(clock), WaitingRooms(clock, shared)):
        used = rooms.room("used", str, 60, 10)
        assert used.once("assertion", "")
        assert not used.once("assertion", "")
        clock.move(61)
        assert used.once("assertion", "")
    assert not WaitingRooms(clock, shared).room("used", str, 60, 10).once("assertion", "")


def test_a_call_of_a_record_system_finds_its_browser_at_another_node() -> None:
    clock = HeldClock()
    shared = MemoryState(clock)
    one, two = (Launches(WaitingRooms(clock, shared)) for _ in range(2))
    ticket = one.put(Launch("19121212-1212", "SE9990000001-0001", "SE9990000001-9001"))
    assert two.look(ticket) == Launch("19121212-1212", "SE9990000001-0001", "SE9990000001-9001")
    assert two.take(ticket) is not None
    assert one.take(ticket) is None
