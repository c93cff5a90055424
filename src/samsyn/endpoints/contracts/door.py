"""GetImagingOutcome 1.0 as producer: SOAP 1.1 by RIV-TA Basic Profile 2.1, and its WSDL.

Who calls is told by the client certificate or a bearer token, like at every other door. What the contract calls an
invalid request is an answer with INVALID_REQUEST; everything else that goes wrong is a SOAP fault with a log id.
"""

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import resources
from types import MappingProxyType
from typing import Any, Final

from lxml import etree
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from samsyn import limits
from samsyn.access.consumers import reading_about
from samsyn.access.view import Gatekeeper, View
from samsyn.clock import Clock, swedish_day
from samsyn.endpoints.contracts.asked import Asked, Form, InvalidRequest
from samsyn.endpoints.contracts.envelope import (
    CLIENT,
    MUST_UNDERSTAND,
    SERVER,
    Element,
    NotUnderstood,
    answer_with,
    call_in,
    fault,
)
from samsyn.endpoints.contracts.names import ACTION, CORE, FORMS, PATH, RESPONDER, WSDL
from samsyn.endpoints.contracts.outcomes import Told, document_id, outcome
from samsyn.errors import (
    BadInput,
    LimitExceeded,
    NotAllowed,
    NotAuthenticated,
    SamsynError,
)
from samsyn.model.patient import Patient, PatientIdentifier
from samsyn.model.predicate import Item
from samsyn.model.subject import Subject, SubjectKind
from samsyn.patients.identifiers import kind_of, preference
from samsyn.patients.lookup import PatientLookup
from samsyn.providers.connections import Connections
from samsyn.providers.contracts import ContractPartners
from samsyn.reports.examination import Examination, History
from samsyn.reports.order import by_report
from samsyn.reports.release import released_at
from samsyn.reports.vidimering import vidimerad

log = logging.getLogger(__name__)

_ORIGINAL: Final = "x-rivta-original-serviceconsumer-hsaid"
"""Names the consumer behind a service platform (RIV-TA)."""
_XML: Final = "text/xml; charset=utf-8"
_FAULTS: Final[Mapping[type[SamsynError], tuple[int, str]]] = MappingProxyType(
    {
        NotUnderstood: (500, MUST_UNDERSTAND),
        BadInput: (500, CLIENT),
        LimitExceeded: (500, CLIENT),
        NotAuthenticated: (401, CLIENT),
        NotAllowed: (403, CLIENT),
    }
)
"""HTTP status and fault code of each refusal; what is not named is ours (500, Server). SOAP 1.1 6.2 demands 500 for
faults; who is not known gets what HTTP has for it."""


@dataclass(frozen=True, slots=True)
class ContractDependencies:
    """What the door needs from the house."""

    identify: Callable[[Mapping[str, Any]], Subject]
    gatekeeper: Gatekeeper
    lookup: PatientLookup
    history: History
    connections: Connections
    partners: ContractPartners
    clock: Clock
    base: str
    """Address under which this door is reached, for the WSDL."""


def contract_routes(needs: ContractDependencies) -> list[Route]:
    """The routes of the contract. ConfigurationError: its forms are not installed."""
    door = _Door(needs)
    return [
        Route(PATH, door.form, methods=["GET"]),
        Route(PATH, door.answer, methods=["POST"]),
        Route(PATH + "/{file}", door.file, methods=["GET"]),
    ]


