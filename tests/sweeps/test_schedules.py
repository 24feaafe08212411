"""``schedules.toml`` and the commands that only read it."""

from pathlib import Path

import pytest
from pydantic import ValidationError
from typer.testing import CliRunner, Result

from sweeps.engine.fsar import app
from sweeps.engine.schedules import Schedule, find_schedule, load_schedules
from sweeps.engine.site import BadRequest
from tests.sweeps.made_folder import refusals, write_site

ROOT = Path(__file__).parents[2]
GOOD = 'tables = ["sgtm/table5"]\ndataset = "hmdb51"\ncron = "0 3 * * *"\ntime_zone = "Europe/Berlin"\n'


def write(folder: Path, text: str) -> Path:
    path = folder / "schedules.toml"
    path.write_text(text)
    return path


def faults(folder: Path, text: str) -> list[str]:
    with pytest.raises(BadRequest) as refusal:
        load_schedules(write(folder, text))
    return refusal.value.faults


def fsar(*words: str) -> Result:
    return CliRunner().invoke(app, ["schedule", *words], env={"COLUMNS": "150"})


def test_the_example_of_the_repository_is_good() -> None:
    found = load_schedules(ROOT / "schedules.toml")
    assert {"nightly", "weekly"} <= found.keys()
    assert found["weekly"].fresh
    assert found["nightly"].missed == "run"


def test_all_faults_of_all_entries_are_found_together(tmp_path: Path) -> None:
    text = """
version = 1
[schedules.Bad]
tables = ["sgtm/tabel5", "vin"]
script = "mask_ratio"
cron = "0 3 * * 1"
time_zone = "Europe/Berlim"
seeds = 0
overlapp = "skip"
missed = "later"
seed_start = "slot"
alert_webhook = "https://example.org/secret"
[schedules.other]
script = "mask_ration"
preset = "laptopp"
budget_gpu_hours = -1.0
[schedules.number.x]
number = 3
"""
    said = "\n".join(faults(tmp_path, text))
    expected = [
        "version: there is no such key",
        "schedules.Bad: a name must be of small",
        "did you mean 'sgtm/table5'?",
        "'vin'",
        "did you mean 'overlap'?",
        "missed: Input should be 'run' or 'skip', got 'later'",
        "seeds: Input should be greater than or equal to 1, got 0",
        "only names are taken",
        "did you mean 'Europe/Berlin'?",
        "one of tables and script must be named",
        "seed_start = 'slot' needs fresh = true",
        "alert_webhook must be the name of an environment variable",
        "alert_on must say",
        "did you mean 'mask_ratio'?",
        "did you mean 'laptop'?",
        "schedules.other: cron: Field required",
        "budget_gpu_hours",
        "schedules.number",
    ]
    assert [part for part in expected if part not in said] == [], said
    assert "example.org" not in said


def test_what_is_no_list_is_said_to_be_none_and_not_to_be_missing(tmp_path: Path) -> None:
    entry = '[schedules.a]\ntables = "sgtm"\ncron = "0 3 * * *"\nalert_on = "regression"\nalert_command = "tell.sh"\n'
    said = faults(tmp_path, entry)
    assert [line.split(": ")[2] for line in said] == ["tables", "alert_command"], said
    (clash,) = (line for line in faults(tmp_path, f'{entry}script = "mask_ratio"\n') if "must be named" in line)
    assert "one of tables and script" in clash


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("", "must hold at least one entry"),
        ("[schedules.a", "not a TOML file"),
        ("schedules = 3", "must hold at least one entry"),
        ("[schedules]\na = 1", "schedules.a: must be a table of keys, got 1"),
    ],
)
def test_a_file_without_schedules_is_refused(tmp_path: Path, text: str, part: str) -> None:
    assert part in "\n".join(faults(tmp_path, text))


def test_a_schedule_made_in_code_is_held_to_the_same(tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match="one of tables and script"):
        Schedule(cron="0 3 * * *")
    with pytest.raises(BadRequest, match="did you mean 'nightly'"):
        find_schedule(write(tmp_path, f"[schedules.nightly]\n{GOOD}"), "nightli")
    with pytest.raises(BadRequest, match="name a file of schedules with --file"):
        load_schedules(tmp_path / "none.toml")


