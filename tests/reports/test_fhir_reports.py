"""FHIR DiagnosticReport as a report version: one report with its message, refused with the element to mend."""

import base64
import contextlib
import copy
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import orjson
import pytest
import pytest_asyncio
from hypothesis import given
from hypothesis import strategies as st

from samsyn.errors import NotSupported, SamsynError
from samsyn.model.predicate import Everything
from samsyn.model.texts import ReportStatus
from samsyn.reports.examination import _joined
from samsyn.reports.forms.fhir import read_reports
from samsyn.reports.order import by_report
from samsyn.store.index import examination_rows
from tests.hl7v2.messages import oru
from tests.reports.house import RIS, House

TEXT = "Inga tecken till pneumoni. Hjärtat är normalstort."
PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"
PLAIN = base64.b64encode("Å\r\nÄ".encode()).decode()


def resource(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "identifier": [{"type": {"coding": [{"code": "ACSN"}]}, "value": "ACC300"}],
        "code": {"text": "DT thorax"},
        "subject": {"identifier": {"system": PERSONNUMMER, "value": "191212121212"}},
        "issued": "2024-03-15T10:15:00+01:00",
        "resultsInterpreter": [{"display": "Anna Berg"}],
        "conclusion": TEXT,
    } | more


def body(**more: Any) -> bytes:
    return orjson.dumps({key: value for key, value in resource(**more).items() if value is not None})


@pytest_asyncio.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    opened = House(tmp_path / "data")
    yield opened
    opened.close()


async def pages(house: House) -> list[Any]:
    def look(connection: Any) -> list[Any]:
        keys = frozenset(row[0] for row in connection.execute("SELECT patient_key FROM patient"))
        kinds = (examination_rows.studies, examination_rows.referrals, examination_rows.reports)
        found = _joined(*(read(connection, Everything(), keys) for read in kinds))
        return [page for each in found for page in by_report(each.reports)]

    return await house.store.read(look)


async def filed(house: House, raw: bytes) -> tuple[str, str]:
    answer = await house.filing.file_resource(RIS, raw, "test")
    return answer.receipt.outcome, answer.verdict.sentence


async def test_a_resource_is_a_report_and_the_same_bytes_again_have_one_effect(house: House) -> None:
    assert (await filed(house, body()))[0] == "stored"
    assert (await filed(house, body()))[0] == "already-stored"
    (page,) = await pages(house)
    version = page.shown[0].version
    assert (version.text, version.signer, version.form) == (TEXT, "Anna Berg", "fhir")
    assert await house.all("SELECT name, birth_date FROM patient") == [("", "")]


@pytest.mark.parametrize(
    ("effective", "day"),
    [
        ("2024-03-15T23:30:00Z", 20240316),
        ("2024-03-16T00:30:00+03:00", 20240315),
        ("2024-03-15T23:30:00+01:00", 20240315),
        ("2024-03-15", 20240315),
        ("2024-03", None),
    ],
)
async def test_the_examined_day_is_the_swedish_one(house: House, effective: str, day: int | None) -> None:
    await filed(house, body(effectiveDateTime=effective, issued="2024-03-17T12:00:00+01:00"))
    assert await house.all("SELECT begins, ends FROM report") == [(day, 20240317)]


async def test_what_was_issued_in_the_future_was_made_when_it_came(house: House) -> None:
    issued = datetime.now(UTC) + timedelta(days=400)
    outcome, sentence = await filed(house, body(issued=issued.isoformat(timespec="seconds")))
    assert outcome == "stored"
    assert "issued: a moment that is still to come" in sentence
    [(made,)] = await house.all("SELECT result_time FROM report")
    assert datetime.fromisoformat(made) <= datetime.now(UTC)


@pytest.mark.parametrize("fhir_first", [True, False])
async def test_message_and_resource_are_one_report_whichever_comes_first(
    house: House, fhir_first: bool
) -> None:
    for is_fhir in (fhir_first, not fhir_first):
        if is_fhir:
            await filed(house, body())
        else:
            await house.send(oru(text=TEXT))
    (page,) = await pages(house)
    assert [
        (each.version.form, [other.form for other in each.version.renditions]) for each in page.shown
    ] == [("text", ["fhir"])]
    assert page.earlier == ()


@pytest.mark.parametrize(
    ("word", "status"),
    [
        ("registered", "preliminary"), ("preliminary", "preliminary"), ("final", "final"), ("amended", "correction"),
        ("corrected", "correction"), ("appended", "addendum"), ("cancelled", "annulled"),
        ("entered-in-error", "annulled"),
    ],
)  # fmt: skip
async def test_every_status_of_fhir_means_one_of_ours(house: House, word: str, status: str) -> None:
    await filed(house, body(status=word))
    (page,) = await pages(house)
    assert page.standing is ReportStatus(status)


