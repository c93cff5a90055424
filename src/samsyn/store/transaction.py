"""What a room may do inside the writer's serial section: read the index as it stands, and change rows."""

from typing import Any, Final, TypeAlias

from samsyn.model.imaging import StoredInstance
from samsyn.store.batch import Batch, DecideAnew
from samsyn.store.index import settled_rows, tables
from samsyn.store.index.operations import ADDING, Operation

_OF_SETTLED: Final = frozenset({"series_object", "former_object", "settled_uid", "settled_size"})
"""Tables that `settled_rows` reads here."""

Named: TypeAlias = tuple[tuple[str, Any], ...]


class Transaction:
    """One record in the making. Only the writer makes these; they live as long as one decision.

    Reads see everything decided before, this record's own changes included. Changes are applied in order and
    noted, so that a replay does the same; one that breaks a rule of the index may be told at the next step.
    `outcome` and `reason` become the Receipt's.
    """

    def __init__(
        self,
        batch: Batch,
        keys: dict[str, int],
        time: str,
        segment: int,
        offset: int,
        length: int,
        body_sha256: str,
        body_checksum: int | None = None,
    ) -> None:
        self._batch = batch
        self._connection = batch.connection
        self._alike = batch.alike
        self._own_alike: list[str] = []
        """Statements that changes of this record wait for, in order."""
        self._added: set[tuple[str, Any]] = set()
        """(table, person) of the rows that this record added or gave to somebody."""
        self.alone: set[int] = set()
        """Keys of persons of whom a room has just seen that they are linked to nobody; forgotten with any link."""
        self._keys = keys
        self._taken: list[tuple[str, int]] = []
        self._place = (segment, offset, length)
        self._waiting: Operation | None = None
        self._has_savepoint = False
        self.time = time
        """Time of the record, ISO 8601 in UTC."""
        self.body_sha256 = body_sha256
        """SHA-256 (hex) of the body that came with the decision, "" without one."""
        self.body_checksum = body_checksum
        """The same body's quick check (`store.checksum`), None without one."""
        self.operations: list[Operation] = []
        self.carried = batch.carried
        """What a decision tells the next ones of the same turn, to save them a question; gone when one is undone."""
        self.keeps_body = False
        self.outcome = "stored"
        self.reason = ""

    def one(self, sql: str, *parameters: Any, of: Named | None = None) -> Any:
        """The first row as a tuple, or None. `of`: as for `all`."""
        self._bring_up(of)
        return self._batch.one(sql, parameters)

    def all(self, sql: str, *parameters: Any, of: Named | None = None) -> list[Any]:
        """Every row as tuples; for reads that are known to be small.

        `of`: (table, value) of every table of `alike.FOUND_BY` that the question rests on, the value being that of the
        column told there. Whoever tells them all lets changes that have nothing to do with them go on waiting. None =
        it may rest on anything.
        """
        self._bring_up(of)
        return self._batch.all(sql, parameters)

    def is_waiting(self, table: str, value: Any) -> bool:
        """Whether a change of such a row was decided and is not made yet; see `all`."""
        return (table, value) in self._alike.touched

    def is_bare(self, key: int, *tables: str) -> bool:
        """Whether this very record made the person of the key, and has not added anything of his to these tables: then
        there is nothing to be asked for."""
        added = self._added
        return ("patient", key) in added and added.isdisjoint([(table, key) for table in tables])

    def is_empty(self, table: str) -> bool:
        """Whether a table has no row at all, asked once in a turn: of small tables that most installations never fill.
        None of `alike.FOUND_BY`."""
        known = self.carried.get(table)
        if known is None:
            row = self.one(f"SELECT 1 FROM {table} LIMIT 1", of=())  # noqa: S608 - the caller's constant
            known = self.carried[table] = "empty" if row is None else "filled"
        return known == "empty"

    def next_key(self, table: str) -> int:
        """A fresh key of a keyed table."""
        before = self._keys[table]
        self._taken.append((table, before))
        self._keys[table] = before + 1
        return before + 1

    def insert(self, table: str, **values: Any) -> None:
        """Adds a row."""
        self._change(["i", table, values])

    def replace(self, table: str, **values: Any) -> None:
        """Adds a row or replaces the one with the same key."""
        self._change(["r", table, values])

    def insert_with_body(self, table: str, **values: Any) -> None:
        """Adds a row whose segment, body_offset and length tell where this record's body lies."""
        self.keeps_body = True
        self._change(["b", table, values])

    def update(self, table: str, where: dict[str, Any], **values: Any) -> None:
        """Sets columns of the rows that match every `where`."""
        self._change(["u", table, where, values])

    def add(self, table: str, where: dict[str, Any], **deltas: int) -> None:
        """Adds to number columns."""
        self._change(["+", table, where, deltas])

    def delete(self, table: str, **where: Any) -> None:
        """Removes the rows that match; only work lists and copies shrink, never clinical or audit rows."""
        self._change(["d", table, where])

    def settle(self, series_key: int, object_key: int, instances: int, uids: list[str]) -> None:
        """Says that `uids` are settled now, and that so many of the series' object are in all."""
        self._change(["s", series_key, object_key, instances, self.time, uids])

    def unsettle(self, series_key: int) -> None:
        """Gives what is settled of the series rows again, for decisions that change instances; their bytes stay
        where they are, in the object. Nothing happens when nothing is settled. DamagedData: the manifest is."""
        self._before_settled_is_read()
        settled = settled_rows.settled_of(self._connection, series_key)
        if settled is None:
            return
        manifest = settled.manifest
        in_series, study_key = self.one(
            "SELECT instance_count, study_key FROM series WHERE series_key = ?", series_key
        )
        (in_study,) = self.one("SELECT instance_count FROM study WHERE study_key = ?", study_key)
        known = tables.columns_of("instance")
        self.delete("series_object", series_key=series_key)
        self.insert("former_object", object_key=manifest.object_key, instances=len(manifest.rows))
        for number in range(len(manifest.rows)):
            row = {name: value for name, value in manifest.row(number).items() if name in known}
            self.insert("instance", **row, series_key=series_key, segment=-manifest.object_key)
        self.update("series", {"series_key": series_key}, instance_count=in_series)
        self.update("study", {"study_key": study_key}, instance_count=in_study)

    def settled(self, sop_uid: str) -> StoredInstance | None:
        """A settled instance by its UID alone. DamagedData: its manifest is."""
        self._before_settled_is_read()
        return settled_rows.instance(self._connection, sop_uid)

    def finish(self) -> None:
        """The decision stands: its last change is made. RuleBroken like that of any other change."""
        waiting = self._waiting
        if waiting and waiting[0] not in ADDING and not self._connection.undoes_failed_statement:
            self._apply_waiting()
        if self._waiting is not None:
            operation, self._waiting = self._waiting, None
            self._batch.change(operation, self._place)
        if self._has_savepoint and not self._connection.nests_savepoints:
            self._connection.execute("RELEASE record")

    def undo(self) -> None:
        """After a refusal: nothing of this record is left, and a replay hands out the same keys. DecideAnew: it can
        not be undone alone."""
        if self._batch.is_swift and self.operations:
            raise DecideAnew
        self.carried.clear()
        self._alike.take_back(self._own_alike)
        if self._has_savepoint:
            self._connection.execute("ROLLBACK TO record")
            if not self._connection.nests_savepoints:
                self._connection.execute("RELEASE record")
        for table, before in reversed(self._taken):
            self._keys[table] = before

    def _before_settled_is_read(self) -> None:
        self._bring_up(None)
        self._batch.flush(_OF_SETTLED)

    def _change(self, operation: Operation) -> None:
        self.operations.append(operation)
        changed = operation[-1]
        if "patient_key" in changed:
            self._added.add((operation[1], changed["patient_key"]))
        if "merged_into" in changed:
            self.alone.clear()
        waits_for = self._alike.takes(operation, self._place)
        if waits_for:
            self._own_alike.append(waits_for)
        else:
            self._bring_up(None)
            self._waiting = operation
            self.carried.pop(operation[1], None)  # see is_empty

    def _bring_up(self, of: Named | None) -> None:
        """Makes what was put off or waits, as far as a question or change may rest on it."""
        if self._waiting is not None:
            self._apply_waiting()
        elif of is not None and self._alike.touched.isdisjoint(of):
            return
        if not self._alike.touched:
            return
        own = self._alike.take_back(self._own_alike)
        self._own_alike.clear()
        self._batch.make_alike()
        if own:
            self._set_savepoint()
            for sql, values in own:
                self._connection.execute(sql, values)

    def _set_savepoint(self) -> None:
        if not self._has_savepoint and not self._batch.is_swift:
            self._connection.execute("SAVEPOINT record")
            self._has_savepoint = True

    def _apply_waiting(self) -> None:
        """Makes the change that was put off: a record of one change needs no savepoint, since SQLite undoes a
        statement that fails by itself, and most records are one instance."""
        if self._waiting is None:
            return
        self._set_savepoint()
        operation, self._waiting = self._waiting, None
        self._batch.change(operation, self._place)
