"""What runs cost, in the units that plots show."""

from pathlib import Path

import pytest

from fsar_core.config import RunConfig
from fsar_core.cost import measure
from fsar_core.data.config import DataConfig
from search_spaces.space import COSTS
from sweeps.engine import search_costs
from sweeps.engine.search_costs import cost_function, cost_label, cost_unit
from tests.sweeps.made_plans import made_site
from tests.sweeps.made_records import run_config


def of_frames(frames: int) -> RunConfig:
    run = run_config()
    return run.model_copy(update={"data": DataConfig.model_validate({**dict(run.data), "frames": frames})})


def test_operations_and_parameters_are_those_of_a_test_episode(tmp_path: Path) -> None:
    known = measure(run_config())
    assert cost_function("gflops", made_site(tmp_path))(run_config()) == known.flops_per_episode / 1e9
    assert cost_function("parameters", made_site(tmp_path))(run_config()) == known.test_parameters / 1e6


def test_twice_the_frames_take_longer(tmp_path: Path) -> None:
    latency = cost_function("latency", made_site(tmp_path))
    assert 0 < latency(of_frames(2)) < latency(of_frames(16))


def test_runs_whose_tests_are_the_same_computation_are_measured_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[float] = [1.0, 2.0]

    def next_one(*_: object, **__: object) -> float:
        return measured.pop(0)

    monkeypatch.setattr(search_costs, "latency_ms", next_one)
    latency = cost_function("latency", made_site(tmp_path))
    assert [latency(run_config(seed=0)), latency(run_config(seed=1)), latency(of_frames(2))] == [1.0, 1.0, 2.0]


def test_every_cost_has_a_label_with_its_unit() -> None:
    assert all(cost_label(cost).endswith(f"({cost_unit(cost)})") for cost in COSTS)
