"""Visits and accounts: what texts were sent under, so that a source can move them to the right person (A44, A45).

A visit has one number in its source and belongs to one person, so the latest word by the source's clock decides for
everything that was sent under it, what arrives later included. Images are not moved by it: a study that was sent
for the wrong person is moved by its archive or by a steward.
"""

from samsyn.hl7v2.meaning import PatientClaim
from samsyn.model.sender import Sender
from samsyn.model.value import value
from samsyn.patients import registry
from samsyn.store.transaction import Transaction

_TABLES = {"report": "report_key", "referral_event": "event_key", "booking_event": "event_key"}


@value
class Visit:
    """The visit and the account that a text was sent under, with the provider as name space; "" = not told."""

    visit: str
    account: str


def visit_of(claim: PatientClaim, sender: Sender) -> Visit:
    """What the message tells of them."""
    return Visit(named(claim.visit, sender), named(claim.account, sender))


def named(number: str, sender: Sender) -> str:
    """The number in its name space."""
    return f"{sender.provider}/{number}" if number else ""


def owner_of_text(transaction: Transaction, visit: Visit, patient_key: int) -> int:
    """Whose a text is that was sent for this person under this visit: the latest word about the visit or its account
    decides, at the same moment the one about the visit, which is the narrower."""
    closure: frozenset[int] | None = None
    found: list[tuple[str, bool, int]] = []
    for kind, number in (("visit", visit.visit), ("account", visit.account)):
        moves = _moves(transaction, kind, number) if number else []
        if moves:
            closure = closure or registry.closure(transaction, patient_key)
            if closure & {key for former, owner, _ in moves for key in (former, owner)}:
                _, owner, told = moves[-1]
                found.append((told, kind == "visit", owner))
    owner = max(found)[2] if found else patient_key
    return patient_key if closure is None or owner in closure else owner


def move(
    transaction: Transaction, kind: str, number: str, former: int, owner: int, told: str, message_key: int
) -> frozenset[int]:
    """Says that what was sent for `former` under the number is `owner`'s, and moves what is there.

    The persons whose texts changed: their referrals and bookings are to be folded anew. `kind` is "visit" or
    "account"; `number` has its name space.
    """
    moment = told or transaction.time
    transaction.insert(
        "visit_move",
        move_key=transaction.next_key("visit_move"),
        kind=kind,
        number=number,
        former_key=former,
        owner_key=owner,
        told=moment,
        message_key=message_key,
    )
    changed: set[int] = set()
    for table, key_name in _TABLES.items():
        rows = transaction.all(
            f"SELECT {key_name}, patient_key, visit, account FROM {table}"  # noqa: S608 - constants
            f" WHERE {kind} = ? AND {kind} <> ''",
            number,
        )
        for key, patient_key, visit, account in rows:
            now = owner_of_text(transaction, Visit(visit, account), patient_key)
            if now != patient_key:
                transaction.update(table, {key_name: key}, patient_key=now)
                changed |= {patient_key, now}
    return frozenset(changed)


def _moves(transaction: Transaction, kind: str, number: str) -> list[tuple[int, int, str]]:
    """(former, owner, told), the latest word last."""
    rows = transaction.all(
        "SELECT former_key, owner_key, told FROM visit_move WHERE number = ? AND kind = ? ORDER BY told, owner_key",
        number,
        kind,
        of=(),
    )
    return [(row[0], row[1], row[2]) for row in rows]
