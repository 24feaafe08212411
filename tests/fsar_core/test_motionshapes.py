"""The built-in benchmark: its symmetry in time, its pixels, its masks."""

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_core.data.motionshapes import CLASSES, CLIPS_PER_CLASS, partner, render
from fsar_core.data.motionshapes.classes import Split, pair_of
from fsar_core.data.motionshapes.clips import perform
from fsar_core.data.motionshapes.dataset import all_clips
from fsar_core.data.motionshapes.encoding import encode
from fsar_core.data.motionshapes.painting import paint_nuisance
from fsar_core.data.motionshapes.scene import Scene, draw_scene
from fsar_core.data.motionshapes.timing import Drift, TimeCourse
from fsar_core.seeds import generator

LABELS = sorted(label for labels in CLASSES.values() for label in labels)
FORWARD = [label for label in LABELS if pair_of(label).forward == label]


def decoded(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(np.uint8)


def scenes(count: int) -> list[Scene]:
    return [draw_scene(pair_of("move_right"), generator(0, "test", number)) for number in range(count)]


def largest_gap(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Kolmogorov and Smirnov's statistic: the largest difference between two distribution functions."""
    points = np.sort(np.concatenate([first, second]))
    parts = [np.searchsorted(np.sort(sample), points, side="right") / len(sample) for sample in (first, second)]
    return float(np.abs(parts[0] - parts[1]).max())


def test_the_splits_have_their_sizes_and_share_no_class() -> None:
    assert {split: len(labels) for split, labels in CLASSES.items()} == {"train": 24, "val": 8, "test": 12}
    assert len(set(LABELS)) == 44
    assert (
        len(set(all_clips()))
        == 24 * 24 + 8 * 16 + 12 * 20
        == sum(len(CLASSES[s]) * n for s, n in CLIPS_PER_CLASS.items())
    )


@pytest.mark.parametrize("label", LABELS)
def test_every_class_has_one_partner_in_its_split(label: str) -> None:
    assert partner(label) != label
    assert partner(partner(label)) == label
    assert [label in labels for labels in CLASSES.values()] == [partner(label) in labels for labels in CLASSES.values()]


def test_a_compound_is_undone_in_the_opposite_order() -> None:
    assert partner("grow_then_move_up") == "move_down_then_shrink"


def test_a_name_that_is_no_class_is_refused_with_the_classes() -> None:
    with pytest.raises(KeyError, match=r"'jump' is no class of MotionShapes; the classes are.*'grow'"):
        partner("jump")
    with pytest.raises(ValueError, match=r"classes of MotionShapes/val are .*got 'grow'"):
        render("val", "grow", 0)


@pytest.mark.parametrize("label", FORWARD)
def test_equal_draws_give_partners_that_are_each_others_reversal(label: str) -> None:
    forward = perform(label, generator(1, "test"), generator(2, "test"))
    backward = perform(partner(label), generator(1, "test"), generator(2, "test"))
    np.testing.assert_array_equal(forward.frames, backward.frames[::-1])
    np.testing.assert_array_equal(forward.masks, backward.masks[::-1])
    assert not np.array_equal(forward.frames, backward.frames)


def test_partners_in_the_data_set_are_drawn_independently() -> None:
    assert not np.array_equal(render("train", "grow", 0).frames[0], render("train", "shrink", 0).frames[-1])


def test_a_clip_is_a_pure_function_of_its_name() -> None:
    first, again, other = (render("test", "merge", number) for number in (4, 4, 5))
    np.testing.assert_array_equal(first.frames, again.frames)
    np.testing.assert_array_equal(first.masks, again.masks)
    assert not np.array_equal(first.frames[0], other.frames[0])


@pytest.mark.parametrize("split", CLASSES)
def test_clips_have_their_shape_and_lengths_vary(split: Split) -> None:
    clips = [render(split, CLASSES[split][number % 8], number) for number in range(16)]
    lengths = [len(clip.frames) for clip in clips]
    assert 24 <= min(lengths) < 30 < 38 < max(lengths) <= 44
    for clip in clips:
        assert (clip.frames.shape[1:], clip.frames.dtype) == ((72, 96, 3), np.uint8)
        assert (clip.masks.shape, clip.masks.dtype) == (clip.frames.shape[:3], np.bool_)


@pytest.mark.parametrize("label", FORWARD)
def test_the_action_changes_the_picture_only_between_its_onset_and_its_end(label: str) -> None:
    scene = draw_scene(pair_of(label), generator(3, "test"))
    progress = scene.course.progress()
    assert (progress[0], progress[-1]) == (0.0, 1.0)
    moving = (np.diff(progress) != 0).nonzero()[0]
    fields = np.stack(list(vars(scene.pose).values()))
    changed = (np.diff(fields, axis=1) != 0).any(axis=0).nonzero()[0]
    assert set(changed) <= set(moving)
    assert len(changed) >= len(moving) - 1
    assert 0.3 * scene.frames < len(moving) < 0.85 * scene.frames


def test_onset_and_duration_vary_widely() -> None:
    courses = [scene.course for scene in scenes(400)]
    durations, onsets = (np.array([getattr(course, name) for course in courses]) for name in ("duration", "onset"))
    assert 0.35 <= durations.min() < 0.37 < 0.73 < durations.max() <= 0.75
    assert onsets.min() < 0.01
    assert onsets.max() > 0.55
    assert (onsets + durations).max() <= 1.0


@pytest.mark.parametrize("number", range(20))
def test_a_reversed_course_runs_backwards_and_never_stops(number: int) -> None:
    course = scenes(20)[number].course
    np.testing.assert_allclose(course.reversed().progress(), 1 - course.progress()[::-1], atol=2e-9)
    fine = replace(course, frames=1000, onset=0.0, duration=1.0).progress()
    assert np.all(np.diff(fine) > 0)


def test_a_reversed_drift_is_the_path_backwards() -> None:
    drift = Drift(middle=10.0, velocity=0.4, sway=3.0, rate=0.3, phase=1.0)
    np.testing.assert_allclose(drift.reversed().path(31), drift.path(31)[::-1], atol=1e-8)
    assert np.ptp(drift.path(31)) > 5


def test_speed_and_nuisance_are_as_likely_as_their_reversal() -> None:
    drawn = scenes(1500)
    courses = [scene.course for scene in drawn]
    drifts = [drift for scene in drawn for drift in (scene.blobs[0].x, scene.distractors[0].y, scene.stripes.phase)]
    for times, fields in ((courses, ("onset", "skew")), (drifts, ("velocity", "phase"))):
        for field in fields:
            values, mirrored = (
                np.array([getattr(time, field) for time in some])
                for some in (times, [time.reversed() for time in times])
            )
            # The 0.1 % critical value of two samples of this size.
            assert largest_gap(values, mirrored) < 1.95 * np.sqrt(2 / len(values)), field


def test_a_nuisance_that_prefers_one_direction_would_be_noticed() -> None:
    rng = generator(0, "test")
    values = rng.uniform(-0.8, 1.0, size=1500)
    assert largest_gap(values, -values) > 1.95 * np.sqrt(2 / len(values))


def summaries(label: str, split: Split, count: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Per clip what a bag of frames can see, and what the order adds: means over frames, and last minus first frame."""
    bags, changes = [], []
    for number in range(count):
        clip = render(split, label, number)
        rows, columns = np.indices(clip.masks.shape[1:])
        area = clip.masks.sum(axis=(1, 2)) + 1e-6
        light = (clip.frames.mean(axis=-1) * clip.masks).sum(axis=(1, 2)) / area
        centres = [(clip.masks * place).sum(axis=(1, 2)) / area for place in (rows, columns)]
        frames = np.stack([area / 50, *centres, light], axis=1)
        bags.append(np.concatenate([frames.mean(axis=0), frames.std(axis=0)]))
        changes.append(frames[-1] - frames[0])
    return np.stack(bags), np.stack(changes)


def nearest_mean_accuracy(first: NDArray[np.float64], second: NDArray[np.float64]) -> float:
    """Accuracy on the odd clips of the means of the even ones."""
    centres = np.stack([first[::2].mean(axis=0), second[::2].mean(axis=0)])
    hits = []
    for position, clips in enumerate((first[1::2], second[1::2])):
        distances = ((clips[:, None] - centres) ** 2).sum(axis=-1)
        hits.extend(distances.argmin(axis=1) == position)
    return float(np.mean(hits))


@pytest.mark.parametrize(
    ("split", "label"), [("train", "move_right"), ("train", "grow"), ("test", "grow_then_move_up")]
)
def test_only_the_order_of_frames_tells_partners_apart(split: Split, label: str) -> None:
    forward, backward = summaries(label, split, 32), summaries(partner(label), split, 32)
    assert nearest_mean_accuracy(forward[1], backward[1]) > 0.95
    # 32 independent guesses: two standard deviations are 0.18.
    assert abs(nearest_mean_accuracy(forward[0], backward[0]) - 0.5) < 0.18


def test_a_file_holds_the_frames_and_equal_frames_give_equal_bytes(tmp_path: Path) -> None:
    frames = render("train", "approach", 0).frames
    encode(frames, tmp_path / "a.mp4")
    encode(frames, tmp_path / "b.mp4")
    assert (tmp_path / "a.mp4").read_bytes() == (tmp_path / "b.mp4").read_bytes()
    found = decoded(tmp_path / "a.mp4")
    assert found.shape == frames.shape
    error = found.astype(float) - frames
    assert abs(error.mean()) < 1.0
    # Chroma is stored at half resolution: the luma shows that frame i is frame i.
    luma = error @ [0.299, 0.587, 0.114]
    assert np.sqrt((luma**2).mean(axis=(1, 2))).max() < 5.0
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.codec_context.name, float(stream.average_rate or 0)) == ("h264", 12.0)


@pytest.mark.parametrize(
    "label", ["move_right", "shrink", "fill", "part", "turn_clockwise", "split", "narrow", "close"]
)
def test_the_mask_is_where_the_decoded_video_differs_from_the_clip_without_actor(label: str, tmp_path: Path) -> None:
    clip = perform(label, generator(5, "test"), generator(6, "test"))
    encode(clip.frames, tmp_path / "clip.mp4")
    bare = np.clip(paint_nuisance(draw_scene(pair_of(label), generator(5, "test"))), 0, 255)
    if label != pair_of(label).forward:
        bare = bare[::-1]
    actor = np.abs(decoded(tmp_path / "clip.mp4") - bare).max(axis=-1) > 55
    overlap = (actor & clip.masks).sum(axis=(1, 2)) / (actor | clip.masks).sum(axis=(1, 2))
    assert clip.masks.any(axis=(1, 2)).all()
    assert overlap.mean() > 0.8
    assert overlap.min() > 0.5


def test_a_vanished_actor_has_an_empty_mask() -> None:
    masks = render("val", "vanish", 0).masks
    assert masks[0].any()
    assert not masks[-1].any()


def test_a_slow_course_is_monotone_at_the_limits_of_its_warp() -> None:
    course = TimeCourse(frames=1000, onset=0.0, duration=1.0, surge=0.6, skew=-0.6)
    assert np.all(np.diff(course.progress()) > 0)
