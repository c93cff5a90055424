"""The wiring: makes every room and door, starts and stops them in order. The only module that knows them all."""

import asyncio
import contextlib
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TypeAlias

import httpx
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect
from starlette.routing import BaseRoute, Route

from samsyn import __version__, limits
from samsyn.access.administration import RegisterAdministration
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.identification import Identification
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.authentication.shared_sessions import SharedSessions
from samsyn.access.authentication.sign_on import sign_on
from samsyn.access.authentication.smart.registered import smart_authority
from samsyn.access.authentication.tokens import Tokens
from samsyn.access.facts import Policy
from samsyn.access.followup.elsewhere import Elsewhere
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import LogReview
from samsyn.access.guardians import Guardians
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.national.connected import (
    access_logs,
    block_replica,
    connected_masters,
    staff_directory,
)
from samsyn.access.opened import OpenedPatients
from samsyn.access.shared_opened import SharedChoices, SharedOpened
from samsyn.access.view import Gatekeeper
from samsyn.access.waiting import WaitingRooms
from samsyn.audit.anchoring import make_anchoring
from samsyn.clock import Clock
from samsyn.endpoints.admin.health import Reading, health_routes
from samsyn.endpoints.contracts.door import ContractDependencies, contract_routes
from samsyn.endpoints.demo_idp.personas import PERSONAS, Persona
from samsyn.endpoints.demo_idp.provider import PATH as DEMO_IDP_PATH
from samsyn.endpoints.demo_idp.provider import DemoIdp
from samsyn.endpoints.dicomweb.door import PREFIX as DICOMWEB_PREFIX
from samsyn.endpoints.dicomweb.door import DicomwebDoor
from samsyn.endpoints.dimse.listener import DicomDoor
from samsyn.endpoints.fhir.opening import Compartments
from samsyn.endpoints.fhir.paging import Pages
from samsyn.endpoints.fhir.routes import FhirDependencies, fhir_routes
from samsyn.endpoints.fhir.subscriptions import Notifications
from samsyn.endpoints.hl7.listener import Hl7Door
from samsyn.endpoints.http_listener.protocols import PreferredProtocol
from samsyn.endpoints.http_listener.serving import Front, HttpServer, client_gone, listening, serve
from samsyn.endpoints.http_listener.systems import CertificateProtocol, SystemsOnly, tls_context
from samsyn.endpoints.inner.door import inner_routes
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.exchange.auditing.receivers import delivery_figures, make_outboxes
from samsyn.exchange.engagement_index.connected import engagement_index
from samsyn.exchange.exchange import Exchange
from samsyn.exchange.subscriptions.delivery import Notifier
from samsyn.exchange.subscriptions.feed import EventFeed
from samsyn.exchange.subscriptions.register import SubscriptionRegister
from samsyn.ingest.amendments import Amendments
from samsyn.ingest.filing import REPORT_DOCUMENT, SERIES_DOCUMENT, SERIES_QUIET_S
from samsyn.ingest.receive import Intake
from samsyn.ingest.rejections import Rejections
from samsyn.jobs.leases import Duty, duty_of
from samsyn.jobs.node import Node
from samsyn.jobs.queue import Job, Later, Worker
from samsyn.model.subject import Subject
from samsyn.patients import invented
from samsyn.patients.corrections import LATE_OBJECT
from samsyn.patients.guardian_file import GuardianFile
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.providers.contracts import ContractPartners, releases
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.render.transcoding import Transcoder
from samsyn.reports.examination import History, documents_given
from samsyn.reports.file import Filing
from samsyn.reports.forms.documents import DocumentFiling
from samsyn.reports.measured import Measured
from samsyn.reports.stewardship.decisions import Decisions
from samsyn.reports.stewardship.joining import Joining
from samsyn.reports.stewardship.moving import Mover
from samsyn.reports.stewardship.worklists import WorkLists
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.changes import Changes
from samsyn.search.find import Finder
from samsyn.settings import Settings
from samsyn.store.documents import Documents
from samsyn.store.node_journal import NodeJournal
from samsyn.store.opening import open_shared, open_store, shared_key
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.join import SegmentJoining
from samsyn.store.upkeep.recompress import Recompression
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from samsyn.store.upkeep.sweep import Sweeping

log = logging.getLogger(__name__)

_STOP_S = 20.0
Opening: TypeAlias = Callable[[], contextlib.AbstractContextManager[None]]


