"""Static files: found once at start, served with the right type, compressed sibling and caching.

Only files that lay in the folder at start have an address, so no address can reach another place on the disk.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from starlette.requests import Request
from starlette.responses import FileResponse, Response

from samsyn.errors import NotFound

MEDIA_TYPES: Final = MappingProxyType(
    {
        ".css": "text/css; charset=utf-8",
        ".html": "text/html; charset=utf-8",
        ".ico": "image/x-icon",
        ".jpg": "image/jpeg",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".png": "image/png",
        ".svg": "image/svg+xml",
        ".ttf": "font/ttf",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        ".woff": "font/woff",
        ".woff2": "font/woff2",
    }
)
"""What is served, by suffix; other files have no address."""

FOR_EVER: Final = "public, max-age=31536000, immutable"
"""For addresses that carry the hash of their content."""
ASK_AGAIN: Final = "public, max-age=0, must-revalidate"
"""For addresses without hash: the browser keeps the file and asks with its ETag."""

_SIBLINGS: Final = (("br", ".br"), ("gzip", ".gz"))


@dataclass(frozen=True, slots=True)
class Asset:
    """One file with its hash (16 hexadecimal digits of SHA-256) and its compressed siblings."""

    path: Path
    media_type: str
    mark: str
    siblings: tuple[tuple[str, Path], ...]


class Assets:
    """Files below one folder, addressed as `prefix` + path; `url` adds the content's hash."""

    def __init__(self, folder: Path, prefix: str, without: tuple[str, ...] = ()) -> None:
        self._prefix = prefix
        self._files = MappingProxyType(
            {
                name: asset
                for path in sorted(folder.rglob("*"))
                if (asset := _asset(path)) is not None
                and not (name := path.relative_to(folder).as_posix()).startswith(without)
            }
            if folder.is_dir()
            else {}
        )

    def __contains__(self, name: str) -> bool:
        """Whether there is such a file."""
        return name in self._files

    def url(self, name: str) -> str:
        """The address with the content's hash, to be cached for ever. NotFound: no such file."""
        return f"{self._prefix}{name}?v={self._asset(name).mark}"

    def path(self, name: str) -> Path:
        """Where the file lies."""
        return self._asset(name).path

    def response(self, request: Request, name: str, headers: dict[str, str]) -> Response:
        """The file, or 304 when the browser has it; NotFound when there is none."""
        asset = self._asset(name)
        known = request.query_params.get("v") == asset.mark
        all_headers = {
            **headers,
            "Cache-Control": FOR_EVER if known else ASK_AGAIN,
            "ETag": f'"{asset.mark}"',
            "Vary": "Accept-Encoding",
            "X-Content-Type-Options": "nosniff",
        }
        if request.headers.get("if-none-match") == all_headers["ETag"]:
            return Response(status_code=304, headers=all_headers)
        path = asset.path
        accepted = request.headers.get("accept-encoding", "")
        for coding, sibling in asset.siblings:
            if coding in accepted:
                path, all_headers["Content-Encoding"] = sibling, coding
                break
        return FileResponse(path, media_type=asset.media_type, headers=all_headers)

    def _asset(self, name: str) -> Asset:
        asset = self._files.get(name)
        if asset is None:
            raise NotFound
        return asset


def _asset(path: Path) -> Asset | None:
    media_type = MEDIA_TYPES.get(path.suffix)
    if media_type is None or not path.is_file():
        return None
    siblings = tuple(
        (coding, sibling)
        for coding, suffix in _SIBLINGS
        if (sibling := path.with_name(path.name + suffix)).is_file()
    )
    return Asset(path, media_type, hashlib.sha256(path.read_bytes()).hexdigest()[:16], siblings)
