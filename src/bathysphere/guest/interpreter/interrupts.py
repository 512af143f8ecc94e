"""How process 1 stops a cell: a signal, which raises KeyboardInterrupt where the cell's code is, and only there."""

from _thread import get_ident

from ..lean import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType, TracebackType


class Interrupts:
    """Belongs to the main thread, where python handles signals."""

    def __init__(self) -> None:
        self._main = get_ident()
        self._running = False
        self._held = 0
        self._pending = False
        self._hold = _Hold(self)

    def listen(self) -> None:
        """Make sure that the signal comes here, whatever an earlier cell made of it."""
        signal.signal(signal.SIGINT, self._arrived)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGINT])

    def allow(self, running: bool) -> None:
        """Whether code of a cell runs, which may be interrupted."""
        self._pending = False
        self._running = running

    def held(self) -> "_Hold":
        """A context in which nothing is interrupted: what arrives takes effect at its end."""
        return self._hold

    def _arrived(self, _number: int, _frame: "FrameType | None") -> None:
        if not self._running:
            return
        if self._held:
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
            if self._pending and not self._held:
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
