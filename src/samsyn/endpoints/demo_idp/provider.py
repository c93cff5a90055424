"""An OpenID provider as HTTP routes: discovery, keys, authorize, token, end of session.

Real in what it checks (registered redirect address, PKCE S256, single-use codes, signed id tokens) and unreal
in one thing only: whoever asks may be anybody on its list. So it answers on loopback only.
"""

import hmac
import ipaddress
import secrets
from collections.abc import Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Protocol
from urllib.parse import parse_qsl, urlencode, urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from samsyn import limits
from samsyn.access.authentication.claims import OUR_SYSTEM, ClaimNames
from samsyn.access.authentication.oidc import challenge
from samsyn.clock import Clock
from samsyn.endpoints.demo_idp.personas import Persona
from samsyn.endpoints.demo_idp.requests import Asked, Grant, Waiting
from samsyn.endpoints.demo_idp.texts import TEXTS, language_of
from samsyn.errors import ConfigurationError

LOA3: Final = "http://id.sambi.se/loa/loa3"
PATH: Final = "/demo-idp"
"""Where the provider lives; its issuer is the server's address followed by this."""
_TOKEN_SECONDS: Final = 300
_PAGE_HEADERS: Final = MappingProxyType(
    {
        "Cache-Control": "no-store",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
        "X-Frame-Options": "DENY",
    }
)


class _Endpoint(Protocol):
    async def __call__(self, request: Request, /) -> Response: ...


