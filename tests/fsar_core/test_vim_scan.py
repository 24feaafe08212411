"""The networks that scan all frames: their numbers, sizes, and the files of weights they take."""

import hashlib
from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn
from torchvision.models import get_model

from fsar_core.backbones import WeightsError, WeightsFile, load_weights
from fsar_core.frame_samplers.scan_networks import ScanName, ScanNetwork
from tests.fsar_core.sampler_golden import DTYPES, GOLDEN, assert_near, case

SIZES: dict[ScanName, tuple[int, int, tuple[int, int, int]]] = {
    "shufflenet_v2_x0_5": (341_792, 1024, (48, 96, 192)),
    "shufflenet_v2_x1_0": (1_253_604, 1024, (116, 232, 464)),
    "shufflenet_v2_x1_5": (2_478_624, 1024, (176, 352, 704)),
    "mobilenet_v2": (2_223_872, 1280, (32, 96, 320)),
    "shufflenet_v1_x2_0": (3_529_776, 1920, (480, 960, 1920)),
    "mobilenet_v1_x0_75": (1_816_560, 768, (192, 384, 768)),
    "scan_tiny": (24_648, 64, (16, 32, 64)),
}
"""Parameters, width of a frame's vector, channels of stages 2 to 4."""


def network(name: ScanName) -> ScanNetwork:
    return ScanNetwork.Config(name=name, weights="none").build().eval()


