"""A source's dialect: where its messages keep what, and what its words mean. Read from TOML, no I/O here.

Every key has a default that follows the standard, so a profile says only what is different. Unknown keys are
refused: a misspelt rule would be a rule that silently does not hold.
"""

import dataclasses
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from samsyn.errors import ConfigurationError
from samsyn.hl7v2.charsets import Charset
from samsyn.hl7v2.paths import Path, parse_path
from samsyn.model.organisation import Owner
from samsyn.model.texts import BookingStatus, ReferralStatus, ReportStatus


def _paths(*texts: str) -> tuple[Path, ...]:
    return tuple(parse_path(text) for text in texts)


BY_STATUS = "by-status"
"""Value in `referral.control` and `document.events`: it tells nothing by itself, the status word does."""
NOTHING = "nothing"
"""Value in `referral.control`: the message changes nothing here (an answer to our own, a note)."""


@dataclass(frozen=True, slots=True)
class Condition:
    """`PATH=VALUE`: holds when one repetition of the place has the value, case ignored."""

    path: Path
    value: str


@dataclass(frozen=True, slots=True)
class PatientRules:
    """[patient]: identifiers and demographics."""

    identifiers: tuple[Path, ...] = _paths("PID-3")
    """Fields of type CX that hold identifiers."""
    issuers: Mapping[str, str] = field(default_factory=dict)
    """Assigning authority (CX-4.1 or CX-4.2) -> issuer OID. An OID sent as CX-4.2 stands for itself."""
    types: Mapping[str, str] = field(default_factory=dict)
    """Identifier type (CX-5) -> issuer OID, for sources that send no assigning authority."""
    sex: Mapping[str, str] = field(
        default_factory=lambda: {"M": "M", "F": "F", "O": "O", "A": "O", "U": "", "N": ""}
    )
    """PID-8 -> M, F, O or "" (not said)."""
    visit: tuple[Path, ...] = _paths("PV1-19.1")
    account: tuple[Path, ...] = _paths("PID-18.1")
    identity_events: str = "taken"
    """What is done when it says who is one person with whom (A40, A47, A24, A37, A43): "taken", or "held" for a
    steward when the source keeps no patient register. What it moves of its own texts (A44, A45) is always taken."""
    protected: tuple[Condition, ...] = (Condition(Path("PD1", "", 12), "Y"),)
    """Any of these marks a protected identity (skyddade personuppgifter)."""
    unprotected: tuple[Condition, ...] = (Condition(Path("PD1", "", 12), "N"),)
    """Any of these, or HL7's null at a place of `protected`, says that it is protected no longer. A message that says
    neither leaves it as it is: most of them have no PD1."""
    guardians: Mapping[str, str] = field(default_factory=dict)
    """NK1-3 codes (HL7 table 0063) -> "guardian", for a source that speaks for the population register: its NK1
    segments are then the register of guardians. Empty = NK1 is passed over."""


