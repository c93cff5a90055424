"""The diagnostic viewer (OHIF): its prebuilt files under /ohif/, its configuration, and the page around it.

OHIF asks our own /dicomweb with the session's cookie, so the same View stands behind it. Its policy is per kind
of file: the page runs no inline script but the two that its build has, and only the responses of scripts allow
`eval`, because a decoder's worker takes the policy of its own response and is built with it.
"""

import json
from types import MappingProxyType
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from samsyn.endpoints.viewer.assets import Assets
from samsyn.endpoints.viewer.language import chosen
from samsyn.endpoints.viewer.pages import go_to
from samsyn.endpoints.viewer.visits import Visit, Visits

_SCRIPT_POLICY: Final = (
    "default-src 'none'; script-src 'self' 'unsafe-eval' 'wasm-unsafe-eval' blob:; worker-src 'self' blob:; "
    "connect-src 'self' data: blob:"
)
_COMMON: Final = MappingProxyType(
    {
        "Referrer-Policy": "same-origin",
        "X-Frame-Options": "SAMEORIGIN",
        "Cross-Origin-Resource-Policy": "same-origin",
    }
)
PAGE: Final = "index.html"

CONFIGURATION: Final[dict[str, Any]] = {
    "routerBasename": "/ohif",
    "extensions": [],
    "modes": [],
    "showStudyList": False,
    "maxNumberOfWebWorkers": 3,
    "showWarningMessageForCrossOrigin": False,
    "showCPUFallbackMessage": True,
    "showLoadingIndicator": True,
    "strictZSpacingForVolumeViewport": True,
    "useSharedArrayBuffer": "FALSE",
    "investigationalUseDialog": {"option": "never"},
    "customizationService": [{"ohif.tours": {"$set": []}}],
    "defaultDataSourceName": "samsyn",
}
"""What OHIF is told; the tour is off because it covers the pictures, the study list because we are the list."""

_SOURCE: Final[dict[str, Any]] = {
    "friendlyName": "Samsyn",
    "name": "samsyn",
    "qidoSupportsIncludeField": False,
    "imageRendering": "wadors",
    "thumbnailRendering": "wadors",
    "enableStudyLazyLoad": True,
    "supportsFuzzyMatching": False,
    "supportsWildcard": False,
    "singlepart": "bulkdata,video,pdf",
    "omitQuotationForMultipartRequest": True,
    "bulkDataURI": {"enabled": True},
}

SWEDISH: Final[dict[str, dict[str, str]]] = {
    "StudyBrowser": {"Primary": "Aktuell", "Recent": "Tidigare", "All": "Alla", "Studies": "Undersökningar"},
    "Header": {"About": "Om", "Preferences": "Inställningar", "Back to Viewer": "Till bilderna"},
    "Buttons": {
        "Zoom": "Zooma",
        "Pan": "Flytta",
        "Length": "Längd",
        "Angle": "Vinkel",
        "Capture": "Spara bild",
        "Layout": "Layout",
        "Reset": "Återställ",
        "Reset View": "Återställ",
        "Rotate Right": "Rotera",
        "Flip Horizontal": "Spegla",
        "Invert": "Invertera",
        "Cine": "Film",
        "Magnify": "Förstora",
        "Window Level": "Fönster",
        "Stack Scroll": "Bläddra",
        "Bidirectional": "Två riktningar",
        "Annotation": "Anteckning",
        "Ellipse": "Ellips",
        "Rectangle": "Rektangel",
        "Measure tools": "Mätverktyg",
        "More tools": "Fler verktyg",
    },
    "SidePanel": {"Studies": "Undersökningar", "Measurements": "Mätningar", "Segmentation": "Segmentering"},
    "MeasurementTable": {"Measurements": "Mätningar", "No tracked measurements": "Inga mätningar"},
}
"""The words that a reader meets first; what is missing here OHIF shows in English."""


