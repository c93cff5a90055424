"""The house rules hold for this tree, and each of them is able to fail."""

import subprocess
from pathlib import Path

import pytest

from tests.house import rules
from tests.house.rules import Module

ROOT = Path(__file__).resolve().parents[2]
NUMBERS = ROOT / "tests" / "house" / "test_numbers.txt"


def allowed_numbers() -> frozenset[str]:
    lines = NUMBERS.read_text(encoding="utf-8").splitlines()
    return frozenset(line.strip() for line in lines if line.strip() and not line.startswith("#"))


def texts() -> list[tuple[str, str]]:
    """Every text file that is tracked, or would be."""
    listing = ["git", "-C", str(ROOT), "ls-files", "--cached", "--others", "--exclude-standard"]
    done = subprocess.run(listing, capture_output=True, text=True, check=True)
    found = []
    for name in sorted(set(done.stdout.splitlines())):
        path = ROOT / name
        if path.is_file() and b"\0" not in (content := path.read_bytes()):
            found.append((name, content.decode("utf-8", "replace")))
    return found


@pytest.fixture(scope="module")
def modules() -> list[Module]:
    return rules.modules_below(ROOT / "src")


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_rule_holds_for_every_module(rule: rules.Rule, modules: list[Module]) -> None:
    complaints = [complaint for module in modules for complaint in rule(module)]
    assert not complaints, "\n".join(complaints)


def test_inner_modules_stay_inside_their_room(modules: list[Module]) -> None:
    assert list(rules.inner_modules_stay_inside(modules)) == []


def test_no_text_names_a_foreign_host_or_a_place_on_one_machine() -> None:
    complaints = [complaint for path, text in texts() for complaint in rules.texts_name_no_place(path, text)]
    assert not complaints, "\n".join(complaints)


def test_no_text_holds_a_number_that_may_be_somebodys() -> None:
    allowed = allowed_numbers()
    complaints = [c for path, text in texts() for c in rules.texts_name_no_person(path, text, allowed)]
    assert not complaints, "\n".join(complaints)


STORE = "from samsyn.store.store import Store\n"
VIOLATIONS: list[tuple[rules.Rule, str, str]] = [
    (
        rules.reading_takes_a_view,
        "samsyn.search.all",
        STORE + "def everything(store: Store) -> list[str]: ...",
    ),
    (
        rules.reading_takes_a_view,
        "samsyn.retrieve.bytes",
        STORE + "class Reader:\n    async def read(self, uid: str, view: View) -> bytes: ...",
    ),
    (rules.receipts_are_made_in_the_store, "samsyn.endpoints.dimse.store", "receipt = Receipt(1, 'stored')"),
    (rules.receipts_are_made_in_the_store, "samsyn.ingest.receive", "r = sender.Receipt(1, 'stored')"),
    (rules.views_are_made_by_access, "samsyn.search.find", "view = View(subject, Everything())"),
    (rules.views_are_made_by_access, "samsyn.search.find", "wider = replace(view, predicate=Everything())"),
    (
        rules.doors_leave_the_store_alone,
        "samsyn.endpoints.fhir.read",
        "def f():\n    from samsyn.store import index",
    ),
    (rules.doors_leave_the_store_alone, "samsyn.endpoints.fhir.read", "import samsyn.store.journal"),
    (rules.modules_are_short, "samsyn.model.long", "#\n" * 601),
    (rules.modules_hold_no_state, "samsyn.audit.cache", "seen = {}"),
    (rules.modules_hold_no_state, "samsyn.audit.cache", "SEEN: dict[str, int] = {}\ndef f(): SEEN['a'] = 1"),
    (rules.modules_hold_no_state, "samsyn.audit.cache", "SEEN = set()\ndef f(): SEEN.add(1)"),
    (
        rules.modules_hold_no_state,
        "samsyn.audit.cache",
        "count = 0\ndef f():\n    global count\n    count = 1",
    ),
    (rules.names_say_what_things_are, "samsyn.wire.utils", ""),
    (rules.names_say_what_things_are, "samsyn.wire.pdu", "class PduManager: ..."),
    (rules.names_say_what_things_are, "samsyn.wire.pdu", "def date_helper(): ..."),
    (rules.only_commands_print, "samsyn.store.journal", "print('synced')"),
    (rules.public_things_are_described, "samsyn.wire.pdu", "def parse(): ..."),
    (rules.public_things_are_described, "samsyn.wire.pdu", '"""Pdu."""\nclass Pdu:\n    size = 1'),
    (
        rules.public_things_are_described,
        "samsyn.wire.pdu",
        '"""P."""\nclass P:\n    """P."""\n    def a(self): ...',
    ),
]


