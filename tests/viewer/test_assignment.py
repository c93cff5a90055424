"""Choosing one of the assignments that the staff directory has in force, after log-in."""

from dataclasses import replace
from pathlib import Path

import pytest

from samsyn.endpoints.demo_idp.personas import PERSONAS
from tests.viewer.house import a_house
from tests.viewer.test_pages import post, visible

pytestmark = pytest.mark.slow


async def test_the_assignment_is_chosen_on_a_page_and_stands_on_every_page_after(tmp_path: Path) -> None:
    radiologist = next(each for each in PERSONAS if each.key == "radiologist")
    async with a_house(tmp_path) as house, house.client() as client:
        waiting = replace(radiologist.subject(), assignment=None)
        secret, session = house.sessions.open(waiting, "", radiologist.assignments)
        client.cookies.set("samsyn-session", secret, domain="127.0.0.1")
        assert (await client.get("/")).headers["location"] == "/assignment/choose"
        page = await client.get("/assignment/choose")
        assert "Röntgen Nordsjukhuset" in visible(page)
        assert "Klara Röntgen City" in visible(page)
        assert (await post(client, page, "/find", number="191212121212")).status_code == 403
        refused = await post(client, page, "/assignment/choose", assignment="SE9990000009-1")
        assert refused.status_code == 404
        chosen = radiologist.assignments[1].hsa_id
        answer = await post(client, page, "/assignment/choose", assignment=chosen)
        assert answer.status_code in (302, 303)
        assert house.sessions.find(secret) is None, session
        start = await client.get("/")
        assert "Klara Röntgen City" in visible(start)
        assert (await client.get("/assignment/choose")).headers["location"] == "/"
