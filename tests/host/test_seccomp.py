"""The filter of system calls: what it refuses and with which error, and that what programs need goes through.

Each refusal is tried inside a container, with arguments that the kernel itself would answer otherwise.
"""

from __future__ import annotations

import json
import os
import re
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bathysphere.host.seccomp import (
    ABI_X86_64,
    ALLOW,
    KILL_PROCESS,
    SealedFilter,
    assemble,
    encode,
    standard_filter,
)
from bathysphere.host.syscall_policy import Policy, PolicyError, Rule

from .conftest import Container

CALLING = """
import ctypes, errno, json, os, socket, subprocess, sys
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(*(ctypes.c_long(value) for value in (number, *arguments)))
    return errno.errorcode.get(ctypes.get_errno(), 'EOTHER') if result == -1 else 'done'
"""

HIGH = 1 << 32
"""Set in an argument that the kernel takes 32 bits of: it changes nothing there, and must not here."""


Calls = list[tuple[Any, ...]]


async def answers(container: Container, calls: Calls) -> dict[str, str]:
    """How each (label, call's name, arguments ...) is answered inside."""
    numbers = Policy.load().numbers
    listed = [(label, numbers[name], *arguments) for label, name, *arguments in calls]
    seen = await container.python(CALLING + f"print(json.dumps({{label: call(*rest) for label, *rest in {listed!r}}}))")
    assert seen.code == 0, seen.stderr
    answered: dict[str, str] = json.loads(seen.stdout)
    return answered


async def test_families_of_sockets(container: Container) -> None:
    families = {"UNSPEC": 0, "PACKET": 17, "ALG": 38, "VSOCK": 40, "KCM": 41, "XDP": 44, "BLUETOOTH": 31, "TIPC": 30}
    refused: Calls = [(name, "socket", number, 2, 0) for name, number in families.items()]
    refused += [("every other", "socket", number, 1, 0) for number in range(3, 10)]
    refused += [
        ("with high bits", "socket", 40 + HIGH, 1, 0), ("raw", "socket", 2, 3, 6), ("sctp", "socket", 2, 1, 132),
        ("mptcp", "socket", 2, 1, 262), ("sequenced packets", "socket", 2, 5, 0), ("icmp", "socket", 2, 2, 1),
        ("netfilter", "socket", 16, 3, 12), ("generic netlink", "socket", 16, 3, 16), ("audit", "socket", 16, 3, 9),
        ("pair of TIPC", "socketpair", 30, 1, 0, 0),
    ]  # fmt: skip
    assert set((await answers(container, refused)).values()) == {"EPERM"}
    allowed = [
        ("unix", "socket", 1, 1, 0), ("tcp", "socket", 2, 0o2004001, 0), ("udp", "socket", 10, 2, 17),
        ("route", "socket", 16, 3, 0),
    ]  # fmt: skip
    assert set((await answers(container, allowed)).values()) == {"done"}


async def test_namespaces(container: Container) -> None:
    kinds = {"mount": 0x20000, "cgroup": 0x2000000, "uts": 0x4000000, "ipc": 0x8000000, "user": 0x10000000,
             "pid": 0x20000000, "net": 0x40000000}  # fmt: skip
    refused: Calls = [(f"clone {name}", "clone", flag | 17, 0, 0, 0, 0) for name, flag in kinds.items()]
    refused += [(f"unshare {name}", "unshare", flag) for name, flag in {**kinds, "time": 0x80}.items()]
    refused += [(name, name, 0, 0, 0) for name in ("setns", "chroot", "mount", "fsopen", "open_tree", "pivot_root")]
    assert set((await answers(container, refused)).values()) == {"EPERM"}
    assert await answers(container, [("clone3", "clone3", 0, 0), ("own files", "unshare", 0x400)]) == {
        "clone3": "ENOSYS",
        "own files": "done",
    }


async def test_parts_of_the_kernel_that_are_closed(container: Container) -> None:
    # Each of these is answered otherwise by a kernel that looks at it (EFAULT, EINVAL, EBADF, a descriptor ...).
    names = """bpf perf_event_open userfaultfd add_key request_key keyctl name_to_handle_at open_by_handle_at
        fanotify_init fanotify_mark ptrace process_vm_readv process_vm_writev process_madvise pidfd_getfd kcmp
        modify_ldt iopl ioperm init_module kexec_load swapon acct quotactl syslog reboot settimeofday sethostname
        statmount"""
    closed = [(name, name, 0, 0, 0, 0, 0) for name in names.split()]
    assert set((await answers(container, closed)).values()) == {"EPERM"}
    names = """io_uring_setup io_uring_enter io_uring_register io_setup io_submit memfd_secret vmsplice mbind
        move_pages cachestat lsm_list_modules"""
    absent = [(name, name, 0, 0, 0, 0, 0) for name in names.split()]
    assert set((await answers(container, absent)).values()) == {"ENOSYS"}


