"""Every method learns from the videos of the built-in benchmark, in a few dozen steps."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsar_core.config import EvalConfig, Need, RunConfig, Training
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.datasets import DatasetPlace, open_index, open_splits
from fsar_core.data.folder_scan import Split
from fsar_core.evaluate import evaluate
from fsar_core.methods import all_methods
from fsar_core.presets import Recipe, laptop64
from fsar_core.train import Execution, TrainState, train

CPU = Execution(device=torch.device("cpu"))
EPISODES = 300
CHANCE = 0.2


def shortened(recipe: Recipe) -> Recipe:
    course = recipe.episodes.model_copy(update={"training": Training(steps=40, val_every=40)})
    scores = recipe.scores.model_copy(update={"training": Training(steps=20, val_every=20)})
    selection = recipe.selection.model_copy(update={"episodes": 20})
    quick = {"training": Training(steps=300, val_every=300)}
    needs = tuple(
        Need(run=need.run.model_copy(update=quick), source=need.source, target=need.target) for need in recipe.needs
    )
    changes = {"episodes": course, "scores": scores, "selection": selection, "needs": needs}
    return recipe.model_copy(update=changes)


@pytest.fixture(scope="module")
def place(benchmark: Path, tmp_path_factory: pytest.TempPathFactory) -> DatasetPlace:
    return DatasetPlace(name="motionshapes", root=benchmark, cache=tmp_path_factory.mktemp("cache"))


class Trainer:
    """Trains runs with what they need first, each once."""

    def __init__(self, place: DatasetPlace) -> None:
        self._place, self._index = place, open_index(place)
        self._states: dict[str, TrainState] = {}

    def splits(self, run: RunConfig) -> Mapping[Split, ClipSource]:
        return open_splits(self._place, run.data, self._index, masks=run.method.mask_settings())

    def trained(self, run: RunConfig) -> TrainState:
        if run.run_id() not in self._states:
            self._states[run.run_id()] = self._train(run)
        return self._states[run.run_id()]

    def _train(self, run: RunConfig) -> TrainState:
        splits = self.splits(run)
        needs: dict[str, dict[str, Tensor]] = {need.target: self.trained(need.run).selected() for need in run.needs}
        state = TrainState.start(run, len(splits["train"].labels), CPU, needs)
        train(state, splits["train"], splits["val"], CPU, lambda _progress, _state: None)
        return state


@pytest.fixture(scope="module")
def trainer(place: DatasetPlace) -> Trainer:
    torch.set_num_threads(1)
    return Trainer(place)


@pytest.mark.parametrize("name", all_methods())
def test_a_short_training_lifts_every_method_clearly_above_chance(name: str, trainer: Trainer) -> None:
    method, recipe = all_methods()[name], shortened(laptop64("motionshapes"))
    first = next(iter(method.variants.values()))
    run = method.run(recipe, first(recipe.backbone))
    state = trainer.trained(run)
    result = evaluate(state.method, trainer.splits(run)["test"], EvalConfig(episodes=EPISODES), CPU.device)
    three_standard_errors = 3 * result.ci95 / 1.96
    assert result.accuracy - three_standard_errors > CHANCE, f"{name}: {result.accuracy:.3f} ± {result.ci95:.3f}"
