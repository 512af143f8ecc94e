"""All containers of the daemon: which run, who waits for one, which has to go.

A container is a disk; its sandbox is started when somebody calls and ended when nobody has for a while.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import get_args

from bathysphere.host import stillness
from bathysphere.host.cells import HeldCell
from bathysphere.host.cgroups import CgroupError, Cgroups, Group, GroupLimits
from bathysphere.host.contract import (
    ContainerDeleted,
    DiskFull,
    HostedContainer,
    InterpreterBusy,
    SandboxFailed,
    State,
    TooManySandboxes,
    UnknownContainer,
)
from bathysphere.host.disks import skill_folders
from bathysphere.host.disks.base import Disk, DiskError, Disks
from bathysphere.host.disks.worker import Worker
from bathysphere.host.engine_choice import Engines
from bathysphere.host.engines.base import EngineError, SandboxSpec
from bathysphere.host.resident import Resident
from bathysphere.host.sandbox import GuestError, GuestRefusal, Sandbox
from bathysphere.host.stage import Stage
from bathysphere.host.timing import Timing
from bathysphere.host.warm_pool import PREFIX, WarmPool
from bathysphere.host.written import written_bytes
from bathysphere.settings import HostSettings, SandboxLimits
from bathysphere.telemetry import logs

log = logging.getLogger(__name__)

SHARED_MEMORY_BYTES = 1024 * 1024 * 1024
"""Size of /dev/shm and of /run; what lies there counts as memory."""

RESTED_AT_ONCE = 8
"""Idle sandboxes that are ended beside each other."""

REST_SECONDS = 1.0
"""How long to wait for their ends before the next ones are looked for."""

SKILLS_AT_ONCE = 4
"""Skills that are taken from clients beside each other: each is held in memory meanwhile."""

ENDED_CELLS = 10
"""Cells of a sandbox whose outcome is known after they have ended and others have begun: those of one turn."""


class Fleet:
    """See the module."""

    def __init__(
        self,
        *,
        engines: Engines,
        stage: Stage,
        disks: Disks,
        cgroups: Cgroups | None,
        environment: dict[str, str],
        limits: SandboxLimits,
        settings: HostSettings,
    ) -> None:
        """Without ``cgroups`` the guest limits itself: memory per process, processes per sandbox."""
        self.engines = engines
        self._stage = stage
        self.disks = disks
        self._cgroups = cgroups
        self._environment = environment
        self._limits = limits
        self._settings = settings
        self._residents: dict[str, Resident] = {}
        self._occupied = 0
        self._closing = False
        self._wanting = 0
        """Who is looking for room at this moment; the pool takes none meanwhile."""
        self._pool = WarmPool(0, self._start_ahead, self._prepare, self._undo)
        self._resting: dict[str, asyncio.Task[None]] = {}
        self._rest_room = asyncio.Semaphore(RESTED_AT_ONCE)
        self.skill_worker = Worker(skill_folders.OPERATIONS)
        self.skill_room = asyncio.Semaphore(SKILLS_AT_ONCE)
        self.stop_worker = Worker(stillness.OPERATIONS)

    async def open(self) -> None:
        """Remove what a daemon before had started ahead, and begin to start some."""
        for container_id in self.disks.ids():
            if container_id.startswith(PREFIX):
                await self.disks.delete(container_id)
        self._pool = WarmPool(self._settings.pool, self._start_ahead, self._prepare, self._undo)
        self._pool.fill()

    async def _start_ahead(self) -> Resident | None:
        if self._wanting or self._occupied >= self._settings.max_sandboxes:
            return None
        resident = Resident(f"{PREFIX}{os.urandom(8).hex()}")
        try:
            self.engines.choose(resident.container_id, None)
            await self.disks.create(resident.container_id)
            await self._start(resident, fresh=True)
            # What it begins with is on the disk then, and the first call need not wait for it.
            await self.make_safe(resident)
        except BaseException:
            await asyncio.shield(self._undo(resident))
            raise
        return resident

    async def _prepare(self, resident: Resident) -> None:
        """Have the interpreter of a pooled sandbox started, with the modules imported that cells begin with."""
        resident.prepared = True
        if resident.sandbox is None or not self._settings.preload:
            return
        try:
            await resident.sandbox.prepare_interpreter(self._settings.preload)
        except GuestRefusal as refusal:
            log.warning("the interpreter of a sandbox could not be started ahead: %s", refusal)
        except GuestError as error:
            log.warning("a sandbox that was to start its interpreter ahead is ended: %s", error)
            await resident.sandbox.running.kill()  # whoever takes it finds that out, and gets another

    def _adopt(self, resident: Resident) -> bool:
        """Give a container that has no disk one from the pool, with the sandbox on it. False when there is none."""
        pooled = self._pool.take()
        if pooled is None or pooled.disk is None:
            return False
        try:
            self.engines.choose(resident.container_id, None)
            resident.disk = self.disks.adopt(pooled.disk, resident.container_id)
        except (EngineError, DiskError) as error:
            log.error("%s: it gets no sandbox from the pool: %s", resident.container_id, error)
            self.engines.forget(resident.container_id)
            self._pool.dismiss(pooled)
            return False
        self.engines.forget(pooled.container_id)
        resident.sandbox, resident.group, resident.kills = pooled.sandbox, pooled.group, pooled.kills
        return True

    @property
    def running(self) -> int:
        """Sandboxes that run, start or end at this moment."""
        return self._occupied

    def states(self) -> dict[str, int]:
        """How many containers are in each state; for somebody who asks often, so no disk is looked at."""
        counts = dict.fromkeys(get_args(State), 0)
        for container_id in self.disks.ids():
            if not container_id.startswith(PREFIX):
                counts[self._state(container_id)] += 1
        return counts

    @property
    def ready(self) -> int:
        """Those of them that were started ahead and wait for a container."""
        return len(self._pool)

    @contextlib.asynccontextmanager
    async def visit(self, container_id: str) -> AsyncIterator[Resident]:
        """A container, whether or not there is one of that id, for one caller alone."""
        resident = self._residents.setdefault(container_id, Resident(container_id))
        resident.callers += 1
        try:
            async with resident.lock:
                yield resident
        finally:
            resident.callers -= 1
            resident.last_used = time.monotonic()
            if resident.callers == 0 and resident.sandbox is None:
                self._residents.pop(container_id, None)

    @contextlib.asynccontextmanager
    async def turn(
        self, container_id: str, *, safe: bool = True, timing: Timing | None = None
    ) -> AsyncIterator[tuple[Sandbox, Group | None]]:
        """A container's sandbox, running, for one caller alone. Without ``safe`` the caller calls ``make_safe``.

        ``timing`` is told how long each part takes.

        Raises UnknownContainer, TooManySandboxes, SandboxFailed. A GuestError inside ends the sandbox and becomes
        SandboxFailed.
        """
        if not self.disks.exists(container_id):
            raise unknown(container_id)
        timing = timing or Timing()
        async with self.visit(container_id) as resident:
            timing.lap("wait")
            if resident.deleted or not self.disks.exists(container_id):
                raise unknown(container_id)
            if resident.sandbox is not None and not resident.sandbox.alive:
                log.warning("%s: its sandbox has ended by itself; it is started again", container_id)
                await self.end(resident)
            if resident.sandbox is None:
                timing.how = "restored"
                try:
                    await self._start(resident)
                finally:
                    timing.lap("start")
            assert resident.sandbox is not None
            try:
                yield resident.sandbox, resident.group
                if resident.group is not None:
                    resident.kills = resident.group.usage().memory_kills
                timing.lap("run")
                if safe:
                    await self.make_safe(resident)
                    timing.lap("sync")
            except GuestError as error:
                timing.lap("run")
                # Process 1 is the last one that the kernel would choose, so a kill before it was of the same call.
                out_of_memory = resident.group is not None and resident.group.usage().memory_kills > resident.kills
                complaint = resident.sandbox.running.complaint()
                said = f"; it said {logs.quoted(complaint)}" if complaint else ""
                log.warning("%s: ended, because %s%s", container_id, error, said)
                await self.end(resident)
                if resident.deleted:
                    said = f"The container {container_id} was deleted in the middle of the call."
                    raise ContainerDeleted(said) from error
                why = "it ran out of memory" if out_of_memory else str(error)
                raise SandboxFailed(
                    f"The sandbox was ended in the middle of the call: {why}. The container's files are kept."
                ) from error

    def skills(self, container_id: str) -> dict[str, str] | None:
        """What a running container shows at /skills, name -> digest; None when that would have to be looked at."""
        resident = self._residents.get(container_id)
        return resident.skills if resident is not None and resident.alive and not resident.deleted else None

    @contextlib.asynccontextmanager
    async def attached(self, container_id: str) -> AsyncIterator[Resident]:
        """A running container, for one caller alone, who calls ``make_safe``. Raises what ``turn`` does.

        That is no use of it: what runs in its background has no longer to live.
        """
        async with self.turn(container_id, safe=False):
            resident = self._residents[container_id]
            last_used = resident.last_used
            yield resident
        resident.last_used = last_used

    async def create(self, container_id: str, engine: str | None = None, timing: Timing | None = None) -> None:
        """Make a disk and start a sandbox; a container that exists is started, in the engine that it has.

        Raises what ``Host.create`` does.
        """
        timing = timing or Timing()
        async with self.visit(container_id) as resident:
            timing.lap("wait")
            fresh = not self.disks.exists(container_id)
            try:
                if fresh and self.engines.is_default(engine) and self._adopt(resident):
                    timing.how = "pool"
                    timing.lap("start")
                    return
                if fresh:
                    self.engines.choose(container_id, engine)
                    await self.disks.create(container_id)
            except EngineError as error:
                raise SandboxFailed(f"The sandbox could not be started: {error}") from error
            except DiskError as error:
                log.error("%s: its disk could not be made: %s", container_id, error)
                raise failure(error) from error
            try:
                if resident.sandbox is None:
                    timing.how = "cold" if fresh else "restored"
                    try:
                        await self._start(resident, fresh)
                    finally:
                        timing.lap("start")
                    await self.make_safe(resident)
                    timing.lap("sync")
            except BaseException:
                if fresh:
                    await asyncio.shield(self._undo(resident))
                raise

    async def _undo(self, resident: Resident) -> None:
        await self.end(resident)
        await self.disks.delete(resident.container_id)
        self.engines.forget(resident.container_id)

    async def make_safe(self, resident: Resident) -> None:
        """See that what was told to a caller as done survives a loss of power. Raises DiskFull and SandboxFailed."""
        if resident.disk is None or not self._settings.sync:
            return
        try:
            await self.disks.sync(resident.disk)
        except DiskError as error:
            log.error("%s: %s", resident.container_id, error)
            # The file system may refuse further writes; attached anew it has what its journal has.
            await self.end(resident)
            raise failure(error) from error

    def held(self, container_id: str) -> HeldCell | None:
        """The last cell of a container whose sandbox still runs. Raises UnknownContainer."""
        if not self.disks.exists(container_id):
            raise unknown(container_id)
        resident = self._residents.get(container_id)
        return resident.held if resident is not None and resident.alive else None

    def cell(self, container_id: str, cell_id: str) -> HeldCell | None:
        """A cell of a container whose sandbox still runs, by its id. Raises UnknownContainer.

        Of those that have ended some are known for a while: a request may be sent again although the turn that it
        began has come to further cells, because a later step of that turn failed.
        """
        last = self.held(container_id)
        if last is None or last.id == cell_id:
            return last
        return self._residents[container_id].ended.get(cell_id)

    def hold(self, container_id: str, cell: HeldCell) -> None:
        """Keep a cell that is about to run, within ``turn``. Raises InterpreterBusy."""
        resident = self._residents[container_id]
        if resident.held is not None and resident.waits:
            until = datetime.fromtimestamp(resident.held.waits_until, UTC)
            raise InterpreterBusy(
                "The container's Python interpreter waits for the results of tools that an earlier cell has called, "
                f"until {until:%H:%M:%S} UTC at the latest. Give it these, or use another container."
            )
        if resident.held is not None and resident.held.has_waited and resident.held.finished is not None:
            resident.ended[resident.held.id] = resident.held
            while len(resident.ended) > ENDED_CELLS:
                del resident.ended[next(iter(resident.ended))]
        resident.held = cell

    @property
    def closing(self) -> bool:
        """Whether every sandbox is being ended."""
        return self._closing

    @property
    def waiting(self) -> bool:
        """Whether a cell waits for answers in any container."""
        return any(resident.waits for resident in self._residents.values())

    def written_bytes(self, container_id: str) -> int | None:
        """Bytes written so far to the disk of a running container; None where that is not counted for it alone."""
        resident = self._residents.get(container_id)
        if resident is None or resident.disk is None or not resident.disk.limited:
            return None
        return written_bytes(resident.disk.path)

    def full(self, container_id: str) -> bool:
        """Whether the disk of a running container has no room left."""
        resident = self._residents.get(container_id)
        if resident is None or resident.disk is None:
            return False
        return self.disks.usage(container_id, resident.disk).full

    def list(self) -> list[HostedContainer]:
        """See Host."""
        return [self._hosted(name) for name in self.disks.ids() if not name.startswith(PREFIX)]

    def _hosted(self, container_id: str) -> HostedContainer:
        resident = self._residents.get(container_id)
        usage = self.disks.usage(container_id, resident.disk if resident else None)
        age = self.disks.age_seconds(container_id)
        return HostedContainer(container_id, self._state(container_id), usage.full, usage.used_bytes, age)

    def _state(self, container_id: str) -> State:
        resident = self._residents.get(container_id)
        if resident is not None and resident.callers:
            return "busy"
        if resident is not None and resident.waits:
            return "waiting"
        if resident is not None and resident.sandbox is not None:
            return "idle"
        return "suspended" if self.disks.trouble(container_id) is None else "broken"

    async def delete(self, container_id: str) -> None:
        """End and remove a container, also in the middle of a call."""
        resident = self._residents.get(container_id)
        if resident is None and not self.disks.exists(container_id):
            return
        if resident is not None:
            resident.deleted = True
            if resident.sandbox is not None and resident.callers:
                await resident.sandbox.running.kill()  # whoever is in a call finds out and gives way
        async with self.visit(container_id) as resident:
            await self.end(resident)
            await self.disks.delete(container_id)
            self.engines.forget(container_id)
            resident.deleted = False

    async def _start(self, resident: Resident, fresh: bool = False) -> None:
        if self._closing:
            raise SandboxFailed("The host is ending. Try again in a moment.")
        await self._make_room()
        self._occupied += 1
        group: Group | None = None
        disk: Disk | None = None
        rlimits: dict[str, int] = {}
        try:
            disk = await self.disks.attach(resident.container_id)
            limits = self._limits
            engine = self.engines.of(resident.container_id)
            if self._cgroups is not None:
                group = self._cgroups.create(
                    resident.container_id, GroupLimits(limits.memory_bytes, limits.cpus, engine.tasks(limits.processes))
                )
            else:
                # Counted within the sandbox's own user namespace, so other processes of the user do not count.
                rlimits = {"AS": limits.memory_bytes, "NPROC": limits.processes}
            running = await engine.start(
                SandboxSpec(
                    image=self._stage.image,
                    guest=self._stage.guest,
                    disk=disk.path,
                    identity=disk.identity,
                    group=group,
                    processes=limits.processes,
                    open_files=limits.open_files,
                    file_bytes=limits.disk_bytes,
                    shared_memory_bytes=min(SHARED_MEMORY_BYTES, limits.memory_bytes // 2),
                    views=self._stage.views,
                )
            )
            environment = {**self._environment, **engine.environment(self._stage.image)}
            try:
                sandbox = await Sandbox.connect(running, environment, limits, rlimits=rlimits, fresh=fresh)
            except BaseException as error:
                await running.kill()
                said = running.complaint()
                running.close()
                if isinstance(error, GuestError | GuestRefusal):
                    raise EngineError(f"{error}; it said: {said or 'nothing'}") from error
                raise
        except DiskError as error:
            await self._leave(group, disk)
            raise failure(error) from error
        except (EngineError, CgroupError) as error:
            log.error("%s: its sandbox could not be started: %s", resident.container_id, error)
            await self._leave(group, disk)
            raise SandboxFailed(f"The sandbox could not be started: {error}") from error
        except BaseException:
            await asyncio.shield(self._leave(group, disk))
            raise
        resident.sandbox = sandbox
        resident.disk = disk
        resident.group = group
        resident.kills = 0

    async def _leave(self, group: Group | None, disk: Disk | None) -> None:
        try:
            if group is not None:
                group.remove()
            if disk is not None:
                await self.disks.detach(disk)
        finally:
            self._occupied -= 1

    async def end(self, resident: Resident) -> None:
        """End a container's sandbox, if it runs, and detach its disk, for who visits it."""
        sandbox, resident.sandbox = resident.sandbox, None
        group, resident.group = resident.group, None
        disk, resident.disk = resident.disk, None
        held, resident.held = resident.held, None
        resident.skills = None
        resident.ended.clear()
        if held is not None:
            held.close()
        if sandbox is not None:
            await asyncio.shield(self._part(sandbox, group, disk))

    async def _part(self, sandbox: Sandbox, group: Group | None, disk: Disk | None) -> None:
        try:
            await sandbox.kill()
        finally:
            await self._leave(group, disk)

    async def _make_room(self) -> None:
        self._wanting += 1
        try:
            await self._make_room_now()
        finally:
            self._wanting -= 1

    async def _make_room_now(self) -> None:
        while self._occupied >= self._settings.max_sandboxes:
            idle = [r for r in self._residents.values() if r.sandbox is not None and r.callers == 0 and not r.waits]
            if await self._pool.give_way():
                continue
            if not idle:
                raise TooManySandboxes(
                    f"All {self._settings.max_sandboxes} sandboxes of this host are at work. Try again in a moment, or "
                    "raise host.max_sandboxes."
                )
            await self._rest(min(idle, key=lambda resident: resident.last_used))

    async def _rest(self, resident: Resident) -> None:
        """End a sandbox that nobody uses; its disk stays."""
        last_used = resident.last_used
        async with self.visit(resident.container_id) as visited:
            if visited.waits:
                return
            await self.save(visited)
            await self.end(visited)
        resident.last_used = last_used

    async def save(self, resident: Resident) -> None:
        """Have the interpreter's variables on the disk, as far as that goes, before the sandbox is ended."""
        if resident.sandbox is None or resident.held is None or resident.waits or not resident.alive:
            return
        try:
            await resident.sandbox.save_interpreter()
            await self.make_safe(resident)
        except (GuestError, GuestRefusal, DiskFull, SandboxFailed) as error:
            log.warning("%s: the variables of its interpreter are not saved: %s", resident.container_id, error)

    async def rest(self, container_id: str) -> None:
        """End a container's sandbox once nobody is in a call; its disk stays. No error when it does not run."""
        resident = self._residents.get(container_id)
        if resident is not None:
            await self._rest(resident)

    async def rest_idle(self) -> None:
        """End the sandboxes that were idle for long enough."""
        limit = time.monotonic() - self._settings.idle_seconds

        async def rest(resident: Resident) -> None:
            async with self._rest_room:
                # Somebody may have called meanwhile.
                unused = resident.callers == 0 and not resident.waits and resident.last_used < limit
                if unused and resident.sandbox is not None:
                    await self._rest(resident)

        for name, resident in self._residents.items():
            idle = resident.callers == 0 and not resident.waits and resident.last_used < limit
            if idle and resident.sandbox is not None and name not in self._resting:
                self._resting[name] = asyncio.create_task(rest(resident))
        if not self._resting:
            return
        # Code can make it take long to save the variables of one: that is nobody else's affair.
        await asyncio.wait(self._resting.values(), timeout=REST_SECONDS)
        ended = {name: task for name, task in self._resting.items() if task.done()}
        for name in ended:
            del self._resting[name]
        for task in ended.values():
            task.result()

    async def close(self) -> None:
        """End every sandbox, also in the middle of a call. The containers' disks stay."""
        # Nothing is started from now on: what came while others are ended would be left over.
        self._closing = True
        await self._pool.close()
        running = [resident.sandbox for resident in self._residents.values() if resident.sandbox is not None]
        await asyncio.gather(*(sandbox.running.kill() for sandbox in running), return_exceptions=True)
        await asyncio.gather(*self._resting.values(), return_exceptions=True)
        while self._residents:
            for resident in list(self._residents.values()):
                async with self.visit(resident.container_id) as visited:
                    await self.end(visited)
        await self.skill_worker.close()
        await self.stop_worker.close()


def failure(error: DiskError) -> DiskFull | SandboxFailed:
    """What a disk's trouble is to a client."""
    return (DiskFull if error.full else SandboxFailed)(str(error))


def unknown(container_id: str) -> UnknownContainer:
    """There is none of that id."""
    return UnknownContainer(f"There is no container {container_id} on this host; it was deleted or never made.")
