"""Quotas in the Admin API; they are ours."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from bathysphere.wire.admin import Moment


def _no_bool(value: Any) -> Any:
    if isinstance(value, bool | str):
        raise ValueError("Input should be a number, or null for no limit")
    return value


Count = Annotated[int | None, BeforeValidator(_no_bool)]
Amount = Annotated[float | None, BeforeValidator(_no_bool)]


class QuotaLimits(BaseModel):
    """What may be used; null is without a limit. The last three are of a calendar month in UTC."""

    model_config = ConfigDict(extra="forbid")

    containers: Count = None
    concurrent_containers: Count = None
    storage_bytes: Count = None
    execution_hours: Amount = None
    dollars: Amount = None
    requests: Count = None


class QuotaUse(BaseModel):
    """What has been used; ``concurrent_containers`` are not counted here."""

    containers: int
    storage_bytes: int
    execution_hours: float
    dollars: float
    requests: int


class QuotaInfo(BaseModel):
    """The quota of an organisation, a workspace or an API key."""

    type: Literal["quota"] = "quota"
    subject_id: str
    subject_type: Literal["organization", "workspace", "api_key"]
    name: str
    limits: QuotaLimits
    used: QuotaUse
    updated_at: Annotated[Moment | None, Field(description="null: there are no limits")]


class QuotaList(BaseModel):
    """Quotas that have a limit: the organisation's, then those of workspaces, then of keys, by name."""

    data: list[QuotaInfo]
    has_more: bool
    last_id: Annotated[str | None, Field(description="for `after_id`, to get what follows")]


class QuotaDeleted(BaseModel):
    """All limits have been taken away."""

    type: Literal["quota_deleted"] = "quota_deleted"
    subject_id: str
