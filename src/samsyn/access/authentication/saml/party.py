"""Log-in and log-out with a SAML identity provider (web browser SSO profile, SAML profiles 4.1 and 4.4).

A browser brings the response in a form from the identity provider's page, without our cookies. So it is verified and
put aside under a secret; the browser is sent on to fetch it, and only with the cookie of the browser that began the
log-in does it become a session.
"""

import hmac
import json
from collections.abc import Mapping
from dataclasses import dataclass

from samsyn import limits
from samsyn.access.authentication.claims import subject_of
from samsyn.access.authentication.oidc import Begun, LoggedIn
from samsyn.access.authentication.saml import messages
from samsyn.access.authentication.saml.response import Asserted, asserted
from samsyn.access.authentication.saml.settled import IdentityProvider, OurSide, our_metadata
from samsyn.access.authentication.saml.xml import decoded
from samsyn.access.authentication.tokens import digest, new_secret
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.errors import NotAuthenticated


@dataclass(frozen=True, slots=True)
class _Pending:
    request_id: str
    binding: str


@dataclass(frozen=True, slots=True)
class _Waiting:
    logged_in: LoggedIn
    binding: str


class SamlParty:
    """Our side of SAML 2.0 web SSO with one identity provider."""

    def __init__(
        self, own: OurSide, provider: IdentityProvider, clock: Clock, rooms: WaitingRooms | None = None
    ) -> None:
        """`rooms`: where log-ins under way wait; None = in this process."""
        self._own = own
        self._provider = provider
        self._clock = clock
        rooms, most = rooms or WaitingRooms(clock), limits.MAX_PENDING_LOGINS
        self._pending = rooms.room("saml-pending", _Pending, limits.LOGIN_SECONDS, most)
        self._waiting = rooms.room("saml-waiting", _Waiting, limits.CODE_SECONDS, most)
        self._used = rooms.room("saml-used", str, limits.SAML_MESSAGE_S * 2, most)

    @property
    def address(self) -> str:
        """Where log-ins begin, an address at the identity provider."""
        return self._provider.sign_on

    @property
    def metadata(self) -> bytes:
        """Our metadata, for the identity provider."""
        return our_metadata(self._own)

    async def begin(self, *, choose_again: bool = False, language: str = "") -> Begun:
        """Where the browser goes with a signed AuthnRequest; `language` can not be asked for in SAML."""
        request_id, state, binding = f"_{new_secret()}", new_secret(), new_secret()
        self._pending.put(state, _Pending(request_id, digest(binding).hex()))
        request = messages.authn_request(
            self._own, self._provider, request_id, self._clock.now(), choose_again
        )
        address = messages.signed_address(self._own, self._provider.sign_on, "SAMLRequest", request, state)
        return Begun(address, binding)

    def receive(self, saml_response: str, relay_state: str) -> str:
        """Verifies a response and answers with the secret under which it waits for its browser.

        NotAuthenticated, NotSupported: refused; the log-in under way can not be tried a second time.
        """
        pending = self._pending.take(relay_state)
        if pending is None:
            raise NotAuthenticated("no such log-in under way")
        told = asserted(
            self._own, self._provider, decoded(saml_response), pending.request_id, self._clock.now()
        )
        self._use_once(told)
        elsewhere = self._own.assignments_elsewhere
        who = subject_of(told.attributes, self._own.claims, needs_assignment=not elsewhere)
        logged_in = LoggedIn(who, json.dumps({"name_id": told.name_id, "index": told.session_index}))
        ticket = new_secret()
        self._waiting.put(ticket, _Waiting(logged_in, pending.binding))
        return ticket

    def fetch(self, ticket: str, binding: str) -> LoggedIn:
        """What waits under the secret, once, for the browser that began the log-in."""
        waiting = self._waiting.take(ticket)
        if waiting is None:
            raise NotAuthenticated("no such log-in under way")
        if not hmac.compare_digest(digest(binding).hex(), waiting.binding):
            raise NotAuthenticated("the log-in was begun in another browser")
        return waiting.logged_in

    async def logout_address(self, id_token: str) -> str:
        """Where the browser goes so that the identity provider ends its session too; "" when it has no such place."""
        if not self._provider.log_out or not id_token:
            return ""
        proof = json.loads(id_token)
        request = messages.logout_request(
            self._own,
            self._provider,
            f"_{new_secret()}",
            self._clock.now(),
            proof["name_id"],
            proof["index"],
        )
        return messages.signed_address(self._own, self._provider.log_out, "SAMLRequest", request, "")

    def asked_to_end(self, asked: Mapping[str, str]) -> tuple[messages.LogoutAsked, str]:
        """A verified request of the identity provider to end sessions, and where the browser takes our answer."""
        wanted = messages.read_logout(self._own, self._provider, asked, self._clock.now())
        response = messages.logout_response(
            self._own, self._provider, f"_{new_secret()}", self._clock.now(), wanted.request_id
        )
        relay_state = asked.get("RelayState", "")
        return wanted, messages.signed_address(
            self._own, self._provider.log_out, "SAMLResponse", response, relay_state
        )

    def _use_once(self, told: Asserted) -> None:
        """An assertion works once (SAML profiles 4.1.4.5); its id is remembered longer than it may be used."""
        if not told.assertion_id or not self._used.once(told.assertion_id, ""):
            raise NotAuthenticated("the assertion has been used before")


def ends_session(id_token: str, wanted: messages.LogoutAsked) -> bool:
    """Whether a session's proof is one that the identity provider wants to end."""
    try:
        proof = json.loads(id_token)
    except ValueError:
        return False
    if not isinstance(proof, dict) or proof.get("name_id") != wanted.name_id:
        return False
    return not wanted.session_indexes or proof.get("index") in wanted.session_indexes
