"""C-STORE and C-ECHO at the door: success is a promise, every refusal has its own status and costs little."""

import asyncio
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.errors import NotAllowed, NotSupported
from samsyn.store import writer
from samsyn.store.journal import Journal
from samsyn.store.writer import Writer
from samsyn.wire import dimse, pdu
from samsyn.wire.assembly import encode_message
from samsyn.wire.command_set import Element, encode_elements
from tests.dimse.stage import CT, EXPLICIT, IMPLICIT, VERIFICATION, RawPeer, Stage, encoded, image, store


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        yield made


async def test_an_echo_is_answered(stage: Stage) -> None:
    async with await stage.connect(contexts=[(VERIFICATION, (IMPLICIT,))]) as requestor:
        assert (await requestor.echo()).status == 0


async def test_a_stored_object_lies_in_the_store_byte_for_byte(stage: Stage) -> None:
    async with await stage.connect() as requestor:
        assert (await store(requestor, image())).status == 0x0000
    [(segment, offset, length)] = stage.rows("SELECT segment, body_offset, length FROM instance")
    assert stage.store.body(segment, offset, length) == encoded(image())


async def test_the_same_bytes_again_are_success(stage: Stage) -> None:
    async with await stage.connect() as requestor:
        assert [(await store(requestor, image())).status for _ in range(3)] == [0, 0, 0]
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_other_bytes_under_a_known_uid_are_never_success(stage: Stage) -> None:
    async with await stage.connect() as requestor:
        await store(requestor, image())
        answer = await store(requestor, image(PixelData=b"\1" * 8))
    assert answer.status == 0x0111
    assert 0 < len(answer.error_comment) <= 64


