"""What the daemon stands on: engine, stage, disks and limits, set up and tried before anyone is served."""

from __future__ import annotations

import logging
import os
import sys
from dataclasses import replace
from pathlib import Path

from bathysphere.host import stage
from bathysphere.host.cgroups import CgroupError, Cgroups, Hierarchies
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import HostError, HostStatus
from bathysphere.host.disks.base import DiskError, Disks
from bathysphere.host.disks.folders import Folders
from bathysphere.host.disks.images import Images
from bathysphere.host.disks.uids import UserIds, range_of
from bathysphere.host.engine_choice import Engines
from bathysphere.host.engines.base import Engine, EngineError
from bathysphere.host.engines.bubblewrap import Bubblewrap
from bathysphere.host.engines.gvisor import Gvisor
from bathysphere.host.engines.own_view import OwnViews
from bathysphere.host.fleet import Fleet
from bathysphere.host.guarantees import LOST, Proof
from bathysphere.host.proving import prove, trial_limits
from bathysphere.host.stage import Stage, StageError
from bathysphere.host.syscalls import become_subreaper
from bathysphere.settings import GuaranteeName

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
        self.cgroups = None
        self._proofs: list[Proof] = []

    async def prepare(self) -> None:
        """Set everything up and try every guarantee in a sandbox. Raises GroundError.

        Nothing is left out because it is waived: it is tried, and where it fails, done without.
        """
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
            await self._prepare_disks()
            self.engines.sweep(lambda name: os.path.lexists(configuration.folder / "disks" / name))
            await self._try()
        except BaseException as error:
            # Nobody else takes it away: there is a next daemon only when this one could start.
            if self.cgroups is not None:
                self.cgroups.remove()
            if isinstance(error, EngineError | CgroupError | StageError | DiskError | HostError):
                raise GroundError(str(error)) from error
            raise

    def _limits(self) -> Cgroups | None:
        hierarchies = Hierarchies.find()
        missing = hierarchies.missing()
        if missing:
            if self.privileged and not self._waived("memory limit", "processor limit", "process limit"):
                raise CgroupError(
                    f"The cgroup controllers {', '.join(missing)} are not to be had, so nothing would limit a sandbox. "
                    "Mount them, or start the host in a cgroup of its own (systemd: Delegate=yes). To start without: "
                    'host.waive = ["memory limit", "processor limit", "process limit"].'
                )
            return None
        cgroups = Cgroups(hierarchies, self._configuration.name)
        try:
            cgroups.prepare()
        except CgroupError:
            if self.privileged and not self._waived("memory limit", "processor limit", "process limit"):
                raise
            return None
        return cgroups

    def _waived(self, *names: GuaranteeName) -> bool:
        return set(names) <= set(self._configuration.host.waive)

    def _lay_out(self) -> None:
        configuration = self._configuration
        disks = configuration.folder / "disks"
        disks.mkdir(mode=0o711, parents=True, exist_ok=True)
        disks.chmod(0o711)
        if self.privileged:
            busy = [configuration.data, *(Path(entry) for entry in sys.path if entry), Path(sys.prefix)]
            self.stage = stage.set_private(configuration.image, disks, [*busy, Path(sys.base_prefix)])
            self._check_views()
            uids = self._user_ids(disks)
            folders = Folders(disks, self.stage.disks, uids)
            self.disks = Images(disks, self.stage.mounts, uids, configuration.limits.disk_bytes, folders)
        else:
            self.stage = stage.set_plain(configuration.image, disks, configuration.folder)
            self.disks = Folders(disks, self.stage.disks, None)

    async def _prepare_disks(self) -> None:
        try:
            await self.disks.prepare()
        except DiskError:
            if not isinstance(self.disks, Images) or not self._waived("disk limit"):
                raise
            root = self._configuration.folder / "disks"
            self.disks = Folders(root, self.stage.disks, self._user_ids(root))
            await self.disks.prepare()

    def _check_views(self) -> None:
        try:
            with OwnViews().mounted(self.stage.views, self.stage.image):
                pass
        except OSError as error:
            if not self._waived("own view of the image", "own terminals"):
                raise StageError(
                    f"A sandbox cannot be given a view of the image of its own: {error}. The kernel needs overlay file "
                    "systems and devpts (modprobe overlay)."
                ) from error
            self.stage = replace(self.stage, views=None)

    def _user_ids(self, disks: Path) -> UserIds:
        """The range of sandboxes' user ids, without those that folders have."""
        configuration = self._configuration
        trash = disks.with_name(f"{disks.name}-removed")
        places = [place for place in (disks, trash) if place.is_dir()]
        used = {entry.lstat().st_gid for place in places for entry in place.iterdir() if not entry.is_file()}
        first, count = range_of(configuration.host, configuration.name)
        return UserIds(first, count, 0, used)

    async def _try(self) -> None:
        configuration = self._configuration
        limits = trial_limits(configuration.limits, self.cgroups is not None, self._engine.guarantees()["own kernel"])
        fleet = Fleet(
            engines=self.engines,
            stage=self.stage,
            disks=self.disks,
            cgroups=self.cgroups,
            environment=configuration.environment,
            limits=limits,
            settings=configuration.host,
        )
        facts = {
            "locked_in": self.stage.image,
            "disk_limited": self.disks.limited,
            "privileged": self.privileged,
            "own_kernel": self._engine.guarantees().get("own kernel", False),
        }
        self._proofs = await prove(fleet, _PROBE, configuration, limits, facts)
        failed = [proof for proof in self._proofs if proof.verdict == "failed" and not self._waived(proof.name)]
        if failed:
            lines = "".join(f"\n  {proof.name}: {proof.seen}. {proof.mend}" for proof in failed)
            names = ", ".join(f'"{proof.name}"' for proof in failed)
            raise GroundError(
                f"Not every guarantee of a container holds on this machine:{lines}\nSee all of them with: bathysphere "
                f"doctor. To start all the same, waive them by name in the configuration: [host] waive = [{names}]"
            )

    def _weaknesses(self) -> tuple[str, ...]:
        """What does not hold, each in a sentence."""
        said = []
        for proof in self._proofs:
            if proof.verdict != "held":
                text = LOST.get(proof.name, f"The guarantee '{proof.name}' does not hold here: {proof.seen}.")
                said.append(f"WAIVED ({proof.name}): {text}" if proof.verdict == "failed" else text)
        if not self._engine.guarantees().get("own kernel", False):
            said.append("Containers share the kernel of this machine: a flaw in it can be a way out.")
        return tuple(said)

    def status(self, sandboxes: int, ready: int, containers: dict[str, int]) -> HostStatus:
        """What ``HostStatus`` is to say."""
        return HostStatus(
            engine=self._engine.name,
            privileged=self.privileged,
            image=str(self._configuration.image),
            sandboxes=sandboxes,
            ready=ready,
            guarantees={
                **self._engine.guarantees(),
                **{proof.name: proof.verdict == "held" for proof in self._proofs},
            },
            weaknesses=self._weaknesses(),
            proofs=tuple(self._proofs),
            image_present=self._configuration.image.is_dir(),
            containers=containers,
            sandboxes_memory_bytes=None if self.cgroups is None else self.cgroups.memory_bytes(),
            daemon_memory_bytes=_resident_bytes(),
        )


def _resident_bytes() -> int:
    """What this process has in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
