"""A server under attack: the attacker's containers, a neighbour that must go on working, and what is seen of both."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import re
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from bathysphere.host.syscall_policy import Policy
from tests.attacks.attack import Attack, Expected, Group, Step, Subject
from tests.clients.asking import Answer, ask, get, post, send
from tests.server import Server, running_server

CONTAINERS = "/bathysphere/v1/containers"
MIB = 1024 * 1024
CANARY = "canary-5f1d8c"

LIMITS: dict[str, Any] = {
    "memory_bytes": 256 * MIB,
    "disk_bytes": 96 * MIB,
    "processes": 64,
    "open_files": 256,
    "command_seconds": 20,
    "output_bytes": 64 * 1024,
    "captured_files": 5,
    "captured_file_bytes": 4 * MIB,
    "captured_bytes": 10 * MIB,
}

_PRELUDE = (Path(__file__).parent / "calling.py").read_text()


@dataclass
class Verdict:
    """How an attack ended. ``failure`` is empty when it was denied as its data say."""

    group: str
    attack: str
    failure: str = ""
    neighbour_calls: int = 0


@dataclass
class _Outside:
    """What there is on the machine for an attacker to find: it must stay untouched and unseen."""

    listener: socket.socket
    abstract: socket.socket
    names: dict[str, str] = field(default_factory=dict)

    def reached(self) -> list[str]:
        """Who came in."""
        found = []
        for name, one in (("the machine's loopback", self.listener), ("its abstract socket", self.abstract)):
            try:
                one.accept()[0].close()
                found.append(name)
            except BlockingIOError:
                continue
        return found


class Neighbour:
    """A container of another workspace that works within its limits and must get the right answers."""

    _TASKS = (
        ("python", "import hashlib; print(hashlib.sha256(open('own.txt','rb').read() * 1000).hexdigest())",
         hashlib.sha256(b"mine alone\n" * 1000).hexdigest()),
        ("bash", "seq 1 20000 | sort -rn | tail -1; cat own.txt; ls | tr '\\n' ' '", "1\nmine alone\nown.txt"),
        ("python", "print(sum(bytearray(40 << 20)[::4096]), len(bytes(20 << 20)))", "0 20971520"),
        ("bash", "for i in $(seq 20); do sleep 0.01 & done; wait; echo waited", "waited"),
        ("bash", "head -c 30000000 /dev/zero > big && stat -c %s big; rm big; cat /proc/sys/net/ipv4/ip_forward",
         "30000000\n0"),
        ("python", "import os, pty, socket\n"
         "server = socket.create_server(('127.0.0.1', 0)); client = socket.create_connection(server.getsockname())\n"
         "server.accept()[0].sendall(b'heard'); print(client.recv(9).decode(), len(os.openpty()))", "heard 2"),
    )  # fmt: skip

    def __init__(self, field: Battlefield) -> None:
        self._field = field
        self.container = field.make(field.server.other_key)
        self._tasks = itertools.cycle(self._TASKS)
        self._lock = threading.Lock()
        self.run("bash", "echo mine alone > own.txt")

    def run(self, language: str, source: str) -> Seen:
        """A call of the neighbour's own."""
        with self._lock:
            return self._field.run(self.container, Step.model_validate({"run": source, "language": language}),
                                   self._field.server.other_key)  # fmt: skip

    def work(self) -> str:
        """One task; returns what was wrong with it."""
        with self._lock:
            language, source, right = next(self._tasks)
        seen = self.run(language, source)
        if seen.answers == "sandbox_failed" and self._field.subject == "gvisor":
            # Left alone, too: the release of 2022-12-19 ends by itself after some hundred processes (docs/security.md).
            seen = self.run(language, source)
        return "" if seen.stdout.strip() == right and seen.code == 0 else f"the neighbour was disturbed: {seen}"


