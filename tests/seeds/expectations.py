"""What a reader of the documentation expects of each of its examples, whichever client sent it."""

from __future__ import annotations

import csv
import io
import re
import statistics
import struct
from datetime import UTC, datetime
from typing import Any

Message = dict[str, Any]

NUMBERS = list(range(1, 11))
PNG = b"\x89PNG\r\n\x1a\n"

_ROWS = [
    (f"2026-{month:02}", region, 40 + 7 * month + 5 * place, round(12.5 * month + 90.25 * (place + 1), 2))
    for month in range(1, 13)
    for place, region in enumerate(("north", "south", "west"))
]


def data_csv() -> bytes:
    """The ``data.csv`` that the examples upload: 36 rows, numbers and words."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["month", "region", "units", "revenue"])
    writer.writerows(_ROWS)
    return text.getvalue().encode()


def calls(message: Message) -> list[tuple[dict[str, Any], dict[str, Any]]]:
    """Each ``server_tool_use`` with its result. Pairing and order are checked: a result follows its call."""
    waiting: dict[str, dict[str, Any]] = {}
    pairs = []
    for block in message["content"]:
        if block["type"] == "server_tool_use":
            assert re.fullmatch(r"srvtoolu_[a-zA-Z0-9_]+", block["id"])
            assert block["id"] not in waiting
            waiting[block["id"]] = block
        elif block["type"].endswith("_tool_result"):
            call = waiting.pop(block["tool_use_id"])
            assert block["type"] == f"{call['name']}_tool_result"
            pairs.append((call, block))
    assert not waiting, "calls without a result"
    return pairs


def results(message: Message, name: str = "bash_code_execution") -> list[dict[str, Any]]:
    """The contents of the results of one sub-tool, in order."""
    return [result["content"] for call, result in calls(message) if call["name"] == name]


def output(message: Message) -> str:
    """Everything that commands printed on standard output."""
    return "".join(result["stdout"] for result in results(message))


def text(message: Message) -> str:
    """The model's own words."""
    return "".join(block["text"] for block in message["content"] if block["type"] == "text")


def file_ids(message: Message) -> list[str]:
    """Ids of the files that commands produced, in order."""
    return [file["file_id"] for result in results(message) for file in result["content"]]


def check_finished(message: Message) -> None:
    """What holds of every example: it ran something that worked, ended its turn, and names its container."""
    assert message["type"] == "message"
    assert message["role"] == "assistant"
    assert message["id"].startswith("msg_")
    assert message["stop_reason"] == "end_turn"
    assert message["stop_sequence"] is None
    assert message["container"]["id"].startswith("container_")
    expires_at = datetime.fromisoformat(message["container"]["expires_at"])
    assert expires_at > datetime.now(UTC)
    assert message["usage"]["output_tokens"] > 0
    assert message["content"][-1]["type"] == "text"
    assert message["content"][-1]["text"].strip()
    pairs = calls(message)
    assert pairs, "nothing was run"
    for _, result in pairs:
        assert not result["content"]["type"].endswith("_error"), result
        if result["type"] == "bash_code_execution_tool_result":
            assert set(result["content"]) >= {"type", "stdout", "stderr", "return_code", "content"}
            assert result["content"]["type"] == "bash_code_execution_result"
            assert result["content"]["return_code"] == 0, result["content"]["stderr"]


def check_mean_and_deviation(message: Message) -> None:
    check_finished(message)
    sample, population = statistics.stdev(NUMBERS), statistics.pstdev(NUMBERS)
    for words in (output(message), text(message)):
        assert "5.5" in words
        assert f"{sample:.2f}" in words or f"{population:.2f}" in words


def check_python_version(message: Message) -> None:
    check_finished(message)
    assert re.search(r"\b3\.11\.\d+", output(message))
    for package in ("pandas", "numpy", "matplotlib", "scikit-learn"):
        assert package in output(message)
    assert "3.11" in text(message)


def check_config_file(message: Message) -> None:
    check_finished(message)
    edits = results(message, "text_editor_code_execution")
    kinds = [edit["type"].removeprefix("text_editor_code_execution_") for edit in edits]
    assert kinds.index("create_result") < kinds.index("str_replace_result") < kinds.index("view_result")
    create, replace, view = (edits[kinds.index(f"{kind}_result")] for kind in ("create", "str_replace", "view"))
    assert create["is_file_update"] is False
    removed = [line for line in replace["lines"] if line.startswith("-")]
    added = [line for line in replace["lines"] if line.startswith("+")]
    assert [line.strip("- ") for line in removed] == ["port: 5432"]
    assert [line.strip("+ ") for line in added] == ["port: 3306"]
    assert replace["old_lines"] == replace["new_lines"] == len(replace["lines"]) - 1
    assert view["file_type"] == "text"
    assert "port: 3306" in view["content"]
    assert "5432" not in view["content"]
    assert view["num_lines"] == len(view["content"].splitlines())


def check_uploaded_csv(message: Message) -> None:
    check_finished(message)
    shown = output(message)
    for column in ("month", "region", "units", "revenue"):
        assert column in shown
    assert str(len(_ROWS)) in shown
    assert f"{statistics.mean(row[2] for row in _ROWS):.1f}" in shown


def check_generated_files(message: Message, produced: dict[str, bytes]) -> None:
    """``produced`` holds the downloaded files by name."""
    check_finished(message)
    assert file_ids(message)
    check_picture(produced["output.png"])


def check_combined_operations(message: Message, produced: dict[str, bytes]) -> None:
    """A report, pictures and a README with findings that come from the data."""
    check_finished(message)
    readme = next(content for name, content in produced.items() if name.lower().startswith("readme"))
    assert any("report" in name.lower() or "summary" in name.lower() for name in produced)
    pictures = [content for name, content in produced.items() if name.endswith(".png")]
    assert pictures
    for picture in pictures:
        check_picture(picture)
    assert b"revenue" in readme
    assert str(len(_ROWS)).encode() in readme


def check_container_reuse(first: Message, second: Message) -> None:
    """The number that the second request squares is the one that the first one wrote."""
    check_finished(first)
    check_finished(second)
    assert second["container"]["id"] == first["container"]["id"]
    numbers = {int(number) for number in re.findall(r"\d+", output(first) + text(first))}
    squares = {int(number) for number in re.findall(r"\d+", output(second))}
    assert any(number * number in squares for number in numbers if number > 1)


def check_picture(content: bytes) -> None:
    """A PNG that holds a picture: whole, and of a size that a chart has."""
    assert content.startswith(PNG)
    assert content.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", content[16:24])
    assert width >= 200
    assert height >= 200
    assert len(content) > 2000
