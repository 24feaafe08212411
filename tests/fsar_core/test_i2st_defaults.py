"""I2ST's published and fitted settings as literals, and where its dropouts stand."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.methods import i2st
from fsar_core.presets import clean
from fsar_core.stages import GlobalFusion, ImageAttention, InstanceAttention
from fsar_core.stages.residual_attention import FeedForward
from tests.fsar_core.i2st_loops import DIM, FRAME, FRAMES, HEADS, MAP, lively, maps
from tests.fsar_core.matcher_cases import randn

ATTENTION = {
    "spatial": True, "temporal": True, "fusion": "self", "cross_residual": "query", "heads": 8, "ffn_ratio": 1.0,
    "prenorm": True, "attn_residual": True, "ffn_prenorm": False, "attn_dropout": 0.2, "ffn_dropout": 0.05,
    "ffn_out_dropout": 0.0, "pos": "none", "pool_before_w2": True,
}  # fmt: skip
FUSION = {
    "heads": 8, "attn_dropout": 0.2, "pos": "learned", "codebase_a": 10.0, "codebase_b": 1.0, "codebase_dropout": 0.1,
    "token_std": 0.02, "ffn": False, "ffn_ratio": 1.0, "ffn_dropout": 0.05, "out_relu": False,
}  # fmt: skip
MATCHING = {
    "mode": "global_local", "metric": "bimhm", "tau": "T", "gamma": 1.0, "cosine_eps": 0.0, "otam_lam": 0.1,
}  # fmt: skip
MASKS = {
    "reads": "instances", "mid": 256, "channels": [128, 32, 16], "ups": [2, 4, 4], "activation": "none",
    "reduction": "mse", "out_size": None, "checkpoint": False, "chunk_frames": 0,
    "masks": {"missing": "error", "stride": 1, "canvas": None}, "weight": 0.2,
}  # fmt: skip


def test_the_method_has_the_settings_of_its_source() -> None:
    recipe = clean("hmdb51")
    method = i2st.run(recipe, i2st.i2st(recipe.backbone)).method.model_dump(mode="json")
    assert method["backbone"] | {"depth": 50, "weights": "imagenet", "frozen": False} == method["backbone"]
    assert method["frame_sampler"] == {"kind": "keep_all"}
    assert method["joint_batch_norm"] is True
    stages = [
        ("instances", None, {"kind": "instance_encoder", "mid": 256}),
        ("attended", ["backbone", "instances"], {"kind": "instance_attention", **ATTENTION}),
        ("fused", None, {"kind": "global_fusion", **FUSION}),
    ]
    assert [(step["name"], step["reads"], step["stage"]) for step in method["steps"]] == stages
    contrast = [
        {"kind": "token_contrast", "direction": direction, "cosine_eps": 0.0}
        for direction in ("support_to_query", "query_to_support")
    ]
    weights = {"reads": "fused", "reduction": "mean"}
    assert method["heads"] == [
        {"matcher": {"kind": "global_local", **MATCHING}, "logit_weight": 1.0, "loss_weight": 1.0, **weights},
        *({"matcher": own, "logit_weight": 0.0, "loss_weight": 0.05, **weights} for own in contrast),
    ]
    assert method["losses"] == [
        {"kind": "mask_regression", **MASKS},
        {"kind": "base_classes", "weight": 0.4, "reads": "fused", "over": "mean"},
    ]


def test_the_training_has_the_settings_of_its_source() -> None:
    recipe = clean("hmdb51")
    run = i2st.run(recipe, i2st.i2st(recipe.backbone)).model_dump(mode="json")
    assert run["data"] == {
        "dataset": "hmdb51", "frames": 8, "train_sampling": "segment-random", "test_sampling": "segment-centre",
        "resize": {"mode": "squeeze", "size": 256}, "crop": 224, "random_crop": True,
        "flip": {"support": 0.0, "query": 0.5},
        "jitter": {
            "support": False, "query": True, "brightness": 0.5, "contrast": 0.5, "saturation": 0.5, "hue": 0.25,
            "grey": 0.3,
        },
        "normalisation": {"mean": [0.45] * 3, "std": [0.225] * 3},
    }  # fmt: skip
    episodes = {"way": 5, "shot": 1, "queries": 6, "per_step": 16}
    assert run["batches"] | episodes == run["batches"]
    assert run["optimizer"] | {"kind": "adam", "lr": 5e-5, "weight_decay": 1e-3} == run["optimizer"]
    schedule = {"warmup_steps": 125, "warmup_start": 0.2, "drops": [[250, 0.5], [375, 0.1]]}
    assert run["schedule"] | schedule == run["schedule"]
    assert run["training"]["steps"] == 500
    assert run["selection"]["episodes"] == 2000


@pytest.fixture
def dropping(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Lets every dropout of one probability drop all of its input in training, and every other one nothing."""

    def drop(probability: float) -> None:
        def dropout(x: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
            return torch.zeros_like(x) if training and p == probability else x

        monkeypatch.setattr(F, "dropout", dropout)

    return drop


def without(stage: nn.Module, suffixes: tuple[str, ...]) -> nn.Module:
    """A copy in eval mode in which some weights are zero."""
    bare = deepcopy(stage).eval()
    found = [p for name, p in bare.named_parameters() if name.endswith(suffixes)]
    assert found
    for parameter in found:
        nn.init.zeros_(parameter)
    return bare


ATTENDED = ("attention.out.weight", "attention.out.bias")
OUTPUT, HIDDEN = ("out.weight", "out.bias"), ("contract.weight",)
PLACES = (
    ("attn_dropout", True, OUTPUT),
    ("attn_dropout", False, OUTPUT),
    ("ffn_dropout", True, HIDDEN),
    ("ffn_dropout", False, HIDDEN),
    ("ffn_out_dropout", False, (*HIDDEN, "contract.bias")),
)
"""A dropout that drops everything is these weights being zero. With and without pooling before the second layer."""


@pytest.fixture(autouse=True)
def in_float64() -> object:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class TestDropouts:
    @pytest.mark.parametrize(("field", "pool_first", "zeros"), PLACES)
    @pytest.mark.parametrize("form", ["self", "cross", "image"])
    def test_those_of_attention_stand_where_their_fields_say(
        self, field: str, pool_first: bool, zeros: tuple[str, ...], form: str, dropping: Callable[[float], None]
    ) -> None:
        fields: dict[str, Any] = {"heads": HEADS, "pool_before_w2": pool_first, field: 0.37}
        if form == "image":
            stage: nn.Module = ImageAttention.Config(**fields).build(MAP, classes=5)
        else:
            stage = InstanceAttention.Config.model_validate({"fusion": form, **fields}).build(MAP, MAP, classes=5)
        inputs = (maps(),) if form == "image" else (maps(), maps(seed=1))
        stage = lively(stage)
        expected = without(stage, zeros)(*inputs)
        whole = stage(*inputs)
        dropping(0.37)
        assert torch.equal(stage(*inputs), whole)
        torch.testing.assert_close(stage.train()(*inputs), expected)
        assert (expected - whole).abs().max() > 0.1

    @pytest.mark.parametrize(("field", "zeros"), [("attn_dropout", ATTENDED), ("ffn_dropout", HIDDEN)], ids=str)
    def test_those_of_the_fusion_stand_where_their_fields_say(
        self, field: str, zeros: tuple[str, ...], dropping: Callable[[float], None]
    ) -> None:
        config = GlobalFusion.Config.model_validate({"heads": HEADS, "ffn": True, field: 0.37})
        stage, features = lively(config.build(FRAME, classes=5)), randn(2, FRAMES, DIM)
        expected, whole = without(stage, zeros)(features), stage(features)
        assert isinstance(stage.feed_forward, FeedForward)
        dropping(0.37)
        assert torch.equal(stage(features), whole)
        torch.testing.assert_close(stage.train()(features), expected)
        assert (expected - whole).abs().max() > 0.1

    @pytest.mark.parametrize("probability", [0.1, 0.37])
    def test_the_codebase_form_drops_what_its_attention_reads(
        self, probability: float, dropping: Callable[[float], None]
    ) -> None:
        given = {} if probability == 0.1 else {"codebase_dropout": probability}
        config = GlobalFusion.Config.model_validate({"heads": HEADS, "pos": "codebase", **given})
        stage, features = lively(config.build(FRAME, classes=5)), randn(2, FRAMES, DIM)
        whole, nothing = stage(features), torch.zeros(2, 1, 1 + FRAMES, DIM)
        expected = stage.attention(nothing, "cells").squeeze(1)
        dropping(probability)
        assert torch.equal(stage(features), whole)
        torch.testing.assert_close(stage.train()(features), expected)
