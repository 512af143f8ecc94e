"""Batches without an SDK: made, waited for, and their results read."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from tests.clients.asking import Answer, get, post, question
from tests.server import Server

PATH = "/v1/messages/batches"
PATIENCE_SECONDS = 300.0


def bash(command: str, **more: Any) -> dict[str, Any]:
    """Params that have the demo model run a command."""
    return question(f"```bash\n{command}\n```", **more)


def request(custom_id: str, params: Any) -> dict[str, Any]:
    """One request of a batch."""
    return {"custom_id": custom_id, "params": params}


def create(server: Server, requests: Iterable[dict[str, Any]], key: str | None = None, *more: tuple[str, str]) -> Any:
    """Make a batch and return it."""
    answer = post(server, PATH, {"requests": list(requests)}, key, *more)
    assert answer.status == 200, answer.body
    return answer.json()


def ended(server: Server, batch_id: str) -> Any:
    """The batch, once it has ended."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        batch = get(server, f"{PATH}/{batch_id}").json()
        if batch["processing_status"] == "ended":
            return batch
        assert batch["request_counts"]["succeeded"] == 0, "only `processing` counts while it runs"
        time.sleep(0.05)
    raise AssertionError(f"{batch_id} does not end")


def results(server: Server, batch_id: str) -> list[dict[str, Any]]:
    """The lines of its results."""
    answer: Answer = get(server, f"{PATH}/{batch_id}/results")
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/x-jsonl"
    return [json.loads(line) for line in answer.body.splitlines()]
