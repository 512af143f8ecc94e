"""Many clients that go away at random moments, some of whom come back; then what is left of it all is looked at."""

from __future__ import annotations

import json
import random
import socket
import struct
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

from tests.clients.asking import ask, post, question
from tests.clients.test_going_away import eventually
from tests.seeds import expectations
from tests.server import Server

TURNS_AT_ONCE = 24
"""The server's limit of turns, so that a turn that hangs is found as a place that is missing."""

TABLES = {"rate_limits": {"key_turns": TURNS_AT_ONCE}, "retries": {"grace_seconds": 3}}
"""What the server's configuration must hold."""

_LEFT_OPEN = 10
"""Files that the server may have open more than before, for its database."""


def vanish(server: Server, clients: int, at_once: int, seed: int) -> Counter[str]:
    """Let them go away; how many left in which way. Raises AssertionError for whatever is not as it should be after."""
    containers = [ask(server, "```bash\ntrue\n```")["container"]["id"] for _ in range(4)]
    _fill(server, containers)
    before = _open_files(server)  # with the connections to the host daemon that so many turns need
    outcomes: Counter[str] = Counter()
    with ThreadPoolExecutor(at_once) as pool:
        works = [
            pool.submit(_client, server, number, random.Random(f"{seed}/{number}"), containers)
            for number in range(clients)
        ]
        for work in works:
            outcomes[work.result()] += 1
    _check(server, containers, before)
    return outcomes


def _client(server: Server, number: int, chance: random.Random, containers: list[str]) -> str:
    """One client; how it went."""
    lasts = round(chance.uniform(0, 0.4), 3)
    command = f"echo client{number} >> /tmp/clients; sleep {lasts}; echo done{number}"
    container = chance.choice([*containers, None])
    body = question(f"```bash\n{command}\n```", stream=chance.random() < 0.5)
    if container is not None:
        body["container"] = container
    content = json.dumps(body).encode()
    way = chance.choice(
        ["reads nothing", "reads a little", "reads a little", "breaks the connection", "half a request"]
    )
    _go_away(server, content, way, chance)
    if way == "half a request" or chance.random() < 0.5:
        return way
    retry = post(server, "/v1/messages", content, None, ("x-stainless-retry-count", "1"))
    # 409: stopped before, and not run again. 429: as many turns run as may.
    assert retry.status in (200, 409, 429), retry.body
    if retry.status == 200:
        assert f"done{number}" in retry.body.decode(), retry.body
        return f"{way}, comes back and gets its answer"
    return f"{way}, comes back: {retry.status}"


def _go_away(server: Server, content: bytes, way: str, chance: random.Random) -> None:
    head = (
        f"POST /v1/messages HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\nanthropic-version: 2023-06-01\r\n"
        f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    ).encode()
    with closing(socket.create_connection(("127.0.0.1", server.port), timeout=60)) as connection:
        if way == "half a request":
            connection.sendall(head + content[: chance.randrange(len(content))])
        else:
            connection.sendall(head + content)
        if way == "reads a little":
            connection.recv(chance.randrange(1, 2000))
        time.sleep(chance.uniform(0, 0.6))
        if way == "breaks the connection":
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _check(server: Server, containers: list[str], open_before: int) -> None:
    assert eventually(lambda: not any("sleep" in command for command in server.processes().values())), "a command runs"
    for container in containers:
        message = ask(server, "```bash\nsort /tmp/clients | uniq -d; echo usable\n```", container=container)
        assert expectations.output(message) == "usable\n", "no command ran twice"
    _fill(server, containers)
    assert eventually(lambda: _open_files(server) <= open_before + _LEFT_OPEN), "connections are left open"


def _fill(server: Server, containers: list[str]) -> None:
    """As many turns at the same time as may run: those of one container wait for each other, so all are there."""
    with ThreadPoolExecutor(TURNS_AT_ONCE) as pool:
        bodies: list[dict[str, Any]] = [
            question("```bash\nsleep 0.3\n```", container=containers[number % len(containers)])
            for number in range(TURNS_AT_ONCE)
        ]
        answers = list(pool.map(lambda body: post(server, "/v1/messages", body).status, bodies))
    assert answers == [200] * TURNS_AT_ONCE, "a turn hangs and keeps its place"


def _open_files(server: Server) -> int:
    return len(list(Path(f"/proc/{server.pid}/fd").iterdir()))
