"""National consumers (tjänstekonsumenter): as whom they read.

Decision table, row 33: without an end user nothing is told but by contracts whose own rules cover it. A consumer that
serves care gets what is made available (rules.made_available) and applies relation and consent to its own reader;
one that serves patients has logged the patient in and reads as he would (rules.own_record).
"""

from dataclasses import replace

from samsyn.errors import NotAllowed
from samsyn.model.subject import Serves, Subject, SubjectKind


def consumer(name: str, hsa_id: str, serves_care: bool) -> Subject:
    """A known consumer as a reader."""
    serves = Serves.CARE if serves_care else Serves.PATIENTS
    roles = frozenset({serves.value})
    return Subject(SubjectKind.CONSUMER, hsa_id or name, name, None, session_id=name, roles=roles)


def unnamed_consumer(shown: str) -> Subject:
    """Somebody who is known by what he shows, before it is known who asks by way of him: he reads nothing."""
    return Subject(SubjectKind.CONSUMER, shown, "", None)


def reading_about(subject: Subject, patient_key: int) -> Subject:
    """As whom the subject reads about this person: the patient himself, where that is whom a consumer serves.

    NotAllowed: a consumer that has not been named.
    """
    if subject.kind is not SubjectKind.CONSUMER or Serves.CARE in subject.roles:
        return subject
    if Serves.PATIENTS not in subject.roles:
        raise NotAllowed("a consumer that serves nobody")
    return replace(subject, kind=SubjectKind.PATIENT, patient_key=patient_key)
