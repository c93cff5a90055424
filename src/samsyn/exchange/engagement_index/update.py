"""Update 1.0 of the engagement index as a message, and what its answer says. Pure."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from lxml import etree

from samsyn.access.national.soap import Element
from samsyn.clock import STOCKHOLM
from samsyn.errors import OutOfResources
from samsyn.exchange.auditing.storelog import xml_text
from samsyn.exchange.engagement_index.engagements import Step

RESPONDER: Final = "urn:riv:itintegration:engagementindex:UpdateResponder:1"
CORE: Final = "urn:riv:itintegration:engagementindex:1"
ACTION: Final = f"{RESPONDER}:Update"
"""SOAPAction of Update."""
SERVICE_DOMAIN: Final = "riv:clinicalprocess:healthcond:actoutcome"
CATEGORIZATION: Final = "und-bdi-ure"
"""Examination results of imaging (undersökning, bilddiagnostik, utlåtande)."""
_NOT_APPLICABLE: Final = "NA"


def update(steps: Sequence[Step], now: datetime) -> Element:
    """The call's body. Elements stand in the order of the contract's form."""
    body = etree.Element(f"{{{RESPONDER}}}Update", nsmap={"upd": RESPONDER, "ei": CORE})
    for step in steps:
        transaction = etree.SubElement(body, f"{{{RESPONDER}}}engagementTransaction")
        _add(transaction, "deleteFlag", "true" if step.engagement is None else "false")
        element = _add(transaction, "engagement")
        _add(element, "registeredResidentIdentification", step.key.number)
        _add(element, "serviceDomain", SERVICE_DOMAIN)
        _add(element, "categorization", CATEGORIZATION)
        _add(element, "logicalAddress", step.key.logical_address)
        _add(element, "businessObjectInstanceIdentifier", _NOT_APPLICABLE)
        _add(element, "clinicalProcessInterestId", _NOT_APPLICABLE)
        said = step.engagement or step.before
        _add(element, "mostRecentContent", _local(said.most_recent if step.engagement and said else now))
        _add(element, "sourceSystem", step.key.logical_address)
        _add(element, "creationTime", _local(said.first_told if said else now))
        _add(element, "updateTime", _local(now))
        _add(element, "dataController", step.key.controller)
    return body


def refusal_in(answer: Element) -> str:
    """ "" when the index took it all (OK, INFO), otherwise what it says. OutOfResources: it says something else."""
    if answer.tag != f"{{{RESPONDER}}}UpdateResponse":
        raise OutOfResources("the engagement index answers something else")
    code = (answer.findtext(f"{{{RESPONDER}}}resultCode") or "").strip()
    if code in ("OK", "INFO"):
        return ""
    if code == "ERROR":
        # The comment may repeat the number: it is for nobody's log.
        return "ERROR"
    raise OutOfResources("the engagement index answers without a result")


def _local(moment: datetime) -> str:
    return moment.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")


def _add(parent: Element, name: str, text: str = "") -> Element:
    element = etree.SubElement(parent, f"{{{CORE}}}{name}")
    if text:
        element.text = xml_text(text)
    return element
