"""The interpreter's conversation with process 1: one request after the other, for as long as the sandbox lives."""

import builtins
import os
import sys

from ..json_text import dumps, loads
from .bridge import Bridge
from .interrupts import Interrupts
from .memory import Memory
from .own_imports import own_imports
from .pipes import Hearing, Telling, out_of_the_way
from .source import Compiled, is_coroutine
from .streams import Streams
from .tracebacks import Tracebacks

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any

    from .functions import Functions
    from .loops import Loops

_exit, _getpid, _displayhook = os._exit, os.getpid, sys.displayhook
_environ = os.environ

REQUESTS, ANSWERS, REPORTS = 3, 4, 5
"""Descriptors at the start."""

INTERRUPTED = 130
"""The return code: 128 and the number of the signal, by the shell's convention."""


class Interpreter:
    """The user's module, and what stays from cell to cell."""

    def __init__(self, path: list[str]) -> None:
        self._pid = _getpid()
        self._interrupts = Interrupts()
        self._interrupts.listen()
        self._requests = Hearing(out_of_the_way(REQUESTS))
        answers = Hearing(out_of_the_way(ANSWERS))
        self._reports = out_of_the_way(REPORTS)
        self._telling = Telling(self._reports, self._interrupts)
        self._bridge = Bridge(self._telling, answers, self._interrupts)
        self._streams = Streams()
        self._tracebacks = Tracebacks()
        self._loops: Loops | None = None
        self._functions: Functions | None = None
        self._cells = 0
        self._flags = 0
        self._last: object = None
        self._boot = sys.modules["__main__"]  # its variables go with it
        kind: type[ModuleType] = type(sys)
        self._main = kind("__main__")
        sys.modules["__main__"] = self._main
        self._memory = Memory(self._main.__dict__, self._is_ours)
        sys.path = path
        os.register_at_fork(after_in_child=self._bridge.forked)

    def serve(self) -> None:
        """Answer requests until process 1 is gone."""
        while True:
            header, payload = self._requests.frame()
            op = header["op"]
            if op == "cell":
                code = self._cell(header, loads(payload))
                if _getpid() != self._pid:
                    _exit(code)  # a process that the cell split off came to the cell's end
                self._telling.frame({"type": "finished", "code": code})
            elif op == "import":
                self._import(loads(payload)["modules"])
                self._telling.frame({"type": "ready"})

            elif op == "save":
                self._telling.frame({"type": "saved"}, dumps(self._save()))

    def _is_ours(self, name: str, value: object) -> bool:
        return self._functions is not None and self._functions.is_ours(name, value)

    def _save(self) -> "dict[str, object]":
        try:
            lost = self._memory.save()
        except OSError as error:
            return {"error": f"{error.strerror}"}
        return {"lost": [name.encode(errors="replace").decode()[:100] for name in lost[:1000]]}

    def _import(self, names: list[str]) -> None:
        self._with_asyncio()
        self._tracebacks.prepare()
        for name in names:
            try:
                own_imports.module(name)
            except BaseException:  # noqa: S112  (the cell that needs it will say why it cannot be had)
                continue

    def _with_asyncio(self) -> None:
        if self._loops is None:
            with own_imports:
                from .functions import Functions  # noqa: PLC0415  (takes longer than everything else together)
                from .loops import Loops  # noqa: PLC0415

            self._loops = Loops(self._bridge)
            self._functions = Functions(self._bridge)

    # Cells

    def _cell(self, header: "dict[str, Any]", cell: "dict[str, Any]") -> int:
        self._cells += 1
        self._interrupts.listen()
        self._streams.begin()
        try:
            _environ["OUTPUT_DIR"] = header["output_directory"]
        except Exception:
            self._streams.error.write("$OUTPUT_DIR could not be set: an earlier cell changed os.environ.\n")
        variables = self._main.__dict__
        variables["__builtins__"] = builtins
        sys.modules["__main__"] = self._main
        if cell["functions"] or self._functions is not None:
            self._with_asyncio()
            assert self._functions is not None
            self._functions.place(cell["functions"], variables)
        if said := self._memory.begin():
            self._streams.error.write(said)
        name = f"<cell {self._cells}>"
        source = cell["source"]
        self._tracebacks.know(name, source)
        self._bridge.begin(header["round"])
        try:
            try:
                return self._run(source, name, variables)
            finally:
                self._interrupts.allow(False)
        except KeyboardInterrupt:
            self._interrupts.allow(False)
            return INTERRUPTED
        finally:
            if _getpid() == self._pid:
                self._bridge.end()
            self._streams.flush()

    def _run(self, source: str, name: str, variables: dict[str, object]) -> int:
        """Run a cell, show what is to be shown; the return code."""
        try:
            compiled = Compiled(source, name, self._flags)
            if compiled.waits:
                self._with_asyncio()
        except BaseException as error:
            return self._failed(error)
        self._flags = compiled.flags
        try:
            self._interrupts.allow(True)
            if compiled.waits:
                assert self._loops is not None
                value = self._loops.run(_in_loop(compiled, variables))
            else:
                value = None
                for code in compiled.codes:
                    value = eval(code, variables)  # noqa: S307
            if compiled.shown and value is not None:
                self._show(value, variables)
            self._interrupts.allow(False)
        except SystemExit as request:
            self._interrupts.allow(False)
            return self._exit_code(request)
        except BaseException as error:
            self._interrupts.allow(False)
            return self._failed(error)
        return 0

    def _show(self, value: object, variables: dict[str, object]) -> None:
        print(repr(value))
        if variables.get("_") is self._last or "_" not in variables:  # a name that the user gave a value is theirs
            variables["_"] = self._last = value

    def _exit_code(self, request: SystemExit) -> int:
        if request.code is None or isinstance(request.code, int):
            return (request.code or 0) & 0xFF
        try:
            print(request.code, file=self._streams.error)
        except Exception:
            return 1
        return 1

    def _failed(self, error: BaseException) -> int:
        self._tracebacks.show(error, self._streams.error)
        return INTERRUPTED if isinstance(error, KeyboardInterrupt) else 1


async def _in_loop(compiled: Compiled, variables: dict[str, object]) -> object:
    value: object = None
    for code in compiled.codes:
        value = eval(code, variables)  # noqa: S307
        if is_coroutine(code):
            value = await value  # type: ignore[misc]
    return value


def main(path: list[str]) -> None:
    """Become the interpreter; ``path`` is where the user's code looks for modules."""
    Interpreter(path).serve()
