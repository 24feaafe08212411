"""VIM's alignment of pairs: against published code, against the long way, and what its switches do."""

from itertools import product

import pytest
import torch
from torch import Tensor

from fsar_core.episode import Features
from fsar_core.matchers.alignment_effort import alignment_effort
from fsar_core.matchers.alignment_relation import SetAttention
from tests.fsar_core.alignment_cases import VARIANTS, Config, built, episode
from tests.fsar_core.vim_golden import (
    arrays,
    by_support,
    cases,
    close,
    matcher_of,
    published_features,
    time_first,
    transform_of,
)
from tests.fsar_core.vim_oracle import aligned_pairs


class TestGolden:
    @pytest.mark.parametrize("case", cases("vim_tc"))
    def test_rearrangement(self, case: str) -> None:
        golden = arrays("vim_tc", case)
        features = Features(support=time_first(golden["support"])[:, None], query=time_first(golden["query"]))
        match = matcher_of(golden, Config(spatial="none"))(features)
        support, query = published_features(match)
        close(by_support(match.evolution), golden["evolution"])
        close(support, golden["support_out"].mean((-2, -1)).unsqueeze(1).expand_as(support))
        close(query, golden["query_out"].mean((-2, -1)))

    @pytest.mark.parametrize("mode", ["eval", "train"])
    @pytest.mark.parametrize("case", cases("vim_sc"))
    def test_both_parts_with_their_gradients(self, case: str, mode: str) -> None:
        golden = arrays("vim_sc", case)
        matcher = matcher_of(golden).train(mode == "train")
        support, query = golden["support"].requires_grad_(), golden["query"].requires_grad_()
        match = matcher(Features(support=time_first(support)[:, None], query=time_first(query)))
        (-match.logits.mT * golden[f"{mode}_coef"]).sum().backward()
        ours, theirs = published_features(match)
        close(by_support(match.offset), golden[f"{mode}_offset"])
        close(ours, golden[f"{mode}_support_aligned"])
        close(theirs, golden[f"{mode}_query_aligned"])
        close(-match.logits.mT, golden[f"{mode}_distance"])
        rearrangement, predictor = matcher.pairs.rearrangement, matcher.pairs.predictor
        assert rearrangement is not None
        assert predictor is not None
        gradients = {
            "support": support.grad,
            "query": query.grad,
            "key": rearrangement.key.weight.grad,
            "query_proj": rearrangement.query.weight.grad,
            "value": rearrangement.value.weight.grad,
            "off_fc2": predictor.last.weight.grad,
            "off_bn1": predictor.bn1.weight.grad,
        }
        for name, found in gradients.items():
            assert found is not None
            close(found, golden[f"{mode}_grad_{name}"])

    def test_float32_is_near(self) -> None:
        golden = arrays("vim_sc", "c0")
        features = Features(
            support=time_first(golden["support"].float())[:, None], query=time_first(golden["query"].float())
        )
        match = matcher_of(golden).float()(features)
        close(-match.logits.mT, golden["eval_distance"], 1e-5)
        close(by_support(match.offset), golden["eval_offset"], 2e-5)
        for found, side in zip(published_features(match), ("support", "query"), strict=True):
            close(found, golden[f"eval_{side}_aligned"], 2e-5)

    @pytest.mark.parametrize("file", ["vim_align", "vim_kshot"])
    def test_the_whole_alignment(self, file: str) -> None:
        golden = arrays(file, "c0")
        shot = int(golden["shot"])
        attends = file == "vim_align" and shot > 1
        transform, matcher = transform_of(golden), matcher_of(golden, Config(shots="attention" if attends else "mean"))
        support, query = golden["support"].requires_grad_(), golden["query"].requires_grad_()
        moved = transform(time_first(support)).unflatten(0, (-1, shot))
        match = matcher(Features(support=moved, query=transform(time_first(query))))
        loss = torch.nn.functional.cross_entropy(match.logits, golden["label"], reduction="sum")
        loss.backward()
        close(match.logits, golden["logits"])
        close(loss, golden["loss_sum"])
        for found, expected in zip(published_features(match), ("support_aligned", "query_aligned"), strict=True):
            close(found, golden[expected])
        for source in ("support", "query"):
            found = golden[source].grad
            assert found is not None
            close(found, golden[f"grad_{source}"])

    def test_what_lies_between(self) -> None:
        golden = arrays("vim_kshot", "c0")
        transform = transform_of(golden)
        support, query = time_first(golden["support"]), time_first(golden["query"])
        features = Features(support=transform(support).unflatten(0, (-1, int(golden["shot"]))), query=transform(query))
        match = matcher_of(golden)(features)
        theta = transform.theta(query)
        close(theta, golden["theta_query"])
        close(transform.theta(support), golden["theta_support"])
        close(by_support(match.evolution), golden["evolution"])
        close(by_support(match.offset), golden["offset"])
        assert match.evolution is not None
        assert match.offset is not None
        effort = alignment_effort(theta, match.evolution.squeeze(2), match.offset.squeeze(2))
        close(effort.transpose(0, 1), golden["alignment_cost"])
        swapped = matcher_of(golden, Config(order="spatial_first"))(features)
        close(by_support(swapped.offset), golden["spatial_first_offset"])
        close(swapped.logits, golden["spatial_first_logits"])

    @pytest.mark.parametrize("case", cases("vim_variants"))
    def test_enumerated_offsets(self, case: str) -> None:
        golden = arrays("vim_variants", case)
        config = Config(rearrange=False, spatial="enumerate", max_offset=int(golden["max_offset"]))
        match = matcher_of(golden, config)(
            Features(support=time_first(golden["support"])[:, None], query=time_first(golden["query"]))
        )
        close(-match.logits.mT, golden["enumerate_distance"])
        close(by_support(match.offset) * (golden["support"].shape[-1] - 1) / 2, golden["enumerate_best_xy"])


