"""The copy of the national blocks as the settings connect it; certificates are read once, at start."""

from datetime import timedelta

import httpx

from samsyn.access.national.replica import BlockReplica
from samsyn.access.national.soap import SoapClient, tls
from samsyn.access.registers import Registers
from samsyn.clock import Clock
from samsyn.settings import NationalSettings
from samsyn.store.store import Store


def block_replica(
    national: NationalSettings, store: Store, clock: Clock, registers: Registers
) -> BlockReplica:
    """Without an address in the settings nothing is read. ConfigurationError: certificate files."""
    client = None
    if national.blocking_address:
        context = tls(national.certificate_file, national.key_file, national.ca_file)
        http = httpx.AsyncClient(trust_env=False, verify=context)
        client = SoapClient(http, national.blocking_address, national.logical_address)
    return BlockReplica(
        store,
        clock,
        registers,
        client,
        stale_after=timedelta(seconds=national.stale_after_s),
        every_s=national.every_s,
    )
