"""Instance masks with their frames: cut and mirrored alike, without a draw of their own, read by training only."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_core.batches import EpisodeStream
from fsar_core.data.clip_index import index_folder
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig, Flip
from fsar_core.data.datasets import DatasetPlace, open_splits
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_sampling import frame_indices
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.motionshapes import dataset as motionshapes
from fsar_core.data.motionshapes import render
from fsar_core.data.motionshapes.dataset import ClipId
from fsar_core.data.processes import silent
from fsar_core.data.resize import Resize, resize_frames
from fsar_core.data.transforms import Geometry, central, cut_masks
from fsar_core.mask_settings import MaskSettings
from fsar_core.method import MethodConfig
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.made_masks import (
    LONGEST,
    made_masks,
    masked_method,
    masked_run,
    numbered,
    put,
    write_listing,
)
from tests.fsar_core.masked_clips import CPU, SKIP, STRICT, masked_clips


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of tiny's train clips, at the frames' size; do not change them."""
    return made_masks(tmp_path_factory.mktemp("masks"), tiny.index())


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("height", "width"), [(20, 20), (20, 31), (27, 20)])
def test_masks_of_the_frames_size_are_cut_and_mirrored_as_the_frames_are(height: int, width: int, flip: bool) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, height, width, 3), dtype=np.uint8)
    geometry = Geometry(top=3, left=4, flip=flip)
    own = tiny.cut(frames, np.array([2, 0]), geometry, 16)
    assert np.array_equal(cut_masks(frames[[2, 0], ..., 1], height, width, geometry, 16), own[..., 1])


def slow_resize(mask: NDArray[np.uint8], height: int, width: int) -> NDArray[np.float64]:
    """Bilinear between the centres of pixels, edges repeated."""
    h, w = mask.shape
    out = np.zeros((height, width))
    for y in range(height):
        for x in range(width):
            v = max((y + 0.5) * h / height - 0.5, 0.0)
            u = max((x + 0.5) * w / width - 0.5, 0.0)
            top, left = int(v), int(u)
            for row, part in ((top, 1 - (v - top)), (min(top + 1, h - 1), v - top)):
                for column, share in ((left, 1 - (u - left)), (min(left + 1, w - 1), u - left)):
                    out[y, x] += part * share * float(mask[row, column])
    return out


@pytest.mark.parametrize(("height", "width"), [(20, 20), (9, 14), (8, 8), (16, 5)])
def test_another_canvas_is_resized_to_the_whole_frame_before_the_crop(height: int, width: int) -> None:
    masks = np.random.default_rng(1).integers(0, 256, (2, 12, 12), dtype=np.uint8)
    masks.setflags(write=False)
    geometry = Geometry(top=height - 5, left=width - 5, flip=True)
    found = cut_masks(masks.copy(), height, width, geometry, 5)
    for mask, own in zip(masks, found, strict=True):
        expected = slow_resize(mask, height, width)[-5:, -5:][:, ::-1]
        assert np.abs(own - expected).max() <= 0.5 + 1e-3


def test_masks_take_no_draws_and_follow_their_frames(made: Path) -> None:
    plain, masked = tiny.clips("train"), masked_clips(made)
    positions, is_query = np.arange(24), np.arange(24) % 2 == 1
    left, right = np.random.default_rng(5), np.random.default_rng(5)
    found = masked.masked_videos(positions, is_query, right)
    assert torch.equal(found.videos, plain.train_videos(positions, is_query, left))
    assert left.random() == right.random()
    assert found.masks.shape == (24, tiny.FRAMES, tiny.CROP, tiny.CROP)
    assert (found.masks.dtype, found.has_mask.dtype) == (torch.uint8, torch.bool)
    assert found.has_mask.all()


class CountedFrames(tiny.WholeFrames):
    """Frames whose first channel is the frame's number and the others the pixel's place."""

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        video = np.zeros((LONGEST, tiny.SIZE, tiny.SIZE, 3), np.uint8)
        video[..., 0] = np.arange(LONGEST)[:, None, None]
        video[..., 1], video[..., 2] = np.indices((tiny.SIZE, tiny.SIZE))
        return video


