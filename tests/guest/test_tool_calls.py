"""Calls of tools from a cell: told together when the code can only wait, answered to whoever waits for them."""

from __future__ import annotations

import json
import time

import pytest

from .first_process import Ended, FirstProcess, Refused, Waits, function, numbers

GET = function("get", "city", "unit", documentation="The weather.\n\nReturns JSON.")


@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get({'city': 'Oslo'})", {"city": "Oslo"}),
        ("get(city='Oslo', unit=1)", {"city": "Oslo", "unit": 1}),
        ("get('Oslo', 'C')", {"city": "Oslo", "unit": "C"}),
        ("get('Oslo', unit='C')", {"city": "Oslo", "unit": "C"}),
        ("get({'city': 'Oslo'}, unit='C')", {"city": "Oslo", "unit": "C"}),
        ("get()", {}),
        ("get(unknown=(1, 2.5, None, True, 'é'))", {"unknown": [1, 2.5, None, True, "é"]}),
    ],
)
def test_arguments(shared: FirstProcess, call: str, arguments: dict[str, object]) -> None:
    state = shared.cell(f"await {call}", GET)
    assert isinstance(state, Waits)
    assert [(one.tool, one.arguments) for one in state.calls] == [("get", arguments)]
    ended = shared.answer({state.numbers[0]: "mild"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "'mild'\n"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("get(object())", "TypeError: get(): the arguments cannot be written as JSON: "),
        ("get(float('nan'))", "TypeError: get(): the arguments cannot be written as JSON: "),
        ("get(1, 2, 3)", "TypeError: get() takes a dict of arguments, or at most 2 positional arguments (city, unit)"),
        ("get('a', city='b')", "TypeError: get() got more than one value for 'city'"),
        ("get({1: 2})", "TypeError: get(): the name of an argument is 1, which is no text"),
        ("get('x' * 2_000_000)", "ValueError: get(): the arguments are 2000"),
        ("get('\\ud800')", "TypeError: get(): a text in the arguments holds half of a surrogate pair"),
        ("get(eval('[' * 90 + ']' * 90))", "TypeError: get(): the arguments are nested more than 64 levels deep"),
        ("get(10 ** 1000)", "TypeError: get(): the arguments hold an integer of more than 1024 bits"),
    ],
)
def test_arguments_that_cannot_be(shared: FirstProcess, call: str, message: str) -> None:
    ended = shared.run(f"await {call}", GET)
    assert message in ended.stderr
    assert ended.code == 1


def test_functions_are_documented(shared: FirstProcess) -> None:
    ended = shared.run("import inspect\nhelp(get)\nprint(inspect.iscoroutinefunction(get), get.__name__)", GET)
    assert "get(city=..., unit=...) -> str\n    The weather.\n" in ended.stdout
    assert ended.stdout.endswith("True get\n")


def test_functions_come_and_go_with_their_declaration(first: FirstProcess) -> None:
    assert first.run("kept = f\ncallable(f)", function("f")).stdout == "True\n"
    assert first.run("f").stderr.endswith("NameError: name 'f' is not defined\n")
    assert "NameError: f() is not among the tools of this cell" in first.run("await kept()").stderr
    first.run("f = 'the user has it now'", function("f"))
    assert first.run("f").stdout == "'the user has it now'\n"


def test_names_that_are_no_identifiers(first: FirstProcess) -> None:
    tools = [function("get-weather"), function("1st"), function("a-b"), function("a_b")]
    state = first.cell("import asyncio\nawait asyncio.gather(get_weather(), _1st(), a_b())", *tools)
    assert isinstance(state, Waits)
    assert sorted(call.tool for call in state.calls) == ["1st", "a_b", "get-weather"]


def test_calls_at_once_are_told_together(shared: FirstProcess) -> None:
    state = shared.cell("import asyncio\nawait asyncio.gather(*[get(i) for i in range(10)])", GET)
    assert isinstance(state, Waits)
    assert [call.arguments for call in state.calls] == [{"city": i} for i in range(10)]
    state = shared.answer({number: f"a{number}" for number in state.numbers[5:]})
    assert state == Waits([]), "the others are known"
    ended = shared.answer({number: f"b{number}" for number in range(1, 6)})
    assert isinstance(ended, Ended)
    assert ended.stdout == repr([f"b{n}" for n in range(1, 6)] + [f"a{n}" for n in range(6, 11)]) + "\n"


