"""What is computed once per clip, whatever the episodes: the features that heads read, or a frame sampler's scans."""

from collections.abc import Iterable, Iterator, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fsar_core.data.clip_source import ClipSource
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.data.transforms import normalise
from fsar_core.episode import Clips
from fsar_core.frame_samplers import FrameSampler
from fsar_core.method import Method

_VIDEOS_AT_ONCE = 32


def known_per_clip(
    method: Method, source: ClipSource, device: torch.device, sampling: FrameSampling | None = None
) -> Mapping[str, Tensor]:
    """All that a prediction of ``method`` can know of every clip before it meets an episode, clips first.

    Where the frames of a clip depend on the episode's supports these are the frame sampler's scans, else the features
    that the heads read.
    """
    if method.config.frame_sampler.by_episode():
        return scan_clips(method, source, device, sampling)
    return embed_clips(method, source, device, names=method.read_by_heads(), sampling=sampling)


@torch.inference_mode()
def embed_clips(
    method: Method,
    source: ClipSource,
    device: torch.device,
    *,
    names: Iterable[str],
    sampling: FrameSampling | None = None,
    positions: np.ndarray | None = None,
) -> dict[str, Tensor]:
    """The outputs of the named steps for every clip (or those at ``positions``), float32, on ``device``."""
    wanted = tuple(names)
    was_training = method.training
    method.eval()
    parts = [
        {name: own.float() for name, own in method.embed(clips).items() if name in wanted}
        for clips in _in_parts(source, device, sampling, positions)
    ]
    method.train(was_training)
    return _joined(parts)


@torch.inference_mode()
def scan_clips(
    method: Method, source: ClipSource, device: torch.device, sampling: FrameSampling | None = None
) -> dict[str, Tensor]:
    """What the frame sampler of ``method`` knows of each clip by itself."""
    was_training = method.training
    method.eval()
    sampler = cast(FrameSampler, method.frame_sampler)
    parts = [dict(sampler.scan(clips.videos)) for clips in _in_parts(source, device, sampling, None)]
    method.train(was_training)
    return _joined(parts)


def _in_parts(
    source: ClipSource, device: torch.device, sampling: FrameSampling | None, positions: np.ndarray | None
) -> Iterator[Clips]:
    chosen = np.arange(len(source)) if positions is None else positions
    for start in range(0, len(chosen), _VIDEOS_AT_ONCE):
        own = chosen[start : start + _VIDEOS_AT_ONCE]
        videos = source.test_videos(own, sampling).to(device, non_blocking=True)
        ids = torch.from_numpy(source.class_ids[own])
        yield Clips(videos=normalise(videos, source.config.normalisation), class_ids=ids)


def _joined(parts: list[dict[str, Tensor]]) -> dict[str, Tensor]:
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}
