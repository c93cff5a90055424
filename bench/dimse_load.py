"""A sender of C-STORE requests that costs next to nothing: every byte is ready before the clock starts.

Runs as a process of its own (`python -m bench.dimse_load`): takes one JSON object on standard input and prints one.
"""

import json
import random
import socket
import struct
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

from bench import objects
from bench.objects import EXPLICIT_LITTLE, Instance

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_IMPLEMENTATION = "2.25.280472905719483"
_OFFERED_PDU_BYTES = 131_072


class Refused(Exception):
    """The server did not accept an association or an instance."""


def item(kind: int, content: bytes) -> bytes:
    """An item of an association PDU (PS3.8 9.3.2)."""
    return struct.pack(">BxH", kind, len(content)) + content


def title(name: str) -> bytes:
    """An AE title, padded."""
    return name.encode().ljust(16)


def associate_request(
    called: str, calling: str, classes: Sequence[str], transfer_syntax: str = EXPLICIT_LITTLE
) -> bytes:
    """A-ASSOCIATE-RQ (PS3.8 9.3.2) with one context for each class, ids 1, 3, 5 ..."""
    contexts = b"".join(
        item(
            0x20,
            struct.pack(">Bxxx", 2 * place + 1)
            + item(0x30, sop_class.encode())
            + item(0x40, transfer_syntax.encode()),
        )
        for place, sop_class in enumerate(classes)
    )
    user = item(
        0x50, item(0x51, struct.pack(">I", _OFFERED_PDU_BYTES)) + item(0x52, _IMPLEMENTATION.encode())
    )
    content = struct.pack(">HH", 1, 0) + title(called) + title(calling) + bytes(32)
    content += item(0x10, _APPLICATION_CONTEXT.encode()) + contexts + user
    return struct.pack(">BxI", 1, len(content)) + content


def command_element(element: int, value: bytes) -> bytes:
    """An element of a command set (PS3.7 6.3.1)."""
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", 0, element, len(value)) + value


def p_data(content: bytes, context: int, control: int) -> bytes:
    """One presentation data value in a PDU of its own (PS3.8 9.3.5)."""
    return struct.pack(">BxIIBB", 4, len(content) + 6, len(content) + 2, context, control) + content


def store_request(instance: Instance, message_id: int) -> bytes:
    """The command set of a C-STORE-RQ (PS3.7 9.3.1.1)."""
    elements = b"".join(
        (
            command_element(0x0002, instance.sop_class.encode()),
            command_element(0x0100, struct.pack("<H", 0x0001)),
            command_element(0x0110, struct.pack("<H", message_id)),
            command_element(0x0700, struct.pack("<H", 0)),
            command_element(0x0800, struct.pack("<H", 0x0001)),
            command_element(0x1000, instance.sop_uid.encode()),
        )
    )
    return command_element(0x0000, struct.pack("<I", len(elements))) + elements


def message(instance: Instance, message_id: int, context: int, pdu_bytes: int) -> bytes:
    """The whole message as P-DATA-TF PDUs that the peer takes."""
    parts: list[bytes] = []
    room = pdu_bytes - 6
    for content, flag in ((store_request(instance, message_id), 1), (instance.data, 0)):
        for start in range(0, len(content), room):
            piece = content[start : start + room]
            last = 2 if start + room >= len(content) else 0
            parts.append(struct.pack(">BxIIBB", 4, len(piece) + 6, len(piece) + 2, context, flag | last))
            parts.append(piece)
    return b"".join(parts)


