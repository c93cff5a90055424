"""`samsyn demo`: the invented region, with its systems outside Samsyn, in one command."""

import asyncio
import contextlib
import json
import os
import secrets
import shutil
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from samsyn import operations_log, settings
from samsyn.cli.serve import until_told
from samsyn.cli.stopping import StopSignals
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError
from samsyn.server import Server

if TYPE_CHECKING:
    from samsyn_demo.region import Ports

_MARK = "samsyn-demo"
_LOCAL_PACS_PORT = 4242
_CONSUMER_TOKENS = "consumers.json"

_WHO = """
Log in at {base}/ with the demo identity provider, for example as
  Eva Lindgren, GP at Vårdcentralen Linden      finds 19121212-1212, sees her unit's report, registers consent
  a radiologist at Nordsjukhuset                 sees what the hospital did
  other people and their duties are listed on the log-in page.

National consumers ask by GetImagingOutcome, with the tokens in {consumers}.

Ctrl-C ends the demo. The operations log is in {log}.
"""


def run(folder: Path) -> None:
    """Empties the folder, starts Samsyn, lets the region's systems send, then serves until told to stop."""
    empty(folder)
    log = folder / "samsyn.log"
    with log.open("w", encoding="utf-8") as stream:
        operations_log.start(stream)
        asyncio.run(_Demo(folder, log).run())


def empty(folder: Path) -> None:
    """Removes an earlier demo and nothing else: a folder with anything but a demo in it is left alone."""
    if folder.exists() and any(folder.iterdir()) and not (folder / _MARK).exists():
        raise ConfigurationError(f"{folder} is not empty and holds no demo: choose another with --data")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    (folder / _MARK).touch()


class _Demo:
    """Samsyn in this process, the region's systems in processes of their own."""

    def __init__(self, folder: Path, log: Path) -> None:
        self._folder = folder
        self._log = log

    async def run(self) -> None:
        from samsyn_demo.people import guardians_csv
        from samsyn_demo.region import CONSUMERS, REGION, Ports, settings_toml

        tokens = {each.stow_client: secrets.token_urlsafe(32) for each in REGION if each.stow_client}
        consumers = {name: secrets.token_urlsafe(32) for name, _ in CONSUMERS}
        _keep(self._folder / _CONSUMER_TOKENS, consumers)
        ports = Ports(local_pacs=_free_port(_LOCAL_PACS_PORT))
        file = self._folder / "samsyn.toml"
        guardians = self._folder / "guardians.csv"
        guardians.write_text(guardians_csv(), encoding="utf-8")
        text = settings_toml(str(self._folder / "data"), ports, tokens | consumers, str(guardians))
        file.write_text(text, encoding="utf-8")
        signals = StopSignals()
        server = Server(settings.load(file), SystemClock())
        await server.start()
        base = f"http://127.0.0.1:{server.http_port}"
        print(f"Samsyn is ready at {base}/  The region's systems are sending …", flush=True)
        loaded = asyncio.Event()
        loading = asyncio.create_task(loaded.wait())
        region = asyncio.create_task(self._play(server, ports, tokens, loaded))
        stop = asyncio.create_task(until_told(server, signals.told))
        await asyncio.wait({region, loading, stop}, return_when=asyncio.FIRST_COMPLETED)
        if not stop.done():
            whole = loaded.is_set()
            print(
                _WHO.format(base=base, log=self._log, consumers=self._folder / _CONSUMER_TOKENS)
                if whole
                else "The region did not load whole.",
                flush=True,
            )
            await stop
        loading.cancel()
        region.cancel()
        await asyncio.gather(loading, region, return_exceptions=True)

    async def _play(
        self, server: Server, ports: "Ports", tokens: dict[str, str], loaded: asyncio.Event
    ) -> None:
        """Runs the region's systems and shows their progress; `loaded` is set when all is acknowledged.

        They live on after that: the hospital's local PACS goes on listening until this is cancelled.
        """
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "samsyn_demo.play",
            *("--dicom-port", str(server.dicom_port)),
            *("--http-port", str(server.http_port)),
            *("--mllp-port", str(server.mllp_port)),
            *("--local-pacs-port", str(ports.local_pacs)),
            *("--folder", str(self._folder / "region")),
            *("--stay", "--with-parent"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "SAMSYN_DEMO_TOKENS": json.dumps(tokens)},
        )
        assert process.stdout is not None
        try:
            async for line in process.stdout:
                progress = json.loads(line)
                _show(progress)
                if progress.get("loaded"):
                    loaded.set()
            await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()
            raise


def _keep(file: Path, secret: dict[str, str]) -> None:
    """Writes secrets of the demo where only its user reads them."""
    file.touch(mode=0o600)
    file.write_text(json.dumps(secret, indent=1), encoding="utf-8")


def _free_port(first: int) -> int:
    """The first free TCP port from `first` on: an installed Orthanc already holds the usual one."""
    for port in range(first, first + 100):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            return port
    raise ConfigurationError(f"no free port from {first} to {first + 99} for the local PACS")


def _show(progress: dict[str, Any]) -> None:
    """One line of progress; on a terminal it overwrites the last one."""
    end = "\r" if sys.stdout.isatty() else "\n"
    print(f"  {progress.get('text', progress)}".ljust(78), end=end, flush=True)
