"""No rule without its page in docs/law, and no reference there that leads nowhere."""

import ast
import inspect
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from samsyn.access import rules
from samsyn.access.rules import (
    CONSUMER_RULES,
    PARAGRAPHS,
    PATIENT_RULES,
    STAFF_RULES,
    SYSTEM_RULES,
    Reason,
)
from tests.access.test_decision_table import TABLE

ROOT = Path(__file__).resolve().parents[2]
LAW = ROOT / "docs" / "law"
RULES = sorted(
    {*STAFF_RULES, *SYSTEM_RULES, *PATIENT_RULES, *CONSUMER_RULES, rules.may_be_told_who},
    key=lambda rule: rule.__name__,
)
PAGES = sorted(LAW.glob("*.md"))


def _page(rule: Callable[..., object]) -> str:
    return (LAW / f"{rule.__name__.replace('_', '-')}.md").read_text(encoding="utf-8")


def _reasons(rule: Callable[..., object]) -> set[Reason]:
    """The reasons that a rule's source names."""
    tree = ast.parse(inspect.getsource(rule))
    named = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "Reason"
    }
    return {Reason[name] for name in named}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.__name__)
def test_the_rule_has_a_page_that_names_its_code_and_every_paragraph(rule: Callable[..., object]) -> None:
    page = _page(rule)
    cited = page.partition("## Paragraph")[2].partition("##")[0]
    assert f"- `{rule.__name__}` in [" in page
    for reason in _reasons(rule):
        for paragraph in PARAGRAPHS[reason].split("; "):
            assert paragraph in cited, f"{reason.value}: {paragraph}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_reference_of_the_page_leads_to_code_that_is_there(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (page.parent / link).exists(), link
    named = re.findall(r"^- `(\w+)` in \[[^\]]+\]\(([^)]+)\)$", text, re.MULTILINE)
    assert named or page.stem == "README"
    for name, link in named:
        source = (page.parent / link).read_text(encoding="utf-8")
        assert re.search(rf"^ *(async )?def {name}\b", source, re.MULTILINE), f"{name} is not in {link}"


def test_the_contents_lists_every_page() -> None:
    listed = set(re.findall(r"\]\(([\w-]+)\.md\)", (LAW / "README.md").read_text(encoding="utf-8")))
    assert listed == {page.stem for page in PAGES} - {"README"}


def test_every_row_of_the_decision_table_is_tested_and_has_a_page() -> None:
    tested = {int(row[0].split()[0]) for row in TABLE}
    told = {
        int(number)
        for page in PAGES
        for number in re.findall(
            r"\d+",
            page.read_text(encoding="utf-8").partition("## Rows of the decision table")[2].partition("##")[0],
        )
    }
    assert tested == told == set(range(1, 34))
