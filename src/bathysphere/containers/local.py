"""The host of this machine: a client of its daemon, which is started when none answers.

The daemon is a process of its own, so containers live on when the server ends or is upgraded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bathysphere.containers.connections import Connection, Connections
from bathysphere.containers.host import (
    Cell,
    CellEnded,
    CellState,
    CellWaits,
    Command,
    EditorCommand,
    EditorFailed,
    EditorOutcome,
    Finished,
    HostedContainer,
    HostError,
    HostStatus,
    HostUnavailable,
    LeftOutFile,
    OutputChunk,
    OutputFile,
    PathRefused,
    SkillFolder,
    ToolAnswer,
    ToolCall,
)
from bathysphere.containers.observed_calls import ObservedCall
from bathysphere.guest import frames
from bathysphere.host import contract
from bathysphere.host.configuration import Configuration
from bathysphere.host.connection import FrameError, read_frame, write_frame
from bathysphere.host.guarantees import Proof
from bathysphere.host.operations import LONGEST_PATH, OUTCOME, check_filename
from bathysphere.host.spawning import START_SECONDS, spawn
from bathysphere.settings import Settings
from bathysphere.telemetry import tracing


class LocalHost:
    """See ``bathysphere.containers.host.Host``. Make one per server and ``close`` it."""

    def __init__(
        self,
        data: Path,
        settings: Settings,
        image: Path,
        environment: Mapping[str, str] | None = None,
        spawn: Callable[[Configuration], None] = spawn,
    ) -> None:
        """``image`` is the root of the container image, ``environment`` what its commands find.

        ``spawn`` starts a daemon; it is called in a thread.
        """
        self._configuration = Configuration.of(data, settings, image, environment or {})
        self._spawn = spawn
        self._fingerprint = self._configuration.fingerprint()
        self._starting = asyncio.Lock()
        self._connections = Connections(self._configuration.folder)
        self._presence: Connection | None = None

    async def start(self) -> None:
        """Find or start the daemon. Any call does so by itself; this one lets a server fail early.

        Raises HostUnavailable, with what to do.
        """
        if self._present():
            return
        async with self._starting:
            if self._present():
                return
            deadline = time.monotonic() + START_SECONDS
            while not await self._attend():
                if time.monotonic() > deadline:
                    raise HostUnavailable(
                        f"The host daemon did not become ready within {START_SECONDS:g} seconds; see "
                        f"{self._configuration.folder / 'host.log'}."
                    )
                await asyncio.to_thread(self._spawn, self._configuration)

    def _present(self) -> bool:
        return self._presence is not None and not self._presence.reader.at_eof()

    def _forget(self) -> None:
        if self._presence is not None:
            self._presence.close()
            self._presence = None

    async def _attend(self) -> bool:
        """Be present at a running daemon. False when none runs, or one that had to be ended."""
        self._forget()
        try:
            connection = await self._connections.open()
        except OSError:
            return False
        hello = None
        with contextlib.suppress(OSError, FrameError):
            await write_frame(connection.writer, {"op": "presence"})
            hello = await read_frame(connection.reader)
        if hello is None:
            connection.close()
            return False
        if hello[0].get("fingerprint") == self._fingerprint:
            self._presence = connection
            return True
        connection.close()
        if hello[0].get("servers") != 1:
            raise HostUnavailable(
                f"Another server uses {self._configuration.data} with other settings, image or version. "
                "End it first, or use another data directory."
            )
        await self._shut_down()
        return False

    async def _shut_down(self) -> None:
        try:
            connection = await self._connections.open()
        except OSError:
            return
        with contextlib.suppress(OSError, FrameError):
            await write_frame(connection.writer, {"op": "shutdown"})
            await read_frame(connection.reader)
        # It closes this connection when it has ended, after its sandboxes.
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(START_SECONDS):
                await connection.reader.read(1)
        connection.close()

    @contextlib.asynccontextmanager
    async def _request(self, header: dict[str, Any], payload: bytes = b"") -> AsyncIterator[Connection]:
        await self.start()
        if request_id := tracing.request_id():
            header = {**header, "request": request_id}
        try:
            try:
                connection = await self._connections.take()
            except (ConnectionRefusedError, FileNotFoundError):
                # It ended a moment ago, and nothing of this request has been sent yet.
                self._forget()
                await self.start()
                connection = await self._connections.take()
        except OSError as error:
            raise HostUnavailable(f"The host daemon does not answer: {error.strerror}. Try again.") from error
        call = connection.call = ObservedCall(header["op"], header.get("container"))
        failure: BaseException | None = None
        try:
            with contextlib.suppress(OSError):
                # When the daemon has refused already, its reason is there to be read.
                await write_frame(connection.writer, header, payload)
            yield connection
        except BaseException as error:
            failure = error
            raise
        finally:
            connection.call = None
            self._connections.leave(connection)
            call.end(failure)

    async def _answers(self, connection: Connection) -> AsyncIterator[tuple[dict[str, Any], bytes]]:
        """The frames of an answer until ``done``. Raises what the daemon says."""
        while True:
            try:
                frame = await read_frame(connection.reader)
            except (FrameError, OSError) as error:
                raise HostUnavailable(
                    f"The host daemon ended in the middle of the call ({error}). Try again."
                ) from error
            if frame is None:
                raise HostUnavailable("The host daemon ended in the middle of the call. Try again.")
            header, payload = frame
            kind = header.get("type")
            if kind in ("done", "error") and connection.call is not None:
                connection.call.timing = header.get("timing", {})
            if kind == "done":
                connection.answered = True
                return
            if kind == "error":
                raise _error(header)
            if not isinstance(kind, str):
                raise HostUnavailable("The host daemon does not keep to the protocol. Try again.")
            yield header, payload

    async def _ask(self, header: dict[str, Any], payload: bytes = b"") -> bytes:
        """One request; the payload of its only answer, if it has one."""
        async with self._request(header, payload) as connection:
            return await self._last_answer(connection)

    async def create(self, container_id: str, engine: str | None = None) -> None:
        """See Host."""
        await self._ask({"op": "create", "container": container_id, "engine": engine or ""})

    async def delete(self, container_id: str) -> None:
        """See Host."""
        await self._ask({"op": "delete", "container": container_id})

    async def execute(self, container_id: str, command: Command) -> AsyncGenerator[OutputChunk | Finished, None]:
        """See Host."""
        header = {
            "op": "execute",
            "container": container_id,
            "language": command.language,
            "timeout_seconds": command.timeout_seconds,
        }
        async with self._request(header, command.source.encode(errors="replace")) as connection:
            async for answer, payload in self._answers(connection):
                if answer["type"] == "output":
                    yield OutputChunk(answer["stream"], payload)
                else:
                    finished = _finished(json.loads(payload))
                    _note(connection, finished)
                    yield finished

    async def run_cell(self, container_id: str, cell_id: str, cell: Cell) -> CellState:
        """See Host."""
        functions = [asdict(function) for function in cell.functions]
        payload = json.dumps({"source": cell.source, "functions": functions}).encode()
        header = {"op": "run_cell", "container": container_id, "cell": cell_id, "timeout_seconds": cell.timeout_seconds}
        return await self._cell(header, payload)

    async def answer_cell(self, container_id: str, cell_id: str, answers: Sequence[ToolAnswer]) -> CellState:
        """See Host."""
        payload = json.dumps([asdict(answer) for answer in answers]).encode()
        return await self._cell({"op": "answer_cell", "container": container_id, "cell": cell_id}, payload)

    async def _cell(self, header: dict[str, Any], payload: bytes) -> CellState:
        if len(payload) > frames.MAX_PAYLOAD:
            raise ValueError(
                f"They have {len(payload) >> 20} MiB as JSON, more than the {frames.MAX_PAYLOAD >> 20} MiB of one step."
            )
        output = {"stdout": b"", "stderr": b""}
        state: CellState | None = None
        async with self._request(header, payload) as connection:
            async for answer, data in self._answers(connection):
                if answer["type"] == "output":
                    output[answer["stream"]] += data
                elif answer["type"] == "waits":
                    state = CellWaits(tuple(ToolCall(**call) for call in json.loads(data)))
                else:
                    finished = _finished(json.loads(data))
                    _note(connection, finished)
                    state = CellEnded(output["stdout"], output["stderr"], finished)
        if state is None:
            raise HostUnavailable("The host daemon does not keep to the protocol. Try again.")
        return state

    async def read_output(self, container_id: str, handle: str) -> AsyncGenerator[bytes, None]:
        """See Host."""
        async with self._request({"op": "read_output", "container": container_id, "handle": handle}) as connection:
            async for _header, payload in self._answers(connection):
                yield payload

    async def edit(self, container_id: str, command: EditorCommand) -> EditorOutcome:
        """See Host."""
        try:
            payload = json.dumps(command.model_dump(exclude_none=True), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            return EditorFailed(
                error_code="invalid_tool_input",
                message="The edit holds half of a character (a lone surrogate), which no file can hold.",
            )
        if len(payload) > frames.MAX_PAYLOAD:
            return EditorFailed(
                error_code="invalid_tool_input",
                message=f"The texts of this edit have more than {frames.MAX_PAYLOAD >> 20} MiB. Make smaller edits.",
            )
        return OUTCOME.validate_json(await self._ask({"op": "edit", "container": container_id}, payload))

    async def place(self, container_id: str, filename: str, size_bytes: int, content: AsyncIterator[bytes]) -> None:
        """See Host."""
        check_filename(filename)
        header = {"op": "place", "container": container_id, "filename": filename, "size": size_bytes}
        await self._send(header, _measured(filename, size_bytes, content))

    async def read_path(self, container_id: str, path: str) -> AsyncGenerator[int | bytes, None]:
        """See Host."""
        _check_path(path)
        async with self._request({"op": "read_path", "container": container_id, "path": path}) as connection:
            async for header, payload in self._answers(connection):
                yield int(header["size"]) if header["type"] == "size" else payload

    async def write_path(self, container_id: str, path: str, content: AsyncIterator[bytes]) -> int:
        """See Host."""
        _check_path(path)
        answer = await self._send({"op": "write_path", "container": container_id, "path": path}, content, end=True)
        return int(json.loads(answer)["size"])

    async def _send(self, header: dict[str, Any], content: AsyncIterator[bytes], end: bool = False) -> bytes:
        """One request with content behind it, and the payload of its answer. With ``end`` a last frame closes it."""
        async with self._request(header) as connection:
            writer = connection.writer
            # It is read from the start: a refusal comes early, and what is still to be sent is of no use then.
            answer = asyncio.ensure_future(self._last_answer(connection))
            try:
                async for chunk in content:
                    view = memoryview(chunk)
                    for start in range(0, len(view), frames.CHUNK):
                        if not await _sent(writer, {}, bytes(view[start : start + frames.CHUNK]), answer):
                            break
                    if answer.done():
                        break
                if end:
                    await _sent(writer, {"end": True}, b"", answer)
                said = await answer
            finally:
                answer.cancel()
                with contextlib.suppress(asyncio.CancelledError, HostError, ValueError):
                    await answer
        return said

    async def _last_answer(self, connection: Connection) -> bytes:
        """The payload of the only answer, if it has one; when all is done, and what was written safe."""
        answer = b""
        async for _header, answer in self._answers(connection):  # noqa: B007
            pass
        return answer

    async def set_skills(self, container_id: str, skills: Sequence[SkillFolder]) -> bool:
        """See Host."""
        wanted = json.dumps([{"name": skill.name, "digest": skill.digest} for skill in skills]).encode()
        known = {skill.name: skill for skill in skills}
        changed = False
        async with self._request({"op": "set_skills", "container": container_id}, wanted) as connection:
            async for answer, payload in self._answers(connection):
                if answer["type"] == "missing":
                    # When it is refused, the next answer says why.
                    with contextlib.suppress(ConnectionError):
                        await _send_skill(connection.writer, known[answer["skill"]])
                else:
                    changed = bool(json.loads(payload)["changed"])
        return changed

    async def fork(self, container_id: str, new_id: str) -> None:
        """See Host."""
        await self._ask({"op": "fork", "container": container_id, "new_container": new_id})

    async def list(self) -> list[HostedContainer]:
        """See Host."""
        containers: list[HostedContainer] = []
        async with self._request({"op": "list"}) as connection:
            async for _header, payload in self._answers(connection):
                containers += [HostedContainer(**container) for container in json.loads(payload)]
        return containers

    async def status(self) -> HostStatus:
        """See Host."""
        fields = json.loads(await self._ask({"op": "status"}))
        proofs = tuple(Proof(**proof) for proof in fields["proofs"])
        return HostStatus(**{**fields, "weaknesses": tuple(fields["weaknesses"]), "proofs": proofs})

    async def close(self, stop_host: bool = False) -> None:
        """Let go of the daemon, which ends itself when no server comes back; with ``stop_host`` it ends now."""
        self._forget()
        self._connections.close()
        if stop_host:
            await self._shut_down()


async def _send_skill(writer: asyncio.StreamWriter, skill: SkillFolder) -> None:
    """A frame with the list of the files, then their bytes. Raises ConnectionError, ValueError and what is raised."""
    files = json.dumps([(file.path, file.size_bytes, file.executable) for file in skill.files]).encode()
    await write_frame(writer, {}, files)
    size = sum(file.size_bytes for file in skill.files)
    async with contextlib.aclosing(skill.content()) as content:
        async for chunk in _measured(f"The skill {skill.name}", size, content):
            view = memoryview(chunk)
            for start in range(0, len(view), frames.CHUNK):
                await write_frame(writer, {}, bytes(view[start : start + frames.CHUNK]))


async def _measured(filename: str, size_bytes: int, content: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The content, which must be as long as announced. Raises ValueError when it is not."""
    missing = size_bytes
    async for chunk in content:
        missing -= len(chunk)
        if missing < 0:
            raise ValueError(f"{filename} is longer than announced.")
        yield chunk
    if missing:
        raise ValueError(f"{filename} is shorter than announced.")


