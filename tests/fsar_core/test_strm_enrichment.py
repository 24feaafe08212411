"""STRM's enrichments against the numbers of the released code, and against their equations as loops."""

import math
from typing import cast

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.episode import Shape
from fsar_core.positions import trx_positions
from fsar_core.stages import FrameEnrichment, MaxMeanPool, PatchEnrichment
from fsar_core.stages.max_mean_pool import patches
from tests.fsar_core.matcher_cases import randn
from tests.fsar_core.strm_golden import frame_weights, golden, near, patch_weights

DTYPES = pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)

PAPER = PatchEnrichment.Config(positions=False, scale="inv_sqrt", gate="one")


def patch_enrichment(config: PatchEnrichment.Config, dim: int, cells: int, seed: int = 0) -> PatchEnrichment:
    """In float64 and eval mode, with a gate that is open."""
    torch.manual_seed(seed)
    made = config.build(Shape(level="map", frames=3, dim=dim, cells=cells), classes=0).double().eval()
    if made.gamma is not None:
        nn.init.constant_(made.gamma, 0.6)
    return made


def frame_enrichment(config: FrameEnrichment.Config, dim: int, frames: int) -> FrameEnrichment:
    torch.manual_seed(0)
    return config.build(Shape(level="frame", frames=frames, dim=dim), classes=0).double().eval()


class TestGolden:
    @DTYPES
    def test_patches_and_their_enrichment_are_those_of_the_released_code(self, dtype: torch.dtype, tol: float) -> None:
        arrays = golden("strm_ple", dtype)
        made = patch_enrichment(PatchEnrichment.Config(), 64, 7).to(dtype)
        made.load_state_dict(patch_weights(arrays))
        maps = arrays["feature_map"].unflatten(0, (2, 3)).requires_grad_()
        assert torch.equal(patches(maps, 4).flatten(0, 1), arrays["tokens"])
        near(made.positions, arrays["pe"], tol)

        found = made(maps).flatten(0, 1)

        assert found.dtype == dtype
        near(found, arrays["frame"], tol)
        (found * arrays["cotangent"]).sum().backward()
        assert maps.grad is not None
        near(maps.grad.flatten(0, 1), arrays["grad.feature_map"], tol)
        expected = patch_weights({name.removeprefix("grad."): own for name, own in arrays.items() if "grad." in name})
        for name, parameter in made.named_parameters():
            near(cast(Tensor, parameter.grad), expected[name], tol)
        with torch.no_grad():
            cast(Tensor, made.gamma).zero_()
        near(made(maps).flatten(0, 1), arrays["gamma0.enriched"].mean(1), tol)

    @DTYPES
    def test_the_papers_formula_of_patch_enrichment(self, dtype: torch.dtype, tol: float) -> None:
        arrays = golden("strm_ple", dtype)
        made = patch_enrichment(PAPER, 64, 7).to(dtype)
        weights = patch_weights(arrays)
        made.load_state_dict({name: weights[name] for name in made.state_dict()})
        assert set(weights) - set(made.state_dict()) == {"gamma"}
        near(made(arrays["feature_map"].unsqueeze(1)).squeeze(1), arrays["paper.enriched"].mean(1), tol)

    @DTYPES
    def test_frame_enrichment_is_that_of_the_released_code_and_the_papers_formula(
        self, dtype: torch.dtype, tol: float
    ) -> None:
        arrays = golden("strm_fle", dtype)
        made = frame_enrichment(FrameEnrichment.Config(), 64, 8).to(dtype)
        made.load_state_dict(frame_weights(arrays))
        frames = arrays["frames"].requires_grad_()
        near(made.positions, arrays["pe"], tol)

        found = made(frames)

        assert found.dtype == dtype
        near(found, arrays["enriched"], tol)
        (found * arrays["cotangent"]).sum().backward()
        near(cast(Tensor, frames.grad), arrays["grad.frames"], tol)
        expected = frame_weights({name.removeprefix("grad."): own for name, own in arrays.items() if "grad." in name})
        for name, parameter in made.named_parameters():
            near(cast(Tensor, parameter.grad), expected[name], tol)

        bare = frame_enrichment(FrameEnrichment.Config(positions=False), 64, 8).to(dtype)
        bare.load_state_dict(frame_weights(arrays))
        near(bare(frames), arrays["nope.enriched"], tol)
        for name, parameter in bare.named_parameters():
            if name.endswith("bias"):
                nn.init.zeros_(parameter)
        near(bare(frames), arrays["paper.enriched"], tol)


