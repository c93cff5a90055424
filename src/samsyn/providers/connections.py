"""Known systems of the connected providers, from the settings. Unknown ones do not exist."""

import hashlib
import ipaddress
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from samsyn.hl7v2.corrections import Addressee
from samsyn.model.organisation import CareProvider, CareUnit
from samsyn.model.sender import Sender
from samsyn.model.subject import Assignment, Purpose, Right, Role, Subject, SubjectKind
from samsyn.settings import (
    CertificateSettings,
    DicomPeerSettings,
    ProviderSettings,
    Settings,
    TokenSettings,
)


@dataclass(frozen=True, slots=True)
class Destination:
    """Where a C-MOVE sends to; only settings name these."""

    ae_title: str
    host: str
    port: int
    provider: str
    tls: bool = False


@dataclass(frozen=True, slots=True)
class System:
    """A known system: what it sends as, what it reads as, and what it may do."""

    sender: Sender
    subject: Subject
    may_store: bool
    may_query: bool
    may_retrieve: bool
    may_reject: bool
    """Whether it may take its provider's instances back by DELETE."""
    sees_rejected: bool
    """Whether it is shown what rejection notes hide of its provider's studies, where it asks for that."""


@dataclass(frozen=True, slots=True)
class Subscriber:
    """A known system that may subscribe."""

    subject: Subject
    addresses: tuple[str, ...]
    """Where it may be notified: see settings.TokenSettings.notify."""

    def may_be_told_at(self, endpoint: str) -> bool:
        """Whether an endpoint is at one of the addresses: same scheme, host and port, and below the path."""
        place = urlsplit(endpoint)
        if place.username or place.fragment or "%" in place.path or ".." in place.path.split("/"):
            return False
        return any(
            (place.scheme, place.netloc) == (known.scheme, known.netloc)
            and (place.path == known.path or place.path.startswith(known.path.rstrip("/") + "/"))
            for known in map(urlsplit, self.addresses)
        )


@dataclass(frozen=True, slots=True)
class Hl7Source:
    """A known HL7 v2 system with the name of its profile."""

    sender: Sender
    profile: str


@dataclass(frozen=True, slots=True)
class Hl7Receiver:
    """A system of a provider that is told of corrections, and as whom it reads what it is told."""

    name: str
    host: str
    port: int
    tls: bool
    addressee: Addressee
    provider: str
    subject: Subject


