"""Which parts each row of VIM's tables has, with which numbers."""

from typing import NamedTuple

import pytest

from fsar_core.backbones import Mvit, ResNet, SmallNet
from fsar_core.data.config import NORMALISATIONS
from fsar_core.frame_samplers import FrameSamplerConfig, KeepAll, MgSampler, VideoSampler
from fsar_core.frame_samplers.cropper import Cropper
from fsar_core.frame_samplers.scan_networks import ScanName, ScanNetwork
from fsar_core.frame_samplers.spatial_amplifier import SpatialAmplifier
from fsar_core.frame_samplers.task_learner import TaskLearner
from fsar_core.frame_samplers.temporal_selector import TemporalSelector
from fsar_core.losses import InterVideo, IntraVideo
from fsar_core.matchers import (
    BiMhm,
    DropDtw,
    ExhaustiveSpatial,
    ExhaustiveTemporal,
    MatcherConfig,
    Otam,
    PairAlignment,
    ProtoNet,
    SoftDtw,
    Trx,
    Vava,
)
from fsar_core.matchers.alignment_relation import SetAttention
from fsar_core.method import MethodConfig
from fsar_core.methods import vim, vim_parts
from fsar_core.presets import clean, laptop64
from fsar_core.stages import FeatureDropout

RESNET = ResNet.Config()


class Row(NamedTuple):
    sampler: str
    """Its parts; none: all frames as they come."""
    transform: bool
    matcher: MatcherConfig
    intra: float
    inter: float
    """Weights; 0: no such loss."""


Aligned = PairAlignment.Config
WHOLE = "TS+amplify+Ada"
PROTO = ProtoNet.Config()
ROWS: dict[str, Row] = {
    "vim": Row(WHOLE, True, Aligned(), 0.5, 1),
    # table 4
    "protonet": Row("", False, PROTO, 0, 0),
    "sampler_no_loss": Row(WHOLE, False, PROTO, 0, 0),
    "no_alignment": Row(WHOLE, False, PROTO, 0.5, 0),
    "alignment_no_loss": Row("", True, Aligned(), 0, 0),
    "no_sampler": Row("", True, Aligned(), 0, 1),
    "no_losses": Row(WHOLE, True, Aligned(), 0, 0),
    "no_inter": Row(WHOLE, True, Aligned(), 1, 0),
    "no_intra": Row(WHOLE, True, Aligned(), 0, 1),
    # table 5
    "ts_only": Row("TS", False, PROTO, 0.5, 0),
    "sa_only": Row("amplify", False, PROTO, 0.5, 0),
    "ts_sa": Row("TS+amplify", False, PROTO, 0.5, 0),
    "ts_ada": Row("TS+Ada", False, PROTO, 0.5, 0),
    "sa_ada": Row("amplify+Ada", False, PROTO, 0.5, 0),
    "tc_only": Row("", True, Aligned(spatial="none"), 0, 1),
    "sc_only": Row("", False, Aligned(rearrange=False), 0, 1),
    "no_ts": Row("amplify+Ada", True, Aligned(), 0.5, 1),
    "no_tc": Row(WHOLE, False, Aligned(rearrange=False), 0.5, 1),
    "no_sc": Row(WHOLE, True, Aligned(spatial="none"), 0.5, 1),
    # tables 10 and 11
    "no_amplifier": Row("TS+Ada", True, Aligned(), 0.5, 1),
    "crop": Row("TS+crop+Ada", True, Aligned(), 0.5, 1),
    "mgsampler": Row("MG", False, PROTO, 0, 0),
    # tables 12 to 14
    "transform_only": Row("", True, Aligned(rearrange=False, spatial="none"), 0, 1),
    "rearrange_only": Row("", False, Aligned(spatial="none"), 0, 1),
    "affine": Row(WHOLE, True, Aligned(spatial="affine"), 0.5, 1),
    "enumerate": Row(WHOLE, True, Aligned(spatial="enumerate"), 0.5, 1),
    "spatial_first": Row(WHOLE, True, Aligned(order="spatial_first"), 0.5, 1),
    # table 16
    "intra_1_inter_half": Row(WHOLE, True, Aligned(), 1, 0.5),
    "intra_1_inter_1": Row(WHOLE, True, Aligned(), 1, 1),
    # table 3
    "otam_host": Row(WHOLE, True, Aligned(host=Otam.Config(), shots="scores"), 0.5, 1),
    "trx_host": Row(WHOLE, True, Aligned(host=Trx.Config(), shots="joint"), 0.5, 1),
    "hyrsm_host": Row(WHOLE, True, Aligned(host=BiMhm.Config(), set_attention=SetAttention.Config()), 0.5, 1),
    # table 15
    "soft_dtw": Row(WHOLE, False, SoftDtw.Config(), 0.5, 0),
    "drop_dtw": Row(WHOLE, False, DropDtw.Config(), 0.5, 0),
    "vava": Row(WHOLE, False, Vava.Config(), 0.5, 0),
    # table 19
    "exhaustive_temporal": Row("", False, ExhaustiveTemporal.Config(), 0, 0),
    "exhaustive_spatial": Row("", False, ExhaustiveSpatial.Config(), 0, 0),
    "exhaustive": Row("", False, ExhaustiveSpatial.Config(temporal=True), 0, 0),
}


