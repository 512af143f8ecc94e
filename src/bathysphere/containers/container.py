"""One container as its caller uses it: run a command, edit a file, move files; every call is recorded."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol

from bathysphere.containers.host import (
    Cell,
    CellState,
    CellWaits,
    Command,
    EditorCommand,
    EditorFailed,
    EditorOutcome,
    Finished,
    Host,
    LeftOutFile,
    OutputChunk,
    OutputFile,
    SkillFolder,
    ToolAnswer,
)
from bathysphere.containers.recording import OpenCall, Recorder, Used
from bathysphere.store.audit import Action, ProducedFile
from bathysphere.wire.errors import ApiError


@dataclass(frozen=True, slots=True)
class CommandEnd:
    """How a command ended. ``notes`` are sentences about limits; ``files`` are kept, in the order of names."""

    return_code: int
    timed_out: bool
    truncated: bool
    duration_seconds: float
    cpu_seconds: float | None
    peak_memory_bytes: int | None
    notes: tuple[str, ...]
    files: tuple[ProducedFile, ...]
    too_large: tuple[LeftOutFile, ...]


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did. ``stderr`` ends with the notes about limits; ``file_ids`` are in the order of names."""

    stdout: str
    stderr: str
    return_code: int
    timed_out: bool
    file_ids: tuple[str, ...]
    too_large: tuple[LeftOutFile, ...]


class Upload(Protocol):
    """A file of the Files API that a container can take."""

    @property
    def id(self) -> str:
        """Its ``file_...`` id."""

    @property
    def filename(self) -> str:
        """The name it will have in ``$INPUT_DIR``."""

    @property
    def size_bytes(self) -> int:
        """Its exact size."""


class PausedCells(Protocol):
    """Remembers, over requests and restarts, where cells wait and which files came of them."""

    async def paused(self, cell_id: str) -> None:
        """A cell waits in this container. Raises DiskFull."""

    def known(self, cell_id: str) -> bool:
        """Whether the cell has waited in this container. Raises ForeignCell when it was in another one."""

    def files(self, cell_id: str) -> tuple[ProducedFile, ...] | None:
        """The files of a cell that has ended with some."""

    async def ended(self, cell_id: str, files: tuple[ProducedFile, ...]) -> None:
        """The cell has ended with files."""


class ForeignCell(Exception):
    """The cell waits in another container than the one that it was looked for in."""


StoreOutput = Callable[[OutputFile, AsyncIterator[bytes]], Awaitable[str]]
"""Keeps a produced file and answers its ``file_...`` id; raises ApiError when it can't (storage quota)."""

_EDITS: Final[dict[str, Action]] = {"view": "view", "create": "create_file", "str_replace": "str_replace"}


