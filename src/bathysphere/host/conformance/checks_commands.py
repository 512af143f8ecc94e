"""Commands: what goes in, what comes out, how they end."""

from __future__ import annotations

from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject


@check
async def output_and_exit_codes(subject: Subject) -> None:
    """Standard output and error are told apart, exit codes are those of the program, and stdin is empty."""
    seen = await subject.run("echo out; echo err >&2; cat; exit 7")
    same((seen.stdout, seen.stderr, seen.code), ("out\n", "err\n", 7))
    for code in (0, 1, 126, 255):
        same((await subject.run(f"exit {code}")).code, code)
    same((await subject.run("no_such_program")).code, 127)


@check
async def signals(subject: Subject) -> None:
    """A program that a signal ends has 128 + its number as exit code; each signal reaches its handler."""
    for number in (1, 2, 6, 9, 11, 13, 15):
        same((await subject.run(f"kill -{number} $$")).code, 128 + number)
    seen = await subject.python(
        "import os, signal\n"
        "for number in (1, 2, 10, 12, 15, 28, 35):\n"
        "    signal.signal(number, lambda number, frame: print(number))\n"
        "    os.kill(os.getpid(), number)\n"
    )
    same(seen.stdout.split(), ["1", "2", "10", "12", "15", "28", "35"])
    same((await subject.run("(exit 3) & wait $!; echo $?; sleep 100 & kill $!; wait $!; echo $?")).stdout, "3\n143\n")


@check
async def python_programs(subject: Subject) -> None:
    """Python runs a program as its main module, with its traceback on standard error."""
    seen = await subject.python("import sys\nprint(__name__, sys.version_info[:2])\n1 / 0\n")
    expect(seen.stdout.startswith("__main__ (3, "), seen)
    same(seen.code, 1)
    expect(seen.stderr.endswith("ZeroDivisionError: division by zero\n"), seen.stderr)


@check
async def unicode(subject: Subject) -> None:
    """Any text passes unchanged: in the source, in output, in names of files."""
    text = "żółć 漢字 🜁 e\u0301 \u202e"
    same((await subject.run(f"printf %s '{text}'")).stdout, text)
    same((await subject.python(f"print({text!r}, end='')")).stdout, text)
    same((await subject.run(f"echo x > 'n {text}.txt'; ls n*; rm n*")).stdout, f"n {text}.txt\n")


@check
async def long_sources(subject: Subject) -> None:
    """A source of several hundred kilobytes runs."""
    same((await subject.run(": '" + "x" * 500_000 + "'; echo ran")).stdout, "ran\n")
    same((await subject.python("text = '" + "x" * 500_000 + "'\nprint(len(text))")).stdout, "500000\n")


@check
async def output_is_bounded(subject: Subject) -> None:
    """Of too much output the beginning and the end are kept, of both streams, and how much was left out is said."""
    seen = await subject.run("echo first; head -c 20M /dev/zero | tr '\\0' x; echo last; echo fine >&2")
    expect(seen.report is not None and seen.report.truncated, seen.report)
    expect(seen.stdout.startswith("first\nxxx") and seen.stdout.endswith("xxxlast\n"), seen.stdout[:50])
    expect("bytes left out" in seen.stdout and len(seen.stdout) < 140_000, len(seen.stdout))
    same((seen.stderr, seen.code), ("fine\n", 0))


@check
async def binary_output(subject: Subject) -> None:
    """Every byte value may be written."""
    seen = await subject.python("import os\nos.write(1, bytes(range(256)))")
    same(seen.stdout, bytes(range(256)).decode(errors="replace"))


@check
async def a_time_limit_ends_everything(subject: Subject) -> None:
    """When a command's time is over, all that it started is killed, sessions of their own included, and the
    container goes on."""
    seen = await subject.run("setsid sleep 1000 & (trap '' TERM INT; sleep 1000) & sleep 1000", seconds=1)
    expect(seen.report is not None and seen.report.timed_out, seen)
    same(seen.code, 137)
    same((await subject.run("pgrep -cx sleep")).stdout, "0\n")


@check
async def background_processes_live_on(subject: Subject) -> None:
    """What a command leaves running is there for the next one, and a later time limit does not touch it."""
    await subject.run("sleep 1000 > /dev/null 2>&1 &")
    await subject.run("sleep 2000", seconds=1)
    same((await subject.run("pgrep -cx sleep")).stdout, "1\n")


@check
async def environment(subject: Subject) -> None:
    """Commands find the image's environment and their own places, and nothing of the host's."""
    seen = await subject.run("env -0 | tr '\\0' '\\n'")
    names = {line.partition("=")[0] for line in seen.stdout.splitlines() if "=" in line}
    expect({"PATH", "HOME", "INPUT_DIR", "OUTPUT_DIR"} <= names, names)
    foreign = names & {"SSH_AUTH_SOCK", "PYTHONPATH", "VIRTUAL_ENV", "SUDO_USER", "LS_COLORS", "OLDPWD"}
    expect(not foreign, foreign)
    same((await subject.run("pwd; echo $HOME; umask")).stdout, "/home/user\n/home/user\n0022\n")


@check
async def usual_programs(subject: Subject) -> None:
    """The programs that people type every day work: listing, copying, finding, archives, pipes, processes."""
    seen = await subject.run(
        "set -e; mkdir -p d/e; echo one > d/a; cp -a d f; mv f/a f/b; ls -la d f > /dev/null; stat d/a > /dev/null; "
        "du -s d > /dev/null; find . -name b; tar cf t.tar d; tar tf t.tar | sort | tr '\\n' ' '; sed -i s/one/two/ d/a; "
        "cat d/a; seq 5 | sort -r | head -1; df /home/user > /dev/null; ps ax | grep -c bash > /dev/null; touch -r d/a d/x; "
        "date > /dev/null; rm -r d f t.tar; ls"
    )
    same((seen.stdout, seen.stderr, seen.code), ("./f/b\nd/ d/a d/e/ two\n5\n", "", 0))


@check
async def threads_and_subprocesses(subject: Subject) -> None:
    """Python's threads, subprocesses, pools of processes and sockets of the own machine work."""
    seen = await subject.python(
        "import concurrent.futures as f, socket, subprocess, threading\n"
        "if __name__ == '__main__':\n"
        "    with f.ThreadPoolExecutor(4) as pool: print(sum(pool.map(abs, range(-10, 0))))\n"
        "    with f.ProcessPoolExecutor(2) as pool: print(sum(pool.map(abs, range(-10, 0))))\n"
        "    print(subprocess.run(['echo', 'sub'], capture_output=True, text=True).stdout, end='')\n"
        "    server = socket.create_server(('127.0.0.1', 0))\n"
        "    client = socket.create_connection(server.getsockname()); other, _ = server.accept()\n"
        "    client.sendall(b'over loopback'); print(other.recv(100).decode())\n"
    )
    same(seen.stdout, "55\n55\nsub\nover loopback\n")
