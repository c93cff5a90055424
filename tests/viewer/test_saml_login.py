"""SAML log-in through the pages: the form from another site, the browser's own cookie, single log-out."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.applications import Starlette

from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.saml.agreement import saml_sides
from samsyn.access.authentication.saml.party import SamlParty
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.errors import ConfigurationError
from samsyn.model.subject import Subject
from samsyn.settings import LoginSettings
from tests.access.saml_provider import GP, IDP, OWN, PREFIX, Lie, SamlProvider, certificate_of, made_key
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import post, visible


class Region:
    """The pages with a SAML identity provider in place of the demo's, agreed on through the settings' files."""

    def __init__(self, house: House, folder: Path) -> None:
        self.house = house
        self.idp = SamlProvider(house.clock)
        key, files = made_key(), folder / "saml"
        files.mkdir()
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        (files / "key.pem").write_bytes(private)
        certificate = certificate_of(key, "samsyn")
        (files / "certificate.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
        (files / "idp.xml").write_bytes(self.idp.metadata())
        self.login = LoginSettings(
            provider="saml",
            metadata_file=files / "idp.xml",
            key_file=files / "key.pem",
            certificate_file=files / "certificate.pem",
            entity_id=OWN,
        )
        own, known = saml_sides(self.login, OWN)
        self.idp.own = own
        desk = LoginDesk(SamlParty(own, known, house.clock), house.sessions, house.gatekeeper, house._person)
        self.application = Starlette(routes=viewer_door(replace(house.deps, desk=desk)).routes)

    def browser(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            transport=httpx.ASGITransport(self.application), base_url=OWN, headers={"origin": OWN}
        )

    async def begin(self, browser: httpx.AsyncClient) -> tuple[str, str]:
        """The request id and relay state that the identity provider gets."""
        away = await browser.get("/login/start")
        assert away.headers["location"].startswith(f"{IDP}/sso?")
        return self.idp.asked(away.headers["location"])

    async def bring(self, request_id: str, state: str, lie: Lie | None = None) -> httpx.Response:
        """The identity provider's page sends its form: from its site, so without cookies."""
        async with self.browser() as bare:
            return await bare.post(
                "/login/saml/acs",
                data={"SAMLResponse": self.idp.response(request_id, lie or Lie()), "RelayState": state},
                headers={"origin": "https://idp.region.example", "sec-fetch-site": "cross-site"},
            )

    async def log_in(self, browser: httpx.AsyncClient) -> None:
        sent_on = await self.bring(*await self.begin(browser))
        done = await browser.get(sent_on.headers["location"])
        assert (done.status_code, done.headers["location"]) == (303, "/")


@pytest_asyncio.fixture
async def region(tmp_path: Path) -> AsyncIterator[Region]:
    async with a_house(tmp_path) as house:
        yield Region(house, tmp_path)


async def test_a_general_practitioner_logs_in_and_the_page_tells_the_assignment(region: Region) -> None:
    async with region.browser() as browser:
        await region.log_in(browser)
        assert "Eva Lindgren Vårdcentralen Linden · Vård och behandling" in visible(await browser.get("/"))
    assert [event for event, _ in await region.house.audited()] == ["LOGIN"]


async def test_the_response_is_worth_nothing_in_another_browser(region: Region) -> None:
    async with region.browser() as browser, region.browser() as thief:
        sent_on = await region.bring(*await region.begin(browser))
        await region.begin(thief)
        stolen = await thief.get(sent_on.headers["location"])
        assert stolen.status_code == 403
        assert "samsyn-session" not in thief.cookies
        assert (await browser.get(sent_on.headers["location"])).status_code == 403


async def test_a_lie_is_refused_with_a_calm_page_and_written_down(region: Region) -> None:
    async with region.browser() as browser:
        refused = await region.bring(*await region.begin(browser), Lie(level="http://id.sambi.se/loa/loa2"))
        assert refused.status_code == 403
        assert "Inloggningen gick inte igenom" in visible(refused)
    assert [event for event, _ in await region.house.audited()] == ["LOGIN_REFUSED"]


