"""The store as rooms see it: commit, read, body."""

import asyncio
import contextlib
import fcntl
import hashlib
import logging
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final, TypeVar, TypeVarTuple, cast

from samsyn import limits
from samsyn.clock import Clock
from samsyn.errors import ConfigurationError, DamagedData, LimitExceeded, OutOfResources
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.store import damage, replay
from samsyn.store.batch import Ahead
from samsyn.store.cut_off import kept_aside
from samsyn.store.index import settled_rows, version_rows
from samsyn.store.index.port import FAULTS, Index, IndexAway, IndexConnection, IndexFault
from samsyn.store.index.sqlite import SqliteIndex
from samsyn.store.object_journal import node_of
from samsyn.store.objects.manifest import FrameTable
from samsyn.store.objects.port import Objects
from samsyn.store.places import OwnJournal, open_places
from samsyn.store.replay import Progress
from samsyn.store.spool import Spool, SpooledBody
from samsyn.store.submitted import Body, Committed
from samsyn.store.transaction import Transaction
from samsyn.store.writer import Writer

log = logging.getLogger(__name__)

T = TypeVar("T")
Of = TypeVarTuple("Of")

_READERS = 4
_CHECKPOINT_EVERY_S = 5.0
_RECALLED: Final = 4_096
"""Answers remembered between two turns of the writer: of some hundred studies with their instances."""
_GAP_BYTES: Final = 16 * 1024
"""Bytes between two bodies (headers, small records) that are cheaper to read than a call."""


