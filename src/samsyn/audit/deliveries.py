"""How far the receivers of the audit journal have got it, read from the index as it lies."""

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from samsyn.store.index import audit_rows, sqlite


@dataclass(frozen=True, slots=True)
class DeliveryState:
    """One receiver's place, and (entry, "refused" or "presumed", its words) of what was set aside."""

    receiver: str
    delivered: int
    entries: int
    set_aside: tuple[tuple[int, str, str], ...]


def delivery_states(folder: Path) -> list[DeliveryState]:
    """Every receiver that ever got something, by name."""
    with closing(sqlite.open_reader(folder / "index.sqlite")) as connection:
        entries = audit_rows.last_sequence(connection)
        return [
            DeliveryState(name, delivered, entries, tuple(audit_rows.set_aside(connection, name)))
            for name, delivered in audit_rows.places(connection)
        ]
