"""`make bench`: every measurement interleaved over the servers, medians, and the disk's own rate beside them.

    python -m bench [--rounds N] [--quick] [--only NAME ...] [--studies N]

On a machine of two cores the load and the servers share them, so absolute figures say little: read the ratios, and
the server's own CPU time for each operation. Results also go to build/bench/result.json.
"""

import argparse
import json
import shutil
from pathlib import Path

from bench import access_cost, at_rest, reading, searching, storing, texts
from bench.measure import Bench, table

FOLDER = Path(__file__).resolve().parent.parent / "build" / "bench"
CASES = {
    "store": storing.store,
    "stow": storing.stow,
    "frames": reading.frames,
    "first_frame": reading.first_frame,
    "clips": reading.clips,
    "metadata": reading.metadata,
    "rendered": reading.rendered,
    "studies": reading.studies,
    "search": searching.search,
    "find": searching.find,
    "memory": storing.memory,
    "at_rest": at_rest.at_rest,
    "access_cost": access_cost.access_cost,
    "hl7": texts.hl7,
}


def main() -> None:
    """Starts the servers, measures, prints the table, ends the servers."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--quick", action="store_true", help="one round with little data: does it run at all")
    parser.add_argument("--studies", type=int, default=2_000, help="how many are searched by search and find")
    parser.add_argument("--only", choices=tuple(CASES), nargs="+", action="extend")
    arguments = parser.parse_args()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    bench = Bench(
        FOLDER, 1 if arguments.quick else arguments.rounds, 0.2 if arguments.quick else 1.0, arguments.studies
    )
    try:
        for name in arguments.only or CASES:
            CASES[name](bench)
    finally:
        bench.close()
        print(table(bench.rows), flush=True)  # what was measured before something failed, too
    print(
        "\nMedians of interleaved rounds. disk: the same bytes appended to one file, one fdatasync for as many records"
        "\nas there are associations. Orthanc syncs each file, but its index may lose the last transactions in a power"
        "\ncut; storescp syncs nothing; Samsyn answers after the sync of everything that it needs to answer again."
    )
    result = [{"title": r.title, "unit": r.unit, "values": r.values, "cpu_ms": r.cpu_ms} for r in bench.rows]
    (FOLDER / "result.json").write_text(json.dumps(result, indent=1))


if __name__ == "__main__":
    main()
