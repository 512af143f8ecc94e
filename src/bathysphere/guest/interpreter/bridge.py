"""Calls of tools: told to process 1 together when the code can do nothing but wait, answered to whoever waits."""

import builtins
from _thread import allocate_lock, get_ident, start_new_thread
from time import sleep

from .. import bounds
from ..json_text import loads
from ..lean import deque
from .interrupts import Interrupts
from .pipes import Hearing, Telling

TYPE_CHECKING = False
if TYPE_CHECKING:
    from asyncio import AbstractEventLoop, Future

LATE_SECONDS = 0.05
"""How long calls wait for those of other threads that are still at work."""

_EXCEPTIONS = {
    name: kind for name, kind in vars(builtins).items() if isinstance(kind, type) and issubclass(kind, Exception)
}


class Call:
    """A call that code waits for."""

    __slots__ = ("arguments", "future", "loop", "thread", "tool")

    def __init__(self, tool: str, arguments: bytes, loop: "AbstractEventLoop") -> None:
        self.tool = tool
        self.arguments = arguments
        self.loop = loop
        self.future: Future[str] = loop.create_future()
        self.thread = get_ident()


class Bridge:
    """The calls of the running cell. Any thread may use it.

    A thread is at work from when it calls or is answered until its event loop is about to wait. What is new is told
    when no thread is at work; loops that are not ours never say that they wait, so what they call is told at once.
    """

    def __init__(self, telling: Telling, answers: Hearing, interrupts: Interrupts) -> None:
        self._telling = telling
        self._answers = answers
        self.interrupts = interrupts
        self._lock = allocate_lock()
        self._listens = False
        self.forked()

    def forked(self) -> None:
        """Start with nothing, and no cell: also what a process does that split off from the interpreter."""
        self._lock = allocate_lock()
        self._active = False
        self._round = 0
        self._first_round = 0
        self._count = 0
        self._calls: dict[int, Call] = {}
        self._untold: deque[int] = deque()
        self._told: dict[int, int] = {}  # number -> bytes of the arguments, until it is answered
        self._told_bytes = 0
        self._report_due = False
        self._at_work: set[int] = set()
        self._late = False

    def begin(self, round_: int) -> None:
        """A cell begins."""
        self.forked()
        self._round = self._first_round = round_
        self._active = True

    def end(self) -> None:
        """The cell has ended: nobody waits any more for what it called."""
        with self.interrupts.held(), self._lock:
            calls = list(self._calls.values())
            self._active = False
            self._calls.clear()
            self._untold.clear()
        for call in calls:
            _resolve_soon(call, "The cell that made this call has ended", "RuntimeError")

    async def call(self, tool: str, arguments: bytes, loop: "AbstractEventLoop", waits: bool) -> str:
        """The answer's text. ``waits``: the loop tells when it is about to wait.

        Raises the exception that the answer names, and RuntimeError when there is no cell to call from.
        """
        call = Call(tool, arguments, loop)
        with self.interrupts.held(), self._lock:
            if not self._active:
                raise RuntimeError(f"{tool}() can be called only while a cell runs, and from the interpreter itself")
            if self._count >= bounds.CALLS:
                raise RuntimeError(f"one cell may make {bounds.CALLS} calls of tools, and this one has")
            self._count += 1
            number = self._count
            self._calls[number] = call
            self._untold.append(number)
            if waits:
                self._at_work.add(call.thread)
            else:
                self._tell()
            if not self._listens:
                self._listens = True
                start_new_thread(self._listen, ())
        try:
            return await call.future
        finally:
            with self.interrupts.held(), self._lock:
                if self._calls.get(number) is call:
                    del self._calls[number]

    def waiting(self) -> None:
        """The event loop of this thread is about to wait, or has ended."""
        if not self._calls and not self._at_work:
            return
        with self.interrupts.held(), self._lock:
            self._at_work.discard(get_ident())
            if not self._at_work:
                self._tell()
            elif not self._late and (self._untold or self._report_due):
                self._late = True
                start_new_thread(self._tell_late, (self._first_round,))

    def _tell_late(self, round_: int) -> None:
        sleep(LATE_SECONDS)
        with self._lock:
            if round_ == self._first_round:
                self._late = False
                self._tell()

    def _tell(self) -> None:
        """Say what is new, if anything is, and that the cell waits."""
        if not self._active or not self._calls:
            return
        news = False
        while self._untold and len(self._told) < bounds.OPEN_CALLS:
            call = self._calls.get(self._untold[0])
            if call is not None:
                size = len(call.arguments)
                if self._told_bytes + size > bounds.OPEN_BYTES:
                    break
                number = self._untold[0]
                self._told[number] = size
                self._told_bytes += size
                self._telling.frame({"type": "call", "number": number, "tool": call.tool}, call.arguments)
                call.arguments = b""
                news = True
            self._untold.popleft()
        if news or self._report_due:
            self._report_due = False
            self._telling.frame({"type": "waits", "round": self._round})

    def _listen(self) -> None:
        while True:
            header, payload = self._answers.frame()
            self._answered(header["round"], loads(payload)["answers"])

    def _answered(self, round_: int, answers: "list[dict[str, str]]") -> None:
        with self._lock:
            if not self._active or round_ < self._first_round:
                return  # the cell ended while they were on their way
            self._round = round_
            self._report_due = True
            resolved = []
            for answer in answers:
                number = int(answer["number"])
                self._told_bytes -= self._told.pop(number, 0)
                call = self._calls.pop(number, None)
                if call is not None:
                    resolved.append((call, answer))
                    self._at_work.add(call.thread)
            # A thread is at work before it can notice; one whose loop is closed never will.
            for call, answer in resolved:
                if not _resolve_soon(call, answer["text"], answer["exception"]):
                    self._at_work.discard(call.thread)
            if not self._at_work:
                self._tell()


def _resolve_soon(call: Call, text: str, exception: str | None) -> bool:
    try:
        call.loop.call_soon_threadsafe(_resolve, call, text, exception)
    except RuntimeError:
        return False  # the loop is closed
    return True


def _resolve(call: Call, text: str, exception: str | None) -> None:
    if call.future.done():
        return
    if exception is None:
        call.future.set_result(text)
    else:
        call.future.set_exception(_EXCEPTIONS.get(exception, RuntimeError)(text))
