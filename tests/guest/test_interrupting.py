"""A cell that runs too long or is not wanted any more: interrupted, and killed when it does not mind that."""

from __future__ import annotations

import pytest

from .first_process import Ended, FirstProcess, function, numbers

SLEEPS = "import time\ntime.sleep(1000)"
LOOPS = "while True: pass"
WAITS = "import asyncio\nawait asyncio.sleep(1000)"
RUNS = "import asyncio\nasyncio.run(asyncio.sleep(1000))"
SHELL = "import os\nwhile True: os.system('sleep 1000')"
PROCESS = "import subprocess\nsubprocess.run(['sleep', '1000'])"
TASKS = (
    "import asyncio\nasync def busy():\n    while True: await asyncio.sleep(0)\n"
    "task = asyncio.create_task(busy())\nawait asyncio.sleep(1000)"
)
THREAD = "import asyncio, threading\nasyncio.run(asyncio.to_thread(threading.Event().wait, 1.5))"


@pytest.mark.parametrize("source", [SLEEPS, LOOPS, WAITS, RUNS, SHELL, PROCESS, TASKS, THREAD])
def test_the_time_limit_interrupts_and_the_variables_stay(shared: FirstProcess, source: str) -> None:
    shared.run("kept = 'kept'")
    shared.send_cell(f"print('before')\n{source}\nprint('after')", seconds=0.5)
    ended = shared.outcome()
    assert isinstance(ended, Ended)
    assert ended.stdout == "before\n"
    assert ended.report["timed_out"]
    assert ended.code == 130
    assert ended.report["notes"] == ["detection_timeout: the cell ran longer than 0.5 seconds and was interrupted."]
    assert ended.stderr.endswith("KeyboardInterrupt\n")
    assert "<cell " in ended.stderr
    assert shared.run("kept").stdout == "'kept'\n"
    assert "sleep 1000" not in shared.bash("ps ax").stdout


def test_an_interrupt_cancels_tasks(first: FirstProcess) -> None:
    first.ask("prepare", {"modules": []})
    first.run("1")
    first.send_cell(TASKS, seconds=0.5)
    first.outcome()
    assert first.run("task.cancelled()").stdout == "True\n"


def test_cancelling(first: FirstProcess) -> None:
    first.run("kept = 1")
    first.send_cell(SLEEPS)
    first.cancel_after(0.3)
    ended = first.outcome()
    assert isinstance(ended, Ended)
    assert (ended.code, ended.report["timed_out"], ended.notes) == (130, False, "")
    assert first.run("kept").stdout == "1\n"


def test_code_may_clean_up(first: FirstProcess) -> None:
    first.run("1")
    first.send_cell("import time\ntry:\n    time.sleep(1000)\nfinally:\n    print('cleaned up')", seconds=0.3)
    ended = first.outcome()
    assert isinstance(ended, Ended)
    assert ended.stdout == "cleaned up\n"


@pytest.mark.parametrize(
    "source",
    [
        "import time\nwhile True:\n    try: time.sleep(1)\n    except BaseException: pass",
        "import signal, time\nfor n in range(1, 32):\n    if n not in (9, 19): signal.signal(n, signal.SIG_IGN)\n"
        "time.sleep(1000)",
        "import signal, time\nsignal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())\ntime.sleep(1000)",
        "sum(range(10 ** 13))",
    ],
)
def test_what_does_not_mind_is_killed(first: FirstProcess, source: str) -> None:
    first.bash("sleep 2000 > /dev/null 2>&1 &")
    first.run("import subprocess\nearlier = subprocess.Popen(['sleep', '3000'])")
    start = "child = subprocess.Popen(['sleep', '1000'], start_new_session=True)\nprint('started')\n"
    first.send_cell(start + source, seconds=0.5)
    ended = first.outcome()
    assert isinstance(ended, Ended)
    assert ended.stdout == "started\n"
    assert ended.code == 137
    assert ended.report["timed_out"]
    assert ended.report["notes"][0].startswith("detection_timeout: the cell ran longer than 0.5 seconds")
    assert "its interpreter was killed" in ended.notes
    assert "The variables of this and earlier cells are gone." in ended.notes
    left = first.bash("ps ax").stdout
    assert "sleep 1000" not in left
    assert "sleep 2000" in left
    assert "sleep 3000" in left
    following = first.run("earlier")
    assert following.stderr.startswith("The variables of earlier cells are gone: ")
    assert following.stderr.endswith("NameError: name 'earlier' is not defined\n")
    assert first.run("1").stderr == ""


def test_the_time_limit_after_waiting(first: FirstProcess) -> None:
    first.send_cell("await t()\nwhile True: pass", function("t"), seconds=0.5)
    assert numbers(first.outcome()) == [1]
    first.bash("sleep 2000 > /dev/null 2>&1 &")
    ended = first.answer({1: ""})
    assert isinstance(ended, Ended)
    assert ended.report["timed_out"]
    assert "sleep 2000" in first.bash("ps ax").stdout, "a command started that"


def test_the_next_cell_is_not_interrupted_for_the_last_one(shared: FirstProcess) -> None:
    for _ in range(20):
        shared.send_cell("import time\ntime.sleep(0.05)")
        shared.cancel_after(0.05)
        shared.outcome()
        assert shared.run("'undisturbed'").stdout == "'undisturbed'\n"
