"""Measurements of what goes out: frames, metadata, pictures, whole studies."""

import io
import json
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial

from PIL import Image

from bench import dimse_load, objects, servers
from bench.measure import FRAMES, JSON, Bench, Row, load, turned
from bench.objects import Instance
from bench.servers import Server

_JPEG_FRAMES = 'multipart/related; type="image/jpeg"; transfer-syntax=1.2.840.10008.1.2.4.50'
_OBJECTS = 'multipart/related; type="application/dicom"; transfer-syntax=*'


def frames(bench: Bench) -> None:
    """WADO-RS of single frames with eight clients.

    More than the 128 MiB that Orthanc keeps in memory by default: an archive is not read from a cache.
    """
    for shape, size, count, goal in (("MR", 131_072, 1_400, "20 x"), ("CT", 524_288, 400, "7 x")):
        slices = bench.fill(shape, 1, bench.scaled(count))[0]
        row = bench.row(f"WADO-RS frames of {size // 1024} KiB, 8 clients", "/s", goal)
        series = {server.name: bench.series(server, slices[0].sop_uid) for server in bench.readers}
        for turn in range(bench.rounds):
            for server in turned(bench.readers, turn):
                paths = [f"{series[server.name]}/instances/{s.sop_uid}/frames/1" for s in slices]

                def work(
                    server: Server = server, paths: list[str] = paths, size: int = size
                ) -> tuple[float, float]:
                    told = bench.read(server, paths, FRAMES, 8, 4 * bench.scale, size, 1_000_000)
                    return told["count"] / told["seconds"], told["count"]

                bench.measured(row, server, work)


def metadata(bench: Bench) -> None:
    """Metadata of a series of 500 and of 2,000: asked for first when it has rested, and again, plain and in gzip."""
    for count, goal in ((500, "<= 10 ms"), (2_000, "<= 25 ms")):
        _metadata_of(bench, bench.scaled(count), goal)


def _metadata_of(bench: Bench, count: int, goal: str) -> None:
    title = f"Metadata of {count:,} instances"
    at_once = bench.row(f"{title}, just stored", "ms")
    first = bench.row(f"{title}, first request after 10 s", "ms", goal)
    again = bench.row(f"{title}, later requests", "ms", goal)
    packed = bench.row(f"{title}, later requests, in gzip", "ms", "<= 10 ms")
    least = 800 * count
    paths: dict[str, str] = {}
    for row, rest_s in ((at_once, 0.0), (first, 10.0)):
        sop_uid = bench.fill("MR", 1, count)[0][0].sop_uid
        time.sleep(rest_s)
        paths = {server.name: f"{bench.series(server, sop_uid)}/metadata" for server in bench.readers}
        for server in bench.readers:
            told = bench.read(server, [paths[server.name]], JSON, 1, 120, least, 1)
            row.values[server.name].append(told["first_ms"])
    for server in bench.readers:
        found = len(json.loads(servers.get(server, paths[server.name], JSON)))
        if found != count:
            raise SystemExit(f"{server.name} tells {found} of {count} instances")
    for turn in range(bench.rounds):
        for server in turned(bench.readers, turn):
            for row, coding, size in ((again, "identity", least), (packed, "gzip", count)):

                def work(
                    server: Server = server, coding: str = coding, size: int = size
                ) -> tuple[float, float]:
                    told = bench.read(
                        server,
                        [paths[server.name]],
                        JSON,
                        1,
                        60,
                        size,
                        8,
                        headers={"Accept-Encoding": coding},
                    )
                    return told["p50_ms"], told["count"]

                bench.measured(row, server, work)


