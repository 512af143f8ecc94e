"""What clients of the daemon may ask, and how it is answered: one request at a time on a connection."""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import AsyncIterator
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from bathysphere.guest import frames
from bathysphere.host import copies, skills, transfers
from bathysphere.host.cells import HeldCell
from bathysphere.host.cgroups import Group
from bathysphere.host.connection import FrameError, queue_frame, read_frame, write_frame
from bathysphere.host.contract import (
    Cell,
    CellGone,
    Command,
    DiskFull,
    EditorCommand,
    EditorOutcome,
    HoldOver,
    HostError,
    OutputGone,
    PathNotFound,
    PathRefused,
    SandboxFailed,
    ToolAnswer,
    ToolFunction,
)
from bathysphere.host.fleet import Fleet
from bathysphere.host.log import REQUEST
from bathysphere.host.reports import Measured, valid_filename
from bathysphere.host.sandbox import GuestError, GuestRefusal, Sandbox, json_bytes
from bathysphere.host.timing import Timing
from bathysphere.host.transfers import CLIENT_SECONDS
from bathysphere.host.warm_pool import PREFIX
from bathysphere.settings import SandboxLimits

HOLD_SECONDS = 60.0
"""How long what runs in a container may have to stand still, for its disk to be copied."""

REST_HOLD_SECONDS = 1800.0
"""How long a container without processes may be kept from use for that."""

PARTING_SECONDS = 5.0
"""How long a client that was refused may go on sending."""

LARGEST_SOURCE = 1024 * 1024

LARGEST_CELL = 8 * 1024 * 1024
"""Bytes of a cell's source with the functions that it may call."""

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

    op: Literal[
        "create", "delete", "fork", "execute", "run_cell", "answer_cell", "read_output", "edit", "place", "read_path",
        "write_path", "set_skills", "hold",
    ]  # fmt: skip
    container: _ContainerId
    engine: Annotated[str, Field(max_length=64)] = ""
    new_container: _ContainerId = "new"
    language: Literal["bash", "python"] = "bash"
    timeout_seconds: Annotated[float, Field(gt=0, le=86400)] = 1.0
    cell: Annotated[str, Field(pattern=r"^[A-Za-z0-9_]{0,128}$")] = ""
    handle: Annotated[str, Field(max_length=64)] = ""
    filename: Annotated[str, Field(max_length=255)] = ""
    path: Annotated[str, Field(max_length=LONGEST_PATH)] = ""
    size: Annotated[int, Field(ge=0)] = 0
    rest: bool = False
    request: Annotated[str, Field(pattern=r"^(req_[0-9a-f]{32})?$")] = ""
    """The id of the API's request that this is a part of, for the log."""


class _GivenCell(BaseModel):
    source: str
    functions: tuple[ToolFunction, ...] = ()


_ANSWERS = TypeAdapter(tuple[ToolAnswer, ...])

