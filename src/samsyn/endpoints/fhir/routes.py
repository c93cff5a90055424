"""FHIR R4, reading: search, read, vread, history, $everything; report documents and study manifests."""

import base64
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from samsyn import limits
from samsyn.access.authentication.identification import CERTIFICATE
from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.authentication.smart.words import Granted
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import LogReview
from samsyn.access.view import Gatekeeper
from samsyn.clock import Clock
from samsyn.dicom.manifest import ManifestHeader, manifest_file
from samsyn.endpoints.fhir import bundles, documents, people
from samsyn.endpoints.fhir.answers import (
    DICOM,
    JSON,
    PRIVATE,
    conditional,
    json_answer,
    parameters,
    refusal_answer,
    takes_json,
)
from samsyn.endpoints.fhir.audit_events import AuditEventDependencies, audit_event_search
from samsyn.endpoints.fhir.browsers import for_browsers
from samsyn.endpoints.fhir.capability import GLOBAL_KINDS, capability
from samsyn.endpoints.fhir.common import Resource, handle_in, issuer_of
from samsyn.endpoints.fhir.compartment import KINDS, Compartment, Held
from samsyn.endpoints.fhir.filing import file_report
from samsyn.endpoints.fhir.narrowing import EITHER, READ, SEARCH, Caller, Narrowing
from samsyn.endpoints.fhir.opening import Compartments
from samsyn.endpoints.fhir.paging import Page, Pages, Place, place_of
from samsyn.endpoints.fhir.search import (
    CHOOSES_PATIENT,
    Asked,
    matches,
    page_links,
    references_of,
    shortened,
    since,
    taken_only,
    understand,
)
from samsyn.endpoints.fhir.smart import SmartDependencies, smart_routes
from samsyn.endpoints.fhir.subscription_routes import SubscriptionDependencies, subscription_routes
from samsyn.errors import (
    BadInput,
    LimitExceeded,
    NotAllowed,
    NotFound,
    NotSupported,
    SamsynError,
)
from samsyn.exchange.subscriptions.register import SubscriptionRegister
from samsyn.model.imaging import StudySummary
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.model.subject import Subject
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.reports.examination import Examination
from samsyn.reports.file import Filing

log = logging.getLogger(__name__)

Identify = Callable[[Request], Subject]
Answer = Callable[[Request], Awaitable[Response]]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True, slots=True)
class FhirDependencies:
    """What the door needs from the house."""

    identify: Identify
    gatekeeper: Gatekeeper
    lookup: PatientLookup
    pages: Pages
    compartments: Compartments
    connections: Connections
    review: LogReview
    extracts: Extracts
    clock: Clock
    base: str
    dicomweb: str
    filing: Filing
    subscriptions: SubscriptionRegister
    smart: SmartAuthority
    origins: tuple[str, ...]
    """Of the apps whose pages call the door from a browser."""


def fhir_routes(needs: FhirDependencies) -> list[Route]:
    """Routes under /fhir."""
    door = _Door(needs)
    routes = [
        *smart_routes(
            SmartDependencies(needs.smart, needs.gatekeeper, needs.identify, needs.connections.may_launch)
        ),
        Route("/fhir/metadata", door.guarded(door.capability)),
        Route("/fhir/DiagnosticReport", door.guarded(door.file), methods=["POST"]),
        Route("/fhir", door.guarded(door.file), methods=["POST"]),
        Route("/fhir/", door.guarded(door.file), methods=["POST"]),
        Route("/fhir/Bundle/{id}", door.guarded(door.bundle)),
        Route("/fhir/Binary/{id}", door.guarded(door.binary)),
        Route("/fhir/Patient/{id}/$everything", door.guarded(door.everything)),
        Route("/fhir/AuditEvent", door.guarded(door.audit_events)),
        Route("/fhir/AuditEvent/_search", door.guarded(door.audit_events), methods=["POST"]),
        *subscription_routes(
            SubscriptionDependencies(needs.identify, needs.subscriptions, needs.pages, needs.base),
            door.guarded,
        ),
        Route("/fhir/{kind}", door.guarded(door.search)),
        Route("/fhir/{kind}/_search", door.guarded(door.search), methods=["POST"]),
        Route("/fhir/{kind}/{id}", door.guarded(door.read)),
        Route("/fhir/{kind}/{id}/_history", door.guarded(door.versions)),
        Route("/fhir/{kind}/{id}/_history/{version}", door.guarded(door.read)),
        Route("/fhir/{rest:path}", door.guarded(door.unknown), methods=_METHODS),
    ]
    return for_browsers(routes, needs.origins)


