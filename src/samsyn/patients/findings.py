"""What a steward should look at: kept as rows until somebody has settled them, flagged on the object meanwhile.

A finding names an object (a study, a message) and which fields differ, never the values: those stand where they
were sent. Runs inside a record in the making.
"""

from enum import StrEnum
from typing import Any

from samsyn.model.patient import Demographics, DemographicsOrigin
from samsyn.patients import registry
from samsyn.patients.likeness import Agreement, Comparison, compare
from samsyn.store.transaction import Transaction


class FindingKind(StrEnum):
    """What was found."""

    IMAGE_HEADER = "image-header"
    """The images say otherwise about their patient than the register."""
    TEXT_HEADER = "text-header"
    """A referral or report does."""
    REGISTER_CHANGED = "register-changed"
    """The register itself now describes a number as somebody else."""
    TEXT_NUMBER = "text-number"
    """Two persons have a report under one accession number of one source: one of them was answered for the other."""
    DUPLICATE = "duplicate"
    """Two studies that seemed to be one examination and have been looked at."""


def keep_sent(
    transaction: Transaction, study_key: int, patient_id: str, issuer: str, said: Demographics
) -> None:
    """Keeps what the first image of a study said about its patient."""
    transaction.insert(
        "sent_identity",
        study_key=study_key,
        patient_id=patient_id,
        issuer=issuer,
        name=said.name,
        birth_date=said.birth_date,
        sex=said.sex,
    )


def agreement(transaction: Transaction, patient_key: int, said: Demographics) -> Comparison:
    """How what is said agrees with what stronger sources than images said about the person."""
    return _compared(*registry.known(transaction, patient_key), said)


def agreement_with(transaction: Transaction, person: registry.Known, said: Demographics) -> Comparison:
    """`agreement` for a person who has been looked up."""
    if person.is_survivor:
        return _compared(person.demographics, person.origin, said)
    return agreement(transaction, person.key, said)


def _compared(known: Demographics, origin: DemographicsOrigin, said: Demographics) -> Comparison:
    if origin is DemographicsOrigin.IMAGE:
        first = compare(known, said)
        # Two images of one number: neither knows better, but two people under one number are told apart.
        return first if first.agreement is Agreement.CONTRADICTS else Comparison(Agreement.AGREES)
    return compare(known, said)


def note(
    transaction: Transaction,
    kind: FindingKind,
    reference: str,
    patient_key: int,
    owner: tuple[str, str],
    fields: tuple[str, ...],
) -> None:
    """Puts an object on the steward's list, or the new differences to the one that is there.

    What a steward has settled stays settled while the same fields differ.
    """
    detail = " ".join(fields)
    row = transaction.one(
        "SELECT finding_key, detail FROM finding WHERE kind = ? AND reference = ?", kind.value, reference
    )
    if row is not None and row[1] == detail:
        return
    values: dict[str, Any] = {"detail": detail, "found": transaction.time, "settled": "", "settled_by": ""}
    if row is not None:
        transaction.update("finding", {"finding_key": row[0]}, **values)
        return
    transaction.insert(
        "finding",
        finding_key=transaction.next_key("finding"),
        kind=kind.value,
        reference=reference,
        patient_key=patient_key,
        provider=owner[0],
        unit=owner[1],
        note="",
        **values,
    )


def recheck(transaction: Transaction, patient_key: int) -> None:
    """Compares every study of the person (linked ones included) anew: after the register or a link changed."""
    for key in sorted(registry.closure(transaction, patient_key)):
        known, origin = registry.known(transaction, key)
        if origin is DemographicsOrigin.IMAGE:
            continue
        rows = transaction.all(
            "SELECT study_uid, provider, unit, name, birth_date, sex FROM study JOIN sent_identity"
            " USING(study_key) WHERE patient_key = ? AND NOT EXISTS (SELECT 1 FROM correction AS c"
            " WHERE c.study_uid = study.study_uid AND c.ended = '' AND c.to_key = study.patient_key)",
            key,
        )
        for study_uid, provider, unit, *said in rows:
            found = compare(known, Demographics(*said))
            if found.fields:
                note(
                    transaction,
                    FindingKind.IMAGE_HEADER,
                    study_uid,
                    key,
                    (provider, unit),
                    found.fields,
                )
            else:
                resolved(transaction, FindingKind.IMAGE_HEADER, study_uid)


def resolved(transaction: Transaction, kind: FindingKind, reference: str) -> None:
    """The difference is gone; the row tells that there was one."""
    row = transaction.one(
        "SELECT finding_key FROM finding WHERE kind = ? AND reference = ? AND settled = ''",
        kind.value,
        reference,
    )
    if row is not None:
        transaction.update(
            "finding", {"finding_key": row[0]}, settled=transaction.time, note="agrees", detail=""
        )
