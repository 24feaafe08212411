"""Instance masks from their files to a training batch: which file, which frame, which pixels."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from fsar_core.batches import EpisodeStream
from fsar_core.data import mask_store
from fsar_core.data.clip_index import Clip, index_folder
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig, Flip
from fsar_core.data.datasets import DatasetPlace, open_splits
from fsar_core.data.folder_scan import Split
from fsar_core.data.frame_sampling import frame_indices
from fsar_core.data.mask_files import MaskError, mask_path, parse_masks, write_masks
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.motionshapes import dataset as motionshapes
from fsar_core.data.motionshapes import render
from fsar_core.data.motionshapes.dataset import ClipId
from fsar_core.data.processes import silent
from fsar_core.data.resize import Resize, resize_frames
from fsar_core.data.transforms import Geometry, central, cut, cut_masks
from fsar_core.mask_settings import MaskSettings
from fsar_core.method import MethodConfig
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.made_masks import (
    LONGEST,
    made_masks,
    masked_method,
    masked_run,
    meta,
    numbered,
    put,
    write_listing,
)

STRICT, SKIP = MaskSettings(), MaskSettings(missing="skip")
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Masks of tiny's train clips, at the frames' size; do not change them."""
    return made_masks(tmp_path_factory.mktemp("masks"), tiny.index())


def masked_clips(root: Path, settings: MaskSettings = STRICT, config: DataConfig | None = None) -> ClipSource:
    return ClipSource(tiny.index(), "train", tiny.MadeFrames(), config or tiny.data(), MaskStore(root, settings))


def clips_named(*names: str, frames: int = 9) -> list[Clip]:
    return [Clip(name, name.split("/")[0], "train", Path("none"), frames, "0", 8, 8, 12.0) for name in names]


# Files


@pytest.mark.parametrize("width", [1, 7, 8, 13, 16])
def test_bits_come_back_as_0_and_255_at_widths_that_fill_no_byte(tmp_path: Path, width: int) -> None:
    soft = np.random.default_rng(width).random((3, 5, width)).astype(np.float32)
    path = tmp_path / "a" / "b.npz"
    write_masks(path, soft, [0, 2, 5], meta((5, width), threshold=0.4))
    found = parse_masks(path.read_bytes(), path)
    assert found.stored.shape == (3, 5, -(-width // 8))
    expected = np.where(soft >= np.float32(0.4), 255, 0)
    assert np.array_equal(found.take(np.array([2, 0, 1, 0])), expected[[2, 0, 1, 0]])
    assert found.frame_index.tolist() == [0, 2, 5]


def test_soft_masks_come_back_to_half_a_step_of_255(tmp_path: Path) -> None:
    soft = np.random.default_rng(0).random((4, 6, 6)).astype(np.float32)
    path = tmp_path / "a.npz"
    write_masks(path, soft, range(4), meta((6, 6)))
    assert np.abs(parse_masks(path.read_bytes(), path).take(np.arange(4)) / 255 - soft).max() <= 0.5 / 255 + 1e-6


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_file_with_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path, sprung = tmp_path / "a.npz", tmp_path / "sprung"
    np.savez(path, masks=np.array([Trap(sprung)], object), frame_index=np.arange(1), meta=np.array("{}"))
    with pytest.raises(MaskError, match="not a file of masks"):
        parse_masks(path.read_bytes(), path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"masks": np.zeros((2, 4, 5), np.uint8)}, r"must be uint8 of \(2, 4, 4\).* got uint8 of \(2, 4, 5\)"),
        ({"masks": np.zeros((2, 4, 4), np.float32)}, "got float32"),
        ({"frame_index": np.array([1, 1])}, "ascending"),
        ({"frame_index": np.array([-1, 1])}, "ascending"),
        ({"frame_index": np.array([0, 1, 2])}, "2 ascending numbers"),
        ({"frame_index": np.array([0.0, 1.0])}, "ascending"),
        ({"meta": np.array("{")}, "not a file of masks"),
        ({"meta": np.array('{"producer": "p", "model": "m", "prompt": ""}')}, "canvas"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, NDArray[np.generic]], said: str
) -> None:
    path = tmp_path / "a.npz"
    good = {
        "masks": np.zeros((2, 4, 4), np.uint8),
        "frame_index": np.arange(2),
        "meta": np.array(meta((4, 4)).model_dump_json()),
    }
    np.savez(path, allow_pickle=False, **(good | change))
    with pytest.raises(MaskError, match=said):
        parse_masks(path.read_bytes(), path)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_named(content: bytes) -> None:
    with pytest.raises(MaskError, match=r"x/y\.npz: not a file of masks"):
        parse_masks(content, Path("x/y.npz"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "class/../../outside"])
def test_a_clip_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(MaskError, match="mask files must lie in"):
        mask_path(tmp_path / "masks", name)


def test_a_link_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    put(tmp_path, "outside", numbered(2, 4))
    put(root, "label/a", numbered(2, 4))
    write_listing(root, (4, 4))
    (root / "label" / "a.npz").unlink()
    (root / "label" / "a.npz").symlink_to(tmp_path / "outside.npz")
    with pytest.raises(MaskError, match="mask files must lie in"):
        MaskStore(root, STRICT).read("label/a", np.arange(2))
    assert "1 of 1" in MaskStore(root, STRICT).faults(clips_named("label/a"))[0]