def by_rule(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The weights of the reference arrays: a hash of the tensor's and of the entry's number."""
    made: dict[str, Tensor] = {}
    names = [name for name in state if not name.endswith("num_batches_tracked")]
    for t, name in enumerate(names):
        count = state[name].numel()
        h = (np.arange(count, dtype=np.uint64) * 2654435761 + (t + 1) * 374761393).astype(np.uint32)
        h = (h ^ (h >> 16)) * np.uint32(2246822519)
        h = (h ^ (h >> 13)) * np.uint32(3266489917)
        u = (h ^ (h >> 16)).astype(np.float64) / 2**32 - 0.5
        if state[name].ndim > 1:
            values = u * np.sqrt(24 / (count / len(state[name])))
        elif name.endswith("running_var"):
            values = 1 + 0.8 * u
        else:
            values = 1 + 0.4 * u if name.endswith("weight") else 0.4 * u
        made[name] = torch.from_numpy(values.astype(np.float32)).view(state[name].shape)
    return {name: made.get(name, value) for name, value in state.items()}


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("name", "arch"), [("c0", "shufflenet_v2_x0_5"), ("c1", "shufflenet_v2_x1_0")])
def test_features_are_those_of_the_published_sampler(name: str, arch: ScanName, dtype: torch.dtype) -> None:
    assert str(np.load(GOLDEN / "vim_scan.npz")[f"{name}.arch"]) == arch.removeprefix("shufflenet_v2_")
    golden = case("vim_scan", name, dtype)
    net = network(arch)
    net.pretrained_part().load_state_dict(by_rule(net.pretrained_part().state_dict()))
    found = net.to(dtype)(golden["frame"])
    assert_near(found.pooled, golden["pooled"])
    for number, stage in zip((2, 3, 4), found.stages, strict=True):
        assert_near(stage, golden[f"stage{number}"])


@pytest.mark.parametrize("name", SIZES)
def test_parameters_and_widths_are_the_published_ones(name: ScanName) -> None:
    parameters, pooled, channels = SIZES[name]
    net = network(name)
    assert sum(p.numel() for p in net.parameters()) == parameters
    widths = ScanNetwork.Config(name=name, weights="none").widths()
    assert (widths.pooled, widths.stage4) == (pooled, channels[2])
    for size in (64, 40):
        found = net(torch.zeros(1, 3, size, size))
        assert found.pooled.shape == (1, pooled)
        cells = [-(-size // cut) for cut in (4, 8, 16)]
        assert [stage.shape for stage in found.stages] == [
            (1, width, side, side) for width, side in zip(channels, cells, strict=True)
        ]


@pytest.mark.parametrize("name", ["shufflenet_v2_x0_5", "mobilenet_v2"])
def test_only_the_first_reduction_differs_from_torchvision(name: ScanName) -> None:
    torch.manual_seed(0)
    net, whole = network(name), get_model(name, weights=None).eval()
    net.pretrained_part().load_state_dict(
        {key: value for key, value in whole.state_dict().items() if not key.startswith(("fc.", "classifier."))}
    )
    frames = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    if name == "mobilenet_v2":
        first_strided = whole.get_submodule("features.2.conv.1.0")
        assert first_strided.stride == (2, 2)
        first_strided.__dict__["stride"] = (1, 1)
        expected = whole.get_submodule("features")(frames).mean((-2, -1))
    else:
        whole.maxpool, whole.fc = nn.Identity(), nn.Identity()
        expected = whole(frames)
    assert torch.equal(net(frames).pooled, expected)


def released_shufflenet_v1() -> dict[str, tuple[int, ...]]:
    """Names and shapes in the file of the authors' repository, 2.0x with 3 groups, from its published layout."""
    shapes: OrderedDict[str, tuple[int, ...]] = OrderedDict()

    def norm(name: str, width: int) -> None:
        for part in ("weight", "bias", "running_mean", "running_var"):
            shapes[f"{name}.{part}"] = (width,)
        shapes[f"{name}.num_batches_tracked"] = ()

    shapes["first_conv.0.weight"] = (48, 3, 3, 3)
    norm("first_conv.1", 48)
    width = 48
    for start, count, out in ((0, 4, 480), (4, 8, 960), (12, 4, 1920)):
        for i in range(start, start + count):
            middle, grown = out // 4, out - width if i == start else out
            first, second = f"features.{i}.branch_main_1", f"features.{i}.branch_main_2"
            shapes[f"{first}.0.weight"] = (middle, width if i == 0 else width // 3, 1, 1)
            norm(f"{first}.1", middle)
            shapes[f"{first}.3.weight"] = (middle, 1, 3, 3)
            norm(f"{first}.4", middle)
            shapes[f"{second}.0.weight"] = (grown, middle // 3, 1, 1)
            norm(f"{second}.1", grown)
            width = out
    shapes["classifier.0.weight"] = (1000, 1920)
    return shapes


def test_the_file_of_shufflenet_v1s_authors_fits(tmp_path: Path) -> None:
    content = {f"module.{name}": torch.full(shape, 0.01) for name, shape in released_shufflenet_v1().items()}
    path = tmp_path / "2.0x.pth"
    torch.save({"state_dict": content}, path)
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    config = ScanNetwork.Config(name="shufflenet_v1_x2_0", weights=WeightsFile(name=path.name, sha256=sha256))
    net = config.build()
    load_weights(net, config, tmp_path)
    assert all((p == 0.01).all() for p in net.parameters())


def test_a_shuffled_block_mixes_its_groups() -> None:
    net = network("shufflenet_v1_x2_0")
    maps = torch.randn(1, 480, 6, 6, generator=torch.Generator().manual_seed(0)).requires_grad_()
    block = net.pretrained_part().get_submodule("features.1")
    block(maps)[0, 0].sum().backward()  # a channel of the first group
    assert maps.grad is not None
    assert all(maps.grad[0, third * 160 : (third + 1) * 160].abs().sum() > 0 for third in range(3))


@pytest.mark.parametrize("name", ["shufflenet_v1_x2_0", "mobilenet_v1_x0_75", "scan_tiny"])
def test_imagenet_weights_that_do_not_exist_are_refused(name: ScanName) -> None:
    with pytest.raises(ValidationError, match=f"weights 'imagenet' exist for .*, got '{name}'; name a file or 'none'"):
        ScanNetwork.Config(name=name)


@pytest.mark.parametrize(
    ("name", "file"),
    [("shufflenet_v2_x0_5", "shufflenetv2_x0.5"), ("shufflenet_v2_x1_5", "shufflenetv2_x1_5"), ("mobilenet_v2",) * 2],
)
def test_imagenet_weights_are_torchvisions(
    name: ScanName, file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FSAR_DOWNLOAD", raising=False)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    config = ScanNetwork.Config(name=name)
    with pytest.raises(WeightsError, match=f"the published weights {file}"):
        load_weights(config.build(), config, tmp_path)
