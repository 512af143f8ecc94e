"""One running sandbox: the conversation with its guest.

The guest may have been taken over by what it runs. So every frame is bounded and checked, every answer has a
time limit, and whatever is not as agreed ends the sandbox.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from dataclasses import asdict
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bathysphere.guest import bounds, frames
from bathysphere.guest.arguments import DEEPEST
from bathysphere.host.connection import FrameError, closes_by_number, read_frame, write_frame
from bathysphere.host.contract import Cell, Command, ToolAnswer
from bathysphere.host.engines.base import RunningSandbox
from bathysphere.settings import SandboxLimits

START_SECONDS = 30.0
"""Within which a guest must say its first word."""

ANSWER_SECONDS = 60.0
"""Within which a guest must answer anything but a command."""

GRACE_SECONDS = 15.0
"""How long after a command's time limit a guest may take to end it."""


_STRING = re.compile(rb'"(?:[^"\\]|\\.)*"')
_BRACKETS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(set(range(256)) - set(b"[]{}"))


class GuestError(Exception):
    """The guest broke the agreement, was too slow or has ended. The sandbox must be killed."""


class GuestRefusal(Exception):
    """The guest could not do what was asked and says so in the agreed way."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


_Name = Annotated[str, Field(min_length=1, max_length=255)]
_Size = Annotated[int, Field(ge=0, le=1 << 62)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class Report(_Strict):
    """What a guest says when a command has ended. Wrong values would be the sandbox's own loss, wrong types not."""

    return_code: Annotated[int, Field(ge=0, le=255)]
    timed_out: bool
    duration_seconds: Annotated[float, Field(ge=0, allow_inf_nan=False)]
    truncated: bool
    notes: Annotated[list[Annotated[str, Field(max_length=1000)]], Field(max_length=20)]
    files: Annotated[
        list[tuple[Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")], _Name, _Size]], Field(max_length=10000)
    ]
    left_out: Annotated[
        list[tuple[_Name, _Size, Literal["too_large", "too_many", "unreadable_name", "unreadable"], bool]],
        Field(max_length=100),
    ]
    left_out_more: _Size


class GuestCall(_Strict):
    """A call of a tool that code in the sandbox made; ``number`` is the guest's own."""

    number: Annotated[int, Field(ge=0, le=1 << 31)]
    tool: Annotated[str, Field(min_length=1, max_length=200)]
    arguments: dict[str, Any]


class _Waits(_Strict):
    calls: Annotated[list[GuestCall], Field(max_length=bounds.OPEN_CALLS)]


class _Refusal(_Strict):
    type: Literal["failed"]
    id: int
    code: Literal["disk_full", "cell_gone", "output_gone", "path_not_found", "path_refused", "bad_request", "failed"]
    message: Annotated[str, Field(max_length=4000)]


class _Opened(_Strict):
    size: _Size


class Sandbox:
    """A started guest. One request at a time; the caller sees to that."""

    def __init__(
        self,
        running: RunningSandbox,
        reader: asyncio.StreamReader,
        listening: asyncio.ReadTransport,
        writer: asyncio.StreamWriter,
    ) -> None:
        self.running = running
        self._reader = reader
        self._listening = listening
        self._writer = writer
        self._number = 0
        self._sizes: dict[str, int] = {}
        """Handles of the last command's files -> bytes."""

    @property
    def alive(self) -> bool:
        """Whether the guest can still be spoken with at this moment."""
        return not self._reader.at_eof() and self.running.alive

    @classmethod
    async def connect(
        cls,
        running: RunningSandbox,
        environment: dict[str, str],
        limits: SandboxLimits,
        *,
        rlimits: dict[str, int],
        fresh: bool,
    ) -> Sandbox:
        """Take up the conversation; ``fresh`` is for the first time ever, when the home directory is still empty.

        Raises GuestError and GuestRefusal; the caller kills the sandbox then.
        """
        loop = asyncio.get_running_loop()
        reader = asyncio.StreamReader(limit=256 * 1024)
        own = not closes_by_number()
        listening, _protocol = await loop.connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(os.dup(running.stdout), "rb", 0, closefd=own)
        )
        try:
            transport, protocol = await loop.connect_write_pipe(
                asyncio.streams.FlowControlMixin, os.fdopen(os.dup(running.stdin), "wb", 0, closefd=own)
            )
        except BaseException:
            listening.close()
            raise
        writer = asyncio.StreamWriter(transport, protocol, None, loop)
        sandbox = cls(running, reader, listening, writer)
        try:
            await sandbox._ask(
                {
                    "op": "start",
                    "environment": environment,
                    "output_bytes": limits.output_bytes,
                    "captured_files": limits.captured_files,
                    "captured_file_bytes": limits.captured_file_bytes,
                    "processes": limits.processes,
                    "rlimits": rlimits,
                    "fresh": fresh,
                },
                seconds=START_SECONDS,
            )
        except BaseException:
            listening.close()
            writer.close()
            raise
        return sandbox

    async def _send(self, header: dict[str, Any], payload: bytes = b"") -> None:
        try:
            await write_frame(self._writer, header, payload)
        except OSError as error:
            raise GuestError("the sandbox has ended") from error

    async def _hear(self, max_payload: int) -> tuple[dict[str, Any], bytes]:
        try:
            frame = await read_frame(self._reader, max_payload)
        except FrameError as error:
            raise GuestError(f"the guest does not keep to the protocol: {error}") from error
        except OSError as error:
            raise GuestError("the sandbox has ended") from error
        if frame is None:
            raise GuestError("the sandbox has ended")
        if frame[0].get("id") != self._number:
            raise GuestError("the guest answers what was not asked")
        if frame[0].get("type") == "failed":
            try:
                refusal = _Refusal.model_validate(frame[0])
            except ValidationError as error:
                raise GuestError("the guest does not keep to the protocol") from error
            raise GuestRefusal(refusal.code, printable_text(refusal.message))
        return frame

    async def _ask(
        self, header: dict[str, Any], payload: bytes = b"", max_payload: int = 0, seconds: float = ANSWER_SECONDS
    ) -> bytes:
        """One request and its answer's payload. Raises GuestError and GuestRefusal."""
        self._number += 1
        try:
            async with asyncio.timeout(seconds):
                await self._send({**header, "id": self._number}, payload)
                answer, data = await self._hear(max_payload)
        except TimeoutError as error:
            raise GuestError(f"the guest did not answer within {seconds:g} seconds") from error
        if answer.get("type") != "reply":
            raise GuestError("the guest does not keep to the protocol")
        return data

    async def execute(
        self, command: Command, gone: asyncio.Event, output: Callable[[str, bytes], None], output_bytes: int
    ) -> Report:
        """Run a command to its end; ``output`` is called as it writes. Once ``gone`` is set it is killed.

        Raises GuestError and GuestRefusal.
        """
        header = {"op": "execute", "language": command.language, "timeout": command.timeout_seconds}
        source = command.source.encode(errors="replace")
        seconds = command.timeout_seconds + GRACE_SECONDS
        self._sizes = {}
        kind, data = await self._work(header, source, seconds, gone, output, output_bytes)
        if kind != "finished":
            raise GuestError("the guest does not keep to the protocol")
        return self._reported(data)

    async def run_cell(
        self, cell: Cell, gone: asyncio.Event, output: Callable[[str, bytes], None], output_bytes: int
    ) -> Report | list[GuestCall]:
        """Run a cell until it ends, or waits for answers to the calls it has made.

        ``output`` is called at its end only. Raises GuestError and GuestRefusal.
        """
        functions = [asdict(function) for function in cell.functions]
        asked = json_bytes({"source": cell.source, "functions": functions})
        seconds = cell.timeout_seconds + GRACE_SECONDS
        header = {"op": "cell", "timeout": cell.timeout_seconds}
        self._sizes = {}
        return self._reached(*await self._work(header, asked, seconds, gone, output, output_bytes))

    async def answer_cell(
        self,
        answers: Sequence[tuple[int, ToolAnswer]],
        seconds: float,
        output: Callable[[str, bytes], None],
        output_bytes: int,
    ) -> Report | list[GuestCall]:
        """Give the calls of these numbers their answers; then as ``run_cell``, within ``seconds`` of running."""
        given = [{"number": number, "text": answer.text, "exception": answer.exception} for number, answer in answers]
        asked = json_bytes({"answers": given})
        never = asyncio.Event()
        self._sizes = {}
        return self._reached(
            *await self._work({"op": "answer"}, asked, seconds + GRACE_SECONDS, never, output, output_bytes)
        )

    async def prepare_interpreter(self, modules: Sequence[str]) -> None:
        """Have the interpreter started in the background, with these imported. Raises GuestError and GuestRefusal."""
        await self._ask({"op": "prepare"}, json_bytes({"modules": modules}))

    async def save_interpreter(self) -> None:
        """Have the interpreter's variables written to the disk. Raises GuestError and GuestRefusal."""
        await self._ask({"op": "save"}, max_payload=frames.MAX_PAYLOAD)

    async def _work(
        self,
        header: dict[str, Any],
        payload: bytes,
        seconds: float,
        gone: asyncio.Event,
        output: Callable[[str, bytes], None],
        output_bytes: int,
    ) -> tuple[str, bytes]:
        """Ask for something that writes output, and give how it stopped: the last answer's type and payload."""
        self._number += 1
        # Both streams with the line about what was left out.
        room = 2 * (output_bytes + 200)
        cancel = asyncio.create_task(self._cancel_when(gone))
        try:
            async with asyncio.timeout(seconds):
                await self._send({**header, "id": self._number}, payload)
                while True:
                    answer, data = await self._hear(frames.MAX_PAYLOAD)
                    kind = answer.get("type")
                    if kind == "output" and answer.get("stream") in ("stdout", "stderr"):
                        # Without data it would cost nothing of the room, and could go on for ever.
                        room -= len(data)
                        if room < 0 or not data:
                            raise GuestError("the guest sends more output than agreed")
                        output(answer["stream"], data)
                    elif kind in ("finished", "waits"):
                        return kind, data
                    else:
                        raise GuestError("the guest does not keep to the protocol")
        except TimeoutError as error:
            raise GuestError("the guest did not end a command whose time was over") from error
        finally:
            cancel.cancel()

    def _reported(self, data: bytes) -> Report:
        try:
            report = Report.model_validate_json(data)
        except ValidationError as error:
            raise GuestError("the guest does not keep to the protocol") from error
        self._sizes = {handle: size for handle, _name, size in report.files}
        return report

    def _reached(self, kind: str, data: bytes) -> Report | list[GuestCall]:
        if kind == "finished":
            return self._reported(data)
        return guest_calls(data)

    async def _cancel_when(self, gone: asyncio.Event) -> None:
        await gone.wait()
        try:
            await self._send({"op": "cancel", "id": self._number})
        except GuestError:
            return  # whoever reads from the guest finds out

    async def read_output(self, handle: str) -> AsyncIterator[bytes]:
        """A held file in chunks, exactly as many bytes as were reported. Raises GuestError and GuestRefusal."""
        if handle not in self._sizes:
            raise GuestRefusal("output_gone", "This output is not held any more: a later command took its place.")
        size = self._sizes[handle]
        offset = 0
        while offset < size:
            length = min(frames.CHUNK, size - offset)
            request = {"op": "read", "handle": handle, "offset": offset, "length": length}
            data = await self._ask(request, max_payload=length)
            if not data:
                raise GuestError("the guest gives less of a file than it reported")
            offset += len(data)
            yield data

    async def edit(self, command: bytes) -> bytes:
        """An editor command as JSON; its outcome as JSON, not yet looked at. Raises GuestError and GuestRefusal."""
        return await self._ask({"op": "edit"}, command, max_payload=frames.MAX_PAYLOAD)

    async def place(self, filename: str, size: int, content: AsyncIterator[bytes]) -> None:
        """Write a file into the input directory. Raises GuestError, GuestRefusal and what ``content`` raises."""
        await self._ask({"op": "place", "filename": filename, "size": size})
        try:
            async for chunk in content:
                await self._ask({"op": "place_data"}, chunk)
            await self._ask({"op": "place_commit"})
        except (GuestError, GuestRefusal):
            raise
        except BaseException:
            await asyncio.shield(self._ask({"op": "place_abort"}))
            raise

    async def read_path(self, path: str, limit: int) -> AsyncGenerator[int | bytes, None]:
        """A regular file: its size, then exactly as many bytes in chunks. Raises GuestError and GuestRefusal.

        One of more than ``limit`` bytes is refused.
        """
        said = await self._ask({"op": "path_open", "path": path}, max_payload=1024)
        try:
            size = _Opened.model_validate_json(said).size
        except ValidationError as error:
            raise GuestError("the guest does not keep to the protocol") from error
        try:
            if size > limit:
                raise GuestRefusal("path_refused", f"The file has {size} bytes, more than the {limit} of a whole disk.")
            yield size
            offset = 0
            while offset < size:
                length = min(frames.CHUNK, size - offset)
                data = await self._ask({"op": "path_read", "offset": offset, "length": length}, max_payload=length)
                if not data:
                    raise GuestError("the guest gives less of a file than it reported")
                offset += len(data)
                yield data
        except GuestError:
            raise
        except BaseException:
            await asyncio.shield(self._ask({"op": "path_close"}))
            raise
        await self._ask({"op": "path_close"})

    async def write_path(self, path: str, content: AsyncIterator[bytes]) -> int:
        """Write a regular file; its size. Raises GuestError, GuestRefusal and what ``content`` raises."""
        await self._ask({"op": "path_create", "path": path})
        size = 0
        try:
            async for chunk in content:
                await self._ask({"op": "path_data"}, chunk)
                size += len(chunk)
            await self._ask({"op": "path_commit"})
        except (GuestError, GuestRefusal):
            raise
        except BaseException:
            await asyncio.shield(self._ask({"op": "path_close"}))
            raise
        return size

    async def kill(self) -> None:
        """End every process of the sandbox, wait for that, let go of it."""
        self._writer.close()
        await self.running.kill()
        self._listening.close()
        self.running.close()


def guest_calls(data: bytes) -> list[GuestCall]:
    """The calls that a guest tells of. Raises GuestError for what is not as agreed or not every JSON can carry."""
    try:
        if _deeper(data, DEEPEST + 3):
            raise GuestError("the guest's calls are nested too deeply")
        said = json.loads(data)
        # No number that is none, no half of a character. Said in this way it is one step: all others wait meanwhile.
        json.dumps(said, allow_nan=False, ensure_ascii=False).encode()
        return _Waits.model_validate(said).calls
    except (ValueError, RecursionError) as error:
        raise GuestError("the guest does not keep to the protocol") from error


def _deeper(data: bytes, levels: int) -> bool:
    """Whether lists and objects are nested in more levels than that."""
    left = _STRING.sub(b"", data).translate(_BRACKETS, _NO_BRACKETS)
    for _ in range(levels):
        if not left:
            return False
        left = left.replace(b"[]", b"")
    return bool(left)


def printable_text(text: str) -> str:
    """Text of a guest, which may be hostile, without what could steer a terminal."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)


def json_bytes(value: object) -> bytes:
    """A value as compact JSON."""
    return json.dumps(value, separators=(",", ":")).encode()
