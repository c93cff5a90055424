"""The authorization server of the FHIR door (SMART App Launch 2.2, RFC 6749, RFC 7636).

People are known by their log-in session, servers by their signature. A token's subject is the session's own, so the
View, its choices and the audit journal are the same as on the pages; the scopes only narrow it.
"""

import hashlib
import hmac
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlencode

from samsyn import limits
from samsyn.access.authentication.oidc import challenge
from samsyn.access.authentication.smart.assertions import TYPE as ASSERTION_TYPE
from samsyn.access.authentication.smart.assertions import Assertions
from samsyn.access.authentication.smart.scopes import CONTEXTS, granted
from samsyn.access.authentication.smart.words import App, Asked, Backend, Coded, Granted, Launch, OAuthRefusal
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.model.subject import Subject

AFTER_COOKIE: Final = "samsyn-smart"
"""Remembers over a log-in which authorization request the browser came with; its value is a ticket and nothing else."""
CONTINUE_PATH: Final = "/smart/continue/"
_APP, _SERVER = "app.", "srv."
"""How tokens begin, so that what is none of them costs no look-up."""
_PREFIX: Final = 4
_VERIFIER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class SmartAuthority:
    """Grants and knows tokens. They wait in this process's memory, or in what nodes share; bounded either way."""

    def __init__(
        self,
        clock: Clock,
        rooms: WaitingRooms,
        apps: Mapping[str, App],
        backends: Mapping[str, Backend],
        base: str,
        address: str,
    ) -> None:
        """`base`: the FHIR base, which every request must name as its audience. `address`: where browsers find us."""
        self._apps = apps
        self.base = base
        self.authorize_uri = f"{address}/smart/authorize"
        self.token_uri = f"{address}/smart/token"
        self._assertions = Assertions(clock, rooms, backends, self.token_uri)
        pending, most = limits.MAX_PENDING_LOGINS, limits.MAX_SMART_TOKENS
        self._launches = rooms.room("smart-launch", Launch, limits.LOGIN_SECONDS, pending)
        self._requests = rooms.room("smart-request", Asked, limits.LOGIN_SECONDS, pending)
        self._codes = rooms.room("smart-code", Coded, limits.CODE_SECONDS, pending)
        self._spent = rooms.room("smart-spent", str, limits.SMART_TOKEN_S, most)
        """Hash of a code to that of the token it gave: a code that comes again takes its token back."""
        self._tokens = {
            _APP: rooms.room("smart-token", Granted, limits.SMART_TOKEN_S, most),
            _SERVER: rooms.room("smart-server-token", Granted, limits.BACKEND_TOKEN_S, most),
        }
        self._of_session = rooms.room("smart-session", str, limits.SESSION_LIFETIME_S, most)
        """Hashes of a session's tokens, parted by spaces."""

    # -- what waits

    def announce(self, launch: Launch) -> str:
        """The secret under which a record system's launch waits for its app."""
        secret = new_secret()
        self._launches.put(_key(secret), launch)
        return secret

    def request(self, asked: Asked) -> str:
        """The ticket under which an authorization request waits for its reader."""
        ticket = new_secret()
        self._requests.put(_key(ticket), asked)
        return ticket

    def look(self, ticket: str) -> Asked | None:
        """The request, which goes on waiting; None: unknown, answered or too old."""
        return self._requests.look(_key(ticket))

    def take(self, ticket: str) -> Asked | None:
        """The request, which is answered now."""
        return self._requests.take(_key(ticket))

    # -- the browser's part

    def client(self, client_id: str, redirect_uri: str) -> App:
        """The app, when the address to go back to is one of its own; OAuthRefusal that must not be sent anywhere."""
        app = self._apps.get(client_id)
        if app is None or redirect_uri not in app.redirect_uris:
            raise OAuthRefusal("invalid_request", "unknown app or redirect address")
        return app

    def asked(self, app: App, sent: Mapping[str, str]) -> Asked:
        """An authorization request in order. OAuthRefusal: goes back to the app."""
        if sent.get("response_type") != "code":
            raise OAuthRefusal("unsupported_response_type", "response_type is code")
        if sent.get("aud", "").rstrip("/") != self.base:
            raise OAuthRefusal("invalid_request", "aud is not this FHIR server")
        if not sent.get("state"):
            raise OAuthRefusal("invalid_request", "state is missing")
        proof = sent.get("code_challenge", "")
        if sent.get("code_challenge_method") != "S256" or len(proof) != 43 or not _VERIFIER.issuperset(proof):
            raise OAuthRefusal("invalid_request", "PKCE with S256 is needed")
        scope, launch = sent.get("scope", ""), None
        if "launch" in scope.split() or sent.get("launch"):
            launch = self._launches.take(_key(sent.get("launch", "")))
            if launch is None:
                raise OAuthRefusal("invalid_request", "the launch is unknown, used or too old")
        if not granted(scope, app.scopes, frozenset({"patient", "user"})):
            raise OAuthRefusal("invalid_scope", "nothing of the scope is for this app")
        return Asked(app, sent["redirect_uri"], sent["state"], scope, proof, launch)

    def approved(
        self, asked: Asked, subject: Subject, patient_key: int | None, patient_handle: str
    ) -> tuple[str, Granted]:
        """Where the browser goes with its code, and what was granted. `patient_key` None: the app works with nobody in
        particular, and has nothing of the patient's scopes."""
        contexts = frozenset({"user", "patient"} if patient_key is not None else {"user"})
        scopes = granted(asked.scope, asked.app.scopes, contexts)
        if not scopes:
            raise OAuthRefusal("invalid_scope", "nothing of the scope can be given")
        words = asked.scope.split()
        grant = Granted(
            asked.app.client_id,
            subject,
            scopes,
            tuple(each for each in words if each in CONTEXTS and patient_key is not None),
            patient_key,
            patient_handle,
            asked.launch.encounter if asked.launch else "",
        )
        code = new_secret()
        self._codes.put(_key(code), Coded(asked, grant))
        return back(asked.redirect_uri, {"code": code, "state": asked.state}), grant

    # -- the token endpoint

    def redeem(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> tuple[str, Granted]:
        """The token for a code and its verifier. `basic`: client id and secret of an Authorization header.

        OAuthRefusal: invalid_grant for a wrong, old or used code (whose token then ends too), invalid_client.
        """
        code = form.get("code", "")
        found = self._codes.take(_key(code))
        if found is None:
            token = self._spent.take(_key(code))
            if token is not None:
                self._tokens[_APP].take(token)
            raise OAuthRefusal("invalid_grant", "the code is unknown, used or too old")
        asked, grant = found.asked, found.grant
        client_id = basic[0] if basic else form.get("client_id", "")
        if client_id != asked.app.client_id or form.get("redirect_uri") != asked.redirect_uri:
            raise OAuthRefusal("invalid_grant", "the code was given to another app or address")
        _check_secret(asked.app, basic[1] if basic else form.get("client_secret", ""))
        verifier = form.get("code_verifier", "")
        if not 43 <= len(verifier) <= 128 or not _VERIFIER.issuperset(verifier):
            raise OAuthRefusal("invalid_grant", "code_verifier is missing or malformed")
        if not hmac.compare_digest(challenge(verifier), asked.challenge):
            raise OAuthRefusal("invalid_grant", "code_verifier does not fit")
        secret = self._keep(_APP, grant)
        self._spent.put(_key(code), _key(secret))
        return secret, grant

    def backend(self, form: Mapping[str, str]) -> tuple[str, Granted]:
        """The token for a server's signed assertion. OAuthRefusal: invalid_client, invalid_scope."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthRefusal("invalid_client", "client_assertion_type is jwt-bearer", 401)
        client = self._assertions.client(form.get("client_assertion", ""), form.get("client_id", ""))
        scopes = granted(form.get("scope", ""), client.scopes, frozenset({"system"}))
        if not scopes:
            raise OAuthRefusal("invalid_scope", "nothing of the scope is for this client")
        grant = Granted(client.client_id, client.subject, scopes, (), None, "", "")
        return self._keep(_SERVER, grant), grant

    # -- tokens in use

    def find(self, secret: str) -> Granted | None:
        """What a token stands for; None: none of ours, or over."""
        room = self._tokens.get(secret[:_PREFIX])
        return room.look(_key(secret)) if room is not None else None

    def revoke(self, secret: str) -> None:
        """Ends a token (RFC 7009); an unknown one is no error."""
        room = self._tokens.get(secret[:_PREFIX])
        if room is not None:
            room.take(_key(secret))

    def forget_session(self, session_id: str) -> None:
        """A session has ended: so have its apps."""
        for token in (self._of_session.take(session_id) or "").split():
            self._tokens[_APP].take(token)

    def _keep(self, prefix: str, grant: Granted) -> str:
        """A new token. An app's ends those that the same app had for other patients in the same session: two patients
        side by side are the top hazard."""
        secret = prefix + new_secret()
        if prefix == _APP:
            session, left = grant.subject.session_id, []
            for token in (self._of_session.look(session) or "").split():
                known = self._tokens[_APP].look(token)
                if known is not None and _may_stay(known, grant):
                    left.append(token)
                elif known is not None:
                    self._tokens[_APP].take(token)
            self._of_session.put(session, " ".join([*left, _key(secret)]))
        self._tokens[prefix].put(_key(secret), grant)
        return secret


def _may_stay(known: Granted, new: Granted) -> bool:
    return (
        known.client_id != new.client_id
        or None in (known.patient_key, new.patient_key)
        or (known.patient_key == new.patient_key)
    )


def _key(secret: str) -> str:
    """Under which a secret is kept: its hash."""
    return digest(secret).hex()


def back(redirect_uri: str, values: Mapping[str, str]) -> str:
    """The address with an answer for the app."""
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(values)}"


def _check_secret(app: App, secret: str) -> None:
    if not app.secret_sha256:
        return
    told = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    if not hmac.compare_digest(told, app.secret_sha256):
        raise OAuthRefusal("invalid_client", "the app's secret is wrong", 401)
