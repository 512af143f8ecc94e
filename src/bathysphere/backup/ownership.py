"""Looking into the server's part of a data directory with the rights of its owner, in a process of its own.

As root no link in there must lead any further than the server may go; and what covers the walls for that process is
gone with it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from bathysphere.backup.failure import BackupError
from bathysphere.host.privileges import acting_as_owner_of


def as_owner_of(folder: Path, reachable: Iterable[Path], work: Callable[[], Any]) -> Any:
    """What ``work`` gives, which JSON can carry. ``reachable`` are further paths that it must reach.

    Raises BackupError with what ``work`` raised.
    """
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        answer: dict[str, Any]
        try:
            os.close(reading)
            # What is not imported yet may be needed by what an error says.
            code = [Path(sys.prefix), Path(sys.base_prefix), *(Path(entry) for entry in sys.path if entry)]
            with acting_as_owner_of(folder, [*reachable, *code]):
                answer = {"result": work()}
        except BaseException as error:  # nothing may return into the parent's code from here
            answer = {"error": f"{error or type(error).__name__}"}
        try:
            with os.fdopen(writing, "w") as channel:
                channel.write(json.dumps(answer))
        finally:
            os._exit(0)
    os.close(writing)
    try:
        with os.fdopen(reading) as channel:
            said = channel.read()
    finally:
        os.waitpid(pid, 0)
    if not said:
        raise BackupError("A process of the backup was killed.")
    answer = json.loads(said)
    if "error" in answer:
        raise BackupError(answer["error"])
    return answer["result"]
