"""The browser's parts: pinned by content, patched exactly, never half in place."""

import base64
import gzip
import hashlib
import io
import json
import re
import tarfile
from pathlib import Path

import pytest

from tools import vendor
from tools.vendor import BuildError, Patch


def archive(tmp_path: Path, files: dict[str, bytes]) -> tuple[Path, str]:
    path = tmp_path / "part-1.0.0.tgz"
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            member = tarfile.TarInfo(f"package/{name}")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))
    return path, "sha512-" + base64.b64encode(hashlib.sha512(path.read_bytes()).digest()).decode()


def test_an_archive_with_the_pinned_content_is_read(tmp_path: Path) -> None:
    path, integrity = archive(tmp_path, {"dist/a.js": b"1", "LICENSE": b"MIT"})
    assert vendor.unpack(path, integrity) == {"dist/a.js": b"1", "LICENSE": b"MIT"}


def test_an_archive_with_other_content_is_refused(tmp_path: Path) -> None:
    path, integrity = archive(tmp_path, {"dist/a.js": b"1"})
    path.write_bytes(path.read_bytes() + b"\0")
    with pytest.raises(BuildError, match="pinned"):
        vendor.unpack(path, integrity)


@pytest.mark.parametrize("content", [b"none of it", b"/x /x"], ids=["never", "twice"])
def test_a_patch_that_is_not_found_as_often_as_it_says_ends_the_build(content: bytes) -> None:
    with pytest.raises(BuildError, match="expected 1"):
        vendor.apply((Patch("*.js", b"/x", b"/ohif/x", 1),), {"a.js": content})


def test_a_patch_touches_only_the_files_that_it_names() -> None:
    files = {"a.js": b"/x", "b.css": b"/x"}
    patched = vendor.apply((Patch("*.js", b"/x", b"/ohif/x", 1),), files)
    assert patched == {"a.js": b"/ohif/x", "b.css": b"/x"}


def test_dropped_files_are_left_out_and_the_rest_is_named_from_the_prefix() -> None:
    files = {"dist/a.js": b"", "dist/a.js.map": b"", "dist/ort/x.wasm": b"", "LICENSE": b""}
    assert list(vendor.take(files, "dist/", ("*.map", "ort/*"))) == ["a.js"]


def test_every_address_of_the_page_is_moved_below_the_base() -> None:
    page = (
        '<script>window.PUBLIC_URL="/"</script><link rel="manifest" href="/m"><script src="/app.js"></script>'
    )
    moved = vendor.rebase_index(page, dropped=(('<link rel="manifest"[^>]*>', 1),), public_urls=1)
    assert moved == '<script>window.PUBLIC_URL="/ohif/"</script><script src="/ohif/app.js"></script>'


def test_a_page_with_an_unexpected_tag_ends_the_build() -> None:
    with pytest.raises(BuildError, match="expected 1"):
        vendor.rebase_index('<link rel="x"><link rel="x">', dropped=(('<link rel="x">', 1),), public_urls=0)


def test_the_hashes_are_those_of_the_inline_scripts_only() -> None:
    hashes = vendor.script_hashes('<script>a()</script><script defer src="/b.js"></script>')
    assert hashes == [f"'sha256-{base64.b64encode(hashlib.sha256(b'a()').digest()).decode()}'"]


def test_the_compressed_siblings_hold_the_same_bytes() -> None:
    from imagecodecs import brotli_decode

    content = b"console.log(1);\n" * 200
    siblings = vendor.compressed("a.js", content)
    assert gzip.decompress(siblings["a.js.gz"]) == content
    assert bytes(brotli_decode(siblings["a.js.br"])) == content


@pytest.mark.parametrize("path", ["a.png", "a.woff2"])
def test_what_is_compressed_by_nature_has_no_siblings(path: str) -> None:
    assert list(vendor.compressed(path, b"x" * 4096)) == [path]


@pytest.mark.skipif(not vendor.is_current(), reason="the browser parts are not built (make setup)")
def test_the_built_viewer_names_nothing_outside_its_base_and_no_inline_script_without_hash() -> None:
    page = (vendor.VENDOR / "ohif" / "index.html").read_text()
    assert not [name for name in re.findall(r'(?:href|src)="([^"]+)"', page) if not name.startswith("/ohif/")]
    policy = json.loads((vendor.VENDOR / "ohif" / "csp.json").read_text())
    assert policy["script-src"] == vendor.script_hashes(page)
    assert not list(vendor.VENDOR.rglob("sw.js")) and not list(vendor.VENDOR.rglob("*.map"))
