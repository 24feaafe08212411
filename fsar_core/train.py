"""The one training function. It names no method; logging, saving and stopping are the caller's ``report``."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

from fsar_core.backbones import load_weights
from fsar_core.batches import Batches, ClipStream, EpisodeStream
from fsar_core.checkpoint import adopt, latest_checkpoint, load_into, read_state, save_checkpoint, selected_weights
from fsar_core.config import RunConfig
from fsar_core.data.clip_source import ClipSource
from fsar_core.episode import Clips
from fsar_core.execution import Execution
from fsar_core.fitting import fit
from fsar_core.given import given_clips
from fsar_core.method import Method
from fsar_core.precision import mixed
from fsar_core.prefetch import Ahead
from fsar_core.seeds import derived_seed


@dataclass(frozen=True, kw_only=True)
class Progress:
    """One optimiser step, as reported."""

    step: int
    losses: dict[str, float]
    """Unweighted terms, averaged over the step's batches."""
    lr: float
    val_accuracy: float | None
    """On what selects the weights; None between looks."""


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
    state: TrainState, train_clips: ClipSource, selecting: ClipSource, execution: Execution, report: Report
) -> None:
    """Trains ``state`` to the run's last step. ``report`` is called after every step.

    ``selecting`` are clips of the split ``run.selection.on``: val, or test where a preset imitates that. Raises
    FloatingPointError, naming run, step and terms, when a loss is not finite.
    """
    run = state.run
    batches = _batches(run, train_clips, selecting, execution, state.method)
    fit(state.method, run, execution, classes=len(train_clips.labels))
    to_come = range(state.step + 1, run.training.steps + 1)
    with Ahead(_drawn(to_come, batches, execution), execution.prefetch) as ahead:
        while state.step < run.training.steps:
            state.step += 1
            losses, lr = _optimizer_step(state, map(batches.placed, ahead), execution)
            val = None
            if state.step % run.training.val_every == 0 or state.step == run.training.steps:
                with ahead.paused():
                    val = batches.validate(state.method)
                state.looked(val)
            report(Progress(step=state.step, losses=losses, lr=lr, val_accuracy=val), state)


def _drawn(steps: range, batches: Batches, execution: Execution) -> Iterator[Clips]:
    for step in steps:
        for clips in batches.drawn(step):
            yield clips.pinned() if execution.device.type == "cuda" else clips


def _batches(
    run: RunConfig, train_clips: ClipSource, selecting: ClipSource, execution: Execution, method: Method
) -> Batches:
    if run.batches.kind == "episodes":
        given = given_clips(run, method, (train_clips, selecting), execution)
        return EpisodeStream(run, train_clips, selecting, execution.device, given)
    return ClipStream(run, train_clips, execution.device, given_clips(run, method, (train_clips,), execution))


def _optimizer_step(
    state: TrainState, batches: Iterator[Clips], execution: Execution
) -> tuple[dict[str, float], float]:
    run = state.run
    factor = run.schedule.factor(state.step, run.training.steps)
    for group in state.optimizer.param_groups:
        group["lr"] = group["base_lr"] * factor
    count = run.batches.per_step if run.batches.kind == "episodes" else 1
    terms: list[dict[str, Tensor]] = []
    state.method.train()
    state.method.at_step(state.step, run.training.steps)
    for i, batch in enumerate(islice(batches, count)):
        torch.manual_seed(derived_seed(run.seed, "training pass", state.step, i))
        with mixed(execution.device, execution.precision):
            output = state.method(batch)
        terms.append({name: loss.detach() for name, loss in output.losses.items()})
        state.scaler.scale(output.total / count).backward()
    losses = _means(terms)
    if not math.isfinite(sum(losses.values())):
        raise FloatingPointError(
            f"run {run.run_id()}, step {state.step}: the loss is not finite, terms {losses}; "
            "lower the learning rate or use fp32"
        )
    state.scaler.step(state.optimizer)
    state.scaler.update()
    state.optimizer.zero_grad(set_to_none=True)
    return losses, run.optimizer.lr * factor


def _means(terms: list[dict[str, Tensor]]) -> dict[str, float]:
    """Read once a step: on a GPU, reading a number waits for all that was queued before it."""
    sums: dict[str, float] = defaultdict(float)
    for own in terms:
        for name, loss in own.items():
            sums[name] += loss.item() / len(terms)
    return dict(sums)
