"""Every method that the contract is held against, as built for tests, and what the tests do with it."""

from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from fsar_core.config import EvalConfig, RunConfig, Training
from fsar_core.data.config import DataConfig
from fsar_core.data.mask_store import MaskStore
from fsar_core.episode import Episode
from fsar_core.evaluate import evaluate
from fsar_core.matchers import MATCHERS, Otam
from fsar_core.method import Head, Method, MethodConfig
from fsar_core.methods import all_methods
from fsar_core.optimizer import OptimizerConfig
from fsar_core.train import train
from tests.fsar_core import tiny
from tests.fsar_core.lively import CLASSES, built, episode
from tests.fsar_core.made_masks import put, write_listing

LARGE = 64
"""Pixels per side that give maps of 4 x 4 cells, as few as VIM's alignment can read."""


@dataclass(frozen=True)
class Case:
    """A method and the clips it reads."""

    config: MethodConfig
    data: DataConfig


@dataclass(frozen=True)
class Built:
    """A case in eval mode with an episode and its logits. Not to be changed: ``fresh`` gives a copy that may be."""

    case: Case
    method: Method
    whole: Episode
    logits: Tensor

    def fresh(self) -> Method:
        return deepcopy(self.method)


def variant_run(method: str, variant: str) -> RunConfig:
    """The tiny training of a variant."""
    published, recipe = all_methods()[method], tiny.recipe(crop=LARGE, augmented=False)
    return published.run(recipe, published.variants[variant](recipe.backbone))


VARIANTS = [(name, variant) for name, method in all_methods().items() for variant in method.variants]

_FRAME_MATCHERS = [matcher for matcher in MATCHERS if matcher is not Otam.Config and matcher.reads == "frame"]

COMPOSED: dict[str, MethodConfig] = tiny.METHODS | {
    f"{name}-{matcher().kind}": method.model_copy(update={"heads": (Head(matcher=matcher(), reads="matching"),)})
    for name, method in tiny.METHODS.items()
    if name in ("baseline", "sgtm")
    for matcher in _FRAME_MATCHERS
}
"""SGTM's rows, the first and the last with every matcher of frame features."""

CASES: dict[str, Case] = {name: Case(config, tiny.data()) for name, config in COMPOSED.items()} | {
    f"{name}/{variant}": Case(run.method, run.data)
    for name, variant in VARIANTS
    for run in (variant_run(name, variant),)
}


@cache
def lively_case(name: str, shot: int) -> Built:
    case = CASES[name]
    method = built(case.config, data=case.data)
    whole = episode(shot=shot, data=case.data, masks=case.config.needs_masks())
    # With a graph, as the tests predict: without one some parts take other kernels, which round otherwise.
    return Built(case, method, whole, method.predict(whole).detach())


@cache
def trained_pass(name: str, shot: int) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """``gradients`` of a case."""
    made = lively_case(name, shot)
    return gradients(made.fresh(), made.whole)


def chosen(whole: Episode, positions: list[int], query_labels: Tensor | None = None) -> Episode:
    """The episode of these videos."""
    per_video = {
        name: value[positions]
        for name in ("videos", "class_ids", "masks", "has_mask")
        if isinstance(value := getattr(whole, name), Tensor)
    }
    return replace(whole, **per_video, query_labels=whole.query_labels if query_labels is None else query_labels)


def gradients(method: Method, batch: Episode) -> tuple[dict[str, Tensor], dict[str, Tensor | None]]:
    """Losses and gradients of one training pass, early in a training."""
    method.train()
    method.at_step(2, 10)
    torch.manual_seed(0)
    output = method(batch)
    output.total.backward()
    losses = {name: value.detach() for name, value in output.losses.items()} | {"total": output.total.detach()}
    return losses, {name: parameter.grad for name, parameter in method.named_parameters()}


@dataclass(frozen=True)
class Learned:
    """What a training on the made clips has changed."""

    accuracy: float
    """On the 5-way 1-shot episodes of the test classes; chance is 0.2, and 0.6 for who sees rows but no directions."""
    entropy_before: float
    """Cross-entropy of the prediction on an episode of all training classes; log 6 is chance."""
    entropy: float
    """The same after it; log 2 is reached by who sees rows but no directions."""


def learned(run: RunConfig, steps: int, masks: Path | None = None) -> Learned:
    """``masks``: an empty folder for those that it may need."""
    changes = {
        "optimizer": OptimizerConfig(lr=3e-3),
        "training": Training(steps=steps, val_every=steps),
        "selection": run.selection.model_copy(update={"keep": "last"}),
        "needs": (),
    }
    run = run.model_copy(update=changes)
    settings = run.method.mask_settings()
    store = None if settings is None or masks is None else MaskStore(square_masks(masks, run.data), settings)
    state = tiny.started(run)
    before = _entropy(state.method, run.data)
    clips = tiny.clips("train", run.data, store)
    train(state, clips, tiny.clips("val", run.data), tiny.CPU, lambda _progress, _state: None)
    few = run.method.frame_sampler.by_episode()  # then every test episode passes the backbone
    test = EvalConfig(episodes=25 if few else 200)
    measured = evaluate(state.method, tiny.clips("test", run.data), test, torch.device("cpu"))
    return Learned(measured.accuracy, before, _entropy(state.method, run.data))


@torch.no_grad()
def _entropy(method: Method, data: DataConfig) -> float:
    whole = episode(way=CLASSES, queries=4, data=data)
    return float(cross_entropy(method.predict(whole), whole.query_labels))


def square_masks(root: Path, data: DataConfig) -> Path:
    """Mask files of the squares of all train clips."""
    size = data.resize.size
    stored = tiny.MadeFrames(size)
    for clip in tiny.index(size=size).of("train"):
        put(root, clip.name, (stored.frames(clip.name)[..., 0] == tiny.SQUARE).astype(np.float32))
    write_listing(root, (size, size))
    return root
