"""Instance Availability Notification (PS3.4 Annex R): systems that want it are told of each complete series."""

import uuid
from collections.abc import Callable, Sequence
from typing import Final

import orjson

from samsyn.access.view import Gatekeeper
from samsyn.dicom.encoding import encode
from samsyn.dicom.sop_classes import INSTANCE_AVAILABILITY_NOTIFICATION
from samsyn.dicom.transfer_syntaxes import EXPLICIT_LITTLE, IMPLICIT_LITTLE
from samsyn.errors import NotFound, NotSupported, OutOfResources
from samsyn.exchange.pool import AssociationPool
from samsyn.jobs import queue
from samsyn.jobs.queue import Job, Later
from samsyn.model.attributes import Attributes
from samsyn.model.imaging import StoredInstance
from samsyn.providers.connections import Connections
from samsyn.retrieve.retrieve import Retriever
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.wire import dimse_status as status
from samsyn.wire.dimse_status import StatusKind, status_kind

AVAILABILITY_JOB: Final = "availability-notification"
_CONTEXTS: Final = [(INSTANCE_AVAILABILITY_NOTIFICATION, (EXPLICIT_LITTLE, IMPLICIT_LITTLE))]


class AvailabilityNotices:
    """Enqueues and delivers the notifications."""

    def __init__(
        self,
        store: Store,
        retriever: Retriever,
        gatekeeper: Gatekeeper,
        connections: Connections,
        pool: AssociationPool,
        ae_title: str,
        wake: Callable[[], None],
    ) -> None:
        self._store = store
        self._retriever = retriever
        self._gatekeeper = gatekeeper
        self._connections = connections
        self._pool = pool
        self._ae_title = ae_title
        self._wake = wake
        self.told = 0
        """Notifications delivered since start, for metrics."""

    async def series_complete(self, series_uid: str) -> None:
        """A series has been quiet: one durable notification for each system that wants to know."""
        peers = self._connections.told_of_availability()
        if not peers:
            return
        # The peer makes one object of each notification, so a repetition must bear the same UID.
        notice_uid = f"2.25.{uuid.uuid4().int}"

        def decide(transaction: Transaction) -> None:
            for peer in peers:
                payload = orjson.dumps({"peer": peer, "series": series_uid, "uid": notice_uid}).decode()
                queue.enqueue(transaction, AVAILABILITY_JOB, f"{peer} {series_uid}", payload)

        await self._store.commit(decide)
        self._wake()

    async def work(self, job: Job) -> Later | None:
        """One attempt to tell. Nothing is told of what the system may not see. Raises while it can not be told."""
        payload = orjson.loads(job.payload)
        system = self._connections.system_named(payload["peer"])
        destination = self._connections.destination(payload["peer"])
        if system is None or destination is None:
            raise NotFound("the peer is not connected any more")
        wait = self._pool.wait_s(destination)
        if wait:
            return Later(wait)
        view = await self._gatekeeper.open_view(system.subject)
        instances = await self._retriever.by_series_uids(view, [payload["series"]])
        if not instances:
            return None
        async with self._pool.lease(destination, _CONTEXTS) as requestor:
            context_id = requestor.context_of(INSTANCE_AVAILABILITY_NOTIFICATION)
            if context_id is None:
                raise NotSupported("the peer takes no notifications of availability")
            syntax = requestor.association.contexts[context_id].transfer_syntax
            answer = await requestor.create(
                context_id,
                INSTANCE_AVAILABILITY_NOTIFICATION,
                payload["uid"],
                encode(notification(instances, self._ae_title), syntax),
            )
        known_already = answer.status == status.DUPLICATE_INSTANCE
        if not known_already and status_kind(answer.status) not in (StatusKind.SUCCESS, StatusKind.WARNING):
            raise OutOfResources(f"the peer answers {answer.status:04X}H to the notification")
        self.told += 1
        return None


def notification(instances: Sequence[StoredInstance], ae_title: str) -> Attributes:
    """The attributes of a notification about one series (PS3.4 Table R.3.2-1)."""
    references: tuple[Attributes, ...] = tuple(
        {
            0x00080054: ("AE", (ae_title,)),
            0x00080056: ("CS", ("ONLINE",)),
            0x00081150: ("UI", (each.sop_class_uid,)),
            0x00081155: ("UI", (each.sop_instance_uid,)),
        }
        for each in instances
    )
    series: Attributes = {
        0x00081199: ("SQ", references),
        0x0020000E: ("UI", (instances[0].series_uid,)),
    }
    return {
        0x00081111: ("SQ", ()),
        0x00081115: ("SQ", (series,)),
        0x0020000D: ("UI", (instances[0].study_uid,)),
    }
