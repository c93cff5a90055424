"""Asynchronous operations (PS3.7 D.3.3.3): who asks for a window may send on before the answers are there."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from samsyn.wire.negotiation import Implementation, own_user_information
from samsyn.wire.pdu import AssociateAccept, AssociateRequest, ProposedContext
from samsyn.wire.user_information import AsynchronousOperations
from tests.dimse.stage import (
    CT,
    EXPLICIT,
    IMPLICIT,
    STUDY_FIND,
    VERIFICATION,
    RawPeer,
    Stage,
    encoded,
    identifier,
    image,
)

COUNT = 60


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        yield made


async def associated(
    stage: Stage, asked: AsynchronousOperations | None
) -> tuple[RawPeer, AsynchronousOperations | None]:
    """A peer that asked for a window, and what it got."""
    peer = await RawPeer.open(stage.door.port)
    contexts = (
        ProposedContext(1, CT, (EXPLICIT,)),
        ProposedContext(3, VERIFICATION, (IMPLICIT,)),
        ProposedContext(5, STUDY_FIND, (EXPLICIT,)),
    )
    user = own_user_information(Implementation("2.25.2", "RAW"), window=asked)
    peer.writer.write(pdu.encode_control(AssociateRequest("SAMSYN", "BENCH", contexts, user)))
    answer = await peer.pdu()
    accepted = pdu.decode_control(answer[0], answer[6:])
    assert isinstance(accepted, AssociateAccept)
    return peer, accepted.user.asynchronous_operations


async def answers(peer: RawPeer, count: int) -> list[dimse.Command]:
    found: list[dimse.Command] = []
    while len(found) < count:
        (value,) = pdu.decode_p_data((await peer.pdu())[6:]).values
        if value.is_command:
            found.append(dimse.decode_command(value.fragment)[0])
    return found


def stores(first: int, count: int) -> bytes:
    return b"".join(
        encode_message(
            1,
            dimse.StoreRequest(number, CT, f"2.25.{number}"),
            encoded(image(SOPInstanceUID=f"2.25.{number}")),
            16384,
        )
        for number in range(first, first + count)
    )


@pytest.mark.parametrize(
    ("asked", "got"),
    [
        (None, None),
        (AsynchronousOperations(4, 1), AsynchronousOperations(4, 1)),
        (AsynchronousOperations(0, 0), AsynchronousOperations(limits.MAX_OUTSTANDING_OPERATIONS, 1)),
        (AsynchronousOperations(500, 7), AsynchronousOperations(limits.MAX_OUTSTANDING_OPERATIONS, 1)),
        (AsynchronousOperations(1, 1), AsynchronousOperations(1, 1)),
    ],
)
async def test_a_window_is_given_as_far_as_it_is_asked_for(
    stage: Stage, asked: AsynchronousOperations | None, got: AsynchronousOperations | None
) -> None:
    peer, window = await associated(stage, asked)
    assert window == got
    peer.close()


async def test_objects_that_are_sent_on_are_each_answered_once_and_share_syncs(stage: Stage) -> None:
    peer, _ = await associated(stage, AsynchronousOperations(0, 1))
    before = stage.store.syncs
    peer.writer.write(stores(1, COUNT))
    found = await answers(peer, COUNT)
    assert {answer.message_id for answer in found} == set(range(1, COUNT + 1))
    assert all(isinstance(answer, dimse.StoreResponse) and answer.status == 0 for answer in found)
    assert all(answer.sop_instance_uid == f"2.25.{answer.message_id}" for answer in found)
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(COUNT,)]
    assert stage.store.syncs - before < COUNT / 2
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES
    peer.close()


async def test_other_requests_keep_their_place_behind_what_was_sent_before(stage: Stage) -> None:
    peer, _ = await associated(stage, AsynchronousOperations(0, 1))
    keys = identifier(QueryRetrieveLevel="STUDY", PatientID="19121212-1212", StudyInstanceUID="")
    question = encode_message(5, dimse.FindRequest(77, STUDY_FIND), keys, 16384)
    peer.writer.write(stores(1, 10) + question + stores(11, 5))
    found = await answers(peer, 10 + 2 + 5)
    places = [place for place, answer in enumerate(found) if answer.message_id == 77]
    assert places == [10, 11]
    assert {answer.message_id for answer in found[:10]} == set(range(1, 11))
    peer.close()


async def test_who_cancels_an_object_cancels_no_later_question_of_that_number(stage: Stage) -> None:
    peer, _ = await associated(stage, AsynchronousOperations(0, 1))
    keys = identifier(QueryRetrieveLevel="STUDY", PatientID="19121212-1212", StudyInstanceUID="")
    cancel = encode_message(5, dimse.CancelRequest(2), None, 16384)
    peer.writer.write(stores(1, 3) + cancel)
    assert len(await answers(peer, 3)) == 3
    peer.writer.write(encode_message(5, dimse.FindRequest(2, STUDY_FIND), keys, 16384))
    assert [answer.status for answer in await answers(peer, 2)] == [0xFF00, 0]
    peer.close()


async def test_a_release_behind_objects_waits_for_their_answers(stage: Stage) -> None:
    peer, _ = await associated(stage, AsynchronousOperations(0, 1))
    peer.writer.write(stores(1, 12) + pdu.encode_control(pdu.ReleaseRequest()))
    assert len(await answers(peer, 12)) == 12
    assert await peer.pdu() == pdu.encode_control(pdu.ReleaseResponse())
    peer.close()


async def test_a_peer_that_goes_away_gives_its_memory_back(stage: Stage) -> None:
    peer, _ = await associated(stage, AsynchronousOperations(0, 1))
    peer.writer.write(stores(1, 40))
    await peer.writer.drain()
    peer.writer.transport.abort()
    await stage.until(
        lambda: not stage.door.open_associations and stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES
    )


async def test_without_a_window_answers_come_in_order(stage: Stage) -> None:
    peer, _ = await associated(stage, None)
    peer.writer.write(stores(1, 12))
    assert [answer.message_id for answer in await answers(peer, 12)] == list(range(1, 13))
    peer.close()
