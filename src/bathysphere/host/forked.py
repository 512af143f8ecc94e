"""Doing what may block for long (mounting, copying) in a child of the daemon, which has one thread only.

The child shares the daemon's mount namespace, so what it mounts is there for all sandboxes, and it dies with
the daemon.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import signal
from collections.abc import Callable
from typing import Any

from bathysphere.host.processes import Process, readable
from bathysphere.host.syscalls import die_with_parent

_LARGEST_ANSWER = 65536


async def forked(action: Callable[[], object]) -> Any:
    """Call ``action`` in a child; what it returns, by way of JSON.

    Raises OSError with the same errno and text when it raises that, RuntimeError for anything else. It is carried
    out to its end even if the caller is cancelled meanwhile, and the caller goes on only then.
    """
    work = asyncio.ensure_future(_forked(action))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        raise


async def _forked(action: Callable[[], object]) -> Any:
    parent = os.getpid()
    read, write = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        _in_child(action, parent, write)
    os.close(write)
    said = b""
    process = Process(pid)
    try:
        while True:
            await readable(read)
            data = os.read(read, _LARGEST_ANSWER)
            if not data:
                break
            said += data
        await process.ended()
    finally:
        os.close(read)
        process.close()
    try:
        answer = json.loads(said)
    except ValueError:
        raise RuntimeError(f"the child ended with status {process.exit_code} before it had answered") from None
    if "errno" in answer:
        raise OSError(answer["errno"], answer["text"])
    if "error" in answer:
        raise RuntimeError(answer["error"])
    return answer["value"]


def part(parent: int, kept: int) -> None:
    """In a new child of ``parent``: keep nothing of the daemon's but one descriptor, and live no longer than it."""
    gc.disable()
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.SIG_DFL)
    die_with_parent(parent)
    # Clients, guests and who started the daemon must see their connections end when the daemon closes them.
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.closerange(3, kept)
    os.closerange(kept + 1, 1 << 30)


def _in_child(action: Callable[[], object], parent: int, write: int) -> None:
    """Never returns."""
    try:
        part(parent, write)
        try:
            answer: dict[str, object] = {"value": action()}
        except OSError as error:
            answer = {"errno": error.errno, "text": error.strerror or str(error)}
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        os.write(write, json.dumps(answer).encode()[:_LARGEST_ANSWER])
    finally:
        os._exit(0)
