"""The durable outbox of audit entries: the journal itself is the queue, and each receiver has its place in it.

Entries leave in order, in calls of bounded size. The place is moved forward, durably, only when the receiver has
answered that it has them; an outage of any length loses nothing. Before a call the outbox notes how far it will
have tried, so that after a lost answer or a crash it knows which entries may have arrived already.
"""

import asyncio
import contextlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, Protocol

from samsyn import limits
from samsyn.access.followup.review import LogEntry, read_entries
from samsyn.clock import Clock
from samsyn.errors import OutOfResources, SamsynError
from samsyn.model.patient import PatientIdentifier
from samsyn.store.index import audit_rows, patient_rows, review_rows
from samsyn.store.index.port import FAULTS, IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.tasks import ended

log = logging.getLogger(__name__)

REFUSED: Final = "refused"
"""The receiver will not take the entry as it is; somebody must look."""
PRESUMED: Final = "presumed"
"""The receiver refused the entry at a repetition: most likely it has it from the first time."""

_POLL_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Outgoing:
    """An entry with the patient's identifiers, which the journal does not hold."""

    entry: LogEntry
    journal: str
    """Which journal it is from (audit.anchors.Anchor.journal): entry numbers are unique in it only."""
    assignment: str
    session_id: str
    identifiers: tuple[PatientIdentifier, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a receiver said to a call. `refusal` "" = it has every entry; otherwise it took none of them."""

    refusal: str = ""


class Receiver(Protocol):
    """Somebody who gets audit entries."""

    @property
    def name(self) -> str:
        """Names the receiver's place in the journal; never changes."""

    @property
    def call_size(self) -> int:
        """Entries in one call at the most."""

    def takes(self, entry: LogEntry) -> bool:
        """Whether the entry is for this receiver."""

    @property
    def certain(self) -> int | None:
        """Up to which entry it has them for certain, after a call; what is behind is sent again by whoever goes on
        after this process. None = whatever was answered."""

    async def send(self, entries: Sequence[Outgoing]) -> Answer:
        """One call. OutOfResources: no answer, or one that says nothing; the entries may or may not be there."""

    async def close(self) -> None:
        """Lets go of connections."""


@dataclass(frozen=True, slots=True)
class _Place:
    delivered: int
    attempted: int


class Outbox:
    """Delivers to one receiver in the background. `start`, then `stop`."""

    def __init__(self, store: Store, clock: Clock, receiver: Receiver, first_pause_s: float = 1.0) -> None:
        self._store = store
        self._clock = clock
        self._receiver = receiver
        self._first_pause_s = first_pause_s
        self._task: asyncio.Task[None] | None = None
        self._place = _Place(0, 0)
        """What is durable: up to where the receiver has everything for certain, and may have something."""
        self._sent = 0
        """Up to where it was sent and answered by this process, or is certain."""
        self._refused_in_row = 0
        self.delivered = 0
        """Entries delivered since the start, for metrics."""
        self.excepted = 0
        """Entries set aside since the start, for metrics."""
        self.failures = 0
        """Calls without a usable answer since the last good one, for metrics."""

    @property
    def name(self) -> str:
        """The receiver's name."""
        return self._receiver.name

    @property
    def waiting(self) -> int:
        """Entries of the journal that have not been looked at yet, for metrics."""
        return max(0, self._store.peek(audit_rows.last_sequence) - self._sent)

    async def start(self) -> None:
        """Finds its place and begins."""
        row = await self._store.read(partial(audit_rows.place_of, receiver=self._receiver.name))
        self._place = _Place(*row) if row else _Place(0, 0)
        self._sent = self._place.delivered
        self._task = asyncio.create_task(self._run(), name=f"outbox-{self._receiver.name}")

    async def stop(self) -> None:
        """Ends; what was not answered, or is not certain, is sent again after the next start."""
        await self.pause()
        await self._receiver.close()
        with contextlib.suppress(SamsynError, *FAULTS):
            await self._move(self._sent)

    async def pause(self) -> None:
        """Leaves off until the next start; another node may go on."""
        await ended(self._task)
        self._task = None

    async def _run(self) -> None:
        pause = self._first_pause_s
        while True:
            before = self._sent
            try:
                more = await self._round()
            except Exception as problem:
                # Whatever it was, entries must go on being tried: an outbox that has ended tells nobody.
                self.failures += 1
                if self._sent > before:
                    pause = self._first_pause_s  # who takes some of it is there
                log.warning(
                    "audit-not-delivered",
                    extra={
                        "peer": self._receiver.name,
                        "error": problem.code if isinstance(problem, SamsynError) else type(problem).__name__,
                        "reason": getattr(problem, "detail", "")[:300],
                        "attempt": self.failures,
                        "seconds": pause,
                    },
                )
                await asyncio.sleep(pause)
                pause = min(2 * pause, limits.DELIVERY_PAUSE_S)
                continue
            pause, self.failures = self._first_pause_s, 0
            if not more:
                await asyncio.sleep(min(_POLL_S, self._first_pause_s))

    async def _round(self) -> bool:
        """Takes the next entries; False when there are none."""
        after = self._sent
        entries = await self._store.read(partial(_after, sequence=after, limit=self._receiver.call_size))
        if not entries:
            return False
        wanted = [each for each in entries if self._receiver.takes(each.entry)]
        if wanted:
            await self._deliver(wanted, self._place.attempted)
        await self._move(entries[-1].entry.sequence)
        return True

    async def _deliver(self, entries: Sequence[Outgoing], tried_before: int) -> None:
        """One call; a call that is refused is halved until what is wrong stands alone and can be set aside."""
        last = entries[-1].entry.sequence
        if last > self._place.attempted:
            await self._note(_Place(self._place.delivered, last))
        answer = await self._receiver.send(entries)
        if not answer.refusal:
            self.delivered += len(entries)
            self._refused_in_row = 0
            await self._move(last)
            return
        if last > tried_before:
            # It has said that it took none of them, so none can be there.
            await self._note(_Place(self._place.delivered, max(self._place.delivered, tried_before)))
        if len(entries) == 1:
            state = PRESUMED if last <= tried_before else REFUSED
            if state == REFUSED:
                self._refused_in_row += 1
                if self._refused_in_row > limits.MAX_REFUSED_IN_ROW:
                    raise unusable(f"everything is refused: {answer.refusal}")
            await self._set_aside(entries[0], state, answer.refusal)
        else:
            middle = len(entries) // 2
            await self._deliver(entries[:middle], tried_before)
            await self._deliver(entries[middle:], tried_before)

    async def _move(self, sequence: int) -> None:
        """Everything up to here was answered."""
        certain = self._receiver.certain
        place = _Place(
            max(self._place.delivered, sequence if certain is None else min(certain, sequence)),
            max(self._place.attempted, sequence),
        )
        if place != self._place:
            await self._note(place)
        self._sent = max(self._sent, sequence)

    async def _note(self, place: _Place) -> None:
        def decide(transaction: Transaction) -> None:
            self._write(transaction, place)

        await self._store.commit(decide)
        self._place = place

    async def _set_aside(self, outgoing: Outgoing, state: str, reason: str) -> None:
        sequence = outgoing.entry.sequence
        place = _Place(sequence, max(sequence, self._place.attempted))

        def decide(transaction: Transaction) -> None:
            transaction.replace(
                "audit_exception",
                receiver=self._receiver.name,
                sequence=sequence,
                state=state,
                reason=reason[: limits.MAX_WORDING_CHARACTERS],
                time=transaction.time,
            )
            self._write(transaction, place)

        await self._store.commit(decide)
        self._place = place
        self._sent = sequence
        self.excepted += 1
        log.warning(
            "audit-entry-set-aside",
            extra={"peer": self._receiver.name, "sequence": sequence, "state": state},
        )

    def _write(self, transaction: Transaction, place: _Place) -> None:
        known = transaction.one(
            "SELECT delivered FROM audit_delivery WHERE receiver = ?", self._receiver.name
        )
        if known is not None and known[0] > place.delivered:
            return  # another node has the duty since this one was slow, and has come further
        transaction.replace(
            "audit_delivery",
            receiver=self._receiver.name,
            delivered=place.delivered,
            attempted=place.attempted,
            changed=transaction.time,
        )


def unusable(what: str) -> OutOfResources:
    """The refusal for a call whose outcome is not known."""
    return OutOfResources(what)


def _after(connection: IndexConnection, sequence: int, limit: int) -> list[Outgoing]:
    rows = review_rows.after(connection, sequence, limit)
    known: dict[int, tuple[PatientIdentifier, ...]] = {0: ()}
    journal = (audit_rows.hash_at(connection, 1) or "")[:16]
    found = []
    for row, entry in zip(rows, read_entries(connection, rows), strict=True):
        key = entry.patient_key
        if key not in known:
            known[key] = patient_rows.identifiers_of(connection, key)
        found.append(Outgoing(entry, journal, row["assignment"], row["session_id"], known[key]))
    return found
