"""The national registers as the settings connect them; certificates are read once, at start."""

from collections.abc import Sequence
from datetime import timedelta

import httpx

from samsyn import limits
from samsyn.access.national.accesslogs import NationalAccessLogs
from samsyn.access.national.consent import ConsentContract
from samsyn.access.national.copies import GrantCopy, Pace
from samsyn.access.national.directory import HsaDirectory
from samsyn.access.national.elements import actor_of
from samsyn.access.national.grants import GrantContract
from samsyn.access.national.relation import RelationContract
from samsyn.access.national.replica import BlockReplica
from samsyn.access.national.soap import SoapClient, tls
from samsyn.access.national.telling import Telling
from samsyn.access.registers import Registers
from samsyn.clock import Clock
from samsyn.model.national import NationalGrant, Register
from samsyn.model.subject import Subject
from samsyn.settings.national import NationalSettings
from samsyn.store.store import Store
from samsyn.store.transaction import Transaction


class ConnectedMasters:
    """Masters (access.masters): the copies that are read, and the telling."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        registers: Registers,
        contracts: Sequence[GrantContract],
        providers: Sequence[str],
        pace: Pace,
    ) -> None:
        self._clock = clock
        self._contracts = {each.register: each for each in contracts}
        self._copies = {
            each.register: GrantCopy(store, clock, registers, each, providers, pace) for each in contracts
        }
        self._telling = Telling(store, clock, self._contracts)

    def copy(self, register: Register) -> GrantCopy | None:
        """The copy of a connected register."""
        return self._copies.get(register)

    async def start(self) -> None:
        """Begins to read and to tell."""
        for copy in self._copies.values():
            await copy.start()
        if self._copies:
            self._telling.start()

    async def follow(self) -> None:
        """Takes up how old the copies are: another node may be the one that reads."""
        for copy in self._copies.values():
            await copy.follow()

    async def pause(self) -> None:
        """Leaves off reading and telling until the next start."""
        if self._copies:
            await self._telling.stop()
        for copy in self._copies.values():
            await copy.stop()

    async def stop(self) -> None:
        """Ends both, and the connections."""
        await self.pause()
        for contract in self._contracts.values():
            await contract.close()

    def figures(self) -> list[tuple[str, str, float]]:
        """(name, help, value) for metrics, of what is connected."""
        found: list[tuple[str, str, float]] = [
            (f"national_{register.value}_age_seconds", "Age of the copy; -1: none", copy.age_s())
            for register, copy in self._copies.items()
        ]
        if found:
            given_up = self._telling.worker.parked
            found.append(
                ("national_untold_total", "Registrations that a national register never took", given_up)
            )
        return found

    def is_connected(self, register: Register) -> bool:
        """See Masters."""
        return register in self._copies

    def counts(self, register: Register, provider: str) -> bool:
        """See Masters."""
        copy = self._copies.get(register)
        return copy is not None and copy.is_known(provider)

    def unreachable(self, provider: str) -> frozenset[Register]:
        """See Masters."""
        if not self._copies:
            return frozenset()
        return frozenset(each for each, copy in self._copies.items() if not copy.is_known(provider))

    async def register(self, register: Register, grant: NationalGrant, subject: Subject, reason: str) -> None:
        """See Masters."""
        contract = self._contracts[register]
        await contract.register_grant(grant, actor_of(subject), self._clock.now(), reason)

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
        """See Masters."""
        if register in self._contracts:
            self._telling.add(transaction, register, grant, subject, reason, act=act)

    async def told(self, grant_id: str) -> bool:
        """See Masters."""
        return not self._copies or await self._telling.told(grant_id)


def block_replica(
    national: NationalSettings, store: Store, clock: Clock, registers: Registers
) -> BlockReplica:
    """Without an address in the settings nothing is read. ConfigurationError: certificate files."""
    return BlockReplica(
        store,
        clock,
        registers,
        _client(national, national.blocking_address) if national.blocking_address else None,
        stale_after=timedelta(seconds=national.stale_after_s),
        every_s=national.every_s,
    )


def connected_masters(
    national: NationalSettings, store: Store, clock: Clock, registers: Registers, providers: Sequence[str]
) -> ConnectedMasters:
    """The registers that have an address; `registers` goes by them from now on. ConfigurationError: certificates."""
    contracts: list[GrantContract] = []
    if national.consent_address:
        contracts.append(ConsentContract(_client(national, national.consent_address)))
    if national.relation_address:
        contracts.append(RelationContract(_client(national, national.relation_address)))
    pace = Pace(
        national.grants_every_s,
        timedelta(seconds=limits.NATIONAL_WHOLE_EVERY_S),
        timedelta(seconds=national.grants_stale_after_s),
    )
    masters = ConnectedMasters(store, clock, registers, contracts, providers, pace)
    registers.connect(masters)
    return masters


def access_logs(national: NationalSettings) -> NationalAccessLogs | None:
    """The national log service's reports; None: not connected. ConfigurationError: certificates."""
    return (
        NationalAccessLogs(_client(national, national.access_log_address))
        if national.access_log_address
        else None
    )


def staff_directory(national: NationalSettings) -> HsaDirectory | None:
    """The staff directory; None: assignments come from the identity provider. ConfigurationError: certificates."""
    return HsaDirectory(_client(national, national.hsa_address)) if national.hsa_address else None


def _client(national: NationalSettings, address: str) -> SoapClient:
    context = tls(national.certificate_file, national.key_file, national.ca_file)
    http = httpx.AsyncClient(trust_env=False, verify=context)
    return SoapClient(http, address, national.logical_address)