async def test_an_object_of_another_patient_in_a_known_study_is_held(stage: Stage) -> None:
    async with await stage.connect() as requestor:
        await store(requestor, image())
        other = image(SOPInstanceUID="2.25.101", PatientID="199001012385", PatientName="Testperson^Agda")
        answer = await store(requestor, other)
    assert answer.status == 0xC001
    assert "Agda" not in answer.error_comment
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_who_sends_alone_finds_each_object_as_soon_as_he_is_answered(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also when the answer does not wait for the index."""
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)
    at_once: list[bool] = []
    commit = Writer.commit_at_once

    def noting(self: Writer, *given: Any) -> Any:
        committed = commit(self, *given)
        at_once.append(committed is not None and self._is_open)
        return committed

    monkeypatch.setattr(Writer, "commit_at_once", noting)
    counted: list[int] = []
    async with await stage.connect() as requestor:
        for number in range(1, 21):
            sent = image(SOPInstanceUID=f"2.25.{number}", InstanceNumber=number)
            assert (await store(requestor, sent)).status == 0
            counted += [row[0] for row in stage.rows("SELECT instance_count FROM study")]
        assert (await store(requestor, sent)).status == 0, "the same bytes again"
        other = image(SOPInstanceUID="2.25.20", InstanceNumber=21)
        assert (await store(requestor, other)).status == 0x0111
        broken = await requestor.store(EXPLICIT, CT, "2.25.100", encoded(image())[:-1])
        assert broken.status == 0xC000
        assert (await store(requestor, image(SOPInstanceUID="2.25.21"))).status == 0
    assert counted == list(range(1, 21))
    assert at_once.count(True) > 12
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


async def test_a_fault_of_our_own_in_one_object_costs_neither_the_association_nor_memory(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stumbles(*_: Any) -> Any:
        raise ZeroDivisionError

    async with await stage.connect() as requestor:
        with monkeypatch.context() as patch:
            patch.setattr(stage.door._storage._intake, "receive_soon", stumbles)
            assert (await store(requestor, image())).status == 0
        assert (await store(requestor, image(SOPInstanceUID="2.25.101"))).status == 0
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


@pytest.mark.parametrize(
    ("envelope", "status"),
    [
        ({"sop_instance": ""}, 0x0117),
        ({"sop_instance": "../../etc/passwd"}, 0x0117),
        ({"sop_instance": "1.2.03"}, 0x0117),
        ({"sop_instance": "1." + "2" * 64}, 0x0117),
        ({"sop_instance": "2.25.999"}, 0xA900),
    ],
)
async def test_an_envelope_with_a_wrong_instance_uid_is_refused(
    stage: Stage, envelope: dict[str, str], status: int
) -> None:
    async with await stage.connect() as requestor:
        answer = await store(requestor, image(), **envelope)
        assert answer.status == status
        assert (await store(requestor, image())).status == 0
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(1,)]


@pytest.mark.parametrize(
    "missing", ["SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID", "SOPClassUID"]
)
async def test_a_data_set_without_an_obligatory_uid_can_not_be_understood(stage: Stage, missing: str) -> None:
    broken = image(**{missing: None})
    async with await stage.connect() as requestor:
        answer = await store(requestor, broken, sop_class=CT, sop_instance="2.25.100")
        assert answer.status == 0xC000
        assert (await store(requestor, image())).status == 0


@pytest.mark.parametrize("uid", ["../../../tmp/x", "1.2.3/4", "1..2", "1.2.840.10008.5.1.4.1.1." + "9" * 60])
async def test_a_data_set_with_an_impossible_study_uid_can_not_be_understood(stage: Stage, uid: str) -> None:
    made = encoded(image(StudyInstanceUID="2.25.10"))
    padded = uid.encode() + b"\0" * (len(uid) % 2)
    broken = made.replace(
        b"\x20\x00\x0d\x00UI\x08\x002.25.10\0", b"\x20\x00\x0d\x00UI" + bytes((len(padded), 0)) + padded
    )
    assert broken != made
    async with await stage.connect() as requestor:
        answer = await requestor.store(EXPLICIT, CT, "2.25.100", broken)
    assert answer.status == 0xC000
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(0,)]


@pytest.mark.parametrize("cut", [1, 7, 25, 33, 199])
async def test_a_truncated_data_set_can_not_be_understood(stage: Stage, cut: int) -> None:
    whole = encoded(image())
    async with await stage.connect() as requestor:
        answer = await requestor.store(EXPLICIT, CT, "2.25.100", whole[:-cut])
        assert answer.status == 0xC000
        assert (await store(requestor, image())).status == 0
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(1,)]


async def test_an_empty_data_set_can_not_be_understood(stage: Stage) -> None:
    async with await stage.connect() as requestor:
        answer = await requestor.store(EXPLICIT, CT, "2.25.100", b"")
    assert answer.status == 0xC000


async def test_a_private_class_is_taken_only_from_who_may(stage: Stage) -> None:
    private = "1.3.46.670589.11.0.0.12.1"
    async with await stage.connect(contexts=[(private, (EXPLICIT,))]) as requestor:
        answer = await store(requestor, image(SOPClassUID=private))
        assert answer.status == 0
    strict = await stage.connect("STRICT", contexts=[(private, (EXPLICIT,)), (CT, (EXPLICIT,))])
    async with strict as requestor:
        with pytest.raises(NotSupported):
            await requestor.store(EXPLICIT, private, "2.25.101", encoded(image()))


async def test_an_unknown_transfer_syntax_is_refused_and_the_next_one_is_taken(stage: Stage) -> None:
    contexts = [(CT, ("1.2.3.4.5", EXPLICIT)), (CT, ("1.2.3.4.6",))]
    async with await stage.connect(contexts=contexts) as requestor:
        assert [context.transfer_syntax for context in requestor.association.contexts.values()] == [EXPLICIT]


async def test_a_reader_may_not_store_and_a_writer_may_not_ask(stage: Stage) -> None:
    async with await stage.connect("READER") as requestor:
        assert (await store(requestor, image())).status == 0x0124
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(0,)]
    find = [("1.2.840.10008.5.1.4.1.2.2.1", (EXPLICIT,)), (CT, (EXPLICIT,))]
    async with await stage.connect("WRITER", contexts=find) as requestor:
        assert [context.abstract_syntax for context in requestor.association.contexts.values()] == [CT]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("calling", "called", "reason"),
    [("NOBODY", "SAMSYN", 3), ("BENCH", "OTHER", 7), ("FARAWAY", "SAMSYN", 3), ("bench", "SAMSYN", 3)],
)
async def test_unknown_titles_and_addresses_are_rejected_with_their_reason(
    stage: Stage, calling: str, called: str, reason: int
) -> None:
    peer = await RawPeer.open(stage.door.port)
    assert await peer.associate(calling, called) == pdu.encode_control(pdu.AssociateReject(1, 1, reason))
    assert await peer.closed()
    with pytest.raises(NotAllowed):
        await stage.connect(calling, called=called)


async def test_an_operation_that_we_do_not_have_is_told_so(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    body = encode_elements(
        {
            Element.COMMAND_FIELD: b"\x40\x01",
            Element.MESSAGE_ID: b"\x09\0",
            Element.DATA_SET_TYPE: b"\x01\x01",
            Element.AFFECTED_SOP_CLASS_UID: CT.encode(),
        }
    )
    value = pdu.PresentationDataValue(1, True, True, body)
    peer.writer.write(pdu.encode_p_data(pdu.PData((value,))))
    answer = pdu.decode_p_data((await peer.pdu())[6:]).values[0].fragment
    assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x11\x02" in answer
    peer.close()


async def test_store_requests_sent_without_waiting_are_answered_in_order(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    for number in range(1, 21):
        made = image(SOPInstanceUID=f"2.25.{1000 + number}", InstanceNumber=number)
        request = dimse.StoreRequest(number, CT, f"2.25.{1000 + number}")
        peer.writer.write(encode_message(1, request, encoded(made), 16384))
    for number in range(1, 21):
        (value,) = pdu.decode_p_data((await peer.pdu())[6:]).values
        command, _ = dimse.decode_command(value.fragment)
        assert isinstance(command, dimse.StoreResponse)
        assert (command.message_id, command.status) == (number, 0)
    peer.writer.write(pdu.encode_control(pdu.ReleaseRequest()))
    assert await peer.pdu() == pdu.encode_control(pdu.ReleaseResponse())
    peer.close()


async def test_whoever_releases_behind_his_last_object_is_answered_for_both(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    echo = encode_message(3, dimse.EchoRequest(2), None, 16384)
    sent = encode_message(1, dimse.StoreRequest(1, CT, image().SOPInstanceUID), encoded(image()), 16384)
    peer.writer.write(sent + echo + sent + pdu.encode_control(pdu.ReleaseRequest()))
    for kind in (dimse.StoreResponse, dimse.EchoResponse, dimse.StoreResponse):
        (value,) = pdu.decode_p_data((await peer.pdu())[6:]).values
        command, _ = dimse.decode_command(value.fragment)
        assert isinstance(command, kind)
        assert command.status == 0
    assert await peer.pdu() == pdu.encode_control(pdu.ReleaseResponse())
    peer.close()
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


async def test_an_object_that_the_writer_refuses_is_told_so_and_the_next_one_is_taken(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await stage.connect() as requestor, await stage.connect() as other:
        assert (await store(other, image(SOPInstanceUID="2.25.99"))).status == 0
        with monkeypatch.context() as full:
            full.setattr(Journal, "free_bytes", lambda self: 1_000)
            refused = await asyncio.gather(store(requestor, image()), store(other, image()))
            assert [answer.status for answer in refused] == [0xA700, 0xA700]
            assert all("full" in answer.error_comment for answer in refused)
        assert (await store(requestor, image())).status == 0
    assert stage.rows("SELECT COUNT(*) FROM instance") == [(2,)]
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


async def test_a_peer_that_goes_before_its_object_is_durable_leaves_nothing_open(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow, append = threading.Event(), Journal.append

    def waiting(self: Journal, parts: Any) -> None:
        slow.wait(5)
        append(self, parts)

    monkeypatch.setattr(Journal, "append", waiting)
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    peer.writer.write(
        encode_message(1, dimse.StoreRequest(1, CT, image().SOPInstanceUID), encoded(image()), 16384)
    )
    await stage.until(lambda: stage.door._answering == 1)
    peer.close()
    await stage.until(lambda: stage.door.open_associations == 0)
    slow.set()
    await stage.until(lambda: stage.rows("SELECT COUNT(*) FROM instance") == [(1,)])
    await stage.until(lambda: stage.door._answering == 0)
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES


async def test_an_object_over_the_memory_limit_is_refused_and_the_association_lives(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.door.budget.reserve(limits.MAX_ARRIVING_BYTES - 1000)
    async with await stage.connect() as requestor:
        answer = await store(requestor, image(PixelData=bytes(4000)))
        assert answer.status == 0xA700
        assert "MAX_ARRIVING_BYTES" in answer.error_comment
        assert (await store(requestor, image())).status == 0
    assert stage.door.budget.left_bytes == 1000


async def test_memory_is_given_back_whatever_happens(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    whole = encode_message(1, dimse.StoreRequest(1, CT, "2.25.100"), bytes(200_000), 16384)
    peer.writer.write(whole[: len(whole) // 2])
    await peer.writer.drain()
    await stage.until(lambda: stage.door.budget.left_bytes != limits.MAX_ARRIVING_BYTES)
    peer.close()
    await stage.until(lambda: stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES)
    async with await stage.connect() as requestor:
        await store(requestor, image())
    assert stage.door.budget.left_bytes == limits.MAX_ARRIVING_BYTES
