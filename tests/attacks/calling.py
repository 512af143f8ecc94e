"""What stands before every attack in Python, inside the container. The runner puts NUMBERS in front of it."""

import ctypes
import errno
import os
import signal
import socket  # noqa: F401  what attacks may use without importing it
import sys  # noqa: F401
import time  # noqa: F401
from collections.abc import Callable, Mapping
from typing import Any

NUMBERS: dict[str, int] = globals().get("NUMBERS", {})
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def kernel(name: str | int, *arguments: Any) -> str:
    """The error of a system call, by its name; "done" without one. Texts are handed over as pointers."""
    given = [
        ctypes.c_char_p(one.encode()) if isinstance(one, str) else ctypes.c_long(one) if isinstance(one, int) else one
        for one in arguments
    ]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(NUMBERS[name] if isinstance(name, str) else name), *given)
    return errno.errorcode.get(ctypes.get_errno(), "unknown") if result == -1 else "done"


def refusal(action: Callable[..., object], *arguments: Any, **named: Any) -> str:
    """The error of an action, by its name; "done" without one."""
    try:
        action(*arguments, **named)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, type(error).__name__)
    return "done"


def reading(path: str, size: int = 100) -> str:
    """The error of reading a file's beginning, by its name; "read" when it can be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        os.read(descriptor, size)
        os.close(descriptor)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unknown")
    return "read"


def writing(path: str, data: bytes = b"x") -> str:
    """The error of writing to a file, by its name; "written" when it can be written."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_NONBLOCK)
        os.write(descriptor, data)
        os.close(descriptor)
    except OSError as error:
        return errno.errorcode.get(error.errno or 0, "unknown")
    return "written"


def in_child(action: Callable[[], object]) -> str:
    """The number of the signal that ends a child which does something, or its exit code as ``exit n``."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except MemoryError:
            os._exit(7)
        except BaseException:
            os._exit(8)
        os._exit(0)
    status = os.waitpid(pid, 0)[1]
    return signal.Signals(os.WTERMSIG(status)).name if os.WIFSIGNALED(status) else f"exit {os.WEXITSTATUS(status)}"


def one(answers: Mapping[Any, str]) -> str:
    """The answer when all are the same, else all that differ, by what was tried."""
    kinds = set(answers.values())
    return kinds.pop() if len(kinds) == 1 else " ".join(f"{name}:{answer}" for name, answer in answers.items())
