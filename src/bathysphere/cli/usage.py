"""``bathysphere usage``: what was used, as a table and a bar chart, from the books; with or without a server."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, get_args

import click

from bathysphere.cli import configuration, data_directory
from bathysphere.cli.bars import bars
from bathysphere.cli.columns import columns, fitted, shown, size
from bathysphere.cli.used import By, FreeTime, Line, Period, called, free_time, lines
from bathysphere.store.database import Database
from bathysphere.store.last_requests import last_requests
from bathysphere.store.schema import MeteredRequestRow
from bathysphere.wire.message import timestamp

_PIPE_COLUMNS: Final = 80
_LONGEST_NAME: Final = 20
_BARS: Final = 40
"""How many bars a chart has at most: the last days, or the largest of anything else."""

_NUMBERS: Final = ("REQUESTS", "TOKENS IN", "OUT", "TOOL CALLS", "HOURS", "DOLLARS")
_REQUEST_NUMBERS: Final = ("SECONDS", "TOKENS IN", "OUT", "TOOL CALLS", "CPU", "MEMORY", "STORED")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")

_date = click.DateTime(["%Y-%m-%d"])


@click.command()
@data_directory.option
@configuration.option
@click.option("--since", type=_date, help="The first day, in UTC.  [default: the first of this month]")
@click.option("--until", type=_date, help="The last day, in UTC.  [default: today]")
@click.option("--by", type=click.Choice(get_args(By)), default="day", show_default=True, help="What a line is for.")
@click.option("--requests", "turns", is_flag=True, help="The last requests instead, one a line.")
@click.option(
    "--limit", type=click.IntRange(1, 100_000), default=50, show_default=True, help="How many, with --requests."
)
@click.option("--csv", "form", flag_value="csv", help="For spreadsheets: every figure, as CSV.")
@click.option("--json", "form", flag_value="json", help="For programs: every figure, as JSON.")
def usage(
    data: Path | None,
    config: Path | None,
    since: datetime | None,
    until: datetime | None,
    by: By,
    turns: bool,
    limit: int,
    form: str | None,
) -> None:
    """Show what was used: requests, tokens, calls of tools, execution time, and what that costs.

    HOURS are those that containers were used, DOLLARS what of them is beyond the free allowance; both are booked for
    containers, and not known by model. Tokens are paid to whoever runs the models, and are not among the dollars. Days
    are those of UTC.
    """
    period = _period(since, until)
    if turns:
        _show_requests(data, period, limit, form)
        return
    month = f"{period.until:%Y-%m}"

    async def work(database: Database) -> tuple[dict[str, Line], dict[str, str], list[FreeTime]]:
        return await lines(database, period, by), await called(database, by), await free_time(database, month)

    tariff = configuration.load(config)[0].metering.tariff()
    found, names, free = data_directory.run(data, work)
    ordered = _ordered(found, by)
    if form == "csv":
        _print_csv([{by: names.get(label, label), "id": label, **_figures(line, by)} for label, line in ordered], by)
    elif form == "json":
        _print_json(period, by, ordered, names, [_free_figures(one, tariff.free_seconds) for one in free])
    elif not ordered:
        click.echo(f"Nothing was used from {period.since} to {period.until} (UTC).", err=True)
    else:
        click.echo(_table(ordered, names, by))
        click.echo("\n" + _chart(ordered, names, by, period))
        click.echo("\n" + "\n".join(_said(one, tariff.free_seconds, len(free) > 1) for one in free))


def _period(since: datetime | None, until: datetime | None) -> Period:
    today = datetime.now(UTC).date()
    last = until.date() if until is not None else max(today, since.date()) if since is not None else today
    first = since.date() if since is not None else last.replace(day=1)
    if first > last:
        raise click.UsageError(f"--since {first} is after --until {last}.")
    return Period(first, last)


def _ordered(found: Mapping[str, Line], by: By) -> list[tuple[str, Line]]:
    """Times as they came, all else by what it used most."""
    if by in ("day", "month"):
        return sorted(found.items())
    return sorted(found.items(), key=lambda item: (-item[1].execution_seconds, -item[1].requests, item[0]))


def _table(ordered: Sequence[tuple[str, Line]], names: Mapping[str, str], by: By) -> str:
    total = Line()
    for _, line in ordered:
        total.add(line)
    rows = [(fitted(names.get(label, label), _LONGEST_NAME), *_cells(line, by)) for label, line in ordered]
    if len(rows) > 1:
        rows.append(("TOTAL", *_cells(total, by)))
    return columns((by.upper(), *_NUMBERS), rows, _NUMBERS)


def _cells(line: Line, by: By) -> tuple[str, ...]:
    booked = by != "model"
    return (
        f"{line.requests:,}",
        _short(line.input_tokens),
        _short(line.output_tokens),
        f"{line.tool_calls:,}",
        _hours(line.hours) if booked else "-",
        _dollars(line.dollars) if booked else "-",
    )


def _chart(ordered: Sequence[tuple[str, Line]], names: Mapping[str, str], by: By, period: Period) -> str:
    used = dict(ordered)
    timed = by != "model" and any(line.execution_seconds for line in used.values())
    labels = [label for label, _ in ordered]
    if by == "day":
        # A day without any use is a gap, not left out; the chart begins where there is something to see.
        labels = [day for day in period.days() if labels[0] <= day <= max(labels[-1], _today(period))]
    chosen = labels[-_BARS:] if by in ("day", "month") else labels[:_BARS]
    left_out = len(labels) - len(chosen)
    values = []
    for label in chosen:
        line = used.get(label, Line())
        value = line.hours if timed else float(line.input_tokens + line.output_tokens)
        values.append((names.get(label, label), value, _hours(value) if timed else _short(int(value))))
    title = "Hours of execution" if timed else "Tokens (in and out)"
    where = {"day": "the last", "month": "the last"}.get(by, "the largest")
    more = f" ({where} {len(chosen)}; {left_out} more in the table)" if left_out else ""
    return f"{title} by {by}{more}\n\n{bars(values, _width())}"


def _today(period: Period) -> str:
    return f"{min(period.until, datetime.now(UTC).date())}"


def _said(free: FreeTime, free_seconds: int, several: bool) -> str:
    figures = _free_figures(free, free_seconds)
    whose = f" of {shown(free.organization)}" if several else ""
    return (
        f"Free hours{whose} in {free.month}: {_hours(figures['free_hours'])} in all, "
        f"{_hours(min(figures['used_hours'], figures['free_hours']))} used, {_hours(figures['left_hours'])} left."
    )


def _free_figures(free: FreeTime, free_seconds: int) -> dict[str, Any]:
    return {
        "organization": free.organization,
        "month": free.month,
        "free_hours": free_seconds / 3600,
        "used_hours": free.used_seconds / 3600,
        "left_hours": max(0, free_seconds - free.used_seconds) / 3600,
    }


def _figures(line: Line, by: By) -> dict[str, Any]:
    own = asdict(line)
    del own["microdollar_seconds"]
    figures = {**own, "input_tokens": line.input_tokens, "execution_hours": line.hours, "dollars": line.dollars}
    # What is not known must not look like nothing.
    unknown = ("execution_seconds", "paid_seconds", "execution_hours", "dollars") if by == "model" else ()
    return figures | dict.fromkeys(unknown)


def _print_json(
    period: Period,
    by: By,
    ordered: Sequence[tuple[str, Line]],
    names: Mapping[str, str],
    free: Sequence[dict[str, Any]],
) -> None:
    total = Line()
    for _, line in ordered:
        total.add(line)
    document = {
        "since": f"{period.since}",
        "until": f"{period.until}",
        "by": by,
        "data": [{"id": label, "name": names.get(label, label), **_figures(line, by)} for label, line in ordered],
        "total": _figures(total, by),
        "free": free,
    }
    click.echo(json.dumps(document, indent=2))


def _print_csv(rows: Sequence[Mapping[str, Any]], first: str) -> None:
    headings = list(rows[0]) if rows else [first, "id", *_figures(Line(), "day")]
    text = io.StringIO()
    writer = csv.DictWriter(text, headings, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: _harmless(value) for name, value in row.items()})
    click.echo(text.getvalue(), nl=False)


def _harmless(value: Any) -> Any:
    """Names of models come from clients: a spreadsheet must not take one for a formula, nor a terminal for orders."""
    if not isinstance(value, str):
        return value
    return shown(f"'{value}" if value.startswith(_FORMULA) else value)


def _show_requests(data: Path | None, period: Period, limit: int, form: str | None) -> None:
    first = datetime(period.since.year, period.since.month, period.since.day, tzinfo=UTC)
    last = datetime(period.until.year, period.until.month, period.until.day, tzinfo=UTC) + timedelta(days=1)

    async def work(database: Database) -> tuple[Sequence[MeteredRequestRow], dict[str, str]]:
        return await last_requests(database, first, last, limit), await called(database, "key")

    found, names = data_directory.run(data, work)
    if form == "csv":
        _print_csv([_request_figures(row) for row in found], "request_id")
    elif form == "json":
        click.echo(json.dumps([_request_figures(row) for row in found], indent=2))
    elif not found:
        click.echo(f"There was no request from {period.since} to {period.until} (UTC).", err=True)
    else:
        headings = ("WHEN (UTC)", "KEY", "MODEL", "ENDED", *_REQUEST_NUMBERS)
        click.echo(columns(headings, [_request_line(row, names) for row in found], _REQUEST_NUMBERS))


def _request_line(row: MeteredRequestRow, names: Mapping[str, str]) -> tuple[str, ...]:
    return (
        f"{row.started_at:%m-%d %H:%M:%S}",
        fitted(names.get(row.api_key_id, row.api_key_id), _LONGEST_NAME),
        fitted(row.model, _LONGEST_NAME),
        row.outcome,
        f"{row.duration_seconds:.1f}",
        _short(_all_input(row)),
        _short(row.output_tokens),
        f"{row.tool_calls}",
        f"{row.cpu_seconds:.2f}",
        size(row.peak_memory_bytes),
        size(row.stored_bytes),
    )


def _request_figures(row: MeteredRequestRow) -> dict[str, Any]:
    values = {column.key: getattr(row, column.key) for column in MeteredRequestRow.__table__.columns}
    del values["number"]
    return {**values, "started_at": timestamp(row.started_at), "input_tokens": _all_input(row)}


def _all_input(row: MeteredRequestRow) -> int:
    cached = row.cache_read_input_tokens + row.cache_creation_5m_tokens + row.cache_creation_1h_tokens
    return row.uncached_input_tokens + cached


def _short(count: int) -> str:
    """A count in at most six characters: ``987``, ``12.3 k``, ``4.56 M``."""
    if count < 1000:
        return str(count)
    value = float(count)
    for unit in "kMGTPE":
        value /= 1000
        if value < 999.5 or unit == "E":
            break
    return f"{value:.{max(0, 3 - len(str(int(value))))}f} {unit}"


def _hours(value: float) -> str:
    if 0 < value < 0.005:
        return "<0.01"
    return f"{value:,.2f}" if value < 10 else f"{value:,.1f}"


def _dollars(value: float) -> str:
    return f"{value:,.2f}" if value >= 0.005 or value == 0 else "<0.01"


def _width() -> int:
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else _PIPE_COLUMNS
