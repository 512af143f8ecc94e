"""Cells: code in an interpreter that lives on, and waits between requests for the answers of tools it called.

A cell's time counts from a request to the answer to it: until it ends, or can do nothing but wait.
"""

import os
import time

from . import bounds, paths, processes
from .arguments import Unfit, check
from .commands import Kept
from .failures import Failure
from .frames import CHUNK, FrameError
from .interpreter_process import InterpreterProcess
from .json_text import dumps, loads
from .lean import signal
from .outputs import Outputs
from .programs import CannotStart
from .spawning import OomScore, reap

TYPE_CHECKING = False
if TYPE_CHECKING:
    import select
    from collections.abc import Callable
    from typing import Any

AGAIN_SECONDS = 1.5
"""When a cell is interrupted once more: what it waited for may have kept the first one from it."""

GRACE_SECONDS = 3.0
"""How long an interrupted cell may take to end before its interpreter is killed."""

REAP_SECONDS = 1.0
"""How long a killed interpreter may take to end before everything else in the sandbox is killed too."""

SAVE_SECONDS = 20.0
"""Within which variables are to be on the disk; the interpreter is killed then, and they are lost."""

_TOOL_NAME = 200
_LISTED, _SHOWN = 1000, 100


class Cell:
    """One that has begun. ``request`` is the number of the request that waits for it; None: it waits itself."""

    def __init__(self, request: int, seconds: float, limit: int, before: set[processes.Identity]) -> None:
        """``limit`` bytes of each stream are kept, ``before`` are the processes that are none of its own."""
        self.request: int | None = request
        self.limit_seconds = seconds
        self.seconds_left = seconds
        self.since = time.monotonic()
        self.before = before
        self.open: dict[int, int] = {}
        """Numbers of calls without an answer -> bytes of their arguments."""
        self.untold: list[bytes] = []
        self.calls = 0
        self.timed_out = False
        self.stops: list[tuple[float, str]] = []
        """Once it was interrupted: when to do what next."""
        self.notes: list[str] = []
        self.ended: tuple[dict[str, bytes], dict[str, object]] | None = None
        """What it wrote and the report, when it has ended."""

    def pause(self) -> None:
        """Its time does not count from now on."""
        self.seconds_left -= time.monotonic() - self.since
        self.request = None

    def go_on(self, request: int) -> None:
        """Its time counts again."""
        self.request = request
        self.since = time.monotonic()

    @property
    def seconds(self) -> float:
        """How long it has run."""
        running = 0.0 if self.request is None else time.monotonic() - self.since
        return self.limit_seconds - self.seconds_left + running


