"""A check: a function, and its docstring as the contract."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bathysphere.host.conformance.subject import Subject


class Unmet(Exception):
    """The contract does not hold; the message says what was seen instead."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that an engine must do."""

    group: str
    name: str
    contract: str
    attempt: Callable[[Subject], Awaitable[None]]
    """Raises Unmet; anything else that is raised is a failure too."""


CHECKS: list[Check] = []
"""All checks, in the order in which they are tried. The modules named ``checks_...`` fill it."""


def check(attempt: Callable[[Subject], Awaitable[None]]) -> Callable[[Subject], Awaitable[None]]:
    """Add a function to the checks; its module is its group."""
    group = attempt.__module__.rpartition(".checks_")[2]
    CHECKS.append(Check(group, attempt.__name__, inspect.getdoc(attempt) or "", attempt))
    return attempt


def expect(condition: bool, seen: object) -> None:
    """Raises Unmet with what was seen, unless ``condition``."""
    if not condition:
        raise Unmet(str(seen)[:2000])


def same(seen: object, expected: object) -> None:
    """Raises Unmet unless both are equal."""
    expect(seen == expected, f"{seen!r} instead of {expected!r}")
