"""OpenID Connect relying party: authorization code with PKCE (S256), state and nonce (OIDC Core 3.1, RFC 7636).

Every log-in under way is bound to the browser that began it by a secret in its cookie, may come back once, and
dies after limits.LOGIN_SECONDS.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlencode, urlsplit

import httpx
from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from samsyn import limits
from samsyn.access.authentication.claims import ClaimNames, PersonLoggedIn, subject_of
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.errors import NotAuthenticated, OutOfResources
from samsyn.model.subject import Subject

ALGORITHMS: Final = ("ES256", "ES384", "PS256", "RS256")
"""Signatures that an id token may bear; never `none`, never a shared secret."""
_LOGOUT: Final = "http://schemas.openid.net/event/backchannel-logout"
"""The event that a logout token tells (Back-Channel Logout 1.0, section 2.4)."""
_KEYS_SECONDS: Final = 3600.0
"""Keys and addresses of the provider are read anew after this time."""
_KEYS_PAUSE_S: Final = 30.0
"""An unknown key id makes us look for new keys, but not more often than this."""


@dataclass(frozen=True, slots=True)
class Registration:
    """How the identity provider knows us, and what we demand of a log-in."""

    issuer: str
    client_id: str
    redirect_uri: str
    client_secret: str = ""
    after_logout_uri: str = ""
    assurance: frozenset[str] = frozenset({"http://id.sambi.se/loa/loa3"})
    """Levels of assurance (`acr`) that are strong enough: LoA3 for everybody."""
    claims: ClaimNames = field(default_factory=ClaimNames)
    assignments_elsewhere: bool = False
    """Whether assignments come from the staff directory, so that claims need not have one."""
    scope: str = "openid profile commission"


@dataclass(frozen=True, slots=True)
class Begun:
    """A log-in that has begun: where the browser goes, and the secret for its cookie."""

    address: str
    binding: str


@dataclass(frozen=True, slots=True)
class LoggedIn:
    """A proved log-in."""

    who: Subject | PersonLoggedIn
    id_token: str


@dataclass(frozen=True, slots=True)
class _Pending:
    binding: str
    """Hash of the browser's secret, in hexadecimal digits."""
    nonce: str
    verifier: str


@dataclass(frozen=True, slots=True)
class _Provider:
    metadata: Mapping[str, Any]
    keys: KeySet
    read: float


