"""The one thread that decides, writes, syncs and answers: group commit.

Each turn takes everything that waits (bounded), lets every item decide inside one open index transaction, writes all
records with one sync and only then hands out receipts. A refusal undoes its own changes and nothing else. Few that come
together, or one alone, may go the same way on the thread of their own loop instead. The index's transaction may stay
open for those that come next, until somebody asks (ADR 0025, 0044, 0045, 0049).
"""

import asyncio
import logging
import queue
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final, TypeVar

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import OutOfResources, SamsynError, StoreFailed
from samsyn.store import replay
from samsyn.store.batch import Ahead, Batch, DecideAnew
from samsyn.store.deciding import Parts, decide_all
from samsyn.store.digests import digests, digests_of
from samsyn.store.handed import Handed
from samsyn.store.index.port import (
    Index,
    IndexAway,
    IndexConnection,
    IndexFault,
    NoRoom,
    Reached,
)
from samsyn.store.journal import Position
from samsyn.store.journal_port import AnyJournal, NumberTaken
from samsyn.store.spool import SpooledBody
from samsyn.store.submitted import Body, Committed, Submitted, fulfil, resolve, tell
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

T = TypeVar("T")

_IDLE_S: Final = 0.25
"""The disk is left alone for this long after the last record before pages are prepared."""
_ASK_AGAIN_S: Final = 0.2
_ALONE_AFTER: Final = 4
"""Commits in a row by one sender before it counts as alone."""
_BY_THREAD_EVERY: Final = 256
"""One in so many goes through the thread all the same, which does what no event loop may wait for: see
`Index.tidy_as_writer`."""
_AT_ONCE_BYTES: Final = 1 * limits.MIB
_TURN_AT_ONCE: Final = 16
"""Records of a turn that an event loop decides by itself: at some tenth of a millisecond each, nobody else waits longer
than for the largest thing that a loop does."""
_TURN_AT_ONCE_BYTES: Final = 64 * limits.KIB
_TURN_BY_THREAD_EVERY: Final = 32
"""As _BY_THREAD_EVERY, of turns: each adds the pages of several records to the index's log."""
_QUICK_S: Final = 0.001
"""Write and sync of a disk that the event loop may wait for itself; slower, the wait is worth more than two changes of
thread, and other doors would notice it."""
_SMOOTHED_OVER: Final = 8
_LEFT_OPEN_S: Final = 0.02
"""For so long at the most is the index behind what was answered at once, while nobody asks it: dozens of records share
its commit, which writes the same pages for all of them and takes a millisecond at the most."""
_ASKED_S: Final = 0.05
"""Who asks the index in a burst may wait for the thread's turn; whoever asks again within this time does not."""
_UNKNOWN_S: Final = 0.01
"""What a write and a sync are taken to last before any was measured: a dozen quick ones show the contrary."""
_NUMBERS_TRIED: Final = 8
"""Segments' numbers that may be taken in a row: each is what a node left that was lost in the middle of a put."""


