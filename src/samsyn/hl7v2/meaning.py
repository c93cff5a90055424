"""What a message means, in Samsyn's words: values that a profile made of it, still without keys or doubt solved.

Identifiers stand as sent, with the issuer that the profile told; whether they are legal is for `patients` to
say. Owners are HSA-ids; both empty = nobody is known to own it, so it stays hidden until a steward says.
"""

from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

from samsyn.hl7v2.times import Doubt
from samsyn.model.organisation import Owner
from samsyn.model.patient import Demographics
from samsyn.model.texts import BookingStatus, Referral, ReportStatus
from samsyn.model.value import value

NOBODY = Owner("", "")
"""An owner that could not be told."""


@value
class SentIdentifier:
    """A patient identifier (CX) as sent."""

    value: str
    issuer: str
    """OID (or the profile's word) for the assigning authority; "" = none was sent: the source's default."""
    recognised: bool = True
    """False: an authority was sent that the profile does not know; the identifier must not be used."""


@value
class PatientClaim:
    """Whom a message says that it is about."""

    identifiers: tuple[SentIdentifier, ...]
    demographics: Demographics
    visit: str = ""
    """The source's number of the visit or episode that the message belongs to; "" = not told."""
    account: str = ""
    """The source's number of the account, which may hold several visits."""


@dataclass(frozen=True, slots=True)
class GuardianClaim:
    """Who is told to be the patient's guardian (vårdnadshavare). Days are YYYYMMDD, "" = not told."""

    identifiers: tuple[SentIdentifier, ...]
    starts: str = ""
    ends: str = ""


@dataclass(frozen=True, slots=True)
class PatientUpdate:
    """Demographics from a register (ADT). `when` is the moment of the event, by the sender's clock.

    `guardians`: all of them as the source knows them now; None = it does not tell that.
    """

    patient: PatientClaim
    when: datetime | None
    guardians: tuple[GuardianClaim, ...] | None = None


@dataclass(frozen=True, slots=True)
class PatientMerge:
    """Two sets of identifiers that are one person: `subsumed` is to be found under `survivor` from now on."""

    survivor: PatientClaim
    subsumed: tuple[SentIdentifier, ...]
    when: datetime | None


@dataclass(frozen=True, slots=True)
class PatientLink:
    """Two records are (or are not) of one person; neither gives way to the other."""

    one: PatientClaim
    other: PatientClaim
    linked: bool
    when: datetime | None


@dataclass(frozen=True, slots=True)
class IdentifierMove:
    """An identifier belongs to `owner` and not to whoever had it."""

    owner: PatientClaim
    moved: SentIdentifier
    when: datetime | None


@dataclass(frozen=True, slots=True)
class TextMove:
    """What was sent for `former` under a visit or account is `owner`'s."""

    owner: PatientClaim
    former: tuple[SentIdentifier, ...]
    kind: str
    """"visit" or "account"."""
    number: str
    when: datetime | None


@value
class ReferralEvent:
    """A referral, or news about one: an empty text, code or time means that this message did not tell it."""

    patient: PatientClaim
    referral: Referral
    accession_issuer: str
    """Name space of the accession number as told; "" = the source's own."""
    owner_told: bool
    """The referring unit was named; otherwise the owner is the sending unit, which is the weaker word."""
    performer: Owner
    """Who is asked to examine; NOBODY when not told."""
    study_uids: tuple[str, ...]
    when: datetime | None
    deleted: tuple[str, ...] = ()
    """Names of the referral's texts that the message takes away."""


@value
class ReportEvent:
    """One version of a report."""

    patient: PatientClaim
    owner: Owner
    accession: str
    accession_issuer: str
    """Name space of the accession number as told; "" = the source's own."""
    placer_id: str
    filler_id: str
    study_uids: tuple[str, ...]
    status: ReportStatus
    fragment: bool
    """For an addendum, signed or preliminary: the text holds only what is added, and is nothing without what it
    adds to."""
    result_time: datetime | None
    examined: str
    """Day of the examination, YYYYMMDD, or "" when not told."""
    author: str
    signer: str
    """"" for a preliminary report: nobody has signed it whatever the message says."""
    procedure_code: str
    procedure_text: str
    text: str
    reason: str
    """Why it was annulled or corrected, when told."""
    when: datetime | None
    form: str = "text"
    """How it came: "text" for a message, "fhir" for a resource."""
    doubt: Doubt = Doubt.NONE
    """Of `result_time`."""


@value
class BookingEvent:
    """News about one booking; an empty text or time means that this message did not tell it."""

    patient: PatientClaim
    unit: Owner
    """Where the patient is expected; NOBODY when its code is not known."""
    booking_id: str
    status: BookingStatus
    starts: datetime | None
    ends: datetime | None
    placer_id: str
    accession: str
    accession_issuer: str
    procedure_code: str
    procedure_text: str
    when: datetime | None


IdentityEvent: TypeAlias = PatientUpdate | PatientMerge | PatientLink | IdentifierMove | TextMove
TextEvent: TypeAlias = ReferralEvent | ReportEvent | BookingEvent
Event: TypeAlias = IdentityEvent | TextEvent


@value
class Interpretation:
    """All that one message means, and notes (free of patient data) on what was not understood."""

    events: tuple[Event, ...]
    notes: tuple[str, ...] = ()
