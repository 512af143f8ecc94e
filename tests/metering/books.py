"""A server's books, read from its database as an auditor would: each figure in every place that it stands."""

from __future__ import annotations

import hashlib
import math
import sqlite3
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

EXECUTION = (
    "bash", "python", "cell", "resume", "view", "create_file", "str_replace", "place", "upload", "download",
)  # fmt: skip
MINIMUM_SECONDS = 300
NOT_CARRIED_OUT = ("TooManySandboxes", "UnknownContainer", "HostUnavailable", "QuotaReached")
# Records are written a moment after what they tell.
SETTLED_SECONDS = 0.3


class Books:
    """The database of a server's data directory; it may be running."""

    def __init__(self, data: Path) -> None:
        self._path = data / "store" / "bathysphere.sqlite3"

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        time.sleep(SETTLED_SECONDS)
        connection = sqlite3.connect(self._path, timeout=30)
        connection.row_factory = sqlite3.Row
        try:
            with connection:
                yield connection
        finally:
            connection.close()

    def set_quota(self, subject: str, **quota: float) -> None:
        """Replace the quotas of a subject."""
        with self._open() as database:
            names = ["subject_id", "updated_at", *quota]
            database.execute(
                f"INSERT OR REPLACE INTO quotas ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})",
                (subject, 0, *quota.values()),
            )

    def clear_quotas(self) -> None:
        with self._open() as database:
            database.execute("DELETE FROM quotas")

    def _key(self, secret: str) -> sqlite3.Row:
        with self._open() as database:
            found: sqlite3.Row = database.execute(
                "SELECT * FROM api_keys WHERE secret_sha256 = ?", (hashlib.sha256(secret.encode()).hexdigest(),)
            ).fetchone()
            return found

    def id_of_key(self, secret: str) -> str:
        return str(self._key(secret)["id"])

    def workspace_of_key(self, secret: str) -> str:
        return str(self._key(secret)["workspace_id"])

    def _total(self, subject: str, column: str) -> int:
        with self._open() as database:
            found = database.execute(f"SELECT sum({column}) FROM monthly_totals WHERE subject_id = ?", (subject,))
            return int(found.fetchone()[0] or 0)

    def hours(self, subject: str) -> float:
        return self._total(subject, "execution_seconds") / 3600

    def requests(self, subject: str) -> int:
        return self._total(subject, "requests")

    def seconds_of(self, container: str) -> int:
        with self._open() as database:
            found = database.execute(
                "SELECT sum(ended_at - started_at) FROM execution_time WHERE container_id = ?", (container,)
            )
            return int(found.fetchone()[0] or 0)

    def last_request(self) -> dict[str, Any]:
        with self._open() as database:
            return dict(database.execute("SELECT * FROM metered_requests ORDER BY number DESC LIMIT 1").fetchone())

    def seconds(self) -> dict[str, int]:
        """What is charged, by container, as the books have it."""
        with self._open() as database:
            return dict(
                database.execute("SELECT container_id, sum(ended_at - started_at) FROM execution_time GROUP BY 1")
            )

    def seconds_of_calls(self) -> dict[str, int]:
        """The same from the records of the containers' calls: every second that one of them touches, once."""
        touched: defaultdict[str, set[int]] = defaultdict(set)
        with self._open() as database:
            for call in database.execute("SELECT * FROM container_calls"):
                failed = call["outcome"] == "failed" and (call["error"] or "").split(":")[0] in NOT_CARRIED_OUT
                if call["action"] in EXECUTION and not failed:
                    second, fraction = divmod(call["started_at"], 1_000_000)
                    seconds = max(MINIMUM_SECONDS, math.ceil(fraction / 1e6 + call["duration_seconds"]))
                    touched[call["container_id"]].update(range(second, second + seconds))
        return {container: len(seconds) for container, seconds in touched.items()}

    def agree(self) -> bool:
        """Whether spans, records and totals say the same; raises AssertionError with what differs."""
        assert self.seconds() == self.seconds_of_calls()
        with self._open() as database:
            for column in ("organization_id", "workspace_id", "api_key_id"):
                sums: Counter[str] = Counter()
                for subject, seconds in database.execute(
                    f"SELECT {column}, sum(ended_at - started_at) FROM execution_time GROUP BY 1"
                ):
                    sums[subject] = seconds
                requests = dict(database.execute(f"SELECT {column}, count(*) FROM metered_requests GROUP BY 1"))
                minutes = dict(database.execute(f"SELECT {column}, sum(requests) FROM usage_minutes GROUP BY 1"))
                assert requests == minutes
                for subject in {*sums, *requests}:
                    total = database.execute(
                        "SELECT sum(execution_seconds), sum(requests) FROM monthly_totals WHERE subject_id = ?",
                        (subject,),
                    ).fetchone()
                    assert tuple(total) == (sums[subject], requests.get(subject, 0))
        return True
