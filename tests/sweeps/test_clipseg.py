"""Masks by CLIPSeg: asked in batches, from a local folder, through the command line."""

import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from typer.testing import CliRunner

from fsar_core.data.mask_files import MaskError, parse_masks
from fsar_core.data.mask_producers import ClipSeg
from sweeps.engine.masks_cli import app
from tests.sweeps.made_folder import write_site, write_videos


class Brightness(torch.nn.Module):
    """Logits are brightness; a single frame loses its first dimension, as in early releases."""

    def __init__(self, batches: list[int]) -> None:
        super().__init__()
        self.batches = batches

    def forward(self, pixel_values: torch.Tensor) -> Any:
        self.batches.append(len(pixel_values))
        assert not self.training
        logits = (pixel_values - 128) / 8
        return SimpleNamespace(logits=logits[0] if len(logits) == 1 else logits)


class Library:
    """Stands for transformers, and notes what it was asked."""

    def __init__(self) -> None:
        self.loaded: list[tuple[str, dict[str, Any]]] = []
        self.prompts: list[list[str]] = []
        self.batches: list[int] = []

    def module(self) -> ModuleType:
        module: Any = ModuleType("transformers")
        module.CLIPSegProcessor = SimpleNamespace(from_pretrained=self._processor)
        module.CLIPSegForImageSegmentation = SimpleNamespace(from_pretrained=self._model)
        return module

    def _processor(self, folder: Path, **flags: Any) -> Any:
        self.loaded.append((folder.name, flags))

        def process(*, text: list[str], images: list[NDArray[np.uint8]], **_: Any) -> dict[str, torch.Tensor]:
            self.prompts.append(text)
            small = np.stack([image[:8, :8].mean(-1) for image in images])
            return {"pixel_values": torch.from_numpy(small).float()}

        return process

    def _model(self, folder: Path, **flags: Any) -> Any:
        self.loaded.append((folder.name, flags))
        return Brightness(self.batches)


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Library:
    library = Library()
    monkeypatch.setitem(sys.modules, "transformers", library.module())
    return library


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "clipseg-rd64"
    folder.mkdir()
    (folder / "config.json").write_text("{}")
    return folder


@pytest.mark.parametrize("count", [1, 16, 17, 40])
def test_clipseg_gives_probabilities_on_the_canvas_in_batches(library: Library, model: Path, count: int) -> None:
    producer = ClipSeg(model, torch.device("cpu"))
    frames = np.random.default_rng(0).integers(0, 255, (count, 8, 8, 3), dtype=np.uint8)
    masks = producer.segment(frames, "brush hair", 8)
    expected = 1 / (1 + np.exp(-(frames.mean(-1) - 128) / 8))
    assert np.abs(masks - expected).max() < 1e-6
    assert library.loaded == [("clipseg-rd64", {"local_files_only": True})] * 2
    assert sum(library.batches) == count
    assert max(library.batches) <= 16
    assert {prompt for prompts in library.prompts for prompt in prompts} == {"brush hair"}
    assert producer.model == "clipseg-rd64"


def test_clipseg_runs_from_the_command_line(tmp_path: Path, library: Library, model: Path) -> None:
    root = write_videos(tmp_path / "videos", classes=1, counts={"train": 5, "val": 1, "test": 1})
    flags = ("--site", str(write_site(tmp_path, root)), "--dataset", "hmdb51", "--canvas", "32")
    result = CliRunner().invoke(app, ["make", "--producer", "clipseg", "--model", str(model), *flags])
    assert result.exit_code == 0, result.output
    meta = parse_masks((root / "masks" / "train 0" / "0.npz").read_bytes(), Path()).meta
    assert (meta.producer, meta.model) == ("clipseg", "clipseg-rd64")
    assert sum(library.batches) == 5 * 9


def test_clipseg_without_its_library_names_the_extra(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(MaskError, match=r"pip install 'fsar-sweeps\[masks\]'"):
        ClipSeg(model, torch.device("cpu"))
