"""Proving the guarantees: a sandbox of the engine is started, and a program in it tries to break each of them."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import inspect
import os
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from bathysphere.host import attempts
from bathysphere.host.cgroups import Group
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import Command, SandboxFailed
from bathysphere.host.engines.own_view import TERMINALS
from bathysphere.host.fleet import Fleet
from bathysphere.host.guarantees import NAMES, Proof, judge
from bathysphere.host.processes import KEEPER_OFFSET, numbers_of, parent_of
from bathysphere.host.sandbox import GuestRefusal, Sandbox
from bathysphere.settings import GuaranteeName, SandboxLimits

_SECONDS = 60.0
_OUTPUT_BYTES = 64 * 1024
_BUSY_ROUNDS = 10
_VARIABLE = "BATHYSPHERE_ATTEMPT"
_LOCKED = "etc/passwd"

_OF_THE_KERNEL: frozenset[GuaranteeName] = frozenset(
    {"system call filter", "own view of the image", "own terminals", "no core dumps"}
)
"""What only matters where sandboxes share the machine's kernel."""

_Seen = TypeAdapter(dict[str, tuple[bool, str]])


def trial_limits(limits: SandboxLimits, grouped: bool, own_kernel: bool) -> SandboxLimits:
    """Limits for the trial that are reached within moments. Without control groups: those that will be set."""
    if not grouped:
        return limits
    return limits.model_copy(update={"memory_bytes": (512 if own_kernel else 96) << 20, "cpus": 0.5, "processes": 32})


async def prove(
    fleet: Fleet, container_id: str, configuration: Configuration, limits: SandboxLimits, facts: dict[str, Any]
) -> list[Proof]:
    """Try every guarantee in a new container of ``fleet``, which has ``limits`` and nothing else to do.

    ``facts``: ``locked_in`` (the image as this process sees it), ``disk_limited``, ``privileged``, ``own_kernel``.
    Raises HostError when no sandbox can be had, or the trial comes to no end.
    """
    privileged = bool(facts["privileged"])
    try:
        await fleet.create(container_id)
        async with fleet.turn(container_id) as (sandbox, group):
            users = _users_of(_processes(group))
            with _bait(Path(facts["locked_in"]) / _LOCKED) as bait:
                given = {
                    **bait,
                    "own_kernel": bool(facts["own_kernel"]),
                    "locked": f"/{_LOCKED}",
                    "paths": [str(configuration.data), str(configuration.image), str(configuration.folder / "lock")],
                    "variables": [_VARIABLE],
                    "terminals": TERMINALS,
                    "memory": 0 if facts["own_kernel"] else limits.memory_bytes,
                    "processes": limits.processes,
                    "disk": limits.disk_bytes,
                    "disk_limited": facts["disk_limited"],
                }
                source = f"FACTS = {given!r}\n{inspect.getsource(attempts)}"
                said = {"stdout": b"", "stderr": b""}

                def heard(stream: str, data: bytes) -> None:
                    said[stream] += data

                command = Command("python", source, _SECONDS)
                try:
                    await sandbox.execute(command, asyncio.Event(), heard, _OUTPUT_BYTES)
                except GuestRefusal as error:
                    raise SandboxFailed(f"The trial of the guarantees could not be made: {error}") from error
                throttled = await _throttled(sandbox, group)
        # A kernel of its own is what uses the memory, so the sandbox ends with it.
        ended = facts["own_kernel"] and await _ends_by_memory(fleet, container_id, limits)
    finally:
        await fleet.delete(container_id)
    try:
        seen = _Seen.validate_json(said["stdout"])
    except ValidationError as error:
        complaint = said["stderr"].decode(errors="replace").strip()[-600:]
        raise SandboxFailed(f"The trial of the guarantees ended without a result: {complaint}") from error
    if facts["own_kernel"]:
        more = f"more than {limits.memory_bytes >> 20} MiB"
        seen["memory limit"] = (ended, f"{more} ended the sandbox" if ended else f"{more} could be used")
    held, text = seen.get("processor limit", (False, ""))
    if throttled is None:
        # On a busy machine it may have had little time all the same.
        seen["processor limit"] = (False, "nothing limits it")
    elif held and not throttled:
        seen["processor limit"] = (True, f"{text}; this machine is too busy for more")
    elif throttled and not held and facts["own_kernel"]:
        # That kernel's clock of processor time goes on while the machine's kernel holds it back.
        seen["processor limit"] = (True, f"held back {throttled} times within a quarter of a second")
    first, count = configuration.host.first_uid, configuration.host.uid_count
    seen["own user id"] = (
        bool(users)
        and all(first <= user < first + count or first <= user - KEEPER_OFFSET < first + count for user in users),
        f"runs as {', '.join(map(str, sorted(users))) or 'nobody'} on this machine",
    )
    skipped = _OF_THE_KERNEL if facts["own_kernel"] else frozenset()
    untried = (False, "was not tried")
    proofs = [judge(name, *seen.get(name, untried), privileged) for name in NAMES if name not in skipped]
    if facts["own_kernel"]:
        # Old releases of gVisor show process 1 to its own user (docs/gvisor.md): said, and no reason not to start.
        proofs = [
            replace(proof, verdict="weaker") if proof.name == "own processes" and proof.verdict == "failed" else proof
            for proof in proofs
        ]
    return proofs


