"""Storage Commitment: the answer comes from the stored bytes, survives a restart and finds its peer in the end."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.access import view
from samsyn.dicom.encoding import decode, encode
from samsyn.dicom.rejection import KEY_OBJECT_SELECTION, NoteFrame, write_rejection
from samsyn.dicom.sop_classes import STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE
from samsyn.exchange.scu import Requestor
from samsyn.jobs import queue
from samsyn.model.attributes import Attributes
from samsyn.model.rejection import Reference, RejectionNote
from samsyn.wire.assembly import Message
from samsyn.wire.dimse import ActionRequest, ActionResponse, EventReportRequest, EventReportResponse
from tests.dimse.peers import Peer
from tests.dimse.stage import CT, EXPLICIT, Stage, image, store
from tests.ports import free_port

CONTEXTS = [(STORAGE_COMMITMENT, (EXPLICIT,)), (CT, (EXPLICIT,))]
MR = "1.2.840.10008.5.1.4.1.1.4"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Short pauses between attempts."""
    monkeypatch.setattr(queue, "_POLL_S", 0.05)
    monkeypatch.setattr(limits, "MAX_OUTGOING_PAUSE_S", 0.1)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    async with Stage(tmp_path) as made:
        yield made


def information(transaction: str, references: Sequence[tuple[str, str]]) -> bytes:
    items: tuple[Attributes, ...] = tuple(
        {0x00081150: ("UI", (sop_class,)), 0x00081155: ("UI", (uid,))} for sop_class, uid in references
    )
    return encode({0x00081195: ("UI", (transaction,)), 0x00081199: ("SQ", items)}, EXPLICIT)


async def request(
    requestor: Requestor,
    data: bytes,
    instance: str = STORAGE_COMMITMENT_INSTANCE,
    action: int = 1,
) -> ActionResponse:
    """N-ACTION; its answer."""
    context_id = requestor.context_of(STORAGE_COMMITMENT)
    assert context_id is not None
    command = ActionRequest(requestor.new_message_id(), STORAGE_COMMITMENT, instance, action)
    answer = (await requestor.call(context_id, command, data)).command
    assert isinstance(answer, ActionResponse)
    return answer


async def report(requestor: Requestor, status: int = 0) -> tuple[int, Attributes]:
    """The N-EVENT-REPORT on the same association, answered with this status."""
    message = await requestor._answer()
    event = message.command
    assert isinstance(event, EventReportRequest)
    assert (event.sop_class_uid, event.sop_instance_uid) == (STORAGE_COMMITMENT, STORAGE_COMMITMENT_INSTANCE)
    await requestor.send(message.context_id, EventReportResponse(event.message_id, status))
    return event.event_type, told(message)


def told(message: Message) -> Attributes:
    assert message.data is not None
    return decode(bytes(message.data), EXPLICIT)


def uids(information: Attributes, sequence: int) -> list[str]:
    return [item[0x00081155][1][0] for item in information.get(sequence, ("SQ", ()))[1]]  # type: ignore[index]


def reasons(information: Attributes) -> dict[str, int]:
    return {
        item[0x00081155][1][0]: item[0x00081197][1][0]  # type: ignore[index]
        for item in information.get(0x00081198, ("SQ", ()))[1]
    }


async def test_what_is_stored_is_committed_to_on_the_same_association(stage: Stage) -> None:
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        for number in range(3):
            assert (await store(requestor, image(SOPInstanceUID=f"2.25.10{number}"))).status == 0
        wanted = [(CT, f"2.25.10{number}") for number in range(3)]
        assert (await request(requestor, information("2.25.1", wanted))).status == 0
        event_type, answer = await report(requestor)
    assert event_type == 1
    assert answer[0x00081195][1] == ("2.25.1",)
    assert uids(answer, 0x00081199) == ["2.25.100", "2.25.101", "2.25.102"]
    assert 0x00081198 not in answer
    await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE kind = 'storage-commitment'") == [])


