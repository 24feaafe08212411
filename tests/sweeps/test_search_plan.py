"""What ``--search N --dry-run`` says, with speeds made up."""

import io
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from optuna.trial import BaseTrial
from rich.console import Console

from fsar_core.config import RunConfig
from fsar_core.presets import Recipe
from search_spaces.space import Point
from sweeps.engine import search_plan
from sweeps.engine.estimate import Speed
from sweeps.engine.plan import Plan
from sweeps.engine.request import Prepared
from sweeps.engine.search_asked import SearchAsked
from sweeps.engine.search_plan import show_search_plan
from sweeps.engine.search_study import KEY, open_study
from sweeps.engine.search_training import Searching
from sweeps.engine.site import Site
from tests.fsar_core import tiny
from tests.sweeps.made_plans import FIRST, made_site, needing
from tests.sweeps.made_records import run_config
from tests.sweeps.made_search import made_space, plain

LAM: Mapping[str, float] = {"a": 0.1, "b": 0.2, "c": 0.3}
STEPS = 600


def methods(trial: BaseTrial, _: Recipe) -> RunConfig:
    """Of three, and five parameters more."""
    for number in range(5):
        trial.suggest_int(f"p{number}", 0, 1)
    return run_config(LAM[trial.suggest_categorical("method", list(LAM))])


def point(method: str) -> Point:
    return {"method": method, **{f"p{number}": 0 for number in range(5)}}


def one_needs(trial: BaseTrial, own: Recipe) -> RunConfig:
    run = methods(trial, own)
    return needing(run, FIRST) if trial.params["method"] == "c" else run


Taking = Callable[[Mapping[float, float]], list[int]]


@pytest.fixture
def taking(monkeypatch: pytest.MonkeyPatch) -> Taking:
    """Says how many seconds a step takes, by lambda; gives how many probes each look was allowed."""

    def made(seconds: Mapping[float, float]) -> list[int]:
        asked: list[int] = []

        def speeds(plan: Plan, _: Site, *, probes: int) -> dict[str, Speed]:
            asked.append(probes)
            by_key = {
                run.key: seconds.get(run.run.method.model_dump()["heads"][0]["matcher"]["lam"]) for run in plan.runs
            }
            return {
                key: Speed(seconds=own, source="measured", where="a CPU")
                for key, own in by_key.items()
                if own is not None
            }

        def one_slot(_: Site) -> int:
            return 1

        monkeypatch.setattr(search_plan, "speeds", speeds)
        monkeypatch.setattr(search_plan, "slots", one_slot)
        return asked

    return made


def searching(folder: Path, define: Callable[[BaseTrial, Recipe], RunConfig], *first: Point) -> Searching:
    (folder / "output").mkdir(exist_ok=True)
    prepared = Prepared(
        site=made_site(folder),
        dataset="motionshapes",
        recipe_of=lambda _: tiny.recipe(),
        preset="tiny",
        indices={},
        seeds=(0, 1),
        fresh=False,
        masks={},
        absent=("motionshapes",),
    )
    space = made_space(define, *first)
    example = space.run(first[0], tiny.recipe())
    return Searching(space=space, prepared=prepared, recipe=tiny.recipe(), example=example, cost=None, stopping=False)


def said(search: Searching, asked: SearchAsked, *studies: str) -> dict[str, str]:
    """By the word in front."""
    console = Console(file=io.StringIO(), width=1000, record=True)
    show_search_plan(search, asked, studies or ("s",), console)
    found = (line.split(maxsplit=1) for line in console.export_text().splitlines())
    return {what: text.strip() for what, text in found}


def test_the_time_is_that_of_the_slowest_of_all_points_that_come_first(tmp_path: Path, taking: Taking) -> None:
    taking({0.1: 0.1, 0.2: 0.4, 0.3: 0.2})
    search = searching(tmp_path, methods, *map(point, LAM))
    asked = SearchAsked(points=10, finals=0)
    assert said(search, asked)["time"].startswith(
        f"about {10 * STEPS * 0.4 / 60:.0f} min, 1 at a time: if every training took as long as the slowest of the 3 "
        "that are tried first (measured, a CPU); others may take longer"
    )
    taking({0.1: 0.1, 0.3: 0.2})
    assert "as the slowest of 2 of the 3 that are tried first" in said(search, asked)["time"]
    taking({})
    assert said(search, asked)["time"].startswith("unknown: no run alike is recorded")


