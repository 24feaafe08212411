"""Measurements: the table of features gives what the plain way gives, and the numbers are those of a loop."""

from dataclasses import dataclass
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import one_hot

from fsar_core import evaluate as evaluation
from fsar_core.config import EvalConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.episodes import EpisodeList, fixed_episodes
from fsar_core.embedding import embed_clips, known_per_clip
from fsar_core.evaluate import (
    Evaluation,
    cached_logits,
    episodic_logits,
    evaluate,
    evaluate_episodes,
    plain_logits,
)
from fsar_core.matchers import BiMhm, MatcherConfig, Otam, ProtoNet, TimeAveraged
from fsar_core.method import Head, Method, MethodConfig
from fsar_core.methods import sgtm
from fsar_core.precision import Precision
from tests.fsar_core import tiny
from tests.fsar_core.lively import built
from tests.fsar_core.sampler_cases import CASES, CROP, method_of
from tests.fsar_core.sampler_cases import FRAMES as SCANNED

CPU = torch.device("cpu")
PRECISIONS: tuple[Precision, Precision] = ("fp32", "bf16")
MATCHERS: dict[str, MatcherConfig] = {
    "otam": Otam.Config(),
    "otam_features": Otam.Config(shots="features"),
    "otam_nearest": Otam.Config(shots="nearest"),
    "bimhm": BiMhm.Config(),
    "bimhm_distances": BiMhm.Config(shots="distances", reduction="mean"),
    "bimhm_nearest": BiMhm.Config(shots="nearest"),
    "protonet": ProtoNet.Config(),
    "time_averaged": TimeAveraged.Config(),
    "time_averaged_euclidean": TimeAveraged.Config(distance="squared_euclidean"),
}


def episodes(source: ClipSource, *, shot: int, queries: int, count: int = 6) -> EpisodeList:
    return fixed_episodes(
        source.members, way=4, shot=shot, queries=queries, count=count, seed=0, fingerprint=source.fingerprint
    )


def both_ways(config: MethodConfig, *, shot: int, queries: int, count: int = 6) -> tuple[Tensor, Tensor]:
    """Logits of the first six of ``count`` episodes. Many share a table of all pairs of clips, few do not."""
    method, source = built(config), tiny.clips("test")
    listed = episodes(source, shot=shot, queries=queries, count=count)
    features = embed_clips(method, source, CPU, names=method.read_by_heads())
    plain = [plain_logits(method, source, listed, i, CPU) for i in range(6)]
    return cached_logits(method, features, listed)[:6], torch.stack(plain)


def test_many_episodes_share_a_table_and_few_gather_their_own_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, ...]] = []
    pair_scores = Otam.pair_scores

    def noted(matcher: Otam, query: Tensor, support: Tensor) -> Tensor:
        asked.append(tuple(support.shape[:-2]))
        return pair_scores(matcher, query, support)

    monkeypatch.setattr(Otam, "pair_scores", noted)
    method, source = built(tiny.METHODS["baseline"]), tiny.clips("test")
    features = embed_clips(method, source, CPU, names=("matching",))
    for count in (6, 60):
        cached_logits(method, features, episodes(source, shot=1, queries=1, count=count))
    assert asked == [(6, 4), (48,)]


