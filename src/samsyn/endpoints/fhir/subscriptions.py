"""Subscription (R4, rest-hook): the resource, and notifications in the form of HL7's Subscriptions R5 Backport guide.

A subscription without payload gets empty calls, as R4 says. One with a payload gets bundles: a handshake first, then
event notifications with references (id-only) or without (empty), and heartbeats. A whole resource is never sent: the
subscriber reads it, under the View that it has at that moment.
"""

import json
import uuid
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import orjson

from samsyn import limits
from samsyn.clock import Clock
from samsyn.endpoints.fhir import documents, texts
from samsyn.endpoints.fhir.answers import JSON
from samsyn.endpoints.fhir.common import Resource, handle_in, instant, without_empty
from samsyn.endpoints.fhir.compartment import Compartment, Held
from samsyn.endpoints.fhir.imaging import imaging_study_id
from samsyn.endpoints.fhir.opening import Compartments
from samsyn.endpoints.fhir.search import CHOOSES_PATIENT, Asked, matches, understand
from samsyn.errors import BadInput
from samsyn.exchange.subscriptions.delivery import Told
from samsyn.exchange.subscriptions.feed import StudyEvent
from samsyn.model.changes import ChangeKind
from samsyn.model.subject import Subject
from samsyn.model.subscriptions import Subscription, SubscriptionStatus, TextChange

SUBSCRIBED: Final = ("ImagingStudy", "DiagnosticReport", "ServiceRequest", "DocumentReference", "Observation")
"""Kinds that can be subscribed to."""
_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition"
_CONTENT: Final = f"{_BACKPORT}/backport-payload-content"
_HEARTBEAT: Final = f"{_BACKPORT}/backport-heartbeat-period"
_STATUS_PROFILE: Final = f"{_BACKPORT}/backport-subscription-status-r4"
_OF_A_STUDY: Final = frozenset({"ImagingStudy", "DocumentReference", "Observation"})


def resource(subscription: Subscription) -> Resource:
    """The resource as its system reads it."""
    channel: Resource = {"type": "rest-hook", "endpoint": subscription.endpoint}
    if subscription.payload:
        channel["payload"] = JSON
        channel["_payload"] = {"extension": [{"url": _CONTENT, "valueCode": subscription.payload}]}
    if subscription.heartbeat_s:
        channel["extension"] = [{"url": _HEARTBEAT, "valueUnsignedInt": subscription.heartbeat_s}]
    return without_empty(
        {
            "resourceType": "Subscription",
            "id": subscription.subscription_id,
            "meta": {
                "versionId": f"{subscription.status.value}-{subscription.events}",
                "lastUpdated": instant(subscription.created),
            },
            "status": subscription.status.value,
            "end": instant(subscription.ends) if subscription.ends else "",
            "reason": subscription.reason,
            "criteria": subscription.criteria,
            "error": subscription.error,
            "channel": channel,
        }
    )


def understood(body: bytes) -> Mapping[str, Any]:
    """A sent Subscription as the arguments of SubscriptionRegister.make. BadInput: what is wrong."""
    try:
        sent = json.loads(body)
    except ValueError:
        raise BadInput("the body is no JSON") from None
    if not isinstance(sent, dict) or sent.get("resourceType") != "Subscription":
        raise BadInput("a Subscription is expected")
    channel = sent.get("channel")
    if not isinstance(channel, dict) or channel.get("type") != "rest-hook":
        raise BadInput("channel.type is rest-hook")
    if channel.get("header"):
        raise BadInput("channel.header is not kept: secrets belong into neither store nor journal")
    payload = channel.get("payload", "")
    if payload not in ("", JSON):
        raise BadInput(f"channel.payload is {JSON} or left out")
    content = _extension(channel.get("_payload"), _CONTENT, "valueCode", "id-only")
    if content not in ("empty", "id-only"):
        raise BadInput("a payload's content is empty or id-only: resources are read, not sent")
    heartbeat = _extension(channel, _HEARTBEAT, "valueUnsignedInt", 0)
    if not isinstance(heartbeat, int) or (heartbeat and heartbeat < limits.MIN_HEARTBEAT_S):
        raise BadInput(f"MIN_HEARTBEAT_S: a heartbeat comes at most every {limits.MIN_HEARTBEAT_S} s")
    texts_sent = {name: sent.get(name, "") for name in ("criteria", "reason")}
    texts_sent["endpoint"] = channel.get("endpoint", "")
    for name, value in texts_sent.items():
        if not isinstance(value, str) or not 0 < len(value) <= limits.MAX_SUBSCRIPTION_CHARACTERS:
            most = limits.MAX_SUBSCRIPTION_CHARACTERS
            raise BadInput(f"MAX_SUBSCRIPTION_CHARACTERS: {name} has 1 to {most} characters")
    criteria(texts_sent["criteria"])
    return {
        **texts_sent,
        "payload": content if payload else "",
        "heartbeat_s": heartbeat,
        "ends": _end(sent.get("end", "")),
    }


