"""The Containers API against a real server and real containers."""

from __future__ import annotations

import hashlib
import http.client
import io
import json
import os
import re
import subprocess
import threading
import time
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
from openapi_spec_validator import validate

from tests.clients.asking import Answer, get, post, send
from tests.server import Server, peak_memory, reset_peak_memory, running_server

ROOT = "/bathysphere/v1/containers"
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    tables: dict[str, dict[str, Any]] = {
        "sandbox": {"command_seconds": 20, "disk_bytes": 128 * MIB, "output_bytes": 64 * 1024},
        "turn": {"ping_seconds": 0.2},
        "host": {"idle_seconds": 3600},
    }
    with running_server(tmp_path_factory.mktemp("containers-api"), tables=tables) as server:
        yield server


def make(server: Server, key: str | None = None) -> str:
    answer = post(server, ROOT, b"", key)
    assert answer.status == 200, answer.body
    return str(answer.json()["id"])


@pytest.fixture(scope="module")
def container(running: Server) -> str:
    return make(running)


def run(server: Server, container: str, source: str, **more: Any) -> dict[str, Any]:
    answer = post(server, f"{ROOT}/{container}/run", {"source": source, **more})
    assert answer.status == 200, answer.body
    result = answer.json()
    assert isinstance(result, dict)
    return result


def delete(server: Server, path: str, key: str | None = None) -> Answer:
    return send(server, "DELETE", path, [("x-api-key", key or server.key)])


def upload(server: Server, container: str, path: str, data: bytes, key: str | None = None) -> Answer:
    target = f"{ROOT}/{container}/files?{urlencode({'path': path})}"
    return send(server, "PUT", target, [("x-api-key", key or server.key)], data)


def download(server: Server, container: str, path: str, key: str | None = None) -> Answer:
    return get(server, f"{ROOT}/{container}/files?{urlencode({'path': path})}", key)


def calls(server: Server, container: str) -> list[dict[str, Any]]:
    """The record, oldest first."""
    answer = get(server, f"{ROOT}/{container}/calls")
    assert answer.status == 200
    return list(reversed(answer.json()["data"]))


def refused(answer: Answer, status: int, code: str | None = None) -> str:
    body = answer.json()
    assert (answer.status, body["type"]) == (status, "error"), answer.body
    assert body["request_id"] == answer.headers["request-id"]
    assert (body["error"].get("details") or {}).get("error_code") == code
    return str(body["error"]["message"])


# Containers


def test_a_container_from_its_making_to_its_end(running: Server) -> None:
    made = post(running, ROOT, b"").json()
    assert made["type"] == "container"
    assert made["state"] == "idle"
    assert made["deleted_at"] is None
    assert made["disk"]["limit_bytes"] == 128 * MIB
    path = f"{ROOT}/{made['id']}"
    run(running, made["id"], "true")
    shown = get(running, path).json()
    assert shown["calls"] == 2, "its making and the command"
    assert shown["last_used_at"] > made["last_used_at"]
    assert shown["expires_at"] == made["expires_at"]

    assert delete(running, path).json() == {"type": "container_deleted", "id": made["id"]}
    assert delete(running, path).status == 200, "twice is no error"
    gone = get(running, path).json()
    assert gone["state"] == "deleted"
    assert gone["deleted_at"] is not None
    message = refused(post(running, f"{path}/run", {"source": "true"}), 404, "container_expired")
    assert "deleted" in message
    assert [call["action"] for call in calls(running, made["id"])] == ["create", "bash", "delete"]


def test_the_list_is_paged_newest_first_and_leaves_out_what_is_deleted(running: Server) -> None:
    made = [make(running, running.other_key) for _ in range(5)]
    delete(running, f"{ROOT}/{made[2]}", running.other_key)
    seen: list[str] = []
    page = ""
    while True:
        answer = get(running, f"{ROOT}?limit=2{page}", running.other_key).json()
        assert len(answer["data"]) <= 2
        seen += [entry["id"] for entry in answer["data"]]
        if answer["next_page"] is None:
            break
        page = f"&page={answer['next_page']}"
    assert seen == [made[4], made[3], made[1], made[0]]
    everything = get(running, f"{ROOT}?deleted=true", running.other_key).json()["data"]
    assert [entry["state"] for entry in everything] == ["idle", "idle", "deleted", "idle", "idle"]


