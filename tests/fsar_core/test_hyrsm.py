"""HyRSM's parts against the numbers of the released code and against its equations as loops."""

import math
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from fsar_core.episode import Clips, Features, Shape, Trace
from fsar_core.losses import BaseClasses
from fsar_core.matchers import BiMhm, SetRelation
from fsar_core.positions import hyrsm_positions
from fsar_core.stages import VideoAttention
from tests.fsar_core.hyrsm_cases import DIM, FRAMES, attention, features, relation
from tests.fsar_core.matcher_cases import randn

GOLDEN = Path(__file__).parents[1] / "golden" / "hyrsm.npz"
Golden = dict[str, Tensor]

LENGTHS = pytest.mark.parametrize(
    ("way", "shot", "queries", "query_frames", "frames"),
    [(3, 2, 2, 4, 4), (2, 1, 3, 3, 5), (4, 3, 1, 1, 2), (2, 2, 2, 6, 1)],
)


@pytest.fixture(scope="module")
def golden() -> Golden:
    return {name: torch.from_numpy(value) for name, value in np.load(GOLDEN).items()}


def trace(outputs: Tensor, class_ids: Tensor) -> Trace:
    clips = Clips(videos=outputs, class_ids=class_ids)
    return Trace(outputs={"read": outputs}, reads={}, steps={}, clips=clips, sampled=None, matches=())


