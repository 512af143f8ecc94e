"""What a daemon is started with, and how two of them are told apart."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bathysphere.settings import HostSettings, LogSettings, SandboxLimits, Settings

_PACKAGE = Path(__file__).resolve().parent.parent


class Configuration(BaseModel):
    """The start message of a daemon. Paths are absolute."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    data: Path
    image: Path
    """Root of the container image."""
    environment: dict[str, str]
    """Environment of every command, from the image's definition."""
    limits: SandboxLimits
    host: HostSettings
    logs: LogSettings = LogSettings()

    @classmethod
    def of(cls, data: Path, settings: Settings, image: Path, environment: Mapping[str, str]) -> Configuration:
        """The configuration of the daemon of a data directory."""
        return cls(
            data=data.absolute(),
            image=image.absolute(),
            environment=dict(environment),
            limits=settings.sandbox,
            host=settings.host,
            logs=settings.logs,
        )

    @property
    def folder(self) -> Path:
        """Where the daemon keeps everything."""
        return self.data / "host"

    @property
    def name(self) -> str:
        """The daemon's name in places that the whole machine shares: the same for one data directory, always."""
        return f"bathysphere-{hashlib.sha256(str(self.data).encode()).hexdigest()[:16]}"

    def fingerprint(self) -> str:
        """Differs when another daemon would behave differently: other code, image or settings."""
        digest = hashlib.sha256()
        for room in ("host", "guest", "telemetry"):
            for source in sorted((_PACKAGE / room).rglob("*")):
                if source.suffix in (".py", ".toml", ".txt"):
                    digest.update(source.read_bytes())
        digest.update(self.model_dump_json().encode())
        return digest.hexdigest()
