"""Somebody who is logged in: the demo identity provider's pages filled in as a browser does."""

import re

import httpx


def logged_in(base: str, persona: str = "gp") -> httpx.Client:
    """A browser with a session at the address. RuntimeError: it was not let in."""
    browser = httpx.Client(follow_redirects=False, timeout=30, trust_env=False)
    chooser = _where(browser.get(f"{base}/login/start"))
    page = browser.get(chooser)
    form = {"request": _field(page.text, "request"), "persona": persona}
    choose = chooser.partition("/demo-idp/")[0] + "/demo-idp/choose"
    answer = browser.post(choose, data=form)
    if answer.status_code == 200:  # several assignments: the first one
        answer = browser.post(choose, data={**form, "assignment": _field(answer.text, "assignment")})
    _where(browser.get(_where(answer)))
    return browser


def is_in(browser: httpx.Client, base: str) -> bool:
    """Whether the address shows pages to this browser without a new log-in."""
    try:
        return browser.get(f"{base}/").status_code == 200
    except httpx.TransportError:
        return False


def _where(answer: httpx.Response) -> str:
    if answer.status_code not in (302, 303):
        raise RuntimeError(f"log-in answered {answer.status_code}")
    return answer.headers["location"]


def _field(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]+)"', html)
    if found is None:
        raise RuntimeError(f"a log-in page without {name}")
    return found[1]
