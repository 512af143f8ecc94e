"""Settings: what is refused, and that each is documented."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from bathysphere.settings import ModelSettings, Settings, SettingsError

DOCUMENT = Path(__file__).parent.parent / "docs" / "settings.md"


def written(path: Path, text: str) -> Path:
    file = path / "bathysphere.toml"
    file.write_text(text, encoding="utf-8")
    return file


def test_without_a_file_the_documented_limits_hold() -> None:
    """WIRE l: 5 GiB of memory and disk, 1 CPU; WIRE c.4: ten samplings; WIRE j: the sizes."""
    settings = Settings.load(None)
    assert (settings.sandbox.memory_bytes, settings.sandbox.disk_bytes) == (5 * 2**30, 5 * 2**30)
    assert settings.sandbox.cpus == 1
    assert settings.turn.max_iterations == 10
    assert (settings.limits.request_bytes, settings.limits.file_bytes) == (32 * 2**20, 500 * 2**20)


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sandbox]\nmemmory_bytes = 1", r"sandbox\.memmory_bytes: there is no such key; did you mean memory_bytes\?"),
        ("[sandbx]\ncpus = 1", r"sandbx: there is no such key; did you mean sandbox\?"),
        ("[other]\ncpus = 1", "other: there is no such key$"),
        ('[models]\nbackend = "demo"', r"write \[\[models\]\]"),
        ('[[models]]\nbackend = "demo"\nurl = "x"', r"\[\[models\]\] entry 1: url: there is no such key"),
        ("[sandbox]\nmemory_bytes = -1", "sandbox.memory_bytes"),
        ('[[models]]\nmatch = "*"\nbackend = "oracle"', r"\[\[models\]\] entry 1: backend: input should be"),
        ("[sandbox", "not valid TOML"),
        ("[host]\nengine = 'none'", "host.engine"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(tmp_path: Path, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=named):
        Settings.load(written(tmp_path, text))


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"nowhere\.toml"):
        Settings.load(tmp_path / "nowhere.toml")


def tables() -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in Settings.model_fields.items():
        kind = type(field.default) if name != "models" else ModelSettings
        yield name, kind


@pytest.mark.parametrize(("name", "table"), list(tables()))
def test_every_setting_is_documented_with_its_default(name: str, table: type[BaseModel]) -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    section = text.partition(f"`[{name}]`" if name != "models" else "`[[models]]`")[2].partition("\n## ")[0]
    for key, field in table.model_fields.items():
        shown = "required" if field.is_required() else _shown(field.default)
        assert f"| `{key}` | {shown} |" in section, f"{name}.{key} (default {shown}) is missing in docs/settings.md"


def _shown(default: object) -> str:
    if isinstance(default, bool):
        return str(default).lower()  # as TOML has it
    if isinstance(default, tuple):
        return json.dumps(default)
    return "none" if default is None else f"{default:g}" if isinstance(default, float) else str(default)
