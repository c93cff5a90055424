"""Settings of the FHIR door: which apps and servers may have tokens (SMART), and where systems may be notified."""

from pathlib import Path
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from samsyn import limits
from samsyn.settings.section import Origins, Section, is_loopback, outgoing_address

_Address = Annotated[str, AfterValidator(outgoing_address)]


def _notifiable(address: str) -> str:
    place = urlsplit(address)
    safe = place.scheme == "https" or (place.scheme == "http" and is_loopback(place.hostname or ""))
    if not safe or not place.hostname or place.username or place.query or place.fragment:
        raise ValueError(f"{address} is no https address (or http on loopback) without user and query")
    return address


NotifyAddresses: TypeAlias = Annotated[
    tuple[Annotated[str, AfterValidator(_notifiable)], ...],
    Field(
        description="Where FHIR subscriptions of this system may notify: addresses whose host and port must be the"
        " same and whose path must begin the endpoint's. Empty = it can not subscribe."
    ),
]


class AppSettings(Section):
    """An app that people use (SMART App Launch 2.2)."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    name: str = Field(min_length=1, max_length=80, description="As people read it when they let it in.")
    redirect_uri: tuple[_Address, ...] = Field(
        min_length=1, description="Where the browser may go back to; compared letter by letter."
    )
    scope: tuple[str, ...] = Field(
        default=("patient/*.rs",),
        description="The most that it may ask for; only reading exists. Beside data: openid and fhirUser (who it is),"
        " online_access (new tokens while the log-in session lasts), offline_access (new tokens for a private person"
        " who is not there; never for staff).",
    )
    offline_days: int = Field(
        default=30,
        ge=1,
        le=limits.OFFLINE_DAYS,
        description="Days for which a private person lets it in with offline_access.",
    )
    cors_origins: Origins = Field(
        default=(),
        description="Origins (https://app.example) from which its pages call FHIR and the token endpoint.",
    )
    secret_sha256: str = Field(
        default="",
        pattern="^([0-9a-f]{64})?$",
        description="SHA-256 of its secret, when it has a server that can keep one; empty = a public app.",
    )


class BackendSettings(Section):
    """A server that reads without people (SMART Backend Services), for its care provider."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    name: str = Field(min_length=1, max_length=64)
    unit: str = Field(default="", description="HSA-id of its unit; empty = the provider's first.")
    jwks_file: Path = Field(description="File with its public keys (JWKS), RS384 or ES384.")
    scope: tuple[str, ...] = Field(
        default=("system/*.rs",), description="The most that it may ask for; only reading exists."
    )


class SmartSettings(Section):
    """The authorization server of apps (SMART)."""

    key_file: Path | None = Field(
        default=None,
        description="RSA key (PEM) that signs ID tokens; empty = a new one at each start. Several nodes need it.",
    )
