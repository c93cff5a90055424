"""The change feed: everything in order, once, under a View."""

from datetime import datetime, timedelta
from typing import Any

import pytest

from samsyn.clock import SystemClock
from samsyn.ingest.telling import tell
from samsyn.limits import MAX_CHANGES
from samsyn.model.changes import ChangeKind
from tests.dicomweb.house import House, image_file, store, subject_like
from tests.dicomweb.test_rejection import note_file, send
from tests.indexes import forget_index

STUDY = "/studies/2.25.10"


class LaterClock:
    """The machine's clock, as many seconds ahead as the test wants."""

    def __init__(self, ahead_s: float) -> None:
        self.ahead_s = ahead_s

    def now(self) -> datetime:
        return SystemClock().now() + timedelta(seconds=self.ahead_s)

    def monotonic(self) -> float:
        return SystemClock().monotonic()


@pytest.fixture
def later(house: House) -> House:
    """A house whose feed is read half a minute from now, when all that was stored has settled."""
    house.feed_clock = LaterClock(30)
    house.use(None)
    return house


async def put(house: House, *files: bytes, token: str = "NORDWEB") -> None:
    async with house.client(token) as client:
        assert (await store(client, list(files))).status_code == 200


async def page(house: House, query: str = "", token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        response = await client.get(f"/changes{query}")
    assert response.status_code == 200, response.content
    assert response.headers["cache-control"] == "private, no-store"
    return response.json()


def told(found: Any) -> list[tuple[str, str, int]]:
    return [(each["kind"], each["study"], each["instances"]) for each in found["changes"]]


async def test_what_happens_is_told_in_its_order(later: House) -> None:
    await put(later, image_file(1), image_file(2))
    await put(later, image_file(3, StudyInstanceUID="2.25.20", SeriesInstanceUID="2.25.21"))
    await send(later, note_file(["2.25.1001"], code="113037"))
    await send(later, note_file(["2.25.500"], uid="2.25.501", series="2.25.500.1"))
    found = await page(later)
    kinds = [each["kind"] for each in found["changes"]]
    assert [kind for kind in kinds if kind != "stored"] == ["rejected", "restored"]
    assert sum(each["instances"] for each in found["changes"] if each["kind"] == "stored") >= 3
    rejected = found["changes"][kinds.index("rejected")]
    assert (rejected["study"], rejected["code"], rejected["sopInstances"]) == (
        "2.25.10",
        "113037",
        ["2.25.1001"],
    )
    assert found["changes"][kinds.index("restored")]["sopInstances"] == ["2.25.1001"]
    cursors = [each["cursor"] for each in found["changes"]]
    assert cursors == sorted(set(cursors))
    assert found["last"]


async def test_pages_put_together_are_the_whole_and_a_cursor_goes_on(later: House) -> None:
    for number in range(1, 6):
        await put(later, image_file(number, SeriesInstanceUID=f"2.25.11{number}"))
    whole = await page(later)
    assert len(whole["changes"]) == 5
    cursor, pages = 0, []
    while True:
        found = await page(later, f"?since={cursor}&limit=2")
        pages += found["changes"]
        cursor = found["cursor"]
        if found["last"]:
            break
    assert pages == whole["changes"]
    assert (await page(later, f"?since={cursor}"))["changes"] == []
    await put(later, image_file(9, SeriesInstanceUID="2.25.119"))
    assert told(await page(later, f"?since={cursor}")) == [("stored", "2.25.10", 1)]


async def test_a_cursor_that_was_never_told_is_refused(house: House) -> None:
    """As after a restore from an older copy: what is told under such numbers later would be passed over."""
    await put(house, image_file(1))
    house.feed_clock = LaterClock(30)
    house.use(None)
    cursor = (await page(house))["cursor"]
    house.feed_clock = LaterClock(0)
    house.use(None)
    async with house.client() as client:
        beyond = await client.get(f"/changes?since={cursor + 1}")
    assert (beyond.status_code, beyond.json()["code"]) == (409, "conflict")
    still_open = await page(house, f"?since={cursor}")
    assert (still_open["cursor"], still_open["changes"]) == (cursor, []), "another node's clock may be behind"


async def test_instances_of_a_series_that_come_together_are_one_change(later: House) -> None:
    await put(later, *(image_file(number) for number in range(1, 31)))
    found = await page(later)
    assert len(found["changes"]) <= 2
    assert sum(each["instances"] for each in found["changes"]) == 30


async def test_what_may_still_grow_is_not_told_yet(house: House) -> None:
    await put(house, image_file(1))
    await send(house, note_file(["2.25.1001"]))
    assert await page(house) == {"changes": [], "cursor": 0, "last": True}


async def test_a_move_to_another_patient_is_told_with_where_it_went(later: House) -> None:
    await put(later, image_file(1))
    await later.store.commit(lambda record: tell(record, ChangeKind.MOVED, "2.25.10", named=["2.25.77"]))
    last = (await page(later))["changes"][-1]
    assert (last["kind"], last["study"], last["into"]) == ("moved", "2.25.10", "2.25.77")


async def test_others_changes_are_passed_over(later: House) -> None:
    await put(later, image_file(1))
    other = image_file(9, StudyInstanceUID="2.25.90", SeriesInstanceUID="2.25.91")
    await put(later, other, token="KLARAWEB")
    assert told(await page(later)) == [("stored", "2.25.10", 1)]
    klara = await page(later, token="KLARAWEB")
    assert told(klara) == [("stored", "2.25.90", 1)]
    linden = await page(later, token="LINDENWEB")
    assert linden["changes"] == []
    assert linden["cursor"] == klara["cursor"]


async def test_a_series_that_is_hidden_now_is_told_to_stewards_only(later: House) -> None:
    await put(later, image_file(1), image_file(3, SeriesInstanceUID="2.25.12"))
    await send(later, note_file(["2.25.1003"], series="2.25.12"))
    shown = await page(later)
    assert {each.get("series") for each in shown["changes"] if each["kind"] == "stored"} == {"2.25.11"}
    async with later.client("NORDSTEWARD") as client:
        whole = (await client.get("/rejected/changes")).json()
    assert {"2.25.11", "2.25.12"} <= {each.get("series") for each in whole["changes"]}


async def test_a_new_index_tells_the_same(later: House) -> None:
    await put(later, image_file(1), image_file(2))
    await send(later, note_file(["2.25.1001"]))
    before = later.rows("SELECT * FROM change ORDER BY change_key")
    folder = later.store.folder
    later.close()
    forget_index(folder)
    later.__init__(folder)  # type: ignore[misc]
    assert later.rows("SELECT * FROM change ORDER BY change_key") == before


@pytest.mark.parametrize(
    "query", ["?since=x", "?since=-1", "?limit=0", "?since=1&since=2", "?other=1", "?since="]
)
async def test_a_malformed_question_is_refused(later: House, query: str) -> None:
    async with later.client() as client:
        assert (await client.get(f"/changes{query}")).status_code == 400
        assert (await client.get("/changes", headers={"Accept": "text/html"})).status_code == 406
        assert len((await client.get(f"/changes?limit={MAX_CHANGES * 9}")).json()["changes"]) <= MAX_CHANGES


async def test_the_feed_is_for_systems(later: House) -> None:
    later.people["doctor"] = subject_like(later, "NORDWEB", kind="staff", session_id="s1")
    for token, status in (("doctor", 403), ("", 401)):
        async with later.client(token) as client:
            assert (await client.get("/changes")).status_code == status
    assert (await page(later))["last"]
    assert ("SEARCH",) in later.rows("SELECT event FROM audit WHERE details LIKE '%changes%'")