async def test_a_session_from_before_the_log_in_is_not_carried_over(region: Region) -> None:
    async with region.browser() as browser:
        browser.cookies.set("samsyn-session", "fixed-by-somebody-else", domain="samsyn.region.example")
        await region.log_in(browser)
        secrets = [cookie.value for cookie in browser.cookies.jar if cookie.name == "samsyn-session"]
        assert region.house.sessions.find("fixed-by-somebody-else") is None
        assert len([each for each in secrets if region.house.sessions.find(each or "")]) == 1


async def test_log_out_goes_to_the_identity_provider_and_a_change_of_assignment_asks_anew(
    region: Region,
) -> None:
    async with region.browser() as browser:
        await region.log_in(browser)
        page = await browser.get("/")
        assert IDP.removesuffix("/saml") in page.headers["content-security-policy"]
        change = await post(browser, page, "/assignment")
        assert change.headers["location"].startswith(f"{IDP}/sso?")
        away = await post(browser, page, "/logout")
        assert away.headers["location"].startswith(f"{IDP}/slo?SAMLRequest=")
        assert len(region.house.sessions) == 0
        back = await browser.get("/login/saml/logout", params={"SAMLResponse": "whatever"})
        assert back.headers["location"] == "/login?because=logged_out"


async def test_the_identity_provider_ends_the_session_wherever_it_is_open(region: Region) -> None:
    async with region.browser() as browser, region.browser() as elsewhere:
        await region.log_in(browser)
        forged = region.idp.logout()
        forged["Signature"] = "AAAA"
        assert (await elsewhere.get(f"/login/saml/logout?{urlencode(forged)}")).status_code == 403
        assert len(region.house.sessions) == 1
        done = await elsewhere.get(f"/login/saml/logout?{urlencode(region.idp.logout())}")
        assert done.headers["location"].startswith(f"{IDP}/slo?SAMLResponse=")
        assert len(region.house.sessions) == 0
        assert (await browser.get("/pulse")).status_code == 401
    assert [event for event, _ in await region.house.audited()] == ["LOGIN", "LOGIN_REFUSED", "LOGOUT"]


async def test_our_metadata_are_public_and_the_other_kind_of_log_in_is_closed(region: Region) -> None:
    async with region.browser() as browser:
        told = await browser.get("/login/saml/metadata")
        assert told.headers["content-type"] == "application/samlmetadata+xml"
        assert f'entityID="{OWN}"' in told.text
        assert (await browser.get("/login/callback?state=x&code=y")).status_code == 403
    async with region.house.client() as demo:
        assert (await demo.get("/login/saml/metadata")).status_code == 404
        assert (await demo.post("/login/saml/acs", data={"SAMLResponse": "x"})).status_code == 403


async def test_renamed_attributes_are_read_by_their_own_names(region: Region) -> None:
    renamed = region.login.model_copy(update={"claims": {"employee": "urn:region:hsa"}})
    own, known = saml_sides(renamed, OWN)
    region.idp.own = own
    party = SamlParty(own, known, region.house.clock)
    begun = await party.begin()
    request_id, state = region.idp.asked(begun.address)
    sent = region.idp.response(
        request_id,
        Lie(
            attributes={"hsa": GP["employeeHsaId"], **{k: v for k, v in GP.items() if k != "employeeHsaId"}},
            before_signing=lambda root: root.find(f".//*[@Name='{PREFIX}hsa']").set("Name", "urn:region:hsa"),
        ),
    )
    who = party.fetch(party.receive(sent, state), begun.binding).who
    assert isinstance(who, Subject)
    assert who.hsa_id == "SE9990000004-9001"


def test_settings_that_do_not_fit_stop_the_start(tmp_path: Path) -> None:
    key = made_key()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    other = certificate_of(made_key(), "other").public_bytes(Encoding.PEM)
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "other.pem").write_bytes(other)
    (tmp_path / "odd.pem").write_bytes(b"odd")
    for key_file, certificate_file in (("key", "other"), ("odd", "other"), ("key", "odd"), ("none", "other")):
        login = LoginSettings(
            provider="saml",
            metadata_file=tmp_path / "odd.pem",
            key_file=tmp_path / f"{key_file}.pem",
            certificate_file=tmp_path / f"{certificate_file}.pem",
        )
        with pytest.raises(ConfigurationError):
            saml_sides(login, OWN)
