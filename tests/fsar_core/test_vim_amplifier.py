"""What VIM's sampler does to the frames it keeps: saliency, the amplifying grid, and the cut that may replace it."""

import math
from dataclasses import dataclass, field
from itertools import product

import pytest
import torch
from torch import Tensor
from torch.autograd import gradcheck

from fsar_core.frame_samplers import saliency
from fsar_core.frame_samplers.amplifier import Grid, amplified, axis_places, marginals, sampled_at
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.saliency import channel_attention, enlarged, span_normalised, stage_mean, upsampling
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from tests.fsar_core.sampler_golden import DTYPES, assert_near, case, rand, randn

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)
each_grid = pytest.mark.parametrize("grid", ["published", "centred"])


class TestSaliency:
    @each_dtype
    @pytest.mark.parametrize("name", ["c0", "c1"])
    def test_both_kinds_give_the_reference_numbers(self, name: str, dtype: torch.dtype) -> None:
        golden = case("vim_saliency", name, dtype)
        fused = stage_mean([golden[f"stage{i}"] for i in (2, 3, 4)])[:, 0]
        up = upsampling(fused.shape[-1], golden["fused_map"].shape[-1]).to(dtype)
        assert_near(enlarged(fused, up), golden["fused_map"])
        assert_near(channel_attention(golden["eq_feature"], golden["eq_ws"]), golden["eq_map"])

    @pytest.mark.parametrize(("channels", "height", "width"), [(3, 2, 2), (2, 3, 1), (5, 1, 1)])
    def test_channel_attention_follows_the_equation(self, channels: int, height: int, width: int) -> None:
        maps, weight = randn(2, 3, channels, height, width), randn(channels, seed=1)
        count = height * width
        for v, m in product(range(2), range(3)):
            a = maps[v, m].reshape(channels, count).tolist()
            alpha = [
                [sum(a[i][p] * a[j][p] for p in range(count)) / math.sqrt(count) for j in range(channels)]
                for i in range(channels)
            ]
            attended = [
                [sum(alpha[i][j] * a[j][p] for j in range(channels)) for p in range(count)] for i in range(channels)
            ]
            expected = [
                sum(weight[i].item() * attended[i][p] for i in range(channels)) / channels for p in range(count)
            ]
            found = channel_attention(maps, weight)[v, m]
            assert_near(found, torch.tensor(expected, dtype=torch.float64).view(height, width), 1e-10)

    @pytest.mark.parametrize(("cells", "size"), [(4, 20), (3, 3), (1, 5), (5, 16)])
    def test_normalising_before_the_enlargement_is_normalising_after_it(
        self, cells: int, size: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(saliency, "_BYTES_AT_ONCE", 2 * 8 * size**2)  # two maps at once
        maps, up = randn(5, cells, cells).requires_grad_(), upsampling(cells, size).double()
        large = torch.nn.functional.interpolate(maps[:, None], (size, size), mode="bilinear", align_corners=True)[:, 0]
        low, high = large.amin((1, 2), keepdim=True), large.amax((1, 2), keepdim=True)
        expected = (large - low) / (high - low + 1e-4)
        found = enlarged(span_normalised(maps, up), up)
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-6)
        upstream = randn(5, size, size, seed=1)
        gradients = [
            torch.autograd.grad((own * upstream).sum(), maps, retain_graph=True)[0] for own in (found, expected)
        ]
        if cells > 1:  # a single cell is a tie of all pixels
            torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)

    def test_a_flat_map_gives_exact_zeros_and_finite_gradients(self) -> None:
        maps, up = torch.full((2, 4, 4), 1234.567).requires_grad_(), upsampling(4, 50)
        normalised = enlarged(span_normalised(maps, up), up)
        assert (normalised == 0).all()
        (normalised * torch.randn(2, 50, 50)).sum().backward()
        assert maps.grad is not None
        assert maps.grad.isfinite().all()

    def test_weights_and_maps_get_the_gradient_of_the_normalised_saliency(self) -> None:
        amplifier = SpatialAmplifier.Config().build(width=3, cells=3, crop=7, generated=True).double()
        indicator = rand(2, 2, 4, seed=2).softmax(-1)

        def run(maps: Tensor, weight: Tensor) -> Tensor:
            return amplifier.saliency(maps, indicator, weight)

        assert gradcheck(run, (randn(2, 4, 3, 3, 3).requires_grad_(), randn(3, seed=1).requires_grad_()))

    def test_a_choice_of_maps_is_the_choice_of_normalised_ones(self) -> None:
        amplifier = SpatialAmplifier.Config().build(width=3, cells=3, crop=9, generated=False).double()
        maps, indicator = randn(2, 4, 3, 3, 3), rand(2, 2, 4).softmax(-1)
        every = amplifier.saliency(maps, None)
        assert every.shape == (2, 4, 9, 9)
        expected = torch.einsum("vtm,vmxy->vtxy", indicator, every)
        torch.testing.assert_close(amplifier.saliency(maps, indicator), expected)


