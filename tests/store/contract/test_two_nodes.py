"""Two nodes on one PostgreSQL and one object store: one serial section, one sequence, one truth."""

import asyncio
import contextlib
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.audit import journal as audit
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError, Conflict, OutOfResources
from samsyn.model.audit import AuditEntry
from samsyn.store.index import version_rows
from samsyn.store.index.port import Reached
from samsyn.store.index.postgresql import index as index_module
from samsyn.store.journal import Position
from samsyn.store.object_journal import name_of
from samsyn.store.objects.folder import FolderObjects
from samsyn.store.objects.port import Objects, Piece
from samsyn.store.objects.sealed import SealedObjects
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from tests.indexes import postgresql_of
from tests.store.test_settling import all_tables
from tests.store.test_store import add_message, rows
from tests.waiting import PATIENCE_S, until

pytestmark = pytest.mark.slow


@dataclass
class Cluster:
    """Where nodes meet. Each has a folder of its own for nothing but its workshop."""

    folder: Path

    def node(self, name: str, objects: Objects | None = None) -> Store:
        objects = SealedObjects(objects or FolderObjects(self.folder / "objects"), 4 * limits.MIB)
        store = Store(
            self.folder / name,
            SystemClock(),
            index=postgresql_of(self.folder, journal="shared"),
            remote=objects,
        )
        store.start()
        return store

    def forget_index(self) -> None:
        index = postgresql_of(self.folder)
        index.drop()
        index.close()


@pytest.fixture
def cluster(tmp_path: Path) -> Iterator[Cluster]:
    cluster = Cluster(tmp_path)
    yield cluster
    cluster.forget_index()


def reading(number: int) -> AuditEntry:
    return AuditEntry("READ", "Läsa", f"A{number}", "P", "U", "", "care", "", number, "P", "U", True)


async def worked(store: Store, name: str, count: int) -> list[int]:
    """Records of one node: messages with bodies, each with an entry of the audit journal; their numbers."""
    found = []
    for first in range(0, count, 20):
        names = [f"{name}{number}" for number in range(first, min(first + 20, count))]

        def decide(transaction: Transaction, control_id: str = "") -> int:
            audit.append(transaction, reading(len(control_id)))
            return int(add_message(control_id)(transaction))

        done = await asyncio.gather(
            *(
                store.commit(lambda transaction, each=each: decide(transaction, each), each.encode())
                for each in names
            )
        )
        found += [each.receipt.sequence for each in done]
    return found


async def test_records_keys_and_the_audit_chain_are_one_series_over_both(cluster: Cluster) -> None:
    one, two = cluster.node("one"), cluster.node("two")
    numbers = await asyncio.gather(worked(one, "a", 300), worked(two, "b", 300))
    assert sorted([*numbers[0], *numbers[1]]) == list(range(1, 601))
    assert min(numbers[1]) < max(numbers[0]), "they worked at the same time"
    assert min(numbers[0]) < max(numbers[1]), "they worked at the same time"
    seen = rows(one)
    assert rows(two) == seen
    assert [row[0] for row in seen] == list(range(1, 601))
    assert all(row[1].encode() == row[2] for row in seen)
    assert await audit.verify(one) is None
    times = one.peek(
        lambda connection: [
            row[0] for row in connection.execute("SELECT time FROM audit ORDER BY sequence").fetchall()
        ]
    )
    assert len(times) == 600
    assert times == sorted(times)
    before = all_tables(one)
    one.close()
    two.close()
    cluster.forget_index()
    again = cluster.node("one")
    assert again.replayed == 600
    assert all_tables(again) == before
    again.close()


