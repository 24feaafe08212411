"""VIM's video sampler: which frames, and what of them, given the supports of the episode.

Liu et al., "Few-shot Action Recognition via Intra- and Inter-Video Information Maximization", 2023, section 3.3; and
R00Kie-Liu/Sampler, code of its predecessor (ACM MM 2022).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import torch
from pydantic import Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from fsar_core.backbones import Pretrained, PretrainedConfig
from fsar_core.episode import Sampled
from fsar_core.frame_samplers.base import FrameSampler, FrameSamplerBase, Scan
from fsar_core.frame_samplers.batch_norms import unrecorded
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.evenly import even_positions
from fsar_core.frame_samplers.saliency import stage_mean
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.precision import full_precision, wide

SpatialConfig = Annotated[SpatialAmplifier.Config | Cropper.Config, Field(discriminator="kind")]


@dataclass(frozen=True, kw_only=True)
class VideoSampled(Sampled):
    """``frames`` with how they came about. M: the frames that were scanned, T of them without a temporal selector."""

    indicator: Tensor
    """(V, T, M), rows sum to 1: shares in training, one-hot rows else."""
    indices: Tensor | None
    """(V, T) int64, increasing, of the frames that came in; None where the choice was soft."""
    features: Tensor
    """(V, M, c), of the scan network."""
    saliency: Tensor | None
    """(V, T, S, S) in 0..1, what the amplifier was given; None without one."""
    corners: Tensor | None
    """(V, T, 2), x and y in pixels; None without cropping."""
    rescan: Callable[[], Tensor]
    """Runs the scan network on ``frames``: (V, T, c), with gradients. Its batch norms do not record this pass: a test
    scans only frames as they came in."""


class VideoSampler(FrameSampler):
    """Scans all frames at low resolution, keeps T of them, and amplifies or crops these.

    In training supports and queries always pass its batch norms apart, whatever ``joint_batch_norm`` of the method.
    """

    class Config(FrameSamplerBase):
        kind: Literal["video_sampler"] = "video_sampler"
        keep: int = Field(default=8, ge=1)
        """T."""
        temporal: TemporalSelector.Config | None = TemporalSelector.Config()
        """None: T evenly spaced frames are scanned."""
        spatial: SpatialConfig | None = SpatialAmplifier.Config()
        """None: frames stay as they are."""
        task: TaskLearner.Config | None = TaskLearner.Config()
        """None: the weights of selector and amplifier are learned, and the same for all episodes."""
        scan_network: ScanNetwork.Config = ScanNetwork.Config()
        scan_size: int = Field(default=64, ge=16)
        """s, pixels per side of a scanned frame."""

        @model_validator(mode="after")
        def _has_something_to_do(self) -> Self:
            if self.temporal is None and self.spatial is None:
                raise ValueError(
                    "a video_sampler needs a temporal or a spatial part; use 'evenly' or 'keep_all' instead"
                )
            if self.task is not None and self.temporal is None and not self.weighs_channels():
                raise ValueError(
                    "a task learner needs a temporal selector or an amplifier with channel_attention to generate "
                    "weights for; set task to None"
                )
            return self

        def weighs_channels(self) -> bool:
            """Whether there is a weight ws."""
            return isinstance(self.spatial, SpatialAmplifier.Config) and self.spatial.weighted()

        def by_episode(self) -> bool:
            return self.task is not None

        def frames(self, total: int) -> int:
            """Raises ValueError where there are fewer frames than it is to keep."""
            if total < self.keep:
                raise ValueError(f"video_sampler keeps {self.keep} frames of each clip, but clips have {total}")
            return self.keep

        def build(self, *, frames: int, crop: int) -> "VideoSampler":
            """Raises ValueError where scanned frames would be larger than those that come in."""
            if self.scan_size > crop:
                raise ValueError(f"video_sampler.scan_size must be at most the crop of {crop}, got {self.scan_size}")
            return VideoSampler(self, frames, crop)

    positions: Tensor

    def __init__(self, config: Config, frames: int, crop: int) -> None:
        super().__init__()
        self.config = config
        adaptive, widths = config.task is not None, config.scan_network.widths()
        self.scan_network = config.scan_network.build()
        self.selector = self.amplifier = self.cropper = self.task = None
        if config.temporal is not None:
            self.selector = config.temporal.build(
                width=widths.pooled, frames=frames, keep=config.keep, generated=adaptive
            )
        by_stages = isinstance(config.spatial, SpatialAmplifier.Config) and not config.spatial.weighted()
        cells = -(-config.scan_size // (4 if by_stages else 16))
        if isinstance(config.spatial, SpatialAmplifier.Config):
            self.amplifier = config.spatial.build(width=widths.stage4, cells=cells, crop=crop, generated=adaptive)
        elif config.spatial is not None:
            self.cropper = config.spatial.build(width=widths.stage4, cells=cells, crop=crop)
        if config.task is not None:
            self.task = config.task.build(
                width=widths.pooled,
                temporal=None if config.temporal is None else config.temporal.hidden,
                spatial=widths.stage4 if config.weighs_channels() else None,
            )
        scanned = torch.arange(frames) if config.temporal else even_positions(frames, config.keep)
        self.register_buffer("positions", scanned, persistent=False)

    def pretrained(self) -> Sequence[tuple[Pretrained, PretrainedConfig]]:
        return [(self.scan_network, self.config.scan_network)]

    def scan(self, videos: Tensor) -> Scan:
        """``features`` (V, M, c), and ``maps`` (V, M, c_s, h, h) where a spatial part reads them."""
        return self._scanned(videos[:, self.positions])

    def forward(self, videos: Tensor, supports: int | None = None, scan: Scan | None = None) -> VideoSampled:
        """(V, M, 3, S, S) to (V, T, 3, S, S).

        Raises ValueError where the weights depend on supports and there are none.
        """
        if self.task is not None and not supports:
            raise ValueError("a video_sampler with a task learner needs an episode; set task to None for single clips")
        videos = videos[:, self.positions]
        parts = supports if self.training and supports != len(videos) else None
        seen = self._scanned(videos, parts) if scan is None else scan
        with full_precision(videos.device):
            features = wide(seen["features"])
            weights = (None, None) if self.task is None else self.task(features[:supports].mean(1))
            indicator, chosen = self._chosen(features, weights[0])
        if chosen is None:
            frames = (indicator.to(videos.dtype) @ videos.flatten(2)).unflatten(2, videos.shape[2:])
        else:
            frames = _picked(videos, chosen)
        saliency, corners = None, None
        with full_precision(videos.device):
            if self.amplifier is not None:
                saliency = self.amplifier.saliency(*_at_chosen(wide(seen["maps"]), indicator, chosen), weights[1])
                frames = self.amplifier(wide(frames), saliency)
            elif self.cropper is not None:
                corners = self._corners(*_at_chosen(wide(seen["maps"]), indicator, chosen), parts)
                frames = self.cropper(wide(frames), corners)
        return VideoSampled(
            frames=frames,
            indicator=indicator,
            indices=None if chosen is None else self.positions[chosen],
            features=features,
            saliency=saliency,
            corners=corners,
            rescan=lambda: self._rescanned(frames, parts),
        )

    def _rescanned(self, frames: Tensor, supports: int | None) -> Tensor:
        with unrecorded(self.scan_network):
            return self._scanned(frames, supports)["features"]

    def _scanned(self, videos: Tensor, supports: int | None = None) -> Scan:
        """(V, M, 3, S, S). The first ``supports`` videos pass apart from the others, where a number is given."""
        if supports is not None:
            halves = [self._scanned(half) for half in (videos[:supports], videos[supports:])]
            return {name: torch.cat([half[name] for half in halves]) for name in halves[0]}
        size = (self.config.scan_size, self.config.scan_size)
        # wide: resizing with antialiasing knows no bfloat16, which mixed frames are under autocast
        small = F.interpolate(wide(videos).flatten(0, 1), size, mode="bilinear", antialias=True, align_corners=False)
        seen = self.scan_network(small)
        scan = {"features": seen.pooled}
        if self.amplifier is not None and not self.amplifier.config.weighted():
            scan["maps"] = stage_mean(seen.stages)
        elif self.config.spatial is not None:
            scan["maps"] = seen.stages[2]
        return {name: own.unflatten(0, videos.shape[:2]) for name, own in scan.items()}

    def _chosen(self, features: Tensor, weight: Tensor | None) -> tuple[Tensor, Tensor | None]:
        """The indicator (V, T, M), and the positions (V, T) among the scanned frames where the choice is hard."""
        if self.selector is not None:
            return self.selector(features, weight)
        count, total = features.shape[:2]
        every = torch.eye(total, dtype=features.dtype, device=features.device)
        return every.expand(count, -1, -1), torch.arange(total, device=features.device).expand(count, -1)

    def _corners(self, maps: Tensor, indicator: Tensor | None, supports: int | None) -> Tensor:
        """(V, T, 2)."""
        assert self.cropper is not None
        if indicator is not None:
            maps = (indicator @ maps.flatten(2)).unflatten(2, maps.shape[2:])
        halves = [maps] if supports is None else [maps[:supports], maps[supports:]]
        corners = [self.cropper.corners(half.flatten(0, 1)) for half in halves]
        return torch.cat(corners).unflatten(0, maps.shape[:2])


def _at_chosen(maps: Tensor, indicator: Tensor, chosen: Tensor | None) -> tuple[Tensor, Tensor | None]:
    """The maps (V, T, ...) of the chosen frames; where the choice is soft, all (V, M, ...) and how to mix them."""
    return (maps, indicator) if chosen is None else (_picked(maps, chosen), None)


def _picked(values: Tensor, chosen: Tensor) -> Tensor:
    """(V, M, ...) at (V, T) -> (V, T, ...)."""
    return values.gather(1, chosen.reshape(*chosen.shape, *(1,) * (values.ndim - 2)).expand(-1, -1, *values.shape[2:]))
