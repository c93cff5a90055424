"""The log-in desk: proof from the identity provider, session, audit entry; in that order, every time."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Final

from samsyn.access.authentication.claims import PersonLoggedIn, patient
from samsyn.access.authentication.directory import StaffDirectory
from samsyn.access.authentication.oidc import Begun, LoggedIn, RelyingParty
from samsyn.access.authentication.saml.party import SamlParty, ends_session
from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.events import Event, entry
from samsyn.access.view import Gatekeeper
from samsyn.errors import NotAuthenticated, NotFound, NotSupported
from samsyn.model.subject import Assignment, Subject

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
        directory: StaffDirectory | None = None,
    ) -> None:
        """`directory`: where assignments come from, when not from the identity provider's claims."""
        self._sign_on = sign_on
        self._sessions = sessions
        self._gatekeeper = gatekeeper
        self._find_patient = find_patient
        self._directory = directory

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
            subject, choices = await self._subject(proved.who)
        except NotAuthenticated as refusal:
            await self._gatekeeper.refusals.record(_DOOR, refusal, address=address)
            raise
        secret, session = self._sessions.open(subject, proved.id_token, choices)
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

    async def choose(self, secret: str, commission: str) -> tuple[str, Session]:
        """Chooses one of the assignments that the session offers: a new session with a new secret.

        NotFound: none of them, or one that has ended meanwhile.
        """
        session = self._sessions.find(secret)
        chosen = [each for each in session.choices if each.hsa_id == commission] if session else []
        if session is None or not chosen or (chosen[0].ends and chosen[0].ends <= self._sessions.now()):
            raise NotFound
        subject = replace(session.subject, assignment=chosen[0])
        opened = self._sessions.rotate(secret, subject)
        if opened is None:
            raise NotFound
        try:
            told = names_told(opened[1].subject)
            await self._gatekeeper.record(entry(opened[1].subject, Event.CHOOSE_ASSIGNMENT, details=told))
        except BaseException:
            self._sessions.close(opened[0])
            raise
        return opened

    async def _subject(self, who: Subject | PersonLoggedIn) -> tuple[Subject, tuple[Assignment, ...]]:
        """Who it is, and the assignments of which one is still to be chosen."""
        if isinstance(who, Subject):
            return await self._with_assignment(who) if self._directory is not None else (who, ())
        key = await self._find_patient(who.number)
        if key is None:
            raise NotAuthenticated("nothing is known about this person")
        return patient(who, key), ()

    async def _with_assignment(self, who: Subject) -> tuple[Subject, tuple[Assignment, ...]]:
        """The directory's word takes the place of the claims': what was chosen there must be in force here."""
        assert self._directory is not None
        told = await self._directory.credentials(who.hsa_id, self._sessions.now())
        if told is None or not told.assignments:
            raise NotAuthenticated("the directory has no assignment in force for the employee")
        known = {each.hsa_id: each for each in told.assignments}
        wanted = who.assignment
        if wanted is not None and wanted.hsa_id not in known:
            raise NotAuthenticated("the chosen assignment is not in force in the directory")
        one = known[wanted.hsa_id] if wanted else told.assignments[0] if len(known) == 1 else None
        protected = who.protected or told.protected
        subject = replace(
            who, name=told.name or who.name, assignment=one, roles=told.roles, protected=protected
        )
        return subject, () if one else told.assignments


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
