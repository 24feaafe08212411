"""``fsar masks make``: files for every train clip, taken up again after a kill, refused where they are not its own."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from typer.testing import CliRunner, Result

from fsar_core.data.clip_index import ClipIndex, index_folder
from fsar_core.data.mask_files import MaskError, parse_masks, read_manifest
from fsar_core.data.mask_making import Making, make_masks, prompt_of
from fsar_core.data.mask_producers import Motion
from fsar_core.data.mask_store import MaskStore
from fsar_core.mask_settings import MaskSettings
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine.masks_cli import app
from tests.fsar_core.made_masks import masked_method
from tests.sweeps.made_folder import files, launched, refusals, table_of, write_site, write_videos

CANVAS = 32


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Small videos of 9 frames: five train clips in one class."""
    return write_videos(tmp_path / "videos", classes=1, counts={"train": 5, "val": 1, "test": 1})


def made(folder: Path, root: Path, *flags: str, entry: str = "") -> Result:
    site = write_site(folder, root, entry=entry)
    size = () if "--canvas" in flags else ("--canvas", str(CANVAS))
    return CliRunner().invoke(
        app, ["make", "--site", str(site), "--dataset", "hmdb51", "--producer", "motion", *size, *flags]
    )


def index_of(folder: Path, root: Path) -> ClipIndex:
    return index_folder("hmdb51", root, exclude_unreadable=False, workers=1, memory=folder / "memory")


def test_every_train_clip_gets_a_mask_of_every_frame(tmp_path: Path, root: Path) -> None:
    result = made(tmp_path, root)
    assert result.exit_code == 0, result.output
    assert "masks of hmdb51: 5/5 clips" in result.output
    assert "frames/s" in result.output
    assert "min left" in result.output
    assert "5 clips have masks in" in result.output
    clips = index_of(tmp_path, root).of("train")
    store = MaskStore(root / "masks", MaskSettings(canvas=CANVAS))
    assert store.faults(clips) == []
    for clip in clips:
        masks, there = store.read(clip.name, np.arange(9))
        assert there.all()
        assert masks.shape == (9, CANVAS, CANVAS)
        assert masks.any()
    assert sorted(read_manifest(root / "masks").files) == [clip.name for clip in clips]
    meta = parse_masks((root / "masks" / "train 0" / "0.npz").read_bytes(), Path()).meta
    assert (meta.producer, meta.prompt, meta.threshold, meta.dtype) == ("motion", "train 0", 0.4, "bits")


def test_soft_masks_are_kept_in_another_folder(tmp_path: Path, root: Path) -> None:
    target = tmp_path / "elsewhere"
    result = made(tmp_path, root, "--soft", "--root", str(target), "--prompt", "person {label}")
    assert result.exit_code == 0, result.output
    found = parse_masks((target / "train 0" / "1.npz").read_bytes(), Path())
    assert found.frame_index.tolist() == list(range(9))
    assert (found.meta.threshold, found.meta.dtype, found.meta.prompt) == (None, "uint8", "person train 0")
    assert len(np.unique(found.stored)) > 20


def test_a_stride_leaves_masks_that_only_runs_of_this_stride_can_read(tmp_path: Path, root: Path) -> None:
    index, target = index_of(tmp_path, root), tmp_path / "masks"
    make_masks(index, target, Motion(), Making(canvas=CANVAS, stride=4), nobody)
    found = parse_masks((target / "train 0" / "1.npz").read_bytes(), Path())
    assert found.frame_index.tolist() == [0, 4, 8]
    clips = index.of("train")
    assert MaskStore(target, MaskSettings(stride=4)).faults(clips) == []
    assert "too few frames" in MaskStore(target, MaskSettings(stride=2)).faults(clips)[0]


def test_a_second_call_changes_nothing_but_the_manifest(tmp_path: Path, root: Path) -> None:
    made(tmp_path, root)
    before = files(root / "masks" / "train 0")
    manifest = (root / "masks" / "manifest.json").read_text()
    result = made(tmp_path, root)
    assert "5 of them from before" in result.output
    assert files(root / "masks" / "train 0") == before
    assert (root / "masks" / "manifest.json").read_text() == manifest


class Dying(Motion):
    """Is killed at its third clip."""

    calls = 0

    def segment(self, frames: NDArray[np.uint8], prompt: str, canvas: int) -> NDArray[np.float32]:
        self.calls += 1
        if self.calls == 3:
            raise KeyboardInterrupt
        return super().segment(frames, prompt, canvas)


def nobody(done: int, total: int, frames: int) -> None:
    """Hears of progress."""


def test_a_killed_call_leaves_whole_files_and_the_next_makes_only_the_others(tmp_path: Path, root: Path) -> None:
    index, target, making = index_of(tmp_path, root), tmp_path / "masks", Making(canvas=CANVAS)
    with pytest.raises(KeyboardInterrupt):
        make_masks(index, target, Dying(), making, nobody)
    before = files(target)
    assert len(before) == 2
    with pytest.raises(MaskError, match="no masks in"):
        MaskStore(target, MaskSettings())
    told: list[tuple[int, int, int]] = []

    def hear(done: int, total: int, frames: int) -> None:
        told.append((done, total, frames))

    assert make_masks(index, target, Motion(), making, hear) == 2
    assert told == [(1, 5, 0), (2, 5, 0), (3, 5, 9), (4, 5, 18), (5, 5, 27)]
    assert before.items() <= files(target).items()


def test_a_video_that_changed_gets_new_masks(tmp_path: Path, root: Path) -> None:
    made(tmp_path, root)
    before = files(root / "masks" / "train 0")
    video = root / "train" / "train 0" / "2.mp4"
    video.write_bytes(video.read_bytes() + bytes(8))
    assert "4 of them from before" in made(tmp_path, root).output
    after = files(root / "masks" / "train 0")
    assert [Path(path).name for path in before if before[path] != after[path]] == ["2.npz"]


