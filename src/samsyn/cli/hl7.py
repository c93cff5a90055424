"""`samsyn hl7`: a profile tried against a file of messages, for the connection engineer and the RIS technician."""

from dataclasses import replace
from datetime import datetime
from pathlib import Path

from samsyn.clock import STOCKHOLM, SystemClock
from samsyn.errors import ConfigurationError, SamsynError
from samsyn.hl7v2.acknowledgement import verdict_on
from samsyn.hl7v2.meaning import (
    NOBODY,
    BookingEvent,
    Event,
    IdentifierMove,
    IdentityEvent,
    PatientClaim,
    PatientLink,
    PatientMerge,
    PatientUpdate,
    ReferralEvent,
    ReportEvent,
    SentIdentifier,
)
from samsyn.hl7v2.trial import Remark, Trial, try_file
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.reports import people
from samsyn.reports.apply import claims_of
from samsyn.reports.profiles import load_profile

_TEXT_CHARACTERS = 60


def try_profile(profile: str, file: Path, local_issuer: str) -> int:
    """Prints what every message of the file would file; 0 = all of it is understood.

    `local_issuer`: as the source's provider has it in the settings. ConfigurationError: no such profile or file.
    """
    source = Sender("this source", "the sender's provider", "the sender's unit", local_issuer, "own")
    dialect = load_profile(profile)
    try:
        raw = file.read_bytes()
    except OSError as problem:
        raise ConfigurationError(f"{file}: {problem.strerror}") from problem
    trials = [_with_person(trial, source) for trial in try_file(raw, dialect, source)]
    for number, trial in enumerate(trials, start=1):
        _print(number, trial)
    refused = sum(1 for trial in trials if trial.refusal is not None)
    noted = sum(1 for trial in trials if trial.not_understood)
    print(
        f"{len(trials)} messages: {len(trials) - refused} would be filed"
        f" ({noted} of them not understood in every part), {refused} would be refused"
    )
    return 1 if refused or noted or not trials else 0


def _with_person(trial: Trial, source: Sender) -> Trial:
    """The trial, refused when an identifier would keep its message from being filed."""
    today = SystemClock().now().astimezone(STOCKHOLM).date()
    try:
        for event in trial.events:
            claim, others = claims_of(event)
            for identifiers in (claim.identifiers, *others):
                people.resolve(identifiers, source, today)
    except SamsynError as refusal:
        verdict = verdict_on(refusal)
        return replace(trial, answer=verdict.code.value, refusal=Remark(0, verdict.sentence), events=())
    return trial


def _print(number: int, trial: Trial) -> None:
    header = trial.header
    control = header.control_id or "none"
    print(
        f"message {number}, line {trial.first_line}: {header.kind or 'no type'}, control id {control}: {trial.answer}"
    )
    for event in trial.events:
        for line in described(event):
            print(f"  {line}")
    if trial.refusal is not None:
        print(f"  REFUSED {_placed(trial.refusal)}")
    for remark in trial.not_understood:
        print(f"  NOT UNDERSTOOD {_placed(remark)}")
    for remark in trial.not_read:
        print(f"  not read {_placed(remark)}")


def _placed(remark: Remark) -> str:
    return f"line {remark.line}: {remark.text}" if remark.line else remark.text


def described(event: Event) -> list[str]:
    """What an event would file, in words."""
    if isinstance(event, ReferralEvent):
        return _referral(event)
    if isinstance(event, BookingEvent):
        return _booking(event)
    if isinstance(event, ReportEvent):
        return _report(event)
    return _identity(event)


def _identity(event: IdentityEvent) -> list[str]:
    if isinstance(event, PatientUpdate):
        return [f"files patient data told {_moment(event.when)}", *_patient(event.patient)]
    if isinstance(event, PatientMerge):
        gone = ", ".join(map(_identifier, event.subsumed))
        return [f"merges {gone} into", *_patient(event.survivor)]
    if isinstance(event, PatientLink):
        act = "links" if event.linked else "says that these are two persons:"
        return [f"{act} two records told {_moment(event.when)}", *_patient(event.one), *_patient(event.other)]
    if isinstance(event, IdentifierMove):
        return [f"moves the identifier {_identifier(event.moved)} to", *_patient(event.owner)]
    former = ", ".join(map(_identifier, event.former))
    return [f"moves what was sent under {event.kind} {event.number} from {former} to", *_patient(event.owner)]


def _referral(event: ReferralEvent) -> list[str]:
    referral = event.referral
    return [
        f"files referral, {referral.status.value}: placer number {referral.placer_id or 'none'},"
        f" {_accession(referral.accession, event.accession_issuer)}, ordered {_moment(referral.ordered)}"
        f"{', ' + referral.priority if referral.priority else ''}",
        f"  examination: {' '.join((referral.procedure_code, referral.procedure_text)).strip() or 'not told'}",
        f"  question: {_text(referral.question)}; history: {_text(referral.history)}",
        f"  referrer: {referral.referrer or 'not told'}, {_owner(Owner(referral.provider, referral.unit))}",
        f"  examining unit: {_owner(event.performer)}",
        *_patient(event.patient),
    ]


def _booking(event: BookingEvent) -> list[str]:
    return [
        f"files booking {event.booking_id}, {event.status.value}: {_moment(event.starts)} to {_moment(event.ends)},"
        f" placer number {event.placer_id or 'none'}, {_accession(event.accession, event.accession_issuer)}",
        f"  examination: {' '.join((event.procedure_code, event.procedure_text)).strip() or 'not told'};"
        f" {_owner(event.unit)}",
        *_patient(event.patient),
    ]


def _report(event: ReportEvent) -> list[str]:
    kind = f"{event.status.value}{' (only what is added)' if event.fragment else ''}"
    return [
        f"files report, {kind}: {_accession(event.accession, event.accession_issuer)},"
        f" result time {_moment(event.result_time)}",
        f"  author: {event.author or 'not told'}; signed by: {event.signer or 'nobody'}; {_owner(event.owner)}",
        f"  text: {_text(event.text)}",
        *([f"  reason: {_text(event.reason)}"] if event.reason else []),
        *_patient(event.patient),
    ]


def _patient(claim: PatientClaim) -> list[str]:
    facts = claim.demographics
    told = [facts.name, facts.birth_date, facts.sex, "protected identity" if facts.protected else ""]
    numbers = ", ".join(map(_identifier, claim.identifiers))
    return [f"  patient: {numbers}; {', '.join(filter(None, told)) or 'no demographics'}"]


def _identifier(sent: SentIdentifier) -> str:
    if not sent.recognised:
        return f"{sent.value} (assigning authority unknown to the profile: not used)"
    return f"{sent.value} ({sent.issuer or 'no assigning authority'})"


def _accession(number: str, issuer: str) -> str:
    if not number:
        return "no accession number"
    return f"accession number {number}{f' of {issuer}' if issuer else ''}"


def _owner(owner: Owner) -> str:
    return "owner unknown: hidden" if owner == NOBODY else f"{owner.provider}, {owner.unit}"


def _moment(moment: datetime | None) -> str:
    return moment.astimezone(STOCKHOLM).strftime("%Y-%m-%d %H:%M:%S") if moment else "not told"


def _text(text: str) -> str:
    if not text:
        return "none"
    lines = text.count("\n") + 1
    beginning = " ".join(text.split())
    shown = beginning if len(beginning) <= _TEXT_CHARACTERS else beginning[:_TEXT_CHARACTERS] + "..."
    return f'"{shown}" ({len(text)} characters, {lines} lines)'