class Connections:
    """Looks known systems up by what they show at a door."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._peers = {
            peer.ae_title: (provider, peer) for provider in settings.provider for peer in provider.dicom_peer
        }
        self._tokens = {
            bytes.fromhex(token.sha256): _system(provider, token)
            for provider in settings.provider
            for token in provider.token
        }
        self._certificates = {
            each.hsa_id.strip().upper(): _system(provider, each)
            for provider in settings.provider
            for each in provider.certificate
        }
        self._sources = {
            (source.application, source.facility): (provider, source)
            for provider in settings.provider
            for source in provider.hl7_source
        }
        self._texts_from = {
            key: Hl7Source(_sender(provider, source.application, source.unit, False), source.profile)
            for key, (provider, source) in self._sources.items()
        }
        self._naming = frozenset(provider.hsa_id for provider in settings.provider if provider.names_staff)
        self.local_issuers = {
            provider.local_issuer: provider.hsa_id for provider in settings.provider if provider.local_issuer
        }
        """Provider by the issuer of its own patient numbers."""
        self.providers: tuple[CareProvider, ...] = tuple(
            CareProvider(
                provider.hsa_id,
                provider.name,
                tuple(CareUnit(unit.hsa_id, unit.name) for unit in provider.unit),
                provider.phone,
            )
            for provider in settings.provider
        )

    def dicom_peer(self, ae_title: str, address: str, certificate: str | None = None) -> System | None:
        """The system behind a calling AE title and remote address, or None.

        `certificate`: the HSA-id in the verified client certificate ("" = it has none), None = without TLS. Who has
        an HSA-id in the settings must show it; who has none can not come by TLS, where nothing would tie him to
        his certificate.
        """
        found = self._peers.get(ae_title.strip())
        if found is None or not _called_from(address, tuple(found[1].addresses)):
            return None
        if (certificate or "") != found[1].hsa_id.strip().upper() or certificate == "":
            return None
        provider, peer = found
        return _system(provider, peer)

    def system_named(self, ae_title: str) -> System | None:
        """The system with that AE title, wherever it calls from, or None: for work that it left behind."""
        found = self._peers.get(ae_title)
        return _system(*found) if found is not None else None

    def destination(self, ae_title: str) -> Destination | None:
        """The C-MOVE destination of that name, or None."""
        found = self._peers.get(ae_title.strip())
        if found is None or not found[1].host:
            return None
        provider, peer = found
        return Destination(peer.ae_title, peer.host, peer.port, provider.hsa_id, peer.tls)

    def told_of_availability(self) -> list[str]:
        """AE titles of the systems that want Instance Availability Notifications."""
        return [peer.ae_title for _, peer in self._peers.values() if peer.notify_availability and peer.host]

    def destinations_of(self, provider_hsa_id: str) -> list[Destination]:
        """Every C-MOVE destination of one provider."""
        return [
            Destination(peer.ae_title, peer.host, peer.port, provider.hsa_id, peer.tls)
            for provider, peer in self._peers.values()
            if provider.hsa_id == provider_hsa_id and peer.host
        ]

    def token(self, secret: str) -> System | None:
        """The system that holds a bearer token, or None. Only the token's SHA-256 is known here."""
        return self._tokens.get(hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest())

    def certificate(self, hsa_id: str) -> System | None:
        """The system whose verified client certificate bears this HSA-id, or None."""
        return self._certificates.get(hsa_id.strip().upper()) if hsa_id.strip() else None

    def text_sender(self, subject: Subject) -> Sender | None:
        """What a system with a bearer token sends texts as; None = it sends none."""
        own = subject.assignment
        if subject.kind is not SubjectKind.SYSTEM or own is None:
            return None
        for provider in self._settings.provider:
            if provider.hsa_id == own.provider_hsa_id and provider.texts_in:
                for token in provider.token:
                    if token.name == subject.hsa_id and token.may_store:
                        return _sender(provider, token.name, token.unit, False)
        return None

    def subscriber(self, provider_hsa_id: str, name: str) -> Subscriber | None:
        """The system of the provider that may subscribe, or None: unknown, not reading, or with nowhere to notify."""
        for provider in self._settings.provider:
            if provider.hsa_id == provider_hsa_id and provider.reading:
                systems: tuple[TokenSettings | CertificateSettings, ...] = (
                    *provider.token,
                    *provider.certificate,
                )
                for each in systems:
                    if each.name == name and each.may_query and each.notify:
                        return Subscriber(_system(provider, each).subject, each.notify)
        return None

    def backends(self) -> dict[str, Subject]:
        """What each registered server (SMART Backend Services) reads as, by its client id."""
        return {
            each.client_id: _subject(provider, _sender(provider, each.name, each.unit, False), False)
            for provider in self._settings.provider
            if provider.reading
            for each in provider.backend
        }

    def may_launch(self, subject: Subject) -> bool:
        """Whether it is a known system that reads, of a provider whose staff may be sent to an app."""
        own = subject.assignment
        return own is not None and any(
            provider.hsa_id == own.provider_hsa_id and provider.reading
            for provider in self._settings.provider
        )

    def hl7_source(
        self, application: str, facility: str, address: str, certificate: str | None = None
    ) -> Hl7Source | None:
        """The system behind MSH-3, MSH-4 and the remote address, or None.

        `certificate`: as for `dicom_peer`. Who has an HSA-id in the settings must show it, and who has none can not
        come by TLS.
        """
        key = (application, facility) if (application, facility) in self._sources else (application, "")
        found = self._sources.get(key)
        if found is None or not _called_from(address, tuple(found[1].addresses)) or not found[0].texts_in:
            return None
        if (certificate or "") != found[1].hsa_id.strip().upper() or certificate == "":
            return None
        return self._texts_from[key]

    def sender_again(self, provider_hsa_id: str, name: str) -> tuple[Sender, str] | None:
        """A known system of the provider as it sent something before, with its HL7 profile ("" for images).

        `name` is an AE title, a token's name, or provider/application/facility of an HL7 source.
        """
        parts = name.split("/")
        application = parts[1] if len(parts) == 3 else ""
        for provider, source in self._sources.values():
            if provider.hsa_id == provider_hsa_id and source.application == application:
                return _sender(provider, source.application, source.unit, False), source.profile
        systems = [_system(provider, peer) for provider, peer in self._peers.values()]
        for system in (*systems, *self._tokens.values(), *self._certificates.values()):
            if (system.sender.provider, system.sender.name) == (provider_hsa_id, name):
                return system.sender, ""
        return None

    def hl7_receivers(self, provider_hsa_id: str) -> list[Hl7Receiver]:
        """The systems of the provider that are told of its stewards' corrections."""
        return [
            Hl7Receiver(
                each.name,
                each.host,
                each.port,
                each.tls,
                Addressee(each.application, each.facility),
                provider.hsa_id,
                _subject(provider, _sender(provider, each.name, "", False), False),
            )
            for provider in self._settings.provider
            if provider.hsa_id == provider_hsa_id
            for each in provider.hl7_receiver
        ]

    def hl7_profiles(self) -> list[str]:
        """Names of the profiles that the known HL7 sources use, so that they can be read at start."""
        return sorted({source.profile for _, source in self._sources.values()})

    def sender_for(self, subject: Subject) -> Sender | None:
        """As whom somebody of a connected provider sends, None without an assignment at one."""
        own = subject.assignment
        for provider in self._settings.provider:
            if own is not None and provider.hsa_id == own.provider_hsa_id and provider.images_in:
                return _sender(provider, subject.hsa_id, own.unit_hsa_id, False)
        return None

    def naming_providers(self) -> frozenset[str]:
        """HSA-ids of the providers whose log extracts name staff."""
        return self._naming

    def unit_name(self, provider_hsa_id: str, unit_hsa_id: str) -> str:
        """The unit's name, or its HSA-id when it is not known."""
        for provider in self.providers:
            if provider.hsa_id == provider_hsa_id:
                for unit in provider.units:
                    if unit.hsa_id == unit_hsa_id:
                        return unit.name
        return unit_hsa_id

    def provider_name(self, provider_hsa_id: str) -> str:
        """The provider's name, or its HSA-id when it is not known."""
        for provider in self.providers:
            if provider.hsa_id == provider_hsa_id:
                return provider.name
        return provider_hsa_id


