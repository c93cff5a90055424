"""Sending to another archive: asked for under a View, durable, audited, judged again when the bytes leave.

A transfer goes on where it stopped: after a restart, and when the receiver was away or full. What a receiver refuses
for good is counted and named; the rest arrives.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import partial
from typing import Any, Final

import orjson

from samsyn import limits
from samsyn.access.view import Gatekeeper, View
from samsyn.clock import Clock
from samsyn.errors import (
    BadInput,
    DamagedData,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotSupported,
    OutOfResources,
    SamsynError,
)
from samsyn.exchange import carried
from samsyn.exchange.carried import Carried
from samsyn.exchange.forms import form_for, in_form, proposals
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.scu import Requestor
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.imaging import StoredInstance
from samsyn.model.subject import Subject, SubjectKind
from samsyn.providers.connections import Connections, Destination
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.read_ahead import ReadAhead
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.index import transfer_rows
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.wire.dimse_status import StatusKind, status_kind

SEND_JOB: Final = "send"
_HIDDEN: Final = "not shown to the requester any more"
_SAVED_EVERY_S: Final = 2.0
_OUT_OF_RESOURCES: Final = range(0xA700, 0xA800)


class TransferState(StrEnum):
    """How far a transfer is."""

    WAITING = "waiting"
    """For its turn, or for a receiver that is away; `why` tells what went wrong last."""
    SENDING = "sending"
    DONE = "done"
    """Everything has arrived."""
    INCOMPLETE = "incomplete"
    """Ended, and something was refused or could not be given; `why` names the first reason."""
    GIVEN_UP = "given-up"
    """The receiver could not be reached for too long."""
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Transfer:
    """What its requester may know about a transfer."""

    transfer_id: str
    patient_key: int
    destination: str
    study_uid: str
    series_uid: str
    """"" = the whole study."""
    state: TransferState
    total: int
    sent: int
    failed: int
    why: str
    requested: str
    """ISO 8601 in UTC."""
    changed: str


@dataclass(slots=True)
class _Live:
    """A transfer at work."""

    transfer_id: str
    total: int
    sent: int
    failed: int
    why: str
    done: int = 0
    """Instances of the list that need no further attempt."""
    saved: float = 0.0
    """When it was last kept, on the monotonic clock."""


class Sending:
    """Takes, does and tells about transfers."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        retriever: Retriever,
        transcoder: Transcoder,
        gatekeeper: Gatekeeper,
        connections: Connections,
        pool: AssociationPool,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._clock = clock
        self._retriever = retriever
        self._transcoder = transcoder
        self._gatekeeper = gatekeeper
        self._connections = connections
        self._pool = pool
        self._wake = wake
        self._live: dict[str, _Live] = {}
        self._cancelled: set[str] = set()
        self.sent = 0
        """Instances delivered since start, for metrics."""

    def destinations(self, subject: Subject) -> list[Destination]:
        """Where this reader may send: the archives of the own care provider."""
        assignment = subject.assignment
        if subject.kind is SubjectKind.PATIENT or assignment is None:
            return []
        return self._connections.destinations_of(assignment.provider_hsa_id)

    async def request(
        self, view: View, study_uid: str, destination: str, series_uid: str = "", transfer_id: str = ""
    ) -> str:
        """Has a study, or one series of it, sent to an archive of the reader's own provider; the transfer's id, a new
        one unless the asker has chosen one. Conflict: that one is taken.

        It is in the audit journal, with its receiver, and durable when this returns. What is sent is what the View
        shows now; what has come to be hidden until then does not leave. NotFound: nothing to see there. NotAllowed:
        no such archive of the own provider. OutOfResources: MAX_TRANSFERS of this reader are not finished.
        LimitExceeded: MAX_TRANSFER_INSTANCES.
        """
        if destination not in {each.ae_title for each in self.destinations(view.subject)}:
            raise NotAllowed("no such destination of the own provider")
        requester, provider = _requester(view.subject)
        if self._store.peek(lambda one: transfer_rows.unfinished(one, requester)) >= limits.MAX_TRANSFERS:
            raise OutOfResources("MAX_TRANSFERS")
        instances = await self._retriever.instances(view, study_uid, series_uid)
        if len(instances) > limits.MAX_TRANSFER_INSTANCES:
            raise LimitExceeded("MAX_TRANSFER_INSTANCES")
        item = self._retriever.item_of(view, study_uid)
        await self._gatekeeper.record_opening(view, study_uid, "send", receiver=destination)
        transfer_id = transfer_id or uuid.uuid4().hex
        payload = {
            "reader": carried.written(Carried.of(view)),
            "destination": destination,
            "study": study_uid,
            "instances": [each.sop_instance_uid for each in instances],
        }

        def decide(transaction: Transaction) -> None:
            transaction.insert(
                "transfer",
                transfer_id=transfer_id,
                requester=requester,
                provider=provider,
                patient_key=item.patient_key,
                destination=destination,
                study_uid=study_uid,
                series_uid=series_uid,
                state=TransferState.WAITING.value,
                total=len(instances),
                done=0,
                sent=0,
                failed=0,
                why="",
                requested=transaction.time,
                changed=transaction.time,
            )
            queue.enqueue(transaction, SEND_JOB, transfer_id, orjson.dumps(payload).decode(), priority=4)

        await self._store.commit(decide)
        self._wake()
        return transfer_id

    async def mine(self, subject: Subject, limit: int = 50) -> list[Transfer]:
        """The reader's newest transfers, newest first."""
        requester, provider = _requester(subject)
        question = partial(
            transfer_rows.of_requester, kind=SEND_JOB, requester=requester, provider=provider, limit=limit
        )
        return [self._told(row) for row in await self._store.read(question)]

    def progress(self, subject: Subject, transfer_id: str) -> Transfer:
        """One of the reader's own transfers, up to the instance. NotFound: no such one of his."""
        requester, provider = _requester(subject)
        row = self._store.peek(lambda one: transfer_rows.one(one, SEND_JOB, transfer_id, requester, provider))
        if row is None:
            raise NotFound
        return self._told(row)

    async def cancel(self, subject: Subject, transfer_id: str) -> Transfer:
        """Ends one of the reader's own transfers; what has arrived stays there. NotFound: no such one of his."""
        if self.progress(subject, transfer_id).state in (TransferState.WAITING, TransferState.SENDING):
            if transfer_id in self._live:
                self._cancelled.add(transfer_id)

            def decide(transaction: Transaction) -> None:
                transaction.delete("job", kind=SEND_JOB, name=transfer_id)
                self._set(transaction, transfer_id, state=TransferState.CANCELLED.value)

            await self._store.commit(decide)
        return self.progress(subject, transfer_id)

    def _told(self, row: Any) -> Transfer:
        state, why = TransferState(row["state"]), row["why"]
        sent, failed = row["sent"], row["failed"]
        live = self._live.get(row["transfer_id"])
        if live is not None:
            state, sent, failed, why = TransferState.SENDING, live.sent, live.failed, live.why
        elif state in (TransferState.WAITING, TransferState.SENDING):
            state = TransferState.GIVEN_UP if row["job_state"] == "parked" else TransferState.WAITING
            why = row["error"] or why
        return Transfer(
            row["transfer_id"],
            row["patient_key"],
            row["destination"],
            row["study_uid"],
            row["series_uid"],
            state,
            row["total"],
            sent,
            failed,
            why,
            row["requested"],
            row["changed"],
        )

    async def work(self, job: Job) -> Later | None:
        """One attempt to bring a transfer to its end. Raises while the receiver is away or full."""
        transfer_id, payload = job.name, orjson.loads(job.payload)
        row = self._store.peek(
            lambda one: one.execute(
                "SELECT total, done, sent, failed, why, state FROM transfer WHERE transfer_id = ?",
                (transfer_id,),
            ).fetchone()
        )
        if row is None or row["state"] == TransferState.CANCELLED:
            return None
        destination = self._connections.destination(payload["destination"])
        if destination is None:
            await self._end(
                transfer_id, TransferState.INCOMPLETE, "the destination is not connected any more"
            )
            return None
        wait = self._pool.wait_s(destination)
        if wait:
            return Later(wait)
        live = _Live(transfer_id, row["total"], row["sent"], row["failed"], row["why"], row["done"])
        session_id = f"send-{transfer_id}"
        live.saved = self._clock.monotonic()
        self._live[transfer_id] = live
        try:
            view = await self._view(carried.read(payload["reader"], session_id))
            await self._send(live, job, payload, view, destination)
        except NotFound:
            live.why = live.why or _HIDDEN
            live.failed += live.total - live.sent - live.failed
        except SamsynError:
            await self._save(live)
            raise
        finally:
            self._gatekeeper.forget_session(session_id)
            del self._live[transfer_id]
            is_cancelled = transfer_id in self._cancelled
            self._cancelled.discard(transfer_id)
        if is_cancelled:
            return None
        state = TransferState.INCOMPLETE if live.failed else TransferState.DONE
        await self._end(transfer_id, state, live.why, sent=live.sent, failed=live.failed)
        return None

    async def _view(self, reader: Carried) -> View:
        """The reader's View as it is now."""
        session_id, keys = reader.subject.session_id, reader.patient_keys
        if keys:
            self._gatekeeper.choices.record(session_id, keys, reader.choices)
        return await self._gatekeeper.open_view(reader.subject, keys, reader.purpose)

    async def _send(
        self, live: _Live, job: Job, payload: dict[str, Any], view: View, destination: Destination
    ) -> None:
        left: Sequence[str] = payload["instances"][live.done :]
        await self._gatekeeper.record_opening(view, payload["study"], "send", receiver=destination.ae_title)
        shown = {each.sop_instance_uid: each for each in await self._retriever.by_instance_uids(view, left)}
        instances = [shown[uid] for uid in left if uid in shown]
        if len(instances) < len(left):
            await self._leave_out(live, job, payload, [each.sop_instance_uid for each in instances])
        if not instances:
            return
        async with (
            self._pool.lease(destination, proposals(instances)) as requestor,
            ReadAhead(self._retriever, view, instances) as ahead,
        ):
            for instance in instances:
                if live.transfer_id in self._cancelled:
                    return
                await self._send_one(requestor, live, view, instance, ahead)
                live.done += 1
                if self._clock.monotonic() - live.saved > _SAVED_EVERY_S:
                    await self._save(live)

    async def _send_one(
        self, requestor: Requestor, live: _Live, view: View, instance: StoredInstance, ahead: ReadAhead
    ) -> None:
        agreed = requestor.association.contexts.values()
        form = form_for(instance, {(each.abstract_syntax, each.transfer_syntax) for each in agreed})
        try:
            if form is None:
                raise NotSupported("the destination takes no form of an object")
            data = await in_form(await ahead.leaving(instance), instance, form, self._transcoder, view)
            answer = await requestor.store(form, instance.sop_class_uid, instance.sop_instance_uid, data)
        except (BadInput, DamagedData, LimitExceeded, NotFound, NotSupported) as error:
            live.failed, live.why = live.failed + 1, live.why or error.detail or error.sentence
            return
        if answer.status in _OUT_OF_RESOURCES:
            raise OutOfResources(f"the receiver is full ({answer.status:04X}H)")
        if status_kind(answer.status) in (StatusKind.SUCCESS, StatusKind.WARNING):
            live.sent += 1
            self.sent += 1
        else:
            live.failed += 1
            live.why = live.why or f"the receiver answers {answer.status:04X}H"

    async def _save(self, live: _Live) -> None:
        """Keeps how far it is, so that the next attempt goes on from there."""
        live.saved = self._clock.monotonic()
        if live.transfer_id not in self._cancelled:
            values = {"done": live.done, "sent": live.sent, "failed": live.failed, "why": live.why}
            await self._store.commit(lambda transaction: self._set(transaction, live.transfer_id, **values))

    async def _leave_out(self, live: _Live, job: Job, payload: dict[str, Any], kept: Sequence[str]) -> None:
        """What has come to be hidden is counted once, and is not on the list of the next attempt."""
        hidden = len(payload["instances"]) - live.done - len(kept)
        live.failed, live.why = live.failed + hidden, live.why or _HIDDEN
        payload["instances"][live.done :] = kept
        text = orjson.dumps(payload).decode()

        def decide(transaction: Transaction) -> None:
            transaction.update("job", {"job_key": job.key}, payload=text)
            self._set(transaction, live.transfer_id, failed=live.failed, why=live.why)

        await self._store.commit(decide)

    async def _end(self, transfer_id: str, state: TransferState, why: str, **counts: int) -> None:
        await self._store.commit(
            lambda transaction: self._set(transaction, transfer_id, state=state.value, why=why, **counts)
        )

    @staticmethod
    def _set(transaction: Transaction, transfer_id: str, **values: Any) -> None:
        transaction.update("transfer", {"transfer_id": transfer_id}, changed=transaction.time, **values)


def _requester(subject: Subject) -> tuple[str, str]:
    """Who a transfer belongs to: the person or system, at the provider that he acts for."""
    return subject.hsa_id, subject.assignment.provider_hsa_id if subject.assignment else ""
