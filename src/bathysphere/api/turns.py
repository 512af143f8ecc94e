"""From the body of a request to the events of its turn: the same way for every call that samples."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from starlette.datastructures import Headers

from bathysphere.api.metered_turn import MeteredTurn
from bathysphere.api.named_skills import NamedSkills, named_skills
from bathysphere.api.observed_turns import observed
from bathysphere.api.rate_limits import RateLimits
from bathysphere.api.services import Services
from bathysphere.containers.container import Container
from bathysphere.containers.containers import upload_failed
from bathysphere.containers.host import HostError
from bathysphere.containers.recording import Actor
from bathysphere.containers.skills import skills_failed
from bathysphere.metering.tariff import is_free
from bathysphere.models.base import Model
from bathysphere.models.observed import ObservedModel
from bathysphere.settings import Settings
from bathysphere.store import files
from bathysphere.telemetry.tracing import Span
from bathysphere.turn.checks import Checked, check, without_container
from bathysphere.turn.loop import Turn
from bathysphere.turn.model_support import check_support
from bathysphere.turn.skills import TurnSkill, container_wire
from bathysphere.wire.blocks import ContainerUploadBlock
from bathysphere.wire.errors import InvalidRequest, NotFound
from bathysphere.wire.events import StreamEvent, names_container
from bathysphere.wire.message import Container as WireContainer
from bathysphere.wire.requests import MessagesRequest

_FORWARDED: Final = ("anthropic-version", "anthropic-beta")


def forwarded(headers: Headers) -> dict[str, str]:
    """Those of a request's headers that an upstream may want."""
    return {name: ", ".join(headers.getlist(name)) for name in _FORWARDED if name in headers}


class TurnWork:
    """A turn that is to be carried out, with its container.

    ``headers`` are the client's that an upstream may want. ``model``, ``settings`` and ``rate_limits`` are those of the
    server unless given; ``batch_id`` is that of the batch that the request belongs to. Raises ApiError for a request
    that is wrong as it stands: nothing has been asked of anybody then.
    """

    def __init__(
        self,
        serving: Services,
        actor: Actor,
        body: MessagesRequest,
        headers: Mapping[str, str],
        *,
        model: Model | None = None,
        settings: Settings | None = None,
        rate_limits: RateLimits | None = None,
        batch_id: str | None = None,
    ) -> None:
        self._serving = serving
        self._rate_limits = rate_limits or serving.rate_limits
        self._actor = replace(actor, free_of_charge=is_free(tool.type or "" for tool in body.tools or []))
        self._batch_id = batch_id
        checked = check(body)
        chosen, choice = serving.models.choose(body.model)
        check_support(body.model, choice, checked)
        self._given: tuple[MessagesRequest, Checked, Model, Mapping[str, str]] | None = (
            body,
            checked,
            ObservedModel(model or chosen, choice.backend, choice.pattern, choice.model),
            headers,
        )
        self._settings = settings or serving.settings
        self._opened: _Opened | None = None
        self.can_run_code = checked.version is not None
        self.container_id = body.container.id if body.container is not None else None
        self.ran_code = False

    def events(self) -> AsyncGenerator[StreamEvent, None]:
        """The events of the turn, once; closing them ends it. Raises ApiError for what cannot be begun, too."""
        return observed("request" if self._batch_id is None else "batch", self._events)

    async def _events(self, span: Span) -> AsyncGenerator[StreamEvent, None]:
        assert self._given is not None, "carried out once"
        body, checked, model, headers = self._given
        # What is remembered of the turn must not keep its request, which may be large.
        self._given = None
        metering = MeteredTurn(self._actor, body.model, self._batch_id, self._serving.containers.records)
        quotas = self._serving.containers.quotas
        with self._rate_limits.turn(self._actor) as slot:
            metering.check()
            quotas.admit(self._actor, can_run_code=self.can_run_code)
            with metering.metered():
                named = await named_skills(self._serving.database, self._actor.workspace_id, body, headers)
                opened = self._opened = await _Opened.prepare(
                    self._serving, self._actor, body, checked, named, patient=self._batch_id is not None
                )
                metering.container = opened.container

                async def open_container() -> Container:
                    slot.use(opened.container_id)
                    self.ran_code = True
                    await self._serving.containers.settle_quotas(self._actor)
                    if self._batch_id is None:
                        # Before a container is made that nothing could run in.
                        quotas.check_execution(self._actor, opened.container_id or "")
                    container = metering.container = await opened.open()
                    return container

                span.set(container_id=opened.container_id)
                turn = Turn(
                    body,
                    checked,
                    model,
                    open_container,
                    self._settings,
                    filenames=opened.filenames,
                    headers=headers,
                    container_used=opened.used(),
                    skills=opened.skills,
                )
                metering.usage = turn.usage
                async with aclosing(opened.watch(turn.events())) as events:
                    async for event in events:
                        yield event

    async def discard(self) -> None:
        """Remove the container that the turn made, if it did."""
        if self._opened is not None:
            await self._opened.discard()


