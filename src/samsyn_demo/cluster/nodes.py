"""Nodes of one cluster as processes of their own: settings files, starting, killing."""

import os
import secrets
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from samsyn_demo.cluster.database_server import DatabaseServer
from samsyn_demo.cluster.object_server import ObjectServer
from samsyn_demo.cluster.ports import FreePorts
from samsyn_demo.region import Ports, settings_toml

_START_S: Final = 60.0
_STOP_S: Final = 30.0
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Shared:
    """What all nodes of one cluster have in common."""

    folder: Path
    database: DatabaseServer
    objects: ObjectServer
    tokens: dict[str, str]
    """Bearer tokens of the region's STOW clients."""
    local_pacs: int = 4242
    durability: str = "object-store"
    lease_s: float = 5.0
    login: str = '[login]\nprovider = "demo"\n'
    more: str = ""
    """Further sections of the settings."""
    ports: FreePorts = field(default_factory=FreePorts)

    def settings(self, name: str, ports: Ports) -> str:
        """The settings file of one node."""
        region = settings_toml(str(self.folder / name), ports, self.tokens)
        region = region.replace('[login]\nprovider = "demo"\n', self.login)
        return "\n".join((self._sections(name), region, self.more))

    @staticmethod
    def _number(name: str) -> int:
        """A number for each name that is used here."""
        return 1 + ("one", "two", "checker").index(name)

    def _sections(self, name: str) -> str:
        keys = {
            "cluster.secret": secrets.token_urlsafe(_SECRET_BYTES),
            "access.key": self.objects.access_key,
            "secret.key": self.objects.secret_key,
        }
        for file, text in keys.items():
            path = self.folder / file
            if not path.exists():
                path.touch(mode=0o600)
                path.write_text(text + "\n")
        return f"""
[index]
kind = "postgresql"
address = "{self.database.address}"

[objects]
kind = "s3"
endpoint = "{self.objects.endpoint}"
bucket = "samsyn"
access_key_file = "{self.folder / "access.key"}"
secret_key_file = "{self.folder / "secret.key"}"

[node]
name = "{name}"
secret_file = "{self.folder / "cluster.secret"}"
number = {self._number(name)}
durability = "{self.durability}"
lease_s = {self.lease_s}
"""


@dataclass(slots=True)
class Node:
    """One `samsyn serve`."""

    name: str
    ports: Ports
    config: Path
    log: Path
    process: "subprocess.Popen[bytes] | None" = field(default=None)

    @property
    def http(self) -> str:
        """Its own address."""
        return f"http://127.0.0.1:{self.ports.http}"

    def start(self, environment: Mapping[str, str] | None = None) -> None:
        """Starts it and waits until it is ready; `environment`: variables beside ours. RuntimeError when it does not
        get so."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(  # noqa: S603 - our own program
                [sys.executable, "-m", "samsyn", "serve", "--config", str(self.config)],
                stdout=subprocess.DEVNULL,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **(environment or {})},
            )
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                with urllib.request.urlopen(f"{self.http}/health/ready", timeout=1):  # noqa: S310 - our own address
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
        self.kill()
        raise RuntimeError(f"node {self.name} did not get ready; see {self.log}")

    def kill(self) -> None:
        """SIGKILL, as when its machine is lost."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def stop(self) -> int:
        """SIGTERM, as an operator stops it; the exit code, 0 also when it does not run."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()
        finally:
            self.process = None


def make_node(shared: Shared, name: str) -> Node:
    """A node with its settings written and ports of its own; it is not started yet."""
    dicom, http, mllp = shared.ports.take(3)
    ports = Ports(dicom, http, mllp, shared.local_pacs)
    config = shared.folder / f"{name}.toml"
    config.touch(mode=0o600)
    config.write_text(shared.settings(name, ports), encoding="utf-8")
    return Node(name, ports, config, shared.folder / f"{name}.log")
