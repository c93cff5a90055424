"""What every section of the settings is, and the addresses that more than one of them takes."""

import ipaddress
import re
from typing import Annotated, Any, TypeAlias
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict


class Section(BaseModel):
    """Base of all sections: unknown keys are refused, values never change after start."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def is_loopback(host: str) -> bool:
    """Whether an address or name can only be reached from this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def outgoing_address(text: str) -> str:
    """An https address, or http on loopback (a proxy or a test on this machine)."""
    parts = urlsplit(text)
    host = parts.hostname or ""
    if text and not (host and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(host)))):
        raise ValueError(f"{text} is no https address, and plain http is for loopback only")
    return text


def _owner(text: str) -> str:
    if not re.fullmatch(r"[A-Z0-9\-.]{1,32}", text, re.ASCII):
        raise ValueError(
            f"'{text}' is no HSA-id as it is compared here: upper case, digits and hyphens, no spaces, at most 32."
            " Blocks, assignments and relations are found by it, and would pass by what is filed under another spelling"
        )
    return text


OwnerHsaId: TypeAlias = Annotated[str, AfterValidator(_owner)]
"""HSA-id of a provider or unit that owns information, as log-ins and the national registers are read: upper case."""


def _parted(value: Any) -> Any:
    return tuple(value.split()) if isinstance(value, str) else value


def _origin(text: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.\-\[\]:]+", text, re.ASCII):
        raise ValueError(f"{text} is no origin: scheme and host, with a port where there is one, and no path")
    return text


Origins: TypeAlias = Annotated[tuple[Annotated[str, AfterValidator(_origin)], ...], BeforeValidator(_parted)]
