"""Refresh tokens (RFC 6749 6, RFC 9700 4.14.2): each counts once and gives the next; one that comes again was stolen.

A family is what follows from one letting in, with or without refresh tokens. These name it, so that a used one is known
for what it is without a list of all that were used; who shows one ends the family, with every token that it has given.
"""

import secrets
from typing import Final

from samsyn import limits
from samsyn.access.authentication.smart.words import Family, Granted, OAuthRefusal
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock

_PREFIX: Final = "ref."


class Families:
    """The families that are alive; in this process's memory, or in what nodes share."""

    def __init__(self, clock: Clock, rooms: WaitingRooms) -> None:
        self._clock = clock
        longest, most = limits.OFFLINE_DAYS * 86_400.0, limits.MAX_SMART_TOKENS
        self._families = rooms.room("smart-family", Family, longest, most)
        self._tokens = rooms.room("smart-refresh", str, longest, most)
        """Hash of a family's one unused token to that of the access token beside it."""

    def found(self, name: str, grant: Granted, seconds: float, *, refreshes: bool) -> None:
        """A new family, which has no token yet."""
        now = self._clock.now().timestamp()
        self._families.put(name, Family(grant, now + seconds, now, refreshes))

    def look(self, name: str) -> Family | None:
        """The family; None = unknown, ended or too old."""
        family = self._families.look(name)
        return family if family is not None and self._clock.now().timestamp() < family.ends else None

    def end(self, name: str) -> None:
        """Nothing of the family counts any more; an unknown one is no error."""
        self._families.take(name)

    def give(self, name: str, access: str) -> str:
        """The family's next token. `access`: the hash of the access token that goes out with it."""
        secret = f"{_PREFIX}{name}.{new_secret()}"
        self._tokens.put(digest(secret).hex(), access)
        return secret

    def use(self, secret: str) -> str:
        """Uses a token up; the hash of the access token that went out with it. OAuthRefusal invalid_grant: it was used
        before, and its family has ended now. The caller has looked that the family is alive."""
        access = self._tokens.take(digest(secret).hex())
        if access is None:
            self.end(name_in(secret))
            raise OAuthRefusal(
                "invalid_grant", "the refresh token was used before: all that came of it has ended"
            )
        return access


def new_name() -> str:
    """A family's name; nobody can guess it."""
    return secrets.token_urlsafe(16)


def name_in(secret: str) -> str:
    """The family that a refresh token names, "" for what is none."""
    if not secret.startswith(_PREFIX):
        return ""
    return secret.removeprefix(_PREFIX).partition(".")[0]
