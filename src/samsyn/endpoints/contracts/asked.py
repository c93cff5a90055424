"""The contract's question: validated against its form, then read. Pure, but for reading the forms once."""

from dataclasses import dataclass
from datetime import datetime
from importlib import resources
from typing import Final

from lxml import etree

from samsyn.endpoints.contracts.envelope import Call, Element
from samsyn.endpoints.contracts.names import CORE, RESPONDER, RESPONDER_FORM
from samsyn.errors import BadInput, ConfigurationError
from samsyn.model.patient import PatientIdentifier
from samsyn.patients.identifiers import ISSUERS, Kind

_NATIONAL: Final = frozenset({ISSUERS[Kind.PERSONNUMMER], ISSUERS[Kind.SAMORDNINGSNUMMER]})


class InvalidRequest(BadInput):
    """A question that follows its form and breaks a rule of the contract: answered with INVALID_REQUEST, no fault."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked for. Empty tuples and strings = no condition."""

    source: str
    """HSA-id of the source system that is asked, upper case."""
    patient: PatientIdentifier
    care_units: tuple[str, ...]
    first_day: str
    last_day: str
    """YYYYMMDD."""
    care_contacts: tuple[str, ...]


class Form:
    """The contract's own form for questions, read from the package once."""

    def __init__(self) -> None:
        """ConfigurationError: the forms are not installed."""
        file = resources.files("samsyn.endpoints.contracts") / "schemas" / RESPONDER_FORM
        try:
            self._schema = etree.XMLSchema(etree.parse(str(file)))
        except (OSError, etree.LxmlError) as problem:
            raise ConfigurationError(f"{RESPONDER_FORM} can not be read") from problem

    def question(self, call: Call) -> Asked:
        """The question. BadInput: it does not follow the form. InvalidRequest: it breaks a rule beside it."""
        body = call.body
        if body.tag != f"{{{RESPONDER}}}GetImagingOutcome":
            raise BadInput("another operation")
        if not self._schema.validate(etree.ElementTree(body)):
            # The schema's own words would repeat what was sent, the number among it.
            raise BadInput("the question does not follow the contract's form")
        return _asked(call, body)


def _asked(call: Call, body: Element) -> Asked:
    source = _text(body, f"{{{RESPONDER}}}sourceSystemHSAId").upper()
    contacts = _texts(body, f"{{{RESPONDER}}}careContactId")
    patient = body.find(f"{{{RESPONDER}}}patientId")
    identifier = PatientIdentifier(_text(patient, f"{{{CORE}}}type"), _text(patient, f"{{{CORE}}}id"))
    if source and source != call.logical_address:
        raise InvalidRequest("sourceSystemHSAId differs from LogicalAddress")
    if not source and contacts:
        raise InvalidRequest("careContactId needs sourceSystemHSAId")
    if not source and identifier.issuer not in _NATIONAL:
        raise InvalidRequest("a reserve number needs sourceSystemHSAId")
    first, last = "", ""
    period = body.find(f"{{{RESPONDER}}}datePeriod")
    if period is not None:
        first, last = _day(period, "start"), _day(period, "end")
        if first > last:
            raise InvalidRequest("datePeriod ends before it starts")
    return Asked(
        call.logical_address,
        identifier,
        tuple(each.upper() for each in _texts(body, f"{{{RESPONDER}}}careUnitHSAId")),
        first,
        last,
        contacts,
    )


def _day(period: Element, name: str) -> str:
    text = _text(period, f"{{{CORE}}}{name}")
    try:
        datetime.strptime(text, "%Y%m%d")  # noqa: DTZ007 - a day, not a moment
    except ValueError:
        raise InvalidRequest("datePeriod names a day that does not exist") from None
    return text


def _text(parent: Element, name: str) -> str:
    return (parent.findtext(name) or "").strip()


def _texts(parent: Element, name: str) -> tuple[str, ...]:
    return tuple((each.text or "").strip() for each in parent.findall(name))
