"""Words of SMART: clients, what was asked, what was granted, and the refusals of OAuth 2."""

from dataclasses import dataclass, field, replace
from datetime import timedelta

from joserfc.jwk import KeySet

from samsyn.access.authentication.smart.scopes import FHIR_USER, OFFLINE, Scope
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
    offline: timedelta = timedelta()
    """How long it may go on by itself (offline_access) for a person who has let it in."""


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
    nonce: str = field(default="", repr=False)
    """Goes into the ID token, so that the app knows it for the answer to its own question."""

    @property
    def wants_patient(self) -> bool:
        """Whether the app works with one patient."""
        words = self.scope.split()
        return any(each.startswith(("launch", "patient/")) for each in words)

    @property
    def wants_offline(self) -> bool:
        """Whether the app would go on when the person has logged out, and is registered for it."""
        return OFFLINE in self.scope.split() and OFFLINE in self.app.scopes


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token stands for."""

    client_id: str
    subject: Subject
    scopes: tuple[Scope, ...]
    words: tuple[str, ...]
    """Of CONTEXTS and BESIDE, those that were granted."""
    patient_key: int | None
    patient_handle: str
    encounter: str
    user: str = ""
    """The person himself as a FHIR reference (Practitioner/id, Patient/id); "" for a server."""
    session: str = field(default="", repr=False)
    """Mark of the log-in session with which the grant ends; "" = it does not."""
    family: str = field(default="", repr=False)
    """The letting in that it rests on, with all its tokens; "" = none, for a server."""

    @property
    def scope(self) -> str:
        """As OAuth writes it."""
        return " ".join([*self.words, *(each.text for each in self.scopes)])

    def is_own(self, kind: str, identity: str) -> bool:
        """Whether this is the resource of the person himself, which `fhirUser` lets an app read."""
        return FHIR_USER in self.words and f"{kind}/{identity}" == self.user

    def for_own(self, kind: str) -> "Granted":
        """What the token leaves of the person's own resource: that one kind, to be read."""
        return replace(self, scopes=(Scope("user", kind, frozenset("r")),))


@dataclass(frozen=True, slots=True)
class Family:
    """One letting in, with every token that follows from it."""

    grant: Granted
    ends: float
    """Seconds since 1970, after which nothing of it counts."""
    began: float
    """Seconds since 1970."""
    refreshes: bool
    """Whether it goes on by refresh tokens; otherwise it ends with its one access token."""


@dataclass(frozen=True, slots=True)
class LetIn:
    """An app that may read for a person now."""

    name: str = field(repr=False)
    """The family's."""
    app: str
    """As people know it."""
    family: Family


@dataclass(frozen=True, slots=True)
class Issued:
    """What the token endpoint gives."""

    access: str = field(repr=False)
    grant: Granted
    refresh: str = field(default="", repr=False)
    is_first: bool = False
    """Whether a code was redeemed: then the app is also told who it is."""
    nonce: str = field(default="", repr=False)
    """Of the authorization request."""


@dataclass(frozen=True, slots=True)
class Coded:
    """What a code stands for until it is redeemed."""

    asked: Asked
    grant: Granted