def row_of(method: MethodConfig) -> Row:
    (head,) = method.heads
    weights = {loss.kind: loss.weight for loss in method.losses}
    return Row(
        sampler=parts_of(method.frame_sampler),
        transform="temporal_transform" in [step.stage.kind for step in method.steps],
        matcher=head.matcher,
        intra=weights.pop("intra_video", 0.0),
        inter=weights.pop("inter_video", 0.0) + sum(weights.values()),
    )


def parts_of(sampler: FrameSamplerConfig) -> str:
    if isinstance(sampler, VideoSampler.Config):
        spatial = None if sampler.spatial is None else sampler.spatial.kind
        return "+".join(filter(None, ("TS" if sampler.temporal else None, spatial, "Ada" if sampler.task else None)))
    if isinstance(sampler, MgSampler.Config):
        return "MG"
    assert sampler == KeepAll.Config()
    return ""


def test_the_table_has_every_variant() -> None:
    assert ROWS.keys() == vim.METHOD.variants.keys()
    assert vim.METHOD.title == "Intra- and inter-video information maximization"


@pytest.mark.parametrize("name", vim.METHOD.variants)
class TestEveryVariant:
    def test_has_the_parts_of_its_row(self, name: str) -> None:
        assert row_of(vim.METHOD.variants[name](RESNET)) == ROWS[name]

    def test_has_the_numbers_that_all_rows_share(self, name: str) -> None:
        method = vim.METHOD.variants[name](RESNET)
        assert method.steps[0].stage == FeatureDropout.Config(probability=0.5)
        assert [head.reduction for head in method.heads] == ["sum"]
        assert method.heads[0].reads == method.steps[-1].name
        if isinstance(method.frame_sampler, VideoSampler.Config):
            part = method.frame_sampler
            shared = (part.keep, part.scan_size, part.scan_network)
            assert shared == (8, 64, ScanNetwork.Config(name="shufflenet_v2_x0_5", weights="imagenet"))
            assert part.temporal in (None, TemporalSelector.Config())
            assert part.task in (None, TaskLearner.Config())
            assert part.spatial in (None, SpatialAmplifier.Config(), Cropper.Config())

    def test_runs_with_as_many_frames_as_its_sampler_needs(self, name: str) -> None:
        recipe, method = clean("hmdb51"), vim.METHOD.variants[name](RESNET)
        chooses = ROWS[name].sampler.startswith(("TS", "MG"))
        assert vim.run(recipe, method).data.frames == (20 if chooses else 8)
        assert vim.run(recipe, method, dense_frames=14).data.frames == (14 if chooses else 8)


def test_defaults_are_the_published_ones() -> None:
    selector, amplifier, align = TemporalSelector.Config(), SpatialAmplifier.Config(), Aligned()
    assert (selector.hidden, selector.draws, selector.sigma, selector.sigma_floor) == (512, 500, 0.1, 0.01)
    assert (selector.sigma_schedule, selector.sigma_factor, selector.sigma_every) == ("steps", 0.8, 2 / 15)
    assert (selector.noise, selector.grad_scale, selector.baseline, selector.normalise) == ("normal", "T", False, True)
    assert (amplifier.saliency, amplifier.grid, amplifier.grid_grad) == ("channel_attention", "published", True)
    assert (TaskLearner.Config().dim, TaskLearner.Config().sample_in_test) == (128, False)
    assert Cropper.Config().share * 224 == pytest.approx(160)
    assert (VideoSampler.Config().keep, VideoSampler.Config().scan_size) == (8, 64)
    assert ScanNetwork.Config().name == "shufflenet_v2_x0_5"
    assert (MgSampler.Config().power, MgSampler.Config().keep) == (0.5, 8)
    assert FeatureDropout.Config().probability == 0.5
    assert (align.rearrange, align.spatial, align.order, align.shots) == (True, "mask", "temporal_first", "mean")
    assert (align.perturbation, align.offset_scale, align.host, align.set_attention) == (0.2, 0.75, PROTO, None)
    assert (IntraVideo.Config().weight, IntraVideo.Config().form, IntraVideo.Config().features) == (0.5, "kl", None)
    assert (InterVideo.Config().weight, InterVideo.Config().sign, InterVideo.Config().margin) == (1.0, 1, 1.0)
    assert vim_parts.DENSE_FRAMES == 20


