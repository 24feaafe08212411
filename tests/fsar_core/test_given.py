"""Trainings on kept outputs of a frozen backbone: what training on frames gives, without a frame being read."""

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_core import features, given
from fsar_core.config import RunConfig, Selection
from fsar_core.data.clip_source import ClipSource
from fsar_core.embedding import embed_clips
from fsar_core.execution import Execution
from fsar_core.features import FeatureStore
from fsar_core.given import given_clips, given_step, why_frames
from fsar_core.method import MethodConfig
from fsar_core.methods import i2st, sgtm, strm, trx, vim
from fsar_core.train import Progress, TrainState, train
from fsar_core.trial import random_clips
from search_spaces.head_only import head_only
from tests.fsar_core import tiny
from tests.fsar_core.lively import built
from tests.fsar_core.made_masks import made_masks
from tests.fsar_core.masked_clips import masked_clips

WIDE = 64
"""A crop whose maps have 4x4 cells, which STRM's patches and VIM's alignment need."""
MAKERS: dict[str, tuple[Callable[..., MethodConfig], int]] = {
    "sgtm": (partial(sgtm.sgtm, strategy="random"), tiny.CROP),
    "trx": (trx.trx, tiny.CROP),
    "strm": (strm.strm, WIDE),
    "vim": (vim.no_sampler, WIDE),
}
STEPS = {"sgtm": "pooled", "trx": "pooled", "strm": "backbone", "vim": "backbone", "scores": "pooled"}


def cheap(name: str) -> RunConfig:
    if name == "scores":
        return tiny.recipe().class_scores(sgtm.score_layers(tiny.BACKBONE))
    make, crop = MAKERS[name]
    recipe = tiny.recipe(crop=crop, steps=2 if name == "vim" else 4)
    few = recipe.model_copy(update={"selection": Selection(episodes=5)})
    return head_only(few.few_shot(make(tiny.BACKBONE)))


def lively(run: RunConfig) -> TrainState:
    state = tiny.started(run)
    with torch.no_grad():
        backbone = built(run.method, data=run.data).backbone.state_dict()
        state.method.backbone.load_state_dict(backbone)
    return state


def trained(
    run: RunConfig, execution: Execution = tiny.CPU, source: ClipSource | None = None
) -> tuple[TrainState, list[Progress]]:
    seen: list[Progress] = []
    state = lively(run)
    source = source or tiny.clips("train", run.data)
    train(state, source, tiny.clips("val", run.data), execution, lambda progress, _: seen.append(progress))
    return state, seen


def no_step(_: RunConfig) -> None:
    return None


def assert_same_training(run: RunConfig, monkeypatch: pytest.MonkeyPatch, source: ClipSource | None = None) -> None:
    """As kept features give it, and as frames do."""
    kept, seen = trained(run, source=source)
    with monkeypatch.context() as patched:
        patched.setattr(given, "given_step", no_step)
        plain, expected = trained(run, source=source)
    for own, other in zip(seen, expected, strict=True):
        assert own.losses == pytest.approx(other.losses, rel=1e-5)
        assert own.val_accuracy == other.val_accuracy
    weights = dict(plain.method.state_dict())
    torch.testing.assert_close(dict(kept.method.state_dict()), weights, rtol=1e-4, atol=1e-5)
    assert len({str(own.losses) for own in expected}) == len(expected)
    before = lively(run).method.state_dict()
    assert [name for name in weights if not torch.equal(weights[name], before[name])] != []


