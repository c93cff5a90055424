"""Which identifiers are one person: merge, unmerge, link, unlink, moved identifiers and numbers that stand alone.

A link is a row between two persons of the index; nothing that was filed is rewritten by it, so breaking it
brings every object back to the person it was sent for, those that came late too. From the links that hold
follows, for every person, whom he is shown as (`patient.merged_into`: the survivor, None for the survivor).

A *merge* has a direction: the subsumed number gives way to the survivor's (reserve number to coordination number to
personnummer, a changed number to its successor). A *link* says only that two numbers are one person; the number
that names him best stands for both. Words about the same two persons count by their source's clock, not by arrival:
a merge that was told before an unmerge does not undo it, however late it comes.

Every function runs inside a record in the making, answers whether anything changed, and raises Conflict, which
leaves nothing half-done, for what would have to be guessed. Referrals are folded per person: whoever changes links
calls `reports.referrals.refold` for both persons in the same record.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from samsyn.errors import Conflict
from samsyn.model.patient import PatientIdentifier
from samsyn.model.value import value
from samsyn.patients.identifiers import preference
from samsyn.patients.parting import set_aside
from samsyn.store.index.port import IndexConnection
from samsyn.store.transaction import Transaction


class Act(StrEnum):
    """What can be said about two persons, or about one."""

    MERGE = "merge"
    UNMERGE = "unmerge"
    LINK = "link"
    UNLINK = "unlink"
    MOVE = "move"
    STAND_ALONE = "stand-alone"


@value
class Word:
    """Who says it and when. `told`: the source's clock, ISO 8601 in UTC; "" = the moment of filing."""

    told: str = ""
    source: str = ""
    """A sender's name or an employee's HSA-id."""
    reason: str = ""
    message_key: int = 0


@dataclass(frozen=True, slots=True)
class LinkEvent:
    """One word about a person's numbers, as it was filed."""

    act: Act
    one_key: int
    other_key: int
    """0 when the word is about one person alone."""
    told: str
    happened: str
    source: str
    reason: str
    effective: bool
    """False: it changed nothing, because it held already or a later word had been spoken."""


def merge(transaction: Transaction, survivor: int, subsumed: int, word: Word) -> bool:
    """From now on the subsumed person is shown as the survivor.

    Conflict: it would close a cycle, give the subsumed a second survivor, or name a number that stands alone.
    """
    if _is_below(transaction, survivor, subsumed):
        raise Conflict("the merge would close a cycle")
    if _is_below(transaction, subsumed, survivor):
        # It holds already; over other persons when there is no link of its own.
        return _said_again(transaction, Act.MERGE, subsumed, survivor, word)
    if _is_outdated(transaction, subsumed, survivor, word):
        return _noted(transaction, Act.MERGE, subsumed, survivor, word, effective=False)
    if _uppers(transaction, subsumed):
        raise Conflict("the subsumed person is already merged into another")
    _refuse_alone(transaction, survivor, subsumed)
    for edge in _holding(transaction, subsumed, survivor):  # a link between equals gets its direction
        _set(transaction, Act.LINK, *edge, word, holds=False, is_parting=False)
    _set(transaction, Act.MERGE, subsumed, survivor, word, holds=True)
    return _noted(transaction, Act.MERGE, subsumed, survivor, word)


def unmerge(transaction: Transaction, survivor: int, subsumed: int, word: Word) -> bool:
    """Breaks a merge: each of the two has again what was sent for him.

    Conflict: they are one person by way of others only, so that it can not be told which link is wrong.
    """
    return _part(transaction, Act.UNMERGE, subsumed, survivor, word)


def link(transaction: Transaction, one: int, other: int, word: Word) -> bool:
    """The two are one person; neither number gives way. Conflict: a number stands alone, or both are the same."""
    if one == other:
        raise Conflict("nobody is linked with himself")
    lower, upper = sorted((one, other))
    if _holding(transaction, lower, upper):
        return _said_again(transaction, Act.LINK, lower, upper, word)
    if _is_outdated(transaction, lower, upper, word):
        return _noted(transaction, Act.LINK, lower, upper, word, effective=False)
    _refuse_alone(transaction, one, other)
    _set(transaction, Act.LINK, lower, upper, word, holds=True)
    return _noted(transaction, Act.LINK, lower, upper, word)


def unlink(transaction: Transaction, one: int, other: int, word: Word) -> bool:
    """The two are not one person, whether they had been linked or merged; Conflict as for `unmerge`."""
    lower, upper = sorted((one, other))
    return _part(transaction, Act.UNLINK, lower, upper, word)


