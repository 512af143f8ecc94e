"""What a sandbox may use."""

from __future__ import annotations

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject


@check
async def memory(subject: Subject) -> None:
    """A program cannot have more memory than the container's limit. What it loses, at most, is the running sandbox,
    and then the failure says that memory ran out."""
    seen = await subject.python("data = bytearray(1 << 30)\nprint(len(data))")
    same(seen.stdout, "")
    if seen.failure:
        expect("memory" in seen.failure, seen.failure)
    elif subject.limited:
        same(seen.code, 137)
    else:
        expect("MemoryError" in seen.stderr, seen.stderr)
    same((await subject.run("echo next")).stdout, "next\n")


@check
async def memory_of_many(subject: Subject) -> None:
    """With groups of the kernel: several programs together cannot have more either."""
    if not subject.limited:
        return
    seen = await subject.python(
        "import os, time\n"
        "for _ in range(8):\n"
        "    if os.fork() == 0: data = bytearray(64 << 20); time.sleep(5); os._exit(0)\n"
        "ended = [os.wait()[1] for _ in range(8)]\n"
        "print('all' if not any(ended) else 'some')\n"
    )
    expect(seen.stdout != "all\n", seen)
    same((await subject.run("echo next")).stdout, "next\n")


@check
async def shared_memory(subject: Subject) -> None:
    """/dev/shm and /run count as memory, and have an end of their own."""
    for place in ("/dev/shm", "/run"):
        seen = await subject.run(f"head -c 400M /dev/zero > {place}/x; du -m {place}/x | cut -f1; rm {place}/x")
        expect(bool(seen.failure) or seen.code == 137 or int(seen.stdout.split()[0]) <= 256, seen)
    same((await subject.run("echo next")).stdout, "next\n")


@check
async def processes(subject: Subject) -> None:
    """No more processes than the limit, and afterwards the next command starts nevertheless."""
    seen = await subject.python(
        "import os\ncount = 0\n"
        "try:\n"
        "    while count < 10_000:\n"
        "        os.posix_spawn('/usr/bin/sleep', ['sleep', '600'], {})\n"
        "        count += 1\n"
        "except OSError as error: print(count, error.errno)\n"
    )
    expect(not seen.failure and bool(seen.stdout), seen)
    count, errno = map(int, seen.stdout.split())
    expect(40 <= count <= 64 and errno == 11, seen.stdout)
    seen = await subject.run("ls / > /dev/null && echo next")
    same((seen.stdout, seen.stderr), ("next\n", ""))


@check
async def a_fork_bomb(subject: Subject) -> None:
    """A fork bomb ends with the time limit at the latest; the container then works, if need be in a new sandbox."""
    await subject.run("bomb() { bomb | bomb & }; bomb; sleep 3", seconds=1)
    seen = await subject.run("ls / > /dev/null && echo next")
    if seen.failure:  # the bomb has ended the sandbox, a moment after its own time
        seen = await subject.run("ls / > /dev/null && echo next")
    same((seen.stdout, seen.stderr, seen.failure), ("next\n", "", ""))


@check
async def processor(subject: Subject) -> None:
    """With groups of the kernel: no more processor time than allowed, however many programs spin."""
    if not subject.limited:
        return
    before = await _used(subject)
    spin = "timeout 2 sh -c 'while :; do :; done'"
    seen = await subject.run(f"{spin} & {spin} & {spin} & wait")
    assert seen.report is not None
    used = await _used(subject) - before
    allowed = subject.configuration.limits.cpus * seen.report.duration_seconds
    # The quota is given out in portions of 0.1 seconds, so a little more can be had at both ends.
    expect(used <= allowed * 1.2 + 0.3, f"{used:.2f} s of processor time in {seen.report.duration_seconds:.2f} s")


async def _used(subject: Subject) -> float:
    async with subject.fleet.turn(subject.name) as (_sandbox, group):
        assert group is not None
        return group.usage().cpu_seconds or 0.0


@check
async def open_files(subject: Subject) -> None:
    """Open files of one program are limited, and no core is written."""
    same((await subject.run("ulimit -Hn; ulimit -Hc")).stdout.split(), ["4096", "0"])
    seen = await subject.python(
        "import os\nfiles = []\n"
        "try:\n"
        "    while len(files) < 10_000: files.append(os.open('/dev/null', 0))\n"
        "except OSError as error: print(error.errno, len(files) < 4096)\n"
    )
    same(seen.stdout, "24 True\n")


@check
async def a_neighbour_goes_on(subject: Subject) -> None:
    """While one container takes all that it can get, another one answers right."""
    glutton = subject.name
    await subject.run("for i in 1 2 3 4; do (while :; do :; done) > /dev/null 2>&1 & done", name=glutton)
    await subject.fresh()
    for number in range(5):
        same((await subject.run(f"echo {number}")).stdout, f"{number}\n")
