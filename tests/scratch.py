"""Starts `samsyn serve --scratch` (or with a data folder) as its own process for tests, and ends it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
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
    _wait_until_ready(http_port, log, lambda: process.poll() is None, process.kill)
    return Running(process, log)


def _wait_until_ready(
    http_port: int, log: Path, lives: Callable[[], bool], give_up: Callable[[], None]
) -> None:
    """RuntimeError with the log's end when the server has ended or is not ready in time."""
    deadline = time.monotonic() + READY_WITHIN_S
    while time.monotonic() < deadline:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{http_port}/health/ready", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            if not lives():
                break
            time.sleep(0.02)
    give_up()
    raise RuntimeError(f"the server did not get ready: {log.read_text()[-2000:]}")


FORKS = """
import os, sys, traceback
import samsyn.cli.serve, samsyn.server
from samsyn.cli.main import app
for line in sys.stdin:
    config, _, first = line.rstrip("\\n").partition("\\t")
    child = os.fork()
    if child == 0:
        try:
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            exec(first)
            app(["serve", "--config", config], standalone_mode=False)
            code = 0
        except BaseException:
            traceback.print_exc()
            code = 1
        os._exit(code)
    print(child, flush=True)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


class Forked:
    """A server that a Starter has forked; it ends as any process does."""

    def __init__(self, pid: int, ended: Callable[[], int]) -> None:
        self._pid = pid
        self._ended = ended

    def stop(self) -> int:
        """SIGTERM; the exit code."""
        os.kill(self._pid, signal.SIGTERM)
        return self._ended()

    def kill(self) -> None:
        """kill -9."""
        os.kill(self._pid, signal.SIGKILL)
        self._ended()


class Starter:
    """Starts one server after the other as forks of a process that has read the program already, for tests that start
    hundreds: nothing else is shared, since that process opens nothing and has no thread."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._lives = 0
        """The pid of the server that has not ended yet, 0 = none."""
        with log.open("ab") as stream:
            self._process = subprocess.Popen(
                [sys.executable, "-c", FORKS],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=stream,
                text=True,
                env=environment(),
                cwd=ROOT,
            )

    def start(self, config: Path, http_port: int, first: str = "") -> Forked:
        """As `start_with_config`; the server before this one must have ended."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{config}\t{first}\n")
        self._process.stdin.flush()
        pid = self._lives = self._number()
        proc = Path(f"/proc/{pid}/stat")

        def lives() -> bool:
            return proc.exists() and proc.read_text().rpartition(")")[2].split()[0] != "Z"

        _wait_until_ready(http_port, self._log, lives, self.close)
        return Forked(pid, self._ended)

    def _number(self) -> int:
        """What the process says next: the pid of a server, or how it ended."""
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())

    def _ended(self) -> int:
        code = self._number()
        self._lives = 0
        return code

    def close(self) -> None:
        """Ends the process, and the server that a failed test has left."""
        if self._lives:
            os.kill(self._lives, signal.SIGKILL)
        self._process.kill()
        self._process.communicate()
