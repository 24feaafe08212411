"""A method is a list of parts: backbone, frame sampler, named steps, heads, losses. Configuration and forward pass."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self, cast

import torch
from pydantic import model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.backbones import BackboneConfig, Pretrained, PretrainedConfig
from fsar_core.episode import Clips, Episode, Features, Match, Sampled, Trace, Wiring
from fsar_core.frame_samplers import FrameSampler, FrameSamplerConfig, KeepAll, Scan
from fsar_core.frozen import Frozen
from fsar_core.losses import Loss, LossConfig
from fsar_core.mask_settings import MaskSettings
from fsar_core.matchers import Matcher
from fsar_core.progress import FollowsTraining
from fsar_core.wiring import Head, Step, name_faults, wire

__all__ = ["Head", "Method", "MethodConfig", "Output", "Step"]


class MethodConfig(Frozen):
    """Wrong wiring cannot exist: unknown names are refused here, wrong feature levels in ``wiring``."""

    backbone: BackboneConfig
    frame_sampler: FrameSamplerConfig = KeepAll.Config()
    steps: tuple[Step, ...]
    heads: tuple[Head, ...] = ()
    losses: tuple[LossConfig, ...] = ()
    joint_batch_norm: bool = False
    """False: in training, supports and queries pass backbone and steps with batch norms separately (all published code
    bases). Losses always see them together, frame samplers always apart."""

    @model_validator(mode="after")
    def _names_exist(self) -> Self:
        faults = name_faults(self.steps, self.heads, self.losses)
        if not self.heads and not self.losses:
            faults.append("a method needs a head or a loss, else there is nothing to train")
        settings = [settings for loss in self.losses if (settings := loss.mask_settings()) is not None]
        if any(own != settings[0] for own in settings):
            faults.append(f"losses: all that read masks must have the same settings, got {[*map(str, settings)]}")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    def wiring(self, frames: int, crop: int, classes: int) -> Wiring:
        """Shapes of all steps. Raises ValueError, all faults together, where a part does not fit what it reads."""
        return wire(
            self.backbone,
            self.frame_sampler,
            self.steps,
            self.heads,
            self.losses,
            frames=frames,
            crop=crop,
            classes=classes,
        )

    def for_test(self) -> Self:
        """The method without what only training needs: losses, heads that do not predict, and their weights."""
        return self.model_copy(update={"losses": (), "heads": tuple(h for h in self.heads if h.logit_weight != 0)})

    def mask_settings(self) -> MaskSettings | None:
        """How training reads the instance masks of the frames; None: it needs none."""
        return next((settings for loss in self.losses if (settings := loss.mask_settings()) is not None), None)

    def needs_masks(self) -> bool:
        """Whether training needs instance masks of the frames."""
        return self.mask_settings() is not None

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
        self.backbone = config.backbone.build(frames=wiring.shapes["backbone"].frames, crop=wiring.crop)
        self.frame_sampler = config.frame_sampler.build(frames=wiring.frames, crop=wiring.crop)
        self.steps = nn.ModuleDict(
            {
                step.name: step.stage.build(*(wiring.shapes[name] for name in wiring.reads[step.name]), classes=classes)
                for step in config.steps
            }
        )
        self.heads = nn.ModuleList(head.matcher.build(wiring.shapes[head.reads]) for head in config.heads)
        self.losses = nn.ModuleList(loss.build(wiring, classes) for loss in config.losses)

    def forward(self, clips: Clips) -> Output:
        """Logits and losses of an episode, or the losses of labelled clips. ``clips.videos`` are normalised."""
        sampled = self.sample(clips)
        outputs = self.embed(clips, sampled)
        losses: dict[str, Tensor] = {}
        weights: dict[str, float] = {}
        logits, matches = None, ()
        if isinstance(clips, Episode):
            matches = self.match(outputs, clips.way, clips.shot)
            logits = self.weighted([match.logits for match in matches])
            for i, (head, match) in enumerate(zip(self.config.heads, matches, strict=True)):
                name = f"{head.matcher.kind}_{i}"
                losses[name] = F.cross_entropy(match.logits.float(), clips.query_labels, reduction=head.reduction)
                weights[name] = head.loss_weight
        trace = Trace(
            outputs=outputs,
            reads=self.wiring.reads,
            steps=dict(self.steps.items()),
            clips=clips,
            sampled=sampled,
            matches=matches,
        )
        for i, (config, loss) in enumerate(zip(self.config.losses, self.losses, strict=True)):
            name = f"{config.kind}_{i}" if config.kind in losses else config.kind
            losses[name], weights[name] = loss(trace), config.weight
        total = torch.stack([weights[name] * value for name, value in losses.items()]).sum()
        return Output(logits=logits, losses=losses, total=total)

    def sample(self, clips: Clips, scan: Scan | None = None) -> Sampled | None:
        """The frames that the backbone sees; None where ``clips`` are given as the output of a step.

        ``scan`` is what the frame sampler's own ``scan`` gave for these clips, where that is at hand.
        """
        if clips.given is not None:
            return None
        sampler = cast(FrameSampler, self.frame_sampler)
        return sampler(clips.videos, supports=clips.way * clips.shot if isinstance(clips, Episode) else None, scan=scan)

    def embed(self, clips: Clips, sampled: Sampled | None = None) -> dict[str, Tensor]:
        """The output of every step by name, with the inputs it was computed from; ``sampled`` where at hand."""
        sampled = sampled or self.sample(clips)
        outputs: dict[str, Tensor] = {}
        if clips.given is not None:
            outputs[clips.given] = clips.videos
        if sampled is not None:
            outputs = {"frames": sampled.frames, "backbone": self._run(self.backbone, (sampled.frames,), clips)}
        for name, stage in self.steps.items():
            if name not in outputs and outputs.keys() >= set(self.wiring.reads[name]):
                outputs[name] = self._run(stage, tuple(outputs[read] for read in self.wiring.reads[name]), clips)
        return outputs

    def match(self, outputs: Mapping[str, Tensor], way: int, shot: int) -> tuple[Match, ...]:
        """What each head gives on the outputs of an episode's videos, supports first, class by class."""
        features = {head.reads: _split(outputs[head.reads], way, shot) for head in self.config.heads}
        return tuple(matcher(features[head.reads]) for head, matcher in self.each_head())

    def predict(self, episode: Episode) -> Tensor:
        """(Q, N) logits of one episode in eval mode, without losses. Leaves the mode as it was."""
        was_training = self.training
        self.eval()
        matches = self.match(self.embed(episode), episode.way, episode.shot)
        self.train(was_training)
        return self.weighted([match.logits for match in matches])

    def weighted(self, logits: Sequence[Tensor]) -> Tensor:
        """The prediction from the logits of every head."""
        return torch.stack([h.logit_weight * own for h, own in zip(self.config.heads, logits, strict=True)]).sum(0)

    def at_step(self, step: int, steps: int) -> None:
        """Tells every part that follows the training that optimiser step ``step`` of ``steps`` is to come."""
        for module in self.modules():
            if isinstance(module, FollowsTraining):
                module.at_step(step, steps)

    def pretrained(self) -> list[tuple[Pretrained, PretrainedConfig]]:
        """Every network in it that may start from stored weights, with its configuration."""
        losses = cast(Sequence[Loss], self.losses)
        sampler = cast(FrameSampler, self.frame_sampler)
        own = (self.backbone, self.config.backbone)
        return [own, *sampler.pretrained(), *(pair for loss in losses for pair in loss.pretrained())]

    def each_head(self) -> list[tuple[Head, Matcher]]:
        """Each head's configuration with its matcher."""
        return list(zip(self.config.heads, cast(Sequence[Matcher], self.heads), strict=True))

    def read_by_heads(self) -> tuple[str, ...]:
        """Names of the steps that a prediction needs."""
        return tuple(dict.fromkeys(head.reads for head in self.config.heads))

    def _run(self, module: nn.Module, inputs: tuple[Tensor, ...], clips: Clips) -> Tensor:
        """In training, what has batch norms sees supports and queries one after the other."""
        apart = self.training and not self.config.joint_batch_norm and _has_batch_norm(module)
        if not apart or not isinstance(clips, Episode):
            return module(*inputs)
        supports = clips.way * clips.shot
        return torch.cat([module(*(x[:supports] for x in inputs)), module(*(x[supports:] for x in inputs))])


def _has_batch_norm(module: nn.Module) -> bool:
    return any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for part in module.modules())


def _split(outputs: Tensor, way: int, shot: int) -> Features:
    supports = way * shot
    return Features(support=outputs[:supports].unflatten(0, (way, shot)), query=outputs[supports:])
