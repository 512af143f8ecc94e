"""The interpreter as process 1 sees it: a child that it starts, speaks with over pipes, and believes nothing."""

import fcntl
import os
import select

from . import frames, processes, spawning
from .arguments import LONGEST
from .lean import deque, signal
from .programs import CannotStart, find
from .spawning import STDIN, OomScore, spawn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

_BOOT = 'exec(open("/guest/interpreter/boot.py").read())'

READ = 64 * 1024
"""Bytes read from a pipe at once."""


class Writing:
    """A pipe to the interpreter, which may be in no hurry to read."""

    def __init__(self, descriptor: int, poll: "select.epoll") -> None:
        self.descriptor = descriptor
        self._poll = poll
        self._waiting: deque[memoryview] = deque()

    def send(self, header: dict[str, object], payload: bytes = b"") -> None:
        """Write a frame, or what the pipe does not take now when it does."""
        if not self._waiting:
            self._poll.register(self.descriptor, select.EPOLLOUT)
        self._waiting.append(memoryview(frames.encode(header, payload)))
        self.ready()

    def ready(self) -> None:
        """Write what the pipe takes now."""
        while self._waiting:
            try:
                written = os.write(self.descriptor, self._waiting[0])
            except BlockingIOError:
                return
            except BrokenPipeError:
                self._waiting.clear()  # it has ended, or closed its end: its time limit will tell
                break
            if written < len(self._waiting[0]):
                self._waiting[0] = self._waiting[0][written:]
            else:
                self._waiting.popleft()
        self._poll.unregister(self.descriptor)

    def close(self) -> None:
        """Let go of it."""
        if self._waiting:
            self._poll.unregister(self.descriptor)
        os.close(self.descriptor)


class InterpreterProcess:
    """A started interpreter. Whoever made it closes it."""

    def __init__(
        self,
        environment: dict[str, str],
        poll: "select.epoll",
        oom_score: OomScore,
        output: "Callable[[str, bytes], None]",
        report: "Callable[[dict[str, Any], bytes], None]",
    ) -> None:
        """Start it in the current directory. ``report`` gets what it says and may raise FrameError.

        Raises CannotStart.
        """
        self._poll = poll
        self._output = output
        self._report = report
        self._decoder = frames.Decoder(LONGEST)
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(5)]
        (out, out_end), (err, err_end), (requests_end, requests), (answers_end, answers), (reports, reports_end) = pipes
        ends = (requests_end, answers_end, reports_end, out_end, err_end)
        own = (requests, answers, reports, out, err)
        # Out of the way of the numbers that they get.
        high = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, 16) for end in ends]
        try:
            numbers = (3, 4, 5, 1, 2)
            actions = [(os.POSIX_SPAWN_DUP2, end, number) for end, number in zip(high, numbers, strict=True)]
            argv = [find("python3"), "-c", _BOOT]
            self.pid = spawn(
                argv, environment, [STDIN, *actions], oom_score, spawning.end_everything, mind_interrupts=False
            )
        except CannotStart:
            for descriptor in own:
                os.close(descriptor)
            raise
        finally:
            for end in (*ends, *high):
                os.close(end)
        spawning.await_end(self.pid)
        for descriptor in own:
            os.set_blocking(descriptor, False)
        self.requests = Writing(requests, poll)
        self.answers = Writing(answers, poll)
        self._names = {out: "stdout", err: "stderr", reports: "reports"}
        for descriptor in self._names:
            poll.register(descriptor, select.EPOLLIN)
        self.complaint: str | None = None
        """Why what it said was no frame, once that happened."""
        self.killed = False

    def __contains__(self, descriptor: int) -> bool:
        return descriptor in self._names or descriptor in (self.requests.descriptor, self.answers.descriptor)

    def ready(self, descriptor: int) -> None:
        """Go on with a descriptor for which something can be done."""
        if descriptor in self._names:
            self._read(descriptor)
        else:
            (self.requests if descriptor == self.requests.descriptor else self.answers).ready()

    def _read(self, descriptor: int) -> int:
        try:
            data = os.read(descriptor, READ)
        except BlockingIOError:
            return 0
        if not data:
            self._poll.unregister(descriptor)
            os.close(descriptor)
            del self._names[descriptor]
        elif self._names[descriptor] != "reports":
            self._output(self._names[descriptor], data)
        elif self.complaint is None:
            try:
                for header, payload in self._decoder.feed(data):
                    self._report(header, payload)
            except frames.FrameError as error:
                self.complaint = str(error)
        return len(data)

    def drain(self, *names: str) -> None:
        """Take what the pipes hold, and no more than they can have held: somebody may write for ever."""
        for descriptor, name in list(self._names.items()):
            if name not in names:
                continue
            left = fcntl.fcntl(descriptor, 1032)  # F_GETPIPE_SZ
            while left > 0 and (taken := self._read(descriptor)):
                left -= taken

    @property
    def status(self) -> int | None:
        """Its wait status once it has ended."""
        return spawning.how_it_ended(self.pid)

    def interrupt(self) -> None:
        """Raise KeyboardInterrupt in what it runs, if it minds."""
        if self.status is None:
            os.kill(self.pid, spawning.INTERRUPT)

    def kill(self, before: set[processes.Identity]) -> None:
        """End it, and every process that is not in ``before`` or descends from one of those."""
        self.killed = True
        if self.status is None:
            os.kill(self.pid, signal.SIGKILL)
        processes.kill_since({one for one in before if one[0] != self.pid})

    def close(self) -> None:
        """Let go of its pipes."""
        spawning.forget(self.pid)
        self.requests.close()
        self.answers.close()
        for descriptor in self._names:
            self._poll.unregister(descriptor)
            os.close(descriptor)
        self._names.clear()
