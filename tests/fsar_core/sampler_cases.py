"""Small video samplers of VIM, one of every kind, and videos to try them on."""

import pytest
import torch
from torch import Tensor

from fsar_core.frame_samplers import VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.losses.intra_video import IntraVideo
from fsar_core.matchers import ProtoNet
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.stages import SpatialPool
from tests.fsar_core import tiny
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


def method_of(config: VideoSampler.Config) -> MethodConfig:
    return MethodConfig(
        backbone=tiny.BACKBONE,
        frame_sampler=config,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=ProtoNet.Config(), reads="pooled", reduction="sum"),),
        losses=(IntraVideo.Config(),),
    )
