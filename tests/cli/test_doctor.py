"""``bathysphere doctor``: what it says of the data directory and the models; the isolation has tests of its own."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner, Result

from bathysphere.cli.doctor import doctor


def run(data: Path, models: str, folder: Path) -> Result:
    config = folder / "bathysphere.toml"
    config.write_text(models)
    return CliRunner(env={"COLUMNS": "300"}).invoke(doctor, ["--data", str(data), "--config", str(config)])


def test_it_tells_of_data_and_models_and_makes_nothing(tmp_path: Path) -> None:
    data = tmp_path / "not" / "yet"
    shown = run(data, '[[models]]\nmatch = "mine"\nbackend = "demo"\n', tmp_path).output
    assert f"{data} (not made yet)" in shown and "GB free" in shown
    assert "mine -> demo ([[models]] entry 1" in shown
    assert not data.exists()


def test_what_serve_would_refuse_fails(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    shown = run(tmp_path / "file", '[[models]]\nbackend = "openai"\napi_key_env = "NO_SUCH_KEY"\n', tmp_path)
    assert shown.exit_code == 1
    assert f"{tmp_path / 'file'} cannot be written" in shown.output and "NO_SUCH_KEY" in shown.output
