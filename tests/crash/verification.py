"""Everything compared with what the clients were told: each file of each container, each file of the Files API."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence

from tests.crash import leavings
from tests.crash.asking import CONTAINERS, Answer, Connection, Unanswered
from tests.crash.content import Files, differences
from tests.crash.ledger import Ledger
from tests.server import Server

SETTLED_SECONDS = 60.0

# Names may hold anything, so each ends with a zero byte, which no line of the digests has.
_LIST = r"""
cd /
find /home/user /tmp /files -mindepth 1 ! -type d -printf '%y %s %p\0'
echo ====
find /home/user /tmp /files -type f ! -path '/files/output/*' -exec sha256sum -z {} +
"""

Found = dict[str, tuple[int, str]]


def unmatched(fitting: dict[str, list[int]]) -> list[str]:
    """Who gets nothing when as many as can be get each one thing that fits, and nothing is given twice."""
    owner: dict[int, str] = {}

    def given(name: str, tried: set[int]) -> bool:
        for thing in fitting[name]:
            if thing not in tried:
                tried.add(thing)
                if thing not in owner or given(owner[thing], tried):
                    owner[thing] = name
                    return True
        return False

    return [name for name in fitting if not given(name, set())]


class Verification:
    """What was found to be wrong is in ``violations``, a sentence each."""

    def __init__(self, server: Server, ledgers: Sequence[Ledger], ready: int) -> None:
        """``ready`` sandboxes are kept for new containers."""
        self.violations: list[str] = []
        self.compared = 0
        """Files of containers that were as told."""
        self._server = server
        self._ledgers = ledgers
        self._ready = ready
        self._connection = Connection(server.port, server.key)

    def _wrong(self, what: str) -> None:
        self.violations.append(what)

    def _ask(self, method: str, path: str, body: bytes | None = None) -> Answer:
        """Nobody is killed any more, so it is only asked again for as long as something is still starting."""
        for _ in range(20):
            try:
                answer = self._connection.ask(method, path, body)
            except Unanswered:
                time.sleep(0.5)
                continue
            if answer.status not in (429, 529):
                break
            time.sleep(0.5)
        return answer

    def containers(self) -> None:
        """Compare every container, through the server."""
        baseline = self._listing(self._ask("POST", CONTAINERS, b"{}").json()["id"])
        assert isinstance(baseline, dict), baseline
        listed = self._listed()
        for ledger in self._ledgers:
            for book in ledger.containers.values():
                listed_now = listed.pop(book.id, None) is not None
                found = self._listing(book.id)
                if isinstance(found, str):
                    if not book.doomed:
                        self._wrong(f"{book.id} cannot be used: {found}")
                    elif listed_now:
                        self._wrong(f"{book.id}, whose deletion was not acknowledged, is listed and of no use: {found}")
                else:
                    self._compare(book.id, book.files, found, baseline)
            for container in ledger.deleted:
                if listed.pop(container, None) is not None:
                    self._wrong(f"{container} was deleted and is listed")
                if not isinstance(self._listing(container), str):
                    self._wrong(f"{container} was deleted and can be used")
        self._untold(listed, baseline)

    def _compare(self, container: str, told: Files, found: Found, baseline: Found) -> None:
        wrong = differences(told, {path: file for path, file in found.items() if baseline.get(path) != file})
        self.compared += len(told)
        for text in wrong:
            self._wrong(f"{container}: {text}")

    def _untold(self, listed: dict[str, str | None], baseline: Found) -> None:
        """Containers that no client was told of: each is whole, and as one of those that were asked for."""
        possible = [told for ledger in self._ledgers for told in ledger.untold]
        fitting: dict[str, list[int]] = {}
        contents: dict[str, Found] = {}
        for container in listed:
            found = self._listing(container)
            if isinstance(found, str):
                self._wrong(f"{container}, which nobody was told of, is listed and of no use: {found}")
                continue
            own = contents[container] = {path: file for path, file in found.items() if baseline.get(path) != file}
            fitting[container] = [number for number, told in enumerate(possible) if not differences(told, own)]
        for container in unmatched(fitting):
            own = contents[container]
            self._wrong(f"{container}, which nobody was told of, is like none that was asked for: {sorted(own)}")

    def _listed(self) -> dict[str, str | None]:
        """Every container that is listed, but for the one that was just made to compare with -> its origin."""
        found: dict[str, str | None] = {}
        page = ""
        while True:
            answer = self._ask("GET", f"{CONTAINERS}?limit=200{page}").json()
            found |= {container["id"]: container["forked_from"] for container in answer["data"]}
            if answer["next_page"] is None:
                break
            page = f"&page={answer['next_page']}"
        newest = next(iter(found))
        del found[newest]
        return found

    def _listing(self, container: str) -> Found | str:
        """Every file in a container: path -> size and SHA-256; or why it cannot be had."""
        body = json.dumps({"source": _LIST, "timeout_seconds": 120}).encode()
        answer = self._ask("POST", f"{CONTAINERS}/{container}/run", body)
        if answer.status != 200:
            return f"{answer.status} {answer.body.decode(errors='replace')[:300]}"
        result = answer.json()
        if result["return_code"] != 0 or result["truncated"]:
            return f"its files cannot be listed: {result['return_code']} {result['stderr'][:300]}"
        names, _, digests = result["stdout"].partition("====\n")
        digest_of = {line[66:]: line[:64] for line in digests.split("\0") if line}
        found: Found = {}
        for entry in names.split("\0"):
            if entry:
                kind, size, path = entry.split(" ", 2)
                if not path.startswith("/files/output/"):
                    found[path] = (int(size), digest_of.get(path, f"no file but {kind}"))
        return found

    def produced_files(self) -> None:
        """Compare the files of the Files API that can be fetched, through the server."""
        for ledger in self._ledgers:
            for file_id, content in ledger.uploads.items():
                answer = self._ask("GET", f"/v1/files/{file_id}/content")
                if answer.status == 200 and answer.body != content.bytes():
                    self._wrong(f"{file_id} has {len(answer.body)} bytes and not those of {content}")
                elif answer.status == 404 and file_id not in ledger.doomed_uploads:
                    self._wrong(f"{file_id} is gone; it has {content}")
            for file_id in ledger.deleted_uploads:
                if self._ask("GET", f"/v1/files/{file_id}").status != 404:
                    self._wrong(f"{file_id} was deleted and is there")

    def at_rest(self) -> None:
        """When every container rests, nothing is held but its disk, and what is kept ready for new containers."""
        deadline = time.monotonic() + SETTLED_SECONDS
        while any(container["state"] in ("idle", "busy") for container in self._page()):
            if time.monotonic() > deadline:
                self._wrong("containers that nobody uses are not suspended")
                return
            time.sleep(0.2)
        while said := self._held():
            if time.monotonic() > deadline:
                self.violations += said
                return
            time.sleep(0.2)

    def _held(self) -> list[str]:
        daemon = self._server.daemon_pid()
        return [
            f"with every container at rest, {what}: {name}"
            for what, ready, left in (
                ("mounted", 1, [mount for mount in leavings.mounts(self._server, daemon) if "/dev/loop" in mount]),
                ("a loop device", 1, leavings.loop_devices(self._server)),
                ("a control group", 1, sorted({name.rpartition("/")[2] for name in leavings.groups(self._server)})),
                ("half-made", 0, leavings.half_made(self._server)),
                ("a process of a sandbox", 2, leavings.sandbox_processes(self._server)),
            )
            if len(left) > ready * self._ready
            for name in left
        ]

    def _page(self) -> list[dict[str, str]]:
        page: list[dict[str, str]] = self._ask("GET", f"{CONTAINERS}?limit=1000").json()["data"]
        return page

    def listed_ids(self) -> set[str]:
        """The containers that the server knows."""
        return {container["id"] for container in self._page()}