class DiagnosticViewer:
    """The addresses under /ohif/."""

    def __init__(self, visits: Visits, assets: Assets) -> None:
        self._visits = visits
        self._assets = assets
        hashes = ""
        if "csp.json" in assets:
            hashes = " ".join(json.loads(assets.path("csp.json").read_text(encoding="utf-8"))["script-src"])
        self._page_policy = (
            f"default-src 'none'; script-src 'self' 'wasm-unsafe-eval' {hashes}; "
            "style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; "
            "connect-src 'self' data: blob:; worker-src 'self' blob:; media-src 'self' blob:; "
            "object-src 'self' blob:; frame-src 'self' blob:; form-action 'none'; base-uri 'none'; "
            "frame-ancestors 'self'"
        )

    @property
    def is_installed(self) -> bool:
        """Whether OHIF's files came with this installation."""
        return PAGE in self._assets

    def routes(self) -> list[BaseRoute]:
        """The addresses of this part."""
        staff, anybody = self._visits.staff, self._visits.anybody
        return [
            Route("/ohif/app-config.js", staff(self.configuration), methods=["GET"]),
            Route("/ohif/", staff(self.away), methods=["GET"]),
            Route("/ohif", staff(self.away), methods=["GET"]),
            Route("/ohif/index.html", staff(self.away), methods=["GET"]),
            Route("/ohif/{mode}", self._file_or_page, methods=["GET", "HEAD"]),
            Route("/ohif/{name:path}", anybody(self.file), methods=["GET", "HEAD"]),
        ]

    async def configuration(self, visit: Visit) -> Response:
        """app-config.js: our DICOMweb with the session's own cookie, in the reader's language."""
        language = chosen(visit.request)
        told = json.dumps(CONFIGURATION)
        source = json.dumps(_SOURCE)
        locales = json.dumps({"sv-SE": SWEDISH} if language == "sv" else {}, ensure_ascii=False)
        script = (
            f"window.__ohifLocales = {locales};\n"
            f"try {{ localStorage.setItem('i18nextLng', {json.dumps('sv-SE' if language == 'sv' else 'en-US')}); }}"
            " catch (refused) { /* the language stays OHIF's own */ }\n"
            f"window.config = {told};\n"
            "const root = `${window.location.origin}/dicomweb`;\n"
            "window.config.dataSources = [{\n"
            "  namespace: '@ohif/extension-default.dataSourcesModule.dicomweb', sourceName: 'samsyn',\n"
            f"  configuration: {{ ...{source}, wadoUriRoot: root, qidoRoot: root, wadoRoot: root }},\n"
            "}];\n"
            "window.config.whiteLabeling = { createLogoComponentFn: (React) => React.createElement('span',"
            " { className: 'text-white text-lg px-3' }, 'Samsyn') };\n"
        )
        headers = {**_COMMON, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
        return Response(script, media_type="text/javascript", headers=headers)

    async def away(self, visit: Visit) -> Response:
        """OHIF's own start page lists studies; ours is the timeline."""
        return go_to("/")

    async def file(self, request: Request) -> Response:
        """One of OHIF's files."""
        name = request.path_params["name"]
        policy = _SCRIPT_POLICY if name.endswith(".js") else "default-src 'none'; style-src 'unsafe-inline'"
        return self._assets.response(request, name, {**_COMMON, "Content-Security-Policy": policy})

    async def _file_or_page(self, request: Request) -> Response:
        """A file in the folder's root, or one of OHIF's modes (viewer, microscopy …): then the page."""
        name = request.path_params["mode"]
        if name in self._assets:
            request.scope["path_params"]["name"] = name
            return await self._visits.anybody(self.file)(request)
        return await self._visits.staff(self._page)(request)

    async def _page(self, visit: Visit) -> Response:
        headers = {
            **_COMMON,
            "Content-Security-Policy": self._page_policy,
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return FileResponse(self._assets.path(PAGE), media_type="text/html; charset=utf-8", headers=headers)
