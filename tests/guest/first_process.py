"""A guest that a test drives from outside, in the image's files, as the daemon does."""

from __future__ import annotations

import json
import subprocess
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bathysphere.guest import frames
from bathysphere.host.stage import set_plain

Function = dict[str, Any]


def function(name: str, *parameters: str, documentation: str = "") -> Function:
    """A tool as the wire has it."""
    return {"name": name, "parameters": list(parameters), "documentation": documentation}


@dataclass(frozen=True)
class Call:
    number: int
    tool: str
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Waits:
    calls: list[Call]

    @property
    def numbers(self) -> list[int]:
        return [call.number for call in self.calls]


@dataclass
class Ended:
    stdout: str
    stderr: str
    report: dict[str, Any]

    @property
    def code(self) -> int:
        return int(self.report["return_code"])

    @property
    def notes(self) -> str:
        return "\n".join(self.report["notes"])

    @property
    def files(self) -> dict[str, str]:
        return {name: handle for handle, name, _size in self.report["files"]}


class Refused(Exception):
    """The guest said ``failed``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class FirstProcess:
    """Process 1 of a sandbox of its own."""

    image: Path
    guest: Path
    disk: Path
    environment: dict[str, str]
    processes: int = 256
    output_bytes: int = 100_000
    _number: int = 0
    _process: subprocess.Popen[bytes] = field(init=False)

    def __post_init__(self) -> None:
        for name in ("home", "tmp", "files"):
            (self.disk / name).mkdir(parents=True, exist_ok=True)
        self.start()

    def start(self) -> None:
        binds = {"home": "/home/user", "tmp": "/tmp", "files": "/files"}
        self._process = subprocess.Popen(
            [
                *("bwrap", "--unshare-user", "--uid", "1000", "--gid", "1000", "--unshare-pid", "--unshare-net"),
                *("--as-pid-1", "--die-with-parent", "--cap-drop", "ALL"),
                *("--ro-bind", str(self.image), "/", "--proc", "/proc", "--dev", "/dev"),
                *(word for name, place in binds.items() for word in ("--bind", str(self.disk / name), place)),
                *("--ro-bind", str(self.guest), "/guest", "--chdir", "/", "--"),
                *("/usr/bin/python3", "-I", "-S", "-B", "/guest/start.py"),
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            bufsize=0,
            env={},
        )
        self.ask(
            "start",
            environment=self.environment,
            output_bytes=self.output_bytes,
            captured_files=20,
            captured_file_bytes=1_000_000,
            processes=self.processes,
            rlimits={},
            fresh=False,
        )

    def close(self) -> None:
        """End it, and with it everything that it started."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            pipe.close()

    def restart(self) -> None:
        """The same disk in another sandbox."""
        self.close()
        self.start()

    # Frames

    def send(self, op: str, payload: object = b"", **header: object) -> int:
        self._number += 1
        self._send_raw({"op": op, "id": self._number, **header}, payload)
        return self._number

    def _send_raw(self, header: dict[str, object], payload: object = b"") -> None:
        assert self._process.stdin is not None
        data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        view = memoryview(frames.encode(header, data))
        while view:
            view = view[self._process.stdin.write(view) :]

    def hear(self) -> tuple[dict[str, Any], bytes]:
        """The next frame. Raises Refused."""
        header_length, payload_length = frames.lengths(self._exactly(frames.LENGTHS.size))
        header = frames.parse_header(self._exactly(header_length))
        payload = self._exactly(payload_length)
        assert header["id"] == self._number, header
        if header["type"] == "failed":
            raise Refused(str(header["code"]), str(header["message"]))
        return header, payload

    def _exactly(self, size: int) -> bytes:
        assert self._process.stdout is not None
        data = b""
        while len(data) < size:
            piece = self._process.stdout.read(size - len(data))
            assert piece, "the guest has ended"
            data += piece
        return data

    def ask(self, op: str, payload: object = b"", **header: object) -> bytes:
        self.send(op, payload, **header)
        answer, data = self.hear()
        assert answer["type"] == "reply", answer
        return data

    def outcome(self) -> Waits | Ended:
        output = {"stdout": b"", "stderr": b""}
        while True:
            header, data = self.hear()
            if header["type"] == "output":
                assert data
                output[header["stream"]] += data
            elif header["type"] == "waits":
                assert not any(output.values()), "output comes at the end only"
                return Waits([Call(**call) for call in json.loads(data)["calls"]])
            else:
                assert header["type"] == "finished", header
                out, err = (output[name].decode(errors="replace") for name in ("stdout", "stderr"))
                return Ended(out, err, json.loads(data))

    # What it is asked to do

    def cell(self, source: str, *functions: Function, seconds: float = 60) -> Waits | Ended:
        self.send_cell(source, *functions, seconds=seconds)
        return self.outcome()

    def send_cell(self, source: str, *functions: Function, seconds: float = 60) -> None:
        self.send("cell", {"source": source, "functions": list(functions)}, timeout=seconds)

    def answer(self, answers: dict[int, str], exceptions: dict[int, str] | None = None) -> Waits | Ended:
        """Answer calls: number -> text. ``exceptions``: number -> the exception that the text is the message of."""
        raised = exceptions or {}
        self.send(
            "answer",
            {"answers": [{"number": n, "text": text, "exception": raised.get(n)} for n, text in answers.items()]},
        )
        return self.outcome()

    def cancel_after(self, seconds: float) -> None:
        """Cancel the request that was sent last, also if it has been answered by then."""
        cancel: dict[str, object] = {"op": "cancel", "id": self._number}
        threading.Timer(seconds, self._send_raw, [cancel]).start()

    def run(self, source: str, *functions: Function, seconds: float = 60) -> Ended:
        """A cell that ends without waiting."""
        ended = self.cell(source, *functions, seconds=seconds)
        assert isinstance(ended, Ended), ended
        return ended

    def work(self, source: str, tools: dict[str, Callable[..., str]], seconds: float = 60) -> Ended:
        """A cell whose calls are carried out here."""
        state = self.cell(source, *(function(name) for name in tools), seconds=seconds)
        while isinstance(state, Waits):
            state = self.answer({call.number: tools[call.tool](call.arguments) for call in state.calls})
        return state

    def bash(self, source: str, seconds: float = 60) -> Ended:
        self.send("execute", source.encode(), language="bash", timeout=seconds)
        ended = self.outcome()
        assert isinstance(ended, Ended)
        return ended

    def read(self, ended: Ended, name: str) -> bytes:
        return self.ask("read", handle=ended.files[name], offset=0, length=1_000_000)

    def write_home(self, name: str, text: str) -> None:
        (self.disk / "home" / name).write_text(text)


def guest_folder(image: Path, folder: Path) -> Path:
    """A compiled copy of the guest, as the daemon shows it to sandboxes."""
    return set_plain(image, folder, folder).guest


def numbers(state: Waits | Ended) -> Sequence[int]:
    assert isinstance(state, Waits), state
    return state.numbers
