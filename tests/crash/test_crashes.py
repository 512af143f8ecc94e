"""The trial in a short form: what the clients were told holds, and nothing is left over."""

from __future__ import annotations

from pathlib import Path

from tests.crash.trial import Outcome, trial

KILLS = 21
CLIENTS = 6
SEED = 20


def test_nothing_that_was_told_is_lost(tmp_path: Path) -> None:
    outcome = Outcome()
    trial(tmp_path, KILLS, CLIENTS, SEED, outcome)
    assert outcome.violations == []
    assert outcome.kills.total() == KILLS
    assert {"server", "daemon", "monitor", "guest"} <= outcome.kills.keys()
    assert min(outcome.acknowledged[kind] for kind in ("create", "run", "message", "upload", "delete")) > 0
    assert outcome.files > 0
