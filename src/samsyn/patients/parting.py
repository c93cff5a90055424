"""What happens to one study's objects when two numbers under which they were sent are parted.

A study stays with the number that it was opened for. An object that had been sent under the other one is taken out of
it and held, shown to nobody, until a steward files it as a study of its own: it was there only because the two
were taken for one person. Runs inside a record in the making.
"""

from samsyn.errors import IdentityConflict
from samsyn.store.transaction import Transaction

_OBJECT = (
    "SELECT f.sop_uid, f.patient_key, study.study_uid, study.study_key, study.patient_key, study.provider,"
    " study.accession, instance.transfer_syntax, instance.sender, instance.segment,"
    " instance.body_offset, instance.length, instance.sha256"
    " FROM study JOIN sent_for AS f ON f.study_uid = study.study_uid JOIN instance ON instance.sop_uid = f.sop_uid"
    " JOIN series ON series.series_key = instance.series_key WHERE study.patient_key = ?"
)


def set_aside(transaction: Transaction, component: frozenset[int]) -> int:
    """Holds what was sent for somebody who is no longer one person with the study's owner; how many objects."""
    found = 0
    for person in sorted(component):
        _give_rows(transaction, person, component)
        for row in transaction.all(_OBJECT, person):
            if row[1] not in component:
                _hold(transaction, row)
                found += 1
    return found


def _give_rows(transaction: Transaction, person: int, component: frozenset[int]) -> None:
    """Settled series of the studies concerned get rows again: some of their instances are to be taken out."""
    rows = transaction.all(
        "SELECT DISTINCT study.study_key, f.patient_key FROM study JOIN sent_for AS f"
        " ON f.study_uid = study.study_uid WHERE study.patient_key = ?",
        person,
    )
    for study_key in sorted({study_key for study_key, sent_for in rows if sent_for not in component}):
        for (series_key,) in transaction.all("SELECT series_key FROM series WHERE study_key = ?", study_key):
            transaction.unsettle(series_key)


def _hold(
    transaction: Transaction, row: tuple[str, int, str, int, int, str, str, str, str, int, int, int, str]
) -> None:
    sop_uid, sent_for, study_uid, study_key, owner, provider, accession = row[:7]
    transfer_syntax, sender, segment, offset, length, sha256 = row[7:]
    key = transaction.next_key("held")
    transaction.insert(
        "held",
        held_key=key,
        kind="instance",
        reason=IdentityConflict.code,
        sop_uid=sop_uid,
        study_uid=study_uid,
        transfer_syntax=transfer_syntax,
        sender=sender,
        provider=provider,
        detail=IdentityConflict.sentence,
        received=transaction.time,
        sha256=sha256,
        settled="",
        segment=segment,
        body_offset=offset,
        length=length,
    )
    identifier = transaction.one(
        "SELECT value, issuer FROM patient_identifier WHERE patient_key = ?", sent_for
    )
    person = transaction.one("SELECT name, birth_date, sex FROM patient WHERE patient_key = ?", sent_for)
    transaction.insert(
        "held_identity",
        held_key=key,
        patient_id=identifier[0],
        issuer=identifier[1],
        name=person[0],
        birth_date=person[1],
        sex=person[2],
        accession=accession,
        patient_key=sent_for,
        other_key=owner,
    )
    transaction.delete("sent_for", sop_uid=sop_uid)
    take_out(transaction, sop_uid, study_key)


def take_out(transaction: Transaction, sop_uid: str, study_key: int) -> None:
    """Takes an object, whose series is not settled, out of its study; the bytes stay where they lie."""
    (series_key,) = transaction.one("SELECT series_key FROM instance WHERE sop_uid = ?", sop_uid)
    transaction.delete("instance", sop_uid=sop_uid)
    left = transaction.one("SELECT COUNT(*) FROM instance WHERE series_key = ?", series_key)[0]
    if left:
        # A new key, so that documents derived from what is no longer there are found no longer.
        fresh = transaction.next_key("series")
        transaction.update("series", {"series_key": series_key}, series_key=fresh, instance_count=left)
        transaction.update("instance", {"series_key": series_key}, series_key=fresh)
    else:
        transaction.delete("series", series_key=series_key)
        transaction.add("study", {"study_key": study_key}, series_count=-1)
    (total,) = transaction.one(
        "SELECT COALESCE(SUM(instance_count), 0) FROM series WHERE study_key = ?", study_key
    )
    transaction.update("study", {"study_key": study_key}, instance_count=total)
