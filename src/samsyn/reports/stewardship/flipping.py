"""The rows of a move: what one record changes when a study is given over, taken back, or added to late."""

from dataclasses import dataclass
from typing import Any

import orjson

from samsyn.dicom.reading import Summary
from samsyn.errors import Conflict, NotFound
from samsyn.ingest import filing
from samsyn.ingest.telling import tell
from samsyn.jobs import queue
from samsyn.model.changes import ChangeKind
from samsyn.model.patient import PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.patients import corrections, findings, registry
from samsyn.patients.corrections import Correction
from samsyn.patients.parting import take_out
from samsyn.reports import referrals
from samsyn.store.transaction import Transaction

_PLACE = ("segment", "body_offset", "length", "sha256", "checksum", "pixel_offset", "pixel_length")
_STUDY = (
    "provider, unit, begins, ends, study_date, study_time, study_id, description, accession, accession_issuer,"
    " referring, patient_id_sent, patient_name_sent, received"
)


class MoreHasCome(Exception):
    """Instances arrived while bodies were corrected: they are to be taken along. Never leaves the room."""


@dataclass(frozen=True, slots=True)
class Switch:
    """What is to be given over: the study as it stands, and the corrected bodies that were written aside."""

    study_uid: str
    split_uid: str
    series: frozenset[str]
    from_key: int
    identifier: PatientIdentifier
    draft: str
    objects: frozenset[str]
    with_texts: bool


def give(transaction: Transaction, switch: Switch, to_key: int, provider: str, act_key: int) -> None:
    """Gives everything over. MoreHasCome, Conflict: nothing is changed."""
    study = transaction.one(
        "SELECT study_key, patient_key, provider, accession_issuer, accession FROM study WHERE study_uid = ?",
        switch.study_uid,
    )
    if study is None or study[1] != switch.from_key or study[2] != provider:
        raise Conflict("the study changed while it was moved")
    persons = registry.closure(transaction, switch.from_key)
    if to_key in persons:
        raise Conflict("the study is that person's already")
    chosen = _series(transaction, study[0], switch.series)
    for key in chosen.values():
        transaction.unsettle(key)
    present = {uid for key in chosen.values() for uid in _objects(transaction, key)}
    if present != switch.objects:
        raise MoreHasCome
    correction = transaction.next_key("correction")
    number = (study[3], study[4])
    texts = switch.with_texts and not switch.series and bool(number[1])
    transaction.insert(
        "correction",
        correction_key=correction,
        study_uid=switch.study_uid,
        series=" ".join(sorted(switch.series)),
        split_uid=switch.split_uid,
        from_key=switch.from_key,
        to_key=to_key,
        accession_issuer=number[0] if texts else "",
        accession=number[1] if texts else "",
        act_key=act_key,
        made=transaction.time,
        ended="",
    )
    tell(
        transaction, ChangeKind.MOVED, switch.study_uid, named=[switch.split_uid] if switch.split_uid else []
    )
    for uid in sorted(switch.objects):
        _use_draft(transaction, correction, switch.draft, uid)
    if switch.split_uid:
        new = _new_study(transaction, study[0], switch.split_uid, to_key)
        for key in chosen.values():
            transaction.update("series", {"series_key": key}, study_key=new)
        _recount(transaction, study[0])
        _recount(transaction, new)
    else:
        transaction.update("study", {"study_key": study[0]}, patient_key=to_key)
    _new_names(transaction, chosen)
    if texts:
        corrections.move_texts(transaction, correction, number, persons, to_key)
    _settle_flags(transaction, switch.study_uid)
    queue.enqueue(transaction, corrections.ANNOUNCE_CORRECTION, str(correction))
    _announce_texts(transaction, correction, provider)
    _follow(transaction, switch.from_key, to_key)


def give_texts(
    transaction: Transaction,
    number: tuple[str, str],
    from_key: int,
    to_key: int,
    provider: str,
    act_key: int,
) -> None:
    """Gives the texts of an accession number over, images apart. NotFound: the provider has none of this person."""
    persons = registry.closure(transaction, from_key)
    if to_key in persons:
        raise Conflict("the texts are that person's already")
    owners = {
        row[1]
        for row in transaction.all(
            "SELECT patient_key, provider FROM report WHERE accession_issuer = ? AND accession = ?", *number
        )
        if row[0] in persons
    }
    if owners != {provider}:
        raise NotFound
    correction = transaction.next_key("correction")
    transaction.insert(
        "correction",
        correction_key=correction,
        study_uid="",
        series="",
        split_uid="",
        from_key=from_key,
        to_key=to_key,
        accession_issuer=number[0],
        accession=number[1],
        act_key=act_key,
        made=transaction.time,
        ended="",
    )
    corrections.move_texts(transaction, correction, number, persons, to_key)
    _announce_texts(transaction, correction, provider)
    _follow(transaction, from_key, to_key)