async def test_a_bundle_is_filed_wholly_or_not_at_all_and_its_references_are_followed_inside_it(
    house: House,
) -> None:
    person = {
        "resourceType": "Patient",
        "identifier": [{"system": PERSONNUMMER, "value": "191212121212"}],
        "name": [{"family": "Tolvansson", "given": ["Tolvan"]}],
        "birthDate": "1912-12-12",
        "gender": "male",
    }
    good = resource(subject={"reference": "urn:uuid:p"})
    bad = resource(status="nonsense", subject={"reference": "urn:uuid:p"})

    def bundle(*reports: dict[str, Any]) -> bytes:
        entries = [{"fullUrl": "urn:uuid:p", "resource": person, "request": {"method": "PUT"}}]
        entries += [{"resource": each, "request": {"method": "POST"}} for each in reports]
        return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})

    outcome, sentence = await filed(house, bundle(good, bad))
    assert (outcome, "DiagnosticReport.status" in sentence) == ("held", True)
    assert await pages(house) == []
    assert (await filed(house, bundle(good)))[0] == "stored"
    assert await house.all("SELECT name, birth_date, sex FROM patient") == [
        ("Tolvansson^Tolvan", "19121212", "M")
    ]


@pytest.mark.parametrize(
    ("more", "text"),
    [
        ({"presentedForm": [{"contentType": "text/plain; charset=utf-8", "data": PLAIN}]}, "Å\nÄ"),
        ({"text": {"div": "<div><h2>Fynd</h2><p>a &lt; b<br/>c</p><script>x</script></div>"}}, "Fynd\na < b\nc\nx"),
        ({"presentedForm": [{"contentType": "application/pdf", "data": "JVBERg=="}]}, TEXT),
    ],
)  # fmt: skip
async def test_the_text_is_taken_from_where_it_is_plainest(
    house: House, more: dict[str, Any], text: str
) -> None:
    await filed(house, body(**more))
    (page,) = await pages(house)
    assert page.shown[0].version.text == text


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"status": None}, "status"),
        ({"identifier": None}, "identifier"),
        ({"subject": None}, "subject"),
        ({"subject": {"reference": "https://elsewhere.example/Patient/1"}}, "subject"),
        ({"conclusion": None}, "no text"),
        ({"conclusion": "a\u0007b"}, "control character"),
        ({"issued": "2024-03-15"}, "issued"),
        ({"issued": "2024-13-15T10:15:00Z"}, "issued"),
        ({"presentedForm": [{"contentType": "text/plain", "data": "%%%"}]}, "presentedForm"),
        ({"subject": {"identifier": {"system": PERSONNUMMER, "value": "191212121213"}}}, "resolved"),
    ],
)
async def test_what_is_missing_or_wrong_is_named_and_the_bytes_are_kept(
    house: House, more: dict[str, Any], named: str
) -> None:
    outcome, sentence = await filed(house, body(**more))
    assert (outcome, named in sentence) == ("held", True), sentence
    assert await pages(house) == []


@pytest.mark.parametrize(
    "raw", [b'{"resourceType": "Patient"}', b'{"resourceType": "Bundle", "type": "searchset"}']
)
async def test_other_resources_are_not_taken(house: House, raw: bytes) -> None:
    with pytest.raises(NotSupported):
        await filed(house, raw)
    assert await house.all("SELECT COUNT(*) FROM held") == [(0,)]


async def test_what_is_no_json_is_held_like_any_other_bad_input(house: House) -> None:
    for raw in (b"{", b"[]", b'"x"', b'{"a": "\\ud800"}'):
        assert (await filed(house, raw))[0] == "held"


def places(value: Any) -> list[tuple[Any, ...]]:
    """The way to every element of a resource."""
    if isinstance(value, dict):
        return [(key, *rest) for key, each in value.items() for rest in [(), *places(each)]]
    if isinstance(value, list):
        return [(place, *rest) for place, each in enumerate(value) for rest in [(), *places(each)]]
    return []


WHOLE = resource(
    basedOn=[{"reference": "#r", "identifier": {"value": "R1"}}],
    contained=[{"resourceType": "ServiceRequest", "id": "r", "identifier": [{"value": "R1"}]}],
    imagingStudy=[{"identifier": {"value": "urn:oid:1.2.3"}}],
    performer=[{"display": "Bo Ek", "identifier": {"system": "urn:oid:1.2.752.129.2.1.4.1", "value": "X"}}],
    text={"div": "<div>a</div>"},
    presentedForm=[{"contentType": "text/plain", "data": PLAIN}],
    effectiveDateTime="2024-03-15",
)


