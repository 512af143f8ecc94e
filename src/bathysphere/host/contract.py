"""What the host and those who call it say to each other: commands, outcomes, errors.

``bathysphere.containers.host.Host`` is the interface itself.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from bathysphere.host.guarantees import Proof


class HostError(Exception):
    """Something on the host's side failed; ``str(error)`` says what, why and what to do."""


class HostUnavailable(HostError):
    """The daemon cannot be reached, or ended while the call ran. The disk is untouched; a later call may work."""


class SandboxFailed(HostError):
    """The sandbox could not be started, or was ended in the middle of the call (killed, misbehaving guest)."""


class TooManySandboxes(HostError):
    """The host already runs as many sandboxes as it may; try again when one has gone idle."""


class UnknownContainer(HostError):
    """The host has no disk for this container id."""


class ContainerDeleted(UnknownContainer):
    """The container was deleted while the call ran in it."""


class DiskFull(HostError):
    """The container's disk (or its share of it) is full; what was being written has been removed."""


class PathNotFound(HostError):
    """There is no file at this path in the container."""


class PathRefused(HostError):
    """What lies at this path cannot be read or written: no regular file, no right to it, too large."""


class InterpreterBusy(HostError):
    """A cell of another request waits in the container's interpreter for its tools' answers; says until when."""


class CellGone(HostError):
    """The cell is not there any more: the interpreter that held it has ended. Files are kept, variables are not."""


class HoldOver(HostError):
    """A container was not held until its disk had been copied: its time was over. The copy is of no use."""


class OutputGone(HostError):
    """The output handle is not (or no longer) valid: outputs live until the container's next command or cell."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program to run in the container.

    ``language`` is ``bash`` (``source`` is run by ``bash -c``) or ``python`` (run by a fresh ``python3``).
    ``timeout_seconds`` is wall time; when it is over, every process that the call started is killed.
    """

    language: Literal["bash", "python"]
    source: str
    timeout_seconds: float


@dataclass(frozen=True, slots=True)
class OutputChunk:
    """Bytes as the program wrote them, in order per stream. Already bounded (see ``Finished.truncated``)."""

    stream: Literal["stdout", "stderr"]
    data: bytes


@dataclass(frozen=True, slots=True)
class OutputFile:
    """A file the call produced, held open by the guest so that it cannot be exchanged any more.

    ``name`` is a bare, printable file name (no ``/``, no control characters, 1 to 255 bytes of UTF-8).
    ``handle`` is for ``Host.read_output`` and is valid until the container's next ``execute``.
    """

    handle: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class LeftOutFile:
    """A produced file that is not returned, and why (``too_large``, ``too_many``, ``too_much``: with the
    others, ``unreadable_name``, ``unreadable``)."""

    name: str
    size_bytes: int
    reason: str
    in_output_directory: bool


@dataclass(frozen=True, slots=True)
class Finished:
    """The end of a call. Always the last item of ``Host.execute``.

    ``return_code`` follows the shell's convention (128 + n for a program ended by signal n).
    ``notes`` are sentences for the person and the model about what limits did ("memory limit ... reached").
    ``cpu_seconds`` and ``peak_memory_bytes`` are of this call where the system can tell, else None.
    """

    return_code: int
    timed_out: bool
    duration_seconds: float
    truncated: bool = False
    files: tuple[OutputFile, ...] = ()
    left_out: tuple[LeftOutFile, ...] = ()
    notes: tuple[str, ...] = ()
    cpu_seconds: float | None = None
    peak_memory_bytes: int | None = None
    limits: tuple[Literal["memory", "processes", "disk"], ...] = ()
    """Those of the container that the call came up against."""
    written_bytes: int | None = None
    """Bytes that the call made the system write to disks, where it counts them per container."""


@dataclass(frozen=True, slots=True)
class ToolFunction:
    """A client's tool as an async function of the interpreter (WIRE h.2).

    ``parameters`` are the names of its schema's properties in their order, ``documentation`` is its docstring.
    """

    name: str
    parameters: tuple[str, ...] = ()
    documentation: str = ""


