"""The user's variables on the disk, for the time in which the container has no processes.

Pickled one after the other with one memory, so what they share stays shared; where each begins is kept, so one that
cannot be loaded does not take the others along. Protocol 3 numbers what is shared explicitly, which that needs.
"""

import os
import pickle
import sys
from time import monotonic

from ..json_text import dumps, loads
from ..lean import signal
from .own_imports import own_imports

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any, BinaryIO

LARGEST = 512 * 1024 * 1024
"""Bytes on the disk."""

ALL_SECONDS, EACH_SECONDS, AGAIN_SECONDS = 7.0, 6.0, 5.0
"""For writing all variables; if some cannot be, for finding out which; and for writing the others."""

_PROTOCOL = 3
_INDEX = 8
_modules = sys.modules


class _TimeOver(BaseException):
    pass


class _TooLarge(Exception):
    pass


class _Sink:
    """Counts what is written, and passes it on if there is where to."""

    def __init__(self, file: "BinaryIO | None" = None) -> None:
        self.size = 0
        self._file = file

    def write(self, data: bytes) -> int:
        size = memoryview(data).nbytes
        self.size += size
        if self.size > LARGEST:
            raise _TooLarge
        if self._file is not None:
            self._file.write(data)
        return size


class _Source:
    """Reads no further than asked, unlike what the pickle module makes of a file."""

    def __init__(self, file: "BinaryIO") -> None:
        self.read = file.read
        self.readline = file.readline


class MainVariables:
    """Stands for the user's module's variables where functions refer to them."""

    def __reduce__(self) -> "tuple[Callable[[], dict[str, Any]], tuple[()]]":
        return main_variables, ()


def main_variables() -> "dict[str, Any]":
    """The variables of the user's module."""
    return _modules["__main__"].__dict__


def _pickler() -> "Callable[[_Sink], pickle.Pickler]":
    """What makes picklers: by cloudpickle where there is one, so that functions and classes of cells are kept."""
    for name in ("cloudpickle", "joblib.externals.cloudpickle"):
        try:
            base = own_imports.module(name).CloudPickler
            break
        except Exception:  # noqa: S112
            continue
    else:
        return lambda sink: pickle.Pickler(sink, _PROTOCOL)

    kind = type(_pickler)

    class Pickler(base):  # type: ignore[misc,valid-type]
        def reducer_override(self, value: object) -> "Any":
            reduced = super().reducer_override(value)
            if type(value) is kind and value.__globals__ is main_variables() and isinstance(reduced, tuple):
                # Its variables are the module's, not copies of what they were.
                reduced[2][1]["__globals__"] = {}
            return reduced

    def make(sink: _Sink) -> pickle.Pickler:
        pickler = Pickler(sink, _PROTOCOL)
        pickler.globals_ref[id(main_variables())] = MainVariables()
        return pickler

    return make


def save(path: str, values: dict[str, object]) -> list[str]:
    """Write variables to a new file at ``path``, which may only hold a part of them if it raises.

    Returns the names of those that were left out. Raises OSError.
    """
    modules = {name: value.__name__ for name, value in values.items() if isinstance(value, type(sys))}
    rest = {name: value for name, value in values.items() if name not in modules}
    make = _pickler()
    lost: list[str] = []
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600), "wb") as file:
        try:
            starts = _write(file, rest, make, ALL_SECONDS)
        except OSError:
            raise
        except (Exception, _TimeOver):
            kept = _those_that_can(rest, make)
            try:
                starts = _write(file, {name: rest[name] for name in kept}, make, AGAIN_SECONDS)
            except OSError:
                raise
            except (Exception, _TimeOver):
                file.seek(0)
                starts = {}
            lost = [name for name in rest if name not in starts]
        index = dumps({"starts": starts, "modules": modules, "lost": lost})
        file.write(index)
        file.write(len(index).to_bytes(_INDEX, "big"))
        file.truncate()
        file.flush()
        os.fsync(file.fileno())
    return lost


def _write(
    file: "BinaryIO", values: dict[str, object], make: "Callable[[_Sink], pickle.Pickler]", seconds: float
) -> dict[str, int]:
    file.seek(0)
    sink = _Sink(file)
    pickler = make(sink)
    starts = {}
    with _Limit(seconds):
        for name, value in values.items():
            starts[name] = sink.size
            pickler.dump(value)
    return starts


def _those_that_can(values: dict[str, object], make: "Callable[[_Sink], pickle.Pickler]") -> list[str]:
    """The names of variables that can be written, the smallest first as far as there is room."""
    sizes: dict[str, int] = {}
    end = monotonic() + EACH_SECONDS
    for name, value in values.items():
        left = end - monotonic()
        if left <= 0:
            break
        sink = _Sink()
        try:
            with _Limit(left):
                make(sink).dump(value)
        except (Exception, _TimeOver):  # noqa: S112
            continue
        sizes[name] = sink.size
    chosen, total = set(), 0
    for name in sorted(sizes, key=lambda one: sizes[one]):
        total += sizes[name]
        if total > LARGEST:
            break
        chosen.add(name)
    return [name for name in values if name in chosen]


class _Limit:
    """A context that raises _TimeOver in the main thread after some seconds."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds

    def __enter__(self) -> None:
        self._before = signal.signal(signal.SIGALRM, self._over)
        signal.setitimer(signal.ITIMER_REAL, self._seconds)

    def __exit__(self, *_error: object) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)

    def _over(self, _number: int, _frame: "FrameType | None") -> None:
        raise _TimeOver


def load(file: "BinaryIO", variables: dict[str, object]) -> list[str]:
    """Put what was saved among ``variables``; the names of those that are missing. Raises ValueError."""
    try:
        file.seek(-_INDEX, os.SEEK_END)
        size = int.from_bytes(file.read(_INDEX), "big")
        file.seek(-_INDEX - size, os.SEEK_END)
        index = loads(file.read(size))
    except (OSError, ValueError, RecursionError):
        raise ValueError("the file is damaged") from None
    lost: list[str] = list(index["lost"])
    for name, module in index["modules"].items():
        try:
            __import__(module)
            variables[name] = _modules[module]
        except Exception:
            lost.append(name)
    # What code of the container wrote is read by code of the container.
    unpickler = pickle.Unpickler(_Source(file))  # noqa: S301
    for name, start in index["starts"].items():
        file.seek(start)
        try:
            variables[name] = unpickler.load()
        except Exception:
            lost.append(name)
            memo = unpickler.memo
            unpickler = pickle.Unpickler(_Source(file))  # noqa: S301
            unpickler.memo = memo
    return lost
