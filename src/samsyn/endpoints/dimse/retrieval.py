"""C-GET and C-MOVE (PS3.4 C.4.2, C.4.3), patient and study root.

Objects leave byte for byte as they came, if the receiver takes their transfer syntax, else uncompressed.
"""

import asyncio
from collections.abc import Sequence

from samsyn import limits
from samsyn.access.view import Gatekeeper, View
from samsyn.dicom.encoding import encode
from samsyn.endpoints.dimse import identifiers
from samsyn.endpoints.dimse.identifiers import FAILED_SOP_INSTANCE_UIDS, PATIENT_ID, STUDY_INSTANCE_UID
from samsyn.endpoints.dimse.link import Link
from samsyn.endpoints.dimse.places import Places
from samsyn.endpoints.dimse.progress import Progress
from samsyn.endpoints.dimse.statuses import comment
from samsyn.errors import (
    BadInput,
    DamagedData,
    LimitExceeded,
    Mismatch,
    NotAllowed,
    NotFound,
    NotSupported,
    OutOfResources,
    SamsynError,
)
from samsyn.exchange.forms import form_for, in_form, proposals
from samsyn.exchange.one_ahead import OneAhead, Told, fits
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.scu import Requestor
from samsyn.model.imaging import StoredInstance
from samsyn.model.streamed import StreamedData
from samsyn.providers.connections import Connections, Destination
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.read_ahead import ReadAhead
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.search.query import Level, Query
from samsyn.wire import dimse_status as status
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import GetRequest, GetResponse, MoveRequest, MoveResponse, StoreRequest, StoreResponse