@pytest.mark.parametrize(
    "changed", ["sequence = sequence + 1", "time = '2999-01-01'", "keys = '{\"audit\": 7}'"]
)
async def test_what_another_has_noted_is_seen_whatever_it_is(cluster: Cluster, changed: str) -> None:
    """A node that knows the state as it left it asks for it anew when anything of it is another's."""
    index = postgresql_of(cluster.folder, journal="shared")
    connection = index.open_writer(None)  # type: ignore[arg-type] # no series is settled
    begun = index.begin(connection, index.reached(connection))
    index.commit(connection, Reached(Position(3, 5), begun.sequence + 1, {**begun.keys, "audit": 3}, "2026"))
    known = index.begin(connection, begun)
    assert (known.place, known.sequence, known.time) == (Position(3, 5), begun.sequence + 1, "2026")
    connection.execute("ROLLBACK")
    other = postgresql_of(cluster.folder, journal="shared")
    of_other = other.open_writer(None)  # type: ignore[arg-type]
    of_other.execute(f"UPDATE cluster_state SET {changed}")
    found = index.begin(connection, known)
    assert found == index.reached(connection) != known
    connection.execute("ROLLBACK")
    for each in (connection, of_other):
        each.close()
    for kind in (index, other):
        kind.close()


async def test_the_same_thing_at_both_at_once_is_there_once(cluster: Cluster) -> None:
    one, two = cluster.node("one"), cluster.node("two")
    done = await asyncio.gather(
        *(store.commit(add_message("same"), b"same") for store in (one, two) for _ in range(10)),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in done) == 19
    assert len(rows(one)) == 1
    one.close()
    two.close()


async def test_what_one_node_changes_in_the_registers_the_other_knows_at_once(cluster: Cluster) -> None:
    one, two = cluster.node("one"), cluster.node("two")
    before, layout = two.peek(version_rows.views), two.layout
    await one.commit(
        lambda transaction: transaction.insert(
            "block", block_id="b", patient_key=1, kind="inner", provider="P", unit="U"
        )
    )
    assert two.peek(version_rows.views) != before
    assert two.layout == layout
    await one.commit(lambda transaction: transaction.settle(1, 1, 1, ["2.25.1"]))
    assert two.layout != layout
    one.close()
    two.close()


async def test_a_mark_of_damage_reaches_the_other_node(cluster: Cluster) -> None:
    one, two = cluster.node("one"), cluster.node("two")
    await one.commit(
        lambda transaction: transaction.insert(
            "damage", segment=7, body_offset=20, length=5, sha256="", owner="", reference="", found=""
        )
    )
    deadline = time.monotonic() + PATIENCE_S
    while not two.damaged.has(7, 20, 5):
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
    one.close()
    two.close()


async def test_an_index_is_not_made_anew_under_a_node_that_has_it_open(cluster: Cluster) -> None:
    from samsyn.errors import ConfigurationError
    from samsyn.store import replay

    one = cluster.node("one")
    await one.commit(add_message("1"), b"1")
    index = postgresql_of(cluster.folder, journal="shared")
    objects = FolderObjects(cluster.folder / "objects")
    with pytest.raises(ConfigurationError):
        replay.rebuild(cluster.folder / "two", index=index, remote=SealedObjects(objects, 0))
    assert len(rows(one)) == 1
    one.close()
    assert replay.rebuild(cluster.folder / "two", index=index, remote=SealedObjects(objects, 0)) == (1, 0)
    index.close()


async def test_decisions_in_a_second_on_one_node_and_on_two(cluster: Cluster) -> None:
    one, two = cluster.node("one"), cluster.node("two")
    rates = []
    for number, stores in enumerate(((one,), (one, two))):
        began = time.monotonic()
        await asyncio.gather(
            *(worked(store, f"{number}{place}", 1_000) for place, store in enumerate(stores))
        )
        rates.append(len(stores) * 1_000 / (time.monotonic() - began))
    print(
        f"records with a body and an audit entry, 20 at a time from each node: {rates[0]:.0f}/s on one node,"
        f" {rates[1]:.0f}/s on two"
    )
    assert min(rates) > 50
    one.close()
    two.close()


