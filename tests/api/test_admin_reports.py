"""The reports of usage, cost and execution time (WIRE i)."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import select

from bathysphere.store.database import Database
from bathysphere.store.schema import ExecutionTimeRow, UsageMinuteRow
from tests.api.administration import Administration, administration, in_database, insert
from tests.api.conftest import Server

DAY = 86_400
MIDNIGHT = int(datetime(2024, 11, 1, tzinfo=UTC).timestamp())
TOKENS = (
    "uncached_input_tokens",
    "cache_read_input_tokens",
    "cache_creation_5m_tokens",
    "cache_creation_1h_tokens",
    "output_tokens",
)
USAGE = "/usage_report/messages"


def text(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def minute(organization_id: str, at: int, number: int = 1, **dimensions: str) -> UsageMinuteRow:
    """What a minute used; each kind of token another multiple of ``number``."""
    own = {
        "workspace_id": "wrkspc_a", "api_key_id": "apikey_a", "model": "m", "service_tier": "standard",
        "context_window": "0-200k", "inference_geo": "us",
    }  # fmt: skip
    return UsageMinuteRow(
        organization_id=organization_id, minute=at, **(own | dimensions), requests=number,
        **{name: number * (place + 1) for place, name in enumerate(TOKENS)},
        tool_calls=number, cpu_seconds=1.0, stored_bytes=1,
    )  # fmt: skip


def span(organization_id: str, at: int, seconds: int, paid: int, **more: Any) -> ExecutionTimeRow:
    own = {"container_id": "container_a", "workspace_id": "wrkspc_a", "api_key_id": "apikey_a"}
    return ExecutionTimeRow(
        organization_id=organization_id, started_at=at, ended_at=at + seconds, paid_seconds=paid,
        **({"microdollars_per_hour": 50_000} | own | more),
    )  # fmt: skip


@pytest.fixture(scope="module")
def books(server: Server) -> Administration:
    """An organisation with three weeks of books, beside a stranger's."""
    mine, stranger = administration(server), administration(server)
    rows: list[UsageMinuteRow | ExecutionTimeRow] = []
    for number in range(200):
        at = MIDNIGHT + number * 9000 // 60 * 60
        rows += [
            minute(
                mine.organization_id, at, number + 1, model=f"m{number % 3}", workspace_id=f"wrkspc_{number % 2}",
                api_key_id=f"apikey_{number % 5}", context_window=("0-200k", "200k-1M")[number % 7 == 0],
                service_tier=("standard", "batch")[number % 4 == 0],
                inference_geo=("not_available", "us")[number % 3 == 0],
            ),
            minute(stranger.organization_id, at, 10**6),
        ]  # fmt: skip
        if number % 3:
            where = {"container_id": f"container_{number % 11}", "workspace_id": f"wrkspc_{number % 2}"}
            rows += [
                span(mine.organization_id, at - at % 60, 100 + number, number, **where),
                span(stranger.organization_id, at, 1000, 1000),
            ]
    insert(server, rows)
    return mine


def stored(books: Administration, table: type[Any]) -> list[Any]:
    async def work(database: Database) -> list[Any]:
        async with database.reading() as session:
            query = select(table).where(table.organization_id == books.organization_id)
            return list(await session.scalars(query))

    return in_database(books.server, work)


@pytest.fixture(scope="module")
def minutes(books: Administration) -> list[UsageMinuteRow]:
    return stored(books, UsageMinuteRow)


def pages(books: Administration, path: str, **parameters: Any) -> Iterator[dict[str, Any]]:
    """All buckets of all pages."""
    while True:
        page = books.get(path, **parameters)
        assert len(page["data"]) <= parameters.get("limit", 7)
        yield from page["data"]
        assert page["has_more"] == (page["next_page"] is not None)
        if not page["has_more"]:
            return
        parameters["page"] = page["next_page"]


def tokens(result: dict[str, Any]) -> tuple[int, ...]:
    cache = result["cache_creation"]
    return (
        result["uncached_input_tokens"],
        result["cache_read_input_tokens"],
        cache["ephemeral_5m_input_tokens"],
        cache["ephemeral_1h_input_tokens"],
        result["output_tokens"],
    )


