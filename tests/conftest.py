"""Settings and fixtures of the whole test suite."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.server import server

__all__ = ["server"]

# Machines differ and are busy; how long an example takes says nothing about whether it is right.
settings.register_profile("bathysphere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bathysphere")


class AtOnce:
    """Prints a failure when it happens: a run that is cut off must have said what it saw."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        printer = self._config.pluginmanager.get_plugin("terminalreporter")
        if report.failed and printer is not None:
            printer.ensure_newline()
            printer.section(f"{report.nodeid} ({report.when})", sep="_", red=True)
            printer.line(report.longreprtext)
            for heading, content in report.sections:
                printer.section(heading, sep="-")
                printer.line(content[-20_000:])


def pytest_configure(config: pytest.Config) -> None:
    """Called by pytest."""
    config.pluginmanager.register(AtOnce(config))
