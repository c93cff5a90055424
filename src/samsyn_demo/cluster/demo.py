"""`samsyn demo-cluster`: the demo region on two nodes, of which one is lost while the region is sending.

PostgreSQL, an S3-compatible object store, two nodes, a load balancer before them and an identity provider run on
loopback. The region's systems send through the balancer; in the middle of it a node is killed, and everything that was
acknowledged is read again through the other.
"""

import asyncio
import contextlib
import json
import os
import re
import secrets
import sys
import time
from asyncio.subprocess import PIPE, Process
from pathlib import Path
from typing import Any, Final

import httpx

from samsyn_demo.cluster import database_server, object_server
from samsyn_demo.cluster.balancer import Balancer
from samsyn_demo.cluster.browser import is_in, logged_in
from samsyn_demo.cluster.nodes import Node, Shared, make_node
from samsyn_demo.cluster.ports import FreePorts
from samsyn_demo.region import REGION, Ports, settings_toml

_KILLED_AT: Final = 0.4
"""Part of the region's objects and messages after which a node is killed."""

_WHO: Final = """
  Everything runs on: log in at {base}/ as one of the people on the log-in page.
  node one {one}/   node two {two}/   (each also answers by itself)
  DICOM SAMSYN@127.0.0.1:{dicom}   HL7 127.0.0.1:{mllp}
  Kill one yourself: a page that is open goes on, since both know every session.

Ctrl-C ends the demo. Logs are in {folder}.
"""


async def run(folder: Path, told: asyncio.Event, *, stays: bool = True) -> bool:
    """Plays it; whether nothing was lost. With `stays` it serves on until told to stop."""
    async with contextlib.AsyncExitStack() as undo:
        _say("Starting the object store and the database …")
        objects = await asyncio.to_thread(object_server.start, folder / "objects")
        undo.push_async_callback(asyncio.to_thread, objects.stop)
        database = await asyncio.to_thread(database_server.start, folder / "database")
        undo.push_async_callback(asyncio.to_thread, database.stop)
        cluster = _Cluster(folder, objects, database)
        undo.push_async_callback(cluster.stop)
        await cluster.start()
        whole = await cluster.play()
        if stays and not told.is_set():
            _say(cluster.who())
            await told.wait()
        return whole