class Cells:
    """The interpreter of the container, if there is one, and its cell, if one has begun."""

    def __init__(
        self,
        poll: "select.epoll",
        send: "Callable[[dict[str, object], bytes], None]",
        outputs: Outputs,
        environment: dict[str, str],
        output_bytes: int,
        oom_score: OomScore,
    ) -> None:
        self._poll = poll
        self._send = send
        self._environment = environment
        self._output_bytes = output_bytes
        self._oom_score = oom_score
        self._interpreter: InterpreterProcess | None = None
        self._used = False
        self._round = 0
        self._saving: tuple[int, float] | None = None  # the request, and when its time is over
        self._kept: dict[str, Kept] = {}
        self._heads: dict[str, bytearray] = {}
        self._fresh_streams()
        self.outputs = outputs
        self.cell: Cell | None = None

    # Requests

    def answer(self, number: int, header: "dict[str, Any]", payload: bytes) -> bool:
        """Carry out a request; True when its reply is to be sent at once. Raises Failure."""
        op = header["op"]
        if op == "cell":
            self._begin(number, header["timeout"], payload)
        elif op == "answer":
            self._answer(number, payload)
        elif op == "prepare":
            self._prepare(payload)
            return True
        elif op == "save":
            self._save(number)
        else:
            raise Failure("bad_request", f"{op} is not possible here")
        return False

    def cancel(self, number: int) -> None:
        """Interrupt the cell if that request waits for it."""
        if self.cell is not None and self.cell.request == number:
            self._interrupt(self.cell)

    def _begin(self, number: int, seconds: float, payload: bytes) -> None:
        if self.cell is not None:
            raise Failure("bad_request", "A cell has begun and not ended.")
        reap()
        before = processes.present()
        self.outputs.begin(alone=not before.keys() - {self._pid})
        self._round += 1
        self.cell = cell = Cell(number, seconds, self._output_bytes, processes.identities(before))
        if not self._ready(cell.notes):
            return
        assert self._interpreter is not None
        self._used = True
        header = {"op": "cell", "round": self._round, "output_directory": self.outputs.directory}
        self._interpreter.requests.send(header, payload)

    def _ready(self, notes: list[str]) -> bool:
        """Have an interpreter; False when it cannot be started and the cell has ended with that."""
        self.attend()
        if self._interpreter is not None:
            return True
        if not paths.enter_home():
            notes.append(f"{paths.HOME} could not be entered; the interpreter started in /.")
        environment = {**self._environment, "INPUT_DIR": paths.INPUT, "OUTPUT_DIR": self.outputs.directory}
        try:
            self._interpreter = InterpreterProcess(
                environment, self._poll, self._oom_score, self._take_output, self._take_report
            )
        except CannotStart as error:
            if self.cell is not None:
                self._take_output("stderr", str(error).encode(errors="replace"))
                self._end(126)
            return False
        self._used = False
        return True

    def _answer(self, number: int, payload: bytes) -> None:
        cell = self.cell
        if cell is None or cell.request is not None:
            raise Failure("cell_gone", "No cell waits: the interpreter has ended, and its variables are gone.")
        cell.go_on(number)
        if cell.ended is not None or self._interpreter is None:
            self._hand_over()
            return
        answers = []
        for answer in loads(payload)["answers"]:
            if cell.open.pop(answer["number"], None) is not None:
                answers.append(answer)
        # What commands left running meanwhile is none of the cell's.
        cell.before |= self._strangers()
        self._round += 1
        self._interpreter.answers.send({"op": "answers", "round": self._round}, dumps({"answers": answers}))

    def _prepare(self, payload: bytes) -> None:
        if self.cell is not None:
            return
        if self.outputs.directory == paths.OUTPUT:
            self.outputs.prepare()
        if self._ready([]):
            assert self._interpreter is not None
            self._interpreter.requests.send({"op": "import"}, payload)

    def _save(self, number: int) -> None:
        if self.cell is not None:
            raise Failure("bad_request", "A cell has begun and not ended, so its variables cannot be saved.")
        self.attend()
        if self._interpreter is None or not self._used:
            # What an earlier one saved is still there.
            self._send({"type": "reply", "id": number}, dumps({"lost": []}))
            return
        self._saving = (number, time.monotonic() + SAVE_SECONDS)
        self._interpreter.requests.send({"op": "save"})

    def _saved(self, payload: bytes) -> None:
        """Raises FrameError."""
        try:
            said = loads(payload)
            lost = said.get("lost")
        except (ValueError, RecursionError, AttributeError):
            raise FrameError("it saved in a way that it cannot say") from None
        assert self._saving is not None
        (number, _until), self._saving = self._saving, None
        if not isinstance(lost, list) or not all(isinstance(name, str) for name in lost):
            why = said.get("error")
            self._not_saved(number, why if isinstance(why, str) else "for no reason that was given")
            return
        self._send({"type": "reply", "id": number}, dumps({"lost": [name[:_SHOWN] for name in lost[:_LISTED]]}))

    def _not_saved(self, number: int, why: str) -> None:
        message = f"The variables could not be saved: {why[:200]}"
        self._send({"type": "failed", "id": number, "code": "failed", "message": message}, b"")

    # What the interpreter says and writes

    def __contains__(self, descriptor: int) -> bool:
        return self._interpreter is not None and descriptor in self._interpreter

    def ready(self, descriptor: int) -> None:
        """Go on with a descriptor of the interpreter."""
        if self._interpreter is not None:
            self._interpreter.ready(descriptor)

    def _take_output(self, stream: str, data: bytes) -> None:
        self._heads[stream] += self._kept[stream].add(data)

    def _take_report(self, header: "dict[str, Any]", payload: bytes) -> None:
        """Raises FrameError when that cannot be said, or not now."""
        kind = header.get("type")
        cell = self.cell
        if kind == "ready" and not payload:
            return
        if kind == "saved" and self._saving is not None:
            self._saved(payload)
            return
        if cell is None or cell.ended is not None:
            raise FrameError("it said something while no cell ran")
        if kind == "call":
            self._take_call(cell, header, payload)
        elif kind == "waits":
            if header.get("round") == self._round and cell.request is not None and not cell.stops:
                self._wait(cell)
        elif kind == "finished":
            code = header.get("code")
            if not isinstance(code, int) or not 0 <= code <= 255:
                raise FrameError("it gave a return code that is none")
            self._end(code)
        else:
            raise FrameError("it said something unknown")

    def _take_call(self, cell: Cell, header: "dict[str, Any]", payload: bytes) -> None:
        number, tool = header.get("number"), header.get("tool")
        # Numbers may be left out: a call can be given up before it is told.
        if not isinstance(number, int) or not cell.calls < number <= bounds.CALLS:
            raise FrameError("it numbered a call wrongly")
        if not isinstance(tool, str) or not 0 < len(tool) <= _TOOL_NAME:
            raise FrameError("it called a tool with no name")
        if len(cell.open) >= bounds.OPEN_CALLS or sum(cell.open.values()) + len(payload) > bounds.OPEN_BYTES:
            raise FrameError("it made more calls than may be open at once")
        try:
            check(payload)
        except Unfit as unfit:
            raise FrameError(f"in what it called a tool with, {unfit}") from None
        cell.calls = number
        cell.open[number] = len(payload)
        cell.untold.append(
            b'{"number":' + str(number).encode() + b',"tool":' + dumps(tool) + b',"arguments":' + payload + b"}"
        )

    def _wait(self, cell: Cell) -> None:
        if not cell.open:
            raise FrameError("it waits for nothing")
        payload = b'{"calls":[' + b",".join(cell.untold) + b"]}"
        cell.untold = []
        request = cell.request
        cell.pause()
        self._send({"type": "waits", "id": request}, payload)

    # Time and ends

    def due(self) -> float | None:
        """When ``attend`` has something to do at the latest, in seconds of the monotonic clock."""
        cell = self.cell
        if self._saving is not None:
            return self._saving[1]
        if cell is None or cell.ended is not None:
            return None
        if cell.stops:
            return cell.stops[0][0]
        return None if cell.request is None else cell.since + cell.seconds_left

    def attend(self) -> None:
        """Do what is due by now, and see whether the interpreter still lives."""
        interpreter, cell = self._interpreter, self.cell
        if interpreter is None:
            return
        if interpreter.status is not None:
            self._gone(interpreter)
        elif interpreter.complaint is not None and not interpreter.killed:
            interpreter.kill(self._others())
            if cell is not None:
                cell.stops = [(time.monotonic() + REAP_SECONDS, "everything")]
        elif self._saving is not None and time.monotonic() >= self._saving[1]:
            number, self._saving = self._saving[0], None
            interpreter.kill(self._others())
            self._not_saved(number, f"that took longer than {SAVE_SECONDS:g} seconds")
        elif cell is not None and (due := self.due()) is not None and time.monotonic() >= due:
            self._stop(cell, interpreter)

    def _interrupt(self, cell: Cell) -> None:
        if cell.stops or cell.ended is not None:
            return
        now = time.monotonic()
        cell.stops = [(now, "interrupt"), (now + AGAIN_SECONDS, "interrupt"), (now + GRACE_SECONDS, "kill")]
        if self._interpreter is not None:
            self._stop(cell, self._interpreter)

    def _stop(self, cell: Cell, interpreter: InterpreterProcess) -> None:
        if not cell.stops:
            cell.timed_out = True
            cell.notes.append(
                f"detection_timeout: the cell ran longer than {cell.limit_seconds:g} seconds and was interrupted."
            )
            self._interrupt(cell)
            return
        _when, what = cell.stops.pop(0)
        if what == "interrupt":
            interpreter.interrupt()
            # What it started, too: it may wait for that without minding the signal.
            if processes.kill_since(cell.before, childless=interpreter.pid):
                cell.notes.append("Processes kept starting new ones, so every process of the container was ended.")
        elif what == "kill":
            cell.notes.append("The cell did not end when it was interrupted, so its interpreter was killed.")
            interpreter.kill(self._others())
            cell.stops.append((time.monotonic() + REAP_SECONDS, "everything"))
        else:
            processes.kill_all()
            cell.stops.append((time.monotonic() + REAP_SECONDS, "everything"))

    def _gone(self, interpreter: InterpreterProcess) -> None:
        """The interpreter has ended: with it the cell, if that had not."""
        interpreter.drain("reports", "stdout", "stderr")
        status = interpreter.status
        assert status is not None
        cell = self.cell
        if cell is not None and cell.ended is None:
            code = os.waitstatus_to_exitcode(status)
            if interpreter.complaint is not None:
                how = f"was killed, because what came from it was nothing that it may say: {interpreter.complaint}"
            elif code < 0:
                how = f"was ended by signal {-code}{_meaning(-code)}"
            else:
                how = f"exited with code {code}"
            cell.notes.append(f"The Python interpreter {how}. The variables of this and earlier cells are gone."[:1000])
            self._end(128 - code if code < 0 else code)
        interpreter.close()
        self._interpreter = None
        if self._saving is not None:
            number, self._saving = self._saving[0], None
            self._not_saved(number, "the interpreter ended meanwhile")

    def _end(self, code: int) -> None:
        """The cell has ended: what it wrote and made is taken now, and handed over as soon as somebody asks."""
        cell = self.cell
        assert cell is not None
        if self._interpreter is not None:
            self._interpreter.drain("stdout", "stderr")
        for stream, kept in self._kept.items():
            self._heads[stream] += kept.end()
        produced = self.outputs.collect()
        report: dict[str, object] = {
            "return_code": code if not cell.timed_out or code else 1,
            "timed_out": cell.timed_out,
            "duration_seconds": cell.seconds,
            "truncated": any(kept.dropped for kept in self._kept.values()),
            "notes": [*self.outputs.notes, *cell.notes][:20],
            **produced,
        }
        cell.ended = {name: bytes(head) for name, head in self._heads.items()}, report
        self._fresh_streams()
        if cell.request is not None:
            self._hand_over()

    def _hand_over(self) -> None:
        cell, self.cell = self.cell, None
        assert cell is not None and cell.ended is not None
        streams, report = cell.ended
        for name, data in streams.items():
            for offset in range(0, len(data), CHUNK):
                self._send({"type": "output", "id": cell.request, "stream": name}, data[offset : offset + CHUNK])
        self._send({"type": "finished", "id": cell.request}, dumps(report))

    def _fresh_streams(self) -> None:
        # What is written between two cells belongs to the next one.
        self._kept = {name: Kept(self._output_bytes) for name in ("stdout", "stderr")}
        self._heads = {name: bytearray() for name in self._kept}

    def _others(self) -> set[processes.Identity]:
        """The processes that do not end with the interpreter."""
        if self.cell is not None and self.cell.request is not None:
            return self.cell.before
        return self._strangers()

    def _strangers(self) -> set[processes.Identity]:
        """The processes that do not descend from the interpreter."""
        present = processes.present()
        return processes.identities(
            {pid: seen for pid, seen in present.items() if not _descends(pid, self._pid, present)}
        )

    @property
    def _pid(self) -> int:
        return -1 if self._interpreter is None else self._interpreter.pid

    @property
    def idle(self) -> int | None:
        """The interpreter's process id as long as it has run nothing of the user's."""
        return None if self._interpreter is None or self._used else self._interpreter.pid


def _descends(pid: int, ancestor: int, present: dict[int, processes.Seen]) -> bool:
    for _ in range(len(present)):
        if pid == ancestor:
            return True
        if pid not in present:
            return False
        pid = present[pid][1]
    return False


def _meaning(number: int) -> str:
    names: dict[int, str] = {
        signal.SIGSEGV: " (SIGSEGV: a crash in native code)",
        signal.SIGABRT: " (SIGABRT: native code gave up)",
        signal.SIGKILL: " (SIGKILL)",
        signal.SIGTERM: " (SIGTERM)",
        signal.SIGBUS: " (SIGBUS)",
        signal.SIGFPE: " (SIGFPE)",
    }
    return names.get(number, "")
