"""The wiring: makes every room and door, starts and stops them in order. The only module that knows them all."""

import asyncio
import contextlib
import logging
import socket
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from samsyn import __version__, limits
from samsyn.access.administration import RegisterAdministration
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.identification import Identification
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.authentication.sign_on import sign_on
from samsyn.access.authentication.tokens import Tokens
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.national.connected import block_replica
from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper
from samsyn.audit.anchoring import Anchoring
from samsyn.audit.anchors import signing_key
from samsyn.clock import Clock
from samsyn.endpoints.admin.health import Reading, health_routes
from samsyn.endpoints.demo_idp.personas import PERSONAS, Persona
from samsyn.endpoints.demo_idp.provider import PATH as DEMO_IDP_PATH
from samsyn.endpoints.demo_idp.provider import DemoIdp
from samsyn.endpoints.dicomweb.door import PREFIX as DICOMWEB_PREFIX
from samsyn.endpoints.dicomweb.door import DicomwebDoor
from samsyn.endpoints.dimse.listener import DicomDoor
from samsyn.endpoints.fhir.routes import FhirDependencies, fhir_routes
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.routes import viewer_routes
from samsyn.errors import ConfigurationError
from samsyn.exchange.availability import AVAILABILITY_JOB, AvailabilityNotices
from samsyn.exchange.commitment import STORAGE_COMMITMENT_JOB, Commitments
from samsyn.exchange.pool import AssociationPool
from samsyn.exchange.sending import SEND_JOB, Sending
from samsyn.ingest.filing import SERIES_DOCUMENT, SERIES_QUIET_S
from samsyn.ingest.receive import Intake
from samsyn.jobs.queue import Job, Later, Patience, Worker
from samsyn.model.patient import Demographics, DemographicsOrigin
from samsyn.model.subject import Subject
from samsyn.patients import registry
from samsyn.patients.corrections import LATE_OBJECT
from samsyn.patients.identifiers import identify
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.render.transcoding import Transcoder
from samsyn.reports.examination import History
from samsyn.reports.file import Filing
from samsyn.reports.stewardship.decisions import Decisions
from samsyn.reports.stewardship.moving import Mover
from samsyn.reports.stewardship.worklists import WorkLists
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.find import Finder
from samsyn.settings import Settings
from samsyn.store.documents import Documents
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling

log = logging.getLogger(__name__)

