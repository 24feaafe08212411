"""VIM's video sampler inside a method: scans kept, schedules followed, trained and evaluated."""

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fsar_core.config import EvalConfig
from fsar_core.data.episodes import fixed_episodes
from fsar_core.embedding import known_per_clip
from fsar_core.evaluate import episodic_logits, evaluate, plain_logits
from fsar_core.frame_samplers import FRAME_SAMPLERS, VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.lively import built, episode
from tests.fsar_core.sampler_cases import (
    CASES,
    CROP,
    FRAMES,
    SCAN,
    SELECTOR,
    SUPPORTS,
    built_sampler,
    method_of,
    small,
    videos,
)


def test_soft_frames_are_mixed_by_the_indicator() -> None:
    sampled = built_sampler(CASES["selector_only"], training=True)(videos(), SUPPORTS)
    assert ((sampled.indicator > 0) & (sampled.indicator < 1)).any()
    expected = torch.einsum("vtm,vmcxy->vtcxy", sampled.indicator, videos())
    torch.testing.assert_close(sampled.frames, expected, rtol=1e-4, atol=1e-4)


def test_a_scan_of_kept_frames_gives_their_features_again() -> None:
    with torch.no_grad():
        sampled = built_sampler(CASES["selector_only"])(videos(), SUPPORTS)
        torch.testing.assert_close(sampled.rescan(), sampled.indicator @ sampled.features, rtol=1e-4, atol=1e-4)


def test_what_is_scanned_is_the_frame_resized_with_antialiasing() -> None:
    config = small().model_copy(update={"scan_size": 16})
    sampler = built_sampler(config)
    blurred = torch.nn.functional.interpolate(videos()[0], (16, 16), mode="bilinear", antialias=True)
    with torch.no_grad():
        torch.testing.assert_close(sampler.scan(videos())["features"][0], sampler.scan_network(blurred).pooled)


def test_without_grid_grad_the_channel_weights_learn_nothing() -> None:
    still = small(spatial=SpatialAmplifier.Config(grid_grad=False), adaptive=False)
    for config, learns in ((still, False), (CASES["full_fixed"], True)):
        sampler = built_sampler(config, training=True)
        sampler(videos(), SUPPORTS).frames.square().sum().backward()
        assert sampler.amplifier is not None
        assert sampler.amplifier.weight is not None
        assert (sampler.amplifier.weight.grad is not None) == learns


def test_sigma_follows_the_training_of_the_method() -> None:
    method = method_of(CASES["full"]).build(frames=FRAMES, crop=CROP, classes=6)
    method.at_step(100, 100)
    sampler = method.frame_sampler
    assert isinstance(sampler, VideoSampler)
    assert sampler.selector is not None
    assert sampler.selector.sigma == pytest.approx(0.1 * 0.8**7)


def test_a_sampler_is_a_member_of_the_union_and_says_where_its_weights_come_from() -> None:
    assert VideoSampler.Config in FRAME_SAMPLERS
    sampler = CASES["full"].build(frames=FRAMES, crop=CROP)
    assert sampler.pretrained() == [(sampler.scan_network, SCAN)]
    assert VideoSampler.Config().scan_network.published() == ("shufflenet_v2_x0_5", "IMAGENET1K_V1")


class TestRefusals:
    def test_a_sampler_with_nothing_to_do(self) -> None:
        with pytest.raises(ValidationError, match="needs a temporal or a spatial part; use 'evenly' or 'keep_all'"):
            VideoSampler.Config(temporal=None, spatial=None)

    @pytest.mark.parametrize("spatial", [Cropper.Config(), SpatialAmplifier.Config(saliency="stage_mean")])
    def test_a_task_learner_without_weights_to_generate(
        self, spatial: SpatialAmplifier.Config | Cropper.Config
    ) -> None:
        with pytest.raises(ValidationError, match=r"a task learner needs .*; set task to None"):
            VideoSampler.Config(temporal=None, spatial=spatial)

    def test_more_frames_to_keep_than_there_are(self) -> None:
        assert VideoSampler.Config().frames(8) == 8
        with pytest.raises(ValueError, match="video_sampler keeps 8 frames of each clip, but clips have 7"):
            VideoSampler.Config().frames(7)

    def test_a_scan_larger_than_the_frame(self) -> None:
        with pytest.raises(ValueError, match=r"scan_size must be at most the crop of 32, got 48"):
            CASES["full"].build(frames=FRAMES, crop=32)

    def test_clips_without_an_episode(self) -> None:
        with pytest.raises(ValueError, match="needs an episode; set task to None"):
            CASES["full"].build(frames=FRAMES, crop=CROP)(videos())


TINY = {
    name: method_of(config.model_copy(update={"keep": 2, "scan_size": 16}))
    for name, config in CASES.items()
    if name in ("full", "selector_only", "amplifier_only", "crop")
}


@pytest.mark.parametrize("name", TINY)
def test_an_evaluation_with_cached_scans_gives_the_logits_of_the_plain_way(name: str) -> None:
    method, source = built(TINY[name]), tiny.clips("test")
    cpu = torch.device("cpu")
    listed = fixed_episodes(source.members, way=4, shot=2, queries=1, count=5, seed=0, fingerprint=source.fingerprint)
    known = known_per_clip(method, source, cpu)
    assert known["features"].shape[:2] == (len(source), 2 if name == "amplifier_only" else 4)
    cached = episodic_logits(method, source, known, listed, cpu)
    plain = torch.stack([plain_logits(method, source, listed, i, cpu) for i in range(5)])
    torch.testing.assert_close(cached, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", TINY)
def test_a_training_step_of_a_whole_method_is_finite_and_repeatable(name: str) -> None:
    totals: list[Tensor] = []
    for _ in range(2):
        method = built(TINY[name]).train()
        method.at_step(1, 10)
        torch.manual_seed(5)
        output = method(episode(shot=2))
        output.total.backward()
        assert set(output.losses) == {"protonet_0", "intra_video"}
        totals.append(output.total)
    assert totals[0].isfinite()
    assert torch.equal(*totals)


def test_a_training_moves_all_parts_of_the_sampler_and_can_be_evaluated() -> None:
    run = tiny.recipe(steps=3).few_shot(TINY["crop"])
    state = tiny.started(run)
    before = {name: p.detach().clone() for name, p in state.method.frame_sampler.named_parameters()}
    sigmas: list[float] = []

    def report(_: Progress, now: TrainState) -> None:
        sampler = now.method.frame_sampler
        assert isinstance(sampler, VideoSampler)
        assert sampler.selector is not None
        sigmas.append(sampler.selector.sigma)

    train(state, tiny.clips("train"), tiny.clips("val"), tiny.CPU, report)
    assert sigmas == [SELECTOR.sigma_at(step, 3) for step in (1, 2, 3)]
    assert all(not torch.equal(p, before[name]) for name, p in state.method.frame_sampler.named_parameters())
    found = evaluate(state.method, tiny.clips("test"), EvalConfig(episodes=5), torch.device("cpu"))
    assert found.correct.shape == (5,)