def first_frame(bench: Bench) -> None:
    """One CT frame on a new connection, the opening of the connection included."""
    slices = bench.fill("CT", 1, bench.scaled(60))[0]
    row = bench.row("First frame of a CT on a new connection", "ms", "<= 2 ms")
    series = {server.name: bench.series(server, slices[0].sop_uid) for server in bench.readers}
    for turn in range(bench.rounds):
        for server in turned(bench.readers, turn):
            paths = [f"{series[server.name]}/instances/{s.sop_uid}/frames/1" for s in slices]

            def work(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                told = bench.read(server, paths, FRAMES, 1, 10, 524_288, 100, fresh=True)
                return told["p50_ms"], told["count"]

            bench.measured(row, server, work)


def clips(bench: Bench) -> None:
    """Frames of a JPEG clip of 120 frames, and a late frame of an object with 20,000 against its first."""
    source = random.Random(77)
    grey = Image.effect_noise((640, 480), 40.0)
    coded = io.BytesIO()
    grey.save(coded, "JPEG", quality=85)
    of = objects.study(source, 0, 3)
    clip = objects.clip(source, of, [coded.getvalue()] * 120, 480, 640, jpeg=True)
    _put(bench, clip)
    rate = bench.row("WADO-RS frames of a 120-frame JPEG clip, 8 clients", "/s", "20 x")
    series = {server.name: bench.series(server, clip.sop_uid) for server in bench.readers}
    for turn in range(bench.rounds):
        for server in turned(bench.readers, turn):
            paths = [f"{series[server.name]}/instances/{clip.sop_uid}/frames/{n}" for n in range(1, 121)]

            def work(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                told = bench.read(server, paths, _JPEG_FRAMES, 8, 3 * bench.scale, 10_000, 1_000_000)
                return told["count"] / told["seconds"], told["count"]

            bench.measured(rate, server, work)
    frames = 20_000 if bench.scale == 1.0 else 2_000
    long = objects.clip(source, objects.study(source, 1, 3), [bytes(4096)] * frames, 64, 64, jpeg=False)
    _put(bench, long)
    row = bench.row(f"Frame {frames:,} of an object : its first frame", "ratio", "<= 1.5")
    for server in bench.readers:
        base = f"{bench.series(server, long.sop_uid)}/instances/{long.sop_uid}/frames"
        bench.read(server, [f"{base}/1"], FRAMES, 1, 60, 4_096, 1)
        first = bench.read(server, [f"{base}/1"], FRAMES, 1, 10, 4_096, 30)["p50_ms"]
        late = bench.read(server, [f"{base}/{frames}"], FRAMES, 1, 10, 4_096, 30)["p50_ms"]
        row.values[server.name].append(late / first)


def _put(bench: Bench, instance: Instance) -> None:
    for server in bench.readers:
        dimse_load.send(server.where(), [[instance]])


def rendered(bench: Bench) -> None:
    """Rendered pictures of CT slices with eight clients, just stored and when they have rested, and thumbnails."""
    for title, rest_s, goal in (("just stored", 0.0, ""), ("first time", 10.0, "3 x")):
        slices = bench.fill("CT", 1, bench.scaled(200) * bench.rounds)[0]
        time.sleep(rest_s * bench.scale)
        _pictures_of(bench, f"Rendered CT pictures, {title}, 8 clients", goal, slices)
    _thumbnails_of(bench, slices[:200])


def _pictures_of(bench: Bench, title: str, goal: str, slices: list[Instance]) -> None:
    """The first picture of a slice is made, later ones may be kept: each round has slices of its own."""
    series = {server.name: bench.series(server, slices[0].sop_uid) for server in bench.readers}
    share = len(slices) // bench.rounds
    row = bench.row(title, "/s", goal)
    for turn in range(bench.rounds):
        for server in turned(bench.readers, turn):
            mine = slices[turn * share : (turn + 1) * share]
            paths = [f"{series[server.name]}/instances/{s.sop_uid}/rendered" for s in mine]

            def work(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                told = bench.read(server, paths, "image/jpeg", 8, 30, 1_000, len(paths))
                return told["count"] / told["seconds"], told["count"]

            bench.measured(row, server, work)


def _thumbnails_of(bench: Bench, slices: list[Instance]) -> None:
    series = {server.name: bench.series(server, slices[0].sop_uid) for server in bench.readers}
    kept = bench.row("Thumbnails of CT slices, kept, 8 clients", "/s", "15 x")
    for turn in range(bench.rounds):
        for server in turned(bench.readers, turn):
            suffix = "thumbnail?viewport=128,128" if server is bench.samsyn else "rendered?viewport=128,128"
            paths = [f"{series[server.name]}/instances/{s.sop_uid}/{suffix}" for s in slices]
            bench.read(server, paths, "image/jpeg", 8, 60, 100, len(paths))

            def work(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                told = bench.read(server, paths, "image/jpeg", 8, 3 * bench.scale, 100, 1_000_000)
                return told["count"] / told["seconds"], told["count"]

            bench.measured(kept, server, work)


def studies(bench: Bench) -> None:
    """Whole studies of CT and MR by C-GET, C-MOVE and WADO-RS, one client, in MB/s.

    Several studies in turn, more than the 128 MiB that Orthanc keeps in memory: a prior is asked for once.
    """
    for shape, size, count, several, goals in (
        ("CT", 527_000, 100, 4, ("2 x", "1.5 x", "1.5 x")),
        ("MR", 135_000, 200, 6, ("4 x", "1.5 x", "1.5 x")),
    ):
        filled = bench.fill(shape, several, bench.scaled(count))
        paths = [bench.series(bench.samsyn, slices[0].sop_uid).split("/series/")[0] for slices in filled]
        each = len(filled[0])
        ways = (("C-GET", _by_dimse("get")), ("C-MOVE", _by_dimse("move")), ("WADO-RS", _by_web))
        for (name, way), goal in zip(ways, goals, strict=True):
            row = bench.row(f"{name} of {shape} studies, 1 client", "MB/s", goal)
            bare: list[float] = []
            for turn in range(bench.rounds):
                for server in turned(bench.readers, turn):
                    bench.measured(
                        row, server, partial(_in_turn, way, bench, server, paths, each * size, each)
                    )
                if name == "C-GET":
                    bare.append(_bare_get(size, each, len(paths)))
            if bare:
                _print_bound(row, statistics.median(bare))


def _bare_get(size: int, count: int, times: int) -> float:
    """MB/s of a sender that has all objects framed in memory, checks nothing and only waits for answers."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.bare_get"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps({"size": size, "count": count}) + "\n")
        process.stdin.flush()
        where = {"host": "127.0.0.1", "port": json.loads(process.stdout.readline())["port"]}
        job = {
            "where": {**where, "called": "BARE", "calling": "BENCH"},
            "what": {"kind": "get", "study": "2.25.1", "clients": 1},
        }
        rates: list[float] = []
        for _ in range(times):
            told = load("bench.dimse_read", job)
            if told["bytes"] < size * count:
                raise SystemExit(f"the bare sender sent {told['bytes']} bytes of {size * count}")
            rates.append(told["bytes"] / told["seconds"] / 1e6)
        process.stdin.close()
    return len(rates) / sum(1 / rate for rate in rates)


def _print_bound(row: Row, bare: float) -> None:
    ours, theirs = row.median("Samsyn") or 0.0, row.median("Orthanc") or 1.0
    print(
        f"    {row.title}: {ours:,.0f} MB/s; a sender that has every object framed in memory, checks nothing and only\n"
        f"      waits for this client's answers (bench/bare_get.py): {bare:,.0f} MB/s, {bare / theirs:.1f} x Orthanc,"
        f" of which ours is {ours / bare:.0%}; the goal is {row.goal}",
        file=sys.stderr,
    )


def _in_turn(
    way: Callable[[Bench, Server, str, int, int], tuple[float, float]],
    bench: Bench,
    server: Server,
    paths: list[str],
    least: int,
    count: int,
) -> tuple[float, float]:
    rates = [way(bench, server, path, least, count) for path in paths]
    return len(rates) / sum(1 / rate for rate, _ in rates), sum(done for _, done in rates)


def _by_dimse(kind: str) -> Callable[[Bench, Server, str, int, int], tuple[float, float]]:
    def work(bench: Bench, server: Server, path: str, least: int, count: int) -> tuple[float, float]:
        what = {"kind": kind, "study": path.rpartition("/")[2], "clients": 1}
        told = load("bench.dimse_read", {"where": server.where(), "what": what})
        if told["bytes"] < least:
            raise SystemExit(f"{server.name} sent {told['bytes']} bytes of {least}")
        return told["bytes"] / told["seconds"] / 1e6, count

    return work


def _by_web(bench: Bench, server: Server, path: str, least: int, count: int) -> tuple[float, float]:
    told = bench.read(server, [path], _OBJECTS, 1, 60, least, 1)
    return least / told["first_ms"] / 1000, count
