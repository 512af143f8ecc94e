"""Process 1 of the sandbox: answers the host, runs one command at a time, takes leave of orphans.

The host asks over standard input and is answered over standard output. It sends one request at a time; while
a command runs, ``cancel`` is the only other one.
"""

from __future__ import annotations

import os
import resource
import select
import sys
import time

from . import frames
from .commands import BACKGROUND_PIPES, READ, Command, Stream
from .failures import Failure, of_os_error
from .files import Placing
from .json_text import dumps, loads
from .lean import deque, prctl, signal
from .outputs import Outputs
from .programs import CannotStart
from .spawning import INTERRUPT, OomScore, reap

# The typing module would make up a tenth of the time to start.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .cells import Cells
    from .transfer import Transfer

_PR_SET_DUMPABLE = 4

CELL_OPS = ("cell", "answer", "prepare", "save")

_LIMITS = sorted({getattr(resource, name) for name in dir(resource) if name.startswith("RLIMIT_")})


class Guest:
    """The conversation with the host, and the state between requests."""

    def __init__(self, wire_in: int, wire_out: int, oom_score: int | None) -> None:
        self._in = wire_in
        self._out = wire_out
        self._oom_score = OomScore(oom_score)
        self._decoder = frames.Decoder()
        self._outgoing: deque[memoryview] = deque()
        self._poll = select.epoll(flags=select.EPOLL_CLOEXEC)
        self._streams: dict[int, Stream] = {}
        self._background: dict[int, None] = {}  # a set that knows which came first
        self._command: Command | None = None
        self._command_id = 0
        self._placing: Placing | None = None
        self._transfer: Transfer | None = None
        self._cells: Cells | None = None
        self._environment: dict[str, str] = {}
        self._outputs = self._last_outputs = Outputs(0, 0)
        self._captured = (0, 0)
        self._output_bytes = 0
        self._max_processes = 0
        self._limits: list[tuple[int, int]] = []
        self._wakeup, write = os.pipe2(os.O_CLOEXEC | os.O_NONBLOCK)
        signal.set_wakeup_fd(write, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        # A handler for an interrupt would let any program in the sandbox send one to its process 1.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(INTERRUPT, signal.SIG_IGN)  # an interpreter that starts inherits that
        os.set_blocking(wire_in, False)
        os.set_blocking(wire_out, False)
        self._poll.register(wire_in, select.EPOLLIN)
        self._poll.register(self._wakeup, select.EPOLLIN)

    def run(self) -> None:
        """Serve until the host closes the wire."""
        while True:
            for descriptor, _events in self._poll.poll(self._seconds_to_wait()):
                if descriptor == self._in:
                    self._hear()
                elif descriptor == self._out:
                    self._speak()
                elif descriptor == self._wakeup:
                    self._children()
                elif self._cells is not None and descriptor in self._cells:
                    self._cells.ready(descriptor)
                else:
                    self._read_stream(descriptor)
            if self._command is not None:
                self._command.attend()
            if self._cells is not None:
                self._cells.attend()

    def _seconds_to_wait(self) -> float:
        due = [] if self._command is None else [self._command.due()]
        if self._cells is not None and (cell_due := self._cells.due()) is not None:
            due.append(cell_due)
        return max(0.0, min(due) - time.monotonic()) if due else -1.0

    # The wire

    def _hear(self) -> None:
        data = os.read(self._in, frames.CHUNK)
        if not data:
            os._exit(0)  # the host is gone; with process 1 the whole sandbox ends
        for header, payload in self._decoder.feed(data):
            self._answer(header, payload)

    def _send(self, header: dict[str, object], payload: bytes = b"") -> None:
        if not self._outgoing:
            self._poll.register(self._out, select.EPOLLOUT)
        self._outgoing.append(memoryview(frames.encode(header, payload)))
        self._speak()

    def _speak(self) -> None:
        while self._outgoing:
            try:
                written = os.write(self._out, self._outgoing[0])
            except BlockingIOError:
                return
            except BrokenPipeError:
                os._exit(0)
            if written < len(self._outgoing[0]):
                self._outgoing[0] = self._outgoing[0][written:]
            else:
                self._outgoing.popleft()
        self._poll.unregister(self._out)

    # Requests

    def _answer(self, header: dict[str, Any], payload: bytes) -> None:
        number = header["id"]
        try:
            if header["op"] == "cancel":
                if self._command is not None and self._command_id == number:
                    self._command.kill()
                elif self._cells is not None:
                    self._cells.cancel(number)
                return
            if header["op"] != "start" and _limits() != self._limits:
                # Any program of the same user can do that, and what it lowered nobody here can raise again.
                why = "A program in the container changed the limits of its process 1, so it has to be started again."
                self._refuse(number, Failure("failed", f"{why} The files are kept."))
                self._end()
            if header["op"] == "execute":
                self._execute(number, header, payload)
                return
            if header["op"] in CELL_OPS:
                if self._cells_of(header["op"]).answer(number, header, payload):
                    self._send({"type": "reply", "id": number})
                return
            answer, data = self._carry_out(header, payload)
            self._send({"type": "reply", "id": number, **answer}, data)
        except Failure as failure:
            self._refuse(number, failure)
        except OSError as error:
            self._give_up(number, header["op"], of_os_error(f"The request {header['op']}", error))
        except Exception as error:  # with process 1 every process of the container would end
            why = f"The request {header['op']} failed: {type(error).__name__}"
            self._give_up(number, header["op"], Failure("failed", why))

    def _give_up(self, number: int, op: str, failure: Failure) -> None:
        self._refuse(number, failure)
        if op in ("execute", "cell") and failure.code == "failed":
            self._end()  # a guest that can start nothing would refuse every call; the host starts another

    def _end(self) -> None:
        """End, and with process 1 the sandbox, after what is to be said has been said."""
        if self._outgoing:
            os.set_blocking(self._out, True)
            self._speak()
        os._exit(1)

    def _refuse(self, number: int, failure: Failure) -> None:
        self._send({"type": "failed", "id": number, "code": failure.code, "message": str(failure)[:1000]})

    def _carry_out(self, header: dict[str, Any], payload: bytes) -> tuple[dict[str, object], bytes]:
        op = header["op"]
        if op == "start":
            self._start(header)
        elif op == "read":
            held = self._outputs
            if self._cells is not None and self._cells.outputs.holds(header["handle"]):
                held = self._cells.outputs
            return {}, held.read(header["handle"], header["offset"], header["length"])
        elif op == "edit":
            from .editor import edit  # noqa: PLC0415  (not needed before the first edit: a faster start)

            return {}, dumps(edit(loads(payload), self._expansions()))
        elif op == "place":
            self._abort_placing()
            self._placing = Placing(header["filename"], header["size"])
        elif op == "place_data" and self._placing is not None:
            self._placing.write(payload)
        elif op == "place_commit" and self._placing is not None:
            placing, self._placing = self._placing, None
            placing.commit()
        elif op == "place_abort":
            self._abort_placing()
        elif op.startswith("path_"):
            from .transfer import Transfer  # noqa: PLC0415  (as the editor)

            if self._transfer is None:
                self._transfer = Transfer()
            return {}, self._transfer.answer(header, payload, self._expansions())
        else:
            raise Failure("bad_request", f"{op} is not possible here")
        return {}, b""

    def _start(self, header: dict[str, Any]) -> None:
        self._environment = {**header["environment"], "INPUT_DIR": "/files/input"}
        self._output_bytes = header["output_bytes"]
        self._max_processes = header["processes"]
        self._captured = (header["captured_files"], header["captured_file_bytes"])
        self._outputs = self._last_outputs = Outputs(*self._captured)
        for name, value in header["rlimits"].items():
            kind = getattr(resource, f"RLIMIT_{name}")
            resource.setrlimit(kind, (value, value))
        self._limits = _limits()
        if header["fresh"]:
            from .skeleton import fill_home  # noqa: PLC0415  (once in a container's life)

            fill_home()
        self._outputs.prepare()

    def _abort_placing(self) -> None:
        if self._placing is not None:
            self._placing.abort()
            self._placing = None

    def _expansions(self) -> dict[str, str]:
        """What stands for variables in a path: $OUTPUT_DIR is that of the last call."""
        return {**self._environment, "OUTPUT_DIR": self._last_outputs.directory}

    # Cells

    def _cells_of(self, op: str) -> Cells:
        if self._cells is None:
            from .cells import Cells  # noqa: PLC0415  (as the editor)

            outputs = Outputs(*self._captured)
            self._cells = Cells(self._poll, self._send, outputs, self._environment, self._output_bytes, self._oom_score)
        if op == "cell" and self._cells.cell is None:
            self._outputs.release()
            self._last_outputs = self._cells.outputs
        return self._cells

    # Commands

    def _execute(self, number: int, header: dict[str, Any], payload: bytes) -> None:
        def send(stream: str, data: bytes) -> None:
            self._send({"type": "output", "id": number, "stream": stream}, data)

        started = time.monotonic()
        self._last_outputs = self._outputs
        if self._cells is not None and self._cells.cell is None:
            self._cells.outputs.release()
        try:
            command = Command(
                header["language"],
                payload,
                timeout=header["timeout"],
                environment=self._environment,
                outputs=self._outputs,
                output_bytes=self._output_bytes,
                max_processes=self._max_processes,
                oom_score=self._oom_score,
                idle=None if self._cells is None else self._cells.idle,
                send=send,
            )
        except CannotStart as error:
            send("stderr", str(error).encode(errors="replace"))
            self._finished(number, 126, time.monotonic() - started)
            return
        self._command, self._command_id = command, number
        for stream in command.streams:
            self._streams[stream.descriptor] = stream
            self._poll.register(stream.descriptor, select.EPOLLIN)
        self._children()

    def _read_stream(self, descriptor: int) -> None:
        if descriptor in self._streams:
            if self._command is not None and self._command.readable(self._streams[descriptor]):
                return
            del self._streams[descriptor]
        elif descriptor in self._background:  # an earlier command's process writes: nobody is there to read it
            try:
                if os.read(descriptor, READ):
                    return
            except BlockingIOError:
                return
            del self._background[descriptor]
        else:
            return  # closed since the system told of it; another file may have its number by now
        self._poll.unregister(descriptor)
        os.close(descriptor)

    def _children(self) -> None:
        try:
            os.read(self._wakeup, 4096)
        except BlockingIOError:
            pass
        ended = reap()
        command = self._command
        if command is None or command.pid not in ended:
            return
        command.status = ended[command.pid]
        code, seconds, truncated = command.finish()
        for stream in command.streams:
            if self._streams.pop(stream.descriptor, None) is None:
                continue
            # A background process that still writes here must not be ended by a closed pipe.
            self._background[stream.descriptor] = None
        while len(self._background) > BACKGROUND_PIPES:
            descriptor = next(iter(self._background))
            del self._background[descriptor]
            self._poll.unregister(descriptor)
            os.close(descriptor)
        self._command = None
        self._finished(self._command_id, code, seconds, command, truncated)

    def _finished(
        self, number: int, code: int, seconds: float, command: Command | None = None, truncated: bool = False
    ) -> None:
        produced = self._outputs.collect()
        if self._cells is not None and self._cells.cell is not None:
            self._cells.outputs.leave_to(self._outputs)
        report = {
            "return_code": code,
            "timed_out": command is not None and command.timed_out,
            "duration_seconds": seconds,
            "truncated": truncated,
            "notes": self._outputs.notes,
            **produced,
        }
        self._send({"type": "finished", "id": number}, dumps(report))


def _limits() -> list[tuple[int, int]]:
    return [resource.getrlimit(kind) for kind in _LIMITS]


def main() -> None:
    """Become the guest."""
    sys.setswitchinterval(1)
    try:
        oom_score: int | None = os.open("/proc/self/oom_score_adj", os.O_WRONLY | os.O_CLOEXEC)
    except OSError:
        oom_score = None
    # Programs of the sandbox have the guest's uid; this closes its memory and its descriptors to them.
    prctl(_PR_SET_DUMPABLE, 0)
    os.umask(0o022)
    wire_in = os.dup(0)
    wire_out = os.dup(1)
    null = os.open("/dev/null", os.O_RDWR)
    os.dup2(null, 0)
    os.dup2(null, 1)
    os.close(null)
    Guest(wire_in, wire_out, oom_score).run()
