"""Studies and texts that were sent for the wrong person: whose they are, also for what arrives later.

A correction says that a study (or some of its series), and with it the texts of its accession number, was sent for
one person and is another's. Its rows are the answer to "why is this not where it was sent"; `ended` means undone.
Runs inside a record in the making.
"""

from dataclasses import dataclass

from samsyn.patients import registry
from samsyn.store.transaction import Transaction

LATE_OBJECT = "late-object"
"""Kind of the job that files an object of a corrected study which came under its former patient."""

ANNOUNCE_CORRECTION = "announce-correction"
"""Kind of the job that tells other systems of a correction; its name is the correction's key."""

ANNOUNCE_TEXTS = "announce-texts"
"""Kind of the job that tells a provider's HL7 systems of texts that were given to another person, or back."""

ANNOUNCE_LINK = "announce-link"
"""Kind of the job that tells them that two numbers are one person, or are not."""

_TEXTS = {"report": "report_key", "referral_event": "event_key", "booking_event": "event_key"}


@dataclass(frozen=True, slots=True)
class Correction:
    """One that holds. `study_uid` is the study as it was sent, `split_uid` its new one when it was split, or ""."""

    key: int
    study_uid: str
    split_uid: str
    series: frozenset[str]
    """Series that were moved; empty = the whole study."""
    from_key: int
    to_key: int


_COLUMNS = "correction_key, study_uid, split_uid, series, from_key, to_key"


def followed(
    transaction: Transaction, study_uid: str, series_uid: str, patient_key: int | None
) -> Correction | None:
    """The correction that an object follows which comes for this person under this study and series."""
    if patient_key is None:
        return None
    closure = registry.closure(transaction, patient_key)
    for row in transaction.all(
        f"SELECT {_COLUMNS} FROM correction WHERE study_uid = ? AND ended = ''"  # noqa: S608 - constant
        " ORDER BY correction_key DESC",
        study_uid,
    ):
        found = _correction(row)
        if found.from_key in closure and (not found.series or series_uid in found.series):
            return found
    return None


def by_key(transaction: Transaction, correction_key: int) -> Correction | None:
    """The correction, None when it was undone."""
    row = transaction.one(
        f"SELECT {_COLUMNS} FROM correction WHERE correction_key = ? AND ended = ''",  # noqa: S608 - constant
        correction_key,
    )
    return _correction(row) if row else None


def was_original(transaction: Transaction, sop_uid: str, sha256: str) -> bool:
    """Whether these are the bytes that an object had before it was corrected."""
    return (
        transaction.one("SELECT 1 FROM original_body WHERE sop_uid = ? AND sha256 = ?", sop_uid, sha256)
        is not None
    )


def owner_of_text(
    transaction: Transaction, issuer: str, accession: str, patient_key: int
) -> tuple[int, tuple[tuple[int, int], ...]]:
    """Whose a text is that comes for this person under this accession number, and the corrections on the way to him,
    the oldest first, each with whom it took the text from: what was given to the wrong one is given on, or back."""
    steps: list[tuple[int, int]] = []
    owner = patient_key
    if accession and not transaction.is_empty("correction"):
        rows = transaction.all(
            "SELECT correction_key, from_key, to_key FROM correction WHERE accession = ? AND accession <> ''"
            " AND accession_issuer = ? AND ended = '' ORDER BY correction_key",
            accession,
            issuer,
            of=(),
        )
        for key, from_key, to_key in rows:
            closure = registry.closure(transaction, owner)
            if from_key in closure and to_key not in closure:
                steps.append((key, owner))
                owner = to_key
    return owner, tuple(steps)


def note_late_texts(
    transaction: Transaction, correction_key: int, message_key: int, to_key: int, from_key: int
) -> None:
    """Remembers what a late message brought, so that undoing the correction brings it back."""
    for table, name in _TEXTS.items():
        for (key,) in transaction.all(
            f"SELECT {name} FROM {table} WHERE message_key = ? AND patient_key = ?",  # noqa: S608 - constants
            message_key,
            to_key,
        ):
            _remember(transaction, correction_key, table, key, from_key)


def move_texts(
    transaction: Transaction, correction_key: int, number: tuple[str, str], persons: frozenset[int], to: int
) -> int:
    """Gives every text of the accession number that these persons have to another; how many."""
    moved = 0
    for table, name in _TEXTS.items():
        if table == "booking_event":
            continue
        # Table and column are constants of this module; the values are bound.
        for key, person in transaction.all(
            f"SELECT {name}, patient_key FROM {table} WHERE accession_issuer = ? AND accession = ?",  # noqa: S608
            *number,
        ):
            if person in persons:
                transaction.update(table, {name: key}, patient_key=to)
                _remember(transaction, correction_key, table, key, person)
                moved += 1
    return moved


def bring_texts_back(transaction: Transaction, correction_key: int, to: int) -> None:
    """Undoes `move_texts` and what came late; a text that has been moved on since stays where it is."""
    for table, key, person in transaction.all(
        "SELECT kind, row_key, from_key FROM moved_row WHERE correction_key = ?", correction_key
    ):
        name = _TEXTS[table]
        row = transaction.one(
            f"SELECT patient_key FROM {table} WHERE {name} = ?",  # noqa: S608 - constants
            key,
        )
        if row is not None and row[0] == to:
            transaction.update(table, {name: key}, patient_key=person)


def _remember(transaction: Transaction, correction_key: int, table: str, key: int, person: int) -> None:
    transaction.replace("moved_row", correction_key=correction_key, kind=table, row_key=key, from_key=person)


def _correction(row: tuple[int, str, str, str, int, int]) -> Correction:
    key, study_uid, split_uid, series, from_key, to_key = row
    return Correction(key, study_uid, split_uid, frozenset(series.split()), from_key, to_key)
