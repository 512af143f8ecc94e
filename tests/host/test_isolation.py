"""What a program in a container cannot do, each tried from inside."""

from __future__ import annotations

import os
import socket
from pathlib import Path

from .conftest import ROOT, Container


async def test_is_an_ordinary_user_without_capabilities(container: Container) -> None:
    seen = await container.bash("id -u; id -un; hostname; grep -E 'Cap(Prm|Eff|Bnd|Amb)|NoNewPrivs' /proc/self/status")
    uid, name, hostname, *rest = seen.stdout.split("\n")
    assert (uid, name, hostname) == ("1000", "user", "container")
    assert [line.split()[1] for line in rest if line.startswith("Cap")] == ["0000000000000000"] * 4
    assert "NoNewPrivs:\t1" in rest


def is_of(command_line: Path, seconds: int) -> bool:
    try:
        return command_line.read_bytes() == f"sleep\0{seconds}\0".encode()
    except OSError:
        return False


async def test_has_a_user_id_of_its_own_on_the_host(container: Container, other: Container) -> None:
    owners = []
    for one in (container, other):
        seconds = 1_000_000 + int.from_bytes(os.urandom(3))
        await one.bash(f"sleep {seconds} > /dev/null 2>&1 & until grep -q sleep /proc/$!/cmdline; do :; done")
        (process,) = (path.parent for path in Path("/proc").glob("[0-9]*/cmdline") if is_of(path, seconds))
        owners.append(process.stat().st_uid)
    if ROOT:
        assert owners[0] != owners[1]
        assert all(uid >= 1_879_048_192 for uid in owners)
    else:
        assert set(owners) == {os.geteuid()}
        assert any("same user" in weakness for weakness in (await container.host.status()).weaknesses)


async def test_has_no_network(container: Container) -> None:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = listening.getsockname()[1]
        seen = await container.python(
            "import socket, os\n"
            "def attempt(address):\n"
            "    try: socket.create_connection(address, 3); print('connected')\n"
            "    except OSError as error: print(error.errno)\n"
            f"attempt(('127.0.0.1', {port}))\n"
            "attempt(('192.0.2.1', 80))\n"
            "try: print(socket.getaddrinfo('example.com', 80))\n"
            "except OSError as error: print('unresolved')\n"
            "print(sorted(name for _, name in socket.if_nameindex()))\n"
        )
    refused, unreachable = "111", "101"
    assert seen.stdout.split("\n") == [refused, unreachable, "unresolved", "['lo']", ""]


async def test_cannot_reach_abstract_sockets_of_the_host(container: Container) -> None:
    name = f"bathysphere-{os.urandom(6).hex()}"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(f"\0{name}")
        listening.listen()
        seen = await container.python(
            f"import socket\nsocket.socket(socket.AF_UNIX).connect('\\0{name}')",
        )
    assert "ConnectionRefusedError" in seen.stderr


async def test_sees_only_the_environment_of_the_image(container: Container) -> None:
    os.environ["BATHYSPHERE_SECRET_OF_THE_TEST"] = "secret"
    seen = await container.bash("env -0 | tr '\\0' '\\n'; tr '\\0' '\\n' < /proc/1/environ")
    assert "secret" not in seen.stdout
    names = {line.partition("=")[0] for line in seen.stdout.splitlines() if "=" in line}
    assert {"PATH", "HOME", "INPUT_DIR", "OUTPUT_DIR"} <= names
    assert not names & {"SSH_AUTH_SOCK", "PYTHONPATH", "VIRTUAL_ENV", "BATHYSPHERE_SECRET_OF_THE_TEST"}


async def test_cannot_look_into_process_1(container: Container) -> None:
    seen = await container.bash(
        "cat /proc/1/environ; cat /proc/1/mem; ls /proc/1/fd; cat /proc/1/maps; readlink /proc/1/root; echo end"
    )
    assert seen.stdout == "end\n"
    assert seen.stderr.count("Permission denied") >= 4


