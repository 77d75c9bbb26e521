"""Ports on loopback for servers of the tests."""

from __future__ import annotations

import random
import socket

# Below the range from which Linux takes the local ports of outgoing connections: a port of ours
# that is free between kill9() and start() is then not taken by somebody's client in between.
PORTS = range(20_000, 32_000)


def free_port() -> int:
    """A port on loopback that is free, and that no outgoing connection will be given."""
    for port in random.Random().sample(PORTS, 100):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("no free port on loopback")
