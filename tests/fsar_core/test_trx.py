"""TRX against the numbers of the released code, against its equations as loops, and what it must keep."""

import math
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.matchers import Trx
from fsar_core.matchers.tuples import project_tuples, tuple_table
from fsar_core.positions import trx_positions
from tests.fsar_core.trx_cases import features, matcher

GOLDEN = Path(__file__).parents[1] / "golden"
DTYPES = pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)

Golden = dict[str, Tensor]


def golden(name: str) -> Golden:
    return {key: torch.from_numpy(value) for key, value in np.load(GOLDEN / f"{name}.npz").items()}


class TestGolden:
    def load(self, name: str, dtype: torch.dtype) -> tuple[Trx, Golden, dict[str, str]]:
        """A matcher with the stored weights, all arrays, and by parameter the name of its array."""
        arrays = golden(name)
        cardinalities = tuple(arrays["cardinalities"].tolist())
        config = Trx.Config(cardinalities=cardinalities, out_dim=48)
        made = config.build(Shape(level="frame", frames=8, dim=64)).to(dtype).eval()
        names: dict[str, str] = {}
        for parameter in dict(made.named_parameters()):
            _, branch, *rest = parameter.split(".")
            prefix = "" if name == "trx_c2" else f"c{cardinalities[int(branch)]}."
            names[parameter] = prefix + ".".join(rest)
        made.load_state_dict({own: arrays[array].to(dtype) for own, array in names.items()})
        return made, arrays, names

    @DTYPES
    @pytest.mark.parametrize("case", ["shot1", "shot3"])
    @pytest.mark.parametrize("name", ["trx_c2", "trx_c23"])
    def test_logits_and_gradients_are_those_of_the_released_code(
        self, name: str, case: str, dtype: torch.dtype, tol: float
    ) -> None:
        made, arrays, names = self.load(name, dtype)
        by_class = arrays[f"{case}.support_labels"].argsort(stable=True)
        support = arrays[f"{case}.support"][by_class].unflatten(0, (5, -1)).to(dtype).requires_grad_()
        query = arrays[f"{case}.query"].to(dtype).requires_grad_()

        found = made(Features(support=support, query=query)).logits

        assert found.dtype == dtype
        torch.testing.assert_close(found, arrays[f"{case}.logits"].to(dtype), rtol=tol, atol=tol)
        (found * arrays[f"{case}.cotangent"].to(dtype)).sum().backward()
        grads = {array: made.get_parameter(own).grad for own, array in names.items()} | {"query": query.grad}
        assert support.grad is not None
        grads["support"] = support.grad.flatten(0, 1)[by_class.argsort()]
        for array, own in grads.items():
            expected = arrays[f"{case}.grad.{array}"].to(dtype)
            torch.testing.assert_close(own, expected, rtol=tol, atol=tol * max(1.0, float(expected.abs().max())))

    def test_each_branch_alone_gives_the_logits_of_its_cardinality(self) -> None:
        both, arrays, _ = self.load("trx_c23", torch.float64)
        by_class = arrays["shot3.support_labels"].argsort(stable=True)
        given = Features(support=arrays["shot3.support"][by_class].unflatten(0, (5, -1)), query=arrays["shot3.query"])
        for i, cardinality in enumerate((2, 3)):
            config = Trx.Config(cardinalities=(cardinality,), out_dim=48)
            alone = config.build(Shape(level="frame", frames=8, dim=64)).double().eval()
            alone.branches[0].load_state_dict(both.branches[i].state_dict())
            expected = arrays[f"shot3.c{cardinality}.logits"]
            torch.testing.assert_close(alone(given).logits, expected, rtol=1e-10, atol=1e-10)
            assert torch.equal(tuple_table(8, cardinality), arrays[f"c{cardinality}.tuples"])

    def test_the_position_code_is_that_of_the_released_code(self) -> None:
        torch.testing.assert_close(trx_positions(8, 64), golden("trx_c2")["pe"], rtol=0, atol=1e-16)


def slow_keys_and_values(made: Trx, branch: int, video: Tensor, table: list[tuple[int, ...]]) -> list[list[Tensor]]:
    """Of every tuple of a (T, D) video, its frames joined before the linear layers."""
    own, dim = cast(Any, made.branches[branch]), video.shape[1]
    placed = torch.stack(
        [
            torch.stack(
                [
                    x + 0.1 * (math.cos if c % 2 else math.sin)(p / 10_000 ** ((c - c % 2) / dim))
                    for c, x in enumerate(frame)
                ]
            )
            for p, frame in enumerate(video)
        ]
    )
    joined = [torch.cat([placed[t] for t in chosen]) for chosen in table]
    keys = [own.key.weight @ tuple_ + own.key.bias for tuple_ in joined]
    scale, shift = own.key_norm.weight, own.key_norm.bias
    keys = [(k - k.mean()) / (k.var(correction=0) + 1e-5).sqrt() * scale + shift for k in keys]
    return [keys, [own.value.weight @ tuple_ + own.value.bias for tuple_ in joined]]


