"""What clients of the daemon may ask, and how it is answered: one request at a time on a connection."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bathysphere.guest import frames
from bathysphere.guest.outputs import printable
from bathysphere.host import transfers
from bathysphere.host.cgroups import Group
from bathysphere.host.connection import FrameError, queue_frame, read_frame, write_frame
from bathysphere.host.contract import (
    Command,
    DiskFull,
    EditorCommand,
    EditorOutcome,
    HostError,
    OutputGone,
    PathNotFound,
    PathRefused,
    SandboxFailed,
)
from bathysphere.host.fleet import Fleet
from bathysphere.host.sandbox import GuestError, GuestRefusal, Report, Sandbox, json_bytes, printable_text
from bathysphere.host.transfers import CLIENT_SECONDS
from bathysphere.host.warm_pool import PREFIX
from bathysphere.settings import SandboxLimits

PARTING_SECONDS = 5.0
"""How long a client that was refused may go on sending."""

LARGEST_SOURCE = 1024 * 1024

LONGEST_PATH = 4095
"""Characters of a path; the guest counts its bytes."""

_RESERVED = (PREFIX, "bathysphere-")
"""How the names begin that the daemon gives by itself."""


def _not_reserved(name: str) -> str:
    if name.startswith(_RESERVED):
        raise ValueError("this name is the daemon's own")
    return name


_ContainerId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,127}$"), AfterValidator(_not_reserved)]


class Request(BaseModel):
    """The first frame of a request."""

    model_config = ConfigDict(extra="forbid")

    op: Literal["create", "delete", "fork", "execute", "read_output", "edit", "place", "read_path", "write_path"]
    container: _ContainerId
    engine: Annotated[str, Field(max_length=64)] = ""
    new_container: _ContainerId = "new"
    language: Literal["bash", "python"] = "bash"
    timeout_seconds: Annotated[float, Field(gt=0, le=86400)] = 1.0
    handle: Annotated[str, Field(max_length=64)] = ""
    filename: Annotated[str, Field(max_length=255)] = ""
    path: Annotated[str, Field(max_length=LONGEST_PATH)] = ""
    size: Annotated[int, Field(ge=0)] = 0


OUTCOME: TypeAdapter[EditorOutcome] = TypeAdapter(Annotated[EditorOutcome, Field(discriminator="kind")])
"""Reads the JSON of an editor's outcome."""


