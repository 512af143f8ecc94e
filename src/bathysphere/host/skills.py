"""Skills for a container: what is wanted, what is missing of it, and what comes in.

The wanted skills are named by their digests. Each one that the container does not have is brought, one at a time: the
list of its files and their bytes. When all are there, exactly the wanted ones are shown.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, suppress
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bathysphere.host.contract import DiskFull, SandboxFailed
from bathysphere.host.disks.base import SKILLS, Disk
from bathysphere.host.disks.trash import is_full
from bathysphere.host.fleet import Fleet

log = logging.getLogger(__name__)

MOST_SKILLS = 20
"""In one container (WIRE c.2)."""

LARGEST_SKILL = 64 * 1024 * 1024
"""Bytes of a skill's files. Of a few skills at a time, so much is held in memory."""

MOST_FILES = 10_000
LONGEST_PATH = 1024
"""Bytes of a file's path within its skill."""

DEEPEST = 32
"""Folders within each other in a skill."""

_LONGEST_NAME = 255


class _Wanted(BaseModel):
    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(pattern=r"^[a-z0-9-]{1,64}$")]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


_WANTED = TypeAdapter(Annotated[list[_Wanted], Field(max_length=MOST_SKILLS)])
_FILES = TypeAdapter(Annotated[list[tuple[str, Annotated[int, Field(ge=0)], bool]], Field(max_length=MOST_FILES)])


Bring = Callable[[str], AsyncGenerator[bytes, None]]
"""Gives what is missing of a skill, by its name: the list of its files as JSON, then their bytes in pieces."""


async def set_skills(fleet: Fleet, container_id: str, asked: bytes, bring: Bring) -> bool:
    """Have a container show exactly these skills; whether that changed anything.

    Raises what ``Host.set_skills`` does, and what ``bring`` does; what was shown before still is then.
    """
    wanted = wanted_skills(asked)
    if fleet.skills(container_id) == wanted:
        return False
    async with fleet.attached(container_id) as resident:
        assert resident.disk is not None, "it runs"
        shelf = _Shelf(fleet, resident.disk)
        if resident.skills is None:
            resident.skills = await shelf.shown()
        if resident.skills == wanted:
            return False
        missing = [name for name, digest in wanted.items() if (resident.skills or {}).get(name) != digest]
        try:
            for name in missing:
                async with fleet.skill_room, aclosing(bring(name)) as content:
                    await shelf.put(name, content)
            resident.skills = None
            await shelf.show(wanted, missing)
            await fleet.make_safe(resident)
            await shelf.note(wanted)
        except BaseException:
            await asyncio.shield(shelf.clear())
            raise
        resident.skills = wanted
    return True


def wanted_skills(asked: bytes) -> dict[str, str]:
    """Name -> digest, in a fixed order. Raises ValueError."""
    try:
        skills = _WANTED.validate_json(asked)
    except ValidationError as error:
        raise ValueError(f"These are no skills for a container: {error.errors()[0]['msg']}") from error
    wanted = {skill.name: skill.digest for skill in sorted(skills, key=lambda skill: skill.name)}
    if len(wanted) != len(skills):
        raise ValueError("Two skills of one name cannot both be shown.")
    return wanted


def checked_files(said: bytes) -> list[tuple[str, int, bool]]:
    """The files of a skill, as a client lists them: paths that lead nowhere else, and not too much. ValueError."""
    try:
        files = _FILES.validate_json(said)
    except ValidationError as error:
        raise ValueError(f"This is no list of a skill's files: {error.errors()[0]['msg']}") from error
    if sum(size for _path, size, _executable in files) > LARGEST_SKILL:
        raise ValueError(f"A skill may have {LARGEST_SKILL >> 20} MiB.")
    names = {path for path, _size, _executable in files}
    if len(names) != len(files):
        raise ValueError("A skill names a file twice.")
    for path in names:
        parts = path.split("/")
        if (
            len(path.encode(errors="replace")) > LONGEST_PATH
            or len(parts) > DEEPEST
            or any(part in ("", ".", "..") or not _possible(part) for part in parts)
        ):
            raise ValueError(f"{path[:200]!r} cannot be a file's path in a skill.")
        if any("/".join(parts[:depth]) in names for depth in range(1, len(parts))):
            raise ValueError(f"{path[:200]!r} lies in a file of its skill.")
    return files


def _possible(name: str) -> bool:
    try:
        return "\0" not in name and len(name.encode()) <= _LONGEST_NAME
    except UnicodeEncodeError:
        return False


class _Shelf:
    """The skills of a container whose disk is attached, for one caller alone."""

    def __init__(self, fleet: Fleet, disk: Disk) -> None:
        self._worker = fleet.skill_worker
        self._place = str(disk.path / SKILLS)
        self._owner = disk.skills_owner
        self._limited = disk.limited

    async def _call(self, what: str, operation: str, *arguments: Any, descriptor: int | None = None) -> Any:
        try:
            return await self._worker.call(operation, self._place, *arguments, descriptor=descriptor)
        except OSError as error:
            log.error("%s: %s: %s", self._place, what, error)
            if is_full(error):
                whose = "the container's disk is" if self._limited else "the disk of the server is"
                raise DiskFull(f"{what}: {whose} full.") from error
            raise SandboxFailed(f"{what}: {error.strerror or error}.") from error

    async def shown(self) -> dict[str, str] | None:
        """What is there; None when that is not known."""
        known = await self._call("The container's skills cannot be looked at", "shown")
        return None if known is None else dict(known)

    async def put(self, name: str, content: AsyncIterator[bytes]) -> None:
        """Put a skill beside those that are shown. Raises ValueError for one that is not as it must be."""
        files = checked_files(await anext(content))
        listed = json.dumps(files).encode()
        held = os.memfd_create("skill", os.MFD_CLOEXEC)
        try:
            _write(held, listed)
            missing = sum(size for _path, size, _executable in files)
            while missing:
                data = await anext(content)
                if not data or len(data) > missing:
                    raise ValueError(f"The skill {name} is not as long as announced.")
                missing -= len(data)
                _write(held, data)
            what = f"The skill {name} cannot be put into the container"
            await self._call(what, "write", self._owner, name, len(listed), descriptor=held)
        finally:
            os.close(held)

    async def show(self, wanted: dict[str, str], written: list[str]) -> None:
        """Show exactly the wanted ones."""
        await self._call("The container's skills cannot be exchanged", "show", self._owner, [*wanted], written)

    async def note(self, wanted: dict[str, str]) -> None:
        """Remember what is shown, once it is safe."""
        await self._call("The container's skills cannot be noted", "note", self._owner, wanted)

    async def clear(self) -> None:
        """Remove what was received and not shown."""
        with suppress(DiskFull, SandboxFailed):  # the next skill that is put there removes it
            await self._call("What was received of skills is left over", "clear", self._owner)


def _write(file: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(file, view) :]
