"""Backbones: their maps, and what of them is held still."""

from copy import deepcopy
from functools import cache

import pytest
import torch
from pydantic import TypeAdapter, ValidationError
from torch import Tensor

from fsar_core.backbones import (
    BACKBONES,
    Backbone,
    BackboneConfig,
    ResNet,
    SmallNet,
    WeightsFile,
)
from fsar_core.backbones.small_net import Coordinates
from tests.fsar_core import backbone_cases

ADAPTER: TypeAdapter[BackboneConfig] = TypeAdapter(BackboneConfig)
CONFIGS = (ResNet.Config(depth=18), SmallNet.Config(channels=2), SmallNet.Config(channels=3, coordinates=False))
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: c.canonical_json())


def videos(size: int = 33) -> Tensor:
    return torch.randn(2, 3, 3, size, size, generator=torch.Generator().manual_seed(0))


@cache
def first_built(config_json: str) -> Backbone:
    torch.manual_seed(0)
    return ADAPTER.validate_json(config_json).build()


def built(config: BackboneConfig) -> Backbone:
    """Fresh, with the same weights every time; a copy, because drawing millions of weights takes long."""
    return deepcopy(first_built(config.canonical_json()))


@every_config
class TestEveryBackbone:
    @pytest.mark.parametrize("size", [32, 33, 47, 64])
    def test_maps_have_the_shape_that_the_config_says(self, config: BackboneConfig, size: int) -> None:
        shape = config.shape(frames=3, crop=size)
        with torch.no_grad():
            maps = built(config).eval()(videos(size))
        assert shape.level == "map"
        assert maps.shape == (2, shape.frames, shape.dim, shape.cells, shape.cells)

    def test_a_frame_does_not_see_the_others_in_evaluation_mode(self, config: BackboneConfig) -> None:
        module = built(config).eval()
        with torch.no_grad():
            torch.testing.assert_close(module(videos()[1:, 2:]), module(videos())[1:, 2:], rtol=1e-4, atol=1e-5)

    def test_every_parameter_is_trained(self, config: BackboneConfig) -> None:
        module = built(config).train()
        module(videos()).square().sum().backward()
        assert [name for name, p in module.named_parameters() if p.grad is None or not p.grad.any()] == []

    def test_frozen_stays_as_it_is_in_training(self, config: BackboneConfig) -> None:
        module = built(config.model_copy(update={"frozen": True}))
        before = {name: value.clone() for name, value in module.state_dict().items()}
        expected = module.eval()(videos())
        maps = module.train()(videos())
        assert not maps.requires_grad
        assert not any(p.requires_grad for p in module.parameters())
        torch.testing.assert_close(maps, expected)
        torch.testing.assert_close(module.state_dict(), before)

    def test_a_gradient_passes_through_a_frozen_backbone_to_the_videos(self, config: BackboneConfig) -> None:
        given = videos().requires_grad_()
        built(config.model_copy(update={"frozen": True})).train()(given).square().sum().backward()
        assert given.grad is not None
        assert given.grad.any()

    def test_frozen_statistics_stay_while_the_rest_trains(self, config: BackboneConfig) -> None:
        module = built(config.model_copy(update={"batch_norm": "frozen"})).train()
        before = {name: value.clone() for name, value in module.named_buffers()}
        module(videos()).square().sum().backward()
        torch.testing.assert_close(dict(module.named_buffers()), before)
        assert all(p.grad is not None for p in module.parameters())

    def test_training_updates_the_statistics(self, config: BackboneConfig) -> None:
        module = built(config).train()
        before = {name: value.clone() for name, value in module.named_buffers()}
        module(videos())
        assert all(not torch.equal(value, before[name]) for name, value in module.named_buffers())

    def test_stored_bytes_are_refused_with_what_to_do(self, config: BackboneConfig) -> None:
        with pytest.raises(
            ValueError, match=r"normalised floating videos .* got torch.uint8 .* apply the normalisation"
        ):
            built(config)(torch.zeros(1, 2, 3, 32, 32, dtype=torch.uint8))

    def test_a_config_survives_json(self, config: BackboneConfig) -> None:
        full = config.model_copy(update={"weights": WeightsFile(name="a-1.pth", sha256="0" * 64)})
        assert ADAPTER.validate_json(full.canonical_json()) == full


def test_every_member_of_the_union_is_in_the_contract_tests() -> None:
    assert {type(config) for config in (*CONFIGS, *backbone_cases.CONFIGS)} == set(BACKBONES)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "resnet", "depth": 20},
        {"kind": "small", "weights": "imagenet"},
        {"kind": "small", "channels": 0},
        {"kind": "resnet", "weights": {"name": "../x.pth", "sha256": "0" * 64}},
        {"kind": "resnet", "weights": {"name": "x.pth", "sha256": "abc"}},
    ],
    ids=str,
)
def test_a_wrong_field_is_refused(fault: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ADAPTER.validate_python(fault)


@pytest.mark.parametrize(("depth", "dim"), [(34, 512), (50, 2048), (101, 2048), (152, 2048)])
def test_deeper_networks_give_the_channels_that_their_config_says(depth: int, dim: int) -> None:
    config = ResNet.Config.model_validate({"depth": depth})
    with torch.device("meta"):
        assert config.build()(torch.zeros(1, 2, 3, 64, 64)).shape == (1, 2, dim, 2, 2)
    assert config.shape(frames=2, crop=224).dim == dim
    assert config.shape(frames=2, crop=224).cells == 7


def test_coordinates_are_the_positions_from_minus_one_to_one() -> None:
    seen = Coordinates()(torch.zeros(2, 3, 3, 5))
    assert seen.shape == (2, 5, 3, 5)
    assert seen[1, 3].tolist() == [[-1, -0.5, 0, 0.5, 1]] * 3
    assert seen[1, 4].T.tolist() == [[-1, 0, 1]] * 5