class TestGolden:
    SHAPE = Shape(level="frame", frames=8, dim=32)

    def video_attention(self, golden: Golden, dtype: torch.dtype) -> VideoAttention:
        made = VideoAttention.Config(heads=int(golden["heads"])).build(self.SHAPE, classes=7).to(dtype)
        made.load_state_dict({name: golden[f"pre.{name}"] for name in made.state_dict()})
        return made.eval()

    def set_relation(self, golden: Golden, shots: Literal["features", "distances"], dtype: torch.dtype) -> SetRelation:
        made = SetRelation.Config(heads=int(golden["heads"]), shots=shots).build(self.SHAPE).to(dtype)
        qkv = torch.cat([golden[f"rel.{own}.weight"] for own in ("query", "key", "value")])
        weights = {"relation.qkv.weight": qkv, "fuse.weight": golden["fuse.weight"], "fuse.bias": golden["fuse.bias"]}
        others = ("out.weight", "out.bias", "norm.weight", "norm.bias")
        made.load_state_dict(weights | {f"relation.{name}": golden[f"rel.{name}"] for name in others})
        return made.eval()

    @pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)
    @pytest.mark.parametrize("shots", ["features", "distances"])
    @pytest.mark.parametrize("case", ["shot1", "shot3"])
    def test_every_intermediate_result_is_that_of_the_released_code(
        self,
        golden: Golden,
        case: str,
        shots: Literal["features", "distances"],
        dtype: torch.dtype,
        tol: float,
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        by_class = golden[f"{case}.support_labels"].argsort(stable=True)
        attend, made = self.video_attention(golden, dtype), self.set_relation(golden, shots, dtype)
        support, query = (attend(golden[f"{case}.{own}"].to(dtype)) for own in ("support", "query"))
        prefix = f"{case}.{'protomean' if shots == 'features' else 'distmean'}"
        scores = torch.cat((support, query)).flatten(0, 1) @ golden["classifier.weight"].to(dtype).T
        expected = golden[f"{prefix}.class_logits"].to(dtype)
        torch.testing.assert_close(scores + golden["classifier.bias"].to(dtype), expected, rtol=tol, atol=10 * tol)

        seen: list[Tensor] = []
        pair_scores = made.metric.pair_scores

        def watched(query: Tensor, support: Tensor) -> Tensor:
            seen.extend((query, support))
            return pair_scores(query, support)

        monkeypatch.setattr(made.metric, "pair_scores", watched)
        logits = made(Features(support=support[by_class].unflatten(0, (5, -1)), query=query)).logits

        assert logits.dtype == dtype
        torch.testing.assert_close(logits, golden[f"{prefix}.logits"].to(dtype), rtol=tol, atol=tol)
        fused_query, fused_support = golden[f"{prefix}.query_task_features"], golden[f"{prefix}.support_task_features"]
        if shots == "distances":
            fused_support = fused_support[:, by_class]
        torch.testing.assert_close(seen[0][0, :, 0], fused_query.to(dtype), rtol=tol, atol=10 * tol)
        torch.testing.assert_close(seen[1][0], fused_support.to(dtype), rtol=tol, atol=10 * tol)

    def test_the_position_code_is_that_of_the_released_code(self, golden: Golden) -> None:
        torch.testing.assert_close(hyrsm_positions(8, 32), golden["pe"], rtol=0, atol=1e-15)


def slow_norm(x: Tensor, norm: Any) -> Tensor:
    return (x - x.mean()) / (x.var(correction=0) + 1e-5).sqrt() * norm.weight + norm.bias


def slow_heads(tokens: list[Tensor], qkv: Tensor, heads: int) -> list[Tensor]:
    """Softmax attention among the tokens, head by head."""
    dim = len(tokens[0])
    own, size = [[part @ token for part in qkv.split(dim)] for token in tokens], dim // heads
    out: list[Tensor] = []
    for q, _, _ in own:
        by_head: list[Tensor] = []
        for h in range(heads):
            place = slice(h * size, (h + 1) * size)
            exponents = [math.exp(float(q[place] @ k[place]) / math.sqrt(size)) for _, k, _ in own]
            weighted = [e / sum(exponents) * v[place] for e, (_, _, v) in zip(exponents, own, strict=True)]
            by_head.append(torch.stack(weighted).sum(0))
        out.append(torch.cat(by_head))
    return out


def slow_attention(made: VideoAttention, video: Tensor, amplitude: float, scale: float) -> Tensor:
    frames: list[Tensor] = []
    for p, frame in enumerate(video):
        code = [(math.cos if c % 2 else math.sin)(p / 10_000 ** (2 * c / DIM)) for c in range(DIM)]
        frames.append(frame * amplitude + scale * torch.tensor(code, dtype=torch.float64))
    attended = slow_heads([slow_norm(x, made.norm) for x in frames], made.qkv.weight, made.config.heads)
    rows = [F.relu(x + made.out.weight @ a + made.out.bias) for x, a in zip(frames, attended, strict=True)]
    return torch.stack(rows)


class TestVideoAttention:
    @torch.no_grad()
    @pytest.mark.parametrize(("amplification", "scale", "heads"), [(10.0, 1.0, 2), (8.0, 0.01, 4), (2.0, 0.0, 1)])
    def test_it_is_the_equation_as_loops(self, amplification: float, scale: float, heads: int) -> None:
        made = attention(amplification=amplification, position_scale=scale, heads=heads)
        videos = randn(3, FRAMES, DIM)
        expected = [slow_attention(made, video, math.sqrt(DIM / amplification), scale) for video in videos]
        torch.testing.assert_close(made(videos), torch.stack(expected))

    def test_no_video_sees_another_and_nothing_is_below_zero(self) -> None:
        made, videos = attention(), randn(3, FRAMES, DIM)
        torch.testing.assert_close(made(videos)[1:2], made(videos[1:2]))
        assert (made(videos) >= 0).all()

    @pytest.mark.parametrize("which", ["position_dropout", "dropout"])
    def test_each_dropout_acts_in_training_only(self, which: str) -> None:
        videos = randn(2, FRAMES, DIM)
        still = {"position_dropout": 0.0, "dropout": 0.0}
        made = attention(**still | {which: 0.5})
        torch.testing.assert_close(made(videos), attention()(videos))
        assert not torch.equal(made.train()(videos), made(videos))
        torch.testing.assert_close(attention(**still).train()(videos), attention()(videos))

    def test_what_it_cannot_read_is_refused(self) -> None:
        with pytest.raises(ValueError, match="needs frame features, but gets a map"):
            VideoAttention.Config().gives(Shape(level="map", frames=4, dim=8, cells=2), classes=3)
        with pytest.raises(ValueError, match="heads must divide the 12 channels of a frame, got 8"):
            VideoAttention.Config().gives(Shape(level="frame", frames=4, dim=12), classes=3)


def slow_relation(made: SetRelation, wholes: list[Tensor]) -> list[Tensor]:
    own: Any = made.relation
    attended = slow_heads(wholes, own.qkv.weight, made.config.heads)
    added = [own.out.weight @ a + own.out.bias + x for a, x in zip(attended, wholes, strict=True)]
    return [F.relu(slow_norm(x, own.norm)) for x in added]


def slow_logits(made: SetRelation, given: Features) -> Tensor:
    """Query by query, with the frames of all supports joined with what the relation gave."""
    way = len(given.support)
    videos = given.support.flatten(0, 1) if made.config.shots == "distances" else given.support.mean(1)
    metric = BiMhm.Config(reduction=made.config.reduction, shots="distances").build(
        Shape(level="frame", frames=1, dim=8)
    )
    rows: list[Tensor] = []
    for query in given.query:
        related = slow_relation(made, [*(video.mean(0) for video in videos), query.mean(0)])
        fused = [
            torch.stack([made.fuse.weight @ torch.cat((frame, r)) + made.fuse.bias for frame in video])
            for video, r in zip((*videos, query), related, strict=True)
        ]
        support = torch.stack(fused[:-1]).unflatten(0, (way, -1))
        rows.append(metric(Features(support=support, query=fused[-1].unsqueeze(0))).logits[0])
    return torch.stack(rows)


class TestSetRelation:
    @torch.no_grad()
    @LENGTHS
    @pytest.mark.parametrize("shots", ["features", "distances"])
    @pytest.mark.parametrize("reduction", ["sum", "mean"])
    def test_logits_are_those_of_the_equations_as_loops(
        self, way: int, shot: int, queries: int, query_frames: int, frames: int, shots: str, reduction: str
    ) -> None:
        given = features(way=way, shot=shot, queries=queries, frames=frames, query_frames=query_frames)
        made = relation(shots=shots, reduction=reduction)
        torch.testing.assert_close(made(given).logits, slow_logits(made, given))

    def test_one_shot_makes_features_and_distances_equal_and_several_do_not(self) -> None:
        for shot in (1, 2):
            found = [relation(shots=own)(features(shot=shot)).logits for own in ("features", "distances")]
            assert torch.allclose(*found, rtol=1e-12, atol=1e-12) == (shot == 1)

    def test_permuting_classes_permutes_logits_and_the_order_of_shots_does_not_matter(self) -> None:
        order = torch.tensor([2, 0, 1])
        for shots in ("features", "distances"):
            made, given = relation(shots=shots), features()
            moved = Features(support=given.support[order].flip(1), query=given.query)
            torch.testing.assert_close(made(moved).logits, made(given).logits[:, order])

    def test_a_logit_depends_on_all_supports_but_on_no_other_query(self) -> None:
        made, given = relation(), features()
        alone = Features(support=given.support, query=given.query[1:2])
        torch.testing.assert_close(made(alone).logits, made(given).logits[1:2])
        fewer = Features(support=given.support[:2], query=given.query)
        assert (made(fewer).logits - made(given).logits[:, :2]).abs().min() > 1e-6
        assert [made.shot_rule(shot) for shot in (1, 5)] == [None, None]

    def test_a_batch_of_episodes_gives_what_each_gives_alone(self) -> None:
        made, given = relation(), features(2, 3)
        together = made(given).logits
        assert together.shape == (2, 3, 4, 3)
        alone = Features(support=given.support[1, 2], query=given.query[1, 2])
        torch.testing.assert_close(together[1, 2], made(alone).logits)

    @pytest.mark.parametrize("limit", [1, 800, 4_000])
    @pytest.mark.parametrize("shots", ["features", "distances"])
    def test_blocks_change_neither_logits_nor_gradients(
        self, monkeypatch: pytest.MonkeyPatch, limit: int, shots: str
    ) -> None:
        def pass_through() -> list[Tensor]:
            made, given = relation(shots=shots, dropout=0.0, attention_dropout=0.0).train(), features(3)
            support, query = given.support.requires_grad_(), given.query.requires_grad_()
            logits = made(Features(support=support, query=query)).logits
            logits.square().sum().backward()
            return [logits, *(own.grad for own in (support, query, *made.parameters()) if own.grad is not None)]

        whole, calls = pass_through(), 0
        matched = SetRelation._match  # pyright: ignore[reportPrivateUsage] - counts the blocks

        def counted(self: SetRelation, *inputs: Tensor) -> Tensor:
            nonlocal calls
            calls += 1
            return matched(self, *inputs)

        monkeypatch.setattr(SetRelation, "_match", counted)
        monkeypatch.setattr("fsar_core.matchers.set_relation.BYTES_AT_ONCE", limit)
        for own, expected in zip(pass_through(), whole, strict=True):
            torch.testing.assert_close(own, expected, rtol=1e-9, atol=1e-9)
        assert calls >= (2 if limit == 4_000 else 3)

    @pytest.mark.parametrize("which", ["attention_dropout", "dropout"])
    def test_each_dropout_acts_in_training_only(self, which: str) -> None:
        still, given = {"attention_dropout": 0.0, "dropout": 0.0}, features()
        made = relation(**still | {which: 0.5})
        torch.testing.assert_close(made(given).logits, relation()(given).logits)
        assert not torch.equal(made.train()(given).logits, made(given).logits)
        torch.testing.assert_close(relation(**still).train()(given).logits, relation()(given).logits)

    def test_gradients_are_those_of_finite_differences(self) -> None:
        made, given = relation(), features(queries=2)

        def of(support: Tensor, query: Tensor) -> Tensor:
            return made(Features(support=support, query=query)).logits

        assert torch.autograd.gradcheck(of, (given.support.requires_grad_(), given.query.requires_grad_()))

    def test_under_autocast_half_precision_features_are_matched_in_float32(self) -> None:
        given = features()
        half = Features(support=given.support.bfloat16(), query=given.query.bfloat16())
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = relation().float()(half).logits
        assert found.dtype == torch.float32
        exact = relation()(Features(support=half.support.double(), query=half.query.double())).logits
        torch.testing.assert_close(found.double(), exact, rtol=1e-4, atol=1e-4)


class TestBaseClasses:
    def loss(self, over: Literal["frames", "mean"]) -> BaseClasses:
        torch.manual_seed(0)
        return BaseClasses(BaseClasses.Config(reads="read", over=over), DIM, classes=5).double()

    @pytest.mark.parametrize("over", ["frames", "mean"])
    def test_it_is_the_mean_cross_entropy_of_every_vector_or_of_their_mean(
        self, over: Literal["frames", "mean"]
    ) -> None:
        made, outputs, labels = self.loss(over), randn(4, 3, DIM), [0, 4, 2, 2]
        weight, bias = made.classifier.weight.detach(), made.classifier.bias.detach()
        entropies: list[float] = []
        for video, label in zip(outputs, labels, strict=True):
            for vector in video if over == "frames" else [video.sum(0) / 3]:
                scores = (weight @ vector + bias).tolist()
                entropies.append(math.log(sum(math.exp(own) for own in scores)) - scores[label])
        found = made(trace(outputs, torch.tensor(labels)))
        assert found.shape == ()
        assert found.item() == pytest.approx(sum(entropies) / len(entropies), rel=1e-12)
