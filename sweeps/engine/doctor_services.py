"""What this machine talks to and who may talk to it: names, open ports, MLflow, Optuna."""

import socket
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

from sweeps.engine.doctor import Finding, fail, ok, warn
from sweeps.engine.site import Site

_LISTENS = "0A"
"""State of a socket in Linux's tables."""
_WORD = 4
"""Bytes of a number in their addresses, the lowest first."""
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
        told = f"{port}, by default {server}, is open to other machines on {_named(listening[port])}"
        yield warn("ports", told, todo)
    if not wide:
        near = [str(port) for port in _PORTS if port in listening]
        yield ok("ports", "in use, from this machine alone: " + (", ".join(near) or "none of those of Ray and MLflow"))


def open_ports(
    tables: tuple[Path, ...] = (Path("/proc/net/tcp"), Path("/proc/net/tcp6")),
) -> dict[int, list[IPv4Address | IPv6Address]]:
    """Ports that something listens on, and those of its addresses that are not this machine's own alone. Nothing where
    there is no Linux."""
    found: dict[int, list[IPv4Address | IPv6Address]] = {}
    for table in tables:
        for line in table.read_text().splitlines()[1:] if table.is_file() else []:
            _, local, _, state, *_ = line.split()
            written, port = local.rsplit(":", 1)
            if state == _LISTENS:
                address, wide = _address(written), found.setdefault(int(port, 16), [])
                if not address.is_loopback and address not in wide:
                    wide.append(address)
    return found


def _address(written: str) -> IPv4Address | IPv6Address:
    """Of one of Linux's tables; one of version 4 that version 6 carries is taken out."""
    content = bytes.fromhex(written)
    words = (content[i : i + _WORD] for i in range(0, len(content), _WORD))
    found = ip_address(b"".join(word[::-1] for word in words))
    return found.ipv4_mapped or found if isinstance(found, IPv6Address) else found


def _named(addresses: list[IPv4Address | IPv6Address]) -> str:
    return ", ".join(f"{own} (every interface)" if own.is_unspecified else str(own) for own in addresses)


def records(site: Site) -> Iterator[Finding]:
    """MLflow and Optuna, as `fsar tracking check` has it."""
    from sweeps.engine.tracking_check import checked  # takes MLflow

    for found in checked(site):
        if found.good:
            yield ok(found.what, found.told)
        else:
            yield fail(found.what, found.told, "sweeps go on without MLflow, searches need Optuna's database")