DIMENSIONS = ("api_key_id", "context_window", "inference_geo", "model", "service_tier", "workspace_id")
FILTERS = {
    "models[]": "model", "workspace_ids[]": "workspace_id", "api_key_ids[]": "api_key_id",
    "service_tiers[]": "service_tier", "context_window[]": "context_window", "inference_geos[]": "inference_geo",
}  # fmt: skip
VALUES = {
    "model": ["m0", "m1", "m9"], "workspace_id": ["wrkspc_0"], "api_key_id": ["apikey_1", "apikey_2"],
    "service_tier": ["batch"], "context_window": ["200k-1M", "0-200k"], "inference_geo": ["us", "not_available"],
}  # fmt: skip


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    width=st.sampled_from(["1d", "1h"]),
    begin=st.integers(-3 * DAY, 20 * DAY),
    length=st.integers(1, 3 * DAY),
    limit=st.integers(1, 24),
    group_by=st.sets(st.sampled_from(DIMENSIONS), max_size=3),
    chosen=st.dictionaries(st.sampled_from(sorted(FILTERS)), st.integers(1, 2), max_size=2),
)
def test_pages_joined_are_the_whole_and_sums_are_those_of_the_minutes(
    books: Administration,
    minutes: list[UsageMinuteRow],
    width: str,
    begin: int,
    length: int,
    limit: int,
    group_by: set[str],
    chosen: dict[str, int],
) -> None:
    seconds = {"1d": DAY, "1h": 3600}[width]
    begin, length = MIDNIGHT + begin, length * (10 if width == "1d" else 1)
    filters = {name: VALUES[FILTERS[name]][:count] for name, count in chosen.items()}
    found = list(
        pages(
            books, USAGE, starting_at=text(begin), ending_at=text(begin + length), bucket_width=width, limit=limit,
            **{"group_by[]": sorted(group_by)}, **filters,
        )
    )  # fmt: skip
    first, end = begin - begin % seconds, (begin + length) - (begin + length) % seconds
    assert [bucket["starting_at"] for bucket in found] == [text(at) for at in range(first, end, seconds)]
    assert [bucket["ending_at"] for bucket in found] == [text(at + seconds) for at in range(first, end, seconds)]

    naive: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
    for row in minutes:
        values = {name: getattr(row, name) for name in DIMENSIONS}
        if first <= row.minute < end and all(values[FILTERS[name]] in filters[name] for name in filters):
            at = text(row.minute - row.minute % seconds)
            naive[at, *(values[name] for name in sorted(group_by))].update({n: getattr(row, n) for n in TOKENS})
    got: dict[tuple[str, ...], tuple[int, ...]] = {}
    for bucket in found:
        for result in bucket["results"]:
            assert all(result[name] is None for name in DIMENSIONS if name not in group_by)
            key = (bucket["starting_at"], *(result[name] for name in sorted(group_by)))
            assert key not in got, "a group stands in a bucket once"
            got[key] = tokens(result)
    assert got == {key: tuple(sums[name] for name in TOKENS) for key, sums in naive.items()}


def test_a_usage_report_has_the_documented_shape(books: Administration) -> None:
    report = books.get(USAGE, starting_at=text(MIDNIGHT), ending_at=text(MIDNIGHT + DAY), group_by="model", models="m1")
    (bucket,) = report["data"]
    assert (report["has_more"], report["next_page"]) == (False, None)
    assert (bucket["starting_at"], bucket["ending_at"]) == ("2024-11-01T00:00:00Z", "2024-11-02T00:00:00Z")
    (result,) = bucket["results"]
    assert result == {
        "account_id": None, "api_key_id": None, "workspace_id": None, "service_account_id": None, "model": "m1",
        "service_tier": None, "context_window": None, "inference_geo": None, "speed": None,
        "uncached_input_tokens": 15, "cache_read_input_tokens": 30,
        "cache_creation": {"ephemeral_5m_input_tokens": 45, "ephemeral_1h_input_tokens": 60},
        "output_tokens": 75, "server_tool_use": {"web_search_requests": 0},
    }  # fmt: skip


