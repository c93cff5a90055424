"""The pages tell the truth about what can be typed and what lies where."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))
PAGES = ("README.md", "CONTRIBUTING.md", "SECURITY.md")


@pytest.mark.parametrize("page", PAGES)
def test_every_make_command_of_a_page_is_a_target(page: str) -> None:
    named = set(
        re.findall(
            r"^make ([a-z-]+)|`make ([a-z-]+)`", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE
        )
    )
    assert {first or second for first, second in named} <= TARGETS


def test_every_target_is_printed_by_help_or_is_a_step_of_another() -> None:
    described = set(re.findall(r"^([a-z-]+):.*## ", MAKEFILE, re.MULTILINE))
    assert TARGETS - described <= {"setup-test"}


def test_ci_runs_exactly_the_readmes_test_command() -> None:
    assert re.search(r"^make test\b", (ROOT / "README.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert (ROOT / ".ci" / "run").read_text(encoding="utf-8").rstrip().endswith("\nmake test")


def test_every_room_stands_in_the_architecture() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    rooms = {path.parent.name for path in (ROOT / "src" / "samsyn").glob("*/__init__.py")}
    assert {room for room in rooms if f"`{room}/`" not in text} == set()


def test_every_decision_stands_in_the_list_of_decisions() -> None:
    listed = (ROOT / "docs" / "adr" / "README.md").read_text(encoding="utf-8")
    pages = {path.name for path in (ROOT / "docs" / "adr").glob("[0-9]*.md")}
    assert {name for name in pages if f"({name})" not in listed} == set()
    assert len({name[:4] for name in pages}) == len(pages)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_a_lock_file_pins_by_hash_and_names_no_server(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    assert "://" not in text
    pinned = re.split(r"^(?=\S+==)", text, flags=re.MULTILINE)[1:]
    assert pinned and all("--hash=sha256:" in package for package in pinned)


def test_what_runs_is_the_same_in_both_lock_files() -> None:
    def versions(lock: str) -> set[str]:
        return set(re.findall(r"^\S+==\S+", (ROOT / lock).read_text(encoding="utf-8"), re.MULTILINE))

    assert versions("requirements.lock") <= versions("requirements-dev.lock")
