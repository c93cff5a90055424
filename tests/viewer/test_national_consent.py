"""What the page says while consents have their master in the national register: taken, not taken, ended, away."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import httpx
import pytest

from samsyn.access.national.connected import ConnectedMasters
from samsyn.access.national.consent import ConsentContract
from samsyn.access.national.copies import Pace
from samsyn.access.national.soap import SoapClient, tls
from samsyn.errors import OutOfResources
from samsyn.model.national import Register
from tests.access.grant_service import GrantService, a_grant_service
from tests.access.national_service import fault
from tests.access.soap_server import Certificates
from tests.viewer.house import House, a_house
from tests.viewer.test_pages import post, related, visible

pytestmark = pytest.mark.slow

LINDEN = "SE9990000004-0001"
FIELDS = {"scope": "unit", "channel": "phone", "starts": "", "ends": ""}


@asynccontextmanager
async def connected(folder: Path) -> AsyncIterator[tuple[House, GrantService, ConnectedMasters]]:
    certificates = Certificates(folder)
    async with a_house(folder) as house, a_grant_service(certificates) as service:
        context = tls(certificates.client, certificates.client_key, certificates.ca)
        http = httpx.AsyncClient(verify=context)
        contract = ConsentContract(SoapClient(http, service.address, "SE165565594230-1000"))
        registers = house.gatekeeper.registers
        pace = Pace(60.0, timedelta(seconds=600), timedelta(seconds=0.5))
        masters = ConnectedMasters(house.store, house.clock, registers, [contract], [LINDEN], pace)
        registers.connect(masters)
        await house.fill(["tolvan"])
        yield house, service, masters
        await masters.stop()


async def test_the_page_says_what_the_register_answered(tmp_path: Path) -> None:
    async with connected(tmp_path) as (house, service, masters), house.logged_in("gp") as client:
        base = await related(client)
        copy = masters.copy(Register.CONSENT)
        assert copy is not None
        assert "Samtyckestjänsten kan inte nås" in visible(await client.get(base))
        assert "Ultraljud, patientnära" in visible(await client.get(base))
        form = await client.get(f"{base}ground/consent")
        service.answer = fault()
        answer = await post(client, form, f"{base}ground/consent", **FIELDS)
        assert answer.status_code == 503
        assert "Samtycket är inte registrerat" in visible(answer)
        service.answer, service.changing = None, "VALIDATION_ERROR"
        answer = await post(client, form, f"{base}ground/consent", **FIELDS)
        assert answer.status_code == 409
        assert "tog inte emot samtycket" in visible(answer)
        assert not service.given
        service.changing = "OK"
        await copy.read(LINDEN)
        answer = await post(client, form, f"{base}ground/consent", **FIELDS)
        assert answer.headers["location"] == f"{base}#more"
        assert [each.unit for each in service.given.values()] == ["SE9990000004-1001"]
        page = await client.get(base)
        assert "Samtyckestjänsten kan inte nås" not in visible(page)
        assert "Nordsjukhuset" in page.text
        assert "i samtyckestjänsten" in visible(page)
        chosen = re.findall(r'name="chosen" value="([^"]+)"', page.text)
        await post(client, page, f"{base}reveal/choose-providers", chosen=chosen)
        page = await client.get(base)
        assert "Ekokardiografi" in page.text
        service.answer = fault()
        consent = re.search(r'name="consent" value="([^"]+)"', page.text)[1]  # type: ignore[index]
        answer = await post(client, page, f"{base}ground/end", consent=consent, how="withdraw")
        assert answer.headers["location"] == f"{base}?untold=1#more"
        page = await client.get(answer.headers["location"].partition("#")[0])
        assert "Samtyckestjänsten har inte fått veta det än" in visible(page)
        assert "Ekokardiografi" not in page.text
        with pytest.raises(OutOfResources):
            await copy.read(LINDEN)
