"""PID and MRG by a source's rules: identifiers with issuer, demographics, protected identity."""

import re
from collections.abc import Sequence

from samsyn.errors import BadInput
from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, BadMessage
from samsyn.hl7v2.meaning import GuardianClaim, PatientClaim, SentIdentifier
from samsyn.hl7v2.parsing import Segment, Segments
from samsyn.hl7v2.paths import Path, first_of
from samsyn.hl7v2.profile import Condition, PatientRules
from samsyn.hl7v2.times import Precision, is_day, read_time
from samsyn.model.patient import Demographics

_OID = re.compile(r"[0-2](\.(0|[1-9][0-9]*)){2,}")
_COORDINATION_DAY = re.compile(r"[0-9]{6}(6[1-9]|[78][0-9]|9[01])(?![0-9])")
_UNKNOWN_DAY = re.compile(r"[0-9]{4}(0000|[0-9]{2}00)")
_TO_THE_DAY = len("YYYYMMDD")
_PN_MARKS = re.compile(r"[\^=\\]")
LONGEST_NAME = 324
"""Characters of a PN component group set (PS3.5 6.2: five parts of 64 with their separators)."""


def read_patient(segments: Sequence[Segment], rules: PatientRules, notes: list[str]) -> PatientClaim:
    """Whom PID (with PD1, PV1 and Z-segments beside it) is about. BadMessage when nobody is named."""
    pid = _first_pid(segments)
    if pid is None:
        raise BadMessage("PID", 1, 0, "the message names no patient", SEGMENT_SEQUENCE)
    identifiers: list[SentIdentifier] = []
    for path in rules.identifiers:
        for segment in path.among(segments):
            identifiers += read_identifiers(segment, path.field, rules)
    if not identifiers:
        field = rules.identifiers[0].field if rules.identifiers else 3
        raise pid.fault(field, "the patient identifier is missing", REQUIRED_FIELD_MISSING)
    return PatientClaim(
        tuple(dict.fromkeys(identifiers)),
        _demographics(pid, segments, rules, notes),
        " ".join(first_of(rules.visit, segments).split()),
        " ".join(first_of(rules.account, segments).split()),
    )


def _first_pid(segments: Sequence[Segment]) -> Segment | None:
    if isinstance(segments, Segments):
        return next(iter(segments.named("PID")), None)
    return next((segment for segment in segments if segment.name == "PID"), None)


def read_identifiers(segment: Segment, field: int, rules: PatientRules) -> list[SentIdentifier]:
    """The repetitions of a CX field; empty ones are left out."""
    found = []
    for repetition in range(1, segment.repetitions(field) + 1):
        value = segment.text(field, 1, 0, repetition)
        if value:
            issuer, recognised = _issuer(segment, field, repetition, rules)
            found.append(SentIdentifier(value, issuer, recognised))
    return found


def _issuer(segment: Segment, field: int, repetition: int, rules: PatientRules) -> tuple[str, bool]:
    """CX-4 (namespace & universal id & type), then CX-5; ("", True) when neither was sent."""
    namespace = segment.text(field, 4, 1, repetition)
    universal = segment.text(field, 4, 2, repetition).removeprefix("urn:oid:")
    for word in (universal, namespace):
        issuer = rules.issuers.get(word.upper()) if word else None
        if issuer is not None:
            return issuer, True
    for word in (universal, namespace.removeprefix("urn:oid:")):
        if _OID.fullmatch(word):
            return word, True
    if namespace or universal:
        return "", False
    kind = segment.text(field, 5, 1, repetition).upper()
    return rules.types.get(kind, ""), True


def _demographics(
    pid: Segment, segments: Sequence[Segment], rules: PatientRules, notes: list[str]
) -> Demographics:
    protected = any(holds(condition, segments) for condition in rules.protected)
    return Demographics(
        name=_name(pid),
        birth_date=_birth_date(pid, notes),
        sex=_sex(pid, rules, notes),
        protected=protected,
        deceased=_deceased(pid, notes),
        unprotected=not protected and _is_unprotected(segments, rules),
    )


def _is_unprotected(segments: Sequence[Segment], rules: PatientRules) -> bool:
    return any(holds(condition, segments) for condition in rules.unprotected) or any(
        segment.is_null(condition.path.field)
        for condition in rules.protected
        for segment in condition.path.among(segments)
    )


