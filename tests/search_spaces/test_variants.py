"""Names of methods and variants, and the table that they make."""

import pytest

from fsar_core.config import EpisodeBatches, EvalConfig
from fsar_core.data.config import Limit
from fsar_core.methods import LEFT_OUT, all_methods
from fsar_core.presets import clean, laptop, laptop64
from fsar_core.presets.coding import with_limit
from fsar_core.stages import TokenTransformer
from search_spaces.table import TableError
from search_spaces.variants import Variant, find_variants, unknown, variants_table

SGTM = tuple(all_methods()["sgtm"].variants)


def faults(*methods: str, variants: tuple[str, ...] = ()) -> tuple[str, ...]:
    with pytest.raises(TableError) as caught:
        find_variants(methods, variants)
    return caught.value.faults


def test_a_method_alone_is_its_first_variant() -> None:
    assert find_variants(["sgtm"]) == (Variant("sgtm", SGTM[0]),)
    assert [found.label() for found in find_variants(["sgtm", "sgtm/baseline"])] == ["sgtm", "sgtm/baseline"]


def test_variants_are_taken_of_every_method_but_of_those_that_name_one() -> None:
    found = find_variants(["sgtm", "i2st/gap_sum"], ["baseline", SGTM[0]])
    assert [variant.label() for variant in found] == ["sgtm/baseline", "sgtm", "i2st/gap_sum"]
    assert len(find_variants(["sgtm"], ["all"])) == len(SGTM)


def test_all_are_all_methods_and_nothing_comes_twice() -> None:
    assert [variant.method for variant in find_variants(["all"])] == list(all_methods())
    assert len(find_variants(["all", "sgtm"], ["all"])) == sum(len(own.variants) for own in all_methods().values())


def test_every_unknown_name_is_listed_with_what_there_is_and_what_is_near() -> None:
    found = faults("sgmt", "sgtm/basline", "zzz", "sgtm", variants=("randm_mask", "baseline"))
    assert found[0].startswith("no method is called 'sgmt'; did you mean 'sgtm'? There are frame_matching, hyrsm, ")
    assert found[1].startswith("no variant of sgtm is called 'basline'; did you mean 'baseline'? There are sgtm, ")
    assert found[2].startswith("no method is called 'zzz'. There are ")
    assert found[3].startswith("no variant of sgtm is called 'randm_mask'; did you mean 'random_mask'?")
    assert len(found) == 4
    assert unknown("method", "a", ["b"]) == "no method is called 'a'. There is b"


def test_a_method_that_was_left_out_is_refused_with_the_reason() -> None:
    assert faults("molo", "sgtm")[0].startswith("MoLo is not built: ")
    assert not LEFT_OUT.keys() & all_methods().keys()


def test_no_names_are_a_fault() -> None:
    assert faults() == ("name at least one method",)


def test_a_row_is_trained_once_and_tested_with_each_number_of_shots() -> None:
    table = variants_table(
        find_variants(["sgtm"], ["all"]), laptop("motionshapes"), shots=(1, 5), test=EvalConfig(episodes=300)
    )
    assert table.name == "variants/sgtm"
    assert table.rows() == ("sgtm", *(f"sgtm/{name}" for name in SGTM[1:]))
    assert table.columns() == ("1-shot", "5-shot")
    assert table.reference == "sgtm"
    assert len({cell.run.run_id() for cell in table.cells}) == len(SGTM)
    assert {(cell.column, cell.evaluation.shot) for cell in table.cells} == {("1-shot", 1), ("5-shot", 5)}
    assert {cell.evaluation.episodes for cell in table.cells} == {300}
    assert table.cells[-1].settings == {"method": "sgtm", "variant": SGTM[-1]}
    assert table.cells[0].run.needs


def test_per_shot_trains_each_column_by_itself_and_shares_what_comes_first() -> None:
    table = variants_table(find_variants(["sgtm"]), laptop("motionshapes"), shots=(1, 5), per_shot=True)
    one, five = (cell.run for cell in table.cells)
    assert isinstance(one.batches, EpisodeBatches)
    assert isinstance(five.batches, EpisodeBatches)
    assert (one.batches.shot, five.batches.shot) == (1, 5)
    assert five.model_copy(update={"batches": one.batches}) == one
    assert one.needs == five.needs
    assert table.reference is None


def test_several_methods_make_one_table() -> None:
    table = variants_table(find_variants(["i2st/baseline", "sgtm"]), clean("hmdb51"), shots=(1,))
    assert table.name == "variants/i2st_sgtm"
    assert table.rows() == ("i2st/baseline", "sgtm")


def test_every_variant_fits_the_presets_of_papers_and_of_a_laptop() -> None:
    every = find_variants(["all"], ["all"])
    for recipe in (clean("ssv2_small"), laptop64("motionshapes")):
        table = variants_table(every, recipe, shots=(1,))
        assert table.rows() == tuple(row.label() for row in every)


def test_all_variants_that_do_not_fit_the_recipe_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object, **__: object) -> None:
        raise ValueError("token_dim must divide")

    recipe = laptop("motionshapes")
    monkeypatch.setattr(TokenTransformer.Config, "gives", refused)
    with pytest.raises(TableError) as caught:
        variants_table(find_variants(["sgtm"], ["all"]), recipe, shots=(1, 5))
    assert len(caught.value.faults) == len(SGTM)
    assert caught.value.faults[-1].startswith("sgtm/baseline: method: step 'matching': token_dim must divide")


def test_unusual_tests_and_trainings_have_a_table_of_their_own() -> None:
    rows = find_variants(["sgtm"])
    recipe = with_limit(laptop("motionshapes"), 20)
    test = EvalConfig(way=10, max_seconds=2.5, dataset="ucf101")
    table = variants_table(rows, recipe, shots=(1, 5), test=test)
    assert table.name == "variants/sgtm_10_way_up_to_2_5_s_on_ucf101_20_videos"
    assert [cell.evaluation for cell in table.cells] == [test, test.model_copy(update={"shot": 5})]
    runs = [table.cells[0].run, *(need.run for need in table.cells[0].run.needs)]
    assert len(runs) > 1
    assert all(run.data.limit == Limit(per_class=20) for run in runs)
    assert variants_table(rows, laptop("motionshapes"), shots=(1,)).name == "variants/sgtm"