@pytest.mark.parametrize("name", STEPS)
def test_kept_features_train_the_weights_that_frames_train(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    run = cheap(name)
    assert given_step(run) == STEPS[name]
    assert_same_training(run, monkeypatch)


def test_instance_masks_are_those_of_the_kept_clips(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = head_only(tiny.recipe().few_shot(_masked()))
    source = masked_clips(made_masks(tmp_path, tiny.index()), config=run.data)
    assert_same_training(run, monkeypatch, source)
    drawn = source.masked_videos(np.array([3, 9]), np.array([False, True]), np.random.default_rng(0))
    masks, has_mask = source.test_masks(np.array([3, 9]))
    assert torch.equal(masks, drawn.masks)
    assert torch.equal(has_mask, drawn.has_mask)
    assert len(masks.unique()) > 2


def _masked() -> MethodConfig:
    method = i2st.gap_sum(tiny.BACKBONE)
    losses = tuple(loss.model_copy(update={"ups": (4, 4), "channels": (8, 8)}) for loss in method.losses)
    return method.model_copy(update={"losses": losses})


def test_no_frame_is_read_once_the_tables_are_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, execution = cheap("sgtm"), replace(tiny.CPU, features=FeatureStore(tmp_path, 1 << 30))
    first, seen = trained(run, execution)

    def read(*_: object, **__: object) -> Tensor:
        pytest.fail("a frame is read")

    monkeypatch.setattr(ClipSource, "test_videos", read)
    monkeypatch.setattr(ClipSource, "train_videos", read)
    again, seen_again = trained(run, execution)
    assert seen_again == seen
    assert_bitwise(again, first)
    other = run.model_copy(update={"optimizer": run.optimizer.model_copy(update={"lr": 0.01})})
    assert trained(other, execution)[1][-1].losses != seen[-1].losses


def test_methods_on_one_frozen_backbone_share_its_tables(tmp_path: Path) -> None:
    store = FeatureStore(tmp_path, 1 << 30)
    for name in ("sgtm", "trx", "scores"):
        trained(cheap(name), replace(tiny.CPU, features=store))
    assert len(list(tmp_path.glob("*.safetensors"))) == 2  # the train and the val clips


def assert_bitwise(one: TrainState, other: TrainState) -> None:
    left, right = one.method.state_dict(), other.method.state_dict()
    assert [name for name in left if not torch.equal(left[name], right[name])] == []


class Killed(Exception):  # noqa: N818 - what happens to the training in these tests
    """Stands for the end of the process."""


@pytest.mark.parametrize("kept", [True, False])
def test_a_killed_and_resumed_training_on_kept_features_is_bitwise_an_uninterrupted_one(
    kept: bool, tmp_path: Path
) -> None:
    run = cheap("strm")
    execution = replace(tiny.CPU, features=FeatureStore(tmp_path / "features", 1 << 30)) if kept else tiny.CPU
    whole, _ = trained(run)

    def report(progress: Progress, state: TrainState) -> None:
        state.save(tmp_path / "checkpoints", {})
        if progress.step in kills:
            raise Killed

    kills, state = (), lively(run)
    for kills in ((1,), (3,), ()):
        state = lively(run)
        state.resume(tmp_path / "checkpoints")
        with nullcontext() if not kills else pytest.raises(Killed):
            train(state, tiny.clips("train", run.data), tiny.clips("val", run.data), execution, report)
    assert state.step == 4
    assert_bitwise(state, whole)


def test_a_table_that_several_ask_for_at_once_is_made_by_one_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = list[int]()

    def slowly(*args: object, **kwargs: object) -> dict[str, Tensor]:
        made.append(1)
        time.sleep(0.2)
        return embed_clips(*args, **kwargs)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(features, "embed_clips", slowly)
    run = cheap("trx")
    method, tables = lively(run).method, list[Tensor]()

    def ask() -> None:
        store = FeatureStore(tmp_path, 1 << 30)
        tables.append(store.of_step(method, tiny.clips("train", run.data), torch.device("cpu"), "pooled"))

    askers = [threading.Thread(target=ask) for _ in range(3)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    assert made == [1]
    assert all(torch.equal(table, tables[0]) for table in tables)


def test_what_half_precision_computed_is_kept_narrow_and_given_wide(tmp_path: Path) -> None:
    run = cheap("trx")
    execution = replace(tiny.CPU, precision="bf16", features=FeatureStore(tmp_path, 1 << 30))
    sources = (tiny.clips("train", run.data), tiny.clips("val", run.data))
    found = given_clips(run, lively(run).method, sources, execution)
    assert found["val"].table.dtype == torch.float32  # looks compute in full precision
    assert found["train"].table.dtype == torch.bfloat16
    assert found["train"].rows(np.array([0, 5])).dtype == torch.float32


def test_every_reason_for_frames_is_told() -> None:
    run = vim.run(tiny.recipe(), vim.no_alignment(tiny.BACKBONE))
    told = "; ".join(why_frames(run))
    for reason in ("'intra_video' reads the frames", "the backbone trains", "clips are random", "'video_sampler'"):
        assert reason in told
    assert given_step(run) is None
    assert why_frames(cheap("sgtm")) == []


def test_a_step_that_drops_values_at_random_is_not_kept() -> None:
    run = head_only(tiny.recipe(crop=WIDE).few_shot(vim.no_sampler(tiny.BACKBONE)))
    assert run.method.steps[0].stage.kind == "feature_dropout"
    assert given_step(run) == "backbone"


def test_rows_that_are_too_large_are_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    run = cheap("strm")
    row = 4 * tiny.FRAMES * 32 * 16
    monkeypatch.setattr(given, "MOST_BYTES", row)
    assert given_step(run) == "backbone"
    monkeypatch.setattr(given, "MOST_BYTES", row - 1)
    assert given_step(run) is None
    assert "MiB a clip" in why_frames(run)[0]


@pytest.mark.parametrize("name", STEPS)
def test_noise_for_a_trial_has_the_shape_of_what_is_given(name: str) -> None:
    run = cheap(name)
    method = lively(run).method
    noise = random_clips(run, method, 6, torch.device("cpu"))
    table = given_clips(run, method, (tiny.clips("train", run.data),), tiny.CPU)["train"].table
    assert noise.given == STEPS[name]
    assert noise.videos.shape[1:] == table.shape[1:]


@pytest.mark.parametrize(
    ("change", "step"),
    [("none", "pooled"), ("trained backbone", None), ("head on the backbone's features", "backbone")],
)
def test_the_last_step_is_kept_before_which_no_later_part_reads(change: str, step: str | None) -> None:
    run = cheap("scores")
    method = run.method
    if change == "trained backbone":
        method = method.model_copy(update={"backbone": tiny.BACKBONE})
    elif change != "none":
        beside = method.steps[0].model_copy(update={"name": "beside", "reads": "backbone"})
        method = method.model_copy(update={"steps": (*method.steps, beside)})
    assert given_step(run.model_copy(update={"method": method})) == step
