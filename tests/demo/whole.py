"""`samsyn demo` as a process: the whole invented region, loaded by its own senders."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samsyn_demo.region import Ports
from tests.fhir.walk import Walker
from tests.ports import free_ports
from tests.scratch import ROOT, environment, start_with_config

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


@dataclass
class Copied:
    """A region of one's own, its folder, and what the demo said that loaded it."""

    base: str
    folder: Path
    loaded_after_s: float
    summary: str


@contextmanager
def served_copy(folders: pytest.TempPathFactory) -> Iterator[Copied]:
    """The region as `samsyn demo` has loaded it, served from a copy that nobody else changes; ended cleanly, which is
    asserted. Loading takes most of a minute, so a test run does it once, whichever of its processes comes first."""
    told = _once(folders)
    folder = folders.mktemp("region") / "demo"
    shutil.copytree(_shared(folders) / "demo", folder)
    config = folder / "samsyn.toml"
    before, after = Ports(), free_ports(3)
    text = config.read_text(encoding="utf-8").replace(str(_shared(folders) / "demo"), str(folder))
    for was, now in zip((before.http, before.dicom, before.mllp), after, strict=True):
        assert text.count(f"port = {was}\n") == 1
        text = text.replace(f"port = {was}\n", f"port = {now}\n")
    config.write_text(text, encoding="utf-8")
    running = start_with_config(config, folder / "serve.log", after[0])
    try:
        yield Copied(f"http://127.0.0.1:{after[0]}", folder, **told)
        assert running.stop() == 0
    finally:
        running.kill()
        shutil.rmtree(folder)


def _shared(folders: pytest.TempPathFactory) -> Path:
    """The folder of the loaded region, which all processes of this test run see."""
    base = folders.getbasetemp()
    return (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "loaded-region"


def _once(folders: pytest.TempPathFactory) -> dict[str, Any]:
    """Loads the region unless it is; others wait meanwhile. What the demo said."""
    shared = _shared(folders)
    shared.mkdir(exist_ok=True)
    said = shared / "said.json"
    with (shared / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not said.exists():
            with demo(shared / "demo") as running:
                walker = Walker(running.base)
                walker.log_in("gp")
                walker.close()
            told = {"loaded_after_s": running.loaded_after_s, "summary": running.summary}
            said.write_text(json.dumps(told), encoding="utf-8")
    return dict(json.loads(said.read_text(encoding="utf-8")))
