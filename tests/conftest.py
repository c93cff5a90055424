"""What every test shares: how long the property tests look, and the figures that tests print."""

import os

import pytest
from hypothesis import HealthCheck, settings

settings.register_profile(
    "full", max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile("quick", parent=settings.get_profile("full"), max_examples=15)
settings.register_profile("fuzz", parent=settings.get_profile("full"), max_examples=5_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "full"))


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
