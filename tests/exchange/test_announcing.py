"""A study that was given to the right patient: whoever had been sent it is told, by a rejection note that waits."""

from pathlib import Path

import pytest

from samsyn import limits
from samsyn.clock import SystemClock
from samsyn.dicom.encoding import decode
from samsyn.dicom.rejection_note import KEY_OBJECT_SELECTION
from samsyn.dicom.sop_classes import INSTANCE_AVAILABILITY_NOTIFICATION
from samsyn.jobs import queue
from samsyn.model.patient import PatientIdentifier
from samsyn.patients.identifiers import ISSUERS, Kind
from samsyn.reports.stewardship.moving import Mover
from samsyn.wire.dimse import CreateRequest, StoreRequest
from tests.dimse.peers import Peer
from tests.dimse.stage import CT, EXPLICIT, Stage, image, store
from tests.reports.test_moving import steward

RIGHT = PatientIdentifier(ISSUERS[Kind.PERSONNUMMER], "199001012385")
LEFT = (
    "SELECT 1 FROM job WHERE kind IN ('announce-correction', 'rejection-note', 'availability-notification')"
)
CLASSES = [INSTANCE_AVAILABILITY_NOTIFICATION, KEY_OBJECT_SELECTION, CT]


@pytest.fixture(autouse=True)
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_POLL_S", 0.05)
    monkeypatch.setattr(limits, "MAX_OUTGOING_PAUSE_S", 0.1)


async def moved(stage: Stage, *, was_sent: bool) -> None:
    async with await stage.connect() as sender:
        for number in range(2):
            await store(sender, image(SOPInstanceUID=f"2.25.10{number}", InstanceNumber=number))
    if was_sent:
        view = await stage.gatekeeper.open_view(stage.connections.system_named("BENCH").subject)  # type: ignore[union-attr]
        await stage.gatekeeper.record_opening(view, "2.25.10", "send", receiver="SINK")
    mover = Mover(stage.store, SystemClock(), stage.retriever.known.forget)
    await mover.move(steward(), "2.25.10", RIGHT, "Fel patient")


async def test_who_was_sent_the_study_gets_a_note_that_names_it_as_it_was_sent(tmp_path: Path) -> None:
    async with Peer("SINK", CLASSES, syntaxes=[EXPLICIT]) as peer, Stage(tmp_path, peer.port) as stage:
        await moved(stage, was_sent=True)
        messages = [await peer.next(), await peer.next()]
        await stage.until(lambda: stage.rows(LEFT) == [])
    assert {type(each.command) for each in messages} == {CreateRequest, StoreRequest}
    note = next(each for each in messages if isinstance(each.command, StoreRequest))
    assert note.data is not None
    told = decode(bytes(note.data), EXPLICIT)
    assert told[0x00100020][1] == ("19121212-1212",)
    assert told[0x0020000D][1] == ("2.25.10",)
    (title,) = told[0x0040A043][1]
    assert isinstance(title, dict)
    assert title[0x00080100][1] == ("113038",)
    (study,) = told[0x0040A375][1]
    assert isinstance(study, dict)
    (series,) = study[0x00081115][1]
    assert isinstance(series, dict)
    named = {each[0x00081155][1][0] for each in series[0x00081199][1] if isinstance(each, dict)}
    assert named == {"2.25.100", "2.25.101"}


async def test_who_never_had_it_gets_no_note(tmp_path: Path) -> None:
    async with Peer("SINK", CLASSES, syntaxes=[EXPLICIT]) as peer, Stage(tmp_path, peer.port) as stage:
        await moved(stage, was_sent=False)
        message = await peer.next()
        await stage.until(lambda: stage.rows(LEFT) == [])
    assert isinstance(message.command, CreateRequest)
