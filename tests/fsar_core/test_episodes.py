"""Episodes: right members, uniform draws, and the same for everyone who measures."""

import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_core.data.episodes import EpisodeList, draw_episodes, fixed_episodes, shortage
from fsar_core.seeds import generator

SIZES = (7, 9, 5, 12, 6, 8)


def members() -> list[NDArray[np.int64]]:
    """Classes of several sizes at scattered positions."""
    positions = np.random.default_rng(0).permutation(sum(SIZES))
    return [np.sort(own) for own in np.split(positions, np.cumsum(SIZES)[:-1])]


def fixed(count: int, *, way: int = 4, shot: int = 2, queries: int = 2, seed: int = 0, data: str = "a") -> EpisodeList:
    return fixed_episodes(members(), way=way, shot=shot, queries=queries, count=count, seed=seed, fingerprint=data)


def same(left: EpisodeList, right: EpisodeList) -> bool:
    return all(
        np.array_equal(getattr(left, name), getattr(right, name)) for name in ("classes", "support", "query", "labels")
    )


@pytest.mark.parametrize(("way", "shot", "queries"), [(2, 1, 1), (4, 2, 2), (6, 3, 2), (3, 1, 4)])
def test_every_clip_is_of_its_class_and_stands_once_in_an_episode(way: int, shot: int, queries: int) -> None:
    episodes = fixed(300, way=way, shot=shot, queries=queries)
    label_of = {int(position): label for label, own in enumerate(members()) for position in own}
    assert episodes.support.shape == (300, way, shot)
    assert episodes.query.shape == (300, way * queries)
    for e in range(300):
        classes = episodes.classes[e].tolist()
        assert len(set(classes)) == way
        for n in range(way):
            assert [label_of[p] for p in episodes.support[e, n].tolist()] == [classes[n]] * shot
        assert [label_of[p] for p in episodes.query[e].tolist()] == [classes[n] for n in episodes.labels.tolist()]
        clips = [*episodes.support[e].ravel().tolist(), *episodes.query[e].tolist()]
        assert len(set(clips)) == len(clips)
    assert episodes.labels.tolist() == [n for n in range(way) for _ in range(queries)]


def test_classes_columns_and_clips_are_drawn_uniformly() -> None:
    count, own = 6000, members()
    episodes = draw_episodes(own, way=3, shot=1, queries=1, rng=generator(0, "uniform"), count=count)
    for column in range(3):
        seen = np.bincount(episodes.classes[:, column], minlength=len(SIZES))
        assert _chi_square(seen, np.full(len(SIZES), count / len(SIZES))) < 25  # 5 degrees; p = 1e-4
    expected = np.zeros(sum(SIZES))
    for positions in own:
        expected[positions] = count * 3 / len(SIZES) / len(positions)
    for drawn in (episodes.support, episodes.query):
        assert _chi_square(np.bincount(drawn.ravel(), minlength=sum(SIZES)), expected) < 90  # 46 degrees; p = 1e-4


def _chi_square(seen: NDArray[np.int64], expected: NDArray[np.float64]) -> float:
    return float(((seen - expected) ** 2 / expected).sum())


def test_pairs_of_classes_are_drawn_equally_often() -> None:
    classes = fixed(6000, way=2, shot=1, queries=1).classes
    pairs = np.bincount(classes[:, 0] * len(SIZES) + classes[:, 1], minlength=len(SIZES) ** 2)
    assert pairs.reshape(6, 6).trace() == 0
    assert _chi_square(pairs[pairs > 0], np.full(30, 200.0)) < 67  # 29 degrees; p = 1e-4


@pytest.mark.parametrize("count", [1, 10, 999, 1000, 1001, 2000])
def test_a_longer_list_begins_with_the_shorter_one(count: int) -> None:
    longer, shorter = fixed(2500), fixed(count)
    assert len(shorter) == count
    for name in ("classes", "support", "query"):
        assert np.array_equal(getattr(longer, name)[:count], getattr(shorter, name))


def test_the_chunks_of_a_long_list_differ() -> None:
    long = fixed(2000)
    assert not np.array_equal(long.classes[:1000], long.classes[1000:])


def test_episodes_are_fixed_by_the_data_the_shape_and_the_seed_only() -> None:
    assert same(fixed(50), fixed(50))
    assert not same(fixed(50), fixed(50, data="b"))
    assert not same(fixed(50), fixed(50, seed=1))
    assert not np.array_equal(fixed(50).classes, fixed(50, shot=1).classes)
    assert not np.array_equal(fixed(50).classes, fixed(50, queries=1).classes)


@pytest.mark.parametrize(("way", "shot"), [(7, 1), (3, 5)])
def test_too_few_classes_or_clips_are_refused(way: int, shot: int) -> None:
    with pytest.raises(ValueError, match=rf"{way}-way {shot}-shot with 1 queries .* {way} classes of {shot + 1} clips"):
        draw_episodes(members(), way=way, shot=shot, queries=1, rng=generator(0, "few"))


def test_a_class_of_exactly_enough_clips_is_used_up() -> None:
    episodes = draw_episodes([np.arange(3), np.arange(3, 8)], way=2, shot=2, queries=1, rng=generator(0, "all"))
    column = episodes.classes[0].tolist().index(0)
    assert sorted([*episodes.support[0, column].tolist(), int(episodes.query[0, column])]) == [0, 1, 2]


def test_a_shortage_lists_all_that_is_missing() -> None:
    found = shortage(["jump", "run", "sit"], [9, 3, 5], split="val", way=5, shot=5, queries=1)
    assert found == [
        "5-way episodes need 5 classes in val, which has 3",
        "5-shot episodes with 1 queries per class need 6 videos a class, but 'run' in val has 3",
        "5-shot episodes with 1 queries per class need 6 videos a class, but 'sit' in val has 5",
    ]
    assert shortage(["jump", "run"], [9, 3], split="val", way=2, shot=1, queries=2) == []
