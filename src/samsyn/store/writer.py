"""The one thread that decides, writes, syncs and answers: group commit.

Each turn takes everything that waits (bounded), lets every item decide inside one open index transaction,
writes all records with one sync, commits the index and only then hands out receipts. A refusal undoes its own
changes and nothing else.
"""

import asyncio
import hashlib
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import Conflict, LimitExceeded, OutOfResources, SamsynError, StoreFailed
from samsyn.model.sender import Receipt
from samsyn.store.index.port import Index, IndexAway, IndexConnection, IndexFault, NoRoom, Reached, RuleBroken
from samsyn.store.index.waiting import Entangled, Waiting
from samsyn.store.journal import Position
from samsyn.store.journal_port import AnyJournal, NumberTaken
from samsyn.store.records import FRAME, encode_frame, encode_header
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")
Body = bytes | bytearray | memoryview

_STOP: Final = None
_IDLE_S: Final = 0.25
"""The disk is left alone for this long after the last record before pages are prepared."""
_ASK_AGAIN_S: Final = 0.2
_BATCH_BYTES: Final = 32 * limits.MIB
_NUMBERS_TRIED: Final = 8
"""Segments' numbers that may be taken in a row: each is what a node left that was lost in the middle of a put."""


@dataclass(frozen=True, slots=True)
class Committed(Generic[T]):
    """What a decision answered, with the proof that it is durable."""

    receipt: Receipt
    value: T


@dataclass(slots=True)
class _Item:
    decide: Callable[[Transaction], Any]
    body: Body | None
    sha256: str
    loop: asyncio.AbstractEventLoop
    future: "asyncio.Future[Committed[Any]]"
    answer: Committed[Any] | BaseException | None = None


