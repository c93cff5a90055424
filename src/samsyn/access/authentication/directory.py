"""Where assignments come from at log-in, when not from the identity provider's claims."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from samsyn.model.subject import Assignment


@dataclass(frozen=True, slots=True)
class Credentials:
    """What the directory says of one HSA-id of a person."""

    employee: str
    name: str
    protected: bool
    roles: frozenset[str]
    assignments: tuple[Assignment, ...]
    """Those in force now, in the directory's order."""


class StaffDirectory(Protocol):
    """Where assignments come from at log-in, when not from the identity provider's claims."""

    async def credentials(self, employee: str, now: datetime) -> Credentials | None:
        """None: the directory does not know the HSA-id. OutOfResources: it can not be asked."""

    async def close(self) -> None:
        """Ends the connections."""
