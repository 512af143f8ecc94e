"""``python -m tests.specification.checked serve ...``: the command, its answers held beside the specification.

What is wrong with an answer is printed, into what tests keep as the server's log; the fixture that ends the server
looks for it there.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tests.specification.answers import RESULT_LINE, complaints, error_complaints, schema_of
from tests.specification.stream import StreamCheck

AGAINST: Final = "AGAINST THE SPECIFICATION"

READINESS: Final = "GET /ready"
"""Not of the API's, and for load balancers: its 503 is no error of the protocol."""


class Checked:
    """ASGI middleware around the whole application. It changes nothing."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        answer = _Answer(scope)

        async def receiving() -> Message:
            message = await receive()
            if message["type"] == "http.disconnect":
                answer.gone = True
            return message

        async def sending(message: Message) -> None:
            for complaint in answer.complaints(message):
                print(f"{AGAINST}: {answer}: {complaint}", file=sys.stderr, flush=True)
            await send(message)

        await self.app(scope, receiving, sending)


class _Answer:
    """One answer, on its way out. Only what is checked as a whole is kept as a whole."""

    def __init__(self, scope: Scope) -> None:
        self._call = f"{scope['method']} {scope['path']}"
        self._method = scope["method"]
        headers: dict[str, str] = {}
        for name, value in scope["headers"]:
            headers[name.decode("latin-1")] = f"{headers.get(name.decode('latin-1'), '')},{value.decode('latin-1')}"
        self._schema = schema_of(scope["method"], scope["path"], scope["query_string"].decode("latin-1"), headers)
        self._status = 0
        self._request_id: str | None = None
        self._media_type = ""
        self._stream: StreamCheck | None = None
        self._body = b""
        self.gone = False

    def __str__(self) -> str:
        return f"{self._call} {self._status}"

    def complaints(self, message: Message) -> Iterator[str]:
        """What is wrong with what is sent now."""
        if message["type"] == "http.response.start":
            yield from self._begin(message)
        elif message["type"] == "http.response.body":
            last = not message.get("more_body", False)
            yield from self._take(bytes(message.get("body", b"")), last=last)

    def _begin(self, message: Message) -> Iterator[str]:
        self._status = message["status"]
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in message["headers"]}
        self._request_id = headers.get("request-id")
        self._media_type = headers.get("content-type", "").partition(";")[0]
        if not self._request_id:
            yield "there is no request-id"
        if self._media_type == "text/event-stream" and self._schema is not None:
            self._stream = StreamCheck("Beta" if self._schema.startswith("Beta") else "")

    def _take(self, data: bytes, *, last: bool) -> Iterator[str]:
        if self._stream is not None:
            yield from self._stream.feed(data)
            if last and not self.gone:
                yield from self._stream.end()
        elif self._call == READINESS:
            return
        elif self._status >= 400:
            self._body += data
            if last and not (self.gone and not self._body) and self._method != "HEAD":
                yield from self._error()
        elif self._schema is not None and self._schema.endswith(RESULT_LINE):
            *lines, self._body = (self._body + data).split(b"\n")
            yield from self._lines(lines)
            if last and self._body:
                yield "the last line has no end"
        elif self._schema is not None:
            self._body += data
            if last:
                yield from self._whole(self._schema)

    def _error(self) -> Iterator[str]:
        if self._media_type != "application/json":
            yield f"an error as {self._media_type or 'nothing'}"
        else:
            yield from error_complaints(self._status, json.loads(self._body), self._request_id)

    def _lines(self, lines: list[bytes]) -> Iterator[str]:
        assert self._schema is not None
        if self._media_type != "application/x-jsonl":
            yield f"results as {self._media_type}"
        for line in lines:
            yield from complaints(self._schema, json.loads(line))

    def _whole(self, schema: str) -> Iterator[str]:
        if self._media_type != "application/json":
            yield f"an answer as {self._media_type}"
        else:
            yield from complaints(schema, json.loads(self._body))


def main() -> None:
    """The command of the product, whose application is a checked one."""
    from bathysphere.api import app, server
    from bathysphere.cli import main as command

    # The server has imported the name; nothing of the product knows that it is looked at.
    vars(server)["create_app"] = lambda services: Checked(app.create_app(services))
    command()


if __name__ == "__main__":
    main()
