"""Code that takes its interpreter apart: it goes on, or it ends alone, and what happened is said."""

from __future__ import annotations

import pytest

from .first_process import Ended, FirstProcess, Waits, function, numbers

# The pipes to process 1, by what they are: code can find them, so it can write to them.
PIPES = (
    "import os, fcntl\n"
    "ends = [int(n) for n in os.listdir('/proc/self/fd') if int(n) > 15 and os.path.exists(f'/proc/self/fd/{n}')]\n"
    "writable = [n for n in ends if fcntl.fcntl(n, fcntl.F_GETFL) & 3 == 1 and os.readlink(f'/proc/self/fd/{n}') "
    "not in (os.readlink('/proc/self/fd/1'), os.readlink('/proc/self/fd/2'))]\n"
    "[report] = writable\n"
    "import json, struct\n"
    "def forge(header, payload=b''):\n"
    "    text = json.dumps(header).encode()\n"
    "    os.write(report, struct.pack('!II', len(text), len(payload)) + text + payload)\n"
)


@pytest.mark.parametrize(
    "source",
    [
        "import sys, io\nsys.stdout = sys.stderr = io.StringIO()",
        "import sys\nsys.stdout = sys.stderr = None",
        "import sys\nsys.stdout.close(); sys.stderr.close()",
        "import os\nos.close(1); os.close(2); os.close(0)",
        "import os\nos.close(1)\nkept_open = open('/etc/passwd')",
        "import builtins\n"
        "for n in ('print', 'len', 'eval', 'repr', 'isinstance', 'compile'): setattr(builtins, n, None)",
        "globals().clear()",
        "import sys\ndel sys.modules['__main__']",
        "import os, json, asyncio, time\nfor m in (os, json, asyncio, time):\n"
        "    for n in list(vars(m)):\n        if not n.startswith('__'): delattr(m, n)",
        "import sys\nsys.path.clear()",
        "import sys\nsys.modules.pop('_bathysphere')",
        "import threading\nt = threading.Thread(target=threading.Event().wait, daemon=True); t.start()",
        "import sys\nsys.setrecursionlimit(50)",
        "import sys\nsys.excepthook = sys.displayhook = None",
        "import os\nfor name in list(os.environ): del os.environ[name]",
        "import os\nif os.fork() == 0: 1 / 0\nos.wait()",
        "import os\nif os.fork() == 0:\n    import sys; sys.exit(3)\nos.wait()",
        "import gc\nfor o in gc.get_objects():\n    if type(o).__name__ == 'Task': o.cancel()",
    ],
)
def test_it_goes_on(first: FirstProcess, source: str) -> None:
    first.ask("prepare", {"modules": []})
    assert first.run(source).notes == ""
    ended = first.run("'here'")
    assert (ended.stdout.splitlines()[-1], ended.code) == ("'here'", 0)
    following = first.cell("r = await f(x=1)", function("f"))
    if isinstance(following, Waits):
        assert isinstance(first.answer({following.numbers[0]: "text"}), Ended)
    assert first.run("import os\nos.getpid() > 1").notes == ""