class Association:
    """One open association that only stores."""

    def __init__(self, where: dict[str, Any], classes: Sequence[str], transfer_syntax: str) -> None:
        self._socket = socket.create_connection((where["host"], where["port"]), timeout=60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.sendall(associate_request(where["called"], where["calling"], classes, transfer_syntax))
        kind, content = self._pdu()
        if kind != 2:
            raise Refused(f"association: PDU {kind}")
        self.pdu_bytes = _peers_pdu_bytes(content)

    def _exactly(self, count: int) -> bytes:
        received = b""
        while len(received) < count:
            piece = self._socket.recv(count - len(received))
            if not piece:
                raise Refused("the server closed the connection")
            received += piece
        return received

    def _pdu(self) -> tuple[int, bytes]:
        kind, length = struct.unpack(">BxI", self._exactly(6))
        return kind, self._exactly(length)

    def store(self, request: bytes) -> None:
        """Sends one ready message and waits for its success."""
        self._socket.sendall(request)
        kind, content = self._pdu()
        # Status (0000,0900), US: the only element of the response that matters here.
        place = content.rfind(b"\x00\x00\x00\x09\x02\x00\x00\x00")
        status = content[place + 8 : place + 10][::-1].hex() if kind == 4 and place >= 0 else f"PDU {kind}"
        if status != "0000":
            raise Refused(f"C-STORE answered with {status}: {content!r}")

    def release(self) -> None:
        """A-RELEASE, and the end of the connection."""
        self._socket.sendall(struct.pack(">BxI4x", 5, 4))
        self._socket.recv(64)
        self._socket.close()


def _peers_pdu_bytes(accept: bytes) -> int:
    """Maximum length that the peer takes, from A-ASSOCIATE-AC; 0 = any."""
    place = accept.find(b"\x51\x00\x00\x04")
    stated = struct.unpack_from(">I", accept, place + 4)[0] if place >= 0 else 16_384
    return min(stated, _OFFERED_PDU_BYTES) if stated else _OFFERED_PDU_BYTES


def send(where: dict[str, Any] | list[dict[str, Any]], portions: list[list[Instance]]) -> float:
    """Sends each portion on an association of its own, all at once; seconds from the first byte to the last answer.

    A portion has one transfer syntax. Of several places each gets its share of the associations.
    """
    places = where if isinstance(where, list) else [where]
    classes = sorted({instance.sop_class for portion in portions for instance in portion})
    ends: list[float] = []
    faults: list[BaseException] = []
    open_now = [
        Association(
            places[index % len(places)],
            classes,
            portion[0].transfer_syntax if portion else EXPLICIT_LITTLE,
        )
        for index, portion in enumerate(portions)
    ]
    ready = [
        [
            message(instance, number % 65_535 + 1, 2 * classes.index(instance.sop_class) + 1, peer.pdu_bytes)
            for number, instance in enumerate(portion)
        ]
        for peer, portion in zip(open_now, portions, strict=True)
    ]
    start = threading.Barrier(len(portions) + 1)

    def run(peer: Association, requests: list[bytes]) -> None:
        start.wait()
        try:
            for request in requests:
                peer.store(request)
        except (Refused, OSError) as fault:
            faults.append(fault)
        ends.append(time.perf_counter())

    threads = [threading.Thread(target=run, args=pair) for pair in zip(open_now, ready, strict=True)]
    for thread in threads:
        thread.start()
    start.wait()
    begun = time.perf_counter()
    for thread in threads:
        thread.join()
    if faults:
        raise Refused(str(faults[0]))
    for peer in open_now:
        peer.release()
    return max(ends) - begun


def portions_of(wanted: dict[str, Any]) -> list[list[Instance]]:
    """What a job asks for: instances of one shape, or a whole set of small studies."""
    source = random.Random(wanted["seed"])
    shape = getattr(objects, wanted["shape"])
    count = wanted["associations"]
    portions: list[list[Instance]] = [[] for _ in range(count)]
    for index in range(wanted["studies"]):
        patient = wanted.get("first_patient", 0) + index // wanted["studies_per_patient"]
        study = objects.study(source, wanted.get("first", 0) + index, patient)
        portions[index % count].extend(objects.instances(source, shape, study, wanted["instances"]))
    return portions


def main() -> None:
    """One job: {"where": {...} or [{...}, ...], "what": {...}} in, {"seconds", "instances", "bytes"} out."""
    job = json.load(sys.stdin)
    portions = portions_of(job["what"])
    seconds = send(job["where"], portions)
    sizes = [len(instance.data) for portion in portions for instance in portion]
    print(json.dumps({"seconds": seconds, "instances": len(sizes), "bytes": sum(sizes)}))


if __name__ == "__main__":
    main()
