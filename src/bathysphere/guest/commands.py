"""Running one command: started, watched, ended, with what it wrote kept within bounds."""

import fcntl
import os
import select
import time

from . import paths, processes
from .frames import CHUNK
from .lean import deque
from .outputs import Outputs
from .programs import CannotStart, program
from .spawning import STDIN, OomScore, end_everything, reap, spawn

READ = 64 * 1024
"""Bytes read from a pipe at once: as much as one holds by default."""

GATHER_SECONDS = 0.01
"""What a command writes within this time goes out together, so that no command makes a frame of every byte."""

FIRST_SECONDS = 0.001
"""How long what comes after a pause waits for more: most commands end by then, and nobody is woken up twice."""

REAP_SECONDS = 1.0
"""How long after being killed a command may take to end before everything else in the sandbox is killed too."""

BACKGROUND_PIPES = 64
"""Pipes of background processes that are still emptied after their command ended; the oldest are closed."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable


class Kept:
    """The beginning and the end of what a stream carried; the middle is counted and dropped."""

    def __init__(self, limit: int) -> None:
        """``limit`` bytes are kept, half of them from the beginning."""
        self._head_left = limit - limit // 2
        self._tail_limit = limit // 2
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self.dropped = 0

    def add(self, data: bytes) -> bytes:
        """Take what was read; returns the part that belongs to the beginning and can be sent on."""
        head = data[: self._head_left]
        self._head_left -= len(head)
        if len(head) == len(data):
            return head
        rest = data[len(head) :]
        self._tail.append(rest)
        self._tail_bytes += len(rest)
        while self._tail_bytes - len(self._tail[0]) >= self._tail_limit:
            gone = len(self._tail.popleft())
            self._tail_bytes -= gone
            self.dropped += gone
        return head

    def end(self) -> bytes:
        """What remains to be sent: how much was left out, if anything, and the end."""
        tail = b"".join(self._tail)
        surplus = max(0, len(tail) - self._tail_limit)
        # Cut between characters: a byte 10xxxxxx continues one.
        while surplus and surplus < len(tail) and tail[surplus] & 0xC0 == 0x80:
            surplus += 1
        self.dropped += surplus
        if not self.dropped:
            return tail
        return f"\n... [{self.dropped} bytes left out] ...\n".encode() + tail[surplus:]


class Stream:
    """One of the two pipes that a command writes to."""

    def __init__(self, name: str, descriptor: int, limit: int) -> None:
        self.name = name
        self.descriptor = descriptor
        self.kept = Kept(limit)
        self.gathered = bytearray()
        self.open = True


class Command:
    """A command that runs. ``send(stream, data)`` is called with its output as it comes."""

    def __init__(
        self,
        language: str,
        source: bytes,
        *,
        timeout: float,
        environment: dict[str, str],
        outputs: Outputs,
        output_bytes: int,
        max_processes: int,
        oom_score: OomScore,
        idle: int | None,
        send: "Callable[[str, bytes], None]",
    ) -> None:
        """Start it.

        ``timeout`` is in seconds, ``max_processes`` the container's limit, ``idle`` a process that has run nothing
        of the user's. Raises CannotStart.
        """
        self._send = send
        self._oom_score = oom_score
        self.status: int | None = None
        self.timed_out = False
        self._killed = False
        reap()
        before = processes.present()
        outputs.begin(alone=not before.keys() - {idle})
        self.notes = outputs.notes
        self._survivors = processes.identities(before)
        # A command that cannot start anything is of no use, so some room is kept for each. What has ended and was
        # not reaped counts for the limit as well.
        if sum(threads for _start, _parent, threads, _runs in before.values()) > max_processes * 3 // 4:
            self._end_leftovers()
        self._sent = 0.0
        self._gathered_since = 0.0
        self._started = time.monotonic()
        self.deadline = self._started + timeout
        environment = {**environment, "INPUT_DIR": paths.INPUT, "OUTPUT_DIR": outputs.directory}
        if not paths.enter_home():
            self.notes.append(f"{paths.HOME} could not be entered; the command ran in /.")
        pipes = [os.pipe2(os.O_CLOEXEC) for _ in range(2)]
        source_file = None
        try:
            argv, source_file = program(language, source)
            self.pid = self._spawn(argv, environment, [write for _read, write in pipes], source_file)
        except CannotStart:
            for read, _write in pipes:
                os.close(read)
            raise
        finally:
            for _read, write in pipes:
                os.close(write)
            if source_file is not None:
                os.close(source_file)
        self.streams = [
            Stream(name, read, output_bytes) for name, (read, _write) in zip(("stdout", "stderr"), pipes, strict=True)
        ]
        for stream in self.streams:
            os.set_blocking(stream.descriptor, False)

    def _spawn(self, argv: list[str], environment: dict[str, str], pipes: list[int], source: int | None) -> int:
        actions = [STDIN, (os.POSIX_SPAWN_DUP2, pipes[0], 1), (os.POSIX_SPAWN_DUP2, pipes[1], 2)]
        if source is not None:
            actions.append((os.POSIX_SPAWN_DUP2, source, 3))
        return spawn(argv, environment, actions, self._oom_score, self._end_leftovers)

    def _end_leftovers(self) -> None:
        end_everything()
        self._survivors = set()
        note = "Processes left running by earlier commands filled the process limit and were ended."
        if note not in self.notes:
            self.notes.append(note)

    def readable(self, stream: Stream) -> bool:
        """Take what a stream holds; False when it has ended."""
        try:
            data = os.read(stream.descriptor, READ)
        except BlockingIOError:
            return True
        if not data:
            stream.open = False
            return False
        if not any(one.gathered for one in self.streams):
            self._gathered_since = time.monotonic()
        stream.gathered += stream.kept.add(data)
        return True

    def due(self) -> float:
        """When ``attend`` has something to do at the latest, in seconds of the monotonic clock."""
        if any(stream.gathered for stream in self.streams):
            return min(self._send_at(), self.deadline)
        return self.deadline

    def _send_at(self) -> float:
        return max(self._sent + GATHER_SECONDS, self._gathered_since + FIRST_SECONDS)

    def attend(self) -> None:
        """Do what is due by now: send what was gathered, end what has no more time."""
        now = time.monotonic()
        if now >= self._send_at():
            self._send_gathered()
        if now >= self.deadline:
            self._expire()

    def _send_gathered(self) -> None:
        for stream in self.streams:
            for offset in range(0, len(stream.gathered), CHUNK):
                self._send(stream.name, bytes(stream.gathered[offset : offset + CHUNK]))
                self._sent = time.monotonic()
            stream.gathered.clear()

    def _expire(self) -> None:
        """End every process that this command started.

        If that was done before and has not ended the command, a process of an earlier one holds it fast (a tracer
        is the only one that is told of the end): then nothing is spared.
        """
        if not self._killed:
            self.kill(timed_out=True)
            return
        processes.kill_all()
        self._tell_of_others("they kept this one from ending")
        self.deadline = time.monotonic() + REAP_SECONDS

    def kill(self, timed_out: bool = False) -> None:
        """End every process that this command started."""
        if self._killed:
            return
        self._killed = True
        self.timed_out = timed_out
        if processes.kill_since(self._survivors):
            self._tell_of_others("they kept starting new ones")
        self.deadline = time.monotonic() + REAP_SECONDS

    def _tell_of_others(self, why: str) -> None:
        note = f"Background processes of earlier commands were ended too: {why}."
        if note not in self.notes:
            self.notes.append(note)

    def finish(self) -> tuple[int, float, bool]:
        """After the command itself ended: take what its pipes hold, send the ends.

        Returns the return code, the seconds it took, and whether output was left out.
        """
        assert self.status is not None
        for stream in self.streams:
            # A process in the background may write for ever: no more is taken than a pipe can have held.
            left = _capacity(stream.descriptor) if stream.open else 0
            while stream.open and left > 0 and _has_data(stream.descriptor):
                self.readable(stream)
                left -= READ
            stream.gathered += stream.kept.end()
        self._send_gathered()
        code = os.waitstatus_to_exitcode(self.status)
        return (
            128 - code if code < 0 else code,
            time.monotonic() - self._started,
            any(stream.kept.dropped for stream in self.streams),
        )


def _capacity(descriptor: int) -> int:
    return fcntl.fcntl(descriptor, 1032)  # F_GETPIPE_SZ


def _has_data(descriptor: int) -> bool:
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(0))