def slow_patches(grid: Tensor, size: int) -> list[Tensor]:
    """(D, h, w) -> size * size vectors."""

    def window(i: int, cells: int) -> slice:
        return slice(math.floor(i * cells / size), math.ceil((i + 1) * cells / size))

    _, height, width = grid.shape
    return [
        torch.stack([channel[window(i, height), window(j, width)].max() for channel in grid])
        for i in range(size)
        for j in range(size)
    ]


@torch.no_grad()
def slow_patch_enrichment(made: PatchEnrichment, config: PatchEnrichment.Config, grid: Tensor) -> Tensor:
    """Of one frame, (D, h, w) -> (D,); patch by patch, the last layer on each."""
    tokens = slow_patches(grid, config.size)
    dim = len(grid)
    if config.positions:
        tokens = [token + own for token, own in zip(tokens, trx_positions(len(tokens), dim), strict=True)]
    projections = zip(made.qkv.weight.split(dim), made.qkv.bias.split(dim), strict=True)
    q, k, v = ([w @ token + b for token in tokens] for w, b in projections)
    scale = 1 / math.sqrt(dim) if config.scale == "inv_sqrt" else 1.0
    gamma = 1.0 if made.gamma is None else made.gamma.item()
    enriched: list[Tensor] = []
    for i, token in enumerate(tokens):
        powers = [math.exp(scale * float(q[i] @ key)) for key in k]
        mixed = sum((p / sum(powers) * value for p, value in zip(powers, v, strict=True)), torch.zeros_like(token))
        attended = gamma * mixed + token
        hidden = (
            made.fc2.weight @ (made.fc1.weight @ attended + made.fc1.bias).clamp_min(0) + made.fc2.bias
        ).clamp_min(0)
        enriched.append(made.fc3.weight @ hidden + made.fc3.bias + attended)
    return torch.stack(enriched).mean(0)


@torch.no_grad()
def slow_frame_enrichment(made: FrameEnrichment, positions: bool, frames: Tensor) -> Tensor:
    """Of one video, (T, D) -> (T, D); channel by channel, then frame by frame."""

    def layers(stack: nn.Sequential, x: Tensor) -> Tensor:
        first, _, second = cast(tuple[nn.Linear, nn.ReLU, nn.Linear], tuple(stack))
        return second.weight @ (first.weight @ x + first.bias).clamp_min(0) + second.bias

    if positions:
        frames = frames + trx_positions(*frames.shape)
    mixed = torch.stack([layers(made.over_frames, channel) + channel for channel in frames.T], dim=1)
    return torch.stack([layers(made.over_channels, frame) + frame for frame in mixed])


class TestEquations:
    @pytest.mark.parametrize(("cells", "size"), [(7, 4), (3, 4), (1, 2), (5, 2), (6, 3), (4, 1)])
    def test_patches_and_their_plain_mean_are_those_of_the_windows_as_loops(self, cells: int, size: int) -> None:
        maps = randn(2, 3, 5, cells, cells)
        expected = torch.stack([torch.stack([torch.stack(slow_patches(g, size)) for g in video]) for video in maps])
        assert torch.equal(patches(maps, size), expected)
        pool = MaxMeanPool.Config(size=size).build(Shape(level="map", frames=3, dim=5, cells=cells), classes=0)
        torch.testing.assert_close(pool(maps), expected.mean(2))

    @pytest.mark.parametrize("scale", ["one", "inv_sqrt"])
    @pytest.mark.parametrize("gate", ["learned0", "one"])
    @pytest.mark.parametrize("positions", [True, False])
    @pytest.mark.parametrize(("dim", "cells", "size"), [(6, 7, 4), (7, 5, 3), (4, 2, 3)])
    def test_patch_enrichment_is_the_equation_as_loops(
        self, scale: str, gate: str, positions: bool, dim: int, cells: int, size: int
    ) -> None:
        config = PatchEnrichment.Config.model_validate(
            {"size": size, "positions": positions, "scale": scale, "gate": gate}
        )
        made, maps = patch_enrichment(config, dim, cells), 3 * randn(2, 3, dim, cells, cells)
        expected = [torch.stack([slow_patch_enrichment(made, config, grid) for grid in video]) for video in maps]
        torch.testing.assert_close(made(maps), torch.stack(expected), rtol=1e-10, atol=1e-10)

    @pytest.mark.parametrize("positions", [True, False])
    @pytest.mark.parametrize(("frames", "dim"), [(8, 6), (5, 9), (1, 4)])
    def test_frame_enrichment_is_the_equation_as_loops(self, positions: bool, frames: int, dim: int) -> None:
        made = frame_enrichment(FrameEnrichment.Config(positions=positions), dim, frames)
        videos = randn(3, frames, dim)
        expected = torch.stack([slow_frame_enrichment(made, positions, video) for video in videos])
        torch.testing.assert_close(made(videos), expected, rtol=1e-10, atol=1e-10)


