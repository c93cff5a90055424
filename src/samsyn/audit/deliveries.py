"""How far the receivers of the audit journal have got it, read from the index as it lies."""

from dataclasses import dataclass

from samsyn.store.index import audit_rows
from samsyn.store.index.port import IndexConnection


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """One receiver's place, and (entry, "refused" or "presumed", its words) of what was set aside."""

    receiver: str
    delivered: int
    entries: int
    set_aside: tuple[tuple[int, str, str], ...]


def delivery_states(connection: IndexConnection) -> list[DeliveryState]:
    """Every receiver that ever got something, by name."""
    entries = audit_rows.last_sequence(connection)
    return [
        DeliveryState(name, delivered, entries, tuple(audit_rows.set_aside(connection, name)))
        for name, delivered in audit_rows.places(connection)
    ]
