"""The whole house behind the web pages: a real store filled with demo people, real log-in, one HTTP application.

Texts come in as HL7 messages through the filing room and pictures as data sets through intake, so what the pages
show has gone the whole way.
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from samsyn.access.administration import RegisterAdministration
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.identification import Identification
from samsyn.access.authentication.oidc import Registration, RelyingParty
from samsyn.access.authentication.sessions import Sessions
from samsyn.access.authentication.smart.registered import smart_authority
from samsyn.access.authentication.tokens import Tokens
from samsyn.access.facts import Policy
from samsyn.access.followup.elsewhere import Elsewhere
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import LogReview
from samsyn.access.guardians import Guardians
from samsyn.access.lift_requests import LiftRequests
from samsyn.access.opened import OpenedPatients
from samsyn.access.view import Gatekeeper
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import STOCKHOLM
from samsyn.dicom.part10 import split_part10
from samsyn.endpoints.demo_idp.personas import PERSONAS
from samsyn.endpoints.demo_idp.provider import DemoIdp
from samsyn.endpoints.dicomweb.door import DicomwebDoor
from samsyn.endpoints.viewer.dependencies import ViewerDependencies
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.exchange.exchange import Exchange
from samsyn.ingest.amendments import Amendments
from samsyn.ingest.filing import REPORT_DOCUMENT
from samsyn.ingest.receive import Arrival, Intake
from samsyn.ingest.rejections import Rejections
from samsyn.jobs.queue import Job
from samsyn.model.registers import BlockKind
from samsyn.model.sender import Sender
from samsyn.model.subject import Assignment, Purpose, Subject, SubjectKind
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.providers.contracts import releases
from samsyn.render.children import DecodingChildren
from samsyn.render.pictures import Pictures
from samsyn.render.transcoding import Transcoder
from samsyn.reports.examination import History, documents_given
from samsyn.reports.file import Filing
from samsyn.reports.forms.documents import DocumentFiling
from samsyn.reports.stewardship.decisions import Decisions
from samsyn.reports.stewardship.joining import Joining
from samsyn.reports.stewardship.moving import Mover
from samsyn.reports.stewardship.worklists import WorkLists
from samsyn.retrieve.retrieve import Retriever
from samsyn.search.changes import Changes
from samsyn.search.find import Finder
from samsyn.settings import Settings, load
from samsyn.store.documents import Documents
from samsyn.store.transaction import Transaction
from samsyn_demo.history import Examination, Stage, history
from samsyn_demo.instances.objects import Instance
from samsyn_demo.instances.studies import study
from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.region import BY_KEY as PROVIDERS
from samsyn_demo.region import Ports, Provider, settings_toml
from tests.indexes import make_store
from tests.waiting import AdvancedClock

STATIC = Path(__file__).parents[2] / "src" / "samsyn" / "static"
ANCHOR = datetime.now(STOCKHOLM).date()
_STATUS = {"W": "P"}


class House:
    """Rooms and doors on one free port of loopback."""

    def __init__(self, folder: Path, change: Callable[[Settings], Settings] = lambda told: told) -> None:
        self.clock = AdvancedClock()
        self.socket = socket.socket()
        self.socket.bind(("127.0.0.1", 0))
        self.base = f"http://127.0.0.1:{self.socket.getsockname()[1]}"
        toml = folder / "samsyn.toml"
        toml.write_text(
            settings_toml(str(folder / "data"), Ports(), {"solsidan-stow": "not-used"}), encoding="utf-8"
        )
        self.settings = change(load(toml, {}))
        self.store = make_store(folder / "data", self.clock)
        self.store.start()
        self.executor = ThreadPoolExecutor(2)
        self.documents = Documents(self.store, self.executor, self.clock)
        self.connections = Connections(self.settings)
        self.gatekeeper = Gatekeeper(
            self.store,
            self.clock,
            policy=Policy(releases=releases(self.settings)),
            documents_given=documents_given,
        )
        self.opened = OpenedPatients()
        self.sessions = Sessions(self.clock, self._ended)
        self.lookup = PatientLookup(self.store, self.clock)
        self.intake = Intake(self.store, self.clock)
        self.filing = Filing(self.store, self.clock, self.connections.providers)
        self.retriever = Retriever(self.store, self.documents)
        self.mover = Mover(self.store, self.clock, self.retriever.known.forget)
        self.children = DecodingChildren()
        self.pictures = Pictures(self.retriever, self.children, folder / "derived", self.clock)
        self.http = httpx.AsyncClient()
        issuer = f"{self.base}/demo-idp"
        back, out = f"{self.base}/login/callback", f"{self.base}/login"
        idp = DemoIdp(PERSONAS, issuer, {"samsyn": frozenset({back, out})}, self.clock)
        party = RelyingParty(
            Registration(issuer, "samsyn", back, after_logout_uri=out), self.http, self.clock
        )
        self.desk = LoginDesk(party, self.sessions, self.gatekeeper, self._person)
        self.transcoder = Transcoder(self.retriever, self.children)
        self.exchange = Exchange(
            self.store,
            self.clock,
            self.settings,
            self.connections,
            self.gatekeeper,
            self.retriever,
            self.transcoder,
        )
        """Delivers nothing unless a test starts it."""
        self.deps = ViewerDependencies(
            settings=self.settings,
            sessions=self.sessions,
            desk=self.desk,
            gatekeeper=self.gatekeeper,
            lift_requests=LiftRequests(self.store, self.clock, self.gatekeeper.registers),
            administration=RegisterAdministration(self.store, self.clock, self.gatekeeper.registers),
            opened=self.opened,
            lookup=self.lookup,
            finder=Finder(self.store, self.clock),
            retriever=self.retriever,
            pictures=self.pictures,
            history=History(self.store),
            sending=self.exchange.sending,
            review=LogReview(self.store, self.clock),
            elsewhere=Elsewhere(self.store, self.clock, None),
            guardians=Guardians(self.store, self.clock, self.gatekeeper.registers),
            extracts=Extracts(self.store, self.clock, self.connections.naming_providers()),
            connections=self.connections,
            work_lists=WorkLists(self.store, self.clock),
            mover=self.mover,
            joining=Joining(self.store, self.clock),
            decisions=Decisions(
                self.store, self.clock, self.intake, self.filing, self.connections.sender_again, self.mover
            ),
            clock=self.clock,
            smart=smart_authority(
                self.settings,
                {},
                WaitingRooms(self.clock),
                self.clock,
                f"{self.base}/fhir",
                self.base,
                self.sessions.goes_on,
            ),
            rooms=WaitingRooms(self.clock),
            page_key=b"",
            static_folder=STATIC,
            version="0.1.0",
        )
        identification = Identification(self.sessions, Tokens())
        dicomweb = DicomwebDoor(
            identification.identify,
            self.connections,
            self.intake,
            self.deps.finder,
            self.retriever,
            self.gatekeeper,
            self.lookup,
            self.opened,
            self.pictures,
            self.transcoder,
            Rejections(self.retriever, self.intake, self.clock),
            Amendments(self.store, self.retriever, self.clock),
            Changes(self.store, self.clock),
            self.exchange.sending,
        )
        viewer = viewer_door(self.deps)
        self.application = Starlette(
            routes=[Mount("/dicomweb", dicomweb), *idp.routes(), *viewer.routes],
            exception_handlers=dict(viewer.failures),
        )

    def _ended(self, session_id: str) -> None:
        self.gatekeeper.forget_session(session_id)
        self.opened.forget(session_id)

    async def _person(self, number: str) -> int | None:
        found = await self.lookup.by_number(number)
        return found[0].key if len(found) == 1 else None

    def client(self) -> httpx.AsyncClient:
        """A browser without pictures: cookies, no redirects, and the headers that browsers send."""
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application, client=("127.0.0.1", 50_000)),
            base_url=self.base,
            headers={"origin": self.base, "sec-fetch-site": "same-origin"},
        )

    async def as_patient(self, person: str) -> httpx.AsyncClient:
        """A browser in which a patient of the demo is logged in."""
        own = PEOPLE[person]
        key = await self._person(own.number)
        assert key is not None
        subject = Subject(SubjectKind.PATIENT, f"patient-{key}", own.key, None, patient_key=key)
        secret, _ = self.sessions.open(subject)
        client = self.client()
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        return client

    def logged_in(self, persona: str, assignment: int = 0) -> httpx.AsyncClient:
        """A browser in which somebody is logged in already."""
        who = next(each for each in PERSONAS if each.key == persona)
        secret, _ = self.sessions.open(who.subject(assignment))
        client = self.client()
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        return client

    async def fill(self, persons: Iterable[str], kinds: frozenset[str] = frozenset()) -> None:
        """Files the texts of these demo people, with the pictures of these kinds of examination."""
        wanted = set(persons)
        for examination in history(ANCHOR):
            if examination.person.key in wanted:
                await self.texts(examination)
                if examination.person.protected:
                    await self.protect(examination)
                if examination.kind.key in kinds:
                    for instance in await asyncio.to_thread(list, study(examination)):
                        await self.store_image(examination, instance)

    async def texts(self, examination: Examination) -> None:
        """The referral and every version of the report, each from the system of the unit that wrote it."""
        for sender, message in messages(examination):
            filed = await self.filing.file_message(sender, "standard", message, "test")
            assert filed.receipt.outcome == "stored", (filed, message)

    async def protect(self, examination: Examination) -> None:
        """What the patient register sends about a protected identity: PD1-12."""
        control = f"A{examination.accession}"
        segments = [*_head(examination, "ADT^A08^ADT_A01", control, examination.when)]
        segments.insert(1, f"EVN|A08|{_time(examination.when)}")
        segments.append(_segment("PD1", {12: "Y"}))
        message = "\r".join(segments).encode() + b"\r"
        sender = sender_of(examination.provider, examination.unit.hsa_id)
        filed = await self.filing.file_message(sender, "standard", message, "test")
        assert filed.receipt.outcome == "stored", filed

    async def store_image(self, examination: Examination, instance: Instance) -> None:
        sender = sender_of(examination.provider, examination.unit.hsa_id)
        arrival = Arrival(sender, instance.transfer_syntax_uid, "test")
        receipt, _ = await self.intake.receive(
            arrival, instance.file[split_part10(instance.file).dataset_offset :]
        )
        assert receipt.outcome == "stored", receipt

    async def block(self, person: str, kind: BlockKind, provider: str, unit: str = "") -> None:
        """A block registered by the provider's own block administrator."""
        own = PROVIDERS[provider]
        key = (await self.lookup.by_number(PEOPLE[person].number))[0].key
        hsa_id = own.unit(unit).hsa_id if unit else ""
        registers = self.gatekeeper.registers
        await registers.register_block(administrator_of(own), key, kind, own.hsa_id, hsa_id)

    async def lift(self, person: str, provider: str, unit: str, ends: datetime) -> None:
        """Every block of the provider is lifted for a unit by the provider's block administrator."""
        administrator = administrator_of(PROVIDERS[provider])
        key = (await self.lookup.by_number(PEOPLE[person].number))[0].key
        registers = self.gatekeeper.registers
        for block in await registers.blocks_at(administrator):
            if block.patient_key == key:
                await registers.lift_block(
                    administrator, block.block_id, unit=unit, ends=ends, reason="consent"
                )

    async def audited(self) -> list[tuple[str, str]]:
        """(event, details) of every entry, in order."""
        rows = await self.store.read(
            lambda c: c.execute("SELECT event, details FROM audit ORDER BY sequence").fetchall()
        )
        return [(row[0], row[1]) for row in rows]

    async def serve(self) -> tuple[uvicorn.Server, asyncio.Task[Any]]:
        """Answers on the port, for a real browser."""
        self.socket.listen(128)
        server = uvicorn.Server(uvicorn.Config(self.application, log_config=None, lifespan="off"))
        server.install_signal_handlers = lambda: None  # type: ignore[attr-defined]
        task = asyncio.create_task(server.serve([self.socket]))
        while not server.started:
            await asyncio.sleep(0.01)
        return server, task


