"""A reader over DIMSE that costs little: C-FIND, C-GET and C-MOVE with several associations at once.

Runs as a process of its own (`python -m bench.dimse_read`): takes one JSON object on standard input and prints one.
What arrives is counted and acknowledged, never parsed further than the protocol needs.
"""

import json
import socket
import struct
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from bench.dimse_load import Refused, command_element, item, p_data, title
from bench.objects import CT_IMAGE, EXPLICIT_LITTLE, MR_IMAGE, encoded

STUDY_FIND = "1.2.840.10008.5.1.4.1.2.2.1"
STUDY_MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
STUDY_GET = "1.2.840.10008.5.1.4.1.2.2.3"
SINK_TITLE, SINK_PORT = "SINK", 11199
"""The move destination that both servers know."""

_APPLICATION_CONTEXT = "1.2.840.10008.3.1.1.1"
_OFFERED_PDU_BYTES = 131_072
_BUFFER_BYTES = 262_144
_FIND, _GET, _MOVE = 0x0020, 0x0010, 0x0021
_STORE = 0x0001
_PENDING = (0xFF00, 0xFF01)
_ROLE = 0x54
_CLASSES = (MR_IMAGE, CT_IMAGE)


class Message:
    """One message as far as the reader cares: its command set and how many bytes of data set followed."""

    def __init__(self, context: int, command: dict[int, bytes]) -> None:
        self.context = context
        self.command = command
        self.data_bytes = 0

    @property
    def field(self) -> int:
        """Command Field (0000,0100)."""
        return int.from_bytes(self.command[0x0100], "little")

    @property
    def status(self) -> int:
        """Status (0000,0900)."""
        return int.from_bytes(self.command[0x0900], "little")

    @property
    def has_data(self) -> bool:
        """Whether a data set follows (0000,0800)."""
        return self.command[0x0800] != b"\x01\x01"


