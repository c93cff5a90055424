"""What a rejection note does when it is filed: what it names is hidden. Runs inside the writer's serial section.

Only the provider that owns a study takes instances of it back. Bytes and rows stay; a note that names an earlier note
takes that one back, and what it had hidden is shown again.
"""

from samsyn.dicom.reading import Summary
from samsyn.errors import NotAllowed
from samsyn.model.changes import ChangeKind
from samsyn.model.rejection import RejectionNote
from samsyn.model.sender import Sender
from samsyn.store.transaction import Transaction


def apply(transaction: Transaction, sender: Sender, summary: Summary, note: RejectionNote) -> None:
    """Hides what the note names, and the note with it. NotAllowed: an instance of somebody else's study."""
    _check_owner(transaction, sender, note)
    hidden: dict[str, list[str]] = {}
    for reference in note.references:
        restored = _revoked(transaction, reference.sop_instance_uid)
        if restored:
            _tell(transaction, ChangeKind.RESTORED, reference.study_uid, "", restored)
        elif _hide(transaction, sender, summary, note, reference.study_uid, reference.sop_instance_uid):
            hidden.setdefault(reference.study_uid, []).append(reference.sop_instance_uid)
    for study_uid, uids in hidden.items():
        _tell(transaction, ChangeKind.REJECTED, study_uid, note.code, uids)
    _hide(transaction, sender, summary, note, summary.study_uid, summary.sop_instance_uid)
    _recount(transaction, {reference.study_uid for reference in note.references} | {summary.study_uid})


def _check_owner(transaction: Transaction, sender: Sender, note: RejectionNote) -> None:
    for study_uid in {reference.study_uid for reference in note.references}:
        owner = transaction.one("SELECT provider FROM study WHERE study_uid = ?", study_uid)
        if owner is None or owner[0] != sender.provider:
            raise NotAllowed("a rejection note names instances of a study that its sender does not own")


def _hide(
    transaction: Transaction,
    sender: Sender,
    summary: Summary,
    note: RejectionNote,
    study_uid: str,
    sop_uid: str,
) -> bool:
    """False when another note has taken it back already."""
    known = transaction.one("SELECT revoked FROM rejected WHERE sop_uid = ?", sop_uid)
    if known is not None and not known[0]:
        return False
    transaction.replace(
        "rejected",
        sop_uid=sop_uid,
        study_uid=study_uid,
        note_uid=summary.sop_instance_uid,
        code=note.code,
        provider=sender.provider,
        actor=sender.name,
        rejected=transaction.time,
        revoked="",
    )
    return True


def _revoked(transaction: Transaction, note_uid: str) -> list[str]:
    """Takes an earlier note back; what it had hidden, nothing when the UID is none of a note in force."""
    rows = transaction.all(
        "SELECT sop_uid FROM rejected WHERE note_uid = ? AND revoked = '' AND sop_uid <> note_uid", note_uid
    )
    if not rows:
        return []
    transaction.update("rejected", {"note_uid": note_uid, "revoked": ""}, revoked=transaction.time)
    # The earlier note itself stays hidden, by the later one.
    transaction.update("rejected", {"sop_uid": note_uid}, revoked="")
    return [row[0] for row in rows]


def _tell(transaction: Transaction, kind: ChangeKind, study_uid: str, code: str, uids: list[str]) -> None:
    """Puts what happened into the change feed."""
    transaction.insert(
        "change",
        kind=kind.value,
        study_uid=study_uid,
        series_uid="",
        bucket="",
        instances=len(uids),
        told=transaction.time,
        detail=f"{code} {' '.join(uids)}",
    )


def _recount(transaction: Transaction, study_uids: set[str]) -> None:
    """Writes down how many instances of each series are hidden, where that has changed."""
    for study_uid in sorted(study_uids):
        rows = transaction.all(
            "SELECT series_key, series.hidden_count, SUM(rejected.sop_uid IS NOT NULL) FROM study"
            " JOIN series USING(study_key) JOIN instance USING(series_key)"
            " LEFT JOIN rejected ON rejected.sop_uid = instance.sop_uid AND rejected.revoked = ''"
            " AND rejected.study_uid = study.study_uid WHERE study.study_uid = ? GROUP BY series_key",
            study_uid,
        )
        total = 0
        for series_key, before, hidden in rows:
            total += hidden
            if before != hidden:
                transaction.update("series", {"series_key": series_key}, hidden_count=hidden)
        transaction.update("study", {"study_uid": study_uid}, hidden_count=total)