OUTCOME: TypeAdapter[EditorOutcome] = TypeAdapter(Annotated[EditorOutcome, Field(discriminator="kind")])
"""Reads the JSON of an editor's outcome."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request of one connection, with what it is answered through."""

    fleet: Fleet
    limits: SandboxLimits
    request: Request
    payload: bytes
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    timing: Timing

    async def carry_out(self) -> None:
        """Do what is asked and write the answer, except for its last frame. Raises HostError and ValueError."""
        request = self.request
        alone = {
            "create": lambda: self.fleet.create(request.container, request.engine or None, self.timing),
            "delete": lambda: self.fleet.delete(request.container),
            "fork": lambda: copies.fork(self.fleet, request.container, request.new_container),
            "execute": self._execute,
            "run_cell": self._run_cell,
            "answer_cell": self._answer_cell,
            "set_skills": self._set_skills,
            "hold": self._hold,
        }
        if request.op in alone:
            await alone[request.op]()
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
        async with self.fleet.turn(self.request.container, timing=self.timing) as (sandbox, group):
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
        async with self._watched() as gone, self._turn() as (sandbox, group):
            if gone.is_set():
                return
            measured = self._measure(group)
            report = await sandbox.execute(command, gone, self._output, self.limits.output_bytes)
            finished = measured.finish(report)
            if report.timed_out:
                finished["notes"].append(
                    "The time limit was reached and every process that the command had started was killed."
                )
        self._tell_finished(measured.settle(finished))

    async def _run_cell(self) -> None:
        if len(self.payload) > LARGEST_CELL:
            raise ValueError(f"The cell has more than {LARGEST_CELL} bytes, with the documentation of its functions.")
        given = _GivenCell.model_validate_json(self.payload)
        cell = Cell(given.source, self.request.timeout_seconds, given.functions)
        async with self._watched() as gone, self._turn() as (sandbox, group):
            if gone.is_set():
                return
            late = functools.partial(_time_out, self.fleet, self.request.container)
            held = HeldCell(self.request.cell, self.limits, self._measure(group), late)
            self.fleet.hold(self.request.container, held)
            await held.run(sandbox, cell, gone)
        self._tell_cell(held)

    async def _answer_cell(self) -> None:
        """Goes on to its end when the client has left: it may ask again for what has come of it."""
        held = self.fleet.cell(self.request.container, self.request.cell)
        if held is None:
            raise CellGone(
                "The cell is not in its container any more: the processes there have ended meanwhile. Files are kept, "
                "variables are not."
            )
        answers = _ANSWERS.validate_json(self.payload)
        async with self._turn() as (sandbox, _group):
            if self.fleet.cell(self.request.container, self.request.cell) is not held:
                raise CellGone("The cell ended with the processes of its container. Files are kept, variables are not.")
            await held.answer(sandbox, answers)
        self._tell_cell(held)

    def _measure(self, group: Group | None) -> Measured:
        container_id = self.request.container
        written, full = self.fleet.written_bytes, self.fleet.full
        return Measured(self.limits, group, lambda: written(container_id), lambda: full(container_id))

    def _tell_cell(self, held: HeldCell) -> None:
        if held.finished is None:
            queue_frame(self.writer, {"type": "waits"}, json_bytes([asdict(call) for call in held.calls]))
            return
        for stream, data in held.output.items():
            if data:
                queue_frame(self.writer, {"type": "output", "stream": stream}, bytes(data))
        self._tell_finished(held.measured.settle(held.finished))

    def _tell_finished(self, finished: dict[str, Any]) -> None:
        # Not waited for: together with the last frame it is one thing to send, and to wake up for.
        queue_frame(self.writer, {"type": "finished"}, json_bytes(finished))

    @contextlib.asynccontextmanager
    async def _watched(self) -> AsyncIterator[asyncio.Event]:
        """An event that is set when the client leaves."""
        gone = asyncio.Event()
        watch = asyncio.create_task(_watch(self.reader, gone))
        try:
            yield gone
        finally:
            watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watch  # it gives the reader free, which a refusal still needs

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

    async def _set_skills(self) -> None:
        bring = functools.partial(transfers.bring_skill, self.reader, self.writer)
        changed = await skills.set_skills(self.fleet, self.request.container, self.payload, bring)
        queue_frame(self.writer, {"type": "set"}, json_bytes({"changed": changed}))

    async def _hold(self) -> None:
        """Keep the container's disk as it is until the client says that it has copied it, or its time is over."""
        seconds = REST_HOLD_SECONDS if self.request.rest else HOLD_SECONDS
        async with copies.still(self.fleet, self.request.container, self.request.rest):
            await write_frame(self.writer, {"type": "held"})
            copied = asyncio.ensure_future(read_frame(self.reader))
            try:
                deadline = asyncio.get_running_loop().time() + seconds
                # Looked at now and then: a daemon that ends cannot wait for its clients.
                while not copied.done() and not self.fleet.closing:
                    left = deadline - asyncio.get_running_loop().time()
                    if left <= 0:
                        break
                    await asyncio.wait([copied], timeout=min(left, 0.5))
                if not copied.done():
                    raise HoldOver(f"The container was held for {seconds:g} seconds, and could not be for longer.")
                if copied.result() is None:
                    raise ConnectionResetError("the client ended while it held a container")
            finally:
                copied.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, FrameError):
                    await copied  # it gives the reader free, which a refusal still needs

    async def _place(self, sandbox: Sandbox) -> None:
        request = self.request
        check_filename(request.filename)
        await sandbox.place(request.filename, request.size, _content(self.reader, request.size))


async def _time_out(fleet: Fleet, container_id: str) -> None:
    """Let a container's cell go on without the answers that did not come."""
    held = fleet.held(container_id)
    if held is None:
        return
    async with fleet.turn(container_id) as (sandbox, _group):
        if fleet.held(container_id) is held:
            await held.time_out(sandbox)


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
    timing = Timing()
    try:
        request = Request.model_validate(header)
        REQUEST.set(request.request)
        await Call(fleet, limits, request, payload, reader, writer, timing).carry_out()
    except ValidationError as error:
        await _fail(streams, "ValueError", f"The request is not valid: {error.errors()[0]['msg']}", timing)
    except (HostError, ValueError) as error:
        await _fail(streams, type(error).__name__, str(error), timing)
    except FrameError as error:
        await _fail(streams, "ValueError", str(error), timing)
    else:
        await write_frame(writer, {"type": "done", "timing": timing.wire()})
        return True
    finally:
        REQUEST.set("")
    return False


async def _fail(
    streams: tuple[asyncio.StreamReader, asyncio.StreamWriter], name: str, message: str, timing: Timing
) -> None:
    reader, writer = streams
    frame = {"type": "error", "error": name, "message": message[:8000], "timing": timing.wire()}
    await write_frame(writer, frame)
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
        "cell_gone": CellGone,
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