def move_identifier(transaction: Transaction, identifier: int, to: int, word: Word) -> bool:
    """The identifier (with all that was sent under it) belonged to the wrong person and is the other one's.

    Conflict: several others hang on this identifier, so that it can not be told to whom they belong.
    """
    if identifier == to:
        raise Conflict("the identifier is moved to itself")
    if _is_below(transaction, identifier, to):
        return _noted(transaction, Act.MOVE, identifier, to, word, effective=False)
    held = _edges(transaction, identifier)
    if len(held) > 1:
        raise Conflict("other identifiers are linked by way of this one; part them first")
    if _is_outdated(transaction, identifier, to, word):
        return _noted(transaction, Act.MOVE, identifier, to, word, effective=False)
    for lower, upper in held:
        _set(transaction, Act.UNLINK, lower, upper, word, holds=False)
    if _is_below(transaction, to, identifier):
        raise Conflict("the move would close a cycle")
    _refuse_alone(transaction, identifier, to)
    _set(transaction, Act.MERGE, identifier, to, word, holds=True)
    return _noted(transaction, Act.MOVE, identifier, to, word)


def stand_alone(transaction: Transaction, key: int, word: Word) -> frozenset[int]:
    """Breaks every link of the number and lets nobody link it again; the persons it was linked with.

    For assumed identities (fingerade personuppgifter): old and new number must not be found from each other. Nothing
    is kept about which other number is meant, since that would itself be the link.
    """
    held = _edges(transaction, key)
    for lower, upper in held:
        _set(transaction, Act.UNLINK, lower, upper, word, holds=False)
    transaction.replace("patient_alone", patient_key=key, since=transaction.time)
    _noted(transaction, Act.STAND_ALONE, key, 0, word)
    return frozenset(lower if upper == key else upper for lower, upper in held)


def stands_alone(transaction: Transaction, key: int) -> bool:
    """Whether the number may be linked with no other."""
    return transaction.one("SELECT 1 FROM patient_alone WHERE patient_key = ?", key) is not None


def linked_directly(transaction: Transaction, key: int) -> frozenset[int]:
    """Whom a link that holds joins with the number itself, and not by way of another."""
    return frozenset(person for edge in _edges(transaction, key) for person in edge) - {key}


def events_of(connection: IndexConnection, keys: Iterable[int]) -> list[LinkEvent]:
    """Every word about these persons, the latest first."""
    wanted = sorted(set(keys))
    # Only question marks are put into the statement; the values are bound.
    marks = ",".join("?" * len(wanted))
    rows = connection.execute(
        "SELECT act, one_key, other_key, told, happened, source, reason, effective FROM identity_event"  # noqa: S608
        f" WHERE one_key IN ({marks}) OR other_key IN ({marks}) ORDER BY event_key DESC",
        [*wanted, *wanted],
    )
    return [
        LinkEvent(Act(row[0]), row[1], row[2], row[3], row[4], row[5], row[6], bool(row[7])) for row in rows
    ]


def _part(transaction: Transaction, act: Act, lower: int, upper: int, word: Word) -> bool:
    holding = _holding(transaction, lower, upper)
    if not holding:
        if upper in _component(transaction, lower):
            raise Conflict("they are one person by way of another number; name the link that is wrong")
        # Kept, so that an older word that arrives later does not link them.
        if not _is_outdated(transaction, lower, upper, word):
            _set(transaction, act, lower, upper, word, holds=False)
        return _noted(transaction, act, lower, upper, word, effective=False)
    if _is_outdated(transaction, lower, upper, word):
        return _noted(transaction, act, lower, upper, word, effective=False)
    for edge in holding:
        _set(transaction, act, *edge, word, holds=False)
    return _noted(transaction, act, lower, upper, word)


def _said_again(transaction: Transaction, act: Act, lower: int, upper: int, word: Word) -> bool:
    """A word that holds already becomes later, so that an unlinking that was told in between does not count."""
    for edge in _holding(transaction, lower, upper):
        if _told(transaction, *edge) < _moment(transaction, word):
            transaction.update(
                "patient_link",
                {"lower_key": edge[0], "upper_key": edge[1]},
                told=_moment(transaction, word),
            )
    return _noted(transaction, act, lower, upper, word, effective=False)


def _moment(transaction: Transaction, word: Word) -> str:
    return word.told or transaction.time


def _told(transaction: Transaction, lower: int, upper: int) -> str:
    row = transaction.one("SELECT told FROM patient_link WHERE lower_key = ? AND upper_key = ?", lower, upper)
    return str(row[0]) if row else ""


