"""What every measurement needs: running servers, rows of the table, rounds in turn, the disk's own rate."""

import json
import os
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from bench import dimse_load, servers
from bench.servers import Server

FRAMES = 'multipart/related; type="application/octet-stream"'
JSON = "application/dicom+json"
Turned = TypeVar("Turned")


@dataclass(slots=True)
class Row:
    """One line of the table."""

    title: str
    unit: str
    goal: str = ""
    values: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu_ms: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))

    @property
    def lower_is_better(self) -> bool:
        """Times are better low, rates high."""
        return self.unit in ("ms", "MiB", "ratio", "bytes", "files")

    def median(self, name: str) -> float | None:
        """The median over the rounds, None when this server was not measured here."""
        return statistics.median(self.values[name]) if self.values.get(name) else None

    def median_cpu_ms(self, name: str) -> float:
        """CPU time of this server for each operation, the median over the rounds."""
        return statistics.median(self.cpu_ms[name])

    def ratio(self) -> float | None:
        """How many times better than Orthanc."""
        ours, theirs = self.median("Samsyn"), self.median("Orthanc")
        if not ours or not theirs:
            return None
        return theirs / ours if self.lower_is_better else ours / theirs


def load(module: str, job: dict[str, Any]) -> dict[str, Any]:
    """Runs one load program on one job."""
    done = subprocess.run(
        [sys.executable, "-m", module], input=json.dumps(job), capture_output=True, text=True, timeout=600
    )
    if done.returncode:
        raise SystemExit(f"{module} failed:\n{done.stderr[-3000:]}")
    result: dict[str, Any] = json.loads(done.stdout)
    return result


def disk_rate(folder: Path, record_bytes: int, per_sync: int, seconds: float) -> float:
    """Records of this size appended to one file in a second, with one fdatasync for every `per_sync`."""
    record = os.urandom(record_bytes)
    path = folder / "disk"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    written, begun = 0, time.perf_counter()
    try:
        while time.perf_counter() - begun < seconds:
            for _ in range(per_sync):
                os.write(descriptor, record)
            os.fdatasync(descriptor)
            written += per_sync
        return written / (time.perf_counter() - begun)
    finally:
        os.close(descriptor)
        path.unlink()


def turned(row: list[Turned], by: int) -> list[Turned]:
    """The same in another order, so that none is always first."""
    by %= len(row)
    return row[by:] + row[:by]


class Bench:
    """All measurements over one set of running servers."""

    def __init__(self, folder: Path, rounds: int, scale: float, studies: int) -> None:
        """`studies`: how many are searched."""
        self.folder = folder
        self.rounds = rounds
        self.scale = scale
        self.studies = studies
        self.filled = 0
        """Studies that are there to be searched."""
        self.rows: list[Row] = []
        self.samsyn = servers.samsyn(folder)
        self.orthanc = servers.orthanc(folder)
        self.storescp = servers.storescp(folder)
        self.readers = [self.samsyn, self.orthanc]
        self.seed = 0

    def close(self) -> None:
        """Ends every server."""
        for server in (*self.readers, self.storescp):
            server.stop()

    def scaled(self, count: int) -> int:
        """A count made smaller for a quick look."""
        return max(8, int(count * self.scale))

    def row(self, title: str, unit: str, goal: str = "") -> Row:
        """A new line of the table, announced."""
        print(f"  {title}", file=sys.stderr, flush=True)
        made = Row(title, unit, goal)
        self.rows.append(made)
        return made

    def measured(self, row: Row, server: Server, work: Callable[[], tuple[float, float]]) -> None:
        """Notes what `work` answers (value, operations) and the server's CPU time for each operation."""
        os.sync()
        before = server.cpu_seconds()
        value, operations = work()
        row.values[server.name].append(value)
        row.cpu_ms[server.name].append((server.cpu_seconds() - before) * 1000 / operations)

    def send(self, server: Server, what: dict[str, Any]) -> tuple[float, float]:
        """Stores over DIMSE: (instances in a second, instances)."""
        result = load("bench.dimse_load", {"where": server.where(), "what": what})
        return result["instances"] / result["seconds"], result["instances"]

    def fill(
        self, shape: str, studies: int, instances: int, first: int = 0, per_patient: int = 1
    ) -> list[Any]:
        """Puts the same studies into both readers and returns them, as the sender made them."""
        self.seed += 1
        what = {
            "seed": self.seed,
            "shape": shape,
            "associations": min(8, studies),
            "studies": studies,
            "instances": instances,
            "first": first,
            "first_patient": first // per_patient,
            "studies_per_patient": per_patient,
        }
        for server in self.readers:
            self.send(server, what)
        return dimse_load.portions_of(what)

    def series(self, server: Server, sop_uid: str) -> str:
        """Path of the series that holds an instance, as the server itself tells it."""
        found = json.loads(servers.get(server, f"/instances?SOPInstanceUID={sop_uid}", JSON))[0]
        return f"/studies/{found['0020000D']['Value'][0]}/series/{found['0020000E']['Value'][0]}"

    def read(
        self,
        server: Server,
        paths: list[str],
        accept: str,
        clients: int,
        seconds: float,
        least: int,
        count: int,
        fresh: bool = False,
        headers: dict[str, str] | None = None,
    ) -> dict[str, Any]:
        """Asks over HTTP until `count` answers or `seconds`; `fresh` = a new connection for each request."""
        job = {
            "fresh": fresh,
            "host": server.host,
            "port": server.http_port,
            "paths": [server.web_path + path for path in paths],
            "headers": {"Accept": accept, **server.headers, **(headers or {})},
            "clients": clients,
            "seconds": seconds,
            "least_bytes": least,
            "count": count,
        }
        return load("bench.http_load", job)


def number(value: float | None) -> str:
    """Three significant digits, or nothing."""
    if value is None:
        return ""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: list[Row]) -> str:
    """The result as aligned text."""
    names = ("Samsyn", "Orthanc", "storescp", "disk")
    lines = [["", "unit", *names, "Samsyn : Orthanc", "goal", "CPU ms each, Samsyn", "Orthanc"]]
    for row in rows:
        ratio = row.ratio()
        cpu = [statistics.median(row.cpu_ms[n]) if row.cpu_ms.get(n) else None for n in names[:2]]
        lines.append(
            [
                row.title,
                row.unit,
                *(number(row.median(name)) for name in names),
                f"{ratio:.1f} x" if ratio else "",
                row.goal,
                *(f"{value:.2f}" if value is not None else "" for value in cpu),
            ]
        )
    return aligned(lines)


def aligned(lines: list[list[str]]) -> str:
    """Rows of cells as text: the first two columns to the left, figures to the right."""
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if place < 2 else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )
