"""Reads for prefetching: the bookings whose time is near, and what was sent already."""

from dataclasses import dataclass
from typing import Final

from samsyn.store.index.port import IndexConnection

_DUE: Final = (
    "SELECT booking_key, patient_key, unit, accession_issuer, accession, changed FROM booking"
    " WHERE starts > ? AND starts <= ? AND provider = ? AND status = 'booked' ORDER BY starts, booking_key LIMIT ?"
)


@dataclass(frozen=True, slots=True)
class DueBooking:
    """A booking whose time is near."""

    booking_key: int
    patient_key: int
    unit: str
    accession_issuer: str
    accession: str
    changed: str
    """When it was filed or last changed, ISO 8601 in UTC."""


def due(connection: IndexConnection, provider: str, after: str, until: str, limit: int) -> list[DueBooking]:
    """The provider's bookings between two moments (ISO 8601 in UTC), the nearest first; none that are cancelled."""
    return [DueBooking(*row) for row in connection.execute(_DUE, (after, until, provider, limit))]


def was_sent(
    connection: IndexConnection, requester: str, destination: str, study_uid: str, since: str
) -> bool:
    """Whether this requester has asked since then that the study be sent there. One that was given up, since nobody
    answered, does not count; one that the receiver refused in part does: it would be refused again."""
    found = connection.execute(
        "SELECT 1 FROM transfer WHERE requester = ? AND requested >= ? AND destination = ? AND study_uid = ?"
        " AND NOT EXISTS (SELECT 1 FROM job WHERE kind = 'send' AND name = transfer_id AND state = 'parked')",
        (requester, since, destination, study_uid),
    ).fetchone()
    return found is not None
