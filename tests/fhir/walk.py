"""A person at the web of the region: logs in, opens people's records as far as the law lets him, and reads FHIR."""

import re
from typing import Any

import httpx

from samsyn_demo.people import Person


class Walker:
    """One logged-in browser without a screen."""

    def __init__(self, base: str) -> None:
        headers = {"origin": base, "sec-fetch-site": "same-origin"}
        self.http = httpx.Client(
            base_url=base, headers=headers, follow_redirects=True, timeout=60, trust_env=False
        )
        self.page = ""

    def log_in(self, persona: str) -> None:
        """As one of the demo's people, with the first assignment."""
        page = self.http.get("/login/start").text
        hidden = re.search(r'name="request" value="([^"]+)"', page)
        assert hidden
        form = {"request": hidden[1], "persona": persona}
        answer = self.http.post("/demo-idp/choose", data=form)
        chosen = re.search(r'name="assignment"[^>]*value="([^"]+)"', answer.text)
        if chosen:
            answer = self.http.post("/demo-idp/choose", data={**form, "assignment": chosen[1]})
        assert answer.status_code == 200, answer.text
        self.page = answer.text

    def _post(self, path: str, **fields: Any) -> httpx.Response:
        token = re.search(r'name="form_token" value="([^"]+)"', self.page)
        assert token
        answer = self.http.post(path, data={"form_token": token[1], **fields})
        assert answer.status_code == 200, (path, answer.status_code)
        self.page = answer.text
        return answer

    def open(self, person: Person) -> None:
        """Finds the person, attests the relation, registers a consent, and chooses all units and providers."""
        self.open_known(person.number)

    def open_known(self, number: str) -> None:
        """The same for a number."""
        self._post("/find", number=number)
        ticket = re.search(r'name="person" value="([^"]+)"', self.page)
        assert ticket, number
        answer = self._post("/open", person=ticket[1])
        if answer.url.path.endswith("/relation"):
            answer = self._post(answer.url.path, duration="today")
        base = answer.url.path.rstrip("/")
        for step in ("units", "providers"):
            if f"{base}/ground/consent" in self.page and step == "providers":
                ground = self.http.get(f"{base}/ground/consent").text
                times = dict(re.findall(r'id="(starts|ends)" .*?value="([^"]*)"', ground))
                self._post(f"{base}/ground/consent", scope="unit", channel="visit", attest="yes", **times)
            if f"{base}/reveal/{step}" in self.page:
                self._post(f"{base}/reveal/{step}")
            if f"{base}/reveal/choose-{step}" in self.page:
                form = self.page.partition(f"{base}/reveal/choose-{step}")[2].partition("</form>")[0]
                chosen = re.findall(r'name="chosen" value="([^"]+)"', form)
                self._post(f"{base}/reveal/choose-{step}", chosen=chosen)

    def close(self) -> None:
        """The browser is shut."""
        self.http.close()
