"""What a program in a sandbox cannot do or see."""

from __future__ import annotations

import os
import socket

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject


@check
async def an_ordinary_user(subject: Subject) -> None:
    """Programs are ``user`` 1000 with no capability, on a machine called ``container``, and cannot become anybody
    else."""
    seen = await subject.run("id -u; id -g; id -un; hostname; grep -E 'Cap(Prm|Eff|Bnd)' /proc/self/status")
    uid, gid, name, hostname, *rest = seen.stdout.split("\n")
    same((uid, gid, name, hostname), ("1000", "1000", "user", "container"))
    same([line.split()[1] for line in rest if line.startswith("Cap")], ["0000000000000000"] * 3)
    seen = await subject.python(
        "import ctypes\n"
        "libc = ctypes.CDLL(None, use_errno=True)\n"
        "for result in (libc.setuid(0), libc.mount(b'none', b'/tmp', b'tmpfs', 0, None), libc.umount2(b'/proc', 2),\n"
        "               libc.chroot(b'/tmp'), libc.sethostname(b'x', 1)): print(result)\n"
    )
    same(seen.stdout.split(), ["-1"] * 5)


@check
async def a_user_of_its_own_on_the_host(subject: Subject) -> None:
    """As root: no two containers share a user id on the host, and none is root there, whatever of the engine runs."""
    users: list[set[int]] = []
    for _ in range(2):
        before = set(subject.processes())
        await subject.fresh()
        await subject.run("sleep 100 > /dev/null 2>&1 &")
        users.append(subject.users(set(subject.processes()) - before))
    if subject.root:
        expect(min(users[0] | users[1]) >= 65536 and not users[0] & users[1], users)
    else:
        same(users, [{os.geteuid()}] * 2)


@check
async def no_network(subject: Subject) -> None:
    """Nothing can be reached: no address, no name, no port of the host, no abstract socket of the host."""
    name = f"bathysphere-{os.urandom(6).hex()}"
    with socket.socket() as listening, socket.socket(socket.AF_UNIX) as abstract:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        abstract.bind(f"\0{name}")
        abstract.listen()
        port = listening.getsockname()[1]
        seen = await subject.python(
            "import socket\n"
            "def attempt(family, address):\n"
            "    s = socket.socket(family); s.settimeout(3)\n"
            "    try: s.connect(address); print('connected')\n"
            "    except OSError: print('refused')\n"
            f"attempt(socket.AF_INET, ('127.0.0.1', {port}))\n"
            "attempt(socket.AF_INET, ('192.0.2.1', 80))\n"
            f"attempt(socket.AF_UNIX, '\\0{name}')\n"
            "try: print(socket.getaddrinfo('example.com', 80))\n"
            "except OSError: print('unresolved')\n"
        )
    same(seen.stdout.split(), ["refused", "refused", "refused", "unresolved"])


@check
async def a_read_only_image(subject: Subject) -> None:
    """Only /home/user, /tmp, /files, /dev/shm and /run can be written."""
    for place in ("/home/user", "/tmp", "/files", "/files/input", "/dev/shm", "/run"):
        same((await subject.run(f"echo x > {place}/x && cat {place}/x && rm {place}/x")).stdout, "x\n")
    closed = "/ /usr /usr/bin /etc /opt /var /var/tmp /guest /skills /home /proc /proc/sys/kernel /root /sys /image"
    seen = await subject.run(
        f"for p in {closed}; do touch $p/x && echo wrote $p; done; echo x >> /etc/passwd; echo x > /guest/init.py"
    )
    same(seen.stdout, "")


@check
async def no_trace_of_the_host(subject: Subject) -> None:
    """The host's files, environment and descriptors are not to be seen, and its secrets not in /proc/1."""
    os.environ["BATHYSPHERE_SECRET_OF_THE_CHECK"] = "secret-of-the-host"
    seen = await subject.run(
        "cat /proc/*/environ 2>/dev/null | tr '\\0' '\\n' | grep -c secret-of-the-host; "
        f"test -e {subject.configuration.data} && echo data; ls -A /root /sys /skills 2>/dev/null | grep -v : | grep -vE '^$|^[.]'"
    )
    same(seen.stdout.split()[:1], ["0"])
    expect("data" not in seen.stdout, seen.stdout)
    script = (
        'for fd in {0..254}; do [ -e /proc/$$/fd/$fd ] && readlink /proc/$$/fd/$fd | sed "s/^/$fd /; s/:.*//"; done'
    )
    lines = (await subject.run(script)).stdout.splitlines()
    same([line.split()[0] for line in lines], ["0", "1", "2"])


@check
async def proc_of_process_1(subject: Subject) -> None:
    """What /proc tells of process 1 is closed to programs: its descriptors can neither be listed nor opened."""
    seen = await subject.run(
        "cat /proc/1/maps /proc/1/environ; ls /proc/1/fd/; readlink /proc/1/fd/0; true < /proc/1/fd/0 && echo opened; echo end"
    )
    same(seen.stdout, "end\n")