def test_a_container_of_a_conversation_is_one_of_them(running: Server) -> None:
    body = {
        "model": "demo",
        "max_tokens": 1000,
        "tools": [{"type": "code_execution_20250825", "name": "code_execution"}],
        "messages": [{"role": "user", "content": "```bash\necho hello from the model\n```"}],
    }
    message = post(running, "/v1/messages", body).json()
    container = message["container"]["id"]
    assert get(running, f"{ROOT}/{container}").json()["expires_at"] == message["container"]["expires_at"]
    record = calls(running, container)
    assert [call["action"] for call in record] == ["create", "bash"]
    assert "echo hello from the model" in record[1]["subject"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", ""),
        ("DELETE", ""),
        ("POST", "/run"),
        ("POST", "/fork"),
        ("GET", "/calls"),
        ("GET", "/files?path=x"),
        ("PUT", "/files?path=x"),
    ],
)
def test_other_workspaces_find_nothing_and_strangers_even_less(
    running: Server, container: str, method: str, path: str
) -> None:
    body = json.dumps({"source": "true"}).encode()
    json_type = ("content-type", "application/json")
    for other in (f"{ROOT}/{container}{path}", f"{ROOT}/container_unknown{path}"):
        neighbours = [("x-api-key", running.other_key), json_type]
        refused(send(running, method, other, neighbours, body), 404, "container_not_found")
        refused(send(running, method, other, [json_type], body), 401)
    endless = f"{ROOT}/{'x' * 300}{path}"
    refused(send(running, method, endless, [("x-api-key", running.key), json_type], body), 400)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=x", "page=nonsense", "deleted=perhaps"])
def test_what_the_list_does_not_take(running: Server, query: str) -> None:
    assert query.split("=", maxsplit=1)[0] in refused(get(running, f"{ROOT}?{query}"), 400)


# Commands


def test_a_command_its_output_its_end_and_its_files(running: Server, container: str) -> None:
    result = run(running, container, "echo out; echo err >&2; echo data > $OUTPUT_DIR/made.txt; exit 3")
    assert (result["type"], result["stdout"], result["stderr"], result["return_code"]) == ("run", "out\n", "err\n", 3)
    assert (result["timed_out"], result["truncated"], result["notes"]) == (False, False, [])
    assert result["cpu_seconds"] is None or result["cpu_seconds"] >= 0
    (file,) = result["files"]
    assert (file["filename"], file["size_bytes"]) == ("made.txt", 5)
    assert get(running, f"/v1/files/{file['id']}/content").body == b"data\n"
    assert (
        run(running, container, "import sys; print(sys.version_info[:2])", language="python")["stdout"] == "(3, 11)\n"
    )


def test_what_limits_did_is_said(running: Server, container: str) -> None:
    result = run(running, container, "yes | head -c 200000; sleep 60", timeout_seconds=0.5)
    assert (result["timed_out"], result["truncated"]) == (True, True)
    assert any("time limit" in note for note in result["notes"])


def events(server: Server, container: str, body: dict[str, Any]) -> Generator[tuple[str, dict[str, Any]], None, None]:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    try:
        headers = {"x-api-key": server.key, "content-type": "application/json"}
        connection.request("POST", f"{ROOT}/{container}/run", json.dumps({"stream": True, **body}), headers)
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("content-type", "").startswith("text/event-stream")
        kind = ""
        for line in response:
            if line.startswith(b"event: "):
                kind = line[7:].decode().strip()
            elif line.startswith(b"data: "):
                data = json.loads(line[6:])
                assert data["type"] == kind
                yield kind, data
    finally:
        connection.close()


def test_output_comes_while_the_command_runs(running: Server) -> None:
    container = make(running)
    source = "echo first; until [ -e /tmp/go ]; do sleep 0.02; done; echo second >&2"
    stream = events(running, container, {"source": source})
    kind, data = next((kind, data) for kind, data in stream if kind != "ping")
    assert (kind, data["stream"], data["text"]) == ("run_output", "stdout", "first\n")
    assert get(running, f"{ROOT}/{container}").json()["state"] == "busy"
    assert "ping" in {next(stream)[0] for _ in range(2)}, "silence is bridged"
    # A second command waits for the first, so only the stream's own end could make room for it.
    later: list[Answer] = []
    waiting = threading.Thread(
        target=lambda: later.append(post(running, f"{ROOT}/{container}/run", {"source": "date"}))
    )
    waiting.start()
    stream.close()
    waiting.join(30)
    assert later[0].status == 200
    record = calls(running, container)
    assert [(call["action"], call["outcome"]) for call in record][1:] == [("bash", "cancelled"), ("bash", "finished")]


