"""``bathysphere doctor``: try out whether this machine can isolate what models write."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from bathysphere.cli import configuration
from bathysphere.cli.trial import tried
from bathysphere.host.diagnosis import Finding, examine
from bathysphere.image.definition import Definition
from bathysphere.image.image import default_images_directory, find
from bathysphere.models.configured import ConfiguredModels
from bathysphere.settings import Settings, SettingsError, default_data_directory

_ROOM_BYTES = 1024**3

_SIGNS = {
    "good": "[green]ok[/green]",
    "weak": "[yellow]weak[/yellow]",
    "waived": "[yellow]WAIVED[/yellow]",
    "bad": "[red]FAIL[/red]",
}


@click.command()
@click.option("--data", type=click.Path(path_type=Path, readable=False), help="The server's data directory.")
@configuration.option
def doctor(data: Path | None, config: Path | None) -> None:
    """Try out whether this machine can isolate what models write.

    First what sandboxes need of the machine; then each guarantee is attacked from inside a sandbox. Ends with status 1
    when one fails that should hold here and is not waived by the configuration (host.waive).
    """
    settings, path = configuration.load(config)
    console = Console()
    console.print(f"Configuration: {path or 'no file'}\n", markup=False, highlight=False, soft_wrap=True)
    image = find(default_images_directory(), Definition.load(office=settings.image.office))
    if image is None and settings.image.office:
        console.print("The configuration asks for the larger image (image.office): bathysphere image build --office\n")
    waived = set(settings.host.waive) >= {"memory limit", "processor limit", "process limit"}
    findings = [
        replace(finding, verdict="waived")
        if waived and finding.subject == "limits" and finding.verdict == "bad"
        else finding
        for finding in examine(image.root if image else None, settings.host, settings.sandbox)
    ]
    console.print(_table("what sandboxes need", findings))
    # Without control groups there can be sandboxes all the same, and it is seen what they lack.
    if image is not None and not any(finding.verdict == "bad" and finding.subject != "limits" for finding in findings):
        proofs = asyncio.run(tried(settings, image))
        console.print()
        console.print(_table("tried from inside", proofs))
        findings += proofs
    server = [_data((data or default_data_directory()).absolute()), *_models(settings)]
    console.print()
    console.print(_table("what the server needs", server))
    console.print()
    _conclude(console, [*findings, *server])


def _conclude(console: Console, findings: list[Finding]) -> None:
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if bad:
        console.print(
            f"{len(bad)} of {len(findings)} checks failed; the server will not start before that is mended. A "
            "guarantee that is tried from inside can also be waived by name (host.waive)."
        )
        sys.exit(1)
    weak = sum(finding.verdict in ("weak", "waived") for finding in findings)
    console.print("Containers can run here." + (f" {weak} of these could be better." if weak else ""))


def _data(directory: Path) -> Finding:
    """Whether data can be kept there. Nothing is made: what is not there yet is judged by where it would be made."""
    there = next(path for path in (directory, *directory.parents) if os.access(path, os.F_OK))
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        return Finding(
            "data", "bad", f"{directory} cannot be written", "Choose another one with --data or BATHYSPHERE_DATA."
        )
    free = shutil.disk_usage(there).free
    seen = f"{directory}{'' if there == directory else ' (not made yet)'}, {free / 1e9:.1f} GB free"
    if free < _ROOM_BYTES:
        return Finding("data", "weak", seen, "Make room: uploads and containers are kept there.")
    return Finding("data", "good", seen)


def _models(settings: Settings) -> list[Finding]:
    async def opened() -> tuple[list[str], list[str]]:
        models = await ConfiguredModels.open(settings.models, own_port=configuration.USUAL_PORT)
        try:
            return models.describe(), await models.silent()
        finally:
            await models.close()

    try:
        lines, silent = asyncio.run(opened())
    except SettingsError as error:
        return [Finding("model", "bad", str(error), "Mend the entry in the configuration.")]
    return [
        *(Finding("model", "good", line) for line in lines),
        *(Finding("model", "weak", line, "Start the model's server, or correct base_url.") for line in silent),
    ]


def _table(title: str, findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (title, "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, _SIGNS[finding.verdict], escape(finding.seen), escape(finding.mend))
    return table
