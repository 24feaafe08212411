"""Short test clips and few train clips: which ones, what is left out, and that evaluations draw from them alone."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import Limit
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.subsets import limited, no_longer_than
from fsar_core.evaluate import episodes_of, evaluate
from fsar_core.mask_settings import MaskSettings
from tests.fsar_core import tiny
from tests.fsar_core.lively import built
from tests.fsar_core.made_masks import made_masks

TEST = tiny.index().of("test")
"""9, 10, 11, 12, 9, ... frames at 12 per second in each of six classes of eight clips."""
CPU = torch.device("cpu")


def seconds(position: int) -> float:
    return TEST[position].frames / TEST[position].fps


@pytest.mark.parametrize(("longest", "each"), [(0.75, 2), (0.9, 4), (11 / 12, 6), (1.0, 8)])
def test_clips_of_just_that_length_are_short_enough(longest: float, each: int) -> None:
    found = no_longer_than(TEST, longest, per_class=2)
    assert [len(own) for own in found.members] == [each] * 6
    assert all(seconds(position) <= longest for own in found.members for position in own)
    assert found.clips() == 6 * each
    assert found.text() == f"{6 * each} clips of 6 classes"


def test_a_class_with_too_few_short_clips_is_left_out_and_named() -> None:
    slow = [replace(clip, fps=6.0) if clip.label == "test2" and clip.name != "test2/4" else clip for clip in TEST]
    found = no_longer_than(slow, 0.9, per_class=3)
    assert found.labels == ("test0", "test1", "test3", "test4", "test5")
    assert found.too_small == {"test2": 1}
    assert found.text() == "20 clips of 5 classes; left out for having fewer than 3: 'test2' (1)"
    assert {TEST[position].label for own in found.members for position in own} == set(found.labels)


def test_clips_without_a_frame_rate_are_refused() -> None:
    unknown = [replace(clip, fps=0.0) if clip.name.endswith("/3") else clip for clip in TEST]
    with pytest.raises(ValueError, match=r"but 6 of 48 have none \(test0/3, test1/3, test2/3, \.\.\.\)"):
        no_longer_than(unknown, 0.9, per_class=2)


def source(*, slow: str = "") -> ClipSource:
    found = tiny.clips("test")
    found.clips = tuple(replace(clip, fps=6.0) if clip.label == slow else clip for clip in found.clips)
    return found


def test_episodes_of_short_clips_are_of_these_alone_and_drawn_anew() -> None:
    config = EvalConfig(way=4, episodes=200, max_seconds=0.9)
    whole = episodes_of(source(), config.model_copy(update={"max_seconds": None}))
    short, shorter = (episodes_of(source(), config.model_copy(update={"max_seconds": own})) for own in (0.9, 0.8))
    assert {int(position) for position in np.unique(short.support)} == {i for i in range(48) if seconds(i) <= 0.9}
    assert max(map(seconds, shorter.query.ravel().tolist())) == 0.75
    everyone = episodes_of(source(), config.model_copy(update={"max_seconds": 100.0}))
    assert not np.array_equal(everyone.support, whole.support)


def test_classes_of_a_subset_keep_their_names() -> None:
    own = source(slow="test1")
    config = EvalConfig(way=4, episodes=300, max_seconds=0.9)
    listed = episodes_of(own, config)
    assert set(np.unique(listed.classes)) == {0, 2, 3, 4, 5}
    assert np.array_equal(own.class_ids[listed.support[:, :, 0]], listed.classes)
    result = evaluate(built(tiny.METHODS["baseline"]), own, config, CPU)
    assert set(result.per_class) == {"test0", "test2", "test3", "test4", "test5"}


def test_a_larger_limit_keeps_all_of_a_smaller_one() -> None:
    train = tiny.index().of("train")
    kept = [limited(train, Limit(per_class=n, seed=1)) for n in range(1, 10)]
    for smaller, larger in pairwise(kept):
        assert set(smaller) <= set(larger)
    assert [len(own) for own in kept] == [6 * min(n, 8) for n in range(1, 10)]
    assert kept[-1] == limited(train, None) == train
    assert all(sorted(own, key=train.index) == list(own) for own in kept)


def test_the_seed_of_a_limit_draws_other_clips_and_each_class_its_own() -> None:
    train = tiny.index().of("train")
    one, other = (limited(train, Limit(per_class=4, seed=seed)) for seed in (0, 1))
    assert one != other
    numbers = {clip.label: set[str]() for clip in one}
    for clip in one:
        numbers[clip.label].add(clip.name.split("/")[1])
    assert len({frozenset(own) for own in numbers.values()}) > 1


def test_a_limit_holds_for_train_clips_alone_and_leaves_classes_and_fingerprint() -> None:
    few = tiny.data().model_copy(update={"limit": Limit(per_class=3)})
    train, whole = tiny.clips("train", few), tiny.clips("train")
    assert [len(own) for own in train.members] == [3] * 6
    assert (train.labels, train.fingerprint) == (whole.labels, whole.fingerprint)
    assert len(tiny.clips("val", few)) == len(tiny.clips("val"))
    assert len(tiny.clips("test", few)) == len(tiny.clips("test"))


def test_the_masks_of_a_limited_run_are_named_as_those_of_the_whole_split(tmp_path: Path) -> None:
    made_masks(tmp_path, tiny.index())
    masks = MaskStore(tmp_path, MaskSettings())
    few = tiny.data().model_copy(update={"limit": Limit(per_class=3)})
    named = tiny.clips("train", few, masks).mask_fingerprint()
    assert named is not None
    assert named == tiny.clips("train", None, masks).mask_fingerprint()
