"""A server that is told to end says so, lets what runs come to its end, and tells whoever it can't wait for."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.clients.asking import Answer, post, question
from tests.clients.conftest import Upstreams, serving
from tests.clients.events import streaming
from tests.clients.test_going_away import eventually
from tests.models.scripted_upstream import Call, Say, Turn
from tests.server import STOP_SECONDS, Server, running_server

WAIT = Call("bash_code_execution", {"command": "sleep 1000"})


def ready(server: Server) -> tuple[int, dict[str, Any]]:
    """What ``/ready`` says."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def told(server: Server) -> None:
    """As systemd tells it."""
    server.process.send_signal(signal.SIGTERM)


def ended(server: Server) -> str:
    """What the server has said, once it has ended, in order."""
    assert server.process.wait(STOP_SECONDS) == 0, server.output()
    return server.output()


@contextmanager
def in_background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_what_runs_comes_to_its_end(tmp_path: Path) -> None:
    with serving(tmp_path, {"server": {"drain_seconds": 100_000}}) as upstreams:
        server, upstream = upstreams.server, upstreams.upstream
        resume = threading.Event()
        upstream.play(Turn(Say("The beginning and the end."), hang_after=4, resume=resume))
        with streaming(server, question("x", model="via-anthropic")) as events:
            assert next(events)["type"] == "message_start"
            told(server)
            assert eventually(lambda: refuses(server))
            resume.set()
            assert [*events][-1]["type"] == "message_stop"
        ended(server)


def refuses(server: Server) -> bool:
    """Whether nobody can connect any more."""
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=60).close()
    except OSError:
        return True
    return False


def run_to_their_end(upstreams: Upstreams, pool: ThreadPoolExecutor) -> tuple[list[Any], list[Answer]]:
    """Tell a server with work of every kind to end: the last events of its streams, and its other answers."""
    server, upstream = upstreams.server, upstreams.upstream
    upstream.respond = lambda body: Turn(WAIT) if "run" in json.dumps(body) else Turn(Say("Slowly."), hang_after=4)
    begun = threading.Semaphore(0)

    def last(prompt: str) -> Any:
        tools: dict[str, Any] = {} if prompt == "run" else {"tools": []}
        with streaming(server, question(prompt, model="via-anthropic", **tools)) as events:
            next(events)
            begun.release()
            return [*events][-1]

    streams = [pool.submit(last, prompt) for prompt in ("run", "say")]
    bodies = [question("run", model="via-anthropic"), question("say", model="via-anthropic", tools=[])]
    answers = [pool.submit(post, server, "/v1/messages", body) for body in bodies]
    for _ in streams:
        assert begun.acquire(timeout=STOP_SECONDS)
    assert eventually(lambda: len(upstream.requests) == 4)
    assert eventually(lambda: len(server.processes("sleep 1000")) >= 2)
    told(server)
    return [stream.result(STOP_SECONDS) for stream in streams], [answer.result(STOP_SECONDS) for answer in answers]


def check_told(streams: list[Any], answers: list[Answer]) -> None:
    for event in streams:
        assert (event["type"], event["error"]["type"]) == ("error", "overloaded_error"), event
    for answer in answers:
        assert (answer.status, answer.json()["error"]["type"]) == (529, "overloaded_error"), answer.body


def test_what_takes_too_long_is_told_so(tmp_path: Path) -> None:
    with in_background() as pool, serving(tmp_path, {"server": {"drain_seconds": 1}}) as upstreams:
        check_told(*run_to_their_end(upstreams, pool))
        assert "Traceback" not in ended(upstreams.server)


def test_a_notice_comes_first_and_a_second_signal_ends_it_at_once(tmp_path: Path, monkeypatch: Any) -> None:
    """After the first one it still takes requests, and is not ready. systemd is told of each step."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notices:
        notices.bind("")  # the kernel gives it a name without a file
        notices.settimeout(STOP_SECONDS)
        monkeypatch.setenv("NOTIFY_SOCKET", "@" + notices.getsockname()[1:].decode())
        monkeypatch.setenv("WATCHDOG_USEC", "200000")
        with in_background() as pool, serving(tmp_path, {"server": {"drain_notice_seconds": 100_000}}) as upstreams:
            server = upstreams.server
            heard = [notices.recv(1000).decode() for _ in range(3)]
            assert heard[0].startswith("READY=1") and heard[1:] == ["WATCHDOG=1"] * 2
            assert ready(server)[0] == 200
            work = pool.submit(run_to_their_end, upstreams, pool)
            assert eventually(lambda: ready(server)[0] == 503)
            assert ready(server)[1]["checks"]["serving"] != "ok"
            while not (word := notices.recv(1000).decode()).startswith("STOPPING=1"):
                assert word == "WATCHDOG=1"
            assert post(server, "/v1/messages", {}).status == 400, "requests are taken"
            told(server)
            check_told(*work.result(STOP_SECONDS))
            assert "Traceback" not in ended(server)


def test_a_server_that_cannot_work_is_not_ready(tmp_path: Path) -> None:
    """Its daemon stands still: it says which checks do not hold, in fixed words and without a key."""
    with running_server(tmp_path) as server:
        daemon = server.daemon_pid()
        os.kill(daemon, signal.SIGSTOP)
        try:
            assert eventually(lambda: ready(server)[0] == 503)
            said = ready(server)[1]
        finally:
            os.kill(daemon, signal.SIGCONT)
        assert {name for name, held in said["checks"].items() if held != "ok"} == {"host", "image"}
        assert eventually(lambda: ready(server)[0] == 200)
