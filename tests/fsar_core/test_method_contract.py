"""How a method runs its parts: what passes together, what is summed, what is given."""

import pytest
import torch

from fsar_core.losses import Classification, MaskedReconstruction
from fsar_core.matchers import BiMhm, Otam
from fsar_core.method import Head, Output
from fsar_core.methods import sgtm
from tests.fsar_core import tiny
from tests.fsar_core.contract import COMPOSED, chosen, learned
from tests.fsar_core.lively import CLASSES, all_clips, built, episode


def test_supports_and_queries_pass_the_backbone_apart_in_training_unless_joined() -> None:
    whole = episode(shot=2)
    config = tiny.METHODS["baseline"]
    apart, joined = (built(config.model_copy(update={"joint_batch_norm": joint})).train() for joint in (False, True))
    alone = chosen(whole, list(range(6)))
    expected = apart.backbone(alone.videos)
    torch.testing.assert_close(apart.embed(whole)["backbone"][:6], expected)
    assert not torch.allclose(joined.embed(whole)["backbone"][:6], expected, atol=1e-3)
    torch.testing.assert_close(joined.embed(whole)["backbone"], joined.backbone(whole.videos))


def test_the_total_is_the_weighted_sum_and_the_prediction_that_of_the_heads() -> None:
    base = tiny.METHODS["sgtm_random"]
    heads = (
        Head(matcher=Otam.Config(), reads="matching", logit_weight=0.25, loss_weight=1.25),
        Head(matcher=BiMhm.Config(), reads="matching", logit_weight=-0.5, loss_weight=0.5, reduction="sum"),
    )
    whole = episode()
    output: Output = built(base.model_copy(update={"heads": heads}))(whole)
    alone = [built(base.model_copy(update={"heads": (head,)})) for head in heads]
    by_head = [m.predict(whole).detach() / head.logit_weight for m, head in zip(alone, heads, strict=True)]
    torch.testing.assert_close(output.logits, 0.25 * by_head[0] - 0.5 * by_head[1])
    assert output.logits is not None
    entropies = [-sum(float(own.log_softmax(1)[q, whole.query_labels[q]]) for q in range(6)) for own in by_head]
    assert output.losses["otam_0"].item() == pytest.approx(entropies[0] / 6, rel=1e-5)
    assert output.losses["bimhm_1"].item() == pytest.approx(entropies[1], rel=1e-5)
    expected = 1.25 * entropies[0] / 6 + 0.5 * entropies[1] + 0.5 * output.losses["masked_reconstruction"].item()
    assert output.total.item() == pytest.approx(expected, rel=1e-5)


def test_two_losses_of_one_kind_both_count() -> None:
    loss = MaskedReconstruction.Config(strategy="random", guide=None, weight=2.0)
    config = tiny.METHODS["encoder_only"].model_copy(update={"losses": (loss, loss.model_copy(update={"weight": 3.0}))})
    output = built(config)(episode())
    assert set(output.losses) == {"otam_0", "masked_reconstruction", "masked_reconstruction_1"}
    values = {name: own.item() for name, own in output.losses.items()}
    expected = values["otam_0"] + 2 * values["masked_reconstruction"] + 3 * values["masked_reconstruction_1"]
    assert output.total.item() == pytest.approx(expected, rel=1e-6)


def test_labelled_clips_give_losses_without_logits() -> None:
    run = tiny.recipe().class_scores(sgtm.score_layers(tiny.BACKBONE))
    method = run.method.build(frames=tiny.FRAMES, crop=tiny.CROP, classes=CLASSES)
    clips = all_clips()
    output = method.eval()(clips)
    assert output.logits is None
    scores = method.embed(clips)["scores"].mean(1).log_softmax(1)
    expected = -sum(scores[i, int(label)].item() for i, label in enumerate(clips.class_ids)) / len(clips.class_ids)
    assert output.losses["classification"].item() == pytest.approx(expected, rel=1e-5)


def test_the_best_frames_of_each_class_can_be_pooled() -> None:
    scores = torch.randn(5, 4, 3, generator=torch.Generator().manual_seed(0))
    pooled = Classification(Classification.Config(pool="topk_mean", topk=2)).logits(scores)
    for v in range(5):
        for c in range(3):
            best = sorted(scores[v, :, c].tolist())[-2:]
            assert pooled[v, c].item() == pytest.approx(sum(best) / 2)


@pytest.mark.parametrize("matcher", ["bimhm", "protonet", "time_averaged"])
def test_a_method_learns_with_other_matchers_and_one_blind_to_order_learns_less(matcher: str) -> None:
    accuracy = learned(tiny.recipe(augmented=False).few_shot(COMPOSED[f"baseline-{matcher}"]), 40).accuracy
    if matcher == "time_averaged":
        assert 0.4 < accuracy < 0.9
    else:
        assert accuracy > 0.85
