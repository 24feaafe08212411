"""Data sets that cannot give what is asked of them: few clips, unknown lengths, test classes that were trained on."""

from dataclasses import replace

import pytest

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.data.clip_index import Clip, ClipIndex
from fsar_core.data.config import Limit
from fsar_core.data.folder_scan import SPLITS
from fsar_core.methods import sgtm
from sweeps.engine.data_faults import data_faults, datasets_of, subset_lines
from tests.fsar_core import tiny
from tests.sweeps.made_plans import needing

RUN = tiny.run("baseline")
OWN = tiny.index()


def other(dataset: str, *renamed: tuple[str, str], fps: float = 12.0) -> ClipIndex:
    """The same clips under other class names, but for those that ``renamed`` gives by the old one."""
    names = {label: f"{dataset} {label}" for split in SPLITS for label in OWN.labels(split)} | dict(renamed)

    def clip(own: Clip) -> Clip:
        return replace(own, label=names[own.label], fps=fps)

    return ClipIndex.of_clips(dataset, map(clip, OWN.clips))


def faults(evaluation: EvalConfig, *others: ClipIndex, run: RunConfig = RUN) -> list[str]:
    return data_faults({index.dataset: index for index in (OWN, *others)}, [(run, evaluation)])


def on(run: RunConfig, dataset: str) -> RunConfig:
    return run.model_copy(update={"data": run.data.model_copy(update={"dataset": dataset})})


def limited(per_class: int, run: RunConfig = RUN) -> RunConfig:
    return run.model_copy(update={"data": run.data.model_copy(update={"limit": Limit(per_class=per_class)})})


def test_all_data_sets_of_a_request_are_found_once() -> None:
    run = needing(RUN, on(RUN, "first"))
    wanted = [(run, EvalConfig(dataset="far")), (run, EvalConfig()), (on(RUN, "third"), None)]
    assert datasets_of([*wanted, *wanted]) == ("made", "first", "far", "third")


def test_a_data_set_with_new_classes_may_be_tested_on() -> None:
    assert faults(EvalConfig(dataset="far"), other("far")) == []


def test_test_classes_that_were_trained_on_are_refused_by_name_whatever_their_spelling() -> None:
    near = other("near", ("test1", "Train-1"), ("test4", "TRAIN_3."))
    (fault,) = faults(EvalConfig(dataset="near"), near)
    assert fault == (
        "test classes must be new to a run, but 2 of the 6 test classes of 'near' are train classes of 'made': "
        "'TRAIN_3.', 'Train-1'; test on a data set with other classes, or train on one"
    )


def test_val_and_train_classes_of_the_other_data_set_do_not_matter() -> None:
    assert faults(EvalConfig(dataset="far"), other("far", ("train0", "train1"), ("val0", "train2"))) == []


def test_classes_on_which_a_needed_run_was_trained_are_refused_too() -> None:
    first = other("first", ("train0", "Test 5"))
    (fault,) = faults(EvalConfig(), first, run=needing(RUN, on(RUN, "first")))
    assert "1 of the 6 test classes of 'made' are train classes of 'first': 'test5'" in fault


def test_names_without_letters_are_not_all_one() -> None:
    assert faults(EvalConfig(dataset="far"), other("far", ("test1", "+"), ("train1", "-"))) == []


def test_too_few_clips_of_another_data_set_are_told_with_its_name() -> None:
    assert faults(EvalConfig(dataset="far", way=7), other("far")) == [
        "7-way episodes need 7 classes in test of 'far', which has 6"
    ]
    few = faults(EvalConfig(dataset="far", shot=8), other("far"))
    assert len(few) == 6
    assert few[0].endswith("need 9 videos a class, but 'far test0' in test of 'far' has 8")


def test_what_is_measured_on_val_needs_val_classes_and_clips() -> None:
    assert faults(EvalConfig(way=5, split="val")) == []
    assert faults(EvalConfig(way=6)) == []
    assert faults(EvalConfig(way=6, split="val")) == ["6-way episodes need 6 classes in val, which has 5"]
    assert faults(EvalConfig(shot=8, split="val")) == [
        f"8-shot episodes with 1 queries per class need 9 videos a class, but 'val{i}' in val has 8" for i in range(5)
    ]


def test_val_classes_that_another_run_was_trained_on_do_not_matter() -> None:
    first = other("first", ("train0", "val1"))
    assert faults(EvalConfig(way=3, split="val"), first, run=needing(RUN, on(RUN, "first"))) == []


def test_short_val_clips_are_counted_on_val() -> None:
    short = EvalConfig(way=3, max_seconds=0.9, split="val")
    assert faults(short) == []
    assert subset_lines({"made": OWN}, [(RUN, short)]) == [
        "val clips of made up to 0.9 s, 1-shot: 20 clips of 5 classes"
    ]


def test_short_clips_must_be_known_and_enough() -> None:
    short = EvalConfig(way=5, max_seconds=0.9)
    assert faults(short) == []
    assert faults(short.model_copy(update={"shot": 4})) == [
        "5-way episodes of clips up to 0.9 s need 5 classes with 5 such clips in test, which has 0 clips of 0 classes; "
        "left out for having fewer than 5: 'test0' (4), 'test1' (4), 'test2' (4), 'test3' (4), 'test4' (4), "
        "'test5' (4)"
    ]
    (fault,) = faults(short.model_copy(update={"dataset": "far"}), other("far", fps=0.0))
    assert fault.startswith("far: max_seconds = 0.9 needs the frame rate of every test clip, but 48 of 48 have none")


def test_a_subset_is_told_with_its_size_once() -> None:
    wanted = [(RUN, EvalConfig(max_seconds=0.8)), (RUN, EvalConfig(max_seconds=0.8, way=3)), (RUN, EvalConfig())]
    assert subset_lines({"made": OWN}, wanted) == ["test clips of made up to 0.8 s, 1-shot: 12 clips of 6 classes"]


@pytest.mark.parametrize("per_class", [3, 8])
def test_a_limit_that_leaves_enough_for_an_episode_is_taken(per_class: int) -> None:
    assert faults(EvalConfig(), run=limited(per_class)) == []


def test_a_limit_below_an_episode_is_refused_for_the_run_and_what_it_needs() -> None:
    scores = tiny.run("sgtm").model_copy(update={"needs": ()})
    assert faults(EvalConfig(), run=limited(2)) == [
        "data.limit.per_class must be at least 3 for 1-shot episodes with 2 queries per class, got 2"
    ]
    assert faults(EvalConfig(), run=needing(RUN, limited(1, scores))) == [
        "data.limit.per_class must be at least 3 for 1-shot episodes with 2 queries per class, got 1"
    ]


def test_one_clip_a_class_cannot_also_be_held_out() -> None:
    (need,) = [need.run for need in sgtm.run(tiny.recipe(), tiny.METHODS["sgtm"]).needs]
    (fault,) = data_faults({"made": OWN}, [(limited(1, need), None)])
    assert fault == ("data.limit.per_class must be at least 2 for batches of clips, of which some are held out, got 1")
    assert data_faults({"made": OWN}, [(limited(2, need), None)]) == []
