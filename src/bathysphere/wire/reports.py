"""Reports of usage and cost as the Admin API has them (WIRE i), and of execution time, which is ours."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, PlainSerializer

MINUTE: Final = 60
HOUR: Final = 3600
DAY: Final = 86_400

WIDTHS: Final[dict[str, tuple[int, int, int]]] = {"1m": (MINUTE, 60, 1440), "1h": (HOUR, 24, 168), "1d": (DAY, 7, 31)}
"""Of each width of buckets: its seconds, how many a page has by default, and at most."""

FILTER_VALUES: Final = 100
"""How many values a filter may have."""

_RFC3339: Final = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)
_YEARS: Final = range(1970, 9999)

_WIDTH: Final = "how long a bucket is: days, hours and minutes are those of UTC"
_GROUP: Final = "a result for each of these; without it, one for all of them together"

T = TypeVar("T")


def _moment(value: object) -> object:
    if isinstance(value, str) and _RFC3339.fullmatch(value):
        try:
            return datetime.fromisoformat(value.upper())
        except ValueError:
            pass
    elif isinstance(value, datetime):
        return value
    raise ValueError("Input should be an RFC 3339 timestamp, such as 2026-11-01T00:00:00Z (a + in a URL is %2B)")


def _within(value: datetime) -> datetime:
    if value.year not in _YEARS:
        raise ValueError(f"Input should be a moment of the years {_YEARS.start} to {_YEARS.stop - 1}")
    return value.astimezone(UTC)


def moment_text(moment: datetime) -> str:
    """RFC 3339 in UTC, in whole seconds, as reports have it (WIRE i)."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


ReportMoment = Annotated[datetime, BeforeValidator(_moment), AfterValidator(_within)]
Second = Annotated[datetime, PlainSerializer(moment_text, return_type=str)]
Filter = Annotated[list[Annotated[str, Field(max_length=256)]], Field(max_length=FILTER_VALUES)]


class ReportQuery(BaseModel):
    """What every report is asked by."""

    FILTERS: ClassVar[dict[str, str]] = {}
    """The name of each filter, and the dimension that it looks at."""

    starting_at: Annotated[ReportMoment, Field(description="the first bucket is the one that holds this moment")]
    ending_at: Annotated[
        ReportMoment | None,
        Field(description="the last bucket ends here or before; without it, it is the one that holds the present"),
    ] = None
    bucket_width: Annotated[Literal["1d"], Field(description=_WIDTH)] = "1d"
    limit: Annotated[
        int | None,
        Field(
            description="how many buckets at most: 7 or up to 31 days, 24 or up to 168 hours, 60 or up to 1440 minutes"
        ),
    ] = None
    page: Annotated[str | None, Field(max_length=100, description="the `next_page` of the page before")] = None

    @property
    def dimensions(self) -> list[str]:
        """What is grouped by, each once."""
        return list(dict.fromkeys(getattr(self, "group_by", ())))

    @property
    def filters(self) -> dict[str, list[str]]:
        """The values of each dimension that are asked for."""
        chosen = ((dimension, getattr(self, name)) for name, dimension in self.FILTERS.items())
        return {dimension: values for dimension, values in chosen if values}


class UsageQuery(ReportQuery):
    """The parameters of ``usage_report/messages``."""

    FILTERS: ClassVar[dict[str, str]] = {
        "account_ids": "account_id",
        "api_key_ids": "api_key_id",
        "context_window": "context_window",
        "inference_geos": "inference_geo",
        "models": "model",
        "service_account_ids": "service_account_id",
        "service_tiers": "service_tier",
        "speeds": "speed",
        "workspace_ids": "workspace_id",
    }

    bucket_width: Annotated[Literal["1d", "1h", "1m"], Field(description=_WIDTH)] = "1d"  # type: ignore[assignment] # it is wider here
    group_by: Annotated[
        list[
            Literal[
                "account_id",
                "api_key_id",
                "context_window",
                "inference_geo",
                "model",
                "service_account_id",
                "service_tier",
                "speed",
                "workspace_id",
            ]
        ],
        Field(description=_GROUP),
    ] = []
    account_ids: Filter = []
    api_key_ids: Filter = []
    context_window: list[Literal["0-200k", "200k-1M"]] = []
    inference_geos: Filter = []
    models: Filter = []
    service_account_ids: Filter = []
    service_tiers: Filter = []
    speeds: list[Literal["standard", "fast"]] = []
    workspace_ids: Filter = []


