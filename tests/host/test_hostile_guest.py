"""A guest that was taken over: whatever it says, its sandbox is ended and the host goes on."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest

from bathysphere.containers.host import Cell, Command, SandboxFailed, ToolAnswer
from bathysphere.host import sandbox as conversation
from bathysphere.host.cells import HeldCell
from bathysphere.host.disks.base import Disks
from bathysphere.host.disks.folders import Folders
from bathysphere.host.disks.uids import UserIds
from bathysphere.host.engine_choice import Engines
from bathysphere.host.engines.base import Engine
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.fleet import Fleet
from bathysphere.host.reports import Measured
from bathysphere.host.stage import Stage
from bathysphere.settings import HostSettings, SandboxLimits

from .conftest import ROOT

HONEST_START = """
import json, os, struct, sys, time
def receive():
    head, body = struct.unpack("!II", os.read(0, 8))
    header = json.loads(os.read(0, head))
    while body: body -= len(os.read(0, min(body, 65536)))
    return header
def send(header, payload=b"", lengths=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    data = struct.pack("!II", *(lengths or (len(text), len(payload)))) + text + payload
    while data: data = data[os.write(1, data):]
send({"type": "reply", "id": receive()["id"]})
request = receive()
number = request["id"]
"""

REPORT = {
    "return_code": 0, "timed_out": False, "duration_seconds": 0.1, "truncated": False, "notes": [],
    "files": [], "left_out": [], "left_out_more": 0,
}  # fmt: skip

PAUSE = "; time.sleep(100)"


def reporting(**changes: object) -> str:
    """A program that reports the end of a command with something changed."""
    report = {**REPORT, **changes}
    return f'send({{"type": "finished", "id": number}}, json.dumps({report!r}).encode())' + PAUSE


LIES = {
    "says nothing and ends": "",
    "sends noise": "while True: os.write(1, os.urandom(4096))",
    "announces a huge header": "send({}, lengths=(0xFFFFFFFF, 0)); time.sleep(100)",
    "announces a huge payload": "send({'type': 'output', 'id': number}, lengths=(25, 0xFFFFFFFF))" + PAUSE,
    "breaks off in a frame": "os.write(1, b'\\0\\0\\0\\x20\\0\\0\\0\\0{')",
    "sends no JSON": 'send(b"{{{{"); time.sleep(100)',
    "sends a list": 'send(b"[1]"); time.sleep(100)',
    "nests without end": 'send(b"[" * 60000); time.sleep(100)',
    "answers another request": 'send({"type": "finished", "id": number + 1}); time.sleep(100)',
    "answers with a text for a number": 'send({"type": "finished", "id": "1"}); time.sleep(100)',
    "answers something else": 'send({"type": "reply", "id": number}); time.sleep(100)',
    "sends output without end": 'while True: send({"type": "output", "id": number, "stream": "stdout"}, b"x" * 65536)',
    "sends nothing without end": 'while True: send({"type": "output", "id": number, "stream": "stdout"})',
    "sends to an unknown stream": 'send({"type": "output", "id": number, "stream": "../x"}, b"x"); time.sleep(100)',
    "reports no JSON": 'send({"type": "finished", "id": number}, b"{"); time.sleep(100)',
    "reports other types": reporting(return_code="0"),
    "reports an endless time": reporting(duration_seconds=float("inf")),
    "reports more than agreed": reporting(extra=1),
    "reports a path as handle": reporting(files=[["../../etc/passwd", "a", 1]]),
    "reports a negative size": reporting(files=[["0" * 16, "a", -1]]),
    "refuses in another way": "send({'type': 'failed', 'id': number, 'code': 'x', 'message': ''})" + PAUSE,
    "never answers": "time.sleep(1000)",
}


@pytest.fixture(params=[Bubblewrap])
def engine(request: pytest.FixtureRequest) -> Engine:
    made: Engine = request.param()
    made.check()
    return made


@pytest.fixture
def ground(image: Path) -> Iterator[Path]:
    """A folder that the sandboxes' users can reach."""
    with tempfile.TemporaryDirectory(prefix="bathysphere-test-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.fixture
async def fleet(engine: Engine, image: Path, ground: Path) -> AsyncGenerator[Fleet, None]:
    (ground / "disks").mkdir(mode=0o711)
    (ground / "disks").chmod(0o711)
    disks: Disks = Folders(ground / "disks", ground / "disks", UserIds(1_900_000_000, 100, 0) if ROOT else None)
    (ground / "guest").mkdir(mode=0o755)
    fleet = Fleet(
        engines=Engines({engine.name: engine}, engine.name, ground / "engines"),
        stage=Stage(image, ground / "guest", ground / "disks", ground / "disks"),
        disks=disks,
        cgroups=None,
        environment={},
        limits=SandboxLimits(),
        settings=HostSettings(),
    )
    yield fleet
    await fleet.close()
    for name in ("victim", "other"):
        await fleet.delete(name)
    assert fleet.running == 0


def teach(ground: Path, program: str) -> None:
    start = ground / "guest" / "start.py"
    start.write_text(program)
    start.chmod(0o644)


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES.keys())
async def test_lies_end_the_sandbox_and_nothing_else(
    fleet: Fleet, ground: Path, lie: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "GRACE_SECONDS", 0.5)
    teach(ground, HONEST_START + lie)
    await fleet.create("victim")
    received = 0

    def output(_stream: str, data: bytes) -> None:
        nonlocal received
        received += len(data)

    with pytest.raises(SandboxFailed, match="ended in the middle"):
        async with fleet.turn("victim") as (sandbox, _group):
            await sandbox.execute(Command("bash", "true", 0.5), asyncio.Event(), output, 1000)
    assert received < 4000
    assert fleet.running == 0
    teach(ground, HONEST_START + "time.sleep(1000)")
    await fleet.create("other")
    assert fleet.running == 1


@pytest.mark.parametrize(
    "start",
    ["raise SystemExit", "import os\nwhile True: os.write(1, b'\\xff' * 65536)", "import time\ntime.sleep(1000)"],
    ids=["ends", "noise", "silence"],
)
async def test_a_guest_that_never_greets(
    fleet: Fleet, ground: Path, start: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(conversation, "START_SECONDS", 0.5)
    teach(ground, start)
    with pytest.raises(SandboxFailed, match="could not be started"):
        await fleet.create("victim")
    assert fleet.running == 0
    assert not (ground / "disks" / "victim").exists()


async def test_what_it_says_while_nobody_asks(fleet: Fleet, ground: Path) -> None:
    teach(
        ground, HONEST_START.replace("request = receive()\n", "send({'type': 'reply', 'id': 2}, b'')\n") + "receive()"
    )
    await fleet.create("victim")
    # An answer that came before its question must not pass for one to it.
    with pytest.raises(SandboxFailed):
        async with fleet.turn("victim") as (sandbox, _group):
            await sandbox.execute(Command("bash", "true", 5), asyncio.Event(), lambda *_: None, 1000)


@pytest.mark.parametrize(
    "answer", ["b'x' * 11", "b'x' * (2 << 20)", "b''"], ids=["more than asked for", "more than allowed", "less"]
)
async def test_a_file_has_the_length_that_was_reported(fleet: Fleet, ground: Path, answer: str) -> None:
    handle = "0" * 16
    report = reporting(files=[[handle, "a", 10]]).removesuffix(PAUSE)
    teach(ground, HONEST_START + report + f"; send({{'type': 'reply', 'id': receive()['id']}}, {answer})" + PAUSE)
    await fleet.create("victim")
    with pytest.raises(SandboxFailed, match=r"protocol|less"):
        async with fleet.turn("victim") as (sandbox, _group):
            await sandbox.execute(Command("bash", "true", 5), asyncio.Event(), lambda *_: None, 1000)
            async for _ in sandbox.read_output(handle):
                pass


@pytest.mark.parametrize("code", ["cell_gone", "failed"])
async def test_a_guest_that_does_not_take_an_answer(fleet: Fleet, ground: Path, code: str) -> None:
    """Where its cell stands nobody knows then: it is over, and the container takes another one."""
    teach(
        ground,
        HONEST_START
        + 'calls = [{"number": 1, "tool": "add", "arguments": {}}]\n'
        + 'send({"type": "waits", "id": number}, json.dumps({"calls": calls}).encode())\n'
        + f'send({{"type": "failed", "id": receive()["id"], "code": "{code}", "message": ""}})'
        + PAUSE,
    )
    await fleet.create("victim")

    async def late() -> None: ...

    limits = SandboxLimits()
    held = HeldCell("cell", limits, Measured(limits, None, lambda: None, lambda: False), late)
    async with fleet.turn("victim") as (sandbox, _group):
        fleet.hold("victim", held)
        await held.run(sandbox, Cell("", 5), asyncio.Event())
    with pytest.raises(SandboxFailed, match="ended in the middle"):
        async with fleet.turn("victim") as (sandbox, _group):
            await held.answer(sandbox, [ToolAnswer(held.calls[0].id, "2")])
    assert fleet.held("victim") is None
    assert fleet.running == 0


async def test_a_timer_that_comes_too_early_comes_again(fleet: Fleet, ground: Path) -> None:
    """Loops count milliseconds, so one may call a hair before the time; the call would then never time out."""
    calls = '[{"number": 1, "tool": "add", "arguments": {}}]'
    teach(
        ground,
        HONEST_START
        + f'send({{"type": "waits", "id": number}}, json.dumps({{"calls": {calls}}}).encode())\n'
        + "receive()"
        + PAUSE,
    )
    await fleet.create("victim")
    came = asyncio.Event()

    async def late() -> None:
        came.set()

    limits = SandboxLimits(tool_seconds=0.2)
    held = HeldCell("cell", limits, Measured(limits, None, lambda: None, lambda: False), late)
    async with fleet.turn("victim") as (sandbox, _group):
        await held.run(sandbox, Cell("", 5), asyncio.Event())
        held.close()  # the timer has called, as it were
        await held.time_out(sandbox)
    assert held.waits
    await asyncio.wait_for(came.wait(), 30)
    held.close()
