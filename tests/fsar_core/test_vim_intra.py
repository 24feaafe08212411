"""VIM's intra-video loss: its reference numbers, its equation as loops, and what it trains."""

import math
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from fsar_core.episode import Episode, Trace
from fsar_core.frame_samplers import KeepAll, VideoSampler
from fsar_core.frame_samplers.scan_networks import ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.frame_samplers.video_sampler import VideoSampled
from fsar_core.losses import LOSSES
from fsar_core.losses.intra_video import IntraVideo, intra_loss
from fsar_core.matchers import ProtoNet
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.stages import SpatialPool
from tests.fsar_core import tiny
from tests.fsar_core.sampler_golden import DTYPES, assert_near, case, rand, randn

Form = Literal["kl", "ce_gap"]
each_form = pytest.mark.parametrize("form", ["kl", "ce_gap"])


def loss_of(
    features: Tensor,
    indicator: Tensor,
    labels: Tensor,
    *,
    way: int,
    shot: int,
    form: Form,
    rescan: Tensor | None = None,
) -> Tensor:
    def again() -> Tensor:
        assert rescan is not None
        return rescan

    count = len(features)
    sampled = VideoSampled(
        frames=torch.zeros(count, 1, 3, 2, 2),
        indicator=indicator,
        indices=None,
        features=features,
        saliency=None,
        corners=None,
        rescan=again,
    )
    episode = Episode(
        videos=sampled.frames,
        class_ids=torch.zeros(count, dtype=torch.int64),
        way=way,
        shot=shot,
        query_labels=labels,
    )
    nothing = MappingProxyType[str, Tensor]({})
    trace = Trace(outputs=nothing, reads={}, steps={}, clips=episode, sampled=sampled, matches=())
    return IntraVideo(IntraVideo.Config(form=form), selected=rescan is None)(trace)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["c0", "c1"])
