"""The relying party against a provider that lies, in every way that an id token can be wrong."""

import base64
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc import jwt
from joserfc.jwk import ECKey, KeySet, OctKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from samsyn import limits
from samsyn.access.authentication.claims import ClaimNames, PersonLoggedIn, subject_of
from samsyn.access.authentication.oidc import Registration, RelyingParty
from samsyn.errors import NotAuthenticated, OutOfResources
from samsyn.model.subject import Purpose, Right, Subject
from tests.access.house import HeldClock

ISSUER = "https://idp.example"
LOA3 = "http://id.sambi.se/loa/loa3"
BACK = "https://samsyn.example/login/callback"
STAFF: dict[str, Any] = {
    "employeeHsaId": "se9990000004-9001",
    "given_name": "Eva",
    "family_name": "Lindgren",
    "commissionHsaId": "SE9990000004-5001",
    "commissionName": "Läkare Linden",
    "commissionPurpose": "Vård och behandling",
    "commissionRight": ["Läsa;UND;SJF", "Skriva;alla;VE"],
    "healthCareUnitHsaId": "SE9990000004-1001",
    "healthCareUnitName": "Vårdcentralen Linden",
    "healthCareProviderHsaId": "SE9990000004-0001",
    "healthCareProviderName": "Vårdcentralen Linden",
}


class LyingProvider:
    """Answers discovery and keys truly unless told otherwise, and signs whatever the test wants."""

    def __init__(self, clock: HeldClock) -> None:
        self.clock = clock
        self.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
        self.nonce = ""
        self.token: Callable[[], str] = lambda: self.sign(self.claims())
        self.discovery: dict[str, Any] = {
            "issuer": ISSUER,
            "authorization_endpoint": f"{ISSUER}/authorize",
            "token_endpoint": f"{ISSUER}/token",
            "jwks_uri": f"{ISSUER}/keys",
        }
        self.answer: Response | None = None
        self.key_reads = 0

    def claims(self, **changes: Any) -> dict[str, Any]:
        now = int(self.clock.now().timestamp())
        claims = {
            "iss": ISSUER,
            "aud": "samsyn",
            "sub": "x",
            "iat": now,
            "exp": now + 300,
            "nonce": self.nonce,
        }
        claims |= {"acr": LOA3, **STAFF, **changes}
        return {name: value for name, value in claims.items() if value is not None}

    def sign(self, claims: dict[str, Any], key: Any = None, **header: Any) -> str:
        key = key or self.key
        return jwt.encode({"alg": "ES256", "kid": key.kid, **header}, claims, key)

    def application(self) -> Starlette:
        async def discovery(request: Request) -> Response:
            return self.answer or JSONResponse(self.discovery)

        async def keys(request: Request) -> Response:
            self.key_reads += 1
            return JSONResponse(KeySet([self.key]).as_dict(private=False))

        async def token(request: Request) -> Response:
            return JSONResponse({"id_token": self.token()})

        return Starlette(
            routes=[
                Route("/.well-known/openid-configuration", discovery),
                Route("/keys", keys),
                Route("/token", token, methods=["POST"]),
            ]
        )


@pytest.fixture
def provider() -> LyingProvider:
    return LyingProvider(HeldClock())


def party_of(provider: LyingProvider) -> RelyingParty:
    http = httpx.AsyncClient(transport=httpx.ASGITransport(provider.application()))
    return RelyingParty(Registration(ISSUER, "samsyn", BACK), http, provider.clock)


async def attempt(provider: LyingProvider, party: RelyingParty | None = None) -> Subject | PersonLoggedIn:
    party = party or party_of(provider)
    begun = await party.begin()
    asked = dict(parse_qsl(urlsplit(begun.address).query))
    provider.nonce = asked["nonce"]
    return (await party.finish(state=asked["state"], code="code", binding=begun.binding)).who


async def test_a_true_token_gives_the_employee_with_the_assignment_in_upper_case(
    provider: LyingProvider,
) -> None:
    who = await attempt(provider)
    assert isinstance(who, Subject)
    assert who.hsa_id == "SE9990000004-9001"
    assert who.assignment is not None
    assert who.assignment.purpose is Purpose.CARE
    assert who.assignment.rights == (Right("Läsa", "UND", "SJF"), Right("Skriva", "alla", "VE"))


def encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


