"""Assignments from the staff directory at log-in, over real SOAP: what is in force, what is refused, what is chosen."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from lxml import etree
from starlette.requests import Request
from starlette.responses import Response

from samsyn import limits
from samsyn.access.authentication.claims import PersonLoggedIn
from samsyn.access.authentication.desk import LoginDesk
from samsyn.access.authentication.oidc import LoggedIn, Registration, RelyingParty
from samsyn.access.authentication.sessions import Session, Sessions
from samsyn.access.national.directory import HsaDirectory
from samsyn.access.national.soap import SoapClient, tls
from samsyn.errors import LimitExceeded, NotAuthenticated, NotFound, OutOfResources
from samsyn.model.subject import Scope, Subject, SubjectKind
from tests.access.house import House, a_house
from tests.access.national_service import SOAP, fault
from tests.access.people import ME, OWN, UNIT, staff
from tests.access.soap_server import Certificates, a_soap_server

NAME = "GetCredentialsForPersonIncludingProtectedPerson"
RESPONDER = f"urn:riv:infrastructure:directory:authorizationmanagement:{NAME}Responder:1"
CORE = "urn:riv:infrastructure:directory:authorizationmanagement:1"
ROLE = "<a:hsaSystemRole><a:systemId>{}</a:systemId><a:role>{}</a:role></a:hsaSystemRole>"


def commission(
    number: str = "5001",
    purpose: str = "Vård och behandling",
    unit: str = UNIT,
    provider: str = OWN,
    scope: str = "SJF",
    **dates: str,
) -> str:
    """A commission in the schema's order of elements."""

    def part(name: str, text: str) -> str:
        return f"<a:{name}>{text}</a:{name}>" if text else ""

    return (
        f"<a:commission><a:commissionName>Läkare {number}</a:commissionName>"
        f"<a:commissionHsaId>SE9990000004-{number}</a:commissionHsaId>"
        f"<a:commissionPurpose>{purpose}</a:commissionPurpose>"
        f"<a:commissionRight><a:activity>Läsa</a:activity><a:informationClass>UND</a:informationClass>"
        f"<a:scope>{scope}</a:scope></a:commissionRight>"
        + part("healthCareUnitHsaId", unit)
        + part("healthCareUnitName", "Linden mottagning")
        + part("healthCareUnitStartDate", dates.get("unit_starts", ""))
        + part("healthCareUnitEndDate", dates.get("unit_ends", ""))
        + f"<a:healthCareProviderHsaId>{provider}</a:healthCareProviderHsaId>"
        "<a:healthCareProviderName>Linden</a:healthCareProviderName>"
        "<a:healthCareProviderOrgNo>9990000004</a:healthCareProviderOrgNo>"
        + part("healthCareProviderStartDate", dates.get("starts", ""))
        + part("healthCareProviderEndDate", dates.get("ends", ""))
        + '<n:healthCareUnitEndDate xmlns:n="urn:riv:infrastructure:directory:authorizationmanagement:1.2">'
        "1999-01-01T00:00:00</n:healthCareUnitEndDate></a:commission>"
    )


@dataclass
class DirectoryService:
    """The directory on loopback."""

    commissions: list[str] = field(default_factory=lambda: [commission()])
    employee: str = ME
    protected: str = ""
    roles: str = ""
    answer: Response | None = None
    asked: list[Any] = field(default_factory=list)
    actions: list[str] = field(default_factory=list)

    async def respond(self, request: Request) -> Response:
        root = etree.fromstring(await request.body())
        body = root.find(f"{{{SOAP}}}Body")[0]
        self.actions.append(request.headers["soapaction"].strip('"'))
        self.asked.append([(etree.QName(each).localname, each.text) for each in body])
        if self.answer is not None:
            return self.answer
        text = (
            f'<s:Envelope xmlns:s="{SOAP}"><s:Body><g:{NAME}Response xmlns:g="{RESPONDER}" xmlns:a="{CORE}">'
            "<g:credentialInformation><a:givenName>Eva</a:givenName>"
            "<a:middleAndSurName>Maria Lindgren</a:middleAndSurName>"
            f"<a:personHsaId>{self.employee}</a:personHsaId>"
            "<a:healthCareProfessionalLicence>Läkare</a:healthCareProfessionalLicence>"
            f"{self.roles}<a:paTitleCode>201010</a:paTitleCode>"
            + (f"<a:protectedPerson>{self.protected}</a:protectedPerson>" if self.protected else "")
            + "".join(self.commissions)
            + "</g:credentialInformation><g:credentialInformation><a:middleAndSurName>Lindgren</a:middleAndSurName>"
            "<a:personHsaId>SE9990000001-9999</a:personHsaId>"
            + commission("5999", provider="SE9990000001-0001", unit="SE9990000001-1001")
            + f"</g:credentialInformation></g:{NAME}Response></s:Body></s:Envelope>"
        )
        return Response(text.encode(), media_type="text/xml")


