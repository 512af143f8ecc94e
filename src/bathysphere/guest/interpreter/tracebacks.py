"""What is shown of an exception: the cell's lines, and no frames of ours."""

import sys

from .own_imports import own_imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType, TracebackType
    from typing import TextIO

_excepthook = sys.__excepthook__
_modules = sys.modules
_SPEAKS_OF_LINES = ("traceback", "inspect", "logging", "warnings", "except ")
_OURS = "/guest/"


class Tracebacks:
    """The sources of the cells so far, for whoever shows lines of them."""

    def __init__(self) -> None:
        self._sources: dict[str, str] = {}
        self._traceback: ModuleType | None = None

    def know(self, name: str, source: str) -> None:
        """Remember a cell's source; code of the cell may ask for its lines by the usual means."""
        self._sources[name] = source
        if "linecache" in _modules or any(word in source for word in _SPEAKS_OF_LINES):
            self.prepare()

    def prepare(self) -> None:
        """Import what shows exceptions, and tell it of the sources."""
        try:
            cache = own_imports.module("linecache").cache
            for name, source in self._sources.items():
                if name not in cache:
                    # The place of the marks below a line is counted with the line's end.
                    cache[name] = (len(source), None, [f"{line}\n" for line in source.splitlines()], name)
            if self._traceback is None:
                self._traceback = own_imports.module("traceback")
        except Exception:
            return  # the user's code took them apart

    def show(self, error: BaseException, stream: "TextIO") -> None:
        """Write an exception to ``stream``, or to standard error when that cannot be."""
        try:
            self.prepare()
            stream.write(self._format(error))
            stream.flush()
        except Exception:
            _excepthook(type(error), error, _first_of_cell(error))

    def _format(self, error: BaseException) -> str:
        assert self._traceback is not None
        trace = _first_of_cell(error) if not isinstance(error, SyntaxError) else error.__traceback__
        shown = self._traceback.TracebackException(type(error), error, trace, compact=True)
        todo = [shown]
        while todo:
            one = todo.pop()
            one.stack[:] = [frame for frame in one.stack if not frame.filename.startswith(_OURS)]
            todo += [other for other in (one.__cause__, one.__context__, *(one.exceptions or ())) if other]
        return "".join(shown.format())


def _first_of_cell(error: BaseException) -> "TracebackType | None":
    """The traceback from the cell on; all of it without ours where no cell is."""
    trace = error.__traceback__
    while trace is not None and not trace.tb_frame.f_code.co_filename.startswith("<cell "):
        trace = trace.tb_next
    if trace is not None:
        return trace
    trace = error.__traceback__
    while trace is not None and trace.tb_frame.f_globals.get("__name__", "").startswith("_bathysphere."):
        trace = trace.tb_next
    return trace
