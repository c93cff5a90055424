"""Objects over one association: in order, one under way, the next ready when the answer comes."""

import asyncio
from collections.abc import Sequence

from samsyn.exchange.one_ahead import Answered, OneAhead, fits
from samsyn.model.imaging import BodyLocation, StoredInstance
from samsyn.wire.assembly import PIECE_BYTES, Message
from samsyn.wire.dimse import StoreRequest, StoreResponse, decode_command

CT = "1.2.840.10008.5.1.4.1.1.2"


class Line:
    """Takes what is posted and answers when it is told to."""

    peer_maximum_length = 16_384

    def __init__(self) -> None:
        self.posted: list[tuple[int, bytes, Answered]] = []
        self.room = asyncio.Event()
        self.room.set()
        self.is_gone = False

    @property
    def is_writable(self) -> bool:
        return self.room.is_set()

    async def writable(self) -> None:
        await self.room.wait()

    def new_message_id(self) -> int:
        return 7

    def post(self, message_id: int, pieces: Sequence[bytes | memoryview], answered: Answered) -> None:
        if self.is_gone:
            answered(None)
        else:
            self.posted.append((message_id, b"".join(pieces), answered))

    def answer(self, place: int) -> None:
        message_id, _, answered = self.posted[place]
        answered(Message(1, StoreResponse(message_id, 0, CT, "2.25.1"), None))


def instance(number: int) -> StoredInstance:
    place = BodyLocation(1, 0, 4)
    return StoredInstance(
        f"2.25.{number}", CT, "1.2.840.10008.1.2.1", "2.25.10", "2.25.11", number, place, b"", None, None
    )


class Run:
    """Four objects sent by a task, and what was told of them."""

    def __init__(self, line: Line, stops_after: int = 99) -> None:
        self.told: list[tuple[str, bool]] = []
        self.prepared = 0
        self._stops_after = stops_after
        self.ahead = OneAhead(line, self._hear)
        self.task = asyncio.create_task(self._send())

    def _hear(self, one: StoredInstance, answer: Message | None) -> bool:
        self.told.append((one.sop_instance_uid, answer is not None))
        return len(self.told) < self._stops_after

    async def _send(self) -> None:
        for number in range(1, 5):
            self.prepared = number
            one = instance(number)
            request = StoreRequest(number, one.sop_class_uid, one.sop_instance_uid)
            await self.ahead.send(one, 1, request, bytes(40_000))
        await self.ahead.finish()


async def settled() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_the_next_leaves_with_the_answer_and_none_before() -> None:
    line = Line()
    run = Run(line)
    for place in range(4):
        await settled()
        assert len(line.posted) == place + 1
        assert run.prepared == min(place + 2, 4)
        line.answer(place)
        # At once, not when the task gets its turn.
        assert len(line.posted) == min(place + 2, 4)
    await asyncio.wait_for(run.task, 1)
    assert run.told == [(f"2.25.{number}", True) for number in range(1, 5)]
    for number, (_, sent, _) in enumerate(line.posted, 1):
        command, has_data = decode_command(sent[12 : 12 + int.from_bytes(sent[6:10], "big") - 2])
        assert has_data and isinstance(command, StoreRequest)
        assert (command.message_id, command.sop_instance_uid) == (number, f"2.25.{number}")


async def test_a_peer_that_answers_without_reading_gets_no_more() -> None:
    line = Line()
    run = Run(line)
    await settled()
    line.room.clear()
    line.answer(0)
    await settled()
    assert len(line.posted) == 1
    line.room.set()
    await settled()
    assert len(line.posted) == 2
    run.task.cancel()


async def test_what_is_ready_stays_when_it_is_told_to_stop() -> None:
    line = Line()
    run = Run(line, stops_after=1)
    await settled()
    line.answer(0)
    await asyncio.wait_for(run.task, 1)
    assert run.ahead.is_over and len(line.posted) == 1


async def test_the_end_of_the_association_is_told_once_and_nothing_waits() -> None:
    line = Line()
    run = Run(line)
    await settled()
    line.is_gone = True
    line.posted[0][2](None)
    await asyncio.wait_for(run.task, 1)
    assert run.told == [("2.25.1", False)] and run.ahead.is_over
    again = Run(line)
    await asyncio.wait_for(again.task, 1)
    assert again.told == [("2.25.1", False)]


def test_only_small_objects_wait_in_memory() -> None:
    assert fits(bytes(PIECE_BYTES - 1)) and not fits(bytes(PIECE_BYTES))
