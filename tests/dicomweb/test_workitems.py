"""UPS-RS: sending that is asked for, followed and cancelled by workitems."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import orjson
import pytest

from samsyn.clock import SystemClock
from samsyn.dicom.native_xml import model_to_xml
from samsyn.endpoints.dicomweb.workitems.question import parse_question
from samsyn.endpoints.dicomweb.workitems.refused import NOT_OFFERED
from samsyn.exchange.sending import SEND_JOB
from samsyn.jobs.queue import Worker
from tests.dicomweb.house import CT, House, image_file, store
from tests.dimse.peers import Peer
from tests.waiting import PATIENCE_S

MODEL = {"Content-Type": "application/dicom+json"}


def element(vr: str, value: object) -> dict[str, object]:
    return {"vr": vr, "Value": [value]}


def workitem(
    study: str = "2.25.10", destination: str = "SINK", series: str = "", **more: Any
) -> dict[str, Any]:
    asked = {"0020000D": element("UI", study)}
    if series:
        asked["0020000E"] = element("UI", series)
    storage = element("SQ", {"21000140": element("AE", destination)})
    return {
        "00404021": element("SQ", asked),
        "00404070": element("SQ", {"00404071": storage}),
        "00741000": element("CS", "SCHEDULED"),
        **more,
    }


async def create(client: httpx.AsyncClient, model: Any, uid: str = "") -> httpx.Response:
    return await client.post(f"/workitems{f'?{uid}' if uid else ''}", json=[model], headers=MODEL)


def state_of(model: dict[str, Any]) -> str:
    return str(model["00741000"]["Value"][0])


@pytest.fixture
async def full(house: House) -> House:
    async with house.client() as client:
        await store(client, [image_file(number) for number in (1, 2, 3)])
    return house


async def test_what_is_asked_for_arrives_and_the_workitem_tells_how_far_it_is(full: House) -> None:
    async with full.client() as client, Peer("SINK", [CT], full.sink_port) as sink:
        made = await create(client, workitem())
        assert (made.status_code, made.content) == (201, b"")
        address = made.headers["location"].removeprefix("http://samsyn.test/dicomweb")
        [before] = (await client.get(address)).json()
        assert state_of(before) == "SCHEDULED"
        [told] = before["00404021"]["Value"]
        assert told["0020000D"]["Value"] == ["2.25.10"]
        assert (list(before), list(told)) == (sorted(before), sorted(told)), "ascending (PS3.18 F.2.2)"
        worker = Worker(full.store, SystemClock(), {SEND_JOB: full.sending.work})
        worker.start()
        async with asyncio.timeout(PATIENCE_S):
            while state_of((await client.get(address)).json()[0]) != "COMPLETED":
                await asyncio.sleep(0.05)
        await worker.stop()
        assert sink.arrived.qsize() == 3
        [after] = (await client.get(address)).json()
        progress = after["00741002"]["Value"][0]
        assert progress["00741004"]["Value"] == ["100"]
        assert progress["00741006"]["Value"] == ["3 of 3 instances sent"]
        late = await client.post(f"{address}/cancelrequest")
        assert late.status_code == 409
        assert "already COMPLETED" in late.headers["warning"]


async def test_the_asker_may_name_the_workitem_once(full: House) -> None:
    async with full.client() as client:
        assert (
            (await create(client, workitem(), "2.25.77")).headers["location"].endswith("/workitems/2.25.77")
        )
        assert (await create(client, workitem(), "2.25.77")).status_code == 409
        for odd in ("no.uid", "workitem=no.uid", "workitem=2.25.79&x=1"):
            assert (await create(client, workitem(), odd)).status_code == 400
        named = await create(client, workitem(), "workitem=2.25.78")
        assert named.headers["location"].endswith("/workitems/2.25.78")
        [model] = (await client.get("/workitems/2.25.77")).json()
        assert model["00080018"]["Value"] == ["2.25.77"]


async def test_workitems_are_found_by_their_state_and_cancelled(full: House) -> None:
    async with full.client() as client:
        assert (await client.get("/workitems")).status_code == 204
        for uid in ("2.25.71", "2.25.72"):
            await create(client, workitem(), uid)
        cancelled = await client.post("/workitems/2.25.71/cancelrequest")
        assert cancelled.status_code == 202
        again = await client.post("/workitems/2.25.71/cancelrequest")
        assert again.status_code == 409
        assert "already in the requested state" in again.headers["warning"]

        async def found(query: str) -> list[str]:
            answer = await client.get(f"/workitems{query}")
            return [m["00080018"]["Value"][0] for m in answer.json()] if answer.status_code == 200 else []

        assert await found("?ProcedureStepState=CANCELED") == ["2.25.71"]
        assert await found("?00741000=SCHEDULED") == ["2.25.72"]
        assert await found("?ProcedureStepState=COMPLETED") == []
        assert await found("") == ["2.25.72", "2.25.71"]
        assert await found("?limit=1&offset=1") == ["2.25.71"]
        assert (await client.get("/workitems?PatientName=x")).status_code == 400
        xml = await client.get(
            "/workitems/2.25.71", headers={"Accept": 'multipart/related; type="application/dicom+xml"'}
        )
        assert (xml.status_code, b"CANCELED" in xml.content) == (200, True)
        assert xml.headers["content-type"].startswith('multipart/related; type="application/dicom+xml"')


async def test_a_workitem_of_one_series_names_it_and_is_found_by_it(full: House) -> None:
    async with full.client() as client:
        xml = model_to_xml(workitem(series="2.25.11"))
        kind = {"Content-Type": "application/dicom+xml"}
        assert (await client.post("/workitems?2.25.71", content=xml, headers=kind)).status_code == 201
        assert (await create(client, workitem(), "2.25.72")).status_code == 201
        named = {}
        for model in (await client.get("/workitems")).json():
            [told] = model["00404021"]["Value"]
            assert list(told) == sorted(told)
            named[model["00080018"]["Value"][0]] = told.get("0020000E", {}).get("Value")
        assert named == {"2.25.71": ["2.25.11"], "2.25.72": None}
        found = await client.get("/workitems?InputInformationSequence.SeriesInstanceUID=2.25.11")
        assert [each["00080018"]["Value"] for each in found.json()] == [["2.25.71"]]


NOW = datetime.now(UTC)
DAY, LATER = (each.strftime("%Y%m%d") for each in (NOW, NOW + timedelta(days=2)))


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("", 2),
        ("SOPInstanceUID=2.25.71", 1),
        ("SOPInstanceUID=2.25.71,2.25.72,2.25.73", 2),
        ("00080018=2.25.73", 0),
        ("00404021.0020000D=2.25.10", 2),
        ("InputInformationSequence.StudyInstanceUID=2.25.11", 0),
        ("ScheduledProcedureStepPriority=MEDIUM", 2),
        ("ScheduledProcedureStepPriority=HIGH", 0),
        ("ProcedureStepLabel=Send%20to%20S*", 2),
        ("ProcedureStepLabel=send*", 0),
        ("ProcedureStepLabel=Send%20to%20SIN?", 2),
        ("ProcedureStepLabel=*", 2),
        ("WorklistLabel=Samsyn&InputReadinessState=READY&ProcedureStepState=", 2),
        (f"ScheduledProcedureStepStartDateTime={NOW.year - 1}-{NOW.year + 1}", 2),
        (f"ScheduledProcedureStepStartDateTime={LATER}-", 0),
        (f"ScheduledProcedureStepStartDateTime=-{LATER}000000%2B0100", 2),
        (f"ScheduledProcedureStepStartDateTime={NOW.year - 1}", 0),
        ("includefield=all&fuzzymatching=true&limit=10&_=1", 2),
        ("limit=1", 1),
    ],
)
async def test_workitems_are_found_by_what_they_say(full: House, query: str, count: int) -> None:
    async with full.client() as client:
        for uid in ("2.25.71", "2.25.72"):
            await create(client, workitem(), uid)
        answer = await client.get(f"/workitems?{query}")
    assert answer.status_code == (200 if count else 204), answer.content
    assert len(answer.json() if count else []) == count
    told = {"limit=1": "There are additional results that can be requested.", "_=1": "not supported: _"}
    warning = next((words for end, words in told.items() if query.endswith(end)), "")
    assert warning in answer.headers.get("warning", "")
    assert bool(warning) is ("warning" in answer.headers)


@pytest.mark.parametrize(
    "query",
    [
        *("PatientName=x", "Nonsense=1", "limit=-1", "limit=1&limit=2", "fuzzymatching=1"),
        *("SOPInstanceUID=..", "SOPInstanceUID=2.25.1&00080018=2.25.1", "ProcedureStepState=DONE"),
        *(
            f"ScheduledProcedureStepStartDateTime={each}"
            for each in ("-", "2026x", "20261301", "20260230-", "2026.5-")
        ),
        *("ProcedureStepLabel=" + "a" * 2_000, "%ff=1", "&".join(f"x{n}=1" for n in range(65))),
    ],
)
async def test_a_question_that_is_not_understood_is_refused(full: House, query: str) -> None:
    async with full.client() as client:
        assert (await client.get(f"/workitems?{query}")).status_code == 400
        assert (await client.get(f"/workitems?x={'a' * 40_000}")).status_code == 414


@pytest.mark.parametrize(
    ("asked", "moment", "is_found"),
    [
        ("20261127200000+0100", "20261127190000+0000", True),
        ("20261127200000-0100", "20261127210000+0000", True),
        ("202611272000", "20261127190059+0000", True),
        ("202611272000", "20261127190100+0000", False),
        ("2026-2027", "20261231225959+0000", True),
        ("2026-2027", "20271231230000+0000", False),
        ("20261127-0500", "20261128045959+0000", True),
        ("20261127-0200-20261127-0200", "20261128020000+0000", False),
        ("-20240229", "20240229225959+0000", True),
    ],
)
def test_moments_are_compared_in_their_zones(asked: str, moment: str, is_found: bool) -> None:
    query = f"ScheduledProcedureStepStartDateTime={asked.replace('+', '%2B')}".encode()
    assert parse_question(query).finds({"00404005": element("DT", moment)}) is is_found


async def test_nobody_else_sees_or_ends_a_workitem(full: House) -> None:
    async with full.client() as client:
        await create(client, workitem(), "2.25.71")
    async with full.client("KLARAWEB") as other:
        assert (await other.get("/workitems")).status_code == 204
        assert (await other.get("/workitems/2.25.71")).status_code == 404
        assert (await other.post("/workitems/2.25.71/cancelrequest")).status_code == 404
        hidden = await create(other, workitem())
        absent = await create(other, workitem("2.25.9999"))
        assert (hidden.status_code, hidden.content) == (absent.status_code, absent.content)
        assert (
            hidden.status_code == 403
        )  # nothing is sent to another provider's archive, whatever there is to send
    async with full.client("") as nobody:
        assert (await nobody.get("/workitems")).status_code == 401


@pytest.mark.parametrize(
    ("model", "status"),
    [
        (workitem(destination="NOBODY"), 403),
        (workitem(destination=""), 400),
        (workitem(study="1..2"), 400),
        (workitem(**{"00741000": element("CS", "COMPLETED")}), 400),
        (workitem(**{"00404021": {"vr": "SQ"}}), 400),
        (workitem(**{"00404021": {"vr": "SQ", "Value": "x"}}), 400),
        (workitem(**{"00404070": element("SQ", {"00404072": element("SQ", {})})}), 400),
        (workitem(series="2.25.404"), 404),
        ({}, 400),
    ],
)
async def test_what_can_not_be_done_is_refused_and_leaves_no_work(
    full: House, model: Any, status: int
) -> None:
    async with full.client() as client:
        refused = await create(client, model)
        assert (refused.status_code, refused.headers["content-type"]) == (status, "application/json")
        assert (await client.get("/workitems")).status_code == 204
        assert (await client.post("/workitems", content=b"[]", headers=MODEL)).status_code == 400
        for kind, refusal in (("application/dicom+xml", 400), ("text/xml", 415)):
            other = {"Content-Type": kind}
            assert (await client.post("/workitems", content=b"<x/>", headers=other)).status_code == refusal


IN_PAYLOAD = {"00080018": element("UI", "2.25.91")}


@pytest.mark.parametrize(
    ("query", "more", "named"),
    [
        ("", IN_PAYLOAD, "2.25.91"),
        ("", {"00001000": element("UI", "2.25.91")}, "2.25.91"),
        ("2.25.91", IN_PAYLOAD, "2.25.91"),
        ("AffectedSOPInstanceUID=2.25.91", {}, "2.25.91"),
        ("2.25.92", IN_PAYLOAD, ""),
        ("", {"00080018": element("UI", "no.uid")}, ""),
    ],
)
async def test_a_workitem_that_names_itself_keeps_its_uid_or_is_refused(
    full: House, query: str, more: dict[str, Any], named: str
) -> None:
    """An asker who named it (PS3.18 11.4.1.1) would else look for work that is called otherwise."""
    async with full.client() as client:
        made = await create(client, workitem(**more), query)
        if not named:
            assert made.status_code == 400
            assert (await client.get("/workitems")).status_code == 204
            return
        assert (made.status_code, made.headers["location"].rpartition("/")[2]) == (201, named)
        assert "warning" not in made.headers
        assert (await client.get(f"/workitems/{named}")).status_code == 200


@pytest.mark.parametrize(
    "more",
    [
        {"00741200": element("CS", "HIGH")},
        {"00741204": element("LO", "My own words")},
        {
            "00404070": element(
                "SQ",
                {
                    "00404071": element(
                        "SQ", {"21000140": element("AE", "SINK"), "00080054": element("AE", "X")}
                    )
                },
            )
        },
        {"00100010": {"vr": "PN", "Value": [{"Alphabetic": "Tolvansson^Tolvan"}]}},
    ],
)
async def test_what_a_workitem_does_not_keep_of_what_was_sent_is_told(
    full: House, more: dict[str, Any]
) -> None:
    async with full.client() as client:
        made = await create(client, workitem(**more))
        plain = await create(
            client, workitem(**{"00741200": element("CS", "MEDIUM"), "00741204": {"vr": "LO"}})
        )
    assert (made.status_code, plain.status_code) == (201, 201)
    assert made.headers["warning"] == '299 Samsyn "The Workitem was created with modifications."'
    assert "warning" not in plain.headers


async def test_a_workitem_that_has_not_changed_is_not_sent_again(full: House) -> None:
    async with full.client() as client:
        address = (await create(client, workitem(), "2.25.71")).headers["location"]
        for accept in ("application/dicom+json", 'multipart/related; type="application/dicom+xml"'):
            first = await client.get(address, headers={"Accept": accept})
            asked = {"Accept": accept, "If-None-Match": first.headers["etag"]}
            same = await client.get(address, headers=asked)
            assert (same.status_code, same.content) == (304, b"")
        await client.post(f"{address}/cancelrequest")
        assert (await client.get(address, headers=asked)).status_code == 200


CLAIM = {"00741000": element("CS", "IN PROGRESS"), "00081195": element("UI", "2.25.1")}
MISSING, INCORRECT = "The Transaction UID is missing.", "The Transaction UID is incorrect."
INCONSISTENT = "The submitted request is inconsistent with the state of the UPS Instance."


@pytest.mark.parametrize("is_cancelled", [False, True])
@pytest.mark.parametrize(
    ("asked", "status", "warning"),
    [
        (CLAIM, 409, INCONSISTENT),
        ({**CLAIM, "00741000": element("CS", "COMPLETED")}, 400, INCORRECT),
        ({**CLAIM, "00741000": element("CS", "CANCELED")}, 400, INCORRECT),
        ({**CLAIM, "00741000": element("CS", "SCHEDULED")}, 400, INCONSISTENT),
        ({"00741000": element("CS", "IN PROGRESS")}, 400, MISSING),
        ({"00741000": element("CS", "CANCELED"), "00081195": {"vr": "UI"}}, 400, MISSING),
    ],
)
async def test_nobody_else_changes_a_workitems_state(
    full: House, is_cancelled: bool, asked: dict[str, Any], status: int, warning: str
) -> None:
    """PS3.18 table 11.7.3-1 and its Warnings."""
    async with full.client() as client:
        address = (await create(client, workitem(), "2.25.71")).headers["location"]
        if is_cancelled:
            await client.post(f"{address}/cancelrequest")
        before = (await client.get(address)).json()
        for body, kind in (
            (orjson.dumps([asked]), MODEL),
            (model_to_xml(asked), {"Content-Type": "application/dicom+xml"}),
        ):
            answer = await client.put(f"{address}/state", content=body, headers=kind)
            assert (answer.status_code, answer.headers["warning"]) == (status, f'299 Samsyn "{warning}"')
        assert (await client.get(address)).json() == before
        assert (await client.put(f"{address}/state", content=b"x", headers=MODEL)).status_code == 400
        assert (await client.put(f"{address}/state", content=b"x")).status_code in (400, 415)


async def test_a_workitem_is_not_changed_after_it_was_asked_for(full: House) -> None:
    async with full.client() as client:
        address = (await create(client, workitem(), "2.25.71")).headers["location"]
        waiting = await client.post(
            f"{address}?2.25.1", json=[{"00741204": element("LO", "x")}], headers=MODEL
        )
        assert (waiting.status_code, waiting.headers["warning"]) == (
            409,
            '299 Samsyn "The target URI did not reference a claimed Workitem."',
        )
        await client.post(f"{address}/cancelrequest")
        over = await client.post(address, json=[{}], headers=MODEL)
        assert over.status_code == 400
        assert "inconsistent with the current state of the Workitem" in over.headers["warning"]


@pytest.mark.parametrize(
    ("method", "path", "status", "words"),
    [
        ("POST", "/workitems/2.25.71/subscribers/WATCH", 403, "Subscriptions are not supported"),
        (
            "POST",
            "/workitems/1.2.840.10008.5.1.4.34.5/subscribers/WATCH?deletionlock=true",
            403,
            "Subscriptions are not",
        ),
        (
            "POST",
            "/workitems/1.2.840.10008.5.1.4.34.5.1/subscribers/A%20B?filter=x",
            403,
            "Filtered Worklist Subscriptions",
        ),
        ("DELETE", "/workitems/2.25.71/subscribers/WATCH", 404, "no such Subscription"),
        (
            "POST",
            "/workitems/1.2.840.10008.5.1.4.34.5/subscribers/WATCH/suspend",
            404,
            "no such Subscription",
        ),
        ("GET", "/subscribers/WATCH", 501, "Notification connections are not supported"),
    ],
)
async def test_who_wants_to_be_notified_is_told_in_the_standards_words_that_nobody_is(
    full: House, method: str, path: str, status: int, words: str
) -> None:
    async with full.client() as client:
        await create(client, workitem(), "2.25.71")
        answer = await client.request(method, path)
        assert answer.status_code == status
        assert words in answer.headers["warning"]
    async with full.client("") as nobody:
        assert (await nobody.request(method, path)).status_code == 401


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/workitems/no.uid/subscribers/WATCH", 400),
        ("POST", "/workitems/2.25.71/subscribers/", 400),
        ("POST", "/workitems/2.25.71/subscribers/SEVENTEEN-LETTERS", 400),
        ("POST", "/workitems/2.25.71/subscribers/WATCH/other", 404),
        ("GET", "/workitems/2.25.71/subscribers/WATCH", 404),
        ("GET", "/subscribers", 400),
        ("POST", "/rejected/workitems/2.25.71/subscribers/WATCH", 404),
    ],
)
async def test_other_addresses_of_subscriptions_are_none(
    full: House, method: str, path: str, status: int
) -> None:
    async with full.client() as client:
        await create(client, workitem(), "2.25.71")
        assert (await client.request(method, path)).status_code == status


async def test_what_is_not_offered_tells_nothing_of_the_workitems_of_others(full: House) -> None:
    async with full.client() as client:
        await create(client, workitem(), "2.25.71")
    answers = []
    async with full.client("KLARAWEB") as other:
        for uid in ("2.25.71", "2.25.72"):
            answers.append(
                [
                    (each.status_code, each.content)
                    for each in (
                        await other.put(f"/workitems/{uid}/state", json=[CLAIM], headers=MODEL),
                        await other.post(f"/workitems/{uid}", json=[{}], headers=MODEL),
                        await other.post(f"/workitems/{uid}/subscribers/WATCH"),
                        await other.delete(f"/workitems/{uid}/subscribers/WATCH"),
                    )
                ]
            )
    assert answers[0] == answers[1]
    assert {status for status, _ in answers[0]} == {404}


async def test_a_key_that_workitems_do_not_have_is_named_and_more_than_can_be_looked_at_is_told(
    full: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with full.client() as client:
        for number in range(3):
            await create(client, workitem(), f"2.25.7{number}")
        for query in ("ScheduledStationNameCodeSequence.CodeValue", "NoSuchKeyword"):
            refused = await client.get(f"/workitems?{query}=x")
            assert refused.status_code == 400
            assert refused.headers["warning"].endswith(f'matching keys: {query}"')
        assert "warning" not in (await client.get("/workitems?ProcedureStepState=SCHEDULED")).headers
        monkeypatch.setattr("samsyn.endpoints.dicomweb.workitems.worklist.MAX_SEARCH_ROWS", 2)
        beyond = await client.get("/workitems?ProcedureStepState=COMPLETED")
        assert (beyond.status_code, "additional results" in beyond.headers["warning"]) == (204, True)


async def test_the_description_tells_what_is_not_offered(full: House) -> None:
    async with full.client() as client:
        told = (await client.options("/", headers={"Accept": "application/json"})).json()["notOffered"]
        wadl = (await client.options("/", headers={"Accept": "application/vnd.sun.wadl+xml"})).text
    assert len(told) == len(NOT_OFFERED) == 6
    for each in told:
        assert f"Not offered: {each['transaction']}" in wadl
        assert f"{each['method']} {each['path']}" in wadl
