"""One client at work: it does what comes to its mind, and keeps book of what it was told."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import threading
import time
from collections.abc import Callable
from typing import Any

from tests.clients.asking import question
from tests.crash.asking import CONTAINERS, Answer, Connection, NoEnd, Unanswered, file_path
from tests.crash.content import Content, Files, Holding, copy_of
from tests.crash.ledger import Book, Ledger
from tests.seeds import expectations

MOST_CONTAINERS = 5
MOST_FILES = 12
MOST_UPLOADS = 8
LARGEST = 2_000_000

# What a server or host may answer that is being killed, is starting, or has too much to do.
_MAY_BE = {429, 500, 529}

_KILLED = 128 + signal.SIGKILL

_LOST = {"container_expired", "path_not_found"}


class Client:
    """Works until ``stop`` is set, on containers of its own; the same seed makes the same plans."""

    def __init__(self, number: int, port: int, key: str, seed: int, stop: threading.Event) -> None:
        self.name = f"client {number}"
        self.thread = threading.Thread(target=self._work, name=self.name, daemon=True)
        self.ledger = Ledger()
        self.progress = 0
        """How much was acknowledged so far."""
        self._number = number
        self._connection = Connection(port, key)
        self._random = random.Random(f"{seed}/{number}")
        self._stop = stop
        self._serial = 0

    def _work(self) -> None:
        plans: list[tuple[int, Callable[[], None]]] = [
            (3, self._create),
            (3, self._converse_anew),
            (6, self._converse),
            (8, self._run),
            (4, self._run_live),
            (8, self._upload),
            (8, self._download),
            (2, self._remove_file),
            (3, self._fork),
            (3, self._delete),
            (3, self._send_file),
            (3, self._fetch_file),
            (2, self._delete_file),
        ]
        weights = [weight for weight, _plan in plans]
        try:
            while not self._stop.is_set():
                self._random.choices([plan for _weight, plan in plans], weights)[0]()
        except NoEnd as error:
            self._wrong(str(error))
        except Exception as error:
            self._wrong(f"an answer that nobody expected: {type(error).__name__}: {error}")
        finally:
            self._connection.close()

    def clear(self) -> None:
        """Delete all that is there of this client, after its work. Raises Unanswered, NoEnd, ValueError."""
        paths = [f"{CONTAINERS}/{container}" for container in self.ledger.containers]
        for path in [*paths, *(f"/v1/files/{file_id}" for file_id in self.ledger.uploads)]:
            answer = self._connection.ask("DELETE", path)
            if answer.status != 200:
                raise ValueError(f"{path} could not be deleted: {answer.status} {answer.error_code}")
        self._connection.close()
        self.ledger = Ledger()

    # Book-keeping

    def _wrong(self, what: str) -> None:
        self.ledger.violations.append(f"{self.name}: {what}")

    def _acknowledged(self, kind: str) -> None:
        self.progress += 1
        self.ledger.acknowledged[kind] = self.ledger.acknowledged.get(kind, 0) + 1

    def _unanswered(self, kind: str) -> None:
        self.ledger.unacknowledged[kind] = self.ledger.unacknowledged.get(kind, 0) + 1
        time.sleep(0.05)

    def _refused(self, kind: str, status: int, said: str, book: Book | None = None) -> None:
        """An answer that acknowledges nothing, and is none of those that there are reasons for."""
        self._unanswered(kind)
        if status not in _MAY_BE and not (book is not None and book.doomed and said in _LOST):
            about = f" about {book.id}" if book else ""
            self._wrong(f"{kind}{about} was refused with {status}: {said}")

    def _new(self, largest: int = LARGEST) -> Content:
        self._serial += 1
        size = int(largest ** self._random.random())
        return Content(f"client {self._number} wrote {self._serial}", size)

    def _book(self) -> Book | None:
        sound = [book for book in self.ledger.containers.values() if not book.doomed]
        return self._random.choice(sound) if sound else None

    def _path(self, book: Book, places: tuple[str, ...]) -> str:
        known = [path for path in book.files if path.startswith(places)]
        if known and (len(book.files) >= MOST_FILES or self._random.random() < 0.4):
            return self._random.choice(known)
        self._serial += 1
        return f"{self._random.choice(places)}{self._number}-{self._serial}"

    def _room(self) -> bool:
        return len(self.ledger.containers) < MOST_CONTAINERS

    # Containers

    def _create(self) -> None:
        if not self._room():
            return
        try:
            answer = self._connection.post(CONTAINERS, {})
        except Unanswered:
            self.ledger.untold.append({})
            self._unanswered("create")
            return
        if answer.status == 200:
            self._open_book(answer.json()["id"], {})
            self._acknowledged("create")
        else:
            self._refused("create", answer.status, answer.error_code)

    def _open_book(self, container: str, files: Files) -> Book:
        book = self.ledger.containers[container] = Book(container, files)
        return book

    def _fork(self) -> None:
        book = self._book()
        if book is None or not self._room():
            return
        files = copy_of(book.files)
        try:
            answer = self._connection.post(f"{CONTAINERS}/{book.id}/fork", {})
        except Unanswered:
            self.ledger.untold.append(files)
            self._unanswered("fork")
            return
        if answer.status == 200:
            self._open_book(answer.json()["id"], files)
            self._acknowledged("fork")
        else:
            self._refused("fork", answer.status, answer.error_code, book)

    def _delete(self) -> None:
        doomed = [book for book in self.ledger.containers.values() if book.doomed]
        book = self._random.choice(doomed) if doomed else self._book()
        if book is None:
            return
        book.doomed = True
        try:
            answer = self._connection.ask("DELETE", f"{CONTAINERS}/{book.id}")
        except Unanswered:
            self._unanswered("delete")
            return
        if answer.status == 200:
            del self.ledger.containers[book.id]
            self.ledger.deleted.add(book.id)
            self._acknowledged("delete")
        else:
            self._refused("delete", answer.status, answer.error_code, book)

    # Commands

    def _command(self, path: str, content: Content) -> str:
        """Writes a file as a program does that has no care for being killed."""
        return f"mkdir -p $(dirname {path}); yes '{content.line}' | head -c {content.size} > {path}; echo written"

    def _command_for(self, book: Book) -> tuple[str, Content]:
        # At the top level of the home directory, so that it is captured too; or elsewhere.
        return self._path(book, ("/home/user/made-", "/home/user/deep/er/made-", "/tmp/made-")), self._new(300_000)

    def _run(self) -> None:
        book = self._book()
        if book is None:
            return
        path, content = self._command_for(book)
        holding = book.files.setdefault(path, Holding())
        try:
            answer = self._connection.post(
                f"{CONTAINERS}/{book.id}/run", {"source": self._command(path, content), "timeout_seconds": 60}
            )
        except Unanswered:
            holding.untold(content, by_program=True)
            self._unanswered("run")
            return
        if answer.status == 200:
            self._ran("run", book, path, content, answer.json(), answer.json()["stdout"])
        else:
            holding.untold(content, by_program=True)
            self._refused("run", answer.status, answer.error_code, book)

    def _run_live(self) -> None:
        book = self._book()
        if book is None:
            return
        path, content = self._command_for(book)
        holding = book.files.setdefault(path, Holding())
        body = {"source": self._command(path, content), "timeout_seconds": 60, "stream": True}
        try:
            status, events = self._connection.stream(f"{CONTAINERS}/{book.id}/run", body)
        except Unanswered:
            holding.untold(content, by_program=True)
            self._unanswered("run live")
            return
        end = events[-1] if events else {}
        if status == 200 and end.get("type") == "run_end":
            said = "".join(event["text"] for event in events if event.get("stream") == "stdout")
            self._ran("run live", book, path, content, end, said)
        else:
            holding.untold(content, by_program=True)
            error = end.get("error", {})
            code = str((error.get("details") or {}).get("error_code") or error.get("message"))
            self._refused("run live", 500 if status == 200 else status, code, book)

    def _ran(self, kind: str, book: Book, path: str, content: Content, end: dict[str, Any], said: str) -> None:
        if end["return_code"] == _KILLED:
            book.files[path].untold(content, by_program=True)
            self._unanswered(kind)
            return
        if end["return_code"] != 0 or said != "written\n":
            book.files[path].untold(content, by_program=True)
            self._wrong(f"a command in {book.id} ended with {end['return_code']} and said {said!r}, {end}")
            return
        book.files[path].told(content)
        for file in end["files"]:
            self._produced(path, content, file["id"], file["filename"])
        self._acknowledged(kind)

    def _produced(self, path: str, content: Content, file_id: str, filename: str | None) -> None:
        if filename is not None and path != f"/home/user/{filename}":
            self._wrong(f"{filename} was produced by a command that wrote {path}")
        self.ledger.uploads[file_id] = content

    # Conversations

    def _converse(self) -> None:
        book = self._book()
        if book is not None:
            path, content = self._command_for(book)
            self._message(path, content, book)

    def _converse_anew(self) -> None:
        if self._room():
            self._message(f"/home/user/made-{self._number}", self._new(300_000), None)

    def _message(self, path: str, content: Content, book: Book | None) -> None:
        files: Files = {} if book is None else book.files
        holding = files.setdefault(path, Holding())
        body = question(f"```bash\n{self._command(path, content)}\n```")
        if book is not None:
            body["container"] = book.id
        try:
            answer = self._connection.post("/v1/messages", body)
        except Unanswered:
            self._not_conversed(files, holding, content, book)
            self._unanswered("message")
            return
        if answer.status != 200:
            self._not_conversed(files, holding, content, book)
            self._refused("message", answer.status, answer.error_code, book)
            return
        message = answer.json()
        if message["container"] is None:
            self._not_conversed(files, holding, content, book)
            self._unanswered("message")
            return
        if book is None:
            book = self._open_book(message["container"]["id"], files)
        self._take_results(book, path, content, message)

    def _not_conversed(self, files: Files, holding: Holding, content: Content, book: Book | None) -> None:
        holding.untold(content, by_program=True)
        if book is None:
            self.ledger.untold.append(files)

    def _take_results(self, book: Book, path: str, content: Content, message: dict[str, Any]) -> None:
        results = expectations.results(message)
        if results and all(result["type"] == "bash_code_execution_result" for result in results):
            produced = [{"id": file_id, "filename": None} for file_id in expectations.file_ids(message)]
            end = {"return_code": results[-1]["return_code"], "files": produced}
            self._ran("message", book, path, content, end, expectations.output(message))
            return
        book.files[path].untold(content, by_program=True)
        codes = [result.get("error_code") for result in results]
        if codes in (["unavailable"], ["too_many_requests"]):
            self._unanswered("message")
        else:
            self._wrong(f"a message about {book.id} was answered with {json.dumps(results)[:500]}")

    # Files in containers

    def _upload(self) -> None:
        book = self._book()
        if book is None:
            return
        path = self._path(book, ("/home/user/sent-", "/home/user/a/b/sent-", "/tmp/sent-", "/files/input/sent-"))
        content = self._new()
        holding = book.files.setdefault(path, Holding())
        try:
            answer = self._connection.ask("PUT", file_path(book.id, path), content.bytes(), "application/octet-stream")
        except Unanswered:
            holding.untold(content)
            self._unanswered("upload")
            return
        if answer.status == 200 and answer.json()["size_bytes"] == content.size:
            holding.told(content)
            self._acknowledged("upload")
        else:
            holding.untold(content)
            self._refused("upload", answer.status, answer.error_code, book)

    def _download(self) -> None:
        book = self._book()
        if book is None or not book.files:
            return
        path = self._random.choice(sorted(book.files))
        try:
            answer = self._connection.ask("GET", file_path(book.id, path))
        except Unanswered:
            self._unanswered("download")
            return
        holding = book.files[path]
        if answer.status == 200:
            self._downloaded(book, path, holding, answer)
        elif (answer.status, answer.error_code) == (404, "path_not_found"):
            if not holding.allows_absence():
                self._wrong(f"{path} in {book.id} was not found; told was {holding}")
            del book.files[path]
            self._acknowledged("download")
        else:
            self._refused("download", answer.status, answer.error_code, book)

    def _downloaded(self, book: Book, path: str, holding: Holding, answer: Answer) -> None:
        if not holding.allows(len(answer.body), hashlib.sha256(answer.body).hexdigest()):
            self._wrong(f"{path} in {book.id} has {len(answer.body)} bytes {answer.body[:60]!r}; told was {holding}")
            return
        # Calls to one container have an order: what was seen once cannot become something else by an older one.
        line = answer.body.partition(b"\n")[0].decode()
        seen = {content for content in (*holding.whole, *holding.cut) if content and content.line.startswith(line)}
        if len(seen) == 1:
            holding.told(Content(seen.pop().line, len(answer.body)))
        self._acknowledged("download")

    def _remove_file(self) -> None:
        book = self._book()
        if book is None or not book.files:
            return
        path = self._random.choice(sorted(book.files))
        holding = book.files[path]
        try:
            answer = self._connection.post(f"{CONTAINERS}/{book.id}/run", {"source": f"rm -f {path}"})
        except Unanswered:
            holding.untold(None)
            self._unanswered("remove")
            return
        if answer.status == 200 and answer.json()["return_code"] == 0:
            del book.files[path]
            self._acknowledged("remove")
        elif answer.status == 200 and answer.json()["return_code"] == _KILLED:
            holding.untold(None)
            self._unanswered("remove")
        else:
            holding.untold(None)
            self._refused("remove", answer.status, answer.error_code, book)

    # The Files API

    def _send_file(self) -> None:
        ours = len(self.ledger.uploads)
        if ours >= MOST_UPLOADS:
            return
        content = self._new()
        try:
            answer = self._connection.upload(f"sent-{self._number}.txt", content.bytes())
        except Unanswered:
            self._unanswered("send file")
            return
        if answer.status == 200:
            self.ledger.uploads[answer.json()["id"]] = content
            self._acknowledged("send file")
        else:
            self._refused("send file", answer.status, answer.error_code)

    def _file(self) -> str | None:
        known = sorted(self.ledger.uploads.keys() - self.ledger.doomed_uploads)
        return self._random.choice(known) if known else None

    def _fetch_file(self) -> None:
        file_id = self._file()
        if file_id is None:
            return
        content = self.ledger.uploads[file_id]
        try:
            answer = self._connection.ask("GET", f"/v1/files/{file_id}/content")
        except Unanswered:
            self._unanswered("fetch file")
            return
        if answer.status == 200 and answer.body == content.bytes():
            self._acknowledged("fetch file")
        elif answer.status == 200:
            self._wrong(f"{file_id} has {len(answer.body)} bytes {answer.body[:60]!r}, not those of {content}")
        elif (answer.status, answer.error_code) != (400, "file_not_downloadable"):  # it was uploaded, not produced
            self._refused("fetch file", answer.status, answer.error_code)

    def _delete_file(self) -> None:
        file_id = self._file()
        if file_id is None:
            return
        self.ledger.doomed_uploads.add(file_id)
        try:
            answer = self._connection.ask("DELETE", f"/v1/files/{file_id}")
        except Unanswered:
            self._unanswered("delete file")
            return
        if answer.status == 200:
            del self.ledger.uploads[file_id]
            self.ledger.doomed_uploads.discard(file_id)
            self.ledger.deleted_uploads.add(file_id)
            self._acknowledged("delete file")
        else:
            self._refused("delete file", answer.status, answer.error_code)
