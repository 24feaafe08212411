"""``fsar checkpoints``: what is shown of a file, what it reaches on made videos, and all that is refused before."""

import json
from pathlib import Path
from typing import Any

import pytest
from torch import Tensor
from typer.testing import CliRunner, Result

from fsar_core.data.folder_scan import Split
from search_spaces.published import of_method
from search_spaces.table import Published
from sweeps.engine import checkpoint_measuring
from sweeps.engine.checkpoints_cli import app
from tests.fsar_core.foreign.foreign_files import (
    hyrsm_state,
    molo_state,
    parallel,
    strm_state,
    trx_state,
    write_alibaba,
    write_trx,
)
from tests.fsar_core.videos import write_video
from tests.sweeps.made_folder import files, refusals, write_site

SPLITS: tuple[Split, ...] = ("train", "val", "test")
QUICK = ("--shots", "1,2", "--episodes", "30")


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def in_json(*words: str | Path) -> Any:
    result = run(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Checkpoints with ResNet-18, and videos of which all of a class are equal."""
    folder = tmp_path_factory.mktemp("home")
    write_trx(folder / "trx.pt", parallel(trx_state(frames=8), "resnet"))
    write_trx(folder / "strm.pt", strm_state(frames=8))
    write_alibaba(folder / "hyrsm.pyth", hyrsm_state(), None)
    write_alibaba(folder / "molo.pyth", molo_state(), None)
    for split in SPLITS:
        for label in range(5):
            first = folder / "videos" / split / f"{split} {label}" / "0.mp4"
            content = write_video(first, 9, height=48, width=64, first=20 * label).read_bytes()
            for number in range(1, 3):
                first.with_name(f"{number}.mp4").write_bytes(content)
    write_site(folder, folder / "videos")
    return folder


def measured(home: Path, name: str, *flags: str) -> Result:
    words = ("test", home / name, "--site", home / "site.toml", "--dataset", "hmdb51", "--preset", "laptop")
    return run(*words, *QUICK, *flags)


class TestShow:
    @pytest.mark.parametrize("columns", ["100", "150"])
    def test_every_part_is_shown_with_where_it_goes(
        self, home: Path, columns: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("COLUMNS", columns)
        result = run("show", home / "trx.pt")
        assert result.exit_code == 0, result.output
        lines = result.output.splitlines()
        assert max(map(len, lines)) <= int(columns)
        text = " ".join(result.output.split())
        for part in (
            "138 tensors, under 'model_state_dict', 120 of them wrapped for several GPUs",
            "beside them iteration (75000), optimizer_state_dict (2 entries)",
            "backbone ResNet-18, cardinalities 2, 3, width of keys 12, frames 8",
            "resnet 120 11,176,512 backbone",
            "transformers.0 1 0 position code, computed here",
            "transformers.1 2 24 the released code never applies this norm",
            "in all 138 11,238,096",
            "fsar checkpoints test trx.pt --dataset D (method trx, preset trx)",
        ):
            assert part in text

    def test_json_says_the_same(self, home: Path) -> None:
        shown = in_json("show", home / "strm.pt")
        assert (shown["code_base"], shown["method"], shown["preset"]) == ("STRM", "strm", "strm")
        assert shown["says"]["frames"] == "8"
        assert shown["problems"] == []
        assert sum(part["tensors"] for part in shown["parts"]) == 152
        assert {part["goes_to"] for part in shown["parts"] if part["theirs"] == "fr_enrich" and part["used"]} == {
            "steps.mixed"
        }

    def test_a_file_that_does_not_fit_is_shown_with_what_is_wrong(self, home: Path, tmp_path: Path) -> None:
        state: dict[str, Tensor] = trx_state(frames=8)
        del state["transformers.0.v_linear.bias"]
        result = run("show", write_trx(tmp_path / "a.pt", state))
        assert result.exit_code == 1
        assert "does not fit the file has nothing for heads.0.branches.0.value.bias" in " ".join(result.output.split())

    def test_unknown_files_are_refused(self, tmp_path: Path) -> None:
        (fault,) = refusals(run("show", tmp_path / "none.pt"))
        assert "there is no such file" in fault


class TestMeasured:
    def test_the_table_stands_above_the_whole_protocol(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("COLUMNS", "150")
        before = files(home / "output")
        result = measured(home, "trx.pt", "--method", "frame_matching/otam")
        assert result.exit_code == 0, result.output
        text = " ".join(result.output.split())
        for part in (
            "embedding test clips: 15/15",
            "1-shot 100.00 ± 0.00 -",
            "2-shot 100.00 ± 0.00 -",
            "Backbone: ResNet-18 in the file, small net",
            "The weights were trained as the preset trx reads clips.",
            "Method: spatial_pool › otam; the file says backbone ResNet-18, cardinalities 2, 3",
            "test: 5 classes, 15 clips; fingerprint",
            "Frames: 8 per clip, segment-centre.",
            "Pixels: squeezed to 56x56, central crops of 48, normalisation codebase.",
            "30 with 1 query per class (episode seed 0), the same as for trained runs",
            "Printed values: none is known",
        ):
            assert part in text
        assert files(home / "output") == before
        assert "‡" not in text

    @pytest.mark.parametrize("name", ["trx.pt", "strm.pt", "hyrsm.pyth", "molo.pyth"])
    def test_every_code_base_is_measured_and_equal_videos_are_told_from_others(self, home: Path, name: str) -> None:
        result = measured(home, name, "--json")
        assert result.exit_code == 0, result.output
        content = json.loads(result.stdout)
        assert len(content["sha256"]) == 64
        assert content["data"]["dataset"] == "hmdb51"
        assert [own["evaluation"]["shot"] for own in content["results"]] == [1, 2]
        assert all(own["accuracy"] > 60 for own in content["results"])
        assert all(own["printed"] is None for own in content["results"])
        assert content["weights_chosen_on_test"] == (name in ("hyrsm.pyth", "molo.pyth"))
        assert len(content["results"][0]["per_class"]) == 5

    def test_a_printed_value_stands_beside_ours_with_its_source(
        self, home: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def known(method: str, dataset: str, shot: int, backbone: str) -> Published | None:
            assert (method, dataset, backbone) == ("HyRSM", "hmdb51", "ResNet-18")
            return of_method(method, dataset, shot, "ResNet-50") if shot == 1 else None

        monkeypatch.setattr(checkpoint_measuring, "of_method", known)
        text = " ".join(measured(home, "hyrsm.pyth").output.split())
        assert "60.3 SGTM, table 1, on HMDB51" in text
        assert text.count("‡") == 3
        assert "‡ weights chosen on test by the code that the preset hyrsm follows" in text
        assert "Printed values: by the code's own tests" in text

    def test_what_the_data_set_decides_is_taken_from_the_preset_where_the_file_is_silent(
        self, home: Path, tmp_path: Path
    ) -> None:
        site = write_site(tmp_path, home / "videos")
        site.write_text(site.read_text().replace("datasets.hmdb51", "datasets.kinetics100"))
        words = ("test", home / "hyrsm.pyth", "--dataset", "kinetics100", "--preset", "laptop", *QUICK)
        content = in_json(*words, "--site", site)
        (attention,) = [s["stage"] for s in content["method"]["steps"] if s["stage"]["kind"] == "video_attention"]
        assert (attention["amplification"], attention["position_scale"]) == (512.0, 0.01)

    def test_the_random_projection_of_the_released_strm_is_named(self, home: Path, tmp_path: Path) -> None:
        write_trx(tmp_path / "wide.pt", strm_state(frames=8, width=1152))
        words = ("test", tmp_path / "wide.pt", "--site", home / "site.toml", "--dataset", "hmdb51", "--preset")
        shown = in_json(*words, "laptop64", "--method", "strm/release", *QUICK)
        assert any("Drawn at random" in line and "projection.weight" in line for line in shown["cautions"])


class TestRefused:
    def test_all_faults_come_together(self, home: Path, tmp_path: Path) -> None:
        words = ("test", tmp_path / "none.pt", "--site", home / "site.toml", "--dataset", "other", "--preset", "best")
        found = refusals(run(*words, "--shots", "1,x", "--episodes", "0"))
        for part, fault in zip(
            (
                "--shots must be numbers from 1 to 100",
                "--episodes must be at least 1, got 0",
                "there is no such file",
                "--preset must be one of",
                "data set 'other'",
            ),
            found,
            strict=True,
        ):
            assert part in fault

    @pytest.mark.parametrize(
        ("method", "part"),
        [
            ("trxx", "did you mean 'trx'?"),
            ("hyrsm", "--method must be trx, one of its variants, or frame_matching/..."),
            ("trx/pairs", "--method trx/pairs is not what the file says: backbone ResNet-18, cardinalities 2, 3"),
        ],
    )
    def test_methods_that_the_weights_are_not_of(self, home: Path, method: str, part: str) -> None:
        assert any(part in " ".join(fault.split()) for fault in refusals(measured(home, "trx.pt", "--method", method)))

    def test_another_number_of_frames(self, home: Path, tmp_path: Path) -> None:
        path = write_trx(tmp_path / "four.pt", trx_state((2,), frames=4))
        words = ("test", path, "--site", home / "site.toml", "--dataset", "hmdb51", "--preset", "laptop", *QUICK)
        (fault,) = refusals(run(*words))
        assert "the file is for 4 frames a clip, but the preset reads 8" in fault

    def test_too_few_videos_for_the_shots(self, home: Path) -> None:
        faults = refusals(measured(home, "trx.pt", "--shots", "5"))
        assert all("5-shot episodes with 1 queries per class need 6 videos a class" in fault for fault in faults)
