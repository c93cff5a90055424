"""Upkeep goes on whatever one look at it came to: nobody would notice that it had ended."""

import asyncio
from pathlib import Path

import pytest

from samsyn.clock import SystemClock
from samsyn.errors import OutOfResources
from samsyn.store.upkeep.rounds import Rounds
from samsyn.store.upkeep.settle import Settling
from tests.ingest.test_receive import House
from tests.store.test_settling import sent
from tests.waiting import until


@pytest.mark.parametrize("problem", [OutOfResources("full"), OSError(5, "I/O"), TypeError("a fault of ours")])
async def test_a_look_that_fails_is_followed_by_another(
    problem: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    looks = 0

    async def look() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise problem

    rounds = Rounds("test", look, 0.001)
    rounds.start()
    await until(lambda: looks > 2)
    await rounds.stop()
    assert [record.getMessage() for record in caplog.records] == ["upkeep-failed"]


async def test_a_series_that_can_not_be_settled_keeps_no_other_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(tmp_path)
    for number in (0, 1):
        assert await house.send(sent(number, series=number)) == ("stored", "")
    settling = Settling(house.store, SystemClock(), quiet_s=1e-6)
    real = settling._settle

    async def settle(series_key: int) -> None:
        if series_key == 1:
            raise TypeError("a fault of ours")
        await real(series_key)

    monkeypatch.setattr(settling, "_settle", settle)
    await asyncio.sleep(0.01)
    assert await settling.look() == 1
    assert house.rows("SELECT series_key FROM series_object") == [(2,)]
    house.store.close()