class _Cluster:
    """Two nodes, what stands before them, and who logs people in."""

    def __init__(
        self,
        folder: Path,
        objects: object_server.ObjectServer,
        database: database_server.DatabaseServer,
    ) -> None:
        self._folder = folder
        self._tokens = {each.stow_client: secrets.token_urlsafe(32) for each in REGION if each.stow_client}
        self._free = FreePorts()
        self._idp_port, self._http, self._local_pacs = self._free.take(3)
        issuer = f"http://127.0.0.1:{self._idp_port}/demo-idp"
        base = f"http://127.0.0.1:{self._http}"
        login = f'[login]\nprovider = "oidc"\nissuer = "{issuer}"\npublic_address = "{base}"\n'
        shared = Shared(
            folder, database, objects, self._tokens, self._local_pacs, login=login, ports=self._free
        )
        self._nodes = [make_node(shared, name) for name in ("one", "two")]
        self._checker = make_node(shared, "checker")
        self._idp = self._identity_provider(base)
        ports = [node.ports for node in self._nodes]
        self._web = Balancer([each.http for each in ports])
        self._dicom = Balancer([each.dicom for each in ports])
        self._mllp = Balancer([each.mllp for each in ports])

    def _identity_provider(self, base: str) -> Node:
        """A Samsyn of its own, whose demo identity provider knows our address; nothing is sent to it."""
        dicom, mllp = self._free.take(2)
        ports = Ports(dicom, self._idp_port, mllp, self._local_pacs)
        config = self._folder / "idp.toml"
        config.touch(mode=0o600)
        text = settings_toml(str(self._folder / "idp"), ports, self._tokens)
        config.write_text(text.replace("[login]\n", f'[login]\npublic_address = "{base}"\n'), "utf-8")
        return Node("idp", ports, config, self._folder / "idp.log")

    async def start(self) -> None:
        """Starts everything and tells where it is."""
        _say("Starting two nodes and an identity provider …")
        for node in (*self._nodes, self._idp):
            await asyncio.to_thread(node.start)
        await self._web.start(self._http)
        await self._dicom.start()
        await self._mllp.start()
        one, two = self._nodes
        _say(f"Node one {one.http}/, node two {two.http}/, before them http://127.0.0.1:{self._http}/")

    def who(self) -> str:
        """What somebody who wants to look must know."""
        one, two = self._nodes
        return _WHO.format(
            base=f"http://127.0.0.1:{self._http}",
            one=one.http,
            two=two.http,
            dicom=self._dicom.port,
            mllp=self._mllp.port,
            folder=self._folder,
        )

    async def play(self) -> bool:
        """The region sends; a node is killed; what was acknowledged is counted and read again."""
        _say("The region's systems are sending through both …")
        base = f"http://127.0.0.1:{self._http}"
        browser = await asyncio.to_thread(logged_in, base)
        process = await self._region()
        done: dict[str, tuple[int, int]] = {}
        killed, loaded = 0.0, {}
        assert process.stdout is not None
        async for line in process.stdout:
            progress = json.loads(line)
            if progress.get("loaded"):
                loaded = progress
            elif "of" in progress:
                done[progress["provider"]] = (progress["done"], progress["of"])
                sent, of = (sum(each[place] for each in done.values()) for place in (0, 1))
                _say(f"  {progress['text']}", passing=True)
                if not killed and len(done) == len(REGION) and sent > _KILLED_AT * of:
                    await asyncio.to_thread(self._nodes[0].kill)
                    killed = time.monotonic()
                    _say(f"✗ node one is killed (SIGKILL) with {sent} of {of} acknowledged; sending goes on")
        await process.wait()
        if not loaded or not killed:
            _say("✗ the region did not load whole")
            return False
        _say(f"✓ {loaded['text']}, although a node was lost on the way")
        goes_on = await asyncio.to_thread(is_in, browser, base)
        _say(f"{'✓' if goes_on else '✗'} who was logged in before {'still is' if goes_on else 'is no more'}")
        duties = await asyncio.to_thread(self._duties)
        _say(f"{'✓' if duties else '✗'} node two has taken over {duties} works that run once in the cluster")
        return await self._prove(loaded) and goes_on and duties > 0

    async def _region(self) -> Process:
        return await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "samsyn_demo.play"),
            *("--dicom-port", str(self._dicom.port)),
            *("--http-port", str(self._http)),
            *("--mllp-port", str(self._mllp.port)),
            *("--local-pacs-port", str(self._local_pacs)),
            *("--folder", str(self._folder / "region"), "--with-parent"),
            stdin=PIPE,
            stdout=PIPE,
            env={**os.environ, "SAMSYN_DEMO_TOKENS": json.dumps(self._tokens)},
        )

    def _duties(self) -> int:
        """What node two does for the cluster, by its metrics."""
        text = httpx.get(f"{self._nodes[1].http}/metrics", trust_env=False).text
        found = re.search(r"^samsyn_duties ([0-9.]+)", text, re.MULTILINE)
        return int(float(found[1])) if found is not None else 0

    async def _prove(self, loaded: dict[str, Any]) -> bool:
        """Reads every stored byte through a third process, and counts."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "samsyn", "scrub", "--config", str(self._checker.config)),
            stdout=PIPE,
        )
        told, _ = await process.communicate()
        line = told.decode().strip().splitlines()[-1]
        bodies = int(line.split(" ", 1)[0])
        sent = loaded["objects"] + loaded["messages"]
        is_whole = process.returncode == 0 and bodies >= sent
        _say(f"{'✓' if is_whole else '✗'} acknowledged {sent}, stored and read again: {line}")
        await asyncio.to_thread(self._nodes[0].start)
        _say("✓ node one is back")
        return is_whole

    async def stop(self) -> None:
        """Ends all that runs."""
        for balancer in (self._web, self._dicom, self._mllp):
            await balancer.stop()
        await asyncio.gather(*(asyncio.to_thread(node.stop) for node in (*self._nodes, self._idp)))


def _say(text: str, *, passing: bool = False) -> None:
    """A line for whoever looks on; what passes is overwritten by the next one on a terminal."""
    if passing and not sys.stdout.isatty():
        return
    sys.stdout.write(text.ljust(100) + ("\r" if passing else "\n"))
    sys.stdout.flush()