async def test_what_can_not_be_committed_to_is_told_with_its_reason(stage: Stage) -> None:
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        for number in range(5):
            await store(requestor, image(SOPInstanceUID=f"2.25.10{number}"))
        other = image(SOPInstanceUID="2.25.102", StudyDescription="other bytes under the same UID")
        assert (await store(requestor, other)).status == 0x0111
        stage.damage("2.25.103")
        await stage.store.commit(
            lambda transaction: transaction.update("instance", {"sop_uid": "2.25.104"}, sha256="00" * 32)
        )
        asked = [(CT, "2.25.100"), (MR, "2.25.101"), (CT, "2.25.102"), (CT, "2.25.103"), (CT, "2.25.104")]
        asked.append((CT, "2.25.9"))
        assert (await request(requestor, information("2.25.1", asked))).status == 0
        event_type, answer = await report(requestor)
    assert event_type == 2
    assert uids(answer, 0x00081199) == ["2.25.100"]
    assert reasons(answer) == {
        "2.25.101": 0x0119,  # another class than was said
        "2.25.102": 0x0110,  # the peer's own bytes are held
        "2.25.103": 0x0110,  # the stored bytes do not fit their hash
        "2.25.104": 0x0110,  # the quick check of readings is not enough for a promise
        "2.25.9": 0x0112,  # not there
    }


