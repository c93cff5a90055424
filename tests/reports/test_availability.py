"""The availability clock: made, signed, received, visible; they differ for what was held or moved in between."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest_asyncio

from samsyn.model.imaging import StudySummary
from samsyn.model.texts import ReportStatus, ReportVersion
from samsyn.reports.availability import Clock, note_visible, of_images, of_report
from tests.reports.test_moving import RIGHT, Archive, steward, two_people

START = datetime(2024, 3, 15, 8, 0, tzinfo=UTC)


@pytest_asyncio.fixture
async def archive(tmp_path: Path) -> AsyncIterator[Archive]:
    made = Archive(tmp_path / "data")
    yield made
    made.close()


def version(minutes: int, status: ReportStatus, received: int) -> ReportVersion:
    made, came = START + timedelta(minutes=minutes), START + timedelta(minutes=received)
    return ReportVersion(minutes, "P", "U", "A", "F", status, made, "a", "s", "text", came)


async def clock(archive: Archive, time: str = "093000") -> Clock:
    study = StudySummary("2.25.7", "20240315", time, "", ("CT",), "", 1, 1, "P", "U")
    return (await archive.store.read(lambda connection: of_images(connection, (study,))))["2.25.7"]


async def test_images_are_visible_when_they_are_received(archive: Archive) -> None:
    await archive.send_image(1)
    found = await clock(archive)
    assert found.produced is not None
    assert found.produced.astimezone(UTC) == datetime(2024, 3, 15, 8, 30, tzinfo=UTC)
    assert found.received == found.visible
    assert (await clock(archive, "")).produced is None
    assert (await clock(archive, "99")).produced is None


async def test_what_was_given_to_the_right_patient_is_visible_to_him_from_then_on(archive: Archive) -> None:
    await two_people(archive)
    await archive.send_image(1)
    before = await clock(archive)
    act = await archive.mover.move(steward(), "2.25.7", RIGHT, "Fel patient")
    after = await clock(archive)
    assert after.received == before.received
    assert after.visible is not None and before.visible is not None
    assert after.visible > before.visible
    await archive.decisions.undo(steward(), act)
    assert await clock(archive) == before


async def test_what_was_held_was_received_before_it_was_visible(archive: Archive) -> None:
    await archive.send_image(1)
    came = "2024-03-15T09:00:00+00:00"
    await archive.store.commit(lambda transaction: note_visible(transaction, "2.25.7", came))
    found = await clock(archive)
    assert found.received is not None and found.visible is not None
    assert found.received.isoformat() == came
    assert found.visible > found.received


def test_a_report_is_signed_by_its_first_signed_version_and_made_by_its_first() -> None:
    versions = (
        version(60, ReportStatus.ADDENDUM, 62),
        version(10, ReportStatus.PRELIMINARY, 12),
        version(30, ReportStatus.FINAL, 31),
    )
    found = of_report(versions)
    assert found is not None
    assert (found.produced, found.signed) == (START + timedelta(minutes=10), START + timedelta(minutes=30))
    assert found.received == found.visible == START + timedelta(minutes=12)
    only = of_report(versions[1:2])
    assert only is not None and only.signed is None
    assert of_report(()) is None
