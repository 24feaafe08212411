"""Whether a tracking server answers. Run as a module it waits beside a server that starts, and says when it does."""

import os
import sys
import time
import urllib.request
from collections.abc import Callable
from urllib.error import HTTPError, URLError

from sweeps.engine.credentials import hide_credentials

START_S = 300.0
_BETWEEN_S = 0.5


def status(url: str, timeout_s: float = 5.0) -> tuple[int, str]:
    """HTTP status and text of a GET without any account; (0, the reason) where nothing answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout_s) as answer:
            return answer.status, answer.read(10_000).decode(errors="replace")
    except HTTPError as refusal:
        return refusal.code, str(refusal.reason)
    except (URLError, OSError, ValueError) as error:
        return 0, str(error.reason if isinstance(error, URLError) else error)


def awaited(url: str, wait_s: float, alive: Callable[[], bool] = lambda: True) -> float | None:
    """Seconds until the server at ``url`` answered; None if it did not in ``wait_s``, or ``alive`` ended."""
    began = time.monotonic()
    while True:
        code, _ = status(f"{url}/health")
        waited = time.monotonic() - began
        if code == 200:
            return waited
        if waited >= wait_s or not alive():
            return None
        time.sleep(_BETWEEN_S)


def _lives(process: int) -> bool:
    try:
        os.kill(process, 0)
    except OSError:
        return False
    return True


def _main(url: str, process: str) -> None:
    waited = awaited(url, START_S, lambda: _lives(int(process)))
    if waited is not None:
        words = f"MLflow answers on {hide_credentials(url)} after {waited:.0f} s"
    else:
        words = f"MLflow does not answer on {hide_credentials(url)}: what it said stands above"
    sys.stdout.write(f"{words}\n")


if __name__ == "__main__":
    _main(*sys.argv[1:])
