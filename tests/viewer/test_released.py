"""What a provider has released to patients: the own pages, what lies among the pictures, and a guardian's pages."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
from pydicom.uid import ExplicitVRLittleEndian

from samsyn.endpoints.viewer.history import mark_of
from samsyn.ingest.receive import Arrival
from samsyn.settings import Settings
from samsyn.settings.contracts import ReleaseSettings
from tests.reports.documents_made import PDF_BYTES, encapsulated, report, section, text
from tests.viewer.house import House, a_house, read_document, sender_of, series_of
from tests.viewer.life_cycle import AFTER, NORD, Telling
from tests.viewer.test_life_cycle import page_of, report_of
from tests.viewer.test_mine import CHILD, MOTHER, registered
from tests.viewer.test_pages import post, visible

pytestmark = pytest.mark.slow

TITLE = "DT lever"
SAYS = "En 18 mm stor förändring i leverns segment fyra."
WAITS = "Svaret är inte släppt än."


def releasing(rule: ReleaseSettings) -> Callable[[Settings], Settings]:
    """Every provider by this rule."""

    def change(told: Settings) -> Settings:
        providers = tuple(each.model_copy(update={"release": rule}) for each in told.provider)
        return told.model_copy(update={"provider": providers})

    return change


@asynccontextmanager
async def told(folder: Path, rule: ReleaseSettings, days: float = 40) -> AsyncIterator[tuple[House, Telling]]:
    """Tolvan has a referral and a signed report, so many days old, at a provider with the rule."""
    async with a_house(folder, releasing(rule)) as house:
        telling = Telling(house, "LC7", TITLE, days)
        await telling.referral()
        await telling.version("F", 1, SAYS)
        yield house, telling


async def seen(person: httpx.AsyncClient) -> str:
    """The examination as the person reads it, "" when it is not among his own."""
    listed = await person.get("/mine/record")
    entry = re.search(rf'href="(/mine/record/[^"]+/e/[^"]+)"[^>]*>{TITLE}', listed.text)
    if entry is None:
        assert SAYS not in listed.text
        return ""
    page = await person.get(entry[1])
    assert page.status_code == 200
    return visible(page)


@pytest.mark.parametrize(
    ("rule", "days", "is_told"),
    [
        (ReleaseSettings(), 40, False),
        (ReleaseSettings(when="signed"), 40, True),
        (ReleaseSettings(when="signed", days=30), 40, True),
        (ReleaseSettings(when="signed", days=60), 40, False),
        (ReleaseSettings(when="signed", days=0), 5, False),
        (ReleaseSettings(when="signed", days=0), 20, True),
        (ReleaseSettings(when="signed", excluded_units=(NORD.units[0].hsa_id,)), 40, False),
    ],
    ids=[
        "no rule",
        "a fortnight",
        "30 days",
        "60 days",
        "never before the region",
        "after it",
        "no such unit",
    ],
)
async def test_a_person_reads_what_the_provider_has_released(
    tmp_path: Path, rule: ReleaseSettings, days: float, is_told: bool
) -> None:
    async with told(tmp_path, rule, days) as (house, _), await house.as_patient("tolvan") as person:
        page = await seen(person)
        assert (SAYS in page) is is_told
        assert WAITS not in page


async def test_a_report_waits_for_the_referrers_word_and_the_page_says_so_calmly(tmp_path: Path) -> None:
    rule = ReleaseSettings(when="signed", after_vidimering=True)
    async with told(tmp_path, rule) as (house, telling), await house.as_patient("tolvan") as person:
        page = await seen(person)
        assert WAITS in page
        assert SAYS not in page
        assert "Signerat av" not in page
        assert "Svaret är inte släppt än" in visible(await person.get("/mine/record"))
        async with house.logged_in("physician") as client:
            shown = await page_of(client, TITLE)
            answer = await post(client, shown, f"{shown.url.path}/vidimera", report=report_of(shown))
            assert answer.status_code == 303
        page = await seen(person)
        assert SAYS in page
        assert WAITS not in page
        listed = visible(await person.get("/mine/record"))
        assert "Definitivsvar" in listed
        assert "Svaret är inte släppt än" not in listed
        # Another text has come since: nobody has vidimerat that one, and the old one does not hold.
        await telling.version("C", 24, AFTER)
        page = await seen(person)
        assert SAYS not in page
        assert "Misstänkt tumör" not in page
        assert WAITS in page
        opened = [event for event, _ in await house.audited() if event == "OPEN_REPORT"]
        assert len(opened) == 2, "the referrer's opening and the person's; what was withheld was not opened"


async def test_an_open_page_says_when_a_report_is_released_and_nothing_of_what_waits(tmp_path: Path) -> None:
    rule = ReleaseSettings(when="signed", after_vidimering=True)
    async with told(tmp_path, rule) as (house, telling), await house.as_patient("tolvan") as person:

        async def shown() -> str:
            page = await person.get("/mine/record")
            state = re.search(r'data-state="([0-9a-f]+)"', page.text)
            assert state is not None, "the page does not say what it shows"
            return state[1]

        async def now() -> str:
            page = await person.get("/mine/record")
            address = re.search(r'data-pulse="([^"]+)"', page.text)
            assert address is not None
            answer = await person.get(address[1])
            assert answer.headers["cache-control"] == "no-store"
            assert answer.json()["shown"] == []
            return str(answer.json()["state"])

        before = await shown()
        assert await now() == before
        await telling.version("C", 24, AFTER)
        assert await now() == before, "what waits is not told of"
        async with house.logged_in("physician") as client:
            page = await page_of(client, TITLE)
            await post(client, page, f"{page.url.path}/vidimera", report=report_of(page))
        after = await now()
        assert after != before
        assert await shown() == after
        assert AFTER.split()[-1] in await seen(person)


@pytest.mark.parametrize("waits", [True, False])
async def test_no_text_comes_by_way_of_the_pictures(tmp_path: Path, waits: bool) -> None:
    rule = ReleaseSettings(when="signed", after_vidimering=waits)
    async with a_house(tmp_path, releasing(rule)) as house:
        telling = Telling(house, "LC7", TITLE, 40)
        await telling.version("F", 1, SAYS)
        sender = sender_of(NORD, NORD.units[0].hsa_id)
        made = encapsulated(PDF_BYTES, accession="LC7")
        structured = report(section("Fynd", text(SAYS)), accession="LC7")
        for data in (structured, made):
            await house.intake.receive(Arrival(sender, str(ExplicitVRLittleEndian), "test"), data)
        for uid in ("2.25.71", "2.25.72"):
            await read_document(house, uid)
        async with await house.as_patient("tolvan") as person:
            listed = await person.get("/mine/record")
            entries = re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', listed.text)
            assert len(entries) == 1, visible(listed)
            page = await person.get(entries[0])
            assert (WAITS in visible(page)) is waits
            assert (series_of(page) == []) is waits
            for uid in ("2.25.71.1", "2.25.72.1"):
                series = f"{entries[0]}/s/{mark_of(entries[0].split('/')[3], uid)}"
                for way in ("", "/document", "/stack", "/thumbnail"):
                    answer = await person.get(f"{series}{way}")
                    assert waits is (answer.status_code == 404) or way == "/document", (uid, way)


async def test_a_guardian_reads_no_more_than_is_released(tmp_path: Path) -> None:
    for name, rule in (
        ("never", ReleaseSettings()),
        ("waiting", ReleaseSettings(when="signed", after_vidimering=True)),
        ("given", ReleaseSettings(when="signed")),
    ):
        (tmp_path / name).mkdir()
        async with a_house(tmp_path / name, releasing(rule)) as house:
            await house.fill([CHILD.key, MOTHER.key])
            await registered(house)
            async with await house.as_patient(MOTHER.key) as browser:
                listed = await browser.get("/mine/record")
                way = re.search(r'href="(/mine/record/[^"/]+)">Viggo', listed.text)
                assert way is not None
                page = await browser.get(way[1])
                entries = re.findall(r'href="(/mine/record/[^"]+/e/[^"]+)"', page.text)
                texts = " ".join([visible(await browser.get(entry)) for entry in entries])
                assert bool(entries) is (name != "never")
                assert ("Signerat av" in texts) is (name == "given")
                assert (WAITS in texts) is (name == "waiting")
