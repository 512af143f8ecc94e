"""What the doctor finds, on this machine and on ones that lack something."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from bathysphere.cli.doctor import doctor
from bathysphere.host.diagnosis import Finding, examine
from bathysphere.settings import HostSettings, SandboxLimits

from .conftest import ROOT, group_of, groups_left


def findings(image: Path | None, **settings: object) -> dict[str, Finding]:
    return {
        finding.subject: finding for finding in examine(image, HostSettings.model_validate(settings), SandboxLimits())
    }


def test_this_machine(image: Path) -> None:
    found = findings(image)
    for subject in ("bubblewrap", "user namespaces", "sandbox", "image"):
        assert found[subject].verdict == "good", found[subject]
    assert ("user ids" in found) == ROOT and (not ROOT or found["user ids"].verdict == "good")
    assert found["limits"].verdict == "good" if ROOT else found["limits"].verdict in ("good", "weak")
    assert groups_left(image) == [] and group_of(image)


def test_no_image(tmp_path: Path) -> None:
    for image in (None, tmp_path / "nowhere", tmp_path):
        found = findings(image)["image"]
        assert found.verdict == "bad"
        assert "bathysphere image build" in found.mend


def test_no_bubblewrap(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    found = findings(image)
    assert found["bubblewrap"].verdict == found["sandbox"].verdict == "bad"
    assert "apt install bubblewrap" in found["bubblewrap"].mend


def test_user_ids_that_somebody_has(image: Path) -> None:
    found = findings(image, first_uid=65536, uid_count=65536).get("user ids")
    entries = Path("/etc/subuid").read_text().split() if Path("/etc/subuid").exists() else []
    overlaps = any(int(entry.split(":")[1]) < 131072 for entry in entries)
    assert (found.verdict if found else None) == (None if not ROOT else "bad" if overlaps else "good")


def test_the_command(image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outcome = CliRunner().invoke(doctor)
    assert outcome.exit_code == 0, outcome.output
    assert "Containers can run here." in outcome.output
    assert all(name in outcome.output for name in ("system call filter", "disk limit", "own terminals"))
    monkeypatch.setenv("BATHYSPHERE_IMAGES", str(tmp_path))
    outcome = CliRunner().invoke(doctor)
    assert outcome.exit_code == 1
    assert "FAIL" in outcome.output
    assert "bathysphere image build" in outcome.output
    (tmp_path / "bad.toml").write_text("x = 1")
    outcome = CliRunner().invoke(doctor, ["--config", str(tmp_path / "bad.toml")])
    assert outcome.exit_code == 1
    assert "bad.toml" in outcome.output


def test_open_files(image: Path) -> None:
    few = SandboxLimits(processes=16, open_files=64)
    (found,) = (finding for finding in examine(image, HostSettings(), few) if finding.subject == "open files")
    assert found.verdict == "good"
    many = SandboxLimits(processes=2**30, open_files=2**40)
    (found,) = (finding for finding in examine(image, HostSettings(), many) if finding.subject == "open files")
    assert found.verdict == "weak" and "sandbox.open_files" in found.mend
