"""Optimisers and learning-rate schedules as closed sets of configurations."""

import math
from collections.abc import Iterable
from typing import Annotated, Literal

import torch
from pydantic import Field, model_validator
from torch import nn

from fsar_core.frozen import Frozen


class Steps(Frozen):
    """Linear warm-up, then a factor of the base rate from given optimiser steps on."""

    kind: Literal["steps"] = "steps"
    warmup_steps: int = Field(default=0, ge=0)
    warmup_start: float = Field(default=0.0, ge=0)
    """Factor of the base rate at step 0 of the warm-up."""
    drops: tuple[tuple[int, float], ...] = ()
    """(optimiser step, factor of the base rate), ascending in step."""

    @model_validator(mode="after")
    def _ascending(self) -> "Steps":
        steps = [step for step, _ in self.drops]
        if steps != sorted(set(steps)) or any(factor < 0 for _, factor in self.drops):
            raise ValueError(f"drops must ascend in step and have factors >= 0, got {self.drops}")
        return self

    def factor(self, step: int, total: int) -> float:
        """Factor of the base rate for optimiser step ``step``, counted from 1."""
        if step <= self.warmup_steps:
            return self.warmup_start + (1 - self.warmup_start) * (step - 1) / self.warmup_steps
        return next((factor for start, factor in reversed(self.drops) if step > start), 1.0)


class Cosine(Frozen):
    """Linear warm-up from 0, then half a cosine: 1 at its first step, 0 one step after the last."""

    kind: Literal["cosine"] = "cosine"
    warmup_steps: int = Field(default=0, ge=0)

    def factor(self, step: int, total: int) -> float:
        """Factor of the base rate for optimiser step ``step``, counted from 1, of ``total``."""
        if step <= self.warmup_steps:
            return step / (self.warmup_steps + 1)
        return 0.5 * (1 + math.cos(math.pi * (step - 1 - self.warmup_steps) / max(1, total - self.warmup_steps)))


Schedule = Annotated[Steps | Cosine, Field(discriminator="kind")]


class OptimizerConfig(Frozen):
    """Adam with the coupled L2 term of the HyRSM code base, or plain SGD as in TRX."""

    kind: Literal["adam", "sgd"] = "adam"
    lr: float = Field(gt=0)
    weight_decay: float = Field(default=0.0, ge=0)
    """On every parameter but those of normalisation layers."""
    momentum: float = Field(default=0.0, ge=0, lt=1)
    head_lr_mult: float = Field(default=1.0, gt=0)
    """Factor for everything that is not the backbone: it starts from scratch while the backbone is pretrained."""

    @model_validator(mode="after")
    def _momentum_is_sgd(self) -> "OptimizerConfig":
        if self.kind == "adam" and self.momentum:
            raise ValueError(f"momentum is for kind 'sgd'; with 'adam' it must be 0, got {self.momentum}")
        return self

    def build(self, module: nn.Module) -> torch.optim.Optimizer:
        """One group per (backbone or not, decayed or not); each keeps its own ``base_lr`` for the schedule."""
        groups = [
            {"params": parameters, "lr": lr, "base_lr": lr, "weight_decay": decay}
            for lr, decay, parameters in self._groups(module)
            if parameters
        ]
        if self.kind == "adam":
            return torch.optim.Adam(groups, lr=self.lr, betas=(0.9, 0.999))
        return torch.optim.SGD(groups, lr=self.lr, momentum=self.momentum)

    def _groups(self, module: nn.Module) -> Iterable[tuple[float, float, list[nn.Parameter]]]:
        norms = _normalisation_parameters(module)
        for backbone in (True, False):
            lr = self.lr if backbone else self.lr * self.head_lr_mult
            for norm in (True, False):
                chosen = [
                    parameter
                    for name, parameter in module.named_parameters()
                    if parameter.requires_grad
                    and name.startswith("backbone.") == backbone
                    and (id(parameter) in norms) == norm
                ]
                yield lr, 0.0 if norm else self.weight_decay, chosen


def _normalisation_parameters(module: nn.Module) -> set[int]:
    kinds = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm)  # pyright: ignore[reportPrivateUsage] - the only common base of batch norms
    return {id(p) for child in module.modules() if isinstance(child, kinds) for p in child.parameters(recurse=False)}
