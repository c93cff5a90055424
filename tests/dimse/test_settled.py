"""What has been settled into series objects is searched, committed to and sent as before."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from samsyn.clock import SystemClock
from samsyn.settings.recompression import RecompressSettings
from samsyn.store.upkeep.recompress import Recompression
from samsyn.store.upkeep.settle import Settling
from samsyn.wire.dimse import FindRequest, MoveRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import (
    CT,
    QUERY_CONTEXTS,
    STUDY_FIND,
    STUDY_MOVE,
    Stage,
    ask,
    encoded,
    identifier,
    image,
    store,
)
from tests.dimse.test_commitment import CONTEXTS, information, reasons, report, request, uids

COUNT = 4


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer("SINK", [CT]) as made:
        yield made


@pytest.fixture(params=["as it came", "jpeg-ls", "htj2k"])
async def stage(tmp_path: Path, peer: Peer, request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    rules = [] if request.param == "as it came" else [RecompressSettings(codec=request.param)]
    recompression = Recompression(rules, SystemClock())
    async with Stage(tmp_path, peer.port) as made:
        async with await made.connect() as sender:
            for number in range(COUNT):
                assert (await store(sender, one(number))).status == 0
        settling = Settling(made.store, SystemClock(), recompression=recompression)
        for (key,) in made.rows("SELECT series_key FROM series"):
            assert isinstance(key, int)
            await settling.settle(key)
        assert made.rows("SELECT COUNT(*) FROM instance") == [(0,)]
        assert (recompression.stored_bytes > 0) == bool(rules)
        yield made


def one(number: int) -> Dataset:
    picture = {"Rows": 64, "Columns": 64, "PixelData": bytes((number, 7)) * 4096}
    return image(
        SOPInstanceUID=f"2.25.10{number}",
        InstanceNumber=number,
        ContentDate=f"2024030{number + 1}",
        **picture,
    )


@pytest.mark.parametrize(
    ("level", "keys", "count"),
    [
        ("STUDY", {"PatientName": "tolv*"}, 1),
        ("SERIES", {"Modality": "C?"}, 1),
        ("IMAGE", {"StudyInstanceUID": "2.25.10"}, COUNT),
        ("IMAGE", {"SOPInstanceUID": "2.25.101\\2.25.103\\2.25.9"}, 2),
        ("IMAGE", {"InstanceNumber": "2"}, 1),
        ("IMAGE", {"ContentDate": "20240302-20240303"}, 2),
        ("IMAGE", {"SOPClassUID": CT, "StudyDate": "20240301"}, COUNT),
        ("IMAGE", {"StudyDate": "19990101"}, 0),
    ],
)
async def test_it_is_found(stage: Stage, level: str, keys: dict[str, str], count: int) -> None:
    question = identifier(QueryRetrieveLevel=level, **{"SeriesInstanceUID": "", **keys})
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        found, final = await ask(requestor, FindRequest, STUDY_FIND, question)
    assert (len(found), final.command.status) == (count, 0)


async def test_it_is_committed_to_as_long_as_its_bytes_are_whole(stage: Stage) -> None:
    asked = [(CT, f"2.25.10{number}") for number in range(COUNT)]
    async with await stage.connect(contexts=CONTEXTS) as requestor:
        await request(requestor, information("2.25.1", asked))
        event_type, answer = await report(requestor)
        assert (event_type, uids(answer, 0x00081199)) == (1, [uid for _, uid in asked])
        files = [path for path in (stage.store.folder / "objects").rglob("*") if path.is_file()]
        date = b"20240303"  # of the third, in its header, which lies as it came
        (holding,) = [path for path in files if date in path.read_bytes()]
        data = holding.read_bytes()
        place = data.index(date) + 7
        holding.chmod(0o600)
        holding.write_bytes(data[:place] + bytes((data[place] ^ 1,)) + data[place + 1 :])
        await request(requestor, information("2.25.2", asked))
        event_type, answer = await report(requestor)
    assert event_type == 2
    assert reasons(answer) == {"2.25.102": 0x0110}


async def test_it_is_moved_byte_for_byte(stage: Stage, peer: Peer) -> None:
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=QUERY_CONTEXTS) as requestor:
        _, final = await ask(requestor, MoveRequest, STUDY_MOVE, keys, destination="SINK")
    assert (final.command.status, final.command.completed) == (0, COUNT)
    assert [(await peer.next()).data for _ in range(COUNT)] == [
        encoded(one(number)) for number in range(COUNT)
    ]


async def test_frames_and_whole_objects_are_what_was_sent(stage: Stage) -> None:
    view = await stage.gatekeeper.open_view(stage.connections.dicom_peer("BENCH", "127.0.0.1", None).subject)
    instances = await stage.retriever.instances(view, "2.25.10")
    assert len(instances) == COUNT
    for number, instance in enumerate(instances):
        sent = encoded(one(number))
        assert await stage.retriever.frame(view, instance, 1) == bytes((number, 7)) * 4096
        assert await stage.retriever.data_set(view, instance) == sent
        assert b"".join([piece async for piece in stage.retriever.pieces(view, instance)]) == sent
        found = [piece async for piece in stage.retriever.frame_part(view, instance, 1, 4001, 3)]
        assert b"".join(found) == (bytes((number, 7)) * 4096)[4001:4004]
