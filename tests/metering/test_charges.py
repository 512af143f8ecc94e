"""From executions to charges, by worked examples (docs/metering.md has them too) and against the simplest form."""

from __future__ import annotations

import asyncio
import random
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bathysphere.metering.charges import Charge, Execution, charges
from bathysphere.metering.tariff import Tariff, cents, is_free
from bathysphere.store import execution_time
from bathysphere.store.database import Database
from bathysphere.store.schema import ExecutionTimeRow, MonthlyTotalRow, OrganizationRow, WorkspaceRow
from tests.metering.naive import billed_seconds, cost

DOCUMENTED = Tariff.of(Decimal("0.05"), 1550, 300)
NOTHING_FREE = Tariff.of(Decimal("0.05"), 0, 300)
ORGANIZATIONS = {"wrkspc_1": "org_1", "wrkspc_2": "org_1", "wrkspc_3": "org_2"}


def ran(at: str, seconds: float = 1.0, container: str = "container_1", workspace: str = "wrkspc_1") -> Execution:
    began = datetime.fromisoformat(at).replace(tzinfo=UTC)
    return Execution(container, workspace, "apikey_1", began, seconds)


def seconds_by_day(found: Sequence[Charge]) -> dict[str, int]:
    days: Counter[str] = Counter()
    for charge in found:
        days[f"{datetime.fromtimestamp(charge.span.start, UTC):%m-%d}"] += charge.span.seconds
    return dict(days)


@pytest.mark.parametrize(
    ("executions", "by_day"),
    [
        pytest.param([ran("2026-11-10T10:00:00")], {"11-10": 300}, id="one second counts as five minutes"),
        pytest.param([ran("2026-11-10T10:00:00", 400)], {"11-10": 400}, id="beyond them, what it takes"),
        pytest.param([ran("2026-11-10T10:00:00.900", 399.2)], {"11-10": 401}, id="a second that is touched is whole"),
        pytest.param(
            [ran("2026-11-10T10:00:00"), ran("2026-11-10T10:04:00")], {"11-10": 540}, id="the second within the first's"
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00", 60), ran("2026-11-10T10:00:30", 60)], {"11-10": 330}, id="two at the same time"
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00"), ran("2026-11-10T10:00:00", container="container_2")],
            {"11-10": 600},
            id="two containers",
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00"), ran("2026-11-10T12:00:00")], {"11-10": 600}, id="suspended for two hours"
        ),
        pytest.param([ran("2026-11-30T23:58:00")], {"11-30": 120, "12-01": 180}, id="the end of a month"),
        pytest.param(
            [ran("2026-11-10T10:00:00", 30), ran("2026-11-10T10:00:00", 360)],
            {"11-10": 360},
            id="booked again as it goes on",
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00", 30), ran("2026-11-10T10:00:00", 330)],
            {"11-10": 330},
            id="the server was killed: as far as it was booked",
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00"), ran("2026-11-10T09:57:00")], {"11-10": 480}, id="the clock was set back"
        ),
        pytest.param(
            [ran("2026-11-10T10:00:00"), ran("2026-11-10T11:00:02")], {"11-10": 600}, id="the clock was set forward"
        ),
        pytest.param([ran("2026-11-10T10:00:00", 0.0)], {"11-10": 300}, id="a file was attached, and no tool called"),
    ],
)
def test_worked_examples(executions: list[Execution], by_day: dict[str, int]) -> None:
    found = charges(executions, ORGANIZATIONS, NOTHING_FREE)
    assert seconds_by_day(found) == by_day
    assert sum(charge.paid_seconds for charge in found) == sum(by_day.values())


def test_the_free_hours_go_to_whoever_is_booked_first_and_come_back_with_the_month() -> None:
    an_hour_free = Tariff.of(Decimal("0.05"), 1, 300)
    found = charges(
        [
            ran("2026-11-30T22:00:00", 3500, "container_1", "wrkspc_1"),
            ran("2026-11-30T23:58:00", 1, "container_2", "wrkspc_2"),
            ran("2026-11-30T23:00:00", 1, "container_3", "wrkspc_3"),
        ],
        ORGANIZATIONS,
        an_hour_free,
    )
    assert [(charge.execution.container_id, charge.span.seconds, charge.paid_seconds) for charge in found] == [
        ("container_1", 3500, 0),
        ("container_2", 120, 20),
        ("container_2", 180, 0),  # December, with an hour of its own
        ("container_3", 300, 0),  # another organisation
    ]


def test_the_documented_prices() -> None:
    days = [ran("2026-11-01T00:00:00", 30 * 86_400, f"container_{number}") for number in range(3)]
    found = charges(days, ORGANIZATIONS, DOCUMENTED)
    assert sum(charge.span.seconds for charge in found) == 3 * 720 * 3600
    assert cents(sum(charge.microdollar_seconds for charge in found)) == (3 * 720 - 1550) * 5


def test_an_hour_beyond_the_free_ones_costs_five_cents() -> None:
    assert cents(3600 * DOCUMENTED.microdollars_per_hour) == 5
    assert cents(300 * DOCUMENTED.microdollars_per_hour).quantize(Decimal("0.000001")) == Decimal("0.416667")


