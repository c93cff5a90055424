"""A DICOM door over a real store in this process, objects to send it, and a raw peer."""

import asyncio
import struct
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.uid import CTImageStorage

from samsyn.access.view import Gatekeeper
from samsyn.clock import SystemClock
from samsyn.dicom.encoding import decode
from samsyn.endpoints.dimse.listener import DicomDoor
from samsyn.exchange.exchange import Exchange
from samsyn.exchange.scu import Requestor, connect
from samsyn.ingest.receive import Intake
from samsyn.jobs.queue import Patience
from samsyn.model.attributes import Attributes
from samsyn.providers.connections import Connections
from samsyn.render.children import DecodingChildren
from samsyn.render.transcoding import Transcoder
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import Settings
from samsyn.store.documents import Documents
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import Message
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import AssociateRequest, ProposedContext
from tests.indexes import make_store
from tests.rot import rot
from tests.waiting import PATIENCE_S, until

CT = str(CTImageStorage)
EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
VERIFICATION = "1.2.840.10008.1.1"
STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
PATIENT_FIND = "1.2.840.10008.5.1.4.1.2.1.1"
PATIENT_MOVE = "1.2.840.10008.5.1.4.1.2.1.2"
QUERY_CONTEXTS = [
    (uid, (EXPLICIT,)) for uid in (STUDY_FIND, STUDY_MOVE, STUDY_GET, PATIENT_FIND, PATIENT_MOVE)
]


def settings_of(folder: Path, sink_port: int = 11199) -> Settings:
    """Two providers; BENCH stores and asks, SINK is where its moves go, OTHER belongs to somebody else."""
    unit = {"hsa_id": "SE9990000001-1001", "name": "Röntgen Nordsjukhuset"}
    peers = [
        {"ae_title": "BENCH", "private_classes": True},
        {"ae_title": "STRICT"},
        {"ae_title": "READER", "may_store": False},
        {"ae_title": "WRITER", "may_query": False, "may_retrieve": False},
        {"ae_title": "FARAWAY", "addresses": ["192.0.2.0/24"]},
        {"ae_title": "SINK", "host": "127.0.0.1", "port": sink_port, "notify_availability": True},
    ]
    other = {"hsa_id": "SE9990000002-1001", "name": "Klara Röntgen City"}
    return Settings.model_validate(
        {
            "data": {"folder": str(folder)},
            "dicom": {"port": 0},
            "provider": [
                {
                    "hsa_id": "SE9990000001-0001",
                    "name": "Nordsjukhuset",
                    "local_issuer": "2.25.1",
                    "unit": [unit],
                    "dicom_peer": peers,
                },
                {
                    "hsa_id": "SE9990000002-0001",
                    "name": "Klara Röntgen AB",
                    "unit": [other],
                    "dicom_peer": [{"ae_title": "KLARAPACS", "host": "127.0.0.1", "port": sink_port}],
                },
            ],
        }
    )