each_variant = pytest.mark.parametrize("config", VARIANTS, ids=lambda c: f"{c.rearrange}-{c.spatial}-{c.perturbation}")


class TestTheLongWay:
    @each_variant
    @pytest.mark.parametrize("training", [False, True])
    @pytest.mark.parametrize(
        ("way", "shot", "queries", "frames", "dim", "cells"), [(2, 1, 3, 4, 4, 4), (2, 2, 2, 3, 3, 7)]
    )
    def test_gives_the_same_features_logits_and_gradients(
        self, config: Config, training: bool, way: int, shot: int, queries: int, frames: int, dim: int, cells: int
    ) -> None:
        features = episode(way, shot, queries, frames, dim, cells)
        support, query = features.support.requires_grad_(), features.query.requires_grad_()
        matcher = built(config, features).train(training)
        statistics = {name: own.clone() for name, own in matcher.state_dict().items()}
        leaves = [support, query, *matcher.parameters()]
        match = matcher(features)
        found = torch.autograd.grad(match.logits.square().sum(), leaves)

        matcher.load_state_dict(statistics)  # batch norms have seen this episode once
        long = aligned_pairs(matcher, support.mean(1), query)
        logits = torch.stack([torch.stack([_frame_score(pair.support, pair.query) for pair in row]) for row in long])
        expected = torch.autograd.grad(logits.square().sum(), leaves)

        torch.testing.assert_close(match.logits, logits, rtol=1e-9, atol=1e-9)
        for (q, row), n in product(enumerate(long), range(way)):
            torch.testing.assert_close(match.support_aligned[q, n, 0], row[n].support)
            torch.testing.assert_close(match.query_aligned[q, n, 0], row[n].query)
            _same(match.evolution, row[n].evolution, (q, n, 0))
            _same(match.offset, row[n].offset, (q, n, 0))
        for ours, theirs in zip(found, expected, strict=True):
            torch.testing.assert_close(ours, theirs, rtol=1e-7, atol=1e-8)

    def test_training_updates_the_statistics_as_the_long_way_does(self) -> None:
        features = episode(way=3, queries=2)
        ours, theirs = built(Config(), features).train(), built(Config(), features).train()
        ours(features)
        aligned_pairs(theirs, features.support.mean(1), features.query)
        torch.testing.assert_close(dict(ours.named_buffers()), dict(theirs.named_buffers()))

    def test_spatial_first_rearranges_pooled_pairs(self) -> None:
        features = episode(frames=5)
        matcher = built(Config(order="spatial_first"), features)
        match = matcher(features)
        attention = matcher.pairs.rearrangement
        assert attention is not None
        matcher.pairs.rearrangement = None
        without = aligned_pairs(matcher, features.support.mean(1), features.query)
        for q, n in product(range(3), range(2)):
            ours, theirs = without[q][n].support, without[q][n].query
            evolution = ((ours @ attention.key.weight.mT) @ (theirs @ attention.query.weight.mT).mT / 2).softmax(-1)
            torch.testing.assert_close(match.support_aligned[q, n, 0], ours + ours @ attention.value.weight.mT)
            expected = theirs + evolution @ theirs @ attention.value.weight.mT
            torch.testing.assert_close(match.query_aligned[q, n, 0], expected)

    def test_set_attention_is_that_of_hyrsm_with_maps_fused_anew_for_each_query(self) -> None:
        features = episode(way=3, shot=2, dim=8, frames=5)
        for config in (
            Config(set_attention=SetAttention.Config()),
            Config(set_attention=SetAttention.Config(), rearrange=False),
        ):
            matcher = built(config, features)
            relation = matcher.set_attention
            assert relation is not None
            match = matcher(features)
            prototypes = features.support.mean(1)
            matcher.set_attention = None
            for q, query in enumerate(features.query):
                tokens = torch.stack((*prototypes, query)).mean((1, 3, 4))
                of_query, of_support = relation.relation(tokens[None, -1:], tokens[None, :-1])
                related = torch.cat((of_support[0, 0], of_query[0]))

                supports = torch.stack(
                    [_fused(relation, maps, token) for maps, token in zip(prototypes, related, strict=False)]
                )
                alone = matcher(Features(support=supports[:, None], query=_fused(relation, query, related[-1])[None]))
                torch.testing.assert_close(match.logits[q : q + 1], alone.logits)
                torch.testing.assert_close(match.query_aligned[q : q + 1], alone.query_aligned)


def _fused(relation: SetAttention, maps: Tensor, token: Tensor) -> Tensor:
    """(T, D, h, w) maps, each cell joined with the token of the video."""
    cells = maps.movedim(1, -1)
    return relation.fuse(torch.cat((cells, token.expand(cells.shape)), dim=-1)).movedim(-1, 1)


def _frame_score(support: Tensor, query: Tensor) -> Tensor:
    return torch.nn.functional.cosine_similarity(support, query, dim=-1).sum() - len(support)


def _same(found: Tensor | None, expected: Tensor | None, place: tuple[int, ...]) -> None:
    assert (found is None) == (expected is None)
    if found is not None and expected is not None:
        torch.testing.assert_close(found[place], expected)
