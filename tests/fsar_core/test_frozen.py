"""Canonical JSON: what ``model_dump`` would give, remembered by the object and by nothing that is made from it."""

import copy
import json
import pickle

import pytest
from pydantic import Field

from fsar_core.config import EvalConfig, RunConfig
from fsar_core.frozen import Frozen
from fsar_core.presets import PRESETS
from search_spaces.variants import find_variants


def plainly(config: Frozen) -> str:
    return json.dumps(config.model_dump(mode="json"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def made() -> RunConfig:
    return find_variants(["sgtm"])[0].run(PRESETS["laptop"]("motionshapes"))


@pytest.mark.parametrize("preset", PRESETS)
def test_it_is_that_of_the_dumped_config_for_every_method_and_preset(preset: str) -> None:
    recipe, seen = PRESETS[preset]("ssv2_full"), 0
    assert recipe.canonical_json() == plainly(recipe)
    for variant in find_variants(["all"]):
        try:
            run = variant.run(recipe)
        except ValueError:  # does not fit the preset's maps
            continue
        assert run.canonical_json() == plainly(run)
        seen += 1
    assert seen > 3


class Odd(Frozen):
    text: str = 'é "quoted" \\ \n'
    numbers: tuple[float, ...] = (1e-12, 1.0, -0.0, 1e22)
    big: int = 10**20
    sure: bool = True
    nothing: None = None
    table: dict[str, int] = Field(default_factory=lambda: {"b": 1, "a": 2})
    inner: tuple[tuple[EvalConfig, ...], ...] = ((EvalConfig(max_seconds=3.0),), ())


def test_odd_texts_numbers_and_tables_are_written_as_json_writes_them() -> None:
    assert Odd().canonical_json() == plainly(Odd())


def test_a_changed_copy_does_not_remember_the_id_of_its_original() -> None:
    run = made()
    first = run.run_id()
    changed = run.model_copy(update={"seed": 7})
    assert changed.run_id() != first
    assert changed.canonical_json() == plainly(changed)
    assert run.with_seed(7).run_id() == changed.run_id()
    for same in (copy.copy(run), copy.deepcopy(run), pickle.loads(pickle.dumps(run))):
        assert same == run
        assert same.run_id() == first


def test_remembering_changes_neither_what_is_dumped_nor_what_is_equal() -> None:
    run, other = made(), made()
    run.run_id()
    assert run == other
    assert (run.model_dump_json(), dict(run)) == (other.model_dump_json(), dict(other))


def test_another_seed_is_checked_and_the_same_one_is_the_same_run() -> None:
    run = made()
    assert run.with_seed(run.seed) is run
    with pytest.raises(ValueError, match="seed must be at least 0, got -1"):
        run.with_seed(-1)
