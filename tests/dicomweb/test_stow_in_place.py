"""Bodies that are taken in place: which, what they may cost, and what becomes of one that never comes whole."""

import asyncio
import gc
import tracemalloc
from typing import Any

import httpx
import pytest

from samsyn.endpoints.dicomweb.storing import run, stow
from samsyn.store import writer
from samsyn.wire.whole_answer import Ready
from samsyn.wire.whole_body import CONNECTION, BodyTaker
from tests.dicomweb.house import STOW_TYPE, House, body_of, image_file, scope_of
from tests.dicomweb.test_stow import OTHER, REFERENCED, reasons, uids
from tests.waiting import until

BODY = body_of([image_file(1), image_file(2)])


def taken(
    house: House,
    body: bytes,
    answers: list[Ready],
    content_type: str = STOW_TYPE,
    path: str = "/studies",
    connection: dict[str, Any] | None = None,
    **fields: str,
) -> BodyTaker | None:
    secret = house.scratch.system_tokens[fields.pop("token", "NORDWEB")]
    headers = {"authorization": f"Bearer {secret}", "content-type": content_type, **fields}
    request = httpx.Request("POST", f"http://samsyn.test/dicomweb{path}", headers=headers, content=body)
    scope = scope_of(request) | {CONNECTION: connection if connection is not None else {}}
    return house.door.take_body(scope, len(body), answers.append)


def give(taker: BodyTaker, body: bytes) -> None:
    while body:
        room = taker.room()[: len(body)]
        room[:] = body[: len(room)]
        taker.filled(len(room))
        body = body[len(room) :]


@pytest.mark.parametrize(
    "unlike",
    [
        {"content_type": "application/dicom"},
        {"content_type": 'multipart/related; type="application/dicom+json"; boundary=x'},
        {"content_type": 'multipart/related; type="application/dicom"'},
        {"path": "/studies/2.25.10/corrections"},
        {"path": "/rejected/studies"},
        {"path": "/workitems"},
        {"path": "/studies/x"},
        {"token": "LINDENWEB"},
        {"host": "not a host"},
        {"content-encoding": "gzip"},
    ],
)
async def test_whatever_is_to_be_refused_or_read_otherwise_goes_the_long_way(
    house: House, unlike: dict[str, str]
) -> None:
    assert taken(house, BODY, []) is not None
    assert taken(house, BODY, [], **unlike) is None


async def test_the_memory_for_it_is_bounded_for_one_and_for_all(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stow, "MAX_STOW_IN_PLACE_BYTES", len(BODY))
    monkeypatch.setattr(stow, "MAX_STOW_IN_PLACE_TOGETHER_BYTES", 2 * len(BODY))
    assert taken(house, BODY + b" ", []) is None
    answers: list[Ready] = []
    takers = [taken(house, BODY, answers) for _ in range(3)]
    assert takers[0] is not None and takers[1] is not None and takers[2] is None
    takers[0].gone()
    give(takers[1], BODY)
    await until(lambda: bool(answers))
    again = [taken(house, BODY, answers) for _ in range(3)]
    assert [taker is None for taker in again] == [False, False, True]


async def test_the_memory_of_a_body_is_free_when_it_has_been_answered(house: House) -> None:
    padded = BODY + bytes(4_000_000)  # an epilogue, which nobody looks at
    answers: list[Ready] = []
    gc.disable()  # what hangs on a circle is not found now
    tracemalloc.start()
    try:
        for count in range(1, 4):
            taker = taken(house, padded, answers)
            assert taker is not None
            give(taker, padded)
            await until(lambda count=count: len(answers) == count)  # type: ignore[misc]  # mypy can not infer a lambda whose defaults bind the loop's values
            del taker
        held, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
        gc.enable()
    assert most > len(padded)
    assert held < len(padded)


async def test_what_came_whole_before_the_client_went_away_is_stored_and_nobody_is_told(house: House) -> None:
    answers: list[Ready] = []
    taker = taken(house, BODY, answers)
    assert taker is not None
    give(taker, BODY[: -len(image_file(2)) // 2])
    taker.gone()
    await until(lambda: house.rows("SELECT sop_uid FROM instance") == [("2.25.1001",)])
    await asyncio.sleep(0.05)
    assert not answers


async def test_more_parts_than_may_be_under_way_wait_their_turn(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run, "MAX_STOW_PENDING_INSTANCES", 3)
    under_way, most = 0, 0
    submit = house.store.commit_soon

    def counted(decide: Any, body: Any, ahead: Any, sender: str, done: Any) -> None:
        def ended(answer: Any) -> None:
            nonlocal under_way
            under_way -= 1
            done(answer)

        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        submit(decide, body, ahead, sender, ended)

    monkeypatch.setattr(house.store, "commit_soon", counted)
    body = body_of([image_file(number) for number in range(1, 21)])
    answers: list[Ready] = []
    taker = taken(house, body, answers)
    assert taker is not None
    give(taker, body)
    await until(lambda: bool(answers))
    assert most == 3
    told = httpx.Response(200, content=b"".join(answers[0][2])).json()
    assert uids(told, REFERENCED) == [f"2.25.100{number}" for number in range(1, 21)]


async def test_who_sends_one_after_the_other_by_one_connection_is_answered_while_the_listener_waits(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "_QUICK_S", 60.0)  # whatever the disk of this machine is
    connection: dict[str, Any] = {}
    ways: list[bool] = []
    for number in range(1, 13):
        answers: list[Ready] = []
        body = body_of([image_file(number)])
        taker = taken(house, body, answers, connection=connection)
        assert taker is not None
        give(taker, body)
        ways.append(bool(answers))
        await until(lambda answers=answers: answers)  # type: ignore[misc] # binds the loop's value
        assert answers[0][0] == 200
    assert any(ways) and not any(ways[:4])
    answers = []
    body = body_of([image_file(number) for number in range(13, 15)])
    taker = taken(house, body, answers, connection=connection)
    assert taker is not None
    give(taker, body)
    assert not answers  # these two share a sync
    await until(lambda: answers)
    noted = house.rows("SELECT event, actor FROM audit")
    assert noted == [("STORE_STUDY", "NORDWEB")]


async def test_thousands_of_parts_that_are_no_files_are_each_named(house: House) -> None:
    body = body_of([b"no file"] * 3_000 + [image_file()])
    answers: list[Ready] = []
    taker = taken(house, body, answers)
    assert taker is not None
    give(taker, body)
    await until(lambda: bool(answers))
    status, _, pieces = answers[0]
    told = httpx.Response(status, content=b"".join(pieces)).json()
    assert status == 202
    assert len(reasons(told, OTHER)) == 3_000 and uids(told, REFERENCED) == ["2.25.1001"]
