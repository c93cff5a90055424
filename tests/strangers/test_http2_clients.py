"""An HTTP/2 client of another make (curl with nghttp2) against a running server."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.scratch import Running
from tests.strangers.dicom_samples import samples

pytestmark = [
    pytest.mark.slow,
    pytest.mark.peer,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]


def curl(scratch: Running, *arguments: str) -> bytes:
    token = scratch.system_token("NORDWEB")
    command = ["curl", "-sS", "--http2-prior-knowledge", "-H", f"Authorization: Bearer {token}", *arguments]
    return subprocess.run(command, capture_output=True, check=True, timeout=60).stdout


def test_curl_stores_searches_and_reads_a_study(scratch: Running, tmp_path: Path) -> None:
    sample = samples(("CT_small.dcm",))[0]
    web = f"{scratch.http}/dicomweb"
    body = tmp_path / "body"
    body.write_bytes(
        b"--x\r\nContent-Type: application/dicom\r\n\r\n" + sample.path.read_bytes() + b"\r\n--x--\r\n"
    )
    kind = 'Content-Type: multipart/related; type="application/dicom"; boundary=x'
    told = curl(
        scratch,
        "-H",
        kind,
        "-H",
        "Accept: application/dicom+json",
        "--data-binary",
        f"@{body}",
        f"{web}/studies",
    )
    assert len(json.loads(told)["00081199"]["Value"]) == 1
    found = json.loads(curl(scratch, "-H", "Accept: application/dicom+json", f"{web}/studies"))
    study = found[0]["0020000D"]["Value"][0]
    version = curl(
        scratch, "-o", str(tmp_path / "study"), "-w", "%{http_version} %{http_code}", f"{web}/studies/{study}"
    )
    assert version == b"2 200"
    assert sample.data in (tmp_path / "study").read_bytes()
