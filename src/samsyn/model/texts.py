"""Texts as the rooms speak of them: referrals and report versions."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class ReferralStatus(StrEnum):
    """Where a referral stands (ORC-1/ORC-5 in the field's words)."""

    ORDERED = "ordered"
    SCHEDULED = "scheduled"
    ARRIVED = "arrived"
    STARTED = "started"
    PERFORMED = "performed"
    REPORTED = "reported"
    CANCELLED = "cancelled"


class BookingStatus(StrEnum):
    """Where a booking (tidsbokning) stands."""

    BOOKED = "booked"
    DONE = "done"
    CANCELLED = "cancelled"


class ReportStatus(StrEnum):
    """Preliminary (preliminärsvar), final (definitivsvar), addendum (tilläggssvar), correction, annulled."""

    PRELIMINARY = "preliminary"
    FINAL = "final"
    ADDENDUM = "addendum"
    CORRECTION = "correction"
    ANNULLED = "annulled"


@dataclass(frozen=True, slots=True)
class Referral:
    """One referral (remiss), owned by the unit that wrote it."""

    provider: str
    unit: str
    placer_id: str
    accession: str
    priority: str
    """"akut", "förtur" or "planerad"."""
    status: ReferralStatus
    ordered: datetime | None
    procedure_code: str
    procedure_text: str
    question: str
    """Frågeställning."""
    history: str
    """Anamnes."""
    referrer: str
    booked: datetime | None = None
    """When the patient is expected for the examination, when a booking told it."""


@dataclass(frozen=True, slots=True)
class ReportVersion:
    """One version of a report (utlåtande), owned by the radiology unit that wrote it."""

    version_key: int
    provider: str
    unit: str
    accession: str
    filler_id: str
    status: ReportStatus
    result_time: datetime | None
    author: str
    signer: str
    text: str
    """Plain text, lines parted by LF; never markup."""
    received: datetime
    fragment: bool = False
    """For an addendum, signed or preliminary: the text is only what is added, shown with what it adds to."""
    reason: str = ""
    """Why it was corrected or annulled, when the source told."""
    form: str = "text"
    """How it came: "text" (HL7 v2), "fhir", "sr", "cda" or "pdf"."""
    series_uid: str = ""
    """Series of the DICOM object that it came as; "" for a message."""
    renditions: tuple["Rendition", ...] = ()
    """Other forms in which the same version came."""
    visit: str = ""
    """The visit (vårdkontakt, PV1-19) that it was sent for, as its source numbers it; "" = not told."""
    told: str = ""
    """When the source last said it (MSH-7), ISO 8601 in UTC; "" = not known. A result keeps its time (`result_time`)
    when a RIS sends it again with another text."""
    order_number: str = ""
    """OBR-3 of the result (ORU) that it came in; "" = it came in another way, or the order was not told."""
    procedure: str = ""
    """What was examined, in the source's words."""
    message_key: int = 0
    """The message that it came in; 0 for a document."""
    part: str = ""
    """Which of several reports under one accession number it is of (`reports.parts`); "" = the only or first one."""

    @property
    def report_name(self) -> tuple[str, str, str]:
        """What makes versions one report: the provider's accession number, or the filler's where the source gave none,
        and the part."""
        return self.provider, self.accession or self.filler_id, self.part


@dataclass(frozen=True, slots=True, order=True)
class Rendition:
    """The same version of a report in another form."""

    form: str
    series_uid: str


@dataclass(frozen=True, slots=True)
class Vidimering:
    """The referrer's word that a result has been read and taken care of."""

    version_key: int
    """The version that stood on top."""
    mark: str
    """Names everything that stood there (`reports.vidimering.state_mark`)."""
    name: str
    unit: str
    """The unit's name, as it was then."""
    noted: datetime


@dataclass(frozen=True, slots=True)
class MeasuredValue:
    """One number of a structured report (DICOM SR), as its sender told it."""

    study_uid: str
    name: str
    value: str
    unit: str
    """UCUM code, "" for a pure number."""
    context: str
    """The headings that it stands below, parted by " / "."""
