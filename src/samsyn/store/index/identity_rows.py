"""Reads of what was said about patients' numbers."""

from collections.abc import Sequence

from samsyn.model.patient import PatientIdentifier
from samsyn.store.index.port import IndexConnection


def keys_by_words(connection: IndexConnection, words: Sequence[str], birth: str, limit: int) -> list[int]:
    """Persons whose names have a word that begins with each of the words, by name.

    `birth`: the beginning of a birth date (YYYY, YYYYMM or YYYYMMDD), "" = any.
    """
    parts, values = [], []
    for word in words:
        parts.append("SELECT patient_key FROM patient_name_word WHERE word >= ? AND word < ?")
        values += [word, word + "\U0010ffff"]
    rows = connection.execute(
        f"SELECT patient_key FROM patient WHERE patient_key IN ({' INTERSECT '.join(parts)})"
        " AND substr(birth_date, 1, ?) = ? ORDER BY folded_name, patient_key LIMIT ?",
        [*values, len(birth), birth, limit],
    )
    return [int(row[0]) for row in rows]


def protected_roots(connection: IndexConnection) -> frozenset[int]:
    """Whom persons with protected identity are shown as: one protected number protects all that are linked."""
    rows = connection.execute("SELECT COALESCE(merged_into, patient_key) FROM patient WHERE protected = 1")
    return frozenset(int(row[0]) for row in rows)


def is_protected(connection: IndexConnection, keys: frozenset[int]) -> bool:
    """Whether one of these persons has protected identity."""
    marks = ",".join("?" * len(keys))
    row = connection.execute(
        f"SELECT 1 FROM patient WHERE protected = 1 AND patient_key IN ({marks})", sorted(keys)
    ).fetchone()
    return row is not None


def numbers_of(connection: IndexConnection, keys: Sequence[int]) -> dict[int, tuple[PatientIdentifier, ...]]:
    """The identifiers of each person alone."""
    found: dict[int, tuple[PatientIdentifier, ...]] = {}
    for key in keys:
        rows = connection.execute(
            "SELECT issuer, value FROM patient_identifier WHERE patient_key = ? ORDER BY issuer, value",
            (key,),
        )
        found[key] = tuple(PatientIdentifier(row[0], row[1]) for row in rows)
    return found