@dataclass(frozen=True)
class Seen:
    """What a call came to."""

    answers: str = ""
    stdout: str = ""
    stderr: str = ""
    code: int | None = None
    timed_out: bool = False
    truncated: bool = False
    notes: str = ""
    files: tuple[str, ...] = ()
    content: str = ""

    def differs(self, expected: dict[str, Any]) -> str:
        """What is not as expected; empty when all is."""
        is_so: dict[str, Callable[[Any], bool]] = {
            "prints": lambda right: self.stdout.strip() == right.strip(),
            "prints_one_of": lambda right: self.stdout.strip() in right,
            "complains": lambda right: right in self.stderr,
            "returns": lambda right: self.code == right,
            "timed_out": lambda right: self.timed_out == right,
            "truncated": lambda right: self.truncated == right,
            "notes": lambda right: right in self.notes,
            "files": lambda right: tuple(sorted(self.files)) == right,
            "answers": lambda right: self.answers == right,
            "answers_one_of": lambda right: self.answers in right,
            "ends": lambda right: self.stdout.strip().rpartition("\n")[2] == right,
            "holds_not": lambda right: right not in self.content,
            "holds": lambda right: self.content == right,
        }
        assert set(is_so) == set(Expected.model_fields)
        # A request that failed when nobody expected it explains everything else.
        wanted = expected if "answers_one_of" in expected else {"answers": "", **expected}
        wrong = [f"{name} should be {right!r}" for name, right in wanted.items() if not is_so[name](right)]
        return "; ".join(wrong) and f"{'; '.join(wrong)}; seen: {self}"[:2000]


class Battlefield:
    """See the module."""

    def __init__(self, server: Server, subject: Subject, outside: _Outside) -> None:
        self.server = server
        self.subject = subject
        self._outside = outside
        self._numbers = Policy.load().numbers
        self._neighbour = Neighbour(self)

    def make(self, key: str | None = None) -> str:
        """A new container."""
        answer = post(self.server, CONTAINERS, b"", key)
        assert answer.status == 200, answer.body
        return str(answer.json()["id"])

    def delete(self, container: str) -> None:
        """The end of a container."""
        answer = send(self.server, "DELETE", f"{CONTAINERS}/{container}", [("x-api-key", self.server.key)])
        assert answer.status == 200, answer.body

    def attacks(self, group: Group, only: re.Pattern[str] | None = None) -> Iterator[Verdict]:
        """Try every attack of a group, one after the other."""
        shared = self.make()
        for attack in group.attack:
            if self.subject in attack.not_for or (only and not only.search(attack.name)):
                continue
            container = self.make() if attack.fresh else shared
            verdict = Verdict(group.group, attack.name)
            self._try(attack, container, verdict)
            if attack.fresh:
                self.delete(container)
            yield verdict
        self.delete(shared)

    def _try(self, attack: Attack, container: str, verdict: Verdict) -> None:
        over = threading.Event()
        troubles: list[str] = []

        def neighbour() -> None:
            while True:
                # What the attack leaves behind must not disturb it either.
                last = over.is_set()
                troubles.append(self._neighbour.work())
                if last:
                    return
                over.wait(0.05)

        with ThreadPoolExecutor(1) as pool:
            working = pool.submit(neighbour)
            try:
                verdict.failure = self._carry_out(attack, container)
            except Exception as error:
                verdict.failure = f"the attack could not be tried: {error!r}"
            finally:
                over.set()
            working.result()
        verdict.neighbour_calls = len(troubles)
        problems = [trouble for trouble in troubles if trouble]
        problems += [f"{name} was reached" for name in self._outside.reached()]
        verdict.failure = "; ".join([verdict.failure, *problems] if verdict.failure else problems)

    def _carry_out(self, attack: Attack, container: str) -> str:
        """What is not as the data say; empty when all is."""
        made = []
        acting = container
        try:
            for number, step in enumerate(attack.step, 1):
                acting = container if step.back else acting
                if step.fork:
                    answer = post(self.server, f"{CONTAINERS}/{acting}/fork", b"")
                    seen = Seen(_error(answer))
                    if not seen.answers:
                        acting = str(answer.json()["id"])
                        made.append(acting)
                elif step.by == "neighbour":
                    seen = self._neighbour.run(step.language, self._filled(step.run or ""))
                elif step.times > 1:
                    with ThreadPoolExecutor(step.times) as pool:
                        every = list(pool.map(self._step, [acting] * step.times, [step] * step.times))
                    seen = next((one for one in every if one.differs(step.expected(self.subject))), every[0])
                else:
                    seen = self._step(acting, step)
                if wrong := seen.differs(step.expected(self.subject)):
                    return f"step {number}: {wrong}"
            works = self.run(acting, Step(run="cd /tmp && echo still > works && cat works; rm works"))
            return "" if works.stdout == "still\n" else f"the container does not work any more: {works}"
        finally:
            for one in made:
                self.delete(one)

    def _step(self, container: str, step: Step) -> Seen:
        files = f"{CONTAINERS}/{container}/files?"
        if step.run is not None:
            return self.run(container, step)
        if step.ask is not None:
            return self._ask(container, step.ask)
        if step.upload is not None:
            body = step.content.encode() if step.size is None else bytes(step.size)
            target = files + urlencode({"path": step.upload})
            return Seen(_error(send(self.server, "PUT", target, [("x-api-key", self.server.key)], body)))
        assert step.download is not None
        answer = get(self.server, files + urlencode({"path": step.download}))
        error = _error(answer)
        return Seen(error, content="" if error else answer.body.decode(errors="replace"))

    def run(self, container: str, step: Step, key: str | None = None) -> Seen:
        """A program, through the Containers API."""
        body: dict[str, Any] = {"source": self._source(step), "language": step.language}
        if step.seconds is not None:
            body["timeout_seconds"] = step.seconds
        if step.live:
            body["stream"] = True
        answer = post(self.server, f"{CONTAINERS}/{container}/run", body, key)
        if error := _error(answer):
            return Seen(error, stderr=answer.body.decode(errors="replace"))
        result = _folded(answer.body) if step.live else answer.json()
        names = tuple(file["filename"] for file in result["files"])
        content = ""
        if len(names) == 1:
            found = get(self.server, f"/v1/files/{result['files'][0]['id']}/content", key)
            content = found.body.decode(errors="replace")
        return Seen("", result["stdout"], result["stderr"], result["return_code"], result["timed_out"],
                    result["truncated"], " ".join(result["notes"]), names, content)  # fmt: skip

    def _ask(self, container: str, program: str) -> Seen:
        """A program in a fenced block, through POST /v1/messages and the demo model."""
        message = ask(self.server, f"```bash\n{self._filled(program)}\n```", container=container)
        results = [block for block in message["content"] if block["type"] == "bash_code_execution_tool_result"]
        content = results[0]["content"]
        if content["type"] == "bash_code_execution_tool_result_error":
            return Seen(content["error_code"])
        names = tuple(str(file.get("file_id")) for file in content["content"])
        return Seen("", content["stdout"], content["stderr"], content["return_code"], files=names)

    def _source(self, step: Step) -> str:
        text = self._filled(step.run or "") + ("\n#" + "x" * 500_000 if step.large else "")
        if step.language == "bash" or step.plain:
            return text
        used = {name: self._numbers[name] for name in re.findall(r"[a-z0-9_]+", text) if name in self._numbers}
        return f"NUMBERS = {used}\n{_PRELUDE}\n{text}"

    def _filled(self, text: str) -> str:
        return re.sub(r"@([a-z_]+)@", lambda found: self._outside.names[found[1]], text)


