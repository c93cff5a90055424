"""The engagement index as the settings connect it; certificates are read once, at start."""

import httpx

from samsyn.access.facts import Policy
from samsyn.access.national.soap import SoapClient, tls
from samsyn.clock import Clock
from samsyn.exchange.engagement_index.announcing import EngagementIndex
from samsyn.providers.contracts import ContractPartners
from samsyn.settings.contracts import EngagementIndexSettings
from samsyn.store.store import Store


def engagement_index(
    index: EngagementIndexSettings, store: Store, clock: Clock, partners: ContractPartners, policy: Policy
) -> EngagementIndex:
    """Without an address in the settings nothing is told. ConfigurationError: certificate files."""
    client = None
    if index.address:
        context = tls(index.certificate_file, index.key_file, index.ca_file, "engagement_index")
        http = httpx.AsyncClient(trust_env=False, verify=context)
        client = SoapClient(http, index.address, index.logical_address)
    return EngagementIndex(store, clock, partners, policy, client)
