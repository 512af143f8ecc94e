"""The interface to the host: the one place that runs what a model wrote.

A host owns sandboxes and their disks. ``bathysphere.containers.local.LocalHost`` reaches the daemon of
this machine over its socket; a cluster of hosts can stand behind the same interface later.

A container is a disk; its processes are a cache. Every method starts the sandbox when it is not running,
so callers never ask whether it is. Calls to one container are carried out one at a time, in the order in
which they arrive.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from typing import Protocol

from bathysphere.host.contract import (
    Cell,
    CellEnded,
    CellGone,
    CellState,
    CellWaits,
    Command,
    ContainerDeleted,
    Created,
    DiskFull,
    EditorCommand,
    EditorFailed,
    EditorOutcome,
    Finished,
    HostedContainer,
    HostError,
    HostStatus,
    HostUnavailable,
    InterpreterBusy,
    LeftOutFile,
    OutputChunk,
    OutputFile,
    OutputGone,
    PathNotFound,
    PathRefused,
    Replaced,
    SandboxFailed,
    SkillEntry,
    SkillFolder,
    ToolAnswer,
    ToolCall,
    ToolFunction,
    TooManySandboxes,
    UnknownContainer,
    Viewed,
)

__all__ = [
    "Cell",
    "CellEnded",
    "CellGone",
    "CellState",
    "CellWaits",
    "Command",
    "ContainerDeleted",
    "Created",
    "DiskFull",
    "EditorCommand",
    "EditorFailed",
    "EditorOutcome",
    "Finished",
    "Host",
    "HostError",
    "HostStatus",
    "HostUnavailable",
    "HostedContainer",
    "InterpreterBusy",
    "LeftOutFile",
    "OutputChunk",
    "OutputFile",
    "OutputGone",
    "PathNotFound",
    "PathRefused",
    "Replaced",
    "SandboxFailed",
    "SkillEntry",
    "SkillFolder",
    "TooManySandboxes",
    "ToolAnswer",
    "ToolCall",
    "ToolFunction",
    "UnknownContainer",
    "Viewed",
]


class Host(Protocol):
    """Runs containers. Every method raises ``HostUnavailable`` when the host cannot be reached."""

    async def create(self, container_id: str, engine: str | None = None) -> None:
        """Make the container's disk and start its sandbox.

        ``engine`` is ``bubblewrap`` or ``gvisor``, None the host's own choice (``host.engine``). The container has it
        for life; when it exists already, ``engine`` is not looked at.
        Nothing is left behind when it fails. Raises SandboxFailed, TooManySandboxes, DiskFull.
        """

    async def delete(self, container_id: str) -> None:
        """End the sandbox and remove the disk. Deleting what does not exist is no error."""

    def execute(self, container_id: str, command: Command) -> AsyncGenerator[OutputChunk | Finished, None]:
        """Run a command; its output as it comes, then one ``Finished``.

        Closing the iterator early kills the command. Raises UnknownContainer, SandboxFailed, TooManySandboxes.
        """

    async def run_cell(self, container_id: str, cell_id: str, cell: Cell) -> CellState:
        """Run a cell in the container's interpreter, until it ends or waits for answers of its tools.

        ``cell_id`` (letters, digits and ``_``) is the caller's name for it. Cancelling it interrupts the cell. Raises
        InterpreterBusy while another cell waits, UnknownContainer, SandboxFailed, TooManySandboxes, ValueError for one
        that is too large.
        """

    async def answer_cell(self, container_id: str, cell_id: str, answers: Sequence[ToolAnswer]) -> CellState:
        """Give a waiting cell answers, and let it go on until it ends or waits again.

        It goes on also when nobody waits here any more. A call is answered once: what is answered again is
        passed over, so a request that is sent twice gets what it got at first, or what has come of it
        meanwhile. While answers are missing, ``CellWaits`` names their calls. An id that is none of the cell's
        calls is a ValueError, as are answers of more than 16 MiB. A call without an answer for
        ``sandbox.tool_seconds`` raises TimeoutError in the code. Raises CellGone, UnknownContainer,
        SandboxFailed.
        """

    def read_output(self, container_id: str, handle: str) -> AsyncGenerator[bytes, None]:
        """The bytes of a produced file, exactly ``size_bytes`` of them, in chunks of at most 1 MiB.

        Raises OutputGone, SandboxFailed (the file shrank or cannot be read), UnknownContainer.
        """

    async def edit(self, container_id: str, command: EditorCommand) -> EditorOutcome:
        """Carry out a text editor command. Raises UnknownContainer, SandboxFailed, TooManySandboxes, DiskFull."""

    async def place(self, container_id: str, filename: str, size_bytes: int, content: AsyncIterator[bytes]) -> None:
        """Write a file at ``$INPUT_DIR/<filename>``, whole or not at all; one of that name is replaced.

        Raises UnknownContainer, SandboxFailed, TooManySandboxes, DiskFull, ValueError for a bad file name.
        """

    def read_path(self, container_id: str, path: str) -> AsyncGenerator[int | bytes, None]:
        """A regular file of the container: first its size in bytes, then exactly as many, in chunks of at most 1 MiB.

        ``path`` is read as the editor's. Raises PathNotFound, PathRefused, UnknownContainer, SandboxFailed,
        TooManySandboxes.
        """

    async def write_path(self, container_id: str, path: str, content: AsyncIterator[bytes]) -> int:
        """Write a regular file of the container, whole or not at all; its size in bytes.

        ``path`` is read as the editor's, and directories that are missing are made. A file that is there keeps its
        mode. When ``content`` raises, nothing is written. Raises PathRefused, DiskFull, UnknownContainer,
        SandboxFailed, TooManySandboxes.
        """

    async def set_skills(self, container_id: str, skills: Sequence[SkillFolder]) -> bool:
        """Have the container show exactly these at ``/skills``, read-only; whether that changed anything.

        At most 20, with different names. Their ``content`` is read only for those that the container does not have.
        Running programs see the change at once; a skill is seen whole or not at all, and stays with the disk. When it
        fails, those that were shown before are. Raises DiskFull, UnknownContainer, SandboxFailed, TooManySandboxes,
        ValueError for a skill that is too large or not as announced, and what ``content`` raises.
        """

    async def fork(self, container_id: str, new_id: str) -> None:
        """Make a container whose disk is a copy of another's, as it is between two calls.

        The processes of the other one end. Nothing is left behind when it fails. Raises UnknownContainer,
        SandboxFailed, DiskFull.
        """

    async def list(self) -> list[HostedContainer]:
        """Every container that has a disk here, in the order of ids."""

    async def status(self) -> HostStatus:
        """The host's engine, guards and load."""

    async def close(self) -> None:
        """Let go of connections; the host and its sandboxes go on."""
