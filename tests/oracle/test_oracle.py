"""The SDK's own tests with its plain client, which checks each answer against its types; ``make oracle`` runs all."""

from __future__ import annotations

from pathlib import Path

from tests.oracle.suite import OWN_SKIPS, run


def test_the_sdks_own_tests(tmp_path: Path) -> None:
    outcome = run(tmp_path, ["-k", "strict and not Async"])
    assert not outcome.failed, outcome.output[-20_000:]
    assert outcome.passed > 200, outcome.table()
    assert sum(outcome.refused.values()) == 9, outcome.table()
    assert set(outcome.skipped) <= {OWN_SKIPS}
