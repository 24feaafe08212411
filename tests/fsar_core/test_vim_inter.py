"""VIM's inter-video loss, and its methods."""

from dataclasses import dataclass
from itertools import product

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from fsar_core.backbones import ResNet, SmallNet
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.episodes import fixed_episodes
from fsar_core.data.resize import Resize
from fsar_core.embedding import known_per_clip
from fsar_core.episode import Episode, Match, Trace
from fsar_core.evaluate import cached_logits, episodic_logits, plain_logits
from fsar_core.losses import InterVideo
from fsar_core.losses.inter_video import frame_divergence
from fsar_core.matchers.alignment_offsets import OffsetPredictor
from fsar_core.matchers.pair_alignment import AlignedMatch
from fsar_core.method import Method, MethodConfig
from fsar_core.methods import vim
from fsar_core.presets import Recipe
from tests.fsar_core import tiny
from tests.fsar_core.vim_golden import arrays, cases, close, made

SMALL = SmallNet.Config(channels=4)


@dataclass(frozen=True, kw_only=True)
class Made:
    """An episode of which a loss sees raw maps, aligned features and logits."""

    raw: Tensor
    aligned: Tensor
    logits: Tensor
    labels: Tensor


def value(config: InterVideo.Config, case: Made) -> Tensor:
    queries, way = case.logits.shape
    supports = torch.zeros(way, *case.raw.shape[1:], dtype=case.raw.dtype)
    match = AlignedMatch(
        logits=case.logits, support_aligned=case.aligned, query_aligned=case.aligned, evolution=None, offset=None
    )
    unused = torch.zeros(way + queries, 1, 3, 2, 2)
    clips = Episode(videos=unused, class_ids=torch.zeros(way + queries), way=way, shot=1, query_labels=case.labels)
    trace = Trace(
        outputs={"features": torch.cat((supports, case.raw))},
        reads={},
        steps={},
        clips=clips,
        sampled=None,
        matches=(Match(logits=torch.zeros(queries, way)), match),
    )
    return InterVideo(config.model_copy(update={"head": 1}))(trace)


def golden_case(case: str) -> tuple[dict[str, Tensor], Made]:
    golden = arrays("vim_losses", case)
    aligned = golden["aligned_query"].mT.transpose(0, 1).unsqueeze(2).requires_grad_()
    raw = golden["raw_query"].transpose(1, 2)
    return golden, Made(raw=raw, aligned=aligned, logits=golden["logits"], labels=golden["label"])


def published(gradient: Tensor | None) -> Tensor:
    assert gradient is not None
    return gradient.squeeze(2).transpose(0, 1).mT


class TestGolden:
    @pytest.mark.parametrize("case", cases("vim_losses"))
    def test_both_signs(self, case: str) -> None:
        for sign, name, gradient in ((1, "inter_plus", "plus"), (-1, "inter_minus_hinge", "minus")):
            golden, own = golden_case(case)
            loss = value(InterVideo.Config.model_validate({"sign": sign}), own)
            close(loss, golden[name])
            loss.backward()
            close(published(own.aligned.grad), golden[f"grad_inter_{gradient}_aligned"])

    @pytest.mark.parametrize("case", cases("vim_losses"))
    def test_divergence_per_frame(self, case: str) -> None:
        golden, own = golden_case(case)
        raw = own.raw.mean((-2, -1))[:, None, None]
        close(frame_divergence(own.aligned, raw, 1.0).squeeze(2).transpose(0, 1), golden["ff_per_frame"])

    @pytest.mark.parametrize("case", cases("vim_mi"))
    def test_divergence_as_published(self, case: str) -> None:
        golden = arrays("vim_mi", case)
        aligned = golden["aligned_feature"].mT.transpose(0, 1).unsqueeze(2).requires_grad_()
        raw = golden["raw_feature"].mean((-2, -1)).mT[:, None, None]
        found = frame_divergence(aligned, raw, float(golden["temperature"])).sum(-1).mean()
        close(found, golden["ff"])
        found.backward()
        close(published(aligned.grad), golden["grad_ff_aligned"])


