"""FHIR AuditEvent (R4) in the shapes of IHE Basic Audit Log Patterns: the journal for those with the right to it.

A log reviewer searches the own provider's entries, a patient the own ones; nobody else gets any.
"""

import base64
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, timedelta
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlencode

from starlette.datastructures import QueryParams
from starlette.requests import Request

from samsyn import limits
from samsyn.access.events import Activity, Event
from samsyn.access.followup.extract import Extracts
from samsyn.access.followup.review import LogEntry, LogPage, LogQuestion, LogReview
from samsyn.clock import STOCKHOLM, Clock
from samsyn.endpoints.fhir.answers import parameters
from samsyn.endpoints.fhir.common import DCM, HSA_SYSTEM, Resource, issuer_of
from samsyn.errors import BadInput, NotFound
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Purpose, Subject, SubjectKind
from samsyn.patients.lookup import PatientLookup

BALP: Final = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit"
_TYPES: Final = "http://terminology.hl7.org/CodeSystem/audit-event-type"
_REST: Final = "http://hl7.org/fhir/restful-interaction"
_OURS: Final = "urn:samsyn:audit-event"
_ENTITIES: Final = "http://terminology.hl7.org/CodeSystem/audit-entity-type"
_ROLES: Final = "http://terminology.hl7.org/CodeSystem/object-role"
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_REASONS: Final = "http://terminology.hl7.org/CodeSystem/v3-ActReason"
_SOURCES: Final = "http://terminology.hl7.org/CodeSystem/security-source-type"

_PURPOSES: Final = MappingProxyType(
    {
        Purpose.CARE.value: ("TREAT", "treatment"),
        Purpose.QUALITY.value: ("HQUALIMP", "health quality improvement"),
        Purpose.ADMINISTRATION.value: ("HOPERAT", "healthcare operations"),
        Purpose.STATISTICS.value: ("HOPERAT", "healthcare operations"),
        Purpose.LEGAL.value: ("HLEGAL", "legal"),
        Purpose.RESEARCH.value: ("HRESCH", "healthcare research"),
        Purpose.OWN_RECORD.value: ("PATRQT", "patient requested"),
    }
)
_EMERGENCY: Final = ("ETREAT", "Emergency Treatment")
_QUERIES: Final = frozenset(
    {Event.SEARCH.value, Event.SEARCH_PATIENT.value, Event.SYSTEM_VIEW.value, Event.READ_AUDIT.value}
)
_LOGIN: Final = frozenset({Event.LOGIN.value, Event.LOGOUT.value, Event.LOGIN_REFUSED.value})
_SENT: Final = frozenset({Event.SEND.value, Event.EXPORT.value})
_DAYS: Final = 30
_PARAMETERS: Final = frozenset(
    {"patient", "patient.identifier", "date", "agent", "_before", "_format", "_pretty", "_count"}
)
_NARROWING: Final = frozenset({"date", "agent", "_before"})


@dataclass(frozen=True, slots=True)
class AuditEventDependencies:
    """What this part of the door needs from the house."""

    identify: Callable[[Request], Subject]
    review: LogReview
    extracts: Extracts
    lookup: PatientLookup
    clock: Clock
    base: str


def audit_event_search(needs: AuditEventDependencies) -> Callable[[Request], Awaitable[Resource]]:
    """The answer to GET /fhir/AuditEvent and POST AuditEvent/_search: a searchset, newest first, with a link to the
    next page, which names a person by the opaque name alone.

    `patient` (a handle) or `patient.identifier` (a number), `date` (ge…, le… or a day), `agent`
    (an HSA-id). A patient's own search takes none.
    """

    async def search(request: Request) -> Resource:
        subject = needs.identify(request)
        asked = QueryParams(await parameters(request))
        unknown = set(asked) - _PARAMETERS
        if unknown:
            raise BadInput("this search takes patient, date and agent")
        if subject.kind is SubjectKind.PATIENT:
            if not _NARROWING.isdisjoint(asked):
                raise BadInput("a person's own search takes no date and no agent")
            page = LogPage(await needs.extracts.own_entries(subject), 0)
        else:
            question, asked = await _question(needs, asked, subject)
            page = _at_most(_count(asked), await needs.review.search(subject, question))
        return _bundle(needs, asked, page)

    return search


