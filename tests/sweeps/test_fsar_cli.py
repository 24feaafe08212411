"""The command ``fsar``: what it lists and shows, and what it trains; Ray is not started."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fsar_core.frozen import Frozen
from fsar_core.methods import all_methods
from fsar_core.presets import clean
from search_spaces.spaces import mask_ratio
from sweeps.engine.cli import sweep_script
from sweeps.engine.fsar import app
from sweeps.engine.method_facts import in_short, only_training, parts, variant_note, variant_run
from sweeps.engine.plan import Plan
from tests.sweeps.made_folder import files, refusals, write_site, write_videos
from tests.sweeps.made_launch import Outcome, succeed

SMALL = ("--preset", "smoke", "--dataset", "hmdb51", "--seeds", "1", "--shots", "1", "--episodes", "20")


def test_a_node_of_a_cluster_names_its_site_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FSAR_SITE", "laptpo")
    for words in (["plan", "sgtm/table5"], ["doctor"], ["gc"]):
        (fault,) = refusals(CliRunner().invoke(app, words))
        assert fault.startswith("site 'laptpo': no file"), words


def fsar(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def in_json(*words: str) -> Any:
    result = fsar("methods", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


@pytest.fixture(scope="module")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_videos(tmp_path_factory.mktemp("home") / "videos")


@pytest.fixture
def site(tmp_path: Path, videos: Path, uri: str) -> Path:
    return write_site(tmp_path, videos, cache=videos.parent / "cache", head=f'tracking_uri = "{uri}"')


class TestMethods:
    def test_json_has_a_row_per_method_with_its_counted_cost(self) -> None:
        rows = {row["method"]: row for row in in_json()}
        assert list(rows) == list(all_methods())
        assert rows["sgtm"]["parameters"] == 37_208_192
        assert rows["sgtm"]["parts"] == "spatial_pool › token_transformer ×2 › otam"
        assert rows["sgtm"]["only_training"] == "0.5 masked_reconstruction"
        assert rows["frame_matching"]["flops_per_frame"] == 8_174_272_512

    def test_variants_are_rows_of_their_own_and_say_what_they_change(self) -> None:
        rows = in_json("--variants", "--backbone", "small")
        assert len(rows) == sum(len(method.variants) for method in all_methods().values())
        (row,) = (row for row in rows if (row["method"], row["variant"]) == ("sgtm", "random_mask"))
        assert row["note"] == "Masks the same share of frames at random (table 4)."
        assert row["parameters"] < 1_000_000

    @pytest.mark.parametrize("columns", ["100", "160"])
    def test_the_table_fits_the_terminal(self, columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        lines = fsar("methods").output.splitlines()
        assert max(map(len, lines)) <= int(columns)
        text = "\n".join(lines)
        for part in ("sgtm", "37.21", "33.24", "29.82", "8.23", "658.1", "2 operations per multiply-add", "…"):
            assert (part in text) == (part != "…"), part

    def test_a_method_is_shown_with_every_field_of_its_parts(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "160")
        output = fsar("methods", "sgtm").output
        words = " ".join(output.split())
        for text in (
            "token_transformer step matching: encoded → frame 8×2048",
            "positions none sincos | learned | none default sincos",
            "trainings needed first: 1",
            "ratio 0.5 Masked frames / T.",
            "guide.layers (512, 3), (512, 3)",
            "other variants: bimhm, random_mask, encoder_only, baseline",
        ):
            assert text in words

    def test_a_variant_is_shown_by_both_names(self) -> None:
        shown = in_json("sgtm/bimhm")
        assert (shown["method"], shown["variant"]) == ("sgtm", "bimhm")
        (head,) = (part for part in shown["parts"] if part["place"].startswith("head"))
        assert head["kind"] == "bimhm"
        fields = {field["name"]: field for field in head["fields"]}
        assert fields["reads"]["default"] == "required"
        assert fields["reduction"]["choices"]
        assert fields["directions"]["doc"].startswith("'query_to_support' counts")

    def test_an_unknown_name_is_refused_with_what_is_near(self) -> None:
        (fault,) = refusals(fsar("methods", "sgmt"))
        assert "did you mean 'sgtm'?" in fault

    def test_all_of_them_are_not_shown_one_by_one(self) -> None:
        (fault,) = refusals(fsar("methods", "all"))
        assert "`fsar methods` without a name lists all" in fault

    def test_every_field_of_every_method_can_be_shown(self) -> None:
        for name, method in all_methods().items():
            for variant in method.variants:
                assert variant_note(name, variant)
                run = variant_run(name, variant, clean("ssv2_full").backbone)
                shown = parts(run)
                assert all(part.source and part.kind for part in shown)
                assert in_short(run.method)
                assert bool(only_training(run.method)) == (run.method.for_test() != run.method)

    def test_docstrings_under_fields_do_not_change_ids(self) -> None:
        class Part(Frozen):
            size: int = 3
            """Of something."""

        assert Part().canonical_json() == '{"size":3}'
        assert Part.model_fields["size"].description == "Of something."


class TestTrain:
    def test_a_table_is_completed_by_the_engine_of_the_sweep_scripts(
        self, site: Path, plans: Callable[[Outcome], list[Plan]]
    ) -> None:
        seen = plans(succeed)
        words = ("train", "sgtm/baseline", "i2st/baseline", "--site", str(site), *SMALL)
        result = fsar(*words)
        assert result.exit_code == 0, result.output
        folder = site.parent / "output" / "tables" / "variants" / "sgtm_i2st" / "hmdb51-smoke"
        assert (folder / "table.csv").is_file()
        assert str(folder) in result.output
        assert all(row in result.output for row in ("sgtm/baseline", "i2st/baseline"))
        record = files(site.parent / "output" / "runs")
        assert fsar(*words).exit_code == 0
        assert len(seen) == 1
        assert files(site.parent / "output" / "runs") == record

    def test_a_training_that_a_sweep_script_has_made_is_not_made_again(
        self, tmp_path: Path, uri: str, plans: Callable[[Outcome], list[Plan]]
    ) -> None:
        plans(succeed)
        videos = write_videos(tmp_path / "videos", counts={"train": 5, "val": 2, "test": 6})
        site = write_site(tmp_path, videos, head=f'tracking_uri = "{uri}"')
        script = sweep_script(mask_ratio.SPACES, None)
        flags = ["--site", str(site), "--preset", "smoke", "--dataset", "hmdb51", "--seeds", "1"]
        assert CliRunner().invoke(script, flags).exit_code == 0
        plan = fsar("train", "sgtm", "--variants", "sgtm,baseline,encoder_only", "--dry-run", *flags, "--shots", "1")
        words = " ".join(plan.output.split())
        assert "trainings 5: 5 known" in words, plan.output
        assert "to do 0 steps" in words

    def test_a_dry_run_counts_rows_columns_and_seeds(self, site: Path) -> None:
        words = ("train", "sgtm", "--variants", "all", "--dry-run", "--site", str(site), *SMALL)
        result = fsar(*words, "--shots", "1, 1")
        assert result.exit_code == 0, result.output
        for line in ("cells 5 with", "trainings 7: 0 known, 0 begun; 2 are", "tests 5: 0 known"):
            assert line in " ".join(result.output.split())
        assert not (site.parent / "output" / "runs").exists()
        assert "trainings 12:" in " ".join(fsar(*words, "--seeds", "2").output.split())

    def test_per_shot_trains_for_every_column(self, tmp_path: Path) -> None:
        videos = write_videos(tmp_path / "videos", counts={"train": 6, "val": 3, "test": 3})
        site = write_site(tmp_path, videos)
        words = ("train", "sgtm/baseline", "--dry-run", "--site", str(site), *SMALL, "--shots", "1,2")
        once, per_shot = (" ".join(fsar(*words, *flags).output.split()) for flags in ((), ("--per-shot",)))
        assert "trainings 2: 0 known, 0 begun; 1 are" in once
        assert "trainings 3: 0 known, 0 begun; 1 are" in per_shot

    def test_all_faults_come_together(self, tmp_path: Path) -> None:
        words = ("train", "sgmt", "sgtm", "--variants", "basline", "--shots", "1,none", "--episodes", "0")
        words += ("--way", "1", "--train-videos", "0", "--max-seconds", "-1")
        found = refusals(
            fsar(*words, "--seeds", "0", "--preset", "best", "--site", str(write_site(tmp_path, tmp_path)))
        )
        assert len(found) == 10
        for part, fault in zip(
            (
                "no method is called 'sgmt'",
                "no variant of sgtm is called 'basline'; did you mean 'baseline'?",
                "--shots must be numbers from 1 to 100 with commas between them, got '1,none'",
                "--episodes must be at least 1, got 0",
                "--way must be at least 2, got 1",
                "--train-videos must be at least 1, got 0",
                "--max-seconds must be a number above 0, got -1",
                "--seeds must be between 1 and 100, got 0",
                "--preset must be one of",
                "data set 'motionshapes' is not in the site file",
            ),
            found,
            strict=True,
        ):
            assert part in fault

    def test_too_few_videos_for_the_shots_are_a_fault_before_anything_runs(self, site: Path) -> None:
        found = refusals(fsar("train", "sgtm/baseline", "--site", str(site), *SMALL, "--shots", "5"))
        assert all("5-shot episodes with 1 queries per class need 6 videos a class" in fault for fault in found)
        assert len(found) == 5

    def test_variants_that_do_not_fit_the_preset_are_all_named(self, site: Path) -> None:
        """Its maps of 3 x 3 cells are too small for VIM's alignment."""
        found = refusals(fsar("train", "vim", "trx", "vim/no_sampler", "--site", str(site), *SMALL))
        assert [fault.split(":")[0] for fault in found] == ["vim", "vim/no_sampler"]


def test_the_command_is_installed_and_runs_as_a_module() -> None:
    done = subprocess.run([sys.executable, "-m", "sweeps", "--help"], capture_output=True, text=True, check=True)
    for word in ("methods", "train", "estimate", "data", "presets", "checkpoints", "masks"):
        assert word in done.stdout


def test_help_names_every_flag_of_a_training() -> None:
    output = fsar("train", "--help").output
    flags = ("--variants", "--shots", "--per-shot", "--episodes", "--site", "--dataset", "--preset", "--seeds")
    for flag in (*flags, "--way", "--max-seconds", "--test-on", "--train-videos", "--dry-run", "--fresh"):
        assert flag in output
