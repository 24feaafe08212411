"""Which trainings do work of the same size, so that one measured step stands for all of them."""

from fsar_core.config import RunConfig
from fsar_core.frozen import content_id


def clips_per_batch(run: RunConfig) -> int:
    """Clips that pass forward and backward at a time."""
    batches = run.batches
    return batches.size if batches.kind == "clips" else batches.way * (batches.shot + batches.queries)


def clips_per_step(run: RunConfig) -> int:
    """Clips of an optimiser step."""
    return clips_per_batch(run) * (run.batches.per_step if run.batches.kind == "episodes" else 1)


def same_work(run: RunConfig) -> str:
    """Equal for runs whose steps cost the same."""
    return content_id(*(part.canonical_json() for part in (run.method, run.data, run.batches)))


def alike(run: RunConfig) -> str:
    """Equal for runs whose steps cost about the same: one backbone on as many frames of the same size, behind one kind
    of frame sampler. Steps, heads and losses beside a backbone are not told apart."""
    method, data = run.method, run.data
    size = (data.frames, data.crop, clips_per_batch(run), clips_per_step(run), method.frame_sampler.kind)
    masks = method.needs_masks()
    return content_id(method.backbone.canonical_json(), *map(str, (*size, run.batches.kind, masks)))


def described(run: RunConfig) -> str:
    """For people: ``resnet50, 8 frames of 224 px, 5-way 1-shot``."""
    batches, data = run.batches, run.data
    shape = f"{batches.size} clips" if batches.kind == "clips" else f"{batches.way}-way {batches.shot}-shot episodes"
    return f"{run.method.backbone.label()}, {data.frames} frames of {data.crop} px, {shape}"
