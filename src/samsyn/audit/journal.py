"""Writing and checking the audit journal."""

from functools import partial

from samsyn.audit.chain import COLUMNS, FIRST_HASH, broken_at, chained_hash, row_of
from samsyn.model.audit import AuditEntry
from samsyn.model.sender import Receipt
from samsyn.store.index import audit_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

_PAGE = 5_000
_LAST_HASH = "hash of the last audit entry"


def append(transaction: Transaction, entry: AuditEntry) -> int:
    """Adds the entry inside a record in the making: both become durable together or not at all."""
    sequence = transaction.next_key("audit")
    before = transaction.carried.get(_LAST_HASH)
    if before is None:
        last = transaction.one(
            "SELECT hash FROM audit ORDER BY sequence DESC LIMIT 1", of=(("audit", sequence - 1),)
        )
        before = last[0] if last else FIRST_HASH
    row = row_of(sequence, transaction.time, entry)
    row["hash"] = transaction.carried[_LAST_HASH] = chained_hash(before, row)
    transaction.insert("audit", **row)
    return sequence


def holds(transaction: Transaction, sequence: int, entry: AuditEntry) -> bool:
    """Whether the entry of this number tells the same of the same patient in the same session, at whatever time."""
    told = row_of(sequence, "", entry)
    found = transaction.one(
        "SELECT event, session_id, patient_key, details FROM audit WHERE sequence = ?",
        sequence,
        of=(("audit", sequence),),
    )
    return found is not None and tuple(found) == (
        told["event"], told["session_id"], told["patient_key"], told["details"],
    )  # fmt: skip


async def write(store: Store, *entries: AuditEntry) -> Receipt:
    """Makes entries durable on their own, in one sync; no byte of a disclosure leaves before it returns."""

    def decide(transaction: Transaction) -> None:
        for entry in entries:
            append(transaction, entry)

    return (await store.commit(decide)).receipt


async def verify(store: Store) -> int | None:
    """Checks the whole chain; the sequence number of the first bad entry, or None."""
    previous, first = FIRST_HASH, 1
    while True:
        rows = await store.read(partial(_page, first=first))
        if not rows:
            return None
        bad = broken_at(rows, previous, first)
        if bad is not None:
            return bad
        previous, first = str(rows[-1]["hash"]), first + len(rows)


def _page(connection: IndexConnection, first: int) -> list[dict[str, object]]:
    return audit_rows.page(connection, (*COLUMNS, "hash"), first, _PAGE)
