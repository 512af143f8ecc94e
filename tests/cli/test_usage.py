"""``bathysphere usage``."""

from __future__ import annotations

import asyncio
import csv
import json
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from rich.cells import cell_len

from bathysphere.cli.bars import bars
from bathysphere.cli.usage import usage
from bathysphere.settings import store_directory
from bathysphere.store import keys, organizations, workspaces
from bathysphere.store.database import Database
from bathysphere.store.keys import ApiKey
from bathysphere.store.schema import (
    Base,
    ExecutionTimeRow,
    MeteredRequestRow,
    MonthlyTotalRow,
    UsageMinuteRow,
)

DAY = 86_400
MARCH = ("--since", "2024-03-01", "--until", "2024-03-31")
HOSTILE = "=cmd|calc\x1b[2J"


def run(data: Path, *arguments: str) -> Result:
    return CliRunner().invoke(usage, ["--data", str(data), *arguments])


def in_database(data: Path, work: Callable[[Database], Awaitable[None]]) -> None:
    async def run() -> None:
        database = await Database.open(store_directory(data))
        try:
            await work(database)
        finally:
            await database.close()

    asyncio.run(run())


def at(day: int, hour: int = 0) -> int:
    return int(datetime(2024, 3, day, hour, tzinfo=UTC).timestamp())


def rows(organization_id: str, key: ApiKey, model: str, day: int, scale: int) -> Iterable[Base]:
    """A day of a key: ``scale`` requests with 1 000 tokens in and 100 out each, and as many hours."""
    who = {"organization_id": organization_id, "workspace_id": key.workspace_id, "api_key_id": key.id}
    tokens = {
        "uncached_input_tokens": 400 * scale,
        "cache_read_input_tokens": 300 * scale,
        "cache_creation_5m_tokens": 200 * scale,
        "cache_creation_1h_tokens": 100 * scale,
        "output_tokens": 100 * scale,
    }
    yield UsageMinuteRow(
        **who, **tokens, minute=at(day, 10), model=model, service_tier="standard", context_window="0-200k",
        inference_geo="not_available", requests=scale, tool_calls=2 * scale, cpu_seconds=0, stored_bytes=0,
    )  # fmt: skip
    yield ExecutionTimeRow(
        **who, container_id="container_1", started_at=at(day), ended_at=at(day) + 3600 * scale,
        paid_seconds=1800 * scale, microdollars_per_hour=50_000,
    )  # fmt: skip
    yield MeteredRequestRow(
        **who, **tokens, request_id=f"req_{day}", batch_id=None, container_id=None, model=model,
        service_tier="standard", started_at=datetime.fromtimestamp(at(day, 10), UTC), duration_seconds=1.25,
        outcome="finished", tool_calls=2, cpu_seconds=0.75, peak_memory_bytes=3 * 2**20, stored_bytes=2048,
    )  # fmt: skip


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    data = tmp_path_factory.mktemp("usage")

    async def fill(database: Database) -> None:
        lab = await workspaces.named(database, "lab")
        laptop, *twins = [(await keys.create(database, lab, name))[0] for name in ("laptop", "ci", "ci")]
        organization_id = (await organizations.first(database)).id
        async with database.writing() as session:
            session.add_all(rows(organization_id, laptop, "m", 1, 4))
            session.add_all(rows(organization_id, twins[0], HOSTILE, 2, 2))
            session.add_all(rows(organization_id, twins[1], "m", 4, 1))
            session.add(
                MonthlyTotalRow(
                    subject_id=organization_id, month="2024-03", requests=7, execution_seconds=7 * 3600,
                    microdollar_seconds=0,
                )
            )  # fmt: skip

    in_database(data, fill)
    return data


