"""A server's proof of who it is: a signed assertion (private_key_jwt; RFC 7523, SMART Backend Services 5.1)."""

import base64
import json
from collections.abc import Mapping
from typing import Any, Final

from joserfc import jwt
from joserfc.errors import JoseError

from samsyn import limits
from samsyn.access.authentication.smart.words import Backend, OAuthRefusal
from samsyn.access.waiting import Waiting, WaitingRooms
from samsyn.clock import Clock

ALGORITHMS: Final = ("RS384", "ES384")
"""What the guide demands of both sides; never `none`, never a shared secret."""
TYPE: Final = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_MAX_CHARACTERS: Final = 8_192


class Assertions:
    """Verifies assertions; each one counts once."""

    def __init__(
        self, clock: Clock, rooms: WaitingRooms, backends: Mapping[str, Backend], audience: str
    ) -> None:
        self._clock = clock
        self._backends = backends
        self._audience = audience
        # As long as any could be valid that is taken now.
        longest = limits.ASSERTION_S + 2 * limits.CLOCK_LEEWAY_S
        self._used: Waiting[str] = rooms.room("smart-assertion", str, longest, 0)

    def client(self, assertion: str, told: str = "") -> Backend:
        """The server that signed it. `told`: the form's client_id, which must be the same when it is there.

        OAuthRefusal invalid_client: unknown, not signed by one of its keys, for another audience, expired, valid for
        longer than limits.ASSERTION_S, or seen before.
        """
        if len(assertion) > _MAX_CHARACTERS:
            raise _refusal("the assertion is too long")
        header, payload = _parts(assertion)
        backend = self._backends.get(str(payload.get("iss", "")))
        if backend is None or told not in ("", backend.client_id):
            raise _refusal("unknown client")
        if header.get("alg") not in ALGORITHMS or not isinstance(header.get("kid"), str):
            raise _refusal(f"the assertion names its key (kid) and is signed by {' or '.join(ALGORITHMS)}")
        try:
            claims = jwt.decode(assertion, backend.keys, algorithms=ALGORITHMS).claims
            registry = jwt.JWTClaimsRegistry(
                now=int(self._clock.now().timestamp()),
                leeway=limits.CLOCK_LEEWAY_S,
                iss={"essential": True, "value": backend.client_id},
                sub={"essential": True, "value": backend.client_id},
                aud={"essential": True, "value": self._audience},
                exp={"essential": True},
                jti={"essential": True},
            )
            registry.validate(dict(claims))
        except (JoseError, ValueError, TypeError) as problem:
            raise _refusal(f"the assertion: {type(problem).__name__}") from None
        self._check_once(backend.client_id, claims)
        return backend

    def _check_once(self, client_id: str, claims: Mapping[str, Any]) -> None:
        now = self._clock.now().timestamp()
        ends, name = claims["exp"], claims["jti"]
        if not isinstance(ends, int | float) or ends - now > limits.ASSERTION_S + limits.CLOCK_LEEWAY_S:
            raise _refusal(f"an assertion is valid for at most {limits.ASSERTION_S} s")
        if not isinstance(name, str) or not 0 < len(name) <= 200:
            raise _refusal("jti is a text of 1 to 200 characters")
        if not self._used.once(f"{client_id} {name}", ""):
            raise _refusal("the assertion was used before")


def _refusal(description: str) -> OAuthRefusal:
    return OAuthRefusal("invalid_client", description, 401)


def _parts(assertion: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Header and claims, unverified: only to know whose keys to try."""
    found = []
    for part in assertion.split(".")[:2]:
        try:
            value = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
        except (ValueError, RecursionError):
            value = None
        if not isinstance(value, dict):
            raise _refusal("the assertion is no signed JWT")
        found.append(value)
    if len(found) != 2:
        raise _refusal("the assertion is no signed JWT")
    return found[0], found[1]
