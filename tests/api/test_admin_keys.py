"""Who the Admin API lets in, and the API keys, workspaces and organisation that it shows."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import anthropic
import pytest

from bathysphere.settings import Settings
from bathysphere.store import admin_keys, files
from bathysphere.store import containers as container_rows
from bathysphere.store.database import Database
from bathysphere.store.schema import MessageBatchRow
from tests.api.administration import ROOT, Administration, administration, in_database
from tests.api.conftest import Server
from tests.api.files_server import application


@pytest.fixture(scope="module")
def admin(server: Server) -> Administration:
    return administration(server)


@pytest.fixture(scope="module")
def stranger(server: Server) -> Administration:
    """The admin key of another organisation."""
    return administration(server)


def status_with(server: Server, secret: str) -> int:
    with server.client(secret) as client:
        return client.get("/v1/files").status_code


def test_each_kind_of_key_is_told_where_it_belongs(server: Server, admin: Administration) -> None:
    with server.client() as client:
        refused = client.get(f"{ROOT}/me")
        assert refused.status_code == 401
        assert "takes admin keys (sk-bathysphere-admin-...)" in refused.json()["error"]["message"]
        assert "anthropic-organization-id" not in refused.headers
    with server.client(admin.key) as client:
        refused = client.get("/v1/files")
        assert refused.status_code == 401
        assert "this is an admin key" in refused.json()["error"]["message"]
    with server.client("sk-bathysphere-admin-unknown") as client:
        assert "not known to this server" in client.get(f"{ROOT}/me").json()["error"]["message"]


def test_strangers_are_sent_away_before_their_body_is_read(server: Server) -> None:
    with server.client() as client:
        refused = client.post(f"{ROOT}/workspaces", content=b"{", headers={"content-type": "application/json"})
    assert refused.status_code == 401


def test_an_admin_key_is_used_noted_and_disabled(server: Server) -> None:
    mine = administration(server)
    answer = mine.call("GET", "/me")
    assert answer.json() == {"id": mine.organization_id, "type": "organization", "name": "Deep Sea"}
    assert answer.headers["anthropic-organization-id"] == mine.organization_id

    async def disable(database: Database) -> admin_keys.AdminKey:
        (key,) = [one for one in await admin_keys.list_all(database) if one.organization_id == mine.organization_id]
        assert await admin_keys.disable(database, key.id)
        return key

    assert in_database(server, disable).last_used_at is not None
    assert mine.call("GET", "/me").status_code == 401


def test_the_sdk_reads_workspaces_and_keys(server: Server, admin: Administration) -> None:
    rooms = [admin.workspace(f"sdk-{number}") for number in range(5)]
    keys = [admin.api_key(rooms[0], f"key {number}")["id"] for number in range(5)]
    with anthropic.Anthropic(api_key=admin.key, base_url=server.url) as official:
        listed = list(official.organization.workspaces.list(limit=2))
        assert [room.id for room in listed if room.id in rooms] == rooms[::-1]
        assert listed[0].data_residency.allowed_inference_geos == "unrestricted"
        assert official.organization.workspaces.retrieve(rooms[0]).name == "sdk-0"
        assert official.organization.workspaces.update(rooms[0], name="sdk-zero").name == "sdk-zero"
        found = list(official.organization.api_keys.list(limit=2, workspace_id=rooms[0]))
        assert [key.id for key in found] == keys[::-1]
        before = official.organization.api_keys.list(limit=2, before_id=keys[0])
        assert [key.id for key in before.data] == [keys[2], keys[1]] and before.has_more
        scope = official.organization.api_keys.retrieve(keys[0]).scope
        assert scope.type == "workspace" and scope.workspace_id == rooms[0]
        closed = official.organization.api_keys.update(keys[0], status="inactive")
        assert closed.status == "inactive"
        assert [key.id for key in official.organization.api_keys.list(status="inactive")] == [keys[0]]
        assert list(official.organization.api_keys.list(status="expired")) == []
        assert list(official.organization.users.list()) == []
        assert list(official.organization.invites.list()) == []


def test_a_key_is_made_closed_opened_given_another_secret_and_archived(server: Server, admin: Administration) -> None:
    key = admin.api_key(admin.workspace("life of a key"))
    path, secret = f"/api_keys/{key['id']}", key["secret"]
    assert secret.startswith("sk-bathysphere-") and key["partial_key_hint"] == f"sk-…{secret[-4:]}"
    assert key["last_used_at"] is None
    assert status_with(server, secret) == 200
    shown = admin.get(path)
    assert shown["last_used_at"] is not None and "secret" not in shown

    assert admin.post(path, {"status": "inactive"})["status"] == "inactive"
    assert status_with(server, secret) == 401
    assert admin.post(path, {"status": "active", "name": "desktop"})["name"] == "desktop"
    assert status_with(server, secret) == 200

    rotated = admin.post(f"{path}/rotate")
    assert rotated["id"] == key["id"] and rotated["created_at"] == key["created_at"]
    assert (status_with(server, secret), status_with(server, rotated["secret"])) == (401, 200)

    assert admin.post(path, {"status": "archived"})["status"] == "archived"
    assert status_with(server, rotated["secret"]) == 401
    for change in ({"status": "active"}, {"status": "inactive"}):
        status, message = admin.refusal("POST", path, json=change)
        assert status == 400 and "for good" in message
    assert admin.refusal("POST", f"{path}/rotate")[0] == 400
    assert admin.post(path, {"name": "history"})["status"] == "archived"


def test_an_archived_workspace_is_closed_with_all_that_is_in_it(server: Server, admin: Administration) -> None:
    room = admin.workspace("expedition")
    key = admin.api_key(room)
    with server.client(key["secret"]) as client:
        file_id = client.post("/v1/files", files={"file": ("a.txt", b"deep")}).json()["id"]

    async def fill(database: Database) -> str:
        container = await container_rows.create(database, room, timedelta(days=30))
        async with database.writing() as session:
            session.add(
                MessageBatchRow(
                    id="msgbatch_of_the_expedition", workspace_id=room, api_key_id=key["id"],
                    created_at=container.created_at, expires_at=container.expires_at, ready=True, deleted=False,
                    requests=1, headers={}, retry=False,
                )
            )  # fmt: skip
        return container.id

    async def state(database: Database) -> tuple[Any, ...]:
        async with database.reading() as session:
            batch = await session.get_one(MessageBatchRow, "msgbatch_of_the_expedition")
        file = await files.get(database, room, file_id)
        container = await container_rows.get(database, room, container_id)
        assert file is not None and container is not None
        return container.expires_at, batch.cancel_initiated_at, file.expires_at

    container_id = in_database(server, fill)
    assert admin.post(f"/workspaces/{room}/archive")["archived_at"] is not None
    archived = admin.post(f"/workspaces/{room}/archive")
    assert archived == admin.get(f"/workspaces/{room}"), "twice is no error"
    assert status_with(server, key["secret"]) == 401
    assert admin.get(f"/api_keys/{key['id']}")["status"] == "archived"
    expires, cancelled, file_expires = in_database(server, state)
    assert expires == cancelled and file_expires == cancelled + timedelta(days=30)

    assert room not in [one["id"] for one in admin.get("/workspaces", limit=1000)["data"]]
    assert room in [one["id"] for one in admin.get("/workspaces", limit=1000, include_archived=True)["data"]]
    for method, path, body in (
        ("POST", "/api_keys", {"name": "x", "workspace_id": room}),
        ("POST", f"/workspaces/{room}", {"name": "another"}),
    ):
        status, message = admin.refusal(method, path, json=body)
        assert status == 400 and "archived" in message
    assert admin.refusal("POST", "/workspaces", json={"name": "expedition"})[0] == 409


def test_the_default_workspace_stays(admin: Administration) -> None:
    room = admin.workspace("default")
    assert room not in [one["id"] for one in admin.get("/workspaces")["data"]]
    assert room in [one["id"] for one in admin.get("/workspaces", include_default=True)["data"]]
    assert admin.get("/workspaces", **{"ids[]": [room], "include_default": True})["data"][0]["id"] == room
    for path, body in ((f"/workspaces/{room}/archive", None), (f"/workspaces/{room}", {"name": "other"})):
        status, message = admin.refusal("POST", path, json=body)
        assert status == 400 and "`default` cannot be" in message
    assert admin.post(f"/workspaces/{room}", {"name": "default"})["name"] == "default"


def test_nothing_of_one_organisation_is_there_for_another(
    server: Server, admin: Administration, stranger: Administration
) -> None:
    room = admin.workspace("secret room")
    key = admin.api_key(room)
    calls: list[tuple[str, str, Any]] = [
        ("GET", f"/workspaces/{room}", None),
        ("POST", f"/workspaces/{room}", {"name": "mine now"}),
        ("POST", f"/workspaces/{room}/archive", None),
        ("GET", f"/workspaces/{room}/members", None),
        ("GET", f"/api_keys/{key['id']}", None),
        ("POST", f"/api_keys/{key['id']}", {"status": "inactive"}),
        ("POST", f"/api_keys/{key['id']}/rotate", None),
        ("POST", "/api_keys", {"name": "x", "workspace_id": room}),
        *(
            (method, f"/quotas/{subject}", {"dollars": 1} if method == "POST" else None)
            for subject in (room, key["id"], admin.organization_id)
            for method in ("GET", "POST", "DELETE")
        ),
    ]
    for method, path, body in calls:
        status, message = stranger.refusal(method, path, json=body)
        unknown = path.replace(room, "wrkspc_unknown").replace(key["id"], "apikey_unknown")
        unknown = unknown.replace(admin.organization_id, "org_unknown")
        status_of_unknown, _ = stranger.refusal(method, unknown, json={**(body or {}), **_unknown(body)} or None)
        assert (status, status_of_unknown) == (404, 404), (method, path, message)
    for path in (f"/workspaces?after_id={room}", f"/api_keys?before_id={key['id']}"):
        status, message = stranger.refusal("GET", path)
        assert status == 400 and message.endswith("not found.")
    for path in ("/workspaces?include_archived=true&include_default=true", "/api_keys", "/quotas"):
        assert stranger.get(path)["data"] == []
    assert stranger.get(f"/api_keys?workspace_id={room}")["data"] == []
    assert stranger.get(f"/workspaces?ids[]={room}")["data"] == []
    assert status_with(server, key["secret"]) == 200, "nothing of it was changed"
    assert admin.get(f"/workspaces/{room}")["name"] == "secret room"


def _unknown(body: dict[str, Any] | None) -> dict[str, Any]:
    return {"workspace_id": "wrkspc_unknown"} if body and "workspace_id" in body else {}


@pytest.mark.parametrize(
    ("method", "path", "body", "message"),
    [
        ("POST", "/workspaces", {}, "name: Field required"),
        ("POST", "/workspaces", {"name": ""}, "name: a name cannot be empty"),
        ("POST", "/workspaces", {"name": "a\nb"}, "name: a name holds printable characters only"),
        ("POST", "/workspaces", {"name": "x" * 201}, "name: a name has at most 200 characters"),
        ("POST", "/workspaces", {"name": "a", "tags": {"a": "b"}}, "tags: Extra inputs are not permitted"),
        ("POST", "/api_keys", {"name": "a"}, "workspace_id: Field required"),
        ("GET", "/workspaces?limit=0", None, "limit: Input should be greater than or equal to 1"),
        ("GET", "/workspaces?limit=1001", None, "limit: Input should be less than or equal to 1000"),
        ("GET", "/workspaces?after_id=a&before_id=b", None, "before_id: cannot be combined with after_id"),
        ("GET", "/workspaces?after_id=%00", None, "after_id: "),
        ("GET", "/workspaces?" + "&".join(["ids[]=a"] * 101), None, "ids[]: at most 100"),
        ("GET", "/api_keys?status=lost", None, "status: Input should be 'active', 'inactive'"),
        ("POST", "/api_keys/apikey_1", {"status": "expired"}, "status: Input should be 'active', 'inactive'"),
    ],
)
def test_mistakes_are_named(admin: Administration, method: str, path: str, body: Any, message: str) -> None:
    status, said = admin.refusal(method, path, json=body)
    assert status == 400 and said.startswith(message)


@pytest.mark.parametrize("path", ["/workspaces", "/api_keys", "/workspaces/%00", "/quotas/org_%F0"])
def test_text_that_is_none_is_refused(admin: Administration, path: str) -> None:
    body = b'{"name": "\\ud800", "workspace_id": "\\ud800"}'
    status, _ = admin.refusal("POST", path, content=body, headers={"content-type": "application/json"})
    assert status in (400, 404)


def test_the_page_names_every_route(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "admin.md").read_text()
    for path in application(tmp_path, Settings()).openapi()["paths"]:
        if path.startswith(ROOT):
            assert re.sub(r"\{\w+\}", "ID", path.removeprefix(ROOT)) in page