def test_calls_of_tasks_that_take_turns_are_told_together(shared: FirstProcess) -> None:
    source = (
        "import asyncio\nasync def late(n):\n    for _ in range(n): await asyncio.sleep(0)\n    return await get(n)\n"
        "await asyncio.gather(*map(late, range(5)))"
    )
    assert len(numbers(shared.cell(source, GET))) == 5
    assert isinstance(shared.answer(dict.fromkeys(range(1, 6), "")), Ended)


@pytest.mark.parametrize(
    "source",
    [
        "import asyncio\nasync def main(): return await asyncio.gather(get(1), get(2))\nasyncio.run(main())",
        "import asyncio\nasync def main(): return await asyncio.gather(get(1), get(2))\n"
        "await asyncio.sleep(0)\nasyncio.run(main())",
        "import asyncio\nloop = asyncio.get_event_loop()\nloop.run_until_complete(asyncio.gather(get(1), get(2)))"
        "\nawait asyncio.sleep(0)\n_",
        "import asyncio\nasync def main(): return await asyncio.gather(get(1), get(2))\n"
        "await asyncio.to_thread(lambda: asyncio.run(main()))",
    ],
)
def test_loops_of_every_kind(shared: FirstProcess, source: str) -> None:
    state = shared.cell(source.replace("\n_", "\n'x'"), GET)
    assert len(numbers(state)) == 2
    ended = shared.answer({1: "one", 2: "two"})
    assert isinstance(ended, Ended)
    assert ended.stderr == ""
    assert ended.stdout in ("['one', 'two']\n", "'x'\n")


def test_loops_of_several_threads(shared: FirstProcess) -> None:
    ended = shared.work(
        "import asyncio, concurrent.futures\n"
        "async def two(n): return [await get(n), await get(n)]\n"
        "with concurrent.futures.ThreadPoolExecutor(8) as pool:\n"
        "    print(list(pool.map(lambda n: asyncio.run(two(n)), range(8))))",
        {"get": json.dumps},
    )
    assert ended.code == 1, "the tool takes no positional arguments"
    ended = shared.work(
        "with concurrent.futures.ThreadPoolExecutor(8) as pool:\n"
        "    print(list(pool.map(lambda n: asyncio.run(two({'n': n})), range(8))))",
        {"get": lambda arguments: str(arguments["n"])},
    )
    assert ended.stdout == repr([[str(n), str(n)] for n in range(8)]) + "\n"


