"""Cells: an interpreter that remembers, and code that waits for tools."""

from __future__ import annotations

from bathysphere.host.cells import HeldCell
from bathysphere.host.conformance.check import check, expect, same
from bathysphere.host.conformance.subject import Subject


def _printed(held: HeldCell) -> str:
    """What a cell printed that has ended well."""
    expect(held.finished is not None and held.finished["return_code"] == 0, (held.finished, held.output))
    same(held.output["stderr"].decode(errors="replace"), "")
    return held.output["stdout"].decode(errors="replace")


@check
async def variables_stay_between_cells(subject: Subject) -> None:
    """What a cell has defined is there in the next one, as is what it has imported."""
    same(_printed(await subject.cell("import math\nx = [1]\ndef twice(n): return 2 * n")), "")
    same(_printed(await subject.cell("x.append(twice(math.floor(2.5)))\nx")), "[1, 4]\n")


@check
async def calls_wait_for_answers(subject: Subject) -> None:
    """Calls that are made at once are told at once; the cell stands still until they are answered, as often as it
    calls."""
    held = await subject.cell(
        "import asyncio\nn = await asyncio.gather(*(add({'a': i, 'b': i}) for i in range(3)))\n"
        "print(n, await add({'a': 40, 'b': 2}))"
    )
    same(sorted(call.arguments["a"] for call in held.calls), [0, 1, 2])
    await subject.add(held)
    same([call.arguments for call in held.calls], [{"a": 40, "b": 2}])
    same(_printed(await subject.add(held)), "['0', '2', '4'] 42\n")


@check
async def commands_run_beside_a_waiting_cell(subject: Subject) -> None:
    """A command of the same container neither ends a cell that waits nor takes its files."""
    held = await subject.cell(
        "import os\nout = os.environ['OUTPUT_DIR']\nopen(out + '/one', 'w').write('1')\n"
        "print(await add({'a': 1, 'b': 1}), open('by-bash').read())"
    )
    beside = await subject.run("echo x > by-bash; echo 2 > $OUTPUT_DIR/two; sleep 100", seconds=0.5)
    expect(beside.report is not None and beside.report.timed_out, beside)
    same(_printed(await subject.add(held)), "2 x\n\n")
    expect(held.finished is not None and "one" in [name for _handle, name, _size in held.finished["files"]], held)


@check
async def a_cell_is_interrupted(subject: Subject) -> None:
    """A cell whose time is over is interrupted; the interpreter and its variables stay."""
    await subject.cell("x = 5")
    for source in ("while True: pass", "import time; time.sleep(1000)", "import os; os.system('sleep 1000')"):
        held = await subject.cell(source, seconds=0.5)
        expect(held.finished is not None and held.finished["timed_out"] and held.finished["return_code"], held)
        expect("detection_timeout" in str(held.finished), held.finished)
    same(_printed(await subject.cell("x")), "5\n")


@check
async def an_interpreter_that_ends(subject: Subject) -> None:
    """When a cell ends its interpreter it is told, and the next cell, which has a new one, is told as well."""
    held = await subject.cell("import os, signal\nx = 1\nos.kill(os.getpid(), signal.SIGKILL)")
    expect(held.finished is not None and held.finished["return_code"] == 137, held.finished)
    expect("variables" in str(held.finished and held.finished["notes"]), held.finished)
    following = await subject.cell("'x' in globals()")
    same(following.output["stdout"].decode(), "False\n")
    expect("are gone" in following.output["stderr"].decode(), following.output)


@check
async def variables_outlive_the_sandbox(subject: Subject) -> None:
    """When the sandbox was put to rest, what can be written down of the variables comes back; the rest is named."""
    await subject.cell("import threading\nx = {'a': [1, 2]}\ny = x['a']\nlock = threading.Lock()")
    await subject.rest()
    held = await subject.cell("y.append(3)\nprint(x)")
    same(held.output["stdout"].decode(), "{'a': [1, 2, 3]}\n")
    expect("lock" in held.output["stderr"].decode(), held.output)
