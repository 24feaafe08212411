"""I2ST's networks against their equations as loops."""

import math
from itertools import product
from typing import Any, cast

import pytest
import torch
from torch import Tensor

from fsar_core.episode import Shape
from fsar_core.stages import GlobalFusion, ImageAttention, InstanceAttention, InstanceEncoder, PooledSum
from fsar_core.stages.residual_attention import FeedForward, SelfAttention, attention
from tests.fsar_core.i2st_loops import (
    DIM,
    FRAME,
    FRAMES,
    HEADS,
    MAP,
    lively,
    maps,
    slow_batch_norm,
    slow_code,
    slow_codebase_code,
    slow_feed_forward,
    slow_sam,
    slow_self,
)
from tests.fsar_core.matcher_cases import randn

ODD = Shape(level="map", frames=3, dim=9, cells=2)
SWITCHES = (
    {},
    {"temporal": False},
    {"spatial": False},
    {"prenorm": False},
    {"attn_residual": False},
    {"ffn_prenorm": True},
    {"ffn_ratio": 0.5},
    {"pos": "sincos"},
    {"pool_before_w2": False, "ffn_out_dropout": 0.1},
)
FUSIONS = (
    {"fusion": "cross"},
    {"fusion": "cross", "cross_residual": "image"},
    {"fusion": "cross", "cross_residual": "both"},
    {"fusion": "cross", "attn_residual": False},
    {"fusion": "cross", "prenorm": False, "pos": "sincos"},
)


def assert_near(
    found: Tensor, expected: Tensor, config: InstanceAttention.Config | ImageAttention.Config | GlobalFusion.Config
) -> None:
    tol = 1e-6 if config.pos == "sincos" else 1e-11  # that table is stored in float32
    torch.testing.assert_close(found, expected, rtol=tol, atol=tol)