def test_a_streams_parts_are_the_whole(running: Server, container: str) -> None:
    source = "for i in $(seq 300); do echo -n 'ünïcödé '; echo -n e$i >&2; done; echo x > $OUTPUT_DIR/f; exit 4"
    parts = list(events(running, container, {"source": source}))
    text = {"stdout": "", "stderr": ""}
    for kind, data in parts[:-1]:
        if kind == "run_output":
            text[data["stream"]] += data["text"]
    kind, end = parts[-1]
    assert kind == "run_end"
    whole = run(running, container, source)
    assert text == {"stdout": whole["stdout"], "stderr": whole["stderr"]}
    assert (end["return_code"], [file["filename"] for file in end["files"]]) == (4, ["f"])
    assert set(end) - {"type"} == set(whole) - {"type", "stdout", "stderr"}


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "source"),
        ({"source": ""}, "source"),
        ({"source": 5}, "source"),
        ({"source": "é" * 600_000}, "source"),
        ({"source": "true", "language": "perl"}, "language"),
        ({"source": "true", "timeout_seconds": 0}, "timeout_seconds"),
        ({"source": "true", "timeout_seconds": 21}, "timeout_seconds"),
        ({"source": "true", "stream": "perhaps"}, "stream"),
        ({"source": "true", "shell": "zsh"}, "shell"),
    ],
)
def test_what_cannot_be_run(running: Server, container: str, body: dict[str, Any], named: str) -> None:
    assert named in refused(post(running, f"{ROOT}/{container}/run", body), 400)


def test_a_stream_of_a_container_that_is_not_there_is_a_plain_404(running: Server) -> None:
    refused(
        post(running, f"{ROOT}/container_unknown/run", {"source": "true", "stream": True}), 404, "container_not_found"
    )


# Files


def test_a_file_goes_in_and_comes_out(running: Server, container: str) -> None:
    data = os.urandom(5 * MIB + 3)
    answer = upload(running, container, "in/put.bin", data)
    assert answer.json() == {"type": "container_file", "path": "in/put.bin", "size_bytes": len(data)}
    digest = run(running, container, "sha256sum in/put.bin")["stdout"].split()[0]
    assert digest == hashlib.sha256(data).hexdigest()
    back = download(running, container, "/home/user/in/put.bin")
    assert back.body == data
    assert back.headers["content-length"] == str(len(data))
    assert back.headers["content-type"] == "application/octet-stream"
    assert 'filename="put.bin"' in back.headers["content-disposition"]
    assert back.headers["content-security-policy"] == "sandbox"


def test_an_upload_of_unknown_length(running: Server, container: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    body = io.BytesIO(b"piece by piece")
    connection.request(
        "PUT", f"{ROOT}/{container}/files?path=chunked", body, {"x-api-key": running.key}, encode_chunked=False
    )
    assert json.loads(connection.getresponse().read())["size_bytes"] == 14
    connection.close()
    assert download(running, container, "chunked").body == b"piece by piece"


def test_an_upload_that_breaks_off_leaves_nothing(running: Server, container: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest("PUT", f"{ROOT}/{container}/files?path=broken.bin")
    for name, value in (("x-api-key", running.key), ("content-length", str(10 * MIB))):
        connection.putheader(name, value)
    connection.endheaders(bytes(MIB))
    connection.close()
    while not (broken := [call for call in calls(running, container) if call["subject"] == "broken.bin"]):
        time.sleep(0.01)
    assert [(call["action"], call["outcome"]) for call in broken] == [("upload", "cancelled")]
    assert run(running, container, "ls -A | grep -E 'broken|part'")["stdout"] == ""


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("missing", 404, "path_not_found"),
        ("/tmp", 400, "path_refused"),
        ("/dev/zero", 400, "path_refused"),
        ("/proc/1/environ", 400, "path_refused"),
        ("a\0b", 400, "path_refused"),
        ("", 400, None),
        ("x" * 5000, 400, None),
    ],
)
def test_what_cannot_be_downloaded(running: Server, container: str, path: str, status: int, code: str | None) -> None:
    refused(download(running, container, path), status, code)


