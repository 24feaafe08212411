"""The time of a test episode."""

import pytest
import torch

from fsar_core.latency import latency_ms
from fsar_core.presets import laptop
from tests.fsar_core import tiny

CPU = torch.device("cpu")


def test_more_queries_take_longer() -> None:
    assert 0 < latency_ms(tiny.run(), CPU) < latency_ms(tiny.run(), CPU, queries=10)


def test_a_method_without_heads_answers_no_episode() -> None:
    with pytest.raises(ValueError, match="a method with heads"):
        latency_ms(laptop("motionshapes").needs[0].run, CPU)