@pytest.mark.parametrize("shown", ["frame", "row", "column"])
def test_crop_flip_and_frame_number_of_a_mask_are_those_of_its_frame(tmp_path: Path, shown: str) -> None:
    frames = CountedFrames().frames("")
    channel = ("frame", "row", "column").index(shown)
    for clip in tiny.index().of("train"):
        put(tmp_path, clip.name, (frames[..., channel] / 255).astype(np.float32))
    write_listing(tmp_path, (tiny.SIZE, tiny.SIZE))
    config = tiny.data().model_copy(update={"jitter": None, "flip": Flip(support=0.5, query=0.5)})
    source = ClipSource(tiny.index(frames=LONGEST), "train", CountedFrames(), config, MaskStore(tmp_path, STRICT))
    found = source.masked_videos(np.arange(48), np.arange(48) > 20, np.random.default_rng(0))
    assert torch.equal(found.masks, found.videos[:, :, channel])
    corners = {tuple(video[0, 1:, 0, 0].tolist()) for video in found.videos}
    assert len(corners) > 20  # crops and flips really differ


def test_colours_do_not_touch_masks(made: Path) -> None:
    coloured = tiny.data().model_copy(update={"jitter": tiny.data().jitter})
    plain = coloured.model_copy(update={"jitter": None})
    only_one = np.zeros(1, int), np.ones(1, bool)
    first, second = (
        masked_clips(made, config=own).masked_videos(*only_one, np.random.default_rng(3)) for own in (coloured, plain)
    )
    assert not torch.equal(first.videos, second.videos)
    assert torch.equal(first.masks, second.masks)


# Batches


def stream(run_method: MethodConfig, source: ClipSource) -> EpisodeStream:
    return EpisodeStream(tiny.recipe().few_shot(run_method), source, tiny.clips("val"), CPU)


def test_episodes_have_masks_where_a_loss_asks_and_are_the_same_otherwise(made: Path) -> None:
    masked, plain = stream(masked_method(), masked_clips(made)), stream(tiny.METHODS["baseline"], tiny.clips("train"))
    for left, right in zip(masked.of_step(2), plain.of_step(2), strict=True):
        assert torch.equal(left.videos, right.videos)
        assert torch.equal(left.class_ids, right.class_ids)
        assert left.masks is not None
        assert left.has_mask is not None
        assert left.masks.shape == (9, tiny.FRAMES, tiny.CROP, tiny.CROP)
        assert (right.masks, right.has_mask) == (None, None)


def test_a_skipped_frame_has_no_weight_in_a_batch(tmp_path: Path) -> None:
    for clip in tiny.index().of("train")[::2]:
        put(tmp_path, clip.name, numbered(LONGEST, 7))
    write_listing(tmp_path, (7, 7))
    source = masked_clips(tmp_path, SKIP)
    found = source.masked_videos(np.arange(10), np.zeros(10, bool), np.random.default_rng(0))
    assert found.has_mask.all(1).tolist() == [i % 2 == 0 for i in range(10)]
    assert found.has_mask.any(1).tolist() == found.has_mask.all(1).tolist()
    assert not found.masks[1::2].any()


def test_training_reads_masks_and_validation_and_tests_never_do(made: Path) -> None:
    run, names = masked_run(), set[str]()

    class Watched(MaskStore):
        def read(self, clip_name: str, frames: NDArray[np.int64]) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
            names.add(clip_name)
            return super().read(clip_name, frames)

    sources = {
        split: ClipSource(tiny.index(), split, tiny.MadeFrames(), run.data, Watched(made, STRICT))
        for split in ("train", "val")
    }
    losses: list[float] = []

    def report(progress: Progress, _: TrainState) -> None:
        losses.append(progress.losses["mask_regression"])

    train(tiny.started(run), sources["train"], sources["val"], tiny.CPU, report)
    sources["train"].test_videos(range(3))
    assert names
    assert {name[:5] for name in names} == {"train"}
    assert all(loss > 0 for loss in losses)


def test_train_clips_opened_without_masks_say_how_to_open_them() -> None:
    with pytest.raises(ValueError, match=r"give open_splits masks=run\.method.mask_settings"):
        next(stream(masked_method(), tiny.clips("train")).of_step(1))