LIES: dict[str, dict[str, Any]] = {
    "another issuer": {"iss": "https://evil.example"},
    "no issuer": {"iss": None},
    "another audience": {"aud": "other"},
    "no audience": {"aud": None},
    "several audiences without our party": {"aud": ["samsyn", "other"]},
    "several audiences, another party": {"aud": ["samsyn", "other"], "azp": "other"},
    "expired": {"exp": 1},
    "never expires": {"exp": None},
    "issued in the future": {"iat": 4_000_000_000},
    "not yet valid": {"nbf": 4_000_000_000},
    "no subject": {"sub": None},
    "no nonce": {"nonce": None},
    "another nonce": {"nonce": "x" * 43},
    "a nonce that is no text": {"nonce": 7},
    "weak log-in": {"acr": "http://id.sambi.se/loa/loa2"},
    "log-in of unknown strength": {"acr": None},
    "strength as a list": {"acr": [LOA3]},
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_token_that_lies_is_refused(provider: LyingProvider, lie: str) -> None:
    provider.token = lambda: provider.sign(provider.claims(**LIES[lie]))
    with pytest.raises(NotAuthenticated):
        await attempt(provider)


async def test_a_token_signed_by_others_or_by_nobody_is_refused(provider: LyingProvider) -> None:
    other = ECKey.generate_key("P-256", auto_kid=True)
    same_name = ECKey.import_key(other.as_dict(private=True) | {"kid": provider.key.kid})
    shared = OctKey.import_key(b"x" * 32)

    def signed_with_the_public_key() -> str:
        header = json.dumps({"alg": "HS256", "kid": provider.key.kid}).encode()
        body = provider.sign(provider.claims()).split(".")[1]
        signed = f"{encoded(header)}.{body}"
        mac = hmac.new(provider.key.as_pem(private=False), signed.encode(), hashlib.sha256).digest()
        return f"{signed}.{encoded(mac)}"

    def unsigned() -> str:
        _, body, _ = provider.sign(provider.claims()).split(".")
        return f"eyJhbGciOiJub25lIn0.{body}."

    def tampered() -> str:
        head, _, signature = provider.sign(provider.claims()).split(".")
        other_body = provider.sign(provider.claims(employeeHsaId="SE9990000001-9001")).split(".")[1]
        return f"{head}.{other_body}.{signature}"

    forgeries: list[Callable[[], str]] = [
        lambda: provider.sign(provider.claims(), other),
        lambda: provider.sign(provider.claims(), same_name),
        lambda: jwt.encode({"alg": "HS256"}, provider.claims(), shared),
        signed_with_the_public_key,
        lambda: provider.sign(provider.claims(), other, jwk=other.as_dict(private=False)),
        unsigned,
        tampered,
        lambda: "",
        lambda: "a.b.c",
        lambda: "x" * 100_000,
    ]
    for forge in forgeries:
        provider.token = forge
        with pytest.raises(NotAuthenticated):
            await attempt(provider)


async def test_changed_keys_are_fetched_anew_but_not_on_every_forgery(provider: LyingProvider) -> None:
    party = party_of(provider)
    await attempt(provider, party)
    provider.key = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    with pytest.raises(NotAuthenticated):
        await attempt(provider, party)
    provider.clock.move(31)
    await attempt(provider, party)
    reads = provider.key_reads
    provider.token = lambda: "a.b.c"
    for _ in range(5):
        with pytest.raises(NotAuthenticated):
            await attempt(provider, party)
    assert provider.key_reads <= reads + 1


@pytest.mark.parametrize(
    "change",
    [
        {"issuer": "https://evil.example"},
        {"token_endpoint": "http://idp.example/token"},
        {"token_endpoint": None},
        {"jwks_uri": "file:///etc/passwd"},
        {"authorization_endpoint": "javascript:alert(1)"},
        {"jwks_uri": 7},
    ],
)
async def test_discovery_that_names_others_or_unsafe_places_is_refused(
    provider: LyingProvider, change: dict[str, Any]
) -> None:
    provider.discovery |= change
    with pytest.raises((NotAuthenticated, OutOfResources)):
        await party_of(provider).begin()


@pytest.mark.parametrize("answer", [Response(status_code=503), Response("<html>"), JSONResponse([1])])
async def test_a_provider_that_does_not_answer_can_be_tried_again(
    provider: LyingProvider, answer: Response
) -> None:
    provider.answer = answer
    party = party_of(provider)
    with pytest.raises(OutOfResources) as trouble:
        await party.begin()
    assert trouble.value.may_retry
    provider.answer = None
    assert await attempt(provider, party)


@pytest.mark.parametrize(
    "change",
    [
        {"employeeHsaId": "", "personalIdentityNumber": ""},
        {"employeeHsaId": "not-an-hsa-id"},
        {"employeeHsaId": "SE9990000004-å"},
        {"employeeHsaId": ["SE9990000004-9001"]},
        {"commissionHsaId": ""},
        {"healthCareUnitHsaId": None},
        {"healthCareProviderHsaId": ""},
        {"commissionPurpose": ""},
        {"commissionPurpose": "Nyfikenhet"},
        {"commissionPurpose": "Direktåtkomst"},
        {"commissionRight": {"a": 1}},
        {"commissionRight": [1]},
        {"commissionRight": ["x" * 300]},
        {"given_name": "Eva\nLindgren"},
        {"given_name": "x" * 300},
    ],
)
def test_claims_that_are_incomplete_or_odd_give_nobody(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in (STAFF | change).items() if value is not None}
    with pytest.raises(NotAuthenticated):
        subject_of(claims, ClaimNames())


def test_malformed_rights_and_foreign_roles_give_nothing() -> None:
    who = subject_of(
        STAFF
        | {
            "commissionRight": ["Läsa", "Läsa;;SJF", "Läsa;alla;VE;x", " Läsa ; UND ; VG "],
            "systemRole": ["SAMSYN;steward", "OTHER;block-administrator", "SAMSYN;emperor", "steward"],
        },
        ClaimNames(),
    )
    assert isinstance(who, Subject)
    assert who.assignment is not None
    assert who.assignment.rights == (Right("Läsa", "UND", "VG"),)
    assert who.roles == {"steward"}


def test_a_single_right_may_come_as_a_text_and_none_gives_no_right() -> None:
    one = subject_of(STAFF | {"commissionRight": "Läsa;alla;VE"}, ClaimNames())
    none = subject_of({k: v for k, v in STAFF.items() if k != "commissionRight"}, ClaimNames())
    assert isinstance(one, Subject)
    assert isinstance(none, Subject)
    assert one.assignment is not None
    assert none.assignment is not None
    assert one.assignment.reading_scope() is not None
    assert none.assignment.reading_scope() is None


async def test_pending_log_ins_are_bounded(provider: LyingProvider, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_PENDING_LOGINS", 3)
    party = party_of(provider)
    started = time.monotonic()
    first = await party.begin()
    for _ in range(10):
        await party.begin()
    assert time.monotonic() - started < 5
    state = dict(parse_qsl(urlsplit(first.address).query))["state"]
    with pytest.raises(NotAuthenticated):
        await party.finish(state=state, code="code", binding=first.binding)


LOGOUT = "http://schemas.openid.net/event/backchannel-logout"


def logout_claims(provider: LyingProvider, **changes: Any) -> dict[str, Any]:
    now = int(provider.clock.now().timestamp())
    claims = {"iss": ISSUER, "aud": "samsyn", "iat": now, "jti": "1", "sid": "s-1", "events": {LOGOUT: {}}}
    return {name: value for name, value in (claims | changes).items() if value is not None}


async def test_a_logout_token_names_the_sessions_that_end(provider: LyingProvider) -> None:
    party = party_of(provider)
    mine = provider.sign(provider.claims(sid="s-1"))
    other = provider.sign(provider.claims(sid="s-2", sub="y"))
    is_named = await party.told_to_end(provider.sign(logout_claims(provider)))
    assert [is_named(each) for each in (mine, other, "", "no token", "a.b.c")] == [True] + [False] * 4
    by_person = await party.told_to_end(provider.sign(logout_claims(provider, sid=None, sub="x")))
    assert [by_person(each) for each in (mine, other)] == [True, False]


@pytest.mark.parametrize(
    "change",
    [
        {"iss": "https://evil.example"},
        {"aud": "other"},
        {"iat": None},
        {"iat": 1},
        {"iat": 4_000_000_000},
        {"events": None},
        {"events": {"other": {}}},
        {"events": [LOGOUT]},
        {"nonce": "x"},
        {"sid": None},
        {"sid": 7},
    ],
)
async def test_a_logout_token_that_lies_ends_nothing(provider: LyingProvider, change: dict[str, Any]) -> None:
    with pytest.raises(NotAuthenticated):
        await party_of(provider).told_to_end(provider.sign(logout_claims(provider, **change)))


async def test_an_id_token_and_a_token_of_others_are_no_logout_tokens(provider: LyingProvider) -> None:
    party = party_of(provider)
    stranger = ECKey.generate_key("P-256", {"use": "sig", "alg": "ES256"}, auto_kid=True)
    header, body = b'{"alg":"none"}', json.dumps(logout_claims(provider)).encode()
    unsigned = f"{encoded(header)}.{encoded(body)}."
    for token in (
        provider.sign(provider.claims()),
        provider.sign(logout_claims(provider), key=stranger),
        unsigned,
    ):
        with pytest.raises(NotAuthenticated):
            await party.told_to_end(token)


@pytest.mark.parametrize(
    "header", [{"crit": 1}, {"crit": ["b64"], "b64": False}, {"kid": []}, {"alg": []}, []]
)
async def test_a_logout_token_with_an_odd_header_is_refused_like_any_other(
    provider: LyingProvider, header: Any
) -> None:
    told = {"alg": "ES256", "kid": provider.key.kid, **header} if header else header
    parts = [base64.urlsafe_b64encode(json.dumps(each).encode()).rstrip(b"=") for each in (told, {})]
    with pytest.raises(NotAuthenticated):
        await party_of(provider).told_to_end(b".".join([*parts, b"c2ln"]).decode())