def test_points_are_measured_one_by_one_for_a_minute(
    tmp_path: Path, taking: Taking, monkeypatch: pytest.MonkeyPatch
) -> None:
    probes = taking({0.1: 0.1})
    search = searching(tmp_path, methods, *map(point, LAM))
    said(search, SearchAsked(points=10))
    assert probes == [8, 8, 8]
    monkeypatch.setattr(search_plan, "_PROBING_S", 0.0)
    probes.clear()
    said(search, SearchAsked(points=10))
    assert probes == [0, 0, 0]


def test_the_cheap_points_that_are_missing_count_as_whole_trainings(tmp_path: Path, taking: Taking) -> None:
    taking({0.5: 0.1})
    search = searching(tmp_path, plain, {"lam": 0.5})
    cheap = open_study(search.prepared.site.optuna_uri(), "cheap", search.space, "motionshapes")
    trial = cheap.ask()
    trial.set_user_attr(KEY, "a")
    cheap.tell(trial, 0.5)
    asked = SearchAsked(points=20, finals=0, cheap_first=81)
    told = said(search, asked, "s", "cheap")
    assert told["cheap"] == "at most 80 points with a frozen backbone first, each shorter than in full"
    assert told["time"].startswith(f"about {100 * STEPS * 0.1 / 3600:.1f} h")
    assert "cheap" not in said(search, SearchAsked(points=20, finals=0))


def test_no_cheap_point_is_trained_for_a_study_that_holds_its_points(tmp_path: Path, taking: Taking) -> None:
    taking({0.5: 0.1})
    search = searching(tmp_path, plain, {"lam": 0.5})
    study = open_study(search.prepared.site.optuna_uri(), "s", search.space, "motionshapes")
    trial = study.ask()
    trial.set_user_attr(KEY, "a")
    study.tell(trial, 0.5)
    told = said(search, SearchAsked(points=1, finals=0, cheap_first=80), "s", "cheap")
    assert told["points"] == "1, of which 1 are in the study"
    assert "cheap" not in told
    assert told["time"].startswith("about 0 s")


def two(trial: BaseTrial, _: Recipe) -> RunConfig:
    trial.suggest_int("p", 0, 1)
    return run_config(trial.suggest_float("lam", 0.1, 1.0))


@pytest.mark.parametrize(
    ("define", "first", "words"),
    [
        (plain, {"lam": 0.1}, "no more: its two ends are in the finals"),
        (two, {"p": 0, "lam": 0.1}, "at most 4 more, where all 2 parameters differ"),
        (methods, point("a"), "at most 15 more, where 4 or more parameters differ"),
    ],
    ids=["one", "two", "six"],
)
def test_the_path_is_as_long_as_the_parameters_allow(
    tmp_path: Path, taking: Taking, define: Callable[[BaseTrial, Recipe], RunConfig], first: Point, words: str
) -> None:
    taking({0.1: 0.1})
    search = searching(tmp_path, define, first)
    assert said(search, SearchAsked(points=5))["path"] == words
    assert said(search, SearchAsked(points=5, path=False))["path"] == "none"
    assert said(search, SearchAsked(points=5, finals=0))["path"] == "none"


def test_what_any_of_the_first_points_needs_is_told(tmp_path: Path, taking: Taking) -> None:
    taking({0.1: 0.01, 0.2: 0.01, 0.3: 0.01, 0.9: 1.0})
    told = said(searching(tmp_path, one_needs, *map(point, LAM)), SearchAsked(points=1, finals=0))
    assert told["needs"] == "1 more, which the first points need before them"
    assert told["time"].startswith(f"about {50 + STEPS * 0.01:.0f} s")


def test_nothing_is_written(tmp_path: Path, taking: Taking) -> None:
    taking({0.5: 0.1})
    search = searching(tmp_path, plain, {"lam": 0.5})
    said(search, SearchAsked(points=5, cheap_first=5), "s", "cheap")
    assert list((tmp_path / "output").iterdir()) == []
