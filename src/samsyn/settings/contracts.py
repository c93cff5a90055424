"""Settings of the national contracts that Samsyn answers (RIV-TA producer): who asks, for which source systems, what
patients may see, and the engagement index that is told."""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from samsyn.settings.section import Section, outgoing_address


class SourceSystemSettings(Section):
    """A source system (källsystem) of a provider, as national contracts address it (LogicalAddress)."""

    hsa_id: str = Field(
        min_length=1, max_length=32, description="The operating system's HSA-id; two providers may share one."
    )
    units: tuple[str, ...] = Field(
        default=(), description="HSA-ids of the units whose reports are its; empty = all of the provider's."
    )


class ReleaseSettings(Section):
    """When a provider lets patients read what it has made (approvedForPatient), in every way that patients and
    guardians have: the own pages, their pictures, apps, national services. The region's own delay holds besides."""

    when: Literal["never", "signed"] = Field(
        default="never",
        description="never, or signed = once it is signed. What nobody has signed no patient reads here.",
    )
    days: int = Field(
        default=14,
        ge=0,
        le=365,
        description="Days (rådrum) from the result to the patient, of pictures from the examination; 0 = at once.",
    )
    after_vidimering: bool = Field(
        default=False,
        description="No report before the referrer has vidimerat what stands there now.",
    )
    excluded_units: tuple[str, ...] = Field(
        default=(), description="HSA-ids of units of which no patient reads anything."
    )


class ConsumerSettings(Section):
    """A national consumer (tjänstekonsument): reads by national contract and applies the law where it shows."""

    name: str
    hsa_id: str = Field(default="", description="HSA-id in its function certificate; needs [http_tls].")
    sha256: str = Field(
        default="", pattern="^([0-9a-f]{64})?$", description="SHA-256 of its bearer token, instead."
    )
    original: str = Field(
        default="",
        description="HSA-id of the consumer behind it, where it is a service platform (tjänsteplattform) that names"
        " him; empty = itself, and whoever behind it has no [[consumer]] of his own.",
    )
    serves: Literal["care", "patients"] = Field(
        description="care = staff elsewhere, by their own relation, consent and block rules; patients = the patient"
        " reads, and gets what is approved for patients alone."
    )

    @model_validator(mode="after")
    def _is_known_by_one_thing(self) -> "ConsumerSettings":
        if bool(self.hsa_id) == bool(self.sha256):
            raise ValueError(f"consumer {self.name} needs an hsa_id or a sha256, and not both")
        return self


class EngagementIndexSettings(Section):
    """The engagement index (engagemangsindex), which is told who has reports here; off while address is empty."""

    address: Annotated[str, AfterValidator(outgoing_address)] = Field(
        default="", description="Address of its Update, version 1."
    )
    logical_address: str = Field(
        default="5565594230", description="LogicalAddress: the index's own HSA-id, or its region's."
    )
    certificate_file: Path | None = Field(default=None, description="Our function certificate (PEM).")
    key_file: Path | None = Field(default=None, description="The key to it (PEM).")
    ca_file: Path | None = Field(default=None, description="Whom we trust (PEM); empty = the system's list.")
