"""`make bench`: every measurement interleaved over the servers, medians, and the disk's own rate beside them.

    python -m bench [--rounds N] [--quick] [--only store|frames|metadata|search]

On a machine of two cores the load and the servers share them, so absolute figures say little: read the ratios, and
the server's own CPU time for each operation. Results also go to build/bench/result.json.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import servers
from bench.servers import Server

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"
FRAMES = 'multipart/related; type="application/octet-stream"'
JSON = "application/dicom+json"


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
        return self.unit == "ms"

    def median(self, name: str) -> float | None:
        """The median over the rounds, None when this server was not measured here."""
        return statistics.median(self.values[name]) if self.values.get(name) else None

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


def turned(row: list[Server], by: int) -> list[Server]:
    """The servers in another order, so that none is always first."""
    by %= len(row)
    return row[by:] + row[:by]


class Bench:
    """All measurements over one set of running servers."""

    def __init__(self, folder: Path, rounds: int, scale: float) -> None:
        self.folder = folder
        self.rounds = rounds
        self.scale = scale
        self.rows: list[Row] = []
        self.samsyn = servers.samsyn(folder)
        self.orthanc = servers.orthanc(folder)
        self.storescp = servers.storescp(folder)
        self.readers = [self.samsyn, self.orthanc]
        self._seed = 0

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

    # -- storing ------------------------------------------------------------------------------------------

    def store(self) -> None:
        """Durable C-STORE of MR slices with one and with eight associations."""
        for associations, each in ((1, 400), (8, 150)):
            row = self.row(
                f"C-STORE of 136 kB, {associations} association{'s' * (associations > 1)}", "/s", "3 x"
            )
            for turn in range(self.rounds):
                for server in turned([self.samsyn, self.orthanc, self.storescp], turn):
                    self._seed += 1
                    what = {
                        "seed": self._seed,
                        "shape": "MR",
                        "associations": associations,
                        "studies": associations,
                        "instances": self.scaled(each),
                        "studies_per_patient": 1,
                    }
                    # mypy can not infer a lambda whose defaults bind the loop's values.
                    self.measured(row, server, lambda s=server, w=what: self._send(s, w))  # type: ignore[misc]
                for old in self.storescp.folder.iterdir():
                    old.unlink()
                row.values["disk"].append(disk_rate(self.folder, 136_000, associations, 1.0))

    def _send(self, server: Server, what: dict[str, Any]) -> tuple[float, float]:
        result = load("bench.dimse_load", {"where": server.where(), "what": what})
        return result["instances"] / result["seconds"], result["instances"]

    def _fill(
        self, shape: str, studies: int, instances: int, first: int = 0, per_patient: int = 1
    ) -> list[Any]:
        """Puts the same studies into both readers and returns them, as the sender made them."""
        from bench import dimse_load

        self._seed += 1
        what = {
            "seed": self._seed,
            "shape": shape,
            "associations": min(8, studies),
            "studies": studies,
            "instances": instances,
            "first": first,
            "studies_per_patient": per_patient,
        }
        for server in self.readers:
            self._send(server, what)
        return dimse_load.portions_of(what)

    # -- reading ------------------------------------------------------------------------------------------

    def _series(self, server: Server, sop_uid: str) -> str:
        """Path of the series that holds an instance, as the server itself tells it."""
        found = json.loads(servers.get(server, f"/instances?SOPInstanceUID={sop_uid}", JSON))[0]
        return f"/studies/{found['0020000D']['Value'][0]}/series/{found['0020000E']['Value'][0]}"

    def _read(
        self,
        server: Server,
        paths: list[str],
        accept: str,
        clients: int,
        seconds: float,
        least: int,
        count: int,
    ) -> dict[str, Any]:
        job = {
            "host": server.host,
            "port": server.http_port,
            "paths": [server.web_path + path for path in paths],
            "headers": {"Accept": accept, **server.headers},
            "clients": clients,
            "seconds": seconds,
            "least_bytes": least,
            "count": count,
        }
        return load("bench.http_load", job)

    def frames(self) -> None:
        """WADO-RS of single frames with eight clients.

        More than the 128 MiB that Orthanc keeps in memory by default: an archive is not read from a cache.
        """
        for shape, size, count in (("MR", 131_072, 1_400), ("CT", 524_288, 400)):
            slices = self._fill(shape, 1, self.scaled(count))[0]
            row = self.row(f"WADO-RS frames of {size // 1024} KiB, 8 clients", "/s", "5 x")
            series = {server.name: self._series(server, slices[0].sop_uid) for server in self.readers}
            for turn in range(self.rounds):
                for server in turned(self.readers, turn):
                    paths = [f"{series[server.name]}/instances/{s.sop_uid}/frames/1" for s in slices]

                    def work(
                        server: Server = server, paths: list[str] = paths, size: int = size
                    ) -> tuple[float, float]:
                        told = self._read(server, paths, FRAMES, 8, 4 * self.scale, size, 1_000_000)
                        return told["count"] / told["seconds"], told["count"]

                    self.measured(row, server, work)

    def metadata(self) -> None:
        """Metadata of a series of 500: asked for at once, asked for first when it has rested, and again."""
        title = "Metadata of 500 instances"
        at_once = self.row(f"{title}, just stored", "ms")
        first = self.row(f"{title}, first request after 10 s", "ms", "10 x")
        again = self.row(f"{title}, later requests", "ms", "10 x")
        paths: dict[str, str] = {}
        for row, rest_s in ((at_once, 0.0), (first, 10.0)):
            sop_uid = self._fill("MR", 1, 500)[0][0].sop_uid
            time.sleep(rest_s)
            paths = {server.name: f"{self._series(server, sop_uid)}/metadata" for server in self.readers}
            for server in self.readers:
                told = self._read(server, [paths[server.name]], JSON, 1, 120, 400_000, 1)
                row.values[server.name].append(told["first_ms"])
        for server in self.readers:
            found = len(json.loads(servers.get(server, paths[server.name], JSON)))
            if found != 500:
                raise SystemExit(f"{server.name} tells {found} of 500 instances")
        for turn in range(self.rounds):
            for server in turned(self.readers, turn):

                def work(server: Server = server) -> tuple[float, float]:
                    told = self._read(server, [paths[server.name]], JSON, 1, 60, 400_000, 8)
                    return told["p50_ms"], told["count"]

                self.measured(again, server, work)

    def search(self) -> None:
        """QIDO-RS among some thousand studies: by patient, by accession number, by month and modality."""
        studies = self.scaled(2_000)
        self._fill("NOTE", studies, 1, per_patient=4)
        from bench.objects import test_number

        cases = {
            "patient id": [f"/studies?PatientID={test_number(n)}" for n in range(8, studies // 4, 7)],
            "accession": [f"/studies?AccessionNumber=B{n:07d}" for n in range(100, studies, 13)],
            "a month and modality": [
                f"/studies?StudyDate=2023{month:02d}01-2023{month:02d}28&ModalitiesInStudy=MR"
                for month in range(1, 8)
            ],
        }
        for case, paths in cases.items():
            sizes = {len(json.loads(servers.get(server, paths[0], JSON))) for server in self.readers}
            if len(sizes) != 1 or sizes == {0}:
                raise SystemExit(f"QIDO by {case}: the servers find {sizes} studies")
            rate = self.row(f"QIDO among {studies} studies, {case}, 8 clients", "/s", "3 x")
            alone = self.row(f"QIDO among {studies} studies, {case}, 1 client", "ms")
            for turn in range(self.rounds):
                for server in turned(self.readers, turn):

                    def many(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                        told = self._read(server, paths, JSON, 8, 3 * self.scale, 2, 1_000_000)
                        return told["count"] / told["seconds"], told["count"]

                    self.measured(rate, server, many)
                    told = self._read(server, paths, JSON, 1, 2 * self.scale, 2, 200)
                    alone.values[server.name].append(told["p50_ms"])


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
    widths = [max(len(line[place]) for line in lines) for place in range(len(lines[0]))]
    return "\n".join(
        "  ".join(
            cell.ljust(w) if place < 2 else cell.rjust(w)
            for place, (cell, w) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def main() -> None:
    """Starts the servers, measures, prints the table, ends the servers."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with little data: does it run at all")
    parser.add_argument("--only", choices=("store", "frames", "metadata", "search"), action="append")
    arguments = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    bench = Bench(FOLDER, 1 if arguments.quick else arguments.rounds, 0.2 if arguments.quick else 1.0)
    try:
        for name in arguments.only or ("store", "frames", "metadata", "search"):
            getattr(bench, name)()
    finally:
        bench.close()
    print(table(bench.rows))
    print(
        "\nMedians of interleaved rounds. disk: the same bytes appended to one file, one fdatasync for as many records"
        "\nas there are associations. Orthanc syncs each file, but its index may lose the last transactions in a power"
        "\ncut; storescp syncs nothing; Samsyn answers after the sync of everything that it needs to answer again."
    )
    result = [{"title": r.title, "unit": r.unit, "values": r.values, "cpu_ms": r.cpu_ms} for r in bench.rows]
    (FOLDER / "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