@dataclass(frozen=True, slots=True)
class ReferralRules:
    """[referral]: where ORM, OMI and OMG keep the referral (remiss)."""

    placer: tuple[Path, ...] = _paths("ORC-2.1", "OBR-2.1")
    accession: tuple[Path, ...] = _paths("IPC-1.1", "OBR-18.1", "ORC-3.1", "OBR-3.1")
    study_uid: tuple[Path, ...] = _paths("IPC-3.1", "ZDS-1.1")
    ordered: tuple[Path, ...] = _paths("ORC-9.1", "ORC-15.1", "OBR-6.1")
    code: tuple[Path, ...] = _paths("OBR-4.1")
    procedure: tuple[Path, ...] = _paths("OBR-4.2")
    question: tuple[Path, ...] = _paths("OBR-31.2", "OBR-31.1")
    history: tuple[Path, ...] = _paths("OBR-13")
    priority: tuple[Path, ...] = _paths("TQ1-9.1", "OBR-27.6", "ORC-7.6", "OBR-5.1")
    referrer: tuple[Path, ...] = _paths("ORC-12", "OBR-16")
    """Fields of type XCN."""
    referrer_unit: tuple[Path, ...] = _paths("ORC-21.10", "ORC-17.1")
    performer_unit: tuple[Path, ...] = ()
    unknown_unit: str = "nobody"
    """Who owns a referral whose unit code is not in [units]: "nobody" (hidden) or "sender"."""
    control: Mapping[str, str] = field(
        default_factory=lambda: {
            "NW": "ordered", "SN": "ordered", "PA": "ordered", "CH": "ordered", "OK": "ordered", "NA": "ordered",
            "XO": BY_STATUS, "XR": BY_STATUS, "XX": BY_STATUS, "SC": BY_STATUS, "SR": BY_STATUS,
            "RP": BY_STATUS, "RO": BY_STATUS, "RE": BY_STATUS, "RU": BY_STATUS, "SS": NOTHING,
            "CA": "cancelled", "CR": "cancelled", "OC": "cancelled", "DC": "cancelled", "DR": "cancelled",
            "OD": "cancelled", "UC": NOTHING, "UD": NOTHING,
        }
    )  # fmt: skip
    """ORC-1 (HL7 table 0119) -> a referral status, "by-status" or "nothing"."""
    status_at: tuple[Path, ...] = _paths("ORC-5", "OBR-25")
    statuses: Mapping[str, str] = field(
        default_factory=lambda: {
            "A": "performed", "CA": "cancelled", "CM": "performed", "DC": "cancelled", "ER": "ordered",
            "HD": "ordered", "IP": "started", "RP": "cancelled", "SC": "scheduled", "O": "ordered",
            "I": "scheduled", "S": "scheduled", "P": "performed", "F": "reported", "C": "reported",
            "R": "performed", "X": "cancelled",
        }
    )  # fmt: skip
    """Status word (HL7 tables 0038 and 0123, or the dialect's own) -> referral status."""
    priorities: Mapping[str, str] = field(
        default_factory=lambda: {
            "S": "akut", "STAT": "akut", "A": "förtur", "ASAP": "förtur", "P": "förtur", "R": "planerad",
            "ROUTINE": "planerad", "T": "planerad", "C": "planerad", "PRN": "planerad",
        }
    )  # fmt: skip
    """Priority word -> akut, förtur or planerad."""


@dataclass(frozen=True, slots=True)
class ReportRules:
    """[report]: where ORU keeps the report (utlåtande) and what its status words mean."""

    accession: tuple[Path, ...] = _paths("OBR-18.1", "OBR-3.1", "ORC-3.1")
    placer: tuple[Path, ...] = _paths("OBR-2.1", "ORC-2.1")
    filler: tuple[Path, ...] = _paths("OBR-3.1", "ORC-3.1")
    study_uid: tuple[Path, ...] = _paths("ZDS-1.1", "OBX(113014)-5", "IPC-3.1")
    result_time: tuple[Path, ...] = _paths("OBR-22.1", "OBX-14.1", "MSH-7.1")
    examined: tuple[Path, ...] = _paths("OBR-7.1")
    code: tuple[Path, ...] = _paths("OBR-4.1")
    procedure: tuple[Path, ...] = _paths("OBR-4.2")
    author: tuple[Path, ...] = _paths("OBR-33", "OBR-32")
    """Fields of type NDL or XCN: who wrote it."""
    signer: tuple[Path, ...] = _paths("OBR-32")
    """Fields of type NDL or XCN: who signed it; several signers all count."""
    annulled_by: tuple[Path, ...] = _paths("ORC-19", "ORC-10", "OBR-32")
    """Fields of type XCN or NDL: who took it back."""
    status_at: tuple[Path, ...] = _paths("OBR-25")
    statuses: Mapping[str, str] = field(
        default_factory=lambda: {
            "P": "preliminary", "R": "preliminary", "F": "final", "C": "correction", "A": "addendum",
            "D": "annulled", "W": "annulled", "X": "annulled",
        }
    )  # fmt: skip
    """Status word of OBR-25 and OBX-11 -> report status."""
    annulling_controls: tuple[str, ...] = ("CA", "OC", "DC", "OD", "CR")
    """ORC-1 words that annul the report."""
    empty_final_annuls: bool = False
    """Whether a final without text annuls; otherwise it is refused."""
    addendum: str = "fragment"
    """"fragment" = an addendum's text is only what is added; "whole" = it repeats the report as well."""
    text_codes: tuple[str, ...] = ()
    """OBX-3.1 of report text; none = every OBX of a text type that is not in `not_text`."""
    not_text: tuple[str, ...] = ("113014",)
    """OBX-3.1 of observations that are something else."""
    headings: Mapping[str, str] = field(default_factory=dict)
    """OBX-3.1 -> heading line put before its text."""
    reason: tuple[Path, ...] = _paths("ORC-16.2", "ORC-16.1")
    performer_unit: tuple[Path, ...] = ()
    """Where the examining unit's code stands; none or empty = the sender's unit."""
    unknown_unit: str = "nobody"
    """Who owns a report whose unit code is not in [units]: "nobody" (hidden) or "sender"."""
    text_in: str = "each"
    """"each" = every OBR has its own text; "first" = the first OBR's text answers the whole message."""


