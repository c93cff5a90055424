"""SMART beside the resources: what the server can, tokens, and launches that record systems announce.

The pages on which people let an app in belong to the viewer (endpoints/viewer/smart.py).
"""

import base64
import binascii
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samsyn import limits
from samsyn.access.authentication.smart.authority import SmartAuthority
from samsyn.access.authentication.smart.scopes import OFFLINE, ONLINE, OPENID
from samsyn.access.authentication.smart.signing import ALGORITHM, IdTokens
from samsyn.access.authentication.smart.words import Issued, Launch, OAuthRefusal
from samsyn.access.events import Event, entry
from samsyn.access.view import Gatekeeper
from samsyn.errors import NotAuthenticated, SamsynError
from samsyn.model.subject import Subject, SubjectKind

_NOT_KEPT: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_DISCOVERY_KEPT: Final = {"Cache-Control": "public, max-age=300"}
_SCOPES: Final = (
    "launch",
    "launch/patient",
    "patient/*.rs",
    "user/*.rs",
    "system/*.rs",
    "patient/*.read",
    "user/*.read",
    "system/*.read",
)


@dataclass(frozen=True, slots=True)
class SmartDependencies:
    """What this part of the door needs from the house."""

    authority: SmartAuthority
    gatekeeper: Gatekeeper
    identify: Callable[[Request], Subject]
    may_launch: Callable[[Subject], bool]


def smart_routes(needs: SmartDependencies) -> list[Route]:
    """The addresses."""
    door = _Door(needs)
    return [
        Route("/fhir/.well-known/smart-configuration", door.configuration, methods=["GET"]),
        Route("/smart/.well-known/openid-configuration", door.discovery, methods=["GET"]),
        Route("/smart/keys", door.keys, methods=["GET"]),
        Route("/smart/token", door.token, methods=["POST"]),
        Route("/smart/revoke", door.revoke, methods=["POST"]),
        Route("/smart/launches", door.launch, methods=["POST"]),
    ]


class _Door:
    def __init__(self, needs: SmartDependencies) -> None:
        self._needs = needs

    async def configuration(self, request: Request) -> Response:
        """SMART App Launch 2.2, section 6."""
        authority = self._needs.authority
        beside = authority.scopes
        told: dict[str, Any] = {
            "token_endpoint": authority.token_uri,
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                "private_key_jwt",
            ],
            "token_endpoint_auth_signing_alg_values_supported": ["RS384", "ES384"],
            "grant_types_supported": [
                "authorization_code",
                "client_credentials",
                *(["refresh_token"] if beside & {ONLINE, OFFLINE} else []),
            ],
            "authorization_endpoint": authority.authorize_uri,
            "revocation_endpoint": authority.token_uri.removesuffix("token") + "revoke",
            "scopes_supported": [*_SCOPES, *sorted(beside)],
            "response_types_supported": ["code"],
            "code_challenge_methods_supported": ["S256"],
            "capabilities": [
                "launch-ehr",
                "launch-standalone",
                "authorize-post",
                "client-public",
                "client-confidential-symmetric",
                "client-confidential-asymmetric",
                "context-ehr-patient",
                "context-ehr-encounter",
                "context-standalone-patient",
                "permission-patient",
                "permission-user",
                "permission-v1",
                "permission-v2",
                *(["permission-online"] if ONLINE in beside else []),
                *(["permission-offline"] if OFFLINE in beside else []),
                *(["sso-openid-connect"] if OPENID in beside else []),
            ],
        }
        if authority.id_tokens is not None:
            told |= {"issuer": authority.id_tokens.issuer, "jwks_uri": f"{authority.id_tokens.issuer}/keys"}
        return JSONResponse(told, headers=_DISCOVERY_KEPT)

    async def discovery(self, request: Request) -> Response:
        """OpenID Connect Discovery 1.0, section 3; 404 where no app is told who somebody is."""
        authority, signer = self._needs.authority, self._needs.authority.id_tokens
        if signer is None:
            return Response(status_code=404)
        told = {
            "issuer": signer.issuer,
            "authorization_endpoint": authority.authorize_uri,
            "token_endpoint": authority.token_uri,
            "jwks_uri": f"{signer.issuer}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": [ALGORITHM],
            "token_endpoint_auth_methods_supported": ["none", "client_secret_basic", "client_secret_post"],
            "code_challenge_methods_supported": ["S256"],
            "scopes_supported": sorted(authority.scopes),
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "nonce", "fhirUser"],
        }
        return JSONResponse(told, headers=_DISCOVERY_KEPT)

    async def keys(self, request: Request) -> Response:
        """The key that verifies ID tokens (RFC 7517)."""
        signer = self._needs.authority.id_tokens
        return JSONResponse(signer.keys() if signer is not None else {"keys": []}, headers=_DISCOVERY_KEPT)

    async def token(self, request: Request) -> Response:
        """RFC 6749 4.1.3, 4.4.2 and 6: a code with its verifier, a server's signed assertion, or a refresh token."""
        try:
            form = await _form(request)
            match form.get("grant_type"):
                case "authorization_code":
                    issued = self._needs.authority.redeem(form, _basic(request))
                case "refresh_token":
                    issued = self._needs.authority.refresh(form, _basic(request))
                case "client_credentials":
                    issued = self._needs.authority.backend(form)
                    granted = issued.grant
                    details = {"client": granted.client_id, "scope": granted.scope[:300]}
                    await self._needs.gatekeeper.record(
                        entry(granted.subject, Event.AUTHORIZE_APP, details=details)
                    )
                case _:
                    raise OAuthRefusal(
                        "unsupported_grant_type", "a code, a refresh token or an assertion is expected"
                    )
        except OAuthRefusal as refusal:
            await self._note(request, refusal)
            return _refused(refusal)
        return JSONResponse(_told(issued, self._needs.authority.id_tokens), headers=_NOT_KEPT)

    async def revoke(self, request: Request) -> Response:
        """RFC 7009: whoever has a token may end it."""
        try:
            form = await _form(request)
        except OAuthRefusal as refusal:
            return _refused(refusal)
        self._needs.authority.revoke(form.get("token", ""))
        return Response(status_code=200, headers=_NOT_KEPT)

    async def launch(self, request: Request) -> Response:
        """A known system says that it starts an app for a patient, for one of its provider's staff. The answer's
        `launch` goes to the app beside `iss`; it is used once."""
        try:
            subject = self._needs.identify(request)
            if subject.kind is not SubjectKind.SYSTEM or not self._needs.may_launch(subject):
                raise NotAuthenticated
            form = await _form(request)
        except OAuthRefusal as refusal:
            return _refused(refusal)
        except SamsynError:
            return Response(status_code=401, headers={**_NOT_KEPT, "WWW-Authenticate": "Bearer"})
        number, employee = form.get("number", "").strip(), form.get("employee", "").strip().upper()
        encounter = form.get("encounter", "").strip()
        if not number or not employee or any(len(each) > 64 for each in (number, employee, encounter)):
            return _refused(
                OAuthRefusal("invalid_request", "number and employee, each of at most 64 characters")
            )
        assert subject.assignment is not None
        launch = Launch(number, subject.assignment.provider_hsa_id, employee, encounter)
        told = {"launch": self._needs.authority.announce(launch), "iss": self._needs.authority.base}
        return JSONResponse(told, 201, _NOT_KEPT)

    async def _note(self, request: Request, refusal: OAuthRefusal) -> None:
        """A refused proof is in the audit journal like a refused log-in."""
        address = request.client.host if request.client else ""
        noted = NotAuthenticated(f"{refusal.error}: {refusal.description}")
        await self._needs.gatekeeper.refusals.record("smart", noted, address=address)


