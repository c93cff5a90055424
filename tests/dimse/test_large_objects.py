"""Objects that no process holds in memory: in and out by every door, byte for byte, and whole or not at all."""

import asyncio
import hashlib
import http.client
import json
import os
import time
import urllib.request
from collections.abc import AsyncIterator, Iterable, Iterator
from itertools import chain
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.dicom.part10 import file_preamble_and_meta
from samsyn.errors import LimitExceeded
from samsyn.exchange.scu import Requestor, connect
from samsyn.model.streamed import StreamedData
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.scrub import Scrub
from samsyn.store.upkeep.settle import Settling
from samsyn.wire import assembly
from samsyn.wire.association import Association
from samsyn.wire.dimse import GetRequest, StoreRequest, StoreResponse
from samsyn.wire.user_information import RoleSelection
from tests.dimse.clips import FRAME, ULTRASOUND, clip, frame, large_begins_at, pieces, streamed
from tests.dimse.stage import CT, EXPLICIT, QUERY_CONTEXTS, STUDY_GET, RawPeer, Stage, identifier
from tests.dimse.test_retrieval import GET_CONTEXTS, ROLES, Destination, get
from tests.faults.test_kill import CONFIG, TOKEN
from tests.ports import free_ports
from tests.scratch import Running, start_with_config

FRAMES = 600


class Hashing:
    """Where a C-GET's large object goes: counted and hashed."""

    def __init__(self) -> None:
        self.digest, self.length = hashlib.sha256(), 0

    def take(self, data: bytes | bytearray | memoryview) -> None:
        self.digest.update(data)
        self.length += len(data)

    def drop(self) -> None:
        pass


async def get_large(requestor: Requestor, keys: bytes) -> Hashing:
    context_id = requestor.context_of(STUDY_GET)
    assert context_id is not None
    await requestor.send(context_id, GetRequest(1, STUDY_GET), keys)
    message = await requestor._answer()
    request = message.command
    assert isinstance(request, StoreRequest)
    answer = StoreResponse(request.message_id, 0, request.sop_class_uid, request.sop_instance_uid)
    await requestor.send(message.context_id, answer)
    while (final := (await requestor._answer()).command).status == 0xFF00:
        pass
    assert final.status == 0
    assert isinstance(message.spilled, Hashing)
    return message.spilled


# -- a real server and a clip of 600 MiB


