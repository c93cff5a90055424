"""The authorization server of the FHIR door (SMART App Launch 2.2, RFC 6749, RFC 7636).

People are known by their log-in session, servers by their signature. A token's subject is the session's own, so the
View, its choices and the audit journal are the same as on the pages; the scopes only narrow it.
"""

import hashlib
import hmac
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from samsyn import limits
from samsyn.access.authentication.oidc import challenge
from samsyn.access.authentication.smart.assertions import TYPE as ASSERTION_TYPE
from samsyn.access.authentication.smart.assertions import Assertions
from samsyn.access.authentication.smart.scopes import CONTEXTS, granted
from samsyn.access.authentication.smart.waiting import Waiting
from samsyn.access.authentication.smart.words import App, Asked, Backend, Granted, Launch, OAuthRefusal
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.clock import Clock
from samsyn.model.subject import Subject, SubjectKind

AFTER_COOKIE: Final = "samsyn-smart"
"""Remembers over a log-in which authorization request the browser came with; its value is a ticket and nothing else."""
CONTINUE_PATH: Final = "/smart/continue/"
_VERIFIER: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


class SmartAuthority:
    """Grants and knows tokens; everything is in this process's memory and bounded."""

    def __init__(
        self, clock: Clock, apps: Mapping[str, App], backends: Mapping[str, Backend], base: str, address: str
    ) -> None:
        """`base`: the FHIR base, which every request must name as its audience. `address`: where browsers find us."""
        self._clock = clock
        self._apps = apps
        self.base = base
        self.authorize_uri = f"{address}/smart/authorize"
        self.token_uri = f"{address}/smart/token"
        self._assertions = Assertions(clock, backends, self.token_uri)
        self.launches: Waiting[Launch] = Waiting(clock, limits.LOGIN_SECONDS)
        self.requests: Waiting[Asked] = Waiting(clock, limits.LOGIN_SECONDS)
        self._codes: Waiting[tuple[Asked, Granted]] = Waiting(clock, limits.CODE_SECONDS)
        self._spent: OrderedDict[bytes, bytes] = OrderedDict()
        """Digest of a code to that of the token it gave: a code that comes again takes its token back."""
        self._tokens: OrderedDict[bytes, Granted] = OrderedDict()

    @property
    def is_on(self) -> bool:
        """Whether any app is registered."""
        return bool(self._apps)

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
            launch = self.launches.take(sent.get("launch", ""))
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
            0.0,
        )
        code = self._codes.put((asked, grant))
        return back(asked.redirect_uri, {"code": code, "state": asked.state}), grant

    # -- the token endpoint

    def redeem(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> tuple[str, Granted]:
        """The token for a code and its verifier. `basic`: client id and secret of an Authorization header.

        OAuthRefusal: invalid_grant for a wrong, old or used code (whose token then ends too), invalid_client.
        """
        code = form.get("code", "")
        found = self._codes.take(code)
        if found is None:
            token = self._spent.pop(digest(code), None)
            if token is not None:
                self._tokens.pop(token, None)
            raise OAuthRefusal("invalid_grant", "the code is unknown, used or too old")
        asked, grant = found
        client_id = basic[0] if basic else form.get("client_id", "")
        if client_id != asked.app.client_id or form.get("redirect_uri") != asked.redirect_uri:
            raise OAuthRefusal("invalid_grant", "the code was given to another app or address")
        _check_secret(asked.app, basic[1] if basic else form.get("client_secret", ""))
        verifier = form.get("code_verifier", "")
        if not 43 <= len(verifier) <= 128 or not _VERIFIER.issuperset(verifier):
            raise OAuthRefusal("invalid_grant", "code_verifier is missing or malformed")
        if not hmac.compare_digest(challenge(verifier), asked.challenge):
            raise OAuthRefusal("invalid_grant", "code_verifier does not fit")
        secret, kept = self._keep(grant, limits.SMART_TOKEN_S)
        self._spent[digest(code)] = digest(secret)
        while len(self._spent) > limits.MAX_SMART_TOKENS:
            self._spent.popitem(last=False)
        return secret, kept

    def backend(self, form: Mapping[str, str]) -> tuple[str, Granted]:
        """The token for a server's signed assertion. OAuthRefusal: invalid_client, invalid_scope."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthRefusal("invalid_client", "client_assertion_type is jwt-bearer", 401)
        client = self._assertions.client(form.get("client_assertion", ""), form.get("client_id", ""))
        scopes = granted(form.get("scope", ""), client.scopes, frozenset({"system"}))
        if not scopes:
            raise OAuthRefusal("invalid_scope", "nothing of the scope is for this client")
        grant = Granted(client.client_id, client.subject, scopes, (), None, "", "", 0.0)
        return self._keep(grant, limits.BACKEND_TOKEN_S)

    # -- tokens in use

    def find(self, secret: str) -> Granted | None:
        """What a token stands for; None: none of ours, or over."""
        key = digest(secret)
        kept = self._tokens.get(key)
        if kept is None or self._clock.monotonic() >= kept.until:
            self._tokens.pop(key, None)
            return None
        return kept

    def revoke(self, secret: str) -> None:
        """Ends a token (RFC 7009); an unknown one is no error."""
        self._tokens.pop(digest(secret), None)

    def forget_session(self, session_id: str) -> None:
        """A session has ended: so have its apps."""
        self._drop(lambda kept: kept.subject.session_id == session_id)

    def forget_other_patients(self, grant: Granted) -> None:
        """The same app in the same session has another patient now: its tokens for others end."""
        self._drop(
            lambda kept: (
                kept.subject.session_id == grant.subject.session_id
                and kept.client_id == grant.client_id
                and grant.patient_key is not None
                and kept.patient_key not in (None, grant.patient_key)
            )
        )

    def _drop(self, unwanted: Callable[[Granted], bool]) -> None:
        for key in [key for key, kept in self._tokens.items() if unwanted(kept)]:
            del self._tokens[key]

    def _keep(self, grant: Granted, seconds: float) -> tuple[str, Granted]:
        secret, now = new_secret(), self._clock.monotonic()
        kept = replace(grant, until=now + seconds)
        if grant.subject.kind is not SubjectKind.SYSTEM:
            self.forget_other_patients(kept)
        self._tokens[digest(secret)] = kept
        while self._tokens and (
            len(self._tokens) > limits.MAX_SMART_TOKENS or next(iter(self._tokens.values())).until <= now
        ):
            self._tokens.popitem(last=False)
        return secret, kept


def back(redirect_uri: str, values: Mapping[str, str]) -> str:
    """The address with an answer for the app."""
    return f"{redirect_uri}{'&' if '?' in redirect_uri else '?'}{urlencode(values)}"


def _check_secret(app: App, secret: str) -> None:
    if not app.secret_sha256:
        return
    told = hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
    if not hmac.compare_digest(told, app.secret_sha256):
        raise OAuthRefusal("invalid_client", "the app's secret is wrong", 401)
