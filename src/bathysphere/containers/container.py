"""One container as a turn uses it: run a command, edit a file, place an upload; produced files become file ids."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from bathysphere.containers.host import (
    Command,
    EditorCommand,
    EditorOutcome,
    Finished,
    Host,
    LeftOutFile,
    OutputChunk,
    OutputFile,
)
from bathysphere.wire.errors import ApiError


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


StoreOutput = Callable[[OutputFile, AsyncIterator[bytes]], Awaitable[str]]
"""Keeps a produced file and answers its ``file_...`` id; raises ApiError when it can't (storage quota)."""


class Container:
    """A container of a workspace, ready for use. Made by ``Containers``; lives as long as one turn."""

    def __init__(self, container_id: str, expires_at: datetime, host: Host, store_output: StoreOutput) -> None:
        self.id = container_id
        self.expires_at = expires_at
        self._host = host
        self._store_output = store_output

    async def run(self, command: Command) -> CommandResult:
        """Run a command to its end and keep the files it produced. Raises HostError."""
        output = {"stdout": bytearray(), "stderr": bytearray()}
        finished: Finished | None = None
        async with aclosing(self._host.execute(self.id, command)) as stream:
            async for item in stream:
                if isinstance(item, OutputChunk):
                    output[item.stream] += item.data
                else:
                    finished = item
        assert finished is not None, "Host.execute ends with Finished"
        notes = list(finished.notes)
        file_ids = []
        for file in sorted(finished.files, key=lambda file: file.name):
            try:
                file_ids.append(await self._store_output(file, self._host.read_output(self.id, file.handle)))
            except ApiError as error:
                notes.append(f"The file {file.name!r} was not returned: {error.message}")
        too_large = []
        for left_out in finished.left_out:
            if left_out.reason == "too_large" and left_out.in_output_directory:
                too_large.append(left_out)
            notes.append(_left_out_note(left_out))
        stderr = output["stderr"].decode("utf-8", "replace")
        if notes:
            stderr += ("\n" if stderr and not stderr.endswith("\n") else "") + "\n".join(notes) + "\n"
        return CommandResult(
            stdout=output["stdout"].decode("utf-8", "replace"),
            stderr=stderr,
            return_code=finished.return_code,
            timed_out=finished.timed_out,
            file_ids=tuple(file_ids),
            too_large=tuple(too_large),
        )

    async def edit(self, command: EditorCommand) -> EditorOutcome:
        """Carry out a text editor command. Raises HostError."""
        return await self._host.edit(self.id, command)


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
