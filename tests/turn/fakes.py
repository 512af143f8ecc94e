"""A model that plays a script and a container whose host answers from a table: for the loop's own rules.

The loop with real models and real containers is tested in tests/clients.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from typing import Any

from bathysphere.containers.container import Container, ForeignCell
from bathysphere.containers.host import (
    Cell,
    CellEnded,
    CellGone,
    CellState,
    Command,
    EditorCommand,
    EditorFailed,
    EditorOutcome,
    Finished,
    HostedContainer,
    HostError,
    HostStatus,
    OutputChunk,
    OutputFile,
    SkillFolder,
    ToolAnswer,
    Viewed,
)
from bathysphere.containers.recording import Actor, Recorder
from bathysphere.metering.charges import Execution
from bathysphere.models.base import SampleRequest
from bathysphere.store.audit import Call, ProducedFile
from bathysphere.wire.blocks import TextBlock, ThinkingBlock, ToolUseBlock
from bathysphere.wire.events import (
    ContentBlockDelta,
    ContentBlockStart,
    ContentBlockStop,
    Delta,
    MessageDelta,
    MessageStart,
    MessageStop,
    StopDelta,
    StreamEvent,
)
from bathysphere.wire.message import Message, StopReason, Usage

Step = str | tuple[str, str]
"""What a scripted model writes: text, or a call as (tool name, JSON of the input)."""


class Thought(str):
    """Text that the model thinks."""


class ScriptedModel:
    """Plays one list of steps per sampling, and keeps the requests that it got.

    ``stop`` maps the number of a sampling to a stop reason other than the usual one.
    """

    def __init__(self, *samplings: list[Step], stop: dict[int, StopReason] | None = None, tokens: int = 10) -> None:
        self._samplings = samplings
        self._stop = stop or {}
        self._tokens = tokens
        self.requests: list[SampleRequest] = []
        self.closed = 0

    async def sample(self, request: SampleRequest) -> AsyncGenerator[StreamEvent, None]:
        number = len(self.requests)
        self.requests.append(request)
        steps = self._samplings[min(number, len(self._samplings) - 1)]
        try:
            yield MessageStart(
                message=Message(
                    id="msg_upstream",
                    model="upstream",
                    content=[],
                    stop_reason=None,
                    stop_sequence=None,
                    usage=Usage(input_tokens=100, output_tokens=1),
                )
            )
            for index, step in enumerate(steps):
                if isinstance(step, Thought):
                    yield ContentBlockStart(index=index, content_block=ThinkingBlock(thinking="", signature=""))
                    yield ContentBlockDelta(index=index, delta=Delta.thinking(step))
                    signed = {"type": "signature_delta", "signature": f"signed {step}"}
                    yield ContentBlockDelta(index=index, delta=Delta.model_validate(signed))
                elif isinstance(step, str):
                    yield ContentBlockStart(index=index, content_block=TextBlock(text=""))
                    for character in step:
                        yield ContentBlockDelta(index=index, delta=Delta.text(character))
                else:
                    block = ToolUseBlock(id=f"toolu_{number}_{index}", name=step[0], input={})
                    yield ContentBlockStart(index=index, content_block=block)
                    for character in ("", *step[1]):
                        yield ContentBlockDelta(index=index, delta=Delta.input_json(character))
                yield ContentBlockStop(index=index)
            usual: StopReason = "tool_use" if any(isinstance(step, tuple) for step in steps) else "end_turn"
            yield MessageDelta(
                delta=StopDelta(stop_reason=self._stop.get(number, usual)),
                usage=Usage(input_tokens=100, output_tokens=self._tokens),
            )
            yield MessageStop()
        finally:
            self.closed += 1

    async def count_tokens(self, request: SampleRequest) -> int:
        self.requests.append(request)
        return 1

    async def close(self) -> None:
        pass


Answer = Finished | HostError | Callable[[Command], Finished]


class TableHost:
    """A host whose commands answer from a table by their source; unknown ones succeed with no output."""

    def __init__(
        self, answers: dict[str, Answer] | None = None, output: dict[str, list[OutputChunk]] | None = None
    ) -> None:
        self.answers = answers or {}
        self.output = output or {}
        self.commands: list[Command] = []
        self.outcome: EditorOutcome | HostError = EditorFailed(error_code="file_not_found", message="no such file")
        self.edits: list[EditorCommand] = []

    async def execute(self, container_id: str, command: Command) -> AsyncGenerator[OutputChunk | Finished, None]:
        self.commands.append(command)
        answer = self.answers.get(command.source, Finished(return_code=0, timed_out=False, duration_seconds=0.0))
        if isinstance(answer, HostError):
            raise answer
        for chunk in self.output.get(command.source, []):
            yield chunk
        yield answer(command) if callable(answer) else answer

    async def read_output(self, container_id: str, handle: str) -> AsyncGenerator[bytes, None]:
        yield handle.encode()

    async def edit(self, container_id: str, command: EditorCommand) -> EditorOutcome:
        self.edits.append(command)
        if isinstance(self.outcome, HostError):
            raise self.outcome
        return self.outcome

    async def run_cell(self, container_id: str, cell_id: str, cell: Cell) -> CellState:
        """A cell that calls nothing: its source is looked up as a command's."""
        output = {"stdout": b"", "stderr": b""}
        async for item in self.execute(container_id, Command("python", cell.source, cell.timeout_seconds)):
            if isinstance(item, OutputChunk):
                output[item.stream] += item.data
            else:
                return CellEnded(output["stdout"], output["stderr"], item)
        raise AssertionError("execute ends with Finished")

    async def answer_cell(self, container_id: str, cell_id: str, answers: Sequence[ToolAnswer]) -> CellState:
        raise CellGone("no cell waits")

    async def create(self, container_id: str, engine: str | None = None) -> None:
        pass

    async def delete(self, container_id: str) -> None:
        pass

    async def place(self, container_id: str, filename: str, size_bytes: int, content: Any) -> None:
        pass

    async def read_path(self, container_id: str, path: str) -> AsyncGenerator[int | bytes, None]:
        yield 0

    async def write_path(self, container_id: str, path: str, content: Any) -> int:
        return 0

    async def set_skills(self, container_id: str, skills: Sequence[SkillFolder]) -> bool:
        return True

    async def fork(self, container_id: str, new_id: str) -> None:
        pass

    async def list(self) -> list[HostedContainer]:
        return []

    async def status(self) -> HostStatus:
        return HostStatus("table", False, "", 0)

    async def close(self) -> None:
        pass


