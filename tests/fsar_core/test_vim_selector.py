"""Which frames VIM's sampler keeps: the differentiable choice, the scores behind it, and the task that steers them."""

import math
from itertools import product

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fsar_core.frame_samplers.perturbed_topk import draw_noise, hard_topk, perturbed_topk
from fsar_core.frame_samplers.saliency import stage_mean
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector, min_max, position_table
from tests.fsar_core.sampler_golden import DTYPES, assert_near, case, rand, randn

each_dtype = pytest.mark.parametrize("dtype", DTYPES, ids=str)


@each_dtype
@pytest.mark.parametrize("name", ["c0", "c1", "c2"])
class TestPublishedTopk:
    def test_soft_choice_and_both_gradients(self, name: str, dtype: torch.dtype) -> None:
        golden = case("vim_ptopk", name, dtype)
        keep, draws = int(golden["k"]), len(golden["noise"])
        for array, scale in (("grad_score", float(keep)), ("grad_score_unscaled", 1.0)):
            scores = golden["score"].clone().requires_grad_()
            soft = perturbed_topk(
                scores,
                golden["noise"],
                keep=keep,
                sigma=float(golden["sigma"]),
                kind="gumbel" if golden["gumbel"] else "normal",
                scale=scale,
            )
            # a perturbed near-tie may swap one draw in float32
            swap = 2 / draws if dtype == torch.float32 else 1e-6
            torch.testing.assert_close(soft.mT, golden["soft_indicator"], rtol=0, atol=swap)
            (gradient,) = torch.autograd.grad((soft.mT * golden["grad_indicator"]).sum(), scores)
            assert_near(gradient, golden[array])

    def test_scores_and_hard_choice(self, name: str, dtype: torch.dtype) -> None:
        golden = case("vim_ptopk", name, dtype)
        assert_near(min_max(golden["raw_score"]), golden["score"])
        found = hard_topk(golden["score"], int(golden["k"]))
        assert torch.equal(found, golden["hard_index"].long())


def slow_choice(scores: Tensor, noise: Tensor, keep: int, sigma: float) -> list[list[list[int]]]:
    """Positions by draw, video and slot."""
    perturbed = scores + sigma * noise
    return [[sorted(sorted(range(len(row)), key=row.__getitem__)[-keep:]) for row in d] for d in perturbed.tolist()]


@pytest.mark.parametrize(("videos", "total", "keep", "draws"), [(2, 5, 3, 7), (1, 3, 1, 4), (3, 4, 4, 2)])
@pytest.mark.parametrize("kind", ["normal", "gumbel"])
@pytest.mark.parametrize("baseline", [False, True])
def test_the_soft_choice_and_its_gradient_are_the_sums_over_draws(
    videos: int, total: int, keep: int, draws: int, kind: str, baseline: bool
) -> None:
    scores, noise, upstream = rand(videos, total), randn(draws, videos, total), randn(videos, keep, total, seed=1)
    sigma, scale = 0.3, 1.7
    soft, slope = torch.zeros(videos, keep, total).double(), torch.zeros(videos, total).double()
    weights = torch.zeros(draws, videos).double()
    chosen = slow_choice(scores, noise, keep, sigma)
    for j, v, t in product(range(draws), range(videos), range(keep)):
        soft[v, t, chosen[j][v][t]] += 1 / draws
        weights[j, v] += upstream[v, t, chosen[j][v][t]]
    for j, v, m in product(range(draws), range(videos), range(total)):
        z = noise[j, v, m].item()
        weight = weights[j, v] - (weights[:, v].mean() if baseline else 0.0)
        slope[v, m] += scale / (draws * sigma) * weight * (z if kind == "normal" else 1 - math.exp(-z))

    own = scores.clone().requires_grad_()
    found = perturbed_topk(
        own,
        noise,
        keep=keep,
        sigma=sigma,
        kind="normal" if kind == "normal" else "gumbel",
        scale=scale,
        baseline=baseline,
    )
    torch.testing.assert_close(found, soft)
    torch.testing.assert_close(torch.autograd.grad((found * upstream).sum(), own)[0], slope)


@pytest.mark.parametrize("kind", ["normal", "gumbel"])
def test_with_scale_one_the_gradient_is_that_of_the_expectation(kind: str) -> None:
    """Of two frames one is kept: the first with probability Phi(x / (sigma sqrt 2)), or logistic(x / sigma)."""
    sigma, x = 0.5, 0.3
    scores = torch.tensor([[x, 0.0]], dtype=torch.float64, requires_grad=True)
    torch.manual_seed(0)
    law = "normal" if kind == "normal" else "gumbel"
    noise = draw_noise(scores.detach(), 400_000, law)
    soft = perturbed_topk(scores, noise, keep=1, sigma=sigma, kind=law)
    (gradient,) = torch.autograd.grad(soft[0, 0, 0], scores)
    if kind == "normal":
        u = x / (sigma * math.sqrt(2))
        share = 0.5 * (1 + math.erf(u / math.sqrt(2)))
        slope = math.exp(-u * u / 2) / math.sqrt(2 * math.pi) / (sigma * math.sqrt(2))
    else:
        share = 1 / (1 + math.exp(-x / sigma))
        slope = share * (1 - share) / sigma
    assert soft[0, 0, 0].item() == pytest.approx(share, abs=0.004)
    assert gradient[0].tolist() == pytest.approx([slope, -slope], abs=0.015)


