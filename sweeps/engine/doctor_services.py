"""What this machine talks to and who may talk to it: names, open ports, MLflow, Optuna."""

import socket
from collections.abc import Iterator
from pathlib import Path

from sweeps.engine.doctor import Finding, fail, ok, warn
from sweeps.engine.site import Site

_LISTENS = "0A"
"""State of a socket in Linux's tables."""
_ANYWHERE = frozenset({"0" * 8, "0" * 32})
_PORTS = {
    5000: ("MLflow", "fsar tracking serve keeps it on 127.0.0.1, or asks for accounts"),
    5432: ("PostgreSQL", "listen_addresses = 'localhost', or a firewall"),
    6379: ("Ray's head", "RAY_AUTH_MODE=token on all nodes, and a firewall around them"),
    8265: ("Ray's dashboard", "ray start --dashboard-host=127.0.0.1; who reaches it runs programs"),
    10001: ("Ray's client port", "RAY_AUTH_MODE=token on all nodes, and a firewall around them"),
}


def network(site: Site) -> Iterator[Finding]:
    """The machine's own name, and servers that hear more than this machine."""
    name = socket.gethostname()
    try:
        address = socket.gethostbyname(name)
    except OSError as error:
        yield fail("host name", f"{name} has no address: {error.strerror or error}", f"add {name} to /etc/hosts")
    else:
        yield ok("host name", f"{name} is {address}")
    listening = open_ports()
    wide = {port: own for port, own in _PORTS.items() if listening.get(port)}
    for port, (server, todo) in wide.items():
        yield warn("ports", f"{port}, by default {server}, listens on every interface of this machine", todo)
    if not wide:
        near = [str(port) for port in _PORTS if port in listening]
        yield ok("ports", "in use, from this machine alone: " + (", ".join(near) or "none of those of Ray and MLflow"))


def open_ports(tables: tuple[Path, ...] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))) -> dict[int, bool]:
    """Ports that something listens on, and whether on every interface. Nothing where there is no Linux."""
    found: dict[int, bool] = {}
    for table in tables:
        for line in table.read_text().splitlines()[1:] if table.is_file() else []:
            _, local, _, state, *_ = line.split()
            address, port = local.rsplit(":", 1)
            if state == _LISTENS:
                found[int(port, 16)] = found.get(int(port, 16), False) or address in _ANYWHERE
    return found


def records(site: Site) -> Iterator[Finding]:
    """MLflow and Optuna, as `fsar tracking check` has it."""
    from sweeps.engine.tracking_check import checked  # takes MLflow

    for found in checked(site):
        if found.good:
            yield ok(found.what, found.told)
        else:
            yield fail(found.what, found.told, "sweeps go on without MLflow, searches need Optuna's database")
