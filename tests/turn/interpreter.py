"""A host whose cells are Python that runs here: for the turn's own rules about cells that call tools.

The real interpreter, in the sandbox, is behind the same turn in tests/clients.
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import inspect
import io
import traceback
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from bathysphere.containers.host import (
    Cell,
    CellEnded,
    CellGone,
    CellState,
    CellWaits,
    Finished,
    InterpreterBusy,
    OutputFile,
    ToolAnswer,
    ToolCall,
)
from tests.turn.fakes import TableHost

_SETTLED = 20  # rounds of the loop after which code that goes no further waits for answers


@dataclass
class _Running:
    """A cell: what it has printed, its open calls, and its outcome."""

    stdout: io.StringIO = field(default_factory=io.StringIO)
    calls: dict[str, tuple[ToolCall, asyncio.Future[str]]] = field(default_factory=dict)
    made: set[str] = field(default_factory=set)
    task: asyncio.Task[CellEnded] | None = None
    outcome: CellEnded | None = None


class InterpreterHost(TableHost):
    """Keeps variables over cells, as the real one. ``produce`` are the files that each cell ends with.

    ``also_allowed`` names functions that code can call although nobody declared them: what forged calls look like.
    """

    def __init__(self, produce: tuple[OutputFile, ...] = (), also_allowed: tuple[str, ...] = ()) -> None:
        super().__init__()
        self.produce = produce
        self.also_allowed = also_allowed
        self.globals: dict[str, Any] = {"__builtins__": builtins}
        self.cells: dict[str, _Running] = {}
        self.asked: list[Cell] = []
        self.answered: list[list[ToolAnswer]] = []
        self.times_out = False

    def forget(self) -> None:
        """The processes have ended: variables and cells are gone."""
        for cell in self.cells.values():
            assert cell.task is not None
            cell.task.cancel()
        self.cells = {}
        self.globals = {"__builtins__": builtins}

    async def run_cell(self, container_id: str, cell_id: str, cell: Cell) -> CellState:
        self.asked.append(cell)
        if any(other.outcome is None for other in self.cells.values()):
            raise InterpreterBusy("a cell waits")
        running = self.cells[cell_id] = _Running()
        names = [function.name for function in cell.functions] + [*self.also_allowed]
        running.task = asyncio.create_task(self._run(cell.source, running, names))
        return await self._state(running)

    async def answer_cell(self, container_id: str, cell_id: str, answers: Sequence[ToolAnswer]) -> CellState:
        self.answered.append(list(answers))
        running = self.cells.get(cell_id)
        if running is None:
            raise CellGone("the interpreter has ended")
        for answer in answers:
            if answer.call_id not in running.made:
                raise ValueError(f"{answer.call_id} is no call of this cell")
            _call, future = running.calls.pop(answer.call_id, (None, None))
            if future is None:
                continue
            if answer.exception is None:
                future.set_result(answer.text)
            else:
                future.set_exception(getattr(builtins, answer.exception)(answer.text))
        return await self._state(running)

    async def _state(self, running: _Running) -> CellState:
        assert running.task is not None
        quiet = 0
        while not running.task.done() and quiet < _SETTLED:
            quiet += 1
            await asyncio.sleep(0)
        if not running.task.done():
            return CellWaits(tuple(call for call, _ in running.calls.values()))
        running.outcome = running.task.result()
        return running.outcome

    async def _run(self, source: str, running: _Running, names: list[str]) -> CellEnded:
        def printed(*values: object) -> None:
            print(*values, file=running.stdout)

        self.globals |= {name: self._function(name, running) for name in names} | {"print": printed}
        failure = ""
        try:
            code = compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
            result = eval(code, self.globals)
            if inspect.isawaitable(result):
                await result
        except Exception:
            failure = traceback.format_exc(limit=0)
        # As the guest reports it (tests/guest/test_interrupting.py).
        code, notes = (130, ("detection_timeout: it ran too long.",)) if self.times_out else (int(bool(failure)), ())
        finished = Finished(code, self.times_out, 0.0, files=self.produce, notes=notes)
        return CellEnded(running.stdout.getvalue().encode(), failure.encode(), finished)

    def _function(self, name: str, running: _Running) -> Any:
        async def call(arguments: Any) -> str:
            made = ToolCall(f"{len(self.cells):012}{len(running.made):012}", name, arguments)
            future: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            running.made.add(made.id)
            running.calls[made.id] = (made, future)
            return await future

        return call