def wants_off(body: bytes) -> bool:
    """Whether a sent Subscription asks to be switched off, and else to be asked anew."""
    try:
        sent = json.loads(body)
    except ValueError:
        raise BadInput("the body is no JSON") from None
    status = sent.get("status") if isinstance(sent, dict) else None
    if status not in ("off", "requested", "active"):
        raise BadInput("status is off or requested; everything else stays as it was made")
    return bool(status == "off")


def _extension(parent: object, url: str, value: str, otherwise: Any) -> Any:
    found = parent.get("extension", []) if isinstance(parent, dict) else []
    for each in found if isinstance(found, list) else []:
        if isinstance(each, dict) and each.get("url") == url:
            return each.get(value, otherwise)
    return otherwise


def _end(text: object) -> datetime | None:
    if not text:
        return None
    try:
        ends = datetime.fromisoformat(str(text))
    except ValueError:
        ends = None
    if ends is None or ends.tzinfo is None:
        raise BadInput("end is an instant with zone")
    return ends


def criteria(text: str) -> Asked:
    """The search that decides what is told."""
    kind, _, query = text.partition("?")
    if kind not in SUBSCRIBED:
        raise BadInput(f"criteria begin with one of {', '.join(SUBSCRIBED)}")
    given = parse_qsl(query, keep_blank_values=True)
    if any(key.startswith("_") and key not in ("_id", "_lastUpdated") for key, _ in given):
        raise BadInput("criteria are filters only")
    return understand(kind, given)


class Notifications:
    """How notifications are said (exchange.subscriptions.delivery.Speech)."""

    def __init__(self, compartments: Compartments, clock: Clock) -> None:
        self._compartments = compartments
        self._clock = clock

    async def about(
        self, subject: Subject, subscription: Subscription, event: StudyEvent | TextChange
    ) -> tuple[str, ...]:
        """References to the resources of the event that meet the criteria and that the system may see.

        What met the criteria in an earlier state is told too: else nobody would hear that a final report was annulled.
        A study that was taken back, corrected or moved is told whatever the filters say.
        """
        asked = criteria(subscription.criteria)
        is_text = isinstance(event, TextChange)
        if asked.kind not in (_OF_A_STUDY if not is_text else _of_text(event)):
            return ()
        person = await self._compartments.lookup.patient(event.patient_key)
        handle = self._compartments.lookup.handle(person.key)
        wanted = {value.rpartition("/")[2] for name, _, value in asked.filters if name in CHOOSES_PATIENT}
        wanted |= {handle_in(value) for name, _, value in asked.filters if name == "_id"}
        if wanted and wanted != {handle}:
            return ()
        compartment = await self._compartments.open(subject, handle, "subscription")
        held = await compartment.of(asked.kind)
        if isinstance(event, TextChange):
            ids = _ids_of_text(compartment, asked.kind, event)
        else:
            ids = _ids_of_study(compartment, held, asked.kind, event)
            if asked.kind == "ImagingStudy" and event.change.kind is not ChangeKind.STORED:
                return (f"ImagingStudy/{imaging_study_id(handle, event.change.study_uid)}",)
        found = [
            f"{asked.kind}/{each.resource['id']}"
            for each in held
            if each.resource["id"] in ids and any(matches(asked, state) for state in each.states)
        ]
        return tuple(dict.fromkeys(found))

    def body(self, subscription: Subscription, kind: str, told: tuple[Told, ...]) -> tuple[bytes, str]:
        """Body and content type; both empty for a subscription without payload."""
        if not subscription.payload:
            return b"", ""
        bundle = notification(subscription, kind, told, self._compartments.base, self._clock.now())
        return orjson.dumps(bundle), JSON


