"""The log-in desk: proof from the identity provider, session, audit entry; in that order, every time."""

from collections.abc import Awaitable, Callable

from samsyn.access.authentication.claims import PersonLoggedIn, patient
from samsyn.access.authentication.oidc import Begun, RelyingParty
from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.events import Event, entry
from samsyn.access.view import Gatekeeper
from samsyn.errors import NotAuthenticated
from samsyn.model.audit import AuditEntry
from samsyn.model.subject import Subject

FindPatient = Callable[[str], Awaitable[int | None]]
"""The key of the person with a number in any written form, or None (patients.lookup)."""


class LoginDesk:
    """Logs people in and out; what happens is in the audit journal before the session can be used."""

    def __init__(
        self,
        relying_party: RelyingParty,
        sessions: Sessions,
        gatekeeper: Gatekeeper,
        find_patient: FindPatient,
    ) -> None:
        self._relying_party = relying_party
        self._sessions = sessions
        self._gatekeeper = gatekeeper
        self._find_patient = find_patient

    async def begin(self, *, choose_again: bool = False, language: str = "") -> Begun:
        """Where the browser goes and the secret for its short-lived, HttpOnly log-in cookie."""
        return await self._relying_party.begin(choose_again=choose_again, language=language)

    async def finish(
        self, *, state: str, code: str, binding: str, issuer: str = "", before: str = ""
    ) -> tuple[str, Session]:
        """The new session and its secret. `before`: the secret of the session that this log-in replaces, if any.

        NotAuthenticated: refused, and written down as refused; a session from before stays as it was.
        """
        try:
            proved = await self._relying_party.finish(state=state, code=code, binding=binding, issuer=issuer)
            subject = await self._subject(proved.who)
        except NotAuthenticated as refusal:
            await self._gatekeeper.record(_refused(refusal.detail))
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
        return await self._relying_party.logout_address(session.id_token) if session else ""

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


def _refused(why: str) -> AuditEntry:
    """A refused log-in has no actor that could be trusted, so it names none."""
    return AuditEntry(Event.LOGIN_REFUSED, "Läsa", "", "", "", "", "", "", 0, "", "", False, {"rule": why})
