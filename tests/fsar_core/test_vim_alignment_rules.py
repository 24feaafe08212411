"""VIM's alignment of pairs: shots, hosts, and what must hold for every configuration."""

from itertools import product
from typing import Literal

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.matchers import BiMhm, Otam, ProtoNet, Trx, pair_alignment
from fsar_core.matchers.alignment_relation import SetAttention
from fsar_core.matchers.pair_alignment import AlignedMatch
from tests.fsar_core.alignment_cases import VARIANTS, Config, built, episode
from tests.fsar_core.vim_oracle import aligned_pairs

_TRX = Trx.Config(cardinalities=(2,), out_dim=6, dropout=0.0)
_SHOTS: tuple[Literal["joint", "scores", "mean"], ...] = ("joint", "scores", "mean")


class TestShots:
    def test_the_mean_is_taken_before_the_alignment(self) -> None:
        features = episode(shot=3)
        matcher = built(Config(), features)
        mean = Features(support=features.support.mean(1, keepdim=True), query=features.query)
        torch.testing.assert_close(matcher(features).logits, matcher(mean).logits)

    def test_scores_align_every_shot_alone(self) -> None:
        features = episode(shot=3)
        matcher = built(Config(shots="scores"), features)
        alone = [matcher(Features(support=features.support[:, k : k + 1], query=features.query)) for k in range(3)]
        match = matcher(features)
        torch.testing.assert_close(match.logits, torch.stack([own.logits for own in alone]).mean(0))
        torch.testing.assert_close(match.query_aligned, torch.cat([own.query_aligned for own in alone], dim=2))

    @pytest.mark.parametrize(("way", "shot", "queries", "frames", "dim"), [(2, 3, 3, 4, 4), (3, 2, 2, 5, 3)])
    @pytest.mark.parametrize("training", [False, True])
    def test_joint_gives_the_host_all_aligned_shots_of_a_class_and_the_mean_of_the_queries(
        self, way: int, shot: int, queries: int, frames: int, dim: int, training: bool
    ) -> None:
        features = episode(way, shot, queries, frames, dim)
        matcher = built(Config(host=_TRX, shots="joint"), features).train(training)
        statistics = {name: own.clone() for name, own in matcher.state_dict().items()}
        match = matcher(features)
        matcher.load_state_dict(statistics)  # batch norms have seen this episode once
        long = aligned_pairs(matcher, features.support.flatten(0, 1), features.query)
        assert match.logits.shape == (queries, way)
        for q, n in product(range(queries), range(way)):
            pairs = long[q][n * shot : (n + 1) * shot]
            for k, pair in enumerate(pairs):
                torch.testing.assert_close(match.support_aligned[q, n, k], pair.support)
                torch.testing.assert_close(match.query_aligned[q, n, k], pair.query)
            shots, query = torch.stack([p.support for p in pairs]), sum(p.query for p in pairs) / shot
            alone = matcher.host(Features(support=shots[None], query=torch.as_tensor(query)[None]))
            torch.testing.assert_close(match.logits[q, n], alone.logits.squeeze())

    def test_joint_is_neither_the_mean_of_scores_nor_that_of_shots(self) -> None:
        features = episode(shot=3)
        logits = [built(Config(host=_TRX, shots=own), features)(features).logits for own in _SHOTS]
        assert all((logits[0] - other).abs().max() > 0.01 * other.abs().max() for other in logits[1:])

    @pytest.mark.parametrize("host", [_TRX, Otam.Config()], ids=lambda h: h.kind)
    def test_one_shot_is_the_same_in_every_way(self, host: Trx.Config | Otam.Config) -> None:
        features = episode(way=3)
        logits = [built(Config(host=host, shots=own), features)(features).logits for own in _SHOTS]
        assert torch.equal(logits[0], logits[1])
        torch.testing.assert_close(logits[0], logits[2])

    def test_attention_puts_the_shots_in_step_with_the_first(self) -> None:
        features = episode(shot=3, frames=5)
        matcher = built(Config(shots="attention"), features)
        attention = matcher.shot_attention
        assert attention is not None
        prototypes: list[Tensor] = []
        for shots in features.support:
            pooled = shots.mean((-2, -1))
            total = torch.zeros_like(shots[0])
            for k, y in product(range(3), range(5)):
                reference = attention.query.weight @ pooled[0, y]
                weights = torch.stack([attention.key.weight @ pooled[k, x] @ reference / 2 for x in range(5)]).softmax(
                    0
                )
                for x in range(5):
                    total[y] += weights[x] * torch.einsum("dc,chw->dhw", attention.value.weight, shots[k, x]) / 3
            prototypes.append(total)
        query = torch.einsum("dc,qtchw->qtdhw", attention.value.weight, features.query)
        expected = matcher(Features(support=torch.stack(prototypes)[:, None], query=query))
        torch.testing.assert_close(matcher(features).logits, expected.logits)

    def test_attention_leaves_a_single_shot_as_it_is(self) -> None:
        features = episode()
        matcher = built(Config(shots="attention"), features)
        plain = built(Config(), features)
        plain.load_state_dict({k: v for k, v in matcher.state_dict().items() if not k.startswith("shot_attention")})
        assert torch.equal(matcher(features).logits, plain(features).logits)


