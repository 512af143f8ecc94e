"""Settings and fixtures of the whole test suite."""

from __future__ import annotations

from hypothesis import HealthCheck, settings

from tests.server import server

__all__ = ["server"]

# Machines differ and are busy; how long an example takes says nothing about whether it is right.
settings.register_profile("bathysphere", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bathysphere")
