"""Many small writes of a command go out together, and none is held back."""

from __future__ import annotations

from bathysphere.containers.host import Command, OutputChunk
from bathysphere.guest.commands import GATHER_SECONDS

from .conftest import Container, MakeHost


async def test_a_byte_at_a_time(container: Container) -> None:
    source = "import os, time\nfor number in range(5_000): os.write(1 + number % 2, b'x'); time.sleep(0.0001)"
    written = {"stdout": 0, "stderr": 0}
    chunks = 0
    seconds = 0.0
    async for item in container.host.execute(container.name, Command("python", source, 60)):
        if isinstance(item, OutputChunk):
            chunks += 1
            written[item.stream] += len(item.data)
        else:
            seconds = item.duration_seconds
    assert written == {"stdout": 2500, "stderr": 2500}
    # One of each stream at a time, at the beginning and at the end too, on however slow a machine.
    assert chunks <= 2 * (seconds / GATHER_SECONDS + 2)


async def test_what_is_written_is_not_held_back(container: Container) -> None:
    # The command goes on for longer than the test waits, so nothing but the writing itself brings these here.
    source = "(echo a; echo b; sleep 1000)"
    stream = container.host.execute(container.name, Command("bash", source, 60))
    seen = b""
    while seen != b"a\nb\n":
        item = await anext(stream)
        assert isinstance(item, OutputChunk)
        seen += item.data
    await stream.aclose()


async def test_the_last_bytes_come_before_the_end(container: Container) -> None:
    for _ in range(20):
        assert (await container.bash("printf a; printf b; printf c >&2; printf d")).stdout == "abd"


async def test_large_outputs_go_in_pieces(make_host: MakeHost) -> None:
    host = make_host(sandbox={"output_bytes": 8 * 1024 * 1024})
    await host.create("one")
    seen = await Container(host, "one").bash("head -c 20M /dev/zero | tr '\\0' x")
    assert seen.finished.truncated
    assert seen.stdout.count("x") == 8 * 1024 * 1024