class RememberedCells:
    """Paused cells of one container, kept in memory; those in ``elsewhere`` wait in another one."""

    def __init__(self, elsewhere: tuple[str, ...] = ()) -> None:
        self.elsewhere = elsewhere
        self.waited: set[str] = set()
        self.kept: dict[str, tuple[ProducedFile, ...]] = {}

    async def paused(self, cell_id: str) -> None:
        self.waited.add(cell_id)

    def known(self, cell_id: str) -> bool:
        if cell_id in self.elsewhere:
            raise ForeignCell(cell_id)
        return cell_id in self.waited

    def files(self, cell_id: str) -> tuple[ProducedFile, ...] | None:
        return self.kept.get(cell_id)

    async def ended(self, cell_id: str, files: tuple[ProducedFile, ...]) -> None:
        if cell_id in self.waited:
            self.kept[cell_id] = files


class ListedCalls:
    """Calls written down in a list; their time is nobody's business here."""

    def __init__(self, calls: list[Call]) -> None:
        self._calls = calls

    def check(self) -> None:
        """There is always room."""

    def append(self, *entries: Call | Execution) -> None:
        self._calls.extend(entry for entry in entries if isinstance(entry, Call))

    def running(self, so_far: Callable[[], Execution]) -> AbstractContextManager[None]:
        return nullcontext()


def container(
    host: TableHost,
    stored: list[OutputFile] | None = None,
    calls: list[Call] | None = None,
    cells: RememberedCells | None = None,
) -> Container:
    """A container of ``host``; the files and calls that it records end up in the lists."""

    async def store_output(file: OutputFile, content: Any) -> str:
        async for _ in content:
            pass
        (stored if stored is not None else []).append(file)
        return f"file_{file.name}"

    recorder = Recorder("container_1", Actor("wrkspc_1"), ListedCalls([] if calls is None else calls))
    expires_at = datetime(2026, 12, 1, tzinfo=UTC)
    return Container("container_1", expires_at, host, store_output, recorder, cells or RememberedCells())


VIEWED = Viewed(file_type="text", content="a\nb", num_lines=2, start_line=1, total_lines=2)
