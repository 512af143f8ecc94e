"""What a cell does without tools: it runs as in a notebook, and what it leaves is there for the next one."""

from __future__ import annotations

import pytest

from .first_process import FirstProcess


def test_variables_stay(shared: FirstProcess) -> None:
    assert shared.run("x = 20").stdout == ""
    assert shared.run("x + 1").stdout == "21\n"
    assert shared.run("_ * 2").stdout == "42\n"


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("'text'", "'text'\n"),
        ("None", ""),
        ("1;", ""),
        ("1 ; # more", ""),
        ("1 # not ; this", "1\n"),
        ("(1,\n 2)", "(1, 2)\n"),
        ("y = 3", ""),
        ("print('a')\n5", "a\n5\n"),
        ("import asyncio\nawait asyncio.sleep(0, 'slept')", "'slept'\n"),
        ("import asyncio\nasyncio.run(asyncio.sleep(0, 'run'))", "'run'\n"),
        ("", ""),
        ("# nothing", ""),
        ("'é' + '名'", "'é名'\n"),
    ],
)
def test_the_last_value_is_shown(shared: FirstProcess, source: str, shown: str) -> None:
    ended = shared.run(source)
    assert (ended.stdout, ended.stderr, ended.code) == (shown, "", 0)


def test_a_name_that_the_user_gave_a_value_is_not_taken(shared: FirstProcess) -> None:
    shared.run("1")
    shared.run("_ = 'mine'")
    shared.run("2")
    assert shared.run("print(_)\ndel _").stdout == "mine\n"


def test_what_is_imported_from_the_future_holds_for_later_cells(first: FirstProcess) -> None:
    first.run("from __future__ import annotations")
    assert first.run("def f(a: undefined): pass\nf.__annotations__").stdout == "{'a': 'undefined'}\n"


def test_an_exception_is_shown_with_the_lines_of_all_cells(first: FirstProcess) -> None:
    first.run("def divide(a):\n    return a / 0  # here")
    ended = first.run("x = 1\ndivide(x)")
    assert ended.code == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "Traceback (most recent call last):\n"
        '  File "<cell 2>", line 2, in <module>\n    divide(x)\n'
        '  File "<cell 1>", line 2, in divide\n    return a / 0  # here\n           ~~^~~\n'
        "ZeroDivisionError: division by zero\n"
    )
    assert first.run("x").stdout == "1\n"


def test_an_exception_behind_an_await_is_shown_without_the_loop(shared: FirstProcess) -> None:
    ended = shared.run("async def fail():\n    raise KeyError('k')\nawait fail()")
    assert [line for line in ended.stderr.splitlines() if "File" in line] == [
        line for line in ended.stderr.splitlines() if "<cell " in line
    ]
    assert "    await fail()\n" in ended.stderr
    assert ended.stderr.endswith("KeyError: 'k'\n")
    assert ended.code == 1


def test_a_traceback_that_the_code_itself_formats_has_lines(first: FirstProcess) -> None:
    ended = first.run("import traceback\ntry:\n    1 / 0\nexcept ZeroDivisionError:\n    print(traceback.format_exc())")
    assert "    1 / 0\n" in ended.stdout


def test_a_mistake_of_syntax(shared: FirstProcess) -> None:
    ended = shared.run("a = 1\nfor in x: pass")
    assert ended.code == 1
    assert "line 2\n    for in x: pass\n" in ended.stderr
    assert ended.stderr.endswith("SyntaxError: invalid syntax\n")


@pytest.mark.parametrize(
    ("argument", "code", "said"),
    [("", 0, ""), ("3", 3, ""), ("256 + 7", 7, ""), ("'bye'", 1, "bye\n"), ("None", 0, "")],
)
def test_exit_ends_the_cell_and_not_the_interpreter(shared: FirstProcess, argument: str, code: int, said: str) -> None:
    shared.run("kept = 'kept'")
    ended = shared.run(f"import sys\nsys.exit({argument})\nprint('never')")
    assert (ended.code, ended.stderr, ended.stdout) == (code, said, "")
    ended = shared.run(f"import asyncio\nawait asyncio.sleep(0)\nsys.exit({argument})")
    assert (ended.code, ended.stderr) == (code, said)
    assert shared.run("kept").stdout == "'kept'\n"


def test_tasks_go_on_in_the_next_cell_that_waits(first: FirstProcess) -> None:
    first.run(
        "import asyncio\nevent = asyncio.Event()\nasync def later():\n    await event.wait()\n    return 'done'\n"
        "task = asyncio.create_task(later())\nawait asyncio.sleep(0)"
    )
    assert first.run("event.set()").code == 0
    assert first.run("await task").stdout == "'done'\n"


