"""Cells: Python in an interpreter that remembers, and that waits for its tools while nobody holds it."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from bathysphere.containers.host import (
    Cell,
    CellEnded,
    CellGone,
    CellState,
    CellWaits,
    InterpreterBusy,
    SandboxFailed,
    ToolAnswer,
    ToolCall,
    ToolFunction,
    UnknownContainer,
)
from bathysphere.containers.local import LocalHost

from .conftest import Container, MakeHost, wait_for_end
from .test_placing import daemon_of, guest_of

ADD = ToolFunction("add", ("a", "b"), "The sum of two numbers.")


@dataclass(frozen=True)
class Interpreter:
    """The interpreter of one container; each cell has a name of its own."""

    host: LocalHost
    container: str = "one"
    seconds: float = 60

    async def run(self, source: str, *functions: ToolFunction, cell: str = "cell") -> CellState:
        return await self.host.run_cell(self.container, cell, Cell(source, self.seconds, functions or (ADD,)))

    async def answer(self, *answers: ToolAnswer, cell: str = "cell") -> CellState:
        return await self.host.answer_cell(self.container, cell, answers)

    async def ended(self, source: str) -> CellEnded:
        state = await self.run(source)
        assert isinstance(state, CellEnded), state
        return state

    async def output(self, source: str) -> str:
        state = await self.ended(source)
        assert (state.stderr, state.finished.return_code) == (b"", 0), state
        return state.stdout.decode()

    async def calls(self, source: str) -> tuple[ToolCall, ...]:
        return calls_of(await self.run(source))

    async def complete(self, state: CellState) -> str:
        """Answer every call of ``add`` until the cell ends; what it printed."""
        while isinstance(state, CellWaits):
            sums = [ToolAnswer(call.id, str(call.arguments["a"] + call.arguments["b"])) for call in state.calls]
            state = await self.answer(*sums)
        assert (state.stderr, state.finished.return_code) == (b"", 0), state
        return state.stdout.decode()


def calls_of(state: CellState) -> tuple[ToolCall, ...]:
    assert isinstance(state, CellWaits), state
    return state.calls


async def started(host: LocalHost, name: str = "one") -> Interpreter:
    await host.create(name)
    return Interpreter(host, name)


async def test_variables_stay(make_host: MakeHost) -> None:
    one = await started(make_host())
    assert await one.output("x = 20\nx + 1") == "21\n"
    assert await one.output("print(x * 2 + 2)") == "42\n"


async def test_every_container_has_its_own(make_host: MakeHost) -> None:
    host = make_host()
    one, two = await started(host), await started(host, "two")
    await one.output("x = 1")
    await two.output("x = 2")
    assert await one.output("x") == "1\n"
    assert await two.output("x") == "2\n"


async def test_a_call_waits_for_its_answer(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("got = await add({'a': 1, 'b': 2})\nprint(type(got).__name__, got)")
    assert (call.tool, call.arguments) == ("add", {"a": 1, "b": 2})
    assert call.id.isalnum()
    state = await one.answer(ToolAnswer(call.id, "3"))
    assert isinstance(state, CellEnded)
    assert state.stdout == b"str 3\n"


async def test_calls_at_once_are_told_at_once(make_host: MakeHost) -> None:
    one = await started(make_host())
    state = await one.run("import asyncio\nprint(await asyncio.gather(*(add({'a': n, 'b': n}) for n in range(10))))")
    assert isinstance(state, CellWaits)
    assert sorted(call.arguments["a"] for call in state.calls) == list(range(10))
    assert await one.complete(state) == str([str(2 * n) for n in range(10)]) + "\n"


async def test_one_call_after_the_other(make_host: MakeHost) -> None:
    one = await started(make_host())
    state = await one.run("t = 0\nfor n in range(20):\n    t = int(await add({'a': t, 'b': n}))\nprint(t)")
    assert await one.complete(state) == "190\n"


async def test_what_is_answered_in_part_goes_on_in_part(make_host: MakeHost) -> None:
    one = await started(make_host())
    first, second = await one.calls(
        "import asyncio\n"
        "async def then(n):\n"
        "    return await add({'a': int(await add({'a': n, 'b': n})), 'b': 100})\n"
        "print(await asyncio.gather(then(1), then(2)))"
    )
    state = await one.answer(ToolAnswer(first.id, "2"))
    assert isinstance(state, CellWaits)
    assert second in state.calls
    (new,) = (call for call in state.calls if call != second)
    assert new.arguments == {"a": 2, "b": 100}
    assert await one.complete(state) == "['102', '104']\n"


async def test_an_answer_can_be_an_exception(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("try:\n    await add({'a': 1})\nexcept ValueError as error:\n    print('no:', error)")
    state = await one.answer(ToolAnswer(call.id, "b is missing", "ValueError"))
    assert isinstance(state, CellEnded)
    assert state.stdout == b"no: b is missing\n"


async def test_a_call_is_answered_once(make_host: MakeHost) -> None:
    """The same request, sent again, gets the same answer; another answer changes nothing."""
    one = await started(make_host())
    (first,) = await one.calls("x = await add({'a': 1, 'b': 1})\ny = await add({'a': 2, 'b': 2})\nprint(x, y)")
    state = await one.answer(ToolAnswer(first.id, "2"))
    assert await one.answer(ToolAnswer(first.id, "2")) == state
    assert await one.answer(ToolAnswer(first.id, "other")) == state
    assert isinstance(state, CellWaits)
    end = await one.answer(ToolAnswer(state.calls[0].id, "4"))
    assert isinstance(end, CellEnded)
    assert end.stdout == b"2 4\n"
    assert await one.answer(ToolAnswer(state.calls[0].id, "5")) == end
    assert await one.answer(ToolAnswer(first.id, "5")) == end


async def test_what_has_come_of_a_cell_is_known_after_others(make_host: MakeHost) -> None:
    """The turn may have gone on to further cells before it failed and is asked for again."""
    one = await started(make_host())
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    end = await one.answer(ToolAnswer(call.id, "2"))
    for number in range(3):
        (other,) = calls_of(await one.run("print(await add({'a': 1, 'b': 1}))", cell=f"then_{number}"))
        await one.answer(ToolAnswer(other.id, "3"), cell=f"then_{number}")
    await one.run("print(await add({'a': 1, 'b': 1}))", cell="waits")
    assert await one.answer(ToolAnswer(call.id, "2")) == end


async def test_answers_sent_at_the_same_time_count_once(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("n = globals().get('n', 0) + 1\nx = await add({'a': 1, 'b': 1})\nprint(n, x)")
    states = await asyncio.gather(*(one.answer(ToolAnswer(call.id, str(number))) for number in range(5)))
    assert len({state.stdout for state in states if isinstance(state, CellEnded)}) == 1
    assert await one.output("n") == "1\n"


async def test_what_was_never_called_cannot_be_answered(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    with pytest.raises(ValueError, match="has made no call"):
        await one.answer(ToolAnswer("a" * 24, "2"))
    assert await one.complete(CellWaits((call,))) == "2\n"


async def test_right_answers_beside_one_to_what_was_never_called_are_not_lost(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    with pytest.raises(ValueError, match="has made no call"):
        await one.answer(ToolAnswer(call.id, "5"), ToolAnswer("a" * 24, "2"))
    assert await one.answer() == CellWaits((call,))
    assert await one.complete(CellWaits((call,))) == "2\n"


async def test_another_containers_cell_cannot_be_answered(make_host: MakeHost) -> None:
    host = make_host()
    one, two = await started(host), await started(host, "two")
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    with pytest.raises(CellGone):
        await two.answer(ToolAnswer(call.id, "2"))
    await two.output("1")
    with pytest.raises(ValueError, match="has made no call"):
        await two.answer(ToolAnswer(call.id, "2"))
    with pytest.raises(CellGone):
        await one.answer(ToolAnswer(call.id, "2"), cell="other")
    with pytest.raises(UnknownContainer):
        await Interpreter(host, "none").answer(ToolAnswer(call.id, "2"))
    assert await one.complete(CellWaits((call,))) == "2\n"


async def test_no_answer_is_a_timeout_in_the_code(make_host: MakeHost) -> None:
    one = await started(make_host(sandbox={"tool_seconds": 0.2}))
    (call,) = await one.calls("try:\n    await add({'a': 1, 'b': 1})\nexcept TimeoutError as error:\n    print(error)")
    while (state := await one.answer()) and isinstance(state, CellWaits):
        await asyncio.sleep(0.05)
    assert isinstance(state, CellEnded)
    assert state.stdout == b"Calling tool ['add'] timed out (no response after 0.2s).\n"
    assert await one.answer(ToolAnswer(call.id, "2")) == state


async def test_a_timeout_that_is_not_caught_is_shown(make_host: MakeHost) -> None:
    one = await started(make_host(sandbox={"tool_seconds": 0.2}))
    await one.calls("await add({'a': 1, 'b': 1})")
    while isinstance(state := await one.answer(), CellWaits):
        await asyncio.sleep(0.05)
    assert state.stderr.endswith(b"TimeoutError: Calling tool ['add'] timed out (no response after 0.2s).\n")


async def test_nobody_keeps_a_container_awake_for_ever(make_host: MakeHost) -> None:
    """A cell that calls again and again without an answer is not waited for again and again."""
    host = make_host(sandbox={"tool_seconds": 0.1, "cell_seconds": 3}, host={"idle_seconds": 0.2})
    one = await started(host)
    await one.output("import asyncio")
    await replace(one, seconds=3).calls(
        "while True:\n    try:\n        await add({'a': 1, 'b': 1})\n    except TimeoutError:\n        pass"
    )
    while (await host.list())[0].state != "suspended":
        await asyncio.sleep(0.05)


async def test_one_cell_waits_at_a_time(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    with pytest.raises(InterpreterBusy, match=r"until .* UTC"):
        await one.run("1", cell="second")
    assert await one.complete(CellWaits((call,))) == "2\n"
    assert await one.output("2") == "2\n"


async def test_other_calls_of_the_container_go_on_meanwhile(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls("open('a', 'w').write('cell')\nprint(await add({'a': 1, 'b': 1}), open('b').read())")
    container = Container(one.host, "one")
    assert (await container.bash("cat a; printf bash > b; sleep 100 & sleep 100", seconds=0.5)).stdout == "cell"
    await container.place("c", b"placed")
    assert await one.complete(CellWaits((call,))) == "2 bash\n"


async def test_files_of_a_cell_are_captured_at_its_end(make_host: MakeHost) -> None:
    one = await started(make_host())
    (call,) = await one.calls(
        "import os\nout = os.environ['OUTPUT_DIR']\nopen(out + '/early', 'w').write('1')\n"
        "await add({'a': 1, 'b': 1})\nopen(out + '/late', 'w').write('22')"
    )
    between = await Container(one.host, "one").bash('echo x > "$OUTPUT_DIR/bash"')
    assert [file.name for file in between.finished.files] == ["bash"]
    state = await one.answer(ToolAnswer(call.id, "2"))
    assert isinstance(state, CellEnded)
    assert [(file.name, file.size_bytes) for file in state.finished.files] == [("early", 1), ("late", 2)]
    assert await Container(one.host, "one").read(state.finished.files[1].handle) == b"22"


async def test_another_server_goes_on_with_a_waiting_cell(make_host: MakeHost) -> None:
    first = make_host()
    one = await started(first)
    (call,) = await one.calls("x = 5\nprint(x + int(await add({'a': 1, 'b': 1})))")
    second = make_host()
    await second.start()
    await first.close()
    assert await Interpreter(second).complete(CellWaits((call,))) == "7\n"


async def test_a_waiting_cell_keeps_the_daemon(make_host: MakeHost, tmp_path: Path) -> None:
    host = make_host(host={"linger_seconds": 0.1, "idle_seconds": 0.1}, sandbox={"tool_seconds": 3})
    one = await started(host)
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    daemon = daemon_of(tmp_path / "data")
    await host.close()
    await asyncio.sleep(1.5)
    assert await one.complete(CellWaits((call,))) == "2\n"
    assert daemon_of(tmp_path / "data") == daemon


async def test_with_the_daemon_a_waiting_cell_is_gone(make_host: MakeHost, tmp_path: Path) -> None:
    one = await started(make_host())
    (call,) = await one.calls("x = 1\nprint(await add({'a': 1, 'b': 1}))")
    os.kill(daemon_of(tmp_path / "data"), signal.SIGKILL)
    await asyncio.to_thread(wait_for_end, tmp_path / "data")
    with pytest.raises(CellGone, match="variables are not"):
        await one.answer(ToolAnswer(call.id, "2"))
    state = await one.ended("print('x' in globals())")
    assert state.stdout == b"False\n"
    assert b"variables" in state.stderr


async def test_a_client_that_leaves_interrupts_its_cell(make_host: MakeHost) -> None:
    one = await started(make_host())
    await one.output("x = 1")
    running = asyncio.create_task(one.run("while True:\n    x += 1"))
    await asyncio.sleep(0.5)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert int(await one.output("x")) >= 1


async def test_a_cell_that_goes_on_is_not_interrupted(make_host: MakeHost) -> None:
    """Who leaves after it has answered may ask for what has come of it."""
    one = await started(make_host())
    (call,) = await one.calls("await add({'a': 1, 'b': 1})\nimport time\ntime.sleep(1)\nprint('done')")
    leaving = asyncio.create_task(one.answer(ToolAnswer(call.id, "2")))
    await asyncio.sleep(0.2)
    leaving.cancel()
    await asyncio.gather(leaving, return_exceptions=True)
    state = await one.answer(ToolAnswer(call.id, "2"))
    assert isinstance(state, CellEnded)
    assert state.stdout == b"done\n"


async def test_the_time_limit_of_a_cell(make_host: MakeHost) -> None:
    one = await started(make_host())
    await one.output("x = 3")
    state = await replace(one, seconds=0.5).ended("while True:\n    pass")
    assert state.finished.return_code != 0
    assert state.finished.timed_out
    assert any(note.startswith("detection_timeout") and "0.5" in note for note in state.finished.notes)
    assert await one.output("x") == "3\n"


async def test_waiting_is_not_running(make_host: MakeHost) -> None:
    one = await started(make_host())
    await one.output("import asyncio")
    (call,) = await replace(one, seconds=3).calls("print(await add({'a': 1, 'b': 1}))")
    await asyncio.sleep(3.5)
    assert await one.complete(CellWaits((call,))) == "2\n"


async def test_variables_come_back_after_a_rest(make_host: MakeHost) -> None:
    host = make_host(host={"idle_seconds": 0.2})
    one = await started(host)
    await one.output(
        "import math\nx = [1, 2]\ny = x\ndef double(n):\n    return 2 * n\nclass P:\n    pass\np = P()\np.n = 4\n"
        "import threading\nlock = threading.Lock()"
    )
    while (await host.list())[0].state != "suspended":
        await asyncio.sleep(0.05)
    state = await one.ended("x.append(3)\nprint(y, double(p.n), math.floor(2.5), type(p).__name__)")
    assert state.stdout == b"[1, 2, 3] 8 2 P\n"
    assert b"lock" in state.stderr
    assert await one.output("x") == "[1, 2, 3]\n"


async def test_variables_that_are_slow_to_save_keep_no_other_container_awake(make_host: MakeHost) -> None:
    host = make_host(host={"idle_seconds": 0.2})
    one = await started(host)
    await one.output(
        "import time\nclass Slow:\n    def __reduce__(self):\n        while True:\n            try:\n"
        "                time.sleep(60)\n            except BaseException:\n                pass\nx = Slow()"
    )
    await (await started(host, "two")).output("x = 2")
    states: dict[str, str] = {}
    while states.get("two") != "suspended":
        await asyncio.sleep(0.05)
        states = {container.id: container.state for container in await host.list()}
    assert states["one"] != "suspended"


async def test_a_waiting_cell_keeps_its_container_awake(make_host: MakeHost) -> None:
    host = make_host(host={"idle_seconds": 0.2})
    one = await started(host)
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    await asyncio.sleep(1.5)
    assert (await host.list())[0].state == "waiting"
    assert await one.complete(CellWaits((call,))) == "2\n"
    while (await host.list())[0].state != "suspended":
        await asyncio.sleep(0.05)


async def test_a_waiting_cell_gives_no_room(make_host: MakeHost) -> None:
    host = make_host(host={"max_sandboxes": 2})
    one, two = await started(host), await started(host, "two")
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    await two.output("x = 2")
    await started(host, "three")
    assert await one.complete(CellWaits((call,))) == "2\n"
    assert await two.output("x") == "2\n"


async def test_a_waiting_cell_whose_sandbox_has_ended_gives_room(make_host: MakeHost, tmp_path: Path) -> None:
    """There is nothing in it any more that could wait, and nobody may ever ask after it."""
    host = make_host(host={"max_sandboxes": 1, "idle_seconds": 0.2})
    one = await started(host)
    await one.calls("await add({'a': 1, 'b': 1})")
    os.kill(guest_of(daemon_of(tmp_path / "data")), signal.SIGKILL)
    while (await host.list())[0].state != "suspended":
        await asyncio.sleep(0.05)
    assert await (await started(host, "two")).output("1") == "1\n"


async def test_a_fork_has_the_variables(make_host: MakeHost) -> None:
    host = make_host()
    one = await started(host)
    await one.output("x = 7")
    await host.fork("one", "two")
    assert await Interpreter(host, "two").output("x") == "7\n"
    assert await one.output("x") == "7\n"


async def test_a_container_whose_cell_waits_is_not_copied(make_host: MakeHost) -> None:
    host = make_host()
    one = await started(host)
    (call,) = await one.calls("print(await add({'a': 1, 'b': 1}))")
    with pytest.raises(InterpreterBusy):
        await host.fork("one", "two")
    assert await one.complete(CellWaits((call,))) == "2\n"
    assert [container.id for container in await host.list()] == ["one"]


async def test_deleting_ends_a_waiting_cell(make_host: MakeHost) -> None:
    host = make_host()
    one = await started(host)
    (call,) = await one.calls("await add({'a': 1, 'b': 1})")
    await host.delete("one")
    with pytest.raises(UnknownContainer):
        await one.answer(ToolAnswer(call.id, "2"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("float('nan')", "JSON"),
        ("object()", "JSON"),
        ("__import__('functools').reduce(lambda inner, _: [inner], range(500), 1)", "nested|recursion"),
        ("'x' * (2 << 20)", "larger|long|more than"),
    ],
)
async def test_arguments_that_nobody_could_take(make_host: MakeHost, arguments: str, said: str) -> None:
    """They are an exception in the code, and the cell goes on."""
    one = await started(make_host())
    state = await one.ended(
        f"import re\ntry:\n    await add({{'a': {arguments}}})\nexcept (TypeError, ValueError) as error:\n"
        f"    print(bool(re.search({said!r}, str(error), re.I)) or error)"
    )
    assert (state.stdout, state.stderr) == (b"True\n", b"")


FORGED = """
import fcntl, json, os, struct, time
ends = [int(n) for n in os.listdir("/proc/self/fd") if int(n) > 15 and os.path.exists(f"/proc/self/fd/{n}")]
writable = [n for n in ends if fcntl.fcntl(n, fcntl.F_GETFL) & 3 == 1]
outputs = [os.readlink(f"/proc/self/fd/{n}") for n in (1, 2)]
[report] = [n for n in writable if os.readlink(f"/proc/self/fd/{n}") not in outputs]
def forge(header, payload=b""):
    text = json.dumps(header).encode()
    os.write(report, struct.pack("!II", len(text), len(payload)) + text + payload)
for number in range(1, 9):
    forge({"type": "call", "number": number, "tool": "add"}, b'{"a":[' + b"1e15," * 40_000 + b"1]}")
forge({"type": "waits", "round": 1})
time.sleep(60)
"""
"""Calls that are told around the interpreter's own functions; as they are told on they have four times the length."""


async def test_forged_calls_that_are_too_much_to_be_told_end_the_sandbox(make_host: MakeHost) -> None:
    one = await started(make_host())
    with pytest.raises(SandboxFailed, match="more than"):
        await one.run(FORGED)
    assert (await one.ended("1")).stdout == b"1\n"


async def test_more_calls_at_once_than_may_be_open(make_host: MakeHost) -> None:
    one = await started(make_host())
    state = await one.run(
        "import asyncio\nprint(len(await asyncio.gather(*(add({'a': n, 'b': 0}) for n in range(700)))))"
    )
    seen: list[int] = []
    while isinstance(state, CellWaits):
        assert len(state.calls) <= 256
        seen += [call.arguments["a"] for call in state.calls]
        state = await one.answer(*(ToolAnswer(call.id, json.dumps(call.arguments)) for call in state.calls))
    assert sorted(seen) == list(range(700))
    assert state.stdout == b"700\n"
