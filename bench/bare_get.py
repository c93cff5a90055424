"""What the client of the C-GET measurement can take: a bare sender, to measure Samsyn beside.

`python -m bench.bare_get` takes one JSON object on standard input ({"size": bytes of a data set, "count": objects}),
listens for one association after the other on a free port, which it prints as JSON, until its input ends. It has the
PDUs of every object in memory before the first is asked for, answers any C-GET with all of them, writes each by one
call as soon as the answer to the one before has come, and looks at nothing: it reads no disk, checks no byte, knows no
reader and no patient. It is no product, only the most that a client leaves.
"""

import json
import os
import socket
import struct
import sys
import threading

from bench.dimse_load import command_element, p_data
from bench.dimse_read import acceptance
from bench.objects import CT_IMAGE

_MAXIMUM = 131_072
_STORE, _GET_RESPONSE = 0x0001, 0x8010
_STORE_CONTEXT = 5
"""The context that the client of the measurement offers for CT."""
_FRAGMENT = _MAXIMUM - 6


def _message(elements: list[tuple[int, bytes]], context: int) -> bytes:
    content = b"".join(command_element(element, value) for element, value in elements)
    return p_data(command_element(0, struct.pack("<I", len(content))) + content, context, 3)


def _stores(size: int, count: int) -> list[list[bytes | memoryview]]:
    """Header, fragment, header, fragment ... of each object, whose bytes are its own: nothing stays in a cache that
    would not with a real sender."""
    made = []
    for number in range(1, count + 1):
        uid = f"2.25.{number}".encode()
        data = memoryview(os.urandom(size))
        pieces: list[bytes | memoryview] = [
            _message(
                [
                    (0x0002, CT_IMAGE.encode()),
                    (0x0100, struct.pack("<H", _STORE)),
                    (0x0110, struct.pack("<H", number)),
                    (0x0700, struct.pack("<H", 0)),
                    (0x0800, struct.pack("<H", 1)),
                    (0x1000, uid + b"\0" * (len(uid) % 2)),
                ],
                _STORE_CONTEXT,
            )
        ]
        for start in range(0, size, _FRAGMENT):
            part = data[start : start + _FRAGMENT]
            is_last = start + _FRAGMENT >= size
            pieces.append(
                struct.pack(">BxIIBB", 4, len(part) + 6, len(part) + 2, _STORE_CONTEXT, 2 if is_last else 0)
            )
            pieces.append(part)
        made.append(pieces)
    return made


def _pdu(connection: socket.socket) -> bytes:
    """The next PDU with its head; empty when the peer has closed."""
    got = b""
    while len(got) < 6 or len(got) < 6 + int.from_bytes(got[2:6], "big"):
        more = connection.recv(65_536)
        if not more:
            return b""
        got += more
    return got


def _serve(connection: socket.socket, stores: list[list[bytes | memoryview]]) -> None:
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    asked = _pdu(connection)
    connection.sendall(acceptance(asked[6:]))
    if not _pdu(connection):
        return
    for pieces in stores:
        left = sum(map(len, pieces)) - connection.sendmsg(pieces)
        if left:
            connection.sendall(b"".join(pieces)[-left:])
        _pdu(connection)
    elements = [(0x0100, struct.pack("<H", _GET_RESPONSE)), (0x0120, struct.pack("<H", 1))]
    elements += [(0x0800, struct.pack("<H", 0x0101)), (0x0900, struct.pack("<H", 0))]
    connection.sendall(_message(elements, 1))
    _pdu(connection)
    connection.sendall(struct.pack(">BxI4x", 6, 4))
    connection.close()


def main() -> None:
    """Serves until the input ends."""
    job = json.loads(sys.stdin.readline())
    stores = _stores(job["size"], job["count"])
    listener = socket.create_server(("127.0.0.1", 0))
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)

    def take() -> None:
        while True:
            _serve(listener.accept()[0], stores)

    threading.Thread(target=take, daemon=True).start()
    sys.stdin.read()


if __name__ == "__main__":
    main()
