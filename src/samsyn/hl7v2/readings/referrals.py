"""ORM^O01, OMI^O23 and OMG^O19 by a source's rules: referrals, their news and their cancellation."""

from collections.abc import Sequence
from types import MappingProxyType

from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, TABLE_VALUE_NOT_FOUND, BadMessage
from samsyn.hl7v2.meaning import NOBODY, ReferralEvent
from samsyn.hl7v2.parsing import Message, Segment, Segments
from samsyn.hl7v2.paths import Path, first_of
from samsyn.hl7v2.profile import BY_STATUS, NOTHING, Profile, ReferralRules
from samsyn.hl7v2.readings.identity import read_patient
from samsyn.hl7v2.values import (
    accession_number,
    identifier_word,
    order_groups,
    own_segments,
    owner_of,
    place_of,
    sent_at,
    staff_names,
    study_uids,
    told_in,
)
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.texts import Referral, ReferralStatus

_TEXT_AT = MappingProxyType({"OBX": 5, "NTE": 3})
_WITHOUT_STATUS = MappingProxyType(
    {
        "XO": ReferralStatus.ORDERED,
        "RO": ReferralStatus.ORDERED,
        "RP": ReferralStatus.CANCELLED,
        "RU": ReferralStatus.CANCELLED,
    }
)
"""What an order control means where no status stands beside it: changed, the replacement of others, and those that are
replaced, which count as cancelled (HL7 4.5.1.1)."""


def read_referrals(
    message: Message, profile: Profile, sender: Sender, notes: list[str]
) -> list[ReferralEvent]:
    """One event for each order of the message; orders that change nothing are left out with a note."""
    groups = order_groups(message)
    if not groups:
        raise BadMessage("ORC", 1, 0, "the message holds no order", SEGMENT_SEQUENCE)
    events = (_referral(message, group, profile, sender, notes) for group in groups)
    return [event for event in events if event is not None]


def _referral(
    message: Message, group: Segments, profile: Profile, sender: Sender, notes: list[str]
) -> ReferralEvent | None:
    rules, own = profile.referral, own_segments(group)
    status = _status(own, profile, notes)
    if status is None:
        return None
    placer = identifier_word(rules.placer, own)
    accession, accession_issuer = accession_number(rules.accession, own, profile.accession_issuers)
    if not placer and not accession:
        raise BadMessage("ORC", 1, 2, "an order needs a placer or a filler number", REQUIRED_FIELD_MISSING)
    home = Owner(sender.provider, sender.unit)
    referrer_code = identifier_word(rules.referrer_unit, own)
    owner = owner_of(rules.referrer_unit, own, profile.units, home, rules.unknown_unit, notes)
    # Without a code the sender examines only if somebody else was named as the one who refers.
    silent = home if referrer_code else NOBODY
    performer = owner_of(rules.performer_unit, own, profile.units, silent, rules.unknown_unit, notes)
    _note_unread(own, rules, notes)
    sent = sent_at(message)
    ordered = told_in(rules.ordered, own, None, sent)
    referral = Referral(
        provider=owner.provider,
        unit=owner.unit,
        placer_id=placer,
        accession=accession,
        priority=_priority(own, profile, notes),
        status=status,
        ordered=ordered.begins if ordered else None,
        procedure_code=first_of(rules.code, own),
        procedure_text=first_of(rules.procedure, own),
        question=_every(rules.question, own),
        history=first_of(rules.history, own),
        referrer=staff_names(rules.referrer, own, everyone=False),
    )
    return ReferralEvent(
        patient=read_patient(group, profile.patient, notes),
        referral=referral,
        accession_issuer=accession_issuer,
        owner_told=bool(referrer_code),
        performer=performer,
        study_uids=study_uids(rules.study_uid, own, notes),
        when=sent.begins if sent else None,
        deleted=_deleted(own, profile),
    )


def _every(paths: Sequence[Path], own: Sequence[Segment]) -> str:
    """The first place that is not empty, every repetition of it a line: two questions are often two repetitions."""
    for path in paths:
        if not path.component:
            found = path.read(own)
        else:
            lines = (
                segment.text(path.field, path.component, path.subcomponent, repetition)
                for segment in path.among(own)
                for repetition in range(1, segment.repetitions(path.field) + 1)
            )
            found = "\n".join(filter(None, lines))
        if found:
            return found
    return ""


def _note_unread(own: Sequence[Segment], rules: ReferralRules, notes: list[str]) -> None:
    """Tells of texts beside the order (OBX, NTE) that no place of the profile names."""
    for segment in own:
        field = _TEXT_AT.get(segment.name)
        if field is None or field >= len(segment.fields) or segment.fields[field].strip() in ("", '""'):
            continue
        if not any(
            path.matches(segment)
            for paths in (rules.question, rules.history, rules.study_uid, rules.procedure, rules.priority)
            for path in paths
        ):
            number = f"[{segment.sequence}]" if segment.sequence > 1 else ""
            notes.append(f"{segment.name}{number}-{field}: not read; [referral] names no such place")


def _deleted(own: Sequence[Segment], profile: Profile) -> tuple[str, ...]:
    """Names of what the message asks to delete: HL7's null (2.5.3) at one of its places and a value at none. Texts
    only, which may have been written about the wrong person."""
    rules = profile.referral
    places = {"question": rules.question, "history": rules.history}
    return tuple(
        name
        for name, paths in places.items()
        if not first_of(paths, own)
        and any(segment.is_null(path.field) for path in paths for segment in own if path.matches(segment))
    )


def _status(own: Sequence[Segment], profile: Profile, notes: list[str]) -> ReferralStatus | None:
    """What ORC-1 means, or, when it leaves that to the status word, what that means. None = nothing changes."""
    rules = profile.referral
    orc = next((segment for segment in own if segment.name == "ORC"), None)
    control = orc.text(1).upper() if orc is not None else ""
    if orc is not None and not control:
        raise orc.fault(1, "the order control is missing", REQUIRED_FIELD_MISSING)
    meaning = rules.control.get(control, "") if control else BY_STATUS
    if not meaning and orc is not None:
        raise orc.fault(1, "this order control is not in the profile's table", TABLE_VALUE_NOT_FOUND)
    if meaning == NOTHING:
        notes.append(f"ORC-1: {control} changes nothing here")
        return None
    word = identifier_word(rules.status_at, own).upper()
    if meaning != BY_STATUS:
        return ReferralStatus(meaning)
    if not word:
        if control in _WITHOUT_STATUS:
            return _WITHOUT_STATUS[control]
        raise BadMessage("ORC", 1, 5, "the order status is missing", REQUIRED_FIELD_MISSING)
    if word not in rules.statuses:
        raise BadMessage("ORC", 1, 5, "this status is not in the profile's table", TABLE_VALUE_NOT_FOUND)
    return ReferralStatus(rules.statuses[word])


def _priority(own: Sequence[Segment], profile: Profile, notes: list[str]) -> str:
    word = identifier_word(profile.referral.priority, own).upper()
    if word and word not in profile.referral.priorities:
        place = place_of(profile.referral.priority, own)
        notes.append(f"{place}: a priority that the profile does not know, left out")
    return profile.referral.priorities.get(word, "")
