"""Weights of transformer and 3D backbones, from files and as published."""

import hashlib
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsar_core.backbones import (
    BackboneConfig,
    Mvit,
    ResNet3d,
    Vit,
    WeightsError,
    WeightsFile,
    load_weights,
)
from fsar_core.backbones.loading import published_url
from tests.fsar_core.backbone_cases import (
    ADAPTER,
    VIT,
    light,
)


def made_up(config: BackboneConfig, first: int = 0) -> dict[str, Tensor]:
    """A state of torchvision's names with another number in each tensor; a tiny file, for each is stored once."""
    with torch.device("meta"):
        state = config.build(frames=3, crop=32).pretrained_part().state_dict()
    return {
        name: torch.full((), i, dtype=own.dtype).expand(own.shape)
        for i, (name, own) in enumerate(state.items(), start=first)
    }


def with_file(config: BackboneConfig, state: dict[str, Tensor], path: Path) -> BackboneConfig:
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return config.model_copy(update={"weights": WeightsFile(name=path.name, sha256=digest)})


class TestWeights:
    @light
    def test_a_file_of_torchvisions_names_is_loaded_without_its_classifier(
        self, config: BackboneConfig, tmp_path: Path
    ) -> None:
        module = config.build(frames=3, crop=32)
        classifier = {"vit": "heads.head", "mvit": "head.1"}.get(config.kind, "fc")
        for first, mlp in ((0, ("mlp.0.", "mlp.3.")), (1000, ("mlp.linear_1.", "mlp.linear_2."))):
            state = made_up(config, first)
            given = {own.replace("mlp.0.", mlp[0]).replace("mlp.3.", mlp[1]): value for own, value in state.items()}
            given |= {f"{classifier}.{kind}": torch.zeros(3) for kind in ("weight", "bias")}
            filled = with_file(config, given, tmp_path / f"{first}.pth")
            assert ADAPTER.validate_json(filled.canonical_json()) == filled
            load_weights(module, filled, tmp_path)
            found = module.pretrained_part().state_dict()
            assert found.keys() == state.keys()
            assert all(torch.equal(own, state[name]) for name, own in found.items())

    def test_a_name_of_weights_that_nobody_publishes_is_refused(self) -> None:
        config = ResNet3d.Config(depth=50, weights="none").model_copy(update={"weights": "kinetics400"})
        with torch.device("meta"):
            module = config.build()
        with pytest.raises(WeightsError, match="no weights 'kinetics400' are published for this backbone; set weights"):
            load_weights(module, config)

    def test_a_file_for_another_crop_is_refused(self, tmp_path: Path) -> None:
        config = with_file(VIT, made_up(VIT), tmp_path / "vit.pth")
        with torch.device("meta"):
            module = config.build(crop=48)
        with pytest.raises(WeightsError, match=r"encoder.pos_embedding \(1, 5, 768\) instead of \(1, 10, 768\)"):
            load_weights(module, config, tmp_path)

    @pytest.mark.parametrize(
        ("config", "url"),
        [
            (Vit.Config(), "vit_b_16-c867db91.pth"),
            (Mvit.Config(), "mvit_v1_b-dbeb1030.pth"),
            (Mvit.Config(model="mvit_v2_s"), "mvit_v2_s-ae3be167.pth"),
            (ResNet3d.Config(), "r3d_18-b3b3357e.pth"),
        ],
        ids=str,
    )
    def test_published_weights_are_torchvisions_first(
        self, config: BackboneConfig, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        published = config.published()
        assert published is not None
        assert published_url(*published) == f"https://download.pytorch.org/models/{url}"
        monkeypatch.setattr(torch.hub, "_hub_dir", str(tmp_path / "hub"))
        monkeypatch.delenv("FSAR_DOWNLOAD", raising=False)
        with torch.device("meta"):
            module = config.build()
        with pytest.raises(WeightsError, match=f"published weights {url} must lie in"):
            load_weights(module, config, tmp_path)