def notification(
    subscription: Subscription, kind: str, told: tuple[Told, ...], base: str, now: datetime
) -> Resource:
    """The notification bundle, whose first entry tells the subscription's state and what happened."""
    status = subscription.status
    if kind != "handshake":
        status = SubscriptionStatus.ACTIVE
    parameters = _state(subscription, base, status, kind, subscription.events + len(told))
    entries: list[Resource] = []
    for number, each in enumerate(told, start=subscription.events + 1):
        parts: list[Resource] = [
            {"name": "event-number", "valueString": str(number)},
            {"name": "timestamp", "valueInstant": instant(each.time)},
        ]
        if subscription.payload == "id-only":
            parts.append({"name": "focus", "valueReference": {"reference": f"{base}/{each.references[0]}"}})
            parts += [
                {"name": "additional-context", "valueReference": {"reference": f"{base}/{other}"}}
                for other in each.references[1:]
            ]
            entries += [
                {
                    "fullUrl": f"{base}/{reference}",
                    "request": {"method": "GET", "url": reference},
                    "response": {"status": "200"},
                }
                for reference in each.references
            ]
        parameters.append({"name": "notification-event", "part": parts})
    state: Resource = {
        "fullUrl": f"urn:uuid:{_uuid(subscription, kind, len(told))}",
        "resource": {
            "resourceType": "Parameters",
            "meta": {"profile": [_STATUS_PROFILE]},
            "parameter": parameters,
        },
        "request": {"method": "GET", "url": f"Subscription/{subscription.subscription_id}/$status"},
        "response": {"status": "200"},
    }
    return {
        "resourceType": "Bundle",
        "type": "history",
        "timestamp": instant(now),
        "entry": [state, *_distinct(entries)],
    }


def status_of(subscription: Subscription, base: str) -> Resource:
    """How a subscription stands, as an answer to $status."""
    return {
        "resourceType": "Parameters",
        "id": subscription.subscription_id,
        "meta": {"profile": [_STATUS_PROFILE]},
        "parameter": _state(subscription, base, subscription.status, "query-status", subscription.events),
    }


def _state(
    subscription: Subscription, base: str, status: SubscriptionStatus, kind: str, events: int
) -> list[Resource]:
    place = f"{base}/Subscription/{subscription.subscription_id}"
    topic = f"{base}/SubscriptionTopic/{subscription.criteria.partition('?')[0]}"
    return [
        {"name": "subscription", "valueReference": {"reference": place}},
        {"name": "topic", "valueCanonical": topic},
        {"name": "status", "valueCode": status.value},
        {"name": "type", "valueCode": kind},
        {"name": "events-since-subscription-start", "valueString": str(events)},
    ]


def _distinct(entries: list[Resource]) -> list[Resource]:
    return list({each["fullUrl"]: each for each in entries}.values())


def _uuid(subscription: Subscription, kind: str, count: int) -> str:
    """Of one notification: the same when it is said again."""
    name = f"{subscription.subscription_id} {kind} {subscription.events + count}"
    return str(uuid.uuid5(uuid.NAMESPACE_URL, name))


def _of_text(event: StudyEvent | TextChange) -> frozenset[str]:
    is_report = isinstance(event, TextChange) and event.kind == "report"
    return frozenset({"DiagnosticReport", "DocumentReference"} if is_report else {"ServiceRequest"})


def _ids_of_text(compartment: Compartment, kind: str, event: TextChange) -> set[str]:
    """Ids of the resources that the text is in."""
    handle = compartment.handle
    found: set[str] = set()
    for examination in compartment.examinations:
        for version in examination.reports if event.kind == "report" else ():
            if (version.provider, version.accession, version.filler_id) == (
                event.provider,
                event.accession,
                event.number,
            ):
                report = texts.diagnostic_report_id(handle, version)
                found.add(
                    report if kind == "DiagnosticReport" else documents.report_document_id(handle, report)
                )
        for referral in examination.referrals if event.kind == "referral" else ():
            if (referral.provider, referral.accession, referral.placer_id) == (
                event.provider,
                event.accession,
                event.number,
            ):
                found.add(texts.service_request_id(handle, examination.reference, referral))
    return found


def _ids_of_study(compartment: Compartment, held: list[Held], kind: str, event: StudyEvent) -> set[str]:
    """Ids of the resources that are made of the study."""
    handle, uid = compartment.handle, event.change.study_uid
    if kind == "ImagingStudy":
        return {imaging_study_id(handle, uid)}
    if kind == "DocumentReference":
        return {documents.manifest_id(handle, uid, form) for form in ("fhir", "kos")}
    return {each.resource["id"] for each in held if each.study_uid == uid}
