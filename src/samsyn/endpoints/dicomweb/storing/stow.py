"""STOW-RS (PS3.18 10.5): instances in, one result for each, success only for what is durable."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping

from samsyn.endpoints.dicomweb.answers import Answer, plain_refusal
from samsyn.endpoints.dicomweb.errors_table import FAILURE_REASON
from samsyn.endpoints.dicomweb.storing.assembly import JSON, METADATA_KINDS, XML, Assembled, Assembly
from samsyn.endpoints.dicomweb.storing.part import PartContent
from samsyn.endpoints.dicomweb.storing.request import StoreRequest
from samsyn.endpoints.dicomweb.storing.results import response
from samsyn.endpoints.dicomweb.storing.run import Run
from samsyn.endpoints.dicomweb.storing.taking import DICOM, Taking, as_it_is, refused_part
from samsyn.errors import BadInput, LimitExceeded, SamsynError
from samsyn.ingest.receive import Intake
from samsyn.limits import MAX_STOW_IN_PLACE_BYTES, MAX_STOW_IN_PLACE_TOGETHER_BYTES
from samsyn.providers.connections import System
from samsyn.wire.multipart import (
    MultipartReader,
    PartBegin,
    PartData,
    PartEnd,
    boundary_of,
    parse_media_type,
)

_TAKEN = (
    "Instances are taken as application/dicom, application/dicom+json or application/dicom+xml, several and those with"
    " bulk data in multipart/related."
)


class Stow:
    """Takes instances."""

    def __init__(self, intake: Intake) -> None:
        self._intake = intake
        self._in_place = 0
        """Bytes of bodies that are taken in place."""

    def take(
        self,
        system: System,
        request: StoreRequest,
        session_id: str,
        length: int,
        answered: Callable[[Answer], None],
    ) -> Taking | None:
        """Takes a body of `length` bytes where the listener reads it to; `answered` is told what `store` would answer,
        when all of it has come. None: `store` is to be asked. BadInput, NotSupported, LimitExceeded: likewise."""
        if length > MAX_STOW_IN_PLACE_BYTES or self._in_place + length > MAX_STOW_IN_PLACE_TOGETHER_BYTES:
            return None
        media_type = parse_media_type(request.content_type)
        if media_type.get("type").lower() not in ("", DICOM):
            return None
        boundary = boundary_of(media_type)

        def ended(answer: Answer | None) -> None:
            self._in_place -= length
            if answer is not None:
                answered(answer)

        taking = Taking(
            boundary,
            length,
            lambda changed: Run(self._intake, system, request, session_id, changed),
            lambda results: response(results, request),
            ended,
        )
        self._in_place += length
        return taking

    async def store(
        self,
        system: System,
        request: StoreRequest,
        session_id: str,
        chunks: AsyncIterator[bytes],
    ) -> Answer:
        """200 when every instance is durable, 202 when some are, 409 when none is (503 when nothing but our own
        disk was the reason); 400, 413 or 415 when the request as a whole can not be read and nothing was taken.

        Parts are handed on while the rest still arrives, so that one sync serves many; a request that ends too
        early still reports each part that came whole. Metadata and bulk data apart from each other are put
        together when all have come. `session_id`: its name in the audit journal.
        """
        media_type = parse_media_type(request.content_type)
        root = media_type.get("type").lower()
        coming = _Coming(self._intake, system, request, session_id)
        try:
            if media_type.kind == DICOM:
                await coming.take_single(chunks)
            elif media_type.kind == "multipart/related" and root in ("", DICOM):
                await coming.take_parts(MultipartReader(boundary_of(media_type)), chunks)
            elif media_type.kind == "multipart/related" and root in METADATA_KINDS:
                await coming.take_apart(MultipartReader(boundary_of(media_type)), chunks)
            elif media_type.kind in (JSON, XML):
                await coming.take_metadata(media_type.kind, chunks)
            else:
                return plain_refusal(415, _TAKEN)
        except (BadInput, LimitExceeded) as error:
            coming.run.refused(error)
        finally:
            await coming.finish()
        results = coming.run.results()
        if not results:
            raise BadInput("the request has no parts")
        return response(results, request)


class _Coming:
    """One request whose body comes in pieces."""

    def __init__(self, intake: Intake, system: System, request: StoreRequest, session_id: str) -> None:
        self._intake = intake
        self._changed = asyncio.Event()
        self.run = Run(intake, system, request, session_id, self._changed.set)

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
                            refused = refused_part(headers)
                        case PartData(data):
                            refused = refused or await _added(content, data)
                        case PartEnd():
                            if refused is None:
                                await self._begin(content)
                            else:
                                self.run.note(FAILURE_REASON[refused.code])
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
                        as_it_is(headers)
                        content = bytearray()
                    case PartData(data):
                        assembly.room_for(len(content) + len(data))
                        content += data
                    case PartEnd():
                        await asyncio.to_thread(assembly.take, headers, bytes(content))
        reader.finish()
        await self._begin_each(assembly)

    async def take_metadata(self, kind: str, chunks: AsyncIterator[bytes]) -> None:
        """A body that is metadata alone (PS3.18 table 10.5.4-1): instances whose values are all inside them."""
        assembly = Assembly()
        content = bytearray()
        async for chunk in chunks:
            assembly.room_for(len(content) + len(chunk))
            content += chunk
        await asyncio.to_thread(assembly.take, {"content-type": kind}, bytes(content))
        await self._begin_each(assembly)

    async def _begin_each(self, assembly: Assembly) -> None:
        instances = assembly.instances()
        while (made := await asyncio.to_thread(next, instances, None)) is not None:
            await self._begin(made)

    async def _begin(self, content: PartContent | Assembled) -> None:
        """Hands a part on; waits only while too much is under way."""
        while not self.run.has_room(len(content.data)):
            await self._something_ends()
        if isinstance(content, Assembled):
            self.run.begin_assembled(content)
        else:
            self.run.begin_part(content)

    async def finish(self) -> None:
        """Waits for everything under way."""
        while not self.run.is_idle:
            await self._something_ends()

    async def _something_ends(self) -> None:
        self._changed.clear()
        await self._changed.wait()


async def _added(content: PartContent, data: bytes | bytearray | memoryview) -> SamsynError | None:
    """Adds bytes to a part; why the part is refused, after which it holds nothing."""
    try:
        await content.add(data)
    except SamsynError as error:
        content.drop()
        return error
    return None