async def test_a_node_whose_clock_is_far_ahead_writes_nothing_and_goes_on_when_it_is_right(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it wrote would give its time to all that comes after, on every node."""
    one, two = cluster.node("one"), cluster.node("two")
    await one.commit(add_message("1"), b"1")
    real, ahead = time.time, 0.0
    monkeypatch.setattr(index_module, "_now", lambda: real() + ahead)
    for name, store in (("a", one), ("b", one), ("c", two)):  # as it noted last itself, and after another
        ahead = limits.CLOCK_AHEAD_S + 60.0
        with pytest.raises(OutOfResources):
            await store.commit(add_message(f"not {name}"), b"not")
        assert "s ahead of the database's" in store.complaint
        ahead = 0.0
        await until(lambda store=store: store.healthy)
        await store.commit(add_message(name), b"is")
    ahead = limits.CLOCK_AHEAD_S - 60.0
    await one.commit(add_message("little"), b"little")
    assert one.healthy
    assert sorted(row[1] for row in rows(two)) == ["1", "a", "b", "c", "little"]
    ahead = limits.CLOCK_AHEAD_S + 60.0
    one.close()
    with pytest.raises(ConfigurationError, match="ahead of the database's"):
        cluster.node("one")
    two.close()


class SlowObjects(FolderObjects):
    """An object store that does not do some puts, and does others when nobody waits for them any more."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.plan: list[str] = []
        self._late: list[tuple[str, bytes]] = []

    def put_new(self, name: str, pieces: Sequence[Piece]) -> None:
        what = self.plan.pop(0) if self.plan else ""
        if what == "late":
            self._late.append((name, b"".join(pieces)))
        if what == "unheard":
            super().put_new(name, pieces)
        if what:
            raise OutOfResources("no answer")
        super().put_new(name, pieces)

    def land(self) -> None:
        """What was on its way arrives."""
        for name, content in self._late:
            with contextlib.suppress(Conflict):
                super().put_new(name, [content])
        self._late.clear()


@pytest.mark.parametrize(
    "plan",
    [
        ["lost", "late"],
        ["late", "late"],
        ["unheard", "late"],
        ["late", "unheard"],
        ["lost", "unheard", "late", "lost", "late"],
        ["unheard", "unheard", "late", "late"],
    ],
)
async def test_what_an_object_store_does_late_never_counts_for_what_another_node_was_acknowledged(
    cluster: Cluster, plan: list[str]
) -> None:
    """A batch that nobody was told of, under a number that the other node has not seen."""
    slow = SlowObjects(cluster.folder / "objects")
    one, two = cluster.node("one", slow), cluster.node("two")
    taken = ["1"]
    await one.commit(add_message("1"), b"1")
    for number, what in enumerate(plan):
        slow.plan = [what]
        with contextlib.suppress(OutOfResources):  # it may find that the number is taken, and go on behind it
            await one.commit(add_message(f"of one {number}"), b"one")
            taken.append(f"of one {number}")
    await two.commit(add_message("2"), b"2")
    taken.append("2")
    slow.land()
    for name, store in (("3", two), ("4", one), ("5", two)):
        await store.commit(add_message(name), name.encode())
        taken.append(name)
    before = rows(two)
    assert [row[1] for row in before] == taken
    tables = all_tables(two)
    one.close()
    two.close()
    cluster.forget_index()
    again = cluster.node("three")
    assert rows(again) == before
    assert all_tables(again) == tables
    again.close()


async def test_a_node_passes_over_any_number_of_segments_that_others_have_left(cluster: Cluster) -> None:
    """Some in each turn, so that nobody waits for long."""
    store = cluster.node("one")
    await store.commit(add_message("1"), b"1")
    place = store.journal.end.segment
    objects = SealedObjects(FolderObjects(cluster.folder / "objects"), 0)
    for number in range(place + 1, place + 30):
        objects.put_new(name_of(number), [b"left over"])
    refused = 0
    while True:
        try:
            await store.commit(add_message("2"), b"2")
            break
        except OutOfResources:
            refused += 1
    assert refused == 3
    before = rows(store)
    store.close()
    cluster.forget_index()
    again = cluster.node("two")
    assert rows(again) == before
    again.close()
