"""What the copies of the national registers have in common, whichever contract they are read by."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from samsyn.access.national.elements import Actor
from samsyn.model.national import NationalGrant, Register


@dataclass(frozen=True, slots=True)
class GrantPage:
    """A part of an answer. `more_on`: where the next reading goes on; `has_more`: it is to go on at once."""

    grants: tuple[NationalGrant, ...]
    cancelled: frozenset[str]
    more_on: str
    has_more: bool


class GrantContract(Protocol):
    """A national register by one contract. Every call may raise OutOfResources: no usable answer."""

    @property
    def register(self) -> Register:
        """Which register it is."""

    async def page(self, provider: str, since: str) -> GrantPage:
        """A provider's valid grants, and those that were taken back, from `since` ("" = all that are valid)."""

    async def register_grant(self, grant: NationalGrant, actor: Actor, at: datetime, reason: str) -> None:
        """Registers the grant; the same one again is no error. NotSupported: the register refuses it."""

    async def end_grant(
        self, grant: NationalGrant, actor: Actor, at: datetime, reason: str, *, annulled: bool
    ) -> None:
        """Takes a grant back, or annuls it as wrongly registered; NotSupported: the register refuses that."""

    async def close(self) -> None:
        """Ends the connections."""
