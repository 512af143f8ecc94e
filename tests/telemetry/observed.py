"""A server that is watched in every way, and what it shows."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.clients.conftest import Upstreams, serving
from tests.models.scripted_upstream import ScriptedUpstream
from tests.server import Server, free_port
from tests.telemetry.collector import Collector

_SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
_LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Observed:
    """Its upstream plays what the test says; ``collector`` has the spans once the server has ended."""

    server: Server
    upstream: ScriptedUpstream
    collector: Collector
    metrics_port: int

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """Every sample, by its name and labels."""
        found = {}
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if not line.startswith("#"):
                    name, labels, value = _SAMPLE.fullmatch(line).groups()  # type: ignore[union-attr]
                    found[name, frozenset(_LABEL.findall(labels or ""))] = float(value)
        return found

    def sample(self, name: str, **labels: str) -> float:
        """One of them; 0 when there is none."""
        return self.metrics().get((name, frozenset(labels.items())), 0.0)


@contextmanager
def observed(folder: Path) -> Iterator[Observed]:
    """Its logs are JSON, with a line for each request."""
    port = free_port()
    with Collector() as collector:
        tables: dict[str, dict[str, Any]] = {
            "metrics": {"listen": f"127.0.0.1:{port}"},
            "traces": {"endpoint": collector.url},
            "logs": {"format": "json", "requests": True},
            "batches": {"workers": 1},
            "rate_limits": {"workspace_turns": 4},
        }
        with serving(folder, tables) as upstreams:
            assert isinstance(upstreams, Upstreams)
            yield Observed(upstreams.server, upstreams.upstream, collector, port)
