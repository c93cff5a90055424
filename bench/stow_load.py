"""A sender of STOW-RS requests that costs next to nothing: every byte is ready before the clock starts.

Runs as a process of its own (`python -m bench.stow_load`): takes one JSON object on standard input and prints one. An
HTTP client of the library would cost a third of what the server does.
"""

import json
import random
import socket
import sys
import threading
import time
from typing import Any

from bench import objects

_BOUNDARY = "bench-9f2c41"
_HEAD_ENDS = b"\r\n\r\n"
_READ_BYTES = 65_536


class Refused(Exception):
    """A request was not answered with 200."""


def body(files: list[bytes]) -> bytes:
    """One multipart/related body (PS3.18 10.5)."""
    parts = [
        b"--%b\r\nContent-Type: application/dicom\r\n\r\n%b\r\n" % (_BOUNDARY.encode(), file)
        for file in files
    ]
    return b"".join(parts) + b"--%b--\r\n" % _BOUNDARY.encode()


def request(job: dict[str, Any], content: bytes) -> bytes:
    """One POST, head and body."""
    fields = {
        "Host": f"{job['host']}:{job['port']}",
        "Accept-Encoding": "identity",
        "Content-Length": len(content),
        "Content-Type": f'multipart/related; type="application/dicom"; boundary={_BOUNDARY}',
        "Accept": "application/dicom+json",
        **job["headers"],
    }
    lines = [f"POST {job['path']} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items())]
    return "\r\n".join(lines).encode() + _HEAD_ENDS + content


def post(connection: socket.socket, whole: bytes) -> None:
    """Sends a request and reads its answer to the end. Refused: it is not 200."""
    connection.sendall(whole)
    told = b""
    while (ends := told.find(_HEAD_ENDS)) < 0:
        told += _more(connection)
    head = told[:ends].lower() + b"\r\n"
    if b"\r\ntransfer-encoding:" in head:
        raise Refused("an answer in chunks")
    begins = head.find(b"\r\ncontent-length:") + 17
    length = int(head[begins : head.index(b"\r\n", begins)])
    while len(told) < ends + len(_HEAD_ENDS) + length:
        told += _more(connection)
    if told[9:12] != b"200":
        raise Refused(repr(told[:600]))


def _more(connection: socket.socket) -> bytes:
    piece = connection.recv(_READ_BYTES)
    if not piece:
        raise Refused("the server closed the connection")
    return piece


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
        bodies = [body(files[start : start + step]) for start in range(0, len(files), step)]
        ready.append([request(job, each) for each in bodies])
    faults: list[str] = []
    start = threading.Barrier(job["clients"] + 1)

    def run(requests: list[bytes]) -> None:
        with socket.create_connection((job["host"], job["port"]), timeout=120) as connection:
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            start.wait()
            try:
                for whole in requests:
                    post(connection, whole)
            except (Refused, OSError) as fault:
                faults.append(str(fault))

    threads = [threading.Thread(target=run, args=(requests,)) for requests in ready]
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
