"""What a STOW-RS request says beside its body, and what is kept of a connection that such requests come by."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from secrets import token_hex
from typing import Any, Final

from samsyn.endpoints.dicomweb.datasets import Form

_SESSION_S: Final = 300.0
"""One entry in the audit journal for what a system sends of one study by one connection in this time: who sends each
picture in a request of its own would hide in a patient's log everything else (decision 0008)."""


@dataclass(frozen=True, slots=True)
class StoreRequest:
    """One request."""

    study_uid: str
    """Of what may be stored; "" = any."""
    content_type: str
    base: str
    """Our address as the client called it."""
    form: Form | None
    """In what the results are told."""
    connection: str
    """That it came by."""


@dataclass(slots=True)
class StoringConnection:
    """One connection. On one event loop."""

    scope: Mapping[str, Any] | None = None
    """The last request, which `headers` and `request` were read from."""
    headers: Mapping[bytes, bytes] = field(default_factory=dict)
    request: StoreRequest | None = None
    """None = what the scope asks for is not taken in place."""
    _session: tuple[str, str] = ("", "")
    _until: float = 0.0

    def session_of(self, system: str, now: float) -> str:
        """The name of the session for the audit journal: of one system, and of some minutes. `now` in seconds of the
        loop's clock."""
        if self._session[0] != system or now > self._until:
            self._session, self._until = (system, new_session()), now + _SESSION_S
        return self._session[1]


def new_session() -> str:
    """A name for one request, or for those of one connection."""
    return f"stow-{token_hex(8)}"
