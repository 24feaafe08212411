"""What I2ST's training is on each data set, and what of it stays with the method."""

from collections.abc import Callable

import pytest

from fsar_core.backbones import SmallNet
from fsar_core.data.config import Flip, Jitter
from fsar_core.losses import BaseClasses
from fsar_core.mask_settings import MaskSettings
from fsar_core.method import MethodConfig
from fsar_core.methods import i2st
from fsar_core.presets import clean, laptop

BACKBONE = SmallNet.Config(channels=2)
VARIANTS = i2st.METHOD.variants


class TestRun:
    @pytest.mark.parametrize(
        ("dataset", "masks", "classes", "flip"),
        [
            ("hmdb51", 0.2, 0.4, 0.5),
            ("ucf101", 0.2, 0.6, 0.5),
            ("kinetics100", 0.4, 0.1, 0.5),
            ("ssv2_small", 0.2, 0.15, 0.0),
            ("ssv2_full", 0.4, 0.8, 0.0),
        ],
    )
    def test_a_data_set_of_the_paper_sets_the_weights_and_the_augmentation(
        self, dataset: str, masks: float, classes: float, flip: float
    ) -> None:
        assert dataset in i2st.DATASET_WEIGHTS
        assert len(i2st.DATASET_WEIGHTS) == 5
        run = i2st.run(clean(dataset), i2st.i2st(BACKBONE))
        assert [loss.weight for loss in run.method.losses] == [masks, classes]
        pooled = i2st.run(clean(dataset), i2st.gap_sum(BACKBONE))
        assert [loss.weight for loss in pooled.method.losses] == [masks]
        image = i2st.run(clean(dataset), i2st.no_instances(BACKBONE))
        assert [loss.weight for loss in image.method.losses] == [classes]
        head = run.method.losses[1]
        assert isinstance(head, BaseClasses.Config)
        assert (head.over, head.reads) == ("mean", "fused")
        assert run.data.jitter == Jitter(support=False, query=True)
        assert run.data.flip == Flip(query=flip)

    @pytest.mark.parametrize("dataset", ["hmdb51", "kinetics100", "motionshapes"])
    @pytest.mark.parametrize("make", [i2st.i2st, i2st.gap_sum])
    def test_each_lambda_is_a_run_of_its_own(self, make: Callable[..., MethodConfig], dataset: str) -> None:
        recipe = clean(dataset)
        weights = (0.05, 0.1, 0.2, 0.4, 1.0)  # among them the defaults
        runs = [i2st.METHOD.run(recipe, make(BACKBONE, mask_weight=weight)) for weight in weights]
        assert [run.method.losses[0].weight for run in runs] == list(weights)
        without = i2st.METHOD.run(recipe, make(BACKBONE, mask_weight=0.0))
        assert not without.method.needs_masks()
        assert len({run.run_id() for run in (*runs, without)}) == 6

    def test_each_weight_of_the_classes_is_a_run_of_its_own(self) -> None:
        for make in (i2st.i2st, i2st.no_instances):
            runs = [i2st.run(clean("hmdb51"), make(BACKBONE, class_weight=w)) for w in (0.0, 0.1, 0.4)]
            assert [run.method.losses[-1].weight for run in runs] == [0.0, 0.1, 0.4]
            assert len({run.run_id() for run in runs}) == 3

    def test_a_weight_that_was_set_later_or_came_back_from_json_stays(self) -> None:
        method = i2st.i2st(BACKBONE)
        later = method.losses[0].model_copy(update={"weight": 0.2})
        back = MethodConfig.model_validate_json(method.model_dump_json())
        for own in (method.model_copy(update={"losses": (later,)}), back):
            assert i2st.run(clean("kinetics100"), own).method.losses[0].weight == 0.2

    def test_a_weight_below_zero_is_refused(self) -> None:
        with pytest.raises(ValueError, match="greater than or equal to 0"):
            i2st.i2st(BACKBONE, mask_weight=-0.1)

    def test_the_way_masks_are_read_is_set_from_outside(self) -> None:
        for make in (i2st.i2st, i2st.gap_sum):
            method = make(BACKBONE, masks=MaskSettings(stride=4))
            assert method.mask_settings() == MaskSettings(stride=4)
            assert i2st.run(clean("hmdb51"), method).method.mask_settings() == MaskSettings(stride=4)

    def test_without_a_fusion_no_class_head_is_added(self) -> None:
        for name in ("gap_sum", "baseline"):
            method = VARIANTS[name](BACKBONE)
            assert {loss.kind for loss in i2st.run(clean("ucf101"), method).method.losses} <= {"mask_regression"}

    def test_another_data_set_leaves_method_and_recipe(self) -> None:
        recipe = laptop("motionshapes")
        method = i2st.i2st(recipe.backbone)
        assert i2st.run(recipe, method) == recipe.few_shot(method)
