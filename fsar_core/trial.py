"""A step of training on noise, for finding out what it takes."""

import torch
from torch import Tensor

from fsar_core.config import ClipBatches, RunConfig
from fsar_core.episode import Clips, Episode, Shape
from fsar_core.given import given_step
from fsar_core.method import Method
from fsar_core.precision import Precision, mixed


def trial_pass(method: Method, clips: Clips, precision: Precision) -> None:
    """Forward and backward, as a training does them. Gradients are added up."""
    method.train()
    method.at_step(1, 1)
    with mixed(clips.class_ids.device, precision):
        total = method(clips).total
    total.backward()


def random_clips(run: RunConfig, method: Method, classes: int, device: torch.device) -> Clips:
    """A batch of noise of the shape in which training gives it to ``method``, with masks that are empty."""
    batches = run.batches
    if isinstance(batches, ClipBatches):
        return _noise(run, torch.arange(batches.size) % classes, method, device)
    supports = torch.arange(batches.way).repeat_interleave(batches.shot)
    queries = torch.arange(batches.way).repeat_interleave(batches.queries)
    clips = _noise(run, torch.cat((supports, queries)) % classes, method, device)
    return Episode(**vars(clips), way=batches.way, shot=batches.shot, query_labels=queries.to(device))


def _noise(run: RunConfig, class_ids: Tensor, method: Method, device: torch.device) -> Clips:
    count, frames, crop, given = len(class_ids), run.data.frames, run.data.crop, given_step(run)
    drawn = torch.Generator().manual_seed(0)
    one = (frames, 3, crop, crop) if given is None else clip_size(method.wiring.shapes[given])
    videos = torch.randn((count, *one), generator=drawn)
    masks = has_mask = None
    if run.method.needs_masks():
        masks = torch.zeros((count, frames, crop, crop), dtype=torch.uint8)
        has_mask = torch.ones((count, frames), dtype=torch.bool)
    return Clips(videos=videos, class_ids=class_ids, given=given, masks=masks, has_mask=has_mask).to(device)


def clip_size(shape: Shape) -> tuple[int, ...]:
    """Of a step's output for one clip."""
    if shape.level == "map":
        return shape.frames, shape.dim, shape.cells, shape.cells
    return shape.frames + (shape.level == "global_local"), shape.dim
