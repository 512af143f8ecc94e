"""How process 1 stops a cell: a signal, which raises KeyboardInterrupt where the cell's code is, and only there."""

from _thread import get_ident

from ..lean import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType

SIGNAL = signal.SIGXCPU
"""Not SIGINT, which os.system() ignores while it waits. Process 1 ignores it, and so does what it starts at first."""


class Interrupts:
    """Belongs to the main thread, where python handles signals."""

    def __init__(self) -> None:
        self._main = get_ident()
        self._running = False
        self._held = 0
        self._pending = False
        self._hold = _Hold(self)
        self.not_in = "\0"
        """Where files have a path that begins so, an interrupt waits for ``check``: of an event loop's own code, which
        would lose what it was about to do. It waits once; the next one takes effect there too."""

    def listen(self) -> None:
        """Make sure that the signal comes here, whatever an earlier cell made of it. What came before is forgotten."""
        for number in (SIGNAL, signal.SIGINT):
            signal.signal(number, self._arrived)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [SIGNAL, signal.SIGINT])
        self._pending = False

    def allow(self, running: bool) -> None:
        """Whether code of a cell runs, which may be interrupted. Raises KeyboardInterrupt if it was to be already."""
        pending, self._pending = self._pending, False
        self._running = running
        if running and pending:
            raise KeyboardInterrupt

    def held(self) -> "_Hold":
        """A context in which nothing is interrupted: what arrives takes effect at its end."""
        return self._hold

    def check(self) -> None:
        """Raises KeyboardInterrupt when one waits for that."""
        if self._pending and self._running and get_ident() == self._main:
            self._pending = False
            raise KeyboardInterrupt

    def _arrived(self, _number: int, frame: "FrameType | None") -> None:
        careful = frame is not None and frame.f_code.co_filename.startswith(self.not_in) and not self._pending
        if self._held or not self._running or careful:
            self._pending = True
        else:
            raise KeyboardInterrupt

    def enter(self) -> None:
        """Begin to hold back."""
        if get_ident() == self._main:
            self._held += 1

    def leave(self) -> None:
        """Raises KeyboardInterrupt when that was held back."""
        if get_ident() == self._main:
            self._held -= 1
            if self._pending and self._running and not self._held:
                self._pending = False
                raise KeyboardInterrupt


class _Hold:
    def __init__(self, interrupts: Interrupts) -> None:
        self._interrupts = interrupts

    def __enter__(self) -> None:
        self._interrupts.enter()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        self._interrupts.leave()
