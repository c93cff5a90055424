"""The pages lead somewhere and the reference says what the code says."""

from pathlib import Path

import pytest

from samsyn import limits
from tools import docs


@pytest.mark.parametrize("page", docs.pages(), ids=lambda page: str(page.relative_to(docs.ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    assert docs.dead_links(page) == []


def test_a_dead_link_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(docs, "ROOT", tmp_path)
    page = tmp_path / "a.md"
    page.write_text("# Head\n[one](b.md) [two](#head) [three](#other) [four](http://x.example/)")
    assert docs.dead_links(page) == ["a.md: b.md leads nowhere", "a.md: #other names no heading there"]


def test_every_limit_has_a_reason() -> None:
    page = docs.limits_page(Path(limits.__file__).read_text(encoding="utf-8"))
    rows = [
        line
        for line in page.splitlines()
        if line.startswith("| `") and "iB`" not in line and "IB`" not in line
    ]
    assert rows
    assert [row for row in rows if row.endswith("|  |")] == []
