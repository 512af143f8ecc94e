"""What is tried inside a sandbox to prove the guarantees. Runs there as a program, with ``FACTS`` set before.

Standard library only. It prints one line of JSON: name of a guarantee -> whether it holds, and what was seen.
"""

import ctypes
import errno
import fcntl
import json
import mmap
import os
import resource
import signal
import socket
import time
from collections.abc import Callable, Iterator
from typing import Any

FACTS: dict[str, Any] = globals().get("FACTS", {})

libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long


def call(number: int, *arguments: int) -> str:
    """The error of a system call, by its name; ``done`` without one."""
    result = libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    return errno.errorcode.get(ctypes.get_errno(), "unknown") if result == -1 else "done"


def fields(process: str) -> dict[str, str]:
    """The kernel's account of a process."""
    with open(f"/proc/{process}/status") as file:
        return {line.partition(":")[0]: line.partition(":")[2].strip() for line in file}


def ordinary_user() -> tuple[bool, str]:
    """No capabilities, no new privileges, no namespace in which it would be root."""
    own = fields("self")
    if FACTS["own_kernel"]:
        # It has no ambient sets, and no account of privileges to be gained: they would be its own.
        nothing = {int(own[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd")} == {0}
        return nothing and os.getresuid() == (1000,) * 3, f"user {os.getuid()} without capabilities"
    sets = {int(own[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    with open("/proc/self/uid_map") as file:
        inside, _outside, count = file.read().split()
    users = os.getresuid() + os.getresgid()
    held = sets == {0} and own["NoNewPrivs"] == "1" and set(users) == {int(inside)} and inside != "0" and count == "1"
    return held, f"user {inside} in a user namespace of its own, capabilities {sorted(sets)}, no new privileges"


def filtered() -> tuple[bool, str]:
    """Each with arguments that the kernel itself would answer otherwise."""
    wanted = {
        "AF_VSOCK": (call(41, 40, 1, 0), "EPERM"), "AF_ALG": (call(41, 38, 5, 0), "EPERM"),
        "bpf": (call(321, 0, 0, 0), "EPERM"), "io_uring_setup": (call(425, 0, 0), "ENOSYS"),
        "keyctl": (call(250, 0, 0, 0), "EPERM"), "ptrace": (call(101, 16, 0, 0, 0), "EPERM"),
        "a new user namespace": (call(272, 0x10000000), "EPERM"), "clone3": (call(435, 0, 0), "ENOSYS"),
        "perf_event_open": (call(298, 0, 0, 0, 0, 0), "EPERM"), "userfaultfd": (call(323, 1), "EPERM"),
        "the limits of process 1": (call(302, 1, 7, 8, 0), "EPERM"), "a call of the future": (call(1023), "ENOSYS"),
    }  # fmt: skip
    wrong = [f"{name}: {got}" for name, (got, right) in wanted.items() if got != right]
    with open("/proc/1/status") as file:
        if "Seccomp:\t2\n" not in file.read():
            wrong.append("process 1 is not filtered")
    return not wrong, ", ".join(wrong) or f"{len(wanted)} calls refused with the errors that the policy says"


def connects(family: int, address: Any) -> str | None:
    """The error when connecting; None when it worked."""
    with socket.socket(family) as one:
        one.settimeout(2)
        try:
            one.connect(address)
        except OSError as error:
            return type(error).__name__
    return None


def no_network() -> tuple[bool, str]:
    """Only a loopback of its own; neither the host's ports nor its abstract sockets."""
    names = sorted(name for _, name in socket.if_nameindex())
    tried = {
        "the host's loopback": connects(socket.AF_INET, ("127.0.0.1", FACTS["port"])),
        "an outer address": connects(socket.AF_INET, ("192.0.2.1", 80)),
        "an abstract socket of the host": connects(socket.AF_UNIX, "\0" + FACTS["abstract"]),
    }
    reached = [name for name, error in tried.items() if error is None]
    held = not reached and names == ["lo"]
    return held, f"interfaces {', '.join(names)}" + (f"; reached {', '.join(reached)}" if reached else "")


def own_processes() -> tuple[bool, str]:
    """Few processes, and nothing of the first one can be looked into."""
    count = sum(name.isdigit() for name in os.listdir("/proc"))
    opened = []
    for name in ("mem", "environ", "maps", "fd", "cwd"):
        path = f"/proc/1/{name}"
        try:
            os.listdir(path) if name in ("fd", "cwd") else open(path, "rb").close()
            opened.append(name)
        except OSError:
            continue
    return count < 10 and not opened, f"{count} processes" + (f"; of process 1: {', '.join(opened)}" if opened else "")


def nothing_of_the_host() -> tuple[bool, str]:
    """No path, variable or open file of the one who started the sandbox."""
    found = [path for path in FACTS["paths"] if os.path.lexists(path)]
    found += [name for name in os.environ if name in FACTS["variables"]]
    for number in range(3, 256):
        try:
            found.append(f"descriptor {number}: {os.readlink(f'/proc/self/fd/{number}')}")
        except OSError:
            continue
    found += [f"/sys/{name}" for name in os.listdir("/sys")]
    return not found, ", ".join(found)[:300] or "no path, variable, descriptor, nothing in /sys"


def read_only_image() -> tuple[bool, str]:
    """Nothing but its own places can be written."""
    written = []
    places = ("/", "/usr", "/usr/bin", "/etc", "/home", "/guest", "/dev", "/proc/sys/kernel")
    for place in places:
        try:
            os.close(os.open(f"{place}/attempt", os.O_CREAT | os.O_WRONLY))
            written.append(place)
        except OSError:
            continue
    return not written, f"written to {', '.join(written)}" if written else f"{len(places)} places refuse"


def no_core_dumps() -> tuple[bool, str]:
    """The limit at which the kernel starts no program for a dump, and that cannot be changed."""
    limits = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, limits[1]))
        return False, "the limit can be set to the one at which a program of the host is started"
    except (OSError, ValueError):
        return limits == (1, 1), f"limit of {limits[1]} byte, which cannot be changed"


def own_view() -> tuple[bool, str]:
    """A file of the image that the host has locked is not locked here."""
    with open(FACTS["locked"], "rb") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False, "a lock of another process on a file of the image is felt here"
    return True, "locks on files of the image are its own"


def own_terminals() -> tuple[bool, str]:
    """A maximum that is far below the machine's."""
    opened: list[int] = []
    try:
        for _ in range(FACTS["terminals"] + 1):
            opened += os.openpty()
    except OSError:
        return True, f"no more than {len(opened) // 2} pseudo-terminals"
    finally:
        for descriptor in opened:
            os.close(descriptor)
    return False, f"more than {FACTS['terminals']} pseudo-terminals"


def in_child(action: Callable[[], None]) -> int:
    """Wait status of a child that does something."""
    pid = os.fork()
    if pid == 0:
        try:
            action()
        except MemoryError:
            os._exit(7)
        except BaseException:
            os._exit(8)
        os._exit(0)
    return os.waitpid(pid, 0)[1]


def memory_limit() -> tuple[bool, str]:
    """More than the limit, really used, kills; without a control group at least the asking is refused."""

    if not FACTS["memory"]:
        return False, "is tried from outside"

    def overeat() -> None:
        # In one step of the kernel's: when what it ran from was read into this very group, a program that asks for
        # page after page reads itself back in between for a minute and more.
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | mmap.MAP_POPULATE
        try:
            place = mmap.mmap(-1, FACTS["memory"] + (16 << 20), flags=flags)
        except OSError as error:
            raise MemoryError from error
        for offset in range(0, len(place), 4096):
            place[offset] = 1

    status = in_child(overeat)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
        return True, f"a process that used more than {FACTS['memory'] >> 20} MiB was killed"
    if os.WIFEXITED(status) and os.WEXITSTATUS(status) == 7:
        return False, "limited per process only"
    return False, "more than the limit could be used"


def processor_limit() -> tuple[bool, str]:
    """Busy for a while, with less time than has passed."""
    started, used = time.monotonic(), time.process_time()
    while time.monotonic() < started + 0.25:
        pass
    used, passed = time.process_time() - used, time.monotonic() - started
    return used < 0.85 * passed, f"{used:.2f} s of processor time in {passed:.2f} s, with a limit of half a processor"


def process_limit() -> tuple[bool, str]:
    """Forks until it is refused."""
    children: list[int] = []
    try:
        while len(children) < FACTS["processes"] + 16:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return False, f"{len(children)} processes and more could be started"
    except OSError:
        return True, f"{len(children)} more processes, with a limit of {FACTS['processes']}"
    finally:
        for pid in children:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def disk_limit() -> tuple[bool, str]:
    """Room for more than the disk holds is refused, without being used."""
    if not FACTS["disk_limited"]:
        return False, "no limit but the host's own disk"
    names = [f"/home/user/attempt-{number}" for number in range(2)]
    try:
        for name in names:
            with open(name, "wb") as file:
                os.posix_fallocate(file.fileno(), 0, FACTS["disk"] * 3 // 5)
    except OSError as error:
        return error.errno == errno.ENOSPC, f"{errno.errorcode.get(error.errno or 0)} when more was asked for"
    finally:
        for name in names:
            if os.path.exists(name):
                os.unlink(name)
    return False, "more than the limit could be taken"


ATTEMPTS = {
    # First, because later ones may make a user namespace, in which gVisor keeps to no limit of processes.
    "process limit": process_limit,
    "ordinary user": ordinary_user,
    "system call filter": filtered,
    "no network": no_network,
    "own processes": own_processes,
    "nothing of the host": nothing_of_the_host,
    "read-only image": read_only_image,
    "no core dumps": no_core_dumps,
    "own view of the image": own_view,
    "own terminals": own_terminals,
    "processor limit": processor_limit,
    "disk limit": disk_limit,
    "memory limit": memory_limit,
}


def attempted() -> Iterator[tuple[str, tuple[bool, str]]]:
    """Every attempt; one that cannot even be made proves nothing, so its guarantee does not hold."""
    for name, attempt in ATTEMPTS.items():
        try:
            yield name, attempt()
        except Exception as error:
            yield name, (False, f"could not be tried: {error!r}")


if __name__ == "__main__":
    print(json.dumps(dict(attempted())))
