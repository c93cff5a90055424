"""Plays the region: every provider in a process of its own, their progress merged on stdout.

`python -m samsyn_demo.play --dicom-port N --http-port N --mllp-port N --local-pacs-port N --folder DIR
[--anchor-date YYYY-MM-DD] [--people KEYS] [--stay]`; the bearer tokens of STOW clients come as JSON in the
environment variable SAMSYN_DEMO_TOKENS.

One JSON object a line: {"text": ..., "provider": key, "done": n, "of": m}, and {"loaded": true} when everything
is acknowledged. The exit code is 0 only then; the first refusal ends all processes and the exit code is 1. With
`--stay` the process then lives on with the hospital's local PACS until it is told to end.
"""

import argparse
import asyncio
import json
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from typing import Any

from samsyn_demo import orthanc
from samsyn_demo.people import PEOPLE
from samsyn_demo.region import REGION
from samsyn_demo.senders.options import arguments, end_with_parent, people

_END_SECONDS = 10.0
"""How long a process may take to end after SIGTERM before it is killed."""
_LINE_BYTES = 65_536


class Failed(Exception):
    """A process did not do its work; it has said itself what was wrong."""


class Play:
    """The region's processes."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._options = options
        self._processes: list[Process] = []
        self._finished: dict[str, dict[str, Any]] = {}

    async def run(self) -> None:
        """Returns when everything is loaded, and with `--stay` when it is told to end. Failed otherwise."""
        began = time.monotonic()
        try:
            local_pacs = await self._local_pacs()
            senders = [
                await self._start("samsyn_demo.senders.provider", "--provider", each.key) for each in REGION
            ]
            await _all([self._follow(process) for process in senders])
            if local_pacs is not None:
                await _ask(local_pacs, orthanc.PROVE)
                await self._follow(local_pacs, until="proved")
            _print(self._summary(time.monotonic() - began))
            if self._options.stay:
                await (self._follow(local_pacs) if local_pacs is not None else asyncio.Event().wait())
        finally:
            await self._end()

    async def _local_pacs(self) -> Process | None:
        """The hospital's local PACS, where it is installed."""
        if orthanc.program() is None:
            _print({"text": "Orthanc is not installed: the hospital has no local PACS", "provider": "nord"})
            return None
        process = await self._start(
            "samsyn_demo.orthanc", "--local-pacs-port", str(self._options.local_pacs_port)
        )
        await self._follow(process, until="ready")
        return process

    async def _start(self, module: str, *more: str) -> Process:
        options = self._options
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", module, *more),
            *("--dicom-port", str(options.dicom_port)),
            *("--http-port", str(options.http_port)),
            *("--mllp-port", str(options.mllp_port)),
            *("--folder", str(options.folder)),
            *("--anchor-date", options.anchor_date.isoformat()),
            *("--people", options.people),
            "--with-parent",
            stdin=PIPE,
            stdout=PIPE,
            limit=_LINE_BYTES,
            # Ctrl-C is for this process, which ends the others in order.
            start_new_session=True,
            # Two cores are shared by five processes: more threads inside the number libraries only cost.
            env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"},
        )
        self._processes.append(process)
        return process

    async def _follow(self, process: Process, until: str = "") -> None:
        """Hands on what the process prints, until a line with `until` or its end. Failed when it ended badly."""
        assert process.stdout is not None
        async for line in process.stdout:
            progress = json.loads(line)
            _print(progress)
            if progress.get("finished"):
                self._finished[progress["provider"]] = progress
            if until and progress.get(until):
                return
        if await process.wait() != 0 or until:
            raise Failed

    def _summary(self, seconds: float) -> dict[str, Any]:
        counts = {
            name: sum(int(each[name]) for each in self._finished.values())
            for name in ("messages", "objects", "octets", "remarks")
        }
        text = (
            f"The region is loaded: {counts['messages']} messages and {counts['objects']} objects "
            f"({counts['octets'] / 1e6:.0f} MB) in {seconds:.0f} s"
        )
        return {"text": text, "loaded": True, "seconds": round(seconds, 1), **counts}

    async def _end(self) -> None:
        """Ends what still runs; nothing outlives this process."""
        running = [each for each in self._processes if each.returncode is None]
        for each in running:
            each.terminate()
        for each in running:
            try:
                await asyncio.wait_for(each.wait(), _END_SECONDS)
            except TimeoutError:
                each.kill()
                await each.wait()


async def _all(works: list[Any]) -> None:
    """Waits for all; the first failure ends the waiting."""
    tasks = [asyncio.create_task(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()


async def _ask(process: Process, word: str) -> None:
    assert process.stdin is not None
    process.stdin.write(f"{word}\n".encode())
    await process.stdin.drain()


def _print(progress: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(progress, ensure_ascii=False) + "\n")
    sys.stdout.flush()


async def _until_told(play: Play) -> int:
    """Runs the play until it is through or a signal comes; the exit code."""
    loop = asyncio.get_running_loop()
    work = asyncio.create_task(play.run())
    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, work.cancel)
    try:
        await work
    except Failed:
        return 1
    except asyncio.CancelledError:
        return 128 + signal.SIGTERM
    return 0


def main() -> int:
    """Loads the region."""
    parser = argparse.ArgumentParser(prog="samsyn_demo.play", description=__doc__)
    arguments(parser)
    parser.add_argument("--local-pacs-port", type=int, required=True, help="where NORDPACS is to listen")
    parser.add_argument(
        "--stay", action="store_true", help="keep the local PACS after loading, until SIGTERM"
    )
    options = parser.parse_args()
    unknown = set(people(options)) - {each.key for each in PEOPLE}
    if unknown:
        parser.error(f"no such people: {', '.join(sorted(unknown))}")
    if options.with_parent:
        end_with_parent()
    return asyncio.run(_until_told(Play(options)))


if __name__ == "__main__":
    sys.exit(main())
