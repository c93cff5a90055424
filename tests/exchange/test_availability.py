"""Instance Availability Notification: who wants to know is told of each complete series, of what it may see."""

from pathlib import Path

import pytest

from samsyn import limits
from samsyn.dicom.encoding import decode
from samsyn.dicom.sop_classes import INSTANCE_AVAILABILITY_NOTIFICATION
from samsyn.jobs import queue
from samsyn.wire.dimse import CreateRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import CT, EXPLICIT, Stage, image, store
from tests.ports import free_port

LEFT = "SELECT 1 FROM job WHERE kind = 'availability-notification'"


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 0.05)
    monkeypatch.setattr(limits, "MAX_OUTGOING_PAUSE_S", 0.1)


async def test_a_complete_series_is_told_with_every_instance_and_where_to_get_it(tmp_path: Path) -> None:
    async with (
        Peer("SINK", [INSTANCE_AVAILABILITY_NOTIFICATION], syntaxes=[EXPLICIT]) as peer,
        Stage(tmp_path, peer.port) as stage,
    ):
        async with await stage.connect() as sender:
            for number in range(2):
                await store(sender, image(SOPInstanceUID=f"2.25.10{number}", InstanceNumber=number))
        await stage.notices.series_complete("2.25.11")
        message = await peer.next()
        await stage.until(lambda: stage.rows(LEFT) == [])
    assert isinstance(message.command, CreateRequest)
    assert message.command.sop_class_uid == INSTANCE_AVAILABILITY_NOTIFICATION
    assert message.command.sop_instance_uid.startswith("2.25.")
    assert message.data is not None
    told = decode(bytes(message.data), EXPLICIT)
    assert told[0x0020000D][1] == ("2.25.10",)
    assert told[0x00081111][1] == ()
    (series,) = told[0x00081115][1]
    assert isinstance(series, dict)
    assert series[0x0020000E][1] == ("2.25.11",)
    assert series[0x00081199][1] == tuple(
        {
            0x00080054: ("AE", ("SAMSYN",)),
            0x00080056: ("CS", ("ONLINE",)),
            0x00081150: ("UI", (CT,)),
            0x00081155: ("UI", (f"2.25.10{number}",)),
        }
        for number in range(2)
    )


async def test_a_notification_waits_for_a_peer_that_is_away_under_the_same_uid(tmp_path: Path) -> None:
    port = free_port()
    async with (
        Peer("SINK", [INSTANCE_AVAILABILITY_NOTIFICATION], port) as peer,
        Stage(tmp_path, port) as stage,
    ):
        async with await stage.connect() as sender:
            await store(sender, image())
        peer.status = 0x0110
        await stage.notices.series_complete("2.25.11")
        first = (await peer.next()).command
    async with (
        Peer("SINK", [INSTANCE_AVAILABILITY_NOTIFICATION], port) as peer,
        Stage(tmp_path, port) as stage,
    ):
        second = (await peer.next()).command
        await stage.until(lambda: stage.rows(LEFT) == [])
    assert isinstance(first, CreateRequest)
    assert isinstance(second, CreateRequest)
    assert first.sop_instance_uid == second.sop_instance_uid


async def test_a_peer_that_knows_the_notification_already_is_content(tmp_path: Path) -> None:
    async with (
        Peer("SINK", [INSTANCE_AVAILABILITY_NOTIFICATION]) as peer,
        Stage(tmp_path, peer.port) as stage,
    ):
        async with await stage.connect() as sender:
            await store(sender, image())
        peer.status = 0x0111
        await stage.notices.series_complete("2.25.11")
        await peer.next()
        await stage.until(lambda: stage.rows(LEFT) == [])


async def test_nothing_is_told_of_what_the_peer_may_not_see(tmp_path: Path) -> None:
    async with (
        Peer("SINK", [INSTANCE_AVAILABILITY_NOTIFICATION]) as peer,
        Stage(tmp_path, peer.port) as stage,
    ):
        async with await stage.connect("KLARAPACS") as sender:
            await store(sender, image(PatientID="19121212-1212"))
        await stage.notices.series_complete("2.25.11")
        await stage.until(lambda: stage.rows(LEFT) == [])
        assert peer.associations == 0