@pytest.mark.parametrize(
    ("rule", "name", "source"), VIOLATIONS, ids=lambda value: getattr(value, "__name__", None)
)
def test_the_rule_catches_a_violation(rule: rules.Rule, name: str, source: str) -> None:
    assert list(rule(Module.of(name, source)))


KEPT: list[tuple[rules.Rule, str, str]] = [
    (
        rules.reading_takes_a_view,
        "samsyn.search.find",
        STORE + "class Finder:\n    async def find(self, view: View, query: Query) -> list[str]: ...",
    ),
    (rules.reading_takes_a_view, "samsyn.search.query", "def parsed(text: str) -> str: ..."),
    (rules.receipts_are_made_in_the_store, "samsyn.store.writer", "receipt = Receipt(1, 'stored')"),
    (rules.views_are_made_by_access, "samsyn.access.view", "view = View(subject, Nothing())"),
    (
        rules.modules_hold_no_state,
        "samsyn.wire.pdu",
        "NAMES: Final = {1: 'A-ASSOCIATE-RQ'}\n__all__ = ['NAMES']",
    ),
    (rules.names_say_what_things_are, "samsyn.wire.pdu", "class Utility: ...\ndef handled(): ..."),
    (rules.only_commands_print, "samsyn.cli.serve", "print('ready')"),
]


@pytest.mark.parametrize(("rule", "name", "source"), KEPT, ids=lambda value: getattr(value, "__name__", None))
def test_the_rule_lets_the_right_way_pass(rule: rules.Rule, name: str, source: str) -> None:
    assert not list(rule(Module.of(name, source)))


def test_a_module_that_reads_rows_is_caught_outside_its_room() -> None:
    inner = Module.of(
        "samsyn.search.answers", "import sqlite3\ndef rows(connection: sqlite3.Connection): ..."
    )
    inside = Module.of("samsyn.search.find", "from samsyn.search import answers")
    outside = Module.of("samsyn.endpoints.viewer.list", "from samsyn.search.answers import rows")
    assert not list(rules.inner_modules_stay_inside([inner, inside]))
    assert list(rules.inner_modules_stay_inside([inner, outside]))


@pytest.mark.parametrize(
    "text",
    [
        "see https:" + "//mirror.corp.se/simple",
        "cd /wo" + "rk/main",
        "open('/ro" + "ot/x')",
        "PYTHON=~/.py" + "env/bin",
    ],
)
def test_a_foreign_host_or_a_place_on_one_machine_is_caught(text: str) -> None:
    assert list(rules.texts_name_no_place("a.md", text))


@pytest.mark.parametrize(
    "text", ["http://127.0.0.1:8080/dicomweb", "https://pacs.example/x", "/var/lib/samsyn"]
)
def test_loopback_example_hosts_and_ordinary_paths_pass(text: str) -> None:
    assert not list(rules.texts_name_no_place("a.md", text))


SOMEBODY = "19" + "640823" + "-" + "3234"
"""A published example that is well-formed and not of the test series, in pieces so that the rule lets it be."""


@pytest.mark.parametrize("number", [SOMEBODY, SOMEBODY.replace("-", ""), SOMEBODY[2:]])
def test_a_number_that_may_be_somebodys_is_caught(number: str) -> None:
    assert list(rules.texts_name_no_person("a.py", f'patient = "{number}"', frozenset()))


@pytest.mark.parametrize(
    "text",
    [
        "19121212-1212",
        "189001019802",
        "202601612381",
        "19640823-3235",
        "1.2.826.196408233234.1",
        "20240115083000",
    ],
    ids=["listed", "test series", "coordination", "wrong check digit", "part of a UID", "time"],
)
def test_test_numbers_wrong_numbers_uids_and_times_pass(text: str) -> None:
    assert not list(rules.texts_name_no_person("a.py", text, allowed_numbers()))
