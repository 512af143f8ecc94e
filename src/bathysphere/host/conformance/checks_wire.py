"""A guest that was taken over: whatever it says, its sandbox is ended and the host goes on."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncGenerator
from dataclasses import replace

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject
from bathysphere.host.contract import SandboxFailed
from bathysphere.host.fleet import Fleet

_HONEST_START = """
import json, os, struct, time
def receive():
    head, body = struct.unpack("!II", os.read(0, 8))
    header = json.loads(os.read(0, head))
    while body: body -= len(os.read(0, min(body, 65536)))
    return header
def send(header, payload=b"", lengths=None):
    text = json.dumps(header).encode()
    data = struct.pack("!II", *(lengths or (len(text), len(payload)))) + text + payload
    while data: data = data[os.write(1, data):]
send({"type": "reply", "id": receive()["id"]})
number = receive()["id"]
"""

_REPORT = {
    "return_code": 0, "timed_out": False, "duration_seconds": 0.1, "truncated": False, "notes": [],
    "files": [], "left_out": [], "left_out_more": 0,
}  # fmt: skip


@contextlib.asynccontextmanager
async def _taken_over(subject: Subject, program: str) -> AsyncGenerator[Subject, None]:
    """The same engine and disks, with another guest."""
    folder = subject.ground.stage.guest.with_name("guest-taken-over")
    folder.mkdir(mode=0o755, exist_ok=True)
    start = folder / "start.py"
    start.write_text(program)
    start.chmod(0o644)
    configuration = subject.configuration
    fleet = Fleet(
        engines=subject.ground.engines,
        # A view of the image that is the engine's own would hold the honest guest.
        stage=replace(subject.ground.stage, guest=folder, views=None),
        disks=subject.ground.disks,
        cgroups=subject.ground.cgroups,
        environment=configuration.environment,
        limits=configuration.limits,
        settings=configuration.host,
    )
    other = Subject(configuration, subject.ground, fleet)
    try:
        yield other
    finally:
        await other.clear()
        await fleet.close()


async def _ended(subject: Subject, program: str) -> str:
    async with _taken_over(subject, _HONEST_START + program) as other:
        await other.fresh()
        outcome = await other.run("true", seconds=5)
        expect(bool(outcome.failure), f"the host took {outcome}")
    same((await subject.run("echo fine")).stdout, "fine\n")
    return outcome.failure


@check
async def noise(subject: Subject) -> None:
    """Noise instead of frames ends the sandbox."""
    await _ended(subject, "while True: os.write(1, os.urandom(4096))")


@check
async def silence_and_end(subject: Subject) -> None:
    """A guest that ends in the middle of a call ends the call."""
    expect("ended" in await _ended(subject, ""), "the failure does not say that the sandbox ended")


@check
async def huge_frames(subject: Subject) -> None:
    """A frame that is announced as huge is not waited for."""
    await _ended(subject, "send({}, lengths=(0xFFFFFFFF, 0)); time.sleep(1000)")
    await _ended(subject, "send({'type': 'output', 'id': number}, lengths=(25, 0xFFFFFFFF)); time.sleep(1000)")


@check
async def output_without_end(subject: Subject) -> None:
    """A guest that sends more output than agreed is ended."""
    await _ended(subject, "while True: send({'type': 'output', 'id': number, 'stream': 'stdout'}, b'x' * 65536)")


@check
async def forged_answers(subject: Subject) -> None:
    """An answer to another request, and a report that is not of its form, end the sandbox."""
    await _ended(subject, "send({'type': 'finished', 'id': number + 1}); time.sleep(1000)")
    report = json.dumps({**_REPORT, "return_code": "0"})
    await _ended(subject, f"send({{'type': 'finished', 'id': number}}, {report!r}.encode()); time.sleep(1000)")


@check
async def a_guest_that_never_speaks(subject: Subject) -> None:
    """When the guest ends before its first word, the container is not made, and what it said is told."""
    async with _taken_over(subject, "import sys; sys.exit('the guest gave up')") as other:
        try:
            await other.fresh()
        except SandboxFailed as error:
            expect("the guest gave up" in str(error), error)
        else:
            expect(False, "it was made")


@check
async def programs_cannot_reach_the_wire(subject: Subject) -> None:
    """The guest's descriptors are not inherited: a program that writes frames to all of its own reaches nobody."""
    seen = await subject.python(
        "import os, struct\n"
        'text = b\'{"type": "finished", "id": 2}\'\n'
        "for fd in range(3, 1024):\n"
        "    try: os.write(fd, struct.pack('!II', len(text), 0) + text); print('wrote', fd)\n"
        "    except OSError: pass\n"
        "print('end')\n"
    )
    same((seen.stdout, seen.code), ("end\n", 0))
