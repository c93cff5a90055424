"""How people log in, as the settings tell it: the relying party or the SAML party, ready to begin."""

import httpx

from samsyn.access.authentication.claims import ClaimNames, renamed
from samsyn.access.authentication.oidc import Registration, RelyingParty
from samsyn.access.authentication.saml.agreement import saml_sides
from samsyn.access.authentication.saml.party import SamlParty
from samsyn.access.waiting import WaitingRooms
from samsyn.clock import Clock
from samsyn.settings import LoginSettings


def sign_on(
    login: LoginSettings,
    address: str,
    demo_issuer: str,
    http: httpx.AsyncClient,
    clock: Clock,
    rooms: WaitingRooms,
    assignments_elsewhere: bool = False,
) -> RelyingParty | SamlParty:
    """`address` is where browsers find us, `rooms` where log-ins under way wait.

    ConfigurationError, OSError: files that can not be used.
    """
    if login.provider == "saml":
        return SamlParty(*saml_sides(login, address, assignments_elsewhere), clock, rooms)
    secret = ""
    if login.client_secret_file is not None:
        secret = login.client_secret_file.read_text(encoding="utf-8").strip()
    registration = Registration(
        issuer=login.issuer if login.provider == "oidc" else demo_issuer,
        client_id=login.client_id,
        redirect_uri=f"{address}/login/callback",
        client_secret=secret,
        after_logout_uri=f"{address}/login",
        assurance=frozenset({login.assurance}),
        claims=renamed(ClaimNames(), login.claims),
        assignments_elsewhere=assignments_elsewhere,
    )
    return RelyingParty(registration, http, clock, rooms)
