"""What is known of Anthropic's models: the table in ``catalogue.toml``."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from bathysphere.wire.tools import VERSIONS

Lifecycle = Literal["active", "deprecated", "retired"]
Line = Literal["haiku", "sonnet", "opus", "fable", "mythos"]

# How the clouds write the same names: "us.anthropic.claude-opus-4-5-20251101-v1:0", "claude-opus-4-5@20251101".
_CLOUDS: Final = re.compile(r"(?:[a-z-]+\.)?(?:anthropic\.)?(?P<name>claude-[a-z0-9-]+?(?:@\d{8})?)(?:-v\d+(?::\d+)?)?")


class KnownModel(BaseModel):
    """A row of the table. ``aliases`` are other names of the same model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    aliases: tuple[str, ...] = ()
    display_name: str
    line: Line | None = None
    created_at: datetime | None = None
    lifecycle: Lifecycle = "active"
    retires_at: datetime | None = None
    max_input_tokens: int | None = None
    max_tokens: int | None = None
    tool_versions: tuple[str, ...] = tuple(VERSIONS)
    calls_tools: bool = True


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    models: tuple[KnownModel, ...]


@cache
def known_models() -> Mapping[str, KnownModel]:
    """The rows by id, newest first."""
    text = (files("bathysphere.models") / "catalogue.toml").read_text(encoding="utf-8")
    return {model.id: model for model in _Table.model_validate(tomllib.loads(text)).models}


@cache
def _by_name() -> Mapping[str, KnownModel]:
    return {name: model for model in known_models().values() for name in (model.id, *model.aliases)}


def known(name: str) -> KnownModel | None:
    """The row for a name as Anthropic, Amazon Bedrock or Vertex AI writes it; None for any other name."""
    written = _CLOUDS.fullmatch(name)
    return None if written is None else _by_name().get(written["name"].replace("@", "-"))
