"""Every setting, where it is defined, with its default and its reason.

One TOML file; environment variables `SAMSYN_<SECTION>_<KEY>` override single values of the sections that stand
once, such as `SAMSYN_HTTP_PORT`. Unknown keys and unsafe mixes refuse to start and say which line.
"""

import ipaddress
import os
import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeAlias
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import PydanticCustomError

from samsyn.errors import ConfigurationError
from samsyn.settings.auditing import AtnaSettings, AuditSettings, StoreLogSettings
from samsyn.settings.cluster import IndexSettings, NodeSettings, ObjectsSettings, refuse_unsafe
from samsyn.settings.contracts import (
    ConsumerSettings,
    EngagementIndexSettings,
    ReleaseSettings,
    SourceSystemSettings,
)
from samsyn.settings.national import NationalSettings
from samsyn.settings.places import explain
from samsyn.settings.prefetch import PrefetchSettings
from samsyn.settings.receivers import Hl7ReceiverSettings
from samsyn.settings.recompression import RecompressSettings
from samsyn.settings.section import Origins, OwnerHsaId, Section, is_loopback, outgoing_address
from samsyn.settings.smart import AppSettings, BackendSettings, NotifyAddresses, SmartSettings

__all__ = ["AtnaSettings", "AuditSettings", "Section", "StoreLogSettings", "is_loopback"]


def _safe(host: str) -> str:
    if not is_loopback(host):
        raise ValueError(
            f"{host} is not loopback: this version has no TLS listener yet, "
            "put a TLS-terminating proxy in front and keep Samsyn on loopback"
        )
    return host


def _network(text: str) -> str:
    ipaddress.ip_network(text, strict=False)
    return text


ListenHost: TypeAlias = Annotated[str, AfterValidator(_safe)]
Network: TypeAlias = Annotated[str, AfterValidator(_network)]


def _public(address: str) -> str:
    """Scheme, host and port only; without TLS only on this machine."""
    place = urlsplit(address)
    is_bare = bool(place.netloc) and address == f"{place.scheme}://{place.netloc}"
    is_safe = place.scheme == "https" or (place.scheme == "http" and is_loopback(place.hostname or ""))
    if address and not (is_bare and is_safe):
        raise ValueError("an address that browsers use is https and has no path")
    return address


PublicAddress: TypeAlias = Annotated[str, AfterValidator(_public)]


class DataSettings(Section):
    """Where things are kept."""

    folder: Path = Field(
        default=Path("samsyn-data"), description="Folder of journal, index and derived files."
    )
    second_copy: Path | None = Field(
        default=None,
        description="A data folder that you keep as a copy of this one, on another disk: rot is mended from it.",
    )
    settle_after_s: float = Field(
        default=0.0,
        ge=0,
        description="A series without new instances for so many seconds becomes one file, and its rows leave the"
        " index; its bytes leave the journal an hour later. 3600 fits most; 0 = never.",
    )
    largest_object_mib: int = Field(
        default=4096,
        ge=64,
        le=4096,
        description="Largest object that is taken in, by DIMSE or the web, MiB: DICOM's own lengths end at 4096.",
    )
    scrub_days: float = Field(
        default=30.0,
        ge=0,
        description="Days from the end of one reading of every stored byte (scrub) to the next; 0 = never.",
    )
    scrub_mib_per_s: float = Field(
        default=20.0,
        gt=0,
        description="How fast the scrub reads: 1 TiB at 20 MiB/s takes 15 hours.",
    )


