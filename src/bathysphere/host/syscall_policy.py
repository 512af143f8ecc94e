"""The policy of system calls: what the data file says, checked, with numbers in place of names."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

_FOLDER = Path(__file__).resolve().parent / "policy"

Answer = Literal["allow", "EPERM", "ENOSYS", "nothing"]


class PolicyError(ValueError):
    """The policy contradicts itself or names what does not exist; nothing may run by it."""


class Condition(BaseModel):
    """What must hold of one argument. Exactly one of ``one_of``, ``none_of`` and ``null`` is given."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    argument: int = Field(ge=0, le=5)
    mask: str | None = None
    one_of: tuple[str, ...] = ()
    none_of: tuple[str, ...] = ()
    null: bool = False

    @model_validator(mode="after")
    def _one_question(self) -> Condition:
        if [bool(self.one_of), bool(self.none_of), self.null].count(True) != 1 or (self.null and self.mask):
            raise ValueError("a condition asks exactly one of: one_of, none_of, null (without mask)")
        return self


class Group(BaseModel):
    """Calls that are answered alike, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str = Field(min_length=1)
    answer: Answer
    because: str = Field(min_length=1)
    calls: str
    only: tuple[tuple[Condition, ...], ...] = ()

    @model_validator(mode="after")
    def _only_of_allowed(self) -> Group:
        if self.only and (self.answer != "allow" or not all(self.only)):
            raise ValueError("only what is allowed has conditions, and each list of them holds one at least")
        return self


@dataclass(frozen=True, slots=True)
class Test:
    """A condition with its numbers."""

    argument: int
    mask: int
    values: tuple[int, ...]
    wanted: bool
    """Whether the argument is to be one of ``values``, or none."""
    whole: bool
    """All 64 bits are looked at (for pointers), else the lower 32."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one call is answered. ``only``: alternatives, each a list of tests that must all hold."""

    answer: Answer
    only: tuple[tuple[Test, ...], ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """The whole policy."""

    groups: tuple[Group, ...]
    names: Mapping[str, int]
    numbers: Mapping[str, int]
    """Of every known call."""

    @classmethod
    @cache
    def load(cls) -> Policy:
        """The policy that comes with the package. Raises PolicyError."""
        return cls.read((_FOLDER / "syscalls.toml").read_text(), (_FOLDER / "x86_64.txt").read_text())

    @classmethod
    def read(cls, text: str, table: str) -> Policy:
        """A policy from its two files' text. Raises PolicyError."""
        try:
            raw: dict[str, Any] = tomllib.loads(text)
            groups = TypeAdapter(tuple[Group, ...]).validate_python(raw.pop("groups"))
            names = TypeAdapter(dict[str, int]).validate_python(raw.pop("names", {}))
            lines = [line.split() for line in table.splitlines() if line and not line.startswith("#")]
            numbers = {name: int(number) for number, name in lines}
        except (ValueError, KeyError) as error:
            raise PolicyError(f"The policy of system calls cannot be read: {error}") from error
        if raw:
            raise PolicyError(f"The policy of system calls holds what is not known: {', '.join(raw)}")
        policy = cls(groups, names, numbers)
        policy.rules()
        return policy

    def rules(self) -> dict[int, Rule]:
        """Number of a call -> how it is answered. Raises PolicyError."""
        rules: dict[int, Rule] = {}
        for group in self.groups:
            only = tuple(tuple(self._test(condition) for condition in way) for way in group.only)
            for call in group.calls.split():
                if call not in self.numbers:
                    raise PolicyError(f"The policy names a system call that is not known: {call}")
                if self.numbers[call] in rules:
                    raise PolicyError(f"The policy names {call} twice")
                rules[self.numbers[call]] = Rule(group.answer, only)
        return rules

    def _test(self, condition: Condition) -> Test:
        try:
            mask = self.names[condition.mask] if condition.mask else 0xFFFFFFFF
            values = tuple(self.names[name] for name in condition.one_of or condition.none_of)
        except KeyError as error:
            raise PolicyError(f"The policy uses a name that it does not explain: {error}") from error
        if any(not 0 <= value <= 0xFFFFFFFF for value in (mask, *values)):
            raise PolicyError("The policy compares with a number of more than 32 bits")
        if condition.null:
            return Test(condition.argument, mask, (0,), True, whole=True)
        return Test(condition.argument, mask, values, bool(condition.one_of), whole=False)
