"""Examinations as the contract's imagingOutcome elements. Pure.

One outcome is one report (utlåtande) with the recordings and the referral of its examination: without a report there
is none, since resultReport is mandatory. Only the latest status is told; an addendum that holds only what was
added is told together with the text that it adds to, above it.
"""

import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from types import MappingProxyType
from typing import Final

from lxml import etree

from samsyn.clock import STOCKHOLM
from samsyn.endpoints.contracts.envelope import Element
from samsyn.endpoints.contracts.names import CORE, RESPONDER
from samsyn.exchange.auditing.storelog import xml_text
from samsyn.model.imaging import StudySummary
from samsyn.model.patient import PatientIdentifier
from samsyn.model.texts import (
    MeasuredValue,
    Referral,
    ReferralStatus,
    ReportStatus,
    ReportVersion,
    Vidimering,
)
from samsyn.reports.examination import Examination
from samsyn.reports.order import Arrangement, Role

UnitName = Callable[[str, str], str]
"""Name of (provider, unit)."""

_DOCUMENTS: Final = uuid.UUID("0d9b6a4e-7c39-5b1c-a1d6-5f6d1c8c2b30")
"""Name space of document ids: the same report has the same id whenever and in whichever version it is asked for."""
_TYPES: Final = MappingProxyType(
    {
        ReportStatus.PRELIMINARY: "PREL",
        ReportStatus.FINAL: "DEF",
        # TILL is said of addenda and of corrections.
        ReportStatus.ADDENDUM: "TILL",
        ReportStatus.CORRECTION: "TILL",
    }
)
_STATUS: Final = MappingProxyType(
    {
        ReferralStatus.ORDERED: "Initierad",
        ReferralStatus.SCHEDULED: "Tidbokad",
        ReferralStatus.ARRIVED: "Avvakta",
        ReferralStatus.STARTED: "Pågående",
        ReferralStatus.PERFORMED: "Avklarad",
        ReferralStatus.REPORTED: "Avklarad",
        ReferralStatus.CANCELLED: "Annullerad",
    }
)
"""KV åtgärdsstatus for what a referral's status says about the examination."""
_KAP_TOTAL: Final = "Dose Area Product Total"
"""PS3.16 TID 10002, (113722, DCM)."""
_KAP_UNITS: Final = MappingProxyType(
    {
        "Gy.m2": Decimal(1),
        "dGy.cm2": Decimal("0.00001"),
        "cGy.cm2": Decimal("0.000001"),
        "Gy.cm2": Decimal("0.0001"),
        "mGy.cm2": Decimal("0.0000001"),
        "uGy.m2": Decimal("0.000001"),
    }
)
"""UCUM unit to Gy*m2."""
_ANNULLED: Final = "Svaret är makulerat."
_NO_TEXT: Final = "Svaret saknar text."


@dataclass(frozen=True, slots=True)
class Told:
    """One report as it is to be told."""

    examination: Examination
    arrangement: Arrangement
    approved: bool
    """Whether the patient may read it now (approvedForPatient)."""
    vidimerad: tuple[Vidimering, ...]
    """Of what stands there now, the latest first."""

    @property
    def current(self) -> ReportVersion:
        """The version that the outcome is named by."""
        current = self.arrangement.current
        assert current is not None  # an arrangement of at least one version has one
        return current

    @property
    def result_time(self) -> datetime:
        """When the answer went to the referrer: that of the newest text shown."""
        return max(_made(each.version) for each in self.arrangement.shown)


def document_id(version: ReportVersion) -> str:
    """The stable id of the report that a version belongs to (reports.order.by_report)."""
    return str(uuid.uuid5(_DOCUMENTS, "\0".join(_parts_told(version.report_name))))


def _parts_told(name: tuple[str, str, str]) -> tuple[str, ...]:
    """The first report under an accession number keeps its id when another comes."""
    return name if name[2] else name[:2]


def local(moment: datetime) -> str:
    """YYYYMMDDhhmmss in Sweden: the contract knows no zone, so one hour in autumn has two meanings."""
    return moment.astimezone(STOCKHOLM).strftime("%Y%m%d%H%M%S")


