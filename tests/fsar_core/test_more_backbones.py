"""Transformer and 3D backbones: their maps, that they are torchvision's networks, what they refuse."""

from typing import Any, cast

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models import VisionTransformer, get_model
from torchvision.models.video import resnet
from torchvision.models.video.mvit import PositionalEncoding

from fsar_core.backbones import (
    BackboneConfig,
    Mvit,
    ResNet3d,
    SmallNet,
    Vit,
)
from fsar_core.method import MethodConfig
from fsar_core.methods import strm, trx
from tests.fsar_core.backbone_cases import (
    CONFIGS,
    MVIT,
    MVIT_2,
    R3D,
    R3D_50,
    VIT,
    VIT_CLASS,
    built,
    every_config,
    light,
    videos,
)

PUBLISHED = (
    (VIT, "vit_b_16", 86_567_656),
    (MVIT, "mvit_v1_b", 36_610_672),
    (MVIT_2, "mvit_v2_s", 34_537_744),
    (R3D, "r3d_18", 33_371_472),
)
"""Names in torchvision, and parameters with a classifier of 1000 or 400 classes as published there."""


def outputs_of(module: nn.Module) -> list[Tensor]:
    """Filled as the module runs."""
    seen: list[Tensor] = []

    def look(_module: nn.Module, _inputs: object, output: Tensor) -> None:
        seen.append(output)

    module.register_forward_hook(look)
    return seen


@every_config
class TestMaps:
    def test_maps_have_the_shape_that_the_config_says(self, config: BackboneConfig) -> None:
        for frames, crop in ((1, 32), (8, 112), (16, 48)) if config.kind == "vit" else ((1, 47), (8, 100), (16, 32)):
            shape = config.shape(frames, crop)
            with torch.device("meta"):
                maps = config.build(frames=frames, crop=crop)(torch.zeros(2, frames, 3, crop, crop))
            assert shape.level == "map"
            assert maps.shape == (2, shape.frames, shape.dim, shape.cells, shape.cells)

    def test_methods_take_it(self, config: BackboneConfig) -> None:
        one_cell = config.shape(16, 224).cells == 1
        for method in (strm.no_ple(config) if one_cell else strm.strm(config), trx.trx(config)):
            again = MethodConfig.model_validate_json(method.model_dump_json())
            assert again == method
            frames = method.wiring(frames=16, crop=224, classes=5).shapes["pooled"].frames
            assert frames == (8 if config.kind == "mvit" else 16)

    def test_patches_of_a_single_cell_are_refused(self, config: BackboneConfig) -> None:
        if config.shape(16, 224).cells > 1:
            strm.strm(config).wiring(frames=16, crop=224, classes=5)
            return
        for method in (strm.strm(config), strm.no_ple_max(config)):
            with pytest.raises(ValueError, match="gets one cell; take a larger crop, tokens='patches' of a vit"):
                method.wiring(frames=16, crop=224, classes=5)

    def test_stored_bytes_are_refused_with_what_to_do(self, config: BackboneConfig) -> None:
        with torch.device("meta"):
            module = config.build(frames=3, crop=32)
            with pytest.raises(ValueError, match=r"normalised floating videos .* got torch.uint8"):
                module(torch.zeros(1, 3, 3, 32, 32, dtype=torch.uint8))


