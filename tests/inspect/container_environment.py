"""A container of bathysphere as a sandbox environment of inspect-ai, through the host's interface."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Literal, overload

from inspect_ai.util import (
    ExecResult,
    OutputLimitExceededError,
    SandboxEnvironment,
    SandboxEnvironmentConfigType,
    SandboxEnvironmentLimits,
    SandboxUserUnsupportedError,
)

from bathysphere.containers.host import Command, Finished, Host, OutputChunk

_LONGEST_SECONDS = 3600

_JOB = """
import json, os, signal, sys
folder = os.environ["INPUT_DIR"]
with open(f"{folder}/NAME.json") as file:
    job = json.load(file)
os.remove(f"{folder}/NAME.json")
path = os.path.join("/home/user", job.get("path", ""))
def fail(error):
    print(json.dumps({"errno": error.errno, "message": os.strerror(error.errno)}), file=sys.stderr)
    sys.exit(99)
"""

_EXEC = (
    _JOB
    + """
if job["input"]:
    os.dup2(os.open(f"{folder}/NAME.data", os.O_RDONLY), 0)
    os.remove(f"{folder}/NAME.data")
os.chdir(os.path.join("/home/user", job["cwd"]))
signal.signal(signal.SIGPIPE, signal.SIG_DFL)
try:
    os.execvpe(job["cmd"][0], job["cmd"], {**os.environ, **job["env"]})
except OSError as error:
    print(f"{job['cmd'][0]}: {error.strerror}", file=sys.stderr)
    sys.exit(126 if isinstance(error, PermissionError) else 127)
"""
)

_WRITE = (
    _JOB
    + """
import shutil
try:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as target, open(f"{folder}/NAME.data", "rb") as source:
        shutil.copyfileobj(source, target)
except OSError as error:
    fail(error)
finally:
    os.remove(f"{folder}/NAME.data")
"""
)

_READ = (
    _JOB
    + """
import shutil
try:
    with open(path, "rb") as source:
        if os.fstat(source.fileno()).st_size > job["limit"]:
            sys.exit(98)
        with open(os.environ["OUTPUT_DIR"] + "/NAME", "wb") as target:
            shutil.copyfileobj(source, target)
except OSError as error:
    fail(error)
"""
)


class ContainerEnvironment(SandboxEnvironment):
    """One container. Programs of inspect-ai run in it as they would in any other sandbox."""

    def __init__(self, host: Host, container_id: str) -> None:
        super().__init__()
        self._host = host
        self._id = container_id

    async def _run(
        self, program: str, job: dict[str, Any], data: bytes | None = None, seconds: float = _LONGEST_SECONDS
    ) -> tuple[bytes, bytes, Finished]:
        name = f"job-{os.urandom(8).hex()}"
        await self._place(f"{name}.json", json.dumps(job).encode())
        if data is not None:
            await self._place(f"{name}.data", data)
        output = {"stdout": bytearray(), "stderr": bytearray()}
        command = Command("python", program.replace("NAME", name), seconds)
        async for item in self._host.execute(self._id, command):
            if isinstance(item, OutputChunk):
                output[item.stream] += item.data
            else:
                finished = item
        return bytes(output["stdout"]), bytes(output["stderr"]), finished

    async def _place(self, name: str, data: bytes) -> None:
        async def content() -> AsyncIterator[bytes]:
            yield data

        await self._host.place(self._id, name, len(data), content())

    async def exec(
        self,
        cmd: list[str],
        input: str | bytes | None = None,  # noqa: A002 - the name that inspect-ai gave it
        cwd: str | None = None,
        env: dict[str, str] | None = None,
        user: str | None = None,
        timeout: int | None = None,
        timeout_retry: bool = True,
        concurrency: bool = True,
    ) -> ExecResult[str]:
        """See SandboxEnvironment. A container has one user, who has no way to become another one."""
        if user not in (None, "user"):
            raise SandboxUserUnsupportedError(f"a container has one user, `user`, and not {user}")
        data = input.encode() if isinstance(input, str) else input
        job = {"cmd": cmd, "input": data is not None, "cwd": cwd or "", "env": env or {}}
        stdout, stderr, finished = await self._run(_EXEC, job, data, timeout or _LONGEST_SECONDS)
        if finished.timed_out:
            raise TimeoutError
        text = stderr.decode(errors="replace")
        if finished.return_code == 126 and "permission denied" in text.lower():
            raise PermissionError(errno.EACCES, text)
        code = finished.return_code
        return ExecResult(code == 0, code, stdout.decode(errors="replace"), text)

    async def write_file(self, file: str, contents: str | bytes) -> None:
        """See SandboxEnvironment."""
        data = contents.encode() if isinstance(contents, str) else contents
        _stdout, stderr, finished = await self._run(_WRITE, {"path": file}, data)
        if finished.return_code:
            raise _error(stderr, file)

    @overload
    async def read_file(self, file: str, text: Literal[True] = True) -> str: ...

    @overload
    async def read_file(self, file: str, text: Literal[False]) -> bytes: ...

    async def read_file(self, file: str, text: bool = True) -> str | bytes:
        """See SandboxEnvironment."""
        limit = SandboxEnvironmentLimits.MAX_READ_FILE_SIZE
        _stdout, stderr, finished = await self._run(_READ, {"path": file, "limit": limit})
        if finished.return_code == 98:
            raise OutputLimitExceededError(SandboxEnvironmentLimits.MAX_READ_FILE_SIZE_STR, None)
        if finished.return_code:
            raise _error(stderr, file)
        [output] = finished.files
        data = b"".join([chunk async for chunk in self._host.read_output(self._id, output.handle)])
        return data.decode() if text else data

    @classmethod
    async def sample_cleanup(
        cls,
        task_name: str,
        config: SandboxEnvironmentConfigType | None,
        environments: dict[str, SandboxEnvironment],
        interrupted: bool,
    ) -> None:
        """See SandboxEnvironment."""
        for environment in environments.values():
            container = environment.as_type(ContainerEnvironment)
            await container._host.delete(container._id)


def _error(stderr: bytes, file: str) -> Exception:
    said = json.loads(stderr.splitlines()[-1])
    return OSError(said["errno"], said["message"], file)


async def environment(host: Host) -> AsyncGenerator[ContainerEnvironment, None]:
    """A new container, deleted afterwards."""
    name = f"container_{os.urandom(8).hex()}"
    await host.create(name)
    yield ContainerEnvironment(host, name)
    await host.delete(name)
