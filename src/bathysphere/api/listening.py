"""The socket of a server: taken before anything else is begun, so that a port in use is told at once."""

from __future__ import annotations

import socket


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 takes a free one. Who connects waits until the server is ready. Raises OSError."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    bound = socket.socket(family, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        # Only a socket that listens keeps the port from others that ask for its reuse, as we do.
        bound.listen()
        bound.set_inheritable(False)
    except BaseException:
        bound.close()
        raise
    return bound