class Store:
    """Journal and index in one data folder; exactly one process may have it open.

    Raises ConfigurationError when another process holds it, DamagedData when the journal is broken elsewhere
    than in its torn tail.
    """

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        second_copy: Path | None = None,
        index: Index | None = None,
        remote: Objects | None = None,
        own: OwnJournal | None = None,
    ) -> None:
        """`second_copy`: a data folder that somebody keeps as a copy of this one, to mend rot from. `index`: which
        database keeps the index, None = the folder's own file. `remote`: where journal and series objects lie, None =
        in the folder; `own`: that the journal's latest records lie in the folder all the same. All are closed with
        the store."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self.folder = folder
        self.second_copy = second_copy
        self._remote = remote
        self._is_near = remote is None
        self._own = own
        self._clock = clock
        self._index_kind = index or SqliteIndex(folder / "index.sqlite")
        self.replayed = 0
        """Records that had to be replayed at this start."""
        self._lock = lock(folder)
        try:
            self._open()
        except IndexFault as problem:
            os.close(self._lock)
            raise ConfigurationError(
                f"the index can not be used: {problem}; `samsyn check` tells more"
            ) from problem
        except BaseException:
            os.close(self._lock)
            raise
        self._recalled: dict[object, object] = {}
        self._recalled_at = -1
        self._local = threading.local()
        self._opened: list[IndexConnection] = []
        self._peeking = self._index_kind.open_reader(self.objects)
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="index-reader")
        self._stopping = threading.Event()
        self._checkpoints = threading.Thread(target=self._checkpoint_loop, name="checkpoint", daemon=True)

    def _open(self) -> None:
        if not self._index_kind.is_of_this_version():
            log.warning("index-is-made-anew")  # which may take hours, and nothing is open meanwhile
            self.replayed, _ = replay.rebuild(
                self.folder, self.second_copy, _tell, self._index_kind, self._remote, self._own
            )
        places = open_places(self.folder, self.second_copy, self._remote, self._own)
        self.objects = places.series
        self.objects_changing = asyncio.Lock()
        """Held by whoever gives a series object a new version: settling, or the scrub that mends one."""
        self._given_back = 0
        self.journal = places.journal
        """For those who look after what lies on disk (scrub, settling); rooms read through the functions here."""
        self._spool = Spool(self.journal.spool_folder, self.journal.largest_body)
        self._index = self._index_kind.open_writer(self.objects)
        if self._remote is None and self._index_kind.follows_journal:
            replay.check_reach(self._index_kind.reached(self._index), self.journal)
        self.replayed += replay.bring_up_to_date(self._index_kind, self._index, self.journal, told=_tell)[0]
        self._damage_seen = version_rows.places(self._index)
        self.damaged = damage.DamagedPlaces(damage.marked(self._index))
        self.cut_off = kept_aside(self.folder)
        """Pieces of the journal that this start or an earlier one has kept aside; see docs/storage.md."""
        at_once = self._remote is None and self._index_kind.follows_journal
        self._writer = Writer(self.journal, self._index_kind, self._index, self._clock, at_once)

    @property
    def layout(self) -> tuple[int, int]:
        """Differs as soon as any node has changed where bytes lie: what was kept of places must be asked for anew."""
        return self._given_back, self.recall(version_rows.places)

    def start(self) -> None:
        """Begins to take commits."""
        self._writer.start()
        self.journal.start()
        self._checkpoints.start()

    def _checkpoint_loop(self) -> None:
        while not self._stopping.wait(_CHECKPOINT_EVERY_S):
            self._index_kind.tidy()
            with contextlib.suppress(OutOfResources, *FAULTS):
                self._follow_damage()

    def _follow_damage(self) -> None:
        """Takes up what another node's scrub has marked or mended."""
        found = self._ask(version_rows.places)
        if found != self._damage_seen:
            self.damaged.replace(self._ask(damage.marked))
            self._damage_seen = found

    @property
    def healthy(self) -> bool:
        """Whether anything can be written."""
        return not self.complaint

    @property
    def complaint(self) -> str:
        """Why nothing can be written, and what to do; "" when it can."""
        if self._writer.failed:
            return (
                "the journal could not be written: look at the disk and the log, then start the service again"
            )
        return self._index_kind.complaint

    @property
    def state(self) -> int | None:
        """Differs when the index may have changed since; None = others may change it too, so it can not be told."""
        return self._writer.turns if self._index_kind.follows_journal else None

    @property
    def records(self) -> int:
        """Records written since start."""
        return self._writer.records

    @property
    def syncs(self) -> int:
        """Disk syncs since start."""
        return self._writer.commits

    async def commit(
        self,
        decide: Callable[[Transaction], T],
        body: Body | SpooledBody | None = None,
        ahead: Ahead | None = None,
        sender: str = "",
    ) -> Committed[T]:
        """Decides, writes and syncs; see Writer.submit. The one way to make anything durable."""
        return await self._writer.submit(decide, body, ahead, sender)

    def respooled(self, place: BodyLocation, sha256: str) -> SpooledBody:
        """A large body once more as one that arrives, for a decision that files it anew. DamagedData: it has not this
        SHA-256 (hex). Errors of `body` and `SpooledBody.append`; whoever asks for it discards it."""
        body = self.spool()
        try:
            for offset in range(0, place.length, limits.SPOOL_PIECE_BYTES):
                length = min(limits.SPOOL_PIECE_BYTES, place.length - offset)
                body.append(self.body(place.segment, place.offset + offset, length))
            if body.sha256 != sha256:
                raise DamagedData(f"segment {place.segment} is damaged at {place.offset}")
        except BaseException:
            body.discard()
            raise
        return body

    def spool(self) -> SpooledBody:
        """An empty body that is written to disk while it arrives, for `commit`; see Spool.begin. Whoever asks for it
        discards it, whatever became of it."""
        return self._spool.begin()

    def goes_at_once(self, sender: str, size: int) -> bool:
        """See Writer.goes_at_once."""
        return self._writer.goes_at_once(sender, size)

    def commit_at_once(
        self, decide: Callable[[Transaction], T], body: Body, ahead: Ahead | None = None
    ) -> Committed[T] | None:
        """See Writer.commit_at_once."""
        return self._writer.commit_at_once(decide, body, ahead)

    def commit_soon(
        self,
        decide: Callable[[Transaction], T],
        body: Body,
        ahead: Ahead | None,
        sender: str,
        done: Callable[[Committed[T] | BaseException], None],
    ) -> None:
        """See Writer.submit_soon."""
        self._writer.submit_soon(decide, body, ahead, sender, done)

    async def read(self, question: Callable[[IndexConnection], T]) -> T:
        """Runs a question of store.index on a reader thread; sees everything committed before the call."""
        self._writer.settle(is_asked=True)
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._ask, question)

    def _ask(self, question: Callable[[IndexConnection], T]) -> T:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._index_kind.open_reader(self.objects)
            self._opened.append(connection)
        return self._answer(question, connection)

    @staticmethod
    def _answer(question: Callable[[IndexConnection], T], connection: IndexConnection) -> T:
        try:
            return question(connection)
        except IndexAway as problem:
            raise OutOfResources("the index is away for now: ask again") from problem

    def peek(self, question: Callable[[IndexConnection], T]) -> T:
        """A point look-up (microseconds, few rows) on the event loop's own connection."""
        self._writer.settle(is_asked=True)
        return self._answer(question, self._peeking)

    def recall(self, question: Callable[[IndexConnection, *Of], T], *of: *Of) -> T:
        """`peek`, remembered until the writer has had another turn, which ends before anybody is told of its outcome:
        whoever knows of a change sees it. For questions whose answers follow from the index alone and can not be
        changed by who gets them; each statement that is spared is two system calls for SQLite's lock."""
        turns = self._writer.turns
        if turns != self._recalled_at:
            self._recalled.clear()
            self._recalled_at = turns
        key = question, of
        if key in self._recalled:
            return cast(T, self._recalled[key])
        found = self.peek(lambda connection: question(connection, *of))
        if not self._index_kind.is_shared and len(self._recalled) < _RECALLED:
            self._recalled[key] = found
        return found

    def body(self, segment: int, offset: int, length: int) -> bytes:
        """Bytes as received; ranged reads of a body are the caller's arithmetic. A segment below zero stands for
        the object of a settled series.

        DamagedData: the file is short, or the place is marked as damaged. LimitExceeded: more than one piece of work
        may have in memory (MAX_INSTANCE_IN_MEMORY_BYTES).
        """
        if length > limits.MAX_INSTANCE_IN_MEMORY_BYTES:
            raise LimitExceeded("MAX_INSTANCE_IN_MEMORY_BYTES")
        self.damaged.refuse(segment, offset, length)
        if segment < 0:
            return self.objects.read(-segment, offset, length)
        return self.journal.read(segment, offset, length)

    def body_at_hand(self, place: BodyLocation) -> memoryview | None:
        """A body that can be had without waiting for the disk and without decoding; None = ask `body`, in a thread.
        DamagedData: the place is marked as damaged."""
        if not self._is_near:
            return None
        self.damaged.refuse(place.segment, place.offset, place.length)
        if place.segment < 0:
            return self.objects.read_at_hand(-place.segment, place.offset, place.length)
        return self.journal.read_at_hand(place.segment, place.offset, place.length)

    def reads_at_once(self, instance: StoredInstance) -> bool:
        """Whether a small part of it is read faster than a thread is switched to: it lies on this machine, as it is."""
        segment = instance.location.segment
        return self._is_near and (segment >= 0 or not self.objects.is_coded(-segment))

    def checks(self, place: BodyLocation, offset: int, length: int) -> bool:
        """Whether a reading of this part of a body is checked where it lies: by an object store's seals, made of what
        came, or as a coded frame. The seals of a node's own journal are made of what its disk gave later."""
        if place.segment < 0:
            return self.objects.checks(-place.segment, place.offset + offset, length)
        return not self._is_near and node_of(place.segment) == 0

    def settled_frames(self, instance: StoredInstance) -> FrameTable | None:
        """Where the frames lie, as the manifest of its settled series tells; None = find out from the bytes."""
        if instance.location.segment >= 0:
            return None
        settled = self._ask(
            lambda connection: settled_rows.settled_in(connection, -instance.location.segment)
        )
        number = settled.numbers.get(instance.sop_instance_uid) if settled is not None else None
        return settled.manifest.frames[number] if settled is not None and number is not None else None

    def give_back(self, segment: int, places: Sequence[tuple[int, int]]) -> None:
        """Journal.give_back, and tells those who keep places."""
        try:
            self.journal.give_back(segment, places)
        finally:
            self._given_back += 1

    def bodies(self, places: Sequence[BodyLocation]) -> list[memoryview | DamagedData | LimitExceeded]:
        """Several bodies in the order given, a fault in the place of one that can not be read (see `body`). Those that
        lie close together, as a series does that came in one go, are read at once."""
        found: list[memoryview | DamagedData | LimitExceeded] = []
        for run in _runs(places):
            first, last = run[0], run[-1]
            length = last.offset + last.length - first.offset
            try:
                data = memoryview(self.body(first.segment, first.offset, length))
            except (DamagedData, LimitExceeded) as refused:
                found += [refused] if len(run) == 1 else [self.bodies([place])[0] for place in run]
            else:
                starts = [place.offset - first.offset for place in run]
                found += [
                    data[start : start + place.length] for start, place in zip(starts, run, strict=True)
                ]
        return found

    async def proved(self, segment: int, offset: int, length: int, sha256: str) -> bytes:
        """A whole body on a reader thread, for whoever files anew what is in it: the hash that it gets then would vouch
        for whatever was read. DamagedData: it has not this SHA-256 (hex), or as `body`."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._readers, self._proved, segment, offset, length, sha256)

    def _proved(self, segment: int, offset: int, length: int, sha256: str) -> bytes:
        data = self.body(segment, offset, length)
        if hashlib.sha256(data).hexdigest() != sha256:
            raise DamagedData(f"segment {segment} is damaged at {offset}")
        return data

    def free_bytes(self) -> int:
        """Free space of the data folder's disk in bytes."""
        return self.journal.free_bytes()

    def close(self) -> None:
        """Finishes what waits and closes everything; acknowledged things are durable long before."""
        self._stopping.set()
        self._writer.stop()
        if self._checkpoints.is_alive():
            self._checkpoints.join()
        self._readers.shutdown(wait=True)
        for connection in self._opened:
            connection.close()
        self._peeking.close()
        self._index.close()
        self._index_kind.close()
        self.objects.close()
        self.journal.close()
        if self._remote is not None:
            self._remote.close()
        os.close(self._lock)


def _tell(progress: Progress) -> None:
    log.info("journal-is-replayed", extra={"count": progress.records, "bytes": progress.offset})


def lock(folder: Path) -> int:
    """Holds the data folder for this process; the kernel lets go of it however the process ends.

    ConfigurationError: another process holds it.
    """
    descriptor = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(descriptor)
        raise ConfigurationError(
            f"another process uses the data folder {folder}: stop it first, or choose another folder"
        ) from problem
    return descriptor


def _runs(places: Sequence[BodyLocation]) -> Iterator[list[BodyLocation]]:
    """Places in order, parted where the next one does not follow soon after in the same segment."""
    run: list[BodyLocation] = []
    for place in places:
        if run:
            gap = place.offset - run[-1].offset - run[-1].length
            if place.segment != run[-1].segment or not 0 <= gap <= _GAP_BYTES:
                yield run
                run = []
        run.append(place)
    if run:
        yield run
