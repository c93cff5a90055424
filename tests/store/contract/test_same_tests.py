"""The tests of rooms and doors, run once more with the index in PostgreSQL.

SAMSYN_PG_TESTS names others (folders, files or "doors" for the whole matrix): every test of a store takes the switch.
"""

import os
import re
import subprocess
import sys

import pytest

from tests.scratch import ROOT, environment

pytestmark = pytest.mark.slow

CHOSEN = {
    "store": "tests/store/test_store.py tests/store/test_settling.py tests/store/test_give_back.py"
    " tests/store/test_settling_meanwhile.py",
    "persons": "tests/patients/test_links.py tests/access/test_view.py tests/reports/test_moving.py",
    "searches": "tests/dimse/test_matching.py tests/dimse/test_query.py tests/dimse/test_any_question.py"
    " tests/reports/test_textsearch.py",
    "doors": "tests/doors/test_matrix.py",
}
OTHERS = os.environ.get("SAMSYN_PG_TESTS", "").split()


def run(tests: list[str], marks: str) -> str:
    """What a test run says at its end, with its figures; fails when one of its tests does."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", "-m", marks, *tests],
        env={
            **environment(),
            "SAMSYN_TEST_INDEX": "postgresql",
            "SAMSYN_PG_TESTS": "",
            "HYPOTHESIS_PROFILE": "quick",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    told = ended.stdout[-6000:]
    assert ended.returncode == 0, told
    measured = re.findall(r"^\w+: (cells .*)$", told, re.MULTILINE)
    passed = re.findall(r"^\d+ passed.*$", told, re.MULTILINE)
    return "; ".join([*passed, *measured])


@pytest.mark.parametrize("what", CHOSEN)
def test_they_pass_on_postgresql_too(what: str) -> None:
    pytest.importorskip("asyncpg")
    print(f"{what} on PostgreSQL: {run(CHOSEN[what].split(), 'not slow and not peer and not browser')}")


@pytest.mark.skipif(not OTHERS, reason="SAMSYN_PG_TESTS names none")
def test_the_others_that_were_asked_for_pass_on_postgresql_too() -> None:
    whole = ["tests/doors/test_matrix.py" if each == "doors" else each for each in OTHERS]
    print(f"{' '.join(OTHERS)} on PostgreSQL: {run(whole, 'not peer and not browser')}")