class RelyingParty:
    """Logs people in through one identity provider. Every refusal is a NotAuthenticated that says the rule."""

    def __init__(
        self,
        registration: Registration,
        http: httpx.AsyncClient,
        clock: Clock,
        rooms: WaitingRooms | None = None,
    ) -> None:
        """`rooms`: where log-ins under way wait; None = in this process."""
        self._registration = registration
        self._http = http
        self._clock = clock
        self._pending = (rooms or WaitingRooms(clock)).room(
            "oidc", _Pending, limits.LOGIN_SECONDS, limits.MAX_PENDING_LOGINS
        )
        self._provider: _Provider | None = None

    @property
    def address(self) -> str:
        """The issuer, an address at the identity provider."""
        return self._registration.issuer

    async def begin(self, *, choose_again: bool = False, language: str = "") -> Begun:
        """Starts a log-in. `choose_again` asks the provider to let the person choose (change of assignment);
        `language` ("sv", "en") asks for its pages in that language.

        OutOfResources: the identity provider does not answer.
        """
        provider = await self._known_provider()
        state, nonce, verifier, binding = (new_secret() for _ in range(4))
        self._pending.put(state, _Pending(digest(binding).hex(), nonce, verifier))
        asked = {
            "response_type": "code",
            "client_id": self._registration.client_id,
            "redirect_uri": self._registration.redirect_uri,
            "scope": self._registration.scope,
            "state": state,
            "nonce": nonce,
            "code_challenge": challenge(verifier),
            "code_challenge_method": "S256",
            "acr_values": " ".join(sorted(self._registration.assurance)),
        }
        if choose_again:
            asked["prompt"] = "select_account"
        if language:
            asked["ui_locales"] = language
        return Begun(f"{provider.metadata['authorization_endpoint']}?{urlencode(asked)}", binding)

    async def finish(self, *, state: str, code: str, binding: str, issuer: str = "") -> LoggedIn:
        """Ends a log-in with what the browser brought back (`issuer`: RFC 9207's `iss`, when it was sent)."""
        pending = self._pending.take(state)
        if pending is None:
            raise NotAuthenticated("no such log-in under way")
        if not hmac.compare_digest(digest(binding).hex(), pending.binding):
            raise NotAuthenticated("the log-in was begun in another browser")
        if issuer and issuer != self._registration.issuer:
            raise NotAuthenticated("the answer comes from another issuer")
        id_token = await self._redeem(code, pending.verifier)
        claims = await self._verified(id_token, pending.nonce)
        own = self._registration
        who = subject_of(claims, own.claims, needs_assignment=not own.assignments_elsewhere)
        return LoggedIn(who, id_token)

    async def logout_address(self, id_token: str) -> str:
        """Where the browser goes so that the provider ends its session too; "" when it has no such place."""
        try:
            provider = await self._known_provider()
        except OutOfResources:
            return ""
        address = provider.metadata.get("end_session_endpoint", "")
        if not address or not id_token:
            return ""
        asked = {"id_token_hint": id_token, "client_id": self._registration.client_id}
        if self._registration.after_logout_uri:
            asked["post_logout_redirect_uri"] = self._registration.after_logout_uri
        return f"{address}?{urlencode(asked)}"

    async def told_to_end(self, logout_token: str) -> Callable[[str], bool]:
        """Which sessions, by their id tokens, the provider has ended (Back-Channel Logout 1.0, section 2.6).

        NotAuthenticated: not signed by the provider, for another client, too old, or no logout token.
        """
        claims = await self._signed_claims(logout_token)
        now = int(self._clock.now().timestamp())
        registry = jwt.JWTClaimsRegistry(
            now=now,
            leeway=limits.CLOCK_LEEWAY_S,
            iss={"essential": True, "value": self._registration.issuer},
            aud={"essential": True, "value": self._registration.client_id},
            iat={"essential": True},
        )
        try:
            registry.validate(dict(claims))
        except JoseError as problem:
            raise NotAuthenticated(f"the logout token: {type(problem).__name__}") from None
        events, made = claims.get("events"), claims.get("iat")
        if not isinstance(events, dict) or not isinstance(events.get(_LOGOUT), dict) or "nonce" in claims:
            raise NotAuthenticated("no logout token")
        if not isinstance(made, int | float) or now - made > limits.LOGOUT_TOKEN_S:
            raise NotAuthenticated("the logout token is too old")
        name = "sid" if claims.get("sid") else "sub"
        value = claims.get(name)
        if not isinstance(value, str) or not value:
            raise NotAuthenticated("the logout token names nobody")
        return lambda id_token: _payload(id_token).get(name) == value

    async def _redeem(self, code: str, verifier: str) -> str:
        provider = await self._known_provider()
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": self._registration.redirect_uri,
            "client_id": self._registration.client_id,
            "code_verifier": verifier,
        }
        if self._registration.client_secret:
            form["client_secret"] = self._registration.client_secret
        answer = await self._call("POST", provider.metadata["token_endpoint"], form)
        if answer.status_code != 200:
            raise NotAuthenticated("the identity provider refused the code")
        id_token = _object(answer).get("id_token")
        if not isinstance(id_token, str):
            raise NotAuthenticated("no id token")
        return id_token

    async def _verified(self, id_token: str, nonce: str) -> Mapping[str, Any]:
        """The claims of an id token that is signed, ours, fresh and strong (OIDC Core 3.1.3.7)."""
        claims = await self._signed_claims(id_token)
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock.now().timestamp()),
            leeway=limits.CLOCK_LEEWAY_S,
            iss={"essential": True, "value": self._registration.issuer},
            aud={"essential": True, "value": self._registration.client_id},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
        )
        try:
            registry.validate(dict(claims))
        except JoseError as problem:
            raise NotAuthenticated(f"the id token: {type(problem).__name__}") from None
        sent = claims.get("nonce")
        if not isinstance(sent, str) or not hmac.compare_digest(sent.encode(), nonce.encode()):
            raise NotAuthenticated("the id token belongs to another log-in")
        audience = claims["aud"]
        if (
            isinstance(audience, list)
            and len(audience) > 1
            and claims.get("azp") != self._registration.client_id
        ):
            raise NotAuthenticated("the id token was made for others too")
        strength = claims.get("acr")
        if not isinstance(strength, str) or strength not in self._registration.assurance:
            raise NotAuthenticated("the log-in was not strong enough")
        return claims

    async def _signed_claims(self, id_token: str) -> Mapping[str, Any]:
        """The claims of a token that bears the provider's signature. TypeError: what the library says of some odd
        headers (`crit` that is no list); a logout token comes from anybody."""
        provider = await self._known_provider()
        try:
            return jwt.decode(id_token, provider.keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError):
            if self._clock.monotonic() - provider.read < _KEYS_PAUSE_S:
                raise NotAuthenticated("the id token's signature") from None
        provider = await self._known_provider(anew=True)  # the provider may have changed its keys
        try:
            return jwt.decode(id_token, provider.keys, algorithms=ALGORITHMS).claims
        except (JoseError, ValueError, TypeError):
            raise NotAuthenticated("the id token's signature") from None

    async def _known_provider(self, anew: bool = False) -> _Provider:
        known, now = self._provider, self._clock.monotonic()
        if known is not None and not anew and now - known.read < _KEYS_SECONDS:
            return known
        issuer = self._registration.issuer
        metadata = _object(await self._call("GET", f"{issuer.rstrip('/')}/.well-known/openid-configuration"))
        if metadata.get("issuer") != issuer:
            raise NotAuthenticated("the identity provider names another issuer")
        for endpoint in ("authorization_endpoint", "token_endpoint", "jwks_uri"):
            _check_address(metadata.get(endpoint), issuer)
        keys = _object(await self._call("GET", metadata["jwks_uri"]))
        try:
            # Untyped JSON from outside: the library checks it, and what it refuses is caught below.
            key_set = KeySet.import_key_set(keys)  # type: ignore[arg-type]
        except (JoseError, ValueError, KeyError, TypeError):
            raise OutOfResources("the identity provider's keys can not be read") from None
        self._provider = _Provider(metadata, key_set, now)
        return self._provider

    async def _call(self, method: str, address: str, form: dict[str, str] | None = None) -> httpx.Response:
        try:
            answer = await self._http.request(
                method,
                address,
                data=form,
                timeout=limits.IDENTITY_PROVIDER_TIMEOUT_S,
                follow_redirects=False,
                headers={"accept": "application/json"},
            )
        except httpx.HTTPError as problem:
            raise OutOfResources(f"the identity provider: {type(problem).__name__}") from None
        if answer.status_code >= 500 or len(answer.content) > limits.MAX_IDENTITY_ANSWER_BYTES:
            raise OutOfResources("the identity provider does not answer as it should")
        return answer


def _payload(id_token: str) -> dict[str, Any]:
    """The claims of an id token that was verified when it came; {} for anything else."""
    parts = id_token.split(".")
    try:
        told = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (ValueError, IndexError):
        return {}
    return told if isinstance(told, dict) else {}


def challenge(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 4.2)."""
    hashed = hashlib.sha256(verifier.encode("ascii")).digest()
    return base64.urlsafe_b64encode(hashed).rstrip(b"=").decode("ascii")


def _object(answer: httpx.Response) -> dict[str, Any]:
    try:
        value = json.loads(answer.content)
    except ValueError:
        value = None
    if answer.status_code != 200 or not isinstance(value, dict):
        raise OutOfResources("the identity provider does not answer as it should")
    return value


def _check_address(address: object, issuer: str) -> None:
    """An endpoint is https, or the same loopback host as the issuer; never anything else."""
    if isinstance(address, str):
        place, home = urlsplit(address), urlsplit(issuer)
        if place.scheme == "https" or (
            place.scheme == "http" == home.scheme and place.hostname == home.hostname
        ):
            return
    raise OutOfResources("the identity provider names an unsafe address")
