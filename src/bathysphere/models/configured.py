"""Which model a name of the client's reaches: the configured table, or what is found on this machine."""

from __future__ import annotations

import asyncio
import fnmatch
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self
from urllib.parse import urlsplit

from bathysphere.models.base import Model
from bathysphere.models.catalogue import known_models
from bathysphere.models.demo import DemoModel
from bathysphere.models.failures import Upstream
from bathysphere.models.local_servers import USUAL_PORTS, Look, listens_if_here, look_for_local_servers
from bathysphere.models.prompted_tools import PromptedTools
from bathysphere.settings import ModelSettings, SettingsError
from bathysphere.wire.errors import NotFound

_KEY_VARIABLES: Final = {
    "anthropic": ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"),
    "openai": ("OPENAI_API_KEY",),
    "bedrock": ("AWS_BEARER_TOKEN_BEDROCK",),
}
_BASE_VARIABLES: Final = {"anthropic": "ANTHROPIC_BASE_URL", "openai": "OPENAI_BASE_URL"}
_REGION_VARIABLES: Final = {"bedrock": "AWS_REGION", "vertex": "CLOUD_ML_REGION"}
_GLOB_CHARACTERS: Final = frozenset("*?[")


@dataclass(frozen=True, slots=True)
class Choice:
    """What a name reaches. ``model`` is the name sent upstream, None for the client's own; ``why`` is in words."""

    pattern: str
    backend: str
    base_url: str | None
    model: str | None
    why: str

    @property
    def of_anthropic(self) -> bool:
        """Whether it is reached by Anthropic's protocol, and so is, as far as one can tell, one of their models."""
        return self.backend in ("anthropic", "bedrock", "vertex")

    @property
    def is_glob(self) -> bool:
        """Whether the pattern stands for more than one name."""
        return bool(_GLOB_CHARACTERS & set(self.pattern))

    def target(self) -> str:
        """Backend, address and name sent, in words."""
        where = f" at {self.base_url}" if self.base_url else ""
        return f"{self.backend}{where}" + (f" as {self.model}" if self.model else "") + f" (pattern {self.pattern})"


@dataclass(frozen=True, slots=True)
class _Entry:
    choice: Choice
    model: Model


