"""Ports for servers that must know theirs before they start, or have the same one twice."""

from functools import lru_cache

from samsyn_demo.cluster.ports import FreePorts


@lru_cache(maxsize=1)
def _ports() -> FreePorts:
    return FreePorts()


def free_port() -> int:
    """A TCP port of loopback on which nobody listens and which the system gives to nobody."""
    [port] = _ports().take(1)
    return port


def free_ports(count: int) -> list[int]:
    """Several of them."""
    return _ports().take(count)
