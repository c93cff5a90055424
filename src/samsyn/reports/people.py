"""Which person a message is about: by assigning authority, never by position, and never by guess."""

from datetime import date

from samsyn.access.guardians import Told, between, tell_of_child
from samsyn.errors import BadInput, IdentityConflict, UnknownIssuer
from samsyn.hl7v2.meaning import (
    IdentifierMove,
    PatientClaim,
    PatientLink,
    PatientMerge,
    PatientUpdate,
    SentIdentifier,
)
from samsyn.model.patient import Demographics, DemographicsOrigin, PatientIdentifier
from samsyn.model.sender import Sender
from samsyn.patients import findings, links, registry
from samsyn.patients.findings import FindingKind
from samsyn.patients.identifiers import identify, kind_of, preference
from samsyn.patients.likeness import Agreement, compare
from samsyn.store.transaction import Transaction


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
    if len(known) == 1:
        return next(iter(known))
    chosen = min(known, key=preference)
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
    """Files demographics from a register; what else is filed for the person is compared with them anew."""
    before = registry.find(transaction, identifier)
    was = registry.known(transaction, before) if before is not None else None
    key = person(transaction, event.patient, identifier, DemographicsOrigin.ADT, told)
    if was is not None and was[0] != (now := registry.known(transaction, key)[0]):
        _note_replacement(transaction, key, was, now)
        findings.recheck(transaction, key)
    return key


def tell_guardians(
    transaction: Transaction,
    event: PatientUpdate,
    child_key: int,
    guardians: tuple[PatientIdentifier, ...],
    word: links.Word,
) -> None:
    """The source's word on who is the child's guardian; somebody who is not known yet becomes known by the number.

    BadInput: the message names one guardian twice.
    """
    if event.guardians is None:
        return
    if len(guardians) != len(event.guardians):
        raise BadInput("NK1: names one guardian twice")
    told = [
        Told(by_number(transaction, identifier), *between(claim.starts, claim.ends))
        for claim, identifier in zip(event.guardians, guardians, strict=True)
    ]
    tell_of_child(transaction, f"adt:{word.source}", child_key, told, word.told)


def of_text(
    transaction: Transaction, claim: PatientClaim, identifier: PatientIdentifier, sender: Sender, told: str
) -> int:
    """The key of the person whom a text is about, made when new. IdentityConflict: as `_check`."""
    known = registry.look(transaction, identifier)
    origin = DemographicsOrigin.REFERRAL
    if known is None:
        return registry.make(transaction, identifier, claim.demographics, origin, told)
    _check(transaction, claim, known, sender)
    registry.update_demographics(transaction, known, claim.demographics, origin, told)
    return known.key


def _check(transaction: Transaction, claim: PatientClaim, person: registry.Known, sender: Sender) -> None:
    """Compares what a text says about its patient with what is known about the number.

    IdentityConflict: it is hardly the same person. Smaller differences are noted for the steward, once for
    a system and a person.
    """
    found = findings.agreement_with(transaction, person, claim.demographics)
    if found.agreement is Agreement.CONTRADICTS:
        raise IdentityConflict("PID-5, PID-7: another person is known under this number")
    if found.fields:
        reference = f"texts:{sender.name}:{person.key}"
        owner = (sender.provider, sender.unit)
        findings.note(transaction, FindingKind.TEXT_HEADER, reference, person.key, owner, found.fields)


def _note_replacement(
    transaction: Transaction, key: int, was: tuple[Demographics, DemographicsOrigin], now: Demographics
) -> None:
    """The register describes somebody else than before: two people may have been given one number."""
    found = compare(was[0], now)
    if was[1] is not DemographicsOrigin.IMAGE and found.agreement is Agreement.CONTRADICTS:
        findings.note(
            transaction, FindingKind.REGISTER_CHANGED, f"patient:{key}", key, ("", ""), found.fields
        )


def merge(
    transaction: Transaction,
    event: PatientMerge,
    survivor: PatientIdentifier,
    subsumed: tuple[PatientIdentifier, ...],
    word: links.Word,
) -> int:
    """Merges the subsumed persons into the survivor; what holds already, or was undone later, changes nothing.

    Raises Conflict as `links.merge` does.
    """
    key = person(transaction, event.survivor, survivor, DemographicsOrigin.ADT, word.told)
    for identifier in subsumed:
        links.merge(transaction, key, by_number(transaction, identifier), word)
    return key


def link(
    transaction: Transaction,
    event: PatientLink,
    one: PatientIdentifier,
    other: PatientIdentifier,
    word: links.Word,
) -> tuple[int, int]:
    """Links the two, or says that they are not one person; Conflict as `links.link` and `links.unlink`."""
    keys = (
        person(transaction, event.one, one, DemographicsOrigin.ADT, word.told),
        person(transaction, event.other, other, DemographicsOrigin.ADT, word.told),
    )
    (links.link if event.linked else links.unlink)(transaction, *keys, word)
    return keys


def move_identifier(
    transaction: Transaction,
    event: IdentifierMove,
    owner: PatientIdentifier,
    moved: PatientIdentifier,
    word: links.Word,
) -> tuple[int, ...]:
    """The identifier is the owner's from now on: the owner's key, the identifier's, and those of whom it was parted
    from, whose texts are no longer told together with it. Conflict as `links.move_identifier`."""
    key = person(transaction, event.owner, owner, DemographicsOrigin.ADT, word.told)
    identifier = by_number(transaction, moved)
    former = links.linked_directly(transaction, identifier)
    links.move_identifier(transaction, identifier, key, word)
    return tuple(dict.fromkeys((key, identifier, *sorted(former))))


def by_number(transaction: Transaction, identifier: PatientIdentifier) -> int:
    """The person of a number that was only named: whatever is sent under it later has its place already."""
    return registry.find_or_make(transaction, identifier, Demographics(), DemographicsOrigin.IMAGE)