class CostQuery(ReportQuery):
    """The parameters of ``cost_report``."""

    group_by: Annotated[list[Literal["workspace_id", "description"]], Field(description=_GROUP)] = []


class ExecutionQuery(ReportQuery):
    """The parameters of ``execution_report``."""

    FILTERS: ClassVar[dict[str, str]] = {
        "api_key_ids": "api_key_id",
        "container_ids": "container_id",
        "workspace_ids": "workspace_id",
    }

    group_by: Annotated[list[Literal["api_key_id", "container_id", "workspace_id"]], Field(description=_GROUP)] = []
    api_key_ids: Filter = []
    container_ids: Filter = []
    workspace_ids: Filter = []


class CacheCreation(BaseModel):
    """Input tokens that were written to a cache."""

    ephemeral_1h_input_tokens: int
    ephemeral_5m_input_tokens: int


class ServerToolUse(BaseModel):
    """Calls of the tools that are priced by call, of which there are none here."""

    web_search_requests: int = 0


class UsageResult(BaseModel):
    """What was used, in one bucket and by one group; what is not grouped by is null."""

    account_id: None = None
    api_key_id: str | None = None
    workspace_id: str | None = None
    service_account_id: None = None
    model: str | None = None
    service_tier: str | None = None
    context_window: str | None = None
    inference_geo: str | None = None
    speed: None = None
    uncached_input_tokens: int
    cache_read_input_tokens: int
    cache_creation: CacheCreation
    output_tokens: int
    server_tool_use: ServerToolUse = ServerToolUse()


class CostResult(BaseModel):
    """What was to be paid, in one day and by one group; what is not grouped by is null."""

    amount: Annotated[str, Field(description="in cents: `123.45` is $1.23")]
    currency: Literal["USD"] = "USD"
    cost_type: Literal["code_execution"] | None = None
    description: str | None = None
    workspace_id: str | None = None
    model: None = None
    service_tier: None = None
    context_window: None = None
    token_type: None = None
    inference_geo: None = None


class ExecutionResult(BaseModel):
    """How long containers were used, in one day and by one group; what is not grouped by is null."""

    api_key_id: str | None = None
    container_id: str | None = None
    workspace_id: str | None = None
    execution_seconds: int
    paid_seconds: Annotated[int, Field(description="those of them that are beyond the free allowance")]
    amount: Annotated[str, Field(description="in cents: `123.45` is $1.23")]


class Bucket(BaseModel, Generic[T]):
    """A minute, an hour or a day, in UTC."""

    starting_at: Second
    ending_at: Second
    results: list[T]


class Report(BaseModel, Generic[T]):
    """A page of a report, oldest bucket first; those without any use are there too, with no results."""

    data: list[Bucket[T]]
    has_more: bool
    next_page: str | None


def parameters(query: type[ReportQuery]) -> list[dict[str, Any]]:
    """The parameters as OpenAPI describes them."""
    schema = query.model_json_schema()
    described = []
    for name, member in schema["properties"].items():
        # Null is what one that is not sent is for us.
        kind = {**member, **next((one for one in member.pop("anyOf", ()) if one != {"type": "null"}), {})}
        many = kind.get("type") == "array"
        described.append(
            {
                "name": f"{name}[]" if many else name,
                "in": "query",
                "required": name in schema["required"],
                "description": kind.pop("description", "only those of these" if many else ""),
                "schema": {key: value for key, value in kind.items() if key not in ("title", "default", "anyOf")},
            }
        )
    return described
