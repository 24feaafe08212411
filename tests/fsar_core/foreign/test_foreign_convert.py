"""Which code base a file is from, what it decides, and what is said of all that does not fit."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from fsar_core.foreign import Checkpoint, CheckpointError, Converted, convert, recognise
from fsar_core.matchers import BiMhm, SetRelation, Trx
from fsar_core.methods import frame_matching, hyrsm, strm, trx
from fsar_core.stages import VideoAttention
from tests.fsar_core.foreign.foreign_files import hyrsm_state, molo_state, strm_state, trx_state

CFG = {
    "TRAIN": {"POSITION_A": 2048, "POSITION_B": 0.01, "DATASET_FEW": "Kinetics_few_shot", "SHOT": 1},
    "VIDEO": {"HEAD": {"NAME": "CNN_HyRSM_1shot"}},
    "DATA": {"NUM_INPUT_FRAMES": 8},
}


def checkpoint(state: Mapping[str, Tensor], settings: Mapping[str, object] | None = None) -> Checkpoint:
    return Checkpoint(path=Path("a.pt"), key=None, weights=state, parallel=0, others={}, settings=settings or {})


def converted(state: Mapping[str, Tensor], settings: Mapping[str, object] | None = None) -> Converted:
    file = checkpoint(state, settings)
    return convert(file, recognise(file))


def refused(state: Mapping[str, Tensor], settings: Mapping[str, object] | None = None) -> str:
    with pytest.raises(CheckpointError) as caught:
        recognise(checkpoint(state, settings))
    return str(caught.value)


def matcher(made: Converted) -> Any:
    return made.method.heads[0].matcher


class TestFullSize:
    """As released, with a ResNet-50 and 8 frames; numbers that the papers and their code print."""

    @pytest.mark.parametrize(
        ("cardinalities", "parameters"), [((2, 3), 47_114_816), ((2,), 32_952_128), ((2, 3, 4), 65_996_096)]
    )
    def test_trx(self, cardinalities: tuple[int, ...], parameters: int) -> None:
        with torch.device("meta"):
            state = trx_state(cardinalities, width=1152, frames=8, dim=2048)
        assert _trained(state) == parameters
        made = converted(state)
        assert made.problems() == ()
        assert matcher(made) == Trx.Config(cardinalities=cardinalities, out_dim=1152)
        assert made.method == trx.trx(made.method.backbone, cardinalities=cardinalities)
        idle = 2304 * len(cardinalities)
        assert _built(made) == parameters - idle

    def test_strm(self) -> None:
        with torch.device("meta"):
            state = strm_state((2,), width=1152, frames=8, dim=2048)
        assert _trained(state) == 59_181_009
        made = converted(state)
        assert made.problems() == ()
        assert made.method == strm.no_qc(made.method.backbone)
        assert _built(made) == 59_181_009 - 2304

    def test_hyrsm(self) -> None:
        with torch.device("meta"):
            state = hyrsm_state(64, dim=2048)
        assert _trained(state) == 65_596_544
        made = converted(state)
        assert made.problems() == ()
        assert made.classes == 64
        assert made.method == hyrsm.hyrsm(made.method.backbone)
        assert _built(made) == 65_596_544

    @pytest.mark.parametrize("depth", [34, 101, 152])
    def test_every_depth_of_resnet_is_told_apart(self, depth: int) -> None:
        from tests.fsar_core.foreign.foreign_files import resnet_state

        with torch.device("meta"):
            others = {n: t for n, t in molo_state().items() if not n.startswith("head.backbone")}
            made = converted(resnet_state("head.backbone", f"resnet{depth}") | others)
        assert made.method.backbone.label() == f"ResNet-{depth}"
        assert made.problems() == ()


def _trained(state: Mapping[str, Tensor]) -> int:
    buffers = ("running_mean", "running_var", "num_batches_tracked", "pe.pe")
    return sum(tensor.numel() for name, tensor in state.items() if not name.endswith(buffers))


def _built(made: Converted) -> int:
    with torch.device("meta"):
        method = made.method.build(frames=8, crop=224, classes=made.classes)
    return sum(parameter.numel() for parameter in method.parameters())


@pytest.fixture(scope="module")
def trx_file() -> dict[str, Tensor]:
    return trx_state()


@pytest.fixture(scope="module")
def strm_file() -> dict[str, Tensor]:
    return strm_state()


@pytest.fixture(scope="module")
def hyrsm_file() -> dict[str, Tensor]:
    return hyrsm_state()


class TestWhatAFileDecides:
    def test_trx_and_its_frames(self, trx_file: dict[str, Tensor]) -> None:
        found = recognise(checkpoint(trx_file))
        assert (found.code.method, found.decided.frames) == ("trx", 4)
        assert found.decided.facts["cardinalities"] == "2, 3"
        assert "norm over cardinalities" in found.decided.notes[0]

    def test_every_tensor_is_mapped_or_has_a_reason(self, trx_file: dict[str, Tensor]) -> None:
        made = converted(trx_file)
        used = {name for names in made.mapped.values() for name in names}
        assert used | set(made.ignored) == set(trx_file)
        assert "never applies" in made.ignored["transformers.1.norm_v.weight"]
        assert made.mapped["heads.0.branches.1.key.weight"] == ("transformers.1.k_linear.weight",)

    def test_files_of_the_library_by_the_same_author_are_taken_too(self) -> None:
        state = trx_state((2,), backbone="backbone")
        state |= {f"transformers.0.tuples.{i}": torch.tensor([0, i]) for i in range(1, 4)}
        assert converted(state).problems() == ()

    def test_strm_leaves_out_what_was_never_saved(self, strm_file: dict[str, Tensor]) -> None:
        found = recognise(checkpoint(strm_file))
        assert (found.code.title, found.decided.frames) == ("STRM", 4)
        assert "never saves" in found.decided.notes[0]
        assert len(converted(strm_file).method.heads) == 1

    def test_the_released_strm_gets_a_random_projection_of_a_fixed_seed(self, strm_file: dict[str, Tensor]) -> None:
        file = checkpoint(strm_file)
        found = recognise(file)
        release = strm.strm(
            found.decided.method.backbone,
            out_dim=12,
            similarity=strm.release(found.decided.method.backbone).heads[1].matcher,  # pyright: ignore[reportArgumentType]
        )
        made = convert(file, found, release)
        names = [f"heads.1.branches.0.projection.{kind}" for kind in ("bias", "weight")]
        assert list(made.drawn) == names
        assert made.problems() == ()
        torch.manual_seed(1)
        first, second = (made.build(frames=4, crop=64).state_dict()[names[1]] for _ in range(2))
        assert torch.equal(first, second)
        assert first.std() > 0

    def test_a_trained_projection_cannot_come_from_a_released_file(self, strm_file: dict[str, Tensor]) -> None:
        file = checkpoint(strm_file)
        found = recognise(file)
        made = convert(file, found, strm.strm(found.decided.method.backbone, out_dim=12))
        assert made.missing == ("heads.1.branches.0.projection.bias", "heads.1.branches.0.projection.weight")

    def test_hyrsm_reads_its_settings(self, hyrsm_file: dict[str, Tensor]) -> None:
        found = recognise(checkpoint(hyrsm_file, CFG))
        assert found.decided.settled
        assert (found.decided.frames, found.decided.classes) == (8, 7)
        method = found.decided.method
        assert method.steps[1].stage == VideoAttention.Config(amplification=2048.0, position_scale=0.01)
        assert method.heads[0].matcher == SetRelation.Config(shots="distances")
        assert found.decided.facts["its data set"] == "Kinetics_few_shot"

    def test_hyrsm_without_settings_says_so(self, hyrsm_file: dict[str, Tensor]) -> None:
        plain = {name.removeprefix("head."): tensor for name, tensor in hyrsm_file.items()}
        found = recognise(checkpoint(plain))
        assert not found.decided.settled
        assert "no settings" in found.decided.notes[0]
        assert convert(checkpoint(plain), found).problems() == ()

    @pytest.mark.parametrize("train", [{"POSITION_A": 0, "POSITION_B": 1}, {"HEAD": "eight"}])
    def test_settings_that_make_no_sense_are_refused(
        self, hyrsm_file: dict[str, Tensor], train: dict[str, object]
    ) -> None:
        assert "in TRAIN" in refused(hyrsm_file, CFG | {"TRAIN": train})

    def test_of_molo_only_the_backbone_is_used(self) -> None:
        state = molo_state()
        found = recognise(checkpoint(state))
        made = convert(checkpoint(state), found)
        assert isinstance(matcher(made), BiMhm.Config)
        assert made.problems() == ()
        assert made.ignored["head.class_token"] == "a part of MoLo that is not built here"
        assert all(name.startswith("backbone.") for name in made.weights)
        assert found.code.printed_as is None

    def test_any_file_gives_a_backbone_alone(self, trx_file: dict[str, Tensor]) -> None:
        file = checkpoint(trx_file)
        found = recognise(file)
        made = convert(file, found, frame_matching.otam(found.decided.method.backbone))
        assert made.problems() == ()
        assert made.ignored["transformers.0.k_linear.weight"] == "the method has no heads.0"


class TestWhatDoesNotFit:
    def test_other_names_are_shown(self) -> None:
        said = refused({f"encoder.{i}": torch.ones(1) for i in range(9)})
        assert "HyRSM, MoLo (backbone alone), STRM, TRX" in said
        assert "its 9 tensors have other names: encoder.0" in said
        assert said.endswith(", ...")

    def test_missing_and_left_over_tensors_are_listed(self, trx_file: dict[str, Tensor]) -> None:
        state = {name: tensor for name, tensor in trx_file.items() if name != "transformers.0.norm_k.bias"}
        made = converted(state | {"transformers.0.gate": torch.ones(1)})
        assert made.missing == ("heads.0.branches.0.key_norm.bias",)
        assert made.left_over == ("transformers.0.gate",)
        assert len(made.problems()) == 2
        with pytest.raises(CheckpointError, match="nothing for heads"):
            made.build(frames=4, crop=40)

    def test_another_variant_is_refused_by_its_shapes(self, trx_file: dict[str, Tensor]) -> None:
        file = checkpoint(trx_file)
        found = recognise(file)
        made = convert(file, found, trx.trx(found.decided.method.backbone, cardinalities=(2, 4), out_dim=12))
        assert any("is (12, 1536) in the file, but (12, 2048)" in problem for problem in made.problems())

    def test_another_table_of_positions_is_a_fault(self, trx_file: dict[str, Tensor]) -> None:
        name = "transformers.0.pe.pe"
        (problem,) = converted(trx_file | {name: 10 * trx_file[name]}).problems()
        assert problem.startswith(f"{name} must be the released code's table")

    def test_weights_of_a_training_that_diverged_are_a_fault(self, trx_file: dict[str, Tensor]) -> None:
        broken = trx_file["transformers.0.k_linear.bias"] * float("nan")
        (problem,) = converted(trx_file | {"transformers.0.k_linear.bias": broken}).problems()
        assert "diverged" in problem
        assert "heads.0.branches.0.key.bias" in problem

    def test_a_part_of_a_joined_projection_that_is_missing_is_named(self, hyrsm_file: dict[str, Tensor]) -> None:
        state = {name: tensor for name, tensor in hyrsm_file.items() if not name.endswith("w_ks.weight")}
        problems = converted(state).problems()
        assert any(
            "made of 3 tensors there, but the file has only head.temporal_atte.w_qs.weight" in p for p in problems
        )

    def test_a_backbone_that_is_no_resnet_is_refused(self, trx_file: dict[str, Tensor]) -> None:
        state = {name: tensor for name, tensor in trx_file.items() if not name.startswith("resnet.7")}
        assert "stages of (2, 2, 2, 0) blocks" in refused(state)

    def test_keys_of_broken_frames_are_refused(self, trx_file: dict[str, Tensor]) -> None:
        name = "transformers.0.k_linear.weight"
        assert "whole frames, 512 wide" in refused(trx_file | {name: trx_file[name][:, :700]})

    def test_counters_that_old_files_lack_are_not_missed(self, trx_file: dict[str, Tensor]) -> None:
        old = {name: tensor for name, tensor in trx_file.items() if "num_batches_tracked" not in name}
        assert converted(old).build(frames=4, crop=40)
