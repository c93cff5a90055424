"""Brings the browser's parts into the package: Designsystemet's CSS, htmx and a slim, re-based OHIF.

The parts are published packages, pinned by version and content hash in `web_packages.json` and fetched with the
npm client. Nothing of them is installed or run: the archives are only read. OHIF is made for the root of a site
and brings much that is never used here; it is cut down, moved under `/ohif/` by a table of exact text patches and
compressed beforehand. Every patch must be found exactly as often as the table says, otherwise the build ends: a
new version of OHIF is looked at by a person before it is served.

Result: `src/samsyn/static/vendor/{designsystemet,htmx,ohif}` and, for tests only, `build/test-assets`.
`ohif/csp.json` holds the hashes that a strict Content-Security-Policy of `index.html` needs.
"""

import base64
import gzip
import hashlib
import json
import re
import shutil
import subprocess
import sys
import tarfile
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGES: Final = Path(__file__).with_name("web_packages.json")
ARCHIVES: Final = ROOT / "build" / "npm"
VENDOR: Final = ROOT / "src" / "samsyn" / "static" / "vendor"
TEST_ASSETS: Final = ROOT / "build" / "test-assets"
BASE: Final = "/ohif/"
COMPRESSED: Final = (".js", ".css", ".wasm", ".html", ".svg", ".json")
SMALLEST_COMPRESSED_BYTES: Final = 1024

Files = dict[str, bytes]


class BuildError(Exception):
    """A package is not what this build was made for; nothing is put in place."""


@dataclass(frozen=True, slots=True)
class Patch:
    """One exact replacement in every file whose name matches; `times` counts over all of them."""

    files: str
    found: bytes
    replaced: bytes
    times: int


OHIF_DROPPED: Final = (
    "ort/*",  # 136 MB of neural-network runtime for segmentation
    "customizations/*",
    "*.map",
    "sw.js",  # the service worker names foreign hosts
    "init-service-worker.js",
    "google.js",
    "silent-refresh.html",
    "oidc-client.min.js",
    "es6-shim.min.js",
    "polyfill.min.js",
    "app-config.js",  # served by the viewer, made for the session
    "manifest.json",
    "serve.json",
    "_headers",
    "_redirects",
    "assets/android-chrome-*",
    "assets/apple-touch-*",
    "assets/browserconfig.xml",
    "assets/coast-*",
    "assets/firefox_app_*",
    "assets/manifest.webapp",
    "assets/mstile-*",
    "assets/yandex-*",
)

OHIF_PATCHES: Final = (
    Patch("*.js", b'__webpack_require__.p = "/"', b'__webpack_require__.p = "/ohif/"', 8),
    Patch(
        "app.bundle.*.js",
        b"'/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js'",
        b"'/ohif/dicom-microscopy-viewer/dicomMicroscopyViewer.min.js'",
        1,
    ),
    # No Swedish among its languages: the viewer's configuration supplies it.
    Patch("app.bundle.*.js", b"  ...test_LNG\n});", b"  ...(window.__ohifLocales || {})\n});", 1),
    Patch("*.css", b"url(/", b"url(/ohif/", 5),
)

# Tags that name dropped files, with how many of each the page of the pinned version has.
INDEX_DROPPED_TAGS: Final = (
    (r'<link rel="apple-touch-[^>]*>', 21),
    (r'<link rel="manifest"[^>]*>', 1),
    (r'<link rel="yandex-[^>]*>', 1),
    (r'<link rel="icon" type="image/png" sizes="228x228"[^>]*>', 1),
    (r'<meta name="msapplication-[^>]*>', 3),
    (r'<script [^>]*src="/init-service-worker.js"></script>', 1),
)


def unpack(archive: Path, integrity: str) -> Files:
    """The files of an npm archive by their path inside the package.

    Raises BuildError when the archive's SHA-512 is not the pinned one.
    """
    digest = hashlib.sha512(archive.read_bytes()).digest()
    if f"sha512-{base64.b64encode(digest).decode()}" != integrity:
        raise BuildError(f"{archive.name} does not have the pinned content")
    files: Files = {}
    with tarfile.open(archive, "r:gz") as tar:
        for member in tar:
            content = tar.extractfile(member) if member.isfile() else None
            if content is not None:
                files[member.name.partition("/")[2]] = content.read()
    return files


def fetch(name: str, version: str, integrity: str) -> Files:
    """The files of one published package; kept under build/, so that a second build needs no network."""
    ARCHIVES.mkdir(parents=True, exist_ok=True)
    archive = ARCHIVES / f"{name.removeprefix('@').replace('/', '-')}-{version}.tgz"
    if not archive.exists():
        npm = shutil.which("npm")
        if npm is None:
            raise BuildError("npm is not installed (Debian package npm)")
        done = subprocess.run(
            [
                npm,
                "pack",
                "--silent",
                "--ignore-scripts",
                "--pack-destination",
                str(ARCHIVES),
                f"{name}@{version}",
            ],
            capture_output=True,
            text=True,
            timeout=300,
            cwd=ARCHIVES,
        )
        if done.returncode:
            raise BuildError(f"{name}@{version} could not be fetched:\n{done.stderr[-2000:]}")
    try:
        return unpack(archive, integrity)
    except (BuildError, tarfile.TarError):
        archive.unlink()
        raise


def take(files: Files, prefix: str, dropped: tuple[str, ...] = ()) -> Files:
    """The files below `prefix`, named from there, without those that match a dropped pattern."""
    below = {path.removeprefix(prefix): content for path, content in files.items() if path.startswith(prefix)}
    return {path: content for path, content in below.items() if not any(fnmatch(path, p) for p in dropped)}


