"""FHIR R4: Patient by identifier; ImagingStudy, DiagnosticReport and ServiceRequest of one patient."""

import contextlib
import hashlib
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from types import MappingProxyType

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from samsyn.access.view import Gatekeeper, View
from samsyn.endpoints.fhir import resources
from samsyn.endpoints.fhir.resources import Resource
from samsyn.errors import (
    BadInput,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    NotFound,
    NotSupported,
    OutOfResources,
    SamsynError,
)
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Subject
from samsyn.model.texts import Referral
from samsyn.patients.lookup import PatientLookup
from samsyn.reports.examination import Examination, History
from samsyn.search.find import Finder
from samsyn.search.query import Level, Query

log = logging.getLogger(__name__)

Identify = Callable[[Request], Subject]

_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_RESULT_PARAMETERS = frozenset({"_format", "_pretty"})
"""What changes only how an answer looks; any other parameter changes the question."""

_STATUS: MappingProxyType[type[SamsynError], tuple[int, str]] = MappingProxyType(
    {
        BadInput: (400, "invalid"),
        LimitExceeded: (413, "too-costly"),
        NotSupported: (400, "not-supported"),
        NotAuthenticated: (401, "login"),
        NotAllowed: (403, "forbidden"),
        NotFound: (404, "not-found"),
        OutOfResources: (503, "throttled"),
    }
)


@dataclass(frozen=True, slots=True)
class FhirDependencies:
    """What the door needs from the house."""

    identify: Identify
    gatekeeper: Gatekeeper
    lookup: PatientLookup
    history: History
    finder: Finder
    base: str


def fhir_routes(needs: FhirDependencies) -> list[Route]:
    """Routes under /fhir."""
    door = _Door(needs)
    return [
        Route("/fhir/metadata", door.guarded(door.capability)),
        Route("/fhir/Patient", door.guarded(door.patients)),
        Route("/fhir/Patient/{id}", door.guarded(door.patient)),
        Route("/fhir/ImagingStudy", door.guarded(door.studies)),
        Route("/fhir/DiagnosticReport", door.guarded(door.reports)),
        Route("/fhir/ServiceRequest", door.guarded(door.referrals)),
        Route("/fhir/{rest:path}", door.guarded(door.unknown), methods=_METHODS),
    ]


Answer = Callable[[Request], Awaitable[Resource]]


