"""Tells people of a verdict, by a command or a webhook. An alert that fails is told, and changes nothing else."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from http.client import HTTPException, HTTPMessage
from pathlib import Path
from typing import IO, Literal
from urllib.error import HTTPError
from urllib.request import HTTPRedirectHandler, Request, build_opener

from fsar_core.frozen import Frozen

_TIMEOUT_S = 20.0
_LAST = 300
"""Characters of what a command wrote."""

AlertOn = Literal["suspicious", "regression"]


class Rule(Frozen):
    """When somebody is told, and how."""

    on: AlertOn
    """``suspicious`` counts regressions too."""
    command: tuple[str, ...] = ()
    """A program and its arguments; no shell reads them."""
    webhook: str | None = None
    """Name of the environment variable that holds the URL."""

    def counts(self, verdict: str) -> bool:
        """Whether somebody is told of it."""
        return verdict in ("regression", self.on)


class _NoRedirect(HTTPRedirectHandler):
    """The report goes to the named address only, and the address is in no message."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: HTTPMessage, newurl: str
    ) -> None:
        return None


def alert(
    rule: Rule, verdict: str, report: bytes, paths: Mapping[str, Path], *, timeout_s: float = _TIMEOUT_S
) -> list[str]:
    """What became of it, a line for each way; nothing where the verdict does not count.

    The command gets ``report``, JSON, on its standard input, and the environment with ``FSAR_VERDICT`` and one variable
    per file of ``paths``, such as ``FSAR_HTML``. The webhook gets it by POST. The URL is never told.
    """
    if not rule.counts(verdict):
        return []
    told: list[str] = []
    if rule.command:
        told.append(_command(rule.command, verdict, report, paths, timeout_s))
    if rule.webhook is not None:
        told.append(_webhook(rule.webhook, report, timeout_s))
    return told or [f"nobody is told of the verdict {verdict!r}: the schedule has no alert_command or alert_webhook"]


def _command(command: Sequence[str], verdict: str, report: bytes, paths: Mapping[str, Path], timeout_s: float) -> str:
    own = {f"FSAR_{name.upper()}": str(path) for name, path in paths.items()}
    environment = {**os.environ, **own, "FSAR_VERDICT": verdict}
    try:
        ended = subprocess.run(
            command, input=report, env=environment, capture_output=True, timeout=timeout_s, check=False
        )
    except subprocess.TimeoutExpired:
        return f"alert failed: {command[0]} did not end within {timeout_s:g} s and was stopped"
    except OSError as error:
        return f"alert failed: {command[0]} could not be started: {error.strerror or error}"
    if ended.returncode:
        last = (ended.stderr or ended.stdout).decode(errors="replace").strip()[-_LAST:]
        return f"alert failed: {command[0]} ended with {ended.returncode}" + (f": {last}" if last else "")
    return f"alert given to {command[0]}"


def _webhook(variable: str, report: bytes, timeout_s: float) -> str:
    url = os.environ.get(variable, "")
    if not url.startswith(("http://", "https://")):
        return f"alert failed: the environment variable {variable} must hold an http or https URL, and does not"
    try:
        request = Request(url, report, {"Content-Type": "application/json", "User-Agent": "fsar"}, method="POST")
        with build_opener(_NoRedirect).open(request, timeout=timeout_s) as answer:
            answer.read(0)
    except HTTPError as error:
        error.close()
        return f"alert failed: the webhook of {variable} answered {error.code}"
    except (OSError, HTTPException, ValueError) as error:  # their texts may hold the URL
        kind = "did not answer in time" if isinstance(error, TimeoutError) else "could not be reached"
        return f"alert failed: the webhook of {variable} {kind} ({type(error).__name__})"
    return f"alert posted to the webhook of {variable}"
