"""Containers whose disk is copied: into another container, or from outside while what runs in them stands still."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Sequence

from bathysphere.host.contract import InterpreterBusy, SandboxFailed
from bathysphere.host.disks.base import DiskError
from bathysphere.host.engines.base import EngineError
from bathysphere.host.fleet import Fleet, failure, unknown
from bathysphere.host.resident import Resident

log = logging.getLogger(__name__)


async def fork(fleet: Fleet, container_id: str, new_id: str) -> None:
    """Make a container whose disk is a copy of another's. Raises what ``Host.fork`` does.

    The other's processes end: nobody may write while its disk is copied, and the copy begins without processes too.
    """
    if not fleet.disks.exists(container_id):
        raise unknown(container_id)
    if fleet.disks.exists(new_id):
        raise SandboxFailed(f"There is a container {new_id} already; nothing was copied.")
    async with fleet.visit(container_id) as resident:
        if resident.deleted or not fleet.disks.exists(container_id):
            raise unknown(container_id)
        async with fleet.visit(new_id):
            if fleet.disks.exists(new_id):
                raise SandboxFailed(f"There is a container {new_id} already; nothing was copied.")
            if resident.waits:
                raise InterpreterBusy(
                    "A cell in the container waits for the results of tools, and would be lost with its processes. "
                    "Nothing was copied. Give it these first."
                )
            await fleet.save(resident)
            await fleet.end(resident)
            try:
                fleet.engines.copy(container_id, new_id)
                await fleet.disks.fork(container_id, new_id)
            except EngineError as error:
                raise SandboxFailed(f"The container cannot be copied: {error}") from error
            except DiskError as error:
                log.error("%s: %s", container_id, error)
                raise failure(error) from error


@contextlib.asynccontextmanager
async def still(fleet: Fleet, container_id: str, rest: bool = False) -> AsyncIterator[None]:
    """Nobody changes the container's disk meanwhile, and all that is on it can be read from outside.

    What runs in it stands still and goes on afterwards; with ``rest``, or when it cannot be stopped, it is ended as
    after long idling. A call that comes waits. Raises UnknownContainer, DiskFull, SandboxFailed.
    """
    if not fleet.disks.exists(container_id):
        raise unknown(container_id)
    async with fleet.visit(container_id) as resident:
        last_used = resident.last_used
        if resident.deleted or not fleet.disks.exists(container_id):
            raise unknown(container_id)
        if rest:
            await fleet.save(resident)
        if rest or not resident.alive:
            await fleet.end(resident)
        async with _standing(fleet, resident):
            yield
    resident.last_used = last_used  # nobody used it


@contextlib.asynccontextmanager
async def _standing(fleet: Fleet, resident: Resident) -> AsyncIterator[None]:
    if resident.sandbox is None or resident.disk is None:
        yield
        return
    roots, standing = resident.sandbox.running.roots, None
    try:
        try:
            standing = await fleet.stop_worker.call("stop", roots)
            await fleet.disks.sync(resident.disk)
        except (OSError, DiskError) as error:
            log.warning("%s: its processes are ended, to copy its disk: %s", resident.container_id, error)
            await fleet.end(resident)
        yield
    finally:
        if resident.sandbox is not None:
            await _wake(fleet, resident, roots, standing or [])


async def _wake(fleet: Fleet, resident: Resident, roots: Sequence[int], standing: Sequence[int]) -> None:
    try:
        await asyncio.shield(fleet.stop_worker.call("go_on", roots, standing))
    except OSError as error:
        log.error("%s: its processes are ended, they cannot go on: %s", resident.container_id, error)
        await fleet.end(resident)
