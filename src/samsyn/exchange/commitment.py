"""Storage Commitment, push model (PS3.4 Annex J): a durable promise to look, and the answer of having looked.

What is asked for becomes a job in the journal before the peer hears that it was taken. The job reads every stored
byte again, compares it with the hash that it came with, keeps the answer, and delivers it: on the association that
asked, while it is open, else on one of our own, again and again until the peer has it.
"""

from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import orjson

from samsyn import limits
from samsyn.access.view import Gatekeeper, View
from samsyn.clock import Clock
from samsyn.dicom.encoding import encode
from samsyn.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import Conflict, DamagedData, NotFound, NotSupported, OutOfResources
from samsyn.exchange.pool import AssociationPool
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StoredInstance
from samsyn.model.sender import Receipt
from samsyn.providers.connections import Connections, System
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.index import held_rows, job_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.wire import dimse_status as status
from samsyn.wire.dimse_status import StatusKind, status_kind
from samsyn.wire.user_information import RoleSelection

STORAGE_COMMITMENT_JOB: Final = "storage-commitment"
ALL_THERE: Final = 1
"""Event type: every instance is committed to (PS3.4 J.3.3.1.1)."""
SOME_MISSING: Final = 2
"""Event type: some are not (PS3.4 J.3.3.1.2)."""

_TURN_S: Final = 0.5
_CONTEXTS: Final = [(STORAGE_COMMITMENT, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))]
_ROLES: Final = (RoleSelection(STORAGE_COMMITMENT, scu=False, scp=True),)


@dataclass(frozen=True, slots=True)
class Reference:
    """One instance that a peer asks about."""

    sop_class_uid: str
    sop_instance_uid: str


@dataclass(frozen=True, slots=True)
class CommitmentReport:
    """An answer: the event type and information of an N-EVENT-REPORT."""

    event_type: int
    information: Attributes


SameAssociation: TypeAlias = Callable[[str, str, CommitmentReport], Awaitable[bool]]
"""Delivers (association, AE title, report) on an association that the peer has open; whether it was taken."""