class TestHosts:
    @pytest.mark.parametrize(
        "host",
        [ProtoNet.Config(), Otam.Config(), BiMhm.Config(), Trx.Config(cardinalities=(2,), out_dim=6)],
        ids=lambda h: h.kind,
    )
    def test_a_host_compares_the_features_of_each_pair(
        self, host: ProtoNet.Config | Otam.Config | BiMhm.Config | Trx.Config
    ) -> None:
        features = episode(shot=2)
        matcher = built(Config(host=host, shots="scores"), features)
        match = matcher(features)
        for q, n in product(range(3), range(2)):
            scores = [
                matcher.host(
                    Features(
                        support=match.support_aligned[q, n, k][None, None], query=match.query_aligned[q, n, k][None]
                    )
                ).logits.squeeze()
                for k in range(2)
            ]
            torch.testing.assert_close(match.logits[q, n], torch.stack(scores).mean())


CONTRACT = (
    *VARIANTS,
    Config(order="spatial_first"),
    Config(shots="scores", host=Otam.Config()),
    Config(shots="joint", host=Trx.Config(cardinalities=(2,), out_dim=6)),
    Config(shots="joint", host=BiMhm.Config(), set_attention=SetAttention.Config(heads=2)),
    Config(shots="attention"),
    Config(set_attention=SetAttention.Config(heads=2), host=BiMhm.Config()),
)
each_config = pytest.mark.parametrize("config", CONTRACT, ids=range(len(CONTRACT)))