class Writer:
    """Owns the writing side of journal and index. Start it once; `submit` from any event loop."""

    def __init__(self, journal: AnyJournal, kind: Index, index: IndexConnection, clock: Clock) -> None:
        self._journal = journal
        self._kind = kind
        self._index = index
        self._reached = kind.reached(index)
        self._sequence = self._reached.sequence
        self._clock = clock
        self._keys: dict[str, int] = {}
        self._time = ""
        self._in_doubt: tuple[Position, Position] | None = None
        """Begin and end of what the journal got while the index was lost: it counts if the index says so."""
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._failure: StoreFailed | None = None
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self.commits = 0
        """Syncs so far, for metrics."""
        self.records = 0
        """Records so far, for metrics."""

    def start(self) -> None:
        """Begins to take decisions."""
        self._thread.start()

    @property
    def failed(self) -> bool:
        """True after a failed sync: nothing more is written by this process."""
        return self._failure is not None

    async def submit(self, decide: Callable[[Transaction], T], body: Body | None = None) -> Committed[T]:
        """Runs `decide` in the serial section; returns when the record is durable and in the index.

        `decide` must be quick and free of I/O but for its Transaction. SamsynError from it is raised here and
        leaves nothing behind. StoreFailed / OutOfResources: nothing was acknowledged.
        """
        if self._failure is not None:
            raise self._failure
        if self._queue.qsize() >= limits.COMMIT_QUEUE:
            raise OutOfResources("COMMIT_QUEUE: too many records wait for the disk")
        sha256 = await _sha256(body) if body is not None else ""
        loop = asyncio.get_running_loop()
        item = _Item(decide, body, sha256, loop, loop.create_future())
        self._queue.put(item)
        return await item.future

    def stop(self) -> None:
        """Finishes what waits, then ends the thread."""
        self._queue.put(_STOP)
        self._thread.join()

    def _run(self) -> None:
        while True:
            first = self._next()
            if first is _STOP:
                return
            batch, stopping = self._gather(first)
            self._commit(batch)
            self._answer(batch)
            if stopping:
                return

    def _next(self) -> _Item | None:
        """The next item or the stop sign; while there is none, the journal's next pages are prepared."""
        while self._failure is None:
            try:
                return self._queue.get(timeout=_IDLE_S)
            except queue.Empty:
                try:
                    while self._in_doubt is None and self._queue.empty() and self._journal.prepare():
                        pass
                except StoreFailed as problem:
                    self._failure = problem
        return self._queue.get()

    def _gather(self, first: _Item) -> tuple[list[_Item], bool]:
        batch = [first]
        size = len(first.body or b"")
        while len(batch) < limits.COMMIT_BATCH and size < _BATCH_BYTES:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is _STOP:
                return batch, True
            batch.append(item)
            size += len(item.body or b"")
        return batch, False

    def _commit(self, batch: list[_Item]) -> None:
        if self._failure is not None:
            for item in batch:
                item.answer = self._failure
            return
        together = True
        for _ in range(_NUMBERS_TRIED):
            try:
                self._attempt(batch, together)
                return
            except NumberTaken as taken:
                self._undo(batch, taken)
            except Entangled as problem:
                # One of the records breaks a rule: each change by itself tells which, and the others stand.
                self._undo(batch, StoreFailed(str(problem)))
                together = False
        log.warning("store-failed", extra={"error": "NumberTaken"})

    def _attempt(self, batch: list[_Item], together: bool) -> None:
        """Decides and writes the batch; every item has its answer then. NumberTaken, Entangled: nothing was written,
        and all is to be decided anew. `together`: changes of several records may be made by one call."""
        for item in batch:
            item.answer = None
        before = self._journal.end
        try:
            self._begin()
            self._journal.roll_if_full(self._reached.place.segment)
            before = self._journal.end
            self._refuse_when_full(batch)
            parts, end = self._decide_all(batch, Waiting(self._index, together))
            reached = self._reached
            if parts:
                self._journal.append(parts)
                place = Position(self._journal.end.segment, end)
                reached = Reached(place, self._sequence, self._keys, self._time)
                self._kind.note(self._index, reached)
                self.commits += 1
                self.records += self._sequence - self._reached.sequence
            self._index.execute("COMMIT")
            self._reached = reached
        except (NumberTaken, Entangled):
            raise
        except OutOfResources as refusal:
            self._undo(batch, refusal)
        except IndexAway as problem:
            self._after_loss(batch, problem, before)
        except Exception as problem:
            # Whatever else it was, disk and memory may disagree now; a restart, which replays, makes them agree.
            log.warning("store-failed", extra={"error": type(problem).__name__})
            self._undo(batch, self._refusal_of(problem, before))

    def _begin(self) -> None:
        """Opens the transaction, from where all nodes together have come to."""
        self._reached = self._kind.begin(self._index, self._reached)
        self._sequence = self._reached.sequence
        self._keys = dict(self._reached.keys)
        if self._in_doubt is not None:
            begins, ends = self._in_doubt
            if self._reached.place != ends:
                self._journal.take_back(begins)
            self._in_doubt = None

    def _after_loss(self, batch: list[_Item], problem: IndexAway, before: Position) -> None:
        """The database went away. What the journal has got of the batch was acknowledged to nobody yet; whether it
        counts, the index says when it is back: for a while that is waited for, then it is left to the next batch."""
        log.warning("index-away", extra={"error": str(problem)})
        ends = self._journal.end
        if ends != before:
            self._in_doubt = (before, ends)
        until = time.monotonic() + limits.INDEX_OUTCOME_S
        while self._in_doubt is not None and time.monotonic() < until:
            try:
                self._begin()
                self._index.execute("ROLLBACK")
                if self._reached.place == ends:
                    return
            except IndexAway:
                time.sleep(_ASK_AGAIN_S)
            except StoreFailed as failed:
                self._failure = failed
                break
        self._undo(batch, self._failure or OutOfResources("the index is away for now: send it again"))

    def _refusal_of(self, problem: Exception, before: Position) -> SamsynError:
        """An index without room refuses the batch, whose records are taken back; any other failure is final, unless
        the journal has not got anything yet and the index is one that is shared: then it is the batch's alone."""
        try:
            if isinstance(problem, NoRoom):
                self._journal.take_back(before)
                return OutOfResources("the index's disk is full")
            if isinstance(problem, IndexFault) and not self._index.undoes_failed_statement:
                self._journal.take_back(before)
                return StoreFailed(str(problem))
        except StoreFailed as failed:
            problem = failed
        self._failure = StoreFailed(str(problem))
        return self._failure

    def _undo(self, batch: list[_Item], refusal: SamsynError) -> None:
        try:
            if self._index.in_transaction:
                self._index.execute("ROLLBACK")
        except IndexAway:
            pass  # then there is nothing left to undo
        for item in batch:
            item.answer = refusal

    def _refuse_when_full(self, batch: list[_Item]) -> None:
        """Bodies need the reserve untouched; small records (audit, registers) may use it."""
        if any(item.body is not None for item in batch):
            wanted = sum(len(item.body or b"") for item in batch)
            if self._journal.free_bytes() - wanted < limits.DISK_RESERVE_BYTES:
                for item in batch:
                    if item.body is not None:
                        item.answer = OutOfResources("DISK_RESERVE_BYTES: the disk is nearly full")

    def _decide_all(self, batch: list[_Item], waiting: Waiting) -> tuple[list[Body], int]:
        parts: list[Body] = []
        segment, end = self._journal.end.segment, self._journal.end.offset
        self._time = max(self._clock.now().isoformat(), self._reached.time)
        for item in batch:
            if item.answer is not None:
                continue
            body_length = len(item.body) if item.body is not None else 0
            transaction = Transaction(
                self._index,
                self._keys,
                self._time,
                segment,
                end + FRAME.size,
                body_length,
                item.sha256,
                waiting,
            )
            try:
                value = item.decide(transaction)
                header = self._header(item, transaction)
                transaction.finish()
            except Entangled:
                raise
            except Exception as refusal:
                transaction.undo()
                item.answer = refusal
                if isinstance(refusal, RuleBroken):
                    item.answer = Conflict(str(refusal))
                elif isinstance(refusal, IndexFault):
                    raise
                continue
            if header is not None:
                end += self._append(item, transaction, header, parts)
            receipt = Receipt(self._sequence, transaction.outcome, transaction.reason)
            item.answer = Committed(receipt, value)
        waiting.make()
        return parts, end

    def _header(self, item: _Item, transaction: Transaction) -> bytes | None:
        """The record's header, None when nothing was changed. What can not be encoded is refused here."""
        if not transaction.operations:
            return None
        sha256 = item.sha256 if transaction.keeps_body else ""
        header = encode_header(self._sequence + 1, transaction.time, sha256, transaction.operations)
        if len(header) > limits.MAX_RECORD_HEADER_BYTES:
            raise LimitExceeded("MAX_RECORD_HEADER_BYTES")
        return header

    def _append(self, item: _Item, transaction: Transaction, header: bytes, parts: list[Body]) -> int:
        """Adds the record to what is to be written; its length."""
        self._sequence += 1
        body = item.body if transaction.keeps_body and item.body is not None else b""
        frame = encode_frame(header, len(body))
        parts += (frame, body, header) if body else (frame, header)
        return len(frame) + len(body) + len(header)

    @staticmethod
    def _answer(batch: list[_Item]) -> None:
        by_loop: dict[asyncio.AbstractEventLoop, list[_Item]] = {}
        for item in batch:
            by_loop.setdefault(item.loop, []).append(item)
        for loop, items in by_loop.items():
            if not loop.is_closed():
                loop.call_soon_threadsafe(_resolve, items)


def _resolve(items: list[_Item]) -> None:
    for item in items:
        if item.future.done():
            continue
        if isinstance(item.answer, Committed):
            item.future.set_result(item.answer)
        elif item.answer is not None:
            item.future.set_exception(item.answer)


async def _sha256(body: Body) -> str:
    """Small bodies are hashed in place (0.1 ms for 130 kB); large ones in a thread, so that others go on."""
    if len(body) < 4 * limits.MIB:
        return hashlib.sha256(body).hexdigest()
    return await asyncio.to_thread(lambda: hashlib.sha256(body).hexdigest())
