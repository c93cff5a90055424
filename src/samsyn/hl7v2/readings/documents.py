"""MDM by a source's rules: a report sent as a document, with its status changes, addenda and replacements.

The events without content (T01, T03, T05, T07, T09) are not taken: they tell of a text that this record lacks.
"""

from collections.abc import Sequence

from samsyn.hl7v2.faults import REQUIRED_FIELD_MISSING, SEGMENT_SEQUENCE, TABLE_VALUE_NOT_FOUND, BadMessage
from samsyn.hl7v2.meaning import ReportEvent
from samsyn.hl7v2.parsing import Message, Segment
from samsyn.hl7v2.paths import first_of
from samsyn.hl7v2.profile import BY_STATUS, DocumentRules, Profile
from samsyn.hl7v2.readings.identity import holds, read_patient
from samsyn.hl7v2.readings.results import made_at, report_text, text_lines
from samsyn.hl7v2.times import Doubt
from samsyn.hl7v2.values import (
    accession_number,
    identifier_word,
    moment,
    note_doubt,
    owner_of,
    required,
    sent_at,
    staff_names,
    study_uids,
    told_in,
)
from samsyn.model.organisation import Owner
from samsyn.model.sender import Sender
from samsyn.model.texts import ReportStatus


def read_document(
    message: Message, event: str, profile: Profile, sender: Sender, notes: list[str]
) -> ReportEvent:
    """The one version that an MDM message tells. `event` is its trigger, T02 to T11."""
    rules, segments = profile.document, message.segments
    if message.first("TXA") is None:
        raise BadMessage("TXA", 1, 0, "the message holds no document", SEGMENT_SEQUENCE)
    text = report_text(text_lines(segments, profile.report, notes), profile.report)
    told_by_event = rules.events.get(event, BY_STATUS)
    status = _status(told_by_event, segments, rules)
    if not text and status is not ReportStatus.ANNULLED:
        raise BadMessage("OBX", 1, 5, "a document without text", REQUIRED_FIELD_MISSING)
    sent, examined = sent_at(message), moment(rules.examined, segments)
    made = made_at(status, told_in(rules.result_time, segments, None, sent), sent, message.arrived)
    note_doubt(made, rules.result_time, segments, notes)
    required(rules.accession, segments, "the accession number")
    accession, accession_issuer = accession_number(rules.accession, segments, profile.accession_issuers)
    home = Owner(sender.provider, sender.unit)
    is_addendum = ReportStatus.ADDENDUM in (status, told_by_event)
    return ReportEvent(
        patient=read_patient(segments, profile.patient, notes),
        owner=owner_of(
            rules.performer_unit, segments, profile.units, home, profile.report.unknown_unit, notes
        ),
        accession=accession,
        accession_issuer=accession_issuer,
        placer_id=identifier_word(rules.placer, segments),
        filler_id=identifier_word(rules.filler, segments),
        study_uids=study_uids(rules.study_uid, segments, notes),
        status=status,
        fragment=is_addendum and profile.report.addendum == "fragment",
        result_time=made.begins if made else None,
        examined=examined.day if examined else "",
        author=staff_names(rules.author, segments, everyone=False),
        signer=""
        if status is ReportStatus.PRELIMINARY
        else staff_names(rules.signer, segments, everyone=True),
        procedure_code=first_of(rules.code, segments),
        procedure_text=first_of(rules.procedure, segments),
        text=text,
        reason=first_of(rules.reason, segments),
        when=sent.begins if sent else None,
        doubt=made.doubt if made else Doubt.NONE,
    )


def _status(told_by_event: str, segments: Sequence[Segment], rules: DocumentRules) -> ReportStatus:
    """What the event means; an addendum or replacement that nobody has authenticated is preliminary."""
    if any(holds(condition, segments) for condition in rules.withdrawn):
        return ReportStatus.ANNULLED
    if told_by_event == ReportStatus.ANNULLED.value:
        return ReportStatus.ANNULLED
    word = identifier_word(rules.status_at, segments).upper()
    if not word:
        raise BadMessage("TXA", 1, 17, "the completion status is missing", REQUIRED_FIELD_MISSING)
    if word not in rules.statuses:
        raise BadMessage(
            "TXA", 1, 17, "this completion status is not in the profile's table", TABLE_VALUE_NOT_FOUND
        )
    completion = ReportStatus(rules.statuses[word])
    if told_by_event == BY_STATUS or completion in (ReportStatus.PRELIMINARY, ReportStatus.ANNULLED):
        return completion
    return ReportStatus(told_by_event)