class _Door:
    def __init__(self, needs: FhirDependencies) -> None:
        self._needs = needs
        self._base = needs.base
        self._pages = needs.pages
        self._global = {
            "Organization": [_with_version(each) for each in people.organizations(needs.connections)],
            "Endpoint": [_with_version(people.endpoint(needs.dicomweb))],
        }

        self._audit_events = audit_event_search(
            AuditEventDependencies(
                needs.identify, needs.review, needs.extracts, needs.lookup, needs.clock, needs.base
            )
        )

    def guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Turns refusals into OperationOutcome; one total mapping, 500 for what is not named."""

        async def endpoint(request: Request) -> Response:
            try:
                if not takes_json(request):
                    return json_answer(bundles.outcome("not-supported", f"Answers are {JSON}."), 406)
                return await answer(request)
            except SamsynError as refusal:
                await self._note(refusal, request)
                return refusal_answer(refusal, request.method)
            except ClientDisconnect:
                # Nobody is there any more to be answered; it is the client's doing, and no fault of ours.
                return refusal_answer(BadInput("the client went away"), request.method)
            except Exception:
                # The traceback's values may be personal, so it goes to the log's own shortening and nowhere else.
                log.exception("fhir-fault")
                return refusal_answer(SamsynError(), request.method)

        return endpoint

    async def file(self, request: Request) -> Response:
        subject = self._needs.identify(request)
        sender = self._needs.connections.text_sender(subject)
        try:
            return json_answer(*await file_report(request, sender, self._needs.filing))
        except NotSupported as refusal:
            # The method is right here, so it is the content that is not taken: 400, not 405.
            await self._note(refusal, request)
            return refusal_answer(refusal, "GET")

    def _caller(self, request: Request, kind: str, letters: str) -> Caller:
        """Who asks. An app's or server's token counts at this door only, and for what its scopes have."""
        granted = self._granted(request)
        if granted is None:
            return Caller(self._needs.identify(request))
        caller = Caller(granted.subject, Narrowing(granted))
        caller.check(kind, letters)
        return caller

    def _own_caller(self, request: Request, kind: str, identity: str) -> Caller | None:
        """An app that reads who let it in (fhirUser); None = it is about something else."""
        granted = self._granted(request)
        if granted is None or not granted.is_own(kind, identity):
            return None
        return Caller(granted.subject, Narrowing(granted.for_own(kind)))

    def _granted(self, request: Request) -> Granted | None:
        """What an app's or server's token stands for; where there is a client certificate, that alone counts."""
        scheme, _, secret = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or CERTIFICATE in request.scope:
            return None
        return self._needs.smart.find(secret.strip())

    async def _note(self, refusal: SamsynError, request: Request) -> None:
        """A refused log-in or act goes into the audit journal, with who it was if he could be told."""
        subject = None
        if isinstance(refusal, NotAllowed):
            with contextlib.suppress(SamsynError):
                granted = self._granted(request)
                subject = granted.subject if granted is not None else self._needs.identify(request)
        address = request.client.host if request.client else ""
        await self._needs.gatekeeper.refusals.record("fhir", refusal, subject=subject, address=address)

    async def capability(self, request: Request) -> Response:
        return json_answer(capability(self._base, is_for_browsers=bool(self._needs.origins)), 200)

    async def audit_events(self, request: Request) -> Response:
        """The audit journal, for those with the right to it."""
        return json_answer(await self._audit_events(request), 200)

    async def unknown(self, request: Request) -> Response:
        """Whatever this door does not have: no such address, or no such method."""
        self._caller(request, "*", EITHER)
        raise NotFound if request.method in ("GET", "HEAD") else NotSupported("this service is read only")

    # -- searching

    async def search(self, request: Request) -> Response:
        kind = request.path_params["kind"]
        caller = self._caller(request, kind, SEARCH)
        if kind not in KINDS and kind not in GLOBAL_KINDS:
            raise NotFound
        given, by_number = await self._chosen(caller, kind, await parameters(request))
        if given is None:
            # Nobody, or more than one: answered as for somebody of whom nothing is shown.
            nobody = understand(kind, [("_id", "none")])
            return json_answer(self._searchset(nobody, 0, Page([], ""), (), tells_query=False), 200)
        asked = understand(kind, given)
        if kind == "Patient":
            return json_answer(await self._patients(caller, asked), 200)
        if kind in GLOBAL_KINDS:
            found = [each for each in self._global[kind] if matches(asked, each)]
            page = self._page(asked, ((each, ()) for each in found))
            return json_answer(self._searchset(asked, len(found), page, ()), 200)
        compartment = await self._compartment(caller, _patient_asked_for(asked), kind, SEARCH)
        held = {each.resource["id"]: each for each in await compartment.of(kind)}
        matched = [each for each in held.values() if matches(asked, each.resource)]
        page = self._page(asked, ((each.resource, place_of(each.examination)) for each in matched))
        included = await self._included(caller, compartment, asked, page.resources)
        if asked.summary != "count":
            given_out = [held[each["id"]] for each in page.resources]
            await compartment.record(self._needs.gatekeeper, kind, given_out)
        told = bool(matched) or not by_number
        return json_answer(self._searchset(asked, len(matched), page, included, tells_query=told), 200)

    async def _chosen(
        self, caller: Caller, kind: str, given: list[tuple[str, str]]
    ) -> tuple[list[tuple[str, str]] | None, bool]:
        """The parameters with `patient.identifier` (IHE ITI-67) put as `patient`, and whether it was there; None = it
        names nobody, or more than one. No number stands in an address that we give."""
        numbers = [value for name, value in given if name == "patient.identifier"]
        if not numbers or kind == "Patient" or kind in GLOBAL_KINDS:
            return given, False
        if len(numbers) > 1 or any(name in CHOOSES_PATIENT for name, _ in given):
            raise BadInput("a search is about one patient, who is named once")
        rest = [(name, value) for name, value in given if name != "patient.identifier"]
        understand(kind, rest)
        found = await self._persons("identifier", numbers[0])
        if len(found) == 1:
            return [("patient", self._handle(found[0])), *rest], True
        view = await self._needs.gatekeeper.open_view(caller.subject, frozenset())
        await self._needs.gatekeeper.record_search(view, "fhir", frozenset())
        return None, True

    def _page(self, asked: Asked, found: Iterable[tuple[Resource, Place]]) -> Page:
        return Page([], "") if asked.summary == "count" else self._pages.page(asked, found)

    def _searchset(
        self,
        asked: Asked,
        total: int,
        page: Page,
        included: Iterable[Resource],
        *,
        tells_query: bool = True,
    ) -> Resource:
        shown = [shortened(asked, each) for each in page.resources]
        links = page_links(self._base, asked, page.next, tells_query=tells_query and asked.kind != "Patient")
        return bundles.searchset(
            self._base, total, links, shown, [shortened(asked, each) for each in included]
        )

    async def _included(
        self, caller: Caller, compartment: Compartment, asked: Asked, page: Sequence[Resource]
    ) -> list[Resource]:
        """What _include and _revinclude ask for besides the page; texts among it are written down as opened."""
        there = {f"{each['resourceType']}/{each['id']}" for each in page}
        wanted = {
            each
            for kind, name in asked.include
            if kind == asked.kind
            for resource in page
            for each in references_of(resource, name)
        } - there
        found: dict[str, Resource] = {}
        for kind in KINDS:
            held = await compartment.of(kind) if page and _may_hold(asked, kind, wanted) else []
            names = [name for other, name in asked.revinclude if other == kind]
            taken = [
                each
                for each in held
                if f"{kind}/{each.resource['id']}" in wanted
                or any(references_of(each.resource, name) & there for name in names)
            ]
            taken = [each for each in taken if f"{kind}/{each.resource['id']}" not in there]
            await compartment.record(self._needs.gatekeeper, kind, taken)
            found.update({f"{kind}/{each.resource['id']}": each.resource for each in taken})
        for kind in GLOBAL_KINDS if _may_read_global(caller) else ():
            found.update(
                {name: each for each in self._global[kind] if (name := f"{kind}/{each['id']}") in wanted}
            )
        return list(found.values())[: limits.MAX_FHIR_PAGE]

    async def _patients(self, caller: Caller, asked: Asked) -> Resource:
        names = {name for name, modifier, _ in asked.filters if not modifier}
        if len(asked.filters) != 1 or not names <= {"identifier", "_id"}:
            raise BadInput("Patient is searched by one identifier, or by _id")
        ((name, _, value),) = asked.filters
        found = await self._persons(name, value)
        keys = frozenset(person.key for person in found)
        view = await self._needs.gatekeeper.open_view(caller.subject, keys)
        await self._needs.gatekeeper.record_search(view, "fhir", keys)
        sought = value.rpartition("|")[2]
        told = [await self._needs.gatekeeper.as_told(caller.subject, person, sought) for person in found]
        resources = []
        narrowed = caller.narrowed("Patient", SEARCH)
        for person in told:
            if person is None:
                continue
            made = _with_version(people.patient(self._handle(person), person))
            linked = await self._needs.lookup.linked(person.key)
            if narrowed is None or narrowed(linked)("Patient", made):
                resources.append(made)
        page = self._page(asked, ((each, ()) for each in resources))
        return self._searchset(asked, len(resources), page, ())

    async def _persons(self, name: str, value: str) -> list[Patient]:
        lookup = self._needs.lookup
        if name == "_id":
            with contextlib.suppress(NotFound):
                return [await lookup.patient(lookup.key_of(value))]
            return []
        system, bar, number = value.partition("|")
        if not bar:
            return await lookup.by_number(system)
        issuer = issuer_of(system)
        if not issuer or not number:
            raise BadInput("identifier is a number, or system|value with a known system")
        return await lookup.by_identifier(PatientIdentifier(issuer, number))

    def _handle(self, person: Patient) -> str:
        return self._needs.lookup.handle(person.key)

    async def everything(self, request: Request) -> Response:
        """Patient/$everything: all that this reader may see of one patient, or of these kinds (`_type`)."""
        asked = taken_only(await parameters(request), ["_type"], "Patient/$everything")
        kinds = asked["_type"].split(",") if "_type" in asked else [*KINDS, "Organization"]
        if not {*KINDS, "Organization"}.issuperset(kinds):
            raise BadInput("_type names a kind that is not of a patient")
        caller = self._caller(request, "Patient", READ)
        compartment = await self._compartment(caller, request.path_params["id"], "Patient", READ)
        found: list[Resource] = []
        for kind in (each for each in KINDS if each in kinds):
            held = await compartment.of(kind)
            await compartment.record(self._needs.gatekeeper, kind, held)
            found += [each.resource for each in held]
        may_name = "Organization" in kinds and _may_read_global(caller)
        named = {name for each in found for name in _organizations_in(each) if may_name}
        found += self._organizations(name.partition("/")[2] for name in named)
        if len(found) > limits.MAX_FHIR_EVERYTHING:
            raise LimitExceeded("MAX_FHIR_EVERYTHING: search each kind by itself, page by page")
        link = {"relation": "self", "url": f"{self._base}/Patient/{compartment.handle}/$everything"}
        return json_answer(bundles.searchset(self._base, len(found), [link], found), 200)

    # -- reading one

    async def read(self, request: Request) -> Response:
        kind, identity = request.path_params["kind"], request.path_params["id"]
        held = await self._held(request, kind, identity)
        wanted = request.path_params.get("version")
        state = next((each for each in held.states if wanted in (None, each["meta"]["versionId"])), None)
        if wanted is None:
            state = held.resource
        if state is None:
            raise NotFound
        return conditional(request, state)

    async def versions(self, request: Request) -> Response:
        asked = taken_only(await parameters(request), ["_since"], "_history")
        first = since(asked["_since"]) if "_since" in asked else None
        held = await self._held(request, request.path_params["kind"], request.path_params["id"])
        return json_answer(bundles.history(self._base, held, first), 200)

    async def _held(self, request: Request, kind: str, identity: str) -> Held:
        caller = self._own_caller(request, kind, identity) or self._caller(request, kind, READ)
        if kind == people.PRACTITIONER and people.is_practitioner(caller.subject, identity):
            return Held((_with_version(people.practitioner(caller.subject)),), None)
        if kind in GLOBAL_KINDS:
            for each in self._global[kind]:
                if each["id"] == identity:
                    return Held((each,), None)
        if kind not in KINDS:
            raise NotFound
        compartment = await self._compartment(caller, handle_in(identity), kind, READ)
        held = await compartment.find(kind, identity)
        await compartment.record(self._needs.gatekeeper, kind, [held])
        return held

    async def _compartment(self, caller: Caller, handle: str, kind: str, letters: str) -> Compartment:
        narrowed = caller.narrowed(kind, letters)
        return await self._needs.compartments.open(caller.subject, handle, "fhir", narrowed)

    # -- documents and manifests

    async def bundle(self, request: Request) -> Response:
        """A report as a document, or a study's manifest."""
        caller = self._caller(request, "DocumentReference", READ)
        caller.check_whole(KINDS)
        identity = request.path_params["id"]
        compartment = await self._compartment(caller, handle_in(identity), "DocumentReference", READ)
        for held in await compartment.of("DiagnosticReport"):
            if documents.report_document_id(compartment.handle, held.resource["id"]) == identity:
                return await self._report_document(request, compartment, held)
        examination, study = await self._manifest(compartment, identity, "fhir")
        instances = await compartment.instances(study.study_uid)
        await self._needs.gatekeeper.record_opening(compartment.view, study.study_uid, "metadata")
        resource = next(
            each.resource
            for each in await compartment.of("ImagingStudy")
            if each.resource["identifier"][0]["value"] == f"urn:oid:{study.study_uid}"
        )
        parts = [each.resource for each in await compartment.of("Patient")]
        parts += self._organizations([compartment.owner(examination)[0]])
        made = documents.manifest_bundle(
            self._base, compartment.handle, resource, instances, self._global["Endpoint"][0], parts
        )
        return json_answer(made, 200)

    async def _report_document(self, request: Request, compartment: Compartment, held: Held) -> Response:
        examination = held.examination
        assert examination is not None
        owner = compartment.owner(examination)
        parts = [each.resource for each in await compartment.of("Patient")]
        for kind in ("ServiceRequest", "ImagingStudy", "Observation", "PractitionerRole"):
            mine = [each for each in await compartment.of(kind) if each.examination is examination]
            await compartment.record(self._needs.gatekeeper, kind, mine)
            parts += [each.resource for each in mine]
        await compartment.record(self._needs.gatekeeper, "DiagnosticReport", [held])
        named = {name for each in (held.resource, *parts) for name in _organizations_in(each)}
        named.add(f"Organization/{owner[0]}")
        parts += self._organizations(name.partition("/")[2] for name in sorted(named))
        made = documents.report_document(
            self._base, compartment.handle, examination, held.resource, owner, _without_places(parts)
        )
        return json_answer(made, 200)

    async def binary(self, request: Request) -> Response:
        """A study's manifest as a DICOM file, as itself or inside a Binary resource."""
        caller = self._caller(request, "DocumentReference", READ)
        caller.check_whole(KINDS)
        identity = request.path_params["id"]
        compartment = await self._compartment(caller, handle_in(identity), "DocumentReference", READ)
        examination, study = await self._manifest(compartment, identity, "kos")
        instances = await compartment.instances(study.study_uid)
        await self._needs.gatekeeper.record_opening(compartment.view, study.study_uid, "metadata")
        person = await self._needs.lookup.patient(self._needs.lookup.key_of(compartment.handle))
        person = compartment.view.told_numbers(person)
        header = _manifest_header(person, study, compartment.owner(examination)[1], self._needs.dicomweb)
        made = documents.manifest_time(study, self._needs.clock.now())
        content = manifest_file(study.study_uid, instances, header, made)
        if JSON in request.headers.get("accept", ""):
            encoded = base64.b64encode(content).decode()
            return json_answer(
                {"resourceType": "Binary", "id": identity, "contentType": DICOM, "data": encoded}, 200
            )
        return Response(content, media_type=DICOM, headers=PRIVATE)

    async def _manifest(
        self, compartment: Compartment, identity: str, form: str
    ) -> tuple[Examination, StudySummary]:
        for held in await compartment.of("ImagingStudy"):
            examination = held.examination
            assert examination is not None
            for study in examination.studies:
                if documents.manifest_id(compartment.handle, study.study_uid, form) == identity:
                    return examination, study
        raise NotFound

    def _organizations(self, hsa_ids: Iterable[str]) -> list[Resource]:
        """These units, each with the care provider that it is part of."""
        wanted = set(hsa_ids)
        every = self._global["Organization"]
        wanted |= {
            str(each["partOf"]["reference"]).partition("/")[2]
            for each in every
            if each["id"] in wanted and "partOf" in each
        }
        return [each for each in every if each["id"] in wanted]


