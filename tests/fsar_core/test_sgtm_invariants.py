"""What must hold of SGTM whatever its weights are: who sees what, who is trained, and what stays still."""

from hashlib import sha256
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from fsar_core.backbones import SmallNet, WeightsFile
from fsar_core.config import RunConfig
from fsar_core.episode import Clips, Trace
from fsar_core.method import Method, MethodConfig
from fsar_core.methods import sgtm
from fsar_core.presets import laptop
from fsar_core.train import Execution, TrainState, train
from tests.fsar_core import tiny
from tests.fsar_core.lively import CLASSES, all_clips, built, episode
from tests.fsar_core.masked_branch import P, R, branch, config_with, trace_of, traced, watch


@pytest.fixture(scope="module")
def method() -> Method:
    return built(tiny.METHODS["sgtm"])


def _copied(config: MethodConfig, source: Method) -> Method:
    other = built(config, seed=8)
    other.load_state_dict(
        {name: value for name, value in source.state_dict().items() if not name.startswith("losses.")}, strict=False
    )
    return other


@pytest.mark.parametrize("other", ["encoder_only", "sgtm_random", "sgtm_unmasked", "weight", "detach"])
def test_the_prediction_knows_nothing_of_the_masked_branch(method: Method, other: str) -> None:
    configs = {"weight": config_with(weight=0.9), "detach": config_with(detach_target=False)} | tiny.METHODS
    assert torch.equal(_copied(configs[other], method).predict(episode()), method.predict(episode()))


def test_a_clip_s_features_do_not_depend_on_the_clips_beside_it(method: Method) -> None:
    whole = episode()
    with torch.no_grad():
        together = method.embed(whole)["matching"]
        alone = method.embed(Clips(videos=whole.videos[4:5], class_ids=whole.class_ids[4:5]))["matching"]
    torch.testing.assert_close(together[4:5], alone, rtol=1e-4, atol=1e-5)


def _with_fixed_ranking(method: Method, monkeypatch: pytest.MonkeyPatch) -> None:
    """Frames 0 and 3 are hidden, whatever the features are."""

    def fixed(trace: Trace, source: Tensor) -> Tensor:
        return torch.tensor([3.0, 2.0, 1.0, 0.0]).expand(source.shape[:2])

    monkeypatch.setattr(branch(method), "saliency", fixed, raising=False)


def test_hidden_frames_reach_the_loss_through_the_target_only(monkeypatch: pytest.MonkeyPatch) -> None:
    method, clips = built(tiny.METHODS["sgtm"]), episode()
    _with_fixed_ranking(method, monkeypatch)
    with torch.no_grad():
        outputs = method.embed(clips)
        other = dict(outputs) | {"pooled": outputs["pooled"].clone()}
        other["pooled"][:, [0, 3]] += 1.0
        before, after = (watch(method, trace_of(method, own, clips)) for own in (outputs, other))
        assert torch.equal(before.latent, after.latent)
        assert torch.equal(before.rebuilt, after.rebuilt)
        assert before.loss != after.loss
        other["pooled"][:, 1] += 1.0
        assert not torch.equal(watch(method, trace_of(method, other, clips)).latent, before.latent)


