"""Which files of weights backbones take, from where, and what is said of others."""

import hashlib
from functools import partial
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import resnet18

from fsar_core.backbones import (
    ResNet,
    SmallNet,
    WeightsError,
    WeightsFile,
    load_weights,
    loading,
)
from fsar_core.backbones.loading import published_url


def videos(size: int = 33) -> Tensor:
    return torch.randn(2, 3, 3, size, size, generator=torch.Generator().manual_seed(0))


@pytest.fixture(scope="module")
def trunk() -> nn.Module:
    torch.manual_seed(1)
    return resnet18(weights=None).eval()


@pytest.fixture
def small_state() -> dict[str, Tensor]:
    """Of the layers of a SmallNet, by their bare names as torchvision would save them, classifier included."""
    torch.manual_seed(1)
    layers = SmallNet.Config(channels=2).build().trunk.layers
    return {**layers.state_dict(), "fc.weight": torch.zeros(7, 16), "fc.bias": torch.zeros(7)}


def saved(content: object, path: Path) -> Path:
    torch.save(content, path)
    return path


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def small_net_with(path: Path) -> SmallNet:
    config = SmallNet.Config(channels=2, weights=WeightsFile(name=path.name, sha256=digest(path)))
    module = config.build()
    load_weights(module, config, path.parent)
    return module


class TestWeights:
    def test_with_equal_weights_the_features_are_torchvisions(self, trunk: nn.Module, tmp_path: Path) -> None:
        path = saved(trunk.state_dict(), tmp_path / "trunk.pth")
        config = ResNet.Config(depth=18, weights=WeightsFile(name=path.name, sha256=digest(path)))
        module = config.build().eval()
        load_weights(module, config, tmp_path)
        pooled = nn.Sequential(*list(trunk.children())[:-1])
        with torch.no_grad():
            found, expected = module(videos(64)).mean((-2, -1)), pooled(videos(64).flatten(0, 1)).flatten(1)
        torch.testing.assert_close(found.flatten(0, 1), expected, rtol=1e-4, atol=1e-5)

    def test_every_form_of_a_file_loads_the_same(self, small_state: dict[str, Tensor], tmp_path: Path) -> None:
        plain = small_net_with(saved(small_state, tmp_path / "plain.pth")).state_dict()
        assert torch.equal(plain["trunk.layers.conv3.weight"], small_state["conv3.weight"])
        save_file({name: value.contiguous() for name, value in small_state.items()}, tmp_path / "tensors.safetensors")
        parallel = {f"module.{name}": value for name, value in small_state.items()}
        old = {name: value for name, value in small_state.items() if "num_batches_tracked" not in name}
        paths = [
            tmp_path / "tensors.safetensors",
            saved({"state_dict": parallel, "epoch": 3}, tmp_path / "parallel.pt"),
            saved(old, tmp_path / "old.pth"),
            saved(plain, tmp_path / "ours.pth"),
        ]
        for path in paths:
            torch.testing.assert_close(small_net_with(path).state_dict(), plain)

    def test_none_leaves_the_weights_as_they_are(self) -> None:
        config = SmallNet.Config(channels=2)
        module = config.build()
        before = {name: value.clone() for name, value in module.state_dict().items()}
        load_weights(module, config, None)
        torch.testing.assert_close(module.state_dict(), before)

    def test_all_names_that_do_not_fit_are_in_one_error(self, small_state: dict[str, Tensor], tmp_path: Path) -> None:
        del small_state["conv1.weight"]
        small_state["extra"] = torch.zeros(1)
        small_state["bn1.bias"] = torch.zeros(3)
        faults = r"missing: conv1.weight; unexpected: extra; of another shape: bn1.bias \(3,\) instead of \(2,\)"
        with pytest.raises(WeightsError, match=faults):
            small_net_with(saved(small_state, tmp_path / "faulty.pth"))

    @pytest.mark.parametrize("content", [[1, 2], {"epoch": 3}, {"state_dict": 3}, Path("code")], ids=str)
    def test_a_file_of_something_else_is_refused(self, content: object, tmp_path: Path) -> None:
        with pytest.raises(WeightsError, match=r"other\.pth must hold"):
            small_net_with(saved(content, tmp_path / "other.pth"))

    @pytest.mark.parametrize("name", ["cut.pth", "cut.safetensors", "empty.pth", "text.pth"])
    def test_a_damaged_file_is_refused(self, small_state: dict[str, Tensor], name: str, tmp_path: Path) -> None:
        whole = saved(small_state, tmp_path / "whole.pth").read_bytes()
        (tmp_path / name).write_bytes({"empty.pth": b"", "text.pth": b"<html>Not found</html>"}.get(name, whole[:3000]))
        with pytest.raises(WeightsError, match=name):
            small_net_with(tmp_path / name)

    def test_another_content_than_the_config_names_is_refused(self, tmp_path: Path) -> None:
        saved({}, tmp_path / "a.pth")
        config = ResNet.Config(depth=18, weights=WeightsFile(name="a.pth", sha256="0" * 64))
        with pytest.raises(WeightsError, match=r"must have a SHA-256 that starts with 0{64}, but has"):
            load_weights(config.build(), config, tmp_path)

    def test_a_missing_file_is_named_with_its_place(self, tmp_path: Path) -> None:
        config = ResNet.Config(depth=18, weights=WeightsFile(name="a.pth", sha256="0" * 64))
        with pytest.raises(WeightsError, match=f"a.pth must lie in {tmp_path}; copy"):
            load_weights(config.build(), config, tmp_path)
        with pytest.raises(WeightsError, match="site names none"):
            load_weights(config.build(), config, None)


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A torch.hub folder of weights of our own, and no leave to download."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    monkeypatch.delenv("FSAR_DOWNLOAD", raising=False)
    return tmp_path / "torch" / "hub" / "checkpoints"