async def test_calls_that_are_newer_than_the_policy(container: Container) -> None:
    seen = await container.python(CALLING + "print({call(number, -1, -1, -1) for number in range(463, 1024)})")
    assert seen.stdout == "{'ENOSYS'}\n"


async def test_process_1_is_left_alone(container: Container) -> None:
    refused = [
        (label, *arguments)
        for one in (1, 1 + HIGH)
        for label, *arguments in (
            (f"limits {one}", "prlimit64", one, 7, 8, 0), (f"affinity {one}", "sched_setaffinity", one, 8, 0),
            (f"scheduler {one}", "sched_setscheduler", one, 5, 0), (f"parameters {one}", "sched_setparam", one, 0),
            (f"attributes {one}", "sched_setattr", one, 0, 0), (f"priority {one}", "setpriority", 0, one, 19),
            (f"disk {one}", "ioprio_set", 1, one, 0),
        )
    ]  # fmt: skip
    refused += [
        ("its group", "setpriority", 1, 1, 19), ("its user", "setpriority", 2, 1000, 19),
        ("disk of its group", "ioprio_set", 2, 1, 0), ("disk of its user", "ioprio_set", 3, 1000, 0),
    ]  # fmt: skip
    assert set((await answers(container, refused)).values()) == {"EPERM"}
    seen = await container.bash(
        "prlimit --pid $$ --nofile=100:100 && ulimit -n\n"
        "python3 -c 'import os; os.setpriority(0, os.getppid(), 19)' && python3 -c 'import os; print(os.nice(0))'\n"
        "taskset -p 1 $$ >/dev/null && echo bound; ionice -c 3 -p $$ && ionice -p $$\n"
        "prlimit --pid 1 --nofile > /dev/null && echo read"
    )
    assert seen.stdout == "100\n19\nbound\nidle\nread\n"


async def test_nobody_can_ask_for_core_dumps(container: Container) -> None:
    seen = await container.bash("ulimit -S -c 0; ulimit -H -c 0; ulimit -c unlimited")
    assert seen.stderr.count("Operation not permitted") == 3
    refused = [("setrlimit", "setrlimit", 4, 0), ("prlimit", "prlimit64", 0, 4, 8, 0)]
    assert set((await answers(container, refused)).values()) == {"EPERM"}


async def test_terminals_cannot_be_typed_into(container: Container) -> None:
    seen = await container.python(
        CALLING + "import fcntl, pty, termios\n"
        "_, terminal = os.openpty()\n"
        f"print([call(16, terminal, number, 0) for number in (0x5412, 0x541C, 0x541D, 0x5423, 0x5412 + {HIGH})])\n"
        "print(len(fcntl.ioctl(terminal, termios.TIOCGWINSZ, bytes(8))))\n"
    )
    assert seen.stdout == f"{['EPERM'] * 5}\n8\n"


async def test_personality_and_process_settings(container: Container) -> None:
    asked = [
        ("addresses that can be foretold", "personality", 0x40000), ("zero page", "personality", 0x100000),
        ("layout", "prctl", 35, 1, 0, 0, 0), ("core scheduling", "prctl", 62, 0, 0, 0, 0),
        ("the usual", "personality", 0), ("which", "personality", 0xFFFFFFFF), ("dumpable", "prctl", 3, 0, 0, 0, 0),
    ]  # fmt: skip
    seen = await answers(container, asked)
    assert list(seen.values())[:4] == ["EPERM"] * 4
    assert list(seen.values())[4:] == ["done"] * 3


async def test_device_nodes_and_packet_programs(container: Container) -> None:
    seen = await container.python(
        CALLING + "path = ctypes.create_string_buffer(b'/tmp/made')\n"
        "def make(kind): return call(133, ctypes.addressof(path), kind | 0o600, 0)\n"
        "print([make(0x2000), make(0x6000), make(0x1000)])\n"
        "one = socket.socket()\n"
        "print([call(54, one.fileno(), level, option, 0, 4) for level, option in (\n"
        "    (1, 26), (1, 50), (1, 51), (6, 31))])\n"
        "one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)\n"
        "one.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)\n"
    )
    assert seen.stdout == "['EPERM', 'EPERM', 'done']\n['EPERM', 'EPERM', 'EPERM', 'EPERM']\n", seen.stderr