def test_loops_within_loops(shared: FirstProcess) -> None:
    """asyncio refuses that; notebooks and models write it."""
    ended = shared.run(
        "import asyncio\n"
        "async def give(value):\n    await asyncio.sleep(0.001)\n    return value\n"
        "await give(0)\n"
        "print(asyncio.run(give(1)))\n"
        "loop = asyncio.get_event_loop()\n"
        "print(loop.run_until_complete(give(2)))\n"
        "task = asyncio.create_task(give(3))\n"
        "print(loop.run_until_complete(asyncio.gather(task, give(4))))\n"
        "async def nested():\n    await give(0)\n    return asyncio.run(give(5))\n"
        "print(asyncio.run(nested()))\n"
        "with asyncio.Runner() as runner: print(runner.run(give(6)))\n"
        "new = asyncio.new_event_loop()\nprint(new.run_until_complete(give(7)))\nnew.close()\n"
        "await give('end')"
    )
    assert (ended.stdout, ended.stderr) == ("1\n2\n[3, 4]\n5\n6\n7\n'end'\n", "")


def test_the_loop_without_await(first: FirstProcess) -> None:
    first.run("import asyncio\nasyncio.run(asyncio.sleep(0))")
    ended = first.run("await asyncio.sleep(0)")
    assert ended.stderr == ""
    ended = first.run("loop = asyncio.get_event_loop()\nloop.run_until_complete(asyncio.sleep(0, 'x'))")
    assert (ended.stdout, ended.stderr) == ("'x'\n", "")
    first.run("loop.close()")
    assert first.run("await asyncio.sleep(0, 'y')").stdout == "'y'\n"


def test_classes_of_cells_can_be_pickled(shared: FirstProcess) -> None:
    shared.run("class Point:\n    def __init__(self, x): self.x = x")
    ended = shared.run("import pickle\npickle.loads(pickle.dumps(Point(4))).x, __name__")
    assert ended.stdout == "(4, '__main__')\n"


def test_users_modules(first: FirstProcess) -> None:
    first.write_home("mine.py", "value = 'of mine'")
    for name in ("json", "asyncio", "traceback", "linecache", "selectors", "inspect", "cloudpickle"):
        first.write_home(f"{name}.py", "raise RuntimeError('the user has a file of this name')")
    assert first.run("import mine\nmine.value").stdout == "'of mine'\n"
    assert "ZeroDivisionError: division by zero\n" in first.run("1 / 0").stderr
    assert (
        first.run(
            "f = await t()",
        ).code
        == 1
    )
    first.ask("save")
    assert first.run("mine.value").stdout == "'of mine'\n"
    assert first.run("import sys\nsys.path[0]").stdout == "''\n"


def test_its_place_in_the_container(first: FirstProcess) -> None:
    ended = first.run("import os, sys\nprint(os.getcwd(), os.environ['INPUT_DIR'], sys.stdin.read() == '')")
    assert ended.stdout == "/home/user /files/input True\n"
    first.run("os.chdir('/tmp')")
    assert first.run("os.getcwd()").stdout == "'/tmp'\n"


def test_files_of_a_cell(first: FirstProcess) -> None:
    source = "import os\nopen(os.environ['OUTPUT_DIR'] + '/a.txt', 'w').write('a')\nopen('b.txt', 'w').write('b');"
    made = first.run(source)
    assert sorted(made.files) == ["a.txt", "b.txt"]
    assert first.read(made, "a.txt") == b"a"
    again = first.run("print(os.listdir(os.environ['OUTPUT_DIR']))")
    assert (again.stdout, again.files) == ("[]\n", {})


def test_a_plot_without_a_display(shared: FirstProcess) -> None:
    made = shared.run(
        "import matplotlib.pyplot as plt\nplt.plot([1, 2])\nplt.savefig('plot.png')\nplt.show()", seconds=90
    )
    assert (made.stderr, made.code) == ("", 0)
    assert list(made.files) == ["plot.png"]


def test_output_is_bounded(shared: FirstProcess) -> None:
    ended = shared.run("print('a' * 1_000_000)\nprint('end')")
    assert "bytes left out" in ended.stdout
    assert ended.stdout.endswith("aaa\nend\n")
    assert len(ended.stdout) < shared.output_bytes + 200
    assert ended.report["truncated"]


def test_output_between_cells_comes_with_the_next_one(first: FirstProcess) -> None:
    first.run(
        "import threading\ngo = threading.Event()\n"
        "t = threading.Thread(target=lambda: (go.wait(), print('late')))\nt.start()"
    )
    assert first.run("go.set()\nt.join()").stdout == "late\n"


def test_prepared(first: FirstProcess) -> None:
    first.ask("prepare", {"modules": ["pandas", "no_such_module"]})
    assert first.bash("echo $OUTPUT_DIR").stdout.startswith("/files/output/")
    assert first.run("import sys\n'pandas' in sys.modules").stdout == "True\n"
    assert first.run("pandas").stderr.endswith("NameError: name 'pandas' is not defined\n")
