"""Trying all checks on one engine."""

from __future__ import annotations

import tempfile
import traceback
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from bathysphere.host.configuration import Configuration
from bathysphere.host.conformance import (
    checks_cells,
    checks_commands,
    checks_files,
    checks_isolation,
    checks_life,
    checks_limits,
    checks_skills,
    checks_wire,
)
from bathysphere.host.conformance.check import CHECKS, Check, Unmet
from bathysphere.host.conformance.subject import Subject
from bathysphere.host.engines.base import Engine
from bathysphere.host.fleet import Fleet
from bathysphere.host.ground import Ground
from bathysphere.settings import HostSettings, SandboxLimits

GROUPS = (
    checks_life,
    checks_commands,
    checks_cells,
    checks_files,
    checks_skills,
    checks_isolation,
    checks_limits,
    checks_wire,
)
"""The modules with the checks."""

LIMITS = SandboxLimits(
    memory_bytes=256 << 20, processes=64, captured_files=5, captured_file_bytes=10_000_000, captured_bytes=25_000_000
)
"""What the containers of the checks may use."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether one check holds; ``failure`` is empty then."""

    check: Check
    failure: str


async def run(
    engine: Engine, image: Path, environment: Mapping[str, str], checks: Sequence[Check] = ()
) -> AsyncGenerator[Verdict, None]:
    """Try the checks (all, when none are named) one after the other. Raises GroundError when nothing can run at all.

    ``image`` is the root of a container image, ``environment`` what its commands find.
    """
    # Not in /tmp: as root, that may be covered by the daemon's stage.
    with tempfile.TemporaryDirectory(prefix="bathysphere-conformance-", dir="/var/tmp") as folder:
        configuration = Configuration(
            data=Path(folder), image=image, environment=dict(environment), limits=LIMITS, host=HostSettings()
        )
        ground = Ground(configuration, engine)
        await ground.prepare()
        fleet = Fleet(
            engines=ground.engines,
            stage=ground.stage,
            disks=ground.disks,
            cgroups=ground.cgroups,
            environment=configuration.environment,
            limits=configuration.limits,
            settings=configuration.host,
        )
        subject = Subject(configuration, ground, fleet)
        try:
            for check in checks or CHECKS:
                yield Verdict(check, await _tried(check, subject))
        finally:
            await fleet.close()
            if ground.cgroups is not None:
                ground.cgroups.remove()


async def _tried(check: Check, subject: Subject) -> str:
    failure = ""
    try:
        await subject.fresh()
        await check.attempt(subject)
    except Unmet as unmet:
        failure = str(unmet) or "it does not hold"
    except Exception as error:
        where = traceback.extract_tb(error.__traceback__)[-1]
        failure = f"{type(error).__name__}: {error} ({where.name}, line {where.lineno})"
    try:
        await subject.clear()
    except Exception as error:
        failure = failure or f"its container could not be deleted: {error}"
    return failure
