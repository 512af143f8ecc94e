"""The keeper: what stays root when the server gives its privileges up, only to start the daemon when it is needed.

It listens to one byte on a socket that the server inherited, and does one thing. It parses nothing, and takes no
word of the server about how to do it.
"""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path

from bathysphere.host import privileges, syscalls
from bathysphere.host.configuration import Configuration
from bathysphere.host.contract import HostUnavailable
from bathysphere.host.spawning import START_SECONDS, spawn

_PLEASE = b"s"
_DONE = b"\0"
_LONGEST = 64 * 1024


class Keeper:
    """The server's end: starts daemons by asking for them."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        channel.settimeout(START_SECONDS + 30)

    def spawn(self, configuration: Configuration) -> None:
        """As ``spawning.spawn``; ``configuration`` is the keeper's own, whatever is given. Raises HostUnavailable."""
        try:
            self._channel.send(_PLEASE)
            answer = self._channel.recv(_LONGEST)
        except OSError as error:
            raise HostUnavailable(f"The host daemon cannot be started: its keeper is gone ({error}).") from error
        if answer != _DONE:
            raise HostUnavailable(answer.decode(errors="replace") or "The host daemon's keeper is gone.")


def divide(
    configuration: Configuration, paths: list[Path], listener: socket.socket, serve: Callable[[Keeper], None]
) -> int:
    """Run ``serve`` in a process that gave up every privilege, and keep the daemon for it; its exit status.

    ``paths`` are what the server must be able to reach: its code, its part of the data directory. ``listener`` is the
    server's alone from then on: what the keeper held open too would take clients that nobody answers. To be called by
    root, before there are threads. Raises OSError when the privileges cannot be given up.
    """
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    _lay_open(configuration)
    privileges.keep_only(privileges.DAEMON)
    keeper = os.getpid()
    server = os.fork()
    if server == 0:
        ours.close()
        uid = configuration.host.server_uid
        privileges.show(paths, uid)
        privileges.become(uid)
        # Without root's terminal, into which it could type; Ctrl-C reaches the keeper, which passes it on once.
        os.setsid()
        null = os.open(os.devnull, os.O_RDONLY)
        os.dup2(null, 0)
        os.close(null)
        syscalls.die_with_parent(keeper, signal.SIGTERM)
        os.chdir("/")
        serve(Keeper(theirs))
        return 0
    theirs.close()
    listener.close()
    return _keep(configuration, ours, server)


def _lay_open(configuration: Configuration) -> None:
    """Make the daemon's folder, where the server may find the socket and nothing else."""
    folder = configuration.folder
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    os.chown(folder, 0, configuration.host.server_uid)
    folder.chmod(0o710)


def _keep(configuration: Configuration, channel: socket.socket, server: int) -> int:
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, _frame: os.kill(server, number))
    while channel.recv(1) == _PLEASE:
        try:
            spawn(configuration)
            answer = _DONE
        except HostUnavailable as error:
            answer = str(error).encode()[:_LONGEST]
        except Exception as error:
            answer = f"The host daemon could not be started: {error}".encode()[:_LONGEST]
        try:
            channel.send(answer)
        except OSError:
            break
    _pid, status = os.waitpid(server, 0)
    code = os.waitstatus_to_exitcode(status)
    return 128 - code if code < 0 else code
