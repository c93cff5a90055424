"""The block administrator's pages, and a reader who asks for a lift, as browsers ask for them."""

import re
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from samsyn.model.registers import BlockKind
from samsyn.model.subject import Subject, SubjectKind
from samsyn_demo.people import BY_KEY as PEOPLE
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import STORY, post, related, token, visible


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        await house.fill(["tolvan"])
        yield house


async def opened(client: httpx.AsyncClient, number: str = STORY) -> str:
    """The address of the person's registers."""
    desk = await client.get("/blocks")
    found = await post(client, desk, "/blocks/find", number=number)
    person = re.search(r'name="person" value="([^"]+)"', found.text)[1]  # type: ignore[index]
    return (await post(client, found, "/blocks/open", person=person)).headers["location"]


async def in_danger(client: httpx.AsyncClient) -> str:
    """A general practitioner's emergency with the blocking providers named."""
    base = await related(client)
    form = await client.get(f"{base}ground/emergency")
    await post(client, form, f"{base}ground/emergency", ends="", attest="yes")
    page = await client.get(base)
    await post(client, page, f"{base}reveal/blocked-providers", attest="yes")
    return base


def owners(page: httpx.Response) -> str:
    """Whose examinations the list shows."""
    return " ".join(re.findall(r'<p class="owner">([^<]*)</p>', page.text))


async def chosen(client: httpx.AsyncClient, base: str) -> str:
    """Everything that may be chosen is chosen, with the attestation; whose examinations are shown after it."""
    page = await client.get(base)
    offered = re.findall(r'name="chosen" value="([^"]+)"', page.text)
    if offered:
        await post(client, page, f"{base}reveal/choose-providers", chosen=offered, attest="yes")
    return owners(await client.get(base))


async def test_a_block_administrator_begins_at_the_desk_and_reads_no_images(house: House) -> None:
    async with house.logged_in("block-administrator") as client:
        assert (await client.get("/")).headers["location"] == "/blocks"
        base = await opened(client)
        page = await client.get(base)
        assert "Tolvan Tolvansson" in visible(page)
        assert "DT thorax" not in page.text
        reading = base.replace("/blocks", "")
        assert (await client.get(reading)).status_code == 403


@pytest.mark.parametrize("persona", ["gp", "physician", "secretary", "log-reviewer", "steward"])
async def test_nobody_else_reaches_the_administrators_pages(house: House, persona: str) -> None:
    async with house.logged_in(persona) as client:
        start = await client.get("/blocks")
        assert start.status_code == 403
        assert "Spärradministration, " not in start.text
        for address in ("/blocks/p/made-up/", "/blocks/requests/made-up"):
            assert (await client.get(address)).status_code == 403


async def test_a_form_with_a_fault_comes_back_with_the_kind_of_block_that_was_chosen(house: House) -> None:
    async with house.logged_in("block-administrator") as admin:
        base = await opened(admin)
        form = await admin.get(base)
        assert 'value="inner" checked' in form.text
        fields = {"kind": "outer", "unit": "", "first": "20260131", "last": "2026-02-28", "attest": "yes"}
        again = await post(admin, form, f"{base}register", **fields)
        assert again.status_code == 400
        assert 'value="outer" checked' in again.text and 'value="inner" checked' not in again.text
        assert 'value="20260131"' in again.text and 'value="2026-02-28"' in again.text
        assert 'name="attest" value="yes" autocomplete="off" required' in again.text
        fields = {**fields, "kind": "inner", "unit": "SE9990000001-1001"}
        again = await post(admin, form, f"{base}register", **fields)
        assert 'value="SE9990000001-1001" selected' in again.text


