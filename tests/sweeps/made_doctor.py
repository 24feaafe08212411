"""What tests of `fsar doctor` share."""

from collections.abc import Callable

from sweeps.engine.doctor import Check, Finding
from sweeps.engine.site import Site


def giving(value: object) -> Callable[..., object]:
    """A function that gives this, whatever it is asked."""

    def given(*_: object) -> object:
        return value

    return given


def states(check: Check, site: Site) -> list[tuple[str, str]]:
    return [(finding.what, finding.level) for finding in check(site)]


def only(check: Check, site: Site) -> Finding:
    (finding,) = check(site)
    return finding
