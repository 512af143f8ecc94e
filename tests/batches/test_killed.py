"""Each request of a batch is executed once, though the server is killed while they run."""

from __future__ import annotations

from pathlib import Path

from tests.batches.killing import trial


def test_no_request_is_lost_or_executed_twice(tmp_path: Path) -> None:
    outcome = trial(tmp_path, requests=200, kills=2, seed=5, say=print)
    assert outcome.faults(200) == []
    assert outcome.ran.total() >= 200 - 2 * 8, "only what ran when the server was killed may have done nothing"
