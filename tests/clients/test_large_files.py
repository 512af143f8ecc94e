"""300 MB up and down through the SDK, byte for byte, while the server's memory hardly grows."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from tests.clients import environments
from tests.clients.asking import ask, get
from tests.clients.environments import PYTHON_2
from tests.seeds import expectations
from tests.server import Server, peak_memory, reset_peak_memory

SIZE = 300 * 1024 * 1024
ALLOWED_GROWTH = 50_000_000


def random_file(path: Path) -> str:
    """Write SIZE random bytes and return their SHA-256."""
    digest = hashlib.sha256()
    with path.open("wb") as file:
        for _ in range(SIZE // 2**20):
            piece = os.urandom(2**20)
            file.write(piece)
            digest.update(piece)
    return digest.hexdigest()


def test_300_megabytes_each_way(server: Server, tmp_path: Path) -> None:
    ask(server, "```bash\necho warm\n```")
    daemon = server.daemon_pid()
    before = {pid: reset_peak_memory(pid) for pid in (server.pid, daemon)}

    path = tmp_path / "large.bin"
    digest = random_file(path)
    uploaded = environments.run(PYTHON_2, "large_file", server, tmp_path, ["upload", str(path)])
    assert uploaded["size_bytes"] == SIZE
    path.unlink()

    code = '```bash\nsha256sum < "$INPUT_DIR/large.bin"; cp "$INPUT_DIR/large.bin" "$OUTPUT_DIR/back.bin"\n```'
    upload = {"type": "container_upload", "file_id": uploaded["id"]}
    message = ask(server, [{"type": "text", "text": code}, upload])
    assert expectations.output(message).split()[0] == digest
    (produced,) = expectations.file_ids(message)
    downloaded = environments.run(PYTHON_2, "large_file", server, tmp_path, ["download", produced])
    assert downloaded == {"sha256": digest, "size": SIZE}

    code = f"head -c {SIZE} /dev/urandom > $OUTPUT_DIR/made.bin; sha256sum < $OUTPUT_DIR/made.bin"
    made = ask(server, f"```bash\n{code}\n```")
    (made_id,) = expectations.file_ids(made)
    assert get(server, f"/v1/files/{made_id}").json()["size_bytes"] == SIZE
    downloaded = environments.run(PYTHON_2, "large_file", server, tmp_path, ["download", made_id])
    assert downloaded == {"sha256": expectations.output(made).split()[0], "size": SIZE}

    growth = {pid: peak_memory(pid) - memory for pid, memory in before.items()}
    assert growth[server.pid] < ALLOWED_GROWTH, "the server"
    assert growth[daemon] < ALLOWED_GROWTH, "the host daemon"