def test_positions_and_noise_are_all_that_is_kept_for_the_gradient() -> None:
    noise = torch.zeros(50, 3, 20)
    soft = perturbed_topk(torch.rand(3, 20, requires_grad=True), noise, keep=8, sigma=0.1)
    kept = soft.grad_fn.saved_tensors  # pyright: ignore[reportOptionalMemberAccess, reportAttributeAccessIssue]
    assert [(tensor.dtype, tensor.numel()) for tensor in kept] == [(torch.int16, 50 * 3 * 8), (torch.float32, 3000)]


def test_equal_scores_keep_the_earlier_frames() -> None:
    scores = torch.tensor([[1.0, 2.0, 1.0, 1.0, 2.0, 1.0], [0.0] * 6])
    assert hard_topk(scores, 4).tolist() == [[0, 1, 2, 4], [0, 1, 2, 3]]
    assert torch.equal(min_max(torch.full((2, 5), 3.0)), torch.zeros(2, 5))


@each_dtype
@pytest.mark.parametrize("mode", ["eval", "train"])
@pytest.mark.parametrize("name", ["c0", "c1"])
def test_the_whole_selector_is_that_of_the_published_sampler(name: str, mode: str, dtype: torch.dtype) -> None:
    golden, training = case("vim_selector", name, dtype), mode == "train"
    videos, total, width = golden["support_frame_feature"].shape
    (hidden, z), keep = golden["w_gen"].shape, int(golden["k"])
    task = TaskLearner.Config(encoder="linear", dim=z).build(width=width, temporal=hidden, spatial=None).to(dtype)
    task.load_state_dict(
        {
            "encoder.weight": golden["w_enc"],
            "encoder.bias": golden["w_enc_bias"],
            "temporal.weight": golden["w_gen"],
            "temporal.bias": golden["w_gen_bias"],
        }
    )
    config = TemporalSelector.Config(hidden=hidden, sigma=float(golden["sigma"]))
    selector = config.build(width=width, frames=total, keep=keep, generated=True).to(dtype).train(training)
    selector.load_state_dict({"hidden.weight": golden["w_eval1"], "hidden.bias": golden["w_eval1_bias"]})
    assert_near(selector.positions, golden["position"])
    amplifier = SpatialAmplifier.Config(saliency="stage_mean").build(width=1, cells=8, crop=16, generated=False)
    supports = golden["support_frame_feature"].mean(1)
    assert_near(supports, golden["support_global"])
    for who in ("support", "query"):
        # the query passes of the file all use the weight of the last support pass, which was the one in training
        weight, _ = task(supports, golden[f"support_{mode if who == 'support' else 'train'}_eps"])
        assert_near(weight, golden[f"{who}_{mode}_gen_weight"])
        features = golden[f"{who}_frame_feature"]
        indicator, indices = selector(features, weight, golden[f"{who}_train_noise"] if training else None)
        assert (indices is None) == training
        swap = 2 / len(golden[f"{who}_train_noise"]) if training and dtype == torch.float32 else 1e-6
        torch.testing.assert_close(indicator, golden[f"{who}_{mode}_indicator"], rtol=0, atol=swap)
        assert_near(indicator @ features, golden[f"{who}_{mode}_selected_feature"])
        maps = stage_mean([golden[f"{who}_stage{i}"] for i in (2, 3, 4)]).unflatten(0, (videos, total))
        assert_near(amplifier.saliency(maps, indicator), golden[f"{who}_{mode}_selected_map"])


