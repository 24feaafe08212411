"""Methods as they are after some training, as far as tests care: clips differ in their features, and clearly."""

from functools import cache

import numpy as np
import torch
from torch import Tensor, nn

from fsar_core.data.config import DataConfig
from fsar_core.data.transforms import normalise
from fsar_core.episode import Clips, Episode
from fsar_core.method import Method, MethodConfig
from fsar_core.seeds import generator
from tests.fsar_core import tiny

CLASSES = 6


def built(config: MethodConfig, seed: int = 3, data: DataConfig | None = None) -> Method:
    """In eval mode. Freshly initialised weights would give all clips nearly one feature: larger ones, and batch norms
    that know the made clips."""
    data = data or tiny.data()
    torch.manual_seed(seed)
    method = config.build(frames=data.frames, crop=data.crop, classes=CLASSES)
    for module in method.modules():
        if isinstance(module, nn.Linear):
            for name, parameter in module.named_parameters():
                nn.init.normal_(parameter, std=module.in_features**-0.5 if name == "weight" else 0.1)
        elif isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # the plain average, so that one pass is enough
    method.train()
    with torch.no_grad():
        method.backbone(
            normalise(_pixels(data.canonical_json())[:, :: max(1, data.frames // tiny.FRAMES)], data.normalisation)
        )
    return method.eval()


def all_clips(data: DataConfig | None = None) -> Clips:
    data = data or tiny.data()
    videos = normalise(_pixels(data.canonical_json()), data.normalisation)
    return Clips(videos=videos, class_ids=torch.from_numpy(tiny.clips("train", data).class_ids))


def episode(
    *, way: int = 3, shot: int = 1, queries: int = 2, data: DataConfig | None = None, masks: bool = False
) -> Episode:
    """The first clips of the first classes: supports, then queries, class by class. ``masks`` are those of the square;
    one frame in five has none."""
    data = data or tiny.data()
    source = tiny.clips("train", data)
    positions = [own[k] for own in source.members[:way] for k in range(shot)]
    positions += [own[shot + q] for own in source.members[:way] for q in range(queries)]
    videos = _pixels(data.canonical_json())[positions]
    known = generator(0, "has mask", shot).random(videos.shape[:2]) < 0.8
    return Episode(
        videos=normalise(videos, data.normalisation),
        class_ids=torch.from_numpy(source.class_ids[positions]),
        masks=(videos[:, :, 0] == tiny.SQUARE).to(torch.uint8) * 255 if masks else None,
        has_mask=torch.from_numpy(known) if masks else None,
        way=way,
        shot=shot,
        query_labels=torch.arange(way).repeat_interleave(queries),
    )


@cache
def _pixels(data: str) -> Tensor:
    """All training clips as a test sees them. ``data``: as JSON, which can be a key."""
    source = tiny.clips("train", DataConfig.model_validate_json(data))
    return source.test_videos(np.arange(len(source)))
