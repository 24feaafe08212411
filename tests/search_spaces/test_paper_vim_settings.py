"""What the settings of VIM's tables mean where names and values alone do not say it, and which are refused."""

import pytest

from fsar_core.frame_samplers import Evenly, KeepAll, VideoSampler
from fsar_core.losses import IntraVideo
from fsar_core.matchers import PairAlignment, ProtoNet
from fsar_core.methods import vim
from fsar_core.presets import Recipe
from search_spaces.papers.paper import Knobs, RefusedError, Resolved
from search_spaces.papers.vim import PAPER
from search_spaces.papers.vim_sampler import scan_size
from tests.search_spaces.paper_cells import printed_cell, recipe_of, resolved

CLEAN = recipe_of("UCF101", 1)


def made(knobs: Knobs, recipe: Recipe = CLEAN) -> Resolved:
    return PAPER.resolve(knobs, recipe)


def refusal(knobs: Knobs) -> str:
    with pytest.raises(RefusedError) as caught:
        made(knobs)
    return str(caught.value)


def test_without_settings_it_is_the_full_method() -> None:
    assert made({}).run == vim.run(CLEAN, vim.vim(CLEAN.backbone))


class TestATestWithoutAPart:
    def test_the_sampler_leaves_evenly_spaced_frames_of_those_that_were_dense(self) -> None:
        own = resolved(PAPER, printed_cell("vim/table17", "Remove sampler during testing"))
        assert own.measured is not None
        assert own.run.data.frames == 20
        assert own.measured.frame_sampler == Evenly.Config(keep=8)
        assert own.measured.steps == own.run.method.steps
        assert [head.matcher for head in own.measured.heads] == [PairAlignment.Config()]

    def test_the_alignment_leaves_frame_by_frame_matching_of_what_is_sampled(self) -> None:
        own = resolved(PAPER, printed_cell("vim/table17", "Remove alignment during testing"))
        assert own.measured is not None
        assert own.measured.frame_sampler == own.run.method.frame_sampler
        assert [step.name for step in own.measured.steps] == ["features", "pooled"]
        assert [head.matcher for head in own.measured.heads] == [ProtoNet.Config()]

    def test_the_training_stays_that_of_the_full_method(self) -> None:
        full = made({}).run
        assert made({"eval_remove": "sampler"}).run == full
        assert made({"eval_remove": "alignment"}).run == full


class TestTheSizeOfAScan:
    @pytest.mark.parametrize("published", [32, 64, 128, 224])
    def test_is_the_printed_one_for_frames_as_in_the_paper(self, published: int) -> None:
        assert scan_size(published, usual=64, crop=224) == published

    def test_grows_up_to_the_whole_frame_for_smaller_ones(self) -> None:
        assert [scan_size(size, usual=32, crop=64) for size in (32, 64, 128, 224)] == [22, 32, 47, 64]
        assert [scan_size(size, usual=64, crop=112) for size in (32, 64, 128, 224)] == [47, 64, 87, 112]

    def test_is_never_less_than_a_scan_needs(self) -> None:
        assert [scan_size(size, usual=32, crop=224) for size in (32, 64, 128, 224)] == [16, 32, 94, 224]

    def test_of_frames_that_leave_no_room_is_refused(self) -> None:
        assert scan_size(64, usual=32, crop=32) == 32
        with pytest.raises(RefusedError, match="frames of more than 32 pixels per side only, got a crop of 32"):
            scan_size(128, usual=32, crop=32)


class TestSmallPresets:
    small = recipe_of("UCF101", 1, "laptop64")

    def sampler(self, knobs: Knobs) -> VideoSampler.Config:
        found = made(knobs, self.small).run.method.frame_sampler
        assert isinstance(found, VideoSampler.Config)
        return found

    @pytest.mark.parametrize(
        ("printed", "name"),
        [
            ("ShuffleNetV2-0.5x", "scan_tiny"),
            ("ShuffleNetV2-1.5x", "shufflenet_v2_x1_5"),
            ("ShuffleNetV1-2.0x", "shufflenet_v1_x2_0"),
            ("MobileNetV2-1.0x", "mobilenet_v2"),
            ("MobileNetV1-0.75x", "mobilenet_v1_x0_75"),
        ],
    )
    def test_scan_with_the_networks_of_the_paper_but_for_the_usual_one_all_untrained(
        self, printed: str, name: str
    ) -> None:
        network = self.sampler({"scan_network": printed}).scan_network
        assert (network.name, network.weights) == (name, "none")

    def test_double_their_crops_where_the_paper_does(self) -> None:
        data = made({"frame_size": 448}, self.small).run.data
        assert (data.crop, data.resize.size) == (128, 144)
        assert self.sampler({"frame_size": 448, "scan_size": 224}).scan_size == 64

    def test_of_odd_sizes_are_refused(self) -> None:
        assert "frame_size 225 must make whole numbers of the recipe's crops of 224" in refusal({"frame_size": 225})


