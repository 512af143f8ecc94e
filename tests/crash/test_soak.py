"""Work for a while, and what it takes ends where it began. Only what can be counted exactly is asserted here."""

from __future__ import annotations

from pathlib import Path

from bench.soak import ALLOWED, soak

SECONDS = 8.0
WARM_SECONDS = 4.0
CLIENTS = 6
SEED = 3


def test_what_work_takes_is_given_back(tmp_path: Path) -> None:
    result = soak(tmp_path, SECONDS, WARM_SECONDS, CLIENTS, SEED)
    assert result.violations == []
    assert result.acknowledged.total() > 0
    counted = [name for name in ALLOWED if not name.startswith("memory")]
    assert [name for name in result.grown() if name in counted] == []
