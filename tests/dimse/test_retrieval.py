"""C-GET and C-MOVE: every object byte for byte, counted, only to known destinations of the own provider."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO

from samsyn import limits
from samsyn.endpoints.dimse.places import Places
from samsyn.endpoints.dimse.progress import Progress
from samsyn.exchange.scu import Requestor
from samsyn.exchange.transport import AssociationTransport
from samsyn.wire.assembly import Message
from samsyn.wire.association import Association
from samsyn.wire.dimse import CancelRequest, GetRequest, GetResponse, MoveRequest, StoreRequest, StoreResponse
from samsyn.wire.negotiation import Implementation
from samsyn.wire.pdu import CALLING_AE_NOT_RECOGNIZED, AssociateReject, ContextResult, ProposedContext
from samsyn.wire.upper_layer import AssociationRequested, ReleaseRequested
from samsyn.wire.user_information import RoleSelection
from tests.dimse.stage import (
    CT,
    EXPLICIT,
    IMPLICIT,
    PATIENT_MOVE,
    QUERY_CONTEXTS,
    STUDY_GET,
    STUDY_MOVE,
    Stage,
    ask,
    encoded,
    identifier,
    image,
    store,
)
from tests.waiting import PATIENCE_S

COUNT = 5


def made(number: int) -> bytes:
    return encoded(_image(number))


def _image(number: int) -> Dataset:
    return image(
        SOPInstanceUID=f"2.25.100{number}",
        SeriesInstanceUID=f"2.25.11{number % 2}",
        InstanceNumber=number,
        PixelData=bytes([number]) * 8,
    )


class Sink(AssociationTransport):
    """A storage SCP that keeps what it gets."""

    def __init__(self, destination: "Destination") -> None:
        super().__init__(Association())
        self._destination = destination

    def indicated(self, indication: object) -> None:
        destination = self._destination
        match indication:
            case AssociationRequested(request):
                if destination.rejection is not None:
                    self.association.reject(destination.rejection)
                else:
                    own = Implementation("2.25.9", "SINK")
                    self.association.accept(request, _first, lambda role: None, own)
            case ReleaseRequested():
                self.association.answer_release()
            case Message(command=StoreRequest() as request):
                if len(destination.got) == destination.leave_after:
                    self.abort("gone")
                    return
                assert indication.data is not None
                destination.got[request.sop_instance_uid] = bytes(indication.data)
                destination.requests.append(request)
                answer = StoreResponse(
                    request.message_id, destination.status, request.sop_class_uid, request.sop_instance_uid
                )
                self.association.send(indication.context_id, answer)


def _first(context: ProposedContext) -> str | ContextResult:
    return context.transfer_syntaxes[0]


class Destination:
    """SINK, listening."""

    def __init__(self) -> None:
        self.got: dict[str, bytes] = {}
        self.requests: list[StoreRequest] = []
        self.status = 0
        self.leave_after = 1000
        self.rejection: AssociateReject | None = None
        self.port = 0

    async def __aenter__(self) -> "Destination":
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Sink(self), "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()


@pytest.fixture
async def sink() -> AsyncIterator[Destination]:
    async with Destination() as destination:
        yield destination


@pytest.fixture
async def stage(tmp_path: Path, sink: Destination) -> AsyncIterator[Stage]:
    async with Stage(tmp_path, sink.port) as built:
        async with await built.connect() as sender:
            for number in range(COUNT):
                assert (await store(sender, _image(number))).status == 0
        yield built


async def get(
    requestor: Requestor, keys: bytes, cancel_after: int = 1000
) -> tuple[dict[str, bytes], list[GetResponse]]:
    """A C-GET as its SCU does it: stores are answered as they come."""
    context_id = requestor.context_of(STUDY_GET)
    assert context_id is not None
    await requestor.send(context_id, GetRequest(1, STUDY_GET), keys)
    got: dict[str, bytes] = {}
    responses: list[GetResponse] = []
    while not responses or responses[-1].status == 0xFF00:
        message = await requestor._answer()
        if isinstance(message.command, StoreRequest):
            request = message.command
            got[request.sop_instance_uid] = bytes(message.data or b"")
            if len(got) == cancel_after:
                await requestor.send(context_id, CancelRequest(1))
            answer = StoreResponse(request.message_id, 0, request.sop_class_uid, request.sop_instance_uid)
            await requestor.send(message.context_id, answer)
        else:
            assert isinstance(message.command, GetResponse)
            responses.append(message.command)
    return got, responses


GET_CONTEXTS = [*QUERY_CONTEXTS, (CT, (EXPLICIT,))]
ROLES = (RoleSelection(CT, False, True),)


async def test_get_returns_every_object_byte_for_byte(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys)
    assert got == {f"2.25.100{number}": made(number) for number in range(COUNT)}
    assert responses[-1].status == 0
    assert (responses[-1].completed, responses[-1].failed, responses[-1].remaining) == (COUNT, 0, None)


async def test_get_tells_how_far_it_is_at_once_and_then_now_and_then(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    for every_s, told in ((0.0, [4, 3, 2, 1, 0]), (60.0, [4])):
        monkeypatch.setattr(limits, "PENDING_EVERY_S", every_s)
        async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
            _, responses = await get(requestor, keys)
        assert [response.remaining for response in responses[:-1]] == told


async def test_a_peer_that_never_answers_a_store_is_let_go(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        monkeypatch.setattr(limits, "MESSAGE_TIMEOUT_S", 0.2)
        context_id = requestor.context_of(STUDY_GET)
        assert context_id is not None
        await requestor.send(context_id, GetRequest(1, STUDY_GET), keys)
        await stage.until(lambda: not requestor.association.is_established)


async def test_a_receiver_that_takes_nothing_leaves_places_for_others(stage: Stage) -> None:
    """However many retrievals it has: one stuck station must not keep every other from its pictures."""
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    stuck: list[Requestor] = []
    for _ in range(limits.MAX_RETRIEVALS + 1):
        requestor = await stage.connect("READER", contexts=GET_CONTEXTS, roles=ROLES)
        context_id = requestor.context_of(STUDY_GET)
        assert context_id is not None
        await requestor.send(context_id, GetRequest(1, STUDY_GET), keys)
        stuck.append(requestor)
    await stage.until(lambda: sum(not one._arrived.empty() for one in stuck) == limits.MAX_RETRIEVALS // 2)
    async with (
        asyncio.timeout(PATIENCE_S),
        await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor,
    ):
        got, _ = await get(requestor, keys)
    assert len(got) == COUNT
    for requestor in stuck:
        requestor.drop()
    async with (
        asyncio.timeout(PATIENCE_S),
        await stage.connect("READER", contexts=GET_CONTEXTS, roles=ROLES) as one,
    ):
        got, _ = await get(one, keys)
    assert len(got) == COUNT, "places are given back"


async def test_places_are_given_in_order_and_all_come_back() -> None:
    places, log = Places(4), list[str]()

    async def use(name: str, leave: asyncio.Event) -> None:
        async with places.taken(name[0]):
            log.append(name)
            await leave.wait()

    leaves = {name: asyncio.Event() for name in ("a1", "a2", "a3", "b1", "c1", "d1", "a4")}
    tasks = {name: asyncio.create_task(use(name, leave)) for name, leave in leaves.items()}
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert log == ["a1", "a2", "b1", "c1"]
    tasks["a3"].cancel()
    leaves["a1"].set()
    await asyncio.gather(tasks["a1"], tasks["a3"], return_exceptions=True)
    await asyncio.sleep(0)
    assert log[4:] == ["d1"], "a holds one, and none is free for more"
    for leave in leaves.values():
        leave.set()
    await asyncio.gather(*tasks.values(), return_exceptions=True)
    assert log[5:] == ["a4"]
    assert places._free == 4
    assert not +places._held


@pytest.mark.parametrize(
    ("keys", "count"),
    [
        ({"QueryRetrieveLevel": "SERIES", "StudyInstanceUID": "2.25.10", "SeriesInstanceUID": "2.25.111"}, 2),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "2.25.1001\\2.25.1003\\2.25.77"}, 2),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "2.25.1001\\2.25.1001"}, 1),
        ({"QueryRetrieveLevel": "IMAGE", "StudyInstanceUID": "2.25.99", "SOPInstanceUID": "2.25.1001"}, 0),
        (
            {
                "QueryRetrieveLevel": "IMAGE",
                "StudyInstanceUID": "2.25.9\\2.25.8",
                "SOPInstanceUID": "2.25.1001",
            },
            0,
        ),
        ({"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.4444"}, 0),
    ],
)
async def test_get_works_at_every_level(stage: Stage, keys: dict[str, str], count: int) -> None:
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, identifier(**keys))
    assert (len(got), responses[-1].completed, responses[-1].status) == (count, count, 0)


@pytest.mark.parametrize(
    "keys",
    [
        {"QueryRetrieveLevel": "STUDY"},
        {"QueryRetrieveLevel": "STUDY", "StudyInstanceUID": "2.25.*"},
        {"QueryRetrieveLevel": "PATIENT", "PatientID": "191212121212"},
        {"StudyInstanceUID": "2.25.10"},
    ],
)
async def test_get_without_a_unique_key_is_refused(stage: Stage, keys: dict[str, str]) -> None:
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, identifier(**keys))
    assert got == {}
    assert responses[-1].status == 0xA900


async def test_get_without_a_context_for_the_class_fails_and_names_the_objects(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    contexts = [*QUERY_CONTEXTS, (CT, ("1.2.840.10008.1.2.4.70",))]
    async with await stage.connect(contexts=contexts, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys)
    assert got == {}
    assert responses[-1].status == 0xA702
    assert responses[-1].failed == COUNT


@pytest.mark.parametrize(
    "roles", [(), (RoleSelection(CT, True, False),), (RoleSelection("1.2.3", False, True),)]
)
async def test_get_sends_nothing_to_who_has_no_scp_role(
    stage: Stage, roles: tuple[RoleSelection, ...]
) -> None:
    """Who asks for an association is no SCP of storage unless both have agreed on that (PS3.7 D.3.3.4)."""
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=GET_CONTEXTS, roles=roles) as requestor:
        got, responses = await get(requestor, keys)
    assert got == {}
    assert (responses[-1].status, responses[-1].failed) == (0xA702, COUNT)
    assert "SCP role" in responses[-1].error_comment


async def test_get_changes_the_form_for_who_takes_only_another_uncompressed_one(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    contexts = [*QUERY_CONTEXTS, (CT, (IMPLICIT,))]
    async with await stage.connect(contexts=contexts, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys)
    assert responses[-1].status == 0
    assert got == {f"2.25.100{number}": encoded(_image(number), implicit=True) for number in range(COUNT)}


async def test_a_damaged_object_fails_alone_and_the_others_arrive(stage: Stage) -> None:
    stage.damage("2.25.1002")
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys)
    assert got == {f"2.25.100{number}": made(number) for number in (0, 1, 3, 4)}
    assert responses[-1].status == 0xB000
    assert (responses[-1].completed, responses[-1].failed) == (COUNT - 1, 1)


async def test_a_cancelled_get_stops(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys, cancel_after=2)
        assert len(got) == 2
        assert responses[-1].status == 0xFE00
        assert (responses[-1].completed, responses[-1].remaining) == (2, 3)
        got, _ = await get(requestor, keys)
        assert len(got) == COUNT


async def test_another_provider_gets_nothing(stage: Stage) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect("KLARAPACS", contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, responses = await get(requestor, keys)
    assert (got, responses[-1].status) == ({}, 0)


async def test_move_sends_every_object_and_names_its_originator(stage: Stage, sink: Destination) -> None:
    keys = identifier(QueryRetrieveLevel="PATIENT", PatientID="19121212-1212")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, PATIENT_MOVE, keys, destination="SINK", priority=2)
    assert final.command.status == 0
    assert final.command.completed == COUNT
    assert sink.got == {f"2.25.100{number}": made(number) for number in range(COUNT)}
    assert {(r.move_originator_ae, r.move_originator_message_id) for r in sink.requests} == {("BENCH", 1)}
    assert {r.priority for r in sink.requests} == {2}, "that of the C-MOVE"
    assert ("SEND",) in stage.rows("SELECT event FROM audit")


@pytest.mark.parametrize(
    ("level", "patient_id", "count"),
    [
        ({"QueryRetrieveLevel": "STUDY"}, "19121212-1212", COUNT),
        ({"QueryRetrieveLevel": "STUDY"}, "", COUNT),
        ({"QueryRetrieveLevel": "STUDY"}, "19900101-2385", 0),
        ({"QueryRetrieveLevel": "SERIES", "SeriesInstanceUID": "2.25.110"}, "19900101-2385", 0),
        ({"QueryRetrieveLevel": "IMAGE", "SOPInstanceUID": "2.25.1001"}, "19900101-2385", 0),
    ],
)
async def test_move_of_a_person_sends_nothing_of_another(
    stage: Stage, sink: Destination, level: dict[str, str], patient_id: str, count: int
) -> None:
    """Patient Root: the Patient ID is a unique key of every level (PS3.4 C.4.2.1.4)."""
    keys = identifier(PatientID=patient_id, StudyInstanceUID="2.25.10", **level)
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, PATIENT_MOVE, keys, destination="SINK")
    assert (final.command.status, len(sink.got)) == (0, count)


@pytest.mark.parametrize("destination", ["NOWHERE", "BENCH", "KLARAPACS", ""])
async def test_move_to_an_unknown_or_foreign_destination_is_refused(
    stage: Stage, sink: Destination, destination: str
) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination=destination)
    assert final.command.status == 0xA801
    assert sink.got == {}


async def test_move_tells_what_the_destination_refused(stage: Stage, sink: Destination) -> None:
    sink.status = 0xA700
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert final.command.status == 0xA702
    assert final.command.failed == COUNT
    assert final.command.error_comment == "the receiver answered A700H"
    assert final.data is not None
    assert final.data.count(b"2.25.100") == COUNT


async def test_a_thousand_objects_are_named_by_who_asks_and_by_the_answer(
    stage: Stage, sink: Destination
) -> None:
    uids = [f"2.25.{10**58 + number}" for number in range(1_050)]
    async with await stage.connect() as sender:
        for uid in uids:
            assert (await store(sender, image(SOPInstanceUID=uid))).status == 0
    sink.status = 0xA700
    keys = identifier(QueryRetrieveLevel="IMAGE", SOPInstanceUID=uids)
    assert len(keys) > 0xFFFF, "more than the value of a UI can hold"
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert (final.command.status, final.command.failed) == (0xA702, len(uids))
    assert final.data is not None
    told = dcmread(DicomBytesIO(bytes(final.data)), force=True)[0x00080058]
    assert told.VR == "UN"
    assert set(told.value.rstrip(b"\0").decode().split("\\")) == set(uids)


async def test_move_to_a_destination_that_does_not_listen_is_told(stage: Stage, sink: Destination) -> None:
    await sink.__aexit__()
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert final.command.status == 0xA702
    assert "SINK" in final.command.error_comment


async def test_move_to_a_destination_that_rejects_us_is_told(stage: Stage, sink: Destination) -> None:
    sink.rejection = CALLING_AE_NOT_RECOGNIZED
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert final.command.status == 0xA702
    assert "rejected" in final.command.error_comment


async def test_a_destination_that_goes_away_in_the_middle_is_told(stage: Stage, sink: Destination) -> None:
    sink.leave_after = 2
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert final.command.status == 0xB000
    assert (final.command.completed, final.command.failed) == (2, 3)


async def test_large_objects_leave_in_pieces_and_arrive_whole(stage: Stage, sink: Destination) -> None:
    large = image(SOPInstanceUID="2.25.5000", PixelData=bytes(range(256)) * 24_000)
    keys = identifier(QueryRetrieveLevel="IMAGE", SOPInstanceUID="2.25.5000")
    async with await stage.connect() as sender:
        assert (await store(sender, large)).status == 0
    async with await stage.connect(contexts=GET_CONTEXTS, roles=ROLES) as requestor:
        got, _ = await get(requestor, keys)
        assert got == {"2.25.5000": encoded(large)}
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
        assert final.command.status == 0
    assert sink.got == {"2.25.5000": encoded(large)}


@pytest.mark.parametrize(
    ("completed", "failed", "warning", "status"),
    [(3, 0, 0, 0), (0, 0, 0, 0), (2, 1, 0, 0xB000), (0, 3, 0, 0xA702), (2, 0, 1, 0xB000)],
)
def test_the_final_status_follows_from_the_counts(
    completed: int, failed: int, warning: int, status: int
) -> None:
    progress = Progress(0, completed, warning, [str(number) for number in range(failed)])
    assert progress.final_status() == status
