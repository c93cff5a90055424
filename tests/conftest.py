"""What every test shares: a throw-away server, how long property tests look, and the figures that tests print."""

import faulthandler
import os
import sys
from collections.abc import Generator, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.scratch import ROOT, Running, start_scratch

# Hundreds of processes are started: without bytecode on disk each would compile the whole program anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False

settings.register_profile(
    "full", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", parent=settings.get_profile("full"), max_examples=15)
settings.register_profile("fuzz", parent=settings.get_profile("full"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))


LONGEST_FIRST = (
    "fhir/test_demo_region.py",
    "doors/test_matrix.py",
    "store/contract/test_same_tests.py",
    "faults/test_kill.py",
    "faults/test_node_loss.py",
    "doors/test_smart_doors.py",
    "faults/test_settling.py",
    "faults/test_stop.py",
    "faults/test_acknowledgement_order.py",
    "browser/test_open_pages.py",
    "browser/test_access_walk.py",
    "faults/test_crowd.py",
    "doors/test_registers.py",
)
"""Files of half a minute and more, longest first."""


HUNG_S = 900.0
"""A test that lasts so long hangs: the process that runs it is ended, which fails the test, and the run goes on. The
longest takes five minutes on two cores, but for those that are asked for at length."""
AT_LENGTH = os.environ.get("HYPOTHESIS_PROFILE") == "fuzz" or "SAMSYN_KILL_CYCLES" in os.environ
_HUNG = ROOT / "build" / "hung.txt"
"""Where every thread of that process stood."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol() -> Generator[None, object, object]:
    """Ends what hangs; else whoever waits for the run would wait for ever."""
    if AT_LENGTH:
        return (yield)
    _HUNG.parent.mkdir(exist_ok=True)
    with _HUNG.open("a") as told:
        faulthandler.dump_traceback_later(HUNG_S, exit=True, file=told)
        try:
            return (yield)
        finally:
            faulthandler.cancel_dump_traceback_later()


def pytest_configure(config: pytest.Config) -> None:
    """Files are given to the processes of a test run in the order collected. xdist would put those with the most tests
    first: then the longest, which have few, come last, and all processes but one wait for it."""
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first; everything else keeps its order."""
    places = {ROOT / "tests" / name: place for place, name in enumerate(LONGEST_FIRST)}
    if missing := [path for path in places if not path.exists()]:
        raise pytest.UsageError(f"LONGEST_FIRST in tests/conftest.py names what is not there: {missing}")
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """One `samsyn serve --scratch` per test module; ended cleanly, which is asserted."""
    running = start_scratch(Path(tmp_path_factory.mktemp("scratch")) / "server.log")
    try:
        yield running
        assert running.stop() == 0
    finally:
        running.kill()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """What passing tests measured and printed is shown at the end of the run, beside their names."""
    figures = [
        (report.nodeid.rpartition("::")[2], line)
        for report in terminalreporter.stats.get("passed", ())
        for title, text in report.sections
        if title == "Captured stdout call"
        for line in text.splitlines()
        if line.strip()
    ]
    if figures:
        terminalreporter.section("measured")
        for name, line in figures:
            terminalreporter.line(f"{name}: {line}")
