"""What stands beside the picture: the report, and another examination of the same patient."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from samsyn.endpoints import viewer
from samsyn.endpoints.viewer.history import mark_of
from samsyn.endpoints.viewer.language import Languages
from samsyn.endpoints.viewer.reading import distance
from samsyn.model.registers import BlockKind
from tests.viewer.house import House, a_house, series_of
from tests.viewer.test_pages import related, visible

WORDS = Languages(Path(viewer.__file__).with_name("locale")).words("sv")


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"], frozenset({"ct-chest"}))
        yield house


async def _pictures(house: House, client: httpx.AsyncClient) -> tuple[str, str]:
    """The addresses of the first series of two CT examinations, the newest first."""
    base = await related(client)
    listed = await client.get(base)
    marks = re.findall(r'href="[^"]*/e/([0-9a-f]+)"[^>]*>DT thorax', listed.text)
    assert len(marks) >= 2
    rows = await house.store.read(
        lambda c: c.execute("SELECT series_uid FROM series ORDER BY number").fetchall()
    )
    addresses = [
        f"{base}e/{mark}/s/{mark_of(base.split('/')[2], row[0])}" for mark in marks[:2] for row in rows
    ]
    # Not from the examinations' pages, which open the reports.
    new, old = [each for each in addresses if "data-series-url" in (await client.get(each)).text]
    return new, old


def _examination(series: str) -> str:
    """Its mark, from the address of one of its series."""
    return series.split("/e/")[1].partition("/")[0]


async def test_the_report_is_written_down_when_it_is_asked_for_beside_the_picture(house: House) -> None:
    async with house.logged_in("radiologist") as client:
        new, _ = await _pictures(house, client)
        closed = await client.get(new)
        assert "Visa utlåtandet" in visible(closed)
        assert "4 mm stor subpleural" not in closed.text
        assert "OPEN_REPORT" not in dict(await house.audited())
        opened = await client.get(f"{new}?report=1")
        assert "4 mm stor subpleural" in opened.text
        assert "OPEN_REPORT" in dict(await house.audited())


async def test_two_examinations_stand_beside_each_other_and_each_says_which_it_is(house: House) -> None:
    async with house.logged_in("radiologist") as client:
        new, old = await _pictures(house, client)
        page = await client.get(new)
        assert f"{new}?with={_examination(old)}" in page.text
        assert f"?with={_examination(new)}" not in page.text
        page = await client.get(f"{new}?with={_examination(old)}")
        assert re.findall(r'data-series-url="([^"]+)/stack"', page.text) == [new, old]
        text = visible(page)
        assert re.search(r"Jämförs med \d{4}-\d\d-\d\d DT thorax med iv kontrast \d+ månader tidigare", text)
        assert (
            await client.get(f"{new}?with={_examination(old)}.{old.rpartition('/')[2]}")
        ).status_code == 200
        assert (await client.get(f"{new}/stack")).json()["sides"] == ["R", "L", "A", "P"]


async def test_nothing_else_can_be_put_beside_it(house: House) -> None:
    async with house.logged_in("radiologist") as client:
        new, old = await _pictures(house, client)
        for wrong in (
            "0" * 24,
            "",
            f"{_examination(old)}.9",
            f"{_examination(old)}.{new[-24:]}",
            _examination(new),
        ):
            answer = await client.get(new, params={"with": wrong})
            assert answer.status_code == 404, wrong


async def test_what_is_blocked_meanwhile_is_neither_offered_nor_compared(house: House) -> None:
    async with house.logged_in("physician") as client:
        base = await related(client)
        await _show_units(client, base)
        new, old = await _pictures(house, client)
        assert (await client.get(f"{new}?with={_examination(old)}")).status_code == 200
        await house.block("tolvan", BlockKind.INNER, "nord", "rontgen")
        assert (await client.get(f"{new}?with={_examination(old)}")).status_code == 404


async def _show_units(client: httpx.AsyncClient, base: str) -> None:
    page = await client.get(base)
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)[1]  # type: ignore[index]
    await client.post(f"{base}reveal/units", data={"form_token": token})
    chosen = re.findall(r'name="chosen" value="([^"]+)"', (await client.get(base)).text)
    await client.post(f"{base}reveal/choose-units", data={"form_token": token, "chosen": chosen})


async def test_a_private_person_reads_without_comparison(house: House) -> None:
    async with await house.as_patient("tolvan") as client:
        listed = await client.get("/mine/record")
        mark = re.search(r'href="([^"]*/e/[0-9a-f]+)"[^>]*>DT thorax', listed.text)
        assert mark is not None
        [series] = series_of(await client.get(mark[1]))
        page = await client.get(f"{series}?report=1")
        assert page.status_code == 200
        assert "Jämför med" not in visible(page)
        assert "Visa utlåtandet" not in visible(page)


@pytest.mark.parametrize(
    ("own", "other", "told"),
    [
        ("2026-11-02", "2026-11-02", "samma dag"),
        ("2026-11-02", "2026-11-01", "1 dag tidigare"),
        ("2026-11-02", "2026-12-31", "59 dagar senare"),
        ("2026-11-02", "2024-06-07", "29 månader tidigare"),
        ("2026-11-02", "2017-08-04", "9 år tidigare"),
        ("Utan datum", "2017-08-04", ""),
    ],
)
def test_how_far_apart_they_are_is_told(own: str, other: str, told: str) -> None:
    assert distance(own, other, WORDS) == told
