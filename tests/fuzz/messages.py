"""Broken HL7 v2 messages: whole ones of every family with bytes changed, cut, doubled, moved or put in."""

import random

from tests.hl7v2.messages import message, msh, obr, obx, oru, pid, segment
from tests.hl7v2.test_bookings import siu
from tests.hl7v2.test_documents import mdm

LOCAL = "&2.25.1&ISO"
MRG = segment("MRG", {1: f"P1^^^{LOCAL}", 3: "K5", 4: "P9", 5: "V7"})
WHOLE = (
    oru(),
    message(msh("ADT^A08"), segment("EVN", {1: "A08", 2: "20240101"}), pid(), segment("PD1", {12: "Y"})),
    message(msh("ADT^A40"), pid(), segment("MRG", {1: "991981000010^^^SLLRES"})),
    message(
        msh("OMI^O23"), pid(), segment("ORC", {1: "NW", 2: "R1", 9: "20240314120000", 12: "1^Å^B"}),
        segment("TQ1", {9: "S"}), obr({13: "anamnes\\.br\\rad 2"}), segment("IPC", {1: "A", 3: "1.2.3"}),
    ),
    message(msh("ORU^R01", charset="UNICODE UTF-8"), pid(), obr({25: "C", 32: "1&Ö&Å"}), obx("rad~rad\\XC3A5\\", "C"),
            segment("ZDS", {1: "1.2.840^^Application^DICOM"}), charset="utf-8"),
    message(msh("ORU^R32"), pid(), segment("ORC", {1: "NW"}), obr({25: "P"}), obx("rad", "P")),
    mdm("T02"),
    mdm("T06", f13="DOC0"),
    mdm("T11"),
    siu(),
    siu("S15"),
    message(msh("ADT^A24"), pid(f"P1^^^{LOCAL}"), segment("PV1", {}), pid(f"P2^^^{LOCAL}")),
    message(msh("ADT^A37"), pid(f"P1^^^{LOCAL}"), pid(f"P2^^^{LOCAL}")),
    message(msh("ADT^A43"), pid(f"P1^^^{LOCAL}~P2^^^{LOCAL}"), MRG),
    message(msh("ADT^A45"), pid(f"P2^^^{LOCAL}"), MRG, segment("PV1", {19: "V7"})),
)  # fmt: skip
PIECES = (
    b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"MSH", b'""', b"\\X", b"\\X41\\", b"\xff", b"\x00", b"\xc3\xa5",
    b"20250229", b"99999999999999", b"-1", b"\x1c", b"OBX|", b"PID|", b"\\.br\\", b"\\.sp999\\", b"'", b"<b>",
    b"\xed\xa0\x80", b"\\XEDA080\\", b"=1+1", b"\xe2\x80\xae", b"20240331023000", b"&&", b"\rZXX|\\", b"\x85",
)  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """The next broken message; the same generator gives the same ones."""
    data = bytearray(rng.choice(WHOLE))
    for _ in range(rng.choice((1, 1, 1, 2, 4, 11))):
        place, length = rng.randrange(len(data) + 1), rng.randrange(1, 30)
        act = rng.randrange(6)
        if act == 0 and place < len(data):
            data[place] = rng.randrange(256)
        elif act == 1:
            data[place:place] = rng.choice(PIECES) * rng.choice((1, 1, 1, 50))
        elif act == 2 and len(data) > 40:
            del data[place : place + length]
        elif act == 3:
            data[place:place] = data[place : place + length]
        elif act == 4:
            other = rng.choice(WHOLE)
            data[place:] = other[min(place, len(other)) :]
        else:
            lines = bytes(data).split(b"\r")
            rng.shuffle(lines)
            data = bytearray(b"\r".join(lines))
    return bytes(data)
