"""The guarantees as the doctor sees them: a daemon proves them, and the configuration says what may fail."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bathysphere.containers.host import HostError
from bathysphere.containers.local import LocalHost
from bathysphere.host.diagnosis import Finding
from bathysphere.host.guarantees import LOST, NAMES, Proof
from bathysphere.image.definition import Definition
from bathysphere.image.image import Image
from bathysphere.settings import Settings


async def tried(settings: Settings, image: Image) -> list[Finding]:
    """The guarantees as a daemon with these settings proves them, in a data directory that is thrown away."""
    # All of them waived, so that a daemon starts and tells; what fails is judged by the real settings.
    host = settings.host.model_copy(update={"waive": NAMES, "linger_seconds": 1.0})
    environment = Definition.load().environment
    with tempfile.TemporaryDirectory(prefix="bathysphere-doctor-") as folder:
        trial = LocalHost(Path(folder), settings.model_copy(update={"host": host}), image.root, environment)
        try:
            await trial.start()
            status = await trial.status()
        except HostError as error:
            return [Finding("a sandbox", "bad", str(error), "Mend what is said; nothing runs before.")]
        finally:
            await trial.close(stop_host=True)
    found = [_finding(proof, proof.name in settings.host.waive) for proof in status.proofs]
    if not status.guarantees.get("own kernel", False):
        found.append(
            Finding(
                "own kernel",
                "weak",
                "containers share the kernel of this machine: a flaw in it can be a way out",
                "Choose per tenant: docs/security.md.",
            )
        )
    return found


def _finding(proof: Proof, waived: bool) -> Finding:
    if proof.verdict == "held":
        return Finding(proof.name, "good", proof.seen)
    seen = f"{proof.seen}. {LOST[proof.name]}" if proof.name in LOST else proof.seen
    if proof.verdict == "weaker":
        return Finding(proof.name, "weak", seen, proof.mend)
    return Finding(proof.name, "waived" if waived else "bad", seen, proof.mend)