@dataclass(frozen=True, slots=True)
class DocumentRules:
    """[document]: where MDM keeps the report, and what its events and completion words mean.

    How its text is told from other observations, and whether an addendum is a fragment, stands in [report].
    """

    accession: tuple[Path, ...] = _paths("OBR-18.1", "TXA-15.1", "OBR-3.1", "ORC-3.1")
    placer: tuple[Path, ...] = _paths("TXA-14.1", "OBR-2.1", "ORC-2.1")
    filler: tuple[Path, ...] = _paths("TXA-13.1", "TXA-12.1")
    """The document's number, the parent's first: addenda and replacements have numbers of their own."""
    study_uid: tuple[Path, ...] = _paths("ZDS-1.1", "OBX(113014)-5")
    result_time: tuple[Path, ...] = _paths("TXA-22.15", "TXA-8.1", "TXA-7.1", "TXA-6.1", "EVN-2.1", "MSH-7.1")
    examined: tuple[Path, ...] = _paths("OBR-7.1", "TXA-4.1")
    code: tuple[Path, ...] = _paths("OBR-4.1")
    procedure: tuple[Path, ...] = _paths("OBR-4.2", "TXA-2.2")
    author: tuple[Path, ...] = _paths("TXA-9", "TXA-5")
    """Fields of type XCN."""
    signer: tuple[Path, ...] = _paths("TXA-22")
    """Fields of type PPN; several signers all count."""
    performer_unit: tuple[Path, ...] = ()
    """Where the examining unit's code stands; none or empty = the sender's unit."""
    reason: tuple[Path, ...] = _paths("TXA-21.1")
    events: Mapping[str, str] = field(
        default_factory=lambda: {
            "T02": BY_STATUS, "T04": BY_STATUS, "T06": "addendum", "T08": BY_STATUS, "T10": "correction",
            "T11": "annulled",
        }
    )  # fmt: skip
    """Trigger -> report status, or "by-status". An addendum or replacement counts once it is authenticated."""
    status_at: tuple[Path, ...] = _paths("TXA-17.1")
    statuses: Mapping[str, str] = field(
        default_factory=lambda: {
            "DI": "preliminary", "IP": "preliminary", "IN": "preliminary", "DO": "preliminary",
            "PA": "preliminary", "AU": "final", "LA": "final",
        }
    )  # fmt: skip
    """Completion word (HL7 table 0271) -> report status."""
    withdrawn: tuple[Condition, ...] = (Condition(Path("TXA", "", 19), "CA"),)
    """Any of these takes the document back (availability, HL7 table 0273)."""