def _manifest_header(person: Patient, study: StudySummary, institution: str, dicomweb: str) -> ManifestHeader:
    known = person.demographics
    number = person.identifiers[0] if person.identifiers else PatientIdentifier("", "")
    return ManifestHeader(
        patient_id=number.value,
        issuer_oid=number.issuer,
        patient_name="" if known.protected else known.name,
        birth_date=known.birth_date if len(known.birth_date) == 8 else "",
        sex=known.sex,
        study_date=study.date,
        study_time=study.time,
        accession=study.accession,
        institution=institution[:64],
        retrieve_url=dicomweb,
    )


def _may_read_global(caller: Caller) -> bool:
    return caller.narrowing is None or any(caller.narrowing.may(kind, EITHER) for kind in GLOBAL_KINDS)


def _may_hold(asked: Asked, kind: str, wanted: set[str]) -> bool:
    return any(other == kind for other, _ in asked.revinclude) or any(
        each.startswith(f"{kind}/") for each in wanted
    )


def _patient_asked_for(asked: Asked) -> str:
    """The one patient that the search is about: named by patient or subject, or in an _id."""
    named = {value for name, _, value in asked.filters if name in CHOOSES_PATIENT}
    if not named:
        named = {
            handle_in(part)
            for name, modifier, value in asked.filters
            if name == "_id" and not modifier
            for part in value.split(",")
        }
    if len(named) != 1:
        raise BadInput("a search is about one patient: give patient=, with the id from a search of Patient")
    return named.pop()


def _organizations_in(resource: Resource) -> set[str]:
    return {
        str(each["reference"])
        for key in ("performer", "custodian", "requester", "organization", "agent", "partOf")
        for each in _references(resource.get(key))
        if str(each["reference"]).startswith("Organization/")
    }


def _references(value: object) -> list[Resource]:
    if isinstance(value, list):
        return [found for each in value for found in _references(each)]
    if isinstance(value, dict):
        if "reference" in value:
            return [value]
        return [found for each in value.values() for found in _references(each)]
    return []


def _without_places(parts: Sequence[Resource]) -> list[Resource]:
    """A report's document does not tell where images lie (IHE MADO): the manifest does."""
    return [{key: value for key, value in each.items() if key != "endpoint"} for each in parts]


def _with_version(resource: Resource) -> Resource:
    return Held((resource,), None).versioned().resource