@pytest.mark.parametrize("count", [6, 60])
@pytest.mark.parametrize("queries", [1, 2])
@pytest.mark.parametrize("shot", [1, 3])
@pytest.mark.parametrize("matcher", MATCHERS)
def test_look_ups_give_the_logits_of_the_plain_way(matcher: str, shot: int, queries: int, count: int) -> None:
    config = sgtm.baseline(tiny.BACKBONE, MATCHERS[matcher])
    cached, plain = both_ways(config, shot=shot, queries=queries, count=count)
    assert cached.shape == (6, 4 * queries, 4)
    assert plain.std(-1).mean() > 0.02
    torch.testing.assert_close(cached, plain, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shot", [1, 3])
def test_look_ups_of_several_weighted_heads_give_the_logits_of_the_plain_way(shot: int) -> None:
    base = tiny.METHODS["encoder_only"]
    heads = (
        Head(matcher=Otam.Config(), reads="matching", logit_weight=0.3),
        Head(matcher=BiMhm.Config(), reads="encoded", logit_weight=-0.5),
        Head(matcher=ProtoNet.Config(), reads="pooled"),
    )
    cached, plain = both_ways(base.model_copy(update={"heads": heads}), shot=shot, queries=2)
    torch.testing.assert_close(cached, plain, rtol=1e-5, atol=1e-5)


def test_look_ups_in_small_portions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    config = sgtm.baseline(tiny.BACKBONE, Otam.Config(shots="features"))
    for shot, count in ((1, 60), (1, 6), (3, 6)):
        whole, _ = both_ways(config, shot=shot, queries=2, count=count)
        with monkeypatch.context() as small:
            small.setattr("fsar_core.evaluate._BYTES_AT_ONCE", 40_000)
            small.setattr("fsar_core.embedding._VIDEOS_AT_ONCE", 5)
            portions, _ = both_ways(config, shot=shot, queries=2, count=count)
        torch.testing.assert_close(portions, whole, rtol=1e-5, atol=1e-5)


@dataclass
class ByLoop:
    accuracies: list[float]
    hits: dict[str, list[bool]]


def by_loop(method: Method, source: ClipSource, listed: EpisodeList) -> ByLoop:
    hits: dict[str, list[bool]] = {label: [] for label in source.labels}
    accuracies: list[float] = []
    for i in range(len(listed)):
        logits = plain_logits(method, source, listed, i, CPU).tolist()
        right = [row.index(max(row)) == label for row, label in zip(logits, listed.labels.tolist(), strict=True)]
        for own, label in zip(right, listed.labels.tolist(), strict=True):
            hits[source.labels[listed.classes[i, label]]].append(own)
        accuracies.append(sum(right) / len(right))
    return ByLoop(accuracies, hits)


def measured(queries: int = 2, count: int = 25) -> tuple[Evaluation, ByLoop]:
    method, source = built(tiny.METHODS["encoder_only"]), tiny.clips("test")
    listed = episodes(source, shot=1, queries=queries, count=count)
    return evaluate_episodes(method, source, listed, CPU), by_loop(method, source, listed)


def test_accuracy_interval_and_outcomes_are_those_of_a_loop() -> None:
    result, loop = measured()
    mean = sum(loop.accuracies) / 25
    deviation = (sum((own - mean) ** 2 for own in loop.accuracies) / 24) ** 0.5
    assert result.accuracy == pytest.approx(mean)
    assert 0.1 < result.accuracy < 0.95
    assert result.ci95 == pytest.approx(1.96 * deviation / 25**0.5)
    assert result.queries == 8
    assert result.correct.dtype == np.uint16
    assert result.correct.tolist() == [round(own * 8) for own in loop.accuracies]


@pytest.mark.parametrize("right", [142, 143, 277])
def test_as_many_right_answers_give_the_same_accuracy_wherever_they_lie(
    monkeypatch: pytest.MonkeyPatch, right: int
) -> None:
    """Else a later look could win a tie by rounding."""
    method, source = built(tiny.METHODS["sgtm"]), tiny.clips("test")
    listed = episodes(source, shot=1, queries=3, count=25)
    labels = torch.from_numpy(listed.labels)
    found: set[float] = set()
    for seed in range(20):
        hit = torch.zeros(25 * 12, dtype=torch.bool)
        hit[torch.randperm(25 * 12, generator=torch.Generator().manual_seed(seed))[:right]] = True
        answers = torch.where(hit.view(25, 12), labels, (labels + 1) % 4)
        monkeypatch.setattr(evaluation, "cached_logits", Mock(return_value=one_hot(answers, 4).float()))
        found.add(evaluate_episodes(method, source, listed, CPU).accuracy)
    assert found == {right / (25 * 12)}


def test_the_accuracy_of_each_class_is_that_of_a_loop() -> None:
    result, loop = measured()
    assert result.per_class == pytest.approx({label: sum(own) / len(own) for label, own in loop.hits.items() if own})
    assert len(set(result.per_class.values())) > 1


def test_a_class_that_was_never_asked_has_no_accuracy_and_one_episode_no_interval() -> None:
    result, loop = measured(queries=1, count=1)
    assert result.ci95 == 0.0
    assert set(result.per_class) == {label for label, own in loop.hits.items() if own}
    assert len(result.per_class) == 4


def test_an_evaluation_is_the_same_twice_and_two_methods_meet_the_same_episodes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[EpisodeList] = []

    def noted(method: Method, features: dict[str, Tensor], listed: EpisodeList, device: torch.device) -> Tensor:
        seen.append(listed)
        return cached_logits(method, features, listed, device)

    monkeypatch.setattr("fsar_core.evaluate.cached_logits", noted)
    config, source = EvalConfig(way=4, episodes=30), tiny.clips("test")
    first = evaluate(built(tiny.METHODS["baseline"]), source, config, CPU)
    again = evaluate(built(tiny.METHODS["baseline"]), source, config, CPU)
    evaluate(built(tiny.METHODS["sgtm"]), source, config, CPU)
    assert np.array_equal(first.correct, again.correct)
    for other in seen[1:]:
        assert np.array_equal(other.support, seen[0].support)
        assert np.array_equal(other.query, seen[0].query)


def test_features_at_hand_give_the_same_evaluation() -> None:
    method, source = built(tiny.METHODS["baseline"]), tiny.clips("test")
    config = EvalConfig(way=3, shot=2, episodes=30, frame_sampling="linspace")
    features = embed_clips(method, source, CPU, names=("matching",), sampling="linspace")
    given = evaluate(method, source, config, CPU, features)
    assert np.array_equal(given.correct, evaluate(method, source, config, CPU).correct)
    other = embed_clips(method, source, CPU, names=("matching",))["matching"]
    assert not torch.allclose(features["matching"], other)


@pytest.mark.parametrize("training", [True, False])
def test_measuring_leaves_the_mode_and_the_weights_as_they_were(training: bool) -> None:
    method = built(tiny.METHODS["sgtm"]).train(training)
    before = {name: value.clone() for name, value in method.state_dict().items()}
    evaluate(method, tiny.clips("test"), EvalConfig(way=3, episodes=3), CPU)
    assert method.training == method.backbone.training == training
    assert all(torch.equal(value, before[name]) for name, value in method.state_dict().items())


def test_embedding_some_clips_gives_the_rows_of_embedding_all() -> None:
    method, source = built(tiny.METHODS["encoder_only"]), tiny.clips("test")
    everything = embed_clips(method, source, CPU, names=("pooled", "matching"))
    some = embed_clips(method, source, CPU, names=("matching",), positions=np.array([40, 2, 17]))
    assert everything["pooled"].shape == (48, tiny.FRAMES, 32)
    torch.testing.assert_close(some["matching"], everything["matching"][[40, 2, 17]])


def test_heads_match_in_float32_what_half_precision_embedded() -> None:
    method, source = built(tiny.METHODS["encoder_only"]), tiny.clips("test")
    listed = episodes(source, shot=1, queries=2, count=60)
    logits = {
        precision: cached_logits(method, known_per_clip(method, source, CPU, precision=precision), listed)
        for precision in PRECISIONS
    }
    assert logits["bf16"].dtype == torch.float32
    assert not torch.equal(logits["bf16"], logits["fp32"])
    torch.testing.assert_close(logits["bf16"], logits["fp32"], rtol=0.05, atol=0.05)


def test_half_precision_reaches_frames_that_an_episode_chooses() -> None:
    data = tiny.data(augmented=False, crop=CROP).model_copy(update={"frames": SCANNED})
    method, source = built(method_of(CASES["full"]), data=data), tiny.clips("test", data)
    listed = episodes(source, shot=1, queries=1, count=3)
    scans = known_per_clip(method, source, CPU)
    wide, half = (episodic_logits(method, source, scans, listed, CPU, precision=precision) for precision in PRECISIONS)
    assert half.dtype == torch.float32
    assert not torch.equal(half, wide)
    torch.testing.assert_close(half, wide, rtol=0.1, atol=0.1)
