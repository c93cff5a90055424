"""Measurements of texts: HL7 v2 reports over MLLP, each answered after it is durable."""

import json
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import bare_hl7
from bench.measure import Bench, disk_rate, load
from bench.servers import cpu_seconds_of

_RECORD_BYTES = bare_hl7.RECORD_BYTES
"""What the journal writes for a report of three kilobytes: the message, the rows that follow and the audit entry."""
_GOAL = 0.6


def hl7(bench: Bench) -> None:
    """Reports in a second over one connection and over eight, beside the two things that bound them: the disk's own
    syncs, one after the other, and what one interpreter does that only parses, writes, syncs, adds rows and answers."""
    for connections, each in ((1, 600), (8, 300)):
        title = f"HL7 reports, {connections} connection{'s' * (connections > 1)}"
        row = bench.row(title, "/s", "60 % of 1/sync" if connections == 8 else "")
        syncs: list[float] = []
        bare: list[float] = []
        bare_cpu_ms: list[float] = []
        for _ in range(bench.rounds):
            bench.seed += 1
            job = {
                "host": bench.samsyn.host,
                "port": bench.samsyn.mllp_port,
                "run": f"R{bench.seed}",
                "connections": connections,
                "messages": bench.scaled(each),
            }

            def work(job: dict[str, object] = job) -> tuple[float, float]:
                told = load("bench.hl7_load", job)
                return told["messages"] / told["seconds"], told["messages"]

            bench.measured(row, bench.samsyn, work)
            rate, cpu_ms = _bare(bench, job)
            bare.append(rate)
            bare_cpu_ms.append(cpu_ms)
            row.values["disk"].append(disk_rate(bench.folder, _RECORD_BYTES, connections, 1.0))
            syncs.append(disk_rate(bench.folder, _RECORD_BYTES, 1, 1.0))
        cpu = row.median_cpu_ms("Samsyn")
        ours, disk, alone = row.median("Samsyn") or 0.0, row.median("disk") or 1.0, statistics.median(syncs)
        interpreter = statistics.median(bare)
        least = min(alone, interpreter)
        print(
            f"    {title}: {ours:,.0f}/s, {cpu:.2f} ms of CPU each: one core would do {1000 / cpu:,.0f}/s\n"
            f"      1/sync, a sync for each: {alone:,.0f}/s, of which ours is {ours / alone:.0%};"
            f" {connections} in each sync: {disk:,.0f}/s, {ours / disk:.0%}\n"
            f"      one interpreter that only parses, writes, syncs, adds as many rows and answers"
            f" (bench/bare_hl7.py): {interpreter:,.0f}/s, {statistics.median(bare_cpu_ms):.2f} ms of CPU each,"
            f" of which ours is {ours / interpreter:.0%}\n"
            f"      min(1/sync, interpreter): {least:,.0f}/s, of which ours is {ours / least:.0%}"
            + (f"; the goal is {_GOAL:.0%}" if connections == 8 else ""),
            file=sys.stderr,
        )


def _bare(bench: Bench, job: dict[str, Any]) -> tuple[float, float]:
    """(messages in a second, CPU ms for each) of the bare taker on the same job, which must have kept all of them."""
    with _taker(bench) as (process, port):
        load("bench.hl7_load", {**job, "port": port, "run": f"{job['run']}-first", "messages": 20})
        before = cpu_seconds_of(process.pid)
        told = load("bench.hl7_load", {**job, "port": port})
        cpu_ms = (cpu_seconds_of(process.pid) - before) * 1000 / told["messages"]
    kept = bare_hl7.kept(bench.folder / "bare")
    wanted = told["messages"] + 20 * int(job["connections"])
    if kept != (wanted, wanted):
        raise SystemExit(f"the bare taker has {kept} records and messages of {wanted} that it answered")
    for path in sorted((bench.folder / "bare").iterdir()):
        path.unlink()
    (bench.folder / "bare").rmdir()
    return told["messages"] / told["seconds"], cpu_ms


@contextmanager
def _taker(bench: Bench) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    folder = bench.folder / "bare"
    folder.mkdir()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.bare_hl7", str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        yield process, int(json.loads(process.stdout.readline())["port"])
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
