"""What every matcher of the union must keep, with weights or without, on frames, maps or global and local features."""

from itertools import product
from typing import cast

import pytest
import torch
from pydantic import TypeAdapter
from torch import Tensor, nn

from fsar_core.episode import Features, Match, Shape
from fsar_core.frozen import Frozen
from fsar_core.matchers import (
    MATCHERS,
    BiMhm,
    GlobalLocal,
    Matcher,
    MatcherConfig,
    Otam,
    PairAlignment,
    PairMatcher,
    QueryClass,
    SetRelation,
    TokenContrast,
    Trx,
)
from tests.fsar_core.matcher_cases import randn

FRAMES, DIM, CELLS = 4, 8, 4
CONFIGS: tuple[MatcherConfig, ...] = (
    *(matcher() for matcher in MATCHERS),
    Trx.Config(cardinalities=(1, 2, 3), out_dim=5, tuple_fraction=0.5),
    Trx.Config(distance="l2", branch_reduction="sum"),
    SetRelation.Config(shots="distances"),
    QueryClass.Config(cardinalities=(2, 3), similarity="cosine"),
    GlobalLocal.Config(metric="otam", mode="local"),
    TokenContrast.Config(direction="query_to_support"),
    PairAlignment.Config(spatial="affine", host=Otam.Config(), shots="scores"),
    PairAlignment.Config(spatial="none", host=BiMhm.Config()),
)
every_config = pytest.mark.parametrize("config", CONFIGS, ids=lambda c: f"{c.kind}-{CONFIGS.index(c)}")


def built(config: MatcherConfig) -> Matcher:
    """In eval mode, float64, with weights that make every part count."""
    torch.manual_seed(0)
    matcher = config.build(Shape(level=config.reads, frames=FRAMES, dim=DIM, cells=CELLS))
    for parameter in matcher.parameters():
        nn.init.normal_(parameter, std=0.5)
    return matcher.double().eval()


def features(config: MatcherConfig, *batch: int, way: int = 3, shot: int = 2, queries: int = 5) -> Features:
    own = {
        "frame": (FRAMES, DIM),
        "global_local": (1 + FRAMES, DIM),
        "map": (FRAMES, DIM, CELLS, CELLS),
    }[config.reads]
    return Features(support=randn(*batch, way, shot, *own), query=randn(*batch, queries, *own, seed=1))


def logits(config: MatcherConfig, given: Features) -> Tensor:
    match: Match = built(config)(given)
    return match.logits.detach()


@every_config
class TestEveryMatcher:
    def test_there_is_a_row_per_query_and_a_column_per_class(self, config: MatcherConfig) -> None:
        found = logits(config, features(config))
        assert found.shape == (5, 3)
        assert found.std(-1).mean() > 1e-4

    def test_permuting_the_classes_permutes_the_logits(self, config: MatcherConfig) -> None:
        given, order = features(config), torch.tensor([2, 0, 1])
        permuted = Features(support=given.support[order], query=given.query)
        torch.testing.assert_close(logits(config, permuted), logits(config, given)[:, order])

    def test_the_order_of_the_shots_does_not_matter(self, config: MatcherConfig) -> None:
        given = features(config, shot=3)
        turned = Features(support=given.support.flip(1), query=given.query)
        torch.testing.assert_close(logits(config, turned), logits(config, given))

    def test_a_query_does_not_see_the_others(self, config: MatcherConfig) -> None:
        given = features(config)
        alone = Features(support=given.support, query=given.query[1:2])
        torch.testing.assert_close(logits(config, alone), logits(config, given)[1:2])

    @pytest.mark.parametrize("batch", [(2,), (2, 3)], ids=str)
    def test_a_batch_of_episodes_gives_what_each_gives_alone(
        self, config: MatcherConfig, batch: tuple[int, ...]
    ) -> None:
        given = features(config, *batch, queries=2)
        together = logits(config, given)
        assert together.shape == (*batch, 2, 3)
        for index in product(*map(range, batch)):
            alone = Features(support=given.support[index], query=given.query[index])
            torch.testing.assert_close(together[index], logits(config, alone))

    @pytest.mark.parametrize("shot", [1, 3])
    def test_pair_scores_and_the_shot_rule_give_the_logits(self, config: MatcherConfig, shot: int) -> None:
        matcher, given = built(config), features(config, shot=shot)
        rule = matcher.shot_rule(shot)
        if rule is None:
            assert shot > 1 or config.kind == "set_relation"
            return
        with torch.no_grad():
            scores = (
                cast(PairMatcher, matcher)
                .pair_scores(given.query, given.support.flatten(0, 1))
                .unflatten(-1, (3, shot))
            )
        expected = scores.mean(-1) if rule == "mean" else scores.amax(-1)
        torch.testing.assert_close(logits(config, given), expected)

    def test_a_config_survives_json(self, config: MatcherConfig) -> None:
        adapter: TypeAdapter[Frozen] = TypeAdapter(MatcherConfig)
        assert adapter.validate_json(config.canonical_json()) == config
