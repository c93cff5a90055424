"""`samsyn index rebuild` and `samsyn scrub`: looking after what lies on disk, while the service is stopped."""

import asyncio
import os
import sys
import time
from pathlib import Path

from samsyn import limits, settings
from samsyn.cli.stopping import Stopped, stopped_anywhere
from samsyn.clock import SystemClock
from samsyn.errors import ConfigurationError
from samsyn.settings import Settings
from samsyn.store import replay
from samsyn.store.opening import open_index, open_objects, open_shared, open_store, own_journal
from samsyn.store.replay import Progress
from samsyn.store.store import lock
from samsyn.store.upkeep.scrub import Scrub, Scrubbed


def rebuild(config: Path | None, data: Path | None) -> int:
    """Makes the index anew; 0 = all bodies are good, 1 = some are damaged, 130 or 143 = a signal has ended it."""
    try:
        with stopped_anywhere():
            return _rebuild(config, data)
    except Stopped as stopped:
        print("Stopped: the index is what it was before, and can be made anew at any time.", file=sys.stderr)
        return stopped.exit_code


def _rebuild(config: Path | None, data: Path | None) -> int:
    values = _settings(config, data)
    values.data.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = lock(values.data.folder)
    began = time.monotonic()
    index, remote, shared = open_index(values), open_objects(values.objects), open_shared(values)
    own = own_journal(values, shared)
    try:
        records, damaged = replay.rebuild(
            values.data.folder, values.data.second_copy, _tell, index, remote, own
        )
    finally:
        for each in (index, remote, shared):
            if each is not None:
                each.close()
        os.close(descriptor)
    print(f"The index was made anew from {records} records in {time.monotonic() - began:.1f} s.")
    if damaged:
        print(f"{damaged} bodies are damaged; they are marked and not served. `samsyn scrub` names them.")
    return 1 if damaged else 0


def _tell(progress: Progress) -> None:
    print(
        f"segment {progress.segment} of {progress.segments},"
        f" {progress.offset // limits.MIB} of {progress.size // limits.MIB} MiB,"
        f" {progress.records} records, {progress.damaged} damaged",
        file=sys.stderr,
        flush=True,
    )


def scrub(config: Path | None, data: Path | None, mib_per_s: float) -> int:
    """Reads everything again; 0 = whole (or mended), 1 = damage is left."""
    clock = SystemClock()
    values = _settings(config, data)
    shared = open_shared(values)
    store = open_store(values, clock, shared)
    store.start()
    try:
        seen = asyncio.run(Scrub(store, clock, mib_per_s=mib_per_s).whole_pass())
    finally:
        store.close()
        if shared is not None:
            shared.close()
    _print(seen)
    return 1 if seen.damaged else 0


def _print(seen: Scrubbed) -> None:
    for body in seen.damaged:
        named = f"{body.owner} {body.reference}".strip()
        print(f"damaged: {named} (segment {body.segment}, byte {body.offset}, {body.length} bytes)")
    print(
        f"{seen.bodies} bodies in {seen.read_bytes / limits.MIB:.0f} MiB read:"
        f" {len(seen.damaged)} damaged, {seen.mended} mended."
    )


def _settings(config: Path | None, data: Path | None) -> Settings:
    values = settings.load(config)
    if data is not None:
        values = values.model_copy(update={"data": values.data.model_copy(update={"folder": data})})
    folder = values.data.folder
    if values.objects.kind == "folder" and not (folder / "journal").is_dir():
        raise ConfigurationError(f"{folder} is no data folder of Samsyn: there is no journal in it")
    return values
