"""The rule in its simplest form: a set of seconds for each container, looked at one by one."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from fractions import Fraction

from bathysphere.metering.charges import Execution
from bathysphere.metering.tariff import Tariff


def billed_seconds(executions: Iterable[Execution], tariff: Tariff) -> dict[str, set[int]]:
    """By container, each second since 1970 that is charged."""
    seconds: defaultdict[str, set[int]] = defaultdict(set)
    for execution in executions:
        began = Fraction(execution.began.timestamp()).limit_denominator(1_000_000)
        second = math.floor(began)
        ends = began + Fraction(execution.seconds)
        while second < ends or second < math.floor(began) + tariff.minimum_seconds:
            seconds[execution.container_id].add(second)
            second += 1
    return seconds


def cost(executions: Iterable[Execution], organizations: Mapping[str, str], tariff: Tariff) -> dict[str, Fraction]:
    """In cents, by organisation: every second of a month beyond the free ones has its price."""
    executions = list(executions)
    owner = {execution.container_id: organizations[execution.workspace_id] for execution in executions}
    used: defaultdict[tuple[str, str], int] = defaultdict(int)
    cents: defaultdict[str, Fraction] = defaultdict(Fraction)
    for container_id, seconds in billed_seconds(executions, tariff).items():
        for second in seconds:
            organization = owner[container_id]
            month = f"{datetime.fromtimestamp(second, UTC):%Y-%m}"
            used[organization, month] += 1
            if used[organization, month] > tariff.free_seconds:
                cents[organization] += Fraction(tariff.microdollars_per_hour, 3600 * 10_000)
    return cents
