"""Settings of the audit journal: its proof, and whom it is told on to."""

from pathlib import Path
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from samsyn.settings.section import Section, is_loopback, outgoing_address


class AuditSettings(Section):
    """The audit journal's proof and where it is told on."""

    anchor_file: Path | None = Field(
        default=None,
        description="File outside the data folder, best on another machine or a disk that can only be appended to,"
        " that gets an anchor of the journal; without it a journal that was cut off is not found.",
    )
    anchor_seconds: int = Field(
        default=60, ge=1, le=86_400, description="Seconds between anchors, while entries are written."
    )
    anchor_key_file: Path | None = Field(
        default=None, description="Private Ed25519 key (PEM) that signs anchors; keep it off the data disk."
    )


class StoreLogSettings(Section):
    """The national log service (StoreLog 2), which gets every reading; off while url is empty."""

    url: Annotated[str, AfterValidator(outgoing_address)] = Field(
        default="", description="Address of the service."
    )
    logical_address: str = Field(
        default="SE165565594230-1000", description="LogicalAddress: the national service's own HSA-id."
    )
    system_id: str = Field(default="", description="Our HSA-id, as in the client certificate.")
    resource_type: str = Field(default="Bilddiagnostik", description="What readings are readings of.")
    ca_file: Path | None = Field(default=None, description="Who vouches for the service (PEM).")
    certificate_file: Path | None = Field(
        default=None, description="Our function certificate with its chain (PEM)."
    )
    key_file: Path | None = Field(default=None, description="Its private key (PEM).")

    @model_validator(mode="after")
    def _knows_itself(self) -> "StoreLogSettings":
        if self.url and not self.system_id:
            raise ValueError("storelog needs our system_id (HSA-id)")
        return self


class AtnaSettings(Section):
    """An audit record repository (IHE ATNA), which gets every entry by syslog; off while host is empty."""

    host: str = Field(default="", description="Its name or address.")
    port: int = Field(default=6514, ge=1, le=65535, description="6514 is that of syslog over TLS.")
    tls: bool = Field(default=True, description="false = plain TCP, on loopback only.")
    source_id: str = Field(default="samsyn", description="What we call ourselves there (AuditSourceID).")
    ca_file: Path | None = Field(default=None, description="Who vouches for the repository (PEM).")
    certificate_file: Path | None = Field(default=None, description="Our certificate with its chain (PEM).")
    key_file: Path | None = Field(default=None, description="Its private key (PEM).")

    @model_validator(mode="after")
    def _is_not_overheard(self) -> "AtnaSettings":
        if self.host and not self.tls and not is_loopback(self.host):
            raise ValueError("audit entries leave this machine over TLS only")
        return self
