"""`make bench-scale`: are search, storing and making the index anew as quick with a million studies as with a thousand?

    python -m bench.scale [--sizes 1000 100000 1000000] [--rounds 3] [--seconds 2] [--folder FOLDER] [--keep]

Fills a data folder for each size by the way that every instance goes (bench/scale_fill.py), makes the index of each
anew, starts a server on each, and asks all of them in turns, round by round, so that what else the machine does
falls on every size alike. The questions are the same and their answers as long at every size. About ten gigabytes
and half an hour for a million studies; `--keep` leaves the filled folders, and finds them the next time. The last
column is the largest size against the smallest: for times and for rates alike, more than 1 is worse.
"""

import argparse
import hashlib
import json
import os
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.request
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bench import scale_fill, servers
from bench.measure import JSON, aligned, load, number, turned
from bench.servers import Server

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench-scale"
SIZES = (1_000, 100_000, 1_000_000)
TOKEN = "bench-scale-token-of-no-worth"
CONFIG = """
[data]
folder = "{folder}"
[dicom]
port = {dicom}
[http]
port = {http}
[mllp]
port = {mllp}
[[provider]]
hsa_id = "SE9990000001-0001"
name = "Nordsjukhuset"
local_issuer = "2.25.9990000001.1"
accession_issuer = "2.25.9990000001.2"
[[provider.unit]]
hsa_id = "SE9990000001-1001"
name = "Röntgen"
[[provider.dicom_peer]]
ae_title = "BENCH"
[[provider.token]]
name = "BENCH"
sha256 = "{digest}"
"""
GOAL = 1.3
_QUESTIONS = 400
_MORE = 1_000
"""Studies that come in addition in each round, in process and over DIMSE."""
_MORE_OF_A_DAY = 2
"""Of those, at most so many fall on a day and modality that is asked for."""
MOST_STUDIES = scale_fill.MOST_STUDIES - 100 * _MORE
"""Of one size; what comes in addition has the numbers behind."""
_WANTED = ((0x0020000D, "UI", ""), (0x00081030, "LO", ""), (0x00100010, "PN", ""))


@dataclass(slots=True)
class Line:
    """One measurement: for each size its values, one a round."""

    title: str
    unit: str
    values: dict[int, list[float]] = field(default_factory=dict)

    def medians(self) -> list[float]:
        """One value a size, the smallest size first."""
        return [statistics.median(self.values[size]) for size in sorted(self.values)]

    def slowdown(self) -> float:
        """The largest size against the smallest, more than 1 = worse; 0 = there is only one."""
        medians = self.medians()
        if len(medians) < 2 or not medians[0] or not medians[-1]:
            return 0.0
        return medians[0] / medians[-1] if self.unit.endswith("/s") else medians[-1] / medians[0]


class Table:
    """What was measured so far."""

    def __init__(self) -> None:
        self.lines: dict[str, Line] = {}

    def note(self, size: int, title: str, unit: str, value: float) -> None:
        """One more value."""
        self.lines.setdefault(title, Line(title, unit)).values.setdefault(size, []).append(value)
        print(f"  {size:,} studies: {title}: {number(value)} {unit}", file=sys.stderr, flush=True)