def _folded(stream: bytes) -> dict[str, Any]:
    """The result that a stream of events tells; a second end would be a forged one."""
    events = [json.loads(line[6:]) for line in stream.decode().split("\n") if line.startswith("data: ")]
    (end,) = [event for event in events if event["type"] == "run_end"]
    text = {"stdout": "", "stderr": ""}
    for event in events:
        if event["type"] == "run_output":
            text[event["stream"]] += event["text"]
    return {**end, **text}


def _error(answer: Answer) -> str:
    """A refused request's ``error_code``, or else its status; empty when it was carried out."""
    if answer.status < 400:
        return ""
    try:
        return str((answer.json()["error"].get("details") or {}).get("error_code") or answer.status)
    except (json.JSONDecodeError, KeyError):
        return str(answer.status)


@contextmanager
def battlefield(folder: Path, subject: Subject) -> Iterator[Battlefield]:
    """A server of its own in ``folder``, on the subject's engine, with a neighbour at work."""
    tables: dict[str, dict[str, Any]] = {"sandbox": LIMITS, "host": {"idle_seconds": 3600}}
    if subject == "gvisor":
        tables["host"]["engine"] = "gvisor"
    abstract = f"bathysphere-{CANARY}-{os.getpid()}"
    with (
        socket.create_server(("127.0.0.1", 0)) as listener,
        socket.socket(socket.AF_UNIX) as waiting,
        running_server(folder, tables=tables, environment={"CANARY": CANARY}) as server,
    ):
        waiting.bind("\0" + abstract)
        waiting.listen()
        listener.setblocking(False)
        waiting.setblocking(False)
        outside = _Outside(listener, waiting)
        outside.names = {
            "canary": CANARY,
            "port": str(listener.getsockname()[1]),
            "server_port": str(server.port),
            "server_pid": str(server.pid),
            "daemon_pid": str(server.daemon_pid()),
            "abstract": abstract,
            "data": str(server.data),
            "source": str(Path(__file__).parents[2]),
            "key": server.key,
        }
        yield Battlefield(server, subject, outside)
