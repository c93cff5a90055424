"""Words of SMART: clients, what was asked, what was granted, and the refusals of OAuth 2."""

from dataclasses import dataclass, field

from joserfc.jwk import KeySet

from samsyn.access.authentication.smart.scopes import Scope
from samsyn.model.subject import Subject


class OAuthRefusal(Exception):
    """A refusal in OAuth's own words (RFC 6749 4.1.2.1 and 5.2); the description holds no personal data."""

    def __init__(self, error: str, description: str, status: int = 400) -> None:
        super().__init__(description)
        self.error = error
        self.description = description
        self.status = status


@dataclass(frozen=True, slots=True)
class App:
    """A registered app."""

    client_id: str
    name: str
    redirect_uris: tuple[str, ...]
    scopes: tuple[str, ...]
    secret_sha256: str = field(default="", repr=False)
    """"" = a public app, which has no secret."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A registered server."""

    client_id: str
    subject: Subject
    scopes: tuple[str, ...]
    keys: KeySet = field(repr=False)


@dataclass(frozen=True, slots=True)
class Launch:
    """A record system's word that it starts an app for a patient, for one of its provider's staff."""

    number: str = field(repr=False)
    provider: str
    employee: str
    encounter: str = ""
    """The record system's own name of the visit; handed on to the app as it is."""


@dataclass(frozen=True, slots=True)
class Asked:
    """An authorization request that is in order."""

    app: App
    redirect_uri: str
    state: str
    scope: str
    challenge: str
    launch: Launch | None

    @property
    def wants_patient(self) -> bool:
        """Whether the app works with one patient."""
        words = self.scope.split()
        return any(each.startswith(("launch", "patient/")) for each in words)


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token stands for."""

    client_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    contexts: tuple[str, ...]
    """Of CONTEXTS, those that were granted."""
    patient_key: int | None
    patient_handle: str
    encounter: str

    @property
    def scope(self) -> str:
        """As OAuth writes it."""
        return " ".join([*self.contexts, *(each.text for each in self.scopes)])


@dataclass(frozen=True, slots=True)
class Coded:
    """What a code stands for until it is redeemed."""

    asked: Asked
    grant: Granted
