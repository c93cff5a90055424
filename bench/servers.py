"""The servers that are measured, each in a folder of its own on the same disk, on free ports of loopback.

Tuned fairly: Debian's DCMTK leaves Nagle's algorithm on, which would cost every sender 40 ms for each answer, so
the peers run with TCP_NODELAY=1; Orthanc gets 16 DICOM threads (four starve with eight associations) and takes
128 kB PDUs. Everything else is as shipped: Orthanc syncs each file but keeps its index with synchronous=NORMAL;
storescp syncs nothing.
"""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STORESCP = "/usr/bin/storescp"
_TICKS = os.sysconf("SC_CLK_TCK")

ORTHANC_THREADS = 16
"""Associations that it serves at a time; others wait."""


@dataclass(slots=True)
class Server:
    """One running server."""

    name: str
    process: subprocess.Popen[bytes]
    folder: Path
    host: str
    dicom_port: int
    called: str
    calling: str
    http_port: int = 0
    web_path: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    mllp_port: int = 0

    def where(self) -> dict[str, Any]:
        """What the sender needs to know."""
        return {"host": self.host, "port": self.dicom_port, "called": self.called, "calling": self.calling}

    def cpu_seconds(self) -> float:
        """CPU time of the process and its children so far."""
        return cpu_seconds_of(self.process.pid)

    def memory_mib(self) -> float:
        """Proportional set size of the process and its children, in MiB."""
        total = 0
        for pid in _tree(self.process.pid):
            with suppress(OSError):
                for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
                    if line.startswith("Pss:"):
                        total += int(line.split()[1])
        return total / 1024

    def stop(self) -> None:
        """Ends the server and removes what it stored."""
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)


def cpu_seconds_of(root: int) -> float:
    """CPU time of a process and its children so far."""
    total = 0.0
    for pid in _tree(root):
        with suppress(OSError):
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            # utime, stime, and those of children that have ended.
            total += sum(int(value) for value in fields[11:15]) / _TICKS
    return total


def _tree(root: int) -> list[int]:
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError):
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                parents.setdefault(parent, []).append(int(entry.name))
    found = [root]
    for pid in found:
        found.extend(parents.get(pid, ()))
    return found


def free_port() -> int:
    """A TCP port of loopback that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and process.poll() is None:
        with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.05)
    raise SystemExit(f"a server did not start:\n{log.read_text()[-2000:]}")


def _spawn(command: list[str], log: Path, **environment: str) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        return subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ, **environment}
        )


def samsyn(parent: Path) -> Server:
    """Samsyn as it comes, in a throw-away folder."""
    folder = parent / "samsyn"
    folder.mkdir()
    log = folder / "log"
    with log.open("wb") as out:
        process = subprocess.Popen(
            [sys.executable, "-m", "samsyn", "serve", "--scratch"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=out,
            env={**os.environ, "TMPDIR": str(folder)},
        )
    assert process.stdout is not None
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"Samsyn did not start:\n{log.read_text()[-2000:]}")
    told = json.loads(line)
    port = int(told["http"].rpartition(":")[2])
    return Server(
        "Samsyn",
        process,
        folder,
        told["dicom"]["host"],
        told["dicom"]["port"],
        told["dicom"]["ae_title"],
        "BENCH",
        port,
        "/dicomweb",
        {"Authorization": f"Bearer {told['tokens']['systems']['BENCH']}"},
        told["mllp"]["port"],
    )


def orthanc(parent: Path, plugins: Sequence[str] = (), more: Mapping[str, Any] | None = None) -> Server:
    """Debian's Orthanc with its DICOMweb plugin and its own SQLite index; `plugins` and `more` settings beside."""
    folder = parent / "orthanc"
    folder.mkdir()
    dicom_port, http_port = free_port(), free_port()
    config = {
        "StorageDirectory": str(folder / "storage"),
        "IndexDirectory": str(folder / "index"),
        "DicomAet": "ORTHANC",
        "DicomPort": dicom_port,
        "HttpPort": http_port,
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": False,
        "DicomCheckCalledAet": False,
        "DicomAlwaysAllowStore": True,
        "DicomThreadsCount": ORTHANC_THREADS,
        "DicomModalities": {"SINK": ["SINK", "127.0.0.1", 11199]},
        "DicomAlwaysAllowFind": True,
        "DicomAlwaysAllowGet": True,
        "DicomAlwaysAllowMove": True,
        "MaximumPduLength": 131072,
        "StorageCompression": False,
        "Plugins": ["/usr/share/orthanc/plugins/libOrthancDicomWeb.so", *plugins],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
        **(more or {}),
    }
    (folder / "orthanc.json").write_text(json.dumps(config))
    log = folder / "log"
    process = _spawn(
        [shutil.which("Orthanc") or "Orthanc", str(folder / "orthanc.json")], log, TCP_NODELAY="1"
    )
    _wait(http_port, process, log)
    _wait(dicom_port, process, log)
    return Server(
        "Orthanc", process, folder, "127.0.0.1", dicom_port, "ORTHANC", "BENCH", http_port, "/dicom-web"
    )


def storescp(parent: Path) -> Server:
    """DCMTK's receiver: a process for each association, bit preserving, no sync and no index."""
    folder = parent / "storescp"
    folder.mkdir()
    port = free_port()
    command = [STORESCP, "--fork", "+B", "+xa", "--max-pdu", "131072", "-od", str(folder), str(port)]
    log = parent / "storescp.log"
    process = _spawn(command, log, TCP_NODELAY="1")
    _wait(port, process, log)
    return Server("storescp", process, folder, "127.0.0.1", port, "STORESCP", "BENCH")


def get(server: Server, path: str, accept: str) -> bytes:
    """One answer of a server, whole; for checking what the load will read."""
    request = urllib.request.Request(
        f"http://{server.host}:{server.http_port}{server.web_path}{path}",
        headers={"Accept": accept, **server.headers},
    )
    with urllib.request.urlopen(request, timeout=120) as answer:
        content: bytes = answer.read()
        return content