class TestEnrichments:
    def test_at_first_the_attention_has_no_part_and_only_its_gate_learns(self) -> None:
        torch.manual_seed(0)
        shape = Shape(level="map", frames=2, dim=6, cells=5)
        made = PatchEnrichment.Config(dropout=0.0).build(shape, classes=0)
        maps = randn(2, 2, 6, 5, 5).float()
        before = made(maps)
        nn.init.normal_(made.qkv.weight)
        torch.testing.assert_close(made(maps), before)
        made(maps).square().sum().backward()
        assert made.qkv.weight.grad is not None
        assert not made.qkv.weight.grad.any()
        assert cast(Tensor, cast(nn.Parameter, made.gamma).grad).item() != 0

    @pytest.mark.parametrize("kind", ["patches", "frames"])
    def test_dropout_acts_in_training_only_after_the_positions(self, kind: str) -> None:
        if kind == "patches":
            made: nn.Module = patch_enrichment(PatchEnrichment.Config(dropout=0.5), 6, 4)
            given, bare = randn(2, 3, 6, 4, 4), patch_enrichment(PatchEnrichment.Config(positions=False), 6, 4)
            tokens = patches(given, 4) + trx_positions(16, 6)
        else:
            made = frame_enrichment(FrameEnrichment.Config(dropout=0.5), 6, 3)
            given, bare = randn(2, 3, 6), frame_enrichment(FrameEnrichment.Config(positions=False), 6, 3)
            tokens = given + trx_positions(3, 6)
        assert torch.equal(made(given), made(given))
        torch.manual_seed(1)
        found = made.train()(given)
        torch.manual_seed(1)
        dropped = F.dropout(tokens, 0.5)
        expected = bare(dropped.mT.unflatten(-1, (4, 4)) if kind == "patches" else dropped)
        torch.testing.assert_close(found, expected)

    def test_scores_too_large_for_half_precision_stay_finite(self) -> None:
        made = patch_enrichment(PatchEnrichment.Config(gate="one"), 8, 4).float()
        nn.init.constant_(made.qkv.weight, 4.0)
        maps = 20 * randn(1, 1, 8, 4, 4).float().abs()
        assert (made.qkv(patches(maps, 4))[..., :8].square().sum(-1) > 1e5).any()
        with torch.autocast("cpu", torch.float16):
            assert made(maps).isfinite().all()

    @pytest.mark.parametrize("config", [PatchEnrichment.Config(), FrameEnrichment.Config(), MaxMeanPool.Config()])
    def test_a_video_does_not_see_the_others(
        self, config: PatchEnrichment.Config | FrameEnrichment.Config | MaxMeanPool.Config
    ) -> None:
        torch.manual_seed(0)
        level = "frame" if config.kind == "frame_enrichment" else "map"
        stage = config.build(Shape(level=level, frames=3, dim=6, cells=5), classes=0).double().eval()
        given = randn(4, 3, 6) if level == "frame" else randn(4, 3, 6, 5, 5)
        torch.testing.assert_close(stage(given[1:2]), stage(given)[1:2])

    @pytest.mark.parametrize(
        ("config", "shape", "message"),
        [
            (PatchEnrichment.Config(), Shape(level="frame", frames=8, dim=8), "needs a map, but gets frame"),
            (PatchEnrichment.Config(), Shape(level="map", frames=8, dim=1), "at least 2 channels, got 1"),
            (PatchEnrichment.Config(), Shape(level="map", frames=8, dim=8, cells=1), "2 x 2 cells, but gets one cell"),
            (MaxMeanPool.Config(), Shape(level="frame", frames=8, dim=8), "remove one of two pools"),
            (MaxMeanPool.Config(size=2), Shape(level="map", frames=8, dim=8, cells=1), "tokens='patches' of a vit"),
            (FrameEnrichment.Config(), Shape(level="map", frames=8, dim=8, cells=7), "put a patch_enrichment or"),
        ],
        ids=["frames", "one channel", "one cell", "pooled", "one cell pooled", "map"],
    )
    def test_features_that_do_not_fit_are_refused(
        self, config: PatchEnrichment.Config | FrameEnrichment.Config | MaxMeanPool.Config, shape: Shape, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            config.gives(shape, classes=5)

    def test_one_patch_may_be_one_cell(self) -> None:
        shape = Shape(level="map", frames=8, dim=8, cells=1)
        expected = Shape(level="frame", frames=8, dim=8)
        assert PatchEnrichment.Config(size=1).gives(shape, classes=5) == expected
        assert MaxMeanPool.Config(size=1).gives(shape, classes=5) == expected
