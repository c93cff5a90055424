"""The DICOMweb door over real rooms, in process."""

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset

from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper
from samsyn.cli import scratch
from samsyn.clock import Clock, SystemClock
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.endpoints.dicomweb.door import DicomwebDoor
from samsyn.errors import NotAuthenticated
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.sending import Sending
from samsyn.ingest.amendments import Amendments
from samsyn.ingest.receive import Intake
from samsyn.ingest.rejections import Rejections
from samsyn.model.subject import Subject
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.children import DecodingChildren
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.changes import Changes
from samsyn.search.find import Finder
from samsyn.settings import Settings
from samsyn.store.documents import Documents
from samsyn.wire.multipart import (
    MultipartReader,
    PartBegin,
    PartData,
    boundary_of,
    closing,
    parse_media_type,
    part_head,
)
from samsyn.wire.whole_answer import Ready
from samsyn.wire.whole_body import CONNECTION
from tests.indexes import make_store
from tests.ports import free_port

EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


class House:
    """One store with the rooms above it and the door. `people`: subjects by bearer token."""

    in_place = False
    """Whether bodies are read to where the door wants them, where it does."""

    def __init__(self, folder: Path, pictures: Any = None) -> None:
        clock = SystemClock()
        made = scratch.make(folder)
        self.sink_port = free_port()
        """Where the move destination SINK listens: other tests have theirs at the same time."""
        values = made.settings.model_dump(mode="json")
        for peer in (peer for provider in values["provider"] for peer in provider["dicom_peer"]):
            if peer["ae_title"] == "SINK":
                peer["port"] = self.sink_port
        self.scratch = replace(made, settings=Settings.model_validate(values))
        self.store = make_store(folder, clock)
        self.store.start()
        self.executor = ThreadPoolExecutor(2)
        self.connections = Connections(self.scratch.settings)
        self.intake = Intake(self.store, clock)
        self.documents = Documents(self.store, self.executor, clock)
        self.retriever = Retriever(self.store, self.documents)
        self.finder = Finder(self.store, clock)
        self.gatekeeper = Gatekeeper(self.store, clock)
        self.lookup = PatientLookup(self.store, clock)
        self.opened = OpenedPatients()
        self.people: dict[str, Subject] = {}
        self.feed_clock: Clock = clock
        self.children = DecodingChildren(1)
        self.use(pictures)

    def use(
        self, pictures: Any, origins: tuple[str, ...] = (), children: DecodingChildren | None = None
    ) -> None:
        """Opens the door with a room that makes pictures, to the pages of other origins."""
        self.children = children or self.children
        transcoder = Transcoder(self.retriever, self.children)
        self.sending = Sending(
            self.store,
            SystemClock(),
            self.retriever,
            transcoder,
            self.gatekeeper,
            self.connections,
            AssociationPool(SystemClock(), "SAMSYN", None),
            lambda: None,
        )
        self.door = DicomwebDoor(
            self.identify,
            self.connections,
            self.intake,
            self.finder,
            self.retriever,
            self.gatekeeper,
            self.lookup,
            self.opened,
            pictures,
            transcoder,
            Rejections(self.retriever, self.intake, SystemClock()),
            Amendments(self.store, self.retriever, SystemClock()),
            Changes(self.store, self.feed_clock),
            self.sending,
            origins,
        )

    def identify(self, scope: Mapping[str, Any]) -> Subject:
        headers = dict(scope["headers"])
        secret = headers.get(b"authorization", b"").decode().removeprefix("Bearer ")
        secret = secret or headers.get(b"cookie", b"").decode()
        if secret not in self.people:
            raise NotAuthenticated
        return self.people[secret]

    def client(self, token: str = "NORDWEB", **headers: str) -> httpx.AsyncClient:
        """A client of the door with a system's token."""
        secret = self.scratch.system_tokens.get(token, token)
        authorization = {"Authorization": f"Bearer {secret}"} if secret else {}
        return httpx.AsyncClient(
            transport=InPlace(self.door) if self.in_place else httpx.ASGITransport(app=self.door),
            base_url="http://samsyn.test/dicomweb",
            headers={**authorization, **headers},
        )

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        return self.store.peek(lambda connection: [tuple(row) for row in connection.execute(sql)])

    def close(self) -> None:
        self.executor.shutdown()
        self.store.close()


