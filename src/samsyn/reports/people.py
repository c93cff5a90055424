"""Which person a message is about: by assigning authority, never by position, and never by guess."""

from datetime import date

from samsyn.errors import IdentityConflict, UnknownIssuer
from samsyn.hl7v2.meaning import PatientClaim, PatientMerge, PatientUpdate, SentIdentifier
from samsyn.model.patient import DemographicsOrigin, PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.patients import registry
from samsyn.patients.identifiers import Kind, identify, kind_of
from samsyn.store.transaction import Transaction

_PREFERENCE: tuple[Kind | None, ...] = (
    Kind.PERSONNUMMER,
    Kind.SAMORDNINGSNUMMER,
    Kind.NRID,
    Kind.SLL,
    Kind.VGR,
    Kind.VARMLAND,
    Kind.INERA,
    None,
)
"""The population register's numbers before reserve numbers before local ones (None)."""


def resolve(identifiers: tuple[SentIdentifier, ...], sender: Sender, today: date) -> PatientIdentifier:
    """The one identifier under which the message is filed.

    Raises UnknownIssuer when no identifier can be told from its issuer, or one breaks the rule of the issuer
    that it names; IdentityConflict when two different numbers of one population register are sent as one
    person. Other numbers beside the chosen one are not linked here: only a merge links.
    """
    known: dict[PatientIdentifier, None] = {}
    for sent in identifiers:
        if not sent.recognised:
            continue
        try:
            known[identify(sent.value, sent.issuer, sender.default_issuer, today)] = None
        except UnknownIssuer:
            if sent.issuer:
                raise
    if not known:
        raise UnknownIssuer("PID-3: no identifier has an assigning authority that is known for this source")
    chosen = min(known, key=lambda each: _PREFERENCE.index(kind_of(each)))
    kind = kind_of(chosen)
    if kind is not None and sum(1 for each in known if kind_of(each) is kind) > 1:
        raise IdentityConflict(f"PID-3: two different numbers of the kind {kind.value} for one person")
    return chosen


def person(
    transaction: Transaction,
    claim: PatientClaim,
    identifier: PatientIdentifier,
    origin: DemographicsOrigin,
    told: str,
) -> int:
    """The person's key, made when new; demographics by the strength of their origin and the source's clock."""
    return registry.find_or_make(transaction, identifier, claim.demographics, origin, told)


def update(transaction: Transaction, event: PatientUpdate, identifier: PatientIdentifier, told: str) -> int:
    """Files demographics from a register."""
    return person(transaction, event.patient, identifier, DemographicsOrigin.ADT, told)


def merge(
    transaction: Transaction,
    event: PatientMerge,
    survivor: PatientIdentifier,
    subsumed: tuple[PatientIdentifier, ...],
    told: str,
) -> int:
    """Links the subsumed persons to the survivor; a merge that holds already changes nothing.

    Raises Conflict for a merge that would close a cycle or give a subsumed person a second survivor.
    """
    key = person(transaction, event.survivor, survivor, DemographicsOrigin.ADT, told)
    for identifier in subsumed:
        other = registry.find(transaction, identifier)
        if other is None:
            # Known by name only: whatever is sent under this number later has its place already.
            other = registry.find_or_make(
                transaction, identifier, event.survivor.demographics, DemographicsOrigin.REFERRAL, ""
            )
        if not _is_below(transaction, other, key):
            registry.merge(transaction, key, other)
    return key


def _is_below(transaction: Transaction, key: int, survivor: int) -> bool:
    """Whether following the merges upwards from `key` passes `survivor`."""
    seen: set[int] = set()
    while key not in seen:
        if key == survivor:
            return True
        seen.add(key)
        row = transaction.one("SELECT merged_into FROM patient WHERE patient_key = ?", key)
        if row is None or row[0] is None:
            return False
        key = int(row[0])
    return False
