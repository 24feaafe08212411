"""What is computed once per clip, whatever the episodes: the features that heads read, or a frame sampler's scans."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import cast

import numpy as np
import torch
from torch import Tensor

from fsar_core.data.clip_source import ClipSource
from fsar_core.data.frame_sampling import FrameSampling
from fsar_core.data.processes import Progress, silent
from fsar_core.data.transforms import normalise
from fsar_core.episode import Clips
from fsar_core.frame_samplers import FrameSampler
from fsar_core.method import Method
from fsar_core.precision import Precision, mixed

_VIDEOS_AT_ONCE = 32
_SHARE_OF_DEVICE = 0.25
"""Tables that take more of the accelerator's memory stay in main memory; episodes are moved there in portions."""


def known_per_clip(
    method: Method,
    source: ClipSource,
    device: torch.device,
    sampling: FrameSampling | None = None,
    precision: Precision = "fp32",
) -> Mapping[str, Tensor]:
    """All that a prediction of ``method`` can know of every clip before it meets an episode, clips first.

    Where the frames of a clip depend on the episode's supports these are the frame sampler's scans, else the features
    that the heads read. Always float32; ``precision`` is that of the products inside.
    """
    if method.config.frame_sampler.by_episode():
        return scan_clips(method, source, device, sampling, precision)
    return embed_clips(method, source, device, names=method.read_by_heads(), sampling=sampling, precision=precision)


def embed_clips(
    method: Method,
    source: ClipSource,
    device: torch.device,
    *,
    names: Iterable[str],
    sampling: FrameSampling | None = None,
    positions: np.ndarray | None = None,
    precision: Precision = "fp32",
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """The outputs of the named steps for every clip (or those at ``positions``), float32, on ``device`` if they fit."""
    wanted = tuple(names)

    def outputs(clips: Clips) -> dict[str, Tensor]:
        return {name: own for name, own in method.embed(clips).items() if name in wanted}

    return _over_clips(outputs, method, source, device, sampling, positions, precision, progress)


def scan_clips(
    method: Method,
    source: ClipSource,
    device: torch.device,
    sampling: FrameSampling | None = None,
    precision: Precision = "fp32",
) -> dict[str, Tensor]:
    """What the frame sampler of ``method`` knows of each clip by itself."""
    sampler = cast(FrameSampler, method.frame_sampler)
    return _over_clips(lambda clips: sampler.scan(clips.videos), method, source, device, sampling, None, precision)


@torch.inference_mode()
def _over_clips(
    outputs: Callable[[Clips], Mapping[str, Tensor]],
    method: Method,
    source: ClipSource,
    device: torch.device,
    sampling: FrameSampling | None,
    positions: np.ndarray | None,
    precision: Precision,
    progress: Progress = silent,
) -> dict[str, Tensor]:
    """One table per output, filled part by part: the whole never exists twice."""
    chosen = np.arange(len(source)) if positions is None else positions
    was_training = method.training
    method.eval()
    tables: dict[str, Tensor] = {}
    done = 0
    progress(done, len(chosen))
    for clips in _in_parts(source, device, sampling, chosen):
        with mixed(device, precision):
            part = outputs(clips)
        tables = tables or _empty(part, len(chosen), device)
        for name, own in part.items():
            tables[name][done : done + len(own)] = own
        done += len(clips.videos)
        progress(done, len(chosen))
    method.train(was_training)
    return tables


def home(size: int, device: torch.device) -> torch.device:
    """Where a table of so many bytes is kept: on ``device``, or in main memory where it would fill that."""
    if device.type != "cuda" or size <= _SHARE_OF_DEVICE * torch.cuda.get_device_properties(device).total_memory:
        return device
    return torch.device("cpu")


def _empty(part: Mapping[str, Tensor], clips: int, device: torch.device) -> dict[str, Tensor]:
    place = home(sum(4 * clips * own[0].numel() for own in part.values()), device)
    return {name: torch.empty((clips, *own.shape[1:]), dtype=torch.float32, device=place) for name, own in part.items()}


def _in_parts(
    source: ClipSource, device: torch.device, sampling: FrameSampling | None, chosen: np.ndarray
) -> Iterator[Clips]:
    for start in range(0, len(chosen), _VIDEOS_AT_ONCE):
        own = chosen[start : start + _VIDEOS_AT_ONCE]
        videos = source.test_videos(own, sampling).to(device, non_blocking=True)
        ids = torch.from_numpy(source.class_ids[own])
        yield Clips(videos=normalise(videos, source.config.normalisation), class_ids=ids)