@pytest.mark.parametrize(("width", "usual", "most"), [("1d", 7, 31), ("1h", 24, 168), ("1m", 60, 1440)])
def test_each_width_has_its_limits(books: Administration, width: str, usual: int, most: int) -> None:
    start = text(MIDNIGHT - 40 * DAY)
    page = books.get(USAGE, starting_at=start, bucket_width=width)
    assert len(page["data"]) == usual and page["has_more"]
    assert all(bucket["results"] == [] for bucket in page["data"]), "empty buckets are there"
    assert len(books.get(USAGE, starting_at=start, bucket_width=width, limit=most)["data"]) == most
    status, message = books.refusal("GET", f"{USAGE}?starting_at={start}&bucket_width={width}&limit={most + 1}")
    assert status == 400 and message.startswith(f"limit: Input should be less than or equal to {most}")


def test_buckets_end_with_the_one_that_holds_the_present(books: Administration) -> None:
    now = datetime.now(UTC)
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    report = books.get(USAGE, starting_at=(today - timedelta(days=1)).isoformat())
    assert [bucket["starting_at"] for bucket in report["data"]][:2] == [
        text(int((today - timedelta(days=1)).timestamp())),
        text(int(today.timestamp())),
    ]
    assert not report["has_more"]
    assert books.get(USAGE, starting_at="2100-01-01T00:00:00Z")["data"] == []


def test_the_offset_of_a_timestamp_counts(books: Administration) -> None:
    report = books.get(USAGE, starting_at="2024-11-02T01:00:00+02:00", ending_at="2024-11-02T00:00:00-01:00")
    assert [bucket["starting_at"] for bucket in report["data"]] == ["2024-11-01T00:00:00Z"]


def test_what_nothing_here_has_matches_no_filter(books: Administration) -> None:
    start = text(MIDNIGHT)
    grouped = books.get(USAGE, starting_at=start, **{"group_by[]": ["account_id", "speed", "service_account_id"]})
    assert grouped == books.get(USAGE, starting_at=start)
    for name in ("account_ids[]", "service_account_ids[]"):
        filtered = books.get(USAGE, starting_at=start, **{name: "user_1"})
        assert all(bucket["results"] == [] for bucket in filtered["data"])


START = f"?starting_at={text(MIDNIGHT)}"


@pytest.mark.parametrize("path", [USAGE, "/cost_report", "/execution_report"])
@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("", "starting_at: Field required"),
        ("?starting_at=yesterday", "starting_at: Input should be an RFC 3339 timestamp"),
        ("?starting_at=1790000000", "starting_at: Input should be an RFC 3339 timestamp"),
        ("?starting_at=2024-11-01T00:00:00", "starting_at: Input should be an RFC 3339 timestamp"),
        ("?starting_at=2024-13-01T00:00:00Z", "starting_at: Input should be an RFC 3339 timestamp"),
        ("?starting_at=0001-01-01T00:00:00%2B23:59", "starting_at: Input should be a moment of the years"),
        ("?starting_at=9999-12-31T23:59:59-23:59", "starting_at: Input should be a moment of the years"),
        (f"{START}&ending_at={text(MIDNIGHT)}", "ending_at: Input should be after starting_at"),
        (f"{START}&starting_at={text(MIDNIGHT)}", "starting_at: given more than once"),
        (f"{START}&bucket_width=1w", "bucket_width: Input should be '1d'"),
        (f"{START}&limit=0", "limit: Input should be greater than or equal to 1"),
        (f"{START}&limit=many", "limit: Input should be a valid integer"),
        (f"{START}&limit=1e9", "limit: Input should be a valid integer"),
        (f"{START}&group_by[]=color", "group_by.0: Input should be"),
        (f"{START}&workspace_id=wrkspc_1", "workspace_id: Extra inputs are not permitted"),
        (f"{START}&limit[]=3", "limit[]: Extra inputs are not permitted"),
        (f"{START}&page=page_", "page: not a page of this report"),
        (f"{START}&page=MjAyNC0xMS0wMVQwMDowMDowMFo=", "page: not a page of this report"),
        (f"{START}&page=page_%C3%A9", "page: not a page of this report"),
        # Of another alignment, and from before the beginning.
        (f"{START}&page=page_MjAyNC0xMS0wMlQwMDowMTowMFo=", "page: not a page of this report"),
        (f"{START}&page=page_MjAyNC0xMC0wMVQwMDowMDowMFo=", "page: not a page of this report"),
    ],
)
def test_mistakes_are_named(books: Administration, path: str, query: str, message: str) -> None:
    status, said = books.refusal("GET", path + query)
    assert status == 400 and said.startswith(message)