def _is_outdated(transaction: Transaction, one: int, other: int, word: Word) -> bool:
    """Whether a later word about the two, in whichever direction, has been spoken."""
    later = max(_told(transaction, one, other), _told(transaction, other, one))
    return later > _moment(transaction, word)


def _holding(transaction: Transaction, one: int, other: int) -> list[tuple[int, int]]:
    """(lower, upper) of the direct links between the two that hold."""
    return [edge for edge in _edges(transaction, one) if other in edge]


def _edges(transaction: Transaction, key: int) -> list[tuple[int, int]]:
    """(lower, upper) of every direct link of the person that holds."""
    rows = transaction.all(
        "SELECT lower_key, upper_key FROM patient_link WHERE lower_key = ? AND holds = 1"
        " UNION SELECT lower_key, upper_key FROM patient_link WHERE upper_key = ? AND holds = 1",
        key,
        key,
    )
    return [(int(lower), int(upper)) for lower, upper in rows]


def _uppers(transaction: Transaction, key: int) -> list[int]:
    """Whom the person was merged into directly."""
    rows = transaction.all(
        "SELECT upper_key FROM patient_link WHERE lower_key = ? AND holds = 1 AND kind = 'merge'", key
    )
    return [int(row[0]) for row in rows]


def _is_below(transaction: Transaction, key: int, survivor: int) -> bool:
    """Whether following the merges upwards from `key` meets `survivor` (himself included)."""
    seen: set[int] = set()
    waiting = [key]
    while waiting:
        person = waiting.pop()
        if person == survivor:
            return True
        if person not in seen:
            seen.add(person)
            waiting += _uppers(transaction, person)
    return False


def _component(transaction: Transaction, key: int) -> frozenset[int]:
    """The person and everybody whom links that hold reach from him."""
    found, waiting = {key}, [key]
    while waiting:
        for edge in _edges(transaction, waiting.pop()):
            for person in edge:
                if person not in found:
                    found.add(person)
                    waiting.append(person)
    return frozenset(found)


def _refuse_alone(transaction: Transaction, *keys: int) -> None:
    if any(stands_alone(transaction, key) for key in keys):
        raise Conflict("a number that stands alone is linked with no other")


def _set(
    transaction: Transaction,
    act: Act,
    lower: int,
    upper: int,
    word: Word,
    *,
    holds: bool,
    is_parting: bool = True,
) -> None:
    """Writes the link and whom everybody around it is shown as from now on.

    `is_parting` False: another link between the two follows in the same record.
    """
    told = _moment(transaction, word)
    known = transaction.one(
        "SELECT kind FROM patient_link WHERE lower_key = ? AND upper_key = ?", lower, upper
    )
    kind = act.value if holds else known[0] if known else "merge"
    if known is None:
        transaction.insert(
            "patient_link",
            link_key=transaction.next_key("patient_link"),
            kind=kind,
            lower_key=lower,
            upper_key=upper,
            holds=int(holds),
            told=told,
        )
    else:
        transaction.update(
            "patient_link",
            {"lower_key": lower, "upper_key": upper},
            kind=kind,
            holds=int(holds),
            told=told,
        )
    first = _component(transaction, lower)
    _show(transaction, first)
    if upper not in first:
        second = _component(transaction, upper)
        _show(transaction, second)
        for component in (first, second) if is_parting else ():
            set_aside(transaction, component)


def _show(transaction: Transaction, component: frozenset[int]) -> None:
    """Chooses the survivor: nobody's subsumed, with the number that names him best, the oldest among equals."""
    tops = [key for key in component if not _uppers(transaction, key)]
    survivor = min(tops, key=lambda key: (_weight(transaction, key), key))
    for key in sorted(component):
        shown_as = None if key == survivor else survivor
        row = transaction.one("SELECT merged_into FROM patient WHERE patient_key = ?", key)
        if row is not None and row[0] != shown_as:
            transaction.update("patient", {"patient_key": key}, merged_into=shown_as)


def _weight(transaction: Transaction, key: int) -> int:
    rows = transaction.all("SELECT issuer, value FROM patient_identifier WHERE patient_key = ?", key)
    return min((preference(PatientIdentifier(*row)) for row in rows), default=99)


def _noted(
    transaction: Transaction, act: Act, one: int, other: int, word: Word, *, effective: bool = True
) -> bool:
    transaction.insert(
        "identity_event",
        event_key=transaction.next_key("identity_event"),
        act=act.value,
        one_key=one,
        other_key=other,
        told=_moment(transaction, word),
        happened=transaction.time,
        source=word.source,
        reason=word.reason,
        message_key=word.message_key,
        effective=int(effective),
    )
    return effective