async def read_document(house: House, uid: str) -> None:
    """Reads a report object, and takes it from the list of what waits as a worker does."""
    await DocumentFiling(house.store).work(Job(0, REPORT_DOCUMENT, uid, "", 0))

    def done(transaction: Transaction) -> None:
        transaction.delete("job", kind=REPORT_DOCUMENT, name=uid)

    await house.store.commit(done)


def series_of(page: httpx.Response) -> list[str]:
    """The addresses of an examination's series, as its page lists those that have pictures or are documents."""
    return re.findall(r'<img src="([^"]+/s/[0-9a-f]+)/thumbnail"', page.text)


async def stay_inside(house: House) -> None:
    """The relying party asks the identity provider inside this application, without a network."""
    await house.http.aclose()
    transport = httpx.ASGITransport(house.application, client=("127.0.0.1", 50_001))
    house.http = house.desk._sign_on._http = httpx.AsyncClient(transport=transport)  # type: ignore[union-attr] # it has one


@asynccontextmanager
async def a_house(
    folder: Path, change: Callable[[Settings], Settings] = lambda told: told
) -> AsyncIterator[House]:
    """A house that is closed again."""
    house = House(folder, change)
    await house.children.start()
    try:
        yield house
    finally:
        await house.children.stop()
        await house.http.aclose()
        house.store.close()
        house.executor.shutdown()
        house.socket.close()


