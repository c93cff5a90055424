"""What is submitted in one turn of the loop shares one turn of the writer, in the order in which it was submitted."""

import asyncio
from pathlib import Path

import pytest

from samsyn import limits
from samsyn.errors import OutOfResources
from samsyn.store import writer
from tests.indexes import sqlite_only
from tests.store.test_store import add_message, opened, rows

pytestmark = sqlite_only


async def test_what_comes_in_one_turn_of_the_loop_shares_one_sync(tmp_path: Path) -> None:
    store = opened(tmp_path)
    before = store.syncs
    await asyncio.gather(
        *(store.commit(add_message(f"m{number}"), b"body", sender=f"s{number}") for number in range(12))
    )
    assert store.syncs == before + 1
    assert [row[1] for row in rows(store)] == [f"m{number}" for number in range(12)]
    store.close()


async def test_who_comes_to_count_as_alone_does_not_overtake_himself(tmp_path: Path) -> None:
    store = opened(tmp_path)
    count = writer._ALONE_AFTER * 3
    await asyncio.gather(
        *(store.commit(add_message(f"m{number}"), b"body", sender="one") for number in range(count))
    )
    assert [row[1] for row in rows(store)] == [f"m{number}" for number in range(count)]
    store.close()


async def test_what_was_submitted_before_the_stop_is_finished(tmp_path: Path) -> None:
    store = opened(tmp_path)
    waiting = asyncio.ensure_future(store.commit(add_message("last"), b"body", sender="one"))
    await asyncio.sleep(0)  # it is submitted and not handed over yet
    store.close()
    assert (await waiting).receipt.outcome == "stored"


async def test_what_waits_to_be_handed_over_counts_as_waiting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = opened(tmp_path)
    monkeypatch.setattr(limits, "COMMIT_QUEUE", 2)
    told = await asyncio.gather(
        *(store.commit(add_message(f"m{number}"), b"x", sender=f"s{number}") for number in range(3)),
        return_exceptions=True,
    )
    assert [isinstance(each, OutOfResources) for each in told] == [False, False, True]
    store.close()
