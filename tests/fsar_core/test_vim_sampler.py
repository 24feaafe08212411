"""VIM's video sampler as a whole: what it keeps of every video, and what that depends on."""

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
from fsar_core.frame_samplers.evenly import even_positions
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.losses.intra_video import IntraVideo
from fsar_core.matchers import ProtoNet
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.stages import SpatialPool
from fsar_core.train import Progress, TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.lively import built, episode
from tests.fsar_core.sampler_golden import randn

SCAN = ScanNetwork.Config(name="scan_tiny", weights="none")
SELECTOR = TemporalSelector.Config(hidden=16, draws=40)
VIDEOS, SUPPORTS, FRAMES, KEEP, CROP = 5, 3, 6, 3, 48


def small(
    *,
    temporal: bool = True,
    spatial: SpatialAmplifier.Config | Cropper.Config | None = None,
    adaptive: bool = True,
) -> VideoSampler.Config:
    return VideoSampler.Config(
        keep=KEEP,
        temporal=SELECTOR if temporal else None,
        spatial=spatial,
        task=TaskLearner.Config(dim=8) if adaptive else None,
        scan_network=SCAN,
        scan_size=48,
    )


AMPLIFY = SpatialAmplifier.Config(grid="centred")
CASES: dict[str, VideoSampler.Config] = {
    "full": small(spatial=SpatialAmplifier.Config()),
    "centred": small(spatial=AMPLIFY),
    "stage_mean": small(spatial=SpatialAmplifier.Config(saliency="stage_mean")),
    "crop": small(spatial=Cropper.Config()),
    "selector_only": small(),
    "amplifier_only": small(temporal=False, spatial=SpatialAmplifier.Config()),
    "full_fixed": small(spatial=SpatialAmplifier.Config(), adaptive=False),
    "amplifier_only_fixed": small(temporal=False, spatial=SpatialAmplifier.Config(), adaptive=False),
    "crop_only": small(temporal=False, spatial=Cropper.Config(), adaptive=False),
    "selector_only_fixed": small(adaptive=False),
}
each_case = pytest.mark.parametrize("config", CASES.values(), ids=CASES)


def built_sampler(config: VideoSampler.Config, *, training: bool = False) -> VideoSampler:
    torch.manual_seed(0)
    sampler = config.build(frames=FRAMES, crop=CROP)
    sampler.train()
    sampler(videos(), SUPPORTS)  # batch norms that know such videos
    return sampler.train(training)


def videos(seed: int = 0, count: int = VIDEOS) -> Tensor:
    """With a bright patch somewhere, so that something is salient."""
    made = randn(count, FRAMES, 3, CROP, CROP, seed=seed).float()
    for v in range(count):
        for m in range(FRAMES):
            made[v, m, :, 4 * m : 4 * m + 16, 5 * v : 5 * v + 12] += 3.0
    return made


def seeded(sampler: VideoSampler, clips: Tensor) -> Tensor:
    torch.manual_seed(7)
    return sampler(clips, SUPPORTS).frames


def test_parameters_are_those_of_the_paper() -> None:
    sampler = VideoSampler.Config(scan_network=ScanNetwork.Config(weights="none")).build(frames=20, crop=224)
    assert sampler.selector is not None
    assert sampler.task is not None
    assert sampler.task.temporal is not None
    assert sampler.task.spatial is not None
    parts = (sampler.scan_network, sampler.selector, sampler.task.encoder, sampler.task.temporal, sampler.task.spatial)
    counts = [sum(p.numel() for p in part.parameters()) for part in (*parts, sampler)]
    assert counts == [341_792, 1_049_088, 164_224, 66_048, 24_768, 1_645_920]


