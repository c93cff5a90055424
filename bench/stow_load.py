"""A sender of STOW-RS requests: every body is ready before the clock starts.

Runs as a process of its own (`python -m bench.stow_load`): takes one JSON object on standard input and prints one.
"""

import http.client
import json
import random
import sys
import threading
import time
from typing import Any

from bench import objects

_BOUNDARY = "bench-9f2c41"


class Refused(Exception):
    """A request was not answered with 200."""


def body(files: list[bytes]) -> bytes:
    """One multipart/related body (PS3.18 10.5)."""
    parts = [
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (_BOUNDARY.encode(), file)
        for file in files
    ]
    return b"".join(parts) + b"--%b--\r\n" % _BOUNDARY.encode()


def main() -> None:
    """One job in, {"instances", "seconds"} out."""
    job: dict[str, Any] = json.load(sys.stdin)
    source = random.Random(job["seed"])
    shape = getattr(objects, job["shape"])
    ready: list[list[bytes]] = []
    for place in range(job["clients"]):
        study = objects.study(source, place, place)
        files = [each.file() for each in objects.instances(source, shape, study, job["instances"])]
        step = job["per_request"]
        ready.append([body(files[start : start + step]) for start in range(0, len(files), step)])
    headers = {
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
        "Accept": "application/dicom+json",
        **job["headers"],
    }
    faults: list[str] = []
    start = threading.Barrier(job["clients"] + 1)

    def run(bodies: list[bytes]) -> None:
        connection = http.client.HTTPConnection(job["host"], job["port"], timeout=120)
        connection.connect()
        start.wait()
        for each in bodies:
            connection.request("POST", job["path"], each, headers)
            answer = connection.getresponse()
            told = answer.read()
            if answer.status != 200:
                faults.append(f"{answer.status} {told[:200]!r}")
                return

    threads = [threading.Thread(target=run, args=(bodies,)) for bodies in ready]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    if faults:
        raise Refused(faults[0])
    print(json.dumps({"instances": job["clients"] * job["instances"], "seconds": seconds}))


if __name__ == "__main__":
    main()