@each_config
class TestContract:
    def test_classes_permute_queries_are_blind_to_each_other_and_episodes_to_episodes(self, config: Config) -> None:
        features = episode(way=3, shot=2, batch=(2,))
        matcher = built(config, features)
        match: AlignedMatch = matcher(features)
        assert match.logits.shape == (2, 3, 3)
        order = torch.tensor([2, 0, 1])
        permuted = matcher(Features(support=features.support[:, order], query=features.query))
        torch.testing.assert_close(permuted.logits, match.logits[..., order])
        for e, q in product(range(2), range(3)):
            alone = matcher(Features(support=features.support[e], query=features.query[e, q : q + 1]))
            torch.testing.assert_close(alone.logits, match.logits[e, q : q + 1])
            torch.testing.assert_close(alone.query_aligned, match.query_aligned[e, q : q + 1])

    @pytest.mark.parametrize("shot", [1, 2])
    def test_scores_of_pairs_give_the_logits_in_small_blocks_too(
        self, config: Config, shot: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        features = episode(way=3, shot=shot, queries=5)
        matcher = built(config, features)
        whole = matcher(features)
        monkeypatch.setattr(pair_alignment, "_BYTES_AT_ONCE", 1)
        monkeypatch.setattr(pair_alignment, "_VIDEOS_AT_ONCE", 2)
        torch.testing.assert_close(matcher(features).logits, whole.logits)
        torch.testing.assert_close(matcher(features).query_aligned, whole.query_aligned)
        rule = matcher.shot_rule(shot)
        single = config.set_attention is None and (shot == 1 or config.shots == "scores")
        assert rule == ("mean" if single else None)
        if rule is not None:
            scores = matcher.pair_scores(features.query, features.support.flatten(0, 1))
            torch.testing.assert_close(scores.unflatten(1, (3, shot)).mean(-1), whole.logits)

    def test_half_precision_is_aligned_in_float32(self, config: Config) -> None:
        features = episode(shot=2)
        matcher = built(config, features).float()
        half = Features(support=features.support.bfloat16(), query=features.query.bfloat16())
        with torch.autocast("cpu", torch.bfloat16):
            found = matcher(half)
        assert found.logits.dtype == torch.float32
        assert found.query_aligned.dtype == torch.float32
        if config.spatial != "enumerate":  # a rounding may choose another offset there
            exact = matcher(Features(support=half.support.float(), query=half.query.float())).logits
            assert (found.logits - exact).abs().max() < 0.03 * 4

    def test_it_runs_on_the_meta_device(self, config: Config) -> None:
        with torch.device("meta"):
            matcher = config.build(Shape(level="map", frames=4, dim=4, cells=4)).eval()
            match = matcher(Features(support=torch.empty(3, 2, 4, 4, 4, 4), query=torch.empty(5, 4, 4, 4, 4)))
        assert match.logits.shape == (5, 3)


class TestBounds:
    def test_query_and_support_must_have_equally_many_frames(self) -> None:
        features = episode()
        matcher = built(Config(), features)
        with pytest.raises(ValueError, match="equally many frames, but got 3 and 4"):
            matcher(Features(support=features.support, query=features.query[:, :3]))

    @pytest.mark.parametrize(
        ("config", "shape", "message"),
        [
            (Config(), Shape(level="map", frames=8, dim=8, cells=3), "at least 4 x 4 cells, got 3 x 3"),
            (
                Config(spatial="enumerate", max_offset=4),
                Shape(level="map", frames=8, dim=8, cells=4),
                "below the 4 cells of a side, got 4",
            ),
            (
                Config(host=Trx.Config(cardinalities=(9,))),
                Shape(level="map", frames=8, dim=8, cells=7),
                "at most the 8 frames",
            ),
            (
                Config(set_attention=SetAttention.Config(heads=3)),
                Shape(level="map", frames=8, dim=8, cells=7),
                "heads must divide the 8 channels",
            ),
        ],
    )
    def test_what_cannot_be_aligned_is_refused_before_anything_runs(
        self, config: Config, shape: Shape, message: str
    ) -> None:
        with pytest.raises(ValueError, match=message):
            config.check(shape)

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"order": "spatial_first", "spatial": "none"}, "needs a rearrangement and a spatial part"),
            ({"order": "spatial_first", "rearrange": False}, "needs a rearrangement and a spatial part"),
            ({"max_offset": 2}, "belongs to spatial 'enumerate'"),
            (
                {"spatial": "none", "perturbation": 0.1},
                "perturbation belongs to spatial 'mask' and 'affine', got 'none'",
            ),
            ({"spatial": "enumerate", "perturbation": 0.0}, "perturbation belongs to .*, got 'enumerate'; remove it"),
            ({"spatial": "none", "offset_scale": 0.5}, "offset_scale belongs to .*, got 'none'; remove it"),
            ({"spatial": "enumerate", "offset_scale": 0.5}, "offset_scale belongs to .*, got 'enumerate'; remove it"),
            ({"set_attention": SetAttention.Config(), "spatial": "enumerate"}, "without spatial 'enumerate'"),
        ],
    )
    def test_settings_that_contradict_each_other_are_refused(self, fields: dict[str, object], message: str) -> None:
        with pytest.raises(ValidationError, match=message):
            Config.model_validate(fields)

    def test_parameter_counts_are_those_of_the_paper(self) -> None:
        with torch.device("meta"):
            matcher = Config().build(Shape(level="map", frames=8, dim=2048, cells=7))
        rearrangement, predictor = matcher.pairs.rearrangement, matcher.pairs.predictor
        assert rearrangement is not None
        assert predictor is not None
        assert sum(p.numel() for p in rearrangement.parameters()) == 12_582_912
        assert sum(p.numel() for p in predictor.parameters()) == 14_607_298
        assert sum(p.numel() for p in matcher.parameters()) == 30_955_108 - 3_764_898

    def test_training_starts_without_offsets(self) -> None:
        features = episode()
        shape = Shape(level="map", frames=4, dim=4, cells=4)
        match = Config().build(shape).double().train()(features)
        assert match.offset is not None
        assert match.offset.abs().max() == 0