def test_what_cannot_be_uploaded(running: Server, container: str) -> None:
    refused(upload(running, container, "/usr/bin/python3", b"x"), 400, "path_refused")
    refused(upload(running, container, "/home/user", b"x"), 400, "path_refused")
    declared = [("x-api-key", running.key), ("content-length", str(129 * MIB))]
    refused(send(running, "PUT", f"{ROOT}/{container}/files?path=big", declared), 413)


# The record


def test_the_record_says_who_did_what_and_how_it_ended(running: Server) -> None:
    container = make(running)
    answer = post(running, f"{ROOT}/{container}/run", {"source": "echo x > $OUTPUT_DIR/made.txt; exit 7"})
    upload(running, container, "a.txt", b"hello")
    download(running, container, "nowhere")
    create, bash, into, out = calls(running, container)
    assert create["outcome"] == bash["outcome"] == into["outcome"] == "finished"
    assert bash["subject"] == "echo x > $OUTPUT_DIR/made.txt; exit 7"
    assert bash["subject_sha256"] == hashlib.sha256(bash["subject"].encode()).hexdigest()
    assert bash["exit_code"] == 7
    assert bash["request_id"] == answer.headers["request-id"]
    assert bash["api_key_id"].startswith("apikey_")
    assert bash["files"] == answer.json()["files"]
    assert (into["action"], into["subject"], into["written_bytes"]) == ("upload", "a.txt", 5)
    assert (out["action"], out["outcome"]) == ("download", "refused")
    assert "nowhere" in out["error"]
    page = get(running, f"{ROOT}/{container}/calls?limit=3").json()
    assert [call["number"] for call in page["data"]] == [out["number"], into["number"], bash["number"]]
    rest = get(running, f"{ROOT}/{container}/calls?limit=3&before={page['next_before']}").json()
    assert [call["number"] for call in rest["data"]] == [create["number"]]
    assert rest["next_before"] is None
    refused(get(running, f"{ROOT}/{container}/calls?before={2**63}"), 400)


# The description


def test_the_description_is_valid_and_complete(running: Server) -> None:
    refused(send(running, "GET", "/bathysphere/v1/openapi.json", []), 401)
    described = get(running, "/bathysphere/v1/openapi.json").json()
    validate(described)
    routes = {
        (method.upper(), path) for path, methods in described["paths"].items() for method in methods if ROOT in path
    }
    one = f"{ROOT}/{{container_id}}"
    assert routes == {
        ("GET", ROOT),
        ("POST", ROOT),
        ("GET", one),
        ("DELETE", one),
        ("POST", f"{one}/run"),
        ("POST", f"{one}/fork"),
        ("GET", f"{one}/calls"),
        ("GET", f"{one}/files"),
        ("PUT", f"{one}/files"),
    }
    for path, methods in described["paths"].items():
        for operation in methods.values() if path not in ("/health", "/ready") else ():
            assert operation["security"], "every route needs a key"
            assert "422" not in operation["responses"], "what is wrong is a 400, as everywhere"
            assert {"200", "400", "401", "500"} <= set(operation["responses"])
            for status, answer in operation["responses"].items():
                schema = answer["content"].get("application/json", {}).get("schema", {})
                assert (status >= "400") == (schema.get("$ref") == "#/components/schemas/ErrorAnswer")


def test_the_page_names_every_route(running: Server) -> None:
    page = (Path(__file__).parents[2] / "docs" / "containers.md").read_text()
    described = get(running, "/bathysphere/v1/openapi.json").json()["paths"]
    for path in described:
        if ROOT in path:
            assert re.sub(r"\{container_id\}", "ID", path.removeprefix(ROOT)) in page