class Commitments:
    """Takes requests for commitment and answers them."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        retriever: Retriever,
        gatekeeper: Gatekeeper,
        connections: Connections,
        pool: AssociationPool,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._retriever = retriever
        self._gatekeeper = gatekeeper
        self._connections = connections
        self._pool = pool
        self._wake = wake
        self._same_association: SameAssociation | None = None
        self._at_work: Counter[str] = Counter()
        self.answered = 0
        """Answers delivered since start, for metrics."""

    def deliver_through(self, same_association: SameAssociation) -> None:
        """Tells how to reach peers on associations that they opened."""
        self._same_association = same_association

    async def accept(
        self, system: System, association: str, transaction_uid: str, references: Sequence[Reference]
    ) -> Receipt:
        """Takes a request; the receipt proves that it will be answered, whatever happens to us or the peer.

        The same request again, while the first is not answered, is taken as the first. Conflict: the same
        transaction with other instances. OutOfResources: MAX_COMMITMENTS or
        MAX_COMMITMENT_BYTES of the peer are not answered.
        """
        asked = [[each.sop_class_uid, each.sop_instance_uid] for each in references]
        name = f"{system.sender.name} {transaction_uid}"
        payload = {
            "peer": system.sender.name,
            "association": association,
            "transaction": transaction_uid,
            "asked": asked,
        }

        def decide(transaction: Transaction) -> None:
            found = transaction.one(
                "SELECT payload FROM job WHERE kind = ? AND name = ?", STORAGE_COMMITMENT_JOB, name
            )
            if found is None:
                waiting, size_bytes = transaction.one(
                    "SELECT COUNT(*), COALESCE(SUM(LENGTH(payload)), 0) FROM job"
                    " WHERE kind = ? AND name >= ? AND name < ?",
                    STORAGE_COMMITMENT_JOB,
                    f"{system.sender.name} ",
                    f"{system.sender.name}!",
                )
                if waiting >= limits.MAX_COMMITMENTS:
                    raise OutOfResources("MAX_COMMITMENTS")
                if size_bytes >= limits.MAX_COMMITMENT_BYTES:
                    raise OutOfResources("MAX_COMMITMENT_BYTES")
                text = orjson.dumps(payload).decode()
                queue.enqueue(transaction, STORAGE_COMMITMENT_JOB, name, text, priority=2)
            elif orjson.loads(found[0])["asked"] != asked:
                raise Conflict("the transaction is under way with other instances")

        receipt = (await self._store.commit(decide)).receipt
        self._wake()
        return receipt

    async def peer_called(self, peer: str) -> None:
        """A system has opened an association for this class: answers that could not be delivered are tried now."""
        now = self._clock.now().isoformat()
        keys = self._store.peek(
            lambda one: job_rows.late(one, STORAGE_COMMITMENT_JOB, f"{peer} ", now, limits.MAX_COMMITMENTS)
        )
        if not keys:
            return

        def decide(transaction: Transaction) -> None:
            for key in keys:
                transaction.update("job", {"job_key": key}, state="ready", attempt=0, run_at=transaction.time)

        await self._store.commit(decide)
        self._wake()

    async def work(self, job: Job) -> Later | None:
        """One attempt to answer. Raises while the peer can not be told."""
        payload = orjson.loads(job.payload)
        peer = payload["peer"]
        if self._at_work[peer] >= limits.MAX_COMMITMENTS_AT_WORK:
            return Later(_TURN_S)
        self._at_work[peer] += 1
        try:
            return await self._answer(job, payload)
        finally:
            self._at_work[peer] -= 1

    async def _answer(self, job: Job, payload: dict[str, Any]) -> Later | None:
        system = self._connections.system_named(payload["peer"])
        if system is None:
            raise NotFound("the peer is not connected any more")
        if "failed" not in payload:
            references = [Reference(*each) for each in payload["asked"]]
            payload["failed"] = await self._failures(system, references)
            text = orjson.dumps(payload).decode()
            # Kept, so that later attempts tell the same and read nothing again.
            await self._store.commit(
                lambda transaction: transaction.update("job", {"job_key": job.key}, payload=text)
            )
        report = report_of(payload["transaction"], payload["asked"], payload["failed"])
        later = await self._deliver(payload["association"], payload["peer"], report)
        if later is None:
            self.answered += 1
        return later

    async def _failures(self, system: System, references: Sequence[Reference]) -> dict[str, int]:
        """SOP Instance UID -> failure reason (PS3.3 C.14.1.1) of what can not be committed to.

        What the peer may not see is told like what does not exist; but what a rejection note hides, the note too, is
        kept as safely as all else, and who sent it need not keep it.
        """
        view = await self._gatekeeper.safekeeping(system.subject)
        uids = list(dict.fromkeys(each.sop_instance_uid for each in references))
        stored = {each.sop_instance_uid: each for each in await self._retriever.by_instance_uids(view, uids)}
        held = await self._store.read(
            lambda connection: held_rows.held_from(connection, system.sender.name, uids)
        )
        failures: dict[str, int] = {}
        for reference in references:
            uid = reference.sop_instance_uid
            instance = stored.get(uid)
            if instance is None:
                failures[uid] = status.NO_SUCH_INSTANCE
            elif instance.sop_class_uid != reference.sop_class_uid:
                failures[uid] = status.CLASS_INSTANCE_CONFLICT
            elif uid in held or not await self._is_whole(view, instance):
                # Other bytes of the peer under this UID are held: what is served is not what it sent.
                failures[uid] = status.PROCESSING_FAILURE
        return failures

    async def _is_whole(self, view: View, instance: StoredInstance) -> bool:
        """Whether every byte is there and gives the hash that it came with."""
        try:
            async for _ in self._retriever.pieces(view, instance, proves=True):
                pass
        except (DamagedData, NotFound, OSError):
            return False
        return True

    async def _deliver(self, association: str, peer: str, report: CommitmentReport) -> Later | None:
        if self._same_association is not None and await self._same_association(association, peer, report):
            return None
        destination = self._connections.destination(peer)
        if destination is None:
            raise NotSupported("the peer has no address and no association is open")
        wait = self._pool.wait_s(destination)
        if wait:
            return Later(wait)
        async with self._pool.lease(destination, _CONTEXTS, _ROLES) as requestor:
            context_id = requestor.context_of(STORAGE_COMMITMENT)
            if context_id is None:
                raise NotSupported("the peer takes no reports of storage commitment")
            syntax = requestor.association.contexts[context_id].transfer_syntax
            answer = await requestor.event_report(
                context_id,
                STORAGE_COMMITMENT,
                STORAGE_COMMITMENT_INSTANCE,
                report.event_type,
                encode(report.information, syntax),
            )
        if not is_taken(answer.status):
            raise OutOfResources(f"the peer answers {answer.status:04X}H to the report")
        return None


def is_taken(code: int) -> bool:
    """Whether the peer has the report: success, or a warning about it."""
    return status_kind(code) in (StatusKind.SUCCESS, StatusKind.WARNING)


def report_of(
    transaction_uid: str, asked: Sequence[Sequence[str]], failed: dict[str, int]
) -> CommitmentReport:
    """The event of an answer (PS3.4 Table J.3-2)."""
    good: list[Attributes] = []
    bad: list[Attributes] = []
    for sop_class, sop_instance in asked:
        item: Attributes = {0x00081150: ("UI", (sop_class,)), 0x00081155: ("UI", (sop_instance,))}
        if sop_instance in failed:
            item[0x00081197] = ("US", (failed[sop_instance],))
            bad.append(item)
        else:
            good.append(item)
    information: Attributes = {0x00081195: ("UI", (transaction_uid,))}
    if bad:
        information[0x00081198] = ("SQ", tuple(bad))
    if good:
        information[0x00081199] = ("SQ", tuple(good))
    return CommitmentReport(SOME_MISSING if bad else ALL_THERE, information)