def slow_logit(made: Trx, query: Tensor, shots: Tensor, tables: Callable[[int, int], list[tuple[int, ...]]]) -> float:
    """Of one query (T', D) and one class (K, T, D)."""
    by_branch: list[float] = []
    for branch, cardinality in enumerate(made.config.cardinalities):
        of = partial(slow_keys_and_values, made, branch)
        query_keys, query_values = of(query, tables(len(query), cardinality))
        pairs = [of(video, tables(len(video), cardinality)) for video in shots]
        keys = [key for own, _ in pairs for key in own]
        values = [value for _, own in pairs for value in own]
        gaps: list[float] = []
        for key, value in zip(query_keys, query_values, strict=True):
            exponents = [math.exp(float(key @ other) / math.sqrt(len(key))) for other in keys]
            weights = torch.tensor(exponents, dtype=torch.float64) / sum(exponents)
            prototype = (weights[:, None] * torch.stack(values)).sum(0)
            square = sum((a - b) ** 2 for a, b in zip(value.tolist(), prototype.tolist(), strict=True))
            gaps.append(square if made.config.distance == "sq_l2" else math.sqrt(square))
        by_branch.append(-sum(gaps) / len(gaps))
    return sum(by_branch) / (len(by_branch) if made.config.branch_reduction == "mean" else 1)


def all_tuples(frames: int, cardinality: int) -> list[tuple[int, ...]]:
    return list(combinations(range(frames), cardinality))


@torch.no_grad()
def slow_logits(made: Trx, given: Features, tables: Callable[[int, int], list[tuple[int, ...]]] = all_tuples) -> Tensor:
    rows = [[slow_logit(made, query, shots, tables) for shots in given.support] for query in given.query]
    return torch.tensor(rows, dtype=torch.float64)


class TestEquations:
    @pytest.mark.parametrize(
        ("cardinalities", "way", "shot", "queries", "query_frames", "frames"),
        [
            ((2, 3), 3, 2, 2, 4, 4),
            ((1,), 2, 1, 3, 3, 3),
            ((4,), 2, 3, 1, 5, 4),
            ((3, 1), 3, 1, 2, 3, 6),
            ((2,), 2, 2, 2, 2, 2),
        ],
    )
    @pytest.mark.parametrize("distance", ["sq_l2", "l2"])
    @pytest.mark.parametrize("branch_reduction", ["mean", "sum"])
    def test_logits_are_those_of_the_equations_as_loops(
        self,
        cardinalities: tuple[int, ...],
        way: int,
        shot: int,
        queries: int,
        query_frames: int,
        frames: int,
        distance: Literal["sq_l2", "l2"],
        branch_reduction: Literal["mean", "sum"],
    ) -> None:
        made = matcher(frames=frames, cardinalities=cardinalities, distance=distance, branch_reduction=branch_reduction)
        given = features(way=way, shot=shot, queries=queries, frames=frames, query_frames=query_frames)
        torch.testing.assert_close(made(given).logits, slow_logits(made, given))

    @pytest.mark.parametrize("seed", [0, 1])
    def test_a_share_of_the_tuples_is_the_same_for_queries_and_supports_and_is_averaged_over(self, seed: int) -> None:
        made, given = matcher(frames=5, tuple_fraction=0.3, tuple_seed=seed), features(frames=5)

        def kept(frames: int, cardinality: int) -> list[tuple[int, ...]]:
            table = tuple_table(frames, cardinality, 0.3, seed).tolist()
            assert len(table) == 3
            return [tuple(own) for own in table]

        torch.testing.assert_close(made(given).logits, slow_logits(made, given, kept))
        assert not torch.allclose(made(given).logits, matcher(frames=5)(given).logits)

    def test_weights_do_not_depend_on_the_kept_tuples_so_that_a_test_may_keep_others(self) -> None:
        trained, given = matcher(tuple_fraction=0.5), features()
        measured = Trx.Config(out_dim=5).build(Shape(level="frame", frames=4, dim=6)).double().eval()
        measured.load_state_dict(trained.state_dict())
        torch.testing.assert_close(measured(given).logits, matcher()(given).logits)

    def test_gradients_are_those_of_finite_differences(self) -> None:
        made, given = matcher(dim=6, cardinalities=(2,), distance="l2"), features(way=2, queries=2, frames=3)

        def of(support: Tensor, query: Tensor) -> Tensor:
            return made(Features(support=support, query=query)).logits

        assert torch.autograd.gradcheck(of, (given.support.requires_grad_(), given.query.requires_grad_()))


