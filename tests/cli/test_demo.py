"""The demo, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from bathysphere.models.demo.guidance import NOTICE


def demo(place: Path, **environment: Path) -> subprocess.CompletedProcess[str]:
    place.mkdir()
    return subprocess.run(
        [sys.executable, "-m", "bathysphere", "demo"],
        cwd=place,
        env={**os.environ, **{name: str(path) for name, path in environment.items()}},
        capture_output=True,
        text=True,
        check=False,
    )


def test_three_conversations_and_what_remains(tmp_path: Path) -> None:
    place, data, temporary = tmp_path / "here", tmp_path / "data", tmp_path / "tmp"
    temporary.mkdir()
    done = demo(place, BATHYSPHERE_DATA=data, TMPDIR=temporary)
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "No language model is connected" in said
    assert NOTICE not in said, "it has been said once, for all conversations"
    assert said.index("Starting the server") < said.index("1  A calculation")
    assert "mean: 5.5" in said and "3.0276503540974917" in said
    (number,) = set(re.findall(r"number: (\d+)", said))
    assert f"result: {int(number) ** 2}" in said
    assert re.search(r"container +container_\w+ ", said)

    pictures = [Path(path) for path in re.findall(r"saved +(\S+\.png)", said)]
    assert [picture.name for picture in pictures] == [
        "demo-chart_by_group.png",
        "demo-chart_correlations.png",
        "demo-chart_distributions.png",
        "demo-chart_over_time.png",
    ]
    for picture in pictures:
        assert picture.parent == place
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    assert sorted(place.iterdir()) == pictures
    assert not data.exists() and not list(temporary.iterdir()), "its server's data are its own, and go with it"


def test_without_an_image_it_says_so_and_nothing_else(tmp_path: Path) -> None:
    done = demo(tmp_path / "here", BATHYSPHERE_IMAGES=tmp_path / "images", TMPDIR=tmp_path)
    assert (done.returncode, done.stdout) == (1, "")
    assert "bathysphere image build" in done.stderr
