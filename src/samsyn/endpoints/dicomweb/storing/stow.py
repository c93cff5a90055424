"""STOW-RS (PS3.18 10.5): instances in, one result for each, success only for what is durable."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, replace

from samsyn.dicom.json import attributes_to_json
from samsyn.dicom.part10 import MEDIA_STORAGE_SOP_CLASS, MEDIA_STORAGE_SOP_INSTANCE
from samsyn.dicom.uids import is_uid
from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.datasets import Form, one_data_set
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON
from samsyn.endpoints.dicomweb.storing.assembly import METADATA_KINDS, Assembled, Assembly
from samsyn.endpoints.dicomweb.storing.part import PartContent
from samsyn.errors import BadInput, LimitExceeded, NotSupported, SamsynError
from samsyn.ingest.arriving import LargeArrival
from samsyn.ingest.receive import Arrival, Intake
from samsyn.limits import MAX_STOW_PENDING_BYTES, MAX_STOW_PENDING_INSTANCES
from samsyn.model.attributes import Attributes
from samsyn.providers.connections import System
from samsyn.wire.multipart import (
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    parse_media_type,
)

_DICOM = "application/dicom"
_TAKEN = (
    "Instances are taken as application/dicom, application/dicom+json or application/dicom+xml"
    " in multipart/related."
)
_INTERNAL = FAILURE_REASON["internal"]
_DONE = frozenset({"stored", "already-stored"})


@dataclass(frozen=True, slots=True)
class _Result:
    """What became of one part. `failure` 0 = durable."""

    failure: int
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_uid: str = ""
    series_uid: str = ""
    retry: bool = False
    """Whether sending it again later may help."""


class Stow:
    """Takes instances."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake

    async def store(
        self,
        system: System,
        study_uid: str,
        content_type: str,
        chunks: AsyncIterator[bytes],
        request: tuple[str, str],
        base: str,
        form: Form | None,
    ) -> Answer:
        """200 when every instance is durable, 202 when some are, 409 when none is (503 when nothing but our own
        disk was the reason); 400, 413 or 415 when the request as a whole can not be read and nothing was taken.

        Parts are handed on while the rest still arrives, so that one sync serves many; a request that ends too
        early still reports each part that came whole. Metadata and bulk data apart from each other are put
        together when all have come. `study_uid` "" = any study; `request`: its name, and the connection that it came
        by; `form`: in what the results are told.
        """
        media_type = parse_media_type(content_type)
        root = media_type.get("type").lower()
        run = _Run(self._intake, system, study_uid, *request)
        try:
            if media_type.kind == _DICOM:
                await run.take_single(chunks)
            elif media_type.kind == "multipart/related" and root in ("", _DICOM):
                await run.take_parts(MultipartReader(boundary_of(media_type)), chunks)
            elif media_type.kind == "multipart/related" and root in METADATA_KINDS:
                await run.take_apart(MultipartReader(boundary_of(media_type)), chunks)
            else:
                return plain_refusal(415, _TAKEN)
        except (BadInput, LimitExceeded) as error:
            if not run.has_begun:
                raise
            run.note(_Result(FAILURE_REASON[error.code]))
        finally:
            results = await run.finish()
        if not results:
            raise BadInput("the request has no parts")
        return _response(results, study_uid, base, form)


