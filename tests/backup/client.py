"""A client of the official SDK at work, which keeps book of what it was told and when."""

from __future__ import annotations

import hashlib
import random
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import anthropic
from anthropic import Anthropic

MODEL: Final = "claude-opus-5"
TOOLS: Final = [{"type": "code_execution_20250825", "name": "code_execution"}]

_LARGEST: Final = 400_000
_MOST: Final = 40
"""Of a kind, so that a long drill does not become one of its size."""


@dataclass
class Thing:
    """Something a client was told to be there. Times are of ``time.monotonic``; those of an end are None until then."""

    id: str
    content: Any
    made: float
    doomed: float | None = None
    """When its deletion was asked for."""
    gone: float | None = None
    """When its deletion was acknowledged."""

    def due(self, began: float, ended: float) -> bool | None:
        """Whether it must be in a backup taken in that time; None: it may be."""
        if self.made < began and (self.doomed is None or self.doomed > ended):
            return True
        return False if self.gone is not None and self.gone < began else None


@dataclass
class Log:
    """The lines that code in a container has written: each one is its number."""

    acknowledged: list[tuple[int, float]] = field(default_factory=list)
    sent: list[tuple[int, float]] = field(default_factory=list)

    def bounds(self, began: float, ended: float) -> tuple[int, int]:
        """The least and the most lines in a backup taken in that time."""
        least = max((number for number, at in self.acknowledged if at < began), default=0)
        return least, max((number for number, at in self.sent if at < ended), default=0)


@dataclass
class Ledger:
    """What one client knows."""

    uploads: list[Thing] = field(default_factory=list)
    produced: list[Thing] = field(default_factory=list)
    containers: list[Thing] = field(default_factory=list)
    batches: list[Thing] = field(default_factory=list)
    skills: list[Thing] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


class _Failed(Exception):
    """The code could not be run."""


class Client:
    """Works until ``stop`` is set. ``forgiving``: the server is being killed, so calls may fail."""

    def __init__(self, number: int, base_url: str, key: str, seed: int, stop: threading.Event) -> None:
        self.ledger = Ledger()
        self.forgiving = threading.Event()
        self.calls = 0
        self.thread = threading.Thread(target=self._work, daemon=True)
        self._number = number
        self._sdk: Any = Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=120)
        self._random = random.Random(f"{seed}/{number}")
        self._stop = stop
        self._serial = 0

    def _work(self) -> None:
        plans: list[tuple[int, Callable[[], None]]] = [
            (6, self._upload), (8, self._converse), (2, self._batch), (1, self._skill), (3, self._delete),
        ]  # fmt: skip
        weights = [weight for weight, _plan in plans]
        while not self._stop.is_set():
            try:
                self._random.choices([plan for _weight, plan in plans], weights)[0]()
                self.calls += 1
            except (anthropic.APIError, _Failed) as error:
                if not self.forgiving.is_set():
                    self.ledger.violations.append(f"client {self._number} was refused: {error!r}")
                time.sleep(0.2)
            except Exception as error:
                self.ledger.violations.append(f"client {self._number}: {error!r}")
                return

    def _name(self) -> str:
        self._serial += 1
        return f"client-{self._number}-{self._serial}"

    def _upload(self) -> None:
        if len(self.ledger.uploads) >= _MOST:
            return self._converse()
        name = self._name()
        content = f"{name}\n".encode() * self._random.randrange(1, _LARGEST // 12)
        made = self._sdk.beta.files.upload(file=(f"{name}.txt", content, "text/plain"))
        self.ledger.uploads.append(Thing(made.id, hashlib.sha256(content).hexdigest(), time.monotonic()))
        return None

    def _converse(self) -> None:
        """Let code add a line to its container's log, and produce a file now and then."""
        alive = [container for container in self.ledger.containers if container.doomed is None]
        fresh = not alive or (len(alive) < 4 and self._random.random() < 0.3)
        container = Thing("", Log(), 0.0) if fresh else self._random.choice(alive)
        log: Log = container.content
        number = len(log.sent) + 1
        name = self._name()
        # What was not acknowledged may have been written all the same: the number is counted there.
        commands = "cd ~; echo $(($(tail -n 1 log || echo 0) + 1)) >> log 2> /dev/null; tail -n 1 log"
        produces = self._random.random() < 0.4 and len(self.ledger.produced) < _MOST
        if produces:
            commands += f"; seq {self._random.randrange(50_000)} | sed s/^/{name}./ > $OUTPUT_DIR/{name}.txt"
            commands += f"; sha256sum $OUTPUT_DIR/{name}.txt"
        log.sent.append((number, time.monotonic()))
        more = {} if fresh else {"container": container.id}
        message = self._sdk.messages.create(
            model=MODEL, max_tokens=4096, tools=TOOLS, **more,
            messages=[{"role": "user", "content": f"```bash\n{commands}\n```"}],
        )  # fmt: skip
        (result,) = (block.content for block in message.content if block.type == "bash_code_execution_tool_result")
        if result.type != "bash_code_execution_result":
            raise _Failed(result.error_code)
        now = time.monotonic()
        if fresh:
            container.id, container.made = message.container.id, now
            self.ledger.containers.append(container)
        lines = result.stdout.split("\n")
        log.acknowledged.append((int(lines[0]), now))
        log.sent.append((int(lines[0]), now))
        if produces:
            (digest,) = re.findall(r"[0-9a-f]{64}", result.stdout)
            self.ledger.produced += [
                Thing(output.file_id, digest, now)
                for output in result.content
                if self._sdk.beta.files.retrieve_metadata(output.file_id).filename == f"{name}.txt"
            ]

    def _batch(self) -> None:
        if len(self.ledger.batches) >= _MOST // 4:
            return self._converse()
        name = self._name()
        params = {
            "model": MODEL, "max_tokens": 1024, "tools": TOOLS,
            "messages": [{"role": "user", "content": f"```bash\necho result of {name}\n```"}],
        }  # fmt: skip
        made = self._sdk.messages.batches.create(
            requests=[{"custom_id": f"{name}-{number}", "params": params} for number in range(3)]
        )
        self.ledger.batches.append(Thing(made.id, name, time.monotonic()))
        return None

    def _skill(self) -> None:
        if len(self.ledger.skills) >= _MOST // 8:
            return self._converse()
        name = self._name()
        text = f"---\nname: {name}\ndescription: Made in a drill, to be found again.\n---\n{name}\n"
        made = self._sdk.beta.skills.create(files=[(f"{name}/SKILL.md", text.encode(), "text/markdown")])
        self.ledger.skills.append(Thing(made.id, text, time.monotonic()))
        return None

    def _delete(self) -> None:
        kinds: list[tuple[list[Thing], Callable[[str], object]]] = [
            (self.ledger.uploads, self._sdk.beta.files.delete),
            (self.ledger.produced, self._sdk.beta.files.delete),
            (self.ledger.containers, self._remove_container),
        ]
        things, remove = self._random.choice(kinds)
        there = [thing for thing in things if thing.doomed is None]
        if len(there) < 2:
            return
        thing = self._random.choice(there)
        thing.doomed = time.monotonic()
        remove(thing.id)
        thing.gone = time.monotonic()

    def _remove_container(self, container_id: str) -> object:
        return self._sdk.delete(f"/bathysphere/v1/containers/{container_id}", cast_to=object)
