"""Reports of two persons under one accession number, which a steward is to look at.

A department that finds out that the wrong person was answered often sends the report anew for the right one and says
nothing about the other: it would stand there for ever. Neither is refused, for nobody can tell from here which of the
two is right. Runs inside a record in the making.
"""

from samsyn.model.texts import ReportStatus
from samsyn.patients import findings, registry
from samsyn.patients.findings import FindingKind
from samsyn.store.transaction import Transaction

_REFERENCE = "number"
_SEVERAL = "several"


def look(
    transaction: Transaction,
    number: tuple[str, str],
    person: int,
    owner: tuple[str, str],
    status: ReportStatus,
    told: str,
) -> None:
    """After a version was filed for `person`: notes everybody who has a living report under the accession number
    (issuer, number) of one provider where they are more than one; settles the notes when that is over.

    `owner`: provider and unit of the version, `told` when its source said it.
    """
    issuer, accession = number
    if not accession:
        return
    name = f"{_REFERENCE}:{owner[0]}:{issuer}:{accession}"
    # What waits in this turn is brought up only where it may matter: another person's report of the same number.
    in_turn = transaction.carried.setdefault(name, str(person))
    if in_turn != str(person):
        in_turn = transaction.carried[name] = _SEVERAL
    rows = transaction.all(
        "SELECT patient_key, CASE WHEN status = ? THEN 1 ELSE 0 END AS gone, MAX(COALESCE(told, '')) FROM report"
        " WHERE accession = ? AND accession_issuer = ? AND provider = ? GROUP BY 1, 2",
        ReportStatus.ANNULLED.value,
        accession,
        issuer,
        owner[0],
        of=None if in_turn == _SEVERAL else (),
    )
    if all(row[0] == person for row in rows):
        return
    is_gone = int(status is ReportStatus.ANNULLED)
    last: dict[tuple[int, int], str] = {}
    for key, gone, said in (*rows, (person, is_gone, told)):
        last[key, gone] = max(last.get((key, gone), ""), said)
    living = {key for key, gone in last if not gone and ((key, 1) not in last or last[key, 0] > last[key, 1])}
    are_two = len({min(registry.closure(transaction, key)) for key in living}) > 1
    for key in sorted({key for key, _ in last}):
        reference = f"{_REFERENCE}:{key}:{issuer}:{accession}"
        if are_two and key in living:
            findings.note(transaction, FindingKind.TEXT_NUMBER, reference, key, owner, ("accession",))
        else:
            findings.resolved(transaction, FindingKind.TEXT_NUMBER, reference)


def accession_in(reference: str) -> str:
    """The accession number that such a note is about."""
    return reference.split(":", 3)[-1]