class _Door:
    def __init__(self, needs: FhirDependencies) -> None:
        self._needs = needs

    def guarded(self, answer: Answer) -> Callable[[Request], Awaitable[Response]]:
        """Turns refusals into OperationOutcome; one total mapping, 500 for what is not named."""

        async def endpoint(request: Request) -> Response:
            try:
                return _json(await answer(request), 200)
            except SamsynError as refusal:
                await self._note(refusal, request)
                return _refusal(refusal, request.method)
            except Exception:
                # The traceback's values may be personal, so it goes to the log's own shortening and nowhere else.
                log.exception("fhir-fault")
                return _refusal(SamsynError(), request.method)

        return endpoint

    async def _note(self, refusal: SamsynError, request: Request) -> None:
        """A refused log-in or act goes into the audit journal, with who it was if he could be told."""
        subject = None
        if isinstance(refusal, NotAllowed):
            with contextlib.suppress(SamsynError):
                subject = self._needs.identify(request)
        address = request.client.host if request.client else ""
        await self._needs.gatekeeper.refusals.record("fhir", refusal, subject=subject, address=address)

    async def capability(self, request: Request) -> Resource:
        return resources.capability(self._needs.base)

    async def unknown(self, request: Request) -> Resource:
        """Whatever this door does not have: no such address, or no such method."""
        self._needs.identify(request)
        raise NotFound if request.method in ("GET", "HEAD") else NotSupported("this service is read only")

    async def patients(self, request: Request) -> Resource:
        subject = self._needs.identify(request)
        system, bar, value = _only(request, "identifier").partition("|")
        if not bar:
            found = await self._needs.lookup.by_number(system)
        else:
            issuer = resources.issuer_of(system)
            if not issuer or not value:
                raise BadInput("identifier is a number, or system|value with a known system")
            found = await self._needs.lookup.by_identifier(PatientIdentifier(issuer, value))
        keys = frozenset(person.key for person in found)
        await self._needs.gatekeeper.record_search(await self._open(subject, keys), "fhir", keys)
        told = [
            person for person in found if await self._needs.gatekeeper.may_be_told_who(subject, person.key)
        ]
        return self._bundle(
            "Patient", [resources.patient(self._needs.lookup.handle(person.key), person) for person in told]
        )

    async def patient(self, request: Request) -> Resource:
        subject = self._needs.identify(request)
        person = await self._needs.lookup.patient(self._needs.lookup.key_of(request.path_params["id"]))
        keys = frozenset({person.key})
        await self._needs.gatekeeper.record_search(await self._open(subject, keys), "fhir", keys)
        if not await self._needs.gatekeeper.may_be_told_who(subject, person.key):
            raise NotFound
        return resources.patient(self._needs.lookup.handle(person.key), person)

    async def studies(self, request: Request) -> Resource:
        handle, view, found = await self._history(request)
        studies: list[Resource] = []
        for examination in found:
            for study in examination.studies:
                query = Query(Level.SERIES, {0x0020000D: study.study_uid})
                series = await self._needs.finder.find(view, query)
                studies.append(resources.imaging_study(handle, study, series))
        return self._bundle("ImagingStudy", studies)

    async def reports(self, request: Request) -> Resource:
        handle, view, found = await self._history(request)
        for examination in found:
            if examination.reports:
                await self._needs.gatekeeper.record_opening(
                    view, examination.reference, "report", examination.report_item
                )
        return self._bundle(
            "DiagnosticReport",
            [
                resources.diagnostic_report(handle, report, examination.studies)
                for examination in found
                for report in examination.reports
            ],
        )

    async def referrals(self, request: Request) -> Resource:
        handle, view, found = await self._history(request)
        for examination in found:
            if examination.referrals:
                await self._needs.gatekeeper.record_opening(
                    view, examination.reference, "referral", examination.referral_item
                )
        return self._bundle(
            "ServiceRequest",
            [
                resources.service_request(handle, _referral_id(examination, referral), referral)
                for examination in found
                for referral in examination.referrals
            ],
        )

    async def _history(self, request: Request) -> tuple[str, View, list[Examination]]:
        subject = self._needs.identify(request)
        handle = _only(request, "patient").removeprefix("Patient/")
        keys = await self._needs.lookup.linked(self._needs.lookup.key_of(handle))
        view = await self._open(subject, keys)
        await self._needs.gatekeeper.record_search(view, "fhir", keys)
        return handle, view, await self._needs.history.examinations(view)

    def _bundle(self, kind: str, found: list[Resource]) -> Resource:
        return resources.bundle(self._needs.base, kind, found)

    async def _open(self, subject: Subject, keys: frozenset[int]) -> View:
        return await self._needs.gatekeeper.open_view(subject, keys)


def _referral_id(examination: Examination, referral: Referral) -> str:
    """Stable and opaque: FHIR ids take 64 characters of A-Z, a-z, 0-9, - and . only."""
    name = f"{examination.reference}|{referral.provider}|{referral.placer_id}"
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def _only(request: Request, name: str) -> str:
    """The one search parameter; an unknown one is refused, since ignoring it would answer another question."""
    asked = [
        (key, value) for key, value in request.query_params.multi_items() if key not in _RESULT_PARAMETERS
    ]
    if len(asked) != 1 or asked[0][0] != name or not asked[0][1].strip():
        raise BadInput(f"this search takes exactly the parameter {name}")
    return asked[0][1]


def _refusal(refusal: SamsynError, method: str) -> Response:
    """OperationOutcome. The detail is told where it helps to ask better and tells nothing about what exists."""
    status, code = _STATUS.get(type(refusal), (500, "exception"))
    says_more = isinstance(refusal, BadInput | NotSupported) and refusal.detail
    sentence = f"{refusal.sentence} {refusal.detail}." if says_more else refusal.sentence
    headers = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="samsyn"'
    if isinstance(refusal, NotSupported) and method not in ("GET", "HEAD"):
        status, headers["Allow"] = 405, "GET, HEAD"
    return _json(resources.outcome(code, sentence), status, headers)


def _json(resource: Resource, status: int, headers: dict[str, str] | None = None) -> Response:
    return Response(
        orjson.dumps(resource),
        status_code=status,
        media_type="application/fhir+json",
        headers={"Cache-Control": "private, no-store", **(headers or {})},
    )