class TestInvariants:
    def test_permuting_classes_permutes_logits_and_the_order_and_repetition_of_shots_do_not_matter(self) -> None:
        made, given, order = matcher(), features(), torch.tensor([2, 0, 1])
        moved = Features(support=given.support[order].flip(1).repeat(1, 2, 1, 1), query=given.query)
        torch.testing.assert_close(made(moved).logits, made(given).logits[:, order])

    def test_a_query_does_not_see_the_others_and_a_batch_gives_what_each_episode_gives_alone(self) -> None:
        made, given = matcher(), features(2, 3)
        together = made(given).logits
        assert together.shape == (2, 3, 4, 3)
        assert (together < 0).all()
        for i, j, q in ((0, 0, 1), (1, 2, 3)):
            alone = made(Features(support=given.support[i, j], query=given.query[i, j, q : q + 1])).logits
            torch.testing.assert_close(together[i, j, q : q + 1], alone)

    def test_pair_scores_are_the_logits_of_one_shot_and_there_are_none_for_more(self) -> None:
        made, given = matcher(), features(2, shot=1, query_frames=5)
        assert made.shot_rule(1) == "mean"
        assert made.shot_rule(2) is None
        torch.testing.assert_close(made.pair_scores(given.query, given.support.squeeze(2)), made(given).logits)

    def test_a_value_bias_changes_nothing(self) -> None:
        made, given = matcher(), features()
        before = made(given).logits
        with torch.no_grad():
            made.get_parameter("branches.1.value.bias").add_(3 * torch.randn(5, dtype=torch.float64))
        torch.testing.assert_close(made(given).logits, before)

    def test_the_order_of_the_frames_matters(self) -> None:
        made, given = matcher(), features()
        turned = Features(support=given.support.flip(-2), query=given.query)
        assert (made(turned).logits - made(given).logits).abs().min() > 1e-3

    @pytest.mark.parametrize("distance", ["sq_l2", "l2"])
    def test_gradients_are_finite_where_all_frames_are_equal_or_zero(self, distance: str) -> None:
        frames = torch.zeros(2, 1, 4, 6, dtype=torch.float64)
        frames[1] = 1
        support, made = frames.requires_grad_(), matcher(distance=distance)
        made(Features(support=support, query=support.detach()[:, 0])).logits.sum().backward()
        assert support.grad is not None
        assert support.grad.isfinite().all()

    def test_under_autocast_half_precision_features_are_matched_in_float32(self) -> None:
        made, given = matcher().float(), features()
        half = Features(support=given.support.bfloat16(), query=given.query.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = made(half).logits
        assert found.dtype == torch.float32
        exact = matcher()(Features(support=half.support.double(), query=half.query.double())).logits
        torch.testing.assert_close(found.double(), exact, rtol=1e-5, atol=1e-5)


class TestDropout:
    def test_a_test_draws_nothing_and_training_draws_for_every_branch_and_side(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made, given = matcher(dropout=0.5), features()
        assert torch.equal(made(given).logits, made(given).logits)
        made.train()
        seen: list[Tensor] = []

        def watched(frames: Tensor, weight: Tensor, bias: Tensor, table: Tensor) -> Tensor:
            seen.append(frames)
            return project_tuples(frames, weight, bias, table)

        monkeypatch.setattr("fsar_core.matchers.trx.project_tuples", watched)
        torch.manual_seed(1)
        first = made(given).logits
        seen = seen[::2]  # keys and values of the same frames
        assert len(seen) == 2
        queries = len(given.query)
        placed = torch.cat((given.query, given.support.flatten(0, 1))) + trx_positions(4, 6)
        for own in seen:
            assert torch.equal(own[0], torch.where(own[0] == 0, 0.0, 2 * placed))
            for side in own[0].split([queries, len(placed) - queries]):
                assert 0.3 < float((side == 0).double().mean()) < 0.7
        first_branch, second_branch = (own[0] == 0 for own in seen)
        assert not torch.equal(first_branch[:queries], second_branch[:queries])
        assert not torch.equal(first_branch[queries:], second_branch[queries:])
        torch.manual_seed(1)
        assert torch.equal(made(given).logits, first)
