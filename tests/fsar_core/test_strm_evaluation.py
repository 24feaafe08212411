"""STRM's measurements: another share of the tuples on a run's weights, and dropout that stays on in tests."""

import pytest
import torch

from fsar_core.checkpoint import drop_parts
from fsar_core.config import EvalConfig
from fsar_core.data.episodes import fixed_episodes
from fsar_core.embedding import embed_clips
from fsar_core.evaluate import cached_logits, evaluate, plain_logits
from fsar_core.matchers import Trx
from fsar_core.methods import strm
from tests.fsar_core import tiny
from tests.fsar_core.lively import CLASSES, built

CPU = torch.device("cpu")
DATA = tiny.data(crop=32)


@pytest.mark.parametrize("fraction", [0.2, 0.4, 0.6, 0.8])
def test_the_weights_of_a_run_are_measured_with_another_share_of_the_tuples(fraction: float) -> None:
    trained, source = built(strm.strm(tiny.BACKBONE), data=DATA), tiny.clips("test", DATA)
    weights = trained.state_dict()
    run = tiny.recipe(crop=32).few_shot(trained.config)
    found: list[list[int]] = []
    ids: set[str] = set()
    for seed in (3, 4):
        method = strm.strm(tiny.BACKBONE, tuple_fraction=fraction, tuple_seed=seed)
        config = EvalConfig(way=4, queries=2, episodes=30, method=method)
        assert config.method is not None
        made = config.method.for_test().build(frames=DATA.frames, crop=DATA.crop, classes=CLASSES)
        made.load_state_dict(drop_parts(weights, keep=made))
        tables = [dict(head.named_buffers())["branches.0.table"] for head in made.heads]
        assert torch.equal(tables[0], tables[1])
        assert len(tables[0]) == max(1, round(6 * fraction))
        found.append(evaluate(made, source, config, CPU).correct.tolist())
        ids.add(config.eval_id(run))
    whole = evaluate(trained, source, EvalConfig(way=4, queries=2, episodes=30), CPU).correct.tolist()
    assert len(ids) == 2
    assert any(own != whole for own in found)


@pytest.mark.parametrize("fraction", [20, 40, 60, 80])
def test_each_share_of_figure_6_is_a_variant(fraction: int) -> None:
    config = strm.METHOD.variants[f"tuples_{fraction}"](tiny.BACKBONE)
    assert config == strm.strm(tiny.BACKBONE, tuple_fraction=fraction / 100)
    relation = config.heads[0].matcher
    assert isinstance(relation, Trx.Config)
    assert relation.tuple_fraction == fraction / 100


@pytest.mark.parametrize("shot", [1, 2])
def test_with_dropout_in_tests_look_ups_give_the_logits_of_the_plain_way(shot: int) -> None:
    method, source = built(strm.release(tiny.BACKBONE), data=DATA), tiny.clips("test", DATA)
    listed = fixed_episodes(
        source.members, way=4, shot=shot, queries=2, count=6, seed=0, fingerprint=source.fingerprint
    )
    features = embed_clips(method, source, CPU, names=method.read_by_heads())
    plain = torch.stack([plain_logits(method, source, listed, i, CPU) for i in range(6)])
    torch.testing.assert_close(cached_logits(method, features, listed), plain, rtol=1e-5, atol=1e-5)
