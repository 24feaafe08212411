"""Exports of schedules are what Kubernetes, cron and systemd take, and mean the same moments."""

import json
import re
import shlex
import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from sweeps.engine.fsar import app
from sweeps.engine.schedules import Schedule, load_schedules
from sweeps.engine.schedules_cron import Cron, read_cron
from sweeps.engine.schedules_export import Place, calendar, cron_text, crontab, systemd

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
CRONS = ("0 3 * * *", "*/15 9-17 * * mon-fri", "30 2 1,15 */3 *", "0 0 29 feb *", "5 4 * * sat-sun")
PLACE = Place(folder=Path("/srv/fsar $x"), file=Path("/srv/fsar $x/100%.toml"), program=["/opt/my env/bin/fsar"])
ROOT = Path(__file__).parents[2]


def made(cron: str = "0 3 * * *", zone: str = "Europe/Berlin", **more: object) -> Schedule:
    content = {"tables": ["sgtm/table5"], "cron": cron, "time_zone": zone, **more}
    return Schedule.model_validate_json(json.dumps(content))


def by_name(text: str) -> str:
    """Numbers of weekdays, from Sunday, as names."""
    *fields, weekdays = text.split()
    names = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
    return " ".join([*fields, re.sub(r"\d", lambda found: names[int(found[0])], weekdays)])


@pytest.mark.parametrize("cron", CRONS)
def test_cron_text_means_the_same_when_it_is_read_again(cron: str) -> None:
    times = read_cron(cron, "Europe/Berlin")
    again = read_cron(by_name(cron_text(times)), "Europe/Berlin")
    assert list(islice(again.after(NOW), 40)) == list(islice(times.after(NOW), 40))


def test_weekdays_of_cron_begin_with_sunday() -> None:
    assert cron_text(read_cron("0 3 * * sun,mon", "UTC")) == "0 3 * * 0,1"


class TestCrontab:
    def test_each_line_has_its_zone_and_a_command_that_a_shell_reads_back(self) -> None:
        lines = crontab({"a": made(), "b": made("5 4 * * sat", "UTC")}, PLACE).splitlines()
        lines = [line for line in lines if not line.startswith("#")]
        assert lines[0] == "CRON_TZ=Europe/Berlin"
        assert lines[2] == "CRON_TZ=UTC"
        assert lines[3].startswith("5 4 * * 6 cd ")
        command = lines[1].removeprefix("0 3 * * * ").replace("\\%", "%")
        assert "%" not in lines[1].replace("\\%", "")
        assert shlex.split(command) == [
            *("cd", "/srv/fsar $x", "&&", "/opt/my env/bin/fsar", "schedule", "run", "a"),
            *("--file", "/srv/fsar $x/100%.toml"),
        ]


class TestSystemd:
    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
    @pytest.mark.parametrize("cron", CRONS)
    def test_systemd_reads_the_same_moments(self, cron: str) -> None:
        times = read_cron(cron, "Europe/Berlin")
        expected = [moment.astimezone(UTC) for moment in islice(times.after(NOW), 5)]
        assert read_by_systemd(calendar(times), 5) == expected

    @pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
    def test_the_units_are_good(self, tmp_path: Path) -> None:
        folder = tmp_path / "a folder with $x"
        folder.mkdir()
        program = shutil.which("true")
        assert program is not None
        place = Place(folder=folder, file=folder / "100%.toml", program=[program])
        paths: list[str] = []
        for name, text in systemd({"nightly": made()}, place).items():
            (tmp_path / name).write_text(text)
            paths.append(str(tmp_path / name))
        done = subprocess.run(["systemd-analyze", "verify", "--man=no", *paths], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "nightly" not in done.stderr, done.stderr

    def test_only_what_is_made_up_for_is_persistent(self) -> None:
        assert "Persistent=true" in systemd({"a": made()}, PLACE)["fsar-a.timer"]
        assert "Persistent=false" in systemd({"a": made(missed="skip")}, PLACE)["fsar-a.timer"]

    def test_signs_that_units_read_are_doubled(self) -> None:
        service = systemd({"a": made()}, PLACE)["fsar-a.service"]
        assert 'ExecStart="/opt/my env/bin/fsar" schedule run a --file "/srv/fsar $$x/100%%.toml"' in service
        assert "WorkingDirectory=/srv/fsar $x" in service


def read_by_systemd(text: str, count: int) -> list[datetime]:
    """The moments after ``NOW``."""
    base = f"{NOW:%Y-%m-%d %H:%M:%S} UTC"
    command = ["systemd-analyze", "calendar", f"--base-time={base}", f"--iterations={count}", text]
    done = subprocess.run(command, capture_output=True, text=True, env={"TZ": "UTC", "PATH": "/usr/bin:/bin"})
    assert done.returncode == 0, done.stderr
    found = re.findall(
        r"(?:Next elapse|\(in UTC\)|[Ii]ter\w*\.? #\d+): \w+ (\d{4}-\d\d-\d\d \d\d:\d\d:\d\d) UTC", done.stdout
    )
    moments = [datetime.fromisoformat(f"{own}+00:00") for own in dict.fromkeys(found)]
    assert len(moments) == count, done.stdout
    return moments


class TestCommand:
    @pytest.mark.parametrize("flags", [[], ["--cron", "--systemd"]])
    def test_one_format_is_named(self, flags: list[str]) -> None:
        result = CliRunner().invoke(app, ["schedule", "export", "--file", str(ROOT / "schedules.toml"), *flags])
        assert result.exit_code == 2
        assert "one of --kubernetes, --cron and --systemd" in result.output

    def test_units_go_to_a_folder_or_are_printed(self, tmp_path: Path) -> None:
        words = ["schedule", "export", "nightly", "--systemd", "--file", str(ROOT / "schedules.toml")]
        printed = CliRunner().invoke(app, words)
        assert printed.exit_code == 0, printed.output
        assert printed.stdout.count("# /etc/systemd/system/fsar-nightly.") == 2
        result = CliRunner().invoke(app, [*words, "--out", str(tmp_path)])
        assert result.exit_code == 0, result.output
        assert {path.name for path in tmp_path.iterdir()} == {"fsar-nightly.service", "fsar-nightly.timer"}

    def test_all_formats_hold_every_schedule_of_the_example(self) -> None:
        names = load_schedules(ROOT / "schedules.toml")
        for flag in ("--cron", "--kubernetes", "--systemd"):
            result = CliRunner().invoke(app, ["schedule", "export", flag, "--file", str(ROOT / "schedules.toml")])
            assert [name for name in names if f"{name}" not in result.stdout] == []


def test_the_next_moment_of_all_is_after_now() -> None:
    cron: Cron = made().times()
    assert next(cron.after(NOW)) - NOW < timedelta(days=1)