_STOP_S = 20.0
_DICOMWEB_START = f"{DICOMWEB_PREFIX}/"


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
        """Opens the store (replaying what a crash left), then the rooms, then the doors.

        ConfigurationError, DamagedData: the store can not be opened. ConfigurationError, OSError: a port is taken.
        Whatever had begun by then is ended again.
        """
        async with contextlib.AsyncExitStack() as undo:
            http_socket = undo.enter_context(_listening(self._settings.http.host, self._settings.http.port))
            self.http_port = http_socket.getsockname()[1]
            self._base = f"http://{self._settings.http.host}:{self.http_port}"
            self._open_store()
            undo.callback(self._store.close)
            self._make_rooms()
            self._make_doors()
            await self._anchoring.start()
            undo.push_async_callback(self._anchoring.stop)
            await self._blocks.start()
            undo.push_async_callback(self._blocks.stop)
            self._worker.start()
            undo.push_async_callback(self._worker.stop)
            self._exchange.start()
            undo.push_async_callback(self._pool.stop)
            undo.push_async_callback(self._exchange.stop)
            self._scrub.start()
            undo.push_async_callback(self._scrub.stop)
            self._settling.start()
            undo.push_async_callback(self._settling.stop)
            self._giving_back.start()
            undo.push_async_callback(self._giving_back.stop)
            await self._children.start()
            undo.push_async_callback(self._children.stop)
            await self._hl7.start()
            undo.push_async_callback(self._hl7.stop)
            self.mllp_port = self._hl7.port
            await self._dicom.start()
            undo.push_async_callback(self._dicom.stop, 0.0)
            self.dicom_port = self._dicom.port
            await self._start_http(http_socket)
            undo.pop_all()
        self._started = True

    def _open_store(self) -> None:
        data = self._settings.data
        self._store = Store(data.folder, self._clock, data.second_copy)
        self._store.start()
        if self._store.replayed:
            log.info("journal-replayed", extra={"count": self._store.replayed})
        self._documents = Documents(self._store, self._executor, self._clock)
        self._scrub = Scrub(self._store, self._clock, data.scrub_days, data.scrub_mib_per_s)

    def _make_rooms(self) -> None:
        store, clock = self._store, self._clock
        self._connections = Connections(self._settings)
        self._gatekeeper = Gatekeeper(store, clock, blocks_known=lambda: self._blocks.is_known())
        self._blocks = block_replica(self._settings.national, store, clock, self._gatekeeper.registers)
        self._lookup = PatientLookup(store, clock)
        self._finder = Finder(store, clock)
        self._retriever = Retriever(store, self._documents)
        self._mover = Mover(store, clock, self._retriever.known.forget)
        self._history = History(store)
        self._intake = Intake(store, clock)
        quiet_s = self._settings.data.settle_after_s
        self._settling = Settling(store, clock, quiet_s, self._intake.is_busy)
        self._giving_back = GivingBack(store, clock, self._intake.is_busy)
        self._filing = Filing(store, clock, self._connections.providers)
        self._children = DecodingChildren()
        self._transcoder = Transcoder(self._retriever, self._children)
        self._pictures = Pictures(
            self._retriever, self._children, store.folder / "derived" / "pictures", clock
        )
        self._worker = Worker(
            store, clock, {SERIES_DOCUMENT: self._prepare_series, LATE_OBJECT: self._mover.file_late}
        )
        self._anchoring = self._make_anchoring()
        self._pool = AssociationPool(clock, self._settings.dicom.ae_title)
        self._commitments = Commitments(
            store, self._retriever, self._gatekeeper, self._connections, self._pool, self._wake_exchange
        )
        self._notices = AvailabilityNotices(
            store,
            self._retriever,
            self._gatekeeper,
            self._connections,
            self._pool,
            self._settings.dicom.ae_title,
            self._wake_exchange,
        )
        self._sending = Sending(
            store,
            clock,
            self._retriever,
            self._transcoder,
            self._gatekeeper,
            self._connections,
            self._pool,
            self._wake_exchange,
        )
        self._exchange = Worker(
            store,
            clock,
            {
                STORAGE_COMMITMENT_JOB: self._commitments.work,
                SEND_JOB: self._sending.work,
                AVAILABILITY_JOB: self._notices.work,
            },
            limits.MAX_OUTGOING_JOBS,
            Patience(limits.OUTGOING_ATTEMPTS, limits.OUTGOING_RETRY_S),
        )
        self._opened = OpenedPatients()
        self._tokens = Tokens()
        self._sessions = Sessions(clock, self._session_ended)
        self._outbound = httpx.AsyncClient(trust_env=False, timeout=10.0)
        login = self._settings.login
        party = sign_on(login, self._address, self._base + DEMO_IDP_PATH, self._outbound, clock)
        self._desk = LoginDesk(party, self._sessions, self._gatekeeper, self._patient_by_number)
        self._identification = Identification(self._sessions, self._tokens, self._system_subject)

    def _make_anchoring(self) -> Anchoring:
        audit = self._settings.audit
        key = signing_key(audit.anchor_key_file) if audit.anchor_key_file is not None else None
        return Anchoring(self._store, self._clock, audit.anchor_file, key, audit.anchor_seconds)

    def _make_doors(self) -> None:
        self._hl7 = Hl7Door(
            self._settings.mllp, self._connections, self._filing, self._clock, self._gatekeeper.refusals
        )
        self._dicom = DicomDoor(
            self._settings.dicom,
            self._connections,
            self._intake,
            self._finder,
            self._retriever,
            self._transcoder,
            self._gatekeeper,
            self._commitments,
        )
        self._dicomweb = DicomwebDoor(
            self._identification.identify,
            self._connections,
            self._intake,
            self._finder,
            self._retriever,
            self._gatekeeper,
            self._lookup,
            self._opened,
            self._pictures,
            self._settings.http.cors_origins,
        )

    def _wake_exchange(self) -> None:
        self._exchange.wake()

    @property
    def _address(self) -> str:
        """Where browsers find us."""
        return self._settings.login.public_address or self._base

    def _routes(self) -> list[BaseRoute]:
        routes: list[BaseRoute] = [
            *health_routes(self.not_ready, self._readings),
            *fhir_routes(
                FhirDependencies(
                    identify=lambda request: self._identification.identify(request.scope),
                    gatekeeper=self._gatekeeper,
                    lookup=self._lookup,
                    history=self._history,
                    finder=self._finder,
                    retriever=self._retriever,
                    connections=self._connections,
                    clock=self._clock,
                    base=f"{self._base}/fhir",
                    dicomweb=f"{self._base}/dicomweb",
                )
            ),
        ]
        routes.extend(viewer_routes(self._viewer()))
        if self._settings.login.provider == "demo":
            own = frozenset({f"{self._address}/login/callback", f"{self._address}/login"})
            clients = {self._settings.login.client_id: own}
            idp = DemoIdp(self._personas(), self._base + DEMO_IDP_PATH, clients, self._clock)
            routes.extend(idp.routes())
        return routes

    def _viewer(self) -> ViewerDependencies:
        return ViewerDependencies(
            settings=self._settings,
            sessions=self._sessions,
            desk=self._desk,
            gatekeeper=self._gatekeeper,
            lift_requests=LiftRequests(self._store, self._clock, self._gatekeeper.registers),
            administration=RegisterAdministration(self._store, self._clock, self._gatekeeper.registers),
            opened=self._opened,
            lookup=self._lookup,
            finder=self._finder,
            retriever=self._retriever,
            pictures=self._pictures,
            history=self._history,
            connections=self._connections,
            work_lists=WorkLists(self._store, self._clock),
            mover=self._mover,
            decisions=Decisions(
                self._store,
                self._clock,
                self._intake,
                self._filing,
                self._connections.sender_again,
                self._mover,
            ),
            clock=self._clock,
            static_folder=Path(__file__).with_name("static"),
            version=__version__,
        )

    def _personas(self) -> list[Persona]:
        """The demo people who have an assignment at a connected provider, and the patients."""
        known = {provider.hsa_id for provider in self._connections.providers}
        people: list[Persona] = []
        for persona in PERSONAS:
            here = tuple(each for each in persona.assignments if each.provider_hsa_id in known)
            if here or persona.number:
                people.append(replace(persona, assignments=here))
        return people

    def _session_ended(self, session_id: str) -> None:
        """What a session had opened is closed with it."""
        self._gatekeeper.forget_session(session_id)
        self._opened.forget(session_id)

    def _system_subject(self, token: str) -> Subject | None:
        system = self._connections.token(token)
        return system.subject if system is not None and system.may_query else None

    async def _patient_by_number(self, number: str) -> int | None:
        people = await self._lookup.by_number(number)
        return people[0].key if len(people) == 1 else None

    async def _start_http(self, listening: socket.socket) -> None:
        config = uvicorn.Config(
            _Front(self._dicomweb, Starlette(routes=self._routes())),
            log_config=None,
            access_log=False,
            lifespan="off",
            server_header=False,
            http="httptools",
            ws="none",
            timeout_graceful_shutdown=10,
        )
        self._http = _HttpServer(config)
        self._http_task = asyncio.create_task(self._http.serve([listening]), name="http")
        while not self._http.started:
            if self._http_task.done():
                await self._http_task
            await asyncio.sleep(0.005)

    async def _prepare_series(self, job: Job) -> Later | None:
        if self._intake.is_busy():
            return Later(SERIES_QUIET_S)
        wait = await self._documents.prepare(job.name, SERIES_QUIET_S)
        if wait:
            return Later(wait)
        await self._notices.series_complete(job.name)
        return None

    async def stop(self) -> None:
        """Closes the doors first, finishes what is under way, then the store. Ends within 30 s."""
        self._stopping = True
        self._http.should_exit = True
        await asyncio.gather(self._hl7.stop(), self._dicom.stop(_STOP_S), self._stop_http())
        await self._blocks.stop()
        await self._worker.stop()
        await self._exchange.stop()
        await self._pool.stop()
        await asyncio.gather(self._scrub.stop(), self._settling.stop(), self._giving_back.stop())
        await self._children.stop()
        await self._outbound.aclose()
        await self._anchoring.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._store.close()

    async def _stop_http(self) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._http_task, _STOP_S)

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
            Reading("store_damaged", "Stored bodies marked as damaged and not served", len(store.damaged)),
            Reading("series_settled_total", "Series that became one object", self._settling.series),
            Reading("instances_settled_total", "Instances that left the index", self._settling.instances),
            Reading(
                "journal_given_back_bytes_total",
                "Bytes taken out of the journal",
                self._giving_back.given_bytes,
            ),
            Reading("scrub_read_bytes_total", "Bytes read again by the scrub", self._scrub.read_bytes),
            Reading("scrub_mended_total", "Records mended by the scrub", self._scrub.mended),
            Reading("instances_stored_total", "Instances stored", intake.stored),
            Reading("instances_repeated_total", "Instances sent again with the same bytes", intake.repeated),
            Reading("instances_held_total", "Instances held for a steward", intake.held),
            Reading("messages_stored_total", "HL7 messages filed", self._filing.stored),
            Reading("messages_repeated_total", "HL7 messages sent again", self._filing.repeated),
            Reading("messages_held_total", "HL7 messages held for a steward", self._filing.held),
            Reading("hl7_connections", "Open HL7 connections", self._hl7.connections),
            Reading("dicom_associations", "Open DICOM associations", self._dicom.open_associations),
            Reading("dicom_accepted_total", "DICOM associations accepted", self._dicom.accepted),
            Reading("dicom_rejected_total", "DICOM associations rejected", self._dicom.rejected),
            Reading("pictures_waiting", "Pictures that wait for a decoding child", self._children.waiting),
            Reading("render_restarts_total", "Decoding children replaced", self._children.restarts),
            Reading(
                "audit_anchored_entry",
                "Newest audit entry that an anchor was kept of",
                self._anchoring.sequence,
            ),
            Reading(
                "audit_anchor_failures_total", "Anchors that could not be kept", self._anchoring.failures
            ),
            Reading(
                "commitments_total", "Answers to storage commitment delivered", self._commitments.answered
            ),
            Reading("instances_sent_total", "Instances sent to other archives", self._sending.sent),
            Reading("notices_total", "Notifications of availability delivered", self._notices.told),
            Reading("dicom_opened_total", "DICOM associations that we opened", self._pool.opened),
            Reading("dicom_unreachable_total", "Attempts to open one that failed", self._pool.failed),
            Reading("exchange_parked_total", "Deliveries given up", self._exchange.parked),
            Reading("jobs_done_total", "Jobs finished", worker.done),
            Reading(
                "national_blocks_age_seconds", "Age of the copy of blocks; -1: none", self._blocks.age_s()
            ),
            Reading("jobs_parked_total", "Jobs given up after repeated failures", worker.parked),
        ]

    async def add_test_persons(self, persons: Sequence[tuple[str, str, str, str]], booked: int) -> None:
        """Files invented persons (number, name, birth date, sex) as a patient register would.

        The first `booked` of them have a booking at every demo unit, and so a care relation for a day.
        """
        now = self._clock.now()

        def decide(transaction: Transaction) -> None:
            for place, (number, name, birth_date, sex) in enumerate(persons):
                identifier = identify(number, "", "", now.date())
                known = Demographics(name, birth_date, sex)
                key = registry.find_or_make(transaction, identifier, known, DemographicsOrigin.ADT)
                if place < booked:
                    self._book(transaction, key, now + timedelta(days=1))

        await self._store.commit(decide)

    def _book(self, transaction: Transaction, patient_key: int, ends: datetime) -> None:
        units = {
            (each.provider_hsa_id, each.unit_hsa_id)
            for persona in self._personas()
            for each in persona.assignments
        }
        for provider, unit in sorted(units):
            transaction.replace(
                "care_relation",
                relation_id=f"booking:{unit}:{patient_key}",
                patient_key=patient_key,
                provider=provider,
                unit=unit,
                employee="",
                starts=transaction.time,
                ends=ends.isoformat(),
                source="booking",
            )

    def issue_persona_tokens(self) -> dict[str, str]:
        """A fresh bearer token for each demo persona."""
        return {
            persona.key: self._tokens.issue(replace(persona.subject(), session_id=""))
            for persona in self._personas()
            if persona.assignments
        }


class _Front:
    """Parts DICOMweb, whose requests are many and small, from everything else before any router runs."""

    def __init__(self, dicomweb: ASGIApp, everything_else: ASGIApp) -> None:
        self._dicomweb = dicomweb
        self._everything_else = everything_else

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(_DICOMWEB_START):
            await self._dicomweb(scope, receive, send)
        else:
            await self._everything_else(scope, receive, send)


class _HttpServer(uvicorn.Server):
    """uvicorn without signal handlers of its own: the command line decides when to stop."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leaves signals alone."""
        yield


def _listening(host: str, port: int) -> socket.socket:
    """A bound socket, so that the port is known before the door opens."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # The protocol is named so that asyncio turns Nagle's algorithm off: an answer of two writes waits 40 ms else.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as problem:
        listening.close()
        raise ConfigurationError(
            f"[http] port {port} on {host} can not be used: {problem.strerror}"
        ) from problem
    listening.listen(1_024)
    listening.setblocking(False)
    return listening
