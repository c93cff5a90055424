"""Registers of consent and care relation that have their master elsewhere: what the own registers ask of them.

Samsyn is the master by default. Where a region has a national register, consents are registered there first, and
what it tells counts as if it stood here; see access/national.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final, Protocol

from samsyn.errors import NotSupported
from samsyn.model.national import NationalGrant, Register
from samsyn.model.patient import PatientIdentifier
from samsyn.model.subject import Subject
from samsyn.store.index import grant_rows
from samsyn.store.transaction import Transaction

_FIRST: Final = ("1.2.752.129.2.1.3.1", "1.2.752.129.2.1.3.3")
"""Personnummer and samordningsnummer go before numbers that only a region knows."""
_SWEDISH: Final = "1.2.752."


class Masters(Protocol):
    """The connected masters."""

    def is_connected(self, register: Register) -> bool:
        """Whether this register has its master elsewhere."""

    def counts(self, register: Register, provider: str) -> bool:
        """Whether the copy of the provider's rows is there and young enough to stand on."""

    def unreachable(self, provider: str) -> frozenset[Register]:
        """Connected registers whose rows of the provider nobody can tell now: none of them counts."""

    async def register(self, register: Register, grant: NationalGrant, subject: Subject, reason: str) -> None:
        """Registers at the master, now. OutOfResources: out of reach; NotSupported: refused. Neither has done it."""

    def tell(
        self,
        transaction: Transaction,
        register: Register,
        grant: NationalGrant,
        subject: Subject,
        reason: str,
        *,
        act: str,
    ) -> None:
        """Adds to the record that the master is to be told ("register", "cancel" or "annul"), until it has been."""

    async def told(self, grant_id: str) -> bool:
        """Waits a moment; whether the master has been told everything about the grant."""


class NoMasters:
    """The default: nothing has its master elsewhere."""

    def is_connected(self, register: Register) -> bool:
        """See Masters."""
        return False

    def counts(self, register: Register, provider: str) -> bool:
        """See Masters."""
        return False

    def unreachable(self, provider: str) -> frozenset[Register]:
        """See Masters."""
        return frozenset()

    async def register(self, register: Register, grant: NationalGrant, subject: Subject, reason: str) -> None:
        """See Masters."""
        raise NotSupported("no national register is connected")

    def tell(
        self,
        transaction: Transaction,
        register: Register,
        grant: NationalGrant,
        subject: Subject,
        reason: str,
        *,
        act: str,
    ) -> None:
        """See Masters: there is nobody to tell."""

    async def told(self, grant_id: str) -> bool:
        """See Masters."""
        return True


NO_MASTERS: Final = NoMasters()
"""There is nothing in it that could change."""


def national_number(identifiers: Sequence[PatientIdentifier]) -> PatientIdentifier | None:
    """The number that a national register knows the person by; None: only numbers of a provider's own."""
    return min(
        (each for each in identifiers if each.issuer.startswith(_SWEDISH)),
        key=lambda each: _FIRST.index(each.issuer) if each.issuer in _FIRST else len(_FIRST),
        default=None,
    )


def put_grant(transaction: Transaction, register: Register, grant: NationalGrant) -> None:
    """Writes a grant into the copy; that it was ended here stands, whatever its register still says."""
    transaction.replace(
        "national_grant",
        register=register.value,
        grant_id=grant.grant_id,
        issuer=grant.issuer,
        number=grant.number,
        kind=grant.kind,
        provider=grant.provider,
        unit=grant.unit,
        employee=grant.employee,
        starts=_text(grant.starts),
        ends=_text(grant.ends) if grant.ends else None,
        ended=grant_rows.ended(transaction.all, register, grant.grant_id),
    )


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat()
