"""Reads for the steward's work lists. They tell who, when and whose, never a text or a picture."""

from typing import Any

from samsyn.model.patient import PatientIdentifier
from samsyn.store.index import patient_rows
from samsyn.store.index.port import IndexConnection, Row

_HELD = (
    # What is alike in a group, or told of one of it, by an aggregate: PostgreSQL takes no bare columns.
    "SELECT MIN(held.held_key) AS held_key, held.kind, held.reason, MIN(held.study_uid) AS study_uid, held.sender,"
    " MIN(held.detail) AS detail, COUNT(*) AS count, MIN(held.received) AS first, MAX(held.received) AS last,"
    " MIN(held.transfer_syntax) AS transfer_syntax, i.patient_id, MIN(i.issuer) AS issuer, i.name, i.birth_date,"
    " MIN(i.sex) AS sex, MIN(i.accession) AS accession, MIN(i.patient_key) AS patient_key,"
    " MIN(i.other_key) AS other_key"
    " FROM held LEFT JOIN held_identity AS i USING(held_key)"
)
_GROUP = (
    " GROUP BY held.kind, held.reason,"
    " CASE WHEN held.kind = 'instance' THEN held.study_uid ELSE CAST(held.held_key AS TEXT) END,"
    " i.patient_id, i.name, i.birth_date, held.sender"
)


def held(connection: IndexConnection, provider: str, limit: int) -> list[Row]:
    """What one provider's systems sent and is kept aside, instances of a study together, the oldest first."""
    return connection.execute(
        f"{_HELD} WHERE held.settled = '' AND held.provider = ?{_GROUP} ORDER BY MIN(held.received) LIMIT ?",
        (provider, limit),
    ).fetchall()


def held_group(connection: IndexConnection, provider: str, held_key: int) -> Row | None:
    """The group that the held object stands for, settled or not."""
    row = connection.execute(
        f"{_HELD} WHERE held.provider = ? AND held.held_key = ?{_GROUP}", (provider, held_key)
    ).fetchone()
    if row is None:
        return None
    return next((each for each in held(connection, provider, 10_000) if each["held_key"] == held_key), row)


def held_objects(connection: IndexConnection, group: Row) -> list[Row]:
    """Every open object of a group, as it lies in the journal."""
    if group["kind"] != "instance":
        return connection.execute(
            "SELECT * FROM held WHERE held_key = ? AND settled = ''", (group["held_key"],)
        ).fetchall()
    return connection.execute(
        "SELECT held.* FROM held LEFT JOIN held_identity AS i USING(held_key) WHERE held.settled = ''"
        " AND held.kind = 'instance' AND held.study_uid = ? AND held.reason = ? AND held.sender = ?"
        " AND i.patient_id IS ? AND i.name IS ? AND i.birth_date IS ? ORDER BY held_key",
        tuple(group[name] for name in ("study_uid", "reason", "sender", "patient_id", "name", "birth_date")),
    ).fetchall()


def findings(connection: IndexConnection, provider: str, limit: int) -> list[Row]:
    """What differs from the register in one provider's objects, and what the register changed, open ones."""
    return connection.execute(
        "SELECT finding.*, study.study_date, study.description, study.modalities, study.accession, sent.name AS"
        " sent_name, sent.birth_date AS sent_birth_date, sent.sex AS sent_sex, sent.patient_id FROM finding"
        " LEFT JOIN study ON study.study_uid = finding.reference LEFT JOIN sent_identity AS sent USING(study_key)"
        " WHERE finding.settled = '' AND finding.provider IN (?, '') ORDER BY finding.found LIMIT ?",
        (provider, limit),
    ).fetchall()


def acts(connection: IndexConnection, provider: str, limit: int) -> list[Row]:
    """What the provider's stewards did, the latest first."""
    return connection.execute(
        "SELECT * FROM steward_act WHERE provider = ? ORDER BY act_key DESC LIMIT ?", (provider, limit)
    ).fetchall()


def act(connection: IndexConnection, provider: str, act_key: int) -> Row | None:
    """One of them."""
    row: Row | None = connection.execute(
        "SELECT * FROM steward_act WHERE provider = ? AND act_key = ?", (provider, act_key)
    ).fetchone()
    return row


def counts(connection: IndexConnection, provider: str) -> dict[str, int]:
    """How much waits: held objects and findings."""

    def count(sql: str, *values: Any) -> int:
        return int(connection.execute(sql, values).fetchone()[0])

    return {
        "held": count("SELECT COUNT(*) FROM held WHERE settled = '' AND provider = ?", provider),
        "findings": count(
            "SELECT COUNT(*) FROM finding WHERE settled = '' AND provider IN (?, '')", provider
        ),
    }


def is_of_another(connection: IndexConnection, study_uid: str, identifier: PatientIdentifier) -> bool:
    """Whether the study is here and belongs to somebody else than the identifier's person."""
    row = connection.execute("SELECT patient_key FROM study WHERE study_uid = ?", (study_uid,)).fetchone()
    if row is None:
        return False
    keys = patient_rows.keys_of(connection, identifier.issuer, identifier.value)
    return not keys or row[0] not in patient_rows.closure_of(connection, keys[0])