class Stage:
    """The rooms that the door needs, on a folder of their own."""

    def __init__(
        self, folder: Path, sink_port: int = 11199, patience: int = 50, settings: Settings | None = None
    ) -> None:
        clock = SystemClock()
        values = settings or settings_of(folder, sink_port)
        self.store = make_store(folder, clock)
        self.store.start()
        self._executor = ThreadPoolExecutor(1)
        self.connections = connections = Connections(values)
        self.gatekeeper = gatekeeper = Gatekeeper(self.store, clock)
        self.retriever = retriever = Retriever(self.store, Documents(self.store, self._executor, clock))
        self.children = DecodingChildren(1)
        """Not running unless a test starts them."""
        transcoder = Transcoder(retriever, self.children)
        exchange = Exchange(
            self.store, clock, values, connections, gatekeeper, retriever, transcoder, Patience(patience, 0.1)
        )
        self.pool, self.sending, self.notices = exchange.pool, exchange.sending, exchange.notices
        self.exchange = exchange.worker
        self.corrections, self.prefetching = exchange.corrections, exchange.prefetching
        self.door = DicomDoor(
            values.dicom,
            values.dicom_tls,
            connections,
            Intake(self.store, clock),
            Finder(self.store, clock),
            retriever,
            transcoder,
            gatekeeper,
            exchange,
        )

    async def __aenter__(self) -> "Stage":
        await self.door.start()
        self.exchange.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.door.stop(5)
        await self.exchange.stop()
        await self.children.stop()
        await self.pool.stop()
        self._executor.shutdown()
        self.store.close()

    def rows(self, sql: str) -> list[tuple[object, ...]]:
        """What the index holds."""
        return self.store.peek(lambda connection: [tuple(row) for row in connection.execute(sql)])

    async def until(self, holds: Callable[[], bool]) -> None:
        """Waits until it holds."""
        await until(holds)

    def damage(self, sop_instance_uid: str) -> None:
        """Turns one bit of a stored object round, as a dying disk would."""
        ((segment, offset, length),) = self.rows(
            f"SELECT segment, body_offset, length FROM instance WHERE sop_uid = '{sop_instance_uid}'"
        )
        assert isinstance(segment, int)
        assert isinstance(offset, int)
        assert isinstance(length, int)
        rot(self.store, segment, offset + length // 2)

    async def connect(
        self,
        calling: str = "BENCH",
        contexts: Sequence[tuple[str, Sequence[str]]] = ((CT, (EXPLICIT,)),),
        called: str = "SAMSYN",
        **options: object,
    ) -> Requestor:
        """An association of a well-behaved system."""
        return await connect("127.0.0.1", self.door.port, called, calling, contexts, **options)  # type: ignore[arg-type]


def image(**changes: object) -> Dataset:
    """A small CT image of Tolvan Tolvansson, with changes."""
    made = Dataset()
    made.SpecificCharacterSet = "ISO_IR 100"
    made.SOPClassUID = CTImageStorage
    made.SOPInstanceUID = "2.25.100"
    made.StudyInstanceUID = "2.25.10"
    made.SeriesInstanceUID = "2.25.11"
    made.PatientID = "19121212-1212"
    made.PatientName = "Tolvansson^Tolvan"
    made.PatientBirthDate = "19121212"
    made.StudyDate = "20240301"
    made.StudyDescription = "DT hjärna"
    made.AccessionNumber = "A1"
    made.Modality = "CT"
    made.InstanceNumber = 1
    made.Rows, made.Columns, made.BitsAllocated, made.BitsStored = 2, 2, 16, 12
    made.HighBit, made.PixelRepresentation, made.SamplesPerPixel = 11, 0, 1
    made.PhotometricInterpretation = "MONOCHROME2"
    made.PixelData = bytes(8)
    for name, value in changes.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def encoded(made: Dataset, implicit: bool = False) -> bytes:
    """The data set without file meta information."""
    stream = DicomBytesIO()
    stream.is_little_endian, stream.is_implicit_VR = True, implicit
    write_dataset(stream, made)
    return bytes(stream.getvalue())


async def store(requestor: Requestor, made: Dataset, **envelope: str) -> dimse.StoreResponse:
    """C-STORE of an image; the envelope says what the image says unless told otherwise."""
    return await requestor.store(
        EXPLICIT,
        envelope.get("sop_class", str(made.get("SOPClassUID", ""))),
        envelope.get("sop_instance", str(made.get("SOPInstanceUID", ""))),
        encoded(made),
    )


def identifier(**keys: str) -> bytes:
    """An identifier by keywords."""
    made = Dataset()
    for name, value in keys.items():
        setattr(made, name, value)
    return encoded(made)


async def ask(
    requestor: Requestor, request_type: type, model: str, keys: bytes, **more: object
) -> tuple[list[Attributes], Message]:
    """The identifiers of the pending responses, and the final response."""
    context_id = requestor.context_of(model)
    assert context_id is not None
    request = request_type(requestor.new_message_id(), model, **more)
    messages = [message async for message in requestor.ask(context_id, request, keys)]
    found = [decode(bytes(message.data), EXPLICIT) for message in messages[:-1] if message.data]
    return found, messages[-1]


class RawPeer:
    """A peer that writes whatever it likes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @classmethod
    async def open(cls, port: int) -> "RawPeer":
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def associate(self, calling: str = "BENCH", called: str = "SAMSYN", **changes: object) -> bytes:
        """Sends a request and returns the answering PDU."""
        contexts = (ProposedContext(1, CT, (EXPLICIT,)), ProposedContext(3, VERIFICATION, (IMPLICIT,)))
        user = own_user_information(Implementation("2.25.2", "RAW"))
        request = AssociateRequest(called, calling, contexts, user, **changes)  # type: ignore[arg-type]
        self.writer.write(pdu.encode_control(request))
        return await self.pdu()

    async def pdu(self, timeout_s: float = PATIENCE_S) -> bytes:
        """The next PDU; empty at the end of the connection."""
        try:
            async with asyncio.timeout(timeout_s):
                header = await self.reader.readexactly(6)
                return header + await self.reader.readexactly(struct.unpack(">I", header[2:])[0])
        except (asyncio.IncompleteReadError, ConnectionError):
            return b""

    async def closed(self, timeout_s: float = 20.0) -> bool:
        """Whether the other side closes: well before a limit that would close anything (ASSOCIATE_TIMEOUT_S)."""
        try:
            async with asyncio.timeout(timeout_s):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            return True
        except TimeoutError:
            return False
        return True

    def close(self) -> None:
        self.writer.close()