class Retrieval:
    """Sends to the asking system, or to a known destination of its own provider, what its View shows."""

    def __init__(
        self,
        retriever: Retriever,
        transcoder: Transcoder,
        finder: Finder,
        gatekeeper: Gatekeeper,
        connections: Connections,
        pool: AssociationPool,
    ) -> None:
        self._retriever = retriever
        self._transcoder = transcoder
        self._finder = finder
        self._gatekeeper = gatekeeper
        self._connections = connections
        self._pool = pool
        self._places = Places(limits.MAX_RETRIEVALS)

    async def get(self, link: Link, message: Message, request: GetRequest) -> None:
        """C-GET: every object as a C-STORE on the same association, then the final status."""
        view, instances = await self._asked_for(link, message, request, link.system.sender.name)
        taken = {
            (context.abstract_syntax, context.transfer_syntax): context_id
            for context_id, context in link.contexts.items()
            if context.abstract_syntax in link.is_scp_of
        }
        progress = Progress(len(instances))
        loop = asyncio.get_running_loop()

        def told(instance: StoredInstance, answer: Message | None) -> bool:
            if answer is None:
                return False
            progress.count(instance, _outcome(answer))
            if progress.is_due(loop.time()):
                link.queue(message.context_id, _get_response(request, status.PENDING, progress))
            return not link.is_cancelled(request.message_id)

        run = OneAhead(link, told)
        places = self._places.taken(link.system.sender.name)
        async with places, ReadAhead(self._retriever, view, instances) as ahead:
            for instance in instances:
                if run.is_over or link.is_cancelled(request.message_id):
                    break
                transfer_syntax = form_for(instance, taken)
                if transfer_syntax is None:
                    progress.fail(instance, "no context, or no SCP role, for class and syntax of an object")
                    continue
                context_id = taken[instance.sop_class_uid, transfer_syntax]
                try:
                    stored = await ahead.leaving(instance)
                    data = await in_form(stored, instance, transfer_syntax, self._transcoder, view)
                except (BadInput, DamagedData, LimitExceeded, NotFound, NotSupported) as error:
                    progress.fail(instance, comment(error))
                    continue
                store = StoreRequest(
                    link.new_message_id(),
                    instance.sop_class_uid,
                    instance.sop_instance_uid,
                    request.priority,
                )
                if not isinstance(data, StreamedData) and fits(data):
                    await run.send(instance, context_id, store, data)
                    continue
                await run.finish()
                if not run.is_over:
                    told(instance, await link.store(context_id, store, data))
            await run.finish()
        if not link.is_gone:
            await self._finish(link, message, request, progress)

    async def move(self, link: Link, message: Message, request: MoveRequest) -> None:
        """C-MOVE: every object as a C-STORE to the destination, then the final status."""
        destination = self._connections.destination(request.destination)
        if destination is None or destination.provider != link.system.sender.provider:
            # Sending to another provider is a disclosure; that goes through the exchange desk, not a PACS.
            text = "move destination is not known for this system"
            await link.send(
                message.context_id,
                _move_response(request, status.MOVE_DESTINATION_UNKNOWN, Progress(0), text),
            )
            return
        view, instances = await self._asked_for(link, message, request, destination.ae_title)
        progress = Progress(len(instances))
        if instances:
            async with self._places.taken(destination.ae_title):
                await self._send_all(link, message, request, destination, view, instances, progress)
        if not link.is_gone:
            await self._finish(link, message, request, progress)

    async def _asked_for(
        self, link: Link, message: Message, request: GetRequest | MoveRequest, receiver: str
    ) -> tuple[View, list[StoredInstance]]:
        """The View and what it shows of what was asked for; opened in the audit journal before any byte."""
        context = link.contexts[message.context_id]
        if not link.system.may_retrieve:
            raise NotAllowed("this system may not retrieve")
        if request.sop_class_uid != context.abstract_syntax:
            raise Mismatch("Affected SOP Class is not that of the context")
        targets = identifiers.targets(identifiers.read(message, context), context.abstract_syntax)
        view = await self._gatekeeper.open_view(link.system.subject, with_rejected=link.system.sees_rejected)
        instances = await self._instances(view, targets)
        for study_uid in dict.fromkeys(instance.study_uid for instance in instances):
            await self._gatekeeper.record_opening(view, study_uid, "send", receiver=receiver)
        return view, instances

    async def _instances(self, view: View, targets: identifiers.Targets) -> list[StoredInstance]:
        if targets.level is Level.IMAGE:
            found = await self._retriever.by_instance_uids(view, targets.values)
        elif targets.level is Level.SERIES:
            found = await self._retriever.by_series_uids(view, targets.values)
        else:
            found = []
            for study_uid in await self._studies(view, targets):
                try:
                    found.extend(await self._retriever.instances(view, study_uid))
                except NotFound:
                    # Absent and hidden look alike: there is nothing to send.
                    continue
        found = [
            instance
            for instance in found
            if (not targets.study_uids or instance.study_uid in targets.study_uids)
            and (not targets.series_uids or instance.series_uid in targets.series_uids)
        ]
        if not (targets.patient_id and found):
            return found
        named = list(dict.fromkeys(instance.study_uid for instance in found))
        theirs = frozenset(await self._studies_of(view, targets.patient_id, named))
        return [instance for instance in found if instance.study_uid in theirs]

    async def _studies(self, view: View, targets: identifiers.Targets) -> Sequence[str]:
        if targets.level is Level.STUDY:
            return targets.values
        return await self._studies_of(view, targets.values[0])

    async def _studies_of(self, view: View, patient_id: str, among: Sequence[str] = ()) -> list[str]:
        """The studies of whom the Patient ID means; `among`: no others, () = all."""
        keys = {PATIENT_ID: patient_id}
        if among:
            keys[STUDY_INSTANCE_UID] = "\\".join(among)
        query = Query(Level.STUDY, keys, limit=len(among) or limits.MAX_SEARCH_ROWS)
        studies = await self._finder.find(view, query)
        return [str(study[STUDY_INSTANCE_UID][1][0]) for study in studies]

    async def _send_all(
        self,
        link: Link,
        message: Message,
        request: MoveRequest,
        destination: Destination,
        view: View,
        instances: Sequence[StoredInstance],
        progress: Progress,
    ) -> None:
        try:
            requestor = await self._pool.connect(destination, proposals(instances))
        except SamsynError as error:
            # Whatever the destination has against us is told as failed sub-operations, not as the asker's fault.
            for lost in instances:
                progress.fail(lost, comment(error))
            return
        left = {instance.sop_instance_uid: instance for instance in instances}

        def told(instance: StoredInstance, answer: Message | None) -> bool:
            if answer is None:
                return False
            del left[instance.sop_instance_uid]
            progress.count(instance, _outcome(answer))
            return not link.is_cancelled(request.message_id)

        loop = asyncio.get_running_loop()
        run = OneAhead(requestor, told)
        try:
            async with requestor, ReadAhead(self._retriever, view, instances) as ahead:
                for instance in instances:
                    if run.is_over or link.is_cancelled(request.message_id):
                        break
                    try:
                        await self._send_one(requestor, link, view, request, instance, ahead, run, told)
                    except (BadInput, DamagedData, LimitExceeded, NotFound, NotSupported) as error:
                        del left[instance.sop_instance_uid]
                        progress.fail(instance, comment(error))
                    if progress.is_due(loop.time()):
                        await link.send(message.context_id, _move_response(request, status.PENDING, progress))
                await run.finish()
                if run.is_over and not link.is_cancelled(request.message_id):
                    raise OutOfResources("the peer ended the association, or did not answer in time")
        except OutOfResources as error:
            for lost in left.values():
                progress.fail(lost, comment(error))

    async def _send_one(
        self,
        requestor: Requestor,
        link: Link,
        view: View,
        request: MoveRequest,
        instance: StoredInstance,
        ahead: ReadAhead,
        run: OneAhead,
        told: Told,
    ) -> None:
        agreed = requestor.association.contexts.values()
        transfer_syntax = form_for(
            instance, {(each.abstract_syntax, each.transfer_syntax) for each in agreed}
        )
        if transfer_syntax is None:
            raise NotSupported("the destination takes no form of an object")
        stored = await ahead.leaving(instance)
        data = await in_form(stored, instance, transfer_syntax, self._transcoder, view)
        originator = link.system.sender.name, request.message_id
        store = requestor.store_request(
            instance.sop_class_uid, instance.sop_instance_uid, originator, request.priority
        )
        context_id = requestor.context_for(instance.sop_class_uid, transfer_syntax)
        if not isinstance(data, StreamedData) and fits(data):
            await run.send(instance, context_id, store, data)
            return
        await run.finish()
        if not run.is_over:
            told(instance, await requestor.call(context_id, store, data))

    async def _finish(
        self, link: Link, message: Message, request: GetRequest | MoveRequest, progress: Progress
    ) -> None:
        cancelled = progress.remaining > 0 and link.is_cancelled(request.message_id)
        code = status.CANCELLED if cancelled else progress.final_status()
        data = None
        if progress.failed:
            failed: tuple[object, ...] = tuple(progress.failed)
            data = encode(
                {FAILED_SOP_INSTANCE_UIDS: ("UI", failed)}, link.contexts[message.context_id].transfer_syntax
            )
        if isinstance(request, GetRequest):
            await link.send(message.context_id, _get_response(request, code, progress), data)
        else:
            await link.send(message.context_id, _move_response(request, code, progress), data)