def _told(issued: Issued, id_tokens: IdTokens | None) -> dict[str, Any]:
    granted = issued.grant
    seconds = limits.SMART_TOKEN_S
    if granted.subject.kind is SubjectKind.SYSTEM:
        seconds = limits.BACKEND_TOKEN_S
    told: dict[str, Any] = {
        "access_token": issued.access,
        "token_type": "Bearer",
        "expires_in": seconds,
        "scope": granted.scope,
    }
    if granted.patient_handle:
        told |= {"patient": granted.patient_handle, "need_patient_banner": True}
    if granted.encounter:
        told["encounter"] = granted.encounter
    if issued.refresh:
        told["refresh_token"] = issued.refresh
    if id_tokens is not None and issued.is_first and OPENID in granted.words:
        told["id_token"] = id_tokens.token(granted, issued.nonce)
    return told


def _refused(refusal: OAuthRefusal) -> Response:
    headers = dict(_NOT_KEPT)
    if refusal.status == 401:
        headers["WWW-Authenticate"] = 'Basic realm="samsyn"'
    told = {"error": refusal.error, "error_description": refusal.description}
    return JSONResponse(told, refusal.status, headers)


async def _form(request: Request) -> dict[str, str]:
    """A form, each field once and all of at most limits.MAX_FHIR_FORM_BYTES."""
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise OAuthRefusal("invalid_request", "a form is expected")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > limits.MAX_FHIR_FORM_BYTES:
            raise OAuthRefusal("invalid_request", "MAX_FHIR_FORM_BYTES: the form is too large", 413)
    pairs = parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True)
    if len({name for name, _ in pairs}) != len(pairs):
        raise OAuthRefusal("invalid_request", "a field stands twice")
    return dict(pairs)


def _basic(request: Request) -> tuple[str, str] | None:
    """Client id and secret of an Authorization header (RFC 6749 2.3.1), None without one."""
    scheme, _, text = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, secret = base64.b64decode(text, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        name, colon, secret = "", "", ""
    if not colon:
        raise OAuthRefusal("invalid_client", "the Authorization header is no Basic one", 401)
    return unquote_plus(name), unquote_plus(secret)