class Container:
    """A container of a workspace, ready for use. Made by ``Containers``; lives as long as one request."""

    def __init__(
        self,
        container_id: str,
        expires_at: datetime,
        host: Host,
        store_output: StoreOutput,
        recorder: Recorder,
        cells: PausedCells,
    ) -> None:
        self.id = container_id
        self.expires_at = expires_at
        self._host = host
        self._store_output = store_output
        self._recorder = recorder
        self._cells = cells
        self._recorded_calls: set[str] = set()

    @property
    def used(self) -> Used:
        """What the calls through this object have used."""
        return self._recorder.used

    async def stream(self, command: Command) -> AsyncGenerator[OutputChunk | CommandEnd, None]:
        """Run a command: its output as it comes, then one ``CommandEnd``; the files it produced are kept by then.

        Closing it early kills the command. Raises HostError.
        """
        with self._recorder.call(command.language, command.source) as call:
            finished: Finished | None = None
            async with aclosing(self._host.execute(self.id, command)) as stream:
                async for item in stream:
                    if isinstance(item, OutputChunk):
                        yield item
                    else:
                        finished = item
            assert finished is not None, "Host.execute ends with Finished"
            end = await self._end(finished, call)
        yield end

    async def _end(
        self, finished: Finished, call: OpenCall, kept: tuple[ProducedFile, ...] | None = None
    ) -> CommandEnd:
        call.exit_code = finished.return_code
        call.timed_out = finished.timed_out
        call.cpu_seconds = finished.cpu_seconds
        call.peak_memory_bytes = finished.peak_memory_bytes
        call.written_bytes = finished.written_bytes
        notes = list(finished.notes)
        call.files.extend(kept or ())
        for file in [] if kept is not None else sorted(finished.files, key=lambda file: file.name):
            try:
                file_id = await self._store_output(file, self._host.read_output(self.id, file.handle))
            except ApiError as error:
                notes.append(f"The file {file.name!r} was not returned: {error.message}")
            else:
                call.files.append(ProducedFile(file_id, file.name, file.size_bytes))
        too_large = []
        for left_out in finished.left_out:
            if left_out.reason == "too_large" and left_out.in_output_directory:
                too_large.append(left_out)
            notes.append(_left_out_note(left_out))
        return CommandEnd(
            return_code=finished.return_code,
            timed_out=finished.timed_out,
            truncated=finished.truncated,
            duration_seconds=finished.duration_seconds,
            cpu_seconds=finished.cpu_seconds,
            peak_memory_bytes=finished.peak_memory_bytes,
            notes=tuple(notes),
            files=tuple(call.files),
            too_large=tuple(too_large),
        )

    async def run(self, command: Command) -> CommandResult:
        """Run a command to its end and keep the files it produced. Raises HostError."""
        return _result(*await self.collect(command))

    async def run_cell(self, cell_id: str, cell: Cell) -> CellWaits | CommandResult:
        """Run Python in the interpreter, until it waits for tools or ends. Raises as ``Host.run_cell``.

        That it waits is known to the store when this returns, and so to whoever answers the calls.
        """
        with self._recorder.call("cell", cell.source) as call:
            state = await self._cell_state(cell_id, await self._host.run_cell(self.id, cell_id, cell), call)
        self._record_calls(state)
        return state

    async def answer_cell(self, cell_id: str, answers: Sequence[ToolAnswer]) -> CellWaits | CommandResult:
        """Give a cell answers, and let it go on until it waits again or ends. Raises as ``Host.answer_cell``."""
        for answer in answers:
            with self._recorder.call("tool_answer", f"{answer.call_id}: {answer.text}") as call:
                if answer.exception is not None:
                    call.refused(f"{answer.exception}: {answer.text}")
        with self._recorder.call("resume", cell_id) as call:
            state = await self._cell_state(cell_id, await self._host.answer_cell(self.id, cell_id, answers), call)
        self._record_calls(state)
        return state

    def has_cell(self, cell_id: str) -> bool:
        """Whether the cell has waited for answers in this container. Raises ForeignCell when in another one."""
        return self._cells.known(cell_id)

    async def _cell_state(self, cell_id: str, state: CellState, call: OpenCall) -> CellWaits | CommandResult:
        if isinstance(state, CellWaits):
            await self._cells.paused(cell_id)
            return state
        kept = self._cells.files(cell_id)
        end = await self._end(state.finished, call, kept)
        if end.files and kept is None:
            await self._cells.ended(cell_id, end.files)
        return _result(state.stdout.decode("utf-8", "replace"), state.stderr.decode("utf-8", "replace"), end)

    def _record_calls(self, state: CellWaits | CommandResult) -> None:
        for made in state.calls if isinstance(state, CellWaits) else ():
            if made.id not in self._recorded_calls:
                self._recorded_calls.add(made.id)
                with self._recorder.call("tool_call", f"{made.id}: {made.tool} {json.dumps(made.arguments)}"):
                    pass

    async def collect(self, command: Command) -> tuple[str, str, CommandEnd]:
        """Run a command to its end: its standard output, its standard error, and how it ended. Raises HostError."""
        output = {"stdout": bytearray(), "stderr": bytearray()}
        end: CommandEnd | None = None
        async with aclosing(self.stream(command)) as stream:
            async for item in stream:
                if isinstance(item, OutputChunk):
                    output[item.stream] += item.data
                else:
                    end = item
        assert end is not None, "stream ends with CommandEnd"
        return output["stdout"].decode("utf-8", "replace"), output["stderr"].decode("utf-8", "replace"), end

    async def edit(self, command: EditorCommand) -> EditorOutcome:
        """Carry out a text editor command. Raises HostError."""
        with self._recorder.call(_EDITS[command.command], command.path) as call:
            outcome = await self._host.edit(self.id, command)
            if isinstance(outcome, EditorFailed):
                call.refused(outcome.message)
            elif command.file_text is not None and command.command == "create":
                call.written_bytes = len(command.file_text.encode())
        return outcome

    async def place(self, upload: Upload, content: AsyncIterator[bytes]) -> None:
        """Write a file of the Files API into ``$INPUT_DIR``. Raises HostError and ValueError."""
        with self._recorder.call("place", upload.filename) as call:
            call.files.append(ProducedFile(upload.id, upload.filename, upload.size_bytes))
            await self._host.place(self.id, upload.filename, upload.size_bytes, content)
            call.written_bytes = upload.size_bytes

    async def set_skills(self, skills: Sequence[SkillFolder]) -> None:
        """Have exactly these at ``/skills``. Raises as ``Host.set_skills``. To have them already is no call."""
        names = " ".join(sorted(f"{skill.name}@{skill.digest[:16]}" for skill in skills))
        with self._recorder.call("skills", names) as call:
            call.idle = not await self._host.set_skills(self.id, skills)

    async def download(self, path: str) -> AsyncGenerator[int | bytes, None]:
        """A regular file: its size in bytes, then exactly as many. Raises as ``Host.read_path``."""
        with self._recorder.call("download", path):
            async with aclosing(self._host.read_path(self.id, path)) as stream:
                async for item in stream:
                    yield item

    async def upload(self, path: str, content: AsyncIterator[bytes]) -> int:
        """Write a regular file, whole or not at all; its size in bytes. Raises as ``Host.write_path``."""
        with self._recorder.call("upload", path) as call:
            call.written_bytes = await self._host.write_path(self.id, path, content)
        return call.written_bytes


def _result(stdout: str, stderr: str, end: CommandEnd) -> CommandResult:
    if end.notes:
        stderr += ("\n" if stderr and not stderr.endswith("\n") else "") + "\n".join(end.notes) + "\n"
    return CommandResult(
        stdout=stdout,
        stderr=stderr,
        return_code=end.return_code,
        timed_out=end.timed_out,
        file_ids=tuple(file.id for file in end.files),
        too_large=end.too_large,
    )


def _left_out_note(left_out: LeftOutFile) -> str:
    reasons = {
        "too_large": f"it has {left_out.size_bytes} bytes, more than one returned file may have",
        "too_many": "the call produced more files than are returned at once",
        "too_much": f"with its {left_out.size_bytes} bytes, the call's files have more than are returned at once",
        "unreadable_name": "its name is not printable UTF-8",
    }
    return (
        f"The file {left_out.name!r} was not returned: {reasons.get(left_out.reason, left_out.reason)}. "
        "It is still in the container."
    )
