"""Log-in sessions that every node knows: a browser may be sent to any of them, and one that is lost ends no session."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from pydantic import TypeAdapter

from samsyn import limits
from samsyn.access.authentication.sessions import Ending, Session, Sessions, ending_of
from samsyn.access.authentication.tokens import digest
from samsyn.clock import Clock
from samsyn.store.shared.port import SharedState

_KIND: Final = "session"
_NOTED_EACH_S: Final = 15.0
"""Use is noted so often at the most; so much sooner an idle session may end."""


@dataclass(frozen=True, slots=True)
class _Shared:
    session: Session
    used: float
    """When use was noted last, seconds of the day's clock."""


class SharedSessions(Sessions):
    """Sessions in what nodes share, under the hash of their secrets. OutOfResources: it can not be reached."""

    def __init__(
        self, shared: SharedState, clock: Clock, ended: Callable[[str], None] = lambda session_id: None
    ) -> None:
        super().__init__(clock, ended)
        self._shared = shared
        self._form: TypeAdapter[Any] = TypeAdapter(_Shared)

    def find(self, secret: str) -> Session | None:
        """See Sessions."""
        found = self._read(self._shared.get(_KIND, digest(secret).hex()))
        if found is None:
            return None
        if self._wall() - found.used > _NOTED_EACH_S:
            # Another node may have ended it since it was read: what has ended must not come back.
            key = digest(secret).hex()
            if not self._shared.renew(_KIND, key, self._written(found.session), self._left(found.session)):
                return None
        return found.session

    def look(self, secret: str) -> Session | None:
        """See Sessions."""
        found = self._read(self._shared.get(_KIND, digest(secret).hex()))
        return found.session if found is not None else None

    def ending(self, secret: str) -> Ending | None:
        """See Sessions."""
        found = self._read(self._shared.get(_KIND, digest(secret).hex()))
        if found is None:
            return None
        now = self._wall()
        return ending_of(now - found.used, now - found.session.opened.timestamp())

    def goes_on(self, mark: str) -> bool:
        """See Sessions."""
        return self._shared.get(_KIND, mark) is not None

    def close(self, secret: str) -> Session | None:
        """See Sessions."""
        found = self._read(self._shared.take(_KIND, digest(secret).hex()))
        if found is None:
            return None
        self._ended(found.session.subject.session_id)
        return found.session

    def close_those(self, wanted: Callable[[Session], bool]) -> list[Session]:
        """See Sessions."""
        ended: list[Session] = []
        for key, text in self._shared.find(_KIND):
            found = self._read(text)
            if found is not None and wanted(found.session) and self._shared.take(_KIND, key) is not None:
                self._ended(found.session.subject.session_id)
                ended.append(found.session)
        return ended

    def __len__(self) -> int:
        return len(self._shared.find(_KIND))

    def _keep(self, secret: str, session: Session) -> None:
        self._shared.put(_KIND, digest(secret).hex(), self._written(session), self._left(session))

    def _written(self, session: Session) -> str:
        return self._form.dump_json(_Shared(session, self._wall())).decode()

    def _left(self, session: Session) -> float:
        left = session.opened.timestamp() + limits.SESSION_LIFETIME_S - self._wall()
        return min(limits.SESSION_IDLE_S, left)

    def _read(self, text: str | None) -> _Shared | None:
        found: _Shared | None = self._form.validate_json(text) if text is not None else None
        return found

    def _wall(self) -> float:
        return self._clock.now().timestamp()