class Party(RelyingParty):
    """An identity provider that has proved who it is already: what is tested comes after."""

    def __init__(self, http: httpx.AsyncClient, clock: Any) -> None:
        super().__init__(Registration("https://idp.example", "samsyn", "https://samsyn.example"), http, clock)
        self.who: Subject | PersonLoggedIn = staff()

    async def finish(self, *, state: str, code: str, binding: str, issuer: str = "") -> LoggedIn:
        return LoggedIn(self.who, "proof")


class Entrance:
    def __init__(
        self, house: House, address: str, certificates: Certificates, service: DirectoryService
    ) -> None:
        self.house, self.service = house, service
        self.http = httpx.AsyncClient(
            verify=tls(certificates.client, certificates.client_key, certificates.ca)
        )
        self.party = Party(self.http, house.clock)
        self.sessions = Sessions(house.clock)
        self.directory = HsaDirectory(SoapClient(self.http, address, "SE165565594230-1000"))
        self.desk = LoginDesk(self.party, self.sessions, house.gatekeeper, self._nobody, self.directory)

    async def _nobody(self, number: str) -> int | None:
        return 1 if number == "191212121212" else None

    async def enter(self, who: Subject | PersonLoggedIn | None = None) -> tuple[str, Session]:
        self.party.who = who or replace(staff(), assignment=None)
        return await self.desk.finish(state="", code="", binding="")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest_asyncio.fixture
async def door(tmp_path: Path, certificates: Certificates) -> AsyncIterator[Entrance]:
    service = DirectoryService()
    async with a_house(tmp_path) as house, a_soap_server(certificates, service.respond) as address:
        door = Entrance(house, address, certificates, service)
        yield door
        await door.http.aclose()


async def test_the_directory_says_what_the_assignment_gives_whatever_the_claims_say(door: Entrance) -> None:
    door.service.commissions = [commission(scope="VG")]
    assert staff().assignment.reading_scope() is Scope.CROSS_PROVIDER  # type: ignore[union-attr] # staff have one
    _, session = await door.enter(staff())
    own = session.subject.assignment
    assert own is not None
    assert (own.hsa_id, own.reading_scope(), own.provider_hsa_id, own.unit_hsa_id) == (
        "SE9990000004-5001", Scope.PROVIDER, OWN, UNIT,
    )  # fmt: skip
    assert session.subject.name == "Eva Maria Lindgren"
    assert door.service.asked == [[("personHsaId", ME)]]
    assert door.service.actions == [f"{RESPONDER}:{NAME}"]


@pytest.mark.parametrize(
    "told",
    [
        commission(unit_ends="2026-11-22T10:59:59"),
        commission(ends="2026-11-01T00:00:00"),
        commission(unit_starts="2026-12-01T00:00:00"),
        commission(starts="2027-01-01T00:00:00+01:00"),
        commission(unit_ends="soon"),
        commission(unit=""),
        commission(purpose="Nyfikenhet"),
        commission(purpose="Direktåtkomst"),
        commission("5002"),
    ],
    ids=["unit ended", "provider ended", "unit later", "provider later", "no time", "no unit", "unknown purpose",
         "the patient's own", "another"],
)  # fmt: skip
async def test_an_assignment_that_is_not_in_force_there_opens_nothing(door: Entrance, told: str) -> None:
    door.service.commissions = [told]
    with pytest.raises(NotAuthenticated):
        await door.enter(staff())
    assert len(door.sessions) == 0
    assert "LOGIN_REFUSED" in await door.house.events()


