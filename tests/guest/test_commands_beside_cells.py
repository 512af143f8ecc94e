"""Commands and edits while a cell waits: each has its own outputs, and the interpreter outlives them."""

from __future__ import annotations

from .first_process import Ended, FirstProcess, Waits, function, numbers

WAITS = (
    "import os\nopen(os.environ['OUTPUT_DIR'] + '/one.txt', 'w').write('1')\nopen('before.txt', 'w').write('b')\n"
    "r = await t()\nopen(os.environ['OUTPUT_DIR'] + '/two.txt', 'w').write('2')\nprint(r)"
)


def test_outputs_do_not_mix(first: FirstProcess) -> None:
    assert numbers(first.cell(WAITS, function("t"))) == [1]
    made = first.bash("echo c > $OUTPUT_DIR/command.txt; echo d > beside.txt; echo e > gone.txt")
    assert sorted(made.files) == ["beside.txt", "command.txt", "gone.txt"]
    assert first.read(made, "command.txt") == b"c\n"
    first.bash("rm gone.txt")
    ended = first.answer({1: "answered"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "answered\n"
    assert sorted(ended.files) == ["before.txt", "one.txt", "two.txt"]
    assert first.read(ended, "two.txt") == b"2"


def test_files_are_held_until_the_next_call(first: FirstProcess) -> None:
    made = first.run("open('a.txt', 'w').write('a');")
    assert first.read(made, "a.txt") == b"a"
    assert first.bash("true").files == {}
    assert numbers(first.cell("open('b.txt', 'w').write('b')\nawait t()", function("t"))) == [1]


def test_a_command_that_times_out_spares_the_interpreter(first: FirstProcess) -> None:
    assert numbers(first.cell(WAITS, function("t"))) == [1]
    assert first.bash("sleep 1000 & sleep 1000", seconds=0.3).report["timed_out"]
    ended = first.answer({1: "still here"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "still here\n"


def test_an_edit_while_a_cell_waits(first: FirstProcess) -> None:
    assert numbers(first.cell("r = await t()\nopen('note.txt').read() + r", function("t"))) == [1]
    first.ask("edit", {"command": "create", "path": "note.txt", "file_text": "noted "})
    ended = first.answer({1: "well"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "'noted well'\n"


def test_the_interpreter_is_killed_while_its_cell_waits(first: FirstProcess) -> None:
    assert numbers(first.cell("print('before')\nawait t()", function("t"))) == [1]
    first.bash("pkill -9 -f boot.py; sleep 0.1")
    ended = first.answer({1: ""})
    assert isinstance(ended, Ended)
    assert ended.stdout == "before\n"
    assert ended.code == 137
    assert "was ended by signal 9" in ended.notes
    assert first.run("3").stdout == "3\n"


def test_a_cell_that_ends_while_nobody_asks(first: FirstProcess) -> None:
    source = "import asyncio\ntask = asyncio.create_task(t())\nawait asyncio.sleep(0.1)\nprint('ended')"
    assert isinstance(first.cell(source, function("t")), Waits)
    first.bash("sleep 0.4")
    ended = first.answer({})
    assert isinstance(ended, Ended)
    assert ended.stdout == "ended\n"


def test_a_prepared_interpreter_leaves_commands_their_first_directory(first: FirstProcess) -> None:
    prepared = first.bash("echo $OUTPUT_DIR").stdout
    first.ask("prepare", {"modules": []})
    assert first.bash("echo $OUTPUT_DIR").stdout == prepared
    first.run("1")
    assert first.bash("echo $OUTPUT_DIR").stdout != prepared
