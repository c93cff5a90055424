"""What is stored is compared where the index is in PostgreSQL and the bytes are in an object store, beside a node."""

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from samsyn import limits
from samsyn.cli import check_stored
from samsyn.clock import SystemClock
from samsyn.ingest.receive import Intake
from samsyn.settings import DataSettings, Settings
from samsyn.settings.cluster import IndexSettings, NodeSettings, ObjectsSettings
from samsyn.store.object_journal import JOURNAL
from samsyn.store.objects.port import Objects
from samsyn.store.objects.remote_series import FOLDER
from samsyn.store.opening import drop_index, open_index, open_objects, open_shared, open_store
from samsyn.store.upkeep.give_back import GivingBack
from samsyn.store.upkeep.join import SegmentJoining
from samsyn.store.upkeep.settle import Settling
from samsyn_demo.cluster import database_server
from samsyn_demo.cluster.object_server import ObjectServer
from tests.indexes import shared_server
from tests.ingest.test_receive import House
from tests.store.test_settling import sent, series_keys
from tests.store.test_store import add_message

pytestmark = pytest.mark.slow
PIXELS = bytes(range(256)) * 250


class Node(House):
    """A node as its settings say."""

    def __init__(self, values: Settings) -> None:
        self.shared = open_shared(values)
        self.store = open_store(values, SystemClock(), self.shared)
        self.store.start()
        self.intake = Intake(self.store, SystemClock())

    def close(self) -> None:
        self.store.close()
        if self.shared is not None:
            self.shared.close()


@dataclass
class Cluster:
    values: Settings
    objects: Objects

    def findings(self, *, hashes: bool = False) -> tuple[list[str], list[str]]:
        return check_stored.findings(self.values, hashes=hashes)

    def change(self, sql: str) -> None:
        index = open_index(self.values)
        assert index is not None
        connection = index.open_writer(None)  # type: ignore[arg-type]  # no series object is asked for
        connection.execute(sql)
        connection.close()
        index.close()


@pytest.fixture(params=["object-store", "own-journal"])
def cluster(request: pytest.FixtureRequest, object_store: ObjectServer, tmp_path: Path) -> Iterator[Cluster]:
    if not database_server.is_installed():
        pytest.skip("PostgreSQL is not installed (requirements-dev)")
    files = {}
    for name, secret in (
        ("access", object_store.access_key),
        ("secret", object_store.secret_key),
        ("node", "n" * 40),
    ):
        files[name] = tmp_path / name
        files[name].write_text(secret)
    values = Settings(
        data=DataSettings(folder=tmp_path / "data"),
        index=IndexSettings(
            kind="postgresql", address=shared_server().url, schema_name=f"compared_{secrets.token_hex(6)}"
        ),
        objects=ObjectsSettings(
            kind="s3", endpoint=object_store.endpoint, bucket="samsyn-test", prefix=f"c{secrets.token_hex(8)}",
            access_key_file=files["access"], secret_key_file=files["secret"], cache_mib=4,
        ),
        node=NodeSettings(name="one", number=1, secret_file=files["node"], durability=request.param),
    )  # fmt: skip
    (tmp_path / "data").mkdir()
    objects = open_objects(values.objects)
    assert objects is not None
    yield Cluster(values, objects)
    objects.close()
    drop_index(values)


async def filled(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two settled series, one that has given its space back, another that has not; instances in rows; messages."""
    monkeypatch.setattr(limits, "RETIRED_S", 0)
    node = Node(cluster.values)
    for number in range(9):
        data = sent(number, series=number % 3, PixelData=PIXELS)
        assert await node.send(data) == ("stored", "")
        await node.store.commit(add_message(f"m{number}"), b"text")
    await Settling(node.store, SystemClock()).settle(1)
    node.close()  # whatever lies on its own disk goes to the object store
    node = Node(cluster.values)
    assert await GivingBack(node.store, SystemClock()).look() > 3 * 60_000
    await SegmentJoining(node.store, SystemClock()).look()
    await Settling(node.store, SystemClock()).settle(2)
    node.close()


async def test_a_sound_cluster_has_no_findings_and_damage_is_told_by_kind(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(cluster, monkeypatch)
    for hashes in (False, True):
        wrong, (note,) = cluster.findings(hashes=hashes)
        assert wrong == []
        assert "say the same" in note
    cluster.change("DELETE FROM instance WHERE sop_uid = '2.25.7008'")
    cluster.change("UPDATE message SET control_id = 'other' WHERE message_key = 2")
    cluster.objects.delete(min(each.name for each in cluster.objects.names(FOLDER)))
    rows, objects = cluster.findings()[0]
    assert "1 instances in the journal are not in the index (2.25.7008)" in rows
    assert "1 HL7 messages stand otherwise in the index than in the journal (2)" in rows
    assert "1 series objects can not be read (1), it is not there:" in objects
    cluster.objects.delete(next(each.name for each in cluster.objects.names(JOURNAL)))
    told = cluster.findings()[0]
    has_own = cluster.values.node.durability == "own-journal"
    assert ("are in the object store" if has_own else "the journal can not be read behind record") in told[0]


async def test_a_node_at_work_is_no_finding_but_what_it_has_on_its_own_disk(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    await filled(cluster, monkeypatch)
    node = Node(cluster.values)
    if cluster.values.node.durability == "own-journal":
        await node.store.commit(add_message("on its own disk"), b"text")
        (told,) = (await asyncio.to_thread(cluster.findings))[0]
        node.close()
        assert "on nodes' own disks" in told
        assert "stop all nodes" in told
        assert cluster.findings()[0] == []
        return
    ended = asyncio.Event()

    async def work() -> int:
        number = 100
        while not ended.is_set():
            await node.send(sent(number, series=number % 4, person=number % 3))
            if number % 10 == 0:
                for key in series_keys(node.store):
                    await Settling(node.store, SystemClock()).settle(key)
            number += 1
        return number

    working: asyncio.Task[Any] = asyncio.create_task(work())
    try:
        for _ in range(2):
            wrong, _ = await asyncio.to_thread(cluster.findings)
            assert wrong == []
    finally:
        ended.set()
        assert await working > 101
        node.close()
