"""What a container may use, each limit tried from inside (the shared host has 256 MiB and 64 processes)."""

from __future__ import annotations

from .conftest import ROOT, Container


async def test_memory(container: Container) -> None:
    taken = await container.python("data = bytearray(1 << 30)\nprint(len(data))")
    assert taken.stdout == ""
    if ROOT:
        assert taken.code == 137
        assert taken.finished.notes == ("The memory limit of 256 MiB was reached and a process was killed.",)
    else:
        assert "MemoryError" in taken.stderr
    assert (await container.bash("echo next")).stdout == "next\n"


async def test_shared_memory_counts(container: Container) -> None:
    filled = await container.bash(
        "head -c 400M /dev/zero > /dev/shm/x; ls -s --block-size=M /dev/shm/x | cut -dM -f1; rm /dev/shm/x"
    )
    assert filled.code == 137 or int(filled.stdout.split()[0]) <= 256
    assert (await container.bash("echo next")).stdout == "next\n"


async def test_processes(container: Container) -> None:
    seen = await container.python(
        "import os, time\ncount = 0\n"
        "try:\n"
        "    while count < 10_000:\n"
        "        if os.fork() == 0: time.sleep(60); os._exit(0)\n"
        "        count += 1\n"
        "except OSError as error: print(count, error.errno)\n"
    )
    count, errno = map(int, seen.stdout.split())
    assert 50 <= count <= 64
    assert errno == 11
    if ROOT:
        assert "The limit of 64 processes was reached and no more could be started." in seen.finished.notes
    # The children still sleep and fill the limit; a command must start nevertheless.
    after = await container.bash("ls / > /dev/null && echo next")
    assert after.stdout == "next\n"
    assert after.finished.notes[0].startswith("Processes left running by earlier commands")


async def test_a_fork_bomb_leaves_a_container_that_works(container: Container) -> None:
    bombed = await container.bash("bomb() { bomb | bomb & }; bomb; sleep 3", seconds=1)
    assert bombed.finished.return_code in (0, 137, 254)
    assert (await container.bash("ls / > /dev/null && echo next")).stdout == "next\n"


async def test_processor_time(container: Container) -> None:
    if not ROOT:
        assert any("processor" in weakness for weakness in (await container.host.status()).weaknesses)
        return
    spin = "timeout 1 sh -c 'while :; do :; done'"
    used = (await container.bash(f"{spin} & {spin} & {spin} & wait")).finished.cpu_seconds
    assert used is not None
    assert used < 1.6  # one processor's worth of about a second, however many spin


async def test_open_files(container: Container) -> None:
    seen = await container.bash("ulimit -Hn; ulimit -Hc")
    assert seen.stdout.split() == ["4096", "0"]


async def test_output_of_a_gigabyte(container: Container) -> None:
    seen = await container.bash("echo first; head -c 1G /dev/zero | tr '\\0' x; echo last; echo fine >&2")
    assert seen.code == 0
    assert seen.finished.truncated
    assert seen.stderr == "fine\n"
    assert seen.stdout.startswith("first\nxxx")
    assert seen.stdout.endswith("xxxlast\n")
    left_out = 6 + (1 << 30) + 5 - 128 * 1024
    assert f"\n... [{left_out} bytes left out] ...\n" in seen.stdout
    assert len(seen.stdout) < 128 * 1024 + 100


async def test_output_within_the_limit_is_whole(container: Container) -> None:
    seen = await container.bash("head -c 131072 /dev/zero | tr '\\0' x")
    assert seen.stdout == "x" * 131072
    assert not seen.finished.truncated


async def test_what_a_call_used_is_told(container: Container) -> None:
    used = (await container.python("x = bytearray(50_000_000)\nfor _ in range(10**6): pass")).finished
    if ROOT:
        assert used.peak_memory_bytes is not None and 50_000_000 < used.peak_memory_bytes < 256 * 1024 * 1024
        assert used.cpu_seconds is not None and used.cpu_seconds > 0
        idle = (await container.bash(":")).finished
        assert idle.peak_memory_bytes is not None and idle.peak_memory_bytes < 50_000_000
    else:
        assert used.peak_memory_bytes is None and used.cpu_seconds is None