async def test_other_abis_end_the_process(container: Container) -> None:
    # getpid by `int 0x80` (32-bit numbers) and by an x32 number.
    program = r"""
    #include <stdio.h>
    int main(int count, char **arguments) {
        long result;
        if (count > 1) __asm__ volatile ("int $0x80" : "=a"(result) : "a"(20L) : "memory", "r8", "r9", "r10", "r11");
        else __asm__ volatile ("syscall" : "=a"(result) : "a"(0x40000000L + 39) : "memory", "rcx", "r11");
        printf("lived %ld\n", result);
        return 0;
    }"""
    seen = await container.bash(f"cat > /tmp/a.c <<'END'\n{program}\nEND\ngcc -o /tmp/a /tmp/a.c && "
                                "{ /tmp/a 1; echo $?; /tmp/a; echo $?; } 2>/dev/null")  # fmt: skip
    bad_system_call = 128 + 31
    assert seen.stdout == f"{bad_system_call}\n{bad_system_call}\n", seen.stderr


async def test_sync_does_nothing_and_fsync_works(container: Container) -> None:
    seen = await container.bash("sync && echo x > /tmp/x && sync /tmp/x && echo written")
    assert seen.stdout == "written\n"


async def test_what_programs_need_goes_through(container: Container) -> None:
    seen = await container.python(
        "import asyncio, concurrent.futures, multiprocessing, os, selectors, signal, socket, sqlite3, subprocess\n"
        "import tempfile, threading\n"
        "def square(n): return n * n\n"
        "with concurrent.futures.ThreadPoolExecutor(4) as pool: print(sum(pool.map(square, range(10))))\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(sum(pool.map(square, range(10))))\n"
        "print(subprocess.run(['sh', '-c', 'echo sub | cat'], capture_output=True, text=True).stdout, end='')\n"
        "async def talk():\n"
        "    async def answer(reader, writer): writer.write(await reader.read(9)); writer.close()\n"
        "    server = await asyncio.start_server(answer, '127.0.0.1', 0)\n"
        "    reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname())\n"
        "    writer.write(b'echo'); print(await reader.read()); writer.close()\n"
        "    process = await asyncio.create_subprocess_exec('true'); print(await process.wait())\n"
        "asyncio.run(talk())\n"
        "database = sqlite3.connect('/tmp/a.db'); database.execute('pragma journal_mode=wal')\n"
        "database.execute('create table t (x)'); print(database.execute('select count(*) from t').fetchone())\n"
        "print(bool(socket.if_nameindex()), os.cpu_count() > 0, os.sched_getaffinity(0) != set())\n"
        "left, right = socket.socketpair(); left.send(b'x'); print(right.recv(1))\n"
        "signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})\n"
        "signal.setitimer(signal.ITIMER_REAL, 0.01); print(signal.sigwait({signal.SIGALRM}).name)\n"
    )
    assert seen.code == 0, seen.stderr
    assert seen.stdout == "285\n285\nsub\nb'echo'\n0\n(0,)\nTrue True True\nb'x'\nSIGALRM\n"


async def test_process_1_and_every_command_are_filtered(container: Container) -> None:
    seen = await container.bash("grep -hE 'Seccomp:|NoNewPrivs' /proc/1/status /proc/self/status")
    assert seen.stdout.split() == ["NoNewPrivs:", "1", "Seccomp:", "2"] * 2


# ------------------------------------------------------------------------------------------- the program itself


def run_filter(data: bytes, call: tuple[int, int, tuple[int, ...]]) -> int:
    """What the kernel's machine for such programs makes of a call: its number, ABI and six arguments."""
    number, abi, arguments = call
    memory = struct.pack("=IIQ6Q", number, abi, 0, *arguments)
    steps = list(struct.iter_unpack("=HBBI", data))
    position = accumulator = 0
    while True:
        code, yes, no, value = steps[position]
        position += 1
        if code == 0x20:
            (accumulator,) = struct.unpack_from("=I", memory, value)
        elif code == 0x54:
            accumulator &= value
        elif code == 0x05:
            position += value
        elif code == 0x15:
            position += yes if accumulator == value else no
        elif code == 0x35:
            position += yes if accumulator >= value else no
        else:
            assert code == 0x06
            return int(value)


