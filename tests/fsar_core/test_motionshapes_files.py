"""The built-in benchmark on disk: its folder, its manifests, its mask files."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import blake2b
from pathlib import Path

import av
import numpy as np
import pytest

from fsar_core.data.motionshapes import VERSION, ForeignFolderError, Rendered, dataset, is_complete, make, render
from fsar_core.data.motionshapes.classes import Split
from fsar_core.data.motionshapes.dataset import ClipId
from fsar_core.data.motionshapes.mask_files import write_masks

A_FEW = (ClipId("train", "grow", 0), ClipId("train", "shrink", 3), ClipId("val", "open", 1), ClipId("test", "split", 2))


def frame_count(path: Path) -> int:
    with av.open(str(path)) as container:
        return sum(1 for _ in container.decode(video=0))


def lose_manifest(root: Path) -> None:
    (root / "manifest.json").unlink()


def cut_manifest(root: Path) -> None:
    (root / "manifest.json").write_text("{")


def empty_manifest(root: Path) -> None:
    (root / "manifest.json").write_text("[]")


def lose_video(root: Path) -> None:
    (root / "train/grow/000.mp4").unlink()


def cut_video(root: Path) -> None:
    os.truncate(root / "train/grow/000.mp4", 9)


DAMAGES = (
    (lose_manifest, "has no manifest.json"),
    (cut_manifest, "cannot be understood"),
    (empty_manifest, "cannot be understood"),
    (lose_video, "train/grow/000.mp4 is missing"),
    (cut_video, "train/grow/000.mp4 has 9 bytes where"),
)


def test_masks_are_resized_to_the_canvas_by_covered_area(tmp_path: Path) -> None:
    masks = render("train", "move_left", 0).masks
    write_masks(masks, "move_left", tmp_path / "clip.npz")
    with np.load(tmp_path / "clip.npz", allow_pickle=False) as file:
        stored = np.unpackbits(file["masks"], axis=-1).astype(bool)
        meta = json.loads(str(file["meta"]))
        np.testing.assert_array_equal(file["frame_index"], np.arange(len(masks)))
    # 576 x 192 is the smallest grid that both 72 x 96 and 64 x 64 divide.
    fine = masks.repeat(8, axis=1).repeat(2, axis=2)
    covered = fine.reshape(len(masks), 64, 9, 64, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(stored, covered >= 0.5)
    assert meta["canvas"] == [64, 64]
    assert (meta["dtype"], meta["producer"], meta["prompt"]) == ("bits", "motionshapes", "move left")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """The data set shrinks to four clips."""
    monkeypatch.setattr(dataset, "all_clips", lambda: A_FEW)


@pytest.mark.usefixtures("small")
class TestFolder:
    def test_is_laid_out_by_split_and_class_with_masks_beside(self, tmp_path: Path) -> None:
        root, steps = tmp_path / "data", list[tuple[int, int]]()
        assert not is_complete(root)
        make(root, workers=1, progress=lambda done, total: steps.append((done, total)))
        assert is_complete(root)
        assert steps == [(1, 4), (2, 4), (3, 4), (4, 4)]
        found = {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}
        clips = {clip.video for clip in A_FEW} | {clip.mask for clip in A_FEW}
        assert found == clips | {"manifest.json", "masks/manifest.json"}
        frames = render("val", "open", 1).frames
        assert frame_count(root / "val/open/001.mp4") == len(frames)

    def test_does_not_depend_on_the_number_of_workers(self, tmp_path: Path) -> None:
        make(tmp_path / "one", workers=1)
        make(tmp_path / "two", workers=2)
        for path in ("manifest.json", "masks/manifest.json"):
            assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()

    def test_manifests_record_every_file(self, tmp_path: Path) -> None:
        make(tmp_path / "data", workers=1)
        manifest = json.loads((tmp_path / "data/manifest.json").read_text())
        assert manifest["version"] == VERSION
        for path, record in manifest["files"].items():
            content = (tmp_path / "data" / path).read_bytes()
            digest = blake2b(content, digest_size=16).hexdigest()
            assert record == {"bytes": len(content), "blake2b": digest}
        masks = json.loads((tmp_path / "data/masks/manifest.json").read_text())
        assert masks["canvas"] == [64, 64]
        assert masks["files"]["split/002"] == {"split": "test", **manifest["files"]["masks/split/002.npz"]}

    def test_is_left_alone_when_complete(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path / "data", workers=1)
        monkeypatch.delattr(dataset, "write_clip")
        make(tmp_path / "data", workers=1)

    def test_is_absent_until_whole_and_goes_on_after_an_interruption(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        root, rendered = tmp_path / "data", list[str]()

        def interrupt(done: int, total: int) -> None:
            if done == 3:
                raise KeyboardInterrupt

        def counted(split: Split, label: str, number: int) -> Rendered:
            rendered.append(label)
            return render(split, label, number)

        with pytest.raises(KeyboardInterrupt):
            make(root, workers=1, progress=interrupt)
        assert not root.exists()
        (half,) = [path.with_suffix(".1.partial") for path in tmp_path.rglob("open/001.mp4")]
        half.write_bytes(b"left by a killed worker")
        monkeypatch.setattr(dataset, "render", counted)
        make(root, workers=1)
        assert not list(root.rglob("*.partial"))
        assert rendered == ["split"]
        assert is_complete(root)

    def test_fills_an_empty_folder_and_follows_a_link(self, tmp_path: Path) -> None:
        (tmp_path / "disk").mkdir()
        (tmp_path / "data").symlink_to(tmp_path / "disk")
        make(tmp_path / "data", workers=1)
        assert (tmp_path / "data").is_symlink()
        assert is_complete(tmp_path / "disk")

    @pytest.mark.parametrize(("damage", "message"), DAMAGES)
    def test_with_damage_is_refused_and_not_touched(
        self, damage: Callable[[Path], object], message: str, tmp_path: Path
    ) -> None:
        root = tmp_path / "data"
        make(root, workers=1)
        damage(root)
        before = sorted(root.rglob("*"))
        assert not is_complete(root)
        with pytest.raises(ForeignFolderError, match=f"{message}.*delete this one"):
            make(root, workers=1)
        assert sorted(root.rglob("*")) == before

    def test_of_another_version_is_refused(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        make(tmp_path / "data", workers=1)
        monkeypatch.setattr(dataset, "VERSION", "2-test")
        assert not is_complete(tmp_path / "data")
        with pytest.raises(
            ForeignFolderError, match=f"must hold MotionShapes version 2-test.*holds .* version {VERSION}"
        ):
            make(tmp_path / "data", workers=1)

    def test_needs_a_worker(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="workers must be >= 1, got 0"):
            make(tmp_path / "data", workers=0)


def test_the_generator_imports_no_torch() -> None:
    code = "import sys, fsar_core.data.motionshapes; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