async def test_a_block_is_registered_on_the_patients_word_works_at_once_and_is_ended(house: House) -> None:
    async with house.logged_in("block-administrator") as admin, house.logged_in("physician") as reader:
        page = await reader.get(await related(reader))
        await post(reader, page, f"{page.url.path}reveal/units")
        page = await reader.get(page.url.path)
        offered = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(reader, page, f"{page.url.path}reveal/choose-units", chosen=offered)
        assert "Röntgen Nordsjukhuset" in owners(await reader.get(page.url.path))

        base = await opened(admin)
        form = await admin.get(base)
        fields = {"kind": "inner", "unit": "SE9990000001-1001", "first": "", "last": ""}
        assert (await post(admin, form, f"{base}register", **fields)).status_code == 400
        no_unit = await post(admin, form, f"{base}register", **{**fields, "unit": "", "attest": "yes"})
        assert no_unit.status_code == 400
        odd = await post(admin, form, f"{base}register", **{**fields, "first": "20260131", "attest": "yes"})
        assert odd.status_code == 400
        assert "Röntgen Nordsjukhuset" in owners(await reader.get(page.url.path))
        assert (await post(admin, form, f"{base}register", **fields, attest="yes")).status_code == 303
        hidden = await reader.get(page.url.path)
        assert "Röntgen Nordsjukhuset" not in owners(hidden)
        assert "Spärrade uppgifter inom Nordsjukhuset" in visible(hidden)

        form = await admin.get(base)
        assert "Inre spärr: Röntgen Nordsjukhuset" in visible(form)
        block = re.search(r'name="block" value="([^"]+)"', form.text)[1]  # type: ignore[index]
        assert (await post(admin, form, f"{base}end", block=block)).status_code == 400
        await post(admin, form, f"{base}end", block=block, attest="yes")
        assert "Röntgen Nordsjukhuset" in owners(await reader.get(page.url.path))
    events = dict(await house.audited())
    assert "En vårdnadshavare kan inte spärra" in events["REGISTER_BLOCK"]
    assert "Patienten har själv begärt att spärren tas bort" in events["END_BLOCK"]


async def test_a_request_to_lift_goes_to_the_owner_is_granted_and_shows_the_examinations(
    house: House,
) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with house.logged_in("gp") as reader, house.logged_in("block-administrator") as admin:
        base = await in_danger(reader)
        page = await reader.get(base)
        assert "Begär att Nordsjukhuset häver spärren" in visible(page)
        empty = await post(reader, page, f"{base}reveal/request-lift", owner="SE9990000001-0001")
        assert empty.status_code == 400
        await post(
            reader, page, f"{base}reveal/request-lift", owner="SE9990000001-0001", scope="person",
            phone="08-123 400 10", need="Andnöd, misstänkt lungemboli",
        )  # fmt: skip
        assert "Väntar på svar" in visible(await reader.get(base))
        assert "Nordsjukhuset" not in await chosen(reader, base)

        desk = await admin.get("/blocks")
        assert "Andnöd, misstänkt lungemboli" in visible(desk)
        assert "Eva Lindgren" in visible(desk)
        address = re.search(r"/blocks/requests/[0-9a-f-]+", desk.text)[0]  # type: ignore[index]
        form = await admin.get(address)
        late = await post(admin, form, address, answer="granted", ends="2019-01-01 00:00", reason="emergency")
        assert late.status_code == 400
        ends = re.search(r'name="ends"[^>]*value="([^"]+)"', form.text)[1]  # type: ignore[index]
        done = await post(
            admin, form, address, answer="granted", scope="person", ends=ends, reason="emergency"
        )
        assert done.headers["location"] == "/blocks"
        assert "Hävd till" in visible(await admin.get("/blocks"))
        again = await post(admin, form, address, answer="refused", told="Nej")
        assert again.status_code == 409

        assert "Spärren är hävd till" in visible(await reader.get(base))
        assert "Röntgen Nordsjukhuset" in await chosen(reader, base)
    written = dict(await house.audited())
    assert "Ring också" in written["REQUEST_LIFT"]
    assert "kan inte själv begära hävning" in written["ANSWER_LIFT"]


