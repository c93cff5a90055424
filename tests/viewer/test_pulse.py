"""An open page asks whether it may go on showing what it shows; what ends is gone at the next asking."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from starlette.applications import Starlette

from samsyn import limits
from samsyn.endpoints.viewer.routes import viewer_door
from samsyn.model.registers import BlockKind
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import post, related


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


def marks(page: httpx.Response) -> set[str]:
    """What an open page says that it shows."""
    return set(re.search(r'data-shown="([^"]*)"', page.text)[1].split())  # type: ignore[index]


async def pulse(client: httpx.AsyncClient, base: str) -> set[str]:
    answer = await client.get(f"{base}pulse", headers={"accept": "application/json"})
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    return set(answer.json()["shown"])


async def reading(client: httpx.AsyncClient) -> tuple[str, httpx.Response]:
    """A general practitioner who has consent and has chosen every provider: the address and the open page."""
    base = await related(client)
    page = await client.get(base)
    await post(client, page, f"{base}ground/consent", scope="unit", channel="visit", starts="", ends="")
    page = await client.get(base)
    chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
    await post(client, page, f"{base}reveal/choose-providers", chosen=chosen)
    return base, await client.get(base)


async def test_as_long_as_nothing_ends_every_mark_stays(house: House) -> None:
    async with house.logged_in("gp") as client:
        base, page = await reading(client)
        assert marks(page) == await pulse(client, base)
        examination = re.search(r"/e/[0-9a-f]+", page.text)[0]  # type: ignore[index]
        assert marks(await client.get(base + examination[1:])) == marks(page)


async def test_every_node_answers_a_page_with_the_same_marks(house: House) -> None:
    one, other = (viewer_door(replace(house.deps, page_key=b"of the cluster")) for _ in range(2))
    house.application = Starlette(routes=one.routes)
    async with house.logged_in("gp") as client:
        base, page = await reading(client)
        house.application = Starlette(routes=other.routes)
        async with house.client() as later:
            later.cookies = client.cookies
            assert marks(page) == await pulse(later, base)
            assert marks(page)


async def test_a_withdrawn_consent_takes_marks_away_at_the_next_asking(house: House) -> None:
    async with house.logged_in("gp") as client:
        base, page = await reading(client)
        consent = re.search(r'name="consent" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        await post(client, page, f"{base}ground/end", consent=consent, how="withdraw")
        left = await pulse(client, base)
        assert left < marks(page)
        assert left == marks(await client.get(base))


@pytest.mark.parametrize(("kind", "unit"), [(BlockKind.OUTER, ""), (BlockKind.INNER, "rontgen")])
async def test_a_new_block_takes_marks_away_at_the_next_asking(
    house: House, kind: BlockKind, unit: str
) -> None:
    async with house.logged_in("gp") as client:
        base, page = await reading(client)
        await house.block("tolvan", kind, "nord", unit)
        assert not marks(page) <= await pulse(client, base)


async def test_more_that_can_be_shown_adds_marks_and_takes_none(house: House) -> None:
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        await post(client, page, f"{base}ground/consent", scope="unit", channel="visit", starts="", ends="")
        assert marks(page) < await pulse(client, base)


async def test_marks_mean_nothing_in_another_session(house: House) -> None:
    async with house.logged_in("gp") as one, house.logged_in("gp") as other:
        base, page = await reading(one)
        other_base, other_page = await reading(other)
        assert len(marks(page)) == len(marks(other_page))
        assert marks(page).isdisjoint(marks(other_page))
        assert (await other.get(f"{base}pulse")).status_code == 404
        assert base != other_base


async def test_a_closed_patient_and_an_ended_session_are_told(house: House) -> None:
    async with house.logged_in("gp") as client:
        base, page = await reading(client)
        await post(client, page, f"{base}close")
        assert (await client.get(f"{base}pulse")).status_code == 404
        assert (await client.get("/pulse")).status_code == 204
        await post(client, page, "/logout")
        for address in (f"{base}pulse", "/pulse"):
            assert (await client.get(address)).status_code == 401


async def test_asking_is_no_use_of_the_session_and_leaves_no_entry(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.logged_in("gp") as client:
        base, _ = await reading(client)
        written = len(await house.audited())
        began = house.clock.monotonic()
        for minutes in (5, 10, 15, 19):
            monkeypatch.setattr(house.clock, "monotonic", lambda at=began + minutes * 60: at)
            await pulse(client, base)
            assert (await client.get("/pulse")).status_code == 204
        assert len(await house.audited()) == written
        monkeypatch.setattr(house.clock, "monotonic", lambda: began + limits.SESSION_IDLE_S + 1)
        assert (await client.get(f"{base}pulse")).status_code == 401
        assert (await client.get(base)).headers["location"] == "/login?because=expired"


async def test_a_page_is_told_two_minutes_before_the_end_and_its_readers_use_puts_it_off(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with house.logged_in("gp") as client:
        base, _ = await reading(client)
        began = house.clock.monotonic()

        def at(minutes: float) -> None:
            monkeypatch.setattr(house.clock, "monotonic", lambda: began + minutes * 60)

        async def told(**headers: str) -> list[str | None]:
            answers = [await client.get(address, headers=headers) for address in (f"{base}pulse", "/pulse")]
            assert [each.status_code for each in answers] == [200, 204]
            return [each.headers.get("samsyn-ends") for each in answers]

        at(17.5)
        assert await told() == [None, None]
        at(18.5)
        assert await told() == ["unused", "unused"]
        assert await told(**{"samsyn-used": "yes"}) == [None, None]
        at(37)
        assert await told() == ["unused", "unused"]
        for turn in range(36):
            at(37 + turn * 19)
            await told(**{"samsyn-used": "yes"})
        at(limits.SESSION_LIFETIME_S / 60 - 1)
        assert await told(**{"samsyn-used": "yes"}) == ["anyhow", "anyhow"]
        at(limits.SESSION_LIFETIME_S / 60 + 1)
        assert (await client.get("/pulse", headers={"samsyn-used": "yes"})).status_code == 401


async def test_asking_does_not_make_a_patient_the_current_one(house: House) -> None:
    await house.fill(["dahl"])
    async with house.logged_in("gp") as client:
        first = await related(client)
        await related(client, PEOPLE["dahl"].number)
        (session,) = set(house.opened._sessions)
        current = house.opened.current(session)
        await pulse(client, first)
        assert house.opened.current(session) == current