class TestInterVideo:
    @pytest.mark.parametrize(("way", "queries", "shots", "frames", "dim"), [(2, 3, 1, 4, 5), (4, 2, 3, 3, 7)])
    @pytest.mark.parametrize("sign", [1, 0, -1])
    def test_is_the_sum_of_its_terms(
        self, way: int, queries: int, shots: int, frames: int, dim: int, sign: int
    ) -> None:
        own = Made(
            raw=made(queries, frames, dim, 2, 2),
            aligned=made(queries, way, shots, frames, dim, seed=1),
            logits=made(queries, way),
            labels=torch.arange(queries) % way,
        )
        config = InterVideo.Config.model_validate({"sign": sign, "margin": 0.8, "temperature": 1.7})
        expected = -sum(float(own.logits[q].log_softmax(0)[own.labels[q]]) for q in range(queries)) / queries
        pairs = list(product(range(queries), range(way), range(shots)))
        for (q, n, k), t in product(pairs, range(frames)):
            raw = (own.raw[q, t].mean((-2, -1)) / 1.7).softmax(0)
            aligned = (own.aligned[q, n, k, t] / 1.7).softmax(0)
            divergence = sum(float(a * (a / r).log()) for a, r in zip(aligned, raw, strict=True))
            term = {1: divergence, 0: 0.0, -1: max(0.0, 0.8 - divergence)}[sign]
            expected += term / len(pairs)
        assert value(config, own).item() == pytest.approx(expected, rel=1e-9)

    def test_the_raw_features_get_no_gradient(self) -> None:
        raw = made(3, 4, 5, 2, 2).requires_grad_()
        aligned = made(3, 2, 1, 4, 5, seed=1).requires_grad_()
        own = Made(raw=raw, aligned=aligned, logits=made(3, 2), labels=torch.zeros(3, dtype=torch.int64))
        value(InterVideo.Config(), own).backward()
        assert raw.grad is None
        assert aligned.grad is not None
        assert aligned.grad.abs().max() > 0

    @pytest.mark.parametrize(
        ("changed", "message"),
        [
            ({"head": 1}, "needs a pair_alignment as head 1, but the heads are"),
            ({"reads": "pooled"}, "needs a map, but 'pooled' gives frame"),
        ],
    )
    def test_what_it_cannot_read_is_refused(self, changed: dict[str, object], message: str) -> None:
        config = vim.no_sampler(SMALL)
        pooled = vim.protonet(SMALL).steps[1].model_copy(update={"reads": "features"})
        loss = config.losses[0].model_copy(update=changed)
        config = config.model_copy(update={"losses": (loss,), "steps": (*config.steps, pooled)})
        with pytest.raises(ValueError, match=message):
            config.wiring(8, 64, 5)


class LargerFrames(tiny.WholeFrames):
    """The made clips, every pixel sixteen times."""

    def frames(self, clip_name: str) -> NDArray[np.uint8]:
        return tiny.MadeFrames().frames(clip_name).repeat(4, axis=1).repeat(4, axis=2)


def recipe() -> Recipe:
    """The tiny one, with maps of 4 x 4 cells."""
    base = tiny.recipe(backbone=SMALL, augmented=False)
    data = base.data.model_copy(update={"resize": Resize(mode="squeeze", size=80), "crop": 64, "frames": 8})
    return base.model_copy(update={"data": data})


def episode_of(frames: int, shot: int = 1) -> Episode:
    videos = made(2 * shot + 4, frames, 3, 64, 64).float()
    return Episode(
        videos=videos,
        class_ids=torch.zeros(len(videos), dtype=torch.int64),
        way=2,
        shot=shot,
        query_labels=torch.tensor([0, 1, 0, 1]),
    )


def built(config: MethodConfig) -> tuple[Method, int]:
    frames = vim.run(recipe(), config).data.frames
    torch.manual_seed(0)
    return config.build(frames=frames, crop=64, classes=6), frames


each_variant = pytest.mark.parametrize("variant", vim.METHOD.variants)


