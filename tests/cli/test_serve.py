"""What ``serve`` says, and refuses, before it serves."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.clients.asking import get, post, question
from tests.server import COMMAND, running_server


def serve(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "bathysphere", "serve", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **environment},
    )


def refused(*arguments: str, **environment: str) -> str:
    done = serve(*arguments, **environment)
    assert done.returncode != 0
    assert "Traceback" not in done.stderr
    return done.stderr


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        message = refused("--data", str(tmp_path / "data"), "--port", port)
    assert port in message and "--port" in message


@pytest.mark.parametrize("arguments", [["--help"], ["--host", "192.0.2.1"]])
def test_help_and_a_refused_address_wait_for_nothing_heavy(arguments: list[str]) -> None:
    program = (
        "import sys; from bathysphere.cli import main\n"
        f"try: main(['serve', *{arguments!r}])\n"
        "except SystemExit: pass\n"
        "print('imported:', *{'fastapi', 'sqlalchemy', 'uvicorn', 'anthropic', 'openai'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "imported:"


def test_a_host_that_is_not_this_machine(tmp_path: Path) -> None:
    for host in ("192.0.2.1", "no-such-host.invalid"):
        message = refused("--data", str(tmp_path / "data"), "--port", "0", "--host", host)
        assert f"Cannot listen on {host}:0" in message and "--host takes" in message and "--port" not in message


def test_an_image_that_is_not_built(tmp_path: Path) -> None:
    message = refused("--data", str(tmp_path / "data"), "--port", "0", BATHYSPHERE_IMAGES=str(tmp_path / "images"))
    assert "bathysphere image build" in message


def test_a_larger_image_that_is_not_built(tmp_path: Path) -> None:
    config = tmp_path / "bathysphere.toml"
    config.write_text("[image]\noffice = true\n")
    message = refused("--config", str(config), "--port", "0", BATHYSPHERE_IMAGES=str(tmp_path / "images"))
    assert "no larger container image (image.office)" in message and "bathysphere image build --office" in message


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("[sandbox]\nmemory_byts = 5", "did you mean memory_bytes?"),
        ('[[models]]\nbackend = "openai"\napi_key_env = "NO_SUCH_KEY"', "NO_SUCH_KEY"),
        ("[[models]", "not valid TOML"),
    ],
)
def test_settings_that_cannot_be_used(tmp_path: Path, text: str, named: str) -> None:
    config = tmp_path / "bathysphere.toml"
    config.write_text(text)
    assert named in refused("--data", str(tmp_path / "data"), "--port", "0", "--config", str(config))


def test_a_configuration_that_is_not_there(tmp_path: Path) -> None:
    assert "nowhere.toml" in refused("--port", "0", "--config", str(tmp_path / "nowhere.toml"))


def test_a_data_directory_that_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("")
    assert str(tmp_path / "data") in refused("--data", str(tmp_path / "data"), "--port", "0")


def test_the_first_start_makes_a_key_and_each_shows_what_to_paste(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("HOME", raising=False)  # as in a service
    with running_server(tmp_path) as server:
        pass
    first = server.output()
    assert "listens on http://127.0.0.1:" in first
    assert "engine  bubblewrap" in first
    assert "caution Containers share the kernel" in first, "what is not protected is said aloud"
    assert f"config  {tmp_path / 'bathysphere.toml'}" in first
    (secret,) = re.findall(r"export ANTHROPIC_API_KEY=(sk-bathysphere-\S+)", first)
    (url,) = re.findall(r"export ANTHROPIC_BASE_URL=(\S+)", first)
    assert url == server.base_url
    assert first.endswith("Ended; containers keep what they hold.\n")

    with running_server(tmp_path) as server:
        again = server.output().removeprefix(first)
        server.key = secret
        assert get(server, "/v1/files").status == 200
        assert f"export ANTHROPIC_BASE_URL={server.base_url}" in again
        (command,) = re.findall(r"export ANTHROPIC_API_KEY=\$\((.+)\)", again)
        made = subprocess.run(
            ["bash", "-c", command], capture_output=True, text=True, check=True, env=server.environment
        )
        server.key = made.stdout.strip()
        assert get(server, "/v1/files").status == 200
    assert "first (" in again and secret not in again


def test_an_upstream_that_is_not_there_is_told_to_the_operator_too(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{closed.getsockname()[1]}/v1"
        upstream = {"backend": "openai", "base_url": address, "max_retries": 0}
        with running_server(tmp_path, [upstream]) as server:
            assert f"nothing answers at {address} yet" in server.output()
            for stream in (False, True):
                answer = post(server, "/v1/messages", question("the secret plan", stream=stream))
                assert answer.status == 500
                (line,) = (line for line in server.output().splitlines() if answer.headers["request-id"] in line)
                assert f"500 api_error: No model server answers at {address}" in line
    assert "the secret plan" not in server.output()


def test_it_starts_with_the_command_that_the_readme_names() -> None:
    done = subprocess.run([*COMMAND, "--help"], capture_output=True, text=True, check=True)
    for name in ("serve", "demo", "doctor", "image", "keys", "models"):
        assert re.search(rf"^  {name}  ", done.stdout, re.MULTILINE), done.stdout
