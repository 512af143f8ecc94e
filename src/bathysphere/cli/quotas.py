"""``bathysphere quotas``: what organisations, workspaces and keys may use. Running servers see a change at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click

from bathysphere.cli import data_directory
from bathysphere.cli.columns import columns, fitted, size
from bathysphere.cli.program import program
from bathysphere.store import organizations, workspaces
from bathysphere.store import quotas as store
from bathysphere.store.database import Database
from bathysphere.store.quota_use import Use, use
from bathysphere.store.quotas import Quota, Subject, UnusableLimit

_ORGANIZATION: Final = "organization"
_NONE: Final = "none"
_LONGEST_NAME: Final = 24
_NUMBERS: Final = ("LIMIT", "USED", "PERCENT")
_PER_MONTH: Final = frozenset(("execution_hours", "dollars", "requests"))

_subject = click.argument("subject")


class _Limit(click.ParamType[Any]):
    """A number above 0, or ``none``."""

    name = "number"

    def __init__(self, limit: str, whole: bool) -> None:
        self._limit = limit
        self._whole = whole

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == _NONE:
            return _NONE
        try:
            number = int(value) if self._whole else float(value)
            store.check(self._limit, number)
        except UnusableLimit as error:
            self.fail(str(error).partition(": ")[2] + f", or `{_NONE}`", param, ctx)
        except ValueError:
            self.fail(f"{value!r} is no {'whole ' if self._whole else ''}number, and not `{_NONE}`", param, ctx)
        return number


@click.group()
def quotas() -> None:
    """What organisations, workspaces and API keys may use.

    SUBJECT is an id (org_..., wrkspc_..., apikey_...), the name of a workspace, or `organization` where there is one.
    """


@quotas.command("set")
@data_directory.option
@_subject
@click.option("--requests", type=_Limit("requests", True), help="In a month.")
@click.option("--execution-hours", type=_Limit("execution_hours", False), help="In a month.")
@click.option("--dollars", type=_Limit("dollars", False), help="In a month.")
@click.option("--containers", type=_Limit("containers", True), help="That there are.")
@click.option("--concurrent-containers", type=_Limit("concurrent_containers", True), help="That run something.")
@click.option("--storage-bytes", type=_Limit("storage_bytes", True), help="Of files and skills.")
def set_quota(data: Path | None, subject: str, **limits: float | str | None) -> None:
    """Set limits. Those that are not named stay; `none` takes one away. Months are calendar months in UTC."""
    changes = {name: None if value == _NONE else value for name, value in limits.items() if value is not None}
    if not changes:
        raise click.UsageError("Name a limit to set, such as --dollars 20.")

    async def work(database: Database) -> tuple[Quota, Use]:
        found = await _find(database, subject)
        changed = await store.change(database, found, changes)  # type: ignore[arg-type] # `none` has become None
        return changed, await use(database, found)

    _print([data_directory.run(data, work)])


@quotas.command()
@data_directory.option
@click.argument("subject", required=False)
@click.option("--json", "as_json", is_flag=True, help="For programs: everything, as JSON.")
def show(data: Path | None, subject: str | None, as_json: bool) -> None:
    """Show the limits of SUBJECT, or of all that have any, and what of them has been used."""

    async def work(database: Database) -> list[tuple[Quota, Use]]:
        if subject is not None:
            found = [await store.get(database, await _find(database, subject))]
        else:
            found = await store.list_all(database)
        return [(quota, await use(database, quota.subject)) for quota in found]

    shown = data_directory.run(data, work)
    if as_json:
        click.echo(json.dumps([_described(quota, used) for quota, used in shown], indent=2))
    elif not shown:
        click.echo(f"There are no quotas. Set one with: {program()} quotas set SUBJECT --dollars 20", err=True)
    else:
        _print(shown)


@quotas.command()
@data_directory.option
@_subject
def clear(data: Path | None, subject: str) -> None:
    """Take all limits of SUBJECT away."""

    async def work(database: Database) -> Subject:
        found = await _find(database, subject)
        await store.clear(database, found)
        return found

    click.echo(f"{data_directory.run(data, work).name} has no limits.", err=True)


async def _find(database: Database, wanted: str) -> Subject:
    found = await store.subject(database, wanted)
    if found is not None:
        return found
    ids = [room.id for room in await workspaces.list_all(database) if room.name == wanted]
    if not ids and wanted == _ORGANIZATION:
        ids = [one.id for one in await organizations.list_all(database)]
    if len(ids) > 1:
        raise click.ClickException(f"{wanted} could be any of {', '.join(ids)}: name one of these.")
    found = await store.subject(database, ids[0]) if ids else None
    if found is None:
        raise click.ClickException(
            f"There is no organisation, workspace or API key {wanted}. `{program()} workspaces list` and "
            f"`{program()} keys list` show the ids of all."
        )
    return found


def _print(shown: list[tuple[Quota, Use]]) -> None:
    rows = []
    for quota, used in shown:
        name = f"{quota.subject.kind.replace('_', ' ')} {fitted(quota.subject.name, _LONGEST_NAME)}"
        limited = {limit: value for limit, value in asdict(quota.limits).items() if value is not None}
        rows += [(name, *_cells(limit, value, asdict(used))) for limit, value in limited.items()] or [
            (name, "no limits", "-", "-", "-")
        ]
    click.echo(columns(("OF", "WHAT", *_NUMBERS), rows, _NUMBERS))


def _cells(limit: str, value: float, used: Mapping[str, float]) -> tuple[str, ...]:
    what = limit.replace("_", " ") + (f", {datetime.now(UTC):%Y-%m}" if limit in _PER_MONTH else "")
    if limit not in used:
        return what.removesuffix(" bytes"), _number(limit, value), "-", "-"
    percent = f"{100 * used[limit] / value:,.0f} %"
    return what.removesuffix(" bytes"), _number(limit, value), _number(limit, used[limit]), percent


def _number(limit: str, value: float) -> str:
    if limit == "storage_bytes":
        return size(int(value))
    if limit == "dollars":
        return f"{value:,.2f}"
    return f"{value:,.1f}" if limit == "execution_hours" else f"{value:,}"


def _described(quota: Quota, used: Use) -> dict[str, Any]:
    return {
        "subject_id": quota.subject.id,
        "subject_type": quota.subject.kind,
        "name": quota.subject.name,
        "limits": asdict(quota.limits),
        "used": asdict(used),
    }
