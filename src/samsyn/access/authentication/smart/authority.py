"""The authorization server of the FHIR door (SMART App Launch 2.2, RFC 6749, RFC 7636).

People are known by their log-in session, servers by their signature. A token's subject is the session's own, so the
View, its choices and the audit journal are the same as on the pages; the scopes only narrow it.

What staff let in ends with their log-in session, whatever was asked for: reading rests on a strong log-in and a chosen
assignment (PDL 4:2, HSLF-FS 2016:40). Only a private person may let an app go on without him (offline_access).
"""

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final
from urllib.parse import urlencode

from samsyn import limits
from samsyn.access.authentication.oidc import challenge
from samsyn.access.authentication.smart.assertions import TYPE as ASSERTION_TYPE
from samsyn.access.authentication.smart.assertions import Assertions
from samsyn.access.authentication.smart.families import Families, name_in, new_name
from samsyn.access.authentication.smart.scopes import (
    BESIDE,
    CONTEXTS,
    FHIR_USER,
    OFFLINE,
    ONLINE,
    OPENID,
    granted,
)
from samsyn.access.authentication.smart.signing import IdTokens
from samsyn.access.authentication.smart.words import (
    App,
    Asked,
    Backend,
    Coded,
    Granted,
    Issued,
    Launch,
    LetIn,
    OAuthRefusal,
)
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.model.subject import Subject, SubjectKind

