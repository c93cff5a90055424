"""QIDO-RS: what was asked is what is answered, and nothing is dropped silently."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from samsyn.dicom.native_xml import xml_to_model
from samsyn.endpoints.dicomweb.searching.query import parse_search
from samsyn.errors import SamsynError
from samsyn.limits import MAX_SEARCH_ROWS
from samsyn.model.subject import SubjectKind
from samsyn.search.query import Level
from tests.dicomweb.house import House, image_file, parts_of, store, subject_like

STUDY, SERIES, SOP = "0020000D", "0020000E", "00080018"


async def filled(house: House) -> None:
    """Three studies of two people; the last with two series."""
    async with house.client() as client:
        await store(client, [image_file(1), image_file(2)])
        await store(
            client,
            [
                image_file(
                    3,
                    StudyInstanceUID="2.25.20",
                    SeriesInstanceUID="2.25.21",
                    StudyDate="20230101",
                    AccessionNumber="A2",
                    StudyDescription="100% Å_ä*",
                ),
            ],
        )
        other = {"PatientID": "199001012385", "PatientName": "Testperson^Agda", "StudyInstanceUID": "2.25.30"}
        await store(
            client,
            [
                image_file(4, SeriesInstanceUID="2.25.31", Modality="MR", AccessionNumber="A3", **other),
                image_file(5, SeriesInstanceUID="2.25.32", Modality="CT", AccessionNumber="A3", **other),
            ],
        )


async def answer(house: House, path: str, token: str = "NORDWEB") -> Any:
    async with house.client(token) as client:
        response = await client.get(path)
    if response.status_code == 204:
        assert not response.content
        return []
    assert response.status_code == 200, (path, response.content)
    assert response.headers["content-type"] == "application/dicom+json"
    return response.json()


def values(rows: Any, key: str) -> list[Any]:
    return [row[key]["Value"][0] for row in rows]


@pytest.mark.parametrize(
    ("path", "key", "expected"),
    [
        ("/studies", STUDY, {"2.25.10", "2.25.20", "2.25.30"}),
        ("/studies?PatientID=19121212-1212", STUDY, {"2.25.10", "2.25.20"}),
        ("/studies?PatientID=191212121212", STUDY, {"2.25.10", "2.25.20"}),
        ("/studies?00100020=191212121212", STUDY, {"2.25.10", "2.25.20"}),
        ("/studies?PatientName=tolvan*", STUDY, {"2.25.10", "2.25.20"}),
        ("/studies?PatientName=agda&fuzzymatching=true", STUDY, {"2.25.30"}),
        ("/studies?PatientName=agda&fuzzymatching=false", STUDY, set()),
        ("/studies?StudyDate=20230101-20231231", STUDY, {"2.25.20"}),
        ("/studies?StudyDate=-20231231", STUDY, {"2.25.20"}),
        ("/studies?AccessionNumber=A2", STUDY, {"2.25.20"}),
        ("/studies?AccessionNumber=A%3F", STUDY, {"2.25.10", "2.25.20", "2.25.30"}),
        ("/studies?AccessionNumber=A_", STUDY, set()),
        ("/studies?StudyDescription=100%25*", STUDY, {"2.25.20"}),
        ("/studies?StudyDescription=%25", STUDY, set()),
        ("/studies?ModalitiesInStudy=MR", STUDY, {"2.25.30"}),
        ("/studies?ModalitiesInStudy=PT%2CMR", STUDY, {"2.25.30"}),
        ("/studies?StudyInstanceUID=2.25.10,2.25.30", STUDY, {"2.25.10", "2.25.30"}),
        ("/studies?StudyInstanceUID=2.25.99", STUDY, set()),
        ("/studies/2.25.30/series", SERIES, {"2.25.31", "2.25.32"}),
        ("/studies/2.25.30/series?Modality=MR", SERIES, {"2.25.31"}),
        ("/series?Modality=MR", SERIES, {"2.25.31"}),
        ("/studies/2.25.30/instances", SOP, {"2.25.1004", "2.25.1005"}),
        ("/studies/2.25.10/series/2.25.11/instances", SOP, {"2.25.1001", "2.25.1002"}),
        ("/studies/2.25.10/series/2.25.31/instances", SOP, set()),
        ("/instances?SOPInstanceUID=2.25.1003", SOP, {"2.25.1003"}),
        ("/instances?limit=0", SOP, set()),
        ("/studies?limit=1&offset=5", STUDY, set()),
    ],
)
async def test_matches_at_every_level(house: House, path: str, key: str, expected: set[str]) -> None:
    await filled(house)
    assert set(values(await answer(house, path), key)) == expected


async def test_a_study_is_answered_with_its_required_attributes(house: House) -> None:
    await filled(house)
    [row] = await answer(house, "/studies?AccessionNumber=A3")
    assert row["00100010"]["Value"] == [{"Alphabetic": "Testperson^Agda"}]
    assert row["00080061"]["Value"] in (["CT", "MR"], ["MR", "CT"])
    assert row["00201206"]["Value"] == [2]
    assert row["00201208"]["Value"] == [2]
    assert row["00080056"]["Value"] == ["ONLINE"]
    assert row["00081190"]["Value"] == ["http://samsyn.test/dicomweb/studies/2.25.30"]
    assert "00081030" not in row


async def test_include_fields_add_attributes(house: House) -> None:
    await filled(house)
    for query in ("includefield=StudyDescription", "includefield=00081030,00080090", "includefield=all"):
        [row] = await answer(house, f"/studies?AccessionNumber=A2&{query}")
        assert row["00081030"]["Value"] == ["100% Å_ä*"]


async def test_matches_in_xml_say_what_the_json_says(house: House) -> None:
    await filled(house)
    expected = await answer(house, "/studies")
    async with house.client() as client:
        for accept in ('multipart/related; type="application/dicom+xml"', "application/dicom+xml"):
            parts = parts_of(await client.get("/studies", headers={"Accept": accept}))
            found = [xml_to_model(document) for _, document in parts]
            assert [each[STUDY] for each in found] == [each[STUDY] for each in expected]
            assert [each["00100010"] for each in found] == [each["00100010"] for each in expected]
        assert (await client.get("/studies", headers={"Accept": "text/html"})).status_code == 406


async def test_keys_inside_sequences_are_written_as_paths(house: House) -> None:
    await filled(house)
    issuer = "1.2.752.129.2.1.3.1"
    for path, count in (
        (f"00100024.00400032={issuer}", 3),
        (f"IssuerOfPatientIDQualifiersSequence.UniversalEntityID={issuer}", 3),
        ("IssuerOfPatientIDQualifiersSequence.UniversalEntityID=1.2.3", 0),
        ("IssuerOfAccessionNumberSequence.UniversalEntityID=1.2.3", 0),
    ):
        rows = await answer(house, f"/studies?{path}")
        assert len(rows) == count, path
        for row in rows:
            assert row["00100024"]["Value"][0]["00400032"]["Value"] == [issuer]


async def test_dates_are_asked_and_told_in_a_time_zone(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file(StudyDate="20240301", StudyTime="003000")])
    [row] = await answer(house, "/studies?StudyDate=20240229&TimezoneOffsetFromUTC=%2B0000")
    assert (row["00080020"]["Value"], row["00080030"]["Value"]) == (["20240229"], ["233000"])
    assert row["00080201"]["Value"] == ["+0000"]
    assert await answer(house, "/studies?StudyDate=20240229") == []


async def test_a_header_field_in_several_lines_is_one_list(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file()])
        lines = [("Accept", "application/dicom+json"), ("Accept", "text/html")]
        assert (await client.get("/studies", headers=lines)).status_code == 200


async def test_a_plus_sign_in_an_address_is_a_plus_sign(house: House) -> None:
    """By RFC 3986; where a space makes no sense, it is not read as one as in forms."""
    async with house.client() as client:
        await store(client, [image_file(StudyDate="20240301", StudyTime="003000")])
        asked = "/studies?StudyDate=20240229&TimezoneOffsetFromUTC=+0000&accept=application/dicom+json"
        found = await client.get(asked, headers={"Accept": "text/html"})
        xml = await client.get("/studies?accept=multipart/related;+type=application/dicom+xml")
    assert [row["00080201"]["Value"] for row in found.json()] == [["+0000"]]
    assert xml.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')


async def test_what_has_no_value_is_found_when_that_is_asked_for(house: House) -> None:
    async with house.client() as client:
        await store(
            client,
            [
                image_file(AccessionNumber=""),
                image_file(2, StudyInstanceUID="2.25.12", SeriesInstanceUID="2.25.13"),
            ],
        )
    rows = await answer(house, "/studies?AccessionNumber=%22%22&emptyvaluematching=true")
    assert values(rows, STUDY) == ["2.25.10"]


async def test_how_many_there_are_is_told_where_it_is_known(house: House) -> None:
    await filled(house)
    async with house.client() as client:
        for query, total in (("", "3"), ("limit=2", None), ("limit=2&offset=2", "3"), ("offset=9", None)):
            assert (await client.get(f"/studies?{query}")).headers.get("x-total-count") == total, query
        assert (await client.get("/studies?PatientName=Nobody")).headers["x-total-count"] == "0"
    async with house.client("KLARAWEB") as client:
        assert (await client.get("/studies")).headers["x-total-count"] == "0"


async def test_a_field_that_no_match_has_is_told(house: House) -> None:
    await filled(house)
    async with house.client() as client:
        response = await client.get("/studies?includefield=00081030,0018106A&includefield=00080201")
        assert response.headers["warning"] == '299 Samsyn "These fields are not answered: 0018106A"'
        assert "warning" not in (await client.get("/studies?includefield=StudyDescription")).headers


async def test_a_search_across_studies_tells_of_the_levels_above(house: House) -> None:
    await filled(house)
    [row] = await answer(house, "/instances?SOPInstanceUID=2.25.1003")
    assert row["00080050"]["Value"] == ["A2"]
    assert row[SERIES]["Value"] == ["2.25.21"]
    assert row["00280010"]["Value"] == [2]
    rows = await answer(house, "/studies/2.25.20/instances")
    assert "00080050" not in rows[0]
    assert rows[0]["00081190"]["Value"][0].endswith("/studies/2.25.20/series/2.25.21/instances/2.25.1003")


async def test_pages_put_together_are_the_whole(house: House) -> None:
    await filled(house)
    whole = values(await answer(house, "/instances"), SOP)
    pages = [values(await answer(house, f"/instances?limit=2&offset={n}"), SOP) for n in (0, 2, 4)]
    assert [uid for page in pages for uid in page] == whole
    assert [len(page) for page in pages] == [2, 2, 1]


@pytest.mark.parametrize(
    "query",
    [
        *(
            "PatientId=191212121212",
            "NoSuchKeyword=",
            "nonsense.PatientID=1",
            "limit=-1",
            "limit=x",
            "limit=99999999999",
            "offset=-5",
            "limit=1.5",
        ),
        *(
            "limit=1&limit=2",
            "PatientID=1&00100020=2",
            "fuzzymatching=yes",
            "StudyDate=20231399x",
            "%zz=%zz=&",
        ),
        *(
            "StudyInstanceUID=../x",
            "StudyInstanceUID=1.2;DROP",
            "00400275.00400007=x",
            "includefield=nonsense",
            "includefield=Non%22sense",
        ),
        *("PatientBirthTime=1200", "PatientName=%ff%fe", "=", "Rows=2"),
        *("limit=٣", "StudyDate=-", "a" * 300 + "=1", "&".join(f"x{n}=1" for n in range(300))),
    ],
)
async def test_what_is_not_understood_is_refused_and_never_dropped(house: House, query: str) -> None:
    async with house.client() as client:
        response = await client.get(f"/studies?{query}")
    assert response.status_code == 400, response.content
    assert set(response.json()) == {"code", "message"}


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("PatientBirthTime=1200", "PatientBirthTime"),
        ("Rows=2&PatientName=x*&Modality=CT", "Rows, Modality"),
        ("PatientId=191212121212", "PatientId"),
        ("00091001=x", "00091001"),
        ("RequestAttributesSequence.AccessionNumber=1", "RequestAttributesSequence.AccessionNumber"),
        ("StudyInstanceUID=2.25.10&Columns=*1", "Columns"),
    ],
)
async def test_an_attribute_that_is_not_matched_is_named_and_nothing_is_answered(
    house: House, query: str, names: str
) -> None:
    """Without its key the search would find more than its reader believes; a Warning alone is seldom shown."""
    await filled(house)
    async with house.client() as client:
        response = await client.get(f"/studies?{query}")
    told = f"These attributes are not supported as matching keys: {names}"
    assert (response.status_code, response.headers["warning"]) == (400, f'299 Samsyn "{told}"')
    assert response.json() == {"code": "not-supported", "message": f"{told}. Nothing was searched."}


@pytest.mark.parametrize(
    "query", ["PatientBirthTime=", "Rows=*", "00091001=", "RequestAttributesSequence.AccessionNumber="]
)
async def test_a_key_without_a_value_restricts_nothing_and_is_only_a_wish_to_be_told(
    house: House, query: str
) -> None:
    await filled(house)
    async with house.client() as client:
        plain = await client.get("/studies")
        assert len((await client.get(f"/studies?{query}")).json()) == len(plain.json())


async def test_a_field_of_a_newer_dictionary_restricts_nothing_and_is_told(house: House) -> None:
    await filled(house)
    async with house.client() as client:
        plain = await client.get("/studies")
        asked = await client.get("/studies?includefield=NoSuchKeyword,StudyDescription,00091001")
    assert len(asked.json()) == len(plain.json())
    assert asked.headers["warning"] == '299 Samsyn "These fields are not answered: 00091001, NoSuchKeyword"'


async def test_a_too_long_query_is_refused(house: House) -> None:
    async with house.client() as client:
        response = await client.get("/studies?PatientName=" + "a" * 40_000)
    assert response.status_code == 414


async def test_parameters_that_are_no_attributes_are_ignored_and_told(house: House) -> None:
    await filled(house)
    async with house.client() as client:
        plain = await client.get("/studies")
        foreign = await client.get("/studies?_=1&orderby=-StudyDate&orderby=PatientName&x=%0d%0a&limit=1000")
        many = await client.get("/studies?" + "&".join(f"x{n}{'y' * 60}=1" for n in range(200)))
    assert foreign.json() == plain.json()
    assert foreign.headers["warning"] == '299 Samsyn "These parameters are not supported: _, orderby, x"'
    assert "warning" not in plain.headers
    assert many.status_code == 200
    assert len(many.headers["warning"]) < 1_000


@pytest.mark.parametrize("query", ["&", "&&limit=1000", "limit=1000&", "PatientName", "includefield="])
async def test_what_says_nothing_asks_for_nothing(house: House, query: str) -> None:
    await filled(house)
    async with house.client() as client:
        plain = await client.get("/studies")
        assert (await client.get(f"/studies?{query}")).json() == plain.json()


async def test_a_key_of_the_path_can_not_stand_in_the_query_too(house: House) -> None:
    async with house.client() as client:
        response = await client.get("/studies/2.25.10/series?StudyInstanceUID=2.25.20")
    assert response.status_code == 400


async def test_that_there_is_more_is_told_by_a_warning(house: House) -> None:
    await filled(house)
    told = '299 Samsyn "There are additional results that can be requested."'
    async with house.client() as client:
        count = len((await client.get("/instances")).json())
        for query, is_more in (
            ("limit=2", True),
            (f"limit={count - 1}", True),
            (f"limit={count}", False),
            (f"limit=1&offset={count - 2}", True),
            (f"limit=1&offset={count - 1}", False),
            (f"limit=1&offset={count}", False),
            ("limit=0", True),
            ("limit=5000", False),
        ):
            answer = await client.get(f"/instances?{query}")
            assert answer.headers.get("warning") == (told if is_more else None), query
    assert parse_search(Level.STUDY, b"limit=5000", {}).query.limit == MAX_SEARCH_ROWS + 1


async def test_another_providers_studies_are_not_found_by_a_system(house: House) -> None:
    await filled(house)
    assert await answer(house, "/studies", "KLARAWEB") == []
    assert await answer(house, "/studies?StudyInstanceUID=2.25.10", "KLARAWEB") == []
    async with house.client("KLARAWEB") as client:
        hidden = await client.get("/studies/2.25.10/metadata")
        absent = await client.get("/studies/2.25.99/metadata")
    assert (
        (hidden.status_code, hidden.content) == (absent.status_code, absent.content) == (404, hidden.content)
    )
    assert hidden.headers == absent.headers


async def test_staff_with_a_token_search_about_one_person(house: House) -> None:
    await filled(house)
    house.people["doctor"] = subject_like(house, "NORDWEB", kind=SubjectKind.STAFF, session_id="s1")
    async with house.client("doctor") as client:
        assert (await client.get("/studies")).status_code == 403
        assert (await client.get("/studies?PatientID=*")).status_code == 403
        # No care relation: an empty list, not a refusal that would tell that something is there.
        assert (await client.get("/studies?PatientID=191212121212")).status_code == 204
        assert (await client.get("/studies?PatientID=nobody")).status_code == 204


async def test_every_search_is_in_the_audit_journal(house: House) -> None:
    await filled(house)
    await answer(house, "/studies?PatientID=191212121212")
    events = [event for (event,) in house.rows("SELECT event FROM audit")]
    assert "SEARCH" in events


async def test_without_login_nothing_is_told(house: House) -> None:
    async with house.client("") as client:
        for path in ("/studies", "/studies/2.25.10", "/studies/2.25.10/metadata", "/wado"):
            response = await client.get(path)
            assert response.status_code == 401, path
            assert response.headers["www-authenticate"] == "Bearer"
    async with house.client("", Authorization="Basic YTpi") as client:
        assert (await client.get("/studies")).status_code == 401


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["PatientName", "StudyDate", "limit", "offset", "includefield", "0020000D", "x", ""]
            ),
            st.text("0123456789-*?%_\\,.;'\"()|Åä &=", max_size=12),
        ),
        max_size=5,
    ),
    st.sampled_from([Level.STUDY, Level.SERIES, Level.IMAGE]),
)
def test_any_query_string_is_parsed_or_refused(pairs: list[tuple[str, str]], level: Level) -> None:
    from urllib.parse import quote

    text = "&".join(f"{name}={quote(value)}" for name, value in pairs)
    try:
        search = parse_search(level, text.encode(), {})
    except SamsynError:
        return
    assert search.query.limit <= MAX_SEARCH_ROWS + 1


async def test_a_protected_name_is_withheld_and_nothing_is_told_by_whether_it_matches(house: House) -> None:
    await filled(house)

    def protect(transaction: Any) -> None:
        transaction.update("patient", {"name": "Testperson^Agda"}, protected=1)

    await house.store.commit(protect)
    rows = await answer(house, "/studies?PatientID=199001012385")
    assert rows[0]["00100010"]["Value"] == [{"Alphabetic": "Skyddad^Identitet"}]
    assert await answer(house, "/studies?PatientName=Testperson*") == []
    assert await answer(house, "/studies?PatientName=Skyddad*") == []
    assert len(await answer(house, "/studies?PatientName=T*")) == 2
