"""Methods as they are after some training, as far as tests care: clips differ in their features, and clearly."""

import numpy as np
import torch
from torch import nn

from fsar_core.data.transforms import normalise
from fsar_core.episode import Clips, Episode
from fsar_core.method import Method, MethodConfig
from tests.fsar_core import tiny

CLASSES = 6


def built(config: MethodConfig, seed: int = 3) -> Method:
    """In eval mode. Freshly initialised weights would give all clips nearly one feature: larger ones, and batch norms
    that know the made clips."""
    torch.manual_seed(seed)
    method = config.build(frames=tiny.FRAMES, crop=tiny.CROP, classes=CLASSES)
    for module in method.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features**-0.5)
            nn.init.normal_(module.bias, std=0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain average, so that one pass is enough
    method.train()
    with torch.no_grad():
        method.backbone(all_clips().videos)
    return method.eval()


def all_clips() -> Clips:
    source = tiny.clips("train")
    videos = normalise(source.test_videos(np.arange(len(source))), source.config.normalisation)
    return Clips(videos=videos, class_ids=torch.from_numpy(source.class_ids))


def episode(*, way: int = 3, shot: int = 1, queries: int = 2) -> Episode:
    """The first clips of the first classes: supports, then queries, class by class."""
    source = tiny.clips("train")
    positions = [own[k] for own in source.members[:way] for k in range(shot)]
    positions += [own[shot + q] for own in source.members[:way] for q in range(queries)]
    return Episode(
        videos=normalise(source.test_videos(positions), source.config.normalisation),
        class_ids=torch.from_numpy(source.class_ids[positions]),
        way=way,
        shot=shot,
        query_labels=torch.arange(way).repeat_interleave(queries),
    )
