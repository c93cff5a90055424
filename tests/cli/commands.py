"""Runs `samsyn` as an operator does, and settings files for it."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.scratch import ROOT, environment

PROVIDER = """
[[provider]]
hsa_id = "SE9990000001-0001"
name = "Nordsjukhuset"
local_issuer = "2.25.9990000001.1"
[[provider.unit]]
hsa_id = "SE9990000001-1001"
name = "Röntgen Å"
[[provider.dicom_peer]]
ae_title = "NORDPACS"
[[provider.hl7_source]]
application = "NORDRIS"
"""


def samsyn(*words: str | Path, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """One command to its end; it may take 60 s. `before`: a program that starts it."""
    command = [*before, sys.executable, "-m", "samsyn", *(str(word) for word in words)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment(), cwd=ROOT)


def settings_file(folder: Path, ports: tuple[int, int, int] = (0, 0, 0), data: str = "data") -> Path:
    """A file with one provider and the data folder inside `folder`."""
    file = folder / "samsyn.toml"
    doors = "".join(
        f"[{name}]\nport = {port}\n" for name, port in zip(("dicom", "http", "mllp"), ports, strict=True)
    )
    file.write_text(f'[data]\nfolder = "{folder / data}"\n{doors}{PROVIDER}')
    return file
