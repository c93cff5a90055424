"""What a rejection note does when it is filed: what it names is hidden. Runs inside the writer's serial section.

Only the provider that owns a study takes instances of it back. Bytes and rows stay; a note that names an earlier note
takes that one back, and what it had hidden is shown again, unless a third note names it too.
"""

from typing import Final

from samsyn.dicom.reading import Summary
from samsyn.errors import NotAllowed
from samsyn.ingest.telling import tell
from samsyn.model.changes import ChangeKind
from samsyn.model.rejection import RejectionNote
from samsyn.model.sender import Sender
from samsyn.store.transaction import Transaction

_PLACE: Final = (
    "SELECT study_uid, series_uid FROM instance JOIN series USING(series_key) JOIN study USING(study_key)"
    " WHERE sop_uid = ?"
)


def apply(transaction: Transaction, sender: Sender, summary: Summary, note: RejectionNote) -> None:
    """Hides what the note names, and the note with it. NotAllowed: an instance of somebody else's study."""
    places = {each.sop_instance_uid: _place(transaction, each.sop_instance_uid) for each in note.references}
    named = {each.sop_instance_uid: each.study_uid for each in note.references}
    for study_uid in {place[0] if place else named[uid] for uid, place in places.items()}:
        _check_owner(transaction, sender, study_uid)
    touched = {summary.study_uid}
    hidden: dict[str, list[str]] = {}
    for uid, place in places.items():
        restored = _revoked(transaction, uid)
        for study_uid, uids in restored.items():
            tell(transaction, ChangeKind.RESTORED, study_uid, "", uids, len(uids))
            touched.add(study_uid)
        study_uid = place[0] if place else named[uid]
        if not restored and _hide(transaction, sender, summary, note, uid, study_uid, place):
            hidden.setdefault(study_uid, []).append(uid)
    for study_uid, uids in hidden.items():
        tell(transaction, ChangeKind.REJECTED, study_uid, note.code, uids, len(uids))
    _hide(
        *(transaction, sender, summary, note, summary.sop_instance_uid, summary.study_uid),
        (summary.study_uid, summary.series_uid),
    )
    for study_uid in sorted(touched | hidden.keys()):
        _recount(transaction, study_uid)


def _place(transaction: Transaction, sop_uid: str) -> tuple[str, str] | None:
    """(study, series) where the instance is, settled or not; None before it arrives."""
    row = transaction.one(_PLACE, sop_uid)
    if row is not None:
        return row[0], row[1]
    settled = transaction.settled(sop_uid)
    if settled is None:
        return None
    home = transaction.one(
        "SELECT study_uid FROM series JOIN study USING(study_key) WHERE series_uid = ?", settled.series_uid
    )
    return (home[0] if home else settled.study_uid), settled.series_uid


def _check_owner(transaction: Transaction, sender: Sender, study_uid: str) -> None:
    owner = transaction.one("SELECT provider FROM study WHERE study_uid = ?", study_uid)
    if owner is None or owner[0] != sender.provider:
        raise NotAllowed("a rejection note names instances of a study that its sender does not own")


def _hide(
    transaction: Transaction,
    sender: Sender,
    summary: Summary,
    note: RejectionNote,
    sop_uid: str,
    study_uid: str,
    place: tuple[str, str] | None,
) -> bool:
    """False when another note has taken it back already; then this one waits in case that is taken back itself."""
    known = transaction.one("SELECT revoked, note_uid FROM rejected WHERE sop_uid = ?", sop_uid)
    if known is not None and not known[0]:
        if summary.sop_instance_uid not in (known[1], sop_uid):
            transaction.replace(
                "rejected_again",
                sop_uid=sop_uid,
                note_uid=summary.sop_instance_uid,
                code=note.code,
                provider=sender.provider,
                actor=sender.name,
                rejected=transaction.time,
                ended="",
            )
        return False
    transaction.replace(
        "rejected",
        sop_uid=sop_uid,
        study_uid=study_uid,
        series_uid=place[1] if place else "",
        note_uid=summary.sop_instance_uid,
        code=note.code,
        provider=sender.provider,
        actor=sender.name,
        rejected=transaction.time,
        revoked="",
        arrived=int(place is not None),
    )
    return True


def _revoked(transaction: Transaction, note_uid: str) -> dict[str, list[str]]:
    """Takes an earlier note back; what is shown again by that, by study. Nothing when the UID is none of a note in
    force, or when other notes name all that it had hidden."""
    rows = transaction.all(
        "SELECT study_uid, sop_uid FROM rejected WHERE note_uid = ? AND revoked = '' AND sop_uid <> note_uid",
        note_uid,
    )
    transaction.update("rejected_again", {"note_uid": note_uid, "ended": ""}, ended=transaction.time)
    found: dict[str, list[str]] = {}
    for study_uid, sop_uid in rows:
        if not _stays_hidden(transaction, sop_uid):
            found.setdefault(study_uid, []).append(sop_uid)
    if found:
        transaction.update("rejected", {"note_uid": note_uid, "revoked": ""}, revoked=transaction.time)
        # The earlier note itself stays hidden, by the later one.
        transaction.update("rejected", {"sop_uid": note_uid}, revoked="")
    return found


def _stays_hidden(transaction: Transaction, sop_uid: str) -> bool:
    """Whether another note in force names what one had hidden that is taken back: the first of them takes its place."""
    row = transaction.one(
        "SELECT note_uid, code, provider, actor, rejected FROM rejected_again WHERE sop_uid = ? AND ended = ''"
        " ORDER BY rejected, note_uid LIMIT 1",
        sop_uid,
    )
    if row is None:
        return False
    names = ("note_uid", "code", "provider", "actor", "rejected")
    transaction.update("rejected", {"sop_uid": sop_uid}, **dict(zip(names, row, strict=True)))
    transaction.update("rejected_again", {"sop_uid": sop_uid, "note_uid": row[0]}, ended=transaction.time)
    return True


def _recount(transaction: Transaction, study_uid: str) -> None:
    """Writes down how many instances of each series are hidden, where that has changed."""
    rows = transaction.all(
        "SELECT series_key, series.hidden_count, (SELECT COUNT(*) FROM rejected"
        " WHERE rejected.series_uid = series.series_uid AND arrived = 1 AND revoked = '')"
        " FROM study JOIN series USING(study_key) WHERE study_uid = ?",
        study_uid,
    )
    for series_key, before, hidden in rows:
        if before != hidden:
            transaction.update("series", {"series_key": series_key}, hidden_count=hidden)
    transaction.update("study", {"study_uid": study_uid}, hidden_count=sum(row[2] for row in rows))
