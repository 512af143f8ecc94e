"""What the Admin API speaks of: organisations, workspaces and API keys, in the shapes of the newer SDKs.

``last_used_at`` of a key, and the secret where one is made, are ours.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from bathysphere.wire.ids import ID_PATTERN
from bathysphere.wire.message import timestamp

LIST_LIMIT: Final = 1_000
LIST_LIMIT_DEFAULT: Final = 20
LIST_IDS: Final = 100

KeyStatus = Literal["active", "inactive", "archived"]
"""Of the protocol's four, those that there are: no key of ours expires."""

Moment = Annotated[datetime, PlainSerializer(timestamp, return_type=str)]

T = TypeVar("T")


class Page(BaseModel, Generic[T]):
    """A page of a list, newest first."""

    data: list[T]
    has_more: bool
    first_id: str | None
    last_id: str | None


class OrganizationInfo(BaseModel):
    """The organisation that the admin key belongs to."""

    id: str
    type: Literal["organization"] = "organization"
    name: str


class DataResidency(BaseModel):
    """Where models run and data lies. This server decides neither: its upstreams and its disk are where they are."""

    allowed_inference_geos: Literal["unrestricted"] = "unrestricted"
    default_inference_geo: Literal["global"] = "global"
    workspace_geo: None = None


class WorkspaceInfo(BaseModel):
    """A workspace. Encryption keys, user profiles and tags are not kept here."""

    id: str
    type: Literal["workspace"] = "workspace"
    name: str
    created_at: Moment
    archived_at: Moment | None
    display_color: str
    data_residency: DataResidency = DataResidency()
    compartment_id: Annotated[str, Field(description="the workspace's own id: each is a compartment of its own")]
    external_key_id: None = None
    user_profile_id: None = None
    tags: dict[str, str] = {}


class _Strict(BaseModel):
    """What is not kept must not look as if it were: a member that there isn't is refused."""

    model_config = ConfigDict(extra="forbid")


class WorkspaceName(_Strict):
    """What a workspace is to be called."""

    name: Annotated[str, Field(description="1 to 200 printable characters")]


class WorkspaceChange(_Strict):
    """What of a workspace is to change."""

    name: Annotated[str | None, Field(description="1 to 200 printable characters")] = None


class KeyScope(BaseModel):
    """Where a key belongs."""

    type: Literal["workspace"] = "workspace"
    workspace_id: str


class ApiKeyInfo(BaseModel):
    """An API key. Nobody logs in here, so that no user has made it or is it."""

    id: str
    type: Literal["api_key"] = "api_key"
    name: str
    status: KeyStatus
    workspace_id: str
    scope: KeyScope
    partial_key_hint: str
    created_at: Moment
    created_by: None = None
    expires_at: None = None
    principal: None = None
    last_used_at: Annotated[Moment | None, Field(description="to the minute")]


class ApiKeyWithSecret(ApiKeyInfo):
    """A key whose secret has just been made."""

    secret: Annotated[str, Field(description="shown only now")]


class ApiKeyCreation(_Strict):
    """A key that is to be made."""

    name: Annotated[str, Field(description="1 to 200 printable characters")]
    workspace_id: Annotated[str, Field(pattern=f"^{ID_PATTERN.pattern}$")]


class ApiKeyChange(_Strict):
    """What of a key is to change; null is as if it were left out."""

    name: Annotated[str | None, Field(description="1 to 200 printable characters")] = None
    status: Annotated[KeyStatus | None, Field(description="`archived` is for good, `inactive` is not")] = None


class Nobody(BaseModel):
    """The empty list of users, members or invites."""

    data: list[dict[str, Any]] = []
    has_more: Literal[False] = False
    first_id: None = None
    last_id: None = None