class TestCommands:
    @pytest.fixture
    def file(self, tmp_path: Path) -> Path:
        site = write_site(tmp_path, tmp_path / "videos")
        return write(tmp_path, f'[schedules.nightly]\n{GOOD}site = "{site}"\n')

    def test_a_check_says_when_it_is_due_and_where_files_go(self, file: Path) -> None:
        result = fsar("check", "--file", str(file))
        assert result.exit_code == 0, result.output
        assert "03:00 (Europe/Berlin)" in result.output
        assert str(file.parent / "output" / "reruns" / "nightly") in result.output
        assert not (file.parent / "output").exists()

    def test_a_check_looks_at_sites_and_their_data(self, file: Path) -> None:
        file.write_text(f'{file.read_text().replace("hmdb51", "hmbd51")}[schedules.b]\n{GOOD}site = "none.toml"\n')
        result = fsar("check", "--file", str(file))
        said = refusals(result)
        assert len(said) == 2
        assert "schedules.nightly" in said[0]
        assert "Did you mean 'hmdb51'?" in said[0]
        assert "schedules.b: site 'none.toml'" in said[1]

    def test_a_check_finds_what_reruns_on_this_machine_lack(self, file: Path, tmp_path: Path) -> None:
        site = tmp_path / "site.toml"
        site.write_text(site.read_text().replace(str(tmp_path / "output"), "/proc/none/output"))
        good = file.read_text()
        file.write_text(f'{good}alert_on = "regression"\nalert_command = ["./none/tell", "me"]\n')
        program, storage = refusals(fsar("check", "--file", str(file)))
        assert "schedules.nightly: alert_command must begin with a program that is found here" in program
        assert "'./none/tell'" in program
        assert "schedules.nightly: storage: /proc" in storage
        site.write_text(site.read_text().replace("/proc/none/output", str(tmp_path / "output")))
        file.write_text(f'{good}alert_on = "regression"\nalert_command = ["sh", "-c", "true"]\n')
        assert "1 schedules, nothing is wrong\n" in fsar("check", "--file", str(file)).output

    def test_a_variable_that_only_the_server_may_have_is_a_warning(
        self, file: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        file.write_text(f'{file.read_text()}alert_on = "regression"\nalert_webhook = "FSAR_MADE_URL"\n')
        monkeypatch.delenv("FSAR_MADE_URL", raising=False)
        result = fsar("check", "--file", str(file))
        assert result.exit_code == 0, result.output
        assert "warning schedules.nightly: the environment variable FSAR_MADE_URL must hold" in result.output
        assert "nothing is wrong but for 1 warning" in result.output
        monkeypatch.setenv("FSAR_MADE_URL", "https://example.org/secret")
        said = fsar("check", "--file", str(file)).output
        assert "warning" not in said
        assert "example.org" not in said

    def test_the_plan_finds_what_the_data_lack(self, file: Path) -> None:
        result = fsar("check", "--plan", "--file", str(file))
        assert "schedules.nightly" in refusals(result)[0]
        assert "videos" in result.output

    def test_the_list_shows_what_was_never_run(self, file: Path) -> None:
        result = fsar("list", "--file", str(file))
        assert result.exit_code == 0, result.output
        (line,) = [line for line in result.output.splitlines() if "nightly" in line]
        for part in ("sgtm/table5, 2 seeds", "0 3 * * * Europe/Berlin", "never", "0 of 0"):
            assert part in line

    def test_next_counts_and_names_slots(self, file: Path) -> None:
        result = fsar("next", "nightly", "--count", "4", "--file", str(file))
        assert result.exit_code == 0, result.output
        lines = [line for line in result.output.splitlines() if "nightly" in line]
        assert len(lines) == 4
        assert all(line.split()[-1].endswith("00Z") for line in lines)
        assert "did you mean 'nightly'?" in fsar("next", "nigtly", "--file", str(file)).output
