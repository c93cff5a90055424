"""Makes pages from templates: language, headers and what every page tells about the reader."""

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from samsyn import limits
from samsyn.endpoints.viewer.assets import Assets
from samsyn.endpoints.viewer.keys import has_keys
from samsyn.endpoints.viewer.language import Languages, Words, chosen
from samsyn.endpoints.viewer.secure import FORM_FIELD, PAGE_HEADERS, PAGE_POLICY

SEE_OTHER: Final = 303


class Pages:
    """The templates beside this module, filled in one language at a time."""

    def __init__(
        self,
        languages: Languages,
        assets: Assets,
        version: str,
        is_demo: bool,
        issuer: str = "",
        *,
        has_apps: bool = False,
    ) -> None:
        """`has_apps`: whether apps are registered at all, so that there is something to be let in."""
        self.languages = languages
        self.assets = assets
        self._headers = MappingProxyType(
            {**PAGE_HEADERS, "Content-Security-Policy": PAGE_POLICY.replace(*_form_targets(issuer))}
        )
        self._environment = Environment(
            loader=FileSystemLoader(Path(__file__).with_name("templates")),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._environment.globals.update(
            asset=assets.url,
            has_asset=assets.__contains__,
            version=version,
            is_demo=is_demo,
            has_apps=has_apps,
            form_field=FORM_FIELD,
            pulse_ms=int(limits.PULSE_S * 1000),
        )

    def words(self, request: Request) -> Words:
        """The words in the language that this browser has chosen."""
        return self.languages.words(chosen(request))

    def show(
        self,
        request: Request,
        template: str,
        values: Mapping[str, Any],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """The page; never cached, never framed. `values` overrides the defaults of a page without reader."""
        language = chosen(request)
        everything = {
            "words": self.languages.words(language),
            "language": language,
            "other_language": "en" if language == "sv" else "sv",
            "subject": None,
            "token": "",
            "patient": None,
            "handle": "",
            "base": "",
            "close_address": "",
            "pulse": "",
            "state": "",
            "shown": [],
            "more_note": "",
            "here": place(request),
            "has_keys": has_keys(request),
            "posted": request.method == "POST",
            "page": "message",
            **values,
        }
        html = self._environment.get_template(template).render(everything)
        return HTMLResponse(html, status, {**self._headers, **(headers or {})})


def _form_targets(issuer: str) -> tuple[str, str]:
    """Forms that log in or out are answered with a way to the identity provider, which the policy must allow."""
    place = urlsplit(issuer)
    mine = "form-action 'self'"
    return mine, f"{mine} {place.scheme}://{place.netloc}" if place.netloc else mine


def place(request: Request) -> str:
    """Where the page stands, with what it was asked for: another language, or a new log-in, leads back to the same."""
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def go_to(address: str) -> Response:
    """Sends the browser to another of our pages after a form."""
    return RedirectResponse(address, SEE_OTHER, dict(PAGE_HEADERS))
