"""SGTM's masked branch against its equations as loops."""

import math
from typing import Literal

import pytest
import torch
from torch import Tensor, nn

from fsar_core.method import Method
from fsar_core.methods import sgtm
from fsar_core.presets import clean
from fsar_core.stages.transformer import Transformer, TransformerConfig, sincos_table
from tests.fsar_core import tiny
from tests.fsar_core.lively import built, episode
from tests.fsar_core.masked_branch import P, R, Seen, branch, config_with, encoder, traced, watch


def visible_by_loop(saliency: list[float], each_end: int) -> list[int]:
    """Frames left when as many of the highest and of the lowest are taken away."""
    ranked = sorted(range(len(saliency)), key=lambda t: (-saliency[t], t))
    return sorted(ranked[each_end : len(ranked) - each_end])


def code(n: int, channel: int) -> float:
    angle = n / 10_000 ** (2 * (channel // 2) / P)
    return math.cos(angle) if channel % 2 else math.sin(angle)


CODE = torch.tensor([[code(n, c) for c in range(P)] for n in range(tiny.FRAMES * R)])


@pytest.fixture(scope="module")
def method() -> Method:
    return built(tiny.METHODS["sgtm"])


@pytest.fixture(scope="module")
def seen(method: Method) -> Seen:
    with torch.no_grad():
        return watch(method, traced(method, episode()))


def test_the_position_code_is_the_written_out_table() -> None:
    torch.testing.assert_close(sincos_table(tiny.FRAMES * R, P), CODE)


def test_a_token_holds_its_share_of_its_frame_and_reshaping_comes_back(method: Method) -> None:
    features = torch.randn(3, tiny.FRAMES, P * R)
    tokens = encoder(method).tokens(features)
    for v in range(3):
        for t in range(tiny.FRAMES):
            for j in range(R):
                assert torch.equal(tokens[v, t * R + j], features[v, t, j * P : (j + 1) * P])
    assert torch.equal(tokens.reshape(features.shape), features)


def test_saliency_is_the_sum_of_the_class_scores_of_written_out_convolutions(method: Method, seen: Seen) -> None:
    guide = branch(method).guide
    assert guide is not None
    layers = [layer for layer in guide.convolutions if isinstance(layer, nn.Conv1d)]
    for v in range(9):
        frames = [frame.detach() for frame in seen.source[v]]
        for layer in layers:
            frames = [_convolved(layer, frames, t).clamp_min(0) for t in range(len(frames))]
        assert seen.saliency[v].tolist() == pytest.approx([float(own.sum()) for own in frames], rel=1e-4)
    assert seen.saliency.std(1).min() > 1e-4


def _convolved(layer: nn.Conv1d, frames: list[Tensor], t: int) -> Tensor:
    assert layer.bias is not None
    result = layer.bias.detach().clone()
    for k in range(layer.kernel_size[0]):
        before = t + k - layer.kernel_size[0] // 2
        if 0 <= before < len(frames):
            result += layer.weight.detach()[:, :, k] @ frames[before]
    return result


def test_equation_3_the_encoder_sees_the_visible_tokens_with_the_code_of_their_own_slots(seen: Seen) -> None:
    chosen: set[tuple[int, ...]] = set()
    for v in range(9):
        frames = visible_by_loop(seen.saliency[v].tolist(), 1)
        tokens = [(t, j) for t in frames for j in range(R)]
        assert len(tokens) == seen.encoded.shape[1] == 2 * R
        for n, (t, j) in enumerate(tokens):
            expected = seen.source[v, t, j * P : (j + 1) * P] + CODE[t * R + j]
            torch.testing.assert_close(seen.encoded[v, n], expected)
        chosen.add(tuple(frames))
    assert len(chosen) > 1


def test_equation_4_the_decoder_sees_latents_in_their_slots_and_the_mask_token_in_the_others(
    method: Method, seen: Seen
) -> None:
    for v in range(9):
        latents = iter(seen.latent[v])
        visible = visible_by_loop(seen.saliency[v].tolist(), 1)
        for n in range(tiny.FRAMES * R):
            token = next(latents) if n // R in visible else branch(method).mask_token.detach()
            torch.testing.assert_close(seen.decoded[v, n], token + CODE[n])
        assert next(latents, None) is None


@pytest.mark.parametrize("strategy", ["ambiguous_visible", "none"])
@pytest.mark.parametrize("scope", ["all", "masked"])
@pytest.mark.parametrize("reduction", ["mse", "token_sumsq", "token_l2"])
def test_equation_5_the_loss_is_that_of_a_loop(
    reduction: Literal["mse", "token_sumsq", "token_l2"], scope: str, strategy: str
) -> None:
    nothing = {"strategy": "none", "ratio": 0.0, "guide": None} if strategy == "none" else {}
    method = built(config_with(reduction=reduction, scope=scope, **nothing))
    with torch.no_grad():
        found = watch(method, traced(method, episode()))
    distances: list[float] = []
    for v in range(9):
        hidden = set(range(tiny.FRAMES)) - set(visible_by_loop(found.saliency[v].tolist(), 1))
        for n in range(tiny.FRAMES * R):
            if scope == "masked" and strategy != "none" and n // R not in hidden:
                continue
            target = found.source[v, n // R, n % R * P : (n % R + 1) * P].tolist()
            squares = [(a - b) ** 2 for a, b in zip(target, found.rebuilt[v, n].tolist(), strict=True)]
            distances.append(
                {"mse": sum(squares) / P, "token_sumsq": sum(squares), "token_l2": sum(squares) ** 0.5}[reduction]
            )
    assert found.loss.item() == pytest.approx(sum(distances) / len(distances), rel=1e-4)


def test_the_transformer_is_that_of_the_equations_written_out() -> None:
    torch.manual_seed(0)
    stack = Transformer(TransformerConfig(depth=2, heads=3, head_dim=4, mlp_ratio=1.5, dropout=0.3), P).double().eval()
    for parameter in stack.parameters():
        nn.init.normal_(parameter, std=0.5)
    tokens = torch.randn(2, 5, P, dtype=torch.float64)
    expected = torch.stack([_plain_transformer(stack, clip) for clip in tokens])
    torch.testing.assert_close(stack(tokens), expected)


def _plain_transformer(stack: Transformer, x: Tensor) -> Tensor:
    def normed(norm: nn.LayerNorm, rows: Tensor) -> Tensor:
        centred = rows - rows.mean(1, keepdim=True)
        return centred / (centred.square().mean(1, keepdim=True) + 1e-5).sqrt() * norm.weight + norm.bias

    weights = dict(stack.named_parameters())
    for i, layer in enumerate(stack.layers):

        def linear(name: str, rows: Tensor, i: int = i) -> Tensor:
            return rows @ weights[f"layers.{i}.{name}.weight"].T + weights[f"layers.{i}.{name}.bias"]

        q, k, v = linear("qkv", normed(layer.get_submodule("attention_norm"), x)).split(12, dim=1)  # pyright: ignore[reportArgumentType] - a layer norm
        heads: list[Tensor] = []
        for h in range(3):
            own = slice(4 * h, 4 * h + 4)
            scores = torch.stack([torch.stack([query @ key / 2 for key in k[:, own]]) for query in q[:, own]])
            heads.append(scores.exp() / scores.exp().sum(1, keepdim=True) @ v[:, own])
        x = x + linear("out", torch.cat(heads, dim=1))
        hidden = linear("expand", normed(layer.get_submodule("mlp_norm"), x))  # pyright: ignore[reportArgumentType] - a layer norm
        x = x + linear("contract", hidden * 0.5 * (1 + torch.erf(hidden / 2**0.5)))
    return normed(stack.norm, x)


def test_dropout_of_the_transformer_acts_in_training_only() -> None:
    stack = Transformer(TransformerConfig(heads=2, head_dim=4, dropout=0.5), P)
    tokens = torch.randn(2, 5, P)
    assert torch.equal(stack.eval()(tokens), stack(tokens))
    assert not torch.equal(stack.train()(tokens), stack(tokens))


def test_the_paper_s_model_has_the_printed_number_of_parameters() -> None:
    config = sgtm.sgtm(clean("kinetics100").backbone)
    parameters = sum(own.numel() for own in config.build(frames=8, crop=224, classes=64).parameters())
    assert round(parameters / 1e6, 1) == 37.2