class InPlace(httpx.AsyncBaseTransport):
    """Hands requests to the door as our listener does."""

    def __init__(self, door: DicomwebDoor, step: int = 1_000) -> None:
        self._door = door
        self._otherwise = httpx.ASGITransport(app=door)
        self._step = step

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """One request."""
        length = int(request.headers.get("content-length", "0"))
        answer: asyncio.Future[Ready] = asyncio.get_running_loop().create_future()
        taker = self._door.take_body(scope_of(request), length, answer.set_result) if length else None
        if taker is None:
            return await self._otherwise.handle_async_request(request)
        left = memoryview(await request.aread())
        while left:
            assert not answer.done()
            room = taker.room()
            count = min(len(room), len(left), self._step)
            room[:count] = left[:count]
            taker.filled(count)
            left = left[count:]
        status, headers, pieces = await answer
        return httpx.Response(status, headers=list(headers), content=b"".join(pieces))


def scope_of(request: httpx.Request) -> dict[str, Any]:
    """The ASGI scope of a request."""
    return {
        "type": "http",
        "method": request.method,
        "scheme": request.url.scheme,
        "path": request.url.path,
        "query_string": request.url.query,
        "headers": [(name.lower(), value) for name, value in request.headers.raw],
        "client": ("127.0.0.1", 123),
        "server": (request.url.host, request.url.port),
        CONNECTION: {},
    }


def image(number: int = 1, **changes: Any) -> Dataset:
    """A small two-frame CT image of Tolvan Tolvansson."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID = CT
    made.SOPInstanceUID = f"2.25.100{number}"
    made.StudyInstanceUID = "2.25.10"
    made.SeriesInstanceUID = "2.25.11"
    made.PatientID = "19121212-1212"
    made.PatientName = "Tolvansson^Tolvån"
    made.PatientBirthDate = "19121212"
    made.StudyDate = "20240301"
    made.StudyDescription = "Thorax"
    made.AccessionNumber = "A1"
    made.Modality = "CT"
    made.InstanceNumber = number
    made.NumberOfFrames = 2
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored = 2, 2, 16, 12
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 11, 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = bytes(range(16))
    for name, value in changes.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def data_set(made: Dataset) -> bytes:
    """The data set in explicit VR little endian."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, False
    write_dataset(stream, made)
    return bytes(stream.getvalue())


def file_of(
    data: bytes, sop_instance_uid: str = "2.25.1001", syntax: str = EXPLICIT, sop_class: str = CT
) -> bytes:
    """A Part 10 file around a data set."""
    return file_preamble_and_meta(sop_class, sop_instance_uid, syntax) + data


def image_file(number: int = 1, **changes: Any) -> bytes:
    made = image(number, **changes)
    return file_of(data_set(made), str(made.get("SOPInstanceUID", "2.25.9999")))


def body_of(files: list[bytes], kind: str = "application/dicom") -> bytes:
    """A multipart body with boundary B."""
    parts = [part_head("B", kind, first=number == 0) + content for number, content in enumerate(files)]
    return b"".join(parts) + closing("B")


STOW_TYPE = 'multipart/related; type="application/dicom"; boundary=B'


async def store(client: httpx.AsyncClient, files: list[bytes], path: str = "/studies") -> httpx.Response:
    """STOW-RS of files."""
    return await client.post(path, content=body_of(files), headers={"Content-Type": STOW_TYPE})


def parts_of(response: httpx.Response) -> list[tuple[str, bytes]]:
    """(content type, bytes) of each part of a multipart answer."""
    reader = MultipartReader(boundary_of(parse_media_type(response.headers["content-type"])))
    found: list[tuple[str, bytes]] = []
    for event in reader.feed(response.content):
        if isinstance(event, PartBegin):
            found.append((event.headers["content-type"], b""))
        elif isinstance(event, PartData):
            found[-1] = (found[-1][0], found[-1][1] + event.data)
    reader.finish()
    return found


def subject_like(house: House, token: str, **changes: Any) -> Subject:
    """A subject of the same unit as a system's."""
    system = house.connections.token(house.scratch.system_tokens[token])
    assert system is not None
    return replace(system.subject, **changes)