async def test_an_end_that_comes_during_the_session_ends_the_reading(door: Entrance) -> None:
    door.service.commissions = [commission(unit_ends="2026-11-22T12:00:00", ends="2026-12-31T00:00:00")]
    _, session = await door.enter()
    gate = door.house.gatekeeper
    await gate.registers.attest_relation(session.subject, 1)
    assert await door.house.shown(await gate.open_view(session.subject, frozenset({1}))) == {"own.1"}
    door.house.clock.move(3600)
    assert await door.house.shown(await gate.open_view(session.subject, frozenset({1}))) == set()


async def test_one_assignment_is_taken_and_of_several_one_is_chosen(door: Entrance) -> None:
    _, session = await door.enter()
    assert session.subject.assignment is not None
    assert session.choices == ()
    door.service.commissions = [commission(), commission("5002", purpose="Kvalitetssäkring")]
    secret, session = await door.enter()
    assert session.subject.assignment is None
    assert [each.hsa_id[-4:] for each in session.choices] == ["5001", "5002"]
    for wrong in ("SE9990000004-5999", ""):
        with pytest.raises(NotFound):
            await door.desk.choose(secret, wrong)
    chosen, after = await door.desk.choose(secret, "SE9990000004-5002")
    assert door.sessions.find(secret) is None
    assert door.sessions.find(chosen) == after
    assert after.subject.assignment is not None
    assert after.subject.assignment.hsa_id == "SE9990000004-5002"
    assert after.subject.session_id != session.subject.session_id
    assert (await door.house.events())[-2:] == ["LOGIN", "CHOOSE_ASSIGNMENT"]
    with pytest.raises(NotFound):
        await door.desk.choose(chosen, "SE9990000004-5001")


async def test_an_assignment_that_ends_while_one_is_chosen_can_not_be_chosen(door: Entrance) -> None:
    door.service.commissions = [commission(unit_ends="2026-11-22T11:01:00"), commission("5002")]
    secret, _ = await door.enter()
    door.house.clock.move(61)
    with pytest.raises(NotFound):
        await door.desk.choose(secret, "SE9990000004-5001")


async def test_protected_staff_log_in_and_their_name_is_for_nobody_else(door: Entrance) -> None:
    for told, protected in (("true", True), ("", False), ("false", False), ("perhaps", True)):
        door.service.protected = told
        _, session = await door.enter()
        assert session.subject.protected is protected
        assert bool(session.subject.told_name) is not protected


async def test_roles_are_the_directorys_and_ours_only(door: Entrance) -> None:
    door.service.roles = (
        ROLE.format("Samsyn", "steward")
        + ROLE.format("OTHER", "log-reviewer")
        + ROLE.format("SAMSYN", "king")
    )
    _, session = await door.enter(replace(staff(), roles=frozenset({"block-administrator"})))
    assert session.subject.roles == {"steward"}


async def test_another_hsa_ids_assignments_are_not_this_ones(door: Entrance) -> None:
    door.service.employee = "SE9990000004-9999"
    with pytest.raises(NotAuthenticated):
        await door.enter()
    door.service.employee = ME.lower()
    door.service.commissions = []
    with pytest.raises(NotAuthenticated):
        await door.enter()


@pytest.mark.parametrize(
    "answer",
    [fault(), Response(b"", 503), Response(b"nonsense", 200), Response(b"<a/>", 200)],
    ids=["fault", "503", "nonsense", "another document"],
)
async def test_without_the_directory_nobody_of_the_staff_gets_in(door: Entrance, answer: Response) -> None:
    door.service.answer = answer
    with pytest.raises(OutOfResources):
        await door.enter(staff())
    assert len(door.sessions) == 0
    _, session = await door.enter(PersonLoggedIn("191212121212", "Tolvan"))
    assert session.subject.kind is SubjectKind.PATIENT


async def test_more_assignments_than_anybody_has_are_refused(
    door: Entrance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MAX_ASSIGNMENTS", 2)
    door.service.commissions = [commission(str(number)) for number in range(3)]
    with pytest.raises(LimitExceeded):
        await door.enter()