@dataclass(frozen=True, slots=True)
class BookingRules:
    """[booking]: where SIU keeps the booking."""

    booking: tuple[Path, ...] = _paths("SCH-2.1", "SCH-1.1")
    """The booking's number, the filler's first."""
    starts: tuple[Path, ...] = _paths("AIS-4.1", "TQ1-7.1", "SCH-11.4")
    ends: tuple[Path, ...] = _paths("TQ1-8.1", "SCH-11.5")
    placer: tuple[Path, ...] = _paths("SCH-26.1", "ORC-2.1")
    accession: tuple[Path, ...] = _paths("SCH-27.1", "ORC-3.1")
    code: tuple[Path, ...] = _paths("AIS-3.1")
    procedure: tuple[Path, ...] = _paths("AIS-3.2", "SCH-7.2")
    unit: tuple[Path, ...] = ()
    """Where the unit's code stands; none or empty = the sender's unit."""
    unknown_unit: str = "nobody"
    """Whose booking one with an unknown unit code is: "nobody" (no care relation) or "sender"."""
    status_at: tuple[Path, ...] = _paths("SCH-25.1")
    statuses: Mapping[str, str] = field(
        default_factory=lambda: {
            "BOOKED": "booked", "PENDING": "booked", "WAITLIST": "booked", "OVERBOOK": "booked",
            "BLOCKED": "booked", "STARTED": "done", "COMPLETE": "done", "CANCELLED": "cancelled",
            "DELETED": "cancelled", "DC": "cancelled", "NOSHOW": "cancelled",
        }
    )  # fmt: skip
    """Status word (HL7 table 0278) -> booked, done or cancelled."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One dialect."""

    name: str
    description: str = ""
    charset: Charset = Charset.LATIN_1
    """When MSH-18 is silent."""
    forced_charset: Charset | None = None
    """For a source that declares wrongly."""
    processing: tuple[str, ...] = ("", "P")
    """MSH-11 that is filed: training and debugging messages (T, D) must not end in a patient's record."""
    units: Mapping[str, Owner] = field(default_factory=dict)
    """Local unit code, upper case -> provider and unit as HSA-ids."""
    accession_issuers: Mapping[str, str] = field(default_factory=dict)
    """Name space of an order number (EI-2) -> issuer OID. An OID sent as EI-3 stands for itself; any other
    word means the source's own numbers."""
    patient: PatientRules = PatientRules()
    referral: ReferralRules = ReferralRules()
    report: ReportRules = ReportRules()
    document: DocumentRules = DocumentRules()
    booking: BookingRules = BookingRules()

    def knowing_units(self, units: Mapping[str, Owner]) -> "Profile":
        """The same dialect that also knows these unit codes; its own come first."""
        known = {code.upper(): owner for code, owner in units.items()}
        return dataclasses.replace(self, units={**known, **self.units})


def read_profile(text: str) -> Profile:
    """A profile from TOML text; ConfigurationError names the key that is unknown or of the wrong kind."""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"the profile is not TOML: {error}") from None
    if not isinstance(values.get("name"), str) or not values["name"]:
        raise ConfigurationError("name: a profile needs a name")
    profile: Profile = _build(Profile, values, "")
    _check(profile)
    return profile


def _build(kind: type[Any], values: Mapping[str, Any], where: str) -> Any:
    """A rules object from a table, key by key; mappings are laid over the defaults."""
    known = {item.name: item for item in dataclasses.fields(kind)}
    defaults = {"name": ""} if kind is Profile else {}
    base = kind(**defaults)
    taken: dict[str, Any] = {}
    for key, value in values.items():
        place = f"{where}{key}"
        if key not in known:
            raise ConfigurationError(f"{place}: no such key in a profile")
        taken[key] = _value(getattr(base, key), str(known[key].type), value, place)
    return dataclasses.replace(base, **taken)