class _Door:
    def __init__(self, needs: ContractDependencies) -> None:
        self._needs = needs
        self._form = Form()
        folder = resources.files("samsyn.endpoints.contracts") / "schemas"
        self._files = {name: (folder / name).read_bytes() for name in (WSDL, *FORMS)}
        self._files[WSDL] = self._files[WSDL].replace(b"ADDRESS", f"{needs.base}{PATH}".encode())
        for name in FORMS:
            self._files[WSDL] = self._files[WSDL].replace(
                f'schemaLocation="{name}"'.encode(), f'schemaLocation="{needs.base}{PATH}/{name}"'.encode()
            )

    async def form(self, request: Request) -> Response:
        """The WSDL, for ?wsdl. It tells the contract and nothing else, so anybody may have it."""
        if request.url.query.lower() != "wsdl":
            return Response(status_code=405, headers={"allow": "POST"})
        return Response(self._files[WSDL], media_type=_XML)

    async def file(self, request: Request) -> Response:
        """A schema file that the WSDL names."""
        data = self._files.get(request.path_params["file"])
        return Response(data, media_type=_XML) if data is not None else Response(status_code=404)

    async def answer(self, request: Request) -> Response:
        """One call; an error never carries what was asked."""
        log_id = str(uuid.uuid4())
        subject: Subject | None = None
        try:
            subject = self._needs.identify(request.scope)
            subject = self._needs.partners.behind(subject, request.headers.get(_ORIGINAL, ""))
            element = await self._answer(request, subject, log_id)
            return Response(answer_with(element), media_type=_XML)
        except InvalidRequest as refusal:
            log.warning("contract-refused", extra={"reason": refusal.detail, "code": log_id})
            return Response(answer_with(_invalid(refusal, log_id)), media_type=_XML)
        except SamsynError as refusal:
            address = request.client.host if request.client else ""
            await self._needs.gatekeeper.refusals.record("soap", refusal, subject=subject, address=address)
            log.warning("contract-refused", extra={"reason": refusal.detail or refusal.code, "code": log_id})
            status, code = next(
                (known for kind, known in _FAULTS.items() if isinstance(refusal, kind)), (500, SERVER)
            )
            return Response(fault(code, refusal.sentence, log_id), status, media_type=_XML)
        except ClientDisconnect:
            raise  # which the listener knows: nobody is there any more to be told
        except Exception:
            # The traceback's values may be personal, so it goes to the log's own shortening and nowhere else.
            log.exception("contract-fault", extra={"code": log_id})
            return Response(fault(SERVER, SamsynError.sentence, log_id), 500, media_type=_XML)

    async def _answer(self, request: Request, subject: Subject, log_id: str) -> Element:
        action = request.headers.get("soapaction", "").strip().strip('"')
        if action and action != ACTION:
            raise BadInput("SOAPAction names another operation")
        asked = self._form.question(call_in(await _body(request)))
        if not self._needs.partners.sources(asked.source):
            raise InvalidRequest("LogicalAddress is no source system that is answered for here")
        found: list[tuple[Told, Patient]] = []
        hidden = False
        for person in await self._needs.lookup.by_identifier(asked.patient):
            view = await self._view(subject, person)
            # A block is the patient's own word against staff: it hides nothing from him.
            hidden = hidden or (not view.blocks_known and view.subject.kind is not SubjectKind.PATIENT)
            found += [(told, person) for told in await self._told(view, asked)]
        newest = sorted(
            found, key=lambda each: (each[0].result_time, document_id(each[0].current)), reverse=True
        )
        answer = etree.Element(
            f"{{{RESPONDER}}}GetImagingOutcomeResponse", nsmap={"tjk": RESPONDER, "core": CORE}
        )
        for told, person in newest[: limits.MAX_IMAGING_OUTCOMES]:
            identifier = _main_identity(person, asked.patient)
            answer.append(outcome(told, asked.source, identifier, self._needs.connections.unit_name))
        message = ""
        if hidden:
            message = "Uppgifter om spärrar kan inte nås just nu; svaret kan vara ofullständigt."
        if len(newest) > limits.MAX_IMAGING_OUTCOMES:
            message = f"Svaret innehåller de {limits.MAX_IMAGING_OUTCOMES} nyaste svaren."
        _result(answer, "INFO" if message else "OK", log_id, message=message)
        return answer

    async def _view(self, subject: Subject, person: Patient) -> View:
        keys = await self._needs.lookup.linked(person.key)
        view = await self._needs.gatekeeper.open_view(reading_about(subject, person.key), keys)
        await self._needs.gatekeeper.record_search(view, "soap", keys)
        return view

    async def _told(self, view: View, asked: Asked) -> list[Told]:
        """What the View shows of the person and the source created, written down as opened before it is told."""
        found: list[Told] = []
        opened: list[tuple[str, str, Item]] = []
        for examination in await self._needs.history.examinations(view):
            for told, item in self._reports(examination, asked):
                if view.subject.kind is SubjectKind.PATIENT and not told.approved:
                    continue
                opened.append((document_id(told.current), "report", item))
                if examination.referral_item is not None:
                    opened.append((examination.reference, "referral", examination.referral_item))
                found.append(told)
        record = self._needs.gatekeeper.record_opening
        # Together, so that they share the disk's syncs.
        await asyncio.gather(*(record(view, name, kind, item) for name, kind, item in opened))
        return found

    def _reports(self, examination: Examination, asked: Asked) -> Iterable[tuple[Told, Item]]:
        partners, shown = self._needs.partners, examination.report_item
        if shown is None:
            return
        for arrangement in by_report(examination.reports):
            current = arrangement.current
            if current is None or not partners.is_source(asked.source, current.provider, current.unit):
                continue
            released = released_at(
                self._needs.gatekeeper.registers.policy,
                arrangement,
                examination.vidimeringar,
                shown.ends,
            )
            approved = released is not None and released <= self._needs.clock.now()
            said = vidimerad(arrangement, examination.vidimeringar).current
            told = Told(examination, arrangement, approved, said)
            if _is_wanted(told, asked):
                yield told, replace(shown, provider=current.provider, unit=current.unit)


def _is_wanted(told: Told, asked: Asked) -> bool:
    current = told.current
    if asked.care_units and current.unit.upper() not in asked.care_units:
        return False
    if asked.care_contacts and current.visit not in asked.care_contacts:
        return False
    days = [
        str(swedish_day(told.result_time)),
        *(each.date for each in told.examination.studies if each.date),
    ]
    return not asked.first_day or (max(days) >= asked.first_day and min(days) <= asked.last_day)


def _main_identity(person: Patient, asked: PatientIdentifier) -> PatientIdentifier:
    """The person's current main identity, whichever linked one was asked by; the asked one where no national number is
    known, since another local number would tell who has given it."""
    best: Sequence[PatientIdentifier] = sorted(person.identifiers, key=preference)
    return best[0] if best and kind_of(best[0]) is not None else asked


def _invalid(refusal: InvalidRequest, log_id: str) -> Element:
    """Nothing but a result: ERROR with INVALID_REQUEST."""
    answer = etree.Element(
        f"{{{RESPONDER}}}GetImagingOutcomeResponse", nsmap={"tjk": RESPONDER, "core": CORE}
    )
    _result(answer, "ERROR", log_id, "INVALID_REQUEST", refusal.detail)
    return answer


def _result(answer: Element, code: str, log_id: str, error: str = "", message: str = "") -> None:
    result = etree.SubElement(answer, f"{{{RESPONDER}}}result")
    for name, text in (("resultCode", code), ("errorCode", error), ("logId", log_id), ("message", message)):
        if text:
            etree.SubElement(result, f"{{{CORE}}}{name}").text = text


async def _body(request: Request) -> bytes:
    data = bytearray()
    async for piece in request.stream():
        data += piece
        if len(data) > limits.MAX_SOAP_REQUEST_BYTES:
            raise LimitExceeded("MAX_SOAP_REQUEST_BYTES")
    return bytes(data)
