"""What TRX holds at once: blocks, their bound, and that they change nothing."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from fsar_core.episode import Features, Shape
from fsar_core.matchers import Trx
from fsar_core.matchers.tuple_attention import BYTES_AT_ONCE, Blocks, Work, blocks
from tests.fsar_core.matcher_cases import randn
from tests.fsar_core.trx_cases import features, matcher


class LargestTensor(TorchDispatchMode):
    """Bytes of the largest tensor that any operation gives."""

    nbytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        own = [leaf.nbytes for leaf in tree_leaves(found) if isinstance(leaf, Tensor)]
        self.nbytes = max([self.nbytes, *own])
        return found


def limit_blocks(monkeypatch: pytest.MonkeyPatch, limit: int) -> list[Blocks]:
    """What every call was divided into."""
    made: list[Blocks] = []

    def limited(work: Work) -> Blocks:
        made.append(blocks(work, limit))
        return made[-1]

    monkeypatch.setattr("fsar_core.matchers.trx.blocks", limited)
    return made


class TestMemory:
    def held(self, work: Work, own: Blocks) -> list[int]:
        """Bytes of keys and values of the supports, of those of the queries, of the distances of the tuples of a block,
        and of what a part of these makes."""
        per_tuple = 2 * work.dim * work.itemsize
        per_row = own.classes * (2 * work.shots * work.support_tuples + work.dim) * work.itemsize
        return [
            own.episodes * own.classes * work.shots * work.support_tuples * per_tuple,
            own.episodes * own.queries * work.query_tuples * per_tuple,
            own.episodes * own.queries * work.query_tuples * own.classes * work.itemsize,
            own.episodes * own.rows * per_row,
        ]

    @pytest.mark.parametrize(
        ("episodes", "queries", "classes", "shots", "tuples", "dim"),
        [
            (1, 25, 5, 5, math.comb(16, 4), 1152),
            (1, 100, 10, 10, 56, 1152),
            (40, 25, 5, 5, 56, 1152),
            (1, 65, 3000, 1, 56, 1152),
            (1, 16_000, 16_000, 1, 28, 72),
            (1, 25, 5, 1, 8000, 1152),
        ],
    )
    def test_no_block_holds_more_than_the_bound(
        self, episodes: int, queries: int, classes: int, shots: int, tuples: int, dim: int
    ) -> None:
        work = Work(
            episodes=episodes,
            queries=queries,
            classes=classes,
            shots=shots,
            query_tuples=tuples,
            support_tuples=tuples,
            dim=dim,
            itemsize=4,
        )
        own = blocks(work)
        assert max(self.held(work, own)) <= BYTES_AT_ONCE
        assert own.classes == classes or self.held(work, own)[0] > BYTES_AT_ONCE / 2

    def test_a_usual_episode_is_one_block(self) -> None:
        work = Work(
            episodes=1, queries=25, classes=5, shots=5, query_tuples=56, support_tuples=56, dim=1152, itemsize=4
        )
        assert blocks(work) == Blocks(episodes=1, classes=5, queries=25, rows=25 * 56)

    @pytest.mark.parametrize("limit", [1, 700, 3000, 20_000])
    def test_blocks_change_neither_logits_nor_gradients(self, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
        given = features(3, query_frames=5)

        def pass_through() -> list[Tensor]:
            made = matcher().train()
            support, query = given.support.clone().requires_grad_(), given.query.clone().requires_grad_()
            torch.manual_seed(2)
            logits = made(Features(support=support, query=query)).logits
            logits.square().sum().backward()
            return [logits, *(own.grad for own in (support, query, *made.parameters()) if own.grad is not None)]

        whole = pass_through()
        used = limit_blocks(monkeypatch, limit)
        for own, expected in zip(pass_through(), whole, strict=True):
            torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)
        assert any(own.rows < 4 * math.comb(5, 2) for own in used)

    def test_no_tensor_of_a_table_of_pairs_exceeds_the_bound(self, monkeypatch: pytest.MonkeyPatch) -> None:
        limit = 60_000
        made, used = matcher(cardinalities=(2,)).float(), limit_blocks(monkeypatch, limit)
        query, support = randn(60, 4, 6).float(), randn(80, 4, 6).float()
        with torch.no_grad(), LargestTensor() as watched:
            scores = made.pair_scores(query, support)
        assert scores.shape == (60, 80)
        assert watched.nbytes <= limit
        assert used[0].rows < 360

    def test_gradients_of_several_blocks_keep_no_scores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def kept() -> int:
            sizes: list[int] = []

            def pack(saved: Tensor) -> Tensor:
                sizes.append(saved.nbytes)
                return saved

            with torch.autograd.graph.saved_tensors_hooks(pack, lambda saved: saved):
                matcher()(features(shot=5, queries=20)).logits.sum().backward()
            return max(sizes)

        assert kept() >= 8 * 20 * 6 * 3 * 5 * 6  # the weights of all queries
        limit_blocks(monkeypatch, 20_000)
        assert kept() < 20_000

    def test_sixteen_frames_with_quadruples_run_and_too_many_tuples_are_refused(self) -> None:
        config = Trx.Config(cardinalities=(4,), out_dim=4)
        shape = Shape(level="frame", frames=16, dim=4)
        config.check(shape)
        given = Features(support=randn(2, 1, 16, 4).float(), query=randn(1, 16, 4).float())
        with torch.no_grad():
            assert config.build(shape).eval()(given).logits.isfinite().all()
        with pytest.raises(ValueError, match="635,376 tuples of cardinality 4"):
            config.check(Shape(level="frame", frames=64, dim=4))