class ConfiguredModels:
    """Every configured or found model, ready to use. ``looked`` tells what was looked for on this machine."""

    def __init__(self, entries: list[tuple[Choice, Model]], looked: list[str]) -> None:
        self._entries = [_Entry(choice, model) for choice, model in entries]
        self.looked = looked

    @classmethod
    async def open(
        cls,
        settings: Sequence[ModelSettings],
        environment: Mapping[str, str] | None = None,
        *,
        own_port: int | None = None,
        local_ports: Collection[tuple[str, int]] = USUAL_PORTS,
    ) -> Self:
        """Build the models of the ``[[models]]`` entries, or find one when there are none.

        ``own_port`` is where this server listens: it is never taken for an upstream. Raises SettingsError when an
        entry cannot be used: its key's variable is not set, or its region is not known.
        """
        variables = os.environ if environment is None else environment
        if settings:
            entries = []
            for number, entry in enumerate(settings, start=1):
                place = f"[[models]] entry {number} (match = {entry.match!r})"
                entries.append(_configured(entry, variables, place))
            return cls(entries, [])
        return await cls._find(variables, own_port, local_ports)

    @classmethod
    async def _find(
        cls, variables: Mapping[str, str], own_port: int | None, local_ports: Collection[tuple[str, int]]
    ) -> Self:
        looked: list[str] = []
        for backend in ("anthropic", "openai"):
            entry, why = _from_environment(backend, variables, own_port)
            looked.append(why)
            if entry is not None:
                choice, model = _configured(entry, variables, why, why=why)
                return cls([(choice, model)], looked)
        for look in await look_for_local_servers(local_ports, except_port=own_port):
            looked.append(f"{look.kind} at {look.base_url}: {look.found}")
            if look.models:
                return cls([_local(look)], looked)
        why = "no model is configured, and none was found on this machine"
        return cls([(Choice("*", "demo", None, None, why), DemoModel())], looked)

    @property
    def choices(self) -> list[Choice]:
        """Every entry, in the order in which they are tried."""
        return [entry.choice for entry in self._entries]

    def describe(self) -> list[str]:
        """A line for each entry: pattern, backend, address, name sent and why."""
        return [
            f"{choice.pattern} -> {choice.backend}"
            + (f" at {choice.base_url}" if choice.base_url else "")
            + (f" as {choice.model}" if choice.model else "")
            + f" ({choice.why})"
            for choice in self.choices
        ]

    async def silent(self) -> list[str]:
        """A line for each address on this machine where nothing listens (yet)."""
        addresses = dict.fromkeys(choice.base_url for choice in self.choices if choice.base_url)
        listens = await asyncio.gather(*map(listens_if_here, addresses))
        return [
            f"nothing answers at {address} yet"
            for address, known in zip(addresses, listens, strict=True)
            if known is False
        ]

    def names(self) -> list[str]:
        """Names that can be listed to clients, in the order of the entries.

        Of a pattern that is a plain name, that; of another one the name sent upstream; without that the known
        models that fit, where Anthropic's stand behind it, and the demo model's name. Any other name that fits
        works as well.
        """
        listed: list[str] = []
        for choice in self.choices:
            # A name that an earlier pattern takes, or that no pattern takes, would not reach what it promises.
            listed += [name for name in _listed(choice) if self.reaches(name, choice)]
        return list(dict.fromkeys(listed))

    def reaches(self, name: str, choice: Choice) -> bool:
        """Whether this is the choice for a name: the first whose pattern fits."""
        return next((c for c in self.choices if fnmatch.fnmatchcase(name, c.pattern)), None) is choice

    def choose(self, name: str) -> tuple[Model, Choice]:
        """The first entry whose pattern fits. Raises NotFound with the patterns there are."""
        for entry in self._entries:
            if fnmatch.fnmatchcase(name, entry.choice.pattern):
                return entry.model, entry.choice
        patterns = ", ".join(choice.pattern for choice in self.choices)
        raise NotFound(f"model: {name} (this server knows: {patterns})")

    async def close(self) -> None:
        """Close every model's connections."""
        await asyncio.gather(*(entry.model.close() for entry in self._entries))


def _listed(choice: Choice) -> Iterable[str]:
    if not choice.is_glob:
        return (choice.pattern,)
    if choice.model is not None:
        return (choice.model,)
    if choice.of_anthropic:
        return known_models()
    return ("demo",) if choice.backend == "demo" else ()


def _key(entry: ModelSettings, variables: Mapping[str, str], place: str) -> tuple[str | None, str]:
    """The key and the name of the variable to set. Raises SettingsError when the named variable is not set."""
    if entry.api_key_env is not None:
        key = variables.get(entry.api_key_env, "").strip()
        if not key:
            raise SettingsError(f"{place}: api_key_env names {entry.api_key_env}, and this variable is not set")
        return key, f"the environment variable {entry.api_key_env}"
    usual = _KEY_VARIABLES.get(entry.backend, ())
    hint = f"api_key_env in bathysphere.toml, or {' or '.join(usual)}" if usual else "the cloud's credentials"
    if entry.base_url is not None:
        # The usual key belongs to the usual address; another address gets only a key that was named for it.
        return None, "api_key_env in bathysphere.toml"
    return next((key for name in usual if (key := variables.get(name, "").strip())), None), hint


def _configured(
    entry: ModelSettings, variables: Mapping[str, str], place: str, *, why: str | None = None
) -> tuple[Choice, Model]:
    key, hint = _key(entry, variables, place)
    usual_url = variables.get(_BASE_VARIABLES.get(entry.backend, ""), "").strip() or None
    base_url = entry.base_url or usual_url
    if base_url is not None and urlsplit(base_url).scheme not in ("http", "https"):
        raise SettingsError(f"{place}: base_url must begin with http:// or https://, and is {base_url!r}")
    if entry.backend == "anthropic" and key is None and base_url is None:
        raise SettingsError(f"{place}: no key for api.anthropic.com; set {hint}")
    if entry.backend == "openai" and key is None and base_url is None:
        raise SettingsError(f"{place}: neither a key for api.openai.com nor a base_url; set {hint}")
    model, url = _built(entry, key, base_url, hint, place)
    if entry.tool_calls == "prompt":
        model = PromptedTools(model)
    reason = why or f"{place} in the configuration"
    return Choice(entry.match, entry.backend, url, entry.model, reason), model


