"""Starting, ending, and what is left."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject, gone

_PIECES = 4
"""So many processes of a sandbox are killed, the oldest: what keeps it. Those after them are the programs in it."""


@check
async def starts_and_answers(subject: Subject) -> None:
    """A started sandbox answers the first request, and the guest is its process 1."""
    seen = await subject.run("echo hi; tr '\\0' ' ' < /proc/1/cmdline")
    same(seen.code, 0)
    expect(seen.stdout.startswith("hi\n") and seen.stdout.endswith("/guest/start.py "), seen)


@check
async def many_start_at_once(subject: Subject) -> None:
    """Sandboxes that are started at the same moment all answer, each for itself."""
    names = [await subject.fresh() for _ in range(4)]
    await asyncio.gather(*(subject.fleet.rest(name) for name in names))
    seen = await asyncio.gather(*(subject.run(f"echo {name}", name=name) for name in names))
    same([one.stdout.strip() for one in seen], names)


@check
async def files_outlive_the_sandbox(subject: Subject) -> None:
    """What was written below /home/user, /tmp and /files is there when the sandbox has been started anew, with its
    modes and times; the processes are not."""
    await subject.run(
        "echo kept > ~/a; echo kept > /tmp/b; echo kept > /files/c; chmod 640 a; touch -d @1000000000 a; "
        "ln -s a link; setsid sleep 1000 > /dev/null 2>&1 &"
    )
    await subject.rest()
    seen = await subject.run(
        "cat ~/a /tmp/b /files/c link; python3 -c \"import os; s = os.stat('a'); print(oct(s.st_mode), int(s.st_mtime))\"; "
        "pgrep -cx sleep"
    )
    same(seen.stdout, "kept\n" * 4 + "0o100640 1000000000\n0\n")


@check
async def a_fork_holds_everything(subject: Subject) -> None:
    """A copy of a container has all that it has, also what its own user has taken every right from."""
    await subject.run("mkdir -p a/b; echo kept > a/b/c; chmod 000 a/b/c a/b a; echo also > /tmp/d; chmod 000 /tmp/d")
    name = await subject.fork()
    seen = "stat -c %a a /tmp/d; chmod 700 a; stat -c %a a/b; chmod 700 a/b; chmod 600 a/b/c /tmp/d; cat a/b/c /tmp/d"
    for one in (name, subject.name):
        same((await subject.run(seen, name=one)).stdout, "0\n0\n0\nkept\nalso\n")


@check
async def named_pipes_outlive_the_sandbox(subject: Subject) -> None:
    """A named pipe works, and is there when the sandbox has been started anew."""
    same((await subject.run("mkfifo fifo; echo through > fifo & cat fifo")).stdout, "through\n")
    await subject.rest()
    same((await subject.run("test -p fifo && echo fifo")).stdout, "fifo\n")


@check
async def what_is_not_kept(subject: Subject) -> None:
    """/dev/shm and /run are the sandbox's own memory and start empty."""
    await subject.run("echo x > /dev/shm/x; echo x > /run/x")
    await subject.rest()
    seen = await subject.run("test -e /dev/shm/x || test -e /run/x || echo gone")
    same(seen.stdout, "gone\n")


@check
async def ending_it_leaves_nothing(subject: Subject) -> None:
    """When a sandbox is ended, every process that it consisted of has ended, also those that a program had put into
    the background in sessions of their own; its control groups and its mounts are gone."""
    before, mounts = set(subject.processes()), Path("/proc/self/mountinfo").read_text()
    name = await subject.fresh()
    await subject.run(
        "for i in 1 2 3; do setsid nohup sleep 1000 > /dev/null 2>&1 & done; (setsid sleep 1000 &) ; sleep 0.1"
    )
    mine = set(subject.processes()) - before
    expect(len(mine) >= 1, "no process was found that belongs to the sandbox")
    await subject.fleet.delete(name)
    left = await gone(mine)
    expect(not left, f"processes left: {left}")
    expect(not [group for group in subject.groups() if group.name == name], "a control group is left")
    same(Path("/proc/self/mountinfo").read_text(), mounts)


@check
async def killing_any_piece_ends_it_all(subject: Subject) -> None:
    """Whichever process of a sandbox is killed from outside: nothing of the sandbox lives on, the call in it fails,
    and the next call starts it again on the same files."""
    await subject.run("echo kept > kept.txt")
    await subject.rest()
    before = set(subject.processes())
    for number in range(_PIECES):
        await subject.run("true")
        mine = sorted(set(subject.processes()) - before)
        if number >= len(mine):
            return
        call = asyncio.create_task(subject.run("sleep 1000", seconds=600))
        await asyncio.sleep(0.3)
        pieces = set(subject.processes()) - before
        os.kill(mine[number], signal.SIGKILL)
        outcome = await call
        expect(bool(outcome.failure), f"the call went on when process {number} of {len(mine)} was killed: {outcome}")
        seen = await subject.run("cat kept.txt; pgrep -cx sleep")
        same(seen.stdout, "kept\n0\n")
        left = await gone(pieces)
        expect(not left, f"after process {number} of {len(mine)} was killed, there are left: {left}")


@check
async def ending_it_again_is_no_error(subject: Subject) -> None:
    """``kill`` may be called twice, and when the sandbox has ended by itself."""
    async with subject.fleet.turn(subject.name) as (sandbox, _group):
        await sandbox.running.kill()
        await sandbox.running.kill()
        await sandbox.running.ended()
    seen = await subject.run("echo again")
    same(seen.stdout, "again\n")


@check
async def what_the_guest_says_is_bounded(subject: Subject) -> None:
    """``complaint`` is at most 600 characters, however much was written to standard error."""
    async with subject.fleet.turn(subject.name) as (sandbox, _group):
        complaint = sandbox.running.complaint()
    expect(len(complaint) <= 600, len(complaint))