def valid_filename(name: str) -> bool:
    """Whether an uploaded file may have this name in the container."""
    return printable(name) and "/" not in name and name not in (".", "..")


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one connection, with what it is answered through."""

    fleet: Fleet
    limits: SandboxLimits
    request: Request
    payload: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def carry_out(self) -> None:
        """Do what is asked and write the answer, except for its last frame. Raises HostError and ValueError."""
        request = self.request
        if request.op == "create":
            await self.fleet.create(request.container, request.engine or None)
        elif request.op == "delete":
            await self.fleet.delete(request.container)
        elif request.op == "fork":
            await self.fleet.fork(request.container, request.new_container)
        elif request.op == "execute":
            await self._execute()
        else:
            async with self._turn() as (sandbox, _group):
                if request.op == "read_output":
                    await self._read_output(sandbox)
                elif request.op == "edit":
                    await self._edit(sandbox)
                elif request.op == "read_path":
                    await transfers.read_path(sandbox, request.path, self.limits.disk_bytes, self.writer)
                elif request.op == "write_path":
                    await transfers.write_path(sandbox, request.path, self.limits.disk_bytes, self.reader, self.writer)
                else:
                    await self._place(sandbox)

    @contextlib.asynccontextmanager
    async def _turn(self) -> AsyncIterator[tuple[Sandbox, Group | None]]:
        async with self.fleet.turn(self.request.container) as (sandbox, group):
            try:
                yield sandbox, group
            except GuestRefusal as refusal:
                raise _error_of(refusal) from refusal
            except TimeoutError as error:
                raise ConnectionAbortedError("the client neither sends nor takes anything") from error

    async def _execute(self) -> None:
        if len(self.payload) > LARGEST_SOURCE:
            raise ValueError(f"The source has more than {LARGEST_SOURCE} bytes.")
        command = Command(self.request.language, self.payload.decode(), self.request.timeout_seconds)
        gone = asyncio.Event()
        watch = asyncio.create_task(_watch(self.reader, gone))
        try:
            async with self._turn() as (sandbox, group):
                if gone.is_set():
                    return
                before = group.usage() if group else None
                written = self.fleet.written_bytes(self.request.container)
                if group:
                    group.reset_peak()
                report = await sandbox.execute(command, gone, self._output, self.limits.output_bytes)
                finished = _finished(report, self.limits, group, before)
                if self.fleet.full(self.request.container):
                    finished["notes"].append(f"The disk limit of {_size(self.limits.disk_bytes)} was reached.")
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch  # it gives the reader free, which a refusal still needs
        # Now that the turn is over, all of it has arrived on the disk.
        total = self.fleet.written_bytes(self.request.container)
        finished["written_bytes"] = None if written is None or total is None else max(0, total - written)
        # Not waited for: together with the last frame it is one thing to send, and to wake up for.
        queue_frame(self.writer, {"type": "finished"}, json_bytes(finished))

    def _output(self, stream: str, data: bytes) -> None:
        # Bounded by what is kept of a command's output, so nobody has to wait here for a slow client.
        queue_frame(self.writer, {"type": "output", "stream": stream}, data)

    async def _read_output(self, sandbox: Sandbox) -> None:
        async for chunk in sandbox.read_output(self.request.handle):
            async with asyncio.timeout(CLIENT_SECONDS):
                await write_frame(self.writer, {"type": "data"}, chunk)

    async def _edit(self, sandbox: Sandbox) -> None:
        EditorCommand.model_validate_json(self.payload)
        outcome = await sandbox.edit(self.payload)
        try:
            OUTCOME.validate_json(outcome)
        except ValidationError as error:
            raise GuestError("the guest does not keep to the protocol") from error
        async with asyncio.timeout(CLIENT_SECONDS):
            await write_frame(self.writer, {"type": "outcome"}, outcome)

    async def _place(self, sandbox: Sandbox) -> None:
        request = self.request
        check_filename(request.filename)
        await sandbox.place(request.filename, request.size, _content(self.reader, request.size))


def check_filename(name: str) -> None:
    """Raises ValueError when an uploaded file may not have this name in the container."""
    if not valid_filename(name):
        raise ValueError(
            f"{name!r} cannot be a file's name in a container: 1 to 255 bytes of UTF-8, no slash, nothing unprintable."
        )


async def serve(
    fleet: Fleet,
    limits: SandboxLimits,
    frame: tuple[dict[str, Any], bytes],
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter],
) -> bool:
    """Carry out one request. Every answer ends with a frame ``done`` or ``error``, after which nothing more is said.

    True after ``done``: the next request may follow. Raises ConnectionError.
    """
    header, payload = frame
    reader, writer = streams
    try:
        await Call(fleet, limits, Request.model_validate(header), payload, reader, writer).carry_out()
    except ValidationError as error:
        await _fail(streams, "ValueError", f"The request is not valid: {error.errors()[0]['msg']}")
    except (HostError, ValueError) as error:
        await _fail(streams, type(error).__name__, str(error))
    except FrameError as error:
        await _fail(streams, "ValueError", str(error))
    else:
        await write_frame(writer, {"type": "done"})
        return True
    return False


async def _fail(streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], name: str, message: str) -> None:
    reader, writer = streams
    await write_frame(writer, {"type": "error", "error": name, "message": message[:8000]})
    # A client may still be sending. If it were cut off, it would lose the answer that is on its way.
    with contextlib.suppress(OSError, TimeoutError):
        async with asyncio.timeout(PARTING_SECONDS):
            while await reader.read(65536):
                pass


async def _watch(reader: asyncio.StreamReader, gone: asyncio.Event) -> None:
    with contextlib.suppress(OSError):
        await reader.read(1)
    gone.set()


def _error_of(refusal: GuestRefusal) -> HostError:
    kinds: dict[str, type[HostError]] = {
        "disk_full": DiskFull,
        "output_gone": OutputGone,
        "path_not_found": PathNotFound,
        "path_refused": PathRefused,
    }
    return kinds.get(refusal.code, SandboxFailed)(str(refusal))


async def _content(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    missing = size
    while missing:
        async with asyncio.timeout(CLIENT_SECONDS):
            frame = await read_frame(reader, frames.CHUNK)
        if frame is None:
            raise ConnectionResetError("the client ended in the middle of a file")
        data = frame[1]
        if not data or len(data) > missing:
            raise ValueError("the file is not as long as announced")
        missing -= len(data)
        yield data


def _finished(report: Report, limits: SandboxLimits, group: Group | None, before: Any) -> dict[str, Any]:
    """The report for the client, with what the system says about the call."""
    notes = [printable_text(note) for note in report.notes]
    cpu: float | None = None
    peak: int | None = None
    if group is not None and before is not None:
        after = group.usage()
        peak = after.peak_memory_bytes
        if after.cpu_seconds is not None and before.cpu_seconds is not None:
            cpu = max(0.0, after.cpu_seconds - before.cpu_seconds)
        if after.memory_kills > before.memory_kills:
            notes.append(f"The memory limit of {_size(limits.memory_bytes)} was reached and a process was killed.")
        if after.process_refusals > before.process_refusals:
            notes.append(f"The limit of {limits.processes} processes was reached and no more could be started.")
    if report.timed_out:
        notes.append("The time limit was reached and every process that the command had started was killed.")
    if report.left_out_more:
        notes.append(f"{report.left_out_more} further files are not returned.")
    # Checked once more here: a guest that was taken over could send names that would harm a terminal.
    files = [entry for entry in report.files if valid_filename(entry[1]) and entry[2] <= limits.captured_file_bytes]
    kept, left_out = _within(files[: limits.captured_files], limits.captured_bytes)
    return {
        "return_code": report.return_code,
        "timed_out": report.timed_out,
        "duration_seconds": report.duration_seconds,
        "truncated": report.truncated,
        "files": kept,
        "left_out": [(printable_text(name), *rest) for name, *rest in report.left_out] + left_out,
        "notes": notes,
        "cpu_seconds": cpu,
        "peak_memory_bytes": peak,
    }


def _within(
    files: list[tuple[str, str, int]], room: int
) -> tuple[list[tuple[str, str, int]], list[tuple[str, int, str, bool]]]:
    """The files that fit into ``room`` bytes together, and the others as left out.

    Their lengths count, whatever they take in the container: a file that is one hole would be stored in full.
    """
    kept = []
    left_out = []
    for handle, name, size in files:
        if size <= room:
            room -= size
            kept.append((handle, name, size))
        else:
            left_out.append((name, size, "too_much", False))
    return kept, left_out


def _size(count: int) -> str:
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= factor:
            return f"{count / factor:.3g} {unit}"
    return f"{count} bytes"
