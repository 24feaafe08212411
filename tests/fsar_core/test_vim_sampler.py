"""VIM's video sampler as a whole: what it keeps of every video, and what that depends on."""

import pytest
import torch
from torch import Tensor

from fsar_core.frame_samplers import VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.evenly import even_positions
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.method import MethodConfig
from tests.fsar_core.sampler_cases import (
    CROP,
    FRAMES,
    KEEP,
    SUPPORTS,
    VIDEOS,
    built_sampler,
    each_case,
    method_of,
    seeded,
    videos,
)
from tests.fsar_core.sampler_golden import randn


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
