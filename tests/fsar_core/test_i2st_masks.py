"""L_mask and its decoder against equations 2 and 3 as loops."""

import math
from dataclasses import replace
from itertools import product
from typing import Any, cast

import pytest
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from fsar_core.episode import Clips, Shape, Trace, Wiring
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll
from fsar_core.frame_samplers.evenly import Evenly
from fsar_core.losses import MaskRegression
from fsar_core.seeds import derived_seed
from tests.fsar_core.i2st_loops import lively, slow_batch_norm
from tests.fsar_core.matcher_cases import randn

VIDEOS, FRAMES, DIM, CELLS, CROP = 3, 2, 4, 2, 8
SHAPE = Shape(level="map", frames=FRAMES, dim=DIM, cells=CELLS)
SMALL: dict[str, Any] = {"mid": 3, "channels": (3, 2), "ups": (2, 2)}


def config(**fields: Any) -> MaskRegression.Config:
    return MaskRegression.Config.model_validate({**SMALL, **fields})


def wiring(shape: Shape = SHAPE, crop: int = CROP, sampler: FrameSamplerConfig | None = None) -> Wiring:
    return Wiring(
        shapes={"instances": shape},
        reads={"instances": ("backbone",)},
        stages={},
        heads=(),
        frame_sampler=sampler or KeepAll.Config(),
        frames=FRAMES,
        crop=crop,
    )


def loss(chosen: MaskRegression.Config) -> MaskRegression:
    chosen.check(wiring())
    built = chosen.build(wiring(), classes=5)
    return lively(built)


def clips(*, has_mask: Tensor | None = None) -> Clips:
    generator = torch.Generator().manual_seed(derived_seed(0, "made masks"))
    masks = torch.randint(0, 256, (VIDEOS, FRAMES, CROP, CROP), generator=generator, dtype=torch.uint8)
    nothing = torch.zeros(VIDEOS, FRAMES, 3, CROP, CROP)
    return Clips(videos=nothing, class_ids=torch.zeros(VIDEOS, dtype=torch.int64), masks=masks, has_mask=has_mask)


def trace(given: Clips, embeddings: Tensor) -> Trace:
    return Trace(outputs={"instances": embeddings}, reads={}, steps={}, clips=given, sampled=None, matches=())


def embeddings() -> Tensor:
    return randn(VIDEOS, FRAMES, DIM, CELLS, CELLS).abs()


def slow_upsample(x: Tensor, factor: int) -> Tensor:
    """(D, h, w), bilinear between the centres of the cells, constant outside them."""
    _, height, width = x.shape
    out = torch.zeros(len(x), height * factor, width * factor, dtype=torch.float64)

    def corners(place: int, size: int) -> list[tuple[int, float]]:
        source = max((place + 0.5) / factor - 0.5, 0)
        low = min(int(source), size - 1)
        share = source - low
        return [(low, 1 - share), (min(low + 1, size - 1), share)]

    for y, x0 in product(range(height * factor), range(width * factor)):
        for (row, a), (column, b) in product(corners(y, height), corners(x0, width)):
            out[:, y, x0] += a * b * x[:, row, column]
    return out


def slow_convolution(layer: nn.Conv2d, x: Tensor) -> Tensor:
    _, height, width = x.shape
    reach = layer.kernel_size[0] // 2
    out = torch.zeros(layer.out_channels, height, width, dtype=torch.float64)
    for y, x0, dy, dx in product(range(height), range(width), *(range(-reach, reach + 1),) * 2):
        if 0 <= y + dy < height and 0 <= x0 + dx < width:
            out[:, y, x0] += layer.weight[:, :, reach + dy, reach + dx] @ x[:, y + dy, x0 + dx]
    return out if layer.bias is None else out + layer.bias[:, None, None]


def slow_mask(built: MaskRegression, frame: Tensor) -> Tensor:
    x = frame
    for layer in built.decoder.layers:
        if isinstance(layer, nn.Conv2d):
            x = slow_convolution(layer, x)
        elif isinstance(layer, nn.Upsample):
            x = slow_upsample(x, int(cast(float, layer.scale_factor)))
        elif isinstance(layer, nn.BatchNorm2d):
            x = torch.stack([slow_batch_norm(layer, cell) for cell in x.flatten(1).T]).T.view_as(x)
        elif isinstance(layer, nn.ReLU):
            x = x.clamp_min(0)
    return x[0].sigmoid() if built.config.activation == "sigmoid" else x[0]


def slow_loss(built: MaskRegression, given: Clips) -> float:
    assert given.masks is not None
    total, counted = 0.0, 0
    for v in range(VIDEOS):
        squares, kept = [], 0
        for t in range(FRAMES):
            if given.has_mask is not None and not given.has_mask[v, t]:
                continue
            predicted = slow_mask(built, embeddings()[v, t])
            size = len(predicted)
            k = CROP // size
            target = [
                [
                    float(given.masks[v, t, y * k : y * k + k, x * k : x * k + k].double().mean()) / 255
                    for x in range(size)
                ]
                for y in range(size)
            ]
            squares += [(float(predicted[y, x]) - target[y][x]) ** 2 for y, x in product(range(size), repeat=2)]
            kept += 1
        if built.config.reduction == "mse":
            total += sum(squares) / max(1, len(squares)) * kept
            counted += kept
        elif built.config.reduction == "sum_videos":
            total += sum(squares) / max(1, len(squares))
        else:
            total += math.sqrt(sum(squares))
    return total / max(1, counted) if built.config.reduction == "mse" else total