class Writer:
    """Owns the writing side of journal and index. Start it once; `submit` from any event loop."""

    def __init__(
        self, journal: AnyJournal, kind: Index, index: IndexConnection, clock: Clock, at_once: bool = False
    ) -> None:
        """`at_once`: a commit may be made on the caller's thread and answered before the index has ended it, since
        the journal lies on this machine and no other process decides by this index."""
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
        self._handed = Handed()
        self._coming: dict[asyncio.AbstractEventLoop, list[Submitted]] = {}
        """What was submitted in this turn of a loop; see `_hand_over`."""
        self._turns_in_a_row = 0
        """Turns that loops have decided by themselves since the thread has had one."""
        self._failure: StoreFailed | None = None
        self._at_once = at_once
        self._turn = threading.Lock()
        """Held by whoever touches journal, index and keys: the thread, or the caller whose commit goes at once."""
        self._ending = threading.RLock()
        """Held by who ends the transaction that a commit has left open, and while the next commit goes on in it."""
        self._is_open = False
        """Whether a transaction is left open, and the turn held for it."""
        self._to_note: Reached | None = None
        """What that transaction has still to note: it holds records that are durable and acknowledged."""
        self._is_deciding = False
        self._opened = 0.0
        """When the transaction began that is open, or was the last."""
        self._asked = 0.0
        """When somebody asked the index while it was open."""
        self._has_gone = False
        """Whether a commit went at once in this turn of the loop."""
        self._is_behind = False
        """Whether the index lacks records of this process, whose transaction it could not end."""
        self._sender, self._in_a_row = "", 0
        self._append_s = _UNKNOWN_S
        """How long a write with its sync takes of late."""
        self._appended = 0.0
        self._thread = threading.Thread(target=self._run, name="journal-writer", daemon=True)
        self.commits = 0
        """Syncs so far, for metrics."""
        self.records = 0
        """Records so far, for metrics."""
        self.turns = 0
        """Changes whenever the index may have, before anybody is told of it."""

    def start(self) -> None:
        """Begins to take decisions."""
        self._thread.start()

    @property
    def failed(self) -> bool:
        """True after a failed sync: nothing more is written by this process."""
        return self._failure is not None

    async def submit(
        self,
        decide: Callable[[Transaction], T],
        body: Body | SpooledBody | None = None,
        ahead: Ahead | None = None,
        sender: str = "",
    ) -> Committed[T]:
        """Runs `decide` in the serial section; returns when the record is durable and in the index. A spooled body
        stays the caller's to discard.

        `decide` must be quick and free of I/O but for its Transaction, and change nothing else: it may have to be run
        again. `ahead`: what it will ask first. `sender` names the session that this comes from, "" = none: see
        `goes_at_once`. SamsynError from `decide` is raised here and leaves nothing behind. StoreFailed /
        OutOfResources: nothing was acknowledged.
        """
        self._admit(sender)
        if isinstance(body, SpooledBody):
            await asyncio.to_thread(self._journal.lay, body)
        sha256, checksum = await digests(body) if body is not None else ("", None)
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Committed[T]] = loop.create_future()
        done = partial(fulfil, future)
        self._hand_on(Submitted(decide, body, sha256, checksum, ahead, loop, done, waits=bool(sender)))
        try:
            return await future
        finally:
            # Whoever does not wait any more leaves a body that the thread may still want.
            if isinstance(body, SpooledBody) and not future.cancelled():
                await asyncio.to_thread(self._journal.let_go, body)

    def submit_soon(
        self,
        decide: Callable[[Transaction], T],
        body: Body,
        ahead: Ahead | None,
        sender: str,
        done: Callable[[Committed[T] | BaseException], None],
    ) -> None:
        """As `submit`, for a body that is hashed in place; `done` is told on the caller's loop what `submit` would
        return or raise, unless this raises. It spares a task, which costs as much as reading a header."""
        self._admit(sender)
        self._hand_on(Submitted(decide, body, *digests_of(body), ahead, asyncio.get_running_loop(), done))

    def _admit(self, sender: str) -> None:
        if self._failure is not None:
            raise self._failure
        if (
            self._handed.waiting + len(self._coming.get(asyncio.get_running_loop(), ()))
            >= limits.COMMIT_QUEUE
        ):
            raise OutOfResources("COMMIT_QUEUE: too many records wait for the disk")
        self._in_a_row = self._in_a_row + 1 if sender == self._sender else 0
        self._sender = sender

    def _hand_on(self, item: Submitted) -> None:
        """Lets it be decided with whatever else comes in this turn of the loop: woken by the first, the thread would
        take the interpreter from the others for a turn of one. Who comes alone does not wait; order is kept."""
        coming = self._coming.get(item.loop)
        if coming is not None:
            coming.append(item)
        elif self._in_a_row >= _ALONE_AFTER:
            self._give([item])
        else:
            self._coming[item.loop] = [item]
            item.loop.call_soon(self._hand_over, item.loop)

    def _hand_over(self, loop: asyncio.AbstractEventLoop) -> None:
        items = self._coming.pop(loop, [])
        if self._turn_goes_at_once(items) and self._commit_here(items, loop):
            self._turns_in_a_row += 1
            resolve(items)
        else:
            self._turns_in_a_row = 0
            self._give(items)

    def _give(self, items: list[Submitted]) -> None:
        """Lets the thread have them; it goes on from what is left open."""
        self._handed.put(items)

    def _turn_goes_at_once(self, items: list[Submitted]) -> bool:
        """Whether a turn of few small records of sessions that wait for their answers is decided by the loop itself.

        On a quick disk that is done before the thread would have been woken and have handed the interpreter back and
        forth, and nothing of these senders is left for the loop to do meanwhile.
        """
        return (
            self._at_once
            and self._append_s < _QUICK_S
            and self._handed.untold == 0
            and 0 < len(items) <= _TURN_AT_ONCE
            and self._turns_in_a_row < _TURN_BY_THREAD_EVERY
            and all(item.waits and not isinstance(item.body, SpooledBody) for item in items)
            and sum(len(item.body or b"") for item in items) <= _TURN_AT_ONCE_BYTES
        )

    def goes_at_once(self, sender: str, size: int) -> bool:
        """Whether `commit_at_once` makes sense for a body of `size` bytes of a session that waits for each answer.

        Nobody would share the sync, since the session has come alone for a while, and the disk is quick: the caller
        waits some tenths of a millisecond, and two changes of thread are saved. Once in a turn of the loop at the most.
        """
        return (
            self._at_once
            and sender == self._sender
            and self._in_a_row >= _ALONE_AFTER
            and self._in_a_row % _BY_THREAD_EVERY != 0
            and size <= _AT_ONCE_BYTES
            and self._append_s < _QUICK_S
            and self._handed.untold == 0
            and not self._coming
            and not self._has_gone
        )

    def commit_at_once(
        self, decide: Callable[[Transaction], T], body: Body, ahead: Ahead | None = None
    ) -> Committed[T] | None:
        """As `submit`, while the caller waits, on the thread of an event loop; None: not now, and nothing is done.

        The index's transaction is left open, so that the answer need not wait for it, and the next ones that come
        soon go on in it: a commit costs the index as much as the row. See `settle`.
        """
        loop = asyncio.get_running_loop()
        item = Submitted(decide, body, *digests_of(body), ahead, loop, None)
        if not self._commit_here([item], loop):
            return None
        self._in_a_row += 1
        self._has_gone = True
        loop.call_soon(self._may_go)
        if isinstance(item.answer, Committed):
            return item.answer
        assert item.answer is not None
        raise item.answer

    def _commit_here(self, items: list[Submitted], loop: asyncio.AbstractEventLoop) -> bool:
        """Decides them on the loop's own thread, which this is called on; False: not now, and nothing is done."""
        if not self._ending.acquire(blocking=False):
            return False  # the thread goes on in what was left open
        try:
            goes_on = self._is_open
            if not goes_on and not self._turn.acquire(blocking=False):
                return False
            self._is_deciding = True
            try:
                self._commit(items, leaves_open=True)
            except BaseException:  # the thread of a loop may be interrupted anywhere
                self._failure = StoreFailed("interrupted")
                self._undo([], self._failure)
                self._is_open = False
                self._turn.release()
                raise
            finally:
                self._is_deciding = False
            self._is_open = True
            if not goes_on:
                self._opened = time.monotonic()
        finally:
            self._ending.release()
        if not goes_on:
            loop.call_later(_LEFT_OPEN_S, self.settle)
        return True

    def _may_go(self) -> None:
        self._has_gone = False

    def settle(self, is_asked: bool = False) -> None:
        """Ends the transaction that commits have left open: before anybody asks the index (`is_asked`), and soon after
        _LEFT_OPEN_S. Nothing to do otherwise, or while the next commit goes on in it and nobody asks.

        The records are durable and acknowledged by then. If the index can not take them now, it is behind the journal,
        and is brought up before the next decision as it would be at a start.
        """
        if not self._is_open:
            return
        if is_asked:
            self._asked = time.monotonic()
        if not self._ending.acquire(blocking=is_asked):
            return
        try:
            # Else another thread was faster; or a decision asks, which sees the state before.
            if self._is_open and not self._is_deciding:
                self._end()
        finally:
            self._ending.release()

    def _end(self) -> None:
        try:
            if self._index.in_transaction:
                self._kind.commit(self._index, self._to_note)
            self._to_note = None
        except IndexFault as problem:
            log.warning("index-behind", extra={"error": type(problem).__name__})
            self._undo([], StoreFailed(str(problem)))
        finally:
            self._is_open = False
            self.turns += 1  # whoever looked while another thread was at this has seen the state before
            self._turn.release()

    def stop(self) -> None:
        """Finishes what waits, then ends the thread."""
        self.settle()
        for loop in tuple(self._coming):
            self._give(self._coming.pop(loop))
        self._handed.stop()
        self._thread.join()
        self.settle()

    def _run(self) -> None:
        while True:
            first = self._next()
            if first is None:
                return
            batch = [first]
            self._decide_by_thread(batch)
            self._handed.told(len(batch))
            tell(batch)
            del first, batch  # their bodies would stay until there is something to do again
            if self._handed.is_stopping:
                return

    def _decide_by_thread(self, batch: list[Submitted]) -> None:
        """Decides a batch on the writer's own thread, in the transaction that is left open if there is one. Whoever
        asks meanwhile waits only in that case: what is in it has been acknowledged."""
        with self._ending:
            goes_on = self._is_open
            if goes_on:
                self._decide_with_turn(batch)
        if not goes_on:
            # A loop may have opened one meanwhile, and go on in it without coming back to end it.
            while not self._turn.acquire(timeout=_LEFT_OPEN_S):
                self.settle()
            self._opened = time.monotonic()
            self._decide_with_turn(batch)

    def _decide_with_turn(self, batch: list[Submitted]) -> None:
        leaves_open = self._may_stay_open(batch)
        self._is_deciding = True
        try:
            self._commit(batch, leaves_open, gathers=True)
        except Exception as problem:
            # Without this thread nobody would be answered any more, these and whoever comes.
            log.exception("store-failed", extra={"error": type(problem).__name__})
            self._failure = StoreFailed(str(problem))
            for item in batch:
                item.answer = self._failure
            leaves_open = False
        finally:
            self._is_deciding = False
            self._is_open = leaves_open
            if not leaves_open:
                self._turn.release()

    def _may_stay_open(self, batch: list[Submitted]) -> bool:
        """Whether the thread leaves the transaction open behind this batch, for those that come next: while nobody
        asks, as in a burst, and on a disk so quick that one who does is not kept waiting by a whole turn."""
        now = time.monotonic()
        return (
            self._at_once
            and self._append_s < _QUICK_S
            and now - self._opened < _LEFT_OPEN_S
            and now - self._asked > _ASKED_S
            and not isinstance(batch[0].body, SpooledBody)
        )

    def _next(self) -> Submitted | None:
        """The next item, None to stop; while there is none, the journal's next pages are prepared."""
        while self._failure is None:
            try:
                return self._handed.take(_LEFT_OPEN_S if self._is_open else _IDLE_S)
            except queue.Empty:
                self.settle()
                # Never waits for the turn: a loop that has just gone on in what is open leaves its end to this thread.
                if time.monotonic() - self._appended >= _IDLE_S and self._turn.acquire(blocking=False):
                    try:
                        self._prepare()
                    finally:
                        self._turn.release()
        return self._handed.take()

    def _prepare(self) -> None:
        try:
            while self._in_doubt is None and not self._handed.waiting and self._journal.prepare():
                pass
        except StoreFailed as problem:
            self._failure = problem
        except OSError as problem:  # the disk does not even tell how much room it has
            self._failure = StoreFailed(f"journal: {problem.strerror}")

    def _commit(self, batch: list[Submitted], leaves_open: bool, gathers: bool = False) -> None:
        if self._failure is not None:
            for item in batch:
                item.answer = self._failure
            return
        together, waits = self._index.together, True
        for _ in range(_NUMBERS_TRIED):
            try:
                self._attempt(batch, Batch(self._index, together, waits), leaves_open, gathers)
                return
            except NumberTaken as taken:
                self._undo(batch, taken)
            except DecideAnew:
                self._undo(batch, StoreFailed("the records have to be decided one by one"))
                together, waits = None, False
        log.warning("store-failed", extra={"error": "NumberTaken"})

    def _attempt(self, batch: list[Submitted], turn: Batch, leaves_open: bool, gathers: bool) -> None:
        """Decides and writes the batch; every item has its answer then. `leaves_open`: the index's transaction is not
        ended. `gathers`: what waits for the thread is added to the batch. NumberTaken, DecideAnew: nothing was written,
        and all is to be decided anew, for the latter with a turn in which nothing waits."""
        before = self._journal.end
        try:
            if self._is_behind:
                self._catch_up()
            if gathers and not self._index.in_transaction:
                self._kind.tidy_as_writer(self._index)
            self._begin()
            if gathers:
                self._handed.gather(batch)  # whatever came while others had the index shares the sync
            for item in batch:
                item.answer = None
            self._journal.roll_if_full(self._reached.place.segment)
            before = self._journal.end
            self._refuse_when_full(batch)
            self._time = max(self._clock.now().isoformat(), self._reached.time)
            parts, end, self._sequence = decide_all(
                batch, turn, self._journal, self._keys, self._time, self._sequence
            )
            reached = None
            if parts:
                place = self._write(parts, end)
                reached = Reached(place, self._sequence, self._keys, self._time)
                self.commits += 1
            if leaves_open:
                self._to_note = reached or self._to_note
            else:
                self._kind.commit(self._index, reached or self._to_note)
                self._to_note = None
            if reached is not None:
                self.records += reached.sequence - self._reached.sequence
                self._reached = reached
        except (NumberTaken, DecideAnew):
            raise
        except OutOfResources as refusal:
            self._undo(batch, refusal)
        except IndexAway as problem:
            self._after_loss(batch, problem, before)
        except Exception as problem:
            # Whatever else it was, disk and memory may disagree now; a restart, which replays, makes them agree.
            log.warning("store-failed", extra={"error": type(problem).__name__})
            self._undo(batch, self._refusal_of(problem, before))
        finally:
            self.turns += 1

    def _write(self, parts: Parts, end: int) -> Position:
        """Makes the batch durable; where the journal ends then."""
        small = [part for part in parts if not isinstance(part, SpooledBody)]
        if len(small) == len(parts):
            begun = time.monotonic()
            self._journal.append(small)
            self._appended = time.monotonic()
            self._append_s += (self._appended - begun - self._append_s) / _SMOOTHED_OVER
            return Position(self._journal.end.segment, end)
        body = parts[1]
        assert isinstance(body, SpooledBody)
        self._journal.adopt(body, bytes(small[0]), bytes(small[1]))
        self._appended = time.monotonic()
        return self._journal.end

    def _catch_up(self) -> None:
        """Applies what the journal has and the index lacks."""
        replay.bring_up_to_date(self._kind, self._index, self._journal)
        self._reached = replace(self._kind.reached(self._index), time=self._reached.time)
        self._is_behind = False

    def _begin(self) -> None:
        """Opens the transaction, from where all nodes together have come to, unless one is left open."""
        if not self._index.in_transaction:
            self._reached = self._kind.begin(self._index, self._reached)
        self._sequence = self._reached.sequence
        self._keys = dict(self._reached.keys)
        if self._in_doubt is not None:
            begins, ends = self._in_doubt
            if self._reached.place != ends:
                self._journal.take_back(begins)
            self._in_doubt = None

    def _after_loss(self, batch: list[Submitted], problem: IndexAway, before: Position) -> None:
        """The database went away. What the journal has got of the batch was acknowledged to nobody yet; whether it
        counts, the index says when it is back: for a while that is waited for, then it is left to the next batch."""
        log.warning("index-away", extra={"error": str(problem)})
        ends = self._journal.end
        if ends != before:
            self._in_doubt = (before, ends)
        else:
            self._handed.gather(batch)  # what waits hears the same, and not each after a try of its own
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

    def _undo(self, batch: list[Submitted], refusal: SamsynError) -> None:
        try:
            if self._index.in_transaction:
                self._index.execute("ROLLBACK")
        except IndexAway:
            pass  # then there is nothing left to undo
        self._is_behind = self._is_behind or self._to_note is not None
        self._to_note = None
        for item in batch:
            item.answer = refusal

    def _refuse_when_full(self, batch: list[Submitted]) -> None:
        """Bodies need the reserve untouched; small records (audit, registers) may use it."""
        if any(item.body is not None for item in batch):
            # A spooled body has its place on the disk already.
            wanted = sum(len(item.body or b"") for item in batch if not isinstance(item.body, SpooledBody))
            if self._journal.free_bytes() - wanted < limits.DISK_RESERVE_BYTES:
                for item in batch:
                    if item.body is not None:
                        item.answer = OutOfResources("DISK_RESERVE_BYTES: the disk is nearly full")