class TestSelector:
    def test_scores_follow_the_equation(self) -> None:
        selector = TemporalSelector.Config(hidden=5).build(width=3, frames=4, keep=2, generated=True).double()
        features, weight = randn(2, 4, 3), randn(5, seed=1)
        for v in range(2):
            raw: list[float] = []
            for m in range(4):
                joined = [*features[v, m].tolist(), *(features[v, :, c].mean().item() for c in range(3))]
                for i in range(6):
                    angle = m / 10000 ** (2 * (i // 2) / 6)
                    joined[i] += math.sin(angle) if i % 2 == 0 else math.cos(angle)
                units = [
                    max(0.0, sum(a * b for a, b in zip(row, joined, strict=True)) + bias)
                    for row, bias in zip(selector.hidden.weight.tolist(), selector.hidden.bias.tolist(), strict=True)
                ]
                raw.append(sum(a * b for a, b in zip(units, weight.tolist(), strict=True)))
            expected = [(s - min(raw)) / (max(raw) - min(raw) + 1e-4) for s in raw]
            torch.testing.assert_close(
                selector.scores(features, weight)[v], torch.tensor(expected, dtype=torch.float64), rtol=1e-5, atol=1e-6
            )

    def test_scores_stay_as_they_are_without_normalisation(self) -> None:
        torch.manual_seed(0)
        plain, scaled = (
            TemporalSelector.Config(hidden=5, normalise=on).build(width=3, frames=4, keep=2, generated=False).double()
            for on in (False, True)
        )
        scaled.load_state_dict(plain.state_dict())
        raw = plain.scores(randn(2, 4, 3), None)
        torch.testing.assert_close(min_max(raw), scaled.scores(randn(2, 4, 3), None))
        assert not torch.equal(min_max(raw), raw)

    def test_a_video_does_not_see_the_others(self) -> None:
        selector = TemporalSelector.Config(hidden=5).build(width=3, frames=6, keep=2, generated=False)
        features = randn(4, 6, 3).float()
        torch.testing.assert_close(selector.scores(features, None)[2:3], selector.scores(features[2:3], None))

    def test_switches_reach_the_gradient(self) -> None:
        features, noise = randn(2, 6, 3).float(), randn(40, 2, 6, seed=2).float()
        upstream = randn(2, 3, 6, seed=3).float()

        def gradient(config: TemporalSelector.Config) -> Tensor:
            torch.manual_seed(0)
            selector = config.build(width=3, frames=6, keep=3, generated=False).train()
            indicator, _ = selector(features, None, noise)
            return torch.autograd.grad((indicator * upstream).sum(), selector.hidden.weight)[0]

        published = gradient(TemporalSelector.Config(hidden=5))
        torch.testing.assert_close(published, 3 * gradient(TemporalSelector.Config(hidden=5, grad_scale="1")))
        for other in ({"baseline": True}, {"noise": "gumbel"}, {"sigma": 0.3}):
            changed = gradient(TemporalSelector.Config.model_validate({"hidden": 5, **other}))
            assert (changed - published).abs().max() > 0.01 * published.abs().max()

    def test_noise_is_drawn_anew_by_the_global_generator(self) -> None:
        selector = TemporalSelector.Config(hidden=5, draws=30).build(width=3, frames=6, keep=2, generated=False).train()
        features = randn(2, 6, 3).float()
        torch.manual_seed(1)
        first, second = selector(features)[0], selector(features)[0]
        torch.manual_seed(1)
        assert torch.equal(selector(features)[0], first)
        assert not torch.equal(first, second)
        torch.testing.assert_close(first.sum(-1), torch.ones(2, 2))

    def test_it_learns_to_keep_the_frames_that_help(self) -> None:
        torch.manual_seed(0)
        selector = TemporalSelector.Config(hidden=16, draws=100).build(width=4, frames=8, keep=2, generated=False)
        useful = torch.stack([torch.randperm(8)[:2].sort().values for _ in range(24)])
        features = 0.1 * torch.randn(24, 8, 4)
        features.scatter_add_(1, useful[:, :, None].expand(-1, -1, 4), torch.ones(24, 2, 4))

        def kept() -> float:
            found = selector.eval()(features)[1]
            return (found[:, :, None] == useful[:, None, :]).any(-1).float().mean().item()

        before = kept()
        optimizer = torch.optim.Adam(selector.parameters(), lr=0.01)
        value = torch.zeros(24, 8).scatter(1, useful, 1.0)
        for _ in range(40):
            optimizer.zero_grad()
            (-(selector.train()(features)[0].sum(1) * value).mean()).backward()
            optimizer.step()
        assert before < 0.6
        assert kept() > 0.95


def test_sigma_falls_in_steps_to_its_floor() -> None:
    config = TemporalSelector.Config()
    assert config.sigma_at(1, 15_000) == 0.1
    assert config.sigma_at(1999, 15_000) == 0.1
    assert config.sigma_at(2000, 15_000) == pytest.approx(0.08)
    assert config.sigma_at(15_000, 15_000) == pytest.approx(0.1 * 0.8**7)
    assert TemporalSelector.Config(sigma=0.05).sigma_at(149, 150) == pytest.approx(0.05 * 0.8**7)
    assert TemporalSelector.Config(sigma_factor=0.1).sigma_at(15_000, 15_000) == 0.01
    linear = TemporalSelector.Config(sigma_schedule="linear")
    assert [linear.sigma_at(step, 10) for step in (1, 5, 10)] == pytest.approx([0.09, 0.05, 0.01])
    selector = config.build(width=3, frames=6, keep=2, generated=False)
    assert selector.sigma == 0.1
    selector.at_step(100, 100)
    assert selector.sigma == pytest.approx(0.1 * 0.8**7)


def test_a_sigma_below_its_floor_is_refused() -> None:
    with pytest.raises(ValidationError, match=r"sigma must be at least sigma_floor 0.01, got 0.005; lower the floor"):
        TemporalSelector.Config(sigma=0.005)
    lowered = TemporalSelector.Config(sigma=0.005, sigma_floor=0.001)
    assert lowered.sigma_at(1, 100) == 0.005
    assert TemporalSelector.Config(sigma=0.01).sigma_at(100, 100) == 0.01


def test_odd_widths_have_positions_too() -> None:
    assert position_table(4, 5).shape == (4, 5)
    assert torch.equal(position_table(4, 5)[:, 0], torch.arange(4).double().sin().float())