def _count(asked: QueryParams) -> int:
    text = asked.get("_count", str(limits.LOG_PAGE))
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text):
        raise BadInput("_count is a whole number from 1")
    return int(text)


def _at_most(count: int, page: LogPage) -> LogPage:
    """The page with so many entries; the rest is what comes before the last of them."""
    if len(page.entries) <= count:
        return page
    return LogPage(page.entries[:count], page.entries[count - 1].sequence)


async def _question(
    needs: AuditEventDependencies, asked: QueryParams, subject: Subject
) -> tuple[LogQuestion, QueryParams]:
    """What is looked for, and the same parameters as addresses of ours give them: with a person's opaque name in place
    of the number."""
    first, last = _period(asked.getlist("date"), needs.clock.now().astimezone(STOCKHOLM).date())
    keys: frozenset[int] | None = None
    if "patient.identifier" in asked:
        # A reviewer is told nothing by a Patient search, so the person is named by number here.
        system, bar, value = asked["patient.identifier"].partition("|")
        issuer = issuer_of(system) if bar else ""
        if bar and (not issuer or not value):
            raise BadInput("patient.identifier is a number, or system|value with a known system")
        named = PatientIdentifier(issuer, value)
        found = await (needs.lookup.by_identifier(named) if bar else needs.lookup.by_number(system))
        known = await needs.review.persons(subject, [person.key for person in found])
        if not known:
            raise NotFound
        keys = frozenset().union(*known.values())
        if len(known) == 1:
            named_so = ("patient", needs.lookup.handle(next(iter(known))))
            asked = QueryParams(
                [named_so, *(pair for pair in asked.multi_items() if pair[0] != "patient.identifier")]
            )
    elif "patient" in asked:
        keys = await needs.lookup.linked(needs.lookup.key_of(asked["patient"].removeprefix("Patient/")))
    before = asked.get("_before", "0")
    if not before.isdecimal() or len(before) > 18:
        raise BadInput("_before is a number that a next link holds")
    return LogQuestion(first, last, asked.get("agent", "").upper(), keys, before=int(before)), asked


def _period(texts: list[str], today: date) -> tuple[date, date]:
    """Days from `date` parameters; without any the last month."""
    first, last = (None, None)
    for text in texts:
        try:
            day = date.fromisoformat(text[-10:])
        except ValueError as problem:
            raise BadInput("date is a day, geYYYY-MM-DD or leYYYY-MM-DD") from problem
        match text[:-10]:
            case "ge":
                first = day
            case "le":
                last = day
            case "" | "eq":
                first = last = day
            case _:
                raise BadInput("date takes the prefixes ge and le")
    last = last or today
    return first or last - timedelta(days=_DAYS), last


def _bundle(needs: AuditEventDependencies, given: QueryParams, page: LogPage) -> Resource:
    asked = [(key, value) for key, value in given.multi_items() if key != "_before"]
    here = f"{needs.base}/AuditEvent"
    links = [{"relation": "self", "url": f"{here}?{urlencode(asked)}"}]
    if page.before:
        links.append({"relation": "next", "url": f"{here}?{urlencode([*asked, ('_before', page.before)])}"})
    return {
        "resourceType": "Bundle",
        "type": "searchset",
        "link": links,
        "entry": [
            {
                "fullUrl": f"{here}/{each.sequence}",
                "resource": audit_event(
                    each, needs.lookup.handle(each.patient_key) if each.patient_key else ""
                ),
                "search": {"mode": "match"},
            }
            for each in page.entries
        ],
    }


def audit_event(entry: LogEntry, patient: str) -> Resource:
    """One entry. `patient`: the handle, "" when it is about nobody in particular."""
    is_query = entry.event in _QUERIES
    resource: Resource = {
        "resourceType": "AuditEvent",
        "id": str(entry.sequence),
        **_kind(entry, patient, is_query),
        "recorded": entry.time.isoformat(timespec="milliseconds"),
        "outcome": "0" if entry.allowed else "8",
        "agent": _agents(entry),
        "source": {
            "observer": {"display": "Samsyn"},
            "type": [{"system": _SOURCES, "code": "4", "display": "Application Server"}],
        },
    }
    purpose = _EMERGENCY if entry.activity == Activity.EMERGENCY else _PURPOSES.get(entry.purpose)
    if purpose is not None:
        resource["purposeOfEvent"] = [{"coding": [_coding(_REASONS, *purpose)]}]
    entities = _entities(entry, patient, is_query)
    if entities:
        resource["entity"] = entities
    return resource


