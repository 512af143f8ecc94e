"""Made requests, a few for each route: no answer is a fault or missing in the description. ``make fuzz`` makes more."""

from __future__ import annotations

from pathlib import Path

from tests.fuzz.made_requests import run, target


def test_made_requests(tmp_path: Path) -> None:
    with target(tmp_path) as server:
        outcome = run(server, tmp_path, examples=4, seed=1, phases="fuzzing")
    assert outcome.passed, outcome.output
    assert outcome.requests > 100, outcome.output