def test_losses_of_one_method_read_the_same_masks() -> None:
    method = masked_method(MaskSettings(stride=2))
    assert method.mask_settings() == MaskSettings(stride=2)
    assert method.for_test().mask_settings() is None
    (loss,) = method.losses
    other = masked_method().losses[0]
    assert method.model_validate(dict(method) | {"losses": (loss, loss)}).needs_masks()
    with pytest.raises(ValueError, match="must have the same settings"):
        method.model_validate(dict(method) | {"losses": (loss, other)})


# The built-in benchmark


def benchmark(root: Path, data: DataConfig, cache: Path) -> dict[Split, ClipSource]:
    """Four clips of a shape that moves to the left, with the benchmark's own masks."""
    ids = [ClipId("train", "move_left", i) for i in range(4)]
    ids += [ClipId("val", "open", 0), ClipId("test", "split", 0)]
    motionshapes._build(root, tuple(ids), 1, silent)  # pyright: ignore[reportPrivateUsage] - all of it takes a minute
    index = index_folder("shapes", root, exclude_unreadable=False, workers=1, memory=cache / "memory")
    return open_splits(DatasetPlace(name="shapes", root=root, cache=cache), data, index, masks=MaskSettings(canvas=64))


@pytest.mark.parametrize("resize", [Resize(mode="squeeze", size=56), Resize(mode="short_side", size=60)])
@pytest.mark.parametrize("mirrored", [0.0, 1.0])
def test_the_benchmarks_own_masks_lie_where_its_frames_have_the_shape(
    tmp_path: Path, resize: Resize, mirrored: float
) -> None:
    data = tiny.data(augmented=False).model_copy(
        update={"resize": resize, "crop": 48, "frames": 8, "flip": Flip(support=mirrored), "random_crop": False}
    )
    data = data.model_copy(update={"train_sampling": "segment-centre"})
    clips = benchmark(tmp_path / "shapes", data, tmp_path)["train"]
    assert MaskStore(tmp_path / "shapes" / "masks", STRICT).faults(clips.clips) == []
    found = clips.masked_videos(np.arange(4), np.zeros(4, bool), np.random.default_rng(0))
    for number, masks in enumerate(found.masks):
        # the exact masks, drawn as white on black, take the way of the frames
        exact = np.repeat(render("train", "move_left", number).masks[..., None], 3, -1).astype(np.uint8) * 255
        stored = resize_frames(exact, *resize.shape(*exact.shape[1:3]))
        picked = frame_indices("segment-centre", len(exact), 8, np.random.default_rng(0))
        middle = central(stored.shape[1], stored.shape[2], 48)
        expected = tiny.cut(stored, picked, replace(middle, flip=bool(mirrored)), 48)[..., 0]
        inside, true = masks.numpy() > 127, expected > 127
        assert true.sum() > 500
        assert (inside & true).sum() / (inside | true).sum() > 0.85
        assert (inside[..., ::-1] & true).sum() / (inside | true).sum() < 0.7


def test_the_benchmarks_masks_follow_the_actor(tmp_path: Path) -> None:
    for mirrored in (0.0, 1.0):
        data = tiny.data(augmented=False).model_copy(
            update={"resize": Resize(mode="squeeze", size=48), "crop": 48, "flip": Flip(support=mirrored)}
        )
        clips = benchmark(tmp_path / f"shapes{mirrored}", data, tmp_path)["train"]
        found = clips.masked_videos(np.arange(4), np.zeros(4, bool), np.random.default_rng(0))
        for masks in found.masks.double():
            weight = masks.sum((1, 2))
            columns = (masks.sum(1) @ torch.arange(48, dtype=torch.float64) / weight)[weight > 255 * 20]
            assert (columns[-1] > columns[0]) == bool(mirrored)


def test_settings_are_part_of_a_runs_identity() -> None:
    ids = {masked_run(own).run_id() for own in (STRICT, SKIP, MaskSettings(stride=2), MaskSettings(canvas=256))}
    assert len(ids) == 4


def test_masks_move_with_their_clip_to_a_device(made: Path) -> None:
    episode = next(stream(masked_method(), masked_clips(made)).of_step(1))
    moved = replace(episode).to(torch.device("meta"))
    assert moved.masks is not None
    assert moved.masks.is_meta