class Scale:
    """The folder of one size."""

    def __init__(self, folder: Path, size: int, seconds: float, table: Table) -> None:
        self.folder, self.data, self.size, self.seconds = folder, folder / "data", size, seconds
        self.log, self.table, self.round = folder / "server.log", table, 0

    def note(self, title: str, unit: str, value: float) -> None:
        """One more value of this size."""
        self.table.note(self.size, title, unit, value)

    def filled(self, smaller: "Scale | None") -> None:
        """Lets the folder hold all its studies; those of the smaller one are taken over from it."""
        done = self.folder / "filled"
        if done.exists():
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        self.folder.mkdir(parents=True)
        if smaller is not None:
            shutil.copytree(smaller.data, self.data)
        seconds, _ = _take_in(self.data, smaller.size if smaller else 0, self.size)
        print(
            f"  {self.size:,} studies in the folder, the last in {seconds:.0f} s", file=sys.stderr, flush=True
        )
        done.touch()

    def next_round(self) -> None:
        """What comes in from now on is new to the folder, which may have been kept from another time."""
        note = self.folder / "rounds"
        self.round = int(note.read_text()) + 1 if note.exists() else 0
        note.write_text(str(self.round))

    def take_in(self) -> None:
        """A thousand further studies, without a network between."""
        first = scale_fill.MOST_STUDIES - (self.round + 1) * _MORE
        seconds, cpu = _take_in(self.data, first, first + _MORE)
        self.note("Taking in (in process), each", "ms", seconds * 1000 / _MORE)
        self.note("Taking in (in process), CPU each", "ms", cpu * 1000 / _MORE)

    def started(self) -> Server:
        """A server on the folder, ready; the time until then is noted."""
        dicom, http, mllp = servers.free_port(), servers.free_port(), servers.free_port()
        config = self.folder / "samsyn.toml"
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        ports = {"dicom": dicom, "http": http, "mllp": mllp}
        config.write_text(CONFIG.format(folder=self.data, digest=digest, **ports))
        begun = time.perf_counter()
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", "samsyn", "serve", "--config", str(config)], stdout=log, stderr=log
            )
        made = Server("Samsyn", process, self.folder / "none", "127.0.0.1", dicom, "SAMSYN", "BENCH", http,
                      "/dicomweb", {"Authorization": f"Bearer {TOKEN}"}, mllp)  # fmt: skip
        while process.poll() is None:
            with suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{http}/health/ready", timeout=1).close()
                self.note("Start of the server", "s", time.perf_counter() - begun)
                return made
            time.sleep(0.02)
        raise SystemExit(f"the server did not start:\n{self.log.read_text()[-3000:]}")

    def search(self, server: Server) -> None:
        """QIDO-RS and C-FIND by patient, by accession number, by day and modality."""
        dice = random.Random(self.size + self.round)
        chosen = [dice.randrange(self.size) for _ in range(_QUESTIONS)]
        for case, expected, path, keys in (
            ("patient id", scale_fill.STUDIES_OF_A_PERSON, _by_patient, _patient_keys),
            ("accession", 1, _by_accession, _accession_keys),
            ("day + modality", scale_fill.STUDIES_OF_A_DAY // len(scale_fill.MODALITIES), _by_day, _day_keys),
        ):
            paths = [path(index) for index in chosen]
            found = len(json.loads(servers.get(server, paths[0], JSON)))
            if not expected <= found <= expected + _MORE_OF_A_DAY:
                raise SystemExit(f"QIDO by {case} finds {found} of {expected} studies: {paths[0]}")
            before = server.cpu_seconds()
            many = self._read(server, paths, 8)
            self.note(f"QIDO {case}, 8 clients", "/s", many["count"] / many["seconds"])
            self.note(f"QIDO {case}, CPU each", "ms", (server.cpu_seconds() - before) * 1000 / many["count"])
            alone = self._read(server, paths, 1)
            self.note(f"QIDO {case}, p50", "ms", alone["p50_ms"])
            self.note(f"QIDO {case}, p95", "ms", alone["p95_ms"])
            what = {
                "kind": "find",
                "clients": 8,
                "seconds": self.seconds,
                "queries": [keys(index) for index in chosen],
            }
            before = server.cpu_seconds()
            told = load("bench.dimse_read", {"where": server.where(), "what": what})
            used = server.cpu_seconds() - before
            if not expected <= told["answers"] / told["count"] <= expected + _MORE_OF_A_DAY:
                raise SystemExit(f"C-FIND by {case}: {told}")
            self.note(f"C-FIND {case}, 8 associations", "/s", told["count"] / told["seconds"])
            self.note(f"C-FIND {case}, CPU each", "ms", used * 1000 / told["count"])

    def _read(self, server: Server, paths: list[str], clients: int) -> dict[str, Any]:
        job = {
            "host": server.host,
            "port": server.http_port,
            "paths": [server.web_path + path for path in paths],
            "headers": {"Accept": JSON, **server.headers},
            "clients": clients,
            "seconds": self.seconds,
            "least_bytes": 2,
            "count": 1_000_000,
        }
        return load("bench.http_load", job)

    def store(self, server: Server) -> None:
        """New studies over DIMSE, each of one small instance."""
        seed = self.size + self.round * _MORE
        what = {"seed": seed, "shape": "NOTE", "associations": 8, "studies": _MORE, "instances": 1,
                "first": 5_000_000 + seed, "first_patient": 200_000, "studies_per_patient": 1}  # fmt: skip
        before = server.cpu_seconds()
        told = load("bench.dimse_load", {"where": server.where(), "what": what})
        self.note("C-STORE of new studies, 8 associations", "/s", told["instances"] / told["seconds"])
        self.note("C-STORE of new studies, CPU each", "ms", (server.cpu_seconds() - before) * 1000 / _MORE)

    def rebuild(self) -> None:
        """The index anew from the journal."""
        done = subprocess.run(
            [sys.executable, "-m", "samsyn", "index", "rebuild", "--data", str(self.data)],
            capture_output=True,
            text=True,
        )
        told = re.search(r"from (\d+) records in ([\d.]+) s", done.stdout)
        if done.returncode or told is None:
            raise SystemExit(f"the index could not be made anew:\n{done.stderr[-3000:]}")
        self.note("Index anew", "records/s", int(told[1]) / max(float(told[2]), 0.1))

    def weigh(self) -> None:
        """What a study costs in the index, once it was made anew."""
        self.note("Index, each study", "bytes", (self.data / "index.sqlite").stat().st_size / self.size)


def _take_in(data: Path, first: int, end: int) -> tuple[float, float]:
    """Puts studies into a folder, in a process of its own: seconds, and seconds of CPU."""
    arguments = [sys.executable, "-m", "bench.scale_fill", str(data), str(first), str(end)]
    done = subprocess.run(arguments, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"the folder could not be filled:\n{done.stderr[-3000:]}")
    seconds, cpu = map(float, done.stdout.split())
    return seconds, cpu


def _by_patient(index: int) -> str:
    return f"/studies?PatientID={scale_fill.study(index).patient_id}"


def _by_accession(index: int) -> str:
    return f"/studies?AccessionNumber={scale_fill.study(index).accession}"


def _by_day(index: int) -> str:
    return f"/studies?StudyDate={scale_fill.day_of(index)}&ModalitiesInStudy={scale_fill.modality_of(index)}"


def _keys(*given: tuple[int, str, str]) -> list[list[Any]]:
    return [list(key) for key in sorted([*given, (0x00080052, "CS", "STUDY"), *_WANTED])]


def _patient_keys(index: int) -> list[list[Any]]:
    return _keys((0x00100020, "LO", scale_fill.study(index).patient_id))


def _accession_keys(index: int) -> list[list[Any]]:
    return _keys((0x00080050, "SH", scale_fill.study(index).accession))


def _day_keys(index: int) -> list[list[Any]]:
    return _keys(
        (0x00080020, "DA", scale_fill.day_of(index)), (0x00080061, "CS", scale_fill.modality_of(index))
    )


def shown(sizes: list[int], lines: list[Line]) -> str:
    """The result as aligned text."""
    rows = [["studies", "", *(f"{size:,}" for size in sizes), f"{sizes[-1]:,} : {sizes[0]:,}", ""]]
    for line in lines:
        worse = line.slowdown()
        verdict = "" if not worse or worse <= GOAL else f"over {GOAL}"
        rows.append(
            [line.title, line.unit, *map(number, line.medians()), f"{worse:.2f}" if worse else "", verdict]
        )
    return aligned(rows)


def main() -> None:
    """Fills, asks, prints the table."""
    parser = argparse.ArgumentParser(prog="python -m bench.scale", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=list(SIZES))
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each measurement in a round")
    parser.add_argument("--folder", type=Path, default=FOLDER)
    parser.add_argument("--keep", action="store_true", help="leave the filled folders for the next time")
    arguments = parser.parse_args()
    sizes: list[int] = sorted(arguments.sizes)
    if sizes[-1] > MOST_STUDIES:
        raise SystemExit(f"at most {MOST_STUDIES:,} studies: that would need more test numbers")
    if not arguments.keep:
        shutil.rmtree(arguments.folder, ignore_errors=True)
    os.environ.setdefault("PYTHONUNBUFFERED", "1")
    begun, table = time.monotonic(), Table()
    scales = [Scale(arguments.folder / str(size), size, arguments.seconds, table) for size in sizes]
    try:
        for place, scale in enumerate(scales):
            scale.filled(scales[place - 1] if place else None)
        if arguments.rounds:
            measured(scales, arguments.rounds)
            print(shown(sizes, list(table.lines.values())))
    finally:
        if not arguments.keep:
            shutil.rmtree(arguments.folder, ignore_errors=True)
    print(f"\nIn {(time.monotonic() - begun) / 60:.0f} minutes. Every search passes View and audit.")


def measured(scales: list[Scale], rounds: int) -> None:
    """The index of each size anew, then everything at every size in turns, the order turning with each round."""
    for scale in scales:
        scale.rebuild()
        scale.weigh()
    for turn in range(rounds):
        for scale in turned(scales, turn):
            scale.next_round()
            server = scale.started()
            try:
                scale.search(server)
                scale.store(server)
            finally:
                server.stop()
            scale.take_in()


if __name__ == "__main__":
    main()
