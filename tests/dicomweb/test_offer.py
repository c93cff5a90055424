"""What the door offers is told by itself, and nothing else is answered."""

from typing import Any

import pytest
from lxml import etree

from samsyn.endpoints.dicomweb.offer.resources import RESOURCES
from samsyn.endpoints.dicomweb.target import Target, target_of
from tests.dicomweb.house import House, image_file, store
from tests.dicomweb.test_workitems import create, workitem

VALUES = {
    "study": "2.25.10",
    "series": "2.25.11",
    "instance": "2.25.1001",
    "frames": "1",
    "path": "7FE00010",
    "workitem": "2.25.71",
}
VIEWER = "https://viewer.example"


async def ask(house: House, method: str, path: str, token: str = "NORDWEB", **headers: str) -> Any:
    sent = {name.replace("_", "-"): value for name, value in headers.items()}
    async with house.client(token) as client:
        return await client.request(method, path, headers={"Accept": "*/*", **sent})


async def test_every_address_of_the_table_is_there_and_takes_its_methods(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file()])
        await create(client, workitem(), VALUES["workitem"])
    for resource in RESOURCES.values():
        path = resource.path.format(**VALUES)
        described = await ask(house, "OPTIONS", path)
        assert described.status_code == 200
        assert described.headers["allow"] == ", ".join(resource.methods)
        assert (await ask(house, "PATCH", path)).status_code == 405
        if resource.reading and resource.parameters not in ("picture", "thumbnail", "uri"):
            got = await ask(house, "GET", path)
            assert got.status_code in (200, 204), (path, got.content)
            head = await ask(house, "HEAD", path)
            assert (head.status_code, head.content) == (got.status_code, b"")
            assert head.headers.get("content-type", "")[:20] == got.headers.get("content-type", "")[:20]


@pytest.mark.parametrize("path", ["/nonsense", "/studies/2.25.10/bulk", "/patients"])
async def test_no_other_address_is_answered(house: House, path: str) -> None:
    for method in ("GET", "OPTIONS", "POST", "PUT"):
        assert (await ask(house, method, path)).status_code == 404


@pytest.mark.parametrize("path", ["", "/"])
def test_the_service_itself_is_named_with_and_without_a_slash(path: str) -> None:
    assert target_of(path) == Target("", 0)


async def test_the_description_is_wadl_or_json_and_names_every_address(house: House) -> None:
    for method in ("GET", "OPTIONS"):
        for path in ("", "/"):
            wadl = await ask(house, method, path)
            assert wadl.headers["content-type"] == "application/vnd.sun.wadl+xml"
            found = etree.fromstring(wadl.content)
            names = found.xpath("//*[local-name()='resource']/@path")
            assert names == [each.path for each in RESOURCES.values()]
            assert found.find("{*}resources").get("base") == "http://samsyn.test/dicomweb"
    told = (await ask(house, "GET", "/", Accept="application/json")).json()
    assert [each["path"] for each in told["resources"]] == [each.path for each in RESOURCES.values()]
    [studies] = [each for each in told["resources"] if each["path"] == "/studies"]
    assert "POST" in studies["methods"]
    assert {"PatientID", "StudyDate", "limit"} <= studies["parameters"].keys()
    assert "SOPInstanceUID" not in studies["parameters"]
    assert (await ask(house, "GET", "/", Accept="text/html")).status_code == 406


@pytest.mark.parametrize("host", ["samsyn_web:8080", "samsyn.test", "[::1]:8080", "a" * 253])
async def test_a_host_may_have_any_name_that_addresses_have(house: House, host: str) -> None:
    told = (await ask(house, "GET", "/", Accept="application/json", Host=host)).json()
    assert told["base"] == f"http://{host}/dicomweb"


async def test_the_description_needs_no_login_and_names_nobody(house: House) -> None:
    anonymous = await ask(house, "OPTIONS", "/studies", token="")
    assert anonymous.status_code == 200
    assert (await ask(house, "GET", "/studies", token="")).status_code == 401


async def test_pages_of_other_origins_are_let_in_by_setting_only(house: House) -> None:
    async with house.client() as client:
        await store(client, [image_file()])
    preflight = {"Origin": VIEWER, "Access-Control-Request-Method": "GET"}
    without = await ask(house, "GET", "/studies", Origin=VIEWER)
    assert not [name for name in without.headers if name.startswith("access-control")]
    house.use(None, (VIEWER,))
    answered = await ask(house, "OPTIONS", "/studies", token="", **preflight)
    assert answered.status_code == 204
    assert answered.headers["access-control-allow-origin"] == VIEWER
    assert "Authorization" in answered.headers["access-control-allow-headers"]
    used = {method for each in RESOURCES.values() for method in each.methods}
    assert used == set(answered.headers["access-control-allow-methods"].split(", "))
    for path, token, status in (
        ("/studies", "NORDWEB", 200),
        ("/studies", "", 401),
        ("/nonsense", "NORDWEB", 404),
    ):
        got = await ask(house, "GET", path, token=token, Origin=VIEWER)
        assert (got.status_code, got.headers["access-control-allow-origin"]) == (status, VIEWER)
        assert "access-control-allow-credentials" not in got.headers
    for origin in ("https://evil.example", "null", f"{VIEWER}.evil.example", ""):
        got = await ask(house, "GET", "/studies", Origin=origin)
        assert "access-control-allow-origin" not in got.headers
        asked = await ask(house, "OPTIONS", "/studies", **{**preflight, "Origin": origin})
        assert "access-control-allow-methods" not in asked.headers