def test_the_loss_of_a_sampler_that_stands_alone_has_its_usual_weight_where_none_is_printed() -> None:
    alone = printed_cell("vim/table4", "sampler+L_intra").settings
    assert alone["mu_intra"] is None
    assert made(alone).run.method.losses == (IntraVideo.Config(weight=0.5),)
    assert made(alone | {"mu_intra": 1}).run.method.losses == (IntraVideo.Config(weight=1.0),)


def test_frames_are_those_of_the_row_whatever_the_recipe_has() -> None:
    data = CLEAN.data.model_copy(update={"frames": 16})
    recipe = CLEAN.model_copy(update={"data": data})
    assert PAPER.resolve(printed_cell("vim/table4", "none (ProtoNet)").settings, recipe).run.data.frames == 8
    amplified = made({"temporal_selector": False}, recipe).run
    assert amplified.data.frames == 8
    assert not isinstance(amplified.method.frame_sampler, KeepAll.Config)


class TestRefused:
    def test_unknown_names_and_values_are_all_listed(self) -> None:
        said = refusal(
            {"dense_frame": 20, "scan_network": "VGG", "mu_inter": -1, "temporal_selector": "yes", "frames": 0}
        )
        assert "'dense_frame'; did you mean 'dense_frames'?" in said
        for name, value in (("scan_network", "'VGG'"), ("mu_inter", "-1"), ("temporal_selector", "'yes'")):
            assert f"{name}: " in said
            assert f"got {value}" in said
        assert "frames: Input should be greater than or equal to 1, got 0" in said

    def test_unknown_settings_of_methods_that_are_trained_again_too(self) -> None:
        assert "'mu_intra'" in refusal({"method": "OTAM", "mu_intra": 1})
        assert "'RTX'" in refusal({"method": "RTX"})

    @pytest.mark.parametrize(
        ("knobs", "said"),
        [
            ({"method": "VIM+TRX"}, "goes with match_metric 'exhaustive_pairs_triplets', got 'framewise_cosine'"),
            ({"method": "ProtoNet"}, "has neither VIM's sampler nor its alignment, but one of them is on"),
            ({"set_attention": True}, "set_attention goes with method 'VIM+HyRSM', and only there"),
            ({"exhaustive": "spatial"}, "exhaustive replaces every alignment, but alignment_method is 'own'"),
            ({"spatial_amplifier": False}, "they are False and 'amplify'"),
            ({"scan_size": None}, "scan_size goes with VIM's sampler, which is on; got None"),
            ({"frame_sampler": "mgsampler"}, "stands in the place of VIM's, which is on"),
            ({"dense_frames": None}, "dense_frames goes with a sampler; got None"),
            ({"temporal_selector": False, "dense_frames": 14}, "dense_frames 14 changes nothing without"),
            ({"tc_parts": None}, "tc_parts goes with temporal_coordination, which is on; got None"),
            ({"sc_implementation": None}, "sc_implementation goes with spatial_coordination, which is on"),
            ({"alignment_order": None}, "goes with temporal and spatial coordination, both; got None"),
            ({"alignment_method": "vava"}, "alignment_method 'own' goes with temporal or spatial coordination"),
            ({"loss_intra": False}, "mu_intra is 0 where loss_intra is off, and only there; got 0.5 with False"),
            ({"mu_inter": 0}, "mu_inter is 0 where loss_inter is off, and only there"),
        ],
    )
    def test_what_does_not_go_together(self, knobs: Knobs, said: str) -> None:
        assert said in refusal(knobs)

    def test_a_loss_or_a_removal_of_parts_that_are_off(self) -> None:
        protonet = printed_cell("vim/table4", "none (ProtoNet)").settings
        said = refusal(protonet | {"loss_intra": True, "mu_intra": 1, "task_adaptive": True})
        assert "loss_intra needs VIM's sampler, which is off" in said
        assert "task_adaptive goes with VIM's sampler, which is off" in said
        assert "eval_remove takes away VIM's alignment, which is off" in refusal(
            protonet | {"eval_remove": "alignment"}
        )
