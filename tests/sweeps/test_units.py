"""The systemd units: they parse, what they start exists with these flags, and they hold no secret."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.engine.fsar import app

UNITS = Path(__file__).parents[2] / "cluster" / "units"
SERVICES = sorted(UNITS.glob("*.service"))


def test_there_are_a_server_a_backup_and_its_timer() -> None:
    assert [path.name for path in sorted(UNITS.glob("fsar-*"))] == [
        "fsar-backup.service",
        "fsar-backup.timer",
        "fsar-mlflow.service",
    ]


@pytest.mark.parametrize("path", SERVICES, ids=lambda path: path.name)
def test_the_command_has_the_flags_that_a_unit_names(path: Path) -> None:
    (line,) = re.findall(r"^ExecStart=(.*)$", path.read_text(), re.MULTILINE)
    _, *words = shlex.split(line)
    names = [word for word in words[:2] if re.fullmatch(r"[a-z]+", word)]
    shown = CliRunner().invoke(app, [*names, "--help"], env={"COLUMNS": "200"})
    assert shown.exit_code == 0, shown.output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", shown.output)
    assert [word for word in words if word.startswith("--") and word not in plain] == []


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_accepts_them(tmp_path: Path) -> None:
    for path in UNITS.glob("fsar-*"):
        text = path.read_text().replace("/srv/fsar/.venv/bin/fsar", sys.executable).replace("User=fsar", "User=root")
        (tmp_path / path.name).write_text(text)
    units = [str(path) for path in tmp_path.iterdir()]
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True, check=False
    )
    said = [line for line in (done.stdout + done.stderr).splitlines() if "fsar-" in line]
    assert said == []
    assert done.returncode == 0, done.stderr


def test_the_environment_of_the_units_is_empty() -> None:
    lines = (UNITS / "mlflow.env.example").read_text().splitlines()
    assert [line for line in lines if not line.startswith("# ") and not re.fullmatch(r"#?[A-Z0-9_]+=", line)] == []
