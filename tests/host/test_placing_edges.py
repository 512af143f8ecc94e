"""An upload is placed as what it is, or refused; what lies in its way is moved aside."""

from __future__ import annotations

import pytest

from .conftest import Container


@pytest.mark.parametrize("name", ["f.txt", "名" * 85, "x" * 255])
async def test_a_directory_in_the_way(container: Container, name: str) -> None:
    await container.bash(f"mkdir -p $INPUT_DIR/{name}; echo kept > $INPUT_DIR/{name}/inside")
    await container.place(name, b"new")
    seen = await container.bash(f"cat $INPUT_DIR/{name}; cat $INPUT_DIR/*.moved/inside; ls -A $INPUT_DIR | wc -l")
    assert seen.stdout == "newkept\n2\n"