def _value(default: Any, kind: str, value: Any, place: str) -> Any:
    if dataclasses.is_dataclass(default) and not isinstance(default, type):
        return _build(type(default), _table(value, place), place + ".")
    if "Charset" in kind:
        return _charset(value, place)
    if "Path" in kind:
        return tuple(parse_path(text) for text in _words(value, place))
    if "Condition" in kind:
        return tuple(_condition(text, place) for text in _words(value, place))
    if "Owner" in kind:
        return {
            code.upper(): _owner(entry, f"{place}.{code}") for code, entry in _table(value, place).items()
        }
    if isinstance(default, Mapping):
        table = {word.upper(): _word(meaning, place) for word, meaning in _table(value, place).items()}
        return {**default, **table}
    if isinstance(default, tuple):
        return tuple(_words(value, place))
    if isinstance(value, type(default)):
        return value
    raise ConfigurationError(f"{place}: {type(default).__name__} expected")


def _table(value: Any, place: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ConfigurationError(f"{place}: a table is expected")
    return value


def _words(value: Any, place: str) -> list[str]:
    if not isinstance(value, list) or any(not isinstance(word, str) for word in value):
        raise ConfigurationError(f"{place}: a list of words is expected")
    return value


def _word(value: Any, place: str) -> str:
    if not isinstance(value, str):
        raise ConfigurationError(f"{place}: a word is expected")
    return value


def _charset(value: Any, place: str) -> Charset:
    try:
        return Charset(value)
    except ValueError:
        allowed = ", ".join(charset.value for charset in Charset)
        raise ConfigurationError(f"{place}: one of {allowed} is expected") from None


def _condition(text: str, place: str) -> Condition:
    path, mark, value = text.partition("=")
    if not mark or not value:
        raise ConfigurationError(f"{place}: a condition is written as PD1-12=Y")
    return Condition(parse_path(path), value)


def _owner(value: Any, place: str) -> Owner:
    table = _table(value, place)
    if set(table) != {"provider", "unit"}:
        raise ConfigurationError(f"{place}: provider and unit are expected, as HSA-ids")
    return Owner(_word(table["provider"], place).upper(), _word(table["unit"], place).upper())


def _check(profile: Profile) -> None:
    """Words that are free in the types but not in meaning."""
    referral_words = {status.value for status in ReferralStatus}
    _allow("referral.control", profile.referral.control.values(), referral_words | {BY_STATUS, NOTHING})
    _allow("referral.statuses", profile.referral.statuses.values(), referral_words)
    _allow("referral.priorities", profile.referral.priorities.values(), {"akut", "förtur", "planerad"})
    report_words = {status.value for status in ReportStatus}
    _allow("report.statuses", profile.report.statuses.values(), report_words)
    _allow("document.events", profile.document.events.values(), report_words | {BY_STATUS})
    _allow("document.statuses", profile.document.statuses.values(), report_words)
    _allow("report.addendum", [profile.report.addendum], {"fragment", "whole"})
    _allow("report.text_in", [profile.report.text_in], {"each", "first"})
    _allow("patient.identity_events", [profile.patient.identity_events], {"taken", "held"})
    _allow("patient.sex", profile.patient.sex.values(), {"M", "F", "O", ""})
    _allow("booking.statuses", profile.booking.statuses.values(), {status.value for status in BookingStatus})
    for place, word in (
        ("referral", profile.referral.unknown_unit),
        ("report", profile.report.unknown_unit),
        ("booking", profile.booking.unknown_unit),
    ):
        _allow(f"{place}.unknown_unit", [word], {"nobody", "sender"})


def _allow(place: str, words: Any, allowed: set[str]) -> None:
    for word in words:
        if word not in allowed:
            raise ConfigurationError(f"{place}: {word!r} is none of {', '.join(sorted(allowed))}")