def expected(rule: Rule | None, arguments: tuple[int, ...]) -> int:
    """What the policy says, worked out straight from its rules."""
    if rule is None:
        return 0x50000 | 38
    if rule.only:
        for way in rule.only:
            fine = True
            for test in way:
                value = arguments[test.argument]
                seen = value if test.whole else value & 0xFFFFFFFF & test.mask
                fine = fine and (seen in test.values) == test.wanted
            if fine:
                return ALLOW
        return 0x50000 | 1
    return {"allow": ALLOW, "EPERM": 0x50000 | 1, "ENOSYS": 0x50000 | 38, "nothing": 0x50000}[rule.answer]


INTERESTING = sorted({*Policy.load().names.values(), 0, 1, 2, 40, 0x80, 1 << 31, (1 << 32) - 1})
ARGUMENT = st.one_of(
    st.sampled_from(INTERESTING),
    st.sampled_from(INTERESTING).map(lambda value: value | 1 << 32),
    st.integers(0, (1 << 64) - 1),
)


def test_every_number_gets_its_answer() -> None:
    data, rules = standard_filter(), Policy.load().rules()
    for number in range(1200):
        for arguments in ((0,) * 6, (1,) * 6, (2**64 - 1,) * 6):
            assert run_filter(data, (number, ABI_X86_64, arguments)) == expected(rules.get(number), arguments), number


@given(number=st.sampled_from(sorted(Policy.load().rules())), arguments=st.tuples(*[ARGUMENT] * 6))
def test_every_argument_gets_its_answer(number: int, arguments: tuple[int, ...]) -> None:
    rule = Policy.load().rules()[number]
    assert run_filter(standard_filter(), (number, ABI_X86_64, arguments)) == expected(rule, arguments)


@given(number=st.integers(0, 2**32 - 1), abi=st.sampled_from([0x40000003, 0xC00000B7, 0, ABI_X86_64]))
def test_other_abis_never_get_through(number: int, abi: int) -> None:
    answer = run_filter(standard_filter(), (number, abi, (0,) * 6))
    if abi != ABI_X86_64 or number >= 0x40000000:
        assert answer == KILL_PROCESS


def test_numbers_are_those_of_the_image_s_own_header(image: Path) -> None:
    header = (image / "usr/include/x86_64-linux-gnu/asm/unistd_64.h").read_text()
    real = {name: int(number) for name, number in re.findall(r"#define __NR_(\w+) (\d+)", header)}
    numbers = Policy.load().numbers
    assert real.items() <= numbers.items()
    assert len(set(numbers.values())) == len(numbers)


def test_a_program_with_a_long_way_to_jump() -> None:
    # Rules that cannot be merged, so that a half is longer than a comparison can skip.
    rules = {number: Rule("allow" if number % 2 else "EPERM") for number in range(1000)}
    data = encode(assemble(rules))
    assert [run_filter(data, (number, ABI_X86_64, (0,) * 6)) == ALLOW for number in (0, 1, 501, 998, 999, 1000)] == [
        False, True, True, False, True, False,
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "groups"),
        ("groups = [{title='a', answer='allow', because='b', calls='nothing_like_it'}]", "not known: nothing_like_it"),
        ("groups = [{title='a', answer='allow', because='b', calls='read read'}]", "read twice"),
        ("groups = [{title='a', answer='maybe', because='b', calls='read'}]", "answer"),
        ("groups = [{title='a', answer='allow', calls='read'}]", "because"),
        ("groups = [{title='a', answer='EPERM', because='b', calls='read', only=[[{argument=0, null=true}]]}]", "only"),
        ("groups = [{title='a', answer='allow', because='b', calls='read', only=[[]]}]", "only"),
        ("groups = [{title='a', answer='allow', because='b', calls='read', only=[[{argument=6, null=true}]]}]", "6"),
        ("groups = [{title='a', answer='allow', because='b', calls='read', only=[[{argument=0}]]}]", "exactly one"),
        ("groups = [{title='a', answer='allow', because='b', calls='read', only=[[{argument=0, one_of=['X']}]]}]", "X"),
        ("denied = 1\ngroups = []", "denied"),
    ],
)
def test_a_policy_with_a_mistake_is_refused(text: str, complaint: str) -> None:
    with pytest.raises(PolicyError, match=re.escape(complaint)):
        Policy.read(text, "0 read\n1 write\n")


def test_nobody_can_change_a_sealed_filter() -> None:
    sealed = SealedFilter(b"12345678")
    for _ in range(2):
        descriptor = sealed.open()
        try:
            assert os.read(descriptor, 100) == b"12345678"
        finally:
            os.close(descriptor)
    with pytest.raises(PermissionError):
        Path(f"/proc/self/fd/{sealed._memory}").write_bytes(b"x")
