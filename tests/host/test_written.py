"""What a command wrote to its disk, by the kernel's count."""

from __future__ import annotations

from pathlib import Path

from bathysphere.host.written import written_bytes
from tests.host.conftest import ROOT, Container

MIB = 1024 * 1024


async def test_a_call_tells_how_much_it_wrote(container: Container) -> None:
    """Without root a disk is a folder among others, and nobody counts what is written to it."""
    await container.bash("true")
    little = (await container.bash("echo x > little.txt")).finished.written_bytes
    much = (await container.bash("head -c 20M /dev/urandom > much.bin")).finished.written_bytes
    if not ROOT:
        assert (little, much) == (None, None)
        return
    assert little is not None
    assert much is not None
    assert 0 < little < MIB
    assert 20 * MIB <= much < 30 * MIB


def test_what_is_no_device_has_no_count(tmp_path: Path) -> None:
    assert written_bytes(Path("/proc")) is None
    assert written_bytes(tmp_path / "nowhere") is None