def _outcome(answer: Message) -> int:
    command = answer.command
    return command.status if isinstance(command, StoreResponse) else status.PROCESSING_FAILURE


def _counts(progress: Progress, is_pending: bool) -> tuple[int | None, int, int, int]:
    """Remaining (only while some may be left, PS3.4 C.4.2.1.6), completed, failed, warning; 16 bits each."""
    remaining = min(progress.remaining, 0xFFFF) if is_pending else None
    return (
        remaining,
        min(progress.completed, 0xFFFF),
        min(len(progress.failed), 0xFFFF),
        min(progress.warning, 0xFFFF),
    )


def _get_response(request: GetRequest, code: int, progress: Progress) -> GetResponse:
    is_open = code in (status.PENDING, status.CANCELLED)
    counts = _counts(progress, is_open)
    return GetResponse(request.message_id, code, request.sop_class_uid, _why(code, progress), *counts)


def _move_response(request: MoveRequest, code: int, progress: Progress, text: str = "") -> MoveResponse:
    is_open = code in (status.PENDING, status.CANCELLED)
    counts = _counts(progress, is_open)
    return MoveResponse(
        request.message_id, code, request.sop_class_uid, text or _why(code, progress), *counts
    )


def _why(code: int, progress: Progress) -> str:
    return "" if code == status.PENDING else progress.why