def apply(patches: tuple[Patch, ...], files: Files) -> Files:
    """The files with every patch applied; BuildError when one is found more or less often than it says."""
    result = dict(files)
    for patch in patches:
        times = 0
        for path, content in result.items():
            if fnmatch(path, patch.files) and patch.found in content:
                times += content.count(patch.found)
                result[path] = content.replace(patch.found, patch.replaced)
        if times != patch.times:
            raise BuildError(f"{patch.found!r} stands {times} times in {patch.files}, expected {patch.times}")
    return result


def rebase_index(
    page: str, dropped: tuple[tuple[str, int], ...] = INDEX_DROPPED_TAGS, public_urls: int = 2
) -> str:
    """OHIF's page without the tags of dropped files and with every address below BASE."""
    for pattern, expected in dropped:
        page, times = re.subn(pattern, "", page)
        if times != expected:
            raise BuildError(f"{pattern} stands {times} times in index.html, expected {expected}")
    if page.count('PUBLIC_URL="/"') != public_urls:
        raise BuildError("index.html tells its base address in another way than expected")
    page = page.replace('PUBLIC_URL="/"', f'PUBLIC_URL="{BASE}"')
    return re.sub(r'(href|src)="/', rf'\1="{BASE}', page)


def script_hashes(page: str) -> list[str]:
    """CSP source expressions for the inline scripts of a page (CSP level 3, 2.3.1)."""
    scripts = re.findall(r"<script(?![^>]*\bsrc=)[^>]*>(.*?)</script>", page, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


def slim_ohif(files: Files) -> Files:
    """OHIF as it is served: slim, below BASE, with `csp.json` beside its page."""
    slim = apply(OHIF_PATCHES, take(files, "dist/", OHIF_DROPPED))
    page = rebase_index(slim["index.html"].decode())
    slim["index.html"] = page.encode()
    slim["csp.json"] = json.dumps({"script-src": script_hashes(page)}, indent=1).encode()
    slim["LICENSE"] = files["LICENSE"]
    missing = [name for name in re.findall(rf'(?:href|src)="{BASE}([^"]+)"', page) if name not in slim]
    if missing != ["app-config.js"]:
        raise BuildError(f"index.html asks for files that are not there: {missing}")
    return slim


def compressed(path: str, content: bytes) -> Files:
    """The file and its smaller siblings: `.gz`, and `.br` where the Brotli codec is at hand."""
    siblings = {path: content}
    if Path(path).suffix not in COMPRESSED or len(content) < SMALLEST_COMPRESSED_BYTES:
        return siblings
    siblings[f"{path}.gz"] = gzip.compress(content, 9, mtime=0)
    try:
        from imagecodecs import brotli_encode
    except ImportError:
        return siblings
    # Level 9 takes two seconds for the largest file; 11 would win another tenth and take a minute.
    siblings[f"{path}.br"] = bytes(brotli_encode(content, level=9))
    return siblings


def write(folder: Path, files: Files) -> int:
    """Writes the files with their compressed siblings into a new folder and returns its size in bytes."""
    size = 0
    with ThreadPoolExecutor() as pool:
        for siblings in pool.map(compressed, files.keys(), files.values()):
            for path, content in siblings.items():
                target = folder / path
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(content)
                size += len(content)
    return size


def build(packages: Mapping[str, Mapping[str, str]]) -> None:
    """Fetches, patches and puts everything in place; what was there before is replaced as a whole."""
    parts: dict[str, Files] = {}
    for name, pin in packages.items():
        print(f"  {name} {pin['version']}", flush=True)
        files = fetch(name, pin["version"], pin["integrity"])
        match name:
            case "@ohif/app":
                parts["ohif"] = slim_ohif(files)
            case "@digdir/designsystemet-css":
                parts["designsystemet"] = {
                    "index.css": files["dist/src/index.css"],
                    "theme.css": files["dist/theme/designsystemet.css"],
                    "LICENSE": files["LICENSE"],
                }
            case "htmx.org":
                parts["htmx"] = {"htmx.min.js": files["dist/htmx.min.js"], "LICENSE": files["LICENSE"]}
            case "axe-core":
                TEST_ASSETS.mkdir(parents=True, exist_ok=True)
                (TEST_ASSETS / "axe.min.js").write_bytes(files["axe.min.js"])
            case "fhir":
                for path, content in files.items():
                    place = TEST_ASSETS / "fhir" / path
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.write_bytes(content)
            case _:
                raise BuildError(f"{name} has no place in the package")
    new = VENDOR.with_name("vendor.new")
    shutil.rmtree(new, ignore_errors=True)
    for part, files in parts.items():
        size = write(new / part, files)
        print(f"  {part}: {len(files)} files, {size / 1e6:.1f} MB with compressed copies", flush=True)
    (new / "stamp").write_text(stamp())
    shutil.rmtree(VENDOR, ignore_errors=True)
    new.rename(VENDOR)


def stamp() -> str:
    """Changes whenever the pinned packages or this program change."""
    return hashlib.sha256(PACKAGES.read_bytes() + Path(__file__).read_bytes()).hexdigest()


def is_current() -> bool:
    """Whether what lies in place was made by this program from the pinned packages."""
    made = VENDOR / "stamp"
    assets = (TEST_ASSETS / "axe.min.js", TEST_ASSETS / "fhir" / "index.js")
    return made.exists() and made.read_text() == stamp() and all(each.exists() for each in assets)


def main() -> int:
    """Builds unless everything is in place already."""
    if is_current():
        return 0
    begun = time.monotonic()
    print("Browser parts (designsystemet, htmx, OHIF):", flush=True)
    try:
        build(json.loads(PACKAGES.read_text()))
    except BuildError as error:
        print(f"The browser parts could not be built: {error}", file=sys.stderr)
        return 1
    print(f"  done in {time.monotonic() - begun:.0f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