@dataclass
class Slow:
    """The grid of one map by loops; caps, what they cut, and steps of the sums are remembered for ``held``."""

    grid: str
    held: "Slow | None" = None
    caps: list[float] = field(default_factory=list)
    cut: list[list[list[bool]]] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)

    def places(self, rows: list[float], columns: list[float]) -> list[list[float]]:
        size, held = len(rows), self.held
        axes = [[size * value for value in axis] for axis in (rows, columns)]
        for number in range(5):
            cap = min(*(max(axis) for axis in axes), *([4.0] if number == 0 else []))
            cap = held.caps[number] if held else cap
            cut = held.cut[number] if held else [[value > cap for value in axis] for axis in axes]
            self.caps.append(cap)
            self.cut.append(cut)
            axes = [
                [cap if c else v for v, c in zip(axis, over, strict=True)] for axis, over in zip(axes, cut, strict=True)
            ]
            axes = [[value + (size - sum(axis)) / size for value in axis] for axis in axes]
        return [self._inverse(axis, held.steps[i * size :] if held else []) for i, axis in enumerate(axes)]

    def _inverse(self, density: list[float], known: list[int]) -> list[float]:
        size, published = len(density), self.grid == "published"
        if published:
            density = [1.0, *density[1:]]
        sums = [sum(density[: j + 1]) for j in range(size)]
        places: list[float] = []
        for i in range(size):
            target = (i if published else i + 0.5) * sums[-1] / size
            j = known[i] if known else next(j for j in range(size) if sums[j] >= target)
            self.steps.append(j)
            before = sums[j - 1] if j else 0.0
            if published:
                places.append(j + (target - sums[j]) / (sums[j] - before))
            else:
                places.append(j - 0.5 + (target - before) / (sums[j] - before))
        return places


def slow_marginals(picture: Tensor) -> list[list[float]]:
    rows = [max(row) for row in picture.tolist()]
    columns = [max(column) for column in picture.T.tolist()]
    return [[value / sum(axis) for value in axis] for axis in (rows, columns)]


def peaked(count: int, size: int, seed: int = 0) -> Tensor:
    """Maps with a few high pixels, so that the first cap of 4 and all further ones matter."""
    maps = 0.02 * rand(count, size, size, seed=seed)
    for v in range(count):
        maps[v, (3 * v + 2) % size, (5 * v + 4) % size] = 1.0
    return maps


class TestGrid:
    @each_dtype
    @pytest.mark.parametrize("name", ["c0", "c1", "c2", "c3"])
    def test_every_step_is_that_of_the_published_sampler(self, name: str, dtype: torch.dtype) -> None:
        golden = case("vim_amplify", name, dtype)
        size = golden["map"].shape[-1]
        if name != "c2":  # there the reference takes a map of ones, without normalising
            up = upsampling(golden["coarse_map"].shape[-1], size).to(dtype)
            assert_near(enlarged(span_normalised(golden["coarse_map"], up), up), golden["map"])
        row, column = marginals(golden["map"])
        assert_near(row, golden["row_marginal"])
        assert_near(column, golden["col_marginal"])
        y, x = axis_places(row, column, "published")
        assert_near(2 * x / (size - 1) - 1, golden["grid_x"])
        assert_near(2 * y / (size - 1) - 1, golden["grid_y"])
        found = amplified(golden["image"], golden["map"])
        assert_near(found, golden["amplified"], 5e-4 if dtype == torch.float32 else 1e-6)

    @each_grid
    @pytest.mark.parametrize("size", [5, 12, 31])
    @pytest.mark.parametrize("kind", ["random", "peaked", "borders"])
    def test_places_follow_the_equations(self, kind: str, size: int, grid: Grid) -> None:
        maps = rand(3, size, size) if kind == "random" else peaked(3, size)
        if kind == "borders":
            maps = maps.clone()
            maps[:, 0], maps[:, :, -2:] = 0, 0
        row, column = marginals(maps)
        found = axis_places(row, column, grid)
        for v in range(3):
            expected = Slow(grid).places(*slow_marginals(maps[v]))
            for axis in range(2):
                assert_near(found[axis][v], torch.tensor(expected[axis], dtype=torch.float64), 1e-10)

    @each_grid
    def test_places_increase_and_lie_within_a_pixel_of_the_image(self, grid: Grid) -> None:
        for maps in (rand(4, 40, 40).float(), peaked(4, 40).float()):
            for places in axis_places(*marginals(maps), grid):
                assert (places.diff(dim=-1) > 0).all()
                assert places.min() >= -1
                assert places.max() <= 39.5

    def test_a_salient_region_takes_more_room(self) -> None:
        maps = 0.1 * torch.ones(1, 40, 40)
        maps[:, 10:18, 22:30] = 1.0
        image = torch.zeros(1, 3, 40, 40)
        image[:, :, 10:18, 22:30] = 1.0
        for grid in ("published", "centred"):
            assert amplified(image, maps, grid=grid).sum() > 3 * image.sum()

    def test_flat_maps_shift_by_a_pixel_as_published_or_change_nothing_when_centred(self) -> None:
        image = rand(2, 3, 11, 11)
        for flat in (torch.zeros(2, 11, 11), torch.full((2, 11, 11), 0.7)):
            published = amplified(image, flat.double(), grid="published")
            assert published[:, :, 0].abs().max() < 1e-12
            assert published[:, :, :, 0].abs().max() < 1e-12
            torch.testing.assert_close(published[:, :, 1:, 1:], image[:, :, :-1, :-1])
            torch.testing.assert_close(amplified(image, flat.double(), grid="centred"), image)

    def test_a_map_of_zeros_has_finite_gradients(self) -> None:
        maps = torch.zeros(2, 9, 9, requires_grad=True)
        amplified(rand(2, 3, 9, 9).float(), maps).square().sum().backward()
        assert maps.grad is not None
        assert maps.grad.isfinite().all()

    @each_grid
    @pytest.mark.parametrize("kind", ["random", "peaked"])
    def test_gradients_are_finite_differences_with_caps_and_steps_held(self, kind: str, grid: Grid) -> None:
        size = 9
        picture = (rand(size, size) if kind == "random" else peaked(1, size)[0]).requires_grad_()
        image, upstream = rand(1, 3, size, size, seed=1), randn(1, 3, size, size, seed=2)
        (gradient,) = torch.autograd.grad((amplified(image, picture[None], grid=grid) * upstream).sum(), picture)
        reference = Slow(grid)
        reference.places(*slow_marginals(picture.detach()))

        def value(changed: Tensor) -> float:
            places = Slow(grid, held=reference).places(*slow_marginals(changed))
            y, x = (torch.tensor([axis], dtype=torch.float64) for axis in places)
            return (sampled_at(image, y, x) * upstream).sum().item()

        step, seen = 1e-6, 0
        for i, j in product(range(size), range(size)):
            change = torch.zeros(size, size).double()
            change[i, j] = step
            base = picture.detach()
            slope = (value(base + change) - value(base - change)) / (2 * step)
            assert gradient[i, j].item() == pytest.approx(slope, rel=1e-4, abs=1e-6)
            seen += slope != 0
        assert seen >= 9

    def test_without_grid_grad_the_frames_are_the_same_and_the_map_learns_nothing(self) -> None:
        image, maps = rand(2, 3, 9, 9).requires_grad_(), rand(2, 9, 9, seed=1).requires_grad_()
        still = amplified(image, maps, grid_grad=False)
        torch.testing.assert_close(still, amplified(image, maps))
        assert torch.autograd.grad(still.sum(), maps, allow_unused=True, retain_graph=True)[0] is None
        assert torch.autograd.grad(still.sum(), image)[0].abs().sum() > 0