HAS_MASK = (None, torch.tensor([[True, False], [True, True], [False, True]]))


class TestEquations:
    @pytest.mark.parametrize("has_mask", HAS_MASK, ids=["all", "some"])
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"reduction": "sum_videos"},
            {"reduction": "l2norm"},
            {"activation": "sigmoid"},
            {"out_size": 4},
            {"mid": 2, "channels": (1,), "ups": (4,)},
        ],
        ids=str,
    )
    @torch.no_grad()
    def test_the_loss_is_that_of_the_loops(self, fields: dict[str, Any], has_mask: Tensor | None) -> None:
        built = loss(config(**fields))
        given = clips(has_mask=has_mask)
        assert built(trace(given, embeddings())).item() == pytest.approx(slow_loss(built, given), rel=1e-10)

    def test_without_any_mask_the_loss_is_zero_and_has_a_gradient(self) -> None:
        for reduction in ("mse", "sum_videos"):
            built = loss(config(reduction=reduction))
            found = built(trace(clips(has_mask=torch.zeros(VIDEOS, FRAMES, dtype=torch.bool)), embeddings()))
            assert found.item() == 0
            found.backward()

    def test_a_mask_of_zeros_is_a_target(self) -> None:
        built = loss(config())
        given = clips()
        assert given.masks is not None
        empty = replace(given, masks=torch.zeros_like(given.masks))
        predicted = built.predicted(embeddings())
        torch.testing.assert_close(built(trace(empty, embeddings())), predicted.square().mean())

    def test_half_precision_embeddings_give_a_float32_loss(self) -> None:
        built = loss(config()).float()
        with torch.autocast("cpu", torch.bfloat16):
            assert built(trace(clips(), embeddings().float())).dtype == torch.float32


class TestMemory:
    def gradients(self, built: MaskRegression) -> list[Tensor]:
        features = embeddings().requires_grad_()
        built.train()(trace(clips(), features)).backward()
        found = [cast(Tensor, own.grad) for own in (features, *built.parameters())]
        return [*found, *built.buffers()]

    def test_recomputing_changes_neither_gradients_nor_running_statistics(self) -> None:
        kept, recomputed = (self.gradients(loss(config(checkpoint=flag))) for flag in (False, True))
        for own, other in zip(recomputed, kept, strict=True):
            assert torch.equal(own, other)

    def test_recomputing_keeps_less(self) -> None:
        sizes: dict[bool, int] = {False: 0, True: 0}
        for flag in sizes:

            def pack(saved: Tensor, flag: bool = flag) -> Tensor:
                sizes[flag] += saved.numel()
                return saved

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
                loss(config(checkpoint=flag)).train().predicted(embeddings().requires_grad_())
        assert sizes[True] < sizes[False] / 5

    def test_chunks_pass_the_decoder_one_after_the_other(self) -> None:
        whole, chunked = loss(config()), loss(config(chunk_frames=4))
        torch.testing.assert_close(chunked.predicted(embeddings()), whole.predicted(embeddings()))
        seen: list[int] = []
        chunked.decoder.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        chunked.predicted(embeddings())
        assert seen == [4, 2]

    def test_the_cheap_form_has_the_same_weights_and_less_to_compute(self) -> None:
        whole, cheap = loss(config()), loss(config(out_size=4))
        assert {n: p.shape for n, p in whole.named_parameters()} == {n: p.shape for n, p in cheap.named_parameters()}
        counts = []
        for built in (whole, cheap):
            with FlopCounterMode(display=False) as counter:
                built.predicted(embeddings())
            counts.append(counter.get_total_flops())
        assert counts[1] < counts[0] / 2


class TestChecks:
    @pytest.mark.parametrize(
        ("fields", "place", "fault"),
        [
            ({}, wiring(shape=Shape(level="frame", frames=2, dim=4)), "gives frame features"),
            ({}, wiring(sampler=Evenly.Config(keep=1)), "must be keep_all"),
            ({}, wiring(shape=replace(SHAPE, frames=1)), "clip's 2 frames, but 'instances' has 1"),
            ({"ups": (2, 3)}, wiring(), "which give 12; their product must be 4"),
            ({"out_size": 5}, wiring(), r"out_size must be one of \[4, 8\] or None, got 5"),
        ],
    )
    def test_what_does_not_fit_is_refused(self, fields: dict[str, Any], place: Wiring, fault: str) -> None:
        with pytest.raises(ValueError, match=fault):
            config(**fields).check(place)

    def test_blocks_need_a_width_and_a_factor_each(self) -> None:
        for fields in ({"ups": (2, 2, 2)}, {"channels": (3, 0)}):
            with pytest.raises(ValueError, match="one number >= 1 for each block"):
                config(**fields)

    def test_it_asks_for_masks_and_says_so_when_there_are_none(self) -> None:
        assert config().needs_masks()
        with pytest.raises(ValueError, match="needs clips with masks"):
            loss(config())(trace(replace(clips(), masks=None), embeddings()))