@asynccontextmanager
async def a_served_house(folder: Path) -> AsyncIterator[House]:
    """The same, answering on its port."""
    async with a_house(folder) as house:
        server, task = await house.serve()
        try:
            yield house
        finally:
            server.should_exit = True
            await task


def administrator_of(own: Provider) -> Subject:
    """The block administrator of a provider."""
    assignment = Assignment(
        f"{own.hsa_id}-B", "Spärradministration", Purpose.ADMINISTRATION, own.hsa_id, own.name,
        own.units[0].hsa_id, own.units[0].name,
    )  # fmt: skip
    roles = frozenset({"block-administrator"})
    return Subject(SubjectKind.STAFF, f"{own.hsa_id}-BA", "Tore", assignment, "block", roles)


def sender_of(provider: Provider, unit: str) -> Sender:
    return Sender(
        provider.key.upper(), provider.hsa_id, unit, provider.local_issuer, provider.accession_issuer
    )


def messages(examination: Examination) -> Iterable[tuple[Sender, bytes]]:
    """The examination as HL7 v2: the referral from the referring unit, the report's versions from the examiner."""
    order = sender_of(examination.referrer_provider, examination.referrer_unit.hsa_id)
    order = Sender(**{**_fields(order), "accession_issuer": examination.provider.accession_issuer})
    yield order, _order(examination)
    examiner = sender_of(examination.provider, examination.unit.hsa_id)
    for number, version in enumerate(examination.versions):
        yield examiner, _result(examination, number, version)