def _built(
    entry: ModelSettings, key: str | None, base_url: str | None, hint: str, place: str
) -> tuple[Model, str | None]:
    try:
        match entry.backend:
            case "demo":
                return DemoModel(), None
            case "openai":
                return _openai(entry.model, key, base_url, hint, entry.timeout_seconds, entry.max_retries)
            case _:
                return _of_anthropic(entry, key, base_url, hint)
    except ValueError as error:
        variable = _REGION_VARIABLES.get(entry.backend)
        if variable is not None and entry.region is None:
            raise SettingsError(f"{place}: no region is known; set region in this entry, or {variable}") from error
        raise SettingsError(f"{place}: {error}") from error


# The SDKs take a second each to import: whoever needs none, or only one, doesn't wait for the others.


def _openai(
    name: str | None, key: str | None, base_url: str | None, hint: str, timeout_seconds: float, max_retries: int
) -> tuple[Model, str]:
    from bathysphere.models.openai import OpenAIModel, openai_client  # noqa: PLC0415

    client = openai_client(key, base_url, timeout_seconds)
    url = str(client.base_url).rstrip("/")
    return OpenAIModel(client, Upstream(url, hint, key), model=name, max_retries=max_retries), url


def _of_anthropic(entry: ModelSettings, key: str | None, base_url: str | None, hint: str) -> tuple[Model, str]:
    """A model of the Messages API. Raises ValueError when a cloud's region or project is not known."""
    from bathysphere.models import anthropic  # noqa: PLC0415

    timeout = entry.timeout_seconds
    client: anthropic.AnthropicClient
    match entry.backend:
        case "bedrock":
            client = anthropic.bedrock_client(key, entry.region, entry.base_url, timeout)
        case "vertex":
            client = anthropic.vertex_client(key, entry.region, entry.project, entry.base_url, timeout)
        case _:
            client = anthropic.anthropic_client(key, base_url, timeout)
    url = str(client.base_url).rstrip("/")
    upstream = Upstream(url, hint, key)
    return anthropic.AnthropicModel(client, upstream, model=entry.model, max_retries=entry.max_retries), url


def _from_environment(
    backend: str, variables: Mapping[str, str], own_port: int | None
) -> tuple[ModelSettings | None, str]:
    """An entry for everything, when the environment names such an upstream; and what was seen, in words."""
    base_name = _BASE_VARIABLES[backend]
    base_url = variables.get(base_name, "").strip()
    key_name = next((name for name in _KEY_VARIABLES[backend] if variables.get(name, "").strip()), None)
    parts = urlsplit(base_url)
    if base_url and own_port is not None and parts.hostname in ("127.0.0.1", "localhost", "::1"):
        try:
            points_here = parts.port == own_port
        except ValueError:
            points_here = False
        if points_here:
            return None, f"{base_name} points to this server itself, so it is meant for clients and not used"
    if backend == "anthropic" and key_name:
        return ModelSettings(match="*", backend="anthropic"), f"{key_name} is set"
    if backend == "openai" and (base_url or key_name):
        return ModelSettings(match="*", backend="openai"), f"{base_name if base_url else key_name} is set"
    missing = (*_KEY_VARIABLES[backend], *((base_name,) if backend == "openai" else ()))
    return None, f"{' and '.join(missing)}: not set"


def _local(look: Look) -> tuple[Choice, Model]:
    """A server on this machine: whatever name the client sends, the first model that the server lists is used."""
    name = look.models[0]
    why = f"{look.kind} answers on its usual port, and {name} is the first model it lists"
    model, _ = _openai(name, None, look.base_url, "api_key_env", 600.0, 2)
    return Choice("*", "openai", look.base_url, name, why), model
