"""What all containers could share without being shown it: the image's files, terminals, tables of the machine."""

from __future__ import annotations

from .conftest import ROOT, Container

WATCH = """
import ctypes, os, select
libc = ctypes.CDLL(None)
watch = libc.inotify_init1(0)
for place in (b"/usr/bin", b"/etc", b"/guest", b"/usr/lib/python3"): libc.inotify_add_watch(watch, place, 0xFFF)
os.mkfifo("/tmp/over")
over = os.open("/tmp/over", os.O_RDONLY)  # until the other side opens it
seen = b"".join(os.read(watch, 65536) for _ in range(bool(select.select([watch], [], [], 0)[0])))
with open("/tmp/part", "wb") as file: file.write(seen)
os.rename("/tmp/part", "/tmp/seen")
"""


async def watched(watcher: Container, busy: Container) -> str:
    """What a watcher of the image's folders hears of while a container starts programs and reads files."""
    await watcher.bash(f"cat > /tmp/watch.py <<'END'\n{WATCH}\nEND\nsetsid python3 /tmp/watch.py & disown\n"
                       "until [ -p /tmp/over ]; do sleep 0.01; done")  # fmt: skip
    await busy.bash("sqlite3 -version; cat /etc/passwd; ls /usr/lib/python3")
    await busy.view("/etc/passwd")
    await watcher.bash("python3 -c 'import os; os.close(os.open(\"/tmp/over\", os.O_WRONLY))'\n"
                       "until [ -e /tmp/seen ]; do sleep 0.01; done")  # fmt: skip
    return (await watcher.bash("tr -c '[:alnum:]' ' ' < /tmp/seen")).stdout


async def test_nobody_hears_which_files_of_the_image_others_use(container: Container, other: Container) -> None:
    assert "sqlite3" in await watched(container, container)
    if ROOT:
        await container.bash("rm /tmp/over /tmp/seen")
        assert "sqlite3" not in await watched(container, other)


async def test_locks_on_files_of_the_image_are_ones_own(container: Container, other: Container) -> None:
    await container.bash("exec 9</usr/bin/python3.11; flock -x 9; sleep 1000 & disown")
    assert (await container.bash("flock -n -x /usr/bin/python3.11 true || echo locked")).stdout == "locked\n"
    seen = await other.bash("flock -n -x /usr/bin/python3.11 echo free; flock -n -x /guest/init.py echo free")
    if ROOT:
        assert seen.stdout == "free\nfree\n"


async def test_terminals_are_few_and_ones_own(container: Container, other: Container) -> None:
    seen = await container.python(
        "import os, subprocess\n"
        "got = []\n"
        "try:\n"
        "    while len(got) < 300: got.append(os.openpty())\n"
        "except OSError as error: print(error.errno)\n"
        "print(len(got) <= 64)\n"
        "subprocess.Popen(['sleep', '1000'], pass_fds=[one for pair in got for one in pair])\n"
    )
    if ROOT:
        no_space = 28
        assert seen.stdout == f"{no_space}\nTrue\n"
    assert (await other.bash("script -qc 'tty' /dev/null")).stdout.strip() == "/dev/pts/0"


async def test_devices_can_neither_be_removed_nor_joined(container: Container) -> None:
    seen = await container.bash("rm /dev/fd; touch /dev/new; echo x > /dev/null; cat <(echo still)")
    assert seen.stdout == "still\n"
    assert seen.stderr.count("Read-only file system") == 2
    assert (await container.bash("echo x > /dev/shm/x && echo x > /run/x && echo fine")).stdout == "fine\n"


async def test_files_about_the_machine_are_closed(container: Container) -> None:
    for name in ("cmdline", "diskstats", "interrupts", "partitions", "sys/kernel/random/boot_id", "pressure/memory"):
        seen = await container.bash(f"cat /proc/{name}")
        assert (seen.stdout, seen.code) == ("", 1), name
    assert (await container.bash("uptime && free -m && ps ax && nproc")).code == 0


async def test_no_file_can_be_larger_than_the_disk(container: Container) -> None:
    seen = await container.bash("truncate -s 6G /tmp/large; truncate -s 4G /tmp/fits && echo fits; ulimit -f")
    assert "File size limit exceeded" in seen.stderr
    assert seen.stdout == f"fits\n{5 * 1024 * 1024}\n"
