"""inspect-ai's own checks of a sandbox, run against a container: ``make inspect``.

Not named like a test, because inspect-ai brings 80 packages along, which the other tests need not wait for.
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path

import pytest
from inspect_ai.util import SandboxUserUnsupportedError
from inspect_ai.util._sandbox import self_check
from inspect_ai.util._sandbox.self_check import *  # noqa: F403

sys.path.insert(0, str(Path(__file__).resolve().parent))
from container_environment import ContainerEnvironment, environment

from bathysphere.containers.local import LocalHost
from bathysphere.image.definition import Definition
from bathysphere.image.image import find
from bathysphere.settings import Settings

ENGINES = ("bubblewrap", "gvisor") if os.geteuid() == 0 else ("bubblewrap",)


@pytest.fixture(params=ENGINES)
async def sandbox_env(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[ContainerEnvironment, None]:
    image = find()
    assert image is not None, "bathysphere image build"
    settings = Settings.model_validate(
        {"host": {"engine": request.param, "linger_seconds": 2}, "sandbox": {"output_bytes": 32 << 20}}
    )
    host = LocalHost(tmp_path / "data", settings, image.root, Definition.load().environment)
    container: AsyncIterator[ContainerEnvironment] = environment(host)
    try:
        async for made in container:
            yield made
    finally:
        await host.close(stop_host=True)


async def test_exec_as_user(sandbox_env: ContainerEnvironment) -> None:
    """In the place of inspect-ai's: that adds a user as root, and nobody is root in a container. It is said."""
    assert hasattr(self_check, "test_exec_as_user")
    with pytest.raises(SandboxUserUnsupportedError):
        await sandbox_env.exec(["whoami"], user="root")
    assert (await sandbox_env.exec(["whoami"], user="user")).stdout == "user\n"