async def _sent(
    writer: asyncio.StreamWriter, header: dict[str, Any], payload: bytes, answer: asyncio.Future[Any]
) -> bool:
    """Whether a frame could be sent: not when there is an answer already, or nobody listens any more."""
    if answer.done():
        return False
    try:
        await write_frame(writer, header, payload)
    except ConnectionError:
        return False
    return True


def _check_path(path: str) -> None:
    """Raises PathRefused for what no path can be, before anybody is asked."""
    try:
        length = len(path.encode())
    except UnicodeEncodeError as error:
        raise PathRefused("The path holds half of a character (a lone surrogate), which no path can.") from error
    if length > LONGEST_PATH:
        raise PathRefused(f"The path is longer than {LONGEST_PATH} bytes, which no path may be.")


def _error(header: dict[str, Any]) -> Exception:
    kind = getattr(contract, str(header.get("error")), None)
    message = str(header.get("message"))
    if isinstance(kind, type) and issubclass(kind, HostError):
        return kind(message)
    return ValueError(message)


def _note(connection: Connection, finished: Finished) -> None:
    if connection.call is not None:
        connection.call.finished = finished


def _finished(report: dict[str, Any]) -> Finished:
    return Finished(
        **{
            **report,
            "files": tuple(OutputFile(*entry) for entry in report["files"]),
            "left_out": tuple(LeftOutFile(*entry) for entry in report["left_out"]),
            "notes": tuple(report["notes"]),
            "limits": tuple(report["limits"]),
        }
    )
