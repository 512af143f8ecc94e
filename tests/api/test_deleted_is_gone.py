"""What a client has deleted is gone from the disk: the data directory is searched for it, every byte."""

from __future__ import annotations

import subprocess
import time
from pathlib import Path
from typing import Any

from tests.batches.asking import bash, create, ended, request, results
from tests.clients.asking import ask, get, post, question, send
from tests.server import Server, running_server, start_again

CONTAINERS = "/bathysphere/v1/containers"
PATIENCE_SECONDS = 60.0


def traces(server: Server, mark: str) -> list[str]:
    """Files below the data directory in which these bytes are."""
    found = subprocess.run(["grep", "-rlaF", mark, str(server.data)], capture_output=True, text=True, check=False)
    return sorted(str(Path(line).relative_to(server.data)) for line in found.stdout.splitlines())


def gone(server: Server, mark: str) -> bool:
    """Whether that comes about. It is answered at once, and done within seconds."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while left := traces(server, mark):
        if time.monotonic() > deadline:
            raise AssertionError(f"{mark} is still in {left}")
        time.sleep(0.2)
    return True


def delete(server: Server, path: str) -> None:
    headers = [("x-api-key", server.key), ("anthropic-version", "2023-06-01")]
    answer = send(server, "DELETE", path, headers)
    assert answer.status == 200, answer.body


def upload(server: Server, name: str, content: bytes) -> str:
    body = (
        b'--x\r\ncontent-disposition: form-data; name="file"; filename="' + name.encode() + b'"\r\n'
        b"content-type: text/plain\r\n\r\n" + content + b"\r\n--x--\r\n"
    )
    headers = [
        ("x-api-key", server.key),
        ("anthropic-version", "2023-06-01"),
        ("content-type", "multipart/form-data; boundary=x"),
    ]
    answer = send(server, "POST", "/v1/files", headers, body)
    assert answer.status == 200, answer.body
    return str(answer.json()["id"])


def test_files_containers_and_batches(tmp_path: Path) -> None:
    tables: dict[str, dict[str, Any]] = {"sandbox": {"disk_bytes": 64 << 20}, "containers": {"record_commands": False}}
    with running_server(tmp_path, tables=tables) as server:
        kept = upload(server, "mark-of-what-is-kept.txt", b"mark-of-what-is-kept")

        file_id = upload(server, "mark-of-file-name.txt", b"mark-of-file-content" * 1000)
        delete(server, f"/v1/files/{file_id}")
        assert gone(server, "mark-of-file")

        file_id = upload(server, "placed.txt", b"mark-of-placed-content" * 1000)
        given = [{"type": "container_upload", "file_id": file_id}, {"type": "text", "text": "```bash\nls\n```"}]
        with_upload = ask(server, given)["container"]["id"]
        assert len(traces(server, "mark-of-placed-content")) == 2, "the file, and the copy in the container's disk"
        delete(server, f"/v1/files/{file_id}")
        delete(server, f"{CONTAINERS}/{with_upload}")
        assert gone(server, "mark-of-placed-content")

        container = post(server, CONTAINERS, b"").json()["id"]
        ran = post(server, f"{CONTAINERS}/{container}/run", {"source": "echo mark-of-container > file; cat file; sync"})
        assert ran.json()["stdout"] == "mark-of-container\n"
        for produced in ran.json()["files"]:
            delete(server, f"/v1/files/{produced['id']}")
        assert traces(server, "mark-of-container") != []
        delete(server, f"{CONTAINERS}/{container}")
        assert gone(server, "mark-of-container")

        # Too long for a page of the database, and not.
        texts = ["mark-of-batch", "mark-of-batch " * 2000]
        batch = create(server, [request(f"n{n}", bash(f"echo {text}")) for n, text in enumerate(texts)])
        ended(server, batch["id"])
        assert "mark-of-batch" in str(results(server, batch["id"]))
        assert traces(server, "mark-of-batch") != []
        delete(server, f"/v1/messages/batches/{batch['id']}")
        for listed in get(server, CONTAINERS).json()["data"]:
            delete(server, f"{CONTAINERS}/{listed['id']}")
        assert gone(server, "mark-of-batch")

        assert post(server, "/v1/messages", question("no mark-of-turn is kept")).status == 200
        assert traces(server, "mark-of-turn") == [], "conversations are not stored at all"
        assert traces(server, "mark-of-what-is-kept") != []
        delete(server, f"/v1/files/{kept}")
        server.kill()  # right after a deletion: the next start makes it true
        start_again(server)
        assert gone(server, "mark-of-what-is-kept")