@lru_cache(maxsize=1_024)
def _called_from(address: str, allowed: tuple[str, ...]) -> bool:
    try:
        remote = ipaddress.ip_address(address)
    except ValueError:
        return False
    return any(remote in ipaddress.ip_network(network, strict=False) for network in allowed)


def _system(
    provider: ProviderSettings, peer: DicomPeerSettings | TokenSettings | CertificateSettings
) -> System:
    name = peer.ae_title if isinstance(peer, DicomPeerSettings) else peer.name
    private = isinstance(peer, DicomPeerSettings) and peer.private_classes
    steward = peer.sees_rejected if isinstance(peer, DicomPeerSettings) else peer.steward
    sender = _sender(provider, name, peer.unit, private)
    return System(
        sender,
        _subject(provider, sender, steward),
        may_store=peer.may_store and provider.images_in,
        may_query=peer.may_query and provider.reading,
        may_retrieve=(not isinstance(peer, DicomPeerSettings) or peer.may_retrieve) and provider.reading,
        may_reject=steward and not isinstance(peer, DicomPeerSettings),
        sees_rejected=steward,
    )


def _sender(provider: ProviderSettings, name: str, unit: str, private: bool) -> Sender:
    return Sender(
        name=name,
        provider=provider.hsa_id,
        unit=unit or provider.unit[0].hsa_id,
        default_issuer=provider.local_issuer,
        accession_issuer=provider.accession_issuer or provider.hsa_id,
        private_classes=private,
    )


def _subject(provider: ProviderSettings, sender: Sender, steward: bool) -> Subject:
    units = {unit.hsa_id: unit.name for unit in provider.unit}
    assignment = Assignment(
        hsa_id="",
        name=sender.name,
        purpose=Purpose.CARE,
        provider_hsa_id=provider.hsa_id,
        provider_name=provider.name,
        unit_hsa_id=sender.unit,
        unit_name=units.get(sender.unit, ""),
        rights=(Right("Läsa", "UND", "SJF"),),
    )
    roles = frozenset({Role.STEWARD.value}) if steward else frozenset[str]()
    return Subject(
        SubjectKind.SYSTEM, sender.name, sender.name, assignment, session_id=sender.name, roles=roles
    )