def _fields(sender: Sender) -> dict[str, Any]:
    return {name: getattr(sender, name) for name in sender.__slots__}


def _time(when: datetime) -> str:
    return when.strftime("%Y%m%d%H%M%S")


def _escaped(text: str) -> str:
    text = text.replace("\\", "\\E\\")
    for sign, code in (("|", "F"), ("^", "S"), ("~", "R"), ("&", "T")):
        text = text.replace(sign, f"\\{code}\\")
    return text.replace("\n", "\\.br\\")


def _head(examination: Examination, kind: str, control: str, when: datetime) -> list[str]:
    person = examination.person
    name = person.dicom_name.replace("^", "^")
    return [
        f"MSH|^~\\&|TEST|TEST|SAMSYN|SAMSYN|{_time(when)}||{kind}|{control}|P|2.5||||||UNICODE UTF-8",
        f"PID|1||{examination.number}^^^&{examination.issuer}&ISO||{name}||{person.birth_date}|{person.sex}",
    ]


def _segment(name: str, fields: dict[int, str]) -> str:
    return "|".join([name, *(fields.get(place, "") for place in range(1, max(fields) + 1))])


def _order(examination: Examination) -> bytes:
    exam, who = examination, examination.referrer
    status = {Stage.CANCELLED: ("CA", "CA"), Stage.SCHEDULED: ("SC", "SC")}.get(exam.stage, ("NW", "CM"))
    segments = _head(exam, "ORM^O01^ORM_O01", f"O{exam.accession}", exam.ordered)
    segments.append("PV1|1|O")
    doctor = f"{who.hsa_id}^{who.family}^{who.given}"
    segments.append(
        f"ORC|{status[0]}|{exam.placer}|{exam.accession}||{status[1]}||^^^^^{exam.priority}||{_time(exam.ordered)}|||{doctor}"
        f"|||||{exam.referrer_unit.hsa_id}"
    )
    order = {
        1: "1", 2: exam.placer, 3: exam.accession, 4: f"{exam.code}^{exam.title}^99L", 7: _time(exam.ordered),
        13: _escaped(exam.case.history), 16: doctor, 18: exam.accession, 27: f"^^^^^{exam.priority}",
        31: f"^{_escaped(exam.case.question)}",
    }  # fmt: skip
    segments.append(_segment("OBR", order))
    return "\r".join(segments).encode() + b"\r"


def _result(examination: Examination, number: int, version: Any) -> bytes:
    exam, status = examination, version.status
    segments = _head(exam, "ORU^R01^ORU_R01", f"R{exam.accession}.{number}", version.when)
    author, signer = version.author, version.signer
    segments.append(f"ORC|RE|{exam.placer}|{exam.accession}")
    result = {
        1: "1", 2: exam.placer, 3: exam.accession, 4: f"{exam.code}^{exam.title}^99L", 7: _time(exam.when),
        18: exam.accession, 22: _time(version.when), 24: "RAD", 25: status,
        32: f"{signer.hsa_id}&{signer.family}&{signer.given}" if signer else "",
        35: f"{author.hsa_id}&{author.family}&{author.given}",
    }  # fmt: skip
    segments.append(_segment("OBR", result))
    if version.reason:
        segments.append(f"NTE|1||{_escaped(version.reason)}")
    segments.append(
        f"OBX|1|TX|&GDT^Utlåtande||{_escaped(version.text)}||||||{status}|||{_time(version.when)}"
    )
    return "\r".join(segments).encode() + b"\r"


def days_ago(days: float) -> datetime:
    return datetime.now(STOCKHOLM) - timedelta(days=days)
