"""The one training function. It names no method; logging, saving and stopping are the caller's ``report``."""

import math
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Self

import torch
from torch import Tensor

from fsar_core.backbones import load_weights
from fsar_core.batches import Batches, ClipStream, EpisodeStream
from fsar_core.checkpoint import adopt, latest_checkpoint, load_into, read_state, save_checkpoint, selected_weights
from fsar_core.config import RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.method import Method
from fsar_core.seeds import derived_seed

Precision = Literal["fp32", "bf16", "fp16"]


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Facts of the machine that a training needs."""

    device: torch.device
    precision: Precision = "fp32"
    weights_folder: Path | None = None
    """Where pretrained weights lie."""


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One optimiser step, as reported."""

    step: int
    losses: dict[str, float]
    """Unweighted terms, averaged over the step's batches."""
    lr: float
    val_accuracy: float | None
    """None between looks at val."""


@dataclass(kw_only=True)
class TrainState:
    """Everything that changes in training."""

    run: RunConfig
    method: Method
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    best_step: int = 0
    best_val: float = -1.0
    best: dict[str, Tensor] = field(default_factory=dict)

    @classmethod
    def start(
        cls, run: RunConfig, classes: int, execution: Execution, needs: Mapping[str, Mapping[str, Tensor]]
    ) -> Self:
        """A fresh state. ``needs`` gives, by target, the weights of the run that is needed."""
        torch.manual_seed(derived_seed(run.seed, "initial weights"))
        method = run.method.build(frames=run.data.frames, crop=run.data.crop, classes=classes)
        for network, config in method.pretrained():
            load_weights(network, config, execution.weights_folder)
        for need in run.needs:
            adopt(method, need.target, needs[need.target], need.source)
        method.to(execution.device)
        scaler = torch.amp.GradScaler(execution.device.type, enabled=execution.precision == "fp16")
        return cls(run=run, method=method, optimizer=run.optimizer.build(method), scaler=scaler)

    def selected(self) -> dict[str, Tensor]:
        """The weights to evaluate; those of now if val was never looked at."""
        return self.best or dict(self.method.state_dict())

    def looked(self, accuracy: float) -> None:
        """Takes note of a look at val."""
        better = accuracy > self.best_val or self.run.selection.keep == "last"
        if better:
            self.best_step, self.best_val = self.step, accuracy
            self.best = {name: tensor.detach().cpu().clone() for name, tensor in self.method.state_dict().items()}

    def save(self, root: Path, caller: Mapping[str, Any]) -> None:
        """Below ``root``; ``caller``, plain JSON values, is kept in the state file and given back by ``resume``."""
        state = {
            "run_id": self.run.run_id(),
            "step": self.step,
            "best_step": self.best_step,
            "best_val": self.best_val,
            "scaler": self.scaler.state_dict(),
            "caller": dict(caller),
        }
        best = self.selected()
        save_checkpoint(root, self.step, method=self.method, optimizer=self.optimizer, best=best, state=state)

    def resume(self, root: Path) -> dict[str, Any]:
        """Goes on from the newest checkpoint below ``root``, if there is one. Gives what the caller kept there."""
        checkpoint = latest_checkpoint(root)
        if checkpoint is None:
            return {}
        state = read_state(checkpoint)
        if state["run_id"] != self.run.run_id():
            raise ValueError(f"{checkpoint} belongs to run {state['run_id']}, not to {self.run.run_id()}")
        load_into(checkpoint, self.method, self.optimizer)
        self.step, self.best_step, self.best_val = state["step"], state["best_step"], state["best_val"]
        self.best = selected_weights(checkpoint) if self.best_step else {}
        self.scaler.load_state_dict(state["scaler"])
        return state["caller"]


Report = Callable[[Progress, TrainState], None]


def train(
    state: TrainState, train_clips: ClipSource, val_clips: ClipSource, execution: Execution, report: Report
) -> None:
    """Trains ``state`` to the run's last step. ``report`` is called after every step.

    Raises FloatingPointError, naming run, step and terms, when a loss is not finite.
    """
    run = state.run
    batches = _batches(run, train_clips, val_clips, execution, state.method)
    while state.step < run.training.steps:
        state.step += 1
        losses, lr = _optimizer_step(state, batches, execution)
        val = None
        if state.step % run.training.val_every == 0 or state.step == run.training.steps:
            val = batches.validate(state.method)
            state.looked(val)
        report(Progress(step=state.step, losses=losses, lr=lr, val_accuracy=val), state)


def _batches(
    run: RunConfig, train_clips: ClipSource, val_clips: ClipSource, execution: Execution, method: Method
) -> Batches:
    if run.batches.kind == "episodes":
        return EpisodeStream(run, train_clips, val_clips, execution.device)
    return ClipStream(run, train_clips, execution.device, method)


def _optimizer_step(state: TrainState, batches: Batches, execution: Execution) -> tuple[dict[str, float], float]:
    run, dtype = state.run, torch.float16 if execution.precision == "fp16" else torch.bfloat16
    factor = run.schedule.factor(state.step, run.training.steps)
    for group in state.optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    count = run.batches.per_step if run.batches.kind == "episodes" else 1
    sums: dict[str, float] = defaultdict(float)
    state.method.train()
    state.method.at_step(state.step, run.training.steps)
    for i, batch in enumerate(batches.of_step(state.step)):
        torch.manual_seed(derived_seed(run.seed, "training pass", state.step, i))
        with torch.autocast(execution.device.type, dtype, enabled=execution.precision != "fp32"):
            output = state.method(batch)
        for name, loss in output.losses.items():
            sums[name] += loss.item() / count
        if not math.isfinite(sum(sums.values())):
            raise FloatingPointError(
                f"run {run.run_id()}, step {state.step}: the loss is not finite, terms {dict(sums)}; "
                "lower the learning rate or use fp32"
            )
        state.scaler.scale(output.total / count).backward()
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    return dict(sums), run.optimizer.lr * factor
