"""ADT about whose what is: merge (A40, A47), link and unlink (A24, A37), and what is moved to another person (A43
an identifier, A44 an account, A45 a visit)."""

from collections.abc import Iterator, Sequence
from datetime import datetime

from samsyn.errors import IdentityConflict
from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, BadMessage
from samsyn.hl7v2.meaning import (
    Event,
    IdentifierMove,
    PatientClaim,
    PatientLink,
    PatientMerge,
    TextMove,
)
from samsyn.hl7v2.parsing import Message, Segment
from samsyn.hl7v2.paths import first_of, parse_path
from samsyn.hl7v2.profile import Profile
from samsyn.hl7v2.readings.identity import read_identifiers, read_patient
from samsyn.hl7v2.values import sent_at

MERGES = frozenset(("A18", "A34", "A36", "A40", "A47"))
"""Merge of patient identifier lists, and change of an identifier (reserve number to personnummer). Systems of version
2.3 and before say A18, A34 or A36 (which merges accounts as well), with the same PID-3 and MRG-1."""
LINKS = frozenset(("A24", "A37"))
"""Two records of one person are linked, or are not one person after all."""
MOVES = frozenset(("A43", "A44", "A45"))
"""An identifier, an account or a visit belonged to the wrong person."""
_TIME = (parse_path("EVN-6.1"), parse_path("EVN-2.1"), parse_path("MSH-7.1"))
_PRIOR_VISIT = (parse_path("MRG-5.1"),)
_PRIOR_ACCOUNT = (parse_path("MRG-3.1"),)


def read_identity_event(message: Message, event: str, profile: Profile, notes: list[str]) -> list[Event]:
    """What an ADT of MERGES, LINKS or MOVES means; every PID with its MRG is one event.

    IdentityConflict: the profile leaves such words of this source to a steward.
    """
    if event not in ("A44", "A45") and profile.patient.identity_events == "held":
        raise IdentityConflict(f"ADT^{event}: this source keeps no patient register, so a steward decides")
    point = sent_at(message, _TIME)
    when = point.begins if point is not None else None
    if event in LINKS:
        return [_link(message, event == "A24", profile, when, notes)]
    events: list[Event] = []
    for head, mrg in _pairs(message):
        if event in MERGES:
            events.append(_merge(head, mrg, profile, when, notes))
        elif event == "A43":
            events.append(_identifier_move(head, mrg, profile, when, notes))
        else:
            events.append(_text_move(head, mrg, event, profile, when, notes))
    if not events:
        raise BadMessage("MRG", 1, 0, f"ADT^{event} needs an MRG segment after its PID", SEGMENT_SEQUENCE)
    return events


def _pairs(message: Message) -> Iterator[tuple[list[Segment], Segment]]:
    """PID (with what stands after it) and the MRG that follows, once or several times."""
    head: list[Segment] = []
    for segment in message.segments:
        if segment.name == "PID":
            head = [segment]
        elif segment.name == "MRG":
            if not head:
                raise segment.fault(0, "MRG stands before its PID", SEGMENT_SEQUENCE)
            yield head, segment
        elif head:
            head.append(segment)


def _merge(
    head: Sequence[Segment], mrg: Segment, profile: Profile, when: datetime | None, notes: list[str]
) -> PatientMerge:
    survivor = read_patient(head, profile.patient, notes)
    subsumed = tuple(dict.fromkeys(read_identifiers(mrg, 1, profile.patient)))
    if not subsumed:
        raise mrg.fault(1, "the prior patient identifier is missing", REQUIRED_FIELD_MISSING)
    if set(subsumed) & set(survivor.identifiers):
        raise mrg.fault(1, "the same identifier as in PID-3: nobody is merged with himself")
    return PatientMerge(survivor, subsumed, when)


def _link(
    message: Message, linked: bool, profile: Profile, when: datetime | None, notes: list[str]
) -> PatientLink:
    groups: list[list[Segment]] = []
    for segment in message.segments:
        if segment.name == "PID":
            groups.append([segment])
        elif groups:
            groups[-1].append(segment)
    if len(groups) != 2:
        raise BadMessage("PID", 1, 0, "a link needs two PID segments, one for each record", SEGMENT_SEQUENCE)
    one, other = (read_patient(group, profile.patient, notes) for group in groups)
    if set(one.identifiers) & set(other.identifiers):
        raise BadMessage(
            "PID", 2, 3, "the same identifier as in the first PID: nobody is linked with himself"
        )
    return PatientLink(one, other, linked, when)


def _identifier_move(
    head: Sequence[Segment], mrg: Segment, profile: Profile, when: datetime | None, notes: list[str]
) -> IdentifierMove:
    """MRG-1 is the moved identifier; whose it is now stands in PID-2 (to 2.5.1) or beside it in PID-3."""
    moved = tuple(dict.fromkeys(read_identifiers(mrg, 1, profile.patient)))
    if len(moved) != 1:
        raise mrg.fault(1, "exactly one identifier is moved", REQUIRED_FIELD_MISSING)
    claim = read_patient(head, profile.patient, notes)
    told = (*read_identifiers(head[0], 2, profile.patient), *claim.identifiers)
    owners = tuple(dict.fromkeys(each for each in told if each not in moved))
    if not owners:
        raise head[0].fault(2, "whose the identifier is now is missing", REQUIRED_FIELD_MISSING)
    return IdentifierMove(PatientClaim(owners, claim.demographics), moved[0], when)


def _text_move(
    head: Sequence[Segment],
    mrg: Segment,
    event: str,
    profile: Profile,
    when: datetime | None,
    notes: list[str],
) -> TextMove:
    """PID is whose it is now, MRG-1 whose it was; MRG-3 tells the account, MRG-5 the visit."""
    former = tuple(dict.fromkeys(read_identifiers(mrg, 1, profile.patient)))
    if not former:
        raise mrg.fault(1, "the prior patient identifier is missing", REQUIRED_FIELD_MISSING)
    kind, field, places = ("account", 3, _PRIOR_ACCOUNT) if event == "A44" else ("visit", 5, _PRIOR_VISIT)
    number = " ".join(first_of(places, [mrg]).split())
    if not number:
        raise mrg.fault(field, f"the number of the moved {kind} is missing", REQUIRED_FIELD_MISSING)
    return TextMove(read_patient(head, profile.patient, notes), former, kind, number, when)
