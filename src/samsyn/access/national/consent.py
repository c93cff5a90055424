"""The national consent service, version 2: reading a provider's consents, registering and ending one.

Consent (samtycke) is registered by the caller's own id, so that a repetition is one. The contract knows two types,
Consent and Emergency; both grounds for which nobody can be asked (SVOD 3:3, 3:6) are its Emergency. What can not be
understood of an assertion makes it open nothing. Contract: informationsecurity:authorization:consent 2.0 (TKB 2.0.4).
"""

from datetime import datetime
from types import MappingProxyType
from typing import Final

from lxml import etree

from samsyn import limits
from samsyn.access.national.elements import Actor, add, check_result, moment_of, swedish, text_of
from samsyn.access.national.grants import GrantPage
from samsyn.access.national.soap import Element, SoapClient
from samsyn.errors import OutOfResources
from samsyn.model.national import NationalGrant, Register
from samsyn.model.registers import Ground

CORE: Final = "urn:riv:informationsecurity:authorization:consent:2"
_RESPONDER: Final = "urn:riv:informationsecurity:authorization:consent:{}Responder:2"
_BY_PATIENT: Final = "urn:riv:informationsecurity:authorization:consent:{}Responder:1"
_GROUNDS: Final = MappingProxyType({"Consent": Ground.CONSENT.value, "Emergency": Ground.EMERGENCY.value})
_NATIONAL_LEVEL: Final = "NationalLevel"


class ConsentContract:
    """A GrantContract. The logical address is the HSA-id of the provider whose consents are meant."""

    def __init__(self, client: SoapClient) -> None:
        self._client = client

    @property
    def register(self) -> Register:
        """See GrantContract."""
        return Register.CONSENT

    async def close(self) -> None:
        """See GrantContract."""
        await self._client.close()

    async def page(self, provider: str, since: str) -> GrantPage:
        """See GrantContract."""
        space = _RESPONDER.format("GetConsentsForCareProvider")
        request = etree.Element(f"{{{space}}}GetConsentsForCareProvider", nsmap={None: space})
        add(request, space, "careProviderId", provider)
        if since:
            add(request, space, "createdOnOrAfter", since)
        add(request, space, "getCancelledFlag", "true")
        answer = await self._call("GetConsentsForCareProvider", request, provider)
        told = answer.find(f"{{{space}}}getAllAssertionsResult")
        if told is None:
            raise OutOfResources("the consent service answers something else")
        check_result(told.find(f"{{{CORE}}}result"), CORE, "resultCode", "resultText")
        more_on, has_more = text_of(told, CORE, "moreOnOrAfter"), text_of(told, CORE, "hasMore")
        if moment_of(more_on) is None or has_more not in ("true", "false", "1", "0"):
            raise OutOfResources("the consent service does not say how far it has told")
        grants = [_grant(each) for each in told.findall(f"{{{CORE}}}assertions")]
        cancelled = told.findall(f"{{{CORE}}}cancelledAssertions")
        return GrantPage(
            tuple(grant for grant in grants if grant is not None and grant.provider == provider),
            frozenset(text_of(each, CORE, "assertionId") for each in cancelled),
            more_on,
            has_more in ("true", "1"),
        )

    async def register_grant(self, grant: NationalGrant, actor: Actor, at: datetime, reason: str) -> None:
        """See GrantContract."""
        space = _RESPONDER.format("RegisterExtendedConsent")
        request = etree.Element(f"{{{space}}}RegisterExtendedConsent", nsmap={None: space, "c": CORE})
        add(request, space, "assertionId", grant.grant_id)
        add(request, space, "assertionType", "Consent" if grant.kind == Ground.CONSENT else "Emergency")
        add(request, space, "scope", _NATIONAL_LEVEL)
        person = add(request, space, "patientId")
        add(person, CORE, "root", grant.issuer)
        add(person, CORE, "extension", grant.number)
        add(request, space, "careProviderId", grant.provider)
        add(request, space, "careUnitId", grant.unit)
        if grant.employee:
            add(request, space, "employeeId", grant.employee)
        add(request, space, "startDate", swedish(grant.starts))
        if grant.ends is not None:
            add(request, space, "endDate", swedish(grant.ends))
        _action(add(request, space, "registrationAction"), actor, at, reason)
        answer = await self._call("RegisterExtendedConsent", request, grant.provider)
        check_result(answer.find(f"{{{space}}}result"), CORE, "resultCode", "resultText")

    async def end_grant(
        self, grant: NationalGrant, actor: Actor, at: datetime, reason: str, *, annulled: bool
    ) -> None:
        """See GrantContract. The patient himself ends by an operation of his own (since TKB 2.0.4)."""
        if not actor.employee:
            await self._end_by_patient(grant)
            return
        name = "DeleteExtendedConsent" if annulled else "CancelExtendedConsent"
        space = _RESPONDER.format(name)
        request = etree.Element(f"{{{space}}}{name}", nsmap={None: space, "c": CORE})
        add(request, space, "assertionId", grant.grant_id)
        _action(
            add(request, space, "deletionAction" if annulled else "cancellationAction"), actor, at, reason
        )
        answer = await self._call(name, request, grant.provider)
        _check_ended(answer.find(f"{{{space}}}result"))

    async def _end_by_patient(self, grant: NationalGrant) -> None:
        name = "EndConsentByPatient"
        space = _BY_PATIENT.format(name)
        request = etree.Element(f"{{{space}}}{name}", nsmap={None: space, "c": CORE})
        add(request, space, "assertionId", grant.grant_id)
        person = add(request, space, "patientId")
        add(person, CORE, "root", grant.issuer)
        add(person, CORE, "extension", grant.number)
        answer = await self._call(name, request, grant.provider, _BY_PATIENT)
        _check_ended(answer.find(f"{{{space}}}result"))

    async def _call(
        self, operation: str, request: Element, provider: str, responder: str = _RESPONDER
    ) -> Element:
        space = responder.format(operation)
        answer = await self._client.call(
            f"{space}:{operation}",
            request,
            logical_address=provider,
            timeout_s=limits.NATIONAL_GRANT_TIMEOUT_S,
        )
        if answer.tag != f"{{{space}}}{operation}Response":
            raise OutOfResources("the consent service answers something else")
        return answer


