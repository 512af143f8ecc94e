"""``bathysphere quotas``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from bathysphere.cli.keys import keys
from bathysphere.cli.quotas import quotas


def run(data: Path, name: str, *arguments: str) -> Result:
    return CliRunner().invoke(quotas, [name, "--data", str(data), *arguments])


@pytest.fixture
def data(tmp_path: Path) -> Path:
    assert CliRunner().invoke(keys, ["create", "--data", str(tmp_path), "--workspace", "lab"]).exit_code == 0
    return tmp_path


def test_limits_are_set_shown_and_cleared(data: Path) -> None:
    assert "There are no quotas." in run(data, "show").stderr
    made = run(data, "set", "lab", "--dollars", "20", "--storage-bytes", "1048576", "--concurrent-containers", "2")
    assert [line.split()[:2] for line in made.stdout.splitlines()[1:]] == [["workspace", "lab"]] * 3
    assert run(data, "set", "organization", "--requests", "1000").exit_code == 0
    assert run(data, "set", "lab", "--dollars", "none").exit_code == 0
    lines = [line.split() for line in run(data, "show").stdout.splitlines()]
    assert lines[0] == ["OF", "WHAT", "LIMIT", "USED", "PERCENT"]
    assert lines[1][:2] == ["organization", "default"] and lines[1][-4:] == ["1,000", "0", "0", "%"]
    assert lines[2][2:] == ["concurrent", "containers", "2", "-", "-"]
    assert lines[3][2:] == ["storage", "1.0", "MiB", "0", "B", "0", "%"]
    (of_lab,) = json.loads(run(data, "show", "lab", "--json").stdout)
    assert of_lab["limits"]["storage_bytes"] == 1048576 and of_lab["limits"]["dollars"] is None
    assert "lab has no limits" in run(data, "clear", of_lab["subject_id"]).stderr
    assert run(data, "show", "lab").stdout.splitlines()[1].split() == [
        "workspace",
        "lab",
        "no",
        "limits",
        "-",
        "-",
        "-",
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("set", "lab"), "Name a limit to set"),
        (("set", "lab", "--dollars", "0"), "greater than 0 and at most 1000000000, or `none`"),
        (("set", "lab", "--dollars", "nan"), "greater than 0"),
        (("set", "lab", "--requests", "1.5"), "no whole number, and not `none`"),
        (("set", "nowhere", "--dollars", "1"), "There is no organisation, workspace or API key nowhere"),
        (("show", "apikey_unknown"), "There is no organisation, workspace or API key apikey_unknown"),
        (("clear", "org_unknown"), "There is no organisation, workspace or API key org_unknown"),
    ],
)
def test_mistakes_are_explained(data: Path, arguments: tuple[str, ...], message: str) -> None:
    wrong = run(data, *arguments)
    assert wrong.exit_code != 0 and message in wrong.stderr