class TestMethods:
    @each_variant
    @pytest.mark.parametrize("shot", [1, 2])
    def test_every_variant_trains_and_predicts(self, variant: str, shot: int) -> None:
        method, frames = built(vim.METHOD.variants[variant](SMALL))
        batch = episode_of(frames, shot)
        output = method.train()(batch)
        output.total.backward()
        assert output.total.isfinite()
        without = [name for name, own in method.named_parameters() if own.requires_grad and own.grad is None]
        assert without == []
        assert method.predict(batch).shape == (4, 2)

    @each_variant
    def test_every_variant_survives_json_and_says_what_it_changes(self, variant: str) -> None:
        make = vim.METHOD.variants[variant]
        config = make(SMALL)
        assert MethodConfig.model_validate_json(config.model_dump_json()) == config
        assert make.__doc__

    def test_variants_differ(self) -> None:
        made_by = {name: make(SMALL).canonical_json() for name, make in vim.METHOD.variants.items()}
        assert len(set(made_by.values())) == len(made_by)

    def test_the_classification_loss_is_summed_and_the_total_weighs_the_parts_as_published(self) -> None:
        method, frames = built(vim.vim(SMALL))
        output = method.train()(episode_of(frames))
        assert output.logits is not None
        labels = torch.tensor([0, 1, 0, 1])
        summed = F.cross_entropy(output.logits, labels, reduction="sum")
        torch.testing.assert_close(output.losses["pair_alignment_0"], summed)
        expected = summed + 0.5 * output.losses["intra_video"] + output.losses["inter_video"]
        torch.testing.assert_close(output.total, expected)

    def test_a_test_without_the_alignment_keeps_the_weights_that_are_left(self) -> None:
        method, frames = built(vim.vim(SMALL))
        bare = vim.no_alignment(SMALL).for_test().build(frames=frames, crop=64, classes=6)
        assert set(bare.state_dict()) <= set(method.state_dict())

    def test_sizes_behind_resnet_50_are_those_of_the_paper(self) -> None:
        config = vim.vim(ResNet.Config())
        with torch.device("meta"):
            method = config.build(frames=20, crop=224, classes=64)
        total = sum(own.numel() for own in method.parameters())
        backbone = sum(own.numel() for own in method.backbone.parameters())
        assert backbone == 23_508_032
        assert total - backbone == 32_601_028
        assert 58_100_000 < total + 2_049_000 < 58_300_000  # with the classifier of ResNet-50, as the paper counts

    @pytest.mark.parametrize("variant", ["vim", "no_sampler", "otam_host", "trx_host", "hyrsm_host"])
    @pytest.mark.parametrize("shot", [1, 2])
    def test_a_test_over_many_episodes_gives_the_logits_of_each_by_itself(self, variant: str, shot: int) -> None:
        config = vim.METHOD.variants[variant](SMALL)
        run = vim.run(recipe(), config)
        source = ClipSource(tiny.index(), "test", LargerFrames(), run.data)
        method = config.build(frames=run.data.frames, crop=64, classes=6)
        lively_offsets(method)
        episodes = fixed_episodes(
            source.members, way=3, shot=shot, queries=2, count=6, seed=0, fingerprint=source.fingerprint
        )
        device = torch.device("cpu")
        known = known_per_clip(method, source, device)
        if config.frame_sampler.by_episode():
            found = episodic_logits(method, source, known, episodes, device)
        else:
            found = cached_logits(method, known, episodes)
        for i in range(6):
            plain = plain_logits(method, source, episodes, i, device)
            torch.testing.assert_close(found[i], plain, rtol=1e-3, atol=1e-4)


def lively_offsets(method: Method) -> None:
    """In eval mode, with offsets that differ from 0 and features that differ between clips."""
    with torch.no_grad():
        for module in method.modules():
            if isinstance(module, OffsetPredictor):
                module.last.weight.normal_(std=3)
            elif isinstance(module, nn.BatchNorm2d | nn.BatchNorm3d):
                module.momentum = None
    for seed in range(2):
        torch.manual_seed(seed)
        method.train()(episode_of(20 if method.config.frame_sampler.by_episode() else 8))
    method.eval()
