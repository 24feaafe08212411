"""How parts are connected: several inputs, heads that only train, parts that a test leaves out, schedules of parts."""

import pytest
import torch
from torch import Tensor, nn

from fsar_core.checkpoint import drop_parts
from fsar_core.episode import Clips
from fsar_core.frame_samplers import Evenly
from fsar_core.frame_samplers.evenly import even_positions
from fsar_core.matchers import BiMhm, Otam
from fsar_core.method import Head, MethodConfig, Step
from fsar_core.progress import FollowsTraining
from fsar_core.stages import SpatialPool
from tests.fsar_core import tiny
from tests.fsar_core.lively import CLASSES, all_clips, built, episode

POOLED = Step(name="pooled", stage=SpatialPool.Config())
OTAM, BIMHM = Head(matcher=Otam.Config(), reads="pooled"), Head(matcher=BiMhm.Config(), reads="pooled")


def silent(head: Head) -> Head:
    return head.model_copy(update={"logit_weight": 0.0})


def config(**changes: object) -> MethodConfig:
    return MethodConfig.model_validate({"backbone": tiny.BACKBONE, "steps": (POOLED,), "heads": (OTAM,), **changes})


def test_a_stage_is_given_as_many_steps_as_it_reads() -> None:
    with pytest.raises(ValueError, match=r"step 'both': spatial_pool reads 1 steps, got \['backbone', 'pooled'\]"):
        config(steps=(POOLED, Step(name="both", stage=SpatialPool.Config(), reads=("backbone", "pooled"))))
    with pytest.raises(ValueError, match="step 'odd' reads 'later'; before it there are"):
        config(steps=(POOLED, Step(name="odd", stage=SpatialPool.Config(), reads=("later",))))


def test_naming_the_one_step_that_is_read_changes_nothing() -> None:
    named = config(steps=(Step(name="pooled", stage=SpatialPool.Config(), reads="backbone"),))
    listed = config(steps=(Step(name="pooled", stage=SpatialPool.Config(), reads=("backbone",)),))
    assert torch.equal(built(named).predict(episode()), built(listed).predict(episode()))


def test_heads_that_only_train_stand_last_and_a_test_does_not_build_them() -> None:
    with pytest.raises(ValueError, match="must stand after those that predict"):
        config(heads=(silent(BIMHM), OTAM))
    whole = config(heads=(OTAM, silent(BIMHM)))
    assert [head.matcher.kind for head in whole.for_test().heads] == ["otam"]
    output = built(whole)(episode())
    assert set(output.losses) == {"otam_0", "bimhm_1"}
    assert output.total.item() == pytest.approx(sum(own.item() for own in output.losses.values()))
    assert torch.equal(built(whole).predict(episode()), built(config()).predict(episode()))


def test_whole_parts_that_a_test_lacks_are_left_out_and_halves_of_parts_are_refused() -> None:
    keep = nn.ModuleDict({"steps": nn.ModuleDict({"a": nn.Linear(2, 2)}), "heads": nn.ModuleList([nn.Linear(2, 2)])})
    own = keep.state_dict()
    others: dict[str, Tensor] = {
        name: torch.zeros(1) for name in ("frame_sampler.scan.weight", "steps.b.weight", "heads.1.weight", "losses.0.w")
    }
    assert drop_parts(own | others, keep=keep).keys() == own.keys()
    with pytest.raises(ValueError, match=r"left over \['heads.0.scale'\]"):
        drop_parts(own | {"heads.0.scale": torch.zeros(1)}, keep=keep)
    with pytest.raises(ValueError, match=r"missing \['steps.a.bias'\]"):
        drop_parts({name: tensor for name, tensor in own.items() if name != "steps.a.bias"}, keep=keep)


def test_what_has_batch_norms_sees_supports_and_queries_apart_and_the_rest_does_not() -> None:
    method, whole = built(config()).train(), episode(shot=2)
    seen: list[tuple[str, int]] = []
    for name, module in (("backbone", method.backbone), ("pooled", method.steps["pooled"])):

        def note(_module: nn.Module, inputs: tuple[Tensor, ...], name: str = name) -> None:
            seen.append((name, len(inputs[0])))

        module.register_forward_pre_hook(note)
    method(whole)
    assert seen == [("backbone", 6), ("backbone", 6), ("pooled", 12)]
    seen.clear()
    method.eval()(whole)
    assert seen == [("backbone", 12), ("pooled", 12)]


def test_every_part_with_a_schedule_hears_of_every_step() -> None:
    class Part(FollowsTraining):
        heard: tuple[int, int] | None = None

        def at_step(self, step: int, steps: int) -> None:
            self.heard = (step, steps)

    method, inner = built(config()), Part()
    method.steps["pooled"].add_module("inner", inner)
    method.at_step(3, 7)
    assert inner.heard == (3, 7)


class TestEvenFrames:
    @pytest.mark.parametrize(("total", "keep"), [(20, 8), (8, 8), (9, 4), (5, 1)])
    def test_positions_are_the_middles_of_equal_parts(self, total: int, keep: int) -> None:
        expected = [int((i + 0.5) * total / keep) for i in range(keep)]
        assert even_positions(total, keep).tolist() == expected

    def test_the_backbone_sees_only_the_kept_frames(self) -> None:
        method = built(config(frame_sampler=Evenly.Config(keep=2)))
        clips: Clips = all_clips()
        outputs = method.embed(clips)
        assert torch.equal(outputs["frames"], clips.videos[:, [1, 3]])
        assert outputs["pooled"].shape[1] == 2
        assert method.wiring.shapes["pooled"].frames == 2

    def test_more_frames_than_there_are_is_refused(self) -> None:
        with pytest.raises(ValueError, match="evenly keeps 8 frames of each clip, but clips have 4"):
            config(frame_sampler=Evenly.Config()).build(frames=tiny.FRAMES, crop=tiny.CROP, classes=CLASSES)
