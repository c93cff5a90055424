"""The log-in desk: proof from the identity provider, session, audit entry; in that order, every time."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from samsyn.access.authentication.claims import PersonLoggedIn, patient
from samsyn.access.authentication.oidc import Begun, LoggedIn, RelyingParty
from samsyn.access.authentication.saml.party import SamlParty, ends_session
from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.events import Event, entry
from samsyn.access.view import Gatekeeper
from samsyn.errors import NotAuthenticated, NotSupported
from samsyn.model.subject import Subject

_DOOR: Final = "login"
"""How refused log-ins stand in the audit journal."""
FindPatient = Callable[[str], Awaitable[int | None]]
"""The key of the person with a number in any written form, or None (patients.lookup)."""


class LoginDesk:
    """Logs people in and out; what happens is in the audit journal before the session can be used.

    `address` is where the browser calls from: whoever knocks all day is written down once a quarter.
    """

    def __init__(
        self,
        sign_on: RelyingParty | SamlParty,
        sessions: Sessions,
        gatekeeper: Gatekeeper,
        find_patient: FindPatient,
    ) -> None:
        self._sign_on = sign_on
        self._sessions = sessions
        self._gatekeeper = gatekeeper
        self._find_patient = find_patient

    @property
    def identity_provider(self) -> str:
        """An address at the identity provider: whereto our pages' forms may lead."""
        return self._sign_on.address

    async def begin(self, *, choose_again: bool = False, language: str = "") -> Begun:
        """Where the browser goes and the secret for its short-lived, HttpOnly log-in cookie."""
        return await self._sign_on.begin(choose_again=choose_again, language=language)

    async def finish(
        self, *, state: str, code: str, binding: str, issuer: str = "", before: str = "", address: str = ""
    ) -> tuple[str, Session]:
        """The new session and its secret. `before`: the secret of the session that this log-in replaces, if any.

        NotAuthenticated: refused, and written down as refused; a session from before stays as it was.
        """
        party = self._sign_on
        if not isinstance(party, RelyingParty):
            raise NotAuthenticated("log-in is by SAML here")
        return await self._open(
            lambda: party.finish(state=state, code=code, binding=binding, issuer=issuer), before, address
        )

    async def receive(self, saml_response: str, relay_state: str, address: str = "") -> str:
        """Verifies a SAML response; answers with the secret by which its browser fetches it (finish_saml).

        NotAuthenticated, NotSupported: refused, and written down as refused.
        """
        try:
            return self._saml().receive(saml_response, relay_state)
        except (NotAuthenticated, NotSupported) as refusal:
            await self._gatekeeper.refusals.record(_DOOR, refusal, address=address)
            raise

    async def finish_saml(
        self, *, ticket: str, binding: str, before: str = "", address: str = ""
    ) -> tuple[str, Session]:
        """As `finish`, for a SAML response that was received under the ticket."""

        async def prove() -> LoggedIn:
            return self._saml().fetch(ticket, binding)

        return await self._open(prove, before, address)

    async def asked_to_end(self, asked: Mapping[str, str], address: str = "") -> str:
        """Ends the sessions that the SAML identity provider wants to end; whereto the browser takes the answer."""
        try:
            wanted, answer = self._saml().asked_to_end(asked)
        except NotAuthenticated as refusal:
            await self._gatekeeper.refusals.record(_DOOR, refusal, address=address)
            raise
        ended = self._sessions.close_those(lambda session: ends_session(session.id_token, wanted))
        if ended:
            await self._gatekeeper.record(*(entry(session.subject, Event.LOGOUT) for session in ended))
        return answer

    async def told_to_end(self, logout_token: str, address: str = "") -> None:
        """Ends the sessions that an OpenID provider's logout token names; an unknown session is no error.

        NotAuthenticated: a token that is not the provider's or not for this; OutOfResources: its keys are away.
        """
        party = self._sign_on
        if not isinstance(party, RelyingParty):
            raise NotAuthenticated("log-in is by SAML here")
        try:
            is_named = await party.told_to_end(logout_token)
        except NotAuthenticated as refusal:
            await self._gatekeeper.refusals.record(_DOOR, refusal, address=address)
            raise
        ended = self._sessions.close_those(lambda session: is_named(session.id_token))
        if ended:
            await self._gatekeeper.record(*(entry(session.subject, Event.LOGOUT) for session in ended))

    def saml_metadata(self) -> bytes:
        """Our SAML metadata. NotAuthenticated: log-in is not by SAML here."""
        return self._saml().metadata

    def _saml(self) -> SamlParty:
        if not isinstance(self._sign_on, SamlParty):
            raise NotAuthenticated("log-in is not by SAML here")
        return self._sign_on

    async def _open(
        self, prove: Callable[[], Awaitable[LoggedIn]], before: str, address: str
    ) -> tuple[str, Session]:
        try:
            proved = await prove()
            subject = await self._subject(proved.who)
        except NotAuthenticated as refusal:
            await self._gatekeeper.refusals.record(_DOOR, refusal, address=address)
            raise
        secret, session = self._sessions.open(subject, proved.id_token)
        try:
            await self._gatekeeper.record(
                entry(session.subject, Event.LOGIN, details=names_told(session.subject))
            )
        except BaseException:
            self._sessions.close(secret)
            raise
        if before:
            await self._leave(before)
        return secret, session

    async def log_out(self, secret: str) -> str:
        """Ends the session; answers with the address where the identity provider ends its own, or ""."""
        session = await self._leave(secret)
        return await self._sign_on.logout_address(session.id_token) if session else ""

    async def _leave(self, secret: str) -> Session | None:
        session = self._sessions.close(secret)
        if session is not None:
            await self._gatekeeper.record(entry(session.subject, Event.LOGOUT))
        return session

    async def _subject(self, who: Subject | PersonLoggedIn) -> Subject:
        if isinstance(who, Subject):
            return who
        key = await self._find_patient(who.number)
        if key is None:
            raise NotAuthenticated("nothing is known about this person")
        return patient(who, key)


def names_told(subject: Subject) -> dict[str, str]:
    """How staff and their assignment were called at this log-in: for log review and the national log service."""
    own = subject.assignment
    if own is None:
        return {}
    return {
        "name": subject.told_name,
        "assignment": own.name,
        "unit": own.unit_name,
        "provider": own.provider_name,
        "roles": " ".join(sorted(subject.roles)),
    }
