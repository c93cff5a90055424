"""National contracts as the settings connect them: who asks, which sources are answered for; and what each provider
lets patients read."""

import hashlib
from collections.abc import Mapping, Sequence

from samsyn.access.consumers import consumer, unnamed_consumer
from samsyn.access.facts import Release
from samsyn.errors import NotAllowed
from samsyn.model.subject import Subject
from samsyn.settings import Settings


def releases(settings: Settings) -> tuple[Release, ...]:
    """Of the providers that give patients direct access."""
    return tuple(
        Release(
            provider.hsa_id,
            provider.release.days,
            frozenset(provider.release.excluded_units),
            provider.release.after_vidimering,
        )
        for provider in settings.provider
        if provider.release.when == "signed"
    )


class ContractPartners:
    """Looks them up. A consumer that is not in the settings does not exist."""

    def __init__(self, settings: Settings) -> None:
        self._consumers: dict[str, dict[str, Subject]] = {}
        for each in settings.consumer:
            shown = each.hsa_id.strip().upper() or each.sha256
            original = each.original.strip().upper()
            named = consumer(each.name, original or each.hsa_id.strip().upper(), each.serves == "care")
            self._consumers.setdefault(shown, {})[original] = named
        self._sources: dict[str, dict[str, frozenset[str]]] = {}
        for provider in settings.provider:
            for system in provider.source_system:
                units = system.units or tuple(unit.hsa_id for unit in provider.unit)
                served = self._sources.setdefault(system.hsa_id.strip().upper(), {})
                served[provider.hsa_id] = served.get(provider.hsa_id, frozenset()) | frozenset(units)

    def by_token(self, secret: str) -> Subject | None:
        """Whoever holds a consumer's bearer token, not yet named (see `behind`), or None."""
        return self._unnamed(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest())

    def by_certificate(self, hsa_id: str) -> Subject | None:
        """Whoever has a consumer's HSA-id in the verified client certificate, not yet named, or None."""
        return self._unnamed(hsa_id.strip().upper())

    def behind(self, caller: Subject, original: str) -> Subject:
        """The consumer who asks by way of the caller: the one that a service platform names, else the caller itself.

        NotAllowed: it names one who is not connected by way of it, and asks for nobody by itself.
        """
        known = self._consumers.get(caller.hsa_id)
        if known is None:
            return caller
        found = known.get(original.strip().upper()) or known.get("")
        if found is None:
            raise NotAllowed("a consumer that is not connected by way of this platform")
        return found

    def sources(self, logical_address: str) -> Mapping[str, frozenset[str]]:
        """Units by provider that a source system (HSA-id, upper case) serves; empty = it is none of ours."""
        return self._sources.get(logical_address, {})

    def sources_of(self, provider_hsa_id: str, unit_hsa_id: str) -> Sequence[str]:
        """HSA-ids of the source systems that serve the unit."""
        return [each for each in sorted(self._sources) if self.is_source(each, provider_hsa_id, unit_hsa_id)]

    def is_source(self, logical_address: str, provider_hsa_id: str, unit_hsa_id: str) -> bool:
        """Whether that source system made what this unit of this provider has."""
        return unit_hsa_id in self.sources(logical_address).get(provider_hsa_id, frozenset())

    def _unnamed(self, shown: str) -> Subject | None:
        return unnamed_consumer(shown) if shown in self._consumers else None