def _check_ended(result: Element) -> None:
    if result is not None and text_of(result, CORE, "resultCode") in ("NOTFOUND", "INVALIDSTATE"):
        return  # it is not there, or has been ended already: what was wanted is so
    check_result(result, CORE, "resultCode", "resultText")


def _action(action: Element, actor: Actor, at: datetime, reason: str) -> None:
    """ActionType: asked for and registered by the same person at the same moment."""
    for when, who in (("requestDate", "requestedBy"), ("registrationDate", "registeredBy")):
        add(action, CORE, when, swedish(at))
        person = add(action, CORE, who)
        add(person, CORE, "employeeId", actor.employee)
        add(person, CORE, "assignmentId", actor.assignment)
        if actor.assignment_name:
            add(person, CORE, "assignmentName", actor.assignment_name[:256])
    if reason:
        add(action, CORE, "reasonText", reason[:1024])


def _grant(element: Element) -> NationalGrant | None:
    """PDLAssertionType, in which the patient comes last. None for one that can not be understood."""
    grant_id, ground = text_of(element, CORE, "assertionId"), text_of(element, CORE, "assertionType")
    issuer = text_of(element, CORE, "patientId", "root")
    number = text_of(element, CORE, "patientId", "extension").upper()
    provider, unit = (text_of(element, CORE, name).upper() for name in ("careProviderId", "careUnitId"))
    starts = moment_of(text_of(element, CORE, "startDate"))
    until = text_of(element, CORE, "endDate")
    ends = moment_of(until)
    named = all((grant_id, issuer, number, provider, unit))
    if not named or starts is None or (until and ends is None) or ground not in _GROUNDS:
        return None
    if text_of(element, CORE, "scope") != _NATIONAL_LEVEL:
        return None
    employee = text_of(element, CORE, "employeeId").upper()
    return NationalGrant(grant_id, issuer, number, _GROUNDS[ground], provider, unit, employee, starts, ends)
