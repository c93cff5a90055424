"""The pages as a browser asks for them: what is shown, what is refused, what is written down."""

import re
from collections.abc import AsyncIterator
from html import unescape
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from samsyn.model.registers import BlockKind
from samsyn_demo.people import BY_KEY as PEOPLE
from samsyn_demo.region import BY_KEY as PROVIDERS
from tests.viewer.house import House, a_house, sender_of, series_of

STORY = "191212121212"


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async with a_house(tmp_path) as house:
        yield house


def token(page: httpx.Response) -> str:
    return re.search(r'name="form_token" value="([^"]+)"', page.text)[1]  # type: ignore[index]


async def find(client: httpx.AsyncClient, number: str) -> httpx.Response:
    start = await client.get("/")
    return await client.post("/find", data={"form_token": token(start), "number": number})


async def open_person(client: httpx.AsyncClient, number: str = STORY) -> str:
    """The address of the opened patient."""
    page = await find(client, number)
    person = re.search(r'name="person" value="([^"]+)"', page.text)[1]  # type: ignore[index]
    answer = await client.post("/open", data={"form_token": token(page), "person": person})
    return answer.headers["location"]


async def post(
    client: httpx.AsyncClient, page: httpx.Response, address: str, **fields: object
) -> httpx.Response:
    return await client.post(address, data={"form_token": token(page), **fields})


async def related(client: httpx.AsyncClient, number: str = STORY) -> str:
    """The same with the care relation attested."""
    base = await open_person(client, number)
    page = await client.get(f"{base}relation")
    if page.status_code == 200:
        answer = await post(client, page, f"{base}relation", duration="today")
        assert answer.headers["location"] == base
    return base


def visible(page: httpx.Response) -> str:
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page.text)).split())


# -- logging in ----------------------------------------------------------------------------------------------


async def test_whoever_is_not_logged_in_is_sent_to_the_login_page(house: House) -> None:
    async with house.client() as client:
        for address in ("/", "/p/made-up/", "/p/made-up/e/x", "/ohif/viewer?StudyInstanceUIDs=1.2"):
            answer = await client.get(address)
            assert (answer.status_code, answer.headers["location"]) == (303, "/login"), address
        assert "Logga in" in (await client.get("/login")).text


async def test_the_header_always_tells_who_reads_in_which_assignment(house: House) -> None:
    async with house.logged_in("gp") as client:
        for address in ("/", "/help", "/status"):
            text = visible(await client.get(address))
            assert "Eva Lindgren Vårdcentralen Linden · Vård och behandling" in text, address


async def test_every_personal_page_is_uncached_unframed_and_free_of_inline_script(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        mark = re.search(r"/e/[0-9a-f]+", (await client.get(base)).text)[0]  # type: ignore[index]
        for address in ("/", base, base + mark[1:], f"{base}ground/consent"):
            page = await client.get(address)
            assert page.status_code == 200, address
            policy = page.headers["content-security-policy"]
            assert "unsafe" not in policy
            assert "script-src 'self'" in policy
            assert "frame-ancestors 'none'" in policy
            assert page.headers["cache-control"] == "no-store"
            assert re.search(r"<title>Samsyn · \w+( \w+)*</title>", page.text), address
            assert "Tolvan" not in re.search(r"<title>(.*)</title>", page.text)[1]  # type: ignore[index]
            assert STORY not in address


async def test_english_is_one_form_away_and_is_remembered(house: House) -> None:
    async with house.logged_in("gp") as client:
        answer = await client.post("/language", data={"language": "en", "to": "/"})
        assert answer.status_code == 303
        page = await client.get("/")
        assert '<html lang="en"' in page.text
        assert "Find patient" in page.text
        away = await client.post("/language", data={"language": "sv", "to": "//evil.example/"})
        assert away.headers["location"] == "/"


# -- forms that are not ours -----------------------------------------------------------------------------------


async def test_a_form_without_the_sessions_token_does_nothing(house: House) -> None:
    async with house.logged_in("gp") as client:
        answer = await client.post("/find", data={"number": STORY})
        assert answer.status_code == 403
        answer = await client.post("/find", data={"number": STORY, "form_token": "x" * 43})
        assert answer.status_code == 403
        assert [event for event, _ in await house.audited() if event == "SEARCH_PATIENT"] == []


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example", "sec-fetch-site": "cross-site"},
        {"origin": "null", "sec-fetch-site": "same-origin"},
        {"origin": "", "sec-fetch-site": "cross-site"},
    ],
)
async def test_a_form_from_another_site_does_nothing(house: House, headers: dict[str, str]) -> None:
    async with house.logged_in("gp") as client:
        right = token(await client.get("/"))
        answer = await client.post("/find", data={"number": STORY, "form_token": right}, headers=headers)
        assert answer.status_code == 403