def test_a_loop_that_is_not_ours(shared: FirstProcess) -> None:
    source = (
        "import asyncio\nclass Own(asyncio.base_events.BaseEventLoop): pass\n"
        "import asyncio.selector_events\n"
        "loop = asyncio.selector_events.BaseSelectorEventLoop()\n"
        "try:\n    r = loop.run_until_complete(get('x'))\nfinally:\n    loop.close()\nr"
    )
    assert numbers(shared.cell(source, GET)) == [1]
    ended = shared.answer({1: "far"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "'far'\n"


@pytest.mark.parametrize("name", ["NameError", "RuntimeError", "TimeoutError", "TypeError", "ValueError"])
def test_answers_that_are_exceptions(shared: FirstProcess, name: str) -> None:
    source = f"try:\n    await get('x')\nexcept {name} as error:\n    print(type(error).__name__, error)"
    assert numbers(shared.cell(source, GET)) == [1]
    ended = shared.answer({1: "what happened"}, {1: name})
    assert isinstance(ended, Ended)
    assert ended.stdout == f"{name} what happened\n"


def test_an_exception_that_nobody_catches(shared: FirstProcess) -> None:
    shared.cell("await get('x')", GET)
    ended = shared.answer({1: "no response"}, {1: "TimeoutError"})
    assert isinstance(ended, Ended)
    assert ended.stderr.endswith("    await get('x')\nTimeoutError: no response\n")
    assert "/guest/" not in ended.stderr
    assert ended.code == 1


def test_a_call_that_the_code_gave_up(shared: FirstProcess) -> None:
    source = (
        "import asyncio\ntry:\n    await asyncio.wait_for(get('x'), 0.05)\nexcept TimeoutError:\n    print('gave up')"
    )
    assert numbers(shared.cell(source, GET)) == [1]
    time.sleep(0.3)
    ended = shared.answer({1: "too late"})
    assert isinstance(ended, Ended)
    assert ended.stdout == "gave up\n"


def test_calls_that_are_open_at_the_end_are_dropped(first: FirstProcess) -> None:
    source = (
        "import asyncio\nasync def call():\n    try:\n        return await get('x')\n"
        "    except RuntimeError as error:\n        return str(error)\n"
        "task = asyncio.create_task(call())\nawait asyncio.sleep(0.05)"
    )
    assert numbers(first.cell(source, GET)) == [1]
    time.sleep(0.3)
    assert isinstance(first.answer({}), Ended)
    assert first.run("await task").stdout == "'The cell that made this call has ended'\n"
    state = first.cell("await get('y')", GET)
    assert isinstance(state, Waits)
    assert [call.arguments for call in state.calls] == [{"city": "y"}]


def test_output_while_it_waits_is_drained(first: FirstProcess) -> None:
    source = (
        "import asyncio, threading\n"
        "thread = threading.Thread(target=lambda: print('x' * 1_000_000))\n"
        "thread.start()\nawait get('a')\nthread.join()\nprint('end')"
    )
    assert numbers(first.cell(source, GET)) == [1]
    ended = first.answer({1: ""})
    assert isinstance(ended, Ended)
    assert ended.stdout.endswith("x\nend\n")
    assert "bytes left out" in ended.stdout


def test_more_calls_than_may_be_open(shared: FirstProcess) -> None:
    state = shared.cell("import asyncio\nr = await asyncio.gather(*[get(i) for i in range(600)])\nlen(set(r))", GET)
    told = []
    while isinstance(state, Waits):
        assert len(state.calls) <= 256
        told += state.calls
        state = shared.answer({number: str(number) for number in state.numbers})
    assert sorted(call.arguments["city"] for call in told) == list(range(600))
    assert state.stdout == "600\n"


def test_large_arguments_are_told_a_few_at_a_time(shared: FirstProcess) -> None:
    state = shared.cell("import asyncio\nr = await asyncio.gather(*[get('x' * 900_000) for i in range(20)])", GET)
    calls = 0
    while isinstance(state, Waits):
        assert 0 < len(state.calls) < 10
        calls += len(state.calls)
        state = shared.answer(dict.fromkeys(state.numbers, ""))
    assert calls == 20
    assert state.code == 0


def test_a_cell_has_so_many_calls(shared: FirstProcess) -> None:
    ended = shared.work(
        "import asyncio\nn = 0\nwhile True:\n    await asyncio.gather(*[get({}) for _ in range(250)])\n    n += 250",
        {"get": lambda arguments: ""},
    )
    assert "RuntimeError: one cell may make 10000 calls of tools, and this one has" in ended.stderr
    assert shared.run("n").stdout == "10000\n"


def test_waiting_does_not_count(first: FirstProcess) -> None:
    first.send_cell("import time\ntime.sleep(0.1)\nawait get(1)\ntime.sleep(0.1)", GET, seconds=2)
    assert numbers(first.outcome()) == [1]
    time.sleep(2.5)
    ended = first.answer({1: ""})
    assert isinstance(ended, Ended)
    assert not ended.report["timed_out"]


def test_answers_for_no_cell(first: FirstProcess) -> None:
    first.send("answer", {"answers": []})
    with pytest.raises(Refused) as refused:
        first.outcome()
    assert refused.value.code == "cell_gone"


def test_only_one_cell_at_a_time(first: FirstProcess) -> None:
    assert numbers(first.cell("await get(1)", GET)) == [1]
    first.send_cell("1")
    with pytest.raises(Refused) as refused:
        first.outcome()
    assert refused.value.code == "bad_request"
    assert isinstance(first.answer({1: ""}), Ended)