@check
async def forged_frames(subject: Subject) -> None:
    """Whatever programs write where process 1 listens and speaks costs their own sandbox at most: the host goes on,
    and the container answers the next call with its files as they were."""
    await subject.run("echo kept > kept.txt")
    seen = await subject.python(
        "import os, struct\n"
        'text = b\'{"type": "finished", "id": 2}\'\n'
        "for fd in range(64):\n"
        "    try:\n"
        "        wire = os.open(f'/proc/1/fd/{fd}', os.O_WRONLY | os.O_NONBLOCK)\n"
        "        os.write(wire, struct.pack('!II', len(text), 0) + text + os.urandom(4096))\n"
        "    except OSError: pass\n",
        seconds=10,
    )
    same(seen.stdout, "")
    same((await subject.run("cat kept.txt")).stdout, "kept\n")


@check
async def memory_of_process_1(subject: Subject) -> None:
    """The memory of process 1 is closed to programs, and it cannot be traced."""
    same((await subject.run("head -c 1 /proc/1/mem; echo end", seconds=10)).stdout, "end\n")
    seen = await subject.python(
        "import ctypes; libc = ctypes.CDLL(None, use_errno=True)\nprint(libc.ptrace(16, 1, 0, 0))\n"  # PTRACE_ATTACH
    )
    same(seen.stdout, "-1\n")


@check
async def signals_to_process_1(subject: Subject) -> None:
    """Whatever is sent to process 1, the container answers the next call with its files as they were."""
    await subject.run("echo kept > kept.txt")
    for signal in ("KILL", "TERM", "INT", "STOP", "HUP", "CHLD", "SEGV", "USR1"):
        await subject.run(f"kill -{signal} 1")
        same((await subject.run("cat kept.txt")).stdout, "kept\n")


@check
async def only_its_own_processes(subject: Subject) -> None:
    """A program sees and signals the processes of its own sandbox only."""
    other = subject.name
    await subject.run("sleep 1000 > /dev/null 2>&1 &")
    await subject.fresh()
    seen = await subject.run("ls -d /proc/[0-9]* | wc -l; kill -9 -1")
    expect(seen.failure != "" or int(seen.stdout) < 10, seen)
    same((await subject.run("pgrep -cx sleep", name=other)).stdout, "1\n")
    same((await subject.run("echo alive")).stdout, "alive\n")


@check
async def containers_are_closed_to_each_other(subject: Subject) -> None:
    """Files in the writable places of one container are not to be seen in another one."""
    for place in ("/home/user", "/tmp", "/files", "/dev/shm", "/run"):
        await subject.run(f"echo mine > {place}/mine.txt")
    await subject.fresh()
    same((await subject.run("find / -name mine.txt 2>/dev/null | wc -l")).stdout, "0\n")


@check
async def no_root_by_a_namespace(subject: Subject) -> None:
    """A program that makes itself a user namespace, where the engine lets it, gains nothing: no mount of a device,
    no write to the image, no view of other users' files."""
    seen = await subject.run(
        "unshare --user --map-root-user --mount sh -c '"
        "touch /usr/bin/x /etc/x /guest/x 2>/dev/null && echo wrote; mknod /tmp/disk b 8 0 && head -c 1 /tmp/disk && echo read; "
        "mount -o remount,rw / 2>/dev/null && touch /usr/x && echo remounted; echo x > /proc/sys/kernel/core_pattern && echo set' 2>/dev/null; true"
    )
    same(seen.stdout, "")


@check
async def devices(subject: Subject) -> None:
    """The usual devices work, and there is no other."""
    seen = await subject.run(
        "head -c 4 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo x > /dev/null; "
        "echo x > /dev/full || echo full; test -e /dev/fd/0 && test -d /dev/shm && echo there"
    )
    same(seen.stdout, "4\n4\nfull\nthere\n")
    harmless = {
        "console",
        "core",
        "fd",
        "full",
        "fuse",
        "net",
        "null",
        "ptmx",
        "pts",
        "random",
        "shm",
        "stderr",
        "stdin",
        "stdout",
        "tty",
        "urandom",
        "zero",
    }
    names = (await subject.python("import os\nprint(*os.listdir('/dev'))")).stdout.split()
    expect(set(names) <= harmless, names)
    seen = await subject.python(
        "import os\n"
        "for path in ('/dev/fuse', '/dev/net/tun', '/dev/console'):\n"
        "    try: os.open(path, os.O_RDWR); print('opened', path)\n"
        "    except OSError: pass\n"
    )
    # Those of a kernel of its own are not the machine's.
    expect(subject.own_kernel or seen.stdout == "", seen.stdout)