def read_guardians(
    segments: Sequence[Segment], rules: PatientRules, notes: list[str]
) -> tuple[GuardianClaim, ...] | None:
    """NK1 (next of kin, v2.5.1 3.4.5) whose relationship the profile takes for guardianship: NK1-33 identifies,
    NK1-8 and NK1-9 bound. None: the profile does not take any, or the message has no NK1."""
    if not rules.guardians or not any(segment.name == "NK1" for segment in segments):
        return None
    found = []
    for segment in segments:
        if segment.name != "NK1" or segment.text(3).upper() not in rules.guardians:
            continue
        identifiers = tuple(read_identifiers(segment, 33, rules))
        if not identifiers:
            notes.append("NK1-33: a guardian without a number, left out")
            continue
        found.append(GuardianClaim(identifiers, _day(segment, 8, notes), _day(segment, 9, notes)))
    return tuple(found)


def _day(segment: Segment, field: int, notes: list[str]) -> str:
    try:
        point = read_time(segment.text(field))
    except BadInput as error:
        raise segment.fault(field, error.detail) from None
    return point.date if point is not None and point.precision >= Precision.DAY else ""


def _name(pid: Segment) -> str:
    """PID-5 as DICOM PN, `Family^Given^Middle`; the legal name when several were sent."""
    chosen = 1
    for repetition in range(1, pid.repetitions(5) + 1):
        if pid.text(5, 7, 0, repetition).upper() == "L":
            chosen = repetition
            break
    parts = [pid.text(5, 1, 1, chosen), pid.text(5, 2, 0, chosen), pid.text(5, 3, 0, chosen)]
    # A caret or equals sign inside a name would move its parts when it is written as PN.
    plain = [part if part.isalpha() else " ".join(_PN_MARKS.sub(" ", part).split()) for part in parts]
    return "^".join(plain).rstrip("^")[:LONGEST_NAME]


def _birth_date(pid: Segment, notes: list[str]) -> str:
    """PID-7 as YYYYMMDD; "" when it was not told to the day. It is never taken from the number."""
    text = pid.text(7)
    if len(text) == _TO_THE_DAY and is_day(text):
        return text
    if _COORDINATION_DAY.match(text):
        notes.append("PID-7: the day of a coordination number instead of a birth date, left out")
        return ""
    if _UNKNOWN_DAY.fullmatch(text):
        notes.append("PID-7: month or day unknown, left out")
        return ""
    try:
        point = read_time(text)
    except BadInput as error:
        raise pid.fault(7, error.detail) from None
    if point is not None and point.precision < Precision.DAY:
        notes.append("PID-7: month or day unknown, left out")
    return point.date if point is not None else ""


def _deceased(pid: Segment, notes: list[str]) -> str:
    """PID-30 with PID-29 as Demographics tells a death. HL7's null takes a death back; what contradicts itself says
    nothing, and a day that can not be read leaves the death standing: no text is refused for either."""
    word, told = pid.text(30).upper(), pid.text(29)
    if word not in ("", "Y", "N"):
        notes.append("PID-30: neither Y nor N, left out")
        word = ""
    if word == "N" and told:
        notes.append("PID-29: a day of death of somebody who is said to live (PID-30), both left out")
        return ""
    if not told:
        return word or ("N" if pid.is_null(30) or pid.is_null(29) else "")
    try:
        point = read_time(told)
    except BadInput:
        point = None
    if point is None or point.precision < Precision.DAY:
        notes.append("PID-29: not told to the day, left out")
        return "Y"
    return point.date


def _sex(pid: Segment, rules: PatientRules, notes: list[str]) -> str:
    word = pid.text(8).upper()
    if word and word not in rules.sex:
        notes.append("PID-8: a word for sex that the profile does not know, left out")
    return rules.sex.get(word, "")


def holds(condition: Condition, segments: Sequence[Segment]) -> bool:
    """Whether one repetition of the condition's place has its value."""
    path: Path = condition.path
    for segment in path.among(segments):
        for repetition in range(1, segment.repetitions(path.field) + 1):
            value = segment.text(path.field, path.component or 1, path.subcomponent, repetition)
            if value.upper() == condition.value.upper():
                return True
    return False