class Server:
    """One Samsyn process in embedded mode."""

    def __init__(self, settings: Settings, clock: Clock, opening: Opening = contextlib.nullcontext) -> None:
        """`opening`: entered while the store is opened, which may take hours and be left off anywhere."""
        self._settings = settings
        self._opening = opening
        self._clock = clock
        self._executor = ThreadPoolExecutor(2, thread_name_prefix="documents")
        self._started = False
        self._stopping = False
        self.http_port = settings.http.port
        self.https_port = settings.http_tls.port
        self._listeners: list[tuple[HttpServer, asyncio.Task[None]]] = []
        self.dicom_port = settings.dicom.port
        self.mllp_port = settings.mllp.port

    async def start(self) -> None:
        """Opens the store (replaying what a crash left), then the rooms, then the doors. ConfigurationError,
        DamagedData: the store can not be opened. ConfigurationError, OSError: a port is taken. Whatever had begun by
        then is ended again."""
        async with contextlib.AsyncExitStack() as undo:
            http_socket = undo.enter_context(listening(self._settings.http.host, self._settings.http.port))
            self.http_port = http_socket.getsockname()[1]
            self._base = f"http://{self._settings.http.host}:{self.http_port}"
            tls = self._settings.http_tls
            tls_socket = undo.enter_context(listening(tls.host, tls.port)) if tls.is_on else None
            context = tls_context(tls) if tls.is_on else None
            with self._opening():
                self._open_store()
            undo.callback(self._close_store)
            self._make_rooms()
            self._make_doors()
            await self._anchoring.start()
            undo.push_async_callback(self._anchoring.stop)
            for outbox in self._outboxes:
                undo.push_async_callback(outbox.stop)
            undo.push_async_callback(self._blocks.stop)
            undo.push_async_callback(self._engagements.close)
            undo.push_async_callback(self._masters.stop)
            undo.push_async_callback(self._guardian_file.stop)
            self._worker.start()
            undo.push_async_callback(self._worker.stop)
            self._exchange.start()
            undo.push_async_callback(self._exchange.stop)
            undo.push_async_callback(self._notifier.close)
            await self._blocks.follow()
            await self._masters.follow()
            await self._exchange.prefetching.begin()
            await self._node.start(self._base, self._all_duties())
            undo.push_async_callback(self._node.stop)
            await self._children.start()
            undo.push_async_callback(self._children.stop)
            await self._hl7.start()
            undo.push_async_callback(self._hl7.stop)
            self.mllp_port = self._hl7.port
            await self._dicom.start()
            undo.push_async_callback(self._dicom.stop, 0.0)
            self.dicom_port = self._dicom.port
            viewer = viewer_door(self._viewer())
            handlers = {**viewer.failures, ClientDisconnect: client_gone}
            others = Starlette(routes=[*self._routes(), *viewer.routes], exception_handlers=handlers)
            app = Front(DICOMWEB_PREFIX, self._dicomweb, others)
            self._listeners.append(await serve(app, http_socket, http=PreferredProtocol))
            if tls_socket is not None and context is not None:
                self.https_port = tls_socket.getsockname()[1]
                served = SystemsOnly(app)
                how = {"http": CertificateProtocol, "ssl_context_factory": lambda *_: context}
                self._listeners.append(await serve(served, tls_socket, **how))
            undo.pop_all()
        self._started = True

    def _all_duties(self) -> list[Duty]:
        """What runs once, however many nodes there are."""
        return [
            Duty("national-blocks", self._blocks.start, self._blocks.pause, self._blocks.follow),
            Duty("national-registers", self._masters.start, self._masters.pause, self._masters.follow),
            *(Duty(f"outbox-{each.name}", each.start, each.pause) for each in self._outboxes),
            Duty("guardian-file", self._guardian_file.start, self._guardian_file.stop),
            Duty("engagement-index", self._engagements.start, self._engagements.stop),
            duty_of("subscriptions", self._notifier),
            duty_of("scrub", self._scrub),
            duty_of("settling", self._settling),
            duty_of("giving-back", self._giving_back),
            duty_of("joining", self._segment_joining),
            duty_of("sweeping", Sweeping(self._store, self._clock)),
        ]

    def _open_store(self) -> None:
        self._node = Node(open_shared(self._settings), self._settings.node, self._clock)
        self._store = open_store(self._settings, self._clock, self._node.shared)
        self._store.start()
        if self._store.replayed:
            log.info("journal-replayed", extra={"count": self._store.replayed})
        if self._store.cut_off:
            log.warning("journal-kept-aside", extra={"count": len(self._store.cut_off)})
        self._documents = Documents(self._store, self._executor, self._clock)

    def _make_rooms(self) -> None:
        store, clock, shared = self._store, self._clock, self._node.shared
        self._connections = Connections(self._settings)
        self._partners = ContractPartners(self._settings)
        self._gatekeeper = Gatekeeper(
            store,
            clock,
            blocks_known=lambda: self._blocks.is_known(),
            local_issuers=self._connections.local_issuers,
            choices=SharedChoices(shared) if shared is not None else None,
            policy=Policy(releases=releases(self._settings)),
            documents_given=documents_given,
        )
        national, registers = self._settings.national, self._gatekeeper.registers
        self._blocks = block_replica(national, store, clock, registers)
        connected = [provider.hsa_id for provider in self._connections.providers]
        self._masters = connected_masters(national, store, clock, registers, connected)
        self._guardian_file = GuardianFile(self._settings.login.guardian_file, registers, clock)
        self._lookup = PatientLookup(store, clock, shared_key(self._settings, "handles"))
        self._finder = Finder(store, clock)
        self._retriever = Retriever(store, self._documents)
        self._mover = Mover(store, clock, self._retriever.known.forget)
        self._history = History(store)
        data = self._settings.data
        self._intake = Intake(store, clock, data.largest_object_mib * limits.MIB)
        self._scrub = Scrub(store, clock, data.scrub_days, data.scrub_mib_per_s, self._intake.is_busy)
        quiet_s = self._settings.data.settle_after_s
        self._recompression = Recompression(self._settings.recompress, clock)
        self._settling = Settling(store, clock, quiet_s, self._intake.is_busy, self._recompression)
        self._giving_back = GivingBack(store, clock, self._intake.is_busy)
        self._segment_joining = SegmentJoining(store, clock, self._intake.is_busy)
        self._filing = Filing(store, clock, self._connections.providers)
        self._children = DecodingChildren()
        self._transcoder = Transcoder(self._retriever, self._children)
        self._pictures = Pictures(
            self._retriever, self._children, store.folder / "derived" / "pictures", clock
        )
        self._worker = Worker(
            store,
            clock,
            {
                SERIES_DOCUMENT: self._prepare_series,
                LATE_OBJECT: self._mover.file_late,
                REPORT_DOCUMENT: DocumentFiling(store).work,
            },
            leases=self._node.leases,
        )
        self._review = LogReview(store, clock)
        naming = self._connections.naming_providers()
        self._extracts = Extracts(store, clock, naming)
        self._elsewhere = Elsewhere(store, clock, access_logs(national), naming)
        self._anchoring = make_anchoring(self._settings.audit, store, clock)
        self._outboxes = make_outboxes(self._settings, store, clock, self._connections)
        policy = self._gatekeeper.registers.policy
        self._engagements = engagement_index(
            self._settings.engagement_index, store, clock, self._partners, policy
        )
        self._exchange = Exchange(
            store,
            clock,
            self._settings,
            self._connections,
            self._gatekeeper,
            self._retriever,
            self._transcoder,
            leases=self._node.leases,
        )
        self._opened = SharedOpened(shared) if shared is not None else OpenedPatients()
        self._tokens = Tokens()
        ended = self._session_ended
        self._sessions = SharedSessions(shared, clock, ended) if shared else Sessions(clock, ended)
        self._rooms = WaitingRooms(clock, shared)
        self._outbound = httpx.AsyncClient(trust_env=False, timeout=10.0)
        login = self._settings.login
        subjects, fhir = self._connections.backends(), f"{self._base}/fhir"
        lives = self._sessions.goes_on
        self._smart = smart_authority(
            self._settings, subjects, self._rooms, clock, fhir, self._address, lives
        )
        self._directory, demo = staff_directory(national), self._base + DEMO_IDP_PATH
        elsewhere = self._directory is not None
        party = sign_on(login, self._address, demo, self._outbound, clock, self._rooms, elsewhere)
        self._desk = LoginDesk(
            party, self._sessions, self._gatekeeper, self._lookup.by_own_log_in, self._directory
        )
        self._identification = Identification(
            self._sessions, self._tokens, self._system_subject, self._certified_subject
        )

    def _make_doors(self) -> None:
        mllp, by_tls, refusals = self._settings.mllp, self._settings.mllp_tls, self._gatekeeper.refusals
        self._hl7 = Hl7Door(mllp, self._connections, self._filing, self._clock, refusals, by_tls)
        self._dicom = DicomDoor(
            self._settings.dicom,
            self._settings.dicom_tls,
            self._connections,
            self._intake,
            self._finder,
            self._retriever,
            self._transcoder,
            self._gatekeeper,
            self._exchange,
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
            self._transcoder,
            Rejections(self._retriever, self._intake, self._clock),
            Amendments(self._store, self._retriever, self._clock),
            Changes(self._store, self._clock),
            self._exchange.sending,
            self._settings.http.cors_origins,
        )
        feed = EventFeed(self._store, Changes(self._store, self._clock), self._gatekeeper, self._lookup)
        speech = Notifications(self._compartments(), self._clock)
        self._notifier = Notifier(self._store, self._clock, self._connections, feed, speech)

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
                    pages=Pages(self._lookup.key_for("pages of FHIR searches")),
                    compartments=self._compartments(),
                    connections=self._connections,
                    review=self._review,
                    extracts=self._extracts,
                    clock=self._clock,
                    base=f"{self._base}/fhir",
                    dicomweb=f"{self._base}/dicomweb",
                    filing=self._filing,
                    subscriptions=SubscriptionRegister(self._store, self._clock, self._connections),
                    smart=self._smart,
                    origins=tuple(each for app in self._settings.app for each in app.cors_origins),
                )
            ),
        ]
        routes.extend(self._contracts())
        if isinstance(self._store.journal, NodeJournal):
            routes.extend(inner_routes(self._store.journal.own_bytes, shared_key(self._settings, "inner")))
        if self._settings.login.provider == "demo":
            own = frozenset({f"{self._address}/login/callback", f"{self._address}/login"})
            clients = {self._settings.login.client_id: own}
            idp = DemoIdp(self._personas(), self._base + DEMO_IDP_PATH, clients, self._clock)
            routes.extend(idp.routes())
        return routes

    def _compartments(self) -> Compartments:
        rooms = (self._gatekeeper, self._lookup, self._history, self._finder, self._retriever)
        return Compartments(f"{self._base}/fhir", *rooms, self._connections, Measured(self._retriever))

    def _contracts(self) -> list[Route]:
        callers = Identification(
            self._sessions,
            self._tokens,
            lambda token: self._partners.by_token(token) or self._system_subject(token),
            lambda hsa_id: self._partners.by_certificate(hsa_id) or self._certified_subject(hsa_id),
        )
        return contract_routes(
            ContractDependencies(
                callers.identify,
                self._gatekeeper,
                self._lookup,
                self._history,
                self._connections,
                self._partners,
                self._clock,
                self._address,
            )
        )

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
            sending=self._exchange.sending,
            review=self._review,
            extracts=self._extracts,
            elsewhere=self._elsewhere,
            guardians=Guardians(self._store, self._clock, self._gatekeeper.registers),
            connections=self._connections,
            work_lists=WorkLists(self._store, self._clock),
            mover=self._mover,
            joining=Joining(self._store, self._clock),
            decisions=Decisions(
                self._store,
                self._clock,
                self._intake,
                self._filing,
                self._connections.sender_again,
                self._mover,
            ),
            clock=self._clock,
            smart=self._smart,
            rooms=self._rooms,
            page_key=shared_key(self._settings, "pages"),
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
        self._smart.forget_session(session_id)

    def _system_subject(self, token: str) -> Subject | None:
        system = self._connections.token(token)
        return system.subject if system is not None and system.may_query else None

    def _certified_subject(self, hsa_id: str) -> Subject | None:
        system = self._connections.certificate(hsa_id)
        return system.subject if system is not None and system.may_query else None

    async def _prepare_series(self, job: Job) -> Later | None:
        if self._intake.is_busy():
            return Later(SERIES_QUIET_S)
        wait = await self._documents.prepare(job.name, SERIES_QUIET_S)
        if wait:
            return Later(wait)
        await self._exchange.notices.series_complete(job.name)
        return None

    async def stop(self) -> None:
        """Closes the doors first, finishes what is under way, then the store. Ends within 30 s."""
        self._stopping = True
        for server, _ in self._listeners:
            server.should_exit = True
        await asyncio.gather(self._hl7.stop(), self._dicom.stop(_STOP_S), self._stop_http())
        await self._node.stop()
        await self._blocks.stop()
        await self._engagements.close()
        await self._masters.stop()
        await self._guardian_file.stop()
        await self._worker.stop()
        await self._exchange.stop()
        await self._notifier.close()
        await self._children.stop()
        await self._outbound.aclose()
        await self._elsewhere.close()
        if self._directory is not None:
            await self._directory.close()
        await asyncio.gather(*(outbox.stop() for outbox in self._outboxes))
        await self._anchoring.stop()
        self._executor.shutdown(wait=True, cancel_futures=True)
        self._close_store()

    def _close_store(self) -> None:
        self._store.close()
        self._node.close()

    async def _stop_http(self) -> None:
        for _, task in self._listeners:
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(task, _STOP_S)

    def not_ready(self) -> list[str]:
        """Why this process should get no work just now; empty = it should."""
        reasons: list[str] = []
        if not self._started:
            reasons.append("starting")
        if self._stopping:
            reasons.append("stopping")
        if not self._store.healthy:
            reasons.append(self._store.complaint)
        elif self._store.free_bytes() < limits.DISK_RESERVE_BYTES:
            reasons.append("the disk is nearly full")
        return reasons

    def _readings(self) -> list[Reading]:
        store, intake, worker = self._store, self._intake, self._worker
        return [
            Reading("ready", "1 = takes work, 0 = /health/ready tells why not", float(not self.not_ready())),
            Reading(
                "duties", "Works that run once in the cluster and now here", len(self._node.duties.running)
            ),
            Reading("store_records_total", "Journal records written", store.records),
            Reading("store_syncs_total", "Disk syncs of the journal", store.syncs),
            Reading("store_replayed", "Journal records replayed at start", store.replayed),
            Reading("store_free_bytes", "Free space on the data folder's disk", store.free_bytes()),
            Reading("store_damaged", "Stored bodies marked as damaged and not served", len(store.damaged)),
            Reading(
                "store_cut_off_files",
                "Pieces of the journal that starts have kept aside and nobody has moved away",
                sum(each.exists() for each in store.cut_off),
            ),
            Reading("series_settled_total", "Series that became one object", self._settling.series),
            Reading("instances_settled_total", "Instances that left the index", self._settling.instances),
            Reading(
                "recompressed_original_bytes_total",
                "Frames stored coded without loss, as they came",
                self._recompression.original_bytes,
            ),
            Reading(
                "recompressed_stored_bytes_total",
                "The same frames as they are stored",
                self._recompression.stored_bytes,
            ),
            Reading(
                "journal_given_back_bytes_total",
                "Bytes taken out of the journal",
                self._giving_back.given_bytes,
            ),
            Reading("journal_joined_total", "Small journal segments joined", self._segment_joining.joined),
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
            *(Reading(*each) for each in delivery_figures(self._outboxes)),
            Reading(
                "audit_anchored_entry",
                "Newest audit entry that an anchor was kept of",
                self._anchoring.sequence,
            ),
            Reading(
                "audit_anchor_failures_total", "Anchors that could not be kept", self._anchoring.failures
            ),
            *(Reading(*each) for each in (*self._exchange.readings(), *self._engagements.readings())),
            *(Reading(*each) for each in self._notifier.readings()),
            Reading("jobs_done_total", "Jobs finished", worker.done),
            Reading(
                "national_blocks_age_seconds", "Age of the copy of blocks; -1: none", self._blocks.age_s()
            ),
            *(Reading(*each) for each in self._masters.figures()),
            Reading("jobs_parked_total", "Jobs given up after repeated failures", worker.parked),
        ]

    async def add_test_persons(self, persons: Sequence[tuple[str, str, str, str]], booked: int) -> None:
        """See invented.add; they are booked at every demo unit."""
        assigned = (each for persona in self._personas() for each in persona.assignments)
        units = ((each.provider_hsa_id, each.unit_hsa_id) for each in assigned)
        await invented.add(self._store, self._clock, persons, booked, units)

    def issue_persona_tokens(self) -> dict[str, str]:
        """A fresh bearer token for each demo persona."""
        return {
            persona.key: self._tokens.issue(replace(persona.subject(), session_id=""))
            for persona in self._personas()
            if persona.assignments
        }