@pytest.mark.parametrize("flags", [("--canvas", "40"), ("--threshold", "0.5"), ("--soft",), ("--prompt", "a person")])
def test_masks_of_other_settings_are_never_written_over(tmp_path: Path, root: Path, flags: tuple[str, ...]) -> None:
    made(tmp_path, root)
    before = files(root / "masks")
    result = made(tmp_path, root, *flags)
    (fault,) = refusals(result)
    assert "holds 5 files that are damaged, or made by another producer or with other settings" in fault
    assert "train 0/0, train 0/1" in fault
    assert "give another --root" in fault
    assert files(root / "masks") == before


def test_damaged_files_are_named_and_left_alone(tmp_path: Path, root: Path) -> None:
    made(tmp_path, root)
    (root / "masks" / "train 0" / "3.npz").write_bytes(b"cut")
    (fault,) = refusals(made(tmp_path, root))
    assert "holds 1 files that are damaged" in fault
    assert "train 0/3" in fault


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--canvas", "2"), "--canvas: Input should be greater than or equal to 8, got 2"),
        (("--threshold", "1.5"), "--threshold: Input should be less than 1, got 1.5"),
        (("--soft", "--threshold", "0.5"), "--threshold: soft masks have none, got 0.5; leave out --threshold"),
        (("--model", "some/folder"), "--model: the producer motion has no model, got some/folder"),
        (("--producer", "clipseg"), "--model: the producer clipseg needs the folder of its model"),
        (("--producer", "clipseg", "--model", "none"), "none: the CLIPSeg model must lie in this folder"),
        (("--dataset", "ucf101"), "data set 'ucf101' is not in the site file; it has: hmdb51"),
        (("--root", "/proc/none"), "it must be writable"),
    ],
)
def test_flags_that_cannot_work_are_refused(tmp_path: Path, root: Path, flags: tuple[str, ...], said: str) -> None:
    assert said in "\n".join(refusals(made(tmp_path, root, *flags)))
    assert not (root / "masks").exists()


@pytest.mark.parametrize(
    ("label", "template", "prompt"),
    [
        ("brush_hair", "{label}", "brush hair"),
        ("Putting [something] onto [something else]", "person {label}", "person Putting something onto something"),
        ("YoYo", "a person", "a person"),
        ("odd {0} name", "{label}!", "odd {0} name!"),
    ],
)
def test_a_prompt_is_the_class_in_words(label: str, template: str, prompt: str) -> None:
    assert prompt_of(label, template) == prompt


# Producers


def test_motion_lies_on_what_moves_and_is_empty_where_nothing_does() -> None:
    rng = np.random.default_rng(0)
    frames = np.repeat(rng.integers(0, 60, (1, 60, 80, 3), dtype=np.uint8), 6, 0)
    for t in range(6):
        frames[t, 20:36, 4 + 8 * t : 20 + 8 * t] = 220
    masks = Motion().segment(frames, "", CANVAS)
    assert (masks.shape, masks.dtype) == ((6, CANVAS, CANVAS), np.float32)
    assert 0 <= masks.min() <= masks.max() <= 1
    for t in range(1, 5):
        row, column = divmod(int(masks[t].argmax()), CANVAS)
        assert abs(row + 0.5 - 28 / 60 * CANVAS) <= 1
        assert abs(column + 0.5 - (12 + 8 * t) / 80 * CANVAS) <= 1
    assert not Motion().segment(frames[:1], "", CANVAS).any()
    assert not Motion().segment(frames[[0, 0]], "", CANVAS).any()


# Runs that need masks


def grid(recipe: Recipe) -> Table:
    """A method with masks on the recipe's backbone and data."""
    method = masked_method().model_copy(update={"backbone": recipe.backbone})
    data = recipe.data.model_copy(update={"crop": 16})
    return table_of(recipe.model_copy(update={"data": data, "needs": ()}).few_shot(method))


def test_a_run_without_its_masks_is_refused_and_runs_once_they_are_made(tmp_path: Path) -> None:
    root = write_videos(tmp_path / "videos")
    site = write_site(tmp_path, root)
    (fault,) = refusals(launched(site, "--dry-run", grid=grid))
    assert "no masks in" in fault
    assert "`fsar masks make`" in fault
    assert made(tmp_path, root, "--root", str(tmp_path / "own")).exit_code == 0
    write_site(tmp_path, root, entry=f'masks = "{tmp_path / "own"}"')
    planned = launched(site, "--dry-run", grid=grid)
    assert planned.exit_code == 0, planned.output
    assert "trainings 1:" in " ".join(planned.output.split())
    video = root / "train" / "train 2" / "0.mp4"
    content = video.read_bytes()
    video.write_bytes(content + bytes(8))
    (fault,) = refusals(launched(site, "--dry-run", grid=grid))
    assert "1 of 25 train clips (train 2/0) have masks of another video than the present one" in fault
    video.write_bytes(content)
    manifest = tmp_path / "own" / "manifest.json"
    text = manifest.read_text()
    manifest.write_text(text.replace('"hmdb51"', '"ucf101"'))
    (fault,) = refusals(launched(site, "--dry-run", grid=grid))
    assert "must be those of 'hmdb51', got those of 'ucf101'" in fault
    manifest.write_text(text)
    (tmp_path / "own" / "train 3" / "1.npz").unlink()
    (fault,) = refusals(launched(site, "--dry-run", grid=grid))
    assert "1 of 25 train clips (train 3/1) have other mask files than the manifest says" in fault
