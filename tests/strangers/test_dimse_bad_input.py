"""Bad input on the DICOM port of a running server, written by hand: refused in its own words, nothing half-visible."""

import socket
import struct
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.scratch import Running

pytestmark = [pytest.mark.slow]

CT = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
IMPLICIT, EXPLICIT, DEFLATED = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"


def item(kind: int, content: bytes) -> bytes:
    return struct.pack(">BBH", kind, 0, len(content)) + content


def associate_rq(calling: str = "BENCH", called: str = "SAMSYN") -> bytes:
    body = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    body += item(0x10, b"1.2.840.10008.3.1.1.1")
    for context_id, abstract, transfer in (
        (1, CT, EXPLICIT),
        (3, VERIFICATION, IMPLICIT),
        (5, CT, DEFLATED),
        (7, CT, IMPLICIT),
    ):
        content = bytes((context_id, 0, 0, 0)) + item(0x30, abstract.encode()) + item(0x40, transfer.encode())
        body += item(0x20, content)
    body += item(0x50, item(0x51, struct.pack(">I", 16384)) + item(0x52, b"1.2.3"))
    return struct.pack(">BBI", 1, 0, len(body)) + body


def element(tag: int, value: bytes) -> bytes:
    value += b"\0" * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(value)) + value


def explicit(tag: int, vr: bytes, value: bytes) -> bytes:
    value += (b"\0" if vr == b"UI" else b" ") * (len(value) % 2)
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def command(fields: dict[int, bytes]) -> bytes:
    body = b"".join(element(tag, value) for tag, value in sorted(fields.items()))
    return element(0, struct.pack("<I", len(body))) + body


def value(context_id: int, control: int, content: bytes) -> bytes:
    return struct.pack(">BBIIBB", 4, 0, len(content) + 6, len(content) + 2, context_id, control) + content


def store_rq(uid: str, data: bytes, context_id: int = 1) -> bytes:
    head = command(
        {
            0x0002: CT.encode(),
            0x0100: struct.pack("<H", 1),
            0x0110: struct.pack("<H", 7),
            0x0700: bytes(2),
            0x0800: struct.pack("<H", 1),
            0x1000: uid.encode(),
        }
    )
    parts = [value(context_id, 3, head)]
    for start in range(0, max(len(data), 1), 16000):
        last = start + 16000 >= len(data)
        parts.append(value(context_id, 2 if last else 0, data[start : start + 16000]))
    return b"".join(parts)


def head_of(uid: str, study: str = "2.25.9001", patient: bytes = b"19121212-1212") -> bytes:
    return (
        explicit(0x00080016, b"UI", CT.encode())
        + explicit(0x00080018, b"UI", uid.encode())
        + explicit(0x00080060, b"CS", b"CT")
        + explicit(0x00100010, b"PN", b"Tolvansson^Tolvan")
        + explicit(0x00100020, b"LO", patient)
        + explicit(0x0020000D, b"UI", study.encode())
        + explicit(0x0020000E, b"UI", b"2.25.9002")
    )


