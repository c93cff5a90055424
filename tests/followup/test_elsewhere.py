"""Accesses told by the national log service, over real SOAP: ready, queued, too many, away, and never twice."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from samsyn import limits
from samsyn.access.events import Event
from samsyn.access.followup.elsewhere import Elsewhere, Found
from samsyn.access.national.accesslogs import NationalAccessLogs
from samsyn.access.national.soap import SoapClient, tls
from samsyn.errors import NotAllowed
from tests.access.grant_service import check_order
from tests.access.house import House, a_house
from tests.access.national_service import PERSONNUMMER, SOAP, fault
from tests.access.people import FOREIGN, FOREIGN_UNIT, HIMSELF, NOW, OWN, UNIT, staff
from tests.access.soap_server import Certificates, a_soap_server
from tests.followup.test_review import did, logged_in, reader, reviewer

NAME = "GetAccessLogsForPatient"
RESPONDER = f"urn:riv:informationsecurity:auditing:log:{NAME}Responder:2"
CORE = "urn:riv:informationsecurity:auditing:log:2"
PATIENT = replace(HIMSELF, patient_key=1, hsa_id="patient-1")
NUMBER = "191212121212"
READER = "SE9990000001-77"


@dataclass
class LogService:
    """What it knows: (time, provider, unit, user); and how it behaves."""

    known: list[tuple[datetime, str, str, str]] = field(default_factory=list)
    queued_times: int = 0
    queue_time: str = "0"
    most: int = 10_000
    code: str = "OK"
    answer: Response | None = None
    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """(number, from, queued report id) of each call."""
    actions: list[str] = field(default_factory=list)
    made: int = 0

    async def respond(self, request: Request) -> Response:
        root = etree.fromstring(await request.body())
        body: Any = root.find(f"{{{SOAP}}}Body")[0]
        self.actions.append(request.headers["soapaction"].strip('"'))
        check_order(body, "patientId fromDate toDate queuedReportId?")
        since, until, report_id = (
            body.findtext(f"{{{RESPONDER}}}{name}") or "" for name in ("fromDate", "toDate", "queuedReportId")
        )
        self.asked.append((body.findtext(f"{{{RESPONDER}}}patientId/{{{CORE}}}extension"), since, report_id))
        if self.answer is not None:
            return self.answer
        if report_id and report_id != f"report-{self.made}":
            return self._say("REPORT_NOT_FOUND")
        if self.queued_times:
            self.queued_times -= 1
            if not report_id:
                self.made += 1
            code = "REPORT_IN_PROCESS" if report_id else "REPORT_ON_QUEUE"
            return self._say(
                code,
                f"<l:queuedReportId>report-{self.made}</l:queuedReportId><l:queueTime>{self.queue_time}</l:queueTime>",
            )
        first, last = datetime.fromisoformat(since), datetime.fromisoformat(until)
        found = [each for each in self.known if first <= each[0] < last]
        if len(found) > self.most:
            return self._say("MAX_QUERY_RESULT_EXCEEDED")
        if self.code != "OK":
            return self._say(self.code)
        logs = "".join(
            f"<l:accessLog><l:careProviderId>{provider}</l:careProviderId>"
            "<l:careProviderName>Åby sjukhus</l:careProviderName>"
            f"<l:careUnitId>{unit}</l:careUnitId><l:careUnitName>Medicin</l:careUnitName>"
            f"<l:accessDate>{time.isoformat()}</l:accessDate><l:userId>{user}</l:userId>"
            "<l:userName>Bo Berg</l:userName>"
            "<l:userTitle>Läkare</l:userTitle><l:purpose>Vård och behandling</l:purpose>"
            '<l:resourceType>Bilddiagnostik</l:resourceType><n:x xmlns:n="urn:newer"/></l:accessLog>'
            for time, provider, unit, user in found
        )
        return self._say("OK", more=f"<l:accesssLogs>{logs}</l:accesssLogs>")

    def _say(self, code: str, in_result: str = "", more: str = "") -> Response:
        text = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body><g:{NAME}Response xmlns:g="{RESPONDER}" xmlns:l="{CORE}">'
            f"<g:accessLogsResult><l:reportResult><l:result><l:resultCode>{code}</l:resultCode></l:result>{in_result}"
            f'</l:reportResult>{more}<n:later xmlns:n="urn:newer"/></g:accessLogsResult></g:{NAME}Response></s:Body>'
            "</s:Envelope>"
        )
        return Response(text.encode(), media_type="text/xml")


class Extracted:
    def __init__(self, house: House, service: LogService, elsewhere: Elsewhere) -> None:
        self.house, self.service, self.elsewhere = house, service, elsewhere


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def there(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Extracted]:
    service = LogService([(NOW - timedelta(days=3), FOREIGN, FOREIGN_UNIT, READER)])
    async with a_house(tmp_path) as house, a_soap_server(certificates, service.respond) as address:

        def numbers(transaction: Any) -> None:
            transaction.insert("patient_identifier", issuer=PERSONNUMMER, value=NUMBER, patient_key=1)

        await house.store.commit(numbers)
        context = tls(certificates.client, certificates.client_key, certificates.ca)
        client = SoapClient(httpx.AsyncClient(verify=context), address, "SE165565594230-1000")
        elsewhere = Elsewhere(house.store, house.clock, NationalAccessLogs(client), frozenset({FOREIGN}))
        yield Extracted(house, service, elsewhere)
        await elsewhere.close()


async def test_what_others_have_registered_is_told_by_the_patients_number(there: Extracted) -> None:
    told = await there.elsewhere.own(PATIENT)
    assert told.found is Found.READY
    assert [(each.provider, each.unit, each.user_name, each.resource) for each in told.accesses] == [
        (FOREIGN, FOREIGN_UNIT, "Bo Berg", "Bilddiagnostik")
    ]
    assert there.service.asked[0][0] == NUMBER
    assert there.service.actions == [f"{RESPONDER}:{NAME}"]
    assert (await there.house.events())[-1] == "READ_AUDIT"


async def test_staff_are_named_only_where_their_provider_names_them(there: Extracted) -> None:
    there.service.known.append((NOW - timedelta(days=2), "SE9990000008-0001", "SE9990000008-1001", READER))
    told = await there.elsewhere.own(PATIENT)
    assert [(each.user_name, each.user) for each in told.accesses] == [("", ""), ("Bo Berg", READER)]


async def test_what_we_told_the_service_ourselves_is_not_told_twice(there: Extracted) -> None:
    asa = reader("SE9990000001-1", "Åsa Öberg")
    await logged_in(there.house, asa)
    await did(there.house, asa, (Event.OPEN_IMAGES, 1))
    at = there.house.clock.now()
    there.service.known += [(at, OWN, UNIT, "SE9990000001-1"), (at, OWN, UNIT, "SE9990000001-2")]
    there.house.clock.move(10)
    told = await there.elsewhere.own(PATIENT)
    assert [each.unit for each in told.accesses] == [UNIT, FOREIGN_UNIT]


async def test_a_report_that_is_being_made_is_fetched_under_its_id_and_no_other_is_queued(
    there: Extracted,
) -> None:
    there.service.queued_times = 2
    told = await there.elsewhere.own(PATIENT)
    assert (told.found, len(told.accesses)) == (Found.READY, 1)
    assert [asked[2] for asked in there.service.asked] == ["", "report-1", "report-1"]
    assert there.service.made == 1


async def test_a_report_that_takes_long_is_fetched_by_the_next_question(
    there: Extracted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ACCESS_LOG_WAIT_S", 0.3)
    there.service.queued_times, there.service.queue_time = 3, "60"
    assert (await there.elsewhere.own(PATIENT)).found is Found.LATER
    there.service.queued_times = 0
    there.house.clock.move(60)
    assert (await there.elsewhere.own(PATIENT)).found is Found.READY
    assert there.service.asked[-1][2] == "report-1"
    assert {asked[1] for asked in there.service.asked} == {there.service.asked[0][1]}, "the same days"


async def test_a_report_that_is_gone_is_asked_for_anew_by_the_next_question(
    there: Extracted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "ACCESS_LOG_WAIT_S", 0.3)
    there.service.queued_times = 1
    there.service.queue_time = "60"
    assert (await there.elsewhere.own(PATIENT)).found is Found.LATER
    there.service.made += 1
    assert (await there.elsewhere.own(PATIENT)).found is Found.AWAY
    assert (await there.elsewhere.own(PATIENT)).found is Found.READY


async def test_more_than_is_told_at_once_is_asked_for_in_parts(there: Extracted) -> None:
    there.service.most = 3
    there.service.known = [
        (NOW - timedelta(days=2 * day + 1), FOREIGN, FOREIGN_UNIT, READER) for day in range(10)
    ]
    told = await there.elsewhere.own(PATIENT)
    assert (len(told.accesses), told.is_complete) == (10, True)
    assert [each.at for each in told.accesses] == sorted((each.at for each in told.accesses), reverse=True)
    there.service.known = [(NOW - timedelta(hours=1), FOREIGN, FOREIGN_UNIT, READER)] * 10
    told = await there.elsewhere.own(PATIENT)
    assert (len(told.accesses), told.is_complete) == (0, False)


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (fault(), "OK"),
        (Response(b"", 503), "OK"),
        (Response(b"nonsense", 200), "OK"),
        (None, "ACCESSDENIED"),
        (None, "VALIDATION_ERROR"),
        (None, "ERROR"),
    ],
    ids=["fault", "503", "nonsense", "access denied", "refused", "error"],
)
async def test_a_service_that_is_away_is_said_to_be(
    there: Extracted, answer: Response | None, code: str
) -> None:
    there.service.answer, there.service.code = answer, code
    told = await there.elsewhere.own(PATIENT)
    assert (told.found, told.accesses) == (Found.AWAY, ())


async def test_a_provider_hands_out_its_own_staffs_accesses_alone(there: Extracted) -> None:
    there.service.known.append((NOW - timedelta(days=2), OWN, UNIT, READER))
    told = await there.elsewhere.on_request(reviewer(), 1)
    assert [each.provider for each in told.accesses] == [OWN]
    assert (await there.house.events())[-1] == "EXPORT"


async def test_nobody_else_asks_and_whom_the_service_does_not_know_is_not_asked_for(there: Extracted) -> None:
    with pytest.raises(NotAllowed):
        await there.elsewhere.own(staff())
    with pytest.raises(NotAllowed):
        await there.elsewhere.on_request(staff(), 1)
    assert there.service.asked == []
    other = replace(PATIENT, patient_key=2)
    assert (await there.elsewhere.own(other)).found is Found.UNKNOWN
    assert there.service.asked == []
