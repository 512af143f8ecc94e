"""The time limit reaches every process, however it hides, and a command always comes to its end."""

from __future__ import annotations

from .conftest import Container

# A process whose first thread has ended looks like one that has ended as a whole.
HEADLESS = b"""
import ctypes, threading, time
threading.Thread(target=time.sleep, args=(1000,)).start()
print("first thread ends", flush=True)
ctypes.CDLL(None).syscall(60, 0)
"""

# Takes hold of every new process; the end of each is then told to this one and not to its parent.
TRACER = b"""
import ctypes, os, pathlib
libc = ctypes.CDLL(None)
seen = set(os.listdir("/proc"))
pathlib.Path("/tmp/ready").touch()
while True:
    for name in set(os.listdir("/proc")) - seen:
        if name.isdigit() and libc.ptrace(0x4206, int(name), 0, 0) == 0:  # PTRACE_SEIZE
            seen.add(name)
"""


async def threads(container: Container) -> str:
    """The command lines of all threads; those of a process whose first thread has ended are found as well."""
    return (await container.bash("cat /proc/[0-9]*/task/*/cmdline | tr '\\0' ' '")).stdout


async def test_a_process_whose_first_thread_has_ended(container: Container) -> None:
    await container.place("headless.py", HEADLESS)
    await container.bash("sleep 1000 > /dev/null 2>&1 &")
    seen = await container.bash("python3 $INPUT_DIR/headless.py & sleep 2000", seconds=1)
    assert "first thread ends\n" in seen.stdout
    assert seen.finished.timed_out
    left = await threads(container)
    assert "headless.py" not in left
    assert "sleep 1000" in left, "what an earlier command left running was none of this one's"


async def test_a_command_whose_first_thread_has_ended(container: Container) -> None:
    await container.place("headless.py", HEADLESS)
    await container.bash("sleep 1000 > /dev/null 2>&1 &")
    seen = await container.bash("exec python3 $INPUT_DIR/headless.py", seconds=1)
    assert seen.stdout == "first thread ends\n"
    assert seen.finished.timed_out
    assert seen.code == 137


async def test_a_command_that_an_earlier_process_holds_fast(container: Container) -> None:
    await container.place("tracer.py", TRACER)
    await container.bash("python3 $INPUT_DIR/tracer.py > /dev/null 2>&1 & until [ -e /tmp/ready ]; do sleep 0.01; done")
    seen = await container.bash("sleep 0.3; echo done", seconds=1)
    assert seen.finished.timed_out or seen.stdout == "done\n"
    if seen.finished.timed_out:
        assert "Background processes of earlier commands were ended too" in seen.finished.notes[0]
    assert (await container.bash("echo next")).stdout == "next\n"
