"""The time of matching all episodes of a test, from a part of them."""

import pytest
import torch
from torch import Tensor

from fsar_core import matching_time
from fsar_core.config import EvalConfig
from fsar_core.matchers import Matcher
from fsar_core.matching_time import matching_seconds
from fsar_core.presets import laptop, laptop64
from search_spaces.variants import find_variants
from tests.fsar_core import tiny

CPU = torch.device("cpu")
EPISODE_S, PAIR_S = 0.003, 0.0001


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """On which an episode and a pair of a table take a known time. How many episodes or rows were matched at once."""
    now, sizes = [0.0], list[int]()

    def episodes(_: Matcher, __: Tensor, support: Tensor, ___: Tensor, ____: torch.device) -> Tensor:
        now[0] += EPISODE_S * len(support)
        sizes.append(len(support))
        return support

    def table(_: Matcher, queries: Tensor, supports: Tensor) -> Tensor:
        now[0] += PAIR_S * len(queries) * len(supports)
        sizes.append(len(queries))
        return queries

    monkeypatch.setattr(matching_time, "gathered", episodes)
    monkeypatch.setattr(matching_time, "pair_table", table)
    monkeypatch.setattr(matching_time.time, "perf_counter", lambda: now[0])
    return sizes


@pytest.mark.usefixtures("clock")
def test_few_episodes_stand_for_all_of_them() -> None:
    few = EvalConfig(episodes=12)
    assert matching_seconds(tiny.run(), few, 1000, CPU) == pytest.approx(12 * EPISODE_S)  # no table of 1,000 clips
    other = EvalConfig(episodes=10_000, shot=5, method=find_variants(["trx"])[0].run(laptop("motionshapes")).method)
    assert matching_seconds(tiny.run(), other, 240, CPU) == pytest.approx(10_000 * EPISODE_S)  # no score of a pair


def test_where_all_pairs_of_clips_are_scored_first_these_count(clock: list[int]) -> None:
    assert matching_seconds(tiny.run(), EvalConfig(episodes=10_000), 240, CPU) == pytest.approx(240**2 * PAIR_S)
    assert matching_seconds(tiny.run(), EvalConfig(episodes=10_000), 80, CPU) == pytest.approx(80**2 * PAIR_S)
    assert max(clock) <= 64  # the table of noise has no more rows


def test_what_is_quick_is_done_again_and_again_not_more_of_it_at_once(
    clock: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(globals(), "EPISODE_S", 1e-5)
    assert matching_seconds(tiny.run(), EvalConfig(episodes=12), 1000, CPU) == pytest.approx(12e-5)
    assert max(clock) == 64
    assert sum(clock) * 1e-5 >= 0.3


def test_where_frames_depend_on_the_episode_each_is_matched_by_itself(clock: list[int]) -> None:
    run = find_variants(["vim"])[0].run(laptop64("motionshapes"))
    assert matching_seconds(run, EvalConfig(episodes=10_000), 240, CPU) == pytest.approx(10_000 * EPISODE_S)
    assert set(clock) == {1}


@pytest.mark.parametrize("name", ["frame_matching", "hyrsm", "i2st", "sgtm", "strm", "trx", "vim"])
@pytest.mark.parametrize("shot", [1, 5])
def test_the_heads_of_every_method_are_timed(name: str, shot: int) -> None:
    run = find_variants([name])[0].run(laptop64("motionshapes"))
    assert matching_seconds(run, EvalConfig(episodes=10, shot=shot), 240, CPU) > 0


def test_a_method_without_heads_answers_no_episode() -> None:
    with pytest.raises(ValueError, match="a method with heads"):
        matching_seconds(laptop("motionshapes").needs[0].run, EvalConfig(), 240, CPU)