class Server:
    """`samsyn serve` with a folder that a test can look into."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.dicom, self.port, mllp = free_ports(3)
        config = folder / "samsyn.toml"
        digest = hashlib.sha256(TOKEN.encode()).hexdigest()
        config.write_text(
            CONFIG.format(folder=self.data, dicom=self.dicom, http=self.port, mllp=mllp, digest=digest)
        )
        self.running = self.start()

    def start(self) -> Running:
        self.running = start_with_config(self.folder / "samsyn.toml", self.folder / "server.log", self.port)
        return self.running

    async def connect(self, **options: object) -> Requestor:
        contexts = [*QUERY_CONTEXTS[2:3], (ULTRASOUND, (EXPLICIT,))]
        return await connect("127.0.0.1", self.dicom, "SAMSYN", "BENCH", contexts, **options)  # type: ignore[arg-type]

    def fetch(self, path: str, accept: str) -> bytes:
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": accept}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/dicomweb{path}", headers=headers)
        with urllib.request.urlopen(request, timeout=60) as answer:
            return bytes(answer.read())

    def post(self, kind: str, length: int, body: Iterable[bytes]) -> int:
        """STOW-RS of a body that is made while it is sent; the status."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        headers = {
            "Authorization": f"Bearer {TOKEN}",
            "Accept": "application/dicom+json",
            "Content-Type": kind,
            "Content-Length": str(length),
        }
        connection.request("POST", "/dicomweb/studies", body, headers)
        answer = connection.getresponse()
        told = answer.read()
        assert answer.status == 200, told[:300]
        connection.close()
        return answer.status

    def hash_of(self, path: str) -> tuple[int, str]:
        """Length and SHA-256 of one file by WADO-RS."""
        headers = {"Authorization": f"Bearer {TOKEN}", "Accept": "application/dicom"}
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}/dicomweb{path}", headers=headers)
        length, digest = 0, hashlib.sha256()
        with urllib.request.urlopen(request, timeout=120) as answer:
            while piece := answer.read(FRAME):
                length += len(piece)
                digest.update(piece)
        return length, digest.hexdigest()

    def memory(self, what: str) -> int:
        """A figure of the kernel about the process, MiB: VmHWM is the most it ever had."""
        for line in Path(f"/proc/{self.running.process.pid}/status").read_text().splitlines():
            if line.startswith(what):
                return int(line.split()[1]) // 1024
        raise AssertionError(what)

    def cpu_s(self) -> float:
        """Processor time of the process so far, seconds."""
        fields = Path(f"/proc/{self.running.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    made = Server(tmp_path)
    try:
        yield made
    finally:
        made.running.kill()


async def test_six_hundred_mebibytes_come_in_and_go_out_in_bounded_memory(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, began = server.memory("VmHWM"), server.cpu_s()
    clip = streamed(FRAMES)
    async with await server.connect() as sender:
        assert (await sender.store(EXPLICIT, ULTRASOUND, "2.25.100", clip)).status == 0
    stored, stored_s = server.memory("VmHWM"), server.cpu_s() - began
    monkeypatch.setattr(
        "samsyn.exchange.scu.Association", lambda **_: Association(is_requestor=True, spill_to=Hashing)
    )
    began = server.cpu_s()
    async with await server.connect(roles=(RoleSelection(ULTRASOUND, False, True),)) as reader:
        got = await get_large(reader, identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10"))
    got_s = server.cpu_s() - began
    expected = hashlib.sha256()
    for piece in pieces(FRAMES):
        expected.update(piece)
    assert (got.length, got.digest.hexdigest()) == (len(clip), expected.hexdigest())
    path = "/studies/2.25.10/series/2.25.11/instances/2.25.100"
    began = time.monotonic()
    one = await asyncio.to_thread(server.fetch, f"{path}/frames/599", "application/octet-stream")
    frame_ms = (time.monotonic() - began) * 1000
    assert one == frame(599)
    told = json.loads(await asyncio.to_thread(server.fetch, f"{path}/metadata", "application/dicom+json"))
    assert told[0]["00280008"]["Value"] == [FRAMES]
    most = server.memory("VmHWM")
    print(
        f"600 MiB: peak memory {before} MiB idle, {stored} MiB after C-STORE ({stored_s:.2f} s of processor),"
        f" {most} MiB after C-GET ({got_s:.2f} s), one frame ({frame_ms:.0f} ms) and metadata"
    )
    assert most - before < 100
    assert server.running.stop() == 0


@pytest.mark.slow
@pytest.mark.parametrize("is_multipart", [True, False])
def test_six_hundred_mebibytes_come_in_by_the_web_in_bounded_memory(
    server: Server, is_multipart: bool
) -> None:
    before, began = server.memory("VmHWM"), server.cpu_s()
    front = file_preamble_and_meta(ULTRASOUND, "2.25.100", EXPLICIT)
    length = len(front) + len(streamed(FRAMES))
    opening, closing, kind = b"", b"", "application/dicom"
    if is_multipart:
        opening = b"--edge\r\nContent-Type: application/dicom\r\n\r\n"
        closing, kind = b"\r\n--edge--\r\n", 'multipart/related; type="application/dicom"; boundary=edge'
    body = chain([opening + front], pieces(FRAMES), [closing])
    assert server.post(kind, len(opening) + length + len(closing), body) == 200
    stored, stored_s = server.memory("VmHWM"), server.cpu_s() - began
    expected = hashlib.sha256(front)
    for piece in pieces(FRAMES):
        expected.update(piece)
    path = "/studies/2.25.10/series/2.25.11/instances/2.25.100"
    assert server.hash_of(path) == (length, expected.hexdigest())
    most = server.memory("VmHWM")
    print(
        f"600 MiB by STOW-RS ({kind.partition(';')[0]}): peak memory {before} MiB idle, {stored} MiB stored"
        f" ({stored_s:.2f} s of processor), {most} MiB after WADO-RS"
    )
    assert most - before < 100
    assert server.running.stop() == 0


async def test_kill_in_the_middle_leaves_nothing_half(server: Server) -> None:
    sent = asyncio.Event()

    async def some() -> AsyncIterator[bytes]:
        for number, piece in enumerate(pieces(200)):
            yield piece
            if number == 150:
                sent.set()
                await asyncio.sleep(60)

    requestor = await server.connect()
    whole = streamed(4, SOPInstanceUID="2.25.101")
    assert (await requestor.store(EXPLICIT, ULTRASOUND, "2.25.101", whole)).status == 0
    sending = asyncio.create_task(
        requestor.store(EXPLICIT, ULTRASOUND, "2.25.100", StreamedData(len(streamed(200)), some))
    )
    await sent.wait()
    while not any(path.stat().st_size > 100 * FRAME for path in server.data.rglob("*.arriving")):
        await asyncio.sleep(0.02)
    server.running.kill()
    sending.cancel()
    await asyncio.gather(sending, return_exceptions=True)
    requestor.drop()
    server.start()
    assert not list(server.data.rglob("*.arriving"))
    found = json.loads(
        await asyncio.to_thread(server.fetch, "/studies/2.25.10/instances", "application/dicom+json")
    )
    assert [each["00080018"]["Value"] for each in found] == [["2.25.101"]]
    async with await server.connect() as again:
        small = streamed(70)
        assert (await again.store(EXPLICIT, ULTRASOUND, "2.25.100", small)).status == 0
    assert server.running.stop() == 0


# -- the rooms in this process, and small objects that count as large ones


@pytest.fixture
async def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    large_begins_at(FRAME, monkeypatch)
    async with Destination() as sink, Stage(tmp_path, sink.port) as built:
        yield built


CONTEXTS = [*GET_CONTEXTS, (ULTRASOUND, (EXPLICIT,))]
BOTH = (*ROLES, RoleSelection(ULTRASOUND, False, True))


async def send(stage: Stage, data: bytes, uid: str = "2.25.100") -> int:
    async with await stage.connect(contexts=CONTEXTS) as sender:
        return (await sender.store(EXPLICIT, ULTRASOUND, uid, data)).status


def segments(stage: Stage) -> list[str]:
    return sorted(path.name for path in (stage.store.folder / "journal").iterdir())


async def test_a_repetition_and_other_bytes_under_its_uid_are_told_apart(stage: Stage) -> None:
    assert await send(stage, clip()) == 0
    assert await send(stage, clip()) == 0
    assert segments(stage) == ["00000001.journal", "00000002.journal"]
    assert await send(stage, clip(StudyDescription="Annat")) == 0x0111
    assert stage.rows("SELECT sop_uid FROM held") == [("2.25.100",)]
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=CONTEXTS, roles=BOTH) as reader:
        assert (await get(reader, keys))[0] == {"2.25.100": clip()}


async def test_a_full_disk_refuses_while_it_arrives_and_what_is_too_large_is_named(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as full:
        full.setattr(limits, "DISK_RESERVE_BYTES", 1 << 60)
        assert await send(stage, clip()) == 0xA700
    assert segments(stage) == ["00000001.journal"]
    monkeypatch.setattr(stage.door._intake, "_largest_bytes", 2 * FRAME)
    async with await stage.connect(contexts=CONTEXTS) as sender:
        answer = await sender.store(EXPLICIT, ULTRASOUND, "2.25.100", clip())
    assert (answer.status, "largest_object_mib" in answer.error_comment) == (0xA700, True)
    assert segments(stage) == ["00000001.journal"]
    monkeypatch.undo()
    assert await send(stage, clip()) == 0


async def test_a_sender_that_goes_away_leaves_no_file(stage: Stage) -> None:
    peer = await RawPeer.open(stage.door.port)
    await peer.associate()
    data = clip(SOPClassUID=CT)
    whole = assembly.encode_message(1, StoreRequest(1, CT, "2.25.100"), data, 0)
    peer.writer.write(whole[: 2 * FRAME])
    await stage.until(lambda: "1.arriving" in segments(stage))
    peer.writer.close()
    await stage.until(lambda: segments(stage) == ["00000001.journal"])


async def test_a_damaged_large_object_fails_alone(stage: Stage) -> None:
    assert await send(stage, clip()) == 0
    assert await send(stage, clip(SOPInstanceUID="2.25.101", InstanceNumber=2), "2.25.101") == 0
    stage.damage("2.25.100")
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=CONTEXTS, roles=BOTH) as reader:
        got, responses = await get(reader, keys)
    assert list(got) == ["2.25.101"]
    assert (responses[-1].status, responses[-1].completed, responses[-1].failed) == (0xB000, 1, 1)


async def test_an_object_that_rots_while_it_leaves_ends_the_association(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await send(stage, clip()) == 0
    monkeypatch.setattr("samsyn.retrieve.retrieve.reads_whole", lambda *_: True)
    stage.damage("2.25.100")
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    reader = await stage.connect(contexts=CONTEXTS, roles=BOTH)
    with pytest.raises(Exception, match="the peer ended the association"):
        await get(reader, keys)
    reader.drop()


async def test_a_settled_large_object_is_read_scrubbed_and_given_back_by_pieces(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = b"".join(pieces(12, SOPInstanceUID="2.25.100"))
    assert await send(stage, whole) == 0
    monkeypatch.setattr(limits, "MAX_INSTANCE_IN_MEMORY_BYTES", 4 * FRAME)
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    monkeypatch.setattr(limits, "SEGMENT_BYTES", FRAME)
    await Settling(stage.store, SystemClock()).settle(1)
    given = await GivingBack(stage.store, SystemClock()).look()
    assert given == len(whole)
    scrub = Scrub(stage.store, SystemClock(), 1, 1_000)
    assert (await scrub.whole_pass()).damaged == []
    keys = identifier(QueryRetrieveLevel="STUDY", StudyInstanceUID="2.25.10")
    async with await stage.connect(contexts=CONTEXTS, roles=BOTH) as reader:
        assert (await get(reader, keys))[0] == {"2.25.100": whole}
    with pytest.raises(LimitExceeded, match="MAX_INSTANCE_IN_MEMORY_BYTES"):
        stage.store.body(-1, 0, len(whole))
