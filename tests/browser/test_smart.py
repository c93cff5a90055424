"""Letting a SMART app in, as a doctor meets it in a real browser."""

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import pytest

from tests.browser.browsing import a_browser
from tests.doors.instance import Instance, running
from tests.doors.world import STATES
from tests.fhir.receiver import Receiver, listening

pytestmark = [pytest.mark.browser, pytest.mark.slow]

VERIFIER = "v" * 64


@pytest.fixture(scope="module")
def app() -> Iterator[Receiver]:
    with listening() as made:
        yield made


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, app: Receiver) -> Iterator[Instance]:
    known = {"client_id": "app", "name": "Bildappen", "redirect_uri": [app.url]}
    with running(Path(tmp_path_factory.mktemp("smart")), changes={"app": [known]}) as instance:
        instance.plant(STATES[:1])
        yield instance


async def test_a_doctor_logs_in_names_the_patient_and_is_sent_back_to_the_app(
    made: Instance, app: Receiver
) -> None:
    base = made.server._base
    proof = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": app.url,
        "scope": "launch/patient patient/*.rs",
        "state": "s",
        "aud": f"{base}/fhir",
        "code_challenge": proof,
        "code_challenge_method": "S256",
    }
    async with a_browser(base) as seen:
        page = seen.page
        await page.goto(f"{base}/smart/authorize?{urlencode(asked)}")
        await page.click('a[href="/login/start"]')
        await page.click('button:has-text("Eva Lindgren")')
        await page.wait_for_selector("#number")
        assert "Släpp in Bildappen?" in await page.inner_text("h1")
        await seen.check("an app asks to be let in")
        await seen.picture("smart-app.png")
        await page.fill("#number", "ZQ001A")
        await page.click('button[value="allow"]')
        await page.wait_for_url(f"{app.url}?**")
        assert "code=" in page.url
        assert "state=s" in page.url


@pytest.mark.parametrize("size", ["desktop", "phone"])
async def test_a_doctor_ends_an_app_on_a_page(made: Instance, app: Receiver, size: str) -> None:
    base = made.server._base
    proof = base64.urlsafe_b64encode(hashlib.sha256(VERIFIER.encode()).digest()).rstrip(b"=").decode()
    asked = {
        "response_type": "code",
        "client_id": "app",
        "redirect_uri": app.url,
        "scope": "launch/patient patient/ImagingStudy.rs patient/DiagnosticReport.rs",
        "state": "s",
        "aud": f"{base}/fhir",
        "code_challenge": proof,
        "code_challenge_method": "S256",
    }
    async with a_browser(base, size) as seen:
        page = seen.page
        await seen.log_in("Eva Lindgren")
        await page.goto(f"{base}/smart/authorize?{urlencode(asked)}")
        await page.fill("#number", "ZQ001A")
        await page.click('button[value="allow"]')
        await page.wait_for_url(f"{app.url}?**")
        code = parse_qs(urlsplit(page.url).query)["code"][0]
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": app.url,
            "client_id": "app",
            "code_verifier": VERIFIER,
        }
        async with httpx.AsyncClient(trust_env=False) as client:
            issued = await client.post(f"{base}/smart/token", data=form)
        assert issued.status_code == 200
        seen.troubles.clear()
        seen.elsewhere.clear()
        await page.goto(base)
        await page.click("a:has-text('Appar')")
        await page.wait_for_selector("h2:has-text('Bildappen')")
        await seen.check("apps")
        await seen.picture(f"apps-{size}.png")
        await page.click("button:has-text('Avsluta')")
        await page.wait_for_selector("text=Appen är avslutad")
        assert await page.locator("h2:has-text('Bildappen')").count() == 0
        await seen.check("ended")
