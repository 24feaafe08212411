"""A method is a list of parts: backbone, frame sampler, named steps, heads, losses. Configuration and forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Self, cast

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.backbones import Backbone, BackboneConfig
from fsar_core.episode import Clips, Episode, Features, Trace, Wiring
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll
from fsar_core.frozen import Frozen
from fsar_core.losses import Loss, LossConfig
from fsar_core.matchers import Matcher, MatcherConfig
from fsar_core.stages import StageConfig

_NAME = r"^[a-z][a-z0-9_]*$"
_RESERVED = ("frames", "backbone")


class Step(Frozen):
    """A stage with a name and a place: it reads the step before it, or the one named by ``reads``."""

    name: str = Field(pattern=_NAME)
    stage: StageConfig
    reads: str | None = None
    """None: the step before; the first step reads ``backbone``."""


class Head(Frozen):
    """A matcher, the step it reads, and its shares in the prediction and in the loss."""

    matcher: MatcherConfig
    reads: str
    logit_weight: float = 1.0
    loss_weight: float = Field(default=1.0, ge=0)
    reduction: Literal["mean", "sum"] = "mean"
    """Of the cross-entropy over the queries of an episode. TRX and STRM sum, the HyRSM family averages."""


class MethodConfig(Frozen):
    """Wrong wiring cannot exist: unknown names are refused here, wrong feature levels in ``wiring``."""

    backbone: BackboneConfig
    frame_sampler: FrameSamplerConfig = KeepAll.Config()
    steps: tuple[Step, ...]
    heads: tuple[Head, ...] = ()
    losses: tuple[LossConfig, ...] = ()
    joint_batch_norm: bool = False
    """False: in training, supports and queries pass the backbone separately (all published code bases)."""

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        known = ["backbone"]
        faults: list[str] = []
        for step in self.steps:
            if step.name in (*known, *_RESERVED):
                faults.append(f"steps: the name {step.name!r} is taken; taken are {[*known, *_RESERVED]}")
            if step.reads is not None and step.reads not in known:
                faults.append(f"step {step.name!r} reads {step.reads!r}; before it there are {known}")
            known.append(step.name)
        for kind, parts in (("head", self.heads), ("loss", self.losses)):
            faults += [f"{kind} reads {p.reads!r}; there are {known}" for p in parts if p.reads not in known]
        if not self.heads and not self.losses:
            faults.append("a method needs a head or a loss, else there is nothing to train")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def reads(self) -> dict[str, str]:
        """What each step reads, by step name."""
        before = ["backbone", *(step.name for step in self.steps)]
        return {step.name: step.reads or before[i] for i, step in enumerate(self.steps)}

    def wiring(self, frames: int, crop: int, classes: int) -> Wiring:
        """Shapes of all steps. Raises ValueError, all faults together, where a part does not fit what it reads."""
        shapes = {"backbone": self.backbone.shape(self.frame_sampler.frames(frames), crop)}
        reads = self.reads()
        faults: list[str] = []
        for step in self.steps:
            if reads[step.name] not in shapes:
                continue  # what it reads has a fault of its own
            try:
                shapes[step.name] = step.stage.gives(shapes[reads[step.name]], classes)
            except ValueError as error:
                faults.append(f"step {step.name!r}: {error}")
        wiring = Wiring(shapes=shapes, reads=reads, stages={step.name: step.stage for step in self.steps})
        faults += [
            f"head {head.matcher.kind!r} needs {head.matcher.reads} features, "
            f"but {head.reads!r} gives a {shapes[head.reads].level}"
            for head in self.heads
            if head.reads in shapes and shapes[head.reads].level != head.matcher.reads
        ]
        for loss in self.losses:
            if loss.reads not in shapes:
                continue
            try:
                loss.check(wiring)
            except ValueError as error:
                faults.append(f"loss {loss.kind!r}: {error}")
        if faults:
            raise ValueError("; ".join(faults))
        return wiring

    def for_test(self) -> Self:
        """The method without what only training needs: the losses and their weights."""
        return self.model_copy(update={"losses": ()})

    def build(self, *, frames: int, crop: int, classes: int) -> "Method":
        return Method(self, self.wiring(frames, crop, classes), classes)


@dataclass(frozen=True, kw_only=True)
class Output:
    """What one training pass gives."""

    logits: Tensor | None
    """(Q, N); None for clips without an episode."""
    losses: dict[str, Tensor]
    """Unweighted terms by name."""
    total: Tensor
    """Their weighted sum, a scalar."""


class Method(nn.Module):
    """The composition of its parts; knows none of them by name."""

    def __init__(self, config: MethodConfig, wiring: Wiring, classes: int) -> None:
        super().__init__()
        self.config, self.wiring = config, wiring
        self.backbone = config.backbone.build()
        self.frame_sampler = config.frame_sampler.build()
        self.steps = nn.ModuleDict(
            {s.name: s.stage.build(wiring.shapes[wiring.reads[s.name]], classes) for s in config.steps}
        )
        self.heads = nn.ModuleList(head.matcher.build(wiring.shapes[head.reads]) for head in config.heads)
        self.losses = nn.ModuleList(loss.build(wiring, classes) for loss in config.losses)

    def forward(self, clips: Clips) -> Output:
        """Logits and losses of an episode, or the losses of labelled clips. ``clips.videos`` are normalised."""
        outputs = self.embed(clips)
        losses: dict[str, Tensor] = {}
        weights: dict[str, float] = {}
        logits = None
        if isinstance(clips, Episode):
            logits, by_head = self._match_episode(clips, outputs)
            for i, (head, own) in enumerate(zip(self.config.heads, by_head, strict=True)):
                name = f"{head.matcher.kind}_{i}"
                losses[name] = F.cross_entropy(own.float(), clips.query_labels, reduction=head.reduction)
                weights[name] = head.loss_weight
        trace = Trace(
            outputs=outputs, reads=self.wiring.reads, steps=dict(self.steps.items()), class_ids=clips.class_ids
        )
        for i, (config, loss) in enumerate(zip(self.config.losses, self.losses, strict=True)):
            name = f"{config.kind}_{i}" if config.kind in losses else config.kind
            losses[name], weights[name] = loss(trace), config.weight
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        return Output(logits=logits, losses=losses, total=total)

    def embed(self, clips: Clips) -> dict[str, Tensor]:
        """The output of every step, (V, T, D) or (V, T, D, h, w), with the inputs it was computed from."""
        if clips.given is not None:
            outputs = {clips.given: clips.videos}
        else:
            frames = self.frame_sampler(clips.videos)
            outputs = {"frames": frames, "backbone": self._maps(frames, clips)}
        for name, stage in self.steps.items():
            if name not in outputs and self.wiring.reads[name] in outputs:
                outputs[name] = stage(outputs[self.wiring.reads[name]])
        return outputs

    def predict(self, episode: Episode) -> Tensor:
        """(Q, N) logits of one episode in eval mode, without losses. Leaves the mode as it was."""
        was_training = self.training
        self.eval()
        logits, _ = self._match_episode(episode, self.embed(episode))
        self.train(was_training)
        return logits

    def weighted(self, logits: Sequence[Tensor]) -> Tensor:
        """The prediction from the logits of every head."""
        return torch.stack([h.logit_weight * own for h, own in zip(self.config.heads, logits, strict=True)]).sum(0)

    def backbones(self) -> list[tuple[Backbone, BackboneConfig]]:
        """Every backbone in it with its configuration, those of losses included."""
        losses = cast(Sequence[Loss], self.losses)
        return [(self.backbone, self.config.backbone), *(pair for loss in losses for pair in loss.backbones())]

    def each_head(self) -> list[tuple[Head, Matcher]]:
        """Each head's configuration with its matcher."""
        return list(zip(self.config.heads, cast(Sequence[Matcher], self.heads), strict=True))

    def read_by_heads(self) -> tuple[str, ...]:
        """Names of the steps that a prediction needs."""
        return tuple(dict.fromkeys(head.reads for head in self.config.heads))

    def frozen_prefix(self) -> str | None:
        """The last leading step that training cannot change, if all later parts read nothing before it; else None.

        Its outputs may be computed once per video and passed as ``Clips.given``.
        """
        if not self.config.backbone.frozen or any(loss.needs_frames() for loss in self.config.losses):
            return None
        last, later = "backbone", list(self.config.steps)
        while later and self.wiring.reads[later[0].name] == last and not list(self.steps[later[0].name].parameters()):
            last = later.pop(0).name
        read = {self.wiring.reads[step.name] for step in later}
        read |= {part.reads for part in (*self.config.heads, *self.config.losses)}
        return last if last != "backbone" and read <= {last, *(step.name for step in later)} else None

    def _match_episode(self, episode: Episode, outputs: Mapping[str, Tensor]) -> tuple[Tensor, list[Tensor]]:
        features = {name: _split(outputs[name], episode.way, episode.shot) for name in self.read_by_heads()}
        by_head = [matcher(features[head.reads]).logits for head, matcher in self.each_head()]
        return self.weighted(by_head), by_head

    def _maps(self, frames: Tensor, clips: Clips) -> Tensor:
        if not (self.training and isinstance(clips, Episode)) or self.config.joint_batch_norm:
            return self.backbone(frames)
        supports = clips.way * clips.shot
        return torch.cat([self.backbone(frames[:supports]), self.backbone(frames[supports:])])


def _split(outputs: Tensor, way: int, shot: int) -> Features:
    supports = way * shot
    return Features(support=outputs[:supports].unflatten(0, (way, shot)), query=outputs[supports:])
