"""300 MB up and down through a real server: MB/s, and by how much the memory of server and host daemon grows."""

from __future__ import annotations

import http.client
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.server import Server, peak_memory, reset_peak_memory, running_server

SIZE = 300_000_000
RUNS = 3
BOUNDARY = "a-boundary-of-the-bench"
PIECE = 1 << 20


def request(server: Server, method: str, path: str, body: Any, headers: dict[str, str]) -> http.client.HTTPResponse:
    """Send one request. Raises RuntimeError unless it is answered with 200."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=600)
    connection.request(method, path, body, {"x-api-key": server.key} | headers)
    response = connection.getresponse()
    if response.status != 200:
        raise RuntimeError(f"{method} {path}: {response.status}: {response.read().decode()}")
    return response


def upload(server: Server, path: Path) -> str:
    """Send the file as one multipart body, read piece by piece."""
    head = (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="bench.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode()
    tail = f"\r\n--{BOUNDARY}--\r\n".encode()

    def body() -> Any:
        yield head
        with path.open("rb") as file:
            while piece := file.read(PIECE):
                yield piece
        yield tail

    headers = {
        "content-type": f"multipart/form-data; boundary={BOUNDARY}",
        "content-length": str(len(head) + path.stat().st_size + len(tail)),
    }
    identifier: str = json.load(request(server, "POST", "/v1/files", body(), headers))["id"]
    return identifier


def ask(server: Server, content: list[dict[str, str]]) -> dict[str, Any]:
    """One turn, not streaming."""
    body = {
        "model": "demo",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": content}],
        "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
    }
    headers = {"content-type": "application/json"}
    message: dict[str, Any] = json.load(request(server, "POST", "/v1/messages", json.dumps(body), headers))
    return message


def produce(server: Server) -> str:
    """A file of SIZE bytes made by a command; its id."""
    command = f'```bash\nhead -c {SIZE} /dev/urandom > "$OUTPUT_DIR/bench.bin"\n```'
    message = ask(server, [{"type": "text", "text": command}])
    for block in message["content"]:
        if block["type"] == "bash_code_execution_tool_result" and block["content"]["content"]:
            identifier: str = block["content"]["content"][0]["file_id"]
            return identifier
    raise RuntimeError(f"no file was produced: {message}")


def download(server: Server, file_id: str) -> None:
    """Read a file to its end and throw it away."""
    response = request(server, "GET", f"/v1/files/{file_id}/content", None, {})
    size = 0
    while piece := response.read(PIECE):
        size += len(piece)
    if size != SIZE:
        raise RuntimeError(f"{size} bytes came instead of {SIZE}")


def place(server: Server, file_id: str) -> None:
    """Have the uploaded file put into a new container."""
    text = {"type": "text", "text": '```bash\nstat -c %s "$INPUT_DIR/bench.bin"\n```'}
    ask(server, [text, {"type": "container_upload", "file_id": file_id}])


def main() -> None:
    """Print the tables."""
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        path = Path(folder) / "bench.bin"
        with path.open("wb") as file:
            for _ in range(SIZE // 1_000_000):
                file.write(os.urandom(1_000_000))
        produce(server)
        processes = {"server": server.pid, "host daemon": server.daemon_pid()}
        before = {name: reset_peak_memory(pid) for name, pid in processes.items()}

        speeds: dict[str, list[float]] = {
            "upload": [],
            "upload into a container (with a turn)": [],
            "produce and capture (with a turn)": [],
            "download": [],
        }
        for _ in range(RUNS):
            times = [time.perf_counter()]
            uploaded = upload(server, path)
            times.append(time.perf_counter())
            place(server, uploaded)
            times.append(time.perf_counter())
            produced = produce(server)
            times.append(time.perf_counter())
            download(server, produced)
            times.append(time.perf_counter())
            for file_id in (uploaded, produced):
                request(server, "DELETE", f"/v1/files/{file_id}", None, {}).read()
            for values, start, end in zip(speeds.values(), times, times[1:], strict=False):
                values.append(SIZE / 1e6 / (end - start))

        print(f"{'300 MB, MB/s (p99: the slow end)':<48} {'n':>5} {'p50':>9} {'p99':>9}")
        for name, values in speeds.items():
            points = quantiles(values, n=100, method="inclusive")
            print(f"{name:<48} {RUNS:>5} {points[49]:>9.1f} {points[0]:>9.1f}")
        print(f"\n{'peak memory while doing so, MB':<48} {'before':>9} {'growth':>9}")
        for name, pid in processes.items():
            growth = peak_memory(pid) - before[name]
            print(f"{name:<48} {before[name] / 1e6:>9.1f} {growth / 1e6:>9.1f}")


if __name__ == "__main__":
    main()
