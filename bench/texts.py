"""Measurements of texts: HL7 v2 reports over MLLP, each answered after it is durable."""

import statistics
import sys

from bench.measure import Bench, disk_rate, load

_RECORD_BYTES = 7_000
"""What the journal writes for a report of three kilobytes: the message, the rows that follow and the audit entry."""


def hl7(bench: Bench) -> None:
    """Reports in a second over one connection and over eight, beside the disk's own rate: one in a sync and shared."""
    for connections, each in ((1, 600), (8, 300)):
        title = f"HL7 reports, {connections} connection{'s' * (connections > 1)}"
        row = bench.row(title, "/s", "60 % of 1/sync" if connections == 8 else "")
        syncs: list[float] = []
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
            row.values["disk"].append(disk_rate(bench.folder, _RECORD_BYTES, connections, 1.0))
            syncs.append(disk_rate(bench.folder, _RECORD_BYTES, 1, 1.0))
        cpu = row.median_cpu_ms("Samsyn")
        ours, disk, alone = row.median("Samsyn") or 0.0, row.median("disk") or 1.0, statistics.median(syncs)
        print(
            f"    {title}: {ours:,.0f}/s; the disk {alone:,.0f} syncs/s, which is {ours / alone:.0%};"
            f" with {connections} in each sync {disk:,.0f}/s, which is {ours / disk:.0%}."
            f" {cpu:.2f} ms of CPU each: one core would do {1000 / cpu:,.0f}/s",
            file=sys.stderr,
        )