class Peer:
    """A socket that speaks as much DICOM as it must."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=5)

    def exactly(self, count: int) -> bytes:
        data = b""
        while len(data) < count:
            more = self.socket.recv(count - len(data))
            if not more:
                return data
            data += more
        return data

    def pdu(self) -> bytes:
        try:
            head = self.exactly(6)
            return head if len(head) < 6 else head + self.exactly(struct.unpack(">I", head[2:])[0])
        except ConnectionError:
            return b""

    def associate(self, calling: str = "BENCH", called: str = "SAMSYN") -> bytes:
        self.socket.sendall(associate_rq(calling, called))
        return self.pdu()

    def store(self, uid: str, data: bytes, context_id: int = 1) -> int:
        self.socket.sendall(store_rq(uid, data, context_id))
        answer = self.pdu()
        at = answer.index(struct.pack("<HHI", 0, 0x0900, 2)) + 8
        return int(struct.unpack("<H", answer[at : at + 2])[0])

    def is_closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except TimeoutError:
            return False
        except ConnectionError:
            return True


@contextmanager
def peer(scratch: Running, calling: str | None = "BENCH") -> Iterator[Peer]:
    made = Peer(scratch.dicom_port)
    try:
        if calling is not None:
            assert made.associate(calling)[0] == 2
        yield made
    finally:
        made.socket.close()


def echo_s(scratch: Running) -> float:
    """Seconds for an association with one C-ECHO."""
    begin = time.monotonic()
    with peer(scratch) as made:
        made.socket.sendall(
            value(
                3,
                3,
                command(
                    {
                        0x0002: VERIFICATION.encode(),
                        0x0100: struct.pack("<H", 0x30),
                        0x0110: struct.pack("<H", 1),
                        0x0800: struct.pack("<H", 0x0101),
                    }
                ),
            )
        )
        assert struct.pack("<HHIH", 0, 0x0900, 2, 0) in made.pdu()
    return time.monotonic() - begin


def resident_kib(scratch: Running) -> int:
    with open(f"/proc/{scratch.process.pid}/status", encoding="ascii") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))


@pytest.mark.parametrize(
    ("calling", "called", "reason"), [("NOBODY", "SAMSYN", 3), ("BENCH", "ELSEWHERE", 7)]
)
def test_unknown_titles_are_rejected(scratch: Running, calling: str, called: str, reason: int) -> None:
    with peer(scratch, None) as made:
        assert made.associate(calling, called) == bytes((3, 0, 0, 0, 0, 4, 0, 1, 1, reason))


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x00\xc8\x01\x00\x00\xc4", b"SSH-2.0-x\r\n"]
)
def test_other_protocols_are_closed_at_once(scratch: Running, data: bytes) -> None:
    with peer(scratch, None) as made:
        begin = time.monotonic()
        made.socket.sendall(data)
        answer = made.pdu()
        assert answer == b"" or answer[0] == 7
        assert made.is_closed()
        assert time.monotonic() - begin < 1


def test_claims_of_four_gibibytes_cost_no_memory(scratch: Running) -> None:
    echo_s(scratch)
    before = resident_kib(scratch)
    peers = []
    for kind in range(1, 8):
        for calling in (None, "BENCH"):
            made = Peer(scratch.dicom_port)
            if calling:
                made.associate(calling)
            made.socket.sendall(struct.pack(">BBI", kind, 0, 0xFFFFFFFF) + bytes(4096))
            assert made.pdu()[:1] in (b"\x07", b"")
            peers.append(made)
    assert resident_kib(scratch) - before < 1024 * len(peers)
    for made in peers:
        made.socket.close()


@pytest.mark.parametrize(
    "pdu",
    [
        value(1, 0, b"data before command"),
        value(9, 3, b"context that was not accepted"),
        struct.pack(">BBIIBB", 4, 0, 6, 1, 1, 3),
        struct.pack(">BBIIBB", 4, 0, 6, 0, 1, 3),
        struct.pack(">BBIIBB", 4, 0, 6, 3, 1, 3),
        struct.pack(">BBI", 9, 0, 4) + bytes(4),
        associate_rq(),
        store_rq("2.25.1", b"")[:120] + store_rq("2.25.1", b"", 7),
    ],
    ids=[
        "data first",
        "context",
        "length 1",
        "length 0",
        "over the pdu",
        "type 9",
        "second request",
        "interleaved",
    ],
)
def test_wrong_pdus_abort_the_association(scratch: Running, pdu: bytes) -> None:
    with peer(scratch) as made:
        made.socket.sendall(pdu)
        answer = made.pdu()
        assert answer[0] == 7
        assert answer[8] == 2
    assert echo_s(scratch) < 1


@pytest.mark.parametrize(
    ("uid", "data", "status"),
    [
        ("2.25.9100", head_of("2.25.9100")[:-3], 0xC000),
        ("2.25.9100", b"", 0xC000),
        ("2.25.9100", b"\xff" * 500, 0xC000),
        ("2.25.9100", head_of("2.25.9101"), 0xA900),
        ("2.25.9100", head_of("2.25.9100", study="../../../etc"), 0xC000),
        ("2.25.9100", head_of("2.25.9100", study=""), 0xC000),
        ("2.25.9100", head_of("2.25.9100", study="1." + "9" * 70), 0xC000),
        ("../../etc/passwd", head_of("2.25.9100"), 0x0117),
        ("", head_of("2.25.9100"), 0x0117),
    ],
    ids=["cut", "empty", "noise", "other uid", "path", "no study", "long", "path outside", "no uid outside"],
)
def test_broken_objects_are_refused_and_nothing_is_visible(
    scratch: Running, uid: str, data: bytes, status: int
) -> None:
    with peer(scratch) as made:
        assert made.store(uid, data) == status
        assert made.store(uid, data) == status
    assert echo_s(scratch) < 1


def test_deep_nesting_and_bombs_are_refused_with_memory_bounded(scratch: Running) -> None:
    nested = b""
    for _ in range(1000):
        nested = element(0x00081140, element(0xFFFEE000, nested))
    bomb = zlib.compressobj(9, wbits=-15)
    inflated = head_of("2.25.9201") + struct.pack("<HH2sHI", 0x7FE0, 0x10, b"OB", 0, 1 << 30)
    packed = (
        bomb.compress(inflated) + b"".join(bomb.compress(bytes(1 << 20)) for _ in range(1024)) + bomb.flush()
    )
    before = resident_kib(scratch)
    with peer(scratch) as made:
        begin = time.monotonic()
        assert made.store("2.25.9200", nested, 7) in (0xC000, 0xA700)
        assert made.store("2.25.9201", packed, 5) in (0xC000, 0xA700)
        assert time.monotonic() - begin < 10
    assert resident_kib(scratch) - before < 64 * 1024
    assert echo_s(scratch) < 1


def test_a_hundred_idle_connections_leave_an_echo_quick(scratch: Running) -> None:
    idle = [Peer(scratch.dicom_port) for _ in range(100)]
    times = sorted(echo_s(scratch) for _ in range(20))
    for made in idle:
        made.socket.close()
    assert times[10] < 0.05
    assert times[-1] < 0.5


def test_two_hundred_associations_of_one_system_leave_room_for_others(scratch: Running) -> None:
    taken = []
    for _ in range(200):
        made = Peer(scratch.dicom_port)
        answer = made.associate("NORDCT")
        taken.append((made, answer[:1]))
    accepted = sum(kind == b"\x02" for _, kind in taken)
    assert accepted == 64
    assert echo_s(scratch) < 0.5
    for made, _ in taken:
        made.socket.close()
