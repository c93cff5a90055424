"""Starts `samsyn serve --scratch` (or with a data folder) as its own process for tests, and ends it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.indexes import ON_POSTGRESQL, shared_server

ROOT = Path(__file__).resolve().parent.parent
READY_WITHIN_S = 120
"""Time to start, on a machine that has much else to do."""


@dataclass
class Running:
    """A server process and what it printed about itself."""

    process: "subprocess.Popen[str]"
    log: Path
    about: dict[str, Any] = field(default_factory=dict)

    @property
    def http(self) -> str:
        return str(self.about["http"])

    @property
    def dicom_port(self) -> int:
        return int(self.about["dicom"]["port"])

    @property
    def mllp_port(self) -> int:
        return int(self.about["mllp"]["port"])

    def system_token(self, name: str) -> str:
        return str(self.about["tokens"]["systems"][name])

    def persona_token(self, name: str) -> str:
        return str(self.about["tokens"]["personas"][name])

    def stop(self) -> int:
        """SIGTERM, as an operator stops it; the exit code."""
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(30)
        finally:
            self.kill()

    def kill(self) -> None:
        """kill -9, as the power or the kernel stops it."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        if self.process.stdout is not None:
            self.process.stdout.close()


def environment() -> dict[str, str]:
    """The environment in which a server of this tree runs."""
    return {**os.environ, "PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": "1"}


def _index() -> list[str]:
    return ["--index", shared_server().url] if ON_POSTGRESQL else []


def start_scratch(log: Path) -> Running:
    """A throw-away instance, ready to serve. Its operations log goes to `log`."""
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, "-m", "samsyn", "serve", "--scratch", *_index()],
            stdout=subprocess.PIPE,
            stderr=stream,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise RuntimeError(f"the server did not start: {log.read_text()[-2000:]}")
    return Running(process, log, json.loads(line))


def start_with_config(config: Path, log: Path, http_port: int, first: str = "") -> Running:
    """A server with a settings file, waited for until it is ready. `first`: Python that its process runs before."""
    program = ["-c", f"{first}; from samsyn.cli.main import main; raise SystemExit(main())"] if first else []
    with log.open("ab") as stream:
        process = subprocess.Popen(
            [sys.executable, *(program or ["-m", "samsyn"]), "serve", "--config", str(config)],
            stdout=subprocess.DEVNULL,
            stderr=stream,
            text=True,
            env=environment(),
            cwd=ROOT,
        )
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/health/ready", timeout=1) as answer:
                if answer.status == 200:
                    return Running(process, log)
        except OSError:
            if process.poll() is not None:
                break
            time.sleep(0.02)
    process.kill()
    raise RuntimeError(f"the server did not get ready: {log.read_text()[-2000:]}")
