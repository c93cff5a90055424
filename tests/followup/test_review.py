"""Log review: for log reviewers only, about the own provider only, drawn at random, signed once, and all logged."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.access.events import Event, entry
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import READINGS, LogQuestion, LogReview
from samsyn.access.followup.targets import Access, CheckKind, PatientName, picks
from samsyn.audit import journal
from samsyn.errors import BadInput, Conflict, LimitExceeded, NotAllowed, NotFound
from samsyn.model.subject import Subject
from samsyn.patients import links
from samsyn.patients.links import Word
from samsyn.store.index import review_rows
from tests.access.house import House, a_house
from tests.access.people import FOREIGN, FOREIGN_UNIT, HIMSELF, ME, NOW, OTHER_UNIT, OWN, UNIT, staff
from tests.indexes import sqlite_only

TODAY = NOW.date()


def reviewer(name: str = "SE9990000001-9102", **changes: object) -> Subject:
    return replace(staff(**changes), hsa_id=name, roles=frozenset({"log-reviewer"}), session_id="review")  # type: ignore[arg-type]


def reader(name: str, full_name: str = "", provider: str = OWN, unit: str = UNIT) -> Subject:
    own = staff().assignment
    assert own is not None
    assignment = replace(own, provider_hsa_id=provider, unit_hsa_id=unit)
    return replace(staff(), hsa_id=name, name=full_name, assignment=assignment)


async def did(house: House, subject: Subject, *acts: tuple[Event, int]) -> None:
    await journal.write(
        house.store, *(entry(subject, event, key, owner_provider=OWN, owner_unit=UNIT) for event, key in acts)
    )


async def logged_in(house: House, subject: Subject) -> None:
    await journal.write(house.store, entry(subject, Event.LOGIN, details={"name": subject.name}))


def question(**changes: object) -> LogQuestion:
    return replace(LogQuestion(TODAY, TODAY), **changes)  # type: ignore[arg-type]


async def test_nobody_but_a_log_reviewer_reads_the_log(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        no_assignment = replace(reviewer(), assignment=None)
        for subject in (staff(), HIMSELF, no_assignment):
            for act in (
                review.search(subject, question()),
                review.waiting_emergencies(subject),
                review.checks(subject),
                review.check(subject, 1),
                review.make_check(subject, CheckKind.RANDOM, TODAY, TODAY, 5),
                review.sign(subject, 1, {}, "none", ""),
            ):
                with pytest.raises(NotAllowed):
                    await act


async def test_only_the_own_providers_entries_are_found_whoever_owns_the_information(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        await did(house, reader("SE9990000001-1"), (Event.OPEN_IMAGES, 1))
        await did(
            house, reader("SE9990000002-1", provider=FOREIGN, unit=FOREIGN_UNIT), (Event.OPEN_IMAGES, 1)
        )
        page = await review.search(reviewer(), question(patient_keys=frozenset({1})))
        assert {each.actor for each in page.entries if each.event == "OPEN_IMAGES"} == {"SE9990000001-1"}
        assert {each.provider for each in page.entries} == {OWN}


async def test_the_log_is_searched_by_person_patient_unit_day_and_emergency(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        one, other = reader("SE9990000001-1"), reader("SE9990000001-2", unit=OTHER_UNIT)
        await did(house, one, (Event.OPEN_IMAGES, 1), (Event.EMERGENCY_CONSENT, 2))
        house.clock.move(86_400)
        await did(house, other, (Event.OPEN_REPORT, 1))

        async def found(**changes: object) -> list[tuple[str, int]]:
            wide = question(last_day=date.max.replace(year=2090), **changes)
            page = await review.search(reviewer(), wide)
            return [(each.event, each.patient_key) for each in page.entries if each.event != "READ_AUDIT"]

        assert await found() == [("OPEN_REPORT", 1), ("EMERGENCY_CONSENT", 2), ("OPEN_IMAGES", 1)]
        assert await found(actor="SE9990000001-2") == [("OPEN_REPORT", 1)]
        assert await found(patient_keys=frozenset({2})) == [("EMERGENCY_CONSENT", 2)]
        assert await found(unit=UNIT) == [("EMERGENCY_CONSENT", 2), ("OPEN_IMAGES", 1)]
        assert await found(only_emergencies=True) == [("EMERGENCY_CONSENT", 2)]
        page = await review.search(reviewer(), question())
        assert {each.event for each in page.entries} == {"OPEN_IMAGES", "EMERGENCY_CONSENT"}


@asynccontextmanager
async def a_long_log(folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[House, LogReview]]:
    """Twenty entries about one patient, seven of which are a page."""
    monkeypatch.setattr(limits, "LOG_PAGE", 7)
    async with a_house(folder) as house:
        await did(house, reader("SE9990000001-1"), *[(Event.OPEN_IMAGES, 1)] * 20)
        yield house, LogReview(house.store, house.clock)


async def test_long_answers_come_in_pages_without_gap_or_double(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_long_log(tmp_path, monkeypatch) as (_, review):
        seen, before = [], 0
        while True:
            page = await review.search(reviewer(), question(actor="SE9990000001-1", before=before))
            seen += [each.sequence for each in page.entries]
            before = page.before
            if not before:
                break
        assert seen == sorted(set(seen), reverse=True)
        assert len(seen) == 20


async def test_each_page_of_the_log_that_a_reviewer_reads_is_in_the_journal_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with a_long_log(tmp_path, monkeypatch) as (house, review):
        # A later page can be asked for without the first: its number is anybody's to write.
        page = await review.search(reviewer(), question(before=10**9))
        assert len(page.entries) == 7
        assert (await house.audited())[-1][:3] == ("READ_AUDIT", "Läsa", 0)
        await review.search(reviewer(), question(before=page.before, patient_keys=frozenset({1})))
        assert (await house.audited())[-1][:3] == ("READ_AUDIT", "Läsa", 1)


async def test_whom_the_own_providers_log_is_not_about_is_as_nobody_to_its_reviewer(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        foreign = reader("SE9990000002-1", provider=FOREIGN, unit=FOREIGN_UNIT)
        await did(house, foreign, (Event.OPEN_IMAGES, 1))
        for _ in range(2):  # nor does the asking make him known
            assert await review.persons(reviewer(), [1]) == {}
            assert (await house.audited())[-1][:3] == ("READ_AUDIT", "Läsa", 1)
        await Extracts(house.store, house.clock).on_request(reviewer(), 1)
        assert await review.persons(reviewer(), [1]) == {}
        assert await review.persons(reviewer(), []) == {}
        assert (await house.audited())[-1][:3] == ("READ_AUDIT", "Läsa", 0)
        assert (await review.search(reviewer(), question(patient_keys=frozenset()))).entries == ()
        await did(house, reader("SE9990000001-1"), (Event.SEARCH_PATIENT, 1))
        assert await review.persons(reviewer(), [1, 2]) == {1: frozenset({1})}
        await house.store.commit(lambda transaction: links.link(transaction, 1, 2, Word()))
        assert await review.persons(reviewer(), [2]) == {2: frozenset({1, 2})}
        with pytest.raises(NotAllowed):
            await review.persons(staff(), [1])


async def test_a_check_is_drawn_kept_and_signed_and_each_step_is_in_the_journal(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        for number in range(12):
            await did(house, reader(f"SE9990000001-{number}"), (Event.OPEN_LIST, 1), (Event.OPEN_REPORT, 1))
        key = await review.make_check(reviewer(), CheckKind.RANDOM, TODAY, TODAY, 5)
        check = await review.check(reviewer(), key)
        assert (check.summary.size, check.summary.population) == (5, 12)
        assert all(
            [each.event for each in access.entries] == ["OPEN_LIST", "OPEN_REPORT"]
            for access in check.accesses
        )
        verdicts = {access.sequence: ("justified", "") for access in check.accesses}
        last = check.accesses[-1].sequence
        with pytest.raises(BadInput):
            await review.sign(reviewer(), key, {last: ("justified", "")}, "none", "")
        with pytest.raises(BadInput):
            await review.sign(reviewer(), key, {**verdicts, last: ("unjustified", "")}, "none", "")
        await review.sign(
            reviewer(), key, {**verdicts, last: ("unclear", "frågat chefen")}, "deviations", "Se ärende"
        )
        with pytest.raises(Conflict):
            await review.sign(reviewer(), key, verdicts, "none", "")
        signed = (await review.checks(reviewer()))[0]
        assert (signed.finding, signed.remark, signed.signed_by) == (
            "deviations",
            "Se ärende",
            reviewer().hsa_id,
        )
        assert (await review.check(reviewer(), key)).accesses[-1].verdict == "unclear"
        events = await house.audited()
        assert ("SIGN_LOG_CHECK", "Signera") in [each[:2] for each in events]
        assert "MAKE_LOG_CHECK" in [each[0] for each in events]
        assert await journal.verify(house.store) is None


async def test_every_emergency_waits_until_it_is_checked_also_a_later_one_of_the_same_day(
    tmp_path: Path,
) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        nurse = reader("SE9990000001-1")
        await did(house, nurse, (Event.EMERGENCY_CONSENT, 1), (Event.OPEN_IMAGES, 1))
        await did(house, reader("SE9990000001-2"), (Event.EMERGENCY_PASS_BLOCKED, 2))
        foreign = reader("SE9990000002-1", provider=FOREIGN, unit=FOREIGN_UNIT)
        await did(house, foreign, (Event.EMERGENCY_CONSENT, 1))
        assert await review.waiting_emergencies(reviewer()) == 2
        key = await review.make_check(reviewer(), CheckKind.EMERGENCY, TODAY, TODAY, 1)
        assert (await review.check(reviewer(), key)).summary.size == 2
        assert await review.waiting_emergencies(reviewer()) == 0
        await did(house, nurse, (Event.EMERGENCY_CONSENT, 1))
        assert await review.waiting_emergencies(reviewer()) == 1


async def test_nobody_reviews_himself(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        mine = replace(reader("SE9990000001-9102"), roles=frozenset({"log-reviewer"}))
        await did(house, mine, (Event.EMERGENCY_CONSENT, 1))
        for kind in (CheckKind.RANDOM, CheckKind.EMERGENCY):
            with pytest.raises(NotFound):
                await review.make_check(mine, kind, TODAY, TODAY, 5)
        other = reviewer("SE9990000001-9999")
        key = await review.make_check(other, CheckKind.EMERGENCY, TODAY, TODAY, 5)
        sequence = (await review.check(mine, key)).accesses[0].sequence
        with pytest.raises(NotAllowed):
            await review.sign(mine, key, {sequence: ("justified", "")}, "none", "")
        await review.sign(other, key, {sequence: ("justified", "")}, "none", "")


async def test_another_providers_check_is_as_if_it_were_not_there(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        await did(house, reader("SE9990000001-1"), (Event.OPEN_IMAGES, 1))
        key = await review.make_check(reviewer(), CheckKind.RANDOM, TODAY, TODAY, 5)
        own = staff().assignment
        assert own is not None
        abroad = replace(reviewer("SE9990000002-9"), assignment=replace(own, provider_hsa_id=FOREIGN))
        assert await review.checks(abroad) == []
        for act in (review.check(abroad, key), review.sign(abroad, key, {}, "none", "")):
            with pytest.raises(NotFound):
                await act


async def test_a_period_with_too_many_entries_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_REVIEWED_ROWS", 3)
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)
        await did(house, reader("SE9990000001-1"), *[(Event.OPEN_IMAGES, 1)] * 5)
        with pytest.raises(LimitExceeded):
            await review.make_check(reviewer(), CheckKind.RANDOM, TODAY, TODAY, 5)


async def test_targeted_checks_find_kin_own_record_colleagues_and_the_protected(tmp_path: Path) -> None:
    async with a_house(tmp_path) as house:
        review = LogReview(house.store, house.clock)

        def name_patients(transaction: object) -> None:
            for key, name, protected in ((1, "Öberg^Åsa", 0), (2, "Öberg^Nils", 0), (3, "Lind^Ida", 1)):
                transaction.update("patient", {"patient_key": key}, name=name, protected=protected)  # type: ignore[attr-defined]

        await house.store.commit(name_patients)
        asa, bo = reader("SE9990000001-1", "Åsa Maria Öberg"), reader("SE9990000001-2", "Bo Berg")
        for subject in (asa, bo):
            await logged_in(house, subject)
            await did(house, subject, *((Event.OPEN_IMAGES, key) for key in (1, 2, 3)))

        async def drawn(kind: CheckKind) -> set[tuple[str, int]]:
            key = await review.make_check(reviewer(), kind, TODAY, TODAY, 50)
            check = await review.check(reviewer(), key)
            return {(each.entries[0].actor_name, each.entries[0].patient_key) for each in check.accesses}

        assert await drawn(CheckKind.SURNAME) == {(asa.name, 1), (asa.name, 2)}
        assert await drawn(CheckKind.OWN_NAME) == {(asa.name, 1)}
        assert await drawn(CheckKind.COLLEAGUE) == {(bo.name, 1)}
        assert await drawn(CheckKind.PROTECTED) == {(asa.name, 3), (bo.name, 3)}


def test_a_surname_that_ends_like_another_is_not_the_same() -> None:
    patient = PatientName.of("Berg^Bo", False)
    names = {"A": "åsa öberg".replace("å", "a").replace("ö", "o"), "B": "bo berg"}
    assert not picks(CheckKind.SURNAME, Access(1, 1, "A", 1), patient, names)
    assert picks(CheckKind.SURNAME, Access(1, 1, "B", 1), patient, names)
    assert picks(CheckKind.COLLEAGUE, Access(1, 1, "A", 1), patient, names)
    assert not picks(CheckKind.SURNAME, Access(1, 1, "C", 1), patient, names)


def test_what_a_check_is_about_is_every_event_that_shows_something_of_a_patient() -> None:
    assert {"OPEN_IMAGES", "EXPORT", "SEND", "EMERGENCY_CONSENT", "REVEAL_BLOCKED_PROVIDER"} <= set(READINGS)
    assert not {"STORE_STUDY", "LOGIN", "READ_AUDIT", "REFUSED"} & set(READINGS)
    assert ME


@sqlite_only
async def test_a_search_about_a_patient_or_a_reader_goes_through_that_index_and_not_the_providers(
    tmp_path: Path,
) -> None:
    """A provider has millions of entries, a patient some hundred."""

    def plan(connection: sqlite3.Connection, **wanted: object) -> str:
        told: list[str] = []
        connection.set_trace_callback(told.append)
        asked = {"actor": "", "patient_keys": None, "unit": "", "activity": "", **wanted}
        review_rows.search(connection, OWN, 1, 100, limit=10, **asked)  # type: ignore[arg-type]
        connection.set_trace_callback(None)
        return str([tuple(row) for row in connection.execute(f"EXPLAIN QUERY PLAN {told[-1]}")])

    async with a_house(tmp_path) as house:
        about = await house.store.read(lambda c: plan(c, patient_keys={1}, actor="A"))
        by = await house.store.read(lambda c: plan(c, actor="A"))
        everybody = await house.store.read(plan)
    assert "audit_by_patient" in about
    assert "audit_by_actor" in by
    assert "audit_by_provider" in everybody
