"""Measurements of what comes in: C-STORE and STOW-RS, and the memory of a server with many associations."""

import socket
import time

from bench.dimse_load import associate_request
from bench.measure import Bench, disk_rate, load, turned
from bench.objects import MR_IMAGE
from bench.servers import ORTHANC_THREADS, Server

_ASSOCIATIONS = 64


def store(bench: Bench) -> None:
    """Durable C-STORE of MR and CT slices with one, four and eight associations."""
    for shape, size, associations, each, goal in (
        ("MR", 136_000, 1, 400, "4 x"),
        ("MR", 136_000, 4, 200, "4 x"),
        ("MR", 136_000, 8, 150, "4 x"),
        ("CT", 529_000, 1, 150, "2.5 x"),
        ("CT", 529_000, 8, 40, "2.5 x"),
    ):
        row = bench.row(
            f"C-STORE of {size // 1000} kB, {associations} association{'s' * (associations > 1)}", "/s", goal
        )
        for turn in range(bench.rounds):
            for server in turned([bench.samsyn, bench.orthanc, bench.storescp], turn):
                bench.seed += 1
                what = {
                    "seed": bench.seed,
                    "shape": shape,
                    "associations": associations,
                    "studies": associations,
                    "instances": bench.scaled(each),
                    "studies_per_patient": 1,
                }
                # mypy can not infer a lambda whose defaults bind the loop's values.
                bench.measured(row, server, lambda s=server, w=what: bench.send(s, w))  # type: ignore[misc]
            for old in bench.storescp.folder.iterdir():
                old.unlink()
            row.values["disk"].append(disk_rate(bench.folder, size, associations, 1.0))


def stow(bench: Bench) -> None:
    """STOW-RS of MR slices on eight connections, one and twenty in a request."""
    for per_request, each, goal in ((1, 60, "4 x"), (20, 100, "8 x")):
        row = bench.row(f"STOW-RS of 136 kB, 8 connections, {per_request} in a request", "/s", goal)
        for turn in range(bench.rounds):
            for server in turned(bench.readers, turn):
                bench.seed += 1
                job = {
                    "seed": bench.seed,
                    "shape": "MR",
                    "clients": 8,
                    "instances": max(per_request, bench.scaled(each)),
                    "per_request": per_request,
                    "host": server.host,
                    "port": server.http_port,
                    "path": f"{server.web_path.rstrip('/')}/studies",
                    "headers": server.headers,
                }

                def work(job: dict[str, object] = job) -> tuple[float, float]:
                    told = load("bench.stow_load", job)
                    return told["instances"] / told["seconds"], told["instances"]

                bench.measured(row, server, work)


def memory(bench: Bench) -> None:
    """Memory of the serving processes while 64 associations are open, for Orthanc as many as it has threads, and eight
    of them store."""
    row = bench.row(f"Memory with {_ASSOCIATIONS} associations", "MiB", "<= 200")
    for server in bench.readers:
        most = min(_ASSOCIATIONS, ORTHANC_THREADS) if server is bench.orthanc else _ASSOCIATIONS
        idle = [_associated(server) for _ in range(most - 8)]
        bench.seed += 1
        what = {
            "seed": bench.seed,
            "shape": "MR",
            "associations": 8,
            "studies": 8,
            "instances": bench.scaled(60),
            "studies_per_patient": 1,
        }
        bench.send(server, what)
        row.values[server.name].append(server.memory_mib())
        for each in idle:
            each.close()
        time.sleep(0.2)


def _associated(server: Server) -> socket.socket:
    where = server.where()
    opened = socket.create_connection((where["host"], where["port"]), timeout=60)
    opened.sendall(associate_request(where["called"], where["calling"], [MR_IMAGE]))
    if opened.recv(1) != b"\x02":
        raise SystemExit(f"{server.name} does not take {_ASSOCIATIONS} associations")
    return opened
