"""``POST /v1/messages`` (WIRE c, d)."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse, StreamingResponse

from bathysphere.api.acting import Acting
from bathysphere.api.attempts import attempt, idempotency_key
from bathysphere.api.auth import ProtectedRoute
from bathysphere.api.disconnecting import unless_gone
from bathysphere.api.request_id import answer_headers, request_id
from bathysphere.api.services import Services, Serving
from bathysphere.api.shared_turn import SharedTurn
from bathysphere.api.sse import HEADERS, MEDIA_TYPE, EventStream
from bathysphere.containers.container import Container
from bathysphere.containers.containers import upload_failed
from bathysphere.containers.host import HostError
from bathysphere.containers.recording import Actor
from bathysphere.models.base import HOP_HEADER, Model
from bathysphere.store import files
from bathysphere.turn.checks import Checked, check
from bathysphere.turn.fold import fold
from bathysphere.turn.loop import Turn
from bathysphere.wire.blocks import ContainerUploadBlock
from bathysphere.wire.errors import InvalidRequest, NotFound, RateLimited
from bathysphere.wire.events import MessageDelta, MessageStart, StreamEvent
from bathysphere.wire.message import Container as WireContainer
from bathysphere.wire.requests import MessagesRequest

router = APIRouter(route_class=ProtectedRoute)

_FORWARDED: Final = ("anthropic-version", "anthropic-beta")


@router.post("/v1/messages")
async def create_message(request: Request, body: MessagesRequest, serving: Serving, acting: Acting) -> Response:
    """Sample a message, with code execution where the model asks for it; streamed when ``stream`` is true."""
    if HOP_HEADER in request.headers:
        raise InvalidRequest(
            "This request comes from a bathysphere, so a `base_url` of its models points to one, perhaps to itself. "
            "Point it to the model."
        )
    checked = check(body)
    model, _ = serving.models.choose(body.model)
    headers = {name: ", ".join(request.headers.getlist(name)) for name in _FORWARDED if name in request.headers}
    work = _Work(serving, acting, body, checked, model, headers)
    if checked.version is None and idempotency_key(request) is None:
        serving.rate_limits.request(acting, answer_headers(request.scope))
        return await _answer_once(request, body, serving, work.events())
    this = await attempt(request, acting)
    turn = serving.retries.find(this)
    if turn is None:
        try:
            serving.rate_limits.request(acting, answer_headers(request.scope))
        except RateLimited:
            serving.retries.failed(this)
            raise
        if work.container_id is not None:
            serving.retries.give_way(this.owner, work.container_id)
        turn = serving.retries.begin(this, work, streamed=bool(body.stream))
    return await _answer_shared(request, serving, turn)


async def _answer_once(
    request: Request, body: MessagesRequest, serving: Services, events: AsyncGenerator[StreamEvent, None]
) -> Response:
    """The answer of a turn that ends with its client."""
    if body.stream:
        return await _streamed(request, serving, events)
    message = await unless_gone(request, fold(events))
    return JSONResponse(message.wire())


async def _answer_shared(request: Request, serving: Services, turn: SharedTurn) -> Response:
    """The answer of a turn that may have begun with an earlier try of the request, and may go on for the next one."""
    if not turn.streamed:
        whole = await unless_gone(request, turn.whole())
        return Response(whole, media_type="application/json")
    if turn.answer is not None:
        return Response(await unless_gone(request, turn.whole()), media_type=MEDIA_TYPE, headers=HEADERS)
    return await _streamed(request, serving, turn.events())


async def _streamed(
    request: Request, serving: Services, events: AsyncGenerator[StreamEvent, None]
) -> StreamingResponse:
    stream = EventStream(events, request_id(request.scope), serving.settings.turn.ping_seconds)
    await stream.begin()
    return StreamingResponse(stream.body(), media_type=MEDIA_TYPE, headers=HEADERS)


class _Work:
    """A turn that is to be carried out, with its container."""

    def __init__(
        self,
        serving: Services,
        actor: Actor,
        body: MessagesRequest,
        checked: Checked,
        model: Model,
        headers: dict[str, str],
    ) -> None:
        self._serving = serving
        self._actor = actor
        self._given: tuple[MessagesRequest, Checked, Model, dict[str, str]] | None = (body, checked, model, headers)
        self._opened: _Opened | None = None
        self.container_id = body.container.id if body.container is not None else None
        self.ran_code = False

    async def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn. Raises ApiError for what cannot be begun, too."""
        assert self._given is not None, "carried out once"
        body, checked, model, headers = self._given
        # What is remembered of the turn must not keep its request, which may be large.
        self._given = None
        with self._serving.rate_limits.turn(self._actor) as slot:
            opened = self._opened = await _Opened.prepare(self._serving, self._actor, body)

            async def open_container() -> Container:
                slot.use(opened.container_id)
                self.ran_code = True
                return await opened.open()

            turn = Turn(
                body,
                checked,
                model,
                open_container,
                self._serving.settings,
                filenames=opened.filenames,
                headers=headers,
                container_used=opened.used(),
            )
            async with aclosing(opened.watch(turn.events())) as events:
                async for event in events:
                    yield event

    async def discard(self) -> None:
        """Remove the container that the turn made, if it did."""
        if self._opened is not None:
            await self._opened.discard()


