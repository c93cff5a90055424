"""`samsyn demo` as a process: the whole invented region, loaded by its own senders."""

import fcntl
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.scratch import ROOT, environment

FREE_PORTS = {f"SAMSYN_{door}_PORT": "0" for door in ("HTTP", "DICOM", "MLLP")}


@dataclass
class Region:
    """The address of the web, how long loading took, and what the demo said about it."""

    base: str
    loaded_after_s: float
    summary: str


@contextmanager
def _alone() -> Iterator[None]:
    """No other test process starts a region meanwhile: both would choose the same free port for the local PACS."""
    with (Path(tempfile.gettempdir()) / f"samsyn-tests-demo-{os.getuid()}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _loaded(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """Its address and what it says about having loaded."""
    assert process.stdout is not None
    base, summary, said = "", "", []
    for line in process.stdout:
        said.append(line)
        if "Samsyn is ready at " in line:
            base = line.split("Samsyn is ready at ")[1].split("/ ")[0]
        if "is loaded" in line:
            summary = line.strip()
        if "Log in at" in line:
            break
    assert base, "".join(said)
    assert summary, "".join(said)
    return base, summary


@contextmanager
def demo(folder: Path, settings: Mapping[str, str] | None = None) -> Iterator[Region]:
    """The region as `make demo` starts it, on free ports; ended cleanly, which is asserted. `settings`: variables of
    the environment that say otherwise than its settings file."""
    with _alone():
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "samsyn", "demo", "--data", str(folder)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env={**environment(), **FREE_PORTS, **(settings or {})},
            cwd=ROOT,
        )
        try:
            base, summary = _loaded(process)
            took = time.monotonic() - began
        except BaseException:
            process.kill()
            raise
    assert process.stdout is not None
    try:
        yield Region(base, took, summary)
        process.send_signal(signal.SIGTERM)
        assert process.wait(40) == 0
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(10)
        process.stdout.close()
