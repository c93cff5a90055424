"""The national staff directory (HSA): which assignments somebody has, as the directory knows them at this moment.

GetCredentialsForPersonIncludingProtectedPerson, version 1: the operation without the last words never tells of staff
with protected personal data, who have to work too. One person may have several HSA-ids, each with several assignments
(commission); only those of the HSA-id that logged in count. Units and providers that have not begun or have ended,
assignments directly below a provider, and purposes that we do not know give nothing. Elements of other name spaces
(later minor versions) are passed over, so that an extension can not pass for a field.
"""

from datetime import datetime
from typing import Final

from lxml import etree

from samsyn import limits
from samsyn.access.authentication.claims import KNOWN_ROLES, OUR_SYSTEM
from samsyn.access.authentication.directory import Credentials
from samsyn.access.national.elements import add, moment_of, text_of
from samsyn.access.national.soap import Element, SoapClient
from samsyn.errors import LimitExceeded, OutOfResources
from samsyn.model.subject import Assignment, Purpose, Right

CORE: Final = "urn:riv:infrastructure:directory:authorizationmanagement:1"
_NAME: Final = "GetCredentialsForPersonIncludingProtectedPerson"
_RESPONDER: Final = f"urn:riv:infrastructure:directory:authorizationmanagement:{_NAME}Responder:1"
ACTION: Final = f"{_RESPONDER}:{_NAME}"
"""SOAPAction of the call."""
_TEXT: Final = 256


class HsaDirectory:
    """A StaffDirectory by the national contract."""

    def __init__(self, client: SoapClient) -> None:
        self._client = client

    async def close(self) -> None:
        """See StaffDirectory."""
        await self._client.close()

    async def credentials(self, employee: str, now: datetime) -> Credentials | None:
        """See StaffDirectory. LimitExceeded: more assignments than anybody has."""
        request = etree.Element(f"{{{_RESPONDER}}}{_NAME}", nsmap={None: _RESPONDER})
        add(request, _RESPONDER, "personHsaId", employee)
        answer = await self._client.call(ACTION, request, timeout_s=limits.NATIONAL_GRANT_TIMEOUT_S)
        if answer.tag != f"{{{_RESPONDER}}}{_NAME}Response":
            raise OutOfResources("the directory answers something else")
        told = [
            each
            for each in answer.findall(f"{{{_RESPONDER}}}credentialInformation")
            if text_of(each, CORE, "personHsaId").upper() == employee
        ]
        if not told:
            return None
        commissions = [each for person in told for each in person.findall(f"{{{CORE}}}commission")]
        if len(commissions) > limits.MAX_ASSIGNMENTS:
            raise LimitExceeded("MAX_ASSIGNMENTS")
        found = (_assignment(each, now) for each in commissions)
        given, family = (
            text_of(told[0], CORE, name, longest=_TEXT) for name in ("givenName", "middleAndSurName")
        )
        return Credentials(
            employee,
            f"{given} {family}".strip(),
            any(_is_yes(text_of(each, CORE, "protectedPerson")) for each in told),
            frozenset(
                role
                for each in told
                for system in each.findall(f"{{{CORE}}}hsaSystemRole")
                if (role := _role(system)) in KNOWN_ROLES
            ),
            tuple(each for each in found if each is not None),
        )


def _role(system: Element) -> str:
    is_ours = text_of(system, CORE, "systemId", longest=_TEXT).upper() == OUR_SYSTEM
    return text_of(system, CORE, "role", longest=_TEXT) if is_ours else ""


def _assignment(element: Element, now: datetime) -> Assignment | None:
    """None: not in force, without unit, or for a purpose that we do not know."""
    commission, unit, provider = (
        text_of(element, CORE, name).upper()
        for name in ("commissionHsaId", "healthCareUnitHsaId", "healthCareProviderHsaId")
    )
    if not commission or not unit or not provider:
        return None
    spans = [_span(element, part, now) for part in ("healthCareUnit", "healthCareProvider")]
    if not all(in_force for in_force, _ in spans):
        return None
    try:
        purpose = Purpose(text_of(element, CORE, "commissionPurpose", longest=_TEXT))
    except ValueError:
        return None
    if purpose is Purpose.OWN_RECORD:
        return None
    rights = tuple(
        Right(
            *(text_of(each, CORE, name, longest=_TEXT) for name in ("activity", "informationClass", "scope"))
        )
        for each in element.findall(f"{{{CORE}}}commissionRight")
    )
    return Assignment(
        commission,
        text_of(element, CORE, "commissionName", longest=_TEXT),
        purpose,
        provider,
        text_of(element, CORE, "healthCareProviderName", longest=_TEXT),
        unit,
        text_of(element, CORE, "healthCareUnitName", longest=_TEXT),
        rights,
        min((ends for _, ends in spans if ends is not None), default=None),
    )


def _span(element: Element, part: str, now: datetime) -> tuple[bool, datetime | None]:
    """(in force now, end) of the unit or the provider. A time that is none closes."""
    first, last = text_of(element, CORE, f"{part}StartDate"), text_of(element, CORE, f"{part}EndDate")
    starts, ends = moment_of(first), moment_of(last)
    if (first and starts is None) or (last and ends is None):
        return False, None
    return (starts is None or starts <= now) and (ends is None or now < ends), ends


def _is_yes(text: str) -> bool:
    """Anything but a clear no counts as protected."""
    return text.lower() not in ("", "false", "0")
