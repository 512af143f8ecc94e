"""Reports over a million rows: a month of usage by the minute, and as many spans of execution time.

Prints, for some reports, how many results they have and how long the database takes for them. ``--rows`` says how
many rows there are.
"""

from __future__ import annotations

import argparse
import asyncio
import sqlite3
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from bathysphere.store.database import DATABASE_FILE, Database
from bathysphere.store.execution_report import execution_time
from bathysphere.store.usage_report import Stretch, usage

START = int(datetime(2024, 10, 1, tzinfo=UTC).timestamp())
DAY = 86_400
DAYS = 31
MONTH = Stretch(START, START + DAYS * DAY, DAY)
DIMENSIONS = ("api_key_id", "workspace_id", "model", "service_tier", "context_window", "inference_geo")
KEYS = 23

Row = tuple[str | int | float, ...]


def minutes(count: int) -> Iterator[Row]:
    """Each key has used something in each minute, as far as ``count`` rows go."""
    between = DAYS * DAY // 60 * KEYS / count
    for number in range(count):
        minute, key = divmod(int(number * between), KEYS)
        yield (
            "org_1", START + minute * 60, f"wrkspc_{key % 5}", f"apikey_{key:022}", f"model-{number % 7}", "standard",
            "0-200k", "not_available", 1, 100, 200, 3, 4, 50, 2, 0.5, 10,
        )  # fmt: skip


def spans(count: int) -> Iterator[Row]:
    """Five minutes each, of 20 000 containers."""
    for number in range(count):
        begin = START + int(number * DAYS * DAY / count) // 300 * 300
        key = number % KEYS
        yield (
            f"container_{number % 20_000}",
            "org_1",
            f"wrkspc_{key % 5}",
            f"apikey_{key}",
            begin,
            begin + 300,
            300,
            50_000,
        )


def fill(path: Path, count: int) -> None:
    """Straight into the file; what is measured is reading."""
    with sqlite3.connect(path) as connection:
        connection.executemany(f"INSERT OR IGNORE INTO usage_minutes VALUES ({','.join('?' * 17)})", minutes(count))
        connection.executemany(
            "INSERT INTO execution_time (container_id, organization_id, workspace_id, api_key_id, started_at, ended_at,"
            " paid_seconds, microdollars_per_hour) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            spans(count),
        )


async def measure(folder: Path, count: int) -> None:
    """Make the database, and time the reports."""
    database = await Database.open(folder)
    await asyncio.to_thread(fill, folder / DATABASE_FILE, count)
    week = Stretch(START, START + 7 * DAY, 3600)
    day = Stretch(START, START + DAY, 60)
    one_key = {"api_key_id": [f"apikey_{3:022}"]}
    print(f"{count} minute rows and {count} spans, {(folder / DATABASE_FILE).stat().st_size / 1e6:.0f} MB")
    for what, work in (
        ("usage, 31 days", usage(database, "org_1", MONTH)),
        ("usage, 31 days, by all", usage(database, "org_1", MONTH, DIMENSIONS)),
        ("usage, 31 days, one key", usage(database, "org_1", MONTH, (), one_key)),
        ("usage, 168 hours, by model", usage(database, "org_1", week, ("model",))),
        ("usage, 1440 minutes, by key", usage(database, "org_1", day, ("api_key_id",), limit=50_001)),
        ("cost, 31 days", execution_time(database, "org_1", MONTH)),
        ("cost, 31 days, by workspace", execution_time(database, "org_1", MONTH, ("workspace_id",))),
        (
            "execution, a day, by container",
            execution_time(database, "org_1", Stretch(START, START + DAY, DAY), ("container_id",)),
        ),
    ):
        began = time.perf_counter()
        found = await work
        print(f"{what:<32} {len(found):>7} results {time.perf_counter() - began:>7.2f} s")
    await database.close()


def main() -> None:
    """Run it."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(measure(Path(folder), parser.parse_args().rows))


if __name__ == "__main__":
    main()