async def _ends_by_memory(fleet: Fleet, container_id: str, limits: SandboxLimits) -> bool:
    source = f"place = bytearray({limits.memory_bytes + (16 << 20)})\nplace[::4096] = b'x' * len(place[::4096])"
    command = Command("python", source, _SECONDS)
    try:
        async with fleet.turn(container_id) as (sandbox, _group):
            report = await sandbox.execute(command, asyncio.Event(), lambda *_: None, _OUTPUT_BYTES)
    except SandboxFailed as failure:
        return "memory" in str(failure)
    return report.return_code == 137


async def _throttled(sandbox: Sandbox, group: Group | None) -> int | None:
    """How often the sandbox had to wait for its processor time; where it had to not yet, it is kept busy for longer.

    A busy machine may give it so little that it stays below its limit, for a while.
    """
    if group is None:
        return None
    for _ in range(_BUSY_ROUNDS):
        if group.throttled():
            break
        busy = Command("bash", "timeout 0.3 sh -c 'while :; do :; done'", _SECONDS)
        with contextlib.suppress(GuestRefusal):
            await sandbox.execute(busy, asyncio.Event(), lambda _stream, _data: None, _OUTPUT_BYTES)
    return group.throttled()


def _processes(group: Group | None) -> list[str]:
    """The processes of the sandbox: those of its control group, else our descendants in other process namespaces."""
    if group is not None:
        return (group.places["pids"] / "cgroup.procs").read_text().split()
    processes = (entry.name for entry in Path("/proc").iterdir() if entry.name.isdigit())
    return [name for name in processes if _descends(int(name), os.getpid()) and len(numbers_of(int(name))) > 1]


def _users_of(processes: list[str]) -> set[int]:
    """The user ids of processes, from the machine's own account of them."""
    found = set()
    for process in processes:
        with contextlib.suppress(OSError):
            lines = Path(f"/proc/{process}/status").read_text().splitlines()
            found |= {int(word) for line in lines if line.startswith("Uid:") for word in line.split()[1:]}
    return found


def _descends(pid: int, ancestor: int) -> bool:
    parent = parent_of(pid)
    while parent and parent != ancestor:
        parent = parent_of(parent)
    return parent == ancestor


@contextlib.contextmanager
def _bait(locked: Path) -> Iterator[dict[str, Any]]:
    """Things of this process that must not be reachable from inside: ports, a variable, a lock."""
    name = f"bathysphere-attempt-{os.urandom(8).hex()}"
    os.environ[_VARIABLE] = "1"
    try:
        with socket.create_server(("127.0.0.1", 0)) as port, socket.socket(socket.AF_UNIX) as abstract:
            abstract.bind(f"\0{name}")
            abstract.listen()
            with locked.open("rb") as file:
                # Another daemon may hold it for its own trial at this moment; then it is locked all the same.
                with contextlib.suppress(OSError):
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                yield {"port": port.getsockname()[1], "abstract": name}
    finally:
        os.environ.pop(_VARIABLE, None)