class TestTorchvision:
    @pytest.mark.parametrize(("config", "name", "parameters"), PUBLISHED, ids=[name for _, name, _ in PUBLISHED])
    def test_names_and_sizes_are_the_published_ones(self, config: BackboneConfig, name: str, parameters: int) -> None:
        with torch.device("meta"):
            module, net = config.build(), get_model(name, weights=None)
        wanted = {key: own.shape for key, own in net.state_dict().items()}
        classifier = {key for key in wanted if key.startswith(("head", "fc."))}
        own = {key: value.shape for key, value in module.pretrained_part().state_dict().items()}
        assert own == {key: shape for key, shape in wanted.items() if key not in classifier}
        left_out = sum(wanted[key].numel() for key in classifier)
        assert sum(parameter.numel() for parameter in module.parameters()) + left_out == parameters

    def test_patches_and_class_token_of_a_vit_are_the_encoders(self) -> None:
        module = built(VIT).eval()
        with torch.device("meta"):
            net = cast(VisionTransformer, get_model("vit_b_16", weights=None, image_size=32).eval())
            single = VIT_CLASS.build(frames=3, crop=32).eval()
        for other in (net, single.pretrained_part()):
            for name in ("class_token", "conv_proj", "encoder"):
                setattr(other, name, getattr(module.pretrained_part(), name))
        net.heads = nn.Sequential()
        seen = outputs_of(net.encoder)
        with torch.no_grad():
            net(videos().flatten(0, 1))
            maps, tokens = (own(videos()).flatten(0, 1) for own in (module, single))
        torch.testing.assert_close(maps.flatten(2).mT, seen[0][:, 1:])
        torch.testing.assert_close(tokens[:, :, 0, 0], seen[0][:, 0])

    @pytest.mark.parametrize("config", [MVIT, MVIT_2], ids=lambda c: c.model)
    def test_an_mvit_whose_positions_fit_is_torchvisions(self, config: Mvit.Config) -> None:
        torch.manual_seed(0)
        net = get_model(config.model, weights=None).eval()
        net.pos_encoding = PositionalEncoding(96, (16, 16), 2, rel_pos_embed=config.model == "mvit_v2_s")
        for name, parameter in net.named_parameters():
            if "pos" in name:
                nn.init.normal_(parameter)
        with torch.device("meta"):
            module = config.build().eval()
        for name in ("conv_proj", "pos_encoding", "blocks", "norm"):
            setattr(module.pretrained_part(), name, getattr(net, name))
        seen = outputs_of(net.get_submodule("norm"))
        with torch.no_grad():
            net(videos(64, frames=4).transpose(1, 2))
            maps = module(videos(64, frames=4))
        expected = seen[0][:, 1:].mT.unflatten(2, (2, 2, 2)).transpose(1, 2)
        torch.testing.assert_close(maps, expected, rtol=1e-4, atol=1e-5)

    def test_other_sizes_of_an_mvit_interpolate_its_positions(self) -> None:
        with torch.device("meta"):
            layers: Any = MVIT.build().pretrained_part()
        known = PositionalEncoding(2, (56, 56), 8, rel_pos_embed=False)
        layers.pos_encoding = known
        rows = torch.arange(56.0).repeat_interleave(56)
        with torch.no_grad():
            for own, values in ((known.temporal_pos, torch.arange(8.0)), (known.spatial_pos, 100 * rows)):
                cast(Tensor, own).copy_(values.unsqueeze(1).expand(-1, 2))
            known.class_token.fill_(0.5)
            cast(Tensor, known.class_pos).fill_(7.0)
            placed = layers.placed(torch.zeros(3, 4 * 28 * 28, 2), (4, 28, 28))
        code = placed[1, 1:, 0].unflatten(0, (4, 28, 28))
        assert placed[2, 0].tolist() == [7.5, 7.5]
        # Halfway between two neighbours: frames 0 and 1, 2 and 3, ...
        expected = (2 * torch.arange(4.0) + 0.5)[:, None] + 100 * (2 * torch.arange(28.0) + 0.5)
        torch.testing.assert_close(code, expected.unsqueeze(2).expand(-1, -1, 28))

    def test_a_3d_resnet_is_torchvisions_but_for_its_strides_over_time(self) -> None:
        module = built(R3D).eval()
        layers = cast(nn.Sequential, module.pretrained_part())
        with torch.device("meta"):
            net = cast(resnet.VideoResNet, get_model("r3d_18", weights=None))
        for own, other in zip(layers.modules(), nn.Sequential(*list(net.children())[:5]).modules(), strict=True):
            if isinstance(own, nn.Conv3d) and isinstance(other, nn.Conv3d):
                assert own.stride == (1, *other.stride[1:])
                assert (own.kernel_size, own.padding) == (other.kernel_size, other.padding)
            else:
                assert type(own) is type(other)
        layer = videos(frames=5).transpose(1, 2)
        with torch.no_grad():
            for part in layers:
                layer = part(layer)
            torch.testing.assert_close(module(videos(frames=5)), layer.transpose(1, 2), rtol=1e-4, atol=1e-5)

    def test_a_3d_resnet_50_has_torchvisions_bottlenecks(self) -> None:
        with torch.device("meta"):
            layers = R3D_50.build().pretrained_part()
            net = resnet.VideoResNet(resnet.Bottleneck, [resnet.Conv3DSimple] * 4, [3, 4, 6, 3], resnet.BasicStem)
        expected = {name: own.shape for name, own in net.state_dict().items() if not name.startswith("fc.")}
        assert {name: own.shape for name, own in layers.state_dict().items()} == expected


