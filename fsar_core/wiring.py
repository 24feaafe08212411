"""Steps and heads: how the parts of a method are connected, and whether they fit together."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Literal

from pydantic import Field

from fsar_core.backbones import BackboneConfig
from fsar_core.episode import Shape, Wiring
from fsar_core.frame_samplers import FrameSamplerConfig
from fsar_core.frozen import Frozen
from fsar_core.losses import LossConfig
from fsar_core.matchers import MatcherConfig
from fsar_core.stages import StageConfig

_NAME = r"^[a-z][a-z0-9_]*$"
_RESERVED = ("frames", "backbone")


class Step(Frozen):
    """A stage with a name and a place: it reads the step before it, or those named by ``reads``."""

    name: str = Field(pattern=_NAME)
    stage: StageConfig
    reads: str | tuple[str, ...] | None = None
    """None: the step before; the first step reads ``backbone``. A stage of several inputs names them in their order."""

    def sources(self, before: str) -> tuple[str, ...]:
        """The names it reads, where ``before`` is the step before."""
        if self.reads is None:
            return (before,)
        return (self.reads,) if isinstance(self.reads, str) else self.reads


class Head(Frozen):
    """A matcher, the step it reads, and its shares in the prediction and in the loss."""

    matcher: MatcherConfig
    reads: str
    logit_weight: float = 1.0
    """0: it only trains, and a test does not build it."""
    loss_weight: float = Field(default=1.0, ge=0)
    reduction: Literal["mean", "sum"] = "mean"
    """Of the cross-entropy over the queries of an episode. TRX and STRM sum, the HyRSM family averages."""


def name_faults(steps: Sequence[Step], heads: Sequence[Head], losses: Sequence[LossConfig]) -> list[str]:
    """Names that are taken or do not exist, wrong numbers of inputs, and heads in a wrong order."""
    known = ["backbone"]
    faults: list[str] = []
    for step in steps:
        if step.name in (*known, *_RESERVED):
            faults.append(f"steps: the name {step.name!r} is taken; taken are {[*known, *_RESERVED]}")
        sources = step.sources(known[-1])
        odd = [name for name in sources if name not in known]
        faults += [f"step {step.name!r} reads {name!r}; before it there are {known}" for name in odd]
        if len(sources) != step.stage.inputs:
            faults.append(f"step {step.name!r}: {step.stage.kind} reads {step.stage.inputs} steps, got {list(sources)}")
        known.append(step.name)
    for kind, parts in (("head", heads), ("loss", losses)):
        faults += [f"{kind} reads {p.reads!r}; there are {known}" for p in parts if p.reads not in known]
    predicts = [head.logit_weight != 0 for head in heads]
    if predicts != sorted(predicts, reverse=True):
        faults.append("heads that only train (logit_weight 0) must stand after those that predict")
    return faults


def wire(
    backbone: BackboneConfig,
    frame_sampler: FrameSamplerConfig,
    steps: Sequence[Step],
    heads: Sequence[Head],
    losses: Sequence[LossConfig],
    *,
    frames: int,
    crop: int,
    classes: int,
) -> Wiring:
    """Shapes of all steps. Raises ValueError, all faults together, where a part does not fit what it reads."""
    before = ["backbone", *(step.name for step in steps)]
    reads = {step.name: step.sources(before[i]) for i, step in enumerate(steps)}
    shapes = {"backbone": backbone.shape(frame_sampler.frames(frames), crop)}
    faults: list[str] = []
    for step in steps:
        if not shapes.keys() >= set(reads[step.name]):
            continue  # what it reads has a fault of its own
        try:
            shapes[step.name] = step.stage.gives(*(shapes[name] for name in reads[step.name]), classes=classes)
        except ValueError as error:
            faults.append(f"step {step.name!r}: {error}")
    wiring = Wiring(
        shapes=shapes,
        reads=reads,
        stages={step.name: step.stage for step in steps},
        heads=tuple(head.matcher for head in heads),
        frame_sampler=frame_sampler,
        frames=frames,
        crop=crop,
    )
    for head in heads:
        if head.reads in shapes:
            faults += _faults_of(f"head {head.matcher.kind!r}", partial(_check_head, head, shapes[head.reads]))
    for loss in losses:
        if loss.reads in shapes:
            faults += _faults_of(f"loss {loss.kind!r}", partial(loss.check, wiring))
    if faults:
        raise ValueError("; ".join(faults))
    return wiring


def _check_head(head: Head, shape: Shape) -> None:
    if shape.level != head.matcher.reads:
        raise ValueError(f"needs {head.matcher.reads} features, but {head.reads!r} gives a {shape.level}")
    head.matcher.check(shape)


def _faults_of(who: str, check: Callable[[], None]) -> list[str]:
    try:
        check()
    except ValueError as error:
        return [f"{who}: {error}"]
    return []
