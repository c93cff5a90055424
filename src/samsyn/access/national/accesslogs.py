"""The national log service, version 2: who has had access to a patient's information (GetAccessLogsForPatient).

A report that is not made within the service's fifteen seconds is fetched later under its id; asking without the id
would queue another one. The element of the list is spelled with three s, in schema and sample messages alike.
Contract: informationsecurity:auditing:log 2.0 (TKB 2.0.8).
"""

from datetime import datetime
from typing import Final

from lxml import etree

from samsyn import limits
from samsyn.access.national.elements import add, moment_of, swedish, text_of
from samsyn.access.national.soap import Element, SoapClient
from samsyn.errors import OutOfResources
from samsyn.model.national import AccessElsewhere, AccessReport
from samsyn.model.patient import PatientIdentifier

CORE: Final = "urn:riv:informationsecurity:auditing:log:2"
_NAME: Final = "GetAccessLogsForPatient"
_RESPONDER: Final = f"urn:riv:informationsecurity:auditing:log:{_NAME}Responder:2"
ACTION: Final = f"{_RESPONDER}:{_NAME}"
"""SOAPAction of the call."""
_QUEUED: Final = frozenset({"REPORT_ON_QUEUE", "REPORT_IN_PROCESS"})
_TEXT: Final = 256


class NationalAccessLogs:
    """An AccessLogSource (followup.elsewhere)."""

    def __init__(self, client: SoapClient) -> None:
        self._client = client

    async def close(self) -> None:
        """Ends the connections."""
        await self._client.close()

    async def report(
        self, number: PatientIdentifier, since: datetime, until: datetime, queued: str = ""
    ) -> AccessReport:
        """Accesses from `since` to `until`, or that they are being gathered. OutOfResources: no usable answer, or
        that the queued report is not known any more."""
        request = etree.Element(f"{{{_RESPONDER}}}{_NAME}", nsmap={None: _RESPONDER, "l": CORE})
        person = add(request, _RESPONDER, "patientId")
        add(person, CORE, "root", number.issuer)
        add(person, CORE, "extension", number.value)
        add(request, _RESPONDER, "fromDate", swedish(since))
        add(request, _RESPONDER, "toDate", swedish(until))
        if queued:
            add(request, _RESPONDER, "queuedReportId", queued)
        answer = await self._client.call(ACTION, request, timeout_s=limits.ACCESS_LOG_TIMEOUT_S)
        told = answer.find(f"{{{_RESPONDER}}}accessLogsResult")
        outcome = told.find(f"{{{CORE}}}reportResult") if told is not None else None
        if answer.tag != f"{{{_RESPONDER}}}{_NAME}Response" or outcome is None:
            raise OutOfResources("the log service answers something else")
        code = text_of(outcome, CORE, "result", "resultCode")
        if code in _QUEUED:
            report_id = text_of(outcome, CORE, "queuedReportId") or queued
            if not report_id:
                raise OutOfResources("the log service queues a report without an id")
            return AccessReport(False, False, report_id, _seconds(text_of(outcome, CORE, "queueTime")))
        if code == "MAX_QUERY_RESULT_EXCEEDED":
            return AccessReport(False, True, "")
        if code not in ("OK", "INFO"):
            raise OutOfResources(f"the log service: {code or 'no result code'}")
        logs = told.find(f"{{{CORE}}}accesssLogs")
        found = logs.findall(f"{{{CORE}}}accessLog") if logs is not None else []
        return AccessReport(True, False, "", accesses=tuple(_access(each) for each in found))


def _access(element: Element) -> AccessElsewhere:
    at = moment_of(text_of(element, CORE, "accessDate"))
    if at is None:
        raise OutOfResources("the log service tells an access without a time")
    return AccessElsewhere(
        text_of(element, CORE, "careProviderId").upper(),
        text_of(element, CORE, "careProviderName", longest=_TEXT),
        text_of(element, CORE, "careUnitId").upper(),
        text_of(element, CORE, "careUnitName", longest=_TEXT),
        at,
        text_of(element, CORE, "userId").upper(),
        text_of(element, CORE, "userName", longest=_TEXT),
        text_of(element, CORE, "purpose", longest=_TEXT),
        text_of(element, CORE, "resourceType", longest=_TEXT),
    )


def _seconds(text: str) -> float:
    return float(text) if text.isdigit() and len(text) < 7 else 0.0
