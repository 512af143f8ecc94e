"""HTTP as a client with a kept-open connection sees it: an answer, or none."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

CONTAINERS = "/bathysphere/v1/containers"
ANSWER_SECONDS = 60.0


class Unanswered(Exception):
    """Nobody can say whether it was done."""


class NoEnd(Exception):
    """The server took a request and neither answered nor ended the connection."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer."""

    status: int
    body: bytes

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def error_code(self) -> str:
        """The code of a failure, or its message."""
        try:
            error = self.json()["error"]
        except (ValueError, KeyError, TypeError):
            return self.body.decode(errors="replace")[:300]
        return str((error.get("details") or {}).get("error_code") or error.get("message"))


class Connection:
    """To one server with one key. Opened again when it was broken."""

    def __init__(self, port: int, key: str) -> None:
        self._headers = {"x-api-key": key, "anthropic-version": "2023-06-01"}
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=ANSWER_SECONDS)

    def close(self) -> None:
        """Let go of it."""
        self._connection.close()

    def ask(self, method: str, path: str, body: bytes | None = None, kind: str = "application/json") -> Answer:
        """One request. Raises Unanswered and NoEnd."""
        headers = self._headers | ({"content-type": kind} if body is not None else {})
        with self._carefully():
            self._connection.request(method, path, body, headers)
            response = self._connection.getresponse()
            return Answer(response.status, response.read())

    def stream(self, path: str, body: Any) -> tuple[int, list[dict[str, Any]]]:
        """One request that is answered with events. Raises Unanswered, also when they break off, and NoEnd."""
        with self._carefully():
            headers = self._headers | {"content-type": "application/json"}
            self._connection.request("POST", path, json.dumps(body).encode(), headers)
            response = self._connection.getresponse()
            text = response.read().decode()
        if response.status != 200:
            return response.status, [json.loads(text)]
        lines = [line for line in text.splitlines() if line.startswith("data:")]
        return 200, [json.loads(line.removeprefix("data:")) for line in lines]

    def post(self, path: str, body: Any) -> Answer:
        """JSON. Raises Unanswered and NoEnd."""
        return self.ask("POST", path, json.dumps(body).encode())

    def upload(self, name: str, content: bytes) -> Answer:
        """A file for the Files API. Raises Unanswered and NoEnd."""
        edge = "edge-of-a-part"
        head = f'--{edge}\r\ncontent-disposition: form-data; name="file"; filename="{name}"\r\n'
        body = f"{head}content-type: text/plain\r\n\r\n".encode() + content + f"\r\n--{edge}--\r\n".encode()
        return self.ask("POST", "/v1/files", body, f"multipart/form-data; boundary={edge}")

    @contextmanager
    def _carefully(self) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            self._connection.close()
            raise NoEnd(f"no answer within {ANSWER_SECONDS:g} seconds") from error
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            raise Unanswered(str(error)) from error


def file_path(container: str, path: str) -> str:
    """The URL of a file in a container."""
    return f"{CONTAINERS}/{container}/files?path={quote(path, safe='')}"
