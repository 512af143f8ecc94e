"""Quotas over the Admin API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from bathysphere.store import quotas
from bathysphere.store.database import Database
from bathysphere.store.schema import MonthlyTotalRow, QuotaRow
from tests.api.administration import Administration, administration, in_database, insert
from tests.api.conftest import Server

UNLIMITED = dict.fromkeys(
    ("containers", "concurrent_containers", "storage_bytes", "execution_hours", "dollars", "requests")
)


@pytest.fixture(scope="module")
def admin(server: Server) -> Administration:
    return administration(server)


def test_limits_are_set_one_by_one_and_taken_away(server: Server, admin: Administration) -> None:
    room = admin.workspace("limited")
    path = f"/quotas/{room}"
    none = admin.get(path)
    assert none == {
        "type": "quota", "subject_id": room, "subject_type": "workspace", "name": "limited", "limits": UNLIMITED,
        "used": {"containers": 0, "storage_bytes": 0, "execution_hours": 0.0, "dollars": 0.0, "requests": 0},
        "updated_at": None,
    }  # fmt: skip
    assert admin.post(path, {"dollars": 12.5, "containers": 3})["limits"] == UNLIMITED | {
        "dollars": 12.5,
        "containers": 3,
    }
    assert admin.post(path, {"containers": None, "requests": 10})["limits"] == UNLIMITED | {
        "dollars": 12.5,
        "requests": 10,
    }

    async def row(database: Database) -> QuotaRow | None:
        async with database.reading() as session:
            return await session.get(QuotaRow, room)

    kept = in_database(server, row)
    assert kept is not None and (kept.dollars, kept.requests, kept.containers) == (12.5, 10, None)
    assert room in [quota["subject_id"] for quota in admin.get("/quotas")["data"]]
    answer = admin.call("DELETE", path)
    assert answer.json() == {"type": "quota_deleted", "subject_id": room}
    assert admin.call("DELETE", path).status_code == 200, "twice is no error"
    assert admin.get(path) == none
    assert in_database(server, row) is None


def test_what_has_been_used_is_beside_it(server: Server, admin: Administration) -> None:
    key = admin.api_key(admin.workspace("used"))
    with server.client(key["secret"]) as client:
        assert client.post("/v1/files", files={"file": ("a.txt", b"x" * 1000)}).status_code == 200
    insert(
        server,
        [
            MonthlyTotalRow(
                subject_id=subject, month=month, requests=5, execution_seconds=5400, microdollar_seconds=3600 * 75_000
            )
            for subject in (admin.organization_id, key["id"])
            for month in (f"{datetime.now(UTC):%Y-%m}", "2020-01")
        ],
    )
    admin.post(f"/quotas/{admin.organization_id}", {"execution_hours": 2})
    used = {"containers": 0, "storage_bytes": 1000, "execution_hours": 1.5, "dollars": 0.075, "requests": 5}
    assert admin.get(f"/quotas/{admin.organization_id}")["used"] == used
    assert admin.get(f"/quotas/{key['workspace_id']}")["used"] == used | {
        "execution_hours": 0,
        "dollars": 0,
        "requests": 0,
    }
    key_path = f"/quotas/{key['id']}"
    assert admin.get(key_path)["used"]["requests"] == 5 and admin.get(key_path)["subject_type"] == "api_key"


def test_the_list_is_paged_through(server: Server) -> None:
    mine = administration(server)
    rooms = [mine.workspace(f"room {number}") for number in range(3)]
    key = mine.api_key(rooms[0])["id"]
    subjects = [mine.organization_id, *rooms, key]
    for subject in reversed(subjects):
        mine.post(f"/quotas/{subject}", {"requests": 1})
    found: list[str] = []
    more = True
    after: dict[str, str] = {}
    while more:
        page = mine.get("/quotas", limit=2, **after)
        found += [quota["subject_id"] for quota in page["data"]]
        more, after = page["has_more"], {"after_id": page["last_id"]}
    assert found == subjects
    assert mine.refusal("GET", "/quotas?after_id=wrkspc_unknown") == (
        400,
        "after_id: Quota `wrkspc_unknown` not found.",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"dollars": 0}, "dollars: Input should be greater than 0 and at most 1000000000"),
        ({"dollars": -1}, "dollars: Input should be greater than 0"),
        ({"dollars": 1e10}, "dollars: Input should be greater than 0"),
        ({"containers": 2**70}, "containers: "),
        ({"requests": 10**400}, "requests: Input should be greater than 0"),
        ({"containers": 1.5}, "containers: Input should be a valid integer"),
        ({"requests": "10"}, "requests: Input should be a number, or null for no limit"),
        ({"requests": True}, "requests: Input should be a number, or null for no limit"),
        ({"storage_bytes": 2**53}, "storage_bytes: Input should be greater than 0 and at most 9007199254740991"),
        ({"tokens": 1}, "tokens: Extra inputs are not permitted"),
        ([], "The request body must be a JSON object"),
    ],
)
def test_mistakes_are_named(admin: Administration, body: Any, message: str) -> None:
    status, said = admin.refusal("POST", f"/quotas/{admin.organization_id}", json=body)
    assert status == 400 and said.startswith(message)
    assert all(name in quotas.LARGEST for name in UNLIMITED)


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999"])
def test_what_is_no_number_is_refused(admin: Administration, number: str) -> None:
    body = f'{{"dollars": {number}}}'.encode()
    path = f"/quotas/{admin.organization_id}"
    status, _ = admin.refusal("POST", path, content=body, headers={"content-type": "application/json"})
    assert status == 400
