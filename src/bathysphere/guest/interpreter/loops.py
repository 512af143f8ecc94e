"""Event loops for cells: one that lasts from cell to cell, all tell when they wait, and may be run within each other.

Within a running loop ``asyncio.run`` and ``run_until_complete`` are refused by asyncio, but notebooks and models write
them all the time. Another loop is run as if this one were not running, in the same thread: it stands still until then,
as it does for any function that takes its time. The same loop goes on turning until the future is done.
"""

import asyncio
import selectors
import sys
import threading
from asyncio import events, tasks

from ..lean import deque
from .bridge import Bridge

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Awaitable, Coroutine, Generator
    from types import TracebackType
    from typing import Any

_CANCEL_SECONDS = 1.0
"""How long cancelled tasks may take to end before they are left to themselves."""

_run = asyncio.run
_runner_run = asyncio.Runner.run


class _Ready(deque):  # type: ignore[type-arg]
    """The callbacks of a loop that are due. A turn of it within a turn may have taken what the outer one counted."""

    def popleft(self) -> "Any":
        return super().popleft() if self else _NOTHING


class _Nothing:
    _cancelled = True


_NOTHING = _Nothing()


class _Aside:
    """A context in which the loop that runs in this thread seems not to."""

    def __enter__(self) -> None:
        self._running = events._get_running_loop()
        events._set_running_loop(None)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        events._set_running_loop(self._running)


class _Selector(selectors.DefaultSelector):
    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self._bridge = bridge
        self._interrupts = bridge.interrupts

    def select(self, timeout: float | None = None) -> "list[tuple[selectors.SelectorKey, int]]":
        self._interrupts.check()
        if timeout is None or timeout > 0:
            self._bridge.waiting()
        return super().select(timeout)


class Loop(asyncio.SelectorEventLoop):
    """See the module."""

    def __init__(self, bridge: Bridge) -> None:
        super().__init__(_Selector(bridge))
        self._bridge = bridge
        self._ready = _Ready()

    def run_forever(self) -> None:
        """See asyncio."""
        with _Aside():
            try:
                super().run_forever()
            finally:
                self._bridge.waiting()

    def run_until_complete(self, future: "Generator[Any, None, Any] | Awaitable[Any]") -> "Any":
        """See asyncio; also while this loop runs."""
        if events._get_running_loop() is self:
            return self._run_within(future)
        with _Aside():
            return super().run_until_complete(future)

    def _run_within(self, future: "Generator[Any, None, Any] | Awaitable[Any]") -> "Any":
        waited: asyncio.Future[Any] = asyncio.ensure_future(future, loop=self)  # type: ignore[arg-type]
        task = tasks.current_task(self)
        if task is not None:
            tasks._leave_task(self, task)
        try:
            while not waited.done():
                self._run_once()  # type: ignore[attr-defined]
        finally:
            if task is not None:
                tasks._enter_task(self, task)
        return waited.result()


class _Policy(asyncio.DefaultEventLoopPolicy):
    def __init__(self, loops: "Loops") -> None:
        super().__init__()
        self._loops = loops

    def new_event_loop(self) -> asyncio.AbstractEventLoop:
        return Loop(self._loops.bridge)

    def get_event_loop(self) -> asyncio.AbstractEventLoop:
        try:
            if threading.current_thread() is not threading.main_thread() or self._local._loop is not None:  # type: ignore[attr-defined]
                return super().get_event_loop()
        except AttributeError:
            pass
        return self._loops.lasting()


class Loops:
    """asyncio as cells find it."""

    def __init__(self, bridge: Bridge) -> None:
        self.bridge = bridge
        self._lasting: Loop | None = None
        self._policy = _Policy(self)
        bridge.interrupts.not_in = asyncio.__file__.rpartition("/")[0]
        asyncio.set_event_loop_policy(self._policy)
        asyncio.run = run
        asyncio.Runner.run = runner_run  # type: ignore[method-assign]

    def lasting(self) -> Loop:
        """The loop of the main thread that lasts from cell to cell; a new one when the old one was closed."""
        if self._lasting is None or self._lasting.is_closed():
            self._lasting = Loop(self.bridge)
        return self._lasting

    def run(self, coroutine: "Coroutine[Any, Any, Any]") -> "Any":
        """Run a cell's coroutine to its end. Its other tasks stay, and go on with the next cell that runs here."""
        loop = self.lasting()
        self._policy.set_event_loop(loop)
        task = loop.create_task(coroutine)
        try:
            return loop.run_until_complete(task)
        except BaseException as error:
            if not task.done():
                # A task beside it ended the loop, or an interrupt did, which all tasks hear of.
                doomed = [task] if isinstance(error, SystemExit) else list(tasks.all_tasks(loop))
                self._cancel(loop, doomed)
                _show_where(error, task)
            raise
        finally:
            if task.done() and not task.cancelled():
                task.exception()  # looked at: the loop would complain otherwise

    def _cancel(self, loop: Loop, doomed: "list[asyncio.Task[Any]]") -> None:
        for one in doomed:
            one.cancel()
        loop.run_until_complete(asyncio.wait(doomed, timeout=_CANCEL_SECONDS))


def _show_where(error: BaseException, task: "asyncio.Task[Any]") -> None:
    """An interrupt of a waiting loop says nothing about where the cell was; how its task was cancelled does."""
    try:
        task.result()
    except asyncio.CancelledError as cancelled:
        error.__traceback__ = cancelled.__traceback__
    except BaseException:
        return


def run(main: "Coroutine[Any, Any, Any]", *, debug: bool | None = None) -> "Any":
    """See asyncio.run; also while a loop runs."""
    with _Aside():
        return _run(main, debug=debug)


def runner_run(self: asyncio.Runner, coro: "Coroutine[Any, Any, Any]", **named: "Any") -> "Any":
    """See asyncio.Runner.run; also while a loop runs."""
    with _Aside():
        return _runner_run(self, coro, **named)


run.__doc__ = _run.__doc__
run.__module__ = _run.__module__
sys.modules["asyncio.runners"].run = run  # type: ignore[attr-defined]
