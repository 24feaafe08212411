"""A converted file gives the numbers of the code that wrote it: held against slow forward passes by its own names."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
from torch import Tensor

from fsar_core.episode import Episode
from fsar_core.foreign import convert, read_checkpoint, recognise
from tests.fsar_core.foreign.foreign_files import (
    hyrsm_state,
    parallel,
    pictures,
    strm_state,
    trx_state,
    write_alibaba,
    write_trx,
)
from tests.fsar_core.foreign.slow_nets import hyrsm_logits, strm_logits, trx_logits

WAY, SHOT, FRAMES, CROP = 2, 2, 4, 40
"""Maps of 2 x 2 cells."""


@pytest.fixture(scope="module")
def videos() -> Tensor:
    """Supports, then a query of each class."""
    return pictures((WAY * SHOT + WAY) * FRAMES, CROP).unflatten(0, (-1, FRAMES)).double()


def logits(path: Path, videos: Tensor) -> Tensor:
    checkpoint = read_checkpoint(path)
    converted = convert(checkpoint, recognise(checkpoint))
    method = converted.build(frames=FRAMES, crop=CROP).double()
    episode = Episode(
        videos=videos,
        class_ids=torch.zeros(len(videos), dtype=torch.int64),
        way=WAY,
        shot=SHOT,
        query_labels=torch.arange(WAY),
    )
    with torch.no_grad():
        return method.predict(episode)


def same(found: Tensor, expected: Tensor) -> None:
    assert expected.std() > 1e-3 * expected.abs().max()
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10 * float(expected.abs().max()))


def double(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.double() if tensor.is_floating_point() else tensor for name, tensor in state.items()}


@pytest.mark.parametrize("cardinalities", [(2,), (1, 3), (2, 3)])
def test_trx(cardinalities: tuple[int, ...], tmp_path: Path, videos: Tensor) -> None:
    state = trx_state(cardinalities)
    path = write_trx(tmp_path / "checkpoint.pt", parallel(state, "resnet"))
    same(logits(path, videos), trx_logits(_exact_tables(state), videos, WAY, SHOT))


def test_strm_without_what_its_files_lack(tmp_path: Path, videos: Tensor) -> None:
    state = strm_state((2, 3))
    path = write_trx(tmp_path / "checkpoint.pt", parallel(state, "resnet", "attn_pat", "fr_enrich"))
    same(logits(path, videos), strm_logits(_exact_tables(state), videos, WAY, SHOT))


@pytest.mark.parametrize(("head", "a", "b", "heads"), [("5shot", 10, 1, 8), ("1shot", 512, 0.01, 4)])
def test_hyrsm_with_the_settings_of_its_file(
    head: str, a: float, b: float, heads: int, tmp_path: Path, videos: Tensor
) -> None:
    cfg = {
        "TRAIN": {"POSITION_A": a, "POSITION_B": b, "HEAD": heads},
        "VIDEO": {"HEAD": {"NAME": f"CNN_HyRSM_{head}"}},
    }
    state = hyrsm_state()
    path = write_alibaba(tmp_path / "checkpoint_epoch_00004.pyth", state, json.dumps(cfg))
    expected = hyrsm_logits(_exact_tables(state), videos, WAY, SHOT, one_shot=head == "1shot", a=a, b=b, heads=heads)
    same(logits(path, videos), expected)


def _exact_tables(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """In float64, tables as well: theirs are rounded to float32, which these tests do not measure."""
    exact: dict[str, Tensor] = {}
    for name, tensor in double(state).items():
        make: Callable[[int, int], Tensor] = _hyrsm_exact if name == "head.pe.pe" else _trx_exact
        exact[name] = make(*tensor.shape[1:]) if name.endswith("pe.pe") else tensor
    return exact


def _trx_exact(length: int, dim: int) -> Tensor:
    angle = torch.arange(length).double()[:, None] * 10000 ** (-torch.arange(0, dim, 2).double() / dim)
    return 0.1 * torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1).unsqueeze(0)


def _hyrsm_exact(length: int, dim: int) -> Tensor:
    angle = torch.arange(length).double()[:, None] / 10000 ** (2 * torch.arange(dim).double() / dim)
    return torch.where(torch.arange(dim) % 2 == 0, angle.sin(), angle.cos()).unsqueeze(0)
