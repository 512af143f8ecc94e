"""Clients that go away at random moments leave nothing behind; ``bench/vanishing.py`` does it with 500."""

from __future__ import annotations

from pathlib import Path

from tests.clients.vanishing import TABLES, vanish
from tests.server import running_server


def test_clients_that_go_away_at_random_moments(tmp_path: Path) -> None:
    with running_server(tmp_path, tables=TABLES) as server:
        outcomes = vanish(server, clients=60, at_once=20, seed=1)
    assert outcomes.total() == 60
