"""Measurements of searching: QIDO-RS and C-FIND by patient, by accession number, by month (or day) and modality."""

import json

from bench import servers
from bench.measure import JSON, Bench, load, turned
from bench.objects import test_number
from bench.servers import Server

_AT_A_TIME = 10_000
_MONTHS_UP_TO = 10_000
"""Among more studies a month has thousands of them: then it is asked for a day."""


def _filled(bench: Bench) -> int:
    """Puts the studies that are searched into both servers, once; how many."""
    studies = bench.scaled(bench.studies)
    while bench.filled < studies:
        count = min(_AT_A_TIME, studies - bench.filled)
        bench.fill("NOTE", count, 1, first=bench.filled, per_patient=4)
        bench.filled += count
    return studies


def _periods(studies: int) -> tuple[str, list[str]]:
    """What a period is called, and seven of them as ranges of dates (PS3.4 C.2.2.2.5)."""
    if studies > _MONTHS_UP_TO:
        return "a day", [f"2023{month:02d}11-2023{month:02d}11" for month in range(1, 8)]
    return "a month", [f"2023{month:02d}01-2023{month:02d}28" for month in range(1, 8)]


def search(bench: Bench) -> None:
    """QIDO-RS: by patient, by accession number, by a period and modality."""
    studies = _filled(bench)
    period, ranges = _periods(studies)
    cases = {
        "patient id": [f"/studies?PatientID={test_number(n)}" for n in range(8, studies // 4, 7)],
        "accession": [f"/studies?AccessionNumber=B{n:07d}" for n in range(100, studies, 13)],
        f"{period} and modality": [f"/studies?StudyDate={dates}&ModalitiesInStudy=MR" for dates in ranges],
    }
    for case, paths in cases.items():
        sizes = {len(json.loads(servers.get(server, paths[0], JSON))) for server in bench.readers}
        if len(sizes) != 1 or sizes == {0}:
            raise SystemExit(f"QIDO by {case}: the servers find {sizes} studies")
        rate = bench.row(f"QIDO among {studies} studies, {case}, 8 clients", "/s", "3 x")
        alone = bench.row(f"QIDO among {studies} studies, {case}, 1 client", "ms")
        for turn in range(bench.rounds):
            for server in turned(bench.readers, turn):

                def many(server: Server = server, paths: list[str] = paths) -> tuple[float, float]:
                    told = bench.read(server, paths, JSON, 8, 3 * bench.scale, 2, 1_000_000)
                    return told["count"] / told["seconds"], told["count"]

                bench.measured(rate, server, many)
                told = bench.read(server, paths, JSON, 1, 2 * bench.scale, 2, 200)
                alone.values[server.name].append(told["p50_ms"])


def find(bench: Bench) -> None:
    """C-FIND at study level, the same three questions, eight associations."""
    count = _filled(bench)
    period, ranges = _periods(count)
    wanted = [[0x0020000D, "UI", ""], [0x00081030, "LO", ""], [0x00100010, "PN", ""]]

    def keys(*given: list[str | int]) -> list[list[str | int]]:
        told = {key[0] for key in given}
        rest = [[0x00080052, "CS", "STUDY"], *wanted]
        return sorted([*given, *(key for key in rest if key[0] not in told)], key=lambda key: int(key[0]))

    cases = {
        "patient id": [keys([0x00100020, "LO", test_number(n)]) for n in range(8, count // 4, 7)],
        "accession": [keys([0x00080050, "SH", f"B{n:07d}"]) for n in range(100, count, 13)],
        f"{period} and modality": [
            keys([0x00080020, "DA", dates], [0x00080061, "CS", "MR"]) for dates in ranges
        ],
    }
    for case, queries in cases.items():
        row = bench.row(f"C-FIND among {count} studies, {case}, 8 associations", "/s", "2.5 x")
        for turn in range(bench.rounds):
            for server in turned(bench.readers, turn):
                what = {"kind": "find", "clients": 8, "seconds": 3 * bench.scale, "queries": queries}

                def work(server: Server = server, what: dict[str, object] = what) -> tuple[float, float]:
                    told = load("bench.dimse_read", {"where": server.where(), "what": what})
                    if not told["answers"]:
                        raise SystemExit(f"{server.name} finds nothing")
                    return told["count"] / told["seconds"], told["count"]

                bench.measured(row, server, work)