async def test_what_was_rejected_is_committed_to_and_the_note_too(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both are kept; a modality that heard otherwise would send them again and again."""
    monkeypatch.setattr(view, "_SURELY_TRUE_S", 0)  # the registers are asked again for each object
    rejected = RejectionNote("113001", (Reference("2.25.10", "2.25.11", "2.25.100", CT),))
    patient = {0x00100010: ("PN", ("Tolvansson^Tolvan",)), 0x00100020: ("LO", ("19121212-1212",))}
    frame = NoteFrame(patient, "2.25.10", "2.25.500", "2.25.501", "20240302", "080000", "")
    contexts = [*CONTEXTS, (KEY_OBJECT_SELECTION, (EXPLICIT,))]
    async with await stage.connect(contexts=contexts) as requestor:
        for number in range(2):
            assert (await store(requestor, image(SOPInstanceUID=f"2.25.10{number}"))).status == 0
        note = write_rejection(rejected, frame)
        assert (await requestor.store(EXPLICIT, KEY_OBJECT_SELECTION, "2.25.501", note)).status == 0
        wanted = [(CT, "2.25.100"), (CT, "2.25.101"), (KEY_OBJECT_SELECTION, "2.25.501")]
        assert (await request(requestor, information("2.25.1", wanted))).status == 0
        event_type, answer = await report(requestor)
    assert (event_type, reasons(answer)) == (1, {})
    assert uids(answer, 0x00081199) == ["2.25.100", "2.25.101", "2.25.501"]


async def test_another_providers_instance_is_told_like_one_that_does_not_exist(stage: Stage) -> None:
    async with await stage.connect() as sender:
        await store(sender, image())
    async with await stage.connect("KLARAPACS", contexts=CONTEXTS) as requestor:
        await request(requestor, information("2.25.1", [(CT, "2.25.100"), (CT, "2.25.9")]))
        _, answer = await report(requestor)
    assert reasons(answer) == {"2.25.100": 0x0112, "2.25.9": 0x0112}


async def test_a_peer_that_has_gone_is_reported_to_at_its_address(tmp_path: Path) -> None:
    async with Peer("SINK", [STORAGE_COMMITMENT]) as peer, Stage(tmp_path, peer.port) as stage:
        requestor = await stage.connect("SINK", contexts=CONTEXTS)
        await store(requestor, image())
        assert (await request(requestor, information("2.25.1", [(CT, "2.25.100")]))).status == 0
        requestor.drop()
        message = await peer.next()
        assert peer.roles == {STORAGE_COMMITMENT: (False, True)}
        assert uids(told(message), 0x00081199) == ["2.25.100"]
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE kind = 'storage-commitment'") == [])


async def test_an_answer_survives_a_restart_and_an_unreachable_peer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    async with Stage(tmp_path, port) as stage:
        requestor = await stage.connect("SINK", contexts=CONTEXTS)
        await store(requestor, image())
        await request(requestor, information("2.25.1", [(CT, "2.25.100")]))
        requestor.drop()
        await stage.until(lambda: stage.rows("SELECT attempt FROM job WHERE attempt > 0") != [])
        stage.damage("2.25.100")
    async with Peer("SINK", [STORAGE_COMMITMENT], port) as peer, Stage(tmp_path, port) as stage:
        message = await peer.next()
        # The answer is that of the look, not of the moment of delivery.
        assert uids(told(message), 0x00081199) == ["2.25.100"]
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE kind = 'storage-commitment'") == [])


async def test_a_report_that_the_peer_does_not_take_is_sent_again(tmp_path: Path) -> None:
    async with Peer("SINK", [STORAGE_COMMITMENT]) as peer, Stage(tmp_path, peer.port) as stage:
        peer.status = 0x0110
        requestor = await stage.connect("SINK", contexts=CONTEXTS)
        await request(requestor, information("2.25.1", [(CT, "2.25.100")]))
        requestor.drop()
        await peer.next()
        peer.status = 0
        again = await peer.next()
        assert reasons(told(again)) == {"2.25.100": 0x0112}


async def test_a_peer_without_address_is_told_when_it_calls_again(stage: Stage) -> None:
    requestor = await stage.connect(contexts=CONTEXTS)
    await store(requestor, image())
    await request(requestor, information("2.25.1", [(CT, "2.25.100")]))
    requestor.drop()
    await stage.until(lambda: stage.rows("SELECT attempt FROM job WHERE attempt > 0") != [])
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        event_type, answer = await report(requestor)
    assert (event_type, answer[0x00081195][1]) == (1, ("2.25.1",))


async def test_an_answer_that_was_given_up_is_tried_again_when_the_peer_calls(tmp_path: Path) -> None:
    async with Stage(tmp_path, patience=1) as stage:
        requestor = await stage.connect(contexts=CONTEXTS)
        await store(requestor, image())
        await request(requestor, information("2.25.1", [(CT, "2.25.100")]))
        requestor.drop()
        parked = "SELECT 1 FROM job WHERE kind = 'storage-commitment' AND state = 'parked'"
        await stage.until(lambda: stage.rows(parked) != [])
        async with await stage.connect(contexts=CONTEXTS) as again:
            event_type, _ = await report(again)
        assert event_type == 1
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE kind = 'storage-commitment'") == [])


async def test_the_same_request_again_is_one_and_another_under_its_name_is_refused(stage: Stage) -> None:
    await stage.exchange.stop()
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        for _ in range(2):
            assert (await request(requestor, information("2.25.1", [(CT, "2.25.100")]))).status == 0
        assert (await request(requestor, information("2.25.1", [(CT, "2.25.101")]))).status == 0x0110
        jobs = stage.rows("SELECT COUNT(*) FROM job WHERE kind = 'storage-commitment'")
    assert jobs == [(1,)]


async def test_one_system_can_not_fill_the_queue(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    await stage.exchange.stop()
    monkeypatch.setattr(limits, "MAX_COMMITMENTS", 2)
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        answers = [
            (await request(requestor, information(f"2.25.{number}", [(CT, "2.25.100")]))).status
            for number in range(3)
        ]
        assert answers == [0, 0, 0x0213]
        monkeypatch.setattr(limits, "MAX_COMMITMENTS", 1000)
        monkeypatch.setattr(limits, "MAX_COMMITMENT_BYTES", 100)
        assert (await request(requestor, information("2.25.9", [(CT, "2.25.100")]))).status == 0x0213
    async with await stage.connect("STRICT", contexts=CONTEXTS) as other:
        assert (await request(other, information("2.25.1", [(CT, "2.25.100")]))).status == 0


@pytest.mark.parametrize(
    ("data", "changes", "status"),
    [
        (information("2.25.1", []), {}, 0x0115),
        (information("1.02", [(CT, "2.25.100")]), {}, 0x0115),
        (information("2.25.1", [(CT, "x")]), {}, 0x0115),
        (b"\xff" * 40, {}, 0x0115),
        (information("2.25.1", [(CT, "2.25.100")]), {"action": 2}, 0x0123),
        (information("2.25.1", [(CT, "2.25.100")]), {"instance": "2.25.5"}, 0x0112),
    ],
)
async def test_a_request_that_is_none_is_refused(
    stage: Stage, data: bytes, changes: dict[str, object], status: int
) -> None:
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        assert (await request(requestor, data, **changes)).status == status  # type: ignore[arg-type]
    assert stage.rows("SELECT 1 FROM job WHERE kind = 'storage-commitment'") == []


async def test_who_may_not_store_gets_no_context_for_commitment(stage: Stage) -> None:
    async with await stage.connect(
        "READER", contexts=[*CONTEXTS, *[("1.2.840.10008.1.1", (EXPLICIT,))]]
    ) as one:
        assert one.context_of(STORAGE_COMMITMENT) is None


async def test_a_peer_that_never_answers_the_report_is_let_go(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        monkeypatch.setattr(limits, "MESSAGE_TIMEOUT_S", 2.0)  # the answer to the request keeps it too
        await request(requestor, information("2.25.1", [(CT, "2.25.100")]))
        await stage.until(lambda: not requestor.association.is_established)
        assert stage.rows("SELECT attempt FROM job WHERE kind = 'storage-commitment'") != []
        await asyncio.sleep(0)