@given(
    st.lists(st.sampled_from(places(WHOLE)), min_size=1, max_size=4),
    st.sampled_from(
        [
            None,
            0,
            -1.5,
            True,
            "",
            "x" * 500,
            "<p",
            "\u0000",
            [],
            {},
            [[]],
            [None, "a"],
            {"value": {"value": []}},
        ]
    ),
)
def test_whatever_stands_at_a_place_is_read_or_refused_in_our_own_words(ways: list[Any], junk: Any) -> None:
    broken = orjson.loads(orjson.dumps(WHOLE))
    for way in ways:
        at = broken
        try:
            for step in way[:-1]:
                at = at[step]
            if isinstance(at, list if isinstance(way[-1], int) else dict):
                at[way[-1]] = copy.deepcopy(junk)
        except (KeyError, IndexError, TypeError):
            continue
    with contextlib.suppress(SamsynError):
        read_reports(orjson.dumps(broken), RIS, {})


@pytest.mark.parametrize(
    "hostile",
    [
        resource(text={"div": "<p" * 200_000}),
        resource(imagingStudy=[{"reference": "#x"}] * 1_001, contained=[{"id": "y"}] * 900),
        resource(conclusion="x" * 2_000_001),
    ],
    ids=["unended markup", "references", "a book"],
)
def test_hostile_resources_cost_little(hostile: dict[str, Any]) -> None:
    raw = orjson.dumps(hostile)
    begun = time.process_time()
    with contextlib.suppress(SamsynError):
        read_reports(raw, RIS, {})
    assert time.process_time() - begun < 1.0


async def test_a_resource_that_was_changed_within_the_moment_of_its_result_replaces_the_former(
    house: House,
) -> None:
    """`issued` stays when the text is mended; `meta.lastUpdated` tells which is the later."""
    changed = body(conclusion="Pneumoni.", meta={"lastUpdated": "2024-03-15T11:00:00+01:00"})
    await filed(house, changed)
    await filed(house, body(conclusion="Ingen pneumoni.", meta={"lastUpdated": "2024-03-15T10:15:00+01:00"}))
    (page,) = await pages(house)
    assert [each.version.text for each in page.shown] == ["Pneumoni."]
    assert [each.text for each in page.earlier] == ["Ingen pneumoni."]


def transaction(*resources: dict[str, Any], urls: tuple[str, ...] = ()) -> bytes:
    entries = [
        {"request": {"method": "POST", "url": "DiagnosticReport"}, "resource": each} for each in resources
    ]
    for entry, url in zip(entries, urls, strict=False):
        entry["fullUrl"] = url  # type: ignore[assignment]  # a plain object of JSON
    return orjson.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})


async def test_two_reports_of_one_transaction_do_not_hide_each_other(house: House) -> None:
    """Chest and abdomen, one accession number and two codes."""
    chest = resource(code={"text": "DT thorax"}, conclusion="Inget nytillkommet.")
    belly = resource(code={"text": "DT buk"}, conclusion="Aortaaneurysm 6 cm.")
    assert (await filed(house, transaction(chest, belly)))[0] == "stored"
    mended = resource(
        code={"text": "DT buk"},
        conclusion="Aortaaneurysm 4 cm.",
        status="corrected",
        issued="2024-03-15T12:00:00+01:00",
    )
    assert (await filed(house, orjson.dumps(mended)))[0] == "stored"
    assert sorted(each.version.text for page in await pages(house) for each in page.shown) == [
        "Aortaaneurysm 4 cm.",
        "Inget nytillkommet.",
    ]


@pytest.mark.parametrize(
    ("sent", "sentence"),
    [
        (
            orjson.dumps(resource() | {"modifierExtension": [{"url": "urn:not-so", "valueBoolean": True}]}),
            "modifierExtension",
        ),
        (orjson.dumps(resource() | {"implicitRules": "urn:other-rules"}), "implicitRules"),
        (transaction(resource(conclusion="Fraktur."), resource(conclusion="Ingen fraktur.")), "another text"),
        (
            transaction(resource(), resource(code={"text": "DT buk"}), urls=("urn:uuid:1", "urn:uuid:1")),
            "bdl-7",
        ),
    ],
)
async def test_what_may_mean_otherwise_or_would_hide_another_is_held(
    house: House, sent: bytes, sentence: str
) -> None:
    outcome, said = await filed(house, sent)
    assert outcome == "held"
    assert sentence in said
    assert await house.all("SELECT COUNT(*) FROM report") == [(0,)]
