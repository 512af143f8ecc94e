"""The demo, as a newcomer runs it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from bathysphere.store import keys
from bathysphere.store.database import Database


async def test_three_conversations_and_what_remains(tmp_path: Path) -> None:
    place, data = tmp_path / "here", tmp_path / "data"
    place.mkdir()
    done = subprocess.run(
        [sys.executable, "-m", "bathysphere", "demo", "--data", str(data)],
        cwd=place,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    said = done.stdout
    assert "No language model is connected" in said
    assert "mean: 5.5" in said and "3.0276503540974917" in said
    (number,) = set(re.findall(r"number: (\d+)", said))
    assert f"result: {int(number) ** 2}" in said
    assert re.search(r"container +container_\w+ ", said)

    pictures = [Path(path) for path in re.findall(r"saved +(\S+\.png)", said)]
    assert pictures
    for picture in pictures:
        assert picture.parent == place
        assert picture.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")

    database = await Database.open(data)
    (key,) = await keys.list_all(database)
    await database.close()
    assert key.disabled_at is not None, "so that the first start of a server still makes a key, and shows it"
