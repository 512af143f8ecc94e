"""Turns through the SDK: the cost report, the record of calls, the metrics and the command line say the same."""

from __future__ import annotations

from pathlib import Path

from tests.metering.replay import replay


def test_all_places_agree(tmp_path: Path) -> None:
    sums = replay(tmp_path, turns=60, clients=8, seed=1, say=print)
    assert sums.agree(), sums
    assert sums.report_cents > 0