class _Opened:
    """The turn's container: the one that the request names, or one made when it is first needed.

    Who is ``patient`` waits until so few containers are at work that this one may be too.
    """

    def __init__(self, serving: Services, actor: Actor, container: Container | None, *, patient: bool) -> None:
        self._serving = serving
        self._actor = actor
        self._patient = patient
        self._container = container
        self._made: Container | None = None
        self.filenames: dict[str, str] = {}
        self.skills: tuple[TurnSkill, ...] = ()

    @classmethod
    async def prepare(
        cls,
        serving: Services,
        actor: Actor,
        body: MessagesRequest,
        checked: Checked,
        named: NamedSkills | None,
        *,
        patient: bool,
    ) -> _Opened:
        """Find the named container and bring the uploads and the skills into it.

        Raises ApiError when the container, a file or a skill can't be had: the turn has not begun then.
        """
        wanted = body.container.id if body.container is not None else None
        try:
            container = None if wanted is None else await serving.containers.open(actor, wanted)
        except (NotFound, InvalidRequest) as error:
            raise without_container(error, checked) from error
        opened = cls(serving, actor, container, patient=patient)
        opened.filenames = await serving.containers.filenames(wanted)
        missing = await _missing_uploads(serving, actor.workspace_id, body, set(opened.filenames))
        try:
            for file in missing:
                await serving.containers.place(await opened.open_for_upload(file.filename), [file])
                opened.filenames[file.id] = file.filename
            # Without the tool nothing could read them, and nothing changes in a container.
            if named is not None and checked.version is not None and (named.shown or wanted is not None):
                opened.skills = named.shown
                await serving.containers.set_skills(await opened.open_for_skills(), named.versions)
        except BaseException:
            await opened.discard()
            raise
        return opened

    async def watch(self, events: AsyncGenerator[StreamEvent, None]) -> AsyncGenerator[StreamEvent, None]:
        """The turn's events. When they end before the client was told of the container, a new one is removed again:

        nobody could ever use it, and an SDK that tries again would leave one behind each time.
        """
        told = False
        try:
            async with aclosing(events):
                async for event in events:
                    told = told or names_container(event)
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
        if self._patient:
            await self._serving.containers.quotas.room_at_work(self._actor, self._container.id)
        return self._container

    async def open_for_upload(self, filename: str) -> Container:
        """The same, with the host's failures as the request's."""
        try:
            return await self.open()
        except HostError as error:
            raise upload_failed(filename, error) from error

    async def open_for_skills(self) -> Container:
        """The same."""
        try:
            return await self.open()
        except HostError as error:
            raise skills_failed(error) from error

    @property
    def container(self) -> Container | None:
        """The container; None when there is none yet."""
        return self._container

    @property
    def container_id(self) -> str | None:
        """The container's id; None when there is none yet."""
        return self._container.id if self._container is not None else None

    def used(self) -> WireContainer | None:
        """What the answer says about the container; None when there is none yet."""
        if self._container is None:
            return None
        return container_wire(self._container, self.skills)


def _uploads(body: MessagesRequest) -> Iterator[tuple[int, int, str]]:
    for number, message in enumerate(body.messages):
        for place, block in enumerate(message.content):
            if isinstance(block, ContainerUploadBlock):
                yield number, place, block.file_id


def lost_upload(number: int, place: int, what: str, error_code: str | None = None) -> NotFound:
    """The refusal of an upload whose file can't be had, and what to do about it."""
    return NotFound(
        f"messages.{number}.content.{place}.container_upload: {what} Leave this block out, or upload the file again "
        "and put its new id there.",
        error_code=error_code,
    )


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
            raise lost_upload(number, place, f"File `{file_id[:200]}` not found.")
        if file.expired(datetime.now(UTC)) or file.blob_key is None:
            raise lost_upload(number, place, f"File `{file_id}` has expired.", "file_expired")
        if (number, file.filename) in names:
            raise InvalidRequest(
                f"messages.{number}.content.{place}.container_upload: `{file_id}` and "
                f"`{names[number, file.filename]}` have the same name, {file.filename!r}, and would replace each "
                "other in the container. Upload one of them under another name."
            )
        names[number, file.filename] = file_id
        found[file_id] = file
    return list(found.values())