class TestCropper:
    def cropper(self, share: float = 0.5, crop: int = 12) -> Cropper:
        torch.manual_seed(0)
        return Cropper.Config(share=share).build(width=6, cells=2, crop=crop).double().eval()

    def test_the_cut_lies_inside_the_frame(self) -> None:
        for scale in (1, 100):
            corners = self.cropper().corners(scale * randn(40, 6, 2, 2))
            assert corners.shape == (40, 2)
            assert corners.min() >= 0
            assert corners.max() <= 6

    def test_a_cut_at_whole_pixels_shows_first_and_last_pixel_of_the_square(self) -> None:
        frames = rand(2, 3, 3, 12, 12)
        corners = torch.tensor([3.0, 5.0], dtype=torch.float64).expand(2, 3, 2)
        found = self.cropper()(frames, corners)
        square = frames[..., 5:11, 3:9]
        assert found.shape == frames.shape
        for index in (0, -1):
            torch.testing.assert_close(found[..., index, index], square[..., index, index])
        expected = torch.nn.functional.interpolate(square.flatten(0, 1), (12, 12), mode="bilinear", align_corners=True)
        torch.testing.assert_close(found.flatten(0, 1), expected)

    def test_corners_get_the_gradient_of_the_picture_and_maps_get_none(self) -> None:
        cropper, frames = self.cropper(), rand(1, 2, 3, 12, 12)
        corners = torch.tensor([[[2.3, 3.1], [4.4, 0.7]]], dtype=torch.float64).requires_grad_()

        def run(own: Tensor) -> Tensor:
            return cropper(frames, own)

        assert gradcheck(run, (corners,))
        maps = randn(2, 6, 2, 2).requires_grad_()
        found = cropper(frames, cropper.corners(maps).view(1, 2, 2)).sum()
        assert torch.autograd.grad(found, maps, allow_unused=True, retain_graph=True)[0] is None
        assert all(g.abs().sum() > 0 for g in torch.autograd.grad(found, list(cropper.point.parameters())))

    def test_the_published_square_and_sizes(self) -> None:
        cropper = Cropper.Config().build(width=192, cells=4, crop=224)
        assert cropper.side == 160
        sizes = [p.numel() for p in cropper.parameters()]
        assert sizes == [192 * 64, 64, 64, 1024 * 128, 128, 128 * 2, 2]

    def test_a_square_of_one_pixel_is_refused(self) -> None:
        with pytest.raises(ValueError, match=r"spatial.share of 12 pixels must be 2 pixels or more, got 0.05"):
            self.cropper(share=0.05)
