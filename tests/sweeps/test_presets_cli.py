"""``fsar presets``: what it lists, shows and compares."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fsar_core.presets import PRESETS
from sweeps.engine.preset_facts import differences, facts
from sweeps.engine.presets_cli import app
from tests.sweeps.made_folder import refusals


def presets(*words: str) -> Result:
    return CliRunner().invoke(app, list(words))


def in_json(*words: str) -> Any:
    result = presets(*words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.output)


def words_of(*words: str) -> str:
    return " ".join(presets(*words).output.split())


def test_all_are_listed_with_source_and_a_line() -> None:
    rows = in_json()
    assert [row["preset"] for row in rows] == list(PRESETS)
    assert {row["preset"] for row in rows if row["weights_chosen_on_test"]} == {"hyrsm", "molo", "vim"}
    listed = words_of()
    for row in rows:
        assert row["source"] in listed
        assert row["about"].split(".")[0] in listed
    assert listed.count("‡ weights chosen on test") == 3


@pytest.mark.parametrize("columns", ["100", "150"])
@pytest.mark.parametrize("words", [(), ("show", "hyrsm"), ("diff", "trx", "molo")], ids=str)
def test_everything_fits_the_terminal(words: tuple[str, ...], columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    lines = presets(*words).output.splitlines()
    assert max(map(len, lines)) <= int(columns)
    assert not any("…" in line for line in lines)


def test_a_preset_is_shown_for_a_data_set_with_every_field_and_what_it_leaves_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("COLUMNS", "150")
    shown = words_of("show", "trx", "--dataset", "ssv2_full_77k")
    for text in (
        "trx on ssv2_full_77k Perrett et al. (TRX), CVPR 2021, https://github.com/tobyperrett/trx",
        "data.train_sampling linspace",
        "data.resize squeezed to 256x256",
        "data.flip flips 0.5 of all clips",
        "episodes.training 4,687 steps, a look every 234",
        "selection the last; looks at val choose nothing",
        "Not imitated: the first step holds 15 tasks instead of 16",
    ):
        assert text in shown


def test_json_has_the_fields_in_words() -> None:
    shown = in_json("show", "hyrsm", "--dataset", "kinetics100")
    fields = {field["field"]: field["value"] for field in shown["fields"]}
    assert fields["data.jitter"] == "colour jitter 0.5/0.5/0.5/0.25, grey 0.3 of queries"
    assert fields["episodes.schedule"] == (
        "warm-up of 25 steps from x0.227, x0.5 after 50, x0.1 after 75, x0.05 after 125"
    )
    assert fields["queries_by_shot"] == "1: 7, 2: 6, 3: 5, 4: 4, 5: 3"
    assert fields["selection"] == "best on test, 10,000 episodes a look"
    assert [note.partition(":")[0] for note in shown["notes"]] == ["Source", "Silent", "Not imitated"]


def test_two_presets_are_compared_field_by_field() -> None:
    compared = in_json("diff", "trx", "clean")
    fields = {field["field"]: (field["left"], field["right"]) for field in compared["fields"]}
    assert fields["data.flip"] == ("flips 0.5 of all clips", "no flips")
    assert fields["data.normalisation"] == ("none", "codebase")
    assert fields["loss_scale"] == ("sum", "method")
    assert fields["episodes.optimizer.kind"] == ("sgd", "adam")
    assert "data.crop" not in fields
    assert "trx and clean on hmdb51: 14 fields differ" in words_of("diff", "trx", "clean")
    assert words_of("diff", "molo", "molo") == "molo and molo are the same on hmdb51"


@pytest.mark.parametrize("dataset", ["hmdb51", "ssv2_full"])
def test_presets_that_differ_in_anything_are_shown_to_differ(dataset: str) -> None:
    for one in PRESETS.values():
        for other in PRESETS.values():
            assert bool(differences(one, other, dataset)) == (one(dataset) != other(dataset))


def test_a_field_that_only_one_has_stands_against_nothing() -> None:
    found = {own.field: own for own in differences(PRESETS["laptop"], PRESETS["clean"], "hmdb51")}
    assert found["backbone.depth"].left == ""
    assert found["backbone.depth"].right == "50"
    assert found["needs"].left == "backbone from a training of 400 steps on clips"


def test_all_faults_come_together() -> None:
    faults = refusals(presets("diff", "trxx", "hyrms", "--dataset", "../x"))
    assert faults[0].startswith("no preset is called 'trxx'; did you mean 'trx'? There are clean, trx, ")
    assert faults[1].startswith("no preset is called 'hyrms'; did you mean 'hyrsm'?")
    assert faults[2] == "--dataset must be a name of lower-case letters, digits, '_', '.' and '-', got '../x'"
    assert len(faults) == 3


def test_every_field_of_every_preset_has_a_value_or_stands_above_others() -> None:
    for preset in PRESETS.values():
        found = facts(preset("hmdb51"))
        names = [fact.field for fact in found]
        assert len(set(names)) == len(names)
        for fact in found:
            assert fact.value or any(name.startswith(f"{fact.field}.") for name in names)
