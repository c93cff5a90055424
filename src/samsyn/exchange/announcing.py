"""Telling other systems of a study that was given to the right patient: durable, each system by itself.

Whoever was sent the study under the wrong patient gets a rejection note (IHE RAD IOCM), so that the copies there are
hidden; whoever wants to know of availability is told of the series anew.
"""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Final

import orjson

from samsyn.clock import STOCKHOLM, Clock
from samsyn.dicom.encoding import encode
from samsyn.dicom.rejection_note import KEY_OBJECT_SELECTION, Rejected, rejection_note
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import NotFound, NotSupported, OutOfResources
from samsyn.exchange.pool import AssociationPool
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.patient import Demographics
from samsyn.patients.corrections import ANNOUNCE_CORRECTION
from samsyn.providers.connections import Connections
from samsyn.store.index import correction_rows, patient_rows
from samsyn.store.index.port import IndexConnection
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.wire.dimse_status import StatusKind, status_kind

NOTE_JOB: Final = "rejection-note"
_CONTEXTS: Final = [(KEY_OBJECT_SELECTION, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))]


@dataclass(frozen=True, slots=True)
class _Told:
    """What is to be told of one correction."""

    study_uid: str
    series: tuple[str, ...]
    receivers: tuple[str, ...]
    """AE titles that the study had been sent to before it was corrected."""
    objects: tuple[Rejected, ...]
    patient_id: str
    issuer: str
    said: Demographics


class CorrectionNotices:
    """Work of the kinds ANNOUNCE_CORRECTION and NOTE_JOB. `series_complete` tells of availability."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        connections: Connections,
        pool: AssociationPool,
        series_complete: Callable[[str], Awaitable[None]],
    ) -> None:
        self._store = store
        self._clock = clock
        self._connections = connections
        self._pool = pool
        self._series_complete = series_complete
        self.sent = 0
        """Rejection notes delivered since start, for metrics."""

    async def work(self, job: Job) -> Later | None:
        """Finds out who must be told, and enqueues one durable note for each; twice is once."""
        told = await self._store.read(partial(_told, correction_key=int(job.name)))
        if told is None:
            return None
        for series_uid in told.series:
            await self._series_complete(series_uid)
        receivers = [peer for peer in told.receivers if self._connections.destination(peer) is not None]

        def decide(transaction: Transaction) -> None:
            for peer in receivers:
                payload = {"peer": peer, "uid": f"2.25.{uuid.uuid4().int}"[:61]}
                queue.enqueue(transaction, NOTE_JOB, f"{peer} {job.name}", orjson.dumps(payload).decode())

        if receivers:
            await self._store.commit(decide)
        return None

    async def send_note(self, job: Job) -> Later | None:
        """One attempt to deliver a note. Raises while the peer is away or full; undone meanwhile = nothing to tell."""
        payload = orjson.loads(job.payload)
        destination = self._connections.destination(payload["peer"])
        if destination is None:
            raise NotFound("the peer is not connected any more")
        told = await self._store.read(partial(_told, correction_key=int(job.name.rpartition(" ")[2])))
        if told is None or not told.objects:
            return None
        wait = self._pool.wait_s(destination)
        if wait:
            return Later(wait)
        now = self._clock.now().astimezone(STOCKHOLM)
        note = rejection_note(
            payload["uid"], told.study_uid, told.patient_id, told.issuer, told.said, told.objects, now
        )
        async with self._pool.lease(destination, _CONTEXTS) as requestor:
            context_id = requestor.context_of(KEY_OBJECT_SELECTION)
            if context_id is None:
                raise NotSupported("the peer takes no key object selections")
            syntax = requestor.association.contexts[context_id].transfer_syntax
            answer = await requestor.store(syntax, KEY_OBJECT_SELECTION, payload["uid"], encode(note, syntax))
        if status_kind(answer.status) not in (StatusKind.SUCCESS, StatusKind.WARNING):
            raise OutOfResources(f"the peer answers {answer.status:04X}H to the rejection note")
        self.sent += 1
        return None


def work_of(notices: CorrectionNotices) -> dict[str, Callable[[Job], Awaitable[Later | None]]]:
    """The kinds of work by their names."""
    return {ANNOUNCE_CORRECTION: notices.work, NOTE_JOB: notices.send_note}


def _told(connection: IndexConnection, correction_key: int) -> _Told | None:
    """None when the correction was undone."""
    row = connection.execute(
        "SELECT * FROM correction WHERE correction_key = ? AND ended = ''", (correction_key,)
    ).fetchone()
    if row is None:
        return None
    sent = connection.execute(
        "SELECT s.* FROM study JOIN sent_identity AS s USING(study_key) WHERE study_uid = ?",
        (row["study_uid"],),
    ).fetchone()
    study = correction_rows.study(connection, row["split_uid"] or row["study_uid"])
    corrected = {
        each[0]
        for each in connection.execute(
            "SELECT sop_uid FROM original_body WHERE correction_key = ?", (correction_key,)
        )
    }
    found = correction_rows.objects_of(connection, study["study_key"]) if study else []
    objects = [each for each in found if each["sop_uid"] in corrected]
    former = patient_rows.closure_of(connection, row["from_key"])
    seen = correction_rows.seen_by(connection, former, [row["study_uid"]])
    return _Told(
        study_uid=row["study_uid"],
        series=tuple(dict.fromkeys(each["series_uid"] for each in objects)),
        receivers=tuple(sorted({each["receiver"] for each in seen if each["receiver"]})),
        objects=tuple(Rejected(each["series_uid"], each["sop_class"], each["sop_uid"]) for each in objects),
        patient_id=sent["patient_id"] if sent else "",
        issuer=sent["issuer"] if sent else "",
        said=Demographics(sent["name"], sent["birth_date"], sent["sex"]) if sent else Demographics(),
    )
