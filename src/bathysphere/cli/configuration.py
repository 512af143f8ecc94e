"""Which configuration a command uses: the same for all of them, so that each one speaks of what ``serve`` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import click

from bathysphere.settings import Settings, SettingsError

USUAL: Final = Path("bathysphere.toml")
USUAL_PORT: Final = 8321

option = click.option(
    "--config",
    type=click.Path(path_type=Path, readable=False),
    help=f"Configuration file. [default: {USUAL} in this folder, where there is one]",
)
"""``--config`` for a command; its value is for ``load``."""


def load(config: Path | None) -> tuple[Settings, Path | None]:
    """The settings, and the file that they come from; None when these are the defaults. Raises ClickException."""
    path = config or (USUAL if USUAL.exists() else None)
    try:
        return Settings.load(path), path and path.absolute()
    except SettingsError as error:
        raise click.ClickException(str(error)) from error
