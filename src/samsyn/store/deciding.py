"""What a turn of the writer decides: every item in order, each as if it were alone. Nothing is durable yet."""

from typing import TypeAlias

from samsyn import limits
from samsyn.errors import Conflict, LimitExceeded
from samsyn.model.sender import Receipt
from samsyn.store.batch import Batch, DecideAnew
from samsyn.store.index.port import IndexAway, IndexFault, NoRoom, RuleBroken
from samsyn.store.journal_port import AnyJournal
from samsyn.store.records import FRAME, encode_frame, encode_header
from samsyn.store.spool import SpooledBody
from samsyn.store.submitted import Body, Committed, Submitted
from samsyn.store.transaction import Transaction

Parts: TypeAlias = list[Body | SpooledBody]


def decide_all(
    items: list[Submitted], batch: Batch, journal: AnyJournal, keys: dict[str, int], time: str, sequence: int
) -> tuple[Parts, int, int]:
    """The parts to be written behind the journal's end, where they end, and the number of the last record; every item
    that had no answer has one then, and every row is in the index's open transaction.

    `sequence`: number of the record before. DecideAnew: all is to be decided once more, one by one.
    """
    try:
        batch.foresee(item.ahead for item in items if item.ahead is not None and item.answer is None)
        decided = _decide_each(items, batch, journal, keys, time, sequence)
        batch.flush()
    except (IndexAway, NoRoom):
        raise
    except IndexFault as problem:
        if batch.is_swift:
            raise DecideAnew from problem
        raise
    return decided


def _decide_each(
    items: list[Submitted], batch: Batch, journal: AnyJournal, keys: dict[str, int], time: str, sequence: int
) -> tuple[Parts, int, int]:
    parts: Parts = []
    segment, end = journal.end.segment, journal.end.offset
    for item in items:
        if item.answer is not None:
            continue
        body_length = len(item.body) if item.body is not None else 0
        begins_in, begins_at = segment, end
        if isinstance(item.body, SpooledBody):
            begins_in, begins_at = journal.large_begins.segment, journal.large_begins.offset
        transaction = Transaction(
            batch, keys, time, begins_in, begins_at + FRAME.size, body_length, item.sha256, item.checksum
        )
        try:
            value = item.decide(transaction)
            header = _header(item, transaction, sequence + 1)
            transaction.finish()
        except DecideAnew:
            raise
        except Exception as refusal:
            if isinstance(refusal, IndexFault) and batch.is_swift:
                raise
            transaction.undo()
            item.answer = refusal
            if isinstance(refusal, RuleBroken):
                item.answer = Conflict(str(refusal))
            elif isinstance(refusal, IndexFault):
                raise
            continue
        if header is not None:
            sequence += 1
            end += _append(item, transaction, header, parts)
        item.answer = Committed(Receipt(sequence, transaction.outcome, transaction.reason), value)
    return parts, end, sequence


def _header(item: Submitted, transaction: Transaction, sequence: int) -> bytes | None:
    """The record's header, None when nothing was changed. What can not be encoded is refused here."""
    if not transaction.operations:
        return None
    sha256 = item.sha256 if transaction.keeps_body else ""
    header = encode_header(sequence, transaction.time, sha256, transaction.operations)
    if len(header) > limits.MAX_RECORD_HEADER_BYTES:
        raise LimitExceeded("MAX_RECORD_HEADER_BYTES")
    return header


def _append(item: Submitted, transaction: Transaction, header: bytes, parts: Parts) -> int:
    """Adds the record to what is to be written; its length."""
    body = item.body if transaction.keeps_body and item.body is not None else b""
    frame = encode_frame(header, len(body))
    parts += (frame, body, header) if body else (frame, header)
    return len(frame) + len(body) + len(header)