class TestNumbersOfTables6To9:
    @pytest.mark.parametrize("dense", [14, 32])
    def test_the_frames_to_choose_from(self, dense: int) -> None:
        assert vim.run(clean("hmdb51"), vim.vim(RESNET), dense_frames=dense).data.frames == dense

    @pytest.mark.parametrize("keep", [4, 14])
    def test_the_frames_to_keep(self, keep: int) -> None:
        method = vim.vim(RESNET, frame_sampler=vim.sampler(RESNET, keep=keep))
        run = vim.run(clean("hmdb51"), method)
        assert run.data.frames == 20
        assert run.method.wiring(20, 224, 64).shapes["backbone"].frames == keep
        amplified = vim.vim(RESNET, frame_sampler=vim.sampler(RESNET, keep=keep, temporal=False))
        assert vim.run(clean("hmdb51"), amplified).data.frames == keep

    def test_fewer_frames_to_choose_from_than_to_keep_are_refused(self) -> None:
        with pytest.raises(ValueError, match="video_sampler keeps 8 frames of each clip, but clips have 6"):
            vim.run(clean("hmdb51"), vim.vim(RESNET), dense_frames=6)

    @pytest.mark.parametrize("size", [32, 128, 224])
    def test_the_size_of_the_scan(self, size: int) -> None:
        assert vim.sampler(RESNET, scan_size=size) == vim.sampler(RESNET).model_copy(update={"scan_size": size})

    @pytest.mark.parametrize("name", ["shufflenet_v2_x1_5", "mobilenet_v2"])
    def test_the_network_that_scans(self, name: ScanName) -> None:
        network = ScanNetwork.Config(name=name)
        found = vim.sampler(RESNET, scan_network=network)
        assert found == vim.sampler(RESNET).model_copy(update={"scan_network": network})
        assert vim.run(clean("hmdb51"), vim.vim(RESNET, frame_sampler=found)).data.frames == 20


class TestWhereNetworksStart:
    def test_with_the_backbone_from_imagenet_and_pixels_normalised_as_there(self) -> None:
        run = vim.run(clean("hmdb51"), vim.vim(RESNET))
        assert run.data.normalisation == NORMALISATIONS["imagenet"]
        assert vim.sampler(RESNET).scan_network.weights == "imagenet"
        mg = vim.mgsampler(RESNET).frame_sampler
        assert isinstance(mg, MgSampler.Config)
        assert mg.weights == "imagenet"

    @pytest.mark.parametrize(
        "backbone",
        [ResNet.Config(weights="none"), Mvit.Config(), SmallNet.Config(channels=64)],
        ids=lambda b: b.kind,
    )
    def test_with_other_backbones_at_random_and_pixels_as_the_recipe_has_them(
        self, backbone: ResNet.Config | Mvit.Config | SmallNet.Config
    ) -> None:
        recipe = clean("hmdb51").model_copy(update={"backbone": backbone})
        assert recipe.data.normalisation != NORMALISATIONS["imagenet"]
        for row in (vim.no_alignment, vim.mgsampler):
            run = vim.run(recipe, row(backbone))
            assert run.data.normalisation == recipe.data.normalisation
            part = run.method.frame_sampler
            assert isinstance(part, VideoSampler.Config | MgSampler.Config)
            network = part.scan_network if isinstance(part, VideoSampler.Config) else part
            assert network.weights == "none"

    def test_narrow_backbones_get_a_small_scan(self) -> None:
        recipe = laptop64("motionshapes")
        part = vim.sampler(recipe.backbone)
        assert (part.scan_network.name, part.scan_network.weights, part.scan_size) == ("scan_tiny", "none", 32)
        assert vim.run(recipe, vim.vim(recipe.backbone)).data.normalisation == recipe.data.normalisation