async def test_cannot_end_process_1(container: Container) -> None:
    for signal in ("KILL", "TERM", "INT", "STOP", "HUP", "CHLD", "SEGV"):
        await container.bash(f"kill -{signal} 1")
    assert (await container.bash("echo alive")).stdout == "alive\n"


async def test_sees_only_its_own_processes(container: Container) -> None:
    seen = await container.bash("ls /proc | grep -E '^[0-9]+$' | wc -l; tr '\\0' ' ' < /proc/1/cmdline")
    count, command_line = seen.stdout.split("\n")
    assert int(count) < 10
    assert command_line.endswith("/guest/start.py ")


async def test_inherits_no_descriptors(container: Container) -> None:
    expected = "0 /dev/null\n1 pipe\n2 pipe\n"
    # 255 is bash's own way to its script.
    script = (
        'for fd in {0..254}; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd | sed "s/^/$fd /; s/:.*//"; done'
    )
    assert (await container.bash(script)).stdout == expected
    seen = await container.python(
        "import os\nfor fd in sorted(os.listdir('/proc/self/fd'), key=int):\n"
        "    try: print(fd, os.readlink(f'/proc/self/fd/{fd}').partition(':')[0])\n"
        "    except OSError: pass\n"
    )
    assert seen.stdout == expected


async def test_cannot_write_outside_its_places(container: Container) -> None:
    places = [
        "/",
        "/usr",
        "/usr/bin",
        "/etc",
        "/opt",
        "/var",
        "/guest",
        "/skills",
        "/home",
        "/proc/sys/kernel",
        "/root",
    ]
    seen = await container.bash("; ".join(f"touch {place}/x && echo wrote {place}" for place in places))
    assert seen.stdout == ""
    seen = await container.bash("echo x > /guest/init.py; echo x > /proc/sys/kernel/core_pattern; echo x > /etc/passwd")
    assert seen.stderr.count("Read-only file system") + seen.stderr.count("Permission denied") == 3


async def test_cannot_become_somebody_else_or_mount(container: Container) -> None:
    seen = await container.python(
        "import ctypes, os\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "def tried(result): print(result, ctypes.get_errno())\n"
        "tried(libc.setuid(0))\n"
        "tried(libc.mount(b'none', b'/tmp', b'tmpfs', 0, None))\n"
        "tried(libc.umount2(b'/proc', 2))\n"
        "tried(libc.chroot(b'/tmp'))\n"
        "tried(libc.sethostname(b'x', 1))\n"
    )
    assert [line.split()[0] for line in seen.stdout.splitlines()] == ["-1"] * 5


async def test_cannot_make_namespaces_in_which_it_would_be_root(container: Container) -> None:
    seen = await container.bash("unshare --user --map-root-user id -u; unshare --mount true; unshare --net true")
    assert seen.stdout == ""
    assert seen.stderr.count("unshare failed") == 3


async def test_cannot_see_other_containers(container: Container, other: Container) -> None:
    for place in ("/home/user", "/tmp", "/files", "/dev/shm", "/run"):
        await container.bash(f"echo mine > {place}/mine.txt")
    seen = await other.bash("find / -name 'mine.txt' 2>/dev/null; cat /proc/*/environ 2>/dev/null | grep -c mine")
    assert seen.stdout.strip() == "0"
    assert (await container.bash("cat /tmp/mine.txt")).stdout == "mine\n"


async def test_has_no_devices_but_the_harmless(container: Container) -> None:
    seen = await container.bash("ls /dev")
    harmless = "console core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero"
    assert set(seen.stdout.split()) <= set(harmless.split())
    assert (await container.bash("ls -A /sys")).stdout == ""


async def test_can_signal_only_itself(container: Container, other: Container) -> None:
    await other.bash("setsid sleep 100 & disown")
    await container.bash("kill -9 -1")
    assert (await other.bash("pgrep -c sleep")).stdout == "1\n"
    assert (await container.bash("echo alive")).stdout == "alive\n"