@pytest.fixture(autouse=True)
def in_float64() -> object:
    """The loops make tensors of their own."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class TestInstanceAttention:
    @pytest.mark.parametrize("switches", SWITCHES + FUSIONS, ids=str)
    def test_both_branches_are_equation_4_as_loops(self, switches: dict[str, object]) -> None:
        config = InstanceAttention.Config.model_validate({"heads": HEADS, **switches})
        stage = lively(config.build(MAP, MAP, classes=5))
        image, instances = maps(), maps(seed=1)
        assert_near(stage(image, instances), slow_sam(stage, config, image, instances), config)

    @pytest.mark.parametrize("switches", SWITCHES, ids=str)
    def test_without_instances_only_the_image_attends(self, switches: dict[str, object]) -> None:
        config = ImageAttention.Config.model_validate({"heads": HEADS, **switches})
        stage = lively(config.build(MAP, classes=5))
        assert_near(stage(maps()), slow_sam(stage, config, maps()), config)

    @pytest.mark.parametrize("size", [(1, 1), (5, 1), (1, 3), (2, 3)], ids=str)
    def test_other_numbers_of_frames_and_cells_too(self, size: tuple[int, int]) -> None:
        frames, cells = size
        shape = Shape(level="map", frames=frames, dim=DIM, cells=cells)
        config = InstanceAttention.Config(heads=HEADS)
        stage = lively(config.build(shape, shape, classes=5))
        image, instances = maps(shape, videos=1), maps(shape, videos=1, seed=1)
        assert_near(stage(image, instances), slow_sam(stage, config, image, instances), config)

    @pytest.mark.parametrize("fusion", ["self", "cross"])
    @pytest.mark.parametrize("training", [False, True])
    def test_pooling_before_w2_equals_the_long_form_with_dropout_too(self, fusion: str, training: bool) -> None:
        results: list[list[Tensor]] = []
        for pool_first in (True, False):
            config = InstanceAttention.Config.model_validate({"fusion": fusion, "pool_before_w2": pool_first})
            stage = lively(config.build(MAP, MAP, classes=5)).train(training)
            image, instances = maps().requires_grad_(), maps(seed=1).requires_grad_()
            torch.manual_seed(0)
            out = stage(image, instances)
            results.append([out, *torch.autograd.grad(out.square().sum(), [image, instances, *stage.parameters()])])
        for short, long in zip(*results, strict=True):
            torch.testing.assert_close(short, long, rtol=1e-12, atol=1e-12)

    def test_dropout_is_in_training_only_and_where_its_field_says(self) -> None:
        def spread(training: bool, **dropouts: float) -> Tensor:
            off = {"attn_dropout": 0.0, "ffn_dropout": 0.0, "pool_before_w2": False}
            config = InstanceAttention.Config.model_validate({**off, **dropouts})
            stage = lively(config.build(MAP, MAP, classes=5)).train(training)
            return (stage(maps(), maps(seed=1)) - stage(maps(), maps(seed=1))).abs().max()

        assert spread(True) == 0
        for name in ("attn_dropout", "ffn_dropout", "ffn_out_dropout"):
            assert spread(True, **{name: 0.3}) > 0
            assert spread(False, **{name: 0.3}) == 0

    def test_videos_are_independent_of_their_order_and_of_each_other(self) -> None:
        stage = lively(InstanceAttention.Config(heads=HEADS).build(MAP, MAP, classes=5))
        image, instances = maps(videos=4), maps(videos=4, seed=1)
        whole, order = stage(image, instances), [2, 0, 3, 1]
        torch.testing.assert_close(stage(image[order], instances[order]), whole[order])
        torch.testing.assert_close(stage(image[1:2], instances[1:2]), whole[1:2])

    def test_the_spatial_branch_sees_one_frame_and_the_temporal_branch_one_cell(self) -> None:
        image, instances = maps(), maps(seed=1)
        spatial = lively(InstanceAttention.Config(temporal=False).build(MAP, MAP, classes=5))
        changed = image.clone()
        changed[:, 1] += 1
        moved = (spatial(changed, instances) - spatial(image, instances)).abs().amax((0, 2))
        assert moved[0] == moved[2] == 0
        assert moved[1] > 0.1

        one_cell = Shape(level="map", frames=FRAMES, dim=DIM, cells=1)
        temporal = lively(InstanceAttention.Config(spatial=False).build(MAP, MAP, classes=5))
        alone = lively(InstanceAttention.Config(spatial=False).build(one_cell, one_cell, classes=5))
        by_cell = [
            alone(image[..., y : y + 1, x : x + 1], instances[..., y : y + 1, x : x + 1])
            for y in (0, 1)
            for x in (0, 1)
        ]
        torch.testing.assert_close(temporal(image, instances), torch.stack(by_cell).mean(0))

    def test_queries_keys_and_values_are_views_for_both_axes(self) -> None:
        layer = lively(SelfAttention(DIM, HEADS, dropout=0.0))
        query, key, value = layer.qkv(randn(2, 3, 5, DIM)).unflatten(-1, (HEADS, 3, -1)).unbind(-2)
        for start in (0, 2):
            assert all(p.flatten(start, start + 1).data_ptr() == p.data_ptr() for p in (query, key, value))
        for axis in ("cells", "frames"):
            assert attention(query, key, value, axis).shape == (2, 3, 5, DIM)

    @pytest.mark.parametrize(
        ("image", "instances", "fault"),
        [
            (FRAME, FRAME, "needs a map, but gets frame features"),
            (MAP, FRAME, "two maps of one shape"),
            (ODD, ODD, "must divide the 9 channels, got 8"),
        ],
    )
    def test_wrong_inputs_are_refused(self, image: Shape, instances: Shape, fault: str) -> None:
        with pytest.raises(ValueError, match=fault):
            InstanceAttention.Config().gives(image, instances, classes=5)

    @pytest.mark.parametrize("fields", [{}, {"attn_residual": False, "fusion": "cross"}], ids=str)
    @pytest.mark.parametrize("residual", ["image", "both"])
    def test_a_residual_of_cross_attention_that_nothing_would_read_is_refused(
        self, residual: str, fields: dict[str, object]
    ) -> None:
        with pytest.raises(ValueError, match=f"cross_residual '{residual}' needs fusion 'cross' with attn_residual"):
            InstanceAttention.Config.model_validate({"cross_residual": residual, **fields})

    def test_settings_that_contradict_each_other_are_refused(self) -> None:
        with pytest.raises(ValueError, match="set spatial or temporal"):
            InstanceAttention.Config(spatial=False, temporal=False)
        with pytest.raises(ValueError, match="set it to 0 or pool_before_w2 to false"):
            ImageAttention.Config(ffn_out_dropout=0.1)


class TestInstanceEncoder:
    def test_it_is_two_convolutions_frame_by_frame(self) -> None:
        shape = Shape(level="map", frames=2, dim=3, cells=3)
        config = InstanceEncoder.Config(mid=2)
        stage = lively(config.build(shape, classes=5))
        features = maps(shape)
        assert config.gives(shape, classes=5) == shape
        first, norm, _, second, last, _ = cast("list[Any]", list(stage.layers))
        expected = torch.zeros_like(features)
        for v, t, y, x in product(range(2), range(2), range(3), range(3)):
            near = [(dy, dx) for dy, dx in product((-1, 0, 1), repeat=2) if 0 <= y + dy < 3 and 0 <= x + dx < 3]
            own = sum(
                (first.weight[:, :, 1 + dy, 1 + dx] @ features[v, t, :, y + dy, x + dx] for dy, dx in near),
                torch.zeros(2),
            )
            expected[v, t, :, y, x] = slow_batch_norm(
                last, second.weight[:, :, 0, 0] @ slow_batch_norm(norm, own).relu()
            ).relu()
        torch.testing.assert_close(stage(features), expected)

    def test_it_refuses_frame_features(self) -> None:
        with pytest.raises(ValueError, match="needs a map, but gets frame features"):
            InstanceEncoder.Config().gives(FRAME, classes=5)


class TestGlobalFusion:
    @pytest.mark.parametrize("frames", [1, 3, 8])
    @pytest.mark.parametrize(
        "switches",
        [
            {},
            {"pos": "sincos"},
            {"pos": "codebase"},
            {"pos": "codebase", "codebase_a": 2048.0, "codebase_b": 0.02},
            {"out_relu": True},
            {"ffn": True, "ffn_ratio": 0.5},
        ],
        ids=str,
    )
    def test_it_is_equation_5_as_loops(self, switches: dict[str, object], frames: int) -> None:
        config = GlobalFusion.Config.model_validate({"heads": HEADS, **switches})
        shape = Shape(level="frame", frames=frames, dim=DIM)
        stage = lively(config.build(shape, classes=5))
        features = randn(2, frames, DIM)
        expected: list[Tensor] = []
        for video in features:
            places = [stage.token, *video]
            if config.pos == "learned":
                places = [x + stage.positions.table[i] for i, x in enumerate(places)]
            elif config.pos == "sincos":
                places = [x + slow_code(i) for i, x in enumerate(places)]
            else:
                scale = math.sqrt(DIM / config.codebase_a)
                places = [x * scale + config.codebase_b * slow_codebase_code(i) for i, x in enumerate(places)]
            rows = slow_self(stage.attention, places)
            if config.ffn:
                assert isinstance(stage.feed_forward, FeedForward)
                rows = [slow_feed_forward(stage.feed_forward, row) for row in rows]
            expected.append(torch.stack(rows))
        found = torch.stack(expected)
        assert_near(stage(features), found.relu() if config.out_relu else found, config)

    def test_token_and_positions_start_small_unless_asked_otherwise(self) -> None:
        torch.manual_seed(0)
        wide = Shape(level="frame", frames=8, dim=1024)
        stage = GlobalFusion.Config().build(wide, classes=5)
        assert stage.token.std().item() == pytest.approx(0.02, rel=0.1)
        assert stage.positions.table.std().item() == pytest.approx(0.02, rel=0.1)
        unit = GlobalFusion.Config(token_std=1.0).build(wide, classes=5)
        assert unit.token.std().item() == pytest.approx(1, rel=0.05)

    def test_it_gives_the_clip_then_the_frames(self) -> None:
        assert GlobalFusion.Config().gives(FRAME, classes=5) == Shape(level="global_local", frames=FRAMES, dim=DIM)
        with pytest.raises(ValueError, match="needs frame features, but gets a map"):
            GlobalFusion.Config().gives(MAP, classes=5)
        with pytest.raises(ValueError, match="must divide the 8 channels, got 3"):
            GlobalFusion.Config(heads=3).gives(FRAME, classes=5)


class TestPooledSum:
    def test_it_adds_the_means_over_the_cells(self) -> None:
        first, second = maps(), maps(seed=1)
        expected = [
            [sum(float(m[v, t, d].sum()) for m in (first, second)) / 4 for d in range(DIM)]
            for v in (0, 1)
            for t in range(3)
        ]
        found = PooledSum.Config().build(MAP, MAP, classes=5)(first, second)
        torch.testing.assert_close(found.flatten(0, 1), torch.tensor(expected))

    def test_it_refuses_what_is_not_two_maps_alike(self) -> None:
        assert PooledSum.Config().gives(MAP, MAP, classes=5) == FRAME
        other = Shape(level="map", frames=FRAMES, dim=DIM + 1, cells=2)
        for pair in ((FRAME, FRAME), (MAP, FRAME), (MAP, other)):
            with pytest.raises(ValueError, match="two maps of as many frames and channels"):
                PooledSum.Config().gives(*pair, classes=5)