class _Opened:
    """The turn's container: the one that the request names, or one made when it is first needed."""

    def __init__(self, serving: Services, actor: Actor, container: Container | None) -> None:
        self._serving = serving
        self._actor = actor
        self._container = container
        self._made: Container | None = None
        self.filenames: dict[str, str] = {}

    @classmethod
    async def prepare(cls, serving: Services, actor: Actor, body: MessagesRequest) -> _Opened:
        """Find the named container and bring the uploads into it.

        Raises ApiError when the container or a file can't be had: the turn has not begun then.
        """
        wanted = body.container.id if body.container is not None else None
        container = None if wanted is None else await serving.containers.open(actor, wanted)
        opened = cls(serving, actor, container)
        opened.filenames = await serving.containers.filenames(wanted)
        missing = await _missing_uploads(serving, actor.workspace_id, body, set(opened.filenames))
        if missing:
            try:
                await serving.containers.place(await opened.open_for_upload(missing[0].filename), missing)
            except BaseException:
                await opened.discard()
                raise
            opened.filenames |= {file.id: file.filename for file in missing}
        return opened

    async def watch(self, events: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
        """The turn's events. When they end before the client was told of the container, a new one is removed again:

        nobody could ever use it, and an SDK that tries again would leave one behind each time.
        """
        told = False
        try:
            async with aclosing(events):
                async for event in events:
                    told = told or isinstance(event, MessageDelta) or _names_container(event)
                    yield event
        finally:
            if not told:
                await self.discard()

    async def discard(self) -> None:
        """Remove the container if this request made it."""
        if self._made is not None:
            await self._serving.containers.discard(self._made)

    async def open(self) -> Container:
        """The container, made now if there is none yet. Raises HostError."""
        if self._container is None:
            self._container = self._made = await self._serving.containers.create(self._actor)
        return self._container

    async def open_for_upload(self, filename: str) -> Container:
        """The same, with the host's failures as the request's."""
        try:
            return await self.open()
        except HostError as error:
            raise upload_failed(filename, error) from error

    @property
    def container_id(self) -> str | None:
        """The container's id; None when there is none yet."""
        return self._container.id if self._container is not None else None

    def used(self) -> WireContainer | None:
        """What the answer says about the container; None when there is none yet."""
        if self._container is None:
            return None
        return WireContainer(id=self._container.id, expires_at=self._container.expires_at)


def _names_container(event: StreamEvent) -> bool:
    """A message that is whole in its first event names its container there (WIRE d)."""
    return isinstance(event, MessageStart) and event.message.container is not None


def _uploads(body: MessagesRequest) -> Iterator[tuple[int, int, str]]:
    for number, message in enumerate(body.messages):
        for place, block in enumerate(message.content):
            if isinstance(block, ContainerUploadBlock):
                yield number, place, block.file_id


async def _missing_uploads(
    serving: Services, workspace_id: str, body: MessagesRequest, present: set[str]
) -> list[files.File]:
    """The uploads that are not in the container yet, in the order of the conversation.

    Raises NotFound for a file that this workspace doesn't have or that has expired, and InvalidRequest for two
    different files of one name in one message: one of them would be lost.
    """
    found: dict[str, files.File] = {}
    names: dict[tuple[int, str], str] = {}
    for number, place, file_id in _uploads(body):
        if file_id in present or file_id in found:
            continue
        file = await files.get(serving.database, workspace_id, file_id)
        if file is None:
            raise NotFound(f"File `{file_id[:200]}` not found.")
        if file.expired(datetime.now(UTC)) or file.blob_key is None:
            raise NotFound(f"File `{file_id}` has expired.", error_code="file_expired")
        if (number, file.filename) in names:
            raise InvalidRequest(
                f"messages.{number}.content.{place}.container_upload: `{file_id}` and "
                f"`{names[number, file.filename]}` have the same name, {file.filename!r}, and would replace each "
                "other in the container. Upload one of them under another name."
            )
        names[number, file.filename] = file_id
        found[file_id] = file
    return list(found.values())
