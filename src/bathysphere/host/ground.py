"""What the daemon stands on: engine, stage, disks and limits, set up and tried before anyone is served."""

from __future__ import annotations

import logging
import os
import sys
from pathlib import Path

from bathysphere.host import stage
from bathysphere.host.cgroups import CgroupError, Cgroups, Hierarchies
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import HostError, HostStatus
from bathysphere.host.disks.base import DiskError, Disks
from bathysphere.host.disks.folders import Folders
from bathysphere.host.disks.images import Images
from bathysphere.host.disks.uids import UserIds
from bathysphere.host.engine_choice import Engines
from bathysphere.host.engines.base import Engine, EngineError
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.engines.gvisor import Gvisor
from bathysphere.host.fleet import Fleet
from bathysphere.host.stage import Stage, StageError
from bathysphere.host.syscalls import become_subreaper

log = logging.getLogger(__name__)

_PROBE = "bathysphere-probe"


class GroundError(Exception):
    """Sandboxes cannot be had here; the message says why and what to do."""


class Ground:
    """See the module. Use ``prepare`` before anything else."""

    engines: Engines
    _engine: Engine
    stage: Stage
    disks: Disks
    cgroups: Cgroups | None

    def __init__(self, configuration: Configuration, engine: Engine | None = None) -> None:
        """With ``engine`` there is that one only, whatever the configuration names."""
        self._configuration = configuration
        self._known: dict[str, Engine] = {"bubblewrap": Bubblewrap(), "gvisor": Gvisor()}
        self._chosen = configuration.host.engine if engine is None else engine.name
        if engine is not None:
            self._known = {engine.name: engine}
        self.privileged = os.geteuid() == 0
        self._weaknesses: list[str] = []

    async def prepare(self) -> None:
        """Set everything up and start a sandbox to see that it works. Raises GroundError."""
        configuration = self._configuration
        if not configuration.image.is_dir():
            raise GroundError(
                f"There is no container image at {configuration.image}. Build it: bathysphere image build"
            )
        become_subreaper()
        self.engines = Engines(self._known, self._chosen, configuration.folder / "engines")
        try:
            self._engine = self.engines.default
            self.cgroups = self._limits()
            self._lay_out()
            await self.disks.prepare()
            self.engines.sweep(self.disks.exists)
            await self._try()
        except (EngineError, CgroupError, StageError, DiskError, HostError) as error:
            raise GroundError(str(error)) from error

    def _limits(self) -> Cgroups | None:
        hierarchies = Hierarchies.find()
        missing = hierarchies.missing()
        if missing and self.privileged:
            raise CgroupError(
                f"The cgroup controllers {', '.join(missing)} are not to be had, so nothing would limit a sandbox. "
                "Mount them, or start the host in a cgroup of its own (systemd: Delegate=yes)."
            )
        if missing:
            self._weaken()
            return None
        cgroups = Cgroups(hierarchies, self._configuration.name)
        try:
            cgroups.prepare()
        except CgroupError:
            if self.privileged:
                raise
            self._weaken()
            return None
        return cgroups

    def _weaken(self) -> None:
        self._weaknesses += [
            "No cgroup is delegated to this user: memory is limited per process, not per container, so a container "
            "can use several times its limit.",
            "No cgroup is delegated to this user: processor time is not limited.",
            "No cgroup is delegated to this user: a command that is killed for its memory use is not told apart.",
        ]

    def _lay_out(self) -> None:
        configuration = self._configuration
        disks = configuration.folder / "disks"
        disks.mkdir(mode=0o711, parents=True, exist_ok=True)
        disks.chmod(0o711)
        if self.privileged:
            busy = [configuration.data, *(Path(entry) for entry in sys.path if entry), Path(sys.prefix)]
            self.stage = stage.set_private(configuration.image, disks, [*busy, Path(sys.base_prefix)])
            uids = self._user_ids(disks)
            folders = Folders(disks, self.stage.disks, uids)
            self.disks = Images(disks, self.stage.mounts, uids, configuration.limits.disk_bytes, folders)
        else:
            self.stage = stage.set_plain(configuration.image, disks, configuration.folder)
            self.disks = Folders(disks, self.stage.disks, None)
            self._weaknesses.append(
                "The host runs without root: all containers belong to the same user of this machine, and only the "
                "sandbox itself keeps them apart."
            )
        if not self.disks.limited:
            self._weaknesses.append(
                "The disk of a container has no limit of its own: a container can fill the disk of this machine."
            )
        if not self._engine.guarantees()["own kernel"]:
            self._weaknesses.append("Containers share the kernel of this machine: a flaw in it can be a way out.")
        self._weaknesses += [
            "System calls are not filtered yet.",
        ]

    def _user_ids(self, disks: Path) -> UserIds:
        """The range of sandboxes' user ids, without those that folders have."""
        configuration = self._configuration
        seed = int(configuration.name.rpartition("-")[2], 16)
        trash = disks.with_name(f"{disks.name}-removed")
        places = [place for place in (disks, trash) if place.is_dir()]
        used = {entry.lstat().st_gid for place in places for entry in place.iterdir() if not entry.is_file()}
        # Twice as many as can run, not more, because what maps files to an id is kept. Data directories begin at
        # different ones, so that two daemons seldom meet.
        count = min(configuration.host.uid_count, 2 * configuration.host.max_sandboxes + 16)
        first = configuration.host.first_uid + seed % (configuration.host.uid_count - count + 1)
        return UserIds(first, count, 0, used)

    async def _try(self) -> None:
        configuration = self._configuration
        fleet = Fleet(
            engines=self.engines,
            stage=self.stage,
            disks=self.disks,
            cgroups=self.cgroups,
            environment=configuration.environment,
            limits=configuration.limits,
            settings=configuration.host,
        )
        try:
            await fleet.create(_PROBE)
        finally:
            await fleet.delete(_PROBE)

    def status(self, sandboxes: int) -> HostStatus:
        """What ``HostStatus`` is to say."""
        limited = self.cgroups is not None
        return HostStatus(
            engine=self._engine.name,
            privileged=self.privileged,
            image=str(self._configuration.image),
            sandboxes=sandboxes,
            guarantees={
                **self._engine.guarantees(),
                "own user id": self.privileged,
                "memory limit": limited,
                "processor limit": limited,
                "process limit": True,
                "disk limit": self.disks.limited,
                "system call filter": False,
            },
            weaknesses=tuple(self._weaknesses),
        )
