"""Parts of VIM's alignment by themselves: temporal transformation, masks, and convolutions of what is constant."""

from itertools import product

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Level, Shape
from fsar_core.matchers.alignment_convolution import (
    constant_response,
    convolve,
    mixed_response,
    spread,
    still_response,
)
from fsar_core.matchers.alignment_masks import Overlap, overlap_weights
from fsar_core.stages import FeatureDropout, TemporalTransform
from fsar_core.stages.temporal_transform import warp
from tests.fsar_core.vim_golden import arrays, cases, close, made, time_first, transform_of
from tests.fsar_core.vim_oracle import box_weights, mask_weights


class TestTemporalTransform:
    @pytest.mark.parametrize("mode", ["eval", "train"])
    @pytest.mark.parametrize("case", cases("vim_ttm"))
    def test_moves_clips_as_published_code_does(self, case: str, mode: str) -> None:
        golden = arrays("vim_ttm", case)
        stage = transform_of(golden).train(mode == "train")
        features = golden["feature"].requires_grad_()
        moved = time_first(stage(time_first(features)))
        close(moved, golden[f"{mode}_aligned"])
        (moved * golden[f"{mode}_grad_aligned"]).sum().backward()
        assert features.grad is not None
        close(features.grad, golden[f"{mode}_grad_feature"])
        stage = transform_of(golden).train(mode == "train")
        close(stage.theta(time_first(features)), golden[f"{mode}_theta"])

    @pytest.mark.parametrize("case", cases("vim_ttm"))
    def test_float32_is_near(self, case: str) -> None:
        golden = arrays("vim_ttm", case)
        moved = transform_of(golden).float()(time_first(golden["feature"].float()))
        close(time_first(moved), golden["eval_aligned"], 2e-5)

    @pytest.mark.parametrize("case", cases("vim_ttm"))
    def test_angles_out_of_the_reach_of_the_network(self, case: str) -> None:
        golden = arrays("vim_ttm", case)
        close(time_first(warp(time_first(golden["given_feature"]), golden["given_theta"])), golden["given_aligned"])

    @pytest.mark.parametrize("frames", [1, 2, 5, 9])
    def test_every_frame_is_mixed_from_its_two_neighbours(self, frames: int) -> None:
        features, theta = made(6, frames, 3, 2, 2), made(6, 2) * 1.5
        moved = warp(features, theta)
        for v, t in product(range(6), range(frames)):
            tau = 2 * t / (frames - 1) - 1 if frames > 1 else -1.0
            at = (float(theta[v, 0]) * tau + float(theta[v, 1]) + 1) / 2 * (frames - 1)
            expected = torch.zeros(3, 2, 2, dtype=torch.float64)
            for source in range(frames):
                expected += max(0.0, 1 - abs(at - source)) * features[v, source]
            torch.testing.assert_close(moved[v, t], expected)

    def test_no_zoom_keeps_a_clip_minus_one_reverses_it_and_a_shift_brings_in_nothing(self) -> None:
        features = made(3, 5, 2, 4, 4)
        theta = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [1.0, 1.0]], dtype=torch.float64)
        keep, back, later = warp(features, theta)
        torch.testing.assert_close(keep, features[0])
        torch.testing.assert_close(back, features[1].flip(0))
        torch.testing.assert_close(later, torch.cat((features[2, 2:], torch.zeros(2, 2, 4, 4, dtype=torch.float64))))

    def test_gradients_are_those_of_finite_differences(self) -> None:
        features, theta = made(2, 4, 2, 2, 2).requires_grad_(), (made(2, 2) * 0.6).requires_grad_()
        assert torch.autograd.gradcheck(warp, (features, theta))

    def test_training_starts_almost_without_a_change(self) -> None:
        stage = TemporalTransform.Config().build(Shape(level="map", frames=4, dim=3, cells=4), classes=2).double()
        theta = stage.theta(made(2, 4, 3, 4, 4))
        torch.testing.assert_close(theta, torch.tensor([[2.0, 0.0]], dtype=torch.float64).tanh().expand(2, 2))

    def test_half_precision_gets_angles_in_float32_and_features_in_their_own(self) -> None:
        stage = TemporalTransform.Config().build(Shape(level="map", frames=4, dim=3, cells=4), classes=2).eval()
        features = made(2, 4, 3, 4, 4).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            assert stage.theta(features).dtype == torch.float32
            assert stage(features).dtype == torch.bfloat16

    def test_its_size_is_that_of_the_paper_and_it_runs_on_the_meta_device(self) -> None:
        with torch.device("meta"):
            stage = TemporalTransform.Config().build(Shape(level="map", frames=8, dim=2048, cells=7), classes=2)
            assert stage(torch.empty(2, 8, 2048, 7, 7)).shape == (2, 8, 2048, 7, 7)
        assert sum(p.numel() for p in stage.parameters()) == 3_764_898

    @pytest.mark.parametrize(
        ("level", "frames", "cells", "message"),
        [
            ("frame", 8, 1, "needs a map, but gets frame"),
            ("map", 3, 7, "got 3 frames and 7 x 7"),
            ("map", 8, 3, "got 8 frames and 3 x 3"),
        ],
    )
    def test_what_it_cannot_read_is_refused(self, level: Level, frames: int, cells: int, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            TemporalTransform.Config().gives(Shape(level=level, frames=frames, dim=8, cells=cells), classes=2)


class TestFeatureDropout:
    def test_single_values_are_lost_in_training_only(self) -> None:
        shape = Shape(level="map", frames=4, dim=8, cells=5)
        config = FeatureDropout.Config()
        assert config.gives(shape, classes=3) == shape
        stage = config.build(shape, classes=3)
        features = torch.ones(6, 4, 8, 5, 5)
        torch.manual_seed(0)
        lost = stage.train()(features)
        assert set(lost.unique().tolist()) == {0.0, 2.0}
        assert 0.4 < float((lost == 0).float().mean()) < 0.6
        assert torch.equal(stage.eval()(features), features)


class TestMasks:
    @pytest.mark.parametrize("case", cases("vim_mask"))
    def test_weights_and_gradients_are_those_of_published_code(self, case: str) -> None:
        golden = arrays("vim_mask", case)
        cells, offset = golden["mask"].shape[-1], golden["offset"].requires_grad_()
        single = overlap_weights(offset, cells, "mask", 0.0)
        close(single, (golden["mask"] / golden["mask"].sum((-2, -1), keepdim=True)).flatten(-2))
        weights = overlap_weights(offset, cells, "mask", float(golden["perturbation"].max()))
        close(weights, golden["weight_map"].flatten(-2))
        (weights * golden["grad_weight_map"].flatten(-2)).sum().backward()
        assert offset.grad is not None
        close(offset.grad, golden["grad_offset"])

    @pytest.mark.parametrize("case", cases("vim_variants"))
    def test_resampled_overlaps(self, case: str) -> None:
        golden = arrays("vim_variants", case)
        cells, offset = golden["support"].shape[-1], golden["affine_offset"]
        for source, sign, side in (("support", 1, "n"), ("query", -1, "m")):
            weights = overlap_weights(sign * offset, cells, "affine", 0.0)
            found = torch.einsum(f"nmtp,{side}ctp->nmct", weights, golden[source].flatten(-2))
            close(found, golden[f"affine_{source}"])

    @pytest.mark.parametrize("kind", ["mask", "affine"])
    @pytest.mark.parametrize("cells", [2, 4, 7, 14])
    def test_nine_offsets_are_the_mean_of_nine_maps(self, kind: Overlap, cells: int) -> None:
        one = {"mask": mask_weights, "affine": box_weights}[kind]
        for offset in (made(5, 2) * 0.3).clamp(-0.75, 0.75):
            steps = [offset + torch.tensor(step, dtype=torch.float64) for step in product((-0.2, 0.0, 0.2), repeat=2)]
            expected = torch.stack([one(step, cells) for step in steps]).mean(0)
            torch.testing.assert_close(overlap_weights(offset, cells, kind, 0.2).view(cells, cells), expected)

    @pytest.mark.parametrize("kind", ["mask", "affine"])
    def test_weights_sum_to_one_and_lean_to_where_the_maps_overlap(self, kind: Overlap) -> None:
        offset = torch.tensor([[0.0, 0.0], [0.6, 0.0], [0.0, -0.6]], dtype=torch.float64)
        weights = overlap_weights(offset, 7, kind, 0.2).view(3, 7, 7)
        torch.testing.assert_close(weights.sum((-2, -1)), torch.ones(3, dtype=torch.float64))
        torch.testing.assert_close(weights[0], weights[0].flip(0, 1))
        x = torch.linspace(-1, 1, 7, dtype=torch.float64)
        assert float((weights[1] * x).sum()) < -0.1  # the support is moved to the right, so its left part overlaps
        assert float((weights[2] * x[:, None]).sum()) > 0.1


def published_convolution(maps: Tensor, kernel: Tensor) -> Tensor:
    """(V, T, h, w, D) -> (V, T, h, w, O) by PyTorch."""
    return F.conv3d(maps.movedim(-1, 1), kernel, padding=1).movedim(1, -1)


class TestConvolutions:
    @pytest.mark.parametrize(("frames", "cells"), [(4, 7), (2, 4), (5, 2), (3, 14)])
    def test_matrix_products_are_convolutions(self, frames: int, cells: int) -> None:
        maps, kernel = made(2, frames, cells, cells, 3).requires_grad_(), made(4, 3, 3, 3, 3).requires_grad_()
        found, expected = convolve(maps, kernel), published_convolution(maps, kernel)
        torch.testing.assert_close(found, expected)
        upstream = made(*found.shape, seed=1)
        ours, theirs = (torch.autograd.grad((own * upstream).sum(), (maps, kernel)) for own in (found, expected))
        torch.testing.assert_close(ours, theirs)

    @pytest.mark.parametrize("cells", [2, 3, 4, 7])
    def test_mixtures_of_constant_maps_take_nine_values(self, cells: int) -> None:
        evolution, values, kernel = made(1, 2, 3, 4, 5).softmax(-1), made(1, 2, 5, 3), made(6, 3, 3, 3, 3)
        response = constant_response(values, kernel)
        found = spread(mixed_response(evolution, response), cells)
        mixed = (evolution @ values.unsqueeze(2)).flatten(0, 2)[:, :, None, None].expand(-1, -1, cells, cells, -1)
        torch.testing.assert_close(found.flatten(0, 2), published_convolution(mixed, kernel))

    @pytest.mark.parametrize(("frames", "cells"), [(2, 2), (4, 7), (3, 4)])
    def test_maps_constant_in_time_too_take_twenty_seven(self, frames: int, cells: int) -> None:
        values, kernel = made(4, 3), made(6, 3, 3, 3, 3)
        nine = still_response(constant_response(values, kernel), frames)
        constant = values[:, None, None, None].expand(-1, frames, cells, cells, -1)
        torch.testing.assert_close(spread(nine, cells), published_convolution(constant, kernel))
