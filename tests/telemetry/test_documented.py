"""The metrics are those of the documentation, and the dashboard asks for no other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from bathysphere.telemetry.metrics import DECLARED
from tests.telemetry.table import parts, table

ROOT = Path(__file__).parent.parent.parent
ENDINGS = {"histogram": ("_bucket", "_count", "_sum"), "counter": ("",), "gauge": ("",)}


def test_every_metric_is_documented() -> None:
    assert parts()[1] == table(), "write it anew: python -m tests.telemetry"


def queries(node: Any) -> list[str]:
    """Every expression of a dashboard."""
    if isinstance(node, list):
        return [query for item in node for query in queries(item)]
    if isinstance(node, dict):
        own = [node["expr"]] if "expr" in node else []
        return own + [query for item in node.values() for query in queries(item)]
    return []


def test_the_dashboard_asks_for_metrics_and_labels_that_there_are() -> None:
    series = {metric.name + ending: metric for metric in DECLARED for ending in ENDINGS[metric.kind]}
    asked = queries(json.loads((ROOT / "deploy" / "grafana.json").read_text(encoding="utf-8")))
    assert len(asked) > 20
    for query in asked:
        for name, labels in re.findall(r"(bathysphere_\w+)(?:\{([^}]*)\})?", query):
            assert name in series, f"{name} in {query}"
            for label in re.findall(r"(\w+)[=!]", labels):
                # What Prometheus itself adds.
                assert label == "instance" or label in series[name].labels, f"{label} in {query}"