@pytest.mark.parametrize(
    ("source", "code", "how"),
    [
        ("import os\nos._exit(3)", 3, "exited with code 3"),
        ("import os\nos._exit(0)", 0, "exited with code 0"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", 139, "signal 11 (SIGSEGV"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)", 137, "signal 9 (SIGKILL"),
        ("import ctypes\nctypes.string_at(0)", 139, "signal 11"),
        ("import os\nos.abort()", 134, "signal 6"),
        ("import os\nos.execv('/bin/true', ['true'])", 0, "exited with code 0"),
    ],
)
def test_the_end_of_the_interpreter(first: FirstProcess, source: str, code: int, how: str) -> None:
    first.run("x = 1")
    ended = first.run(f"print('before')\n{source}")
    assert (ended.code, ended.stdout) == (code, "before\n")
    assert how in ended.notes
    assert "The variables of this and earlier cells are gone." in ended.notes
    assert first.run("x").stderr.startswith("The variables of earlier cells are gone")


@pytest.mark.parametrize(
    "forged",
    [
        "os.write(report, b'\\xff' * 100)",
        "os.write(report, struct.pack('!II', 10, 0) + b'no json at')",
        "forge({'type': 'nonsense'})",
        "forge({'type': 'finished', 'code': 'x'})",
        "forge({'type': 'finished', 'code': 1000})",
        "forge({'type': 'call', 'number': 0, 'tool': 'f'}, b'{}')",
        "forge({'type': 'call', 'number': 1, 'tool': ''}, b'{}')",
        "forge({'type': 'call', 'number': 1, 'tool': 5}, b'{}')",
        "forge({'type': 'call', 'number': 1, 'tool': 'f'}, b'[]')",
        "forge({'type': 'call', 'number': 1, 'tool': 'f'}, b'{} {}')",
        "forge({'type': 'call', 'number': 1, 'tool': 'f'}, b'{\"a\":NaN}')",
        "forge({'type': 'call', 'number': 1, 'tool': 'f'}, b'{\"a\":' + b'[' * 5000 + b']' * 5000 + b'}')",
        "forge({'type': 'call', 'number': 10_001, 'tool': 'f'}, b'{}')",
        "for n in range(1, 300): forge({'type': 'call', 'number': n, 'tool': 'f'}, b'{}')",
        "os.write(report, struct.pack('!II', 10, 2_000_000))",
        "forge({'type': 'waits', 'round': 1})",
    ],
)
def test_what_is_no_frame_ends_the_interpreter(first: FirstProcess, forged: str) -> None:
    ended = first.run(f"{PIPES}{forged}\nimport time\ntime.sleep(60)")
    assert "was killed, because what came from it was nothing that it may say: " in ended.notes
    assert ended.code == 137
    assert first.run("2").stdout == "2\n"


def test_forged_calls_reach_whoever_checks_them(first: FirstProcess) -> None:
    forged = (
        "forge({'type': 'call', 'number': 1, 'tool': 'secret'}, b'{\"a\": 1}')\nforge({'type': 'waits', 'round': 1})"
    )
    state = first.cell(f"{PIPES}{forged}\nimport time\ntime.sleep(0.5)")
    assert isinstance(state, Waits)
    assert [(call.tool, call.arguments) for call in state.calls] == [("secret", {"a": 1})]
    assert isinstance(first.answer({1: "nobody waits for this"}), Ended)
    assert first.run("2").stdout == "2\n"


def test_what_is_said_between_cells(first: FirstProcess) -> None:
    first.run(f"{PIPES}import threading\nthreading.Timer(0.1, forge, [{{'type': 'finished', 'code': 0}}]).start()")
    first.bash("sleep 0.5")
    assert first.run("1").stderr.startswith("The variables of earlier cells are gone")


def test_started_programs_do_not_have_the_pipes(first: FirstProcess) -> None:
    ended = first.run(
        "import subprocess\nprint(subprocess.run(['ls', '/proc/self/fd'], close_fds=False, capture_output=True).stdout)"
    )
    assert ended.stdout == "b'0\\n1\\n2\\n3\\n'\n", "3 is the folder itself"


def test_processes_that_split_off(first: FirstProcess) -> None:
    ended = first.run(
        "import multiprocessing\ndef double(x): return 2 * x\n"
        "with multiprocessing.get_context('fork').Pool(2) as pool: print(pool.map(double, range(4)))"
    )
    assert (ended.stdout, ended.code) == ("[0, 2, 4, 6]\n", 0)
    state = first.cell(
        "import os, asyncio\nawait f()\nif os.fork() == 0:\n    try:\n        asyncio.run(f())\n"
        "    except RuntimeError as error:\n"
        "        print(error)\n        os._exit(0)\nos.wait();",
        function("f"),
    )
    assert numbers(state) == [1]
    ended_again = first.answer({1: ""})
    assert isinstance(ended_again, Ended)
    assert "can be called only while a cell runs, and from the interpreter itself" in ended_again.stdout


def test_a_fork_bomb(first: FirstProcess) -> None:
    first.send_cell("import os\nwhile True:\n    try: os.fork()\n    except OSError: pass", seconds=1)
    ended = first.outcome()
    assert isinstance(ended, Ended)
    assert ended.report["timed_out"]
    assert first.run("1").stdout == "1\n"
