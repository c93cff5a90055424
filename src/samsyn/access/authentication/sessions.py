"""Login sessions: opaque, hashed at rest, short-lived, and new at every log-in and change of assignment."""

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

from samsyn import limits
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.clock import Clock
from samsyn.errors import NotAllowed
from samsyn.model.subject import Assignment, Subject


@dataclass(frozen=True, slots=True)
class Session:
    """A logged-in person in one browser. `subject.session_id` names it in the audit journal; it is no secret."""

    subject: Subject
    opened: datetime
    csrf: str = field(repr=False)
    """Goes into every form of the session's pages and comes back with it."""
    id_token: str = field(repr=False)
    """The identity provider's proof, to be given back to it at log-out."""
    choices: tuple[Assignment, ...] = field(default=(), repr=False)
    """The assignments of which one is still to be chosen; until then the subject has none."""

    def check_form(self, sent: str) -> None:
        """NotAllowed when a form does not carry this session's token (cross-site request forgery)."""
        if not hmac.compare_digest(sent.encode("utf-8", "surrogatepass"), self.csrf.encode()):
            raise NotAllowed("the form does not belong to this session")


@dataclass(frozen=True, slots=True)
class Ending:
    """When a session ends if nobody uses it."""

    seconds: float
    can_go_on: bool
    """Whether use puts the end off; it does not where the session is as old as it may get."""


def ending_of(idle_s: float, age_s: float) -> Ending:
    """Of a session that has been unused and is there for so many seconds."""
    idle_left, left = limits.SESSION_IDLE_S - idle_s, limits.SESSION_LIFETIME_S - age_s
    return Ending(min(idle_left, left), idle_left < left)


def session_mark(secret: str) -> str:
    """What names a session where its secret must not be kept."""
    return digest(secret).hex()


@dataclass(slots=True)
class _Kept:
    session: Session
    began: float
    used: float


class Sessions:
    """The sessions of this process. `ended` is told the session id of every one that ends."""

    def __init__(self, clock: Clock, ended: Callable[[str], None] = lambda session_id: None) -> None:
        self._clock = clock
        self._ended = ended
        self._kept: OrderedDict[bytes, _Kept] = OrderedDict()

    def open(
        self, subject: Subject, id_token: str = "", choices: tuple[Assignment, ...] = ()
    ) -> tuple[str, Session]:
        """A new session and its secret, which goes into the browser's cookie and is kept nowhere else."""
        secret = new_secret()
        named = replace(subject, session_id=secrets.token_hex(16))
        session = Session(named, self._clock.now(), new_secret(), id_token, choices)
        self._keep(secret, session)
        return secret, session

    def _keep(self, secret: str, session: Session) -> None:
        now = self._clock.monotonic()
        self._kept[digest(secret)] = _Kept(session, now, now)
        self._end_old(now)

    def find(self, secret: str) -> Session | None:
        """The session, which counts as used now; None when it is unknown, idle or too old."""
        key = digest(secret)
        kept = self._kept.get(key)
        if kept is None:
            return None
        now = self._clock.monotonic()
        if self._is_over(kept, now):
            self._end(key)
            return None
        kept.used = now
        self._kept.move_to_end(key)
        return kept.session

    def now(self) -> datetime:
        """The time that sessions go by."""
        return self._clock.now()

    def look(self, secret: str) -> Session | None:
        """The same without counting as use: what a page asks by itself must not keep a left workstation open."""
        kept = self._kept.get(digest(secret))
        if kept is None:
            return None
        if self._is_over(kept, self._clock.monotonic()):
            self._end(digest(secret))
            return None
        return kept.session

    def ending(self, secret: str) -> Ending | None:
        """When the session ends without use; None when it is over or unknown. Asking is no use of it."""
        kept = self._kept.get(digest(secret))
        if kept is None:
            return None
        now = self._clock.monotonic()
        return ending_of(now - kept.used, now - kept.began)

    def goes_on(self, mark: str) -> bool:
        """Whether the session with this mark is alive; no use of it."""
        key = bytes.fromhex(mark)
        kept = self._kept.get(key)
        if kept is not None and self._is_over(kept, self._clock.monotonic()):
            self._end(key)
            return False
        return kept is not None

    def rotate(
        self, secret: str, subject: Subject | None = None, id_token: str = ""
    ) -> tuple[str, Session] | None:
        """Ends a session and opens another one for the same or a changed subject; None when there was none.

        The choices made in the old one are not carried over: they belong to its assignment.
        """
        session = self.close(secret)
        if session is None:
            return None
        return self.open(subject or session.subject, id_token or session.id_token)

    def close(self, secret: str) -> Session | None:
        """Ends a session at once; answers with it, so that log-out can be told to the identity provider."""
        session = self.find(secret)
        if session is not None:
            self._end(digest(secret))
        return session

    def close_those(self, wanted: Callable[[Session], bool]) -> list[Session]:
        """Ends the sessions that are wanted ended, and answers with them."""
        keys = [key for key, kept in self._kept.items() if wanted(kept.session)]
        ended = [self._kept[key].session for key in keys]
        for key in keys:
            self._end(key)
        return ended

    def __len__(self) -> int:
        return len(self._kept)

    def _is_over(self, kept: _Kept, now: float) -> bool:
        return now - kept.used >= limits.SESSION_IDLE_S or now - kept.began >= limits.SESSION_LIFETIME_S

    def _end(self, key: bytes) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._ended(kept.session.subject.session_id)

    def _end_old(self, now: float) -> None:
        """The table is in order of use: what is over lies in front, and the front gives way when it is full."""
        for key, kept in list(self._kept.items())[:8]:
            if not self._is_over(kept, now):
                break
            self._end(key)
        while len(self._kept) > limits.MAX_SESSIONS:
            self._end(next(iter(self._kept)))
