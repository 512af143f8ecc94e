"""crun and Docker beside the sandbox's figures: how long a container takes there, from start to end.

python bench/other_engines.py [--rounds 20]

Both run ``bash -c 'echo hi'`` in a small root file system taken from this machine, with no network. Docker's engine is
started by hand for the run, with a socket and a data folder of its own, and is ended afterwards. Needs root.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

ECHO = ["/bin/bash", "-c", "echo hi"]


def timed(rounds: int, action: Callable[[], None]) -> list[float]:
    """Milliseconds of each round, sorted."""
    taken = []
    for _ in range(rounds):
        started = time.perf_counter()
        action()
        taken.append((time.perf_counter() - started) * 1000)
    return sorted(taken)


def show(name: str, taken: list[float]) -> None:
    """One line of the table, in the form of bench/sandbox.py."""
    p99 = taken[min(len(taken) - 1, int(len(taken) * 0.99))]
    print(f"{name:<58}{len(taken):>6}{statistics.median(taken):>9.1f}{p99:>9.1f}{taken[0]:>9.1f}", flush=True)


def quietly(*argv: str) -> None:
    """A program whose output does not matter. Raises CalledProcessError with what it said."""
    done = subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if done.returncode:
        raise SystemExit(f"{' '.join(argv[:4])} failed: {done.stderr.strip()[-500:]}")


def small_tree(root: Path) -> None:
    """bash, sleep and what they link to."""
    for place in ("proc", "dev", "sys", "tmp"):
        (root / place).mkdir(parents=True)
    for program in ("/bin/bash", "/bin/sleep"):
        linked = subprocess.run(["ldd", program], capture_output=True, text=True, check=True).stdout
        for path in [program, *re.findall(r"(/\S+) \(0x", linked)]:
            target = root / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(Path(path).resolve(), target)


def bundle(folder: Path, name: str, argv: list[str]) -> Path:
    """An OCI bundle for crun that runs ``argv``."""
    place = folder / name
    place.mkdir()
    subprocess.run(["crun", "spec"], cwd=place, check=True)
    config = json.loads((place / "config.json").read_text())
    config["process"].update(terminal=False, args=argv)
    config["root"]["path"] = str(folder / "rootfs")
    (place / "config.json").write_text(json.dumps(config))
    return place


def measure_crun(folder: Path, rounds: int) -> None:
    """crun run, and crun exec into one that sleeps."""
    state = ["crun", "--root", str(folder / "crun")]
    # crun of Debian 12 refuses a machine with both versions of cgroups; it is shown the first only.
    alone = ["unshare", "--mount", "sh", "-c", 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"', "sh"]
    once = bundle(folder, "once", ECHO)
    show("crun run: echo", timed(rounds, lambda: quietly(*alone, *state, "run", "--bundle", str(once), "once")))
    lasting = bundle(folder, "lasting", ["/bin/sleep", "1000"])
    # Quiet ends: it would keep the pipes of whoever waits for its output.
    subprocess.run(
        [*alone, *state, "run", "--detach", "--bundle", str(lasting), "lasting"],
        check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        show("crun exec: echo", timed(rounds, lambda: quietly(*alone, *state, "exec", "lasting", *ECHO)))
    finally:
        quietly(*alone, *state, "delete", "--force", "lasting")


@contextlib.contextmanager
def docker_engine(folder: Path) -> Iterator[list[str]]:
    """Docker's engine of this run; yields the client's command. Nothing of it stays."""
    socket = folder / "docker.sock"
    before = set(Path("/sys/fs/cgroup").glob("*/docker"))
    options = ["--bridge=none", "--iptables=false", "--ip-forward=false", "--ip-masq=false"]
    places = ["--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "docker.pid"]
    log = (folder / "docker.log").open("wb")
    engine = subprocess.Popen(
        ["unshare", "--mount", "dockerd", "-H", f"unix://{socket}", *options, *map(str, places)],
        stdin=subprocess.DEVNULL, stdout=log, stderr=log,
    )  # fmt: skip
    client = ["docker", "-H", f"unix://{socket}"]
    try:
        deadline = time.monotonic() + 60
        while subprocess.run([*client, "info"], capture_output=True, check=False).returncode:
            if engine.poll() is not None or time.monotonic() > deadline:
                said = (folder / "docker.log").read_text(errors="replace")[-800:]
                raise SystemExit(f"Docker's engine did not start:\n{said}")
            time.sleep(0.2)
        yield client
    finally:
        engine.send_signal(signal.SIGTERM)
        engine.wait(60)
        log.close()
        for group in set(Path("/sys/fs/cgroup").glob("*/docker")) - before:
            group.rmdir()


def measure_docker(folder: Path, rounds: int) -> None:
    """docker run, and docker exec into one that sleeps."""
    with docker_engine(folder) as client:
        with subprocess.Popen(["tar", "-C", str(folder / "rootfs"), "-c", "."], stdout=subprocess.PIPE) as tar:
            subprocess.run([*client, "import", "-", "small"], stdin=tar.stdout, check=True, stdout=subprocess.DEVNULL)
        run = [*client, "run", "--rm", "--network=none", "small"]
        show("docker run: echo", timed(rounds, lambda: quietly(*run, *ECHO)))
        quietly(*client, "run", "--detach", "--network=none", "--name", "lasting", "small", "/bin/sleep", "1000")
        try:
            show("docker exec: echo", timed(rounds, lambda: quietly(*client, "exec", "lasting", *ECHO)))
        finally:
            quietly(*client, "rm", "--force", "lasting")


def main() -> None:
    """Print the lines of what is installed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--rounds", type=int, default=20)
    rounds = arguments.parse_args().rounds
    print(f"{'milliseconds':<58}{'n':>6}{'p50':>9}{'p99':>9}{'min':>9}")
    for program, measure in (("crun", measure_crun), ("dockerd", measure_docker)):
        if shutil.which(program) is None or os.geteuid() != 0:
            print(f"{program}: {'not installed' if shutil.which(program) is None else 'needs root'}; not measured")
            continue
        with tempfile.TemporaryDirectory(prefix="bathysphere-bench-") as folder:
            small_tree(Path(folder) / "rootfs")
            measure(Path(folder), rounds)


if __name__ == "__main__":
    main()