async def test_a_form_that_is_too_large_or_of_another_kind_is_refused(house: House) -> None:
    async with house.logged_in("gp") as client:
        right = token(await client.get("/"))
        large = await client.post("/find", data={"form_token": right, "number": "1" * 1_200_000})
        assert large.status_code == 413
        other = await client.post("/find", json={"form_token": right, "number": STORY})
        assert other.status_code == 400


# -- finding a patient -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", ["191212121212", "19121212-1212", "121212+1212", " 1912 1212 1212 "])
async def test_any_written_form_finds_the_patient(house: House, written: str) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        text = visible(await find(client, written))
        assert "1 patient hittad" in text
        assert "Tolvan Tolvansson 19121212-1212 Personnummer" in text


async def test_a_wrong_check_digit_and_an_unknown_number_are_told_apart(house: House) -> None:
    async with house.logged_in("gp") as client:
        assert "Numret är inte ett giltigt nummer" in visible(await find(client, "19121212-1213"))
        assert "Ingen patient med det numret finns här" in visible(await find(client, STORY))


async def test_a_search_is_written_down_before_it_is_answered(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        await find(client, STORY)
    events = await house.audited()
    assert events[-1][0] == "SEARCH_PATIENT"
    assert STORY not in events[-1][1]


async def test_a_protected_identity_has_no_name_on_any_page(house: House) -> None:
    await house.fill(["skyddad"])
    number = PEOPLE["skyddad"].number
    async with house.logged_in("gp") as client:
        page = await find(client, number)
        assert "Skyddad identitet" in visible(page)
        base = await related(client, number)
        for address in ("/", base, f"{base}ground/consent"):
            assert "Signe" not in (await client.get(address)).text
            assert "Sjögren" not in (await client.get(address)).text


async def test_a_patients_address_means_nothing_in_another_session(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client, house.logged_in("gp") as other:
        base = await related(client)
        assert (await client.get(base)).status_code == 200
        assert (await other.get(base)).status_code == 404
        page = await client.get("/")
        await post(client, page, f"{base}close")
        assert (await client.get(base)).status_code == 404


async def test_a_ticket_that_was_made_up_opens_nobody(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        page = await client.get("/")
        for person in ("1", "1.abc", "1." + "0" * 64, "", "x"):
            assert (await post(client, page, "/open", person=person)).status_code == 404


async def test_an_assignment_that_is_not_for_care_opens_nobody(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("secretary") as client:
        answer = await find(client, STORY)
        assert answer.status_code == 403
        assert "Tolvan" not in answer.text


# -- care relation, timeline, examination ---------------------------------------------------------------------


async def test_nothing_is_shown_before_the_care_relation_is_attested(house: House) -> None:
    await house.fill(["dahl"])
    async with house.logged_in("physician") as client:
        base = await open_person(client, PEOPLE["dahl"].number)
        answer = await client.get(base)
        assert answer.headers["location"] == f"{base}relation"
        page = await client.get(f"{base}relation")
        await post(client, page, f"{base}relation", duration="week")
        assert (await client.get(base)).status_code == 200
    attested = [details for event, details in await house.audited() if event == "ATTEST_RELATION"]
    assert "Jag intygar att jag har en aktuell patientrelation" in attested[-1]
    assert "7 dagar" in attested[-1]


async def test_the_gp_sees_the_own_units_answers_and_that_more_exists_but_not_whose(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        page = await client.get(await related(client))
        text = visible(page)
        assert "Ultraljud, patientnära" in text
        assert "Det finns ospärrade uppgifter om patienten hos andra vårdgivare" in text
        assert "Nordsjukhuset" not in page.text
        assert "Ekokardiografi" not in page.text


async def test_consent_in_two_steps_then_the_providers_then_their_examinations(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        form = await client.get(f"{base}ground/consent")
        fields = {"scope": "unit", "channel": "phone", "starts": "", "ends": ""}
        answer = await post(client, form, f"{base}ground/consent", **fields)
        assert answer.headers["location"] == f"{base}#more"
        page = await client.get(base)
        assert "Nordsjukhuset" in page.text
        assert "Ekokardiografi" not in page.text
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-providers", chosen=chosen)
        page = await client.get(base)
        assert "Ekokardiografi" in page.text
        consent = re.search(r'name="consent" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        await post(client, page, f"{base}ground/end", consent=consent, how="withdraw")
        assert "Ekokardiografi" not in (await client.get(base)).text
    written = dict(await house.audited())
    assert "Patienten har samtyckt" in written["ATTEST_CONSENT"]
    assert "Per telefon" in written["ATTEST_CONSENT"]
    assert {"REVEAL_OTHER_PROVIDER", "ENTER_CARE_SYSTEM", "WITHDRAW_CONSENT"} <= set(written)


@pytest.mark.parametrize("ends", ["2020-01-01 10:00", "2026-13-01 10:00", "i morgon", "9999-01-01 00:00"])
async def test_a_consent_with_an_unreasonable_end_is_asked_for_again(house: House, ends: str) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        form = await client.get(f"{base}ground/consent")
        fields = {"scope": "unit", "channel": "visit", "starts": "", "ends": ends}
        answer = await post(client, form, f"{base}ground/consent", **fields)
        assert answer.status_code == 400
        assert "Tiden är inte rimlig" in visible(answer)
        assert "ATTEST_CONSENT" not in dict(await house.audited())


async def test_an_emergency_is_attested_twice_before_anything_is_shown(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        form = await client.get(f"{base}ground/emergency")
        refused = await post(client, form, f"{base}ground/emergency", ends="")
        assert refused.status_code == 400
        await post(client, form, f"{base}ground/emergency", ends="", attest="yes")
        page = await client.get(base)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        assert chosen
        once = await post(client, page, f"{base}reveal/choose-providers", chosen=chosen)
        assert once.status_code == 400
        assert "Ekokardiografi" not in (await client.get(base)).text
        await post(client, page, f"{base}reveal/choose-providers", chosen=chosen, attest="yes")
        assert "Ekokardiografi" in (await client.get(base)).text
    written = dict(await house.audited())
    assert "oundgängligen behöver" in written["ATTEST_RELEVANT"]
    assert "EMERGENCY_CONSENT" in written


async def test_a_blocked_provider_stays_closed_and_is_named_only_in_danger(house: House) -> None:
    await house.fill(["tolvan"])
    await house.block("tolvan", BlockKind.OUTER, "klara")
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        assert "Spärrade uppgifter hos annan vårdgivare" in visible(page)
        assert "Klara" not in visible(page).replace("Klara Röntgen AB)", "")
        await post(client, page, f"{base}ground/consent", scope="unit", channel="visit", starts="", ends="")
        page = await client.get(base)
        assert 'value="SE9990000002-0001"' not in page.text
        form = await client.get(f"{base}ground/emergency")
        await post(client, form, f"{base}ground/emergency", ends="", attest="yes")
        page = await client.get(base)
        await post(client, page, f"{base}reveal/blocked-providers", attest="yes")
        text = visible(await client.get(base))
        assert "Klara Röntgen AB, 08-123 200 20" in text
    assert "REVEAL_BLOCKED_PROVIDER" in dict(await house.audited())


async def test_an_inner_block_is_named_then_lifted_on_consent(house: House) -> None:
    await house.fill(["tolvan"])
    await house.block("tolvan", BlockKind.INNER, "nord", "fysiologi")
    async with house.logged_in("physician") as client:
        base = await related(client)
        page = await client.get(base)
        assert "Spärrade uppgifter inom Nordsjukhuset" in visible(page)
        assert "Klinisk fysiologi" not in page.text
        await post(client, page, f"{base}reveal/units")
        page = await client.get(base)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-units", chosen=chosen)
        page = await client.get(base)
        assert "DT thorax" in page.text
        assert "Klinisk fysiologi" not in page.text
        await post(client, page, f"{base}reveal/blocked-units")
        page = await client.get(base)
        unit = re.search(r'name="unit" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        missing = await post(client, page, f"{base}reveal/lift", unit=unit, reason="consent")
        assert missing.status_code == 400
        await post(client, page, f"{base}reveal/lift", unit=unit, reason="consent", attest="yes")
        page = await client.get(base)
        more = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-units", chosen=more)
        assert "Klinisk fysiologi Nordsjukhuset" in visible(await client.get(base))
    assert "PASS_BLOCKED" in dict(await house.audited())


async def test_a_nurse_without_the_right_is_told_that_nothing_is_hinted_at(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("nurse") as client:
        base = await related(client)
        text = visible(await client.get(base))
        assert "Ditt uppdrag omfattar bara den egna vårdgivaren" in text
        assert "ospärrade uppgifter" not in text
        assert (await client.get(f"{base}ground/consent")).status_code == 403


async def test_the_report_stands_with_its_addendum_on_top_and_earlier_versions_below(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        listed = await client.get(base)
        mark = _mark(listed, "DT thorax med iv kontrast")
        page = await client.get(f"{base}e/{mark}")
        text = visible(page)
        addendum, report = (
            text.index("Tillägg till utlåtandet"),
            text.index("Signerat av", text.index("Utlåtande ")),
        )
        assert addendum < report
        assert "Tidigare versioner (1)" in text
    events = [event for event, _ in await house.audited()]
    assert "OPEN_REPORT" in events


async def test_a_preliminary_report_says_in_words_that_it_is_not_final(house: House) -> None:
    await house.fill(["reserv"])
    async with house.logged_in("radiologist") as client:
        base = await related(client, PEOPLE["reserv"].number)
        listed = await client.get(base)
        assert "Preliminärsvar" in visible(listed)
        page = await client.get(f"{base}e/{_mark(listed, 'DT hjärna')}")
        assert "Detta är ett preliminärsvar. Det är inte signerat och kan ändras." in visible(page)


async def test_words_in_the_filter_never_stand_in_an_address(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        found = visible(await post(client, page, f"{base}filter", kind="", text="residualurin"))
        assert "Visar 1 av" in found
        nothing = visible(await post(client, page, f"{base}filter", kind="", text="finns inte alls"))
        assert "Inget stämmer med filtret" in nothing
        assert (await client.get(f"{base}filter?text=x")).status_code == 405


async def test_an_examination_that_is_hidden_looks_like_one_that_does_not_exist(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("radiologist") as seeing, house.logged_in("gp") as client:
        base = await related(seeing)
        mark = _mark(await seeing.get(base), "DT thorax med iv kontrast")
        own = await related(client)
        hidden = await client.get(f"{own}e/{mark}")
        absent = await client.get(f"{own}e/{'0' * 24}")
        assert hidden.status_code == absent.status_code == 404
        assert visible(hidden) == visible(absent)


# -- pictures -------------------------------------------------------------------------------------------------


async def test_the_stack_names_the_patient_and_every_picture_can_be_had_until_the_view_closes(
    house: House,
) -> None:
    await house.fill(["tolvan"], frozenset({"ecg"}))
    async with house.logged_in("radiologist") as client:
        base = await related(client)
        page = await client.get(base)
        await post(client, page, f"{base}reveal/units")
        page = await client.get(base)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-units", chosen=chosen)
        mark = _mark(await client.get(base), "Vilo-EKG")
        [series] = series_of(await client.get(f"{base}e/{mark}"))
        told = (await client.get(f"{series}/stack")).json()
        assert told["caption"]["patient"] == "Tolvan Tolvansson"
        assert told["caption"]["number"] == "19121212-1212"
        picture = await client.get(told["frames"][0]["url"])
        assert picture.headers["content-type"] == "image/png"
        assert picture.headers["cache-control"] == "no-store"
        assert (await client.get(f"{series}/thumbnail")).status_code == 200
        assert (await client.get(f"{told['frames'][0]['url']}9")).status_code == 404
        assert (await client.get(f"{base}e/{mark}/s/{'9' * 24}")).status_code == 404
        asked = {"1,0.5,linear-exact": 200, "1,1,linear": 200, "nan,1,linear": 400, "1,0.5,linear": 400}
        asked |= {"1,0,linear-exact": 400, "1,inf,linear-exact": 400, "1,2,cubic": 400, "1,2": 400}
        for window, status in asked.items():
            answer = await client.get(f"{told['frames'][0]['url']}?window={window}")
            assert answer.status_code == status, window
        await house.block("tolvan", BlockKind.INNER, "nord", "fysiologi")
        assert (await client.get(told["frames"][0]["url"])).status_code == 404
    assert "OPEN_IMAGES" in [event for event, _ in await house.audited()]


async def test_a_scanned_document_is_served_as_pdf_under_a_policy_of_its_own(house: House) -> None:
    await house.fill(["tolvan"], frozenset({"us-aorta"}))
    async with house.logged_in("gp") as client:
        base = await related(client)
        page = await client.get(base)
        await post(client, page, f"{base}ground/consent", scope="unit", channel="visit", starts="", ends="")
        page = await client.get(base)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-providers", chosen=chosen)
        mark = _mark(await client.get(base), "Ultraljud bukaorta")
        exam = await client.get(f"{base}e/{mark}")
        answers = [await client.get(f"{series}/document") for series in series_of(exam)]
        documents = [answer for answer in answers if answer.status_code == 200]
        assert len(documents) == 1
        assert documents[0].content.startswith(b"%PDF-")
        assert documents[0].headers["content-type"] == "application/pdf"
        assert "script-src" not in documents[0].headers["content-security-policy"]
        assert "default-src 'none'" in documents[0].headers["content-security-policy"]


# -- files ----------------------------------------------------------------------------------------------------


async def test_static_files_are_kept_for_ever_under_their_hash_and_no_other_file_has_an_address(
    house: House,
) -> None:
    async with house.client() as client:
        page = await client.get("/login")
        for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', page.text):
            answer = await client.get(address, headers={"accept-encoding": "gzip"})
            assert answer.status_code == 200, address
            assert "immutable" in answer.headers["cache-control"]
            assert answer.headers["x-content-type-options"] == "nosniff"
        for address in (
            "/static/../settings.py",
            "/static/%2e%2e/settings.py",
            "/static//etc/passwd",
            "/static/vendor/ohif/index.html",
            "/ohif/..%2fsamsyn.css",
            "/ohif/csp.json.gz",
        ):
            assert (await client.get(address)).status_code in (303, 404), address


async def test_the_diagnostic_viewers_scripts_may_evaluate_and_its_page_may_not(house: House) -> None:
    async with house.logged_in("gp") as client:
        page = await client.get("/ohif/viewer?StudyInstanceUIDs=1.2.3")
        assert page.status_code == 200
        policy = page.headers["content-security-policy"]
        assert "'unsafe-eval'" not in policy
        assert "frame-ancestors 'self'" in policy
        script = re.search(r'src="(/ohif/app\.bundle\.[0-9a-f]+\.js)"', page.text)[1]  # type: ignore[index]
        answer = await client.get(script, headers={"accept-encoding": "gzip"})
        assert answer.headers["content-encoding"] == "gzip"
        assert "'unsafe-eval'" in answer.headers["content-security-policy"]
        configuration = await client.get("/ohif/app-config.js")
        assert "/dicomweb" in configuration.text
        assert configuration.headers["cache-control"] == "no-store"


async def test_the_status_page_names_every_provider_with_its_directions(house: House) -> None:
    async with house.client() as client:
        text = visible(await client.get("/status"))
        assert "Bröstmottagningen Solsidan Ja Nej Nej" in text
        assert "Vårdcentralen Linden Nej Ja Ja" in text


def _mark(page: httpx.Response, title: str) -> str:
    return re.search(rf'/e/([0-9a-f]+)"[^>]*>{re.escape(title)}', page.text)[1]  # type: ignore[index]


# -- names and mistyped numbers -------------------------------------------------------------------------------


async def test_a_second_press_of_enter_opens_nobody_where_several_have_the_number(house: House) -> None:
    for key, name in (("nord", "Ek^Ada"), ("klara", "Alm^Bo")):
        own = PROVIDERS[key]
        raw = (
            f"MSH|^~\\&|T|T|SAMSYN|SAMSYN|20260101120000||ADT^A08^ADT_A01|{key}|P|2.5||||||UNICODE UTF-8\r"
            f"EVN|A08|20260101120000\rPID|1||K-77^^^&{own.local_issuer}&ISO||{name}||19500101|F\r"
        )
        await house.filing.file_message(sender_of(own, own.units[0].hsa_id), "standard", raw.encode(), "test")
    async with house.logged_in("gp") as client:
        several = await post(client, await client.get("/"), "/find", number="K-77")
        assert several.text.count('name="person"') == 2
        assert "autofocus" not in several.text
        one = await post(client, several, "/find", number="19121212-1212")
        assert one.text.count("autofocus") == 1


async def test_a_mistyped_number_is_suggested_with_its_differences_and_opens_nobody(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        page = await find(client, "19121212-1221")
        assert "Kan numret vara felskrivet?" in page.text
        assert "19121212-12<mark>1</mark><mark>2</mark>" in page.text
        assert "Tolvansson" not in page.text
        assert 'name="person"' not in page.text
        events = await house.audited()
        assert ("SEARCH_PATIENT", '{"count":"1","door":"viewer","kind":"suggestion"}') in events
        page = await find(client, "19121212-1212")
        assert "Kan numret vara felskrivet?" not in page.text


async def test_a_name_finds_people_to_compare_with_and_every_one_is_written_down(house: House) -> None:
    await house.fill(["tolvan"])
    async with house.logged_in("gp") as client:
        for written in ("Tolvan Tolvansson", "tolvansson, tolvan 1912", "Tolvansson 1912-12-12"):
            page = await find(client, written)
            assert "Ett namn räcker inte" in page.text, written
            assert "19121212-1212" in page.text
        assert "Ingen patient med det namnet" in (await find(client, "Tolvan Nobody")).text
        kinds = [details for event, details in await house.audited() if event == "SEARCH_PATIENT"]
        assert '{"count":"1","door":"viewer","kind":"name"}' in kinds
        assert not any("olvan" in details for details in kinds)


async def test_a_protected_person_is_found_by_no_name(house: House) -> None:
    person = next(each for each in PEOPLE.values() if each.protected)
    await house.fill([person.key])
    async with house.logged_in("gp") as client:
        page = await find(client, f"{person.given} {person.family}")
        assert "Ingen patient med det namnet" in page.text
