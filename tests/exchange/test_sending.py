"""A transfer is asked for under a View, is durable, goes on where it stopped, and is judged again when bytes leave."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.access.view import View
from samsyn.errors import NotAllowed, NotFound, OutOfResources
from samsyn.exchange.sending import TransferState
from samsyn.jobs import queue
from samsyn.model.subject import Assignment, Purpose, Right, Subject, SubjectKind
from samsyn.store.transaction import Transaction
from samsyn.wire.dimse import StoreRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import CT, EXPLICIT, Stage, encoded, image, store
from tests.ports import free_port

OWN, UNIT, OTHER_UNIT = "SE9990000001-0001", "SE9990000001-1001", "SE9990000001-1002"
COUNT = 6


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 0.05)
    monkeypatch.setattr(limits, "MAX_OUTGOING_PAUSE_S", 0.1)
    monkeypatch.setattr(limits, "VIEW_SECONDS", 0.0)


@pytest.fixture
async def peer() -> AsyncIterator[Peer]:
    async with Peer("SINK", [CT]) as made:
        yield made


def staff(unit: str = UNIT, employee: str = "SE9990000001-9001") -> Subject:
    rights = (Right("Läsa", "alla", "VG"),)
    assignment = Assignment(
        "SE9990000001-5001", "Läkare", Purpose.CARE, OWN, "Nordsjukhuset", unit, "Röntgen", rights
    )
    return Subject(SubjectKind.STAFF, employee, "Eva Lindgren", assignment, "session-1")


async def filled(stage: Stage) -> None:
    async with await stage.connect() as sender:
        for number in range(COUNT):
            made = image(SOPInstanceUID=f"2.25.10{number}", InstanceNumber=number)
            assert (await store(sender, made)).status == 0


async def relate(stage: Stage, hours: int = 1, unit: str = UNIT) -> None:
    def decide(transaction: Transaction) -> None:
        now = datetime.now(UTC)
        transaction.replace(
            "care_relation",
            relation_id="r",
            patient_key=1,
            provider=OWN,
            unit=unit,
            employee="",
            starts=(now - timedelta(hours=48)).isoformat(),
            ends=(now + timedelta(hours=hours)).isoformat(),
            source="booking",
        )

    await stage.store.commit(decide)
    stage.gatekeeper.forget_views()


async def view_of(stage: Stage, subject: Subject) -> View:
    return await stage.gatekeeper.open_view(subject, frozenset({1}))


def state(stage: Stage, transfer_id: str, subject: Subject | None = None) -> TransferState:
    return stage.sending.progress(subject or staff(), transfer_id).state


async def test_a_study_arrives_byte_for_byte_and_its_progress_can_be_asked_for(
    tmp_path: Path, peer: Peer
) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        view = await view_of(stage, staff())
        transfer_id = await stage.sending.request(view, "2.25.10", "SINK")
        await stage.until(lambda: state(stage, transfer_id) is TransferState.DONE)
        told = stage.sending.progress(staff(), transfer_id)
        assert (told.total, told.sent, told.failed, told.destination) == (COUNT, COUNT, 0, "SINK")
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE kind = 'send'") == [])
        assert [each.transfer_id for each in await stage.sending.mine(staff())] == [transfer_id]
    got = [await peer.next() for _ in range(COUNT)]
    assert [message.data for message in got] == [
        encoded(image(SOPInstanceUID=f"2.25.10{number}", InstanceNumber=number)) for number in range(COUNT)
    ]
    assert peer.callers == ["SAMSYN"]


async def test_a_send_is_audited_with_its_receiver_before_a_byte_leaves(tmp_path: Path, peer: Peer) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        await stage.exchange.stop()
        await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        sends = stage.rows("SELECT actor, patient_key, session_id, details FROM audit WHERE event = 'SEND'")
        ((actor, patient, session, details),) = sends
        assert (actor, patient, session) == ("SE9990000001-9001", 1, "session-1")
        assert "SINK" in str(details)
        assert peer.arrived.empty()


async def test_a_transfer_waits_for_a_receiver_that_is_away_and_survives_a_restart(tmp_path: Path) -> None:
    port = free_port()
    async with Stage(tmp_path, port) as stage:
        await filled(stage)
        await relate(stage)
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE attempt > 0") != [])
        told = stage.sending.progress(staff(), transfer_id)
        assert told.state is TransferState.WAITING
        assert "can not be reached" in told.why
    async with Peer("SINK", [CT], port) as peer, Stage(tmp_path, port) as stage:
        await stage.until(lambda: state(stage, transfer_id) is TransferState.DONE)
        assert peer.arrived.qsize() == COUNT


async def test_a_receiver_that_is_full_gets_the_rest_later_and_nothing_twice(
    tmp_path: Path, peer: Peer
) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        peer.statuses = [0, 0, 0xA700]
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: state(stage, transfer_id) is TransferState.DONE)
    uids = []
    while not peer.arrived.empty():
        command = (await peer.next()).command
        assert isinstance(command, StoreRequest)
        uids.append(command.sop_instance_uid)
    assert uids == ["2.25.100", "2.25.101", "2.25.102", "2.25.102", "2.25.103", "2.25.104", "2.25.105"]


async def test_what_the_receiver_refuses_is_counted_and_the_rest_arrives(tmp_path: Path, peer: Peer) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        stage.damage("2.25.104")
        peer.statuses = [0, 0xC000, 0xB000]
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: state(stage, transfer_id) is TransferState.INCOMPLETE)
        told = stage.sending.progress(staff(), transfer_id)
    assert (told.sent, told.failed, told.why) == (COUNT - 2, 2, "the receiver answers C000H")


@pytest.mark.slow
async def test_a_right_that_has_ended_when_the_bytes_would_leave_stops_them(tmp_path: Path) -> None:
    port = free_port()
    async with Stage(tmp_path, port) as stage:
        await filled(stage)
        await relate(stage)
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: stage.rows("SELECT 1 FROM job WHERE attempt > 0") != [])
        await relate(stage, hours=-1)
        async with Peer("SINK", [CT], port) as peer:
            await stage.until(lambda: state(stage, transfer_id) is TransferState.INCOMPLETE)
            told = stage.sending.progress(staff(), transfer_id)
            assert (told.sent, told.failed, told.why) == (0, COUNT, "not shown to the requester any more")
            assert peer.arrived.empty()


async def test_nothing_is_sent_that_the_view_does_not_show_or_to_somebody_elses_archive(
    tmp_path: Path, peer: Peer
) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        unrelated = await view_of(stage, staff())
        with pytest.raises(NotFound):
            await stage.sending.request(unrelated, "2.25.10", "SINK")
        await relate(stage)
        view = await view_of(stage, staff())
        for title in ("KLARAPACS", "BENCH", "NOBODY", ""):
            with pytest.raises(NotAllowed):
                await stage.sending.request(view, "2.25.10", title)
        with pytest.raises(NotFound):
            await stage.sending.request(view, "2.25.99", "SINK")
        himself = Subject(SubjectKind.PATIENT, "191212121212", "Tolvan", None, "s", frozenset(), 1)
        with pytest.raises(NotAllowed):
            await stage.sending.request(await view_of(stage, himself), "2.25.10", "SINK")
        assert [each.ae_title for each in stage.sending.destinations(staff())] == ["SINK"]
        assert stage.sending.destinations(himself) == []
        assert stage.rows("SELECT 1 FROM transfer") == []


async def test_a_transfer_belongs_to_who_asked_for_it(tmp_path: Path, peer: Peer) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        other = staff(employee="SE9990000001-9002")
        with pytest.raises(NotFound):
            stage.sending.progress(other, transfer_id)
        with pytest.raises(NotFound):
            await stage.sending.cancel(other, transfer_id)
        assert await stage.sending.mine(other) == []


@pytest.mark.slow
async def test_a_transfer_can_be_cancelled_before_and_while_it_is_sent(tmp_path: Path, peer: Peer) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        peer.pause_s = 0.2
        view = await view_of(stage, staff())
        transfer_id = await stage.sending.request(view, "2.25.10", "SINK")
        await stage.until(lambda: stage.sending.progress(staff(), transfer_id).sent > 0)
        await stage.sending.cancel(staff(), transfer_id)
        await stage.until(lambda: state(stage, transfer_id) is TransferState.CANCELLED)
        await asyncio.sleep(0.5)
        assert 1 <= peer.arrived.qsize() < COUNT
        await stage.exchange.stop()
        waiting = await stage.sending.request(view, "2.25.10", "SINK")
        assert (await stage.sending.cancel(staff(), waiting)).state is TransferState.CANCELLED
        assert stage.rows("SELECT 1 FROM job WHERE kind = 'send'") == []


async def test_a_receiver_that_stays_away_is_given_up_in_the_end_and_that_is_told(tmp_path: Path) -> None:
    port = free_port()
    async with Stage(tmp_path, port, patience=2) as stage:
        await filled(stage)
        await relate(stage)
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: state(stage, transfer_id) is TransferState.GIVEN_UP)
        assert "can not be reached" in stage.sending.progress(staff(), transfer_id).why


async def test_one_reader_can_not_fill_the_queue(
    tmp_path: Path, peer: Peer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_TRANSFERS", 2)
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        await stage.exchange.stop()
        view = await view_of(stage, staff())
        for _ in range(2):
            await stage.sending.request(view, "2.25.10", "SINK")
        with pytest.raises(OutOfResources):
            await stage.sending.request(view, "2.25.10", "SINK")


@pytest.mark.slow
async def test_associations_to_one_receiver_are_few_and_used_again(tmp_path: Path, peer: Peer) -> None:
    peer.pause_s = 0.02
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        view = await view_of(stage, staff())
        ids = [await stage.sending.request(view, "2.25.10", "SINK") for _ in range(8)]
        await stage.until(lambda: all(state(stage, each) is TransferState.DONE for each in ids))
    assert peer.arrived.qsize() == 8 * COUNT
    assert peer.most_open <= limits.MAX_OUTGOING_PER_PEER
    assert peer.associations <= limits.MAX_OUTGOING_PER_PEER


async def test_a_system_may_ask_for_a_send_of_its_own_providers_studies(tmp_path: Path, peer: Peer) -> None:
    async with Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        system = stage.connections.system_named("BENCH")
        assert system is not None
        view = await stage.gatekeeper.open_view(system.subject)
        transfer_id = await stage.sending.request(view, "2.25.10", "SINK", "2.25.11")
        await stage.until(lambda: state(stage, transfer_id, system.subject) is TransferState.DONE)
    assert peer.arrived.qsize() == COUNT


async def test_a_peer_that_takes_only_part_gets_that_part(tmp_path: Path) -> None:
    async with Peer("SINK", ["1.2.840.10008.5.1.4.1.1.4"]) as peer, Stage(tmp_path, peer.port) as stage:
        await filled(stage)
        await relate(stage)
        transfer_id = await stage.sending.request(await view_of(stage, staff()), "2.25.10", "SINK")
        await stage.until(lambda: state(stage, transfer_id) is TransferState.INCOMPLETE)
        told = stage.sending.progress(staff(), transfer_id)
    assert (told.sent, told.failed, told.why) == (0, COUNT, "the destination takes no form of an object")
    assert EXPLICIT
