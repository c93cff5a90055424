"""Settings of SMART App Launch and Backend Services: which apps and which servers may have tokens, and how much."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field

from samsyn.settings.section import Section, outgoing_address

_Address = Annotated[str, AfterValidator(outgoing_address)]


class AppSettings(Section):
    """An app that people use (SMART App Launch 2.2)."""

    client_id: str = Field(pattern=r"^[A-Za-z0-9._~-]{1,64}$")
    name: str = Field(min_length=1, max_length=80, description="As people read it when they let it in.")
    redirect_uri: tuple[_Address, ...] = Field(
        min_length=1, description="Where the browser may go back to; compared letter by letter."
    )
    scope: tuple[str, ...] = Field(
        default=("patient/*.rs",), description="The most that it may ask for; only reading exists."
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
