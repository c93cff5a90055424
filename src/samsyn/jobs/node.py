"""This process among those that share an index: what it shares with them, and what it does for all of them."""

import secrets

from samsyn.clock import Clock
from samsyn.jobs.leases import Duties, Duty, Leases
from samsyn.jobs.presence import Presence
from samsyn.settings.cluster import NodeSettings
from samsyn.store.shared.port import SharedState


class Node:
    """One node; alone, where nothing is shared, it has every duty and needs no lease."""

    def __init__(self, shared: SharedState | None, values: NodeSettings, clock: Clock) -> None:
        self.shared = shared
        self.leases: Leases | None = None
        self._presence: Presence | None = None
        if shared is not None:
            self.leases = Leases(shared, f"{values.name}.{secrets.token_hex(4)}", values.lease_s)
            if values.durability == "own-journal":
                self._presence = Presence(shared, values.number, values.lease_s)
        self._address = values.inner_address
        self.duties = Duties(self.leases, clock)

    async def start(self, address: str, duties: list[Duty]) -> None:
        """Begins to take duties. `address`: where the others reach this node, if the settings name no other."""
        if self._presence is not None:
            self._presence.start(self._address or address)
        await self.duties.start(duties)

    async def stop(self) -> None:
        """Hands everything over."""
        await self.duties.stop()
        if self._presence is not None:
            await self._presence.stop()

    def close(self) -> None:
        """Lets go of what is shared, last of all."""
        if self.shared is not None:
            self.shared.close()
