"""schemathesis against a server of ours and its own description: made requests, and what their answers may be."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.api.multipart_body import CONTENT_TYPE, body, part
from tests.clients.asking import ask, get, post, question, send
from tests.clients.environments import python_environment
from tests.seeds.expectations import file_ids
from tests.server import COMMAND, Server, running_server
from tests.skills.making import skill_md

HERE: Final = Path(__file__).parent
DESCRIPTION: Final = "/bathysphere/v1/openapi.json"
CHECKS: Final = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "unsupported_method",
    "ignored_auth",
)
_GENERATED: Final = re.compile(r"([\d,]+) generated")


@dataclass(frozen=True)
class Round:
    """What became of one run. ``passed``: no answer was one that it should not be."""

    requests: int
    passed: bool
    output: str


@contextmanager
def target(folder: Path) -> Iterator[Server]:
    """A server with the demo model, whose commands are over soon."""
    with running_server(folder, tables={"sandbox": {"command_seconds": 5, "cell_seconds": 5}}) as server:
        yield server


def run(server: Server, folder: Path, examples: int, seed: int, phases: str) -> Round:
    """Let schemathesis make up to so many ``examples`` a route and phase, and keep its things in ``folder``."""
    document = folder / "openapi.json"
    document.write_bytes(get(server, DESCRIPTION).body)
    environment = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    environment |= {"HOME": str(folder), "PYTHONPATH": str(HERE / "plugin"), "SCHEMATHESIS_HOOKS": "fuzz_hooks"}
    admin_key = make_admin_key(server)
    things = _things(server) | _administered(server, admin_key)
    environment |= {"FUZZ_IDS": json.dumps(things), "NO_COLOR": "1", "COLUMNS": "120"}
    # The Admin API takes a key of its own.
    (folder / "schemathesis.toml").write_text(
        f'headers = {{ x-api-key = "{server.key}" }}\n\n'
        f'[[operations]]\ninclude-path-regex = "^/v1/organizations"\nheaders = {{ x-api-key = "{admin_key}" }}\n'
    )
    program = python_environment("fuzz", HERE / "requirements.txt") / "bin" / "schemathesis"
    options = {
        "--url": server.base_url,
        "--checks": ",".join(CHECKS),
        "--phases": phases,
        "--max-examples": str(examples),
        "--seed": str(seed),
        # Python 3.11 cannot compile in two threads at once; for more, several of these run beside each other.
        "--workers": "1",
        "--generation-database": "none",
        "--suppress-health-check": "all",
        "--warnings": "off",
        "--request-timeout": "60",
    }
    arguments = [part for option in options.items() for part in option]
    done = subprocess.run(
        [program, "run", *arguments, "--continue-on-failure", str(document)],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False,
    )  # fmt: skip
    generated = _GENERATED.search(done.stdout)
    requests = int(generated[1].replace(",", "")) if generated else 0
    return Round(requests, done.returncode == 0 and requests > 0, done.stdout + done.stderr)


def make_admin_key(server: Server) -> str:
    """In a process of its own: root takes on the rights of the data's owner for it."""
    command = [*COMMAND, "keys", "create", "--admin", "--data", str(server.data)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=server.environment)
    return done.stdout.strip()


def _administered(server: Server, admin_key: str) -> dict[str, list[str]]:
    """A workspace and a key that nothing else needs: both may be closed on the way."""
    room = post(server, "/v1/organizations/workspaces", {"name": "made"}, admin_key).json()["id"]
    made = {"name": "made", "workspace_id": room}
    key = post(server, "/v1/organizations/api_keys", made, admin_key).json()["id"]
    return {"workspace_id": [room], "api_key_id": [key], "subject_id": [room, key]}


def _things(server: Server) -> dict[str, list[str]]:
    """Ids of things for the requests to name."""
    message = ask(server, "```bash\necho found > found.txt\n```")
    requests = [{"custom_id": "a", "params": question("```bash\necho deep\n```")}]
    batch = post(server, "/v1/messages/batches", {"requests": requests}).json()
    skill = send(
        server, "POST", "/v1/skills", [("x-api-key", server.key), ("content-type", CONTENT_TYPE)],
        body([part('name="files[]"; filename="SKILL.md"', skill_md())]),
    ).json()  # fmt: skip
    return {
        "file_id": file_ids(message),
        "skill_id": [skill["id"]],
        "version": [skill["latest_version_id"], "latest"],
        "container_id": [message["container"]["id"]],
        "message_batch_id": [batch["id"]],
        "model_id": ["claude-opus-5"],
    }
