"""A turn of the writer on PostgreSQL asks ahead and adds rows together: what comes of it is what SQLite makes of the
same decisions one after the other, and it costs a few round trips however many records there are."""

import asyncio
import random
import threading
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.audit import journal as audit
from samsyn.errors import Conflict
from samsyn.ingest.receive import Arrival, Intake
from samsyn.store.index import tables
from samsyn.store.index.waiting import WaitingRows, touched_by
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import postgresql_of
from tests.ingest.test_receive import HOSPITAL, data_set
from tests.store.contract.test_two_nodes import reading
from tests.store.test_settling import all_tables

pytest.importorskip("asyncpg")
from samsyn.store.index.postgresql.connection import PostgresConnection
from tests.waiting import until

EXPLICIT = "1.2.840.10008.1.2.1"


class HeldClock:
    def now(self) -> datetime:
        return datetime(2026, 11, 26, 12, 0, tzinfo=UTC)

    def monotonic(self) -> float:
        return 0.0


async def in_one_turn(store: Store, work: Sequence[Awaitable[Any]]) -> list[Any]:
    """Everything is in the writer's queue before it looks there for the first time."""
    tasks = [asyncio.ensure_future(each) for each in work]
    for _ in range(5):
        await asyncio.sleep(0)
    store.start()
    return await asyncio.gather(*tasks, return_exceptions=True)


async def on_both(
    folder: Path, work: Callable[[Store], Sequence[Awaitable[Any]]]
) -> list[tuple[list[Any], dict[str, list[Any]]]]:
    """What was answered and what stands in every table, on SQLite and on PostgreSQL."""
    found = []
    for name in ("sqlite", "postgresql"):
        index = postgresql_of(folder) if name == "postgresql" else None
        store = Store(folder / name, HeldClock(), index=index)
        answers = await in_one_turn(store, work(store))
        rows = all_tables(store)
        del rows["journal_state"]  # PostgreSQL notes it beside
        for table in tables.whole().tables.values():
            if table.numbers_itself:  # SQLite leaves numbers out when a row was there already
                rows[table.name] = [row[1:] for row in sorted(rows[table.name])]
        store.close()
        if index is not None:
            again = postgresql_of(folder)
            again.drop()
            again.close()
        found.append((list(map(told, answers)), rows))
    return found


def told(answer: Any) -> Any:
    return (type(answer).__name__, str(answer)) if isinstance(answer, Exception) else answer


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(6))
async def test_instances_of_one_turn_that_have_to_do_with_each_other(tmp_path: Path, seed: int) -> None:
    """Repeated, with other bytes, of one study under two persons, of a series in two studies."""
    source = random.Random(seed)
    images = []
    for _ in range(50):
        study, series = source.randrange(4), source.randrange(6)
        images.append(
            data_set(
                SOPInstanceUID=f"2.25.100{source.randrange(30)}",
                StudyInstanceUID=f"2.25.10{study}",
                SeriesInstanceUID=f"2.25.11{series if source.random() < 0.2 else study}",
                PatientID=f"P{source.randrange(3) if source.random() < 0.2 else study % 3}",
                PatientName=f"Tolvansson^Tolvan {source.choice('AB')}"
                if source.random() < 0.3
                else "Tolvansson^Tolvan",
                PatientBirthDate="",
                InstanceNumber=source.choice(("1", "2")),
            )
        )

    images += source.choices(images, k=10)

    def work(store: Store) -> list[Awaitable[Any]]:
        intake = Intake(store, HeldClock())

        async def receive(data: bytes) -> tuple[int, str, str]:
            receipt, _ = await intake.receive(Arrival(HOSPITAL, EXPLICIT, "association-1"), data)
            return receipt.sequence, receipt.outcome, receipt.reason

        return [receive(data) for data in images]

    (answers, rows), (others, other_rows) = await on_both(tmp_path, work)
    assert answers == others
    assert {outcome for _, outcome, _ in answers} == {"stored", "already-stored", "held"}
    assert other_rows == rows


