"""What a check works with: a fleet on the engine, and a container of its own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bathysphere.host import copies
from bathysphere.host.cells import HeldCell
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import Cell, Command, SandboxFailed, ToolAnswer, ToolFunction
from bathysphere.host.fleet import Fleet
from bathysphere.host.ground import Ground
from bathysphere.host.reports import Measured
from bathysphere.host.sandbox import GuestRefusal, Report
from bathysphere.host.skills import set_skills


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command. With ``failure`` the sandbox was ended in the middle of it; the rest is empty then."""

    stdout: str
    stderr: str
    report: Report | None
    failure: str = ""

    @property
    def code(self) -> int | None:
        """The return code; None when there was none."""
        return None if self.report is None else self.report.return_code


class Subject:
    """See the module. ``limits`` of the configuration are small: 256 MiB and 64 processes."""

    def __init__(self, configuration: Configuration, ground: Ground, fleet: Fleet) -> None:
        self.configuration = configuration
        self.ground = ground
        self.fleet = fleet
        self.root = os.geteuid() == 0
        self.limited = ground.cgroups is not None
        """Whether groups of the kernel limit the sandboxes."""
        self.own_kernel = ground.engines.default.guarantees()["own kernel"]
        self._made: list[str] = []
        self.name = ""

    async def fresh(self) -> str:
        """A new container, which is the one that the methods below are about."""
        self.name = f"check_{os.urandom(6).hex()}"
        self._made.append(self.name)
        await self.fleet.create(self.name)
        return self.name

    async def fork(self) -> str:
        """A copy of the container, as a new one; its name."""
        name = f"check_{os.urandom(6).hex()}"
        self._made.append(name)
        await copies.fork(self.fleet, self.name, name)
        return name

    async def clear(self) -> None:
        """Delete every container that was made."""
        while self._made:
            await self.fleet.delete(self._made.pop())

    async def run(self, source: str, language: str = "bash", seconds: float = 60, name: str = "") -> Outcome:
        """Run a command in the container, or in another one of ``name``."""
        assert language in ("bash", "python")
        output = {"stdout": bytearray(), "stderr": bytearray()}
        command = Command("python" if language == "python" else "bash", source, seconds)

        def take(stream: str, data: bytes) -> None:
            output[stream] += data

        try:
            async with self.fleet.turn(name or self.name) as (sandbox, _group):
                report = await sandbox.execute(command, asyncio.Event(), take, self.configuration.limits.output_bytes)
        except SandboxFailed as error:
            return Outcome("", "", None, str(error))
        return Outcome(output["stdout"].decode(errors="replace"), output["stderr"].decode(errors="replace"), report)

    async def python(self, source: str, seconds: float = 60) -> Outcome:
        """Run a Python program in the container."""
        return await self.run(source, "python", seconds)

    async def cell(self, source: str, seconds: float = 60) -> HeldCell:
        """Run a cell, which may call ``add``, until it ends or waits."""
        limits = self.configuration.limits
        async with self.fleet.turn(self.name) as (sandbox, group):
            held = HeldCell("cell", limits, Measured(limits, group, lambda: None, lambda: False), _nothing)
            self.fleet.hold(self.name, held)
            await held.run(sandbox, Cell(source, seconds, (ToolFunction("add", ("a", "b")),)), asyncio.Event())
        return held

    async def add(self, held: HeldCell) -> HeldCell:
        """Answer the calls of ``add`` that a cell waits for, once."""
        answers = [ToolAnswer(call.id, str(sum(call.arguments.values()))) for call in held.calls]
        async with self.fleet.turn(self.name) as (sandbox, _group):
            await held.answer(sandbox, answers)
        return held

    async def read(self, handle: str) -> bytes:
        """The bytes of a file that the last command produced."""
        async with self.fleet.turn(self.name) as (sandbox, _group):
            return b"".join([chunk async for chunk in sandbox.read_output(handle)])

    async def edit(self, **command: object) -> dict[str, Any]:
        """Carry out a command of the text editor."""
        async with self.fleet.turn(self.name) as (sandbox, _group):
            outcome = json.loads(await sandbox.edit(json.dumps(command).encode()))
        assert isinstance(outcome, dict)
        return outcome

    async def place(self, filename: str, content: list[bytes], announced: int | None = None) -> str:
        """Put a file into the input directory; the refusal, empty when it was placed."""

        async def chunks() -> AsyncIterator[bytes]:
            for chunk in content:
                yield chunk

        size = sum(map(len, content)) if announced is None else announced
        try:
            async with self.fleet.turn(self.name) as (sandbox, _group):
                await sandbox.place(filename, size, chunks())
        except GuestRefusal as refusal:
            return str(refusal)
        return ""

    async def show(self, skills: dict[str, dict[str, bytes]], name: str = "") -> bool:
        """Have exactly these skills shown: name -> path -> content. Those below ``scripts/`` are programs.

        Whether that changed anything.
        """
        listed = {
            skill: json.dumps([(path, len(data), path.startswith("scripts/")) for path, data in files.items()])
            for skill, files in skills.items()
        }
        asked = [
            {
                "name": skill,
                "digest": hashlib.sha256(listed[skill].encode() + b"".join(files.values())).hexdigest(),
            }
            for skill, files in skills.items()
        ]

        async def bring(skill: str) -> AsyncGenerator[bytes, None]:
            yield listed[skill].encode()
            for data in skills[skill].values():
                for start in range(0, len(data), 1 << 20):
                    yield data[start : start + (1 << 20)]

        return await set_skills(self.fleet, name or self.name, json.dumps(asked).encode(), bring)

    async def rest(self) -> None:
        """End the sandbox as when it has been idle for long; the disk stays."""
        await self.fleet.rest(self.name)

    def processes(self) -> dict[int, str]:
        """Every process of the machine that descends from this one: its id -> its name."""
        parents: dict[int, tuple[int, str]] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdigit():
                try:
                    before, _, after = (entry / "stat").read_text(errors="replace").rpartition(")")
                    parents[int(entry.name)] = (int(after.split()[1]), before.partition("(")[2])
                except (OSError, IndexError, ValueError):
                    continue
        found: dict[int, str] = {}
        known = {os.getpid()}
        while more := {pid for pid, (parent, _name) in parents.items() if parent in known} - known:
            known |= more
            found |= {pid: parents[pid][1] for pid in more}
        return found

    def users(self, processes: set[int]) -> set[int]:
        """The users of the host as whom these processes run."""
        found: set[int] = set()
        for pid in processes:
            try:
                lines = Path(f"/proc/{pid}/status").read_text().splitlines()
            except OSError:
                continue  # it has ended
            found |= {int(uid) for line in lines if line.startswith("Uid:") for uid in line.split()[1:]}
        return found

    def groups(self) -> list[Path]:
        """Control groups of containers that exist now."""
        return [
            group
            for base in Path("/sys/fs/cgroup").rglob(self.configuration.name)
            for group in base.iterdir()
            if group.is_dir()
        ]


async def gone(processes: set[int], seconds: float = 30) -> set[int]:
    """Wait until these processes have ended; those that have not in all that time."""
    left = set(processes)
    async with asyncio.timeout(seconds + 10):
        for _ in range(int(seconds / 0.02)):
            left = {pid for pid in left if Path(f"/proc/{pid}").exists()}
            if not left:
                break
            await asyncio.sleep(0.02)
    return left


async def _nothing() -> None:
    """No check waits until a call is too late."""
