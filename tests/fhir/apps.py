"""An app at the authorization server: what it asks, follows and redeems, over real HTTP."""

import base64
import hashlib
import re
import secrets
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
from joserfc.jwk import ECKey, RSAKey

from tests.doors.instance import Instance, Planted
from tests.fhir.structure import complaints
from tests.fhir.walk import Walker

BACK = "http://127.0.0.1:9/app/callback"
APP, SECRET_APP, BACKEND = "imaging-app", "server-app", "nord-reader"
SECRET = "a secret of the app's own server"
DOCTOR = "SE9990000004-9001"


@dataclass
class Stage:
    made: Instance
    persons: dict[str, Planted]
    keys: dict[str, Any]

    @property
    def base(self) -> str:
        return str(self.made.server._base)

    def number(self, person: str) -> str:
        return self.persons[person].there.patient_id

    def launch(self, person: str, token: str = "LINDENWEB", **more: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.made.tokens.get(token, token)}"}
        form = {"number": self.number(person), "employee": DOCTOR, **more}
        return httpx.post(f"{self.base}/smart/launches", data=form, headers=headers, trust_env=False)

    def fhir(self, token: str, path: str) -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return httpx.get(f"{self.base}/fhir{path}", headers=headers, trust_env=False, timeout=20)

    def found(self, token: str, path: str) -> list[dict[str, Any]]:
        answer = self.fhir(token, path)
        assert answer.status_code == 200, answer.text
        assert complaints(answer.json()) == []
        return [each["resource"] for each in answer.json().get("entry", ())]


def a_key(kind: str, name: str) -> Any:
    if kind == "EC":
        return ECKey.generate_key("P-384", {"kid": name, "use": "sig"})
    return RSAKey.generate_key(2048, {"kid": name, "use": "sig"})


class Flow:
    """One authorization from the app's side."""

    def __init__(self, stage: Stage, browser: httpx.Client, client_id: str = APP) -> None:
        self.stage, self.browser, self.client_id = stage, browser, client_id
        self.verifier = secrets.token_urlsafe(48)
        self.state = secrets.token_urlsafe(12)

    def authorize(self, scope: str, method: str = "GET", **changed: str) -> httpx.Response:
        proof = (
            base64.urlsafe_b64encode(hashlib.sha256(self.verifier.encode()).digest()).rstrip(b"=").decode()
        )
        sent = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": BACK,
            "scope": scope,
            "state": self.state,
            "aud": f"{self.stage.base}/fhir",
            "code_challenge": proof,
            "code_challenge_method": "S256",
            **changed,
        }
        sent = {key: value for key, value in sent.items() if value}
        place = f"{self.stage.base}/smart/authorize"
        if method == "POST":
            return self.browser.request("POST", place, data=sent, follow_redirects=False)
        return self.browser.get(place, params=sent, follow_redirects=False)

    def follow(self, answer: httpx.Response) -> httpx.Response:
        """On, until the browser would leave for the app, or a page is shown."""
        while answer.status_code == 303 and not answer.headers["location"].startswith(BACK):
            answer = self.browser.get(answer.headers["location"], follow_redirects=False)
        return answer

    def press(self, page: httpx.Response, **fields: str) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', page.text)
        action = re.search(r'action="(/smart/continue/[^"]+)"', page.text)
        assert token and action, page.text
        return self.browser.post(action[1], data={"form_token": token[1], "answer": "allow", **fields})

    def told(self, answer: httpx.Response) -> dict[str, str]:
        """What the app's address was given."""
        address = answer.headers.get("location") or answer.headers["refresh"].partition("url=")[2]
        assert address.startswith(BACK + "?")
        told = {key: value[0] for key, value in parse_qs(urlsplit(address).query).items()}
        assert told["state"] == self.state
        return told

    def redeem(
        self, code: str, status: int = 200, auth: tuple[str, str] | None = None, **changed: str
    ) -> Any:
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": BACK,
            "client_id": self.client_id,
            "code_verifier": self.verifier,
            **changed,
        }
        return self._token(form, status, auth)

    def refresh(
        self, token: str, status: int = 200, auth: tuple[str, str] | None = None, **changed: str
    ) -> Any:
        form = {"grant_type": "refresh_token", "refresh_token": token, "client_id": self.client_id, **changed}
        return self._token(form, status, auth)

    def _token(self, form: dict[str, str], status: int, auth: tuple[str, str] | None) -> Any:
        form = {key: value for key, value in form.items() if value}
        answer = httpx.post(f"{self.stage.base}/smart/token", data=form, auth=auth, trust_env=False)  # type: ignore[arg-type]
        assert answer.status_code == status, answer.text
        assert answer.headers["cache-control"] == "no-store"
        return answer.json()


def launched(
    stage: Stage, doctor: Walker, person: str, scope: str, client_id: str = APP, **more: str
) -> tuple[Flow, Any]:
    """An EHR launch to its token."""
    flow = Flow(stage, doctor.http, client_id)
    launch = stage.launch(person, **more).json()
    answer = flow.follow(flow.authorize(f"launch {scope}", launch=launch["launch"]))
    return flow, flow.redeem(flow.told(answer)["code"])
