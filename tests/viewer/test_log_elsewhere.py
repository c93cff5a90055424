"""The patient's page of readers with what the national log service tells, under the name of its source."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from samsyn.access.followup.elsewhere import Elsewhere
from samsyn.access.national.accesslogs import NationalAccessLogs
from samsyn.access.national.soap import SoapClient, tls
from samsyn.endpoints.viewer.routes import viewer_door
from tests.access.national_service import fault
from tests.access.soap_server import Certificates, a_soap_server
from tests.followup.test_elsewhere import LogService
from tests.viewer.house import a_house
from tests.viewer.test_pages import visible

pytestmark = pytest.mark.slow


async def test_the_page_asks_when_it_is_asked_and_says_what_the_service_answered(tmp_path: Path) -> None:
    certificates = Certificates(tmp_path)
    yesterday = datetime.now(UTC) - timedelta(days=1)
    service = LogService([(yesterday, "SE9990000008-0001", "SE9990000008-1001", "SE9990000008-9")])
    async with a_house(tmp_path) as house, a_soap_server(certificates, service.respond) as address:
        context = tls(certificates.client, certificates.client_key, certificates.ca)
        client = SoapClient(httpx.AsyncClient(verify=context), address, "SE165565594230-1000")
        elsewhere = Elsewhere(house.store, house.clock, NationalAccessLogs(client))
        house.application.router.routes[:] = viewer_door(replace(house.deps, elsewhere=elsewhere)).routes
        await house.fill(["tolvan"])
        async with await house.as_patient("tolvan") as client_of_tolvan:
            page = await client_of_tolvan.get("/mine/log")
            assert "Hämta från den nationella loggtjänsten" in visible(page)
            assert service.asked == []
            page = await client_of_tolvan.get("/mine/log?elsewhere=1")
            assert "Åby sjukhus" in visible(page)
            assert "Bo Berg" not in visible(page)
            told = (await client_of_tolvan.get("/mine/log.json?elsewhere=1")).json()["elsewhere"]
            assert (told["source"], told["state"], len(told["lines"])) == ("national-log-service", "ready", 1)
            assert (await client_of_tolvan.get("/mine/log.pdf?elsewhere=1")).content.startswith(b"%PDF")
            service.answer = fault()
            page = await client_of_tolvan.get("/mine/log?elsewhere=1")
            assert "kunde inte nås" in visible(page)
            assert "Vem har läst" in visible(page)
        await elsewhere.close()