@light
class TestTraining:
    def test_every_parameter_is_trained(self, config: BackboneConfig) -> None:
        module = built(config).train()
        torch.manual_seed(0)
        module(videos(frames=4)).square().sum().backward()
        assert [name for name, own in module.named_parameters() if own.grad is None] == []

    def test_a_video_does_not_see_the_others(self, config: BackboneConfig) -> None:
        module = built(config).eval()
        with torch.no_grad():
            torch.testing.assert_close(module(videos()[1:]), module(videos())[1:], rtol=1e-4, atol=1e-4)

    def test_frozen_stays_as_it_is_in_training_and_passes_gradients(self, config: BackboneConfig) -> None:
        module = built(config.model_copy(update={"frozen": True}))
        buffers = {name: own.clone() for name, own in module.named_buffers()}
        given = videos().requires_grad_()
        expected = module.eval()(given)
        maps = module.train()(given)
        assert not any(own.requires_grad for own in module.parameters())
        torch.testing.assert_close(maps, expected)
        torch.testing.assert_close(dict(module.named_buffers()), buffers)
        maps.square().sum().backward()
        assert given.grad is not None
        assert given.grad.any()

    def test_frames_of_a_clip_are_seen_together_by_networks_of_clips_only(self, config: BackboneConfig) -> None:
        module = built(config).eval()
        other = videos().clone()
        other[:, 1] = 0
        with torch.no_grad():
            changed = (module(other) - module(videos())).abs().amax((0, 2, 3, 4)) > 1e-6
        assert changed.all() == (config.kind != "vit")


def test_frozen_statistics_of_3d_batch_norms_stay() -> None:
    module = built(ResNet3d.Config(weights="none", batch_norm="frozen")).train()
    before = {name: own.clone() for name, own in module.named_buffers()}
    module(videos())
    torch.testing.assert_close(dict(module.named_buffers()), before)
    free = built(R3D).train()
    free(videos())
    assert not all(torch.equal(own, before[name]) for name, own in free.named_buffers())


def test_only_training_leaves_out_layers_of_an_mvit() -> None:
    module = built(MVIT_2)
    with torch.no_grad():
        assert torch.equal(module.eval()(videos()), module.eval()(videos()))
        torch.manual_seed(0)
        first, second = (module.train()(videos()) for _ in range(2))
        assert not torch.allclose(first, second)
        calm = built(MVIT_2.model_copy(update={"stochastic_depth": 0.0})).train()
        assert torch.equal(calm(videos()), calm(videos()))


class TestRefusals:
    @pytest.mark.parametrize(
        ("config", "crop", "message"),
        [
            (VIT, 100, "crop must be a multiple, got 100"),
            (Vit.Config(), 112, "needs crops of 224 pixels, got 112; set that crop, or take a file"),
        ],
        ids=["patches", "published"],
    )
    def test_crops_that_a_vit_cannot_take(self, config: Vit.Config, crop: int, message: str) -> None:
        with pytest.raises(ValueError, match=message):
            config.shape(8, crop)

    def test_published_weights_of_a_3d_resnet_50_do_not_exist(self) -> None:
        with pytest.raises(ValidationError, match="published for depth 18, got depth 50; set weights to 'none'"):
            ResNet3d.Config(depth=50)
        assert R3D_50.published() is None


def test_the_names_are_those_of_the_papers() -> None:
    assert [config.label() for config in CONFIGS] == [
        "ViT-B/16",
        "ViT-B/16",
        "MViT-B",
        "MViTv2-S",
        "3D ResNet-18",
        "3D ResNet-50",
    ]
    assert SmallNet.Config().label() not in {config.label() for config in CONFIGS}
