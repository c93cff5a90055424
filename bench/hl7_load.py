"""A sender of HL7 v2 messages over MLLP: reports of some two kilobytes, one at a time on each connection.

Runs as a process of its own (`python -m bench.hl7_load`): takes one JSON object on standard input and prints one. All
messages are ready before the clock starts, and one thread serves all connections, so that little of the machine is
the sender's. Patients have numbers of the provider's own; no person's number is made up.
"""

import json
import selectors
import socket
import sys
import time
from typing import Any

LINES = 24
"""Lines of a report: findings and conclusion of an examination of some size."""
_LINE = "Lungparenkymet utan förtätningar. Inga pleuravätskor. Hjärtat är normalstort för åldern."


class Refused(Exception):
    """A message was not answered with AA."""


def message(run: str, connection: int, number: int) -> bytes:
    """One final report with its frame; each has times, a person and a name of its own, so that none was read before."""
    name = f"{run}-{connection}-{number}"
    minute = connection * 1_000 + number
    day = f"202403{1 + minute // 1_440 % 28:02}"
    at = f"{day}{minute // 60 % 24:02}{minute % 60:02}"
    lines = [
        f"MSH|^~\\&|NORDRIS|NORDSJUKHUSET|SAMSYN||{at}30||ORU^R01^ORU_R01|{name}|P|2.5||||||8859/1",
        f"PID|1||B{connection}-{number}||Bänktest^Nummer {number}||19900101|F",
        f"ORC|RE|R{name}",
        f"OBR|1|R{name}|F{name}|CTTHX^DT thorax^L|||{at}00|||||||||||A{name}||||{at}15|||F",
        *(f"OBX|{place}|TX|UTL^Utlåtande||{_LINE}||||||F" for place in range(1, LINES + 1)),
    ]
    return b"\x0b" + "\r".join(lines).encode("latin-1") + b"\r\x1c\r"


def main() -> None:
    """One job in, {"messages", "seconds", "bytes"} out."""
    job: dict[str, Any] = json.load(sys.stdin)
    ready = [
        [message(job["run"], connection, number) for number in range(job["messages"])]
        for connection in range(job["connections"])
    ]
    chosen = selectors.DefaultSelector()
    waiting: dict[int, list[bytes]] = {}
    for messages in ready:
        opened = socket.create_connection((job["host"], job["port"]), timeout=60)
        opened.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        chosen.register(opened, selectors.EVENT_READ, opened)
        waiting[opened.fileno()] = messages[::-1]
    begun = time.perf_counter()
    for key in list(chosen.get_map().values()):
        key.data.sendall(waiting[key.fd].pop())
    left = sum(len(messages) for messages in ready)
    while left:
        for key, _ in chosen.select(60):
            answer = key.data.recv(65_536)
            if b"MSA|AA|" not in answer or not answer.endswith(b"\x1c\r"):
                raise Refused(answer[:400])
            left -= 1
            if waiting[key.fd]:
                key.data.sendall(waiting[key.fd].pop())
    seconds = time.perf_counter() - begun
    told = {"messages": sum(map(len, ready)), "seconds": seconds, "bytes": len(ready[0][0])}
    json.dump(told, sys.stdout)


if __name__ == "__main__":
    main()
