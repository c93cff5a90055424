"""`samsyn demo-cluster`: the invented region on two nodes, one of which is lost on the way."""

import asyncio
import os
from pathlib import Path

from samsyn.cli.demo import empty
from samsyn.cli.stopping import StopSignals
from samsyn.errors import ConfigurationError


def run(folder: Path, *, stays: bool) -> int:
    """Empties the folder and plays it; 0 = nothing that was acknowledged was lost."""
    empty(folder)
    os.umask(0o077)
    return asyncio.run(_run(folder.absolute(), stays))


async def _run(folder: Path, stays: bool) -> int:
    from samsyn_demo.cluster import demo

    try:
        return 0 if await demo.run(folder, StopSignals().told, stays=stays) else 1
    except RuntimeError as problem:
        raise ConfigurationError(str(problem)) from problem