@pytest.mark.slow
async def test_who_is_refused_after_a_change_is_refused_alone(tmp_path: Path) -> None:
    def decision(number: int) -> Callable[[Transaction], int]:
        def decide(transaction: Transaction) -> int:
            key = transaction.next_key("message")
            audit.append(transaction, reading(number))
            transaction.insert_with_body(
                "message", message_key=key, source="S", control_id=str(number % 7), kind="", digest="",
                received=transaction.time, sha256="", outcome="", answer="",
            )  # fmt: skip
            if number % 5 == 3:
                raise Conflict("told after the change")
            return key

        return decide

    def work(store: Store) -> list[Awaitable[Any]]:
        async def one(number: int) -> tuple[int, int]:
            done = await store.commit(decision(number), f"body {number}".encode())
            return done.receipt.sequence, done.value

        return [one(number) for number in range(12)]

    (answers, rows), (others, other_rows) = await on_both(tmp_path, work)
    assert [answer for answer in others if answer[0] != "Conflict"] == [
        answer for answer in answers if answer[0] != "Conflict"
    ]
    assert [answer[0] == "Conflict" for answer in others] == [answer[0] == "Conflict" for answer in answers]
    assert sum(answer[0] == "Conflict" for answer in answers) >= 5
    assert (
        len(rows["audit"]) == len(rows["message"]) == 12 - sum(answer[0] == "Conflict" for answer in answers)
    )
    assert other_rows == rows


@pytest.mark.slow
async def test_a_turn_costs_five_round_trips_however_many_instances(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index = postgresql_of(tmp_path)
    store = Store(tmp_path / "node", HeldClock(), index=index)
    intake = Intake(store, HeldClock())

    async def receive(number: int) -> None:
        data = data_set(SOPInstanceUID=f"2.25.100{number}")
        assert (await intake.receive(Arrival(HOSPITAL, EXPLICIT, "a"), data))[0].outcome == "stored"

    begun, held, asked = threading.Event(), threading.Event(), list[str]()
    asks = PostgresConnection._waited_for

    def counted(self: PostgresConnection, sql: str, ask: Callable[[], Awaitable[Any]]) -> Any:
        asked.append(sql)
        return asks(self, sql, ask)

    def hold(transaction: Transaction) -> None:
        begun.set()
        assert held.wait(60)

    monkeypatch.setattr(PostgresConnection, "_waited_for", counted)
    await in_one_turn(store, [receive(number) for number in range(1_000, 1_020)])
    assert not any("SAVEPOINT" in sql for sql in asked), (
        "what the first adds the others know; none is decided anew"
    )
    before = asyncio.ensure_future(store.commit(hold))
    await until(begun.is_set)
    asked.clear()
    work = [asyncio.ensure_future(receive(number)) for number in range(1, 41)]
    await until(lambda: store._writer._handed.waiting == len(work))
    held.set()
    await asyncio.gather(before, *work)
    monkeypatch.undo()
    of_writer = [sql for sql in asked if "kept_version" not in sql]
    # The COMMIT of the turn before; BEGIN with lock and state, what is known, the rows, note and COMMIT.
    assert len(of_writer) == 5, of_writer
    assert sum("INSERT INTO instance" in sql for sql in of_writer) == 1
    store.close()
    again = postgresql_of(tmp_path)
    again.drop()
    again.close()


class Heard:
    """Hears which rows are added."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, Any]] = []

    def ask_each(self, sql: str, parameters: Sequence[Sequence[Any]], /) -> list[Any]:
        raise AssertionError(sql)

    def add_rows(self, table: str, columns: tuple[str, ...], rows: Sequence[Sequence[Any]], /) -> None:
        self.rows += [(table, row[0]) for row in rows]


_TABLES = (
    "instance",
    "series",
    "study",
    "audit",
    "report",
    "referral",
    "message",
    "patient",
    "patient_name_word",
    "job",
)


@given(st.lists(st.tuples(st.sampled_from(_TABLES), st.booleans(), st.sampled_from(("", "", "", *_TABLES)))))
def test_rows_that_a_trigger_could_tell_apart_keep_their_order(told: list[tuple[str, bool, str]]) -> None:
    waiting, heard = WaitingRows(), Heard()
    for number, (table, is_other, read) in enumerate(told):
        waiting.add(table, ("a", "b") if is_other else ("a",), [number])
        if read:
            waiting.flush(heard, frozenset({read}))
            there = {row[1] for row in heard.rows}
            assert all(
                earlier in there
                for earlier, each in enumerate(told[: number + 1])
                if read in touched_by(each[0])
            )
    waiting.flush(heard)
    place = {number: at for at, (_, number) in enumerate(heard.rows)}
    assert sorted(place) == list(range(len(told)))
    for first, (one, _, _) in enumerate(told):
        for second in range(first + 1, len(told)):
            if not touched_by(one).isdisjoint(touched_by(told[second][0])):
                assert place[first] < place[second]


def test_what_triggers_touch_is_known() -> None:
    assert {"instance", "series", "study", "change", "rejected"} <= touched_by("instance")
    assert {"text_change", "engagement_change"} <= touched_by("report")
    assert touched_by("audit") == {"audit"}
