"""Settings of the systems that are told of something over HL7 v2."""

from pydantic import Field, model_validator

from samsyn.settings.section import Section, is_loopback


class Hl7ReceiverSettings(Section):
    """An HL7 v2 system of a provider that is told, over MLLP, what the provider's stewards have corrected."""

    name: str = Field(min_length=1, max_length=64, description="Names it in the journal and the log.")
    host: str
    port: int = Field(ge=1, le=65535)
    tls: bool = Field(
        default=False,
        description="Whether it is called by TLS, with the certificates of [mllp_tls]; beyond loopback it must be.",
    )
    application: str = Field(default="", description="What it calls itself (MSH-5).")
    facility: str = Field(default="", description="And where (MSH-6).")

    @model_validator(mode="after")
    def _is_not_overheard(self) -> "Hl7ReceiverSettings":
        if not self.tls and not is_loopback(self.host):
            raise ValueError(f"{self.name}: reports leave this machine over TLS only")
        return self
