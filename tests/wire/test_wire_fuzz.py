"""Mutated associations: whatever comes, only indications come out, and buffers stay bounded.

SAMSYN_FUZZ_COUNT sets how many mutated streams are tried, SAMSYN_FUZZ_SEED where the dice start.
"""

import os
import random
from collections.abc import Iterator

import pytest

from samsyn.limits import MAX_CONTROL_PDU_BYTES
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from samsyn.wire.association import Association
from samsyn.wire.association_table import State
from samsyn.wire.upper_layer import AssociationRequested, ReleaseRequested
from tests.wire.test_association import CT, OWN, REQUEST, choose, grant

COUNT = int(os.environ.get("SAMSYN_FUZZ_COUNT", "1500"))
SEED = int(os.environ.get("SAMSYN_FUZZ_SEED", "20261122"))


def _session(dice: random.Random) -> list[bytes]:
    """The PDUs of a legal session, in order."""
    parts = [pdu.encode_control(REQUEST)]
    for number in range(dice.randrange(3)):
        command = dice.choice(
            [
                dimse.StoreRequest(number, CT, "1.2.3"),
                dimse.FindRequest(number, CT),
                dimse.EchoRequest(number),
                dimse.MoveRequest(number, CT, "SINK"),
                dimse.CancelRequest(number),
                dimse.ActionRequest(number, CT, "1.2", 1),
            ]
        )
        data = dice.randbytes(dice.randrange(600)) if dice.random() < 0.7 else None
        parts.append(encode_message(1, command, data, dice.choice([64, 256, 16384])))
    parts.append(pdu.encode_control(dice.choice([pdu.ReleaseRequest(), pdu.Abort(0, 0)])))
    return parts


def _mutate(dice: random.Random, parts: list[bytes]) -> bytes:
    """Grammar-aware and blind changes: order, repetition, lengths, bits, cuts."""
    for _ in range(dice.randrange(1, 4)):
        position = dice.randrange(len(parts))
        part = bytearray(parts[position])
        kind = dice.randrange(7)
        if kind == 0:
            parts.insert(dice.randrange(len(parts) + 1), bytes(part))
        elif kind == 1 and len(parts) > 1:
            del parts[position]
        elif kind == 2 and len(part) >= 6:
            part[2:6] = dice.choice([0, 1, 3, 5, 2**16, 2**31, 2**32 - 1, len(part)]).to_bytes(4, "big")
            parts[position] = bytes(part)
        elif kind == 3 and part:
            for _ in range(dice.randrange(1, 5)):
                part[dice.randrange(len(part))] = dice.randrange(256)
            parts[position] = bytes(part)
        elif kind == 4:
            parts[position] = bytes(part[: dice.randrange(len(part) + 1)])
        elif kind == 5 and len(part) >= 8:
            place = dice.randrange(6, len(part) - 1)
            part[place : place + 2] = dice.choice([b"\0\0", b"\xff\xff", b"\0\x01", b"\x7f\xff"])
            parts[position] = bytes(part)
        else:
            parts[position] = dice.randbytes(dice.randrange(40)) + bytes(part)
    return b"".join(parts)


def mutated_sessions(dice: random.Random, count: int) -> Iterator[bytes]:
    """Byte streams of sessions that went wrong."""
    for _ in range(count):
        yield _mutate(dice, _session(dice))


@pytest.mark.slow
def test_no_mutated_stream_raises_or_grows_buffers() -> None:
    dice = random.Random(SEED)
    states = set()
    for stream in mutated_sessions(dice, COUNT):
        association = Association(maximum_data_bytes=1 << 16)
        association.upper.connected()
        step = dice.choice([1, 3, 50, 1 << 20])
        for position in range(0, len(stream), step):
            association.upper.receive(stream[position : position + step])
            for indication in association.take_indications():
                if isinstance(indication, AssociationRequested):
                    association.accept(indication.request, choose, grant, OWN)
                elif isinstance(indication, ReleaseRequested):
                    association.answer_release()
            assert len(association.upper.take_output()) < 4096
        assert association.upper.buffer_bytes <= MAX_CONTROL_PDU_BYTES + 6
        states.add(association.upper.state)
        association.disconnected()
        assert association.upper.state == State.IDLE
    assert {State.IDLE, State.AWAITING_CLOSE, State.ESTABLISHED, State.AWAITING_REQUEST} <= states
