"""The patient relation service, version 1: reading a provider's care relations, registering and ending one.

An older contract: elements begin with a capital, the person is a bare number of twelve characters, one employee and
an end are required, requests are called ...Request, and results stand in elements that are named as their types
(ResultType, GetAllPatientRelationsResultType). Contract: ehr:patientrelationship 1.1.
"""

from datetime import datetime
from typing import Final

from lxml import etree

from samsyn import limits
from samsyn.access.national.elements import Actor, add, check_result, moment_of, swedish, text_of
from samsyn.access.national.grants import GrantPage
from samsyn.access.national.soap import Element, SoapClient
from samsyn.errors import NotSupported, OutOfResources
from samsyn.model.national import NationalGrant, Register

CORE: Final = "urn:riv:ehr:patientrelationship:1"
_RESPONDER: Final = "urn:riv:ehr:patientrelationship:{}:{}Responder:1"
RELATION: Final = "relation"
"""The kind of a NationalGrant that is a care relation."""
_NUMBER_CHARACTERS: Final = 12


class RelationContract:
    """A GrantContract. The logical address is the HSA-id of the provider whose relations are meant."""

    def __init__(self, client: SoapClient) -> None:
        self._client = client

    @property
    def register(self) -> Register:
        """See GrantContract."""
        return Register.RELATION

    async def close(self) -> None:
        """See GrantContract."""
        await self._client.close()

    async def page(self, provider: str, since: str) -> GrantPage:
        """See GrantContract."""
        name = "GetPatientRelationsForCareProvider"
        space = _RESPONDER.format("querying", name)
        request = etree.Element(f"{{{space}}}{name}Request", nsmap={None: space})
        add(request, space, "CareProviderId", provider)
        if since:
            add(request, space, "CreatedOnOrAfter", since)
        add(request, space, "GetCancelledFlag", "true")
        answer = await self._call("querying", name, request, provider)
        told = answer.find(f"{{{space}}}GetAllPatientRelationsResultType")
        if told is None:
            raise OutOfResources("the patient relation service answers something else")
        check_result(told.find(f"{{{CORE}}}Result"), CORE, "ResultCode", "ResultText")
        more_on, has_more = text_of(told, CORE, "MoreOnOrAfter"), text_of(told, CORE, "HasMore")
        if moment_of(more_on) is None or has_more not in ("true", "false", "1", "0"):
            raise OutOfResources("the patient relation service does not say how far it has told")
        grants = [_grant(each) for each in told.findall(f"{{{CORE}}}PatientRelations")]
        cancelled = told.findall(f"{{{CORE}}}CancelledPatientRelations")
        return GrantPage(
            tuple(grant for grant in grants if grant is not None and grant.provider == provider),
            frozenset(text_of(each, CORE, "PatientRelationId") for each in cancelled),
            more_on,
            has_more in ("true", "1"),
        )

    async def register_grant(self, grant: NationalGrant, actor: Actor, at: datetime, reason: str) -> None:
        """See GrantContract. NotSupported also for what the contract can not say: no employee, no end."""
        if not grant.employee or grant.ends is None or len(grant.number) != _NUMBER_CHARACTERS:
            raise NotSupported("a care relation that the contract can not say")
        name = "RegisterExtendedPatientRelation"
        space = _RESPONDER.format("administration", name)
        request = etree.Element(f"{{{space}}}{name}Request", nsmap={None: space, "p": CORE})
        add(request, space, "PatientRelationId", grant.grant_id)
        add(request, space, "PatientId", grant.number)
        add(request, space, "CareProviderId", grant.provider)
        add(request, space, "CareUnitId", grant.unit)
        add(request, space, "EmployeeId", grant.employee)
        add(request, space, "StartDate", swedish(grant.starts))
        add(request, space, "EndDate", swedish(grant.ends))
        _action(add(request, space, "RegistrationAction"), actor, at, reason)
        answer = await self._call("administration", name, request, grant.provider)
        check_result(answer.find(f"{{{space}}}ResultType"), CORE, "ResultCode", "ResultText")

    async def end_grant(
        self, grant: NationalGrant, actor: Actor, at: datetime, reason: str, *, annulled: bool
    ) -> None:
        """See GrantContract."""
        name = "DeleteExtendedPatientRelation" if annulled else "CancelExtendedPatientRelation"
        space = _RESPONDER.format("administration", name)
        request = etree.Element(f"{{{space}}}{name}Request", nsmap={None: space, "p": CORE})
        add(request, space, "PatientRelationId", grant.grant_id)
        _action(
            add(request, space, "DeletionAction" if annulled else "CancellationAction"), actor, at, reason
        )
        answer = await self._call("administration", name, request, grant.provider)
        result = answer.find(f"{{{space}}}ResultType")
        if result is not None and text_of(result, CORE, "ResultCode") in ("NOTFOUND", "INVALIDSTATE"):
            return  # it is not there, or has been ended already: what was wanted is so
        check_result(result, CORE, "ResultCode", "ResultText")

    async def _call(self, part: str, operation: str, request: Element, provider: str) -> Element:
        space = _RESPONDER.format(part, operation)
        answer = await self._client.call(
            f"{space}:{operation}",
            request,
            logical_address=provider,
            timeout_s=limits.NATIONAL_GRANT_TIMEOUT_S,
        )
        if answer.tag != f"{{{space}}}{operation}Response":
            raise OutOfResources("the patient relation service answers something else")
        return answer


def _action(action: Element, actor: Actor, at: datetime, reason: str) -> None:
    """ActionType: asked for and registered by the same person at the same moment."""
    for when, who in (("RequestDate", "RequestedBy"), ("RegistrationDate", "RegisteredBy")):
        add(action, CORE, when, swedish(at))
        person = add(action, CORE, who)
        add(person, CORE, "EmployeeId", actor.employee)
        add(person, CORE, "AssignmentId", actor.assignment)
        if actor.assignment_name:
            add(person, CORE, "AssignmentName", actor.assignment_name[:256])
    if reason:
        add(action, CORE, "ReasonText", reason[:1024])


def _grant(element: Element) -> NationalGrant | None:
    """PatientRelationType. None for one that can not be understood: it opens nothing."""
    grant_id, number = (
        text_of(element, CORE, "PatientRelationId"),
        text_of(element, CORE, "PatientId").upper(),
    )
    provider, unit, employee = (
        text_of(element, CORE, name).upper() for name in ("CareProviderId", "CareUnitId", "EmployeeId")
    )
    starts, ends = (moment_of(text_of(element, CORE, name)) for name in ("StartDate", "EndDate"))
    if not all((grant_id, number, provider, unit, employee)) or starts is None or ends is None:
        return None
    return NationalGrant(grant_id, "", number, RELATION, provider, unit, employee, starts, ends)
