"""``fsar tables``, ``run`` and ``retry`` on made videos, with trainings made up: Ray is not started."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from sweeps.engine.failures import KINDS, Failure
from sweeps.engine.fsar import app
from sweeps.engine.plan import Plan, PlannedRun
from tests.sweeps.made_folder import files, refusals, write_site, write_videos
from tests.sweeps.made_launch import Outcome, succeed
from tests.sweeps.mlflow_rows import everything

ON_HMDB = ("--dataset", "hmdb51", "--preset", "tiny", "--seeds", "1")


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos", counts={"train": 9, "val": 6, "test": 6})


@pytest.fixture
def site(tmp_path: Path, videos: Path, uri: str) -> Path:
    return write_site(tmp_path, videos, cache=videos.parent / "cache", head=f'tracking_uri = "{uri}"')


def fsar(*words: str) -> Result:
    return CliRunner().invoke(app, list(words), env={"COLUMNS": "160"})


def no_memory(planned: PlannedRun, plan: Plan) -> None:
    planned.folder.write_failure(Failure(kind="oom", traceback="torch.OutOfMemoryError: no memory"))


class TestTables:
    def test_the_list_names_all_and_says_which_data_are_missing(self, site: Path) -> None:
        result = fsar("tables", "--site", str(site))
        assert result.exit_code == 0, result.output
        lines = {line.split()[0]: line for line in result.output.splitlines() if "/table" in line}
        assert "needs kinetics100" in lines["sgtm/table5"]
        assert "0 of 16 cells" in lines["i2st/table3"]

    def test_a_table_is_shown_as_printed_with_its_doubts(self) -> None:
        result = fsar("tables", "sgtm/table5")
        assert "75.05 (1)" in result.output
        assert "(1) with weight 0" in result.output

    def test_unknown_names_are_refused_together(self) -> None:
        result = fsar("tables", "sgtm/tabel5", "vin")
        assert result.exit_code == 2
        assert len(refusals(result)) == 2
        assert "did you mean 'sgtm/table5'?" in result.output


class TestRun:
    def test_several_tables_share_their_trainings_and_are_not_done_again(
        self, site: Path, plans: Callable[[Outcome], list[Plan]], uri: str
    ) -> None:
        seen = plans(succeed)
        words = ("run", "sgtm/table3", "sgtm/table4", "sgtm/table5", *ON_HMDB, "--site", str(site))
        first = fsar(*words)
        assert first.exit_code == 0, first.output
        (plan,) = seen
        names = ("table3", "table4", "table5")
        folder = site.parent / "output" / "tables" / "sgtm"
        assert all((folder / name / "hmdb51-tiny" / "table.csv").is_file() for name in names)
        few_shot = [own for own in plan.runs if own.run.batches.kind == "episodes"]
        assert len(few_shot) == 4 * 2 + 3 * 2 + 5  # the full method is in all three tables, at 1 and 5 shots
        before, rows = files(site.parent / "output" / "runs"), everything(uri)
        second = fsar(*words)
        assert second.exit_code == 0
        assert len(seen) == 1
        assert files(site.parent / "output" / "runs") == before
        assert everything(uri) == rows

    def test_values_printed_on_these_data_stay_apart_from_those_of_others(
        self, site: Path, plans: Callable[[Outcome], list[Plan]]
    ) -> None:
        plans(succeed)
        result = fsar("run", "sgtm/table1", *ON_HMDB, "--site", str(site))
        assert result.exit_code == 0, result.output
        assert "[HMDB51]" in result.output
        assert "on hmdb51 instead" in result.output

    def test_everything_wrong_is_said_at_once(self, site: Path) -> None:
        result = fsar(
            "run", "sgtm/tabel5", "--dataset", "hmbd51", "--preset", "tinny", "--seeds", "0", "--site", str(site)
        )
        assert result.exit_code == 2
        said = result.output
        for fault in ("did you mean 'sgtm/table5'?", "Did you mean 'hmdb51'?", "--preset must be", "--seeds must be"):
            assert fault in said

    def test_rows_that_need_masks_are_refused_without_masks(self, site: Path) -> None:
        result = fsar("run", "i2st/table3", *ON_HMDB, "--site", str(site))
        assert result.exit_code == 2
        assert "mask" in result.output

    def test_shots_beyond_what_classes_hold_are_refused(self, tmp_path: Path, uri: str) -> None:
        few = write_videos(tmp_path / "few")
        site = write_site(tmp_path, few, head=f'tracking_uri = "{uri}"')
        result = fsar("run", "strm/table2", *ON_HMDB, "--site", str(site))
        assert result.exit_code == 2
        assert "5-shot episodes with 4 queries per class need" in result.output

    def test_a_dry_run_starts_nothing(self, site: Path, plans: Callable[[Outcome], list[Plan]]) -> None:
        seen = plans(succeed)
        result = fsar("run", "sgtm/table5", *ON_HMDB, "--site", str(site), "--dry-run")
        assert result.exit_code == 0, result.output
        assert not seen
        assert not (site.parent / "output" / "runs").exists()


class TestRetry:
    def test_only_failures_of_the_named_kind_start_again(
        self, site: Path, plans: Callable[[Outcome], list[Plan]]
    ) -> None:
        plans(no_memory)
        words = ("sgtm/table5", *ON_HMDB, "--site", str(site))
        assert fsar("run", *words).exit_code == 1
        seen = plans(succeed)
        assert fsar("retry", "--only", "bug", *words).exit_code == 1
        assert not seen
        assert fsar("retry", "--only", "oom", *words).exit_code == 0
        assert len(seen) == 1

    def test_an_unknown_kind_is_refused(self, site: Path) -> None:
        result = fsar("retry", "--only", "oom,full", "sgtm/table5", *ON_HMDB, "--site", str(site))
        assert result.exit_code == 2
        assert "--only must be of" in result.output

    def test_the_help_names_every_kind(self) -> None:
        words = re.sub(r"[│\s]+", " ", fsar("retry", "--help").output)
        assert f"Kinds of failure, with commas: {', '.join(KINDS)}." in words


class TestPlan:
    def test_a_plan_counts_what_tables_share_and_writes_it(self, site: Path) -> None:
        words = ("plan", "sgtm/table3", "sgtm/table5", *ON_HMDB, "--site", str(site), "--quick")
        result = fsar(*words)
        assert result.exit_code == 0, result.output
        assert "cells       14 with seeds" in result.output
        plan = json.loads((site.parent / "output" / "plan.json").read_text())
        assert [table["name"] for table in plan["tables"]] == ["sgtm/table3", "sgtm/table5"]
        assert not (site.parent / "output" / "runs").exists()

    def test_data_and_weights_of_the_papers_may_be_missing_and_are_named(self, site: Path) -> None:
        result = fsar("plan", "sgtm/table5", "--quick", "--site", str(site))
        assert result.exit_code == 0, result.output
        for name in ("kinetics100", "ucf101", "resnet50"):
            assert re.search(rf"not here, planned without: .*{name}", result.output)

    def test_a_wrong_substitute_is_refused(self, site: Path) -> None:
        result = fsar("plan", "sgtm/table5", "--dataset", "hmbd51", "--quick", "--gpus", "0", "--site", str(site))
        assert result.exit_code == 2
        assert "Did you mean 'hmdb51'?" in result.output
        assert "--gpus must be at least 1, got 0" in result.output


class TestViews:
    @pytest.fixture
    def words(self, site: Path, plans: Callable[[Outcome], list[Plan]]) -> tuple[str, ...]:
        """Of a table that is complete."""
        plans(succeed)
        words = ("sgtm/table5", *ON_HMDB, "--site", str(site))
        assert fsar("run", *words).exit_code == 0
        return words

    def test_status_is_for_people_and_for_programs(self, words: tuple[str, ...]) -> None:
        assert "6/6" in fsar("status", *words).output
        told = json.loads(fsar("status", *words, "--json").stdout)
        assert told["tables"]["sgtm/table5"]["cells"] == 6, told

    def test_why_finds_a_cell_by_a_part_of_its_name(self, words: tuple[str, ...]) -> None:
        result = fsar("why", "sgtm/table5:0.3", *words[1:])
        assert result.exit_code == 0, result.output
        assert "λ=0.3:1-shot" in result.output
        assert fsar("why", "sgtm/table5:0.4", *words[1:]).exit_code == 2

    @pytest.mark.parametrize(
        ("kind", "start"), [("md", "| row |"), ("tex", "% needs"), ("html", "<!DOCTYPE html>"), ("csv", "table,row,")]
    )
    def test_a_table_is_written_as_text_and_nothing_else(self, words: tuple[str, ...], kind: str, start: str) -> None:
        result = fsar("table", *words, "--format", kind)
        assert result.exit_code == 0, result.output
        assert result.stdout.casefold().startswith(start.casefold())

    def test_a_plot_goes_to_a_file(self, words: tuple[str, ...], tmp_path: Path) -> None:
        refused = fsar("table", *words, "--format", "png")
        assert refused.exit_code == 2
        assert "--format png needs --out FILE" in refused.output
        assert fsar("table", *words, "--format", "png", "--out", str(tmp_path / "a.png")).exit_code == 0
        assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")

    def test_a_comparison_on_other_data_shows_the_printed_values_without_a_verdict(
        self, words: tuple[str, ...]
    ) -> None:
        result = fsar("compare", *words)
        assert result.exit_code == 0, result.output
        assert "75.05 Kinetics" in result.output
        assert "no difference and no verdict" in result.output
