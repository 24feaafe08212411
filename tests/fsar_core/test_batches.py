"""What a training step sees: pure in (run, step), apart from what selects it, the same with and without a cache."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from fsar_core.batches import ClipStream, EpisodeStream
from fsar_core.config import ClipBatches, RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.episode import Clips
from fsar_core.given import given_clips
from fsar_core.losses import Classification
from fsar_core.method import Method
from fsar_core.methods import sgtm
from tests.fsar_core import tiny
from tests.fsar_core.lively import built

CPU = torch.device("cpu")


def episode_stream(seed: int = 0) -> EpisodeStream:
    run = tiny.run("baseline").with_seed(seed)
    return EpisodeStream(run, tiny.clips("train"), tiny.clips("val"), CPU)


def scores_run() -> RunConfig:
    """The class-score run of the tiny recipe: frozen backbone, every clip the same each time."""
    return tiny.recipe().class_scores(sgtm.score_layers(tiny.BACKBONE))


def moving_run() -> RunConfig:
    """The same with random clips, so that nothing can be cached."""
    return RunConfig.model_validate(dict(scores_run()) | {"data": tiny.data()})


def clip_stream(run: RunConfig, source: ClipSource, method: Method) -> ClipStream:
    return ClipStream(run, source, CPU, given_clips(run, method, (source,), tiny.CPU))


class Watched(ClipSource):
    """Notes the positions of clips that training draws."""

    def __init__(self, source: ClipSource) -> None:
        self.__dict__.update(source.__dict__)
        self.drawn: set[int] = set()

    def train_videos(self, positions: np.ndarray, is_query: np.ndarray, rng: np.random.Generator) -> Tensor:
        self.drawn |= set(positions.tolist())
        return super().train_videos(positions, is_query, rng)


def test_a_step_gives_the_same_episodes_whether_or_not_earlier_ones_were_drawn() -> None:
    early = episode_stream()
    for step in (1, 2):
        list(early.of_step(step))
    for left, right in zip(early.of_step(3), episode_stream().of_step(3), strict=True):
        assert torch.equal(left.videos, right.videos)
        assert torch.equal(left.class_ids, right.class_ids)


def test_steps_episodes_of_a_step_and_seeds_differ() -> None:
    drawn = [episode.videos for step in (1, 2) for episode in episode_stream().of_step(step)]
    drawn += [episode.videos for episode in episode_stream(seed=1).of_step(1)]
    assert len(drawn) == 6
    assert [(i, j) for i in range(6) for j in range(i) if torch.equal(drawn[i], drawn[j])] == []


def test_an_episode_stands_class_by_class_and_its_labels_are_columns() -> None:
    run = tiny.run("baseline")
    assert run.batches.kind == "episodes"
    for episode in episode_stream().of_step(1):
        assert (episode.way, episode.shot) == (3, 1)
        assert episode.videos.shape == (3 + 6, tiny.FRAMES, 3, tiny.CROP, tiny.CROP)
        assert episode.query_labels.tolist() == [0, 0, 1, 1, 2, 2]
        supports = episode.class_ids[:3].tolist()
        assert len(set(supports)) == 3
        assert episode.class_ids[3:].tolist() == [supports[label] for label in episode.query_labels.tolist()]


def test_flips_of_supports_and_queries_follow_their_own_switch() -> None:
    still = tiny.data(augmented=False).model_copy(
        update={"random_crop": False, "train_sampling": "segment-centre", "flip": tiny.data().flip}
    )
    always = still.model_copy(update={"flip": still.flip.model_copy(update={"support": 0.0, "query": 1.0})})
    source, rng = tiny.clips("train", always), np.random.default_rng(0)
    support, query = source.train_videos(np.array([4, 4]), np.array([False, True]), rng)
    assert torch.equal(support, source.test_videos([4])[0])
    assert torch.equal(query, support.flip(-1))


@pytest.mark.parametrize("cached", [True, False])
def test_held_out_clips_are_never_trained_on(cached: bool) -> None:
    run = scores_run() if cached else moving_run()
    source = Watched(tiny.clips("train", run.data))
    method = tiny.started(run).method
    stream = clip_stream(run, source, method)
    seen = _positions_of_an_epoch(stream, source, method) if cached else _drawn(stream, source)
    classes = np.bincount(source.class_ids[sorted(seen)], minlength=6)
    assert len(seen) == 36
    assert classes.tolist() == [6] * 6  # 2 of 8 clips per class are held out, 20 % rounded


def _drawn(stream: ClipStream, source: Watched) -> set[int]:
    for step in range(1, 31):
        list(stream.of_step(step))
    return source.drawn


def _positions_of_an_epoch(stream: ClipStream, source: ClipSource, method: Method) -> set[int]:
    """By the rows of the table of features, which all differ."""
    given = next(stream.of_step(1)).given
    assert given == "pooled"
    clips = Clips(videos=_normalised(source), class_ids=torch.from_numpy(source.class_ids))
    table = method.eval().embed(clips)[given]
    rows = torch.cat([next(stream.of_step(step)).videos for step in range(1, 31)])
    return set(torch.cdist(rows.flatten(1), table.flatten(1)).argmin(1).tolist())


def _normalised(source: ClipSource) -> Tensor:
    return (source.test_videos(np.arange(len(source))).float() / 255 - 0.45) / 0.225


def test_an_epoch_shows_every_kept_clip_once_and_the_next_in_another_order() -> None:
    run = moving_run()
    stream = ClipStream(run, tiny.clips("train", run.data), CPU)
    first, second = ([next(stream.of_step(s)).class_ids.tolist() for s in steps] for steps in ((1, 2, 3), (4, 5, 6)))
    for epoch in (first, second):
        assert [len(batch) for batch in epoch] == [12, 12, 12]
        assert np.bincount(np.concatenate(epoch)).tolist() == [6] * 6
    assert first != second


def test_another_seed_holds_out_other_clips() -> None:
    drawn: list[set[int]] = []
    for seed in (0, 1):
        run = moving_run().with_seed(seed)
        source = Watched(tiny.clips("train", run.data))
        drawn.append(_drawn(ClipStream(run, source, CPU), source))
    assert drawn[0] != drawn[1]


def test_clips_that_a_random_sampling_changes_are_not_cached() -> None:
    data = scores_run().data.model_copy(update={"train_sampling": "segment-random", "test_sampling": "segment-random"})
    run = RunConfig.model_validate(dict(scores_run()) | {"data": data})
    stream = clip_stream(run, tiny.clips("train", data), tiny.started(run).method)
    assert next(stream.of_step(1)).given is None


@pytest.mark.parametrize("pool", ["mean", "topk_mean"])
def test_the_look_at_held_out_clips_pools_the_scores_as_the_loss_does(pool: str) -> None:
    loss = Classification.Config.model_validate({"pool": pool, "topk": 1})
    method = scores_run().method.model_copy(update={"losses": (loss,)})
    run = RunConfig.model_validate(dict(scores_run()) | {"method": method, "batches": ClipBatches(held_out=0.9)})
    source, state = tiny.clips("train", run.data), tiny.started(run)
    state.method.backbone.load_state_dict(built(tiny.METHODS["baseline"]).backbone.state_dict())
    stream = clip_stream(run, source, state.method)
    kept = {int(p) for p in _positions_of_an_epoch(stream, source, state.method)}
    held = [p for p in range(len(source)) if p not in kept]
    assert len(held) == 42
    ids, clips = source.class_ids[held].tolist(), _normalised(source)[held]
    found: list[tuple[float, float]] = []
    for seed in range(10):
        torch.manual_seed(seed)
        nn.init.normal_(state.method.get_parameter("steps.scores.convolutions.6.weight"))
        with torch.no_grad():
            scores = state.method.eval().embed(Clips(videos=clips, class_ids=torch.tensor(ids)))["scores"]
        hits = [(scores.mean(1), scores.amax(1))[i].argmax(1).eq(torch.tensor(ids)).float().mean() for i in (0, 1)]
        found.append((float(hits[0]), float(hits[1])))
        assert stream.validate(state.method) == pytest.approx(found[-1][pool == "topk_mean"])
    assert any(mean != best for mean, best in found)