def test_the_pages_example_runs_as_it_stands(running: Server, tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "containers.md").read_text()
    script = page.split("```sh\n")[1].split("```")[0].replace("http://127.0.0.1:8321", running.base_url)
    assert running.base_url in script
    (tmp_path / "data.csv").write_text("b,2\na,1\n")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=tmp_path,
        env=running.client_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (tmp_path / "sorted.csv").read_text() == "a,1\nb,2\n"
    assert done.stdout.count("event: run_output") == 3
    assert '"container_deleted"' in done.stdout


# Copies


def test_a_copy_has_the_files_and_then_goes_its_own_way(running: Server) -> None:
    origin = make(running)
    run(running, origin, "echo before > kept.txt; ln -s kept.txt link; mkdir -p a/b; chmod 700 a; echo t > /tmp/t")
    answer = post(running, f"{ROOT}/{origin}/fork", b"")
    assert answer.status == 200, answer.body
    copy = answer.json()
    assert (copy["forked_from"], copy["id"] != origin) == (origin, True)
    assert copy["expires_at"] > get(running, f"{ROOT}/{origin}").json()["expires_at"]
    seen = run(running, copy["id"], "cat kept.txt; readlink link; stat -c %a a; cat /tmp/t; echo after > kept.txt")
    assert seen["stdout"] == "before\nkept.txt\n700\nt\n"
    assert run(running, origin, "cat kept.txt")["stdout"] == "before\n"
    record = calls(running, copy["id"])
    assert [(call["action"], call["subject"]) for call in record][:1] == [("fork", origin)]
    delete(running, f"{ROOT}/{origin}")
    assert run(running, copy["id"], "cat kept.txt")["stdout"] == "after\n"
    refused(post(running, f"{ROOT}/{origin}/fork", b""), 404, "container_expired")


# Limits


def test_large_files_are_never_whole_in_memory(running: Server, container: str) -> None:
    size = 80 * MIB
    daemon = running.daemon_pid()
    before = {pid: reset_peak_memory(pid) for pid in (running.pid, daemon)}
    connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=60)
    connection.putrequest("PUT", f"{ROOT}/{container}/files?path=large.bin")
    for name, value in (("x-api-key", running.key), ("content-length", str(size))):
        connection.putheader(name, value)
    connection.endheaders()
    for _ in range(size // MIB):
        connection.send(bytes(MIB))
    assert json.loads(connection.getresponse().read())["size_bytes"] == size
    connection.request("GET", f"{ROOT}/{container}/files?path=large.bin", headers={"x-api-key": running.key})
    response = connection.getresponse()
    received = 0
    while chunk := response.read(MIB):
        received += len(chunk)
    connection.close()
    assert received == size
    for pid, resident in before.items():
        assert peak_memory(pid) - resident < size // 2
    run(running, container, "rm large.bin")


def test_a_full_disk_is_seen_said_and_can_be_made_room_on(running: Server) -> None:
    """Without root no disk has a limit of its own, so none is ever full for its container alone."""
    container = make(running)
    if os.geteuid() != 0:
        assert get(running, f"{ROOT}/{container}").json()["state"] == "idle"
        return
    filled = run(running, container, "head -c 1G /dev/zero > filler")
    assert any("disk limit" in note for note in filled["notes"])
    shown = get(running, f"{ROOT}/{container}").json()
    assert shown["state"] == "full"
    assert shown["disk"]["used_bytes"] > 100 * MIB
    refused(upload(running, container, "more.bin", bytes(MIB)), 400, "disk_full")
    assert run(running, container, "ls -A | grep -E 'more|part'; rm filler")["stdout"] == ""
    assert get(running, f"{ROOT}/{container}").json()["state"] == "idle"
    assert upload(running, container, "more.bin", bytes(MIB)).status == 200


def test_a_container_that_is_deleted_in_the_middle_of_a_stream(running: Server) -> None:
    container = make(running)
    stream = events(running, container, {"source": "echo begun; sleep 60"})
    assert next(data["text"] for kind, data in stream if kind == "run_output") == "begun\n"
    assert delete(running, f"{ROOT}/{container}").status == 200
    kind, data = next((kind, data) for kind, data in stream if kind != "ping")
    assert kind == "error"
    assert data["error"]["details"] == {"error_code": "container_expired"}
    assert list(stream) == []
    assert [call["outcome"] for call in calls(running, container)[1:]] in (
        ["failed", "finished"],
        ["finished", "failed"],
    )
