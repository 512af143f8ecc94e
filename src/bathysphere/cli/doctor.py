"""``bathysphere doctor``: try out whether this machine can isolate what models write."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bathysphere.host.diagnosis import Finding, examine
from bathysphere.image.image import default_images_directory, find
from bathysphere.settings import Settings, SettingsError

_SIGNS = {"good": "[green]ok[/green]", "weak": "[yellow]weak[/yellow]", "bad": "[red]FAIL[/red]"}


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
def doctor(config: Path | None) -> None:
    """Try out whether this machine can isolate what models write.

    Ends with status 1 when something is missing that nothing can run without.
    """
    try:
        settings = Settings.load(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    image = find(default_images_directory())
    findings = list(examine(image.root if image else None, settings.host))
    console = Console()
    console.print(_table(findings))
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if bad:
        console.print(f"{len(bad)} of {len(findings)} checks failed; nothing will run before that is mended.")
        sys.exit(1)
    weak = sum(finding.verdict == "weak" for finding in findings)
    console.print("Containers can run here." + (f" {weak} guarantees are weaker than they could be." if weak else ""))


def _table(findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in ("check", "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, _SIGNS[finding.verdict], finding.seen, finding.mend)
    return table