def outcome(told: Told, source: str, patient: PatientIdentifier, name: UnitName) -> Element:
    """The imagingOutcome element."""
    element = etree.Element(f"{{{RESPONDER}}}imagingOutcome", nsmap={"tjk": RESPONDER, "core": CORE})
    _header(_add(element, "imagingOutcomeHeader"), told, source, patient, name)
    _body(_add(element, "imagingOutcomeBody"), told, source, name)
    return element


def report_text(arrangement: Arrangement) -> str:
    """The whole answer as one text, addenda above what they add to; never empty."""
    parts: list[str] = []
    for each in arrangement.shown:
        if each.role is Role.TOMBSTONE:
            return _ANNULLED
        text = each.version.text.strip()
        if each.role is Role.ADDENDUM:
            day = _made(each.version).astimezone(STOCKHOLM).strftime("%Y-%m-%d")
            text = f"Tilläggssvar {day}:\n{text}"
        parts.append(text)
    if arrangement.base_missing:
        parts.append("Svaret som tillägget hör till har inte kommit.")
    return "\n\n".join(part for part in parts if part) or _NO_TEXT


def dose_area_products(measurements: Sequence[MeasuredValue]) -> list[str]:
    """KAP of each study in Gy*m2, the contract's unit. Only totals: what is told is added up by who reads it.

    What is no number, or of a unit that is not known here, is not told.
    """
    found: dict[str, str] = {}
    for each in measurements:
        factor = _KAP_UNITS.get(each.unit)
        if each.name == _KAP_TOTAL and factor is not None and each.study_uid not in found:
            try:
                value = Decimal(each.value) * factor
            except InvalidOperation:
                continue
            if value.is_finite() and value >= 0:
                found[each.study_uid] = f"{value.normalize():f}"
    return list(found.values())


def type_of_result(arrangement: Arrangement) -> str:
    """PREL, DEF or TILL; of an annulled answer what it was before."""
    standing = arrangement.standing
    if standing is ReportStatus.ANNULLED:
        before = [each.status for each in arrangement.earlier if each.status is not ReportStatus.ANNULLED]
        standing = before[0] if before else ReportStatus.FINAL
    return _TYPES.get(standing or ReportStatus.FINAL, "DEF")


def _header(header: Element, told: Told, source: str, patient: PatientIdentifier, name: UnitName) -> None:
    current, arrangement = told.current, told.arrangement
    _add(header, "documentId", document_id(current))
    _add(header, "sourceSystemHSAId", source)
    _add(header, "documentTitle", told.examination.title_of(current) or "Radiologiutlåtande")
    taken = next((_taken(each) for each in told.examination.studies if each.date), "")
    if taken:
        _add(header, "documentTime", taken)
    _person(_add(header, "patientId"), patient)
    accountable = _add(header, "accountableHealthcareProfessional")
    _add(accountable, "authorTime", local(told.result_time))
    _professional(accountable, current.author or current.signer)
    unit = _add(accountable, "healthcareProfessionalOrgUnit")
    _add(unit, "orgUnitHSAId", current.unit)
    _add(unit, "orgUnitName", name(current.provider, current.unit))
    _add(accountable, "healthcareProfessionalCareUnitHSAId", current.unit)
    _add(accountable, "healthcareProfessionalCareGiverHSAId", current.provider)
    signed = [each.version for each in arrangement.shown if each.role is not Role.TOMBSTONE]
    if signed and arrangement.standing is not ReportStatus.PRELIMINARY:
        authenticator = _add(header, "legalAuthenticator")
        _add(authenticator, "signatureTime", local(max(map(_made, signed))))
        signer = signed[0].signer or current.signer
        if signer:
            _add(authenticator, "legalAuthenticatorName", signer)
    _add(header, "approvedForPatient", _boolean(told.approved))
    if current.visit:
        _add(header, "careContactId", current.visit)
    annulled = arrangement.standing is ReportStatus.ANNULLED
    _add(header, "nullified", _boolean(annulled))
    if annulled and current.reason:
        _add(header, "nullifiedReason", current.reason)


