"""A restored server held beside what clients of the original one were told: through the SDK, by its bytes."""

from __future__ import annotations

import hashlib
import io
import time
import zipfile
from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import anthropic
from anthropic import Anthropic

from tests.backup.client import MODEL, TOOLS, Ledger, Log, Thing

_PATIENCE_SECONDS: Final = 120.0
_TOGETHER: Final = 10
"""Files that are looked at in one request."""


class Comparison:
    """What was found there, and what was wrong. ``began`` and ``ended`` bound the time of the backup."""

    def __init__(self, base_url: str, key: str, began: float, ended: float) -> None:
        self.found: Counter[str] = Counter()
        self.violations: list[str] = []
        self._sdk: Any = Anthropic(base_url=base_url, api_key=key, max_retries=0, timeout=120)
        self._bounds = (began, ended)

    def all_of(self, ledgers: Iterable[Ledger]) -> None:
        """Compare everything. A key that does not open anything is the first thing to be seen."""
        for ledger in ledgers:
            self._files(ledger.uploads, "uploads")
            self._files(ledger.produced, "produced files")
            self._containers(ledger.containers)
            self._batches(ledger.batches)
            self._skills(ledger.skills)

    def _wrong(self, what: str) -> None:
        self.violations.append(what)

    def _judged(self, kind: str, thing: Thing, there: bool) -> bool:
        """Whether to look into it."""
        due = thing.due(*self._bounds)
        if due is not None and due != there:
            self._wrong(f"{kind}: {thing.id} is {'missing' if due else 'there, though it was deleted before'}")
        self.found[kind] += there
        return there

    def _files(self, things: list[Thing], kind: str) -> None:
        there = []
        for thing in things:
            try:
                self._sdk.beta.files.retrieve_metadata(thing.id)
            except anthropic.NotFoundError:
                self._judged(kind, thing, False)
            else:
                self._judged(kind, thing, True)
                there.append(thing)
        for start in range(0, len(there), _TOGETHER):
            some = there[start : start + _TOGETHER]
            if kind == "uploads":  # which clients cannot download: code in a container can
                given = [{"type": "container_upload", "file_id": thing.id} for thing in some]
                said = self._run("sha256sum $INPUT_DIR/*", given)
            else:
                said = str([_digest(self._sdk.beta.files.download(thing.id).read()) for thing in some])
            for thing in some:
                if thing.content not in said:
                    self._wrong(f"{kind}: {thing.id} has other bytes: {said[:500]}")

    def _run(self, command: str, more: list[dict[str, Any]], **options: Any) -> str:
        content = [*more, {"type": "text", "text": f"```bash\n{command}\n```"}]
        message = self._sdk.messages.create(
            model=MODEL, max_tokens=4096, tools=TOOLS, messages=[{"role": "user", "content": content}], **options
        )
        blocks = [block for block in message.content if block.type == "bash_code_execution_tool_result"]
        return "".join(getattr(block.content, "stdout", repr(block.content)) for block in blocks)

    def _containers(self, things: list[Thing]) -> None:
        for thing in things:
            if not self._judged("containers", thing, self._lives(thing.id)):
                continue
            log: Log = thing.content
            least, most = log.bounds(*self._bounds)
            lines = self._run("cat ~/log", [], container=thing.id).split()
            if lines != [str(number + 1) for number in range(len(lines))]:
                self._wrong(f"containers: the log in {thing.id} has lines that nobody wrote: {lines[-3:]}")
            if not least <= len(lines) <= most:
                self._wrong(f"containers: the log in {thing.id} has {len(lines)} lines, not {least} to {most}")

    def _lives(self, container_id: str) -> bool:
        try:
            shown = self._sdk.get(f"/bathysphere/v1/containers/{container_id}", cast_to=object)
        except anthropic.NotFoundError:
            return False
        return bool(shown["state"] != "deleted")

    def _batches(self, things: list[Thing]) -> None:
        """Those that had not ended go on here."""
        for thing in things:
            try:
                batch = self._sdk.messages.batches.retrieve(thing.id)
            except anthropic.NotFoundError:
                self._judged("batches", thing, False)
                continue
            self._judged("batches", thing, True)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while batch.processing_status != "ended" and time.monotonic() < deadline:
                time.sleep(0.1)
                batch = self._sdk.messages.batches.retrieve(thing.id)
            results = [result.to_dict(mode="json") for result in self._sdk.messages.batches.results(thing.id)]
            said = [result["custom_id"] for result in results]
            if said != [f"{thing.content}-{number}" for number in range(3)]:
                self._wrong(f"batches: {thing.id} has results of {said}")
            # What ran at the moment of the backup is an error, as after a crash; the others have what they said.
            if any(f"result of {thing.content}" not in str(result) for result in results if _succeeded(result)):
                self._wrong(f"batches: {thing.id} has other results")
            self.found["results of batches"] += sum(map(_succeeded, results))

    def operators_skill(self, skill_id: str) -> None:
        """The one that lay in the data directory."""
        try:
            self._sdk.beta.skills.retrieve(skill_id)
            self.found["skills of the operator"] += 1
        except anthropic.NotFoundError:
            self._wrong(f"skills: {skill_id} of the operator is missing")

    def _skills(self, things: list[Thing]) -> None:
        for thing in things:
            try:
                skill = self._sdk.beta.skills.retrieve(thing.id)
                archive = self._sdk.beta.skills.versions.download(skill.latest_version_id, skill_id=thing.id).read()
            except anthropic.NotFoundError:
                self._judged("skills", thing, False)
                continue
            self._judged("skills", thing, True)
            with zipfile.ZipFile(io.BytesIO(archive)) as opened:
                (name,) = (name for name in opened.namelist() if name.endswith("SKILL.md"))
                if opened.read(name).decode() != thing.content:
                    self._wrong(f"skills: {thing.id} has another text")


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _succeeded(result: dict[str, Any]) -> bool:
    return bool(result["result"]["type"] == "succeeded")
