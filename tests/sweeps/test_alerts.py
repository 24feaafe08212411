"""Alerts: to a real command and a real HTTP server on loopback."""

import json
import sys
import threading
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from sweeps.engine.alerts import Rule, alert

REPORT = b'{"verdict": "regression"}'
VARIABLE = "FSAR_TEST_WEBHOOK"
SECRET = "hidden-token"


class Receiver(HTTPServer):
    """Keeps what was posted; answers with ``status`` after ``delay``."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.posted: list[tuple[str, str, bytes]] = []
        self.status = 200
        self.hold = threading.Event()
        self.hold.set()

    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/hooks/{SECRET}"


class Handler(BaseHTTPRequestHandler):
    server: Receiver  # pyright: ignore[reportIncompatibleVariableOverride] - this handler serves no other

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.posted.append((self.path, self.headers["Content-Type"], body))
        self.server.hold.wait(10)
        self.send_response(self.server.status)
        self.send_header("Location", "/elsewhere")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def receiver(monkeypatch: pytest.MonkeyPatch) -> Generator[Receiver]:
    with Receiver() as server:
        monkeypatch.setenv(VARIABLE, server.url())
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield server
        server.hold.set()
        server.shutdown()


def webhook(timeout_s: float = 5.0) -> str:
    (line,) = alert(Rule(on="regression", webhook=VARIABLE), "regression", REPORT, {}, timeout_s=timeout_s)
    assert SECRET not in line
    assert "127.0.0.1" not in line
    return line


def command(*words: str, timeout_s: float = 20.0, paths: dict[str, Path] | None = None) -> str:
    rule = Rule(on="regression", command=words)
    (line,) = alert(rule, "regression", REPORT, paths or {}, timeout_s=timeout_s)
    return line


@pytest.mark.parametrize(
    ("on", "verdict", "told"),
    [
        ("suspicious", "suspicious", True),
        ("suspicious", "regression", True),
        ("regression", "regression", True),
        ("regression", "suspicious", False),
        ("suspicious", "insufficient data", False),
        ("suspicious", "fine", False),
    ],
)
def test_a_rule_counts_what_is_as_bad_as_it_says_or_worse(
    on: str, verdict: str, told: bool, receiver: Receiver
) -> None:
    rule = Rule.model_validate({"on": on, "webhook": VARIABLE})
    assert bool(alert(rule, verdict, REPORT, {})) == told == bool(receiver.posted)


def test_a_webhook_gets_the_report_by_post(receiver: Receiver) -> None:
    assert webhook() == f"alert posted to the webhook of {VARIABLE}"
    assert receiver.posted == [(f"/hooks/{SECRET}", "application/json", REPORT)]


def test_a_webhook_that_refuses_is_told_by_its_answer(receiver: Receiver) -> None:
    receiver.status = 503
    assert webhook() == f"alert failed: the webhook of {VARIABLE} answered 503"


def test_a_report_goes_to_no_other_address(receiver: Receiver) -> None:
    receiver.status = 307
    assert webhook().endswith("answered 307")
    assert len(receiver.posted) == 1


def test_a_webhook_that_does_not_answer_is_given_up(receiver: Receiver) -> None:
    receiver.hold.clear()
    assert "did not answer in time" in webhook(timeout_s=0.3)


def test_a_webhook_that_is_not_there_is_told(receiver: Receiver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(VARIABLE, f"http://127.0.0.1:1/{SECRET}")
    assert "could not be reached" in webhook()
    monkeypatch.setenv(VARIABLE, f"http://[bad/{SECRET}")
    assert "could not be reached" in webhook()


@pytest.mark.parametrize("value", [None, "", f"file:///etc/{SECRET}", SECRET])
def test_only_an_http_url_is_taken_from_the_environment(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    if value is not None:
        monkeypatch.setenv(VARIABLE, value)
    assert (
        webhook() == f"alert failed: the environment variable {VARIABLE} must hold an http or https URL, and does not"
    )


def test_a_command_gets_the_report_and_the_paths(tmp_path: Path) -> None:
    out = tmp_path / "told.json"
    script = (
        "import json, os, sys; own = {k: v for k, v in os.environ.items() if k.startswith('FSAR_')};"
        "json.dump([json.load(sys.stdin), own, sys.argv[2]], open(sys.argv[1], 'w'))"
    )
    words = (sys.executable, "-c", script, str(out), "$HOME; touch x")
    assert command(*words, paths={"html": tmp_path / "report.html"}).startswith("alert given to ")
    report, environment, argument = json.loads(out.read_text())
    assert report == json.loads(REPORT)
    assert environment["FSAR_VERDICT"] == "regression"
    assert environment["FSAR_HTML"] == str(tmp_path / "report.html")
    assert argument == "$HOME; touch x"  # no shell has read it


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    found = command(sys.executable, "-c", "import sys; sys.exit('no mail server')")
    assert found.endswith("ended with 1: no mail server")
    assert "could not be started: No such file" in command("/no/such/program")
    assert "did not end within 0.2 s" in command(sys.executable, "-c", "import time; time.sleep(60)", timeout_s=0.2)


def test_a_rule_without_a_way_says_so() -> None:
    (line,) = alert(Rule(on="suspicious"), "regression", REPORT, {})
    assert "no alert_command or alert_webhook" in line