class _Run:
    """One request: its parts so far, and what is under way."""

    def __init__(
        self, intake: Intake, system: System, study_uid: str, request_id: str, connection: str
    ) -> None:
        self._intake = intake
        self._system = system
        self._study_uid = study_uid
        self._request_id = request_id
        self._connection = connection
        self._results: list[asyncio.Task[_Result] | _Result] = []
        self._pending: set[asyncio.Task[_Result]] = set()
        self._pending_bytes = 0

    @property
    def has_begun(self) -> bool:
        """Whether a part came whole."""
        return bool(self._results)

    def note(self, result: _Result) -> None:
        """Adds a result that needs no work."""
        self._results.append(result)

    async def take_single(self, chunks: AsyncIterator[bytes]) -> None:
        """A body that is one file."""
        content = PartContent(self._intake)
        try:
            async for chunk in chunks:
                await content.add(chunk)
        except BaseException:
            content.drop()
            raise
        await self._begin(content)

    async def take_parts(self, reader: MultipartReader, chunks: AsyncIterator[bytes]) -> None:
        """A multipart body, part by part as it arrives."""
        content = PartContent(self._intake)
        refused: SamsynError | None = None
        try:
            async for chunk in chunks:
                for event in reader.feed(chunk):
                    match event:
                        case PartBegin(headers):
                            content = PartContent(self._intake)
                            refused = _refused_kind(headers.get("content-type", _DICOM))
                        case PartData(data):
                            refused = refused or await _added(content, data)
                        case PartEnd():
                            if refused is None:
                                await self._begin(content)
                            else:
                                self.note(_Result(FAILURE_REASON[refused.code]))
                            content = PartContent(self._intake)
            reader.finish()
        finally:
            content.drop()

    async def take_apart(self, reader: MultipartReader, chunks: AsyncIterator[bytes]) -> None:
        """A multipart body with metadata and bulk data: nothing is stored before all of it has come."""
        assembly = Assembly()
        headers: Mapping[str, str] = {}
        content = bytearray()
        async for chunk in chunks:
            for event in reader.feed(chunk):
                match event:
                    case PartBegin(headers):
                        content = bytearray()
                    case PartData(data):
                        assembly.room_for(len(content) + len(data))
                        content += data
                    case PartEnd():
                        await asyncio.to_thread(assembly.take, headers, bytes(content))
        reader.finish()
        instances = assembly.instances()
        while (made := await asyncio.to_thread(next, instances, None)) is not None:
            if made.error is not None:
                reason = FAILURE_REASON[made.error.code]
                self.note(_Result(reason, made.sop_class_uid, made.sop_instance_uid))
            else:
                await self._begin(made)

    async def _begin(self, content: PartContent | Assembled) -> None:
        """Hands a part on; waits only while too much is under way."""
        size = len(content.data)
        while self._pending and (
            self._pending_bytes + size > MAX_STOW_PENDING_BYTES
            or len(self._pending) >= MAX_STOW_PENDING_INSTANCES
        ):
            await asyncio.wait(self._pending, return_when=asyncio.FIRST_COMPLETED)
        task = asyncio.create_task(self._store(content))
        self._pending_bytes += size
        self._pending.add(task)

        def done(finished: asyncio.Task[_Result]) -> None:
            self._pending.discard(finished)
            self._pending_bytes -= size

        task.add_done_callback(done)
        self._results.append(task)

    async def finish(self) -> list[_Result]:
        """Waits for everything under way; results in the order of the parts."""
        return [await result if isinstance(result, asyncio.Task) else result for result in self._results]

    async def _store(self, content: PartContent | Assembled) -> _Result:
        """One instance: a file, or a data set that was put together; received, and what became of it."""
        if isinstance(content, Assembled):
            named = _Result(_INTERNAL, content.sop_class_uid, content.sop_instance_uid)
            return await self._receive(named, content.transfer_syntax_uid, bytearray(content.data))
        try:
            try:
                found = content.split()
            except SamsynError as error:
                return _Result(FAILURE_REASON[error.code])
            named = _Result(
                _INTERNAL,
                _uid(found.values.get(MEDIA_STORAGE_SOP_CLASS, "")),
                _uid(found.values.get(MEDIA_STORAGE_SOP_INSTANCE, "")),
            )
            return await self._receive(named, found.transfer_syntax_uid, content.large or content.data)
        finally:
            content.drop()

    async def _receive(self, named: _Result, syntax: str, data: bytearray | LargeArrival) -> _Result:
        arrival = Arrival(
            self._system.sender,
            syntax,
            self._request_id,
            sop_class_uid=named.sop_class_uid,
            sop_instance_uid=named.sop_instance_uid,
            study_uid=self._study_uid,
            source=self._connection,
        )
        try:
            body = await data.whole() if isinstance(data, LargeArrival) else data
            receipt, summary = await self._intake.receive(arrival, body)
        except SamsynError as error:
            return replace(named, failure=FAILURE_REASON[error.code], retry=error.may_retry)
        failure = 0 if receipt.outcome in _DONE else FAILURE_REASON.get(receipt.reason, 0x0110)
        return _Result(
            failure, summary.sop_class_uid, summary.sop_instance_uid, summary.study_uid, summary.series_uid
        )


async def _added(content: PartContent, data: bytes | bytearray | memoryview) -> SamsynError | None:
    """Adds bytes to a part; why the part is refused, after which it holds nothing."""
    try:
        await content.add(data)
    except SamsynError as error:
        content.drop()
        return error
    return None


def _refused_kind(content_type: str) -> SamsynError | None:
    """Why a part of this type is not taken among files."""
    try:
        kind = parse_media_type(content_type).kind
    except SamsynError as error:
        return error
    return None if kind == _DICOM else NotSupported("only application/dicom parts are taken")


def _uid(text: str) -> str:
    return text if is_uid(text) else ""


def _response(results: Sequence[_Result], study_uid: str, base: str, form: Form | None) -> Answer:
    """The Store Instances Response module (PS3.18 annex I)."""
    stored = [result for result in results if not result.failure]
    failed = [result for result in results if result.failure]
    studies = {result.study_uid for result in stored}
    response: Attributes = {}
    if study_uid or len(studies) == 1:
        response[0x00081190] = ("UR", (f"{base}/studies/{study_uid or next(iter(studies))}",))
    references = tuple(_reference(result, base) for result in stored)
    failures = tuple(_failure(result) for result in failed if result.sop_instance_uid)
    others = tuple(_failure(result) for result in failed if not result.sop_instance_uid)
    for tag, items in ((0x00081198, failures), (0x00081199, references), (0x0008119A, others)):
        if items:
            response[tag] = ("SQ", items)
    model = attributes_to_json(response)
    if not failed:
        return one_data_set(form, model, 200)
    if not stored and all(result.retry for result in failed):
        return replace(one_data_set(form, model, 503), headers=((b"retry-after", b"10"),))
    if not stored:
        return one_data_set(form, model, 409)
    warning = b'299 Samsyn "Some instances were not stored."'
    return replace(one_data_set(form, model, 202), headers=((b"warning", warning),))


def _reference(result: _Result, base: str) -> Attributes:
    address = (
        f"{base}/studies/{result.study_uid}/series/{result.series_uid}/instances/{result.sop_instance_uid}"
    )
    return {
        0x00081150: ("UI", (result.sop_class_uid,)),
        0x00081155: ("UI", (result.sop_instance_uid,)),
        0x00081190: ("UR", (address,)),
    }


def _failure(result: _Result) -> Attributes:
    """The failed instance as it was named; another's bytes under the UID are not described."""
    named: Attributes = {0x00081197: ("US", (result.failure,))}
    if result.sop_instance_uid:
        named[0x00081150] = ("UI", (result.sop_class_uid,) if result.sop_class_uid else ())
        named[0x00081155] = ("UI", (result.sop_instance_uid,))
    return named
