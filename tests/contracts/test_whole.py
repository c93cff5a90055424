"""The whole server tells its engagement index, and says so in its metrics; the page for integrators tells the truth."""

import re
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from lxml import etree

from samsyn.endpoints.contracts import names
from tests.contracts.index_service import IndexService
from tests.contracts.stage import NORD, NORD_SYSTEM, SPACES, TOLVAN, Stage, forms, staged

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "national-contracts.md"


@pytest.fixture
def service() -> Iterator[IndexService]:
    made = IndexService()
    yield made
    made.close()
    assert made.wrong == []


def metrics(stage: Stage) -> dict[str, float]:
    with urllib.request.urlopen(f"{stage.made.server._base}/metrics", timeout=10) as answer:
        text = answer.read().decode()
    return {
        name: float(value)
        for name, value in re.findall(r"^samsyn_(engagement\w+) (\S+)$", text, re.MULTILINE)
    }


def test_a_report_that_is_told_can_be_read_at_once(tmp_path: Path, service: IndexService) -> None:
    with staged(tmp_path / "data", {"engagement_index": {"address": service.url}}) as stage:
        stage.report()
        for _ in range(1_200):
            if metrics(stage)["engagements_waiting"] == 0 and (TOLVAN, NORD_SYSTEM, NORD) in service.known:
                break
            time.sleep(0.05)
        assert (TOLVAN, NORD_SYSTEM, NORD) in service.known
        assert len(stage.ask().outcomes) == 1
        read = metrics(stage)
        assert read["engagements_told_total"] == 2
        assert read["engagements_refused"] == read["engagement_failures"] == 0


def _example(language: str, place: int) -> str:
    return re.findall(rf"```{language}\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[place]


def test_the_example_call_of_the_page_gets_the_example_answer(tmp_path: Path) -> None:
    with staged(tmp_path / "data") as stage:
        stage.order()
        stage.report("F", "Inga tecken till pneumoni.", f22="20240315101500")
        stage.report("A", "Litet granulom i höger lunga.", f22="20240318080000")
        answer = stage.post(_example("xml", 0).encode())
        forms().assertValid(answer.body)
        told, shown = (
            re.sub(r"\s+", " ", _plain(each)) for each in (answer.body, etree.fromstring(_example("xml", 1)))
        )
        assert told == shown


def test_every_setting_that_the_page_shows_is_one() -> None:
    import tomllib

    from samsyn.settings import Settings

    values = tomllib.loads(_example("toml", 0))
    Settings.model_validate(values)


def _plain(element: object) -> str:
    """The element's names and texts in their order, without prefixes and log ids."""
    parts = []
    for each in element.iter():  # type: ignore[attr-defined]
        name = etree.QName(each).localname
        text = "LOG" if name == "logId" else (each.text or "").strip()
        parts.append(f"{name}={text}")
    return " ".join(parts)


def test_the_page_names_where_the_contract_is_answered() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert names.PATH in text
    assert names.ACTION in text
    assert SPACES["c"] in text