@each_case
class TestEverySampler:
    def test_shapes_are_as_said_in_both_modes(self, config: VideoSampler.Config) -> None:
        for training in (True, False):
            sampled = built_sampler(config, training=training)(videos(), SUPPORTS)
            scanned = FRAMES if config.temporal else KEEP
            assert sampled.frames.shape == (VIDEOS, KEEP, 3, CROP, CROP)
            assert sampled.features.shape == (VIDEOS, scanned, 64)
            assert sampled.indicator.shape == (VIDEOS, KEEP, scanned)
            torch.testing.assert_close(sampled.indicator.sum(-1), torch.ones(VIDEOS, KEEP))
            assert (sampled.indices is None) == (training and config.temporal is not None)
            assert (sampled.saliency is None) != isinstance(config.spatial, SpatialAmplifier.Config)
            assert (sampled.corners is None) != isinstance(config.spatial, Cropper.Config)
            assert sampled.rescan().shape == (VIDEOS, KEEP, 64)

    def test_a_test_keeps_the_frames_it_names_in_their_order(self, config: VideoSampler.Config) -> None:
        with torch.no_grad():
            sampled = built_sampler(config)(videos(), SUPPORTS)
        assert sampled.indices is not None
        assert (sampled.indices.diff(dim=1) > 0).all()
        if config.temporal is None:
            assert torch.equal(sampled.indices, even_positions(FRAMES, KEEP).expand(VIDEOS, -1))
        if config.spatial is None:
            assert torch.equal(sampled.frames, torch.stack([videos()[v, sampled.indices[v]] for v in range(VIDEOS)]))
        else:
            kept = torch.stack([videos()[v, sampled.indices[v]] for v in range(VIDEOS)])
            assert (sampled.frames - kept).abs().max() > 0.1

    def test_scans_made_beforehand_give_the_same_frames(self, config: VideoSampler.Config) -> None:
        sampler = built_sampler(config)
        with torch.no_grad():
            singly = [sampler.scan(video[None]) for video in videos()]
            scan = {name: torch.cat([own[name] for own in singly]) for name in singly[0]}
            plain, known = sampler(videos(), SUPPORTS), sampler(videos(), SUPPORTS, scan)
            exact = sampler(videos(), SUPPORTS, sampler.scan(videos()))
        assert torch.equal(exact.frames, plain.frames)
        assert torch.equal(known.indices, plain.indices)
        torch.testing.assert_close(known.frames, plain.frames, rtol=1e-4, atol=1e-4)

    def test_a_test_is_deterministic_and_training_draws_from_the_global_generator(
        self, config: VideoSampler.Config
    ) -> None:
        with torch.no_grad():
            still = built_sampler(config)
            assert torch.equal(still(videos(), SUPPORTS).frames, still(videos(), SUPPORTS).frames)
            sampler = built_sampler(config, training=True)
            first = seeded(sampler, videos())
            assert torch.equal(seeded(sampler, videos()), first)
            draws = config.temporal is not None or config.task is not None
            assert torch.equal(sampler(videos(), SUPPORTS).frames, first) != draws

    def test_a_query_does_not_see_the_others_and_supports_may_come_in_any_order(
        self, config: VideoSampler.Config
    ) -> None:
        sampler, whole = built_sampler(config), videos()
        with torch.no_grad():
            together = sampler(whole, SUPPORTS).frames
            alone = sampler(whole[[0, 1, 2, 4]], SUPPORTS).frames[3]
            turned = sampler(whole[[2, 0, 1, 3, 4]], SUPPORTS).frames[[1, 2, 0, 3, 4]]
        torch.testing.assert_close(alone, together[4], rtol=1e-4, atol=1e-4)
        torch.testing.assert_close(turned, together, rtol=1e-4, atol=1e-4)

    def test_supports_matter_just_where_a_task_is_learned(self, config: VideoSampler.Config) -> None:
        sampler, whole = built_sampler(config), videos()
        assert config.by_episode() == (config.task is not None)
        other = torch.cat((-2 * whole[:SUPPORTS], whole[SUPPORTS:]))
        with torch.no_grad():
            if config.task is None:
                expected = sampler(whole).frames[SUPPORTS:]
                assert torch.equal(sampler(other, SUPPORTS).frames[SUPPORTS:], expected)
            else:
                assert sampler.task is not None
                means = [sampler(own, SUPPORTS).features[:SUPPORTS].mean(1) for own in (whole, other)]
                made = [[w for w in sampler.task(mean) if w is not None] for mean in means]
                assert all((a - b).abs().max() > 1e-4 for a, b in zip(*made, strict=True))

    def test_every_parameter_learns_from_the_frames_or_from_the_scan(self, config: VideoSampler.Config) -> None:
        sampler = built_sampler(config, training=True)
        torch.manual_seed(1)
        sampled = sampler(videos(), SUPPORTS)
        (sampled.frames * randn(*sampled.frames.shape, seed=3).float()).sum().backward()
        silent = {name for name, p in sampler.named_parameters() if p.grad is None or not p.grad.any()}
        # alone, a crop reads nothing of the scan but maps that are cut off from the gradient
        unread = config.temporal is None and isinstance(config.spatial, Cropper.Config)
        expected = {name for name, _ in sampler.named_parameters() if unread and name.startswith("scan_network")}
        assert silent == expected

    def test_supports_and_queries_pass_batch_norms_apart_in_training(self, config: VideoSampler.Config) -> None:
        sampler = built_sampler(config, training=True)
        with torch.no_grad():
            together = sampler(videos(), SUPPORTS).features
            alone = sampler(videos()[:SUPPORTS], SUPPORTS).features
            others = sampler(torch.cat((videos()[:SUPPORTS], videos(seed=5)[SUPPORTS:])), SUPPORTS).features
        torch.testing.assert_close(together[:SUPPORTS], alone)
        torch.testing.assert_close(together[:SUPPORTS], others[:SUPPORTS])

    def test_corners_and_scans_of_kept_frames_pass_them_apart_too(self, config: VideoSampler.Config) -> None:
        sampler, found = built_sampler(config, training=True), list[list[Tensor]]()
        for queries in (videos(), videos(seed=5)):
            torch.manual_seed(7)
            with torch.no_grad():
                sampled = sampler(torch.cat((videos()[:SUPPORTS], queries[SUPPORTS:])), SUPPORTS)
                found.append([sampled.rescan(), *([] if sampled.corners is None else [sampled.corners])])
        for own, other in zip(*found, strict=True):
            torch.testing.assert_close(own[:SUPPORTS], other[:SUPPORTS])
            assert (own[SUPPORTS:] - other[SUPPORTS:]).abs().max() > 1e-4

    @pytest.mark.parametrize("training", [True, False])
    def test_a_scan_of_kept_frames_leaves_no_trace_in_batch_norms(
        self, config: VideoSampler.Config, training: bool
    ) -> None:
        sampler = built_sampler(config, training=training)
        with torch.no_grad():
            sampled = sampler(videos(), SUPPORTS)
            before = {name: own.clone() for name, own in sampler.state_dict().items()}
            found = sampled.rescan()
            assert all(torch.equal(own, before[name]) for name, own in sampler.state_dict().items())
            # the values are those of a plain pass, which training does record
            halves = sampled.frames.split(SUPPORTS) if training else [sampled.frames]
            expected = torch.cat([sampler.scan_network(half.flatten(0, 1)).pooled for half in halves])
        torch.testing.assert_close(found.flatten(0, 1), expected)
        counted = "scan_network.layers.features.0.1.num_batches_tracked"
        assert sampler.state_dict()[counted] - before[counted] == (2 if training else 0)

    def test_kept_frames_can_be_scanned_in_half_precision(self, config: VideoSampler.Config) -> None:
        sampler = built_sampler(config, training=True)
        torch.manual_seed(7)
        full = sampler(videos(), SUPPORTS).rescan()
        torch.manual_seed(7)
        with torch.autocast("cpu", torch.bfloat16):
            half = sampler(videos(), SUPPORTS).rescan()
        assert (half - full).abs().mean() < 0.1 * full.abs().mean()
        half.float().square().sum().backward()
        assert all(p.grad is not None and p.grad.isfinite().all() for p in sampler.scan_network.parameters())

    def test_forward_runs_without_values(self, config: VideoSampler.Config) -> None:
        with torch.device("meta"):
            sampler = config.build(frames=FRAMES, crop=CROP)
            for training in (True, False):
                sampled = sampler.train(training)(torch.empty(VIDEOS, FRAMES, 3, CROP, CROP), SUPPORTS)
                assert sampled.frames.shape == (VIDEOS, KEEP, 3, CROP, CROP)

    def test_double_stays_double_and_half_precision_gives_float_choices(self, config: VideoSampler.Config) -> None:
        sampler = built_sampler(config)
        with torch.no_grad():
            full = sampler(videos(), SUPPORTS)
            with torch.autocast("cpu", torch.bfloat16):
                half = sampler(videos(), SUPPORTS)
            double = sampler.double()(videos().double(), SUPPORTS)
        assert half.indicator.dtype == torch.float32
        assert (half.features - full.features).abs().max() < 0.05 * full.features.abs().max()
        assert double.frames.dtype == double.features.dtype == double.indicator.dtype == torch.float64
        assert torch.equal(double.indices, full.indices)
        assert (double.frames - full.frames).abs().max() < 0.01

    @pytest.mark.parametrize("value", [0.0, 5.0])
    def test_videos_without_content_give_finite_frames_and_gradients(
        self, config: VideoSampler.Config, value: float
    ) -> None:
        sampler = built_sampler(config, training=True)
        sampled = sampler(torch.full((VIDEOS, FRAMES, 3, CROP, CROP), value), SUPPORTS)
        (sampled.frames.square().mean() + sampled.features.square().mean()).backward()
        assert sampled.frames.isfinite().all()
        assert all(p.grad.isfinite().all() for p in sampler.parameters() if p.grad is not None)

    def test_a_config_survives_json_inside_a_method(self, config: VideoSampler.Config) -> None:
        method = method_of(config)
        assert MethodConfig.model_validate_json(method.model_dump_json()) == method


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


def method_of(config: VideoSampler.Config) -> MethodConfig:
    return MethodConfig(
        backbone=tiny.BACKBONE,
        frame_sampler=config,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=ProtoNet.Config(), reads="pooled", reduction="sum"),),
        losses=(IntraVideo.Config(),),
    )


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
