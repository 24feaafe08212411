"""``fsar drift``: exit codes, files, MLflow, alerts; nothing is trained."""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
import typer
from mlflow import MlflowClient
from typer.testing import CliRunner, Result

from sweeps.engine import drift_files
from sweeps.engine.drift_cli import drift
from sweeps.engine.drift_report import DriftCell
from sweeps.engine.reruns import Rerun
from sweeps.engine.schedule_cli import app as schedules
from sweeps.engine.site import Site, load_site
from sweeps.engine.tracking_connection import find_or_create_experiment
from tests.sweeps.made_drift import NAME, made_rerun, slot

LEVELS = np.array([[0.45], [0.55], [0.60]])
"""Of the three cells."""
LOW = np.array([[0.0], [-0.1], [0.0]])


@pytest.fixture
def file(tmp_path: Path, uri: str) -> Path:
    """Of a schedule whose alerts go to a program that keeps them."""
    site = tmp_path / "site.toml"
    site.write_text(f'storage = "{tmp_path / "output"}"\ntracking_uri = "{uri}"\n[datasets]\n')
    told = "import sys; open(sys.argv[1], 'a').write(sys.stdin.read().replace(chr(10), '') + chr(10))"
    command = [sys.executable, "-c", told, str(tmp_path / "told")]
    path = tmp_path / "schedules.toml"
    path.write_text(
        f'[schedules.{NAME}]\ntables = ["strm/table2"]\nsite = "{site}"\ncron = "0 3 * * *"\n'
        f'alert_on = "suspicious"\nalert_command = {json.dumps(command)}\n'
    )
    return path


@pytest.fixture
def site(file: Path) -> Site:
    return load_site(str(file.with_name("site.toml")))


@pytest.fixture(autouse=True)
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """A picture takes longer than all the rest, and is tested elsewhere."""

    def draw(cells: Sequence[DriftCell]) -> bytes:
        return b"picture"

    monkeypatch.setattr(drift_files, "draw", draw)


def series(site: Site, shifts: Sequence[np.ndarray | float], run: str = "none") -> list[Rerun]:
    draws = np.random.default_rng(3)
    return [
        made_rerun(site, number, (LEVELS + shift + 0.005 * draws.standard_normal((3, 2))).tolist(), tracking_run=run)
        for number, shift in enumerate(shifts)
    ]


def parent_run(uri: str) -> str:
    client = MlflowClient(uri)
    return client.create_run(find_or_create_experiment(client, uri, f"reruns/{NAME}")).info.run_id


def checked(file: Path, *words: str) -> Result:
    app = typer.Typer()
    app.command()(drift)
    return CliRunner().invoke(app, [NAME, "--file", str(file), *words])


@pytest.mark.parametrize(
    ("shifts", "code"),
    [([0.0] * 3, 3), ([0.0] * 4, 0), ([0.0] * 4 + [LOW], 5), ([0.0] * 4 + [LOW, LOW], 4), ([0.0] * 4 + [-LOW], 0)],
    ids=["insufficient data", "fine", "suspicious", "regression", "better"],
)
def test_a_verdict_is_an_exit_code(
    shifts: list[np.ndarray | float], code: int, file: Path, site: Site, uri: str
) -> None:
    series(site, shifts, parent_run(uri))
    found = checked(file)
    assert found.exit_code == code, found.output


def test_the_report_lies_beside_the_rerun_and_in_mlflow_once(file: Path, site: Site, uri: str) -> None:
    run = parent_run(uri)
    series(site, [0.0] * 4, run)
    outputs = [checked(file).output for _ in range(2)]
    folder = site.storage / "reruns" / NAME / slot(3) / "drift"
    names = {"report.html", "report.md", "report.json", "strm-table2-1ce1.png"}
    assert {path.name for path in folder.iterdir()} == names
    assert outputs[0] == outputs[1]
    assert str(folder) in outputs[0].replace("\n", "")
    client = MlflowClient(uri)
    assert {Path(file.path).name for file in client.list_artifacts(run, "drift")} == names
    tags = client.get_run(run).data.tags
    assert tags["drift"] == "fine"
    assert tags["drift.says"].startswith("Of 3 cells")


def test_a_verdict_stands_though_mlflow_is_not_reached(file: Path, site: Site) -> None:
    series(site, [0.0] * 4)
    found = checked(file)
    assert "not recorded in MLflow" in found.output
    assert found.exit_code == 1
    series(site, [0.0, 0.0, 0.0, LOW, LOW])
    assert checked(file).exit_code == 4


def test_json_and_markdown_are_all_of_the_output(file: Path, site: Site, uri: str) -> None:
    series(site, [0.0] * 4, parent_run(uri))
    assert json.loads(checked(file, "--format", "json").stdout)["verdict"] == "fine"
    assert checked(file, "--format", "md").stdout.startswith("### Drift of nightly")


def test_an_alert_is_given_once_and_only_when_asked_for(file: Path, site: Site, uri: str) -> None:
    series(site, [0.0] * 4 + [LOW], parent_run(uri))
    told = file.with_name("told")
    assert checked(file).exit_code == 5
    assert not told.exists()
    assert f"alert given to {sys.executable}" in checked(file, "--alert").output
    assert "alert: told before" in checked(file, "--alert").output
    (line,) = told.read_text().splitlines()
    assert json.loads(line)["verdict"] == "suspicious"


def test_an_alert_that_fails_changes_no_verdict_and_is_tried_again(file: Path, site: Site, uri: str) -> None:
    series(site, [0.0] * 4 + [LOW], parent_run(uri))
    text = file.read_text()
    file.write_text(text.replace(sys.executable, "/no/such/program"))
    found = checked(file, "--alert")
    assert "alert failed: /no/such/program could not be started" in found.output
    assert found.exit_code == 5
    file.write_text(text)
    assert "alert given to" in checked(file, "--alert").output


def test_an_unknown_schedule_or_slot_is_refused(file: Path, site: Site) -> None:
    series(site, [0.0])
    found = checked(file, "--slot", "20200101T000000Z")
    assert found.exit_code == 2
    assert "--slot must be a finished rerun of 'nightly'" in found.output
    file.write_text(file.read_text().replace(NAME, "weekly"))
    assert checked(file).exit_code == 2


def test_a_slot_of_a_schedule_with_alerts_is_checked_when_it_has_run(file: Path, site: Site, uri: str) -> None:
    series(site, [0.0] * 4 + [LOW], parent_run(uri))
    found = CliRunner().invoke(schedules, ["run", NAME, "--slot", slot(4), "--file", str(file)])
    assert found.exit_code == 0, found.output
    assert f"alert given to {sys.executable}" in found.output
    assert json.loads(file.with_name("told").read_text())["verdict"] == "suspicious"
