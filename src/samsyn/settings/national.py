"""Settings of the national services that Samsyn asks and tells (RIV-TA consumer)."""

from pathlib import Path
from typing import Annotated, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from samsyn.settings.section import Section


def _tls(address: str) -> str:
    if address and (urlsplit(address).scheme != "https" or not urlsplit(address).hostname):
        raise ValueError("the address of a national service is https")
    return address


TlsAddress: TypeAlias = Annotated[str, AfterValidator(_tls)]


class NationalSettings(Section):
    """The national services (RIV-TA); without an address a register is kept here only. An address may have the place
    {operation}, where each operation of a service has its own."""

    blocking_address: TlsAddress = Field(default="", description="The blocking service (version 4).")
    consent_address: TlsAddress = Field(default="", description="The consent service (version 2).")
    relation_address: TlsAddress = Field(default="", description="The patient relation service (version 1).")
    access_log_address: TlsAddress = Field(
        default="", description="GetAccessLogsForPatient (version 2), for the patient's extract."
    )
    hsa_address: TlsAddress = Field(
        default="", description="The staff directory: assignments come from it, no longer from claims."
    )
    logical_address: str = Field(
        default="SE165565594230-1000", description="Logical address in every call's header."
    )
    certificate_file: Path | None = Field(default=None, description="Our function certificate (PEM).")
    key_file: Path | None = Field(default=None, description="The key to it (PEM).")
    ca_file: Path | None = Field(default=None, description="Whom we trust (PEM); empty = the system's list.")
    every_s: int = Field(default=60, ge=5, le=3600, description="Seconds between two readings of blocks.")
    stale_after_s: int = Field(
        default=3600,
        ge=60,
        le=86_400,
        description="Age of the copy of blocks above which other units' and providers' information is closed.",
    )
    grants_every_s: float = Field(
        default=4.0, ge=1, le=60, description="The same of consents and relations: a call for each provider."
    )
    grants_stale_after_s: int = Field(
        default=120, ge=10, le=3600, description="Age above which no consent or relation read there counts."
    )

    @model_validator(mode="after")
    def _is_read_before_it_is_stale(self) -> "NationalSettings":
        for every, stale in (("every_s", "stale_after_s"), ("grants_every_s", "grants_stale_after_s")):
            if getattr(self, stale) < 2 * getattr(self, every):
                raise ValueError(
                    f"{stale} is less than twice {every}: the copy would be too old between two readings, and what"
                    " rests on it would close again and again"
                )
        return self