class DicomSettings(Section):
    """The DICOM listener."""

    host: ListenHost = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback TLS is demanded."
    )
    port: int = Field(default=11112, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    ae_title: str = Field(default="SAMSYN", min_length=1, max_length=16, description="Our AE title.")


class TlsListenerSettings(Section):
    """A second listener of a protocol, with mutual TLS (BCP 195); off while it has no certificate."""

    host: str = Field(default="127.0.0.1", description="Address to listen on; any, since it is TLS.")
    port: int = Field(default=0, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    certificate: Path | None = Field(default=None, description="Our certificate with its chain, PEM.")
    key: Path | None = Field(default=None, description="Its private key, PEM, readable for us alone.")
    authorities: Path | None = Field(
        default=None, description="Certificates of the authorities whose client certificates are taken, PEM."
    )
    revoked: Path | None = Field(
        default=None,
        description="Revocation lists of those authorities, PEM; when set, they must be current.",
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "TlsListenerSettings":
        given = [each is not None for each in (self.certificate, self.key, self.authorities)]
        if any(given) and not all(given):
            raise ValueError("certificate, key and authorities belong together")
        return self

    @property
    def is_on(self) -> bool:
        """Whether there is such a listener."""
        return self.certificate is not None


class DicomTlsSettings(TlsListenerSettings):
    """The second DICOM listener, with mutual TLS (BCP 195); off while it has no certificate."""

    port: int = Field(default=2762, ge=0, le=65535, description="TCP port; 0 takes a free one.")


class HttpSettings(Section):
    """The HTTP listener: DICOMweb, FHIR, the web pages, health and metrics."""

    host: ListenHost = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback TLS is demanded."
    )
    port: int = Field(default=8080, ge=0, le=65535, description="TCP port; 0 takes a free one.")
    cors_origins: Origins = Field(
        default=(),
        description="Origins (https://viewer.example) whose pages may call DICOMweb from a browser with a token of"
        " their own; in the environment parted by spaces. Empty = none.",
    )


class HttpTlsSettings(TlsListenerSettings):
    """The second HTTP listener, for systems: TLS with client certificates; off while it has no certificate."""

    port: int = Field(default=8443, ge=0, le=65535, description="TCP port; 0 takes a free one.")


class MllpSettings(Section):
    """The HL7 v2 listener."""

    host: ListenHost = Field(
        default="127.0.0.1", description="Address to listen on; beyond loopback TLS is demanded."
    )
    port: int = Field(default=2575, ge=0, le=65535, description="TCP port; 0 takes a free one.")


class MllpTlsSettings(TlsListenerSettings):
    """The second HL7 v2 listener, with mutual TLS (BCP 195); off while it has no certificate."""

    port: int = Field(default=2576, ge=0, le=65535, description="TCP port; 0 takes a free one.")


class LoginSettings(Section):
    """How people log in."""

    provider: Literal["demo", "oidc", "saml"] = Field(
        default="demo",
        description="demo = the built-in demo identity provider, only on loopback; oidc, saml = a real one.",
    )
    public_address: PublicAddress = Field(
        default="",
        description="Address that browsers use, before the TLS proxy; empty = the listener's own.",
    )
    issuer: Annotated[str, AfterValidator(outgoing_address)] = Field(
        default="", description="Issuer address of the OpenID provider."
    )
    client_id: str = Field(default="samsyn", description="Our client id at the OpenID provider.")
    client_secret_file: Path | None = Field(default=None, description="File that holds the client secret.")
    assurance: str = Field(
        default="http://id.sambi.se/loa/loa3",
        pattern=r"\S",
        description="Level of assurance (acr) that a login must have.",
    )

    metadata_file: Path | None = Field(
        default=None,
        description="saml: the identity provider's metadata, fetched and checked by the operator.",
    )
    entity_id: str = Field(default="", description="saml: our entity id; empty = the metadata's address.")
    key_file: Path | None = Field(default=None, description="saml: our RSA key (PEM), for signing requests.")
    certificate_file: Path | None = Field(default=None, description="saml: the certificate to it (PEM).")
    claims: dict[str, str] = Field(
        default={},
        description="What the identity provider calls its claims, where it is not the national name.",
    )

    guardian_file: Path | None = Field(
        default=None, description="Who is whose guardian (CSV, docs/login.md); read again when it changes."
    )

    @model_validator(mode="after")
    def _is_whole(self) -> "LoginSettings":
        if self.provider == "oidc" and not self.issuer:
            raise ValueError("provider = 'oidc' needs an issuer")
        if self.provider == "saml" and not (self.metadata_file and self.key_file and self.certificate_file):
            raise ValueError("provider = 'saml' needs metadata_file, key_file and certificate_file")
        return self


class UnitSettings(Section):
    """A care unit (vårdenhet)."""

    hsa_id: OwnerHsaId
    name: str


class DicomPeerSettings(Section):
    """A DICOM system of a provider, known by AE title and address."""

    ae_title: str = Field(min_length=1, max_length=16)
    addresses: tuple[Network, ...] = Field(
        default=("127.0.0.1", "::1"), description="Addresses it may call from (CIDR)."
    )
    host: str = Field(
        default="", description="Where it listens, as C-MOVE destination; empty = no destination."
    )
    port: int = Field(default=0, ge=0, le=65535)
    hsa_id: str = Field(
        default="", description="HSA-id in its client certificate: then it may come by TLS only."
    )
    tls: bool = Field(default=False, description="Whether we reach it by TLS.")
    unit: str = Field(default="", description="HSA-id of its unit; empty = the provider's first.")
    may_store: bool = True
    may_query: bool = True
    may_retrieve: bool = True
    notify_availability: bool = Field(
        default=False, description="Tell it (Instance Availability Notification) of each complete series."
    )
    private_classes: bool = Field(default=False, description="Take private SOP classes from it.")
    sees_rejected: bool = Field(
        default=False, description="Finds and gets its provider's instances that rejection notes hide, too."
    )


class Hl7SourceSettings(Section):
    """An HL7 v2 system of a provider, known by MSH-3 and MSH-4."""

    application: str
    facility: str = ""
    addresses: tuple[Network, ...] = ("127.0.0.1", "::1")
    unit: str = ""
    profile: str = Field(
        default="standard", description="Name of the shipped profile or path of a profile file."
    )
    hsa_id: str = Field(
        default="", description="HSA-id in its client certificate: then it may come by TLS only."
    )


class TokenSettings(Section):
    """A system that calls the HTTP doors with a bearer token; only the token's SHA-256 is kept here."""

    name: str
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    unit: str = ""
    may_store: bool = True
    may_query: bool = True
    steward: bool = Field(
        default=False,
        description="Takes its provider's instances back (DELETE, as a rejection note) and reads what was taken back"
        " under /dicomweb/rejected.",
    )
    notify: NotifyAddresses = ()


class CertificateSettings(Section):
    """A system that calls the HTTP doors by TLS and is known by its function certificate."""

    name: str
    hsa_id: str = Field(min_length=1, description="HSA-id in the certificate's subject (serialNumber).")
    unit: str = Field(default="", description="HSA-id of its unit; empty = the provider's first.")
    may_store: bool = True
    may_query: bool = True
    steward: bool = Field(
        default=False, description="As of a token: takes back, corrects, reads what is hidden."
    )
    notify: NotifyAddresses = ()


class ProviderSettings(Section):
    """A connected care provider (vårdgivare) with its systems."""

    hsa_id: OwnerHsaId
    name: str
    phone: str = Field(default="", description="Whom to ring about blocked information.")
    local_issuer: str = Field(
        default="",
        description="Issuer (OID) of its local patient ids; empty = ids of no national form are held.",
    )
    accession_issuer: str = Field(
        default="", description="Name space of its accession numbers; empty = its HSA-id."
    )
    images_in: bool = Field(default=True, description="Whether images are taken from it.")
    texts_in: bool = Field(default=True, description="Whether texts are taken from it.")
    reading: bool = Field(default=True, description="Whether its staff and systems may read.")
    names_staff: bool = Field(
        default=False,
        description="Whether log extracts name its staff: a public provider's lists are public documents.",
    )
    unit: tuple[UnitSettings, ...] = ()
    dicom_peer: tuple[DicomPeerSettings, ...] = ()
    hl7_source: tuple[Hl7SourceSettings, ...] = ()
    token: tuple[TokenSettings, ...] = ()
    certificate: tuple[CertificateSettings, ...] = ()
    backend: tuple[BackendSettings, ...] = ()
    source_system: tuple[SourceSystemSettings, ...] = ()
    prefetch: tuple[PrefetchSettings, ...] = ()
    hl7_receiver: tuple[Hl7ReceiverSettings, ...] = ()
    release: ReleaseSettings = ReleaseSettings()

    @model_validator(mode="after")
    def _units_are_there(self) -> "ProviderSettings":
        if not self.unit:
            raise ValueError(f"provider {self.hsa_id} needs at least one [[provider.unit]]")
        known = {"", *(unit.hsa_id for unit in self.unit)}
        named = {each.unit for each in self.dicom_peer} | {each.unit for each in self.hl7_source}
        named |= {each.unit for each in self.certificate} | {each.unit for each in self.backend}
        named |= {unit for source in self.source_system for unit in source.units}
        named |= {*self.release.excluded_units} | {unit for rule in self.prefetch for unit in rule.units}
        unknown = (named | {each.unit for each in self.token}) - known
        if unknown:
            raise ValueError(f"provider {self.hsa_id} has no unit {', '.join(sorted(unknown))}")
        archives = {peer.ae_title for peer in self.dicom_peer if peer.host}
        nowhere = {rule.to for rule in self.prefetch} - archives
        if nowhere:
            raise ValueError(
                f"provider {self.hsa_id} has no dicom_peer with a host named {', '.join(sorted(nowhere))},"
                " which [[provider.prefetch]] sends to"
            )
        if self.prefetch and not self.reading:
            raise ValueError(f"provider {self.hsa_id} does not read, so nothing is prefetched for it")
        return self


class Settings(Section):
    """The whole file."""

    data: DataSettings = DataSettings()
    index: IndexSettings = IndexSettings()
    objects: ObjectsSettings = ObjectsSettings()
    node: NodeSettings = NodeSettings()
    dicom: DicomSettings = DicomSettings()
    dicom_tls: DicomTlsSettings = DicomTlsSettings()
    http: HttpSettings = HttpSettings()
    http_tls: HttpTlsSettings = HttpTlsSettings()
    mllp: MllpSettings = MllpSettings()
    mllp_tls: MllpTlsSettings = MllpTlsSettings()
    login: LoginSettings = LoginSettings()
    smart: SmartSettings = SmartSettings()
    national: NationalSettings = NationalSettings()
    audit: AuditSettings = AuditSettings()
    storelog: StoreLogSettings = StoreLogSettings()
    atna: AtnaSettings = AtnaSettings()
    engagement_index: EngagementIndexSettings = EngagementIndexSettings()
    provider: tuple[ProviderSettings, ...] = ()
    consumer: tuple[ConsumerSettings, ...] = ()
    app: tuple[AppSettings, ...] = ()
    recompress: tuple[RecompressSettings, ...] = ()

    @model_validator(mode="after")
    def _is_safe(self) -> "Settings":
        if self.data.second_copy is not None and self.data.second_copy == self.data.folder:
            raise ValueError("[data] second_copy is the data folder itself: that is no second copy")
        wants_tls = [peer.ae_title for p in self.provider for peer in p.dicom_peer if peer.tls or peer.hsa_id]
        if wants_tls and not self.dicom_tls.is_on:
            raise ValueError(f"{wants_tls[0]} needs TLS, but [dicom_tls] has no certificate")
        by_tls = [source.application for p in self.provider for source in p.hl7_source if source.hsa_id]
        if by_tls and not self.mllp_tls.is_on:
            raise ValueError(f"{by_tls[0]} needs TLS, but [mllp_tls] has no certificate")
        refuse_unsafe(self.index, self.objects, self.node)
        if (
            self.index.kind != "sqlite"
            and not self.smart.key_file
            and any("openid" in a.scope for a in self.app)
        ):
            raise ValueError("[smart] key_file is missing: all nodes sign ID tokens with one key")
        if self.recompress and not self.data.settle_after_s:
            raise ValueError("[[recompress]] is for settled series: it needs [data] settle_after_s")
        receivers = [each.name for p in self.provider for each in p.hl7_receiver]
        _refuse_doubles(receivers, "receiver")
        to_tls = [each.name for p in self.provider for each in p.hl7_receiver if each.tls]
        if to_tls and not self.mllp_tls.is_on:
            raise ValueError(f"{to_tls[0]} needs TLS, but [mllp_tls] has no certificate")
        _refuse_doubles([peer.ae_title for p in self.provider for peer in p.dicom_peer], "AE title")
        _refuse_doubles([p.hsa_id for p in self.provider], "provider HSA-id")
        clients = [each.client_id for each in self.app] + [
            b.client_id for p in self.provider for b in p.backend
        ]
        _refuse_doubles(clients, "client id")
        certified = [each.hsa_id.strip().upper() for p in self.provider for each in p.certificate]
        certified += sorted({each.hsa_id.strip().upper() for each in self.consumer if each.hsa_id})
        _refuse_doubles(certified, "certificate HSA-id")
        if certified and not self.http_tls.is_on:
            raise ValueError(f"{certified[0]} comes by TLS, but [http_tls] has no certificate")
        tokens = [token.sha256 for p in self.provider for token in p.token]
        _refuse_doubles(tokens + sorted({each.sha256 for each in self.consumer if each.sha256}), "token")
        behind = [f"{each.hsa_id}{each.sha256} {each.original}".upper() for each in self.consumer]
        _refuse_doubles(behind, "consumer")
        return self


SECTIONS: Final = tuple(
    name for name, field in Settings.model_fields.items() if isinstance(field.default, Section)
)
"""Names of the sections that stand once in the file, in its order."""


def _refuse_doubles(names: list[str], what: str) -> None:
    for name in names:
        if names.count(name) > 1:
            raise PydanticCustomError(
                "double",
                "{what} {name} stands twice: what calls would not be told apart",
                {"what": what, "name": name},
            )


def load(path: Path | None, environment: dict[str, str] | None = None) -> Settings:
    """Reads the file (None = defaults) and the environment; ConfigurationError names the line."""
    text = ""
    if path is not None:
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as problem:
            raise ConfigurationError(f"{path}: {problem.strerror}") from problem
        except UnicodeDecodeError as problem:
            line = problem.object.count(b"\n", 0, problem.start) + 1
            raise ConfigurationError(
                f"{path}:{line}: is no UTF-8: save the file in that encoding"
            ) from problem
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise ConfigurationError(f"{path}: {problem}") from problem
    _override(values, os.environ if environment is None else environment)
    try:
        return Settings.model_validate(values)
    except ValidationError as problem:
        raise ConfigurationError(explain(path, text, problem, Settings)) from problem


def _override(values: dict[str, Any], environment: Any) -> None:
    for section in SECTIONS:
        for key in Settings.model_fields[section].default.__class__.model_fields:
            text = environment.get(f"SAMSYN_{section}_{key}".upper())
            if text is not None:
                values.setdefault(section, {})[key] = text