CONTINUE_PATH: Final = "/smart/continue/"
_APP, _SERVER = "app.", "srv."
"""How tokens begin, so that what is none of them costs no look-up."""
_PREFIX: Final = 4
_FAMILY: Final = "~"
"""Before a family's name among a session's tokens."""
_MAX_NONCE: Final = 300
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
        id_tokens: IdTokens | None = None,
        lives: Callable[[str], bool] = lambda session: True,
    ) -> None:
        """`base`: the FHIR base, which every request must name as its audience. `address`: where browsers find us.
        `id_tokens`: None = nobody is told who somebody is. `lives`: whether the log-in session with a mark goes on."""
        self._apps = apps
        self._clock = clock
        self._lives = lives
        self.base = base
        self.id_tokens = id_tokens
        self.authorize_uri = f"{address}/smart/authorize"
        self.token_uri = f"{address}/smart/token"
        self._assertions = Assertions(clock, rooms, backends, self.token_uri)
        pending, most = limits.MAX_PENDING_LOGINS, limits.MAX_SMART_TOKENS
        self._launches = rooms.room("smart-launch", Launch, limits.LOGIN_SECONDS, pending)
        self._requests = rooms.room("smart-request", Asked, limits.LOGIN_SECONDS, pending)
        self._codes = rooms.room("smart-code", Coded, limits.CODE_SECONDS, pending)
        self._spent = rooms.room("smart-spent", str, limits.SMART_TOKEN_S, most)
        """Hash of a code to what it gave: a code that comes again takes that back."""
        self._tokens = {
            _APP: rooms.room("smart-token", Granted, limits.SMART_TOKEN_S, most),
            _SERVER: rooms.room("smart-server-token", Granted, limits.BACKEND_TOKEN_S, most),
        }
        self._of_session = rooms.room("smart-session", str, limits.SESSION_LIFETIME_S, most)
        """Hashes of a session's tokens and names of its families, parted by spaces."""
        self._of_person = rooms.room("smart-person", str, limits.OFFLINE_DAYS * 86_400.0, most)
        """Names of the families that a person has let in, parted by spaces."""
        self._families = Families(clock, rooms)

    @property
    def scopes(self) -> frozenset[str]:
        """Those of BESIDE that some app is registered for."""
        return frozenset(each for app in self._apps.values() for each in BESIDE if each in app.scopes)

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
        tells_who = OPENID in scope.split() and OPENID in app.scopes
        if not tells_who and not granted(scope, app.scopes, frozenset({"patient", "user"})):
            raise OAuthRefusal("invalid_scope", "nothing of the scope is for this app")
        nonce = sent.get("nonce", "")
        if len(nonce) > _MAX_NONCE:
            raise OAuthRefusal("invalid_request", f"nonce has at most {_MAX_NONCE} characters")
        return Asked(app, sent["redirect_uri"], sent["state"], scope, proof, launch, nonce)

    def approved(
        self,
        asked: Asked,
        subject: Subject,
        patient_key: int | None,
        patient_handle: str,
        user: str = "",
        session: str = "",
    ) -> tuple[str, Granted]:
        """Where the browser goes with its code, and what was granted. `patient_key` None: the app works with nobody in
        particular, and has nothing of the patient's scopes. `user`: the person himself, as a FHIR reference.
        `session`: the mark of the log-in session."""
        contexts = frozenset({"user", "patient"} if patient_key is not None else {"user"})
        scopes = granted(asked.scope, asked.app.scopes, contexts)
        words = _words(asked, subject, has_patient=patient_key is not None)
        if not scopes and OPENID not in words:
            raise OAuthRefusal("invalid_scope", "nothing of the scope can be given")
        goes_on = OFFLINE in words
        if goes_on:
            # No log-in session any more: the grant is one by itself, and is so in the audit journal.
            subject = replace(subject, session_id=f"app-{secrets.token_hex(12)}")
        grant = Granted(
            asked.app.client_id,
            subject,
            scopes,
            words,
            patient_key,
            patient_handle,
            asked.launch.encounter if asked.launch else "",
            user,
            "" if goes_on else session,
            new_name(),
        )
        code = new_secret()
        self._codes.put(_key(code), Coded(asked, grant))
        return back(asked.redirect_uri, {"code": code, "state": asked.state}), grant

    # -- the token endpoint

    def redeem(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> Issued:
        """The tokens for a code and its verifier. `basic`: client id and secret of an Authorization header.

        OAuthRefusal: invalid_grant for a wrong, old or used code (what it gave then ends too), invalid_client.
        """
        code = form.get("code", "")
        found = self._codes.take(_key(code))
        if found is None:
            for each in (self._spent.take(_key(code)) or "").split():
                self._end(each)
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
        if not self._stands(grant):
            raise OAuthRefusal("invalid_grant", "the log-in session has ended")
        if OFFLINE in grant.words:
            seconds = asked.app.offline.total_seconds()
        else:
            seconds = limits.SESSION_LIFETIME_S if ONLINE in grant.words else limits.SMART_TOKEN_S
        refreshes = not {ONLINE, OFFLINE}.isdisjoint(grant.words)
        self._families.found(grant.family, grant, seconds, refreshes=refreshes)
        issued = replace(self._issue(grant), is_first=True, nonce=asked.nonce)
        self._spent.put(_key(code), f"{_key(issued.access)} {_FAMILY}{grant.family}")
        return issued

    def refresh(self, form: Mapping[str, str], basic: tuple[str, str] | None) -> Issued:
        """The next tokens for a refresh token, which counts once (RFC 6749 6).

        OAuthRefusal: invalid_grant when it is unknown, too old, another app's, its log-in session or assignment has
        ended, or it was used before (which ends all that came of it); invalid_scope for more than was granted;
        invalid_client.
        """
        secret = form.get("refresh_token", "")
        name = name_in(secret)
        family = self._families.look(name) if name else None
        client_id = basic[0] if basic else form.get("client_id", "")
        if family is None or client_id != family.grant.client_id:
            raise OAuthRefusal(
                "invalid_grant", "the refresh token is unknown, ended, too old or another app's"
            )
        app = self._apps.get(client_id)
        if app is None:
            raise OAuthRefusal("invalid_client", "the app is no longer registered", 401)
        _check_secret(app, basic[1] if basic else form.get("client_secret", ""))
        grant = _narrowed(family.grant, form.get("scope", ""))
        before = self._families.use(secret)
        if not self._stands(grant):
            self._families.end(name)
            raise OAuthRefusal("invalid_grant", "the log-in session or the assignment has ended")
        self._tokens[_APP].take(before)
        return self._issue(grant)

    def backend(self, form: Mapping[str, str]) -> Issued:
        """The token for a server's signed assertion. OAuthRefusal: invalid_client, invalid_scope."""
        if form.get("client_assertion_type") != ASSERTION_TYPE:
            raise OAuthRefusal("invalid_client", "client_assertion_type is jwt-bearer", 401)
        client = self._assertions.client(form.get("client_assertion", ""), form.get("client_id", ""))
        scopes = granted(form.get("scope", ""), client.scopes, frozenset({"system"}))
        if not scopes:
            raise OAuthRefusal("invalid_scope", "nothing of the scope is for this client")
        grant = Granted(client.client_id, client.subject, scopes, (), None, "", "")
        secret = _SERVER + new_secret()
        self._tokens[_SERVER].put(_key(secret), grant)
        return Issued(secret, grant)

    # -- tokens in use

    def find(self, secret: str) -> Granted | None:
        """What a token stands for; None: none of ours, or over."""
        room = self._tokens.get(secret[:_PREFIX])
        grant = room.look(_key(secret)) if room is not None else None
        if grant is None or not self._stands(grant):
            return None
        return grant if not grant.family or self._families.look(grant.family) is not None else None

    def revoke(self, secret: str) -> None:
        """Ends a token (RFC 7009), and with a refresh token all that came of it; an unknown one is no error."""
        room = self._tokens.get(secret[:_PREFIX])
        if room is not None:
            grant = room.take(_key(secret))
            family = self._families.look(grant.family) if grant is not None and grant.family else None
            if grant is not None and family is not None and not family.refreshes:
                self._families.end(grant.family)
        elif name_in(secret):
            self._families.end(name_in(secret))

    # -- what a person has let in

    def let_in(self, person: Subject) -> list[LetIn]:
        """The apps that may read for the person now, in any of his sessions or without one, the latest first."""
        found = []
        for name in (self._of_person.look(_person(person)) or "").split():
            family = self._families.look(name)
            if family is not None and self._stands(family.grant):
                app = self._apps.get(family.grant.client_id)
                found.append(LetIn(name, app.name if app else family.grant.client_id, family))
        return sorted(found, key=lambda each: each.family.began, reverse=True)

    def put_out(self, person: Subject, name: str) -> Granted | None:
        """Ends what the person has let in: none of its tokens counts any more. None: nothing of his has the name."""
        for each in self.let_in(person):
            if each.name == name:
                self._families.end(name)
                return each.family.grant
        return None

    def forget_session(self, session_id: str) -> None:
        """A session has ended: so have its apps."""
        for each in (self._of_session.take(session_id) or "").split():
            self._end(each)

    def _stands(self, grant: Granted) -> bool:
        """Whether the log-in session and the chosen assignment go on (PDL 4:2)."""
        own = grant.subject.assignment
        if own is not None and own.ends is not None and own.ends <= self._clock.now():
            return False
        return not grant.session or self._lives(grant.session)

    def _issue(self, grant: Granted) -> Issued:
        """A new token of an app. It ends what the same app had for other patients in the same session: two patients
        side by side are the top hazard."""
        secret = _APP + new_secret()
        session = grant.subject.session_id
        left = dict.fromkeys((_key(secret), _FAMILY + grant.family))
        for each in (self._of_session.look(session) or "").split():
            known = self._known(each)
            if known is not None and _may_stay(known, grant):
                left[each] = None
            elif known is not None:
                self._end(each)
        self._of_session.put(session, " ".join(left))
        self._tokens[_APP].put(_key(secret), grant)
        self._note(grant)
        family = self._families.look(grant.family)
        goes_on = family is not None and family.refreshes
        return Issued(secret, grant, self._families.give(grant.family, _key(secret)) if goes_on else "")

    def _note(self, grant: Granted) -> None:
        """Among what the person has let in stands this; again at every token, should two nodes have written at once."""
        person = _person(grant.subject)
        known = (self._of_person.look(person) or "").split()
        alive = [each for each in known if each != grant.family and self._families.look(each) is not None]
        self._of_person.put(person, " ".join([*alive, grant.family]))

    def _known(self, word: str) -> Granted | None:
        if not word.startswith(_FAMILY):
            return self._tokens[_APP].look(word)
        family = self._families.look(word.removeprefix(_FAMILY))
        return family.grant if family is not None else None

    def _end(self, word: str) -> None:
        if word.startswith(_FAMILY):
            self._families.end(word.removeprefix(_FAMILY))
        else:
            self._tokens[_APP].take(word)


def _words(asked: Asked, subject: Subject, *, has_patient: bool) -> tuple[str, ...]:
    """Which scopes beside data are given: what the app is registered for and the person may give."""
    wanted = dict.fromkeys(asked.scope.split())
    given = [each for each in wanted if each in CONTEXTS and has_patient]
    known = [each for each in wanted if each in BESIDE and each in asked.app.scopes]
    if OPENID in known:
        given += [each for each in (OPENID, FHIR_USER) if each in known]
    if OFFLINE in known and subject.kind is SubjectKind.PATIENT and asked.launch is None:
        given.append(OFFLINE)
    elif {ONLINE, OFFLINE}.intersection(known) and ONLINE in asked.app.scopes:
        given.append(ONLINE)
    return tuple(given)


def _narrowed(grant: Granted, scope: str) -> Granted:
    """The grant with the scopes that a refresh asks for; without any, all of it."""
    wanted = frozenset(scope.split())
    if not wanted:
        return grant
    if not wanted <= frozenset(grant.scope.split()):
        raise OAuthRefusal("invalid_scope", "more than was granted")
    return replace(
        grant,
        scopes=tuple(each for each in grant.scopes if each.text in wanted),
        words=tuple(each for each in grant.words if each in wanted),
    )


def _person(subject: Subject) -> str:
    """Who lets in: staff by HSA-id, a private person by what he is here."""
    return subject.hsa_id if subject.patient_key is None else f"patient {subject.patient_key}"


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
