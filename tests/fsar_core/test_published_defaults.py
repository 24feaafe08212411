"""Defaults that the papers or their released code state, as literals."""

from typing import Any

import pytest

from fsar_core.frozen import Frozen
from fsar_core.matchers import (
    BiMhm,
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    Otam,
    ProtoNet,
    QueryClass,
    SetRelation,
    SoftDtw,
    Trx,
    Vava,
)
from fsar_core.stages import FrameEnrichment, MaxMeanPool, PatchEnrichment, VideoAttention

DEFAULTS: tuple[tuple[type[Frozen], dict[str, Any]], ...] = (
    (
        Trx.Config,
        {
            "cardinalities": (2, 3), "out_dim": 1152, "dropout": 0.1, "tuple_fraction": 1.0, "tuple_seed": 0,
            "distance": "sq_l2", "branch_reduction": "mean",
        },
    ),
    (
        QueryClass.Config,
        {
            "cardinalities": (2,), "dim": None, "dropout": 0.1, "projection": "trained", "eval_dropout": False,
            "similarity": "neg_l2", "tuple_fraction": 1.0, "tuple_seed": 0, "branch_reduction": "mean",
        },
    ),
    (
        PatchEnrichment.Config,
        {"size": 4, "positions": True, "dropout": 0.1, "scale": "one", "gate": "learned0"},
    ),
    (FrameEnrichment.Config, {"positions": True, "dropout": 0.1}),
    (MaxMeanPool.Config, {"size": 4}),
    (
        SetRelation.Config,
        {"heads": 8, "shots": "features", "attention_dropout": 0.1, "dropout": 0.05, "reduction": "sum"},
    ),
    (
        VideoAttention.Config,
        {"heads": 8, "amplification": 10.0, "position_scale": 1.0, "position_dropout": 0.1, "dropout": 0.2},
    ),
    (Otam.Config, {"lam": 0.1, "directions": "both", "shots": "distances", "cosine_eps": 0.01}),
    (BiMhm.Config, {"shots": "features", "reduction": "sum", "directions": "both", "cosine_eps": 0.0}),
    (ProtoNet.Config, {"cosine_eps": 0.0}),
    (SoftDtw.Config, {"gamma": 0.1, "relaxed": False, "shots": "features", "cosine_eps": 0.0}),
    (
        DropDtw.Config,
        {
            "gamma": 0.1, "softmin": "prob", "temperature": 0.1, "keep": 0.3, "contiguous": True, "exclusive": True,
            "shots": "features",
        },
    ),
    (
        Vava.Config,
        {
            "prior_weight": 1.0, "entropy_weight": 0.1, "virtual_cost": 0.5, "iterations": 20, "per_entry": False,
            "shots": "features",
        },
    ),
    (ExhaustiveTemporal.Config, {"cardinalities": (2, 3), "shots": "features"}),
    (
        ExhaustiveSpatial.Config,
        {
            "lattice": "pixel", "max_offset": None, "temporal": False, "cardinalities": (2, 3), "shots": "features",
        },
    ),
)  # fmt: skip


@pytest.mark.parametrize(
    ("config", "values"), DEFAULTS, ids=lambda own: own.__qualname__ if isinstance(own, type) else ""
)
def test_a_part_without_settings_has_the_published_ones(config: type[Frozen], values: dict[str, Any]) -> None:
    found = dict(config())
    kind = found.pop("kind")
    assert isinstance(kind, str)
    assert found == values
