"""Calls from a record system to open a patient (uthopp): a number waits here under a one-time ticket.

The number never stands in an address, and a call opens nothing by itself: whoever is logged in opens the patient, by
the same rules as after a search.
"""

from dataclasses import dataclass, field

from samsyn import limits
from samsyn.access.authentication.tokens import new_secret
from samsyn.access.waiting import WaitingRooms


@dataclass(frozen=True, slots=True)
class Launch:
    """A call to open a patient. `provider` and `employee` are told by a known system's call, "" otherwise."""

    number: str = field(repr=False)
    """In any written form."""
    provider: str = ""
    """HSA-id of the care provider whose system called."""
    employee: str = ""
    """HSA-id of the person for whom it called; "" = whoever it is."""
    examination: str = field(default="", repr=False)
    """Study Instance UID or accession number of the examination to show; "" = the patient's page."""

    def is_certain_for(self, provider: str, employee: str) -> bool:
        """Whether the reader need not be asked if the patient is the right one: a known system of the own provider
        called, and for him."""
        return bool(self.provider) and self.provider == provider and self.employee in ("", employee)


class Launches:
    """The calls that wait for their browser; bounded, and gone after limits.LOGIN_SECONDS."""

    def __init__(self, rooms: WaitingRooms) -> None:
        self._waiting = rooms.room("launch", Launch, limits.LOGIN_SECONDS, limits.MAX_PENDING_LAUNCHES)

    def put(self, launch: Launch) -> str:
        """The ticket of a call."""
        ticket = new_secret()
        self._waiting.put(ticket, launch)
        return ticket

    def look(self, ticket: str) -> Launch | None:
        """The call, which goes on waiting: the browser may have to log in first. None: unknown, used or too old."""
        return self._waiting.look(ticket)

    def take(self, ticket: str) -> Launch | None:
        """The call, which is used up."""
        return self._waiting.take(ticket)