def test_a_month_by_day_is_a_table_and_a_chart_of_80_columns(data: Path) -> None:
    shown = run(data, *MARCH)
    assert shown.exit_code == 0
    table, chart, free = shown.stdout.split("\n\n", 1)[0], shown.stdout.split("\n\n")[2], shown.stdout.splitlines()[-1]
    assert table.splitlines() == [
        "DAY         REQUESTS  TOKENS IN  OUT  TOOL CALLS  HOURS  DOLLARS",
        "2024-03-01         4     4.00 k  400           8   4.00     0.10",
        "2024-03-02         2     2.00 k  200           4   2.00     0.05",
        "2024-03-04         1     1.00 k  100           2   1.00     0.03",
        "TOTAL              7     7.00 k  700          14   7.00     0.17",
    ]
    bars = [line.split() for line in chart.splitlines()]
    assert [len(bar[1]) for bar in bars[:2]] == [62, 31], "the longest bar fills the line"
    assert bars[2] == ["2024-03-03", "0.00"], "a day without any use is a gap"
    assert all(cell_len(line) <= 80 for line in shown.stdout.splitlines())
    assert free == "Free hours in 2024-03: 1,550.0 in all, 7.00 used, 1,543.0 left."


def test_lines_may_be_for_anything_else(data: Path) -> None:
    by_key = run(data, *MARCH, "--by", "key").stdout.splitlines()
    assert by_key[1].startswith("laptop (lab) ") and by_key[2].startswith("ci …") and " (lab) " in by_key[2]
    assert run(data, *MARCH, "--by", "workspace").stdout.splitlines()[1].split() == [
        "lab", "7", "7.00", "k", "700", "14", "7.00", "0.17",
    ]  # fmt: skip
    by_month = run(data, "--since", "2024-01-01", "--until", "2024-12-31", "--by", "month")
    assert by_month.stdout.splitlines()[1].startswith("2024-03 ")
    by_model = run(data, *MARCH, "--by", "model").stdout
    assert "=cmd|calc\\x1b[2J" in by_model and "\x1b" not in by_model
    assert by_model.splitlines()[1].split()[-2:] == ["-", "-"], "time is booked for containers, not for models"


def test_csv_and_json_hold_every_figure(data: Path) -> None:
    table = list(csv.DictReader(run(data, *MARCH, "--by", "model", "--csv").stdout.splitlines()))
    assert [row["model"] for row in table] == ["m", "'=cmd|calc\\x1b[2J"], "no formula, and nothing for a terminal"
    assert {(row["execution_hours"], row["dollars"]) for row in table} == {("", "")}, "not known is not nothing"
    assert (table[0]["requests"], table[0]["input_tokens"]) == ("5", "5000")
    document = json.loads(run(data, *MARCH, "--by", "day", "--json").stdout)
    assert [line["execution_seconds"] for line in document["data"]] == [14400, 7200, 3600]
    assert document["total"]["dollars"] == pytest.approx(0.175)
    assert document["free"][0]["left_hours"] == 1543
    assert run(data, "--since", "2020-01-01", "--until", "2020-01-31", "--csv").stdout.startswith("day,id,requests")


def test_the_last_requests_are_a_line_each(data: Path) -> None:
    lines = run(data, *MARCH, "--requests", "--limit", "2").stdout.splitlines()
    assert len(lines) == 3
    assert lines[1].startswith("03-02 10:00:00  ci …") and "\\x1b" in lines[1]
    figures = ["1.2", "1.00", "k", "100", "2", "0.75", "3.0", "MiB", "2.0", "KiB"]
    assert lines[2].split()[-len(figures) :] == figures
    found = json.loads(run(data, *MARCH, "--requests", "--json").stdout)
    assert [row["request_id"] for row in found] == ["req_1", "req_2", "req_4"]


def test_nothing_and_mistakes_are_said(data: Path, tmp_path: Path) -> None:
    assert (
        "Nothing was used from 2020-01-01 to 2020-01-02"
        in run(data, "--since", "2020-01-01", "--until", "2020-01-02").stderr
    )
    wrong = run(data, "--since", "2024-03-02", "--until", "2024-03-01")
    assert wrong.exit_code == 2 and "is after" in wrong.stderr
    assert run(data, "--since", "yesterday").exit_code == 2
    assert "There is no data directory" in run(tmp_path / "nowhere").stderr


def test_bars_are_as_long_as_their_values_say() -> None:
    assert bars([("a", 4, "4"), ("深海", 1, "1"), ("none", 0, "0"), ("little", 0.0001, "~")], 21).splitlines() == [
        "a       ██████████  4",
        "深海    ██▌         1",
        "none                0",
        "little  ▏           ~",
    ]
    assert bars([("a", 0, "0")], 20) == "a" + " " * 18 + "0"
    assert bars([], 80) == ""
