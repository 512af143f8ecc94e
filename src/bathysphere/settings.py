"""Every setting of bathysphere, its default and its unit.

Settings come from ``bathysphere.toml`` (``--config``), table by table; a key that is not known is refused, so
that a misspelt limit never goes unnoticed. ``[[models]]`` is described in docs/models.md.
"""

from __future__ import annotations

import os
import tomllib
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from bathysphere.metering.tariff import Tariff

MIB = 1024 * 1024
GIB = 1024 * MIB


def default_data_directory() -> Path:
    """Where bathysphere keeps its data when ``--data`` does not say.

    ``$BATHYSPHERE_DATA``; else ``/var/lib/bathysphere/data`` for root; else ``bathysphere/data`` in the user's
    directory for data (``$XDG_DATA_HOME``, or ``~/.local/share``).
    """
    if chosen := os.environ.get("BATHYSPHERE_DATA"):
        return Path(chosen)
    if os.geteuid() == 0:
        return Path("/var/lib/bathysphere/data")
    # The XDG specification has relative paths ignored.
    share = Path(os.environ.get("XDG_DATA_HOME", ""))
    # An account that has no home directory, as those of services, has its data below the root of all.
    home = Path(os.environ.get("HOME") or os.path.expanduser("~"))  # noqa: PTH111 - does not raise without a home
    return (share if share.is_absolute() else home / ".local" / "share") / "bathysphere" / "data"


def store_directory(data: Path) -> Path:
    """Where the database and the files are below a data directory: the server's own part of it.

    What lies beside it belongs to the host daemon, which may be root when the server is not.
    """
    return data / "store"


def skills_directory(data: Path) -> Path:
    """Where the operator puts skills for every workspace, one folder each; the server only reads it, at its start."""
    return data / "skills"


class SettingsError(Exception):
    """The configuration cannot be used; the message names the file, the key and what is allowed."""


