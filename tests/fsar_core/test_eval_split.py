"""Evaluations on val: what is chosen from is measured apart from what is reported, and old ids stay."""

import numpy as np
import pytest
from pydantic import ValidationError

from fsar_core.config import EvalConfig
from fsar_core.evaluate import episodes_of, evaluate, subset_of
from tests.fsar_core import tiny

METHOD = tiny.run("baseline").method.for_test()
CONFIG = EvalConfig(way=3, episodes=20)
ON_VAL = EvalConfig(way=3, episodes=20, split="val")


def test_evaluations_on_test_keep_the_text_that_names_them() -> None:
    assert "split" not in EvalConfig().canonical_json()
    assert "split" not in EvalConfig(split="test").model_dump()
    assert '"split":"val"' in ON_VAL.canonical_json()
    assert EvalConfig.model_validate_json(ON_VAL.model_dump_json()) == ON_VAL


def test_val_of_another_data_set_is_refused() -> None:
    with pytest.raises(ValidationError, match="left out or split be 'test', got dataset 'hmdb51'"):
        EvalConfig(dataset="hmdb51", split="val")


@pytest.mark.parametrize(("config", "split"), [(CONFIG, "test"), (ON_VAL, "val")])
def test_an_evaluation_asks_the_classes_of_its_split(config: EvalConfig, split: str) -> None:
    source = tiny.clips(config.split)
    method = METHOD.build(frames=source.config.frames, crop=source.config.crop, classes=2)
    result = evaluate(method, source, config, tiny.CPU.device)
    assert {label.rstrip("0123456789") for label in result.per_class} == {split}
    assert subset_of(source, config).clips() == len(source.clips)


@pytest.mark.parametrize(("config", "split"), [(CONFIG, "val"), (ON_VAL, "test"), (ON_VAL, "train")])
def test_clips_of_another_split_are_refused(config: EvalConfig, split: str) -> None:
    with pytest.raises(ValueError, match=f"is of split '{config.split}', but the clips are of '{split}'"):
        episodes_of(tiny.clips(split), config)  # pyright: ignore[reportArgumentType] - a name from the list above


def test_episodes_of_another_seed_are_others() -> None:
    source = tiny.clips("val")
    looked_at = episodes_of(source, ON_VAL)
    own = episodes_of(source, ON_VAL.model_copy(update={"seed": 1}))
    assert not np.array_equal(looked_at.support, own.support)
