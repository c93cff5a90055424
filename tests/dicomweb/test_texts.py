"""Rendered reports and documents: structured reports written out, CDA and PDF as they are, in the View and logged."""

from typing import Any

import pytest

from samsyn.endpoints.dicomweb.pictures import texts
from tests.dicomweb.house import House, file_of, store
from tests.reports.documents_made import BASIC, cda, code, encapsulated, report, section, text

CDA, PDF = (f"1.2.840.10008.5.1.4.1.1.104.{number}" for number in (2, 1))
STUDY = "/studies/2.25.70"
SR = f"{STUDY}/series/2.25.71.1/instances/2.25.71"
DOCUMENT = f"{STUDY}/series/2.25.72.1/instances/2.25.72"
BODY = "<b>Pneumothorax</b> & mer"


@pytest.fixture
async def told(house: House) -> House:
    house.use(object())
    async with house.client() as client:
        made = report(
            section("Findings", text(BODY)), title=code("18748-4", "LN", "Diagnostic imaging report")
        )
        answer = await store(client, [file_of(made, "2.25.71", sop_class=BASIC)])
        assert answer.status_code == 200
    return house


async def get(house: House, path: str, accept: str = "*/*", token: str = "NORDWEB", **headers: str) -> Any:
    async with house.client(token) as client:
        return await client.get(path, headers={"Accept": accept, **headers})


@pytest.mark.parametrize("path", [STUDY, f"{STUDY}/series/2.25.71.1", SR])
@pytest.mark.parametrize(
    "accept", ["*/*", "text/*", "text/html", "text/plain;q=0.4, text/html;q=0.5", "image/*, text/html"]
)
async def test_a_structured_report_is_html_to_who_does_not_say_otherwise(
    told: House, path: str, accept: str
) -> None:
    answer = await get(told, f"{path}/rendered", accept)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "&lt;b&gt;Pneumothorax&lt;/b&gt; &amp; mer" in answer.text
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"


async def test_and_plain_text_to_who_likes_that_better_and_406_to_who_wants_a_picture(told: House) -> None:
    for where, accept in (("", "text/plain"), ("?accept=text/plain", "*/*")):
        answer = await get(told, f"{SR}/rendered{where}", accept)
        assert (answer.status_code, answer.headers["content-type"]) == (200, "text/plain; charset=utf-8")
        assert f"\n  Finding: {BODY}\n" in answer.text
    assert (await get(told, f"{SR}/rendered", "image/jpeg")).status_code == 406
    assert (await get(told, f"{SR}/frames/1/rendered", "text/html")).status_code == 406


async def test_a_written_out_report_is_logged_as_opened_also_when_the_asker_has_it(told: House) -> None:
    count = "SELECT COUNT(*) FROM audit WHERE event = 'OPEN_IMAGES'"
    assert told.rows(count) == [(0,)]
    first = await get(told, f"{SR}/rendered")
    assert told.rows(count) == [(1,)]
    again = await get(told, f"{SR}/rendered", **{"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    part = await get(told, f"{SR}/rendered", Range="bytes=0-14")
    assert (part.status_code, part.content) == (206, b"<!DOCTYPE html>")
    plain = await get(told, f"{SR}/rendered", "text/plain")
    assert plain.headers["etag"] != first.headers["etag"]


async def test_who_may_not_see_the_study_sees_no_report_and_nothing_is_logged(told: House) -> None:
    for token in ("KLARAWEB", "nobody"):
        answer = await get(told, f"{SR}/rendered", token=token)
        assert answer.status_code in (401, 403, 404)
        assert b"Pneumothorax" not in answer.content
    assert told.rows("SELECT COUNT(*) FROM audit WHERE event = 'OPEN_IMAGES'") == [(0,)]


async def test_a_corrected_name_is_right_in_the_report_too_and_its_tag_another(told: House) -> None:
    first = await get(told, f"{SR}/rendered")
    async with told.client("NORDSTEWARD") as client:
        right = b'{"00081030":{"vr":"LO","Value":["R\xc3\xa4tt <i>"]}}'
        kind = {"Content-Type": "application/dicom+json"}
        answer = await client.post(f"{STUDY}/corrections?reason=test", content=right, headers=kind)
    assert answer.status_code in (200, 204), answer.text
    after = await get(told, f"{SR}/rendered")
    assert "R\xe4tt &lt;i&gt;" in after.text
    assert after.headers["etag"] != first.headers["etag"]


async def test_a_report_of_too_many_items_is_413(told: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("samsyn.dicom.report_pages.MAX_SR_ITEMS", 2)
    assert (await get(told, f"{SR}/rendered")).status_code == 413


@pytest.mark.parametrize("more", ["", " "])
async def test_an_encapsulated_cda_is_its_own_xml_without_what_fills_it_up(told: House, more: str) -> None:
    sent = cda(f"Pneumothorax{more}")
    async with told.client() as client:
        await store(client, [file_of(encapsulated(sent), "2.25.72", sop_class=CDA)])
    for accept in ("*/*", "text/xml"):
        answer = await get(told, f"{DOCUMENT}/rendered", accept)
        assert (answer.headers["content-type"], answer.content) == ("text/xml", sent)
        assert "sandbox" in answer.headers["content-security-policy"]
    assert (await get(told, f"{DOCUMENT}/rendered", "text/html")).status_code == 406


async def test_an_encapsulated_pdf_is_a_pdf(told: House) -> None:
    async with told.client() as client:
        await store(client, [file_of(encapsulated(b"%PDF-1.7 x"), "2.25.72", sop_class=PDF)])
    answer = await get(told, f"{DOCUMENT}/rendered")
    assert (answer.headers["content-type"], answer.content) == ("application/pdf", b"%PDF-1.7 x")


async def test_wado_uri_gives_a_report_as_the_type_that_is_named(told: House) -> None:
    address = "/wado?requestType=WADO&studyUID=2.25.70&seriesUID=2.25.71.1&objectUID=2.25.71"
    for kind in (texts.HTML, texts.PLAIN):
        answer = await get(told, f"{address}&contentType={kind}")
        assert answer.headers["content-type"] == f"{kind}; charset=utf-8"
        assert b"Pneumothorax" in answer.content
    assert (await get(told, address)).headers["content-type"].startswith("application/dicom")
