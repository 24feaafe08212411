"""What `fsar tracking serve` refuses, and how it starts MLflow; what `fsar tracking check` says. Nothing is started."""

import configparser
import shutil
import socket
import threading
from collections.abc import Generator
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sweeps.engine import tracking_server_cli
from sweeps.engine.databases import BadDatabaseError, database
from sweeps.engine.fsar import app
from sweeps.engine.search_study import open_study
from sweeps.engine.site import BadRequest
from sweeps.engine.tracking_accounts import write_config
from sweeps.engine.tracking_health import awaited, status
from sweeps.engine.tracking_server import ServerAsked, found_good
from tests.sweeps.made_search import made_space

KEY = {"MLFLOW_FLASK_SERVER_SECRET_KEY": "0123456789abcdef"}
ADMIN = {"MLFLOW_AUTH_ADMIN_PASSWORD": "twelve letters"}


@pytest.fixture
def asked(tmp_path: Path) -> ServerAsked:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return ServerAsked(storage=tmp_path, port=free.getsockname()[1])


def faults(asked: ServerAsked, environment: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(BadRequest) as caught:
        found_good(asked, environment or {})
    return caught.value.faults


def after(command: list[str], flag: str) -> str:
    return command[command.index(flag) + 1]


def test_by_default_it_is_for_this_machine_alone_and_on_a_file(asked: ServerAsked, tmp_path: Path) -> None:
    server = found_good(asked, {})
    command, environment = server.command(), server.environment({"PATH": "/bin"})
    assert after(command, "--host") == "127.0.0.1"
    assert after(command, "--artifacts-destination") == str(tmp_path / "artifacts")
    assert "--app-name" not in command
    assert "--allowed-hosts" not in command
    assert environment["MLFLOW_BACKEND_STORE_URI"] == f"sqlite:///{tmp_path / 'mlflow.db'}"
    assert environment["MLFLOW_SERVER_ENABLE_JOB_EXECUTION"] == "false"


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_another_address_needs_accounts(asked: ServerAsked, host: str) -> None:
    (fault,) = faults(replace(asked, host=host))
    assert f"--host {host} lets others in" in fault
    assert "--accounts" in fault


def test_all_faults_come_at_once(asked: ServerAsked) -> None:
    bad = replace(
        asked, host="0.0.0.0", port=0, workers=99, names=("http://x",), artifacts="ftp://x", store="mysql://h/d"
    )
    starts = ["--port must be", "--workers must be", "--name must be", "--artifacts must", "'mysql://h/d' is", "--host"]
    found = faults(bad)
    assert len(found) == len(starts)
    assert all(fault.startswith(start) for fault, start in zip(found, starts, strict=True))


def test_accounts_need_their_secrets_in_the_environment(asked: ServerAsked) -> None:
    key, password = faults(replace(asked, accounts=True))
    assert "MLFLOW_FLASK_SERVER_SECRET_KEY" in key
    assert "MLFLOW_AUTH_ADMIN_PASSWORD" in password
    (short,) = faults(replace(asked, accounts=True), KEY | {"MLFLOW_AUTH_ADMIN_PASSWORD": "short"})
    assert "12 characters" in short
    assert "short" not in short
    command = found_good(replace(asked, accounts=True, host="0.0.0.0"), KEY | ADMIN).command()
    assert after(command, "--app-name") == "basic-auth"


def test_a_file_of_accounts_of_ones_own_is_looked_at(asked: ServerAsked, tmp_path: Path) -> None:
    path = tmp_path / "accounts.ini"
    own = KEY | {"MLFLOW_AUTH_CONFIG_PATH": str(path)}
    assert "No such file" in faults(replace(asked, accounts=True), own)[0]
    path.write_text("[mlflow]\ndefault_permission = READ\nadmin_password = a password of mine\n")
    path.chmod(0o644)
    lacks, open_to_all = faults(replace(asked, accounts=True), own)
    assert lacks.endswith("[mlflow] lacks database_uri")
    assert open_to_all.endswith(f"chmod 600 {path}")
    assert "a password of mine" not in open_to_all


def test_names_by_which_others_come_are_allowed_and_no_others(asked: ServerAsked) -> None:
    own = replace(asked, accounts=True, host="0.0.0.0", names=("gpu1.lab.edu",))
    command = found_good(own, KEY | ADMIN).command()
    hosts, origins = after(command, "--allowed-hosts").split(","), after(command, "--cors-allowed-origins").split(",")
    assert {"gpu1.lab.edu", "gpu1.lab.edu:*", "127.0.0.1:*", "localhost"} <= set(hosts)
    assert f"http://gpu1.lab.edu:{asked.port}" in origins
    assert "*" not in hosts + origins


def test_a_password_reaches_the_server_through_the_environment_alone(
    asked: ServerAsked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sweeps.engine.databases.Database.tables", lambda self: [])  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    own = {"MLFLOW_BACKEND_STORE_URI": "postgresql://me:se%40cret@h:1/d", "MLFLOW_TRACKING_PASSWORD": "of a client"}
    server = found_good(asked, own)
    environment = server.environment(own)
    assert environment["MLFLOW_BACKEND_STORE_URI"] == "postgresql://me@h:1/d"
    assert environment["PGPASSWORD"] == "se@cret"
    assert "MLFLOW_TRACKING_PASSWORD" not in environment
    assert not any("cret" in word for word in (*server.command(), repr(server)))


def test_a_password_in_a_flag_is_refused(asked: ServerAsked) -> None:
    (fault,) = faults(replace(asked, store="postgresql://me:secret@h/d"))
    assert "must hold no password" in fault
    assert "secret" not in fault


def test_one_database_for_runs_and_studies_is_refused(asked: ServerAsked, tmp_path: Path, empty_mlflow: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    (fault,) = faults(replace(asked, studies=uri))
    assert fault.endswith("make two databases")
    own, other = database("postgresql://me@h/d", {}), database("postgresql+psycopg://me:pw@h/d", {})
    assert own.is_same(other)
    assert not own.is_same(database(uri, {}))
    shutil.copy(empty_mlflow, tmp_path / "mlflow.db")
    checked = invoked(tmp_path, f'study_uri = "{uri}"', "check")
    assert "is the database of MLflow; Optuna needs one of its own" in checked.output
    with pytest.raises(BadRequest, match="a database of its own, not the one of MLflow"):
        open_study(uri, "made", made_space(), "motionshapes")


def test_a_port_that_is_taken_is_told_before_the_start(asked: ServerAsked) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", asked.port))
        other.listen()
        (fault,) = faults(asked)
    assert fault.startswith(f"127.0.0.1 port {asked.port} must be free: ")


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("sqlite://", "names no file"),
        ("mysql://h/d", "neither SQLite nor PostgreSQL"),
        ("no address", "is no address of a database"),
        ("postgresql://${NOT_SET}@h/d", "needs the environment to set NOT_SET"),
    ],
)
def test_an_address_that_is_no_database_is_told(uri: str, words: str) -> None:
    with pytest.raises(BadDatabaseError, match=words):
        database(uri, {})


def test_the_file_of_accounts_has_no_password_and_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "new" / "accounts.ini"
    write_config(
        path, database("postgresql://me:secret@h/d%25"), "READ", ADMIN | {"MLFLOW_AUTH_ADMIN_USERNAME": "boss"}
    )
    parser = configparser.ConfigParser()
    parser.read(path)
    assert dict(parser["mlflow"]) == {
        "default_permission": "READ",
        "database_uri": "postgresql://me@h/d%25",
        "admin_username": "boss",
        "auth_cache_ttl_seconds": "60",
    }
    assert path.stat().st_mode & 0o777 == 0o600


class _Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(401 if "api" in self.path else 200)
        self.end_headers()
        self.wfile.write(b"3.17.2")

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def answering() -> Generator[str]:
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def test_a_server_is_waited_for_no_longer_than_it_lives(answering: str) -> None:
    assert awaited(answering, 5.0) is not None
    assert awaited("http://127.0.0.1:1", 60.0, lambda: False) is None
    assert status(f"{answering}/api")[0] == 401
    assert status("http://127.0.0.1:1")[0] == 0


def invoked(tmp_path: Path, head: str, *words: str) -> Result:
    path = tmp_path / "site.toml"
    path.write_text(f'storage = "{tmp_path / "output"}"\n{head}\n[datasets]\n')
    return CliRunner().invoke(app, ["tracking", *words, "--site", str(path)])


def test_check_tells_what_is_wrong(tmp_path: Path, answering: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    result = invoked(tmp_path, f'tracking_uri = "{answering}"\nstudy_uri = "mysql://h/d"', "check")
    lines = [line.split(None, 2) for line in result.output.splitlines()]
    assert [line[:2] for line in lines] == [
        ["good", "server"],
        ["good", "accounts"],
        ["bad", "MLflow"],
        ["bad", "studies"],
    ]
    assert lines[0][2].endswith("answers, MLflow 3.17.2")
    assert result.exit_code == 1


def test_check_of_a_place_without_a_server_is_good_before_the_first_sweep(tmp_path: Path) -> None:
    result = invoked(tmp_path, "", "check")
    assert result.exit_code == 0, result.output
    assert result.output.count("is made by the first sweep") + result.output.count("made by the first search") == 2


def test_serve_says_what_it_would_start_on_the_port_of_the_site(asked: ServerAsked, tmp_path: Path) -> None:
    result = invoked(tmp_path, f'tracking_uri = "http://127.0.0.1:{asked.port}"', "serve", "--dry-run")
    assert result.exit_code == 0
    assert f'tracking_uri = "http://127.0.0.1:{asked.port}"' in result.output
    assert not (tmp_path / "output").exists()


def test_serve_replaces_itself_by_mlflow_once_the_database_is_ready(
    asked: ServerAsked, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[tuple[str, object]] = []

    def executed(program: str, command: list[str], environment: dict[str, str]) -> None:
        done.append(("mlflow", Path(environment["MLFLOW_AUTH_CONFIG_PATH"]).is_file()))
        raise SystemExit(0)

    monkeypatch.setattr("sweeps.engine.tracking_upgrade.upgraded", lambda store: done.append(("schema", store.file)))  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType, reportUnknownMemberType]
    monkeypatch.setattr(tracking_server_cli.subprocess, "run", lambda *_, **__: None)  # pyright: ignore[reportUnknownLambdaType, reportUnknownArgumentType]
    monkeypatch.setattr(tracking_server_cli.os, "execve", executed)
    for name, value in (KEY | ADMIN).items():
        monkeypatch.setenv(name, value)
    result = invoked(tmp_path, "", "serve", "--accounts", "--port", str(asked.port))
    assert result.exit_code == 0, result.output
    assert done == [("schema", tmp_path / "output" / "mlflow.db"), ("mlflow", True)]