def _url_of(path: Path, model: str, weights: str) -> str:
    return {("resnet18", "IMAGENET1K_V1"): path.as_uri()}[model, weights]


@pytest.fixture
def published(trunk: nn.Module, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for torchvision's file, under a file:// address with the hash in its name."""
    file = saved(trunk.state_dict(), tmp_path / "trunk.pth")
    (tmp_path / "server").mkdir()
    path = file.rename(tmp_path / "server" / f"resnet18-{digest(file)[:8]}.pth")
    monkeypatch.setattr(loading, "published_url", partial(_url_of, path))
    return path


class TestImageNetWeights:
    CONFIG = ResNet.Config(depth=18)

    def loaded(self, folder: Path | None) -> dict[str, Tensor]:
        module = self.CONFIG.build()
        load_weights(module, self.CONFIG, folder)
        return {name.removeprefix("trunk.layers."): value for name, value in module.state_dict().items()}

    @pytest.mark.parametrize("place", ["site", "torch/hub/checkpoints"])
    def test_they_are_found_in_the_sites_folder_and_where_torch_keeps_them(
        self, place: str, trunk: nn.Module, offline: Path, published: Path, tmp_path: Path
    ) -> None:
        (tmp_path / place).mkdir(parents=True)
        published.rename(tmp_path / place / published.name)
        torch.testing.assert_close(self.loaded(tmp_path / "site")["conv1.weight"], trunk.state_dict()["conv1.weight"])

    def test_a_file_with_another_hash_than_its_name_is_refused(
        self, offline: Path, published: Path, tmp_path: Path
    ) -> None:
        (tmp_path / published.name).write_bytes(published.read_bytes() + b"!")
        with pytest.raises(WeightsError, match="must have a SHA-256 that starts with"):
            self.loaded(tmp_path)

    def test_without_leave_to_download_the_error_says_what_to_put_where(self, offline: Path, tmp_path: Path) -> None:
        with pytest.raises(
            WeightsError, match=r"resnet18-f37072fd\.pth must lie in .*; copy https://.* FSAR_DOWNLOAD=1"
        ):
            self.loaded(tmp_path)
        assert not offline.exists()

    def test_with_leave_they_are_downloaded_once(
        self, trunk: nn.Module, offline: Path, published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("FSAR_DOWNLOAD", "1")
        first = self.loaded(tmp_path / "site")
        published.unlink()
        torch.testing.assert_close(self.loaded(tmp_path / "site"), first)
        torch.testing.assert_close(first["conv1.weight"], trunk.state_dict()["conv1.weight"])

    def test_a_failed_download_says_which_file_to_copy(
        self, offline: Path, published: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        monkeypatch.setenv("FSAR_DOWNLOAD", "1")
        published.unlink()
        with pytest.raises(WeightsError, match=f"cannot be downloaded: .*; copy it to {tmp_path}"):
            self.loaded(tmp_path)

    def test_their_address_is_that_of_the_first_published_weights(self) -> None:
        assert published_url("resnet50", "IMAGENET1K_V1") == "https://download.pytorch.org/models/resnet50-0676ba61.pth"