def _kind(entry: LogEntry, patient: str, is_query: bool) -> Resource:
    """Profile, type, subtype and action. A profile is named where the event is what the profile is for."""
    own = _coding(_OURS, entry.event, entry.activity)
    if entry.event in _LOGIN:
        word = ("110123", "Logout") if entry.event == Event.LOGOUT else ("110122", "Login")
        return {
            "type": _coding(DCM, "110114", "User Authentication"),
            "subtype": [_coding(DCM, *word), own],
            "action": "E",
        }
    if entry.event in _SENT:
        return {"type": _coding(DCM, "110106", "Export"), "subtype": [own], "action": "R"}
    if is_query:
        profile = f"{BALP}.PatientQuery" if patient else f"{BALP}.Query"
        subtype, action = ("search", "E")
    elif entry.activity == Activity.READ or entry.activity == Activity.EMERGENCY:
        profile = f"{BALP}.PatientRead" if patient else f"{BALP}.Read"
        subtype, action = ("read", "R")
    else:
        profile = f"{BALP}.PatientUpdate" if patient else f"{BALP}.Update"
        subtype, action = ("update", "U")
    return {
        "meta": {"profile": [profile]},
        "type": _coding(_TYPES, "rest", "RESTful Operation"),
        "subtype": [_coding(_REST, subtype, subtype), own],
        "action": action,
    }


def _agents(entry: LogEntry) -> list[Resource]:
    """The client (a session), the server (we), and the user; a system is its own client."""
    session = entry.details.get("address") or entry.actor or "unknown"
    client: Resource = {
        "type": {"coding": [_coding(DCM, "110153", "Source Role ID")]},
        "who": {"display": session},
        "requestor": False,
    }
    server: Resource = {
        "type": {"coding": [_coding(DCM, "110152", "Destination Role ID")]},
        "who": {"display": "Samsyn"},
        "requestor": False,
    }
    user: Resource = {
        "type": {"coding": [_coding(_PARTICIPATION, "IRCP", "information recipient")]},
        "who": {
            "identifier": {
                "system": HSA_SYSTEM,
                "value": entry.actor or entry.details.get("claimed", "unknown"),
            }
        },
        "requestor": True,
    }
    if entry.actor_name:
        user["name"] = entry.actor_name
        user["who"]["display"] = entry.actor_name
    if entry.unit:
        user["role"] = [{"coding": [_coding(HSA_SYSTEM, entry.unit, "care unit")]}]
    return [client, server, user]


def _entities(entry: LogEntry, patient: str, is_query: bool) -> list[Resource]:
    found: list[Resource] = []
    if patient:
        found.append(
            {
                "what": {"reference": f"Patient/{patient}"},
                "type": _coding(_ENTITIES, "1", "Person"),
                "role": _coding(_ROLES, "1", "Patient"),
            }
        )
    if is_query:
        text = entry.details.get("query") or entry.details.get("door") or entry.event
        found.append(
            {
                "type": _coding(_ENTITIES, "2", "System Object"),
                "role": _coding(_ROLES, "24", "Query"),
                "query": base64.b64encode(text.encode()).decode("ascii"),
            }
        )
    elif entry.details.get("of"):
        what: Resource = {"identifier": {"value": entry.details["of"]}}
        if entry.event.startswith("OPEN_") or entry.event in _SENT:
            what["display"] = entry.activity
        data: Resource = {
            "what": what,
            "type": _coding(_ENTITIES, "2", "System Object"),
            "role": _coding(_ROLES, "4", "Domain Resource"),
        }
        details = [
            {"type": name, "valueString": value}
            for name, value in (
                ("owner-provider", entry.owner_provider),
                ("owner-unit", entry.owner_unit),
                ("rule", entry.details.get("rule", "")),
                ("to", entry.details.get("to", "")),
            )
            if value
        ]
        if details:
            data["detail"] = details
        found.append(data)
    return found


def _coding(system: str, code: str, display: str) -> dict[str, Any]:
    return {"system": system, "code": code, "display": display}
