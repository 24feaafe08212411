"""``fsar estimate``: what it counts, shows and refuses; times are made up."""

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from fsar_core.config import RunConfig
from fsar_core.presets import smoke
from fsar_core.step_cost import step_cost
from search_spaces.variants import Variant
from sweeps.engine import estimate_cli
from sweeps.engine.estimate_cli import Row, estimate
from sweeps.engine.probing import Probed, probe_step
from sweeps.engine.site import Site
from tests.sweeps.made_folder import refusals, write_site

FLAGS = ("--preset", "smoke", "--dataset", "motionshapes")


def asked(*words: str) -> Result:
    app = typer.Typer(pretty_exceptions_enable=False)
    app.command()(estimate)
    return CliRunner().invoke(app, list(words))


def in_json(*words: str) -> dict[str, Any]:
    """By name."""
    result = asked(*words, *FLAGS, "--json")
    assert result.exit_code == 0, result.output
    return {row["name"]: row for row in json.loads(result.stdout)}


@pytest.fixture(autouse=True)
def probed(monkeypatch: pytest.MonkeyPatch) -> list[RunConfig]:
    """What is measured; each takes three seconds a step."""
    seen: list[RunConfig] = []

    def made(run: RunConfig, _: Site) -> Probed:
        seen.append(run)
        return Probed(seconds=3.0, clips=4, of=25, device="a made device", recomputed=True, peak_bytes=1 << 20)

    monkeypatch.setattr(estimate_cli, "_probed", made)
    return seen


def test_a_row_has_the_counts_of_its_run_and_the_hours_of_all_steps(probed: list[RunConfig]) -> None:
    rows = in_json("frame_matching")
    assert list(rows) == ["first: backbone", "frame_matching/otam"]
    row = rows["frame_matching/otam"]
    run = Variant("frame_matching", "otam").run(smoke("motionshapes"))
    assert probed[-1] == run
    assert row["kept"] == vars(step_cost(run))
    assert row["recomputed"] == vars(step_cost(run, frames_at_once=64))
    assert row["steps"] == run.training.steps
    assert row["hours"] == pytest.approx(3 * run.training.steps / 3600)
    assert (row["verdict"], row["probed"]["clips"]) == ("fits", 4)


def test_what_several_methods_need_first_stands_once(probed: list[RunConfig]) -> None:
    rows = in_json("frame_matching/otam", "frame_matching/bimhm", "sgtm")
    assert list(rows) == [
        "first: backbone",
        "first: losses.0.guide",
        "frame_matching/otam",
        "frame_matching/bimhm",
        "sgtm",
    ]
    assert len(probed) == 5


def test_shots_are_those_of_the_training() -> None:
    one, five = (in_json("frame_matching", "--count-only", *shots) for shots in ((), ("--shots", "5")))
    ratio = five["frame_matching/otam"]["kept"]["flops"] / one["frame_matching/otam"]["kept"]["flops"]
    assert ratio == pytest.approx((5 * 5 + 5 * 4) / (5 * 1 + 5 * 4), rel=0.02)


def test_nothing_is_measured_where_only_counts_are_asked_for(probed: list[RunConfig]) -> None:
    row = in_json("frame_matching", "--count-only")["frame_matching/otam"]
    assert (row["probed"], row["hours"], probed) == (None, None, [])


@pytest.mark.parametrize("columns", ["100", "150"])
def test_the_table_fits_the_terminal_and_says_what_was_measured(columns: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", columns)
    result = asked("frame_matching", *FLAGS)
    assert result.exit_code == 0, result.output
    assert max(map(len, result.output.splitlines())) <= int(columns)
    text = " ".join(result.output.split())
    for part in (
        "frame_matching/otam",
        "24 GB card",
        "a made device",
        "4 of 25 clips of a batch were measured",
        "fits",
    ):
        assert part in text
    assert "measured recomputing" in text


@pytest.mark.parametrize(
    ("card", "verdict"), [("24", "fits"), ("1.03", "fits recomputing"), ("1.01", "too large"), ("0.5", "too large")]
)
def test_the_verdict_depends_on_the_card(card: str, verdict: str) -> None:
    cost = step_cost(Variant("frame_matching", "otam").run(smoke("motionshapes")))
    kept = vars(cost) | {"peak_bytes": 40 << 20}
    again = vars(cost) | {"peak_bytes": 20 << 20}
    row = Row(name="made", steps=1, kept=type(cost)(**kept), recomputed=type(cost)(**again), probed=None)
    assert row.verdict(float(card)) == verdict


def test_all_faults_are_named_together(probed: list[RunConfig]) -> None:
    words = ("frame_machting", "--site", "nowhere", "--preset", "cleen", "--shots", "0", "--card", "-3")
    found = refusals(asked(*words, "--dataset", "A b"))
    expected = ("did you mean 'frame_matching'?", "nowhere", "--preset", "--dataset", "--shots", "--card")
    assert len(found) == len(expected)
    for fault, part in zip(found, expected, strict=True):
        assert part in fault
    assert probed == []


def test_a_site_says_how_it_is_counted(tmp_path: Path) -> None:
    site = write_site(tmp_path, tmp_path, head='precision = "bf16"\nframes_at_once = 4')
    row = in_json("frame_matching", "--count-only", "--site", str(site))["frame_matching/otam"]
    run = Variant("frame_matching", "otam").run(smoke("motionshapes"))
    assert row["kept"] == vars(step_cost(run, precision="bf16"))


def test_a_probe_in_a_fresh_process_gives_time_and_memory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.undo()
    run = Variant("frame_matching", "otam").run(smoke("motionshapes"))
    site = Site(datasets={}, storage=tmp_path, cache=tmp_path)
    found = estimate_cli._probed(run, site)  # pyright: ignore[reportPrivateUsage] - what the other tests replace
    assert found is not None
    assert 0 < found.seconds < 600
    assert (found.clips, found.of, found.recomputed) == (25, 25, False)
    assert found.peak_bytes >= 0
    assert probe_step(run, site.model_copy(update={"recompute": "always"})).recomputed