def test_values_and_gradients_are_the_reference_numbers(name: str, dtype: torch.dtype) -> None:
    golden = case("vim_losses", name, dtype)
    shot, supports = int(golden["shot"]), len(golden["scan_support"])
    features = torch.cat((golden["scan_support"], golden["scan_query"]))
    indicator = torch.cat((golden["indicator_support"], golden["indicator_query"])).requires_grad_()

    def run(form: Form) -> Tensor:
        return loss_of(features, indicator, golden["label"].long(), way=supports // shot, shot=shot, form=form)

    assert_near(run("kl"), golden["intra_kl"], 1e-6 if dtype == torch.float64 else 2e-5)
    assert_near(run("ce_gap"), golden["intra_ce_gap"], 1e-6 if dtype == torch.float64 else 2e-5)
    (gradient,) = torch.autograd.grad(run("kl"), indicator)
    expected = torch.cat((golden["grad_indicator_support"], golden["grad_indicator_query"]))
    assert_near(gradient, expected, 1e-6 if dtype == torch.float64 else 2e-5)


def slow_logits(videos: list[list[list[float]]], way: int, shot: int, scale: int) -> list[list[float]]:
    """From frame vectors of every video."""
    means = [[sum(frame[c] for frame in video) / len(video) for c in range(len(video[0]))] for video in videos]
    classes = [
        [sum(means[n * shot + k][c] for k in range(shot)) / shot for c in range(len(means[0]))] for n in range(way)
    ]

    def cosine(x: list[float], y: list[float]) -> float:
        return sum(a * b for a, b in zip(x, y, strict=True)) / (math.hypot(*x) * math.hypot(*y))

    return [[scale * cosine(query, own) for own in classes] for query in means[way * shot :]]


def slow_loss(dense: list[list[float]], kept: list[list[float]], labels: list[int], form: Form) -> float:
    def log_shares(row: list[float]) -> list[float]:
        total = math.log(sum(math.exp(value) for value in row))
        return [value - total for value in row]

    p, q = [log_shares(row) for row in dense], [log_shares(row) for row in kept]
    if form == "ce_gap":
        return abs(sum(a[y] - b[y] for a, b, y in zip(p, q, labels, strict=True))) / len(labels)
    return sum(math.exp(a) * (a - b) for x, y in zip(p, q, strict=True) for a, b in zip(x, y, strict=True)) / len(
        labels
    )


@each_form
@pytest.mark.parametrize(("way", "shot", "queries", "total", "keep", "width"), [(2, 1, 3, 4, 2, 3), (3, 3, 2, 5, 4, 6)])
def test_values_follow_the_equation(
    way: int, shot: int, queries: int, total: int, keep: int, width: int, form: Form
) -> None:
    count = way * shot + queries
    features, indicator = randn(count, total, width), rand(count, keep, total).softmax(-1)
    labels = [q % way for q in range(queries)]
    kept = indicator @ features
    dense, few = (slow_logits(own.tolist(), way, shot, keep) for own in (features, kept))
    found = loss_of(features, indicator, torch.tensor(labels), way=way, shot=shot, form=form)
    assert found.item() == pytest.approx(slow_loss(dense, few, labels, form), rel=1e-10)
    again = randn(count, keep, width, seed=4)
    found = loss_of(features, indicator, torch.tensor(labels), way=way, shot=shot, form=form, rescan=again)
    few = slow_logits(again.tolist(), way, shot, keep)
    assert found.item() == pytest.approx(slow_loss(dense, few, labels, form), rel=1e-10)


@each_form
def test_nothing_flows_into_the_predictions_from_all_frames(form: Form) -> None:
    features, again = randn(4, 5, 3).requires_grad_(), randn(4, 2, 3, seed=1).requires_grad_()
    loss = loss_of(features, rand(4, 2, 5), torch.tensor([0, 1]), way=2, shot=1, form=form, rescan=again)
    found = torch.autograd.grad(loss, (features, again), allow_unused=True)
    assert found[0] is None
    assert found[1].abs().sum() > 0


@each_form
@pytest.mark.parametrize("rescans", [False, True])
def test_autocast_changes_nothing(form: Form, rescans: bool) -> None:
    features, again = randn(6, 5, 3).float(), randn(6, 2, 3, seed=1).float()
    indicator = rand(6, 2, 5).softmax(-1).float()

    def run() -> Tensor:
        rescan = again if rescans else None
        return loss_of(features, indicator, torch.tensor([0, 1]), way=2, shot=2, form=form, rescan=rescan)

    with torch.autocast("cpu", torch.bfloat16):
        half = run()
    assert half.dtype == torch.float32
    assert torch.equal(half, run())


@each_form
def test_keeping_all_frames_costs_nothing(form: Form) -> None:
    every = torch.eye(5).double().expand(4, 5, 5)
    loss = loss_of(randn(4, 5, 3), every, torch.tensor([0, 1]), way=2, shot=1, form=form)
    assert loss.item() == pytest.approx(0, abs=1e-12)


SCAN = ScanNetwork.Config(name="scan_tiny", weights="none")
SELECTOR = TemporalSelector.Config(hidden=8, draws=30)


def sampler(*, temporal: bool = True, spatial: bool = True) -> VideoSampler.Config:
    return VideoSampler.Config(
        keep=2,
        temporal=SELECTOR if temporal else None,
        spatial=SpatialAmplifier.Config() if spatial else None,
        task=TaskLearner.Config(dim=4),
        scan_network=SCAN,
        scan_size=32,
    )


def method_of(frame_sampler: VideoSampler.Config | KeepAll.Config, loss: IntraVideo.Config) -> MethodConfig:
    return MethodConfig(
        backbone=tiny.BACKBONE,
        frame_sampler=frame_sampler,
        steps=(Step(name="pooled", stage=SpatialPool.Config()),),
        heads=(Head(matcher=ProtoNet.Config(), reads="pooled"),),
        losses=(loss,),
    )


def trained_parts(config: VideoSampler.Config, loss: IntraVideo.Config) -> set[str]:
    """Names of the parts of the sampler that the loss alone trains."""
    torch.manual_seed(0)
    method = method_of(config, loss).build(frames=4, crop=32, classes=6).train()
    videos = randn(6, 4, 3, 32, 32).float()
    videos[:, :, :, 4:12, 4:12] += 4
    batch = Episode(
        videos=videos,
        class_ids=torch.zeros(6, dtype=torch.int64),
        way=2,
        shot=2,
        query_labels=torch.tensor([0, 1]),
    )
    output = method(batch)
    output.losses["intra_video"].backward()
    names = [name for name, p in method.named_parameters() if p.grad is not None and p.grad.any()]
    assert all(name.startswith("frame_sampler.") for name in names)
    return {".".join(name.split(".")[1:3]) for name in names if "scan_network" not in name}


def test_selected_features_train_the_selector_and_scanned_frames_the_amplifier_too() -> None:
    selects = {"selector.hidden", "task.encoder", "task.temporal"}
    amplifies = {"task.encoder", "task.spatial"}
    assert trained_parts(sampler(), IntraVideo.Config()) == selects
    assert trained_parts(sampler(), IntraVideo.Config(features="rescan")) == selects | amplifies
    assert trained_parts(sampler(temporal=False), IntraVideo.Config()) == amplifies
    assert trained_parts(sampler(spatial=False), IntraVideo.Config()) == selects


def test_it_is_a_member_of_the_union_and_needs_the_frames() -> None:
    assert IntraVideo.Config in LOSSES
    assert IntraVideo.Config().needs_frames()
    assert IntraVideo.Config().weight == 0.5


class TestRefusals:
    def test_another_frame_sampler(self) -> None:
        method = method_of(KeepAll.Config(), IntraVideo.Config())
        with pytest.raises(ValueError, match="intra_video needs the frame sampler 'video_sampler'; remove the loss"):
            method.wiring(4, 32, 6)

    def test_selected_features_where_nothing_is_selected(self) -> None:
        method = method_of(sampler(temporal=False), IntraVideo.Config(features="selected"))
        with pytest.raises(ValueError, match="'selected' needs a temporal selector; set 'rescan'"):
            method.wiring(4, 32, 6)

    def test_a_method_without_episodes(self) -> None:
        method = method_of(sampler(), IntraVideo.Config()).model_copy(update={"heads": ()})
        with pytest.raises(ValueError, match="intra_video needs episodes, but the method has no head"):
            method.wiring(4, 32, 6)


@pytest.mark.parametrize("number", ["c0", "c1"])
def test_both_forms_have_the_published_values_with_the_gradient_on_the_sampled_side(number: str) -> None:
    stored = np.load(Path(__file__).parents[1] / "golden" / "vim_mi.npz")
    golden = {
        name: torch.from_numpy(stored[f"{number}.{name}"]).double() for name in ("logits_dense", "logits_sampled")
    }
    dense, sampled = golden["logits_dense"], golden["logits_sampled"].requires_grad_()
    labels = torch.from_numpy(stored[f"{number}.label"]).long()
    value = intra_loss(dense, sampled, labels, "kl")
    assert value.item() == pytest.approx(float(stored[f"{number}.yy"]), rel=1e-5)
    (slope,) = torch.autograd.grad(value, sampled)
    np.testing.assert_allclose(slope.numpy(), stored[f"{number}.grad_kl_sampled"], rtol=1e-4, atol=1e-7)
    gap = intra_loss(dense, sampled, labels, "ce_gap")
    (slope,) = torch.autograd.grad(gap, sampled)
    np.testing.assert_allclose(slope.abs().numpy(), abs(stored[f"{number}.grad_ce_sampled"]), rtol=1e-4, atol=1e-7)
