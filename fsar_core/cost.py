"""What a method costs, counted by building it and letting it answer an episode on the meta device, without numbers."""

from dataclasses import dataclass

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from fsar_core.config import RunConfig
from fsar_core.episode import Episode

BASE_CLASSES = 64
"""Of Kinetics-100, Something-Something and most lists of these papers; sizes what scores base classes in training."""


@dataclass(frozen=True, kw_only=True)
class Cost:
    """Operations are floating-point ones, two per multiply-add. Only convolutions, matrix products and attention are
    counted: norms, softmaxes, poolings and the alignment of matchers are not."""

    parameters: int
    """In training, with all that only training needs."""
    trainable: int
    test_parameters: int
    """Without losses and heads that only train."""
    decoded: int
    """Frames read of a clip."""
    frames: int
    """Frames of a clip that the backbone sees; fewer than ``decoded`` where the method chooses."""
    flops_per_frame: float
    """Frame sampler, backbone and steps in that episode, over its videos times ``frames``."""
    flops_per_episode: int
    """A test episode from pixels to logits, without any feature kept."""


def measure(run: RunConfig, *, way: int = 5, shot: int = 1, queries: int = 1, classes: int = BASE_CLASSES) -> Cost:
    """The cost of a run's method at its frames and crop; ``queries`` per class, ``classes`` it was trained on.

    Raises ValueError for a method without heads, which answers no episode.
    """
    if not run.method.heads:
        raise ValueError("the cost of an episode needs a method with heads, got one without; name another run")
    data = run.data
    videos = way * (shot + queries)
    with torch.device("meta"), torch.inference_mode():
        trained = run.method.build(frames=data.frames, crop=data.crop, classes=classes)
        tested = run.method.for_test().build(frames=data.frames, crop=data.crop, classes=classes).eval()
        episode = Episode(
            videos=torch.empty(videos, data.frames, 3, data.crop, data.crop),
            class_ids=torch.empty(videos, dtype=torch.int64),
            way=way,
            shot=shot,
            query_labels=torch.empty(way * queries, dtype=torch.int64),
        )
        with FlopCounterMode(display=False) as embedding:
            outputs = tested.embed(episode)
        with FlopCounterMode(display=False) as matching:
            tested.match(outputs, way, shot)
    frames = tested.wiring.shapes["backbone"].frames
    return Cost(
        parameters=_count(trained),
        trainable=_count(trained, trainable=True),
        test_parameters=_count(tested),
        decoded=data.frames,
        frames=frames,
        flops_per_frame=embedding.get_total_flops() / (videos * frames),
        flops_per_episode=embedding.get_total_flops() + matching.get_total_flops(),
    )


def parameters_in_tests(run: RunConfig, *, classes: int = BASE_CLASSES) -> int:
    """``Cost.test_parameters`` alone, which takes no episode."""
    with torch.device("meta"):
        return _count(run.method.for_test().build(frames=run.data.frames, crop=run.data.crop, classes=classes))


def trainable_parameters(run: RunConfig, *, classes: int = BASE_CLASSES) -> int:
    """``Cost.trainable`` alone, which takes no episode."""
    with torch.device("meta"):
        method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=classes)
    return _count(method, trainable=True)


def _count(module: nn.Module, *, trainable: bool = False) -> int:
    return sum(own.numel() for own in module.parameters() if own.requires_grad or not trainable)
