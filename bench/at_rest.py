"""What series cost when they have settled: bytes of the index for each instance, files for each series."""

import asyncio
import random
from pathlib import Path

from bench import objects
from bench.measure import Bench
from samsyn.clock import SystemClock
from samsyn.ingest.receive import Arrival, Intake
from samsyn.model.sender import Sender
from samsyn.store.store import Store
from samsyn.store.upkeep.settle import Settling

_A_SERIES = 200
_TABLES = ("settled_uid", "series_object", "settled_size", "instance", "sqlite_autoindex_series_object_1")
"""Where the index keeps instances, settled or not; what it keeps of series and studies is the same without any."""


def at_rest(bench: Bench) -> None:
    """In process, on the same disk. A peer keeps a row and a file of each instance."""
    series = bench.scaled(100)
    index = bench.row(f"Index bytes of a settled instance, series of {_A_SERIES}", "bytes", "<= 10")
    files = bench.row("Files of a settled series", "files", "<= 2")
    used, count = asyncio.run(_settled(bench.folder / "at_rest", series))
    index.values["Samsyn"].append(used / series / _A_SERIES)
    files.values["Samsyn"].append(count / series)


async def _settled(folder: Path, series: int) -> tuple[int, int]:
    """Bytes of the index and files of the objects, when so many series have settled."""
    store = Store(folder, SystemClock())
    store.start()
    try:
        intake, settling, source = (
            Intake(store, SystemClock()),
            Settling(store, SystemClock()),
            random.Random(8),
        )
        sender = Sender(
            "BENCH", "SE9990000001-0001", "SE9990000001-1001", "2.25.9990000001.1", "2.25.9990000001.2"
        )
        for number in range(series):
            study = objects.study(source, number, number // 3)
            arrival = Arrival(sender, objects.EXPLICIT_LITTLE, "at rest")
            slices = objects.instances(source, objects.NOTE, study, _A_SERIES)
            await asyncio.gather(*(intake.receive(arrival, each.data) for each in slices))
        for (key,) in await store.read(
            lambda index: index.execute("SELECT series_key FROM series").fetchall()
        ):
            await settling.settle(key)

        def weigh(index: object) -> int:
            marks = ",".join("?" * len(_TABLES))
            question = f"SELECT SUM(pgsize) FROM dbstat WHERE name IN ({marks})"
            return int(index.execute(question, _TABLES).fetchone()[0])  # type: ignore[attr-defined] # rows have no type

        used = await store.read(weigh)
        return used, sum(path.is_file() for path in (folder / "objects").rglob("*"))
    finally:
        store.close()