def take_back(transaction: Transaction, act_key: int) -> str:
    """Takes back what an act gave; the study's UID. Conflict: it was moved on, or new objects hang on it."""
    row = transaction.one("SELECT correction_key FROM correction WHERE act_key = ? AND ended = ''", act_key)
    found = corrections.by_key(transaction, row[0]) if row else None
    if found is None:
        raise Conflict("it has been taken back already")
    if found.study_uid:
        _take_images_back(transaction, found)
    corrections.bring_texts_back(transaction, found.key, found.to_key)
    transaction.update("correction", {"correction_key": found.key}, ended=transaction.time)
    (provider,) = transaction.one("SELECT provider FROM steward_act WHERE act_key = ?", act_key)
    _announce_texts(transaction, found.key, provider, back=True)
    _follow(transaction, found.from_key, found.to_key)
    return found.study_uid


def _announce_texts(transaction: Transaction, correction: int, provider: str, back: bool = False) -> None:
    said = {"provider": provider, "correction": correction, "made": transaction.time, "back": back}
    name = f"{correction} back" if back else f"{correction} given"
    queue.enqueue(transaction, corrections.ANNOUNCE_TEXTS, name, orjson.dumps(said).decode())


def _take_images_back(transaction: Transaction, found: Correction) -> None:
    study = transaction.one(
        "SELECT study_key, patient_key FROM study WHERE study_uid = ?", found.split_uid or found.study_uid
    )
    if study is None or study[1] != found.to_key:
        raise Conflict("the study has been moved on since")
    for key in _series(transaction, study[0], frozenset()).values():
        transaction.unsettle(key)
    _hold_again(transaction, found, study[0])
    chosen = _series(transaction, study[0], frozenset())
    for key in chosen.values():
        for uid in _objects(transaction, key):
            _use_original(transaction, found.key, uid)
    if found.split_uid:
        home = transaction.one("SELECT study_key FROM study WHERE study_uid = ?", found.study_uid)
        if home is None:
            raise Conflict("the study that it came from is gone")
        for key in chosen.values():
            transaction.update("series", {"series_key": key}, study_key=home[0])
        _recount(transaction, home[0])
        transaction.delete("study_modality", study_key=study[0])
        transaction.delete("study", study_key=study[0])
    else:
        transaction.update("study", {"study_key": study[0]}, patient_key=found.from_key)
    tell(transaction, ChangeKind.MOVED, found.study_uid)
    _new_names(transaction, chosen)


def _hold_again(transaction: Transaction, found: Correction, study_key: int) -> None:
    """What came late for somebody before the one whom the study goes back to has no header of his: it is filed anew, as
    the correction that holds then tells."""
    closure = registry.closure(transaction, found.from_key)
    before = transaction.all(
        "SELECT to_key FROM correction WHERE study_uid = ? AND ended = '' AND split_uid = '' AND correction_key < ?",
        found.study_uid,
        found.key,
    )
    if found.split_uid or not any(row[0] in closure for row in before):
        return
    for uid, held_key, sent_for in transaction.all(
        "SELECT o.sop_uid, held.held_key, sent.patient_key FROM original_body AS o"
        " JOIN held ON held.sop_uid = o.sop_uid AND held.sha256 = o.sha256 AND held.settled <> ''"
        " JOIN held_identity AS sent ON sent.held_key = held.held_key WHERE o.correction_key = ?",
        found.key,
    ):
        if sent_for not in closure:
            take_out(transaction, uid, study_key)
            transaction.delete("original_body", correction_key=found.key, sop_uid=uid)
            transaction.update("held", {"held_key": held_key}, settled="")
            queue.enqueue(transaction, corrections.LATE_OBJECT, str(held_key))


