"""Broken DICOM sessions: PDUs of legal ones changed by their grammar and blindly, torn, doubled, reordered."""

import random
from collections.abc import Iterator
from typing import NamedTuple

from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from tests.dimse.stage import STUDY_FIND, STUDY_GET, STUDY_MOVE, encoded, identifier, image
from tests.wire.test_association import CT, REQUEST

TEMPLATES = 400
"""Legal sessions that are made once; what differs is what is done to them."""
LENGTHS = (0, 1, 3, 5, 2**16, 2**31, 2**32 - 1)
PAIRS = (b"\0\0", b"\xff\xff", b"\0\x01", b"\x7f\xff", b"\0\x02")
CLASSES = (CT, STUDY_FIND, STUDY_GET, STUDY_MOVE)
ASKED = pdu.AssociateRequest(
    "SAMSYN",
    "BENCH",
    tuple(
        pdu.ProposedContext(2 * place + 1, name, REQUEST.contexts[0].transfer_syntaxes)
        for place, name in enumerate(CLASSES)
    ),
    REQUEST.user,
)


class Broken(NamedTuple):
    """One session that went wrong, and how many of its PDUs were changed."""

    request: bytes
    """What is said before an answer is waited for; "" = nothing is waited for."""
    rest: bytes
    changed: int


def legal_session(dice: random.Random, number: int) -> tuple[bytes, ...]:
    """The PDUs of a legal session, in order."""
    whole = encoded(image(SOPInstanceUID=f"2.25.1{number}"))
    keys = identifier(QueryRetrieveLevel="STUDY", PatientID="19121212-1212", StudyInstanceUID="")
    parts = [pdu.encode_control(ASKED)]
    for message_id in range(dice.randrange(3)):
        context_id, command, data = dice.choice(
            [
                (1, dimse.StoreRequest(message_id, CT, f"2.25.1{number}"), whole),
                (1, dimse.StoreRequest(message_id, CT, "1.2.3"), dice.randbytes(dice.randrange(600))),
                (1, dimse.EchoRequest(message_id), None),
                (3, dimse.FindRequest(message_id, STUDY_FIND), keys),
                (5, dimse.GetRequest(message_id, STUDY_GET), keys),
                (7, dimse.MoveRequest(message_id, STUDY_MOVE, "NOWHERE"), keys),
                (1, dimse.CancelRequest(message_id), None),
                (1, dimse.ActionRequest(message_id, CT, "1.2", 1), keys),
            ]
        )
        encoded_message = encode_message(context_id, command, data, dice.choice([64, 256, 16384]))
        parts.extend(_pdus(encoded_message))
    parts.append(pdu.encode_control(dice.choice([pdu.ReleaseRequest(), pdu.Abort(0, 0)])))
    return tuple(parts)


def _pdus(stream: bytes) -> Iterator[bytes]:
    while stream:
        length = 6 + int.from_bytes(stream[2:6], "big")
        yield stream[:length]
        stream = stream[length:]


def broken(dice: random.Random, session: tuple[bytes, ...]) -> Broken:
    """Order, repetition, lengths, bits, cuts, noise: one to three PDUs of the session are not what they were."""
    parts = list(session)
    changes = dice.randrange(1, 4)
    for _ in range(changes):
        position = dice.randrange(len(parts))
        part = bytearray(parts[position])
        kind = dice.randrange(7)
        if kind == 0:
            parts.insert(dice.randrange(len(parts) + 1), bytes(part))
            continue
        if kind == 1 and len(parts) > 1:
            del parts[position]
            continue
        if kind == 2 and len(part) >= 6:
            part[2:6] = dice.choice([*LENGTHS, len(part)]).to_bytes(4, "big")
        elif kind == 3 and part:
            for _ in range(dice.randrange(1, 5)):
                part[dice.randrange(len(part))] = dice.randrange(256)
        elif kind == 4:
            del part[dice.randrange(len(part) + 1) :]
        elif kind == 5 and len(part) >= 8:
            place = dice.randrange(6, len(part) - 1)
            part[place : place + 2] = dice.choice(PAIRS)
        else:
            part[:0] = dice.randbytes(dice.randrange(40))
        parts[position] = bytes(part)
    waits = dice.random() < 0.9
    return Broken(parts[0] if waits else b"", b"".join(parts[waits:]), changes)


def broken_sessions(dice: random.Random, changed: int) -> Iterator[Broken]:
    """Sessions until so many PDUs have been changed."""
    templates = [legal_session(dice, number) for number in range(min(TEMPLATES, changed))]
    while changed > 0:
        made = broken(dice, dice.choice(templates))
        changed -= made.changed
        yield made
