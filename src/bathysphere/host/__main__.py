"""``python -m bathysphere.host``: run the daemon. Its configuration comes as JSON over standard input.

One line of JSON on standard output tells how it went: ``{"ready": true}``, ``{"busy": true}`` when another
daemon serves the data directory, or ``{"error": "..."}``.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import resource
import sys

import uvloop
from pydantic import ValidationError

from bathysphere.host import log, privileges
from bathysphere.host.configuration import Configuration
from bathysphere.host.daemon import Daemon
from bathysphere.host.ground import GroundError


def _tell(message: dict[str, object]) -> None:
    """The one line; afterwards nobody listens any more."""
    os.write(1, json.dumps(message).encode() + b"\n")
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)
    os.close(null)


def _lock(configuration: Configuration) -> bool:
    """Become the one daemon of the data directory, until this process ends. False when there is another."""
    configuration.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if os.geteuid() == 0:
        os.chown(configuration.folder, 0, configuration.host.server_uid)
    configuration.folder.chmod(0o710 if os.geteuid() == 0 else 0o700)
    lock = os.open(configuration.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    return True


def main() -> None:
    """Run the daemon in the background; returns at once in the process that was started."""
    try:
        configuration = Configuration.model_validate_json(sys.stdin.buffer.read())
    except ValidationError as error:
        _tell({"error": f"The host's configuration cannot be used: {error}"})
        sys.exit(2)
    os.chdir("/")
    # A running sandbox takes a dozen descriptors, and the usual soft limit is 1024.
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if resource.getrlimit(resource.RLIMIT_CORE)[1] == 0:
        # Sandboxes have a limit of one byte: 0 would not keep the kernel from starting what core_pattern may name.
        try:
            resource.setrlimit(resource.RLIMIT_CORE, (1, 1))
        except (OSError, ValueError):
            _tell({"error": "The limit of core dumps is 0, and has to be 1 byte or more (ulimit -Hc; LimitCORE=)."})
            sys.exit(2)
    if os.fork():
        # The server that started us must not have to take leave of a child that outlives it.
        os._exit(0)
    if not _lock(configuration):
        _tell({"busy": True})
        return
    log.set_up(configuration.logs, configuration.folder)
    try:
        if os.geteuid() == 0:
            privileges.keep_only(privileges.DAEMON)
        uvloop.run(Daemon(configuration).run(lambda: _tell({"ready": True})))
    except GroundError as error:
        logging.error("%s", error)
        _tell({"error": str(error)})
    except Exception as error:
        logging.exception("the host failed")
        _tell({"error": f"The host failed: {error}. See {configuration.folder / 'host.log'}."})


if __name__ == "__main__":
    main()
