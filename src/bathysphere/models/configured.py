"""The model behind a name: the first entry of the configuration that matches it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bathysphere.models.base import Model
from bathysphere.models.demo import DemoModel
from bathysphere.settings import ModelSettings


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name reaches, and why."""

    backend: str
    why: str


class ConfiguredModels:
    """The configured models."""

    def __init__(self) -> None:
        self._demo = DemoModel()

    @classmethod
    async def open(cls, settings: Sequence[ModelSettings]) -> ConfiguredModels:
        """Open the models."""
        return cls()

    async def choose(self, name: str) -> tuple[Model, Choice]:
        """The model for a name."""
        return self._demo, Choice("demo", "")

    def describe(self) -> list[str]:
        """A line for each entry."""
        return ["* -> demo"]

    async def close(self) -> None:
        """Close connections."""
        await self._demo.close()