class DemoIdp:
    """The demo identity provider. `clients`: client id to its exact redirect and after-logout addresses.

    ConfigurationError: an issuer that is not on loopback.
    """

    def __init__(
        self, personas: Sequence[Persona], issuer: str, clients: Mapping[str, frozenset[str]], clock: Clock
    ) -> None:
        place = urlsplit(issuer)
        if place.scheme != "http" or not _is_loopback(place.hostname or "") or place.path != PATH:
            raise ConfigurationError("the demo identity provider runs on loopback only")
        self._personas = MappingProxyType({persona.key: persona for persona in personas})
        self._issuer = issuer
        self._clients = clients
        self._clock = clock
        self._key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        self._asked: Waiting[Asked] = Waiting(clock, limits.LOGIN_SECONDS)
        self._codes: Waiting[Grant] = Waiting(clock, limits.CODE_SECONDS)
        self._pages = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
        )

    def routes(self) -> list[Route]:
        """Every route, under PATH."""
        return [
            Route(f"{PATH}/.well-known/openid-configuration", _on_loopback(self._discovery)),
            Route(f"{PATH}/keys", _on_loopback(self._keys)),
            Route(f"{PATH}/authorize", _on_loopback(self._authorize)),
            Route(f"{PATH}/choose", _on_loopback(self._choose), methods=["POST"]),
            Route(f"{PATH}/token", _on_loopback(self._token), methods=["POST"]),
            Route(f"{PATH}/end", _on_loopback(self._end)),
        ]

    async def _discovery(self, request: Request) -> Response:
        """OpenID Connect Discovery 1.0, section 3."""
        return JSONResponse(
            {
                "issuer": self._issuer,
                "authorization_endpoint": f"{self._issuer}/authorize",
                "token_endpoint": f"{self._issuer}/token",
                "jwks_uri": f"{self._issuer}/keys",
                "end_session_endpoint": f"{self._issuer}/end",
                "response_types_supported": ["code"],
                "response_modes_supported": ["query"],
                "grant_types_supported": ["authorization_code"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["ES256"],
                "token_endpoint_auth_methods_supported": ["none"],
                "code_challenge_methods_supported": ["S256"],
                "scopes_supported": ["openid", "profile", "commission"],
                "acr_values_supported": [LOA3],
                "ui_locales_supported": ["sv", "en"],
                "authorization_response_iss_parameter_supported": True,
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _keys(self, request: Request) -> Response:
        keys = KeySet([self._key]).as_dict(private=False)
        return JSONResponse(keys, headers={"Cache-Control": "no-store"})

    async def _authorize(self, request: Request) -> Response:
        """OIDC Core 3.1.2. An unknown client or redirect address gets a page, never a redirect (RFC 6749 4.1.2.1)."""
        asked = request.query_params
        language = language_of(asked.get("ui_locales", ""), request.headers.get("accept-language", ""))
        redirect_uri = asked.get("redirect_uri", "")
        if redirect_uri not in self._clients.get(asked.get("client_id", ""), frozenset()):
            return self._page("refused.html", language, 400)
        fault = _fault(asked)
        if fault:
            return self._back(redirect_uri, {"error": fault, "state": asked.get("state", "")})
        request_id = self._asked.put(
            Asked(
                asked["client_id"],
                redirect_uri,
                asked.get("state", ""),
                asked.get("nonce", ""),
                asked["code_challenge"],
                language,
            )
        )
        everybody = self._personas.values()
        return self._page(
            "persona.html",
            language,
            request_id=request_id,
            staff=[persona for persona in everybody if not persona.number],
            patients=[persona for persona in everybody if persona.number],
        )

    async def _choose(self, request: Request) -> Response:
        """The choice of a persona and, where there are several, of an assignment."""
        form = await _form(request)
        request_id = form.get("request", "")
        asked = self._asked.look(request_id)
        persona = self._personas.get(form.get("persona", ""))
        if asked is None or persona is None:
            language = language_of("", request.headers.get("accept-language", ""))
            return self._page("refused.html", language, 400)
        assignment = _chosen_assignment(persona, form.get("assignment", ""))
        if assignment is None:
            return self._page("assignment.html", asked.language, request_id=request_id, persona=persona)
        self._asked.take(request_id)
        code = self._codes.put(Grant(asked, persona, assignment))
        return self._back(asked.redirect_uri, {"code": code, "state": asked.state, "iss": self._issuer})

    async def _token(self, request: Request) -> Response:
        """OIDC Core 3.1.3, with RFC 7636 4.6: the verifier must fit, and a code works once."""
        form = await _form(request)
        if form.get("grant_type") != "authorization_code":
            return _refusal("unsupported_grant_type")
        grant = self._codes.take(form.get("code", ""))
        if (
            grant is None
            or form.get("client_id") != grant.asked.client_id
            or form.get("redirect_uri") != grant.asked.redirect_uri
            or not _fits(form.get("code_verifier", ""), grant.asked.challenge)
        ):
            return _refusal("invalid_grant")
        return JSONResponse(
            {
                "access_token": secrets.token_urlsafe(32),
                "token_type": "Bearer",
                "expires_in": _TOKEN_SECONDS,
                "id_token": self._id_token(grant),
            },
            headers={"Cache-Control": "no-store"},
        )

    async def _end(self, request: Request) -> Response:
        """RP-initiated log-out: there is no session here to end, since every log-in chooses anew."""
        asked = request.query_params
        after = asked.get("post_logout_redirect_uri", "")
        if after and after in self._clients.get(asked.get("client_id", ""), frozenset()):
            return self._back(after, {"state": asked["state"]} if asked.get("state") else {})
        language = language_of(asked.get("ui_locales", ""), request.headers.get("accept-language", ""))
        return self._page("ended.html", language)

    def _id_token(self, grant: Grant) -> str:
        now = int(self._clock.now().timestamp())
        claims: dict[str, Any] = {
            "iss": self._issuer,
            "sub": secrets.token_hex(16),
            "aud": grant.asked.client_id,
            "iat": now,
            "exp": now + _TOKEN_SECONDS,
            "acr": LOA3,
            "amr": ["demo"],
            **_personal_claims(grant.persona, grant.assignment),
        }
        if grant.asked.nonce:
            claims["nonce"] = grant.asked.nonce
        return jwt.encode({"alg": "ES256", "kid": self._key.kid}, claims, self._key)

    def _back(self, address: str, answer: Mapping[str, str]) -> Response:
        """Sends the browser back to a registered address."""
        told = urlencode({name: value for name, value in answer.items() if value})
        return RedirectResponse(f"{address}?{told}" if told else address, 303, headers=dict(_PAGE_HEADERS))

    def _page(self, template: str, language: str, status: int = 200, /, **values: object) -> Response:
        html = self._pages.get_template(template).render(text=TEXTS[language], path=PATH, **values)
        origins = {f"{p.scheme}://{p.netloc}" for uris in self._clients.values() for p in map(urlsplit, uris)}
        policy = (
            "default-src 'none'; style-src 'self'; img-src 'self' data:; base-uri 'none'; "
            f"frame-ancestors 'none'; form-action 'self' {' '.join(sorted(origins))}"
        )
        return HTMLResponse(html, status, {**_PAGE_HEADERS, "Content-Security-Policy": policy})


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _on_loopback(endpoint: _Endpoint) -> _Endpoint:
    """Refuses whoever does not call from this machine."""

    @wraps(endpoint)
    async def guarded(request: Request) -> Response:
        if request.client is None or not _is_loopback(request.client.host):
            return Response(status_code=403)
        return await endpoint(request)

    return guarded


def _fault(asked: Mapping[str, str]) -> str:
    """What is wrong with an authorization request, in OAuth's words; "" when nothing is."""
    if asked.get("response_type") != "code":
        return "unsupported_response_type"
    if "openid" not in asked.get("scope", "").split():
        return "invalid_scope"
    if asked.get("code_challenge_method") != "S256" or not 43 <= len(asked.get("code_challenge", "")) <= 128:
        return "invalid_request"
    if asked.get("prompt") == "none":
        return "login_required"
    if asked.get("request") or asked.get("request_uri"):
        return "request_not_supported"
    return ""


def _chosen_assignment(persona: Persona, chosen: str) -> int | None:
    """The place of the chosen assignment; the only one when there is no choice; None when one must be made."""
    if persona.number:
        return -1
    if len(persona.assignments) == 1:
        return 0
    for place, assignment in enumerate(persona.assignments):
        if assignment.hsa_id == chosen:
            return place
    return None


def _fits(verifier: str, expected: str) -> bool:
    if not 43 <= len(verifier) <= 128 or not verifier.isascii():
        return False
    return hmac.compare_digest(challenge(verifier).encode(), expected.encode())


def _personal_claims(persona: Persona, place: int) -> dict[str, Any]:
    names = ClaimNames()
    claims: dict[str, Any] = {names.given_name: persona.given, names.family_name: persona.family}
    if place < 0:
        return claims | {names.person: persona.number}
    assignment = persona.assignments[place]
    return claims | {
        names.employee: persona.employee,
        names.commission: assignment.hsa_id,
        names.commission_name: assignment.name,
        names.purpose: assignment.purpose.value,
        names.rights: [f"{r.activity};{r.information};{r.scope}" for r in assignment.rights],
        names.unit: assignment.unit_hsa_id,
        names.unit_name: assignment.unit_name,
        names.provider: assignment.provider_hsa_id,
        names.provider_name: assignment.provider_name,
        names.protected: persona.protected,
        names.roles: [f"{OUR_SYSTEM};{role}" for role in sorted(persona.roles)],
    }


def _refusal(error: str) -> Response:
    return JSONResponse({"error": error}, 400, {"Cache-Control": "no-store"})


async def _form(request: Request) -> dict[str, str]:
    """The fields of a small form; an oversized or foreign body counts as empty."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > 16 * limits.KIB:
            return {}
    try:
        return dict(parse_qsl(body.decode("ascii"), max_num_fields=20, encoding="utf-8"))
    except ValueError:
        return {}
