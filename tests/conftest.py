"""What every test shares: a throw-away server, how long property tests look, and the figures that tests print."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.scratch import Running, start_scratch

settings.register_profile(
    "full", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", parent=settings.get_profile("full"), max_examples=15)
settings.register_profile("fuzz", parent=settings.get_profile("full"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))


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