def add_late(
    transaction: Transaction,
    correction: Correction,
    held_key: int,
    sender: Sender,
    summary: Summary,
    syntax: str,
    layout: dict[str, int],
) -> None:
    """Files the corrected bytes of a held object beside its study, and remembers those that were sent."""
    uid = correction.split_uid or correction.study_uid
    study = transaction.one("SELECT study_key FROM study WHERE study_uid = ?", uid)
    held = transaction.one(
        "SELECT segment, body_offset, length, sha256, settled FROM held WHERE held_key = ?", held_key
    )
    known = transaction.one("SELECT 1 FROM instance WHERE sop_uid = ?", summary.sop_instance_uid)
    is_known = known is not None or transaction.settled(summary.sop_instance_uid) is not None
    if study is None or is_known or held[4]:
        return
    series = transaction.one("SELECT series_key FROM series WHERE series_uid = ?", summary.series_uid)
    key = series[0] if series else filing.add_series(transaction, summary, study[0])
    filing.add_instance(transaction, sender, summary, syntax, key)
    transaction.insert(
        "original_body",
        correction_key=correction.key,
        sop_uid=summary.sop_instance_uid,
        segment=held[0],
        body_offset=held[1],
        length=held[2],
        sha256=held[3],
        **layout,
    )
    transaction.update("held", {"held_key": held_key}, settled=transaction.time)


def _series(transaction: Transaction, study_key: int, wanted: frozenset[str]) -> dict[str, int]:
    rows = transaction.all("SELECT series_uid, series_key FROM series WHERE study_key = ?", study_key)
    return {uid: key for uid, key in rows if not wanted or uid in wanted}


def _objects(transaction: Transaction, series_key: int) -> list[str]:
    rows = transaction.all("SELECT sop_uid FROM instance WHERE series_key = ?", series_key)
    return [row[0] for row in rows]


def _use_draft(transaction: Transaction, correction: int, draft: str, uid: str) -> None:
    columns = ", ".join(_PLACE)
    present = transaction.one(f"SELECT {columns} FROM instance WHERE sop_uid = ?", uid)  # noqa: S608 - constants
    fresh = transaction.one(
        f"SELECT {columns} FROM draft_body WHERE draft = ? AND sop_uid = ?",  # noqa: S608 - constants
        draft,
        uid,
    )
    transaction.insert(
        "original_body", correction_key=correction, sop_uid=uid, **dict(zip(_PLACE, present, strict=True))
    )
    transaction.update("instance", {"sop_uid": uid}, **dict(zip(_PLACE, fresh, strict=True)))


def _use_original(transaction: Transaction, correction: int, uid: str) -> None:
    # The columns are constants of this module; the values are bound.
    row = transaction.one(
        f"SELECT {', '.join(_PLACE)} FROM original_body WHERE sop_uid = ? AND correction_key = ?",  # noqa: S608
        uid,
        correction,
    )
    if row is None:
        raise Conflict("objects have come for the new patient since; they would go along")
    values: dict[str, Any] = dict(zip(_PLACE, row, strict=True))
    transaction.update("instance", {"sop_uid": uid}, **values)


def _new_study(transaction: Transaction, study_key: int, uid: str, patient_key: int) -> int:
    row = transaction.one(f"SELECT {_STUDY} FROM study WHERE study_key = ?", study_key)  # noqa: S608 - constant
    key = transaction.next_key("study")
    names = [name.strip() for name in _STUDY.split(",")]
    transaction.insert(
        "study",
        study_key=key,
        study_uid=uid,
        patient_key=patient_key,
        modalities="",
        series_count=0,
        instance_count=0,
        **dict(zip(names, row, strict=True)),
    )
    return key


def _recount(transaction: Transaction, study_key: int) -> None:
    rows = transaction.all("SELECT modality, instance_count FROM series WHERE study_key = ?", study_key)
    (study_date,) = transaction.one("SELECT study_date FROM study WHERE study_key = ?", study_key)
    modalities = sorted({row[0] for row in rows if row[0]})
    transaction.update(
        "study",
        {"study_key": study_key},
        modalities="\\".join(modalities),
        series_count=len(rows),
        instance_count=sum(row[1] for row in rows),
    )
    transaction.delete("study_modality", study_key=study_key)
    for modality in modalities:
        transaction.insert("study_modality", modality=modality, study_date=study_date, study_key=study_key)


def _new_names(transaction: Transaction, series: dict[str, int]) -> None:
    """Gives the series new keys: documents that were derived from the former bytes are found no longer."""
    for key in series.values():
        fresh = transaction.next_key("series")
        transaction.update("series", {"series_key": key}, series_key=fresh)
        transaction.update("instance", {"series_key": key}, series_key=fresh)


def _settle_flags(transaction: Transaction, study_uid: str) -> None:
    """A difference that the move has settled is flagged no longer."""
    for (key,) in transaction.all(
        "SELECT finding_key FROM finding WHERE reference = ? AND settled = ''", study_uid
    ):
        transaction.update("finding", {"finding_key": key}, settled=transaction.time, note="moved")


def _follow(transaction: Transaction, *persons: int) -> None:
    for person in persons:
        referrals.refold(transaction, person)
        findings.recheck(transaction, person)