class Link:
    """One association, either side of it. Reads as much as there is, so that a message costs few calls."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._socket.settimeout(120)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0

    def _need(self, count: int) -> None:
        """So many bytes lie in the buffer from `_start` on."""
        left = self._end - self._start
        if left < count and self._start:
            self._view[:left] = bytes(self._view[self._start : self._end])
            self._start, self._end = 0, left
        while self._end - self._start < count:
            self._end += self._received(self._end)

    def _received(self, at: int) -> int:
        got = self._socket.recv_into(self._view[at:])
        if got == 0:
            raise Refused("the peer closed the connection")
        return got

    def _skip(self, count: int) -> None:
        """Lets so many bytes go by."""
        taken = min(count, self._end - self._start)
        self._start += taken
        count -= taken
        while count:
            self._end = self._received(0)
            self._start = min(count, self._end)
            count -= self._start

    def pdu(self) -> tuple[int, bytes]:
        """(type, content) of the next PDU, which is a small one."""
        kind, length = self._header()
        self._need(length)
        self._start += length
        return kind, bytes(self._view[self._start - length : self._start])

    def _header(self) -> tuple[int, int]:
        self._need(6)
        kind, length = struct.unpack_from(">BxI", self._buffer, self._start)
        if length > _OFFERED_PDU_BYTES:
            raise Refused(f"a PDU of {length} bytes")
        self._start += 6
        return kind, length

    def message(self) -> Message | None:
        """The next whole message, None when the peer ends the association."""
        told: Message | None = None
        command = b""
        while True:
            kind, left = self._header()
            if kind != 4:
                return None
            while left:
                self._need(6)
                size, context, control = struct.unpack_from(">IBB", self._buffer, self._start)
                self._start += 6
                left -= 4 + size
                size -= 2
                if control & 1:
                    self._need(size)
                    command += bytes(self._view[self._start : self._start + size])
                self._skip(size)
                if control & 1 and control & 2:
                    told = Message(context, _elements(command))
                elif told is not None and not control & 1:
                    told.data_bytes += size
                if control & 2 and told is not None and not (control & 1 and told.has_data):
                    if left:
                        raise Refused("two messages in one PDU")
                    return told

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self._socket.sendall(data)

    def answer_store(self, request: Message) -> None:
        """Success for a C-STORE (PS3.7 9.3.1.2)."""
        elements = b"".join(
            (
                command_element(0x0002, request.command[0x0002]),
                command_element(0x0100, struct.pack("<H", 0x8001)),
                command_element(0x0120, request.command[0x0110]),
                command_element(0x0800, struct.pack("<H", 0x0101)),
                command_element(0x0900, struct.pack("<H", 0)),
                command_element(0x1000, request.command[0x1000]),
            )
        )
        self.send(p_data(command_element(0, struct.pack("<I", len(elements))) + elements, request.context, 3))

    def close(self) -> None:
        """A-RELEASE, and the end of the connection."""
        try:
            self.send(struct.pack(">BxI4x", 5, 4))
            self._socket.recv(64)
        except OSError:
            pass
        self._socket.close()


def _elements(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    at = 0
    while at < len(data):
        _, element, size = struct.unpack_from("<HHI", data, at)
        found[element] = data[at + 8 : at + 8 + size]
        at += 8 + size
    return found


def connect(where: dict[str, Any], model: str) -> Link:
    """An association for one query/retrieve model, and for storing in return."""
    link = Link(socket.create_connection((where["host"], where["port"]), timeout=60))
    classes = (model, *_CLASSES) if model == STUDY_GET else (model,)
    contexts = b"".join(
        item(
            0x20,
            struct.pack(">Bxxx", 2 * n + 1) + item(0x30, c.encode()) + item(0x40, EXPLICIT_LITTLE.encode()),
        )
        for n, c in enumerate(classes)
    )
    roles = b"".join(
        item(_ROLE, struct.pack(">H", len(c)) + c.encode() + b"\x00\x01") for c in classes if c != model
    )
    user = item(
        0x50, item(0x51, struct.pack(">I", _OFFERED_PDU_BYTES)) + item(0x52, b"2.25.280472905719483") + roles
    )
    content = struct.pack(">HH", 1, 0) + title(where["called"]) + title(where["calling"]) + bytes(32)
    content += item(0x10, _APPLICATION_CONTEXT.encode()) + contexts + user
    link.send(struct.pack(">BxI", 1, len(content)) + content)
    kind, content = link.pdu()
    if kind != 2:
        raise Refused(f"association: PDU {kind} {content!r}")
    return link


def request(command: int, model: str, keys: list[list[Any]], message_id: int, destination: str = "") -> bytes:
    """A request with its identifier, ready to be sent on the first context."""
    identifier = b"".join(encoded(tag, vr, value) for tag, vr, value in keys)
    parts = [
        command_element(0x0002, model.encode()),
        command_element(0x0100, struct.pack("<H", command)),
        command_element(0x0110, struct.pack("<H", message_id)),
        command_element(0x0600, destination.encode()) if destination else b"",
        command_element(0x0700, struct.pack("<H", 0)),
        command_element(0x0800, struct.pack("<H", 1)),
    ]
    elements = b"".join(parts)
    return p_data(command_element(0, struct.pack("<I", len(elements))) + elements, 1, 3) + p_data(
        identifier, 1, 2
    )


def find(where: dict[str, Any], what: dict[str, Any]) -> dict[str, float]:
    """Asks `queries` in turn on `clients` associations for `seconds`."""
    latencies: list[float] = []
    answers: list[int] = []
    begun = time.perf_counter()
    deadline = begun + what["seconds"]

    def run(place: int) -> None:
        link = connect(where, STUDY_FIND)
        number = place * len(what["queries"]) // what["clients"]
        while time.perf_counter() < deadline:
            keys = what["queries"][number % len(what["queries"])]
            number += 1
            asked = time.perf_counter()
            link.send(request(_FIND, STUDY_FIND, keys, number % 60_000 + 1))
            count = 0
            while True:
                told = link.message()
                if told is None:
                    raise Refused("the server ended the association")
                if told.status not in _PENDING:
                    break
                count += 1
            if told.status != 0:
                raise Refused(f"C-FIND answered with {told.status:04x}")
            latencies.append(time.perf_counter() - asked)
            answers.append(count)
        link.close()

    _together(run, what["clients"])
    ordered = sorted(latencies)
    return {
        "count": len(ordered),
        "seconds": time.perf_counter() - begun,
        "p50_ms": ordered[len(ordered) // 2] * 1000,
        "p95_ms": ordered[len(ordered) * 19 // 20] * 1000,
        "answers": sum(answers),
    }


def get(where: dict[str, Any], what: dict[str, Any]) -> dict[str, float]:
    """C-GET of one study on `clients` associations at once; every instance is acknowledged."""
    moved = [0] * what["clients"]
    begun = time.perf_counter()

    def run(place: int) -> None:
        link = connect(where, STUDY_GET)
        keys = [[0x00080052, "CS", "STUDY"], [0x0020000D, "UI", what["study"]]]
        link.send(request(_GET, STUDY_GET, keys, 1))
        while True:
            told = link.message()
            if told is None:
                raise Refused("the server ended the association")
            if told.field == _STORE:
                moved[place] += told.data_bytes
                link.answer_store(told)
            elif told.status not in _PENDING:
                break
        if told.status != 0:
            raise Refused(f"C-GET answered with {told.status:04x}")
        link.close()

    _together(run, what["clients"])
    return {"bytes": sum(moved), "seconds": time.perf_counter() - begun}


def move(where: dict[str, Any], what: dict[str, Any]) -> dict[str, float]:
    """C-MOVE of one study to a destination in this process."""
    moved = [0]
    listener = socket.create_server(("127.0.0.1", SINK_PORT))
    listener.settimeout(120)

    def take() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=receive, args=(Link(connection),), daemon=True).start()

    def receive(link: Link) -> None:
        _, asked = link.pdu()
        link.send(acceptance(asked))
        while (told := link.message()) is not None:
            moved[0] += told.data_bytes
            link.answer_store(told)
        link.send(struct.pack(">BxI4x", 6, 4))

    threading.Thread(target=take, daemon=True).start()
    link = connect(where, STUDY_MOVE)
    keys = [[0x00080052, "CS", "STUDY"], [0x0020000D, "UI", what["study"]]]
    begun = time.perf_counter()
    link.send(request(_MOVE, STUDY_MOVE, keys, 1, SINK_TITLE))
    while True:
        told = link.message()
        if told is None:
            raise Refused("the server ended the association")
        if told.status not in _PENDING:
            break
    seconds = time.perf_counter() - begun
    listener.close()
    if told.status != 0:
        raise Refused(f"C-MOVE answered with {told.status:04x}")
    link.close()
    return {"bytes": moved[0], "seconds": seconds}


def acceptance(asked: bytes) -> bytes:
    """A-ASSOCIATE-AC that takes every context in the first syntax that it offers (PS3.8 9.3.3)."""
    results = b""
    at = 68
    while at < len(asked):
        kind, size = struct.unpack_from(">BxH", asked, at)
        if kind == 0x20:
            content = asked[at + 4 : at + 4 + size]
            inner = 4
            while content[inner] != 0x40:
                inner += 4 + int.from_bytes(content[inner + 2 : inner + 4], "big")
            syntax = content[inner : inner + 4 + int.from_bytes(content[inner + 2 : inner + 4], "big")]
            results += item(0x21, content[:1] + b"\0\0\0" + syntax)
        at += 4 + size
    user = item(0x50, item(0x51, struct.pack(">I", _OFFERED_PDU_BYTES)) + item(0x52, b"2.25.280472905719483"))
    content = asked[:68] + item(0x10, _APPLICATION_CONTEXT.encode()) + results + user
    return struct.pack(">BxI", 2, len(content)) + content


def _together(run: Callable[[int], None], clients: int) -> None:
    faults: list[BaseException] = []

    def guarded(place: int) -> None:
        try:
            run(place)
        except (Refused, OSError) as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(place,)) for place in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if faults:
        raise Refused(str(faults[0]))


def main() -> None:
    """One job: {"where": {...}, "what": {"kind": "find" | "get" | "move", ...}} in, figures out."""
    job = json.load(sys.stdin)
    print(
        json.dumps({"find": find, "get": get, "move": move}[job["what"]["kind"]](job["where"], job["what"]))
    )


if __name__ == "__main__":
    main()