class _Table(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ImageSettings(_Table):
    """What containers find installed (docs/image.md)."""

    office: bool = Field(default=False, description="the larger image, with LibreOffice")


class SandboxLimits(_Table):
    """What one container may use. The defaults are the documented ones (WIRE l) where there are any."""

    memory_bytes: int = Field(default=5 * GIB, ge=64 * MIB)
    disk_bytes: int = Field(default=5 * GIB, ge=64 * MIB)
    cpus: float = Field(default=1.0, gt=0)
    processes: int = Field(default=512, ge=16)
    open_files: int = Field(default=4096, ge=64)
    command_seconds: float = Field(default=300.0, gt=0)
    cell_seconds: float = Field(default=90.0, gt=0, description="that a cell of the interpreter may run")
    tool_seconds: float = Field(default=270.0, gt=0, description="that code waits for the answer of a tool it called")
    output_bytes: int = Field(default=128 * 1024, ge=1024, description="kept of stdout and of stderr, each")
    captured_files: int = Field(default=100, ge=0, description="files returned by one call")
    captured_file_bytes: int = Field(default=500 * MIB, ge=0, description="one returned file")
    captured_bytes: int = Field(default=GIB, ge=0, description="all files returned by one call, together")


EngineName = Literal["bubblewrap", "gvisor"]
GuaranteeName = Literal[
    "ordinary user", "system call filter", "no network", "own processes", "nothing of the host", "read-only image",
    "no core dumps", "own user id", "own view of the image", "own terminals", "memory limit", "processor limit",
    "process limit", "disk limit",
]  # fmt: skip
"""What a container is kept to, and what `bathysphere doctor` tries (docs/security.md)."""


ModuleName = Annotated[str, Field(pattern=r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$", max_length=200)]


class HostSettings(_Table):
    """The host daemon."""

    engine: EngineName = Field(default="bubblewrap", description="for workspaces that have none of their own")
    max_sandboxes: int = Field(default=64, ge=1, description="sandboxes that run at the same time")
    pool: int = Field(default=2, ge=0, description="sandboxes that are started ahead of new containers")
    preload: tuple[ModuleName, ...] = Field(
        default=("numpy", "pandas", "matplotlib.pyplot"),
        description="Python modules that sandboxes started ahead have imported already; none: no interpreter either",
    )
    idle_seconds: float = Field(default=300.0, gt=0, description="after this the processes go, the disk stays")
    linger_seconds: float = Field(
        default=60.0, ge=0, description="the daemon ends itself after this long without any server"
    )
    sync: bool = Field(default=True, description="a call is answered when what it wrote survives a loss of power")
    first_uid: int = Field(default=1_879_048_192, ge=65536, description="first of the sandboxes' user ids")
    uid_count: int = Field(default=65536, ge=1)
    waive: tuple[GuaranteeName, ...] = Field(
        default=(), description="guarantees without which the server is to start all the same"
    )
    server_uid: int = Field(
        default=1_879_048_191, ge=1, description="whom the server runs as when it is started by root"
    )


class ContainerSettings(_Table):
    """Containers as clients see them."""

    lifetime_days: float = Field(default=30.0, gt=0)
    grace_days: float = Field(default=7.0, ge=0, description="after its expiry a container's disk stays this long")
    record_days: float = Field(default=90.0, ge=0, description="after its end the record of its calls stays this long")
    record_commands: bool = Field(default=True, description="the record holds the commands' text, not only its hash")


class TurnSettings(_Table):
    """The loop between the model and its tools."""

    max_iterations: int = Field(default=10, ge=1, description="samplings per request, then pause_turn (WIRE c.4)")
    ping_seconds: float = Field(default=10.0, gt=0, description="between pings while a stream is silent (WIRE d)")


class RetrySettings(_Table):
    """Requests that are sent again, and clients that go away (docs/api.md)."""

    grace_seconds: float = Field(
        default=20.0, ge=0, description="that a turn which has run code goes on when its client has gone"
    )
    keep_seconds: float = Field(default=600.0, gt=0, description="that the answer of an ended turn is kept")
    answers: int = Field(default=1000, ge=1, description="kept answers, of all keys")
    answers_bytes: int = Field(default=64 * MIB, ge=1024, description="all kept answers together")
    answer_bytes: int = Field(default=8 * MIB, ge=1024, description="one kept answer")


class RateLimitSettings(_Table):
    """What one key and one workspace may ask for; without a value there is no limit."""

    key_requests: int | None = Field(default=None, ge=1, description="requests per minute")
    workspace_requests: int | None = Field(default=None, ge=1)
    key_turns: int | None = Field(default=None, ge=1, description="turns at the same time")
    workspace_turns: int | None = Field(default=None, ge=1)
    key_containers: int | None = Field(default=None, ge=1, description="containers that turns use at the same time")
    workspace_containers: int | None = Field(default=None, ge=1)


class MeteringSettings(_Table):
    """What execution time costs, and how long the books are kept in detail (docs/metering.md)."""

    dollars_per_hour: Decimal = Field(
        default=Decimal("0.05"), ge=0, le=1000, decimal_places=6, description="of one container, beyond the free hours"
    )
    free_hours: float = Field(default=1550.0, ge=0, description="of an organisation, in a calendar month in UTC")
    minimum_seconds: int = Field(default=300, ge=1, le=86_400, description="that an execution is booked for, at least")
    request_days: float = Field(default=90.0, ge=0, description="that what each request used stays; sums stay for good")

    def tariff(self) -> Tariff:
        """The price, the free hours and the minimum, as the books count them."""
        return Tariff.of(self.dollars_per_hour, self.free_hours, self.minimum_seconds)


class LimitSettings(_Table):
    """Sizes of what clients send (WIRE j)."""

    request_bytes: int = Field(default=32 * MIB, ge=1024)
    file_bytes: int = Field(default=500 * MIB, ge=1)
    storage_bytes: int = Field(default=1024 * GIB, ge=1, description="all files and skills of an organisation")
    skill_bytes: int = Field(
        default=30 * MIB, ge=1024, le=64 * MIB, description="one version of a skill, unpacked (WIRE g)"
    )
    skill_files: int = Field(default=1000, ge=1, le=10_000, description="in one version of a skill")
    reserve_bytes: int = Field(default=GIB, ge=0, description="of the data directory's disk, which no file may take")


def _network(text: str) -> str:
    """Raises ValueError when it is none."""
    return str(ip_network(text))


Network = Annotated[str, AfterValidator(_network)]
"""Addresses of one network, as in ``10.0.0.0/8``."""


class BatchSettings(_Table):
    """Message Batches (WIRE f)."""

    request_bytes: int = Field(default=256 * MIB, ge=1024, description="one batch; each request in it as any other")
    requests: int = Field(default=100_000, ge=1, le=100_000, description="in one batch")
    waiting_requests: int = Field(default=500_000, ge=1, description="in all open batches of a workspace")
    workers: int = Field(default=8, ge=0, le=256, description="requests that this server runs at the same time")
    claimed: int = Field(default=100, ge=1, le=10_000, description="requests that this server takes at a time")
    lease_seconds: float = Field(default=15.0, gt=0, description="after this a server that is silent counts as dead")
    max_iterations: int = Field(default=50, ge=1, description="samplings per request, then pause_turn (WIRE c.4)")
    max_retries: int = Field(default=6, ge=0, le=100, description="of a sampling, beyond those of the model itself")
    expiry_hours: float = Field(default=24.0, gt=0, description="what has not begun by then does not begin")
    results_days: float = Field(default=29.0, gt=0, description="from a batch's creation to its results' removal")
    base_url: str | None = Field(
        default=None, pattern=r"^https?://[^\s/?#]+[^\s?#]*$", description="what results_url begins with"
    )
    trusted_proxies: tuple[Network, ...] = Field(
        default=("127.0.0.0/8", "::1/128"),
        description="whose X-Forwarded-Proto and X-Forwarded-Host are believed for results_url",
    )


class ServerSettings(_Table):
    """How the server ends (docs/observing.md)."""

    drain_notice_seconds: float = Field(
        default=0.0, ge=0, description="that it goes on taking requests after /ready has begun to say no"
    )
    drain_seconds: float = Field(default=10.0, ge=0, description="that running turns and batch requests have to end")


def _listening_address(text: str) -> str:
    """Raises ValueError when it is not the address and port of a listener."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError('write an address and a port, as "127.0.0.1:9464" or "[::1]:9464"')
    return text


class MetricsSettings(_Table):
    """Prometheus metrics (docs/observing.md)."""

    listen: Annotated[str, AfterValidator(_listening_address)] | None = Field(
        default=None, description="address and port of /metrics; whoever can connect there may read it"
    )


class TraceSettings(_Table):
    """OpenTelemetry traces (docs/observing.md)."""

    endpoint: str | None = Field(
        default=None, pattern=r"^https?://[^\s?#]+$", description="of a collector that takes OTLP over HTTP"
    )
    sample_ratio: float | None = Field(default=None, ge=0, le=1, description="of the requests that are traced")


class LogSettings(_Table):
    """The logs of the server and of the host daemon (docs/observing.md)."""

    format: Literal["text", "json"] = "text"
    level: Literal["debug", "info", "warning", "error"] = "warning"
    requests: bool = Field(default=False, description="a line for each request")
    content: bool = Field(default=False, description="messages of unexpected errors, which may quote what clients sent")


Backend = Literal["anthropic", "bedrock", "vertex", "openai", "demo"]


class ModelSettings(_Table):
    """One ``[[models]]`` entry; the first whose ``match`` fits the client's model name is used."""

    match: str = "*"
    backend: Backend
    base_url: str | None = None
    api_key_env: str | None = Field(default=None, description="name of the environment variable with the key")
    model: str | None = Field(default=None, description="name sent upstream; the client's own when absent")
    tool_calls: Literal["native", "prompt"] = Field(
        default="native", description="prompt: describe tools in the prompt, for models without tool calling"
    )
    region: str | None = Field(default=None, description="bedrock (AWS region) and vertex (Google region)")
    project: str | None = Field(default=None, description="vertex: Google project id")
    max_retries: int = Field(default=2, ge=0, le=10)
    timeout_seconds: float = Field(default=600.0, gt=0)


class Settings(_Table):
    """The whole configuration."""

    limits: LimitSettings = LimitSettings()
    image: ImageSettings = ImageSettings()
    sandbox: SandboxLimits = SandboxLimits()
    host: HostSettings = HostSettings()
    containers: ContainerSettings = ContainerSettings()
    turn: TurnSettings = TurnSettings()
    batches: BatchSettings = BatchSettings()
    retries: RetrySettings = RetrySettings()
    rate_limits: RateLimitSettings = RateLimitSettings()
    metering: MeteringSettings = MeteringSettings()
    server: ServerSettings = ServerSettings()
    metrics: MetricsSettings = MetricsSettings()
    traces: TraceSettings = TraceSettings()
    logs: LogSettings = LogSettings()
    models: Annotated[tuple[ModelSettings, ...], Field(default=())] = ()

    @classmethod
    def load(cls, path: Path | None) -> Settings:
        """Read a configuration file; without one, the defaults.

        Raises SettingsError when the file cannot be read, is no TOML, or holds what is not allowed.
        """
        if path is None:
            return cls()
        try:
            raw: dict[str, Any] = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"{path} cannot be read: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not valid TOML: {error}") from error
        try:
            return cls.model_validate(raw)
        except ValidationError as error:
            lines = [f"  {_complaint(found)}" for found in error.errors()]
            raise SettingsError(f"{path} holds settings that cannot be used:\n" + "\n".join(lines)) from error


def _complaint(found: ErrorDetails) -> str:
    """What pydantic found, in the words of who writes TOML."""
    place = found["loc"]
    if place == ("models",):
        return "models: write [[models]], with two brackets, above each entry"
    table: type[BaseModel] = Settings
    shown = ".".join(map(str, place))
    if place[0] == "models" and len(place) > 1 and isinstance(place[1], int):
        table = ModelSettings
        shown = f"[[models]] entry {place[1] + 1}: {'.'.join(map(str, place[2:]))}"
    elif len(place) > 1:
        table = type(Settings.model_fields[str(place[0])].default)
    if found["type"] == "extra_forbidden":
        near = get_close_matches(str(place[-1]), table.model_fields, n=1)
        return f"{shown}: there is no such key" + (f"; did you mean {near[0]}?" if near else "")
    return f"{shown}: {found['msg'][0].lower()}{found['msg'][1:]}"
