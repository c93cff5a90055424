"""Mutated PDUs: in process only indications come out and buffers stay bounded; a real server serves on.

`SAMSYN_FUZZ_PDUS` and `SAMSYN_FUZZ_PDUS_SENT` set how many PDUs are changed, `SAMSYN_FUZZ_SEED` where the dice
start. Part of `make fuzz`.
"""

import asyncio
import contextlib
import random
from collections import Counter

import pytest

from samsyn.exchange.scu import connect
from samsyn.limits import MAX_CONTROL_PDU_BYTES
from samsyn.wire.association import Association
from samsyn.wire.association_table import State
from samsyn.wire.upper_layer import AssociationRequested, ReleaseRequested
from tests.dimse.stage import CT, EXPLICIT, IMPLICIT, VERIFICATION, encoded, image
from tests.fuzz.amounts import MOST_GROWTH_BYTES, SEED, amount, faults, resident_bytes
from tests.fuzz.sessions import Broken, broken_sessions
from tests.scratch import Running
from tests.wire.test_association import OWN, choose, grant

pytestmark = [pytest.mark.slow, pytest.mark.hypothesis]
IN_PROCESS = amount("PDUS", 3_000, 1_000_000)
OVER_SOCKETS = amount("PDUS_SENT", 1_000, 100_000)
AT_ONCE = 16
"""Broken peers at the same time."""
ANSWERED_WITHIN_S = 0.3
"""So long a broken peer waits for the answer to its request: there may come none."""
CLOSED_WITHIN_S = 60.0
"""A peer that has said its last is closed by then: ARTIM and whatever was being answered."""
MIB = 1024 * 1024


def feed(made: Broken, step: int) -> State:
    """Everything that comes of a session in pieces of `step` bytes; the state that the association was left in."""
    association = Association(maximum_data_bytes=1 << 16)
    association.upper.connected()
    pieces = [made.request]
    pieces.extend(made.rest[position : position + step] for position in range(0, len(made.rest), step))
    for piece in pieces:
        association.upper.receive(piece)
        for indication in association.take_indications():
            if isinstance(indication, AssociationRequested):
                association.accept(indication.request, choose, grant, OWN)
            elif isinstance(indication, ReleaseRequested):
                association.answer_release()
        assert len(association.upper.take_output()) < 4096
    assert association.upper.buffer_bytes <= MAX_CONTROL_PDU_BYTES + 6
    state = association.upper.state
    association.disconnected()
    assert association.upper.state == State.IDLE
    return state


def test_no_mutated_pdu_raises_or_grows_buffers() -> None:
    dice, changed, streams, baseline = random.Random(SEED), 0, 0, 0
    states: Counter[State] = Counter()
    for made in broken_sessions(dice, IN_PROCESS):
        states[feed(made, dice.choice([1, 50, 300, 1 << 20, 1 << 20, 1 << 20]))] += 1
        changed += made.changed
        streams += 1
        if streams == 500:
            baseline = resident_bytes()
    grown = resident_bytes() - baseline
    print(
        f"{changed:,} mutated PDUs in {streams:,} sessions (seed {SEED}): 0 crashes,"
        f" {states[State.ESTABLISHED]:,} stayed associated, memory {grown / MIB:+.0f} MiB"
    )
    assert {State.IDLE, State.AWAITING_CLOSE, State.ESTABLISHED, State.AWAITING_REQUEST} <= set(states)
    assert grown < MOST_GROWTH_BYTES


async def speak(port: int, made: Broken, answers: Counter[int]) -> None:
    """One broken peer: says all it has to say, hangs up its half, and must be closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    first = b""
    try:
        async with asyncio.timeout(CLOSED_WITHIN_S):
            writer.write(made.request or made.rest)
            if made.request:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(ANSWERED_WITHIN_S):
                        first = await reader.read(1)
                writer.write(made.rest)
            writer.write_eof()
            first = first or await reader.read(1)
            while await reader.read(65_536):
                pass
    except OSError:  # it has hung up on us before we had said all
        pass
    finally:
        answers[first[0] if first else 0] += 1
        writer.close()


async def stores_and_echoes(port: int, number: int) -> None:
    """Whether a well-behaved system is still served."""
    contexts = [(VERIFICATION, (IMPLICIT,)), (CT, (EXPLICIT,))]
    uid = f"2.25.777{number}"
    async with await connect("127.0.0.1", port, "SAMSYN", "NORDCT", contexts) as one:
        assert (await one.echo()).status == 0
        assert (await one.store(EXPLICIT, CT, uid, encoded(image(SOPInstanceUID=uid)))).status == 0


async def test_a_server_that_is_sent_mutated_pdus_serves_on_in_the_same_memory(scratch: Running) -> None:
    process, port = scratch.process.pid, scratch.dicom_port
    await stores_and_echoes(port, 0)
    idle, largest = resident_bytes(process), 0
    source = broken_sessions(random.Random(SEED), OVER_SOCKETS)
    answers: Counter[int] = Counter()
    changed = streams = 0

    async def peer() -> None:
        nonlocal changed, streams, largest
        for made in source:
            changed += made.changed
            streams += 1
            await speak(port, made, answers)
            if streams % 500 == 0:
                largest = max(largest, resident_bytes(process))
                await stores_and_echoes(port, streams)

    await asyncio.gather(*(peer() for _ in range(AT_ONCE)))
    await stores_and_echoes(port, streams + 1)
    grown = max(largest, resident_bytes(process)) - idle
    print(
        f"{changed:,} mutated PDUs in {streams:,} sessions over sockets (seed {SEED}): {answers[2]:,} accepted,"
        f" {answers[3]:,} rejected, {answers[7]:,} aborted, {answers[0]:,} closed, 0 crashes,"
        f" memory {grown / MIB:+.0f} MiB above idle"
    )
    assert scratch.process.poll() is None
    assert answers[2] > 0.2 * streams
    assert faults(scratch.log) == []
    assert grown < MOST_GROWTH_BYTES
