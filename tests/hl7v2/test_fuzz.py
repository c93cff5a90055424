"""Mutated messages: understood or refused in our own words, never a crash, memory flat.

`SAMSYN_FUZZ_COUNT` sets how many (default 2,000), `SAMSYN_FUZZ_SEED` where they begin.
"""

import gc
import os
import random
import tracemalloc
from datetime import UTC, datetime

import pytest

from samsyn.errors import SamsynError
from samsyn.hl7v2.acknowledgement import ACCEPTED, answers, verdict_on
from samsyn.hl7v2.header import peek
from samsyn.hl7v2.interpret import read_message
from samsyn.reports.profiles import load_profile, shipped_profiles
from tests.hl7v2.messages import SENDER, message, msh, obr, obx, oru, pid, segment

COUNT = int(os.environ.get("SAMSYN_FUZZ_COUNT", "2000"))
SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "2024"))
WHEN = datetime(2024, 3, 15, tzinfo=UTC)

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
)  # fmt: skip
PIECES = (
    b"|", b"^", b"~", b"\\", b"&", b"\r", b"\n", b"MSH", b'""', b"\\X", b"\\X41\\", b"\xff", b"\x00", b"\xc3\xa5",
    b"20250229", b"99999999999999", b"-1", b"\x1c", b"OBX|", b"PID|", b"\\.br\\", b"\\.sp999\\", b"'", b"<b>",
)  # fmt: skip


def mutated(rng: random.Random) -> bytes:
    """One of the whole messages with some bytes changed, cut, doubled, moved or put in."""
    data = bytearray(rng.choice(WHOLE))
    for _ in range(rng.randrange(1, 12)):
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


@pytest.mark.slow
def test_mutated_messages_are_understood_or_refused_and_memory_stays_flat() -> None:
    rng = random.Random(SEED)
    profiles = {name: load_profile(name) for name in shipped_profiles()}
    understood = 0
    tracemalloc.start()
    baseline = 0
    for number in range(COUNT):
        raw = mutated(rng)
        try:
            read_message(raw, profiles[rng.choice(sorted(profiles))], SENDER)
            verdict = ACCEPTED
            understood += 1
        except SamsynError as refusal:
            verdict = verdict_on(refusal)
        for answer in answers(peek(raw), verdict, WHEN):
            assert answer.startswith(b"MSH|")
            assert b"\rMSA|" in answer
            assert not any(byte < 0x20 and byte != 0x0D for byte in answer), (SEED, number)
        if number == COUNT // 10:
            gc.collect()
            baseline = tracemalloc.get_traced_memory()[0]
    gc.collect()
    grown = tracemalloc.get_traced_memory()[0] - baseline
    tracemalloc.stop()
    assert 0.02 * COUNT < understood < 0.9 * COUNT, "the mutations are too weak or too strong"
    assert grown < 2 * 1024 * 1024
