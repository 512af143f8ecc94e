"""Starting a program with what process 1 gives to each: signals as the system has them, a session of its own."""

import errno
import os
import time

from . import processes
from .lean import signal
from .programs import CannotStart

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Action = tuple[int, ...] | tuple[int, int, str, int, int]

# Process 1 ignores these; a program must start with every signal as the system has it.
_DEFAULT_SIGNALS = [signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGCHLD, signal.SIGTERM]

INTERRUPT = signal.SIGXCPU
"""What interrupts a cell."""

STDIN: "Action" = (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0)
"""Nothing to read."""


class OomScore:
    """Whom the kernel takes when memory runs out: a program that was started here, never process 1."""

    def __init__(self, descriptor: int | None) -> None:
        """``descriptor`` is the open /proc/self/oom_score_adj."""
        self._descriptor = descriptor

    def set(self, value: bytes) -> None:
        """A program inherits what is set when it is started."""
        if self._descriptor is not None:
            try:
                os.write(self._descriptor, value)
            except OSError:
                os.close(self._descriptor)
                self._descriptor = None


def spawn(
    argv: "Sequence[str]",
    environment: dict[str, str],
    actions: "Sequence[Action]",
    oom_score: OomScore,
    end_leftovers: "Callable[[], None]",
    *,
    mind_interrupts: bool = True,
) -> int:
    """Start a program; its id. ``end_leftovers`` is called when there are too many processes. Raises CannotStart.

    Without ``mind_interrupts`` the signal of that name does not end it while it starts.
    """
    defaults = [*_DEFAULT_SIGNALS, INTERRUPT] if mind_interrupts else _DEFAULT_SIGNALS
    for last in (False, False, True):
        oom_score.set(b"1000")
        try:
            return os.posix_spawn(
                argv[0], list(argv), environment, file_actions=list(actions), setsid=True, setsigmask=[],
                setsigdef=defaults,
            )  # fmt: skip
        except OSError as error:
            if last or error.errno not in (errno.EAGAIN, errno.ENOMEM):
                raise CannotStart(f"{argv[0]} could not be started: {error.strerror}\n") from error
            end_leftovers()
        finally:
            oom_score.set(b"0")
    raise AssertionError


_awaited: dict[int, int | None] = {}


def await_end(pid: int) -> None:
    """Keep the wait status of this child, whoever takes leave of it."""
    _awaited[pid] = None


def how_it_ended(pid: int) -> int | None:
    """The wait status of a child for which ``await_end`` was called; None while it lives."""
    return _awaited[pid]


def forget(pid: int) -> None:
    """The opposite of ``await_end``."""
    _awaited.pop(pid, None)


def reap() -> dict[int, int]:
    """Take leave of every child that ended: its id -> its wait status."""
    ended: dict[int, int] = {}
    while True:
        try:
            pid, status = os.waitpid(-1, os.WNOHANG)
        except ChildProcessError:
            return ended
        if pid == 0:
            return ended
        ended[pid] = status
        if pid in _awaited:
            _awaited[pid] = status


def end_everything() -> None:
    """Kill every process but this one, and wait until they are gone."""
    processes.kill_all()
    deadline = time.monotonic() + 5
    while processes.present() and time.monotonic() < deadline:
        time.sleep(0.005)
        reap()
