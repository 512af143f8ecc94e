"""``bathysphere doctor``: try out whether this machine can isolate what models write."""

from __future__ import annotations

import asyncio
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table

from bathysphere.containers.host import HostError
from bathysphere.containers.local import LocalHost
from bathysphere.host.diagnosis import Finding, examine
from bathysphere.host.guarantees import LOST, NAMES, Proof
from bathysphere.image.definition import Definition
from bathysphere.image.image import Image, default_images_directory, find
from bathysphere.settings import Settings, SettingsError

_SIGNS = {
    "good": "[green]ok[/green]",
    "weak": "[yellow]weak[/yellow]",
    "waived": "[yellow]WAIVED[/yellow]",
    "bad": "[red]FAIL[/red]",
}


@click.command()
@click.option("--config", type=click.Path(path_type=Path, dir_okay=False), help="Configuration file.")
def doctor(config: Path | None) -> None:
    """Try out whether this machine can isolate what models write.

    First what sandboxes need of the machine; then each guarantee is attacked from inside a sandbox. Ends with status 1
    when one fails that should hold here and is not waived by the configuration (host.waive).
    """
    try:
        settings = Settings.load(config)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
    image = find(default_images_directory())
    console = Console()
    waived = set(settings.host.waive) >= {"memory limit", "processor limit", "process limit"}
    findings = [
        replace(finding, verdict="waived")
        if waived and finding.subject == "limits" and finding.verdict == "bad"
        else finding
        for finding in examine(image.root if image else None, settings.host, settings.sandbox)
    ]
    console.print(_table("what sandboxes need", findings))
    proofs: list[Finding] = []
    # Without control groups there can be sandboxes all the same, and it is seen what they lack.
    if image is not None and not any(finding.verdict == "bad" and finding.subject != "limits" for finding in findings):
        proofs = asyncio.run(_tried(settings, image))
        console.print()
        console.print(_table("tried from inside", proofs))
    console.print()
    _conclude(console, [*findings, *proofs], tried=bool(proofs))


async def _tried(settings: Settings, image: Image) -> list[Finding]:
    """The guarantees as a daemon with these settings proves them, in a data directory that is thrown away."""
    # All of them waived, so that a daemon starts and tells; what fails is judged by the real settings.
    host = settings.host.model_copy(update={"waive": NAMES, "linger_seconds": 1.0})
    environment = Definition.load().environment
    with tempfile.TemporaryDirectory(prefix="bathysphere-doctor-") as folder:
        trial = LocalHost(Path(folder), settings.model_copy(update={"host": host}), image.root, environment)
        try:
            await trial.start()
            status = await trial.status()
        except HostError as error:
            return [Finding("a sandbox", "bad", str(error), "Mend what is said; nothing runs before.")]
        finally:
            await trial.close(stop_host=True)
    found = [_finding(proof, proof.name in settings.host.waive) for proof in status.proofs]
    if not status.guarantees.get("own kernel", False):
        found.append(
            Finding(
                "own kernel",
                "weak",
                "containers share the kernel of this machine: a flaw in it can be a way out",
                "Choose per tenant: docs/security.md.",
            )
        )
    return found


def _finding(proof: Proof, waived: bool) -> Finding:
    if proof.verdict == "held":
        return Finding(proof.name, "good", proof.seen)
    seen = f"{proof.seen}. {LOST[proof.name]}" if proof.name in LOST else proof.seen
    if proof.verdict == "weaker":
        return Finding(proof.name, "weak", seen, proof.mend)
    return Finding(proof.name, "waived" if waived else "bad", seen, proof.mend)


def _conclude(console: Console, findings: list[Finding], tried: bool) -> None:
    bad = [finding for finding in findings if finding.verdict == "bad"]
    if bad:
        console.print(
            f"{len(bad)} of {len(findings)} checks failed; the server will not start before that is mended"
            + (" or waived by name (host.waive)." if tried else ".")
        )
        sys.exit(1)
    weak = sum(finding.verdict in ("weak", "waived") for finding in findings)
    console.print("Containers can run here." + (f" {weak} guarantees are weaker than they could be." if weak else ""))


def _table(title: str, findings: list[Finding]) -> Table:
    table = Table(box=None, pad_edge=False)
    for heading in (title, "", "found", "what to do"):
        table.add_column(heading, overflow="fold")
    for finding in findings:
        table.add_row(finding.subject, _SIGNS[finding.verdict], finding.seen, finding.mend)
    return table
