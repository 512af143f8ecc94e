"""Clients of the daemon's socket that misbehave, vanish or are killed."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from bathysphere.containers.local import LocalHost
from bathysphere.guest import frames
from bathysphere.host.privileges import DAEMON
from bathysphere.settings import HostSettings

from .conftest import ROOT, Container, MakeHost
from .test_placing import daemon_of

SERVER = """
import asyncio, sys
from pathlib import Path
from bathysphere.containers.local import LocalHost
from bathysphere.image.definition import Definition
from bathysphere.settings import Settings

async def main():
    host = LocalHost(
        Path(sys.argv[1]), Settings.model_validate({"host": {"linger_seconds": 2, "pool": 0}}), Path(sys.argv[2]),
        Definition.load().environment,
    )
    await host.create("one")
    print("ready", flush=True)
    await asyncio.sleep(1000)

asyncio.run(main())
"""


async def test_a_server_is_killed_and_the_next_one_adopts_its_containers(
    make_host: MakeHost, image: Path, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    server = await asyncio.create_subprocess_exec(
        sys.executable, "-c", SERVER, str(data), str(image),
        stdout=asyncio.subprocess.PIPE, env={**os.environ, "PYTHONPATH": ":".join(sys.path)},
    )  # fmt: skip
    assert server.stdout is not None
    assert await server.stdout.readline() == b"ready\n"
    daemon = daemon_of(data)
    server.send_signal(signal.SIGKILL)
    await server.wait()
    host = make_host()
    await host.start()
    assert daemon_of(data) == daemon
    assert (await host.status()).sandboxes == 1
    assert (await Container(host, "one").bash("echo alive")).stdout == "alive\n"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"\0",
        b"GET / HTTP/1.1\r\n\r\n",
        frames.LENGTHS.pack(0xFFFFFFFF, 0xFFFFFFFF),
        frames.LENGTHS.pack(2, 0) + b"[]",
        frames.encode({}),
        frames.encode({"op": "explode", "container": "x"}),
        frames.encode({"op": "execute", "container": "../../etc"}),
        frames.encode({"op": "execute", "container": "x", "timeout_seconds": -1}),
        frames.encode({"op": "execute", "container": "x", "extra": 1}),
        frames.encode({"op": "create"}),
    ],
)
async def test_what_is_no_request(host: LocalHost, data: Path, sent: bytes) -> None:
    await host.start()
    reader, writer = await asyncio.open_unix_connection(str(data / "host" / "host.sock"))
    writer.write(sent)
    writer.write_eof()
    answer = await reader.read()
    assert answer == b"" or b'"error":"ValueError"' in answer
    writer.close()
    assert (await host.status()).engine == "bubblewrap"


async def test_the_socket_is_for_its_user_alone(host: LocalHost, data: Path) -> None:
    """As root also for the server, which is not: it may pass through the folder, and see nothing else there."""
    await host.start()
    folder, socket = (data / "host").stat(), (data / "host" / "host.sock").stat()
    if ROOT:
        uid = HostSettings().server_uid
        assert (folder.st_uid, folder.st_gid, folder.st_mode & 0o777) == (0, uid, 0o710)
        assert (socket.st_uid, socket.st_gid, socket.st_mode & 0o777) == (0, uid, 0o660)
        assert (data / "host" / "host.log").stat().st_mode & 0o777 == 0o600
    else:
        assert folder.st_mode & 0o777 == 0o700
        assert socket.st_mode & 0o077 == 0


async def test_the_daemon_keeps_few_capabilities(host: LocalHost, data: Path) -> None:
    await host.start()
    status = Path(f"/proc/{daemon_of(data)}/status").read_text()
    ours = dict(line.split(":\t") for line in Path("/proc/self/status").read_text().splitlines() if "Cap" in line)
    kept = int(ours["CapPrm"], 16) & sum(1 << capability for capability in DAEMON)
    for name in ("CapPrm", "CapEff", *(["CapBnd"] if ROOT else [])):
        assert f"{name}:\t{kept:016x}" in status


async def test_a_client_that_vanishes_in_an_upload(container: Container, data: Path) -> None:
    _reader, writer = await asyncio.open_unix_connection(str(data / "host" / "host.sock"))
    writer.write(frames.encode({"op": "place", "container": container.name, "filename": "f", "size": 3_000_000}))
    writer.write(frames.encode({}, bytes(1_000_000)))
    await writer.drain()
    writer.close()
    assert (await container.bash("ls -A $INPUT_DIR")).stdout == ""


async def test_a_client_that_vanishes_in_a_download(container: Container) -> None:
    seen = await container.bash("head -c 5M /dev/zero > $OUTPUT_DIR/f")
    stream = container.host.read_output(container.name, seen.finished.files[0].handle)
    await anext(stream)
    await stream.aclose()
    assert len(await container.read(seen.finished.files[0].handle)) == 5 * 1024 * 1024
