"""Pages of a search while studies arrive: what was there comes once, whatever is stored meanwhile."""

from typing import Any

import pytest

from samsyn import limits
from samsyn.search.query import Level, Query
from samsyn.search.windows import Windows
from tests.access.house import HeldClock
from tests.dicomweb.house import House, image_file, store, subject_like
from tests.store.test_settling import settle_all

UID = {"studies": "0020000D", "series": "0020000E", "instances": "00080018"}


def one(number: int, **more: Any) -> bytes:
    """One picture in a series of its own; some have no number, some share date and time."""
    told: dict[str, Any] = {
        "StudyInstanceUID": f"2.25.50{number}",
        "SeriesInstanceUID": f"2.25.60{number}",
        "StudyDate": f"202403{10 + number % 3}",
        "StudyTime": "" if number % 2 else "101500",
        "SeriesNumber": number % 2 or "",
        "InstanceNumber": number % 3 or "",
        **more,
    }
    return image_file(number, **told)


async def filled(house: House) -> None:
    async with house.client() as client:
        await store(client, [one(number) for number in range(7)])
        await store(client, [one(number, StudyInstanceUID="2.25.500") for number in range(7, 10)])
        more = {"StudyInstanceUID": "2.25.500", "SeriesInstanceUID": "2.25.600"}
        await store(client, [one(number, **more) for number in range(10, 16)])


async def arrive(house: House, number: int) -> None:
    """Newer and older studies, and a series and a picture in front of those that there are."""
    first = {"SeriesNumber": -number, "InstanceNumber": -number}
    async with house.client() as client:
        await store(
            client,
            [
                one(100 + number, StudyDate="20260101", **first),
                one(200 + number, StudyDate="20000101", **first),
                one(300 + number, StudyInstanceUID="2.25.500", **first),
                one(400 + number, StudyInstanceUID="2.25.500", SeriesInstanceUID="2.25.600", **first),
            ],
        )


async def page(house: House, path: str, offset: int, limit: int, token: str = "NORDWEB") -> list[str]:
    what = path.rpartition("/")[2]
    async with house.client(token) as client:
        answer = await client.get(f"{path}?offset={offset}&limit={limit}")
    return [row[UID[what]]["Value"][0] for row in answer.json()] if answer.status_code == 200 else []


@pytest.mark.parametrize("settled", [False, True])
@pytest.mark.parametrize("path", ["/studies", "/series", "/instances", "/studies/2.25.500/instances"])
@pytest.mark.parametrize("limit", [1, 2, 5])
async def test_what_was_there_comes_once_while_more_is_stored(
    house: House, path: str, limit: int, settled: bool
) -> None:
    await filled(house)
    if settled:
        await settle_all(house.store)
    there = await page(house, path, 0, 1_000)
    assert len(there) == len(set(there)) >= 7
    found: list[str] = []
    while True:
        some = await page(house, path, len(found), limit)
        found += some
        if len(some) < limit:
            break
        if len(found) < 20:
            await arrive(house, len(found))
    assert len(found) == len(set(found)), "nothing comes twice"
    assert [uid for uid in found if uid in set(there)] == there, "nothing is left out"


@pytest.mark.parametrize("level", list(Level))
@pytest.mark.parametrize("settled", [False, True])
async def test_pages_behind_places_are_the_whole_in_its_order(
    house: House, level: Level, settled: bool
) -> None:
    """Whatever has no number, date or time, and whatever the limit."""
    await filled(house)
    if settled:
        await settle_all(house.store)
        async with house.client() as client:
            await store(client, [one(20), one(21, StudyInstanceUID="2.25.500", SeriesInstanceUID="2.25.600")])
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    whole = await house.finder.find(view, Query(level))
    assert whole
    for limit in (1, 2, 3, 7):
        got, after = [], ()
        while True:
            some = await house.finder.page(view, Query(level, limit=limit), after)
            got += some.matches
            if some.end is None:
                break
            after = some.end
        assert got == whole, limit


async def test_a_page_that_nobody_went_before_is_counted_from_the_first(house: House) -> None:
    await filled(house)
    there = await page(house, "/studies", 0, 1_000)
    assert await page(house, "/studies", 3, 2) == there[3:5]
    await page(house, "/studies", 0, 3)
    await arrive(house, 1)
    now = await page(house, "/studies", 0, 1_000)
    assert now[0] not in there
    assert await page(house, "/studies", 3, 2) == there[3:5], "his window has not moved"
    assert await page(house, "/studies", 2, 2) == now[2:4], "no page has ended there"


async def test_what_is_remembered_of_pages_is_bounded_and_ends(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = HeldClock()
    windows = Windows(clock)
    view = await house.gatekeeper.open_view(subject_like(house, "NORDWEB"))
    monkeypatch.setattr(limits, "MAX_KEPT_WINDOWS", 3)
    for number in range(5):
        windows.ended(view, Query(Level.STUDY, {1: str(number)}), 10, (number,))
    asked = [windows.behind(view, Query(Level.STUDY, {1: str(number)}, offset=10)) for number in range(5)]
    assert asked == [None, None, (2,), (3,), (4,)]
    assert windows.behind(view, Query(Level.SERIES, {1: "4"}, offset=10)) is None
    clock.move(limits.WINDOW_SECONDS)
    assert windows.behind(view, Query(Level.STUDY, {1: "4"}, offset=10)) is None