# Which frame


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("stored", [[0], [0, 3, 6, 9], [2, 3, 11], list(range(12))])
def test_a_frame_takes_the_nearest_stored_mask_and_the_lower_of_two(
    tmp_path: Path, stride: int, stored: list[int]
) -> None:
    put(tmp_path, "c/v", numbered(12, 4)[stored], stored)
    write_listing(tmp_path, (4, 4))
    frames = np.array([11, 0, 5, 5, 1, 2, 3, 4, 6, 7, 8, 9, 10])
    masks, there = MaskStore(tmp_path, MaskSettings(missing="skip", stride=stride)).read("c/v", frames)
    for i, frame in enumerate(frames.tolist()):
        best = min(stored, key=lambda other: (abs(other - frame), other))
        assert there[i] == (abs(best - frame) < stride)
        assert (masks[i] == (best if there[i] else 0)).all()


def test_a_missing_mask_stops_training_and_says_which_frames(tmp_path: Path) -> None:
    put(tmp_path, "c/v", numbered(4, 4), [0, 1, 2, 4])
    write_listing(tmp_path, (4, 4))
    store = MaskStore(tmp_path, STRICT)
    with pytest.raises(MaskError, match=r"'c/v' must have masks.* none of frames \[3, 5\].* masks.missing to 'skip'"):
        store.read("c/v", np.array([5, 0, 3, 3]))
    with pytest.raises(MaskError, match=r"'c/other' must have masks"):
        store.read("c/other", np.array([0]))
    masks, there = MaskStore(tmp_path, SKIP).read("c/other", np.array([0, 7]))
    assert masks.shape == (2, 4, 4)
    assert there.tolist() == [False, False]


def test_an_empty_mask_is_a_target_and_not_missing(tmp_path: Path) -> None:
    put(tmp_path, "c/v", np.zeros((3, 4, 4), np.float32))
    write_listing(tmp_path, (4, 4))
    masks, there = MaskStore(tmp_path, STRICT).read("c/v", np.arange(3))
    assert there.all()
    assert not masks.any()


def test_a_file_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "c/v", numbered(3, 4))
    write_listing(tmp_path, (4, 4))
    put(tmp_path, "c/v", numbered(3, 4)[::-1].copy())
    with pytest.raises(MaskError, match="not the file that the manifest names"):
        MaskStore(tmp_path, SKIP).read("c/v", np.arange(3))


# What is known before anything is scheduled


def test_faults_give_counts_names_and_what_to_do_without_reading_a_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c/1", "c/2", "c/3"):
        put(tmp_path, name, numbered(5, 4))
    write_listing(tmp_path, (4, 4), {"c/1": 5, "c/2": 9})
    mask_path(tmp_path, "c/3").write_bytes(b"cut")
    monkeypatch.setattr(mask_store, "parse_masks", lambda *_: pytest.fail("a mask is read"))  # pyright: ignore
    clips = clips_named("c/1", "c/2", "c/3", *(f"d/{i}" for i in range(7)))
    canvas, unlisted, spoilt, short = MaskStore(tmp_path, MaskSettings(canvas=8)).faults(clips)
    assert "must be 8x8 pixels, got 4x4" in canvas
    assert (
        "7 of 10 train clips (d/0, d/1, d/2, d/3, d/4, ...) have no masks; make them with `fsar masks make`" in unlisted
    )
    assert "1 of 10 train clips (c/3) have other mask files than the manifest says" in spoilt
    assert "1 of 10 train clips (c/1) have masks of too few frames for masks.stride 1" in short
    assert len(MaskStore(tmp_path, MaskSettings(stride=2)).faults(clips)) == 2
    assert len(MaskStore(tmp_path, SKIP).faults(clips)) == 1
    assert "7 of 7" in MaskStore(tmp_path, SKIP).faults(clips[3:])[0]
    assert MaskStore(tmp_path, STRICT).faults(clips[1:2]) == []


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"no masks in .*manifest.json.*`fsar masks make`"):
        MaskStore(tmp_path / "none", STRICT)
    (tmp_path / "manifest.json").write_text('{"dataset": "d"}')
    with pytest.raises(MaskError, match=r"not a manifest of masks.*"):
        MaskStore(tmp_path, STRICT)


def test_a_fingerprint_names_the_contents_of_the_clips_asked_for_and_nothing_else(tmp_path: Path) -> None:
    def stored(folder: str, **values: int) -> MaskStore:
        for name, value in values.items():
            put(tmp_path / folder, f"c/{name}", numbered(9, 4)[value : value + 2].copy(), [0, 1])
        write_listing(tmp_path / folder, (4, 4))
        return MaskStore(tmp_path / folder, STRICT)

    names = ["c/a", "c/b"]
    first = stored("first", a=1, b=2).fingerprint(names)
    assert stored("same", b=2, a=1, other=3).fingerprint(reversed(names)) == first
    different = [stored("changed", a=1, b=3), stored("swapped", a=2, b=1), stored("fewer", a=1)]
    assert len({first, *(store.fingerprint(names) for store in different)}) == 4


# Which pixels


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize(("height", "width"), [(20, 20), (20, 31), (27, 20)])
def test_masks_of_the_frames_size_are_cut_and_mirrored_as_the_frames_are(height: int, width: int, flip: bool) -> None:
    frames = np.random.default_rng(0).integers(0, 255, (3, height, width, 3), dtype=np.uint8)
    geometry = Geometry(top=3, left=4, flip=flip)
    own = cut(frames, np.array([2, 0]), geometry, 16)
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


class CountedFrames:
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
    source = ClipSource(tiny.index(), "train", CountedFrames(), config, MaskStore(tmp_path, STRICT))
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
        expected = cut(stored, picked, replace(middle, flip=bool(mirrored)), 48)[..., 0]
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