async def test_a_refused_request_tells_the_reader_why(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with house.logged_in("gp") as reader, house.logged_in("block-administrator") as admin:
        base = await in_danger(reader)
        page = await reader.get(base)
        await post(
            reader, page, f"{base}reveal/request-lift", owner="SE9990000001-0001", phone="1", need="Yrsel"
        )
        desk = await admin.get("/blocks")
        address = re.search(r"/blocks/requests/[0-9a-f-]+", desk.text)[0]  # type: ignore[index]
        form = await admin.get(address)
        assert (await post(admin, form, address, answer="refused", told="")).status_code == 400
        await post(admin, form, address, answer="refused", told="Patienten har svarat nej själv.")
        text = visible(await reader.get(base))
        assert "Avslagen. Patienten har svarat nej själv." in text
        assert "Begär att Nordsjukhuset häver spärren" in text


async def test_a_provider_that_was_not_named_can_not_be_asked(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with house.logged_in("gp") as reader:
        base = await related(reader)
        page = await reader.get(base)
        for owner in ("SE9990000001-0001", "SE9990000002-0001", "nobody"):
            asked = await post(
                reader, page, f"{base}reveal/request-lift", owner=owner, phone="1", need="Yrsel"
            )
            assert asked.status_code == 404
    assert "REQUEST_LIFT" not in dict(await house.audited())


async def test_grounds_and_relations_of_the_own_units_are_listed_and_ended(house: House) -> None:
    async with house.logged_in("physician") as reader, house.logged_in("block-administrator") as admin:
        reading = await related(reader)
        page = await reader.get(reading)
        await post(
            reader, page, f"{reading}ground/consent", scope="unit", channel="visit", starts="", ends=""
        )
        base = await opened(admin)
        page = await admin.get(base)
        rows = re.findall(r'action="[^"]+/(end-[a-z]+)">.*?name="row" value="([^"]+)"', page.text)
        assert {name for name, _ in rows} == {"end-ground", "end-relation"}
        for name, row in rows:
            assert (await post(admin, page, f"{base}{name}", row="made-up")).status_code == 404
            assert (await post(admin, page, f"{base}{name}", row=row)).status_code in (303, 404)
        assert "Inga registrerade grunder." in visible(await admin.get(base))
        assert (await reader.get(reading)).headers["location"] == f"{reading}relation"


async def test_a_form_of_these_pages_without_the_sessions_token_does_nothing(house: House) -> None:
    async with house.logged_in("block-administrator") as admin:
        base = await opened(admin)
        for name in ("register", "end", "lift", "end-lift", "end-ground", "end-relation", "close"):
            assert (await admin.post(f"{base}{name}", data={"attest": "yes"})).status_code == 403, name
        sent = {"form_token": token(await admin.get(base)), "kind": "outer", "attest": "yes"}
        foreign = await admin.post(f"{base}register", data=sent, headers={"origin": "https://evil.example"})
        assert foreign.status_code == 403
    assert "REGISTER_BLOCK" not in dict(await house.audited())


async def test_an_administrator_learns_nobodys_name_of_whom_the_own_provider_has_nothing(
    house: House,
) -> None:
    await house.fill(["skyddad", "lind", "reserv", "ekstrom"])
    async with house.logged_in("block-administrator") as admin, house.logged_in("gp") as reader:
        desk = await admin.get("/blocks")
        hidden, shown = 0, 0
        for person in ("tolvan", "skyddad", "lind", "reserv", "ekstrom"):
            someone = PEOPLE[person]
            key = (await house.lookup.by_number(someone.number))[0].key
            owners = await house.store.read(
                lambda c, key=key: {
                    row[0]
                    for table in ("study", "referral", "report")
                    for row in c.execute(f"SELECT provider FROM {table} WHERE patient_key = ?", (key,))
                }
            )
            found = await post(admin, desk, "/blocks/find", number=someone.number)
            is_own = "SE9990000001-0001" in owners
            assert (someone.family in visible(found)) is (is_own and not someone.protected), person
            assert ("inga uppgifter om någon patient" in visible(found)) is not is_own, person
            hidden, shown = hidden + (not is_own), shown + is_own
        assert shown
        assert hidden
        assert (await reader.get("/blocks")).status_code == 403


async def test_an_open_desk_is_told_of_a_new_request_at_once(house: House) -> None:
    await house.block("tolvan", BlockKind.OUTER, "nord")
    async with house.logged_in("gp") as reader, house.logged_in("block-administrator") as admin:
        desk = await admin.get("/blocks")
        assert 'data-pulse="/blocks/pulse"' in desk.text
        assert (await admin.get("/blocks/pulse")).json() == {"shown": []}
        base = await in_danger(reader)
        page = await reader.get(base)
        await post(
            reader, page, f"{base}reveal/request-lift", owner="SE9990000001-0001", phone="1", need="Yrsel"
        )
        (mark,) = (await admin.get("/blocks/pulse")).json()["shown"]
        assert f'data-shown="{mark}"' in (await admin.get("/blocks")).text
        assert (await reader.get("/blocks/pulse")).status_code == 404
    async with house.client() as nobody:
        assert (await nobody.get("/blocks/pulse")).status_code == 401


async def test_the_patient_reads_in_the_own_log_that_the_blocks_were_read(house: House) -> None:
    async with house.logged_in("block-administrator") as admin, house.client() as mine:
        await admin.get(await opened(admin))
        key = (await house.lookup.by_number(STORY))[0].key
        secret, _ = house.sessions.open(
            Subject(SubjectKind.PATIENT, f"patient-{key}", "Tolvan Tolvansson", None, patient_key=key)
        )
        mine.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        assert "Läste vilka spärrar och samtycken du har" in visible(await mine.get("/mine/log"))