def test_filters_are_bounded(books: Administration) -> None:
    many = "".join(f"&models[]=m{number}" for number in range(101))
    assert books.refusal("GET", f"{USAGE}{START}{many}")[1].startswith("models: List should have at most 100 items")
    assert books.refusal("GET", f"{USAGE}{START}&models[]={'m' * 257}")[1].startswith("models.0: String should have")


def test_costs_are_exact_and_in_cents(server: Server) -> None:
    mine = administration(server)
    insert(
        server,
        [
            # An hour at 5 cents, half an hour of another workspace, and one that was free.
            span(mine.organization_id, MIDNIGHT, 3600, 3600),
            span(mine.organization_id, MIDNIGHT + 4000, 3000, 1800, workspace_id="wrkspc_b", api_key_id=None),
            span(mine.organization_id, MIDNIGHT + DAY - 300, 300, 0, container_id="container_b"),
            # Seconds at a price that no number of cents can tell.
            span(mine.organization_id, MIDNIGHT + DAY, 7, 7, microdollars_per_hour=10**9),
            span(mine.organization_id, MIDNIGHT + 2 * DAY, 300, 0),
        ],
    )
    times = {"starting_at": text(MIDNIGHT), "ending_at": text(MIDNIGHT + 4 * DAY)}
    nulls = dict.fromkeys(("model", "service_tier", "context_window", "token_type", "inference_geo"))
    plain = {"currency": "USD", "cost_type": None, "description": None, "workspace_id": None, **nulls}
    days = [bucket["results"] for bucket in mine.get("/cost_report", **times)["data"]]
    assert days == [
        [{"amount": "7.5", **plain}],
        [{"amount": "194.4444444444444444444444444", **plain}],
        [{"amount": "0", **plain}],
        [],
    ]
    described = {"cost_type": "code_execution", "description": "Code Execution Usage"}
    grouped = mine.get("/cost_report", **times, **{"group_by[]": ["workspace_id", "description"]})
    assert grouped["data"][0]["results"] == [
        {**plain, **described, "amount": "5", "workspace_id": "wrkspc_a"},
        {**plain, **described, "amount": "2.5", "workspace_id": "wrkspc_b"},
    ]
    assert mine.get("/cost_report", **times, group_by="description")["data"][0]["results"] == [
        {**plain, **described, "amount": "7.5"}
    ]
    seconds = mine.get("/execution_report", **times, **{"group_by[]": ["container_id", "api_key_id"]})
    first = {"workspace_id": None, "api_key_id": "apikey_a"}
    assert seconds["data"][0]["results"] == [
        {**first, "container_id": "container_a", "api_key_id": None, "execution_seconds": 3000, "paid_seconds": 1800,
         "amount": "2.5"},
        {**first, "container_id": "container_a", "execution_seconds": 3600, "paid_seconds": 3600, "amount": "5"},
        {**first, "container_id": "container_b", "execution_seconds": 300, "paid_seconds": 0, "amount": "0"},
    ]  # fmt: skip
    only = mine.get("/execution_report", **times, **{"container_ids[]": "container_b"})
    assert [result["execution_seconds"] for result in only["data"][0]["results"]] == [300]


@pytest.mark.parametrize("limit", [1, 3, 31])
def test_pages_of_costs_joined_are_the_whole(books: Administration, limit: int) -> None:
    rows: list[ExecutionTimeRow] = stored(books, ExecutionTimeRow)

    def paid(day: str) -> Decimal:
        spans = [row for row in rows if text(row.started_at).startswith(day)]
        return Decimal(sum(row.paid_seconds * row.microdollars_per_hour for row in spans))

    found = list(
        pages(books, "/cost_report", starting_at=text(MIDNIGHT), ending_at=text(MIDNIGHT + 21 * DAY), limit=limit)
    )
    assert len(found) == 21
    for bucket in found:
        amounts = [Decimal(result["amount"]) for result in bucket["results"]]
        assert abs(sum(amounts) - paid(bucket["starting_at"][:10]) / 36_000_000) < Decimal("1e-20")