@pytest.mark.parametrize(
    ("declared", "free"),
    [
        (["code_execution_20260521"], False),
        (["web_search_20260209", "code_execution_20260521"], True),
        (["web_fetch_20260309"], True),
        (["web_search_20250305"], False),
        (["web_search_", "web_search_x", "search_20260209", "custom"], False),
    ],
)
def test_the_newer_web_tools_make_it_free(declared: list[str], *, free: bool) -> None:
    assert is_free(declared) is free


# Two days around the end of a month, so that everything meets.
MOMENTS = st.integers(0, 2 * 86_400 * 1_000_000).map(
    lambda microseconds: datetime(2026, 11, 30, tzinfo=UTC) + timedelta(microseconds=microseconds)
)
EXECUTIONS = st.lists(
    st.builds(
        Execution,
        st.sampled_from(["container_1", "container_2", "container_3"]),
        st.just("wrkspc_1"),
        st.sampled_from(["apikey_1", "apikey_2", None]),
        MOMENTS,
        st.floats(0, 4000),
    ).map(lambda made: replace(made, workspace_id="wrkspc_3") if made.container_id == "container_3" else made),
    max_size=12,
)
TARIFFS = st.builds(Tariff, st.integers(0, 1_000_000), st.integers(0, 4000), st.integers(1, 600))


@given(EXECUTIONS, TARIFFS, st.randoms(use_true_random=False), st.integers(0, 12))
@settings(max_examples=150, deadline=None)
def test_whatever_the_order_and_the_crashes_no_second_is_charged_twice(
    executions: list[Execution], tariff: Tariff, chance: random.Random, lost: int
) -> None:
    """What was told before a crash is told again, in parts, in any order; the end of it may be missing."""
    told = [
        Execution(one.container_id, one.workspace_id, one.api_key_id, one.began, one.seconds * part)
        for one in executions
        for part in (1.0, chance.random(), chance.random())
    ]
    chance.shuffle(told)
    told = told[: len(told) - lost] if lost < len(told) else told
    found = charges(told, ORGANIZATIONS, tariff)
    by_container: dict[str, list[int]] = {}
    for charge in found:
        by_container.setdefault(charge.execution.container_id, []).extend(range(*charge.span))
    naive = billed_seconds(told, tariff)
    assert {name: sorted(seconds) for name, seconds in by_container.items()} == {
        name: sorted(seconds) for name, seconds in naive.items()
    }
    money: Counter[str] = Counter()
    for charge in found:
        money[ORGANIZATIONS[charge.execution.workspace_id]] += charge.microdollar_seconds
    assert {name: Fraction(amount, 3600 * 10_000) for name, amount in money.items() if amount} == {
        name: amount for name, amount in cost(told, ORGANIZATIONS, tariff).items() if amount
    }


@given(EXECUTIONS, TARIFFS, st.integers(1, 5))
@settings(max_examples=25, deadline=None)
def test_the_books_hold_the_same(executions: list[Execution], tariff: Tariff, at_once: int) -> None:
    """In SQLite, some at a time, and each twice: rows that do not overlap, and totals that are their sums."""

    async def booked() -> None:
        with tempfile.TemporaryDirectory() as folder:
            database = await Database.open(Path(folder) / "store")
            try:
                async with database.writing() as session:
                    now = datetime.now(UTC)
                    for organization in set(ORGANIZATIONS.values()):
                        session.add(OrganizationRow(id=organization, name=organization, created_at=now))
                    await session.flush()
                    for workspace, organization in ORGANIZATIONS.items():
                        session.add(
                            WorkspaceRow(id=workspace, organization_id=organization, name=workspace, created_at=now)
                        )
                for start in range(0, len(executions), at_once):
                    some = executions[start : start + at_once]
                    await execution_time.book(database, [*some, *some], tariff)
                await _compare(database, executions, tariff)
            finally:
                await database.close()

    asyncio.run(booked())


async def _compare(database: Database, executions: list[Execution], tariff: Tariff) -> None:
    async with database.reading() as session:
        rows = (await session.scalars(select(ExecutionTimeRow))).all()
        totals = {(row.subject_id, row.month): row for row in await session.scalars(select(MonthlyTotalRow))}
    by_container: dict[str, list[int]] = {}
    seconds: Counter[tuple[str, str]] = Counter()
    money: Counter[tuple[str, str]] = Counter()
    for row in rows:
        assert row.started_at // 86_400 == (row.ended_at - 1) // 86_400
        by_container.setdefault(row.container_id, []).extend(range(row.started_at, row.ended_at))
        month = f"{datetime.fromtimestamp(row.started_at, UTC):%Y-%m}"
        for subject in (row.organization_id, row.workspace_id, row.api_key_id):
            if subject is not None:
                seconds[subject, month] += row.ended_at - row.started_at
                money[subject, month] += row.paid_seconds * row.microdollars_per_hour
    assert {name: sorted(found) for name, found in by_container.items()} == {
        name: sorted(found) for name, found in billed_seconds(executions, tariff).items()
    }
    assert {key: row.execution_seconds for key, row in totals.items()} == dict(seconds)
    assert {key: row.microdollar_seconds for key, row in totals.items()} == dict(money)
