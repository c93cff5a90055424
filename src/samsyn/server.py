"""The wiring: makes every room and door, starts and stops them in order. The only module that knows them all."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute

from samsyn import limits
from samsyn.access.view import Gatekeeper
from samsyn.clock import Clock
from samsyn.endpoints.admin.health import Reading, health_routes
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.ingest.filing import SERIES_DOCUMENT, SERIES_QUIET_S
from samsyn.ingest.receive import Intake
from samsyn.jobs.queue import Job, Later, Worker
from samsyn.model.patient import Demographics, DemographicsOrigin
from samsyn.patients import registry
from samsyn.patients.identifiers import identify
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.reports.examination import History
from samsyn.reports.file import Filing
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import Settings
from samsyn.store.documents import Documents
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction

log = logging.getLogger(__name__)

_STOP_S = 20.0


class Server:
    """One Samsyn process in embedded mode."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="documents")
        self._started = False
        self._stopping = False
        self.http_port = settings.http.port
        self.dicom_port = settings.dicom.port
        self.mllp_port = settings.mllp.port

    async def start(self) -> None:
        """Opens the store (replaying what a crash left), then the rooms, then the doors."""
        settings, clock = self._settings, self._clock
        self._store = Store(settings.data.folder, clock)
        self._store.start()
        if self._store.replayed:
            log.info("journal-replayed", extra={"count": self._store.replayed})
        self._connections = Connections(settings)
        self._gatekeeper = Gatekeeper(self._store, clock)
        self._intake = Intake(self._store, clock)
        self._documents = Documents(self._store, self._executor, clock)
        self._retriever = Retriever(self._store, self._documents)
        self._finder = Finder(self._store, clock)
        self._history = History(self._store)
        self._lookup = PatientLookup(self._store, clock)
        self._worker = Worker(self._store, clock, {SERIES_DOCUMENT: self._prepare_series})
        self._worker.start()
        self._filing = Filing(self._store, clock, self._connections.providers)
        self._hl7 = Hl7Door(settings.mllp, self._connections, self._filing, clock)
        await self._hl7.start()
        self.mllp_port = self._hl7.port
        http_socket = _listening(settings.http.host, settings.http.port)
        self.http_port = http_socket.getsockname()[1]
        await self._start_http(http_socket)
        self._started = True

    async def _start_http(self, listening: socket.socket) -> None:
        routes: list[BaseRoute] = [*health_routes(self.not_ready, self._readings)]
        application = Starlette(routes=routes)
        config = uvicorn.Config(
            application,
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            http="httptools",
            ws="none",
            timeout_graceful_shutdown=10,
            h11_max_incomplete_event_size=64 * limits.KIB,
        )
        self._http = _HttpServer(config)
        self._http_task = asyncio.create_task(self._http.serve([listening]), name="http")
        while not self._http.started:
            if self._http_task.done():
                await self._http_task
            await asyncio.sleep(0.005)

    async def _prepare_series(self, job: Job) -> Later | None:
        wait = await self._documents.prepare(job.name, SERIES_QUIET_S)
        return Later(wait) if wait else None

    async def stop(self) -> None:
        """Closes the doors first, finishes what is under way, then the store. Ends within 30 s."""
        self._stopping = True
        await self._hl7.stop()
        self._http.should_exit = True
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._http_task, _STOP_S)
        await self._worker.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    def not_ready(self) -> list[str]:
        """Why this process should get no work just now; empty = it should."""
        reasons: list[str] = []
        if not self._started:
            reasons.append("starting")
        if self._stopping:
            reasons.append("stopping")
        if not self._store.healthy:
            reasons.append("the store has stopped taking writes")
        elif self._store.free_bytes() < limits.DISK_RESERVE_BYTES:
            reasons.append("the disk is nearly full")
        return reasons

    def _readings(self) -> list[Reading]:
        store, intake, worker = self._store, self._intake, self._worker
        return [
            Reading("store_records_total", "Journal records written", store.records),
            Reading("store_syncs_total", "Disk syncs of the journal", store.syncs),
            Reading("store_replayed", "Journal records replayed at start", store.replayed),
            Reading("store_free_bytes", "Free space on the data folder's disk", store.free_bytes()),
            Reading("instances_stored_total", "Instances stored", intake.stored),
            Reading("instances_repeated_total", "Instances sent again with the same bytes", intake.repeated),
            Reading("instances_held_total", "Instances held for a steward", intake.held),
            Reading("messages_stored_total", "HL7 messages filed", self._filing.stored),
            Reading("messages_repeated_total", "HL7 messages sent again", self._filing.repeated),
            Reading("messages_held_total", "HL7 messages held for a steward", self._filing.held),
            Reading("hl7_connections", "Open HL7 connections", self._hl7.connections),
            Reading("jobs_done_total", "Jobs finished", worker.done),
            Reading("jobs_parked_total", "Jobs given up after repeated failures", worker.parked),
        ]

    async def add_test_persons(self, persons: Sequence[tuple[str, str, str, str]]) -> None:
        """Files invented persons (number, name, birth date, sex) as a patient register would."""
        today = self._clock.now().date()

        def decide(transaction: Transaction) -> None:
            for number, name, birth_date, sex in persons:
                identifier = identify(number, "", "", today)
                known = Demographics(name, birth_date, sex)
                registry.find_or_make(transaction, identifier, known, DemographicsOrigin.ADT)

        await self._store.commit(decide)

    def issue_persona_tokens(self) -> dict[str, str]:
        """A fresh bearer token for each demo persona."""
        return {}


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the command line decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known before the door opens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind((host, port))
    listening.listen(1_024)
    listening.setblocking(False)
    return listening