@dataclass(frozen=True, slots=True)
class Cell:
    """Python for the container's interpreter, whose variables stay.

    Only ``functions`` can be called from it. ``timeout_seconds`` is wall time in which it runs: waiting for answers
    of tools does not count.
    """

    source: str
    timeout_seconds: float
    functions: tuple[ToolFunction, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call that code in the container made. It may name any tool and carry any arguments: code can forge it.

    ``id`` is the host's own, letters and digits.
    """

    id: str
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True, slots=True)
class ToolAnswer:
    """What a call gives to the code that made it: ``text``, or an exception with ``text`` as its message."""

    call_id: str
    text: str
    exception: Literal["NameError", "RuntimeError", "TimeoutError", "TypeError", "ValueError"] | None = None


@dataclass(frozen=True, slots=True)
class CellWaits:
    """The cell waits for answers to these calls, at least one. Its processes stay as they are until then."""

    calls: tuple[ToolCall, ...]


@dataclass(frozen=True, slots=True)
class CellEnded:
    """The cell has ended; ``stdout`` and ``stderr`` are already bounded."""

    stdout: bytes
    stderr: bytes
    finished: Finished


CellState = CellWaits | CellEnded


@dataclass(frozen=True, slots=True)
class SkillEntry:
    """A regular file of a skill. ``path`` is relative to the skill's folder, POSIX, without ``.`` and ``..``."""

    path: str
    size_bytes: int
    executable: bool


@dataclass(frozen=True, slots=True)
class SkillFolder:
    """A folder that a container is to show, read-only, at ``/skills/<name>``.

    ``name`` has 1 to 64 of ``a-z``, ``0-9`` and ``-``. ``digest`` (64 hexadecimal digits) stands for what is in it:
    the same digest, the same files. ``content`` gives the bytes of the files, one after the other; it is only called
    when the container does not have them, and may raise anything.
    """

    name: str
    digest: str
    files: tuple[SkillEntry, ...]
    content: Callable[[], AsyncGenerator[bytes, None]]


class EditorCommand(BaseModel):
    """A validated call of the text editor (WIRE a.2). Paths may hold ``$INPUT_DIR`` and friends, and ``~``;

    relative ones start at the working directory.
    """

    model_config = ConfigDict(frozen=True)

    command: Literal["view", "create", "str_replace"]
    path: str
    file_text: str | None = None
    old_str: str | None = None
    new_str: str | None = None
    view_range: tuple[int, int] | None = None


class Viewed(BaseModel):
    """WIRE b.3, view. ``content`` is base64 for ``image`` and ``pdf``; line counts are None for those."""

    kind: Literal["viewed"] = "viewed"
    file_type: Literal["text", "image", "pdf"]
    content: str
    num_lines: int | None
    start_line: int | None
    total_lines: int | None


class Created(BaseModel):
    """WIRE b.3, create. ``is_file_update`` is true when the file existed before."""

    kind: Literal["created"] = "created"
    is_file_update: bool


class Replaced(BaseModel):
    """WIRE b.3, str_replace: the body of one unified diff hunk with three lines of context, and its header."""

    kind: Literal["replaced"] = "replaced"
    old_start: int
    old_lines: int
    new_start: int
    new_lines: int
    lines: list[str]


class EditorFailed(BaseModel):
    """The edit was refused and the file is as it was. ``message`` says why and what to do."""

    kind: Literal["failed"] = "failed"
    error_code: Literal["invalid_tool_input", "file_not_found", "string_not_found", "unavailable"]
    message: str


EditorOutcome = Viewed | Created | Replaced | EditorFailed


State = Literal["busy", "waiting", "idle", "suspended", "broken"]
"""What a container is doing, as its host knows it: see HostedContainer."""


@dataclass(frozen=True, slots=True)
class HostedContainer:
    """A container as its host knows it.

    ``state``: a call runs (``busy``), a cell waits for its tools' answers (``waiting``), it runs and nobody calls
    (``idle``), only its disk is there (``suspended``), or its
    disk cannot be used (``broken``). ``full``: the disk has no room left. ``disk_bytes``: what of the disk is in
    use, None where that is not known at once. ``age_seconds``: since the disk was made.
    """

    id: str
    state: State
    full: bool
    disk_bytes: int | None
    age_seconds: float


@dataclass(frozen=True, slots=True)
class HostStatus:
    """What ``bathysphere doctor`` and ``serve`` print: the engine, what guards it has and which it lacks."""

    engine: str
    privileged: bool
    image: str
    sandboxes: int
    """Those that run, start or end at this moment."""
    ready: int = 0
    """Of them those that were started ahead and wait for a container."""
    guarantees: dict[str, bool] = field(default_factory=dict)
    weaknesses: tuple[str, ...] = ()
    proofs: tuple[Proof, ...] = ()
    """What came of trying the guarantees, when the daemon started."""
    image_present: bool = True
    """Whether the image still lies where it was found."""
    containers: dict[str, int] = field(default_factory=dict)
    """How many containers there are in each state."""
    sandboxes_memory_bytes: int | None = None
    """What the sandboxes use together, where the system counts it."""
    daemon_memory_bytes: int | None = None
    """Resident memory of the daemon itself."""
