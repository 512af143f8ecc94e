"""Programmatic tool calling through the SDKs' own tool runners, unmodified (WIRE h)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.clients import environments
from tests.clients.conftest import Upstreams, serving
from tests.clients.environments import ALL, PYTHON_2, TYPESCRIPT_2, Sdk
from tests.clients.scripted_model import check_history
from tests.models.scripted_upstream import Call, Failure, Say, Turn


@dataclass(frozen=True)
class Program:
    """What the model writes, what it prints, and how often the client's tools are called and it is asked."""

    code: str
    output: str
    calls: list[list[Any]]
    pauses: int


CITIES = ("Oslo", "Rome", "Cairo", "Lima", "Delhi")

PROGRAMS = {
    "weather": Program(
        "import json\n"
        "degrees = {}\n"
        f"for city in {CITIES!r}:\n"
        "    degrees[city] = json.loads(await get_weather({'city': city}))['c']\n"
        "print(max(degrees, key=degrees.get))",
        "Delhi\n",
        [["get_weather", city] for city in CITIES],
        5,
    ),
    "loop": Program(
        "total = 0\nfor n in range(20):\n    total = int(await add({'a': total, 'b': n}))\ntotal",
        "190\n",
        [["add", sum(range(n)), n] for n in range(20)],
        20,
    ),
    "gather": Program(
        "import asyncio\n"
        "async def main():\n"
        "    return await asyncio.gather(*(add({'a': n, 'b': 100}) for n in range(10)))\n"
        "print(*asyncio.run(main()))",
        " ".join(str(n + 100) for n in range(10)) + "\n",
        [["add", n, 100] for n in range(10)],
        1,
    ),
    "branch": Program(
        "if int(await add({'a': 1, 'b': 1})) > 1:\n"
        "    print((await get_weather({'city': 'Rome'})).replace(' ', ''))\n"
        "else:\n"
        "    print(await get_weather({'city': 'Oslo'}))",
        '{"c":19}\n',
        [["add", 1, 1], ["get_weather", "Rome"]],
        2,
    ),
    "raise": Program(
        "said = await fail({'reason': 'no luck'})\nprint(type(said).__name__, 'no luck' in said)",
        "str True\n",
        [["fail", "no luck"]],
        1,
    ),
    "slow": Program(
        "try:\n    print(await slow({'seconds': 2.5}))\nexcept TimeoutError as error:\n    print(error)",
        "Calling tool ['slow'] timed out (no response after 1s).\n",
        [["slow", 2.5]],
        1,
    ),
}


def model(body: dict[str, Any]) -> Turn | Failure:
    """Writes the program that it is asked for, then tells its result. It never sees what the tools gave."""
    results = check_history(body)
    name = next(name for name in PROGRAMS if f"program: {name}" in str(body["messages"][:2]))
    tools = {tool.get("name") or tool["function"]["name"]: tool for tool in body["tools"]}
    assert "get_weather" in str(tools["code_execution"])
    assert "get_weather" not in tools
    if not results:
        return Turn(Say("I write a program."), Call("code_execution", {"code": PROGRAMS[name].code}, id="toolu_cell"))
    assert len(results) == 1
    return Turn(Say(f"It printed {results[0]}"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Upstreams]:
    """A server whose code waits for its tools for a second only."""
    with serving(tmp_path_factory.mktemp("programmatic"), {"sandbox": {"tool_seconds": 1}}) as upstreams:
        yield upstreams


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streaming"])
@pytest.mark.parametrize("sdk", ALL, ids=str)
def test_tool_runners_complete(quick: Upstreams, tmp_path: Path, sdk: Sdk, stream: bool, name: str) -> None:
    check(quick, tmp_path, sdk, stream, name, "via-anthropic")


@pytest.mark.parametrize("name", ["weather", "gather"])
@pytest.mark.parametrize("sdk", [PYTHON_2, TYPESCRIPT_2], ids=str)
def test_with_any_other_model_as_well(quick: Upstreams, tmp_path: Path, sdk: Sdk, name: str) -> None:
    check(quick, tmp_path, sdk, True, name, "via-openai")


def test_the_newest_version_of_the_tool(quick: Upstreams, tmp_path: Path) -> None:
    """Callers and versions of 2026 go together as they come; the answer names the older one (WIRE b.1)."""
    check(quick, tmp_path, PYTHON_2, True, "branch", "via-anthropic", TOOL="code_execution_20260521")


@pytest.mark.parametrize("sdk", ALL, ids=str)
def test_as_it_was_when_it_was_new(quick: Upstreams, tmp_path: Path, sdk: Sdk) -> None:
    """The first version of it, as the documentation of November 2025 shows it: answers name that version."""
    version = "code_execution_20250825"
    more = {"TOOL": version, "CALLER": version, "BETAS": "advanced-tool-use-2025-11-20"}
    check(quick, tmp_path, sdk, False, "weather", "via-anthropic", **more)


def check(upstreams: Upstreams, folder: Path, sdk: Sdk, stream: bool, name: str, model_name: str, **more: str) -> None:
    upstreams.upstream.requests.clear()
    upstreams.upstream.respond = model
    variables = {"MODEL": model_name, "STREAM": "1" if stream else "0", **more}
    ran = environments.run(sdk, "programmatic", upstreams.server, folder, [f"program: {name}"], variables)
    program = PROGRAMS[name]
    caller = more.get("CALLER", "code_execution_20260120")
    assert sorted(ran["calls"]) == sorted(program.calls)
    *paused, last = ran["messages"]
    assert len(paused) == program.pauses
    assert [message["stop_reason"] for message in paused] == ["tool_use"] * len(paused)
    # Asked once for the program and once for what to say of it, and not in between.
    assert len(upstreams.upstream.requests) == 2
    (cell,) = [block for block in paused[0]["content"] if block["type"] == "server_tool_use"]
    assert cell["name"] == "code_execution"
    for message in paused:
        for block in message["content"]:
            if block["type"] == "tool_use":
                assert block["caller"] == {"type": caller, "tool_id": cell["id"]}
    for message in paused[1:]:
        assert {block["type"] for block in message["content"]} == {"tool_use"}
        assert message["usage"]["input_tokens"] == message["usage"]["output_tokens"] == 0
        assert message["container"]["id"] == paused[0]["container"]["id"]
    result, text = last["content"]
    assert result["tool_use_id"] == cell["id"]
    assert result["content"]["stdout"] == program.output
    assert (result["content"]["stderr"], result["content"]["return_code"]) == ("", 0)
    assert text["text"].startswith("It printed ")
    assert last["stop_reason"] == "end_turn"