def _body(body: Element, told: Told, source: str, name: UnitName) -> None:
    arrangement = told.arrangement
    _add(body, "typeOfResult", type_of_result(arrangement))
    _add(body, "resultTime", local(told.result_time))
    _add(body, "resultReport", report_text(arrangement))
    if arrangement.standing is ReportStatus.CORRECTION and told.current.reason:
        _add(body, "resultComment", told.current.reason)
    for value in dose_area_products(told.examination.measurements):
        dose = _add(body, "radiationDose")
        _add(dose, "value", value)
        _add(dose, "unit", "Gy*m2")
    for study in told.examination.studies:
        if study.provider == told.current.provider and study.date:
            _recording(_add(body, "imageRecording"), told, study, source, name)
    referral = next((each for each in told.examination.referrals if _can_be_told(each, name)), None)
    if referral is not None:
        _referral(_add(body, "referral"), referral, told.vidimerad, name)


def _recording(recording: Element, told: Told, study: StudySummary, source: str, name: UnitName) -> None:
    identity = _add(recording, "recordingId")
    _add(identity, "root", source)
    _add(identity, "extension", study.study_uid)
    # Exam codes are local tables without a registered system: then the text alone, never both (CV).
    activity = _add(recording, "examinationActivity")
    _add(activity, "originalText", study.description.strip() or told.examination.title or "Bildtagning")
    _add(_add(recording, "examinationTimePeriod"), "start", _taken(study))
    statuses = [each.status for each in told.examination.referrals]
    if statuses:
        _add(recording, "examinationStatus", _STATUS[statuses[0]])
    if study.unit:
        _add(recording, "examinationUnit", name(study.provider, study.unit))
    _add(recording, "numberOfImages", str(study.instance_count))
    if study.modalities:
        _add(_add(recording, "modalityData"), "typeOfModality", ", ".join(study.modalities))


def _can_be_told(referral: Referral, name: UnitName) -> bool:
    """Id, time and the referring unit with its name are mandatory: what lacks one of them is not told at all."""
    return bool(
        referral.placer_id and referral.ordered and referral.unit and name(referral.provider, referral.unit)
    )


def _referral(element: Element, referral: Referral, vidimerad: Sequence[Vidimering], name: UnitName) -> None:
    _add(element, "referralId", referral.placer_id)
    if referral.question:
        _add(element, "referralReason", referral.question)
    if referral.history:
        _add(element, "anamnesis", referral.history)
    accountable = _add(element, "accountableHealthcareProfessional")
    assert referral.ordered is not None
    _add(accountable, "authorTime", local(referral.ordered))
    _professional(accountable, referral.referrer)
    unit = _add(accountable, "healthcareProfessionalOrgUnit")
    _add(unit, "orgUnitHSAId", referral.unit)
    _add(unit, "orgUnitName", name(referral.provider, referral.unit))
    if vidimerad:
        attested = _add(element, "attested")
        _add(attested, "signatureTime", local(vidimerad[0].noted))
        if vidimerad[0].name:
            _add(attested, "legalAuthenticatorName", vidimerad[0].name)


def _professional(element: Element, person: str) -> None:
    if person:
        _add(element, "healthcareProfessionalName", person)


def _person(element: Element, patient: PatientIdentifier) -> None:
    _add(element, "id", patient.value)
    _add(element, "type", patient.issuer)


def _taken(study: StudySummary) -> str:
    """The moment of a study as it was told, in Sweden; the day's beginning when no time was told."""
    digits = study.time.partition(".")[0]
    digits = digits if len(digits) in (4, 6) and digits.isdigit() else ""
    return study.date + digits.ljust(6, "0")


def _made(version: ReportVersion) -> datetime:
    return version.result_time or version.received


def _boolean(value: bool) -> str:
    return "true" if value else "false"


def _add(parent: Element, name: str, text: str = "") -> Element:
    element = etree.SubElement(parent, f"{{{CORE}}}{name}")
    if text:
        element.text = xml_text(text)
    return element
