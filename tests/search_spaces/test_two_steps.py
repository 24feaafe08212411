"""Every different method behind the papers' own numbers trains, and what its row measures comes out, at toy size."""

from collections.abc import Iterator
from math import isfinite
from pathlib import Path
from typing import NamedTuple

import pytest
import torch

from fsar_core.checkpoint import drop_parts
from fsar_core.config import EpisodeBatches, EvalConfig, RunConfig, Selection, Training
from fsar_core.data.clip_index import ClipIndex
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.folder_scan import Split
from fsar_core.data.mask_store import MaskStore
from fsar_core.evaluate import episodes_of, evaluate, plain_logits
from fsar_core.method import Method, MethodConfig
from fsar_core.train import Progress, TrainState, train
from search_spaces.papers import all_papers
from search_spaces.papers.paper import RefusedError
from search_spaces.papers.printed import printed_tables
from tests.fsar_core import tiny
from tests.fsar_core.contract import LARGE, square_masks

STEPS, WAY, CLASSES = 2, 2, 3
TEST = EvalConfig(way=WAY, episodes=3)


class Row(NamedTuple):
    run: RunConfig
    measured: MethodConfig


def different_rows() -> Iterator[tuple[str, Row]]:
    """The first row of each method; those that differ in data set or shots alone are one."""
    recipe = tiny.recipe(crop=LARGE, augmented=False)
    short = {
        "batches": EpisodeBatches(way=WAY, shot=1, queries=1, per_step=1),
        "training": Training(steps=STEPS, val_every=STEPS),
        "selection": Selection(episodes=1),
        "needs": (),
    }
    seen: set[tuple[str, ...]] = set()
    for table in printed_tables().values():
        for cell in table.own_accuracies():
            try:
                resolved = all_papers()[table.paper].resolve(cell.settings, recipe)
            except RefusedError:
                continue  # the tests of each paper say which these are
            run = resolved.run.model_copy(update=short)
            measured = resolved.measured or run.method
            key = (run.method.canonical_json(), run.data.canonical_json(), measured.canonical_json())
            if key not in seen:
                seen.add(key)
                yield f"{table.name}: {cell.row}", Row(run, measured)


ROWS = dict(different_rows())


@pytest.fixture(scope="module")
def mask_files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return square_masks(tmp_path_factory.mktemp("masks"), tiny.data(crop=LARGE))


def clips(split: Split, data: DataConfig, masks: MaskStore | None = None) -> ClipSource:
    """Two of each of a few classes."""
    size = data.resize.size
    every = tiny.index(per_class=2, size=size).clips
    few = [clip for clip in every if clip.label in [f"{clip.split}{i}" for i in range(CLASSES)]]
    return ClipSource(ClipIndex.of_clips("made", few), split, tiny.MadeFrames(size), data, masks)


def trained(state: TrainState, mask_files: Path) -> list[Progress]:
    run = state.run
    settings = run.method.mask_settings()
    masks = None if settings is None else MaskStore(mask_files, settings)
    reports: list[Progress] = []
    both = clips("train", run.data, masks), clips("val", run.data)
    train(state, *both, tiny.CPU, lambda progress, _state: reports.append(progress))
    return reports


def of_the_test(row: Row, state: TrainState) -> Method:
    """What the row measures, with the trained weights."""
    data = row.run.data
    method = row.measured.for_test().build(frames=data.frames, crop=data.crop, classes=CLASSES)
    method.load_state_dict(drop_parts(state.method.state_dict(), keep=method))
    return method.eval()


def test_all_papers_have_rows() -> None:
    assert {name.partition("/")[0] for name in ROWS} == {"i2st", "sgtm", "strm", "vim"}


@pytest.mark.parametrize("name", ROWS)
def test_a_row_trains_for_two_steps_and_is_measured(name: str, mask_files: Path) -> None:
    row = ROWS[name]
    state = TrainState.start(row.run, CLASSES, tiny.CPU, {})
    before = {name: weight.detach().clone() for name, weight in state.method.named_parameters()}
    reports = trained(state, mask_files)
    assert [progress.step for progress in reports] == [*range(1, STEPS + 1)]
    assert all(isfinite(value) for progress in reports for value in progress.losses.values())
    moved = {name for name, now in state.method.named_parameters() if not torch.equal(now, before[name])}
    assert any(name.startswith("backbone") for name in moved)

    method, source = of_the_test(row, state), clips("test", row.run.data)
    logits = plain_logits(method, source, episodes_of(source, TEST), 0, tiny.CPU.device)
    assert logits.shape == (WAY, WAY)
    assert bool(logits.isfinite().all())
    measured = evaluate(method, source, TEST, tiny.CPU.device)
    assert len(measured.correct) == TEST.episodes
    assert 0 <= measured.accuracy <= 1
