"""Whether two indexes hold the same rows, table by table, in order of their keys and some thousand rows at a time."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from samsyn.store.index import tables
from samsyn.store.index.port import IndexConnection
from samsyn.store.index.tables import Table

_PAGE: Final = 2_000
_EXAMPLES: Final = 3
_LOOK_EVERY: Final = 100_000
_NOT_COMPARED: Final = frozenset({"journal_state", "kept_version", "damage"})
"""What says how an index came about, and marks, which do not follow from records alone."""
_TOLD_BY: Final = {
    "study": "study_uid",
    "series": "series_uid",
    "instance": "sop_uid",
    "message": "message_key",
    "referral": "referral_key",
    "report": "report_key",
    "held": "held_key",
    "audit": "sequence",
    "series_object": "series_key",
}
"""The column by which rows are named to an operator. Other tables' keys may be a person's number, and are not."""


@dataclass(slots=True)
class Kind:
    """Rows of one table that differ in one way."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, example: str) -> None:
        """One more."""
        self.count += 1
        if example and len(self.examples) < _EXAMPLES:
            self.examples.append(example)


@dataclass(slots=True)
class Difference:
    """How one table of an index differs from what the journal tells."""

    table: str
    missing: Kind = field(default_factory=Kind)
    """The journal tells of them, the index does not."""
    strange: Kind = field(default_factory=Kind)
    """The index has them, and no record of the journal tells of them."""
    other: Kind = field(default_factory=Kind)
    """Both have them, with other values."""


def differences(
    told: IndexConnection, found: IndexConnection, progress: Callable[[str], None]
) -> Iterator[Difference]:
    """Those of tables that differ; `told` is the index that was made from the journal just now."""
    for name, table in tables.whole().tables.items():
        if name not in _NOT_COMPARED:
            difference = _difference(table, told, found, progress)
            if difference.missing.count or difference.strange.count or difference.other.count:
                yield difference


def _difference(
    table: Table, told: IndexConnection, found: IndexConnection, progress: Callable[[str], None]
) -> Difference:
    columns = _columns(table)
    named = columns.index(_TOLD_BY[table.name]) if table.name in _TOLD_BY else -1
    width, difference = len(table.key), Difference(table.name)
    ours, theirs = _rows(told, table, columns), _rows(found, table, columns)
    one, other, compared = next(ours, None), next(theirs, None), 0
    while one is not None or other is not None:
        if other is None or (one is not None and one[:width] < other[:width]):
            assert one is not None
            difference.missing.add(str(one[named]) if named >= 0 else "")
            one = next(ours, None)
        elif one is None or other[:width] < one[:width]:
            difference.strange.add(str(other[named]) if named >= 0 else "")
            other = next(theirs, None)
        else:
            if one != other:
                difference.other.add(str(one[named]) if named >= 0 else "")
            one, other = next(ours, None), next(theirs, None)
        compared += 1
        if compared % _LOOK_EVERY == 0:
            progress(f"{compared} rows of {table.name}")
    return difference


def _columns(table: Table) -> tuple[str, ...]:
    """All that can be written, those of the key first."""
    rest = (name for name in tables.columns_of(table.name) if name not in table.key)
    return (*table.key, *rest)


def _rows(connection: IndexConnection, table: Table, columns: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
    kinds = tables.columns_of(table.name)
    fitting = [_FITTING.get(kinds[name]) for name in columns]
    key = ", ".join(table.key)
    selected = f"SELECT {', '.join(columns)} FROM {table.name}"  # noqa: S608 - names of the schema
    order = f"ORDER BY {key} LIMIT {_PAGE}"
    behind = f"WHERE ({key}) > ({', '.join('?' * len(table.key))})"
    page = connection.execute(f"{selected} {order}").fetchall()
    while page:
        for row in page:
            yield tuple(
                fit(value) if fit is not None and value is not None else value
                for fit, value in zip(fitting, row, strict=True)
            )
        last = tuple(page[-1])[: len(table.key)]
        page = connection.execute(f"{selected} {behind} {order}", last).fetchall()


def _whole(value: Any) -> Any:
    """A word in a column of numbers, which only SQLite keeps, says nothing."""
    if not isinstance(value, str):
        return value
    return int(value) if value.lstrip("-").isdigit() else None


def _text(value: Any) -> str:
    """NUL, which PostgreSQL keeps in no text, is U+FFFD there."""
    return str(value).replace("\0", "\ufffd")


_FITTING: Final[dict[str, Callable[[Any], Any]]] = {"INTEGER": _whole, "TEXT": _text, "BLOB": bytes}
"""How a value of a kind of column is told by both databases alike."""