@pytest.mark.parametrize("detach", [True, False])
def test_a_detached_target_gives_the_features_no_way_to_lower_the_loss_by_shrinking(
    detach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    method, clips = built(config_with(detach_target=detach)), episode()
    _with_fixed_ranking(method, monkeypatch)
    outputs = {name: value.detach() for name, value in method.embed(clips).items()}
    source = outputs["pooled"].requires_grad_()
    branch(method)(trace_of(method, outputs, clips)).backward()
    assert source.grad is not None
    assert (source.grad[:, [0, 3]] == 0).all() == detach
    assert (source.grad[:, [1, 2]] != 0).any()


@pytest.mark.parametrize("weight", [0.0, 0.5])
def test_only_a_weight_above_zero_trains_decoder_mask_token_and_head(weight: float) -> None:
    method = built(config_with(weight=weight)).train()
    method(episode()).total.backward()
    gradients = {
        name: own.grad.abs().max().item()
        for name, own in method.named_parameters()
        if name.startswith("losses.") and own.grad is not None
    }
    assert {name.split(".")[2] for name in gradients} == {"decoder", "mask_token", "head"}
    assert (max(gradients.values()) > 0) == (weight > 0)
    assert gradients["losses.0.mask_token"] == 0 or weight > 0


def test_the_guide_stays_in_eval_mode_and_ranks_alike_twice_in_training() -> None:
    method = built(tiny.METHODS["sgtm"]).train()
    own, clips = branch(method), all_clips()
    assert own.guide is not None
    assert own.training
    assert own.decoder.training
    assert not any(module.training for module in own.guide.modules())
    trace = trace_of(method, {name: value.detach() for name, value in method.embed(clips).items()}, clips)
    source = trace.outputs["pooled"]
    assert torch.equal(own.saliency(trace, source), own.saliency(trace, source))
    assert torch.equal(own.visible_tokens(trace, source), own.visible_tokens(trace, source))


def test_the_saliency_is_summed_in_full_precision_under_autocast(method: Method) -> None:
    with torch.no_grad():
        trace = traced(method, episode())
        full = branch(method).saliency(trace, trace.outputs["pooled"])
        with torch.autocast("cpu", torch.bfloat16):
            half = branch(method).saliency(trace, trace.outputs["pooled"])
            loss = branch(method)(trace)
    assert half.dtype == loss.dtype == torch.float32
    torch.testing.assert_close(half, full, rtol=0.02, atol=0.02)


def test_random_masks_need_no_guide_and_differ_between_passes() -> None:
    method = built(tiny.METHODS["sgtm_random"])
    assert branch(method).guide is None
    trace = traced(method, all_clips())
    source = trace.outputs["pooled"]
    assert not torch.equal(branch(method).visible_tokens(trace, source), branch(method).visible_tokens(trace, source))


@pytest.mark.parametrize("switch", ["pred_head", "residual", "learned positions"])
def test_switches_of_the_architecture_add_what_they_say(switch: str, method: Method) -> None:
    names = set(method.state_dict())
    if switch == "pred_head":
        assert names - set(built(config_with(pred_head=False)).state_dict()) == {
            "losses.0.head.weight",
            "losses.0.head.bias",
        }
        return
    stage = tiny.METHODS["sgtm"].steps[1].stage
    changes = {"residual": True} if switch == "residual" else {"positions": "learned"}
    step = tiny.METHODS["sgtm"].steps[1].model_copy(update={"stage": stage.model_copy(update=changes)})
    steps = (tiny.METHODS["sgtm"].steps[0], step, tiny.METHODS["sgtm"].steps[2])
    other = _copied(tiny.METHODS["sgtm"].model_copy(update={"steps": steps}), method)
    if switch == "residual":
        with torch.no_grad():
            with_input, without = (own.embed(episode()) for own in (other, method))
        torch.testing.assert_close(with_input["encoded"], without["encoded"] + without["pooled"])
    else:
        assert set(other.state_dict()) - names == {"steps.encoded.positions.table"}
        assert other.get_parameter("steps.encoded.positions.table").shape == (tiny.FRAMES * R, P)


def test_classes_decide_the_guide_only(method: Method) -> None:
    other = tiny.METHODS["sgtm"].build(frames=tiny.FRAMES, crop=tiny.CROP, classes=CLASSES + 3)
    differ = {name for name, value in other.state_dict().items() if value.shape != method.state_dict()[name].shape}
    assert differ == {"losses.0.guide.convolutions.6.weight", "losses.0.guide.convolutions.6.bias"}


def started(run: RunConfig) -> tuple[TrainState, dict[str, Tensor]]:
    """With the weights of an untrained class-score run, which are given back."""
    first = tiny.started(run.needs[-1].run.with_seed(5)).method.state_dict()
    needs = {need.target: first for need in run.needs}
    return TrainState.start(run, CLASSES, tiny.CPU, needs), first


def trained(state: TrainState) -> None:
    run = state.run
    train(state, tiny.clips("train", run.data), tiny.clips("val", run.data), tiny.CPU, lambda _progress, _state: None)


def guide_weights(state: TrainState) -> dict[str, Tensor]:
    guide = branch(state.method).guide
    assert guide is not None
    return {name: value.clone() for name, value in guide.state_dict().items()}


def test_the_guide_has_the_needed_run_s_weights_and_keeps_them_bitwise_through_training(tmp_path: Path) -> None:
    state, first = started(sgtm.run(tiny.recipe(steps=3), tiny.METHODS["sgtm"]))
    given = {name.removeprefix("steps.scores."): own for name, own in first.items() if name.startswith("steps.scores.")}
    before = state.method.get_parameter("losses.0.mask_token").clone()
    trained(state)
    assert not torch.equal(state.method.get_parameter("losses.0.mask_token"), before)
    state.save(tmp_path, {})
    resumed, _ = started(state.run)
    resumed.resume(tmp_path)
    for found in (guide_weights(state), guide_weights(resumed)):
        assert found.keys() == given.keys()
        assert all(torch.equal(found[name], given[name]) for name in given)
    assert not any(module.training for module in resumed.method.train().get_submodule("losses.0.guide").modules())


def frozen_guide_run() -> RunConfig:
    return sgtm.run(tiny.recipe(steps=3), config_with(guide_backbone=tiny.BACKBONE))


def test_a_backbone_of_the_guide_s_own_ranks_frames_whatever_the_trained_one_has_become() -> None:
    state, _ = started(frozen_guide_run())
    method, clips = state.method, all_clips()

    def saliency() -> Tensor:
        with torch.no_grad():
            trace = traced(method.eval(), clips)
            return branch(method).saliency(trace, trace.outputs["pooled"])

    before = saliency()
    kept = {n: p.clone() for n, p in method.state_dict().items() if n.startswith("losses.0.guide")}
    trained(state)
    assert torch.equal(saliency(), before)
    assert all(torch.equal(method.state_dict()[name], value) for name, value in kept.items())
    frozen = {name for name, parameter in method.named_parameters() if not parameter.requires_grad}
    assert frozen == {name for name, _ in method.named_parameters() if name.startswith("losses.0.guide")}
    with torch.no_grad():
        by_hand = branch(method).get_submodule("guide_backbone.0")(clips.videos).mean((-2, -1))
        assert torch.equal(branch(method).get_submodule("guide")(by_hand).sum(-1), before)


def test_a_backbone_of_the_guide_s_own_gets_its_pretrained_weights_from_their_file(tmp_path: Path) -> None:
    pretrained = tiny.started(tiny.run("baseline").with_seed(11)).method.backbone.state_dict()
    save_file({name: own.contiguous() for name, own in pretrained.items()}, tmp_path / "net.safetensors")
    digest = sha256((tmp_path / "net.safetensors").read_bytes()).hexdigest()
    backbone = SmallNet.Config(channels=4, weights=WeightsFile(name="net.safetensors", sha256=digest))
    run = tiny.recipe().few_shot(config_with(guide_backbone=backbone))
    state = TrainState.start(run, CLASSES, Execution(device=torch.device("cpu"), weights_folder=tmp_path), {})
    found = branch(state.method).get_submodule("guide_backbone.0").state_dict()
    assert found.keys() == pretrained.keys()
    assert all(torch.equal(found[name], pretrained[name]) for name in pretrained)


def test_a_backbone_of_the_guide_s_own_needs_what_the_recipe_s_backbone_needs() -> None:
    recipe = laptop("motionshapes")
    plain = sgtm.sgtm(recipe.backbone)
    loss = plain.losses[0].model_copy(update={"guide_backbone": recipe.backbone})
    run = sgtm.run(recipe, plain.model_copy(update={"losses": (loss,)}))
    assert [need.target for need in run.needs] == ["backbone", "losses.0.guide", "losses.0.guide_backbone.0"]
    assert run.needs[0].run == run.needs[2].run
    weights = {need.target: tiny_weights(need.run) for need in run.needs}
    state = TrainState.start(run, 12, tiny.CPU, weights)
    found = branch(state.method).get_submodule("guide_backbone.0").state_dict()
    assert all(torch.equal(value, state.method.backbone.state_dict()[name]) for name, value in found.items())


def tiny_weights(run: RunConfig) -> dict[str, Tensor]:
    """Random weights of the run's method, for 12 base classes."""
    torch.manual_seed(run.seed)
    return run.method.build(frames=run.data.frames, crop=run.data.crop, classes=12).state_dict()
