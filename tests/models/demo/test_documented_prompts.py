"""The prompts of the documentation, answered from what really ran, with either version of the tool."""

from __future__ import annotations

import re
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

from bathysphere.models.demo.guidance import NOTICE
from tests.models.demo.workbench import PYTHON_ONLY, SHELL_AND_EDITOR, Workbench

Tools = list[dict[str, Any]]


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path)


@pytest.fixture(params=[SHELL_AND_EDITOR, PYTHON_ONLY], ids=["bash and editor", "python only"])
def tools(request: pytest.FixtureRequest) -> Tools:
    chosen: Tools = request.param
    return chosen


@pytest.mark.parametrize(
    "numbers", [[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], [2.5, -4, 1e3], [3, 3, 3]], ids=["documented", "mixed", "constant"]
)
async def test_mean_and_standard_deviation(bench: Workbench, tools: Tools, numbers: list[float]) -> None:
    answer = await bench.converse(f"Calculate the mean and standard deviation of {numbers}", tools=tools)
    assert f"mean: {statistics.fmean(numbers)}" in answer.text
    assert str(float(statistics.pstdev(numbers))) in answer.text
    assert str(float(statistics.stdev(numbers))) in answer.text
    assert answer.stop_reason == "end_turn"


async def test_a_single_value_has_no_sample_deviation(bench: Workbench, tools: Tools) -> None:
    answer = await bench.converse("what's the average of [7]?", tools=tools)
    assert "mean: 7" in answer.text
    assert "not defined for a single value" in answer.text


@pytest.mark.parametrize(
    ("listed", "why"),
    [("[]", "the list is empty"), ("[1, two]", "'two' in the list is not a number"), ("[1e999]", "too large")],
)
async def test_a_list_that_cannot_be_used_is_refused_without_running(bench: Workbench, listed: str, why: str) -> None:
    answer = await bench.converse(f"Calculate the mean and standard deviation of {listed}")
    assert why in answer.text
    assert bench.calls == []


async def test_python_version_and_packages(bench: Workbench, tools: Tools) -> None:
    answer = await bench.converse("Check the Python version and list installed packages", tools=tools)
    assert f"Python {sys.version.split()[0]}" in answer.text
    assert re.search(r"^- pydantic \d", answer.text, re.M)


async def test_config_file_is_created_changed_and_shown(bench: Workbench, tools: Tools) -> None:
    prompt = "Create a config.yaml file with database settings, then update the port from 5432 to 3306"
    answer = await bench.converse(prompt, tools=tools)
    written = (bench.home / "config.yaml").read_text()
    assert "port: 3306" in written and "5432" not in written
    assert written.strip() in answer.text
    if tools is SHELL_AND_EDITOR:
        assert [call["input"]["command"] for call in bench.calls] == ["create", "str_replace", "view"]


async def test_a_drawing_comes_back_under_the_name_asked_for(bench: Workbench, tools: Tools) -> None:
    answer = await bench.converse("Create a matplotlib visualization and save it as output.png", tools=tools)
    image = bench.output_files["output.png"].read_bytes()
    assert image.startswith(b"\x89PNG")
    assert f"output.png ({len(image)} bytes)" in answer.text


async def test_a_drawing_of_given_numbers(bench: Workbench) -> None:
    answer = await bench.converse("Plot [3, 1, 4, 1, 5] as chart.svg please")
    assert "<svg" in bench.output_files["chart.svg"].read_text()
    assert "5 points" in answer.text and "1 to 5" in answer.text


async def test_a_number_is_written_and_read_back_in_the_next_request(bench: Workbench, tools: Tools) -> None:
    path = bench.temporary / "number.txt"
    first = await bench.converse(f"Write a file with a random number and save it to '{path}'", tools=tools)
    number = int(path.read_text())
    assert f"the random number {number} to {path}" in first.text
    second = await bench.converse(f"Read the number from '{path}' and calculate its square", tools=tools)
    assert f"{path} holds {number}, and its square is {number**2}." in second.text


async def test_a_missing_file_is_told_about(bench: Workbench, tools: Tools) -> None:
    answer = await bench.converse("Read the number from 'nowhere.txt' and calculate its square", tools=tools)
    assert "No such file or directory: 'nowhere.txt'" in answer.text
    assert "square is" not in answer.text


async def test_a_file_without_a_number_is_told_about(bench: Workbench) -> None:
    (bench.home / "word.txt").write_text("bathyscaphe\n")
    answer = await bench.converse("Read the number from 'word.txt' and calculate its square")
    assert "word.txt does not hold a number: 'bathyscaphe'" in answer.text


async def test_every_conversation_begins_with_what_this_is(bench: Workbench) -> None:
    answer = await bench.converse("Calculate the mean of [1, 2]")
    assert answer.text.startswith(NOTICE)
    assert answer.text.count(NOTICE) == 1
    assert "no language model" in NOTICE
