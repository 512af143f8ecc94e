"""A program over tools does the same in a container as in one process where the tools are functions.

Programs are made by chance: calls in a row, at once, in loops and branches, with tools that give errors, exceptions,
or no answer at all.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import io
import itertools
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from textwrap import indent
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bathysphere.containers.host import Cell, CellState, CellWaits, ToolAnswer, ToolCall, ToolFunction
from bathysphere.containers.local import LocalHost

from .conftest import settings_of

TOOL_SECONDS = 0.1
FUNCTIONS = tuple(ToolFunction(name, ("n",)) for name in ("double", "complain", "refuse", "silent"))


class Silence(Exception):
    """There will be no answer."""


def tool(name: str, arguments: dict[str, Any]) -> str:
    """What a client's tool gives. Raises ValueError for what never gets to the client."""
    n = arguments["n"]
    if name == "double":
        return str(2 * n)
    if name == "complain":
        return f"Error: no {n}"
    if name == "refuse":
        raise ValueError(f"{n} is not allowed")
    raise Silence


async def in_process(name: str, arguments: dict[str, Any]) -> str:
    """A tool as a function."""
    await asyncio.sleep(0)
    try:
        return tool(name, arguments)
    except Silence:
        raise TimeoutError(f"Calling tool ['{name}'] timed out (no response after {TOOL_SECONDS:g}s).") from None


def expected(source: str) -> str:
    """What the program prints when its tools are functions."""

    def function(name: str) -> Callable[[dict[str, Any]], Awaitable[str]]:
        return lambda arguments: in_process(name, arguments)

    code = compile(source, "program", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    variables: dict[str, Any] = {function_.name: function(function_.name) for function_ in FUNCTIONS}
    printed = io.StringIO()

    async def run() -> None:
        running = eval(code, variables)
        if running is not None:
            await running

    with contextlib.redirect_stdout(printed):
        asyncio.run(run())
    return printed.getvalue()


def answer(call: ToolCall) -> ToolAnswer | None:
    """The answer to a call; None for silence."""
    try:
        return ToolAnswer(call.id, tool(call.tool, call.arguments))
    except ValueError as error:
        return ToolAnswer(call.id, str(error), "ValueError")
    except Silence:
        return None


async def in_a_container(host: LocalHost, cell_id: str, source: str) -> str:
    """What the program prints when its tools are answered from outside."""
    state: CellState = await host.run_cell("one", cell_id, Cell(source, 60, FUNCTIONS))
    while isinstance(state, CellWaits):
        answers = [given for call in state.calls if (given := answer(call)) is not None]
        if not answers:
            await asyncio.sleep(TOOL_SECONDS / 4)
        state = await host.answer_cell("one", cell_id, answers)
    assert (state.stderr, state.finished.return_code) == (b"", 0), (state, source)
    return state.stdout.decode()


numbers = st.integers(-3, 9)
names = st.sampled_from(["double", "double", "double", "complain", "refuse", "silent"])
calls = st.builds(lambda name, n: f"{name}({{'n': {n}}})", names, numbers)
safe_calls = st.builds(lambda n: f"double({{'n': {n}}})", numbers)


def block(parts: list[str]) -> str:
    return "\n".join(parts) or "pass"


def tried(body: str) -> str:
    caught = "except (ValueError, TimeoutError) as error:\n    print(type(error).__name__, error)"
    return f"try:\n{indent(body, '    ')}\n{caught}"


def gathered(inner: list[str], exceptions: bool) -> str:
    listed = ", ".join(inner)
    line = f"results = await asyncio.gather({listed}, return_exceptions={exceptions})"
    # An exception that is not returned leaves the others running: which of them end is chance.
    return f"{line}\nprint([str(result) for result in results])"


simple = st.one_of(
    st.builds(lambda call: tried(f"print(await {call})"), calls),
    st.builds(lambda inner: gathered(inner, True), st.lists(calls, min_size=1, max_size=5)),
    st.builds(lambda inner: gathered(inner, False), st.lists(safe_calls, min_size=1, max_size=8)),
    st.builds(lambda n: f"total += int(await double({{'n': {n}}}))\nprint(total)", numbers),
    st.builds(
        lambda call: (
            "async def later():\n"
            f"    first = await {call}\n    return first, await double({{'n': len(first)}})\n"
            + tried("print(await later())")
        ),
        calls,
    ),
    st.builds(
        lambda call: f"task = asyncio.create_task({call})\nprint('between')\n" + tried("print(await task)"), calls
    ),
)
statements = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(
            lambda n, body: f"for index in range({n}):\n{indent(block(body), '    ')}",
            st.integers(0, 3),
            st.lists(inner, min_size=1, max_size=2),
        ),
        st.builds(
            lambda n, yes, no: (
                f"if int(await double({{'n': {n}}})) > 4:\n{indent(yes, '    ')}\nelse:\n{indent(no, '    ')}"
            ),
            numbers,
            inner,
            inner,
        ),
    ),
    max_leaves=4,
)
programs = st.builds(lambda parts: block(["import asyncio", "total = 0", *parts]), st.lists(statements, max_size=4))


@pytest.fixture(scope="module")
def run_in_a_container(
    image: Path, environment: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], str]]:
    """Runs programs one after the other in the same interpreter."""
    tables: dict[str, dict[str, object]] = {"sandbox": {"tool_seconds": TOOL_SECONDS}}
    host = LocalHost(tmp_path_factory.mktemp("programs") / "data", settings_of(**tables), image, environment)
    cells = (f"cell{number}" for number in itertools.count())
    with asyncio.Runner() as runner:
        runner.run(host.create("one"))
        yield lambda source: runner.run(in_a_container(host, next(cells), source))
        runner.run(host.close(stop_host=True))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(programs)
def test_the_same_in_a_container(run_in_a_container: Callable[[str], str], source: str) -> None:
    assert run_in_a_container(source) == expected(source)
