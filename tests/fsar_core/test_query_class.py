"""STRM's query-class similarity against the released code, against its equation as loops, and what it must keep."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from fsar_core.episode import Features, Shape
from fsar_core.matchers import QueryClass, Trx, query_class
from fsar_core.matchers.tuple_attention import blocks
from tests.fsar_core.matcher_cases import randn
from tests.fsar_core.query_class_loops import features, matcher, slow_logit

GOLDEN = Path(__file__).parents[1] / "golden"
DTYPES = pytest.mark.parametrize(("dtype", "tol"), [(torch.float64, 1e-10), (torch.float32, 1e-5)], ids=str)


class TestGolden:
    @DTYPES
    @pytest.mark.parametrize("case", ["shot1", "shot3"])
    @pytest.mark.parametrize("cardinality", [2, 3])
    def test_logits_and_gradients_are_those_of_the_released_code(
        self, cardinality: int, case: str, dtype: torch.dtype, tol: float
    ) -> None:
        arrays, given = self.given(case, dtype)
        prefix = f"{case}.c{cardinality}"
        made = matcher(64, 8, cardinalities=(cardinality,)).to(dtype)
        made.branches[0].load_state_dict(self.weights(arrays, cardinality))
        query, support = given.query.requires_grad_(), given.support.requires_grad_()

        found = made(given).logits

        assert found.dtype == dtype
        torch.testing.assert_close(found, arrays[f"{prefix}.logits"], rtol=tol, atol=tol)
        (found * arrays[f"{prefix}.cotangent"]).sum().backward()
        order = arrays[f"{case}.support_labels"].argsort(stable=True)
        grads = {"query": query.grad, "support": cast(Tensor, support.grad).flatten(0, 1)[order.argsort()]}
        grads |= {
            f"cls.{kind}": made.get_parameter(f"branches.0.projection.{kind}").grad for kind in ("weight", "bias")
        }
        for name, own in grads.items():
            expected = arrays[f"{prefix}.grad.{name}"]
            torch.testing.assert_close(own, expected, rtol=tol, atol=tol * max(1.0, float(expected.abs().max())))

    @DTYPES
    @pytest.mark.parametrize("case", ["shot1", "shot3"])
    def test_two_cardinalities_are_averaged(self, case: str, dtype: torch.dtype, tol: float) -> None:
        arrays, given = self.given(case, dtype)
        made = matcher(64, 8).to(dtype)
        for branch, cardinality in zip(made.branches, (2, 3), strict=True):
            branch.load_state_dict(self.weights(arrays, cardinality))
        torch.testing.assert_close(made(given).logits, arrays[f"{case}.c23.logits"], rtol=tol, atol=tol)

    def given(self, case: str, dtype: torch.dtype) -> tuple[dict[str, Tensor], Features]:
        arrays = {name: torch.from_numpy(own) for name, own in np.load(GOLDEN / "strm_qc.npz").items()}
        arrays = {name: own.to(dtype) if own.is_floating_point() else own for name, own in arrays.items()}
        by_class = arrays[f"{case}.support_labels"].argsort(stable=True)
        support = arrays[f"{case}.support"][by_class].unflatten(0, (5, -1))
        return arrays, Features(support=support, query=arrays[f"{case}.query"])

    def weights(self, arrays: dict[str, Tensor], cardinality: int) -> dict[str, Tensor]:
        return {f"projection.{kind}": arrays[f"c{cardinality}.cls.{kind}"] for kind in ("weight", "bias")}


class TestEquation:
    @pytest.mark.parametrize(
        "fields",
        [
            {},
            {"cardinalities": (1,)},
            {"cardinalities": (4, 2), "dim": 5},
            {"similarity": "cosine"},
            {"branch_reduction": "sum"},
            {"tuple_fraction": 0.5, "tuple_seed": 3},
            {"tuple_fraction": 0.01},
        ],
        ids=str,
    )
    @pytest.mark.parametrize(
        "sizes", [{}, {"way": 2, "shot": 3, "queries": 1, "frames": 4}, {"shot": 1, "query_frames": 6}], ids=str
    )
    def test_logits_are_those_of_loops(self, fields: dict[str, Any], sizes: dict[str, int]) -> None:
        made, given = matcher(**fields), features(**sizes)
        expected = [[slow_logit(made, query, shots) for shots in given.support] for query in given.query]
        found = made(given).logits
        torch.testing.assert_close(found, torch.tensor(expected, dtype=torch.float64), rtol=1e-10, atol=1e-10)

    def test_many_episodes_at_once_are_the_episodes_one_by_one(self) -> None:
        made, given = matcher(), features(2, 3)
        found = made(given).logits
        assert found.shape == (2, 3, 4, 3)
        for i in range(2):
            for j in range(3):
                alone = made(Features(support=given.support[i, j], query=given.query[i, j])).logits
                torch.testing.assert_close(found[i, j], alone, rtol=1e-12, atol=1e-12)

    @pytest.mark.parametrize("similarity", ["neg_l2", "cosine"])
    def test_the_gradient_is_that_of_finite_differences(self, similarity: str) -> None:
        made, given = matcher(similarity=similarity), features(queries=2)

        def logits(query: Tensor, support: Tensor) -> Tensor:
            return made(Features(support=support, query=query)).logits

        assert torch.autograd.gradcheck(logits, (given.query.requires_grad_(), given.support.requires_grad_()))


class _Largest(TorchDispatchMode):
    """Bytes of the largest tensor that an operation has made."""

    found = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        for own in result if isinstance(result, tuple | list) else (result,):
            if isinstance(own, Tensor):
                self.found = max(self.found, own.untyped_storage().nbytes())
        return result


class TestMemory:
    LIMIT = 1 << 14

    def test_blocks_give_the_logits_and_gradients_of_the_whole(self, monkeypatch: pytest.MonkeyPatch) -> None:
        made, found = matcher(), list[list[Tensor]]()
        for limit in (1 << 30, 1 << 10):
            monkeypatch.setattr(query_class, "blocks", partial(blocks, limit=limit))
            given = features(3, way=4, queries=5)
            leaves = [given.query.requires_grad_(), given.support.requires_grad_(), *made.parameters()]
            logits = made(given).logits
            found.append([logits.detach(), *torch.autograd.grad((logits * randn(3, 5, 4, seed=9)).sum(), leaves)])
        torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-10)

    def test_no_array_is_larger_than_the_bound_however_many_clips_there_are(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        made = matcher(cardinalities=(2,))
        query, support = randn(40, 4, 6), randn(50, 4, 6, seed=1)
        whole = made.pair_scores(query, support)
        clips = max(query.nbytes, support.nbytes, whole.nbytes)
        monkeypatch.setattr(query_class, "blocks", partial(blocks, limit=self.LIMIT))
        with torch.no_grad(), _Largest() as largest:
            found = made.pair_scores(query, support)
        assert 40 * 50 * 6 * 6 * 8 > 10 * self.LIMIT > 10 * clips
        assert largest.found <= max(self.LIMIT, clips)
        torch.testing.assert_close(found, whole)


class TestSwitches:
    def test_pair_scores_are_the_logits_of_single_shots(self) -> None:
        made, given = matcher(), features(2, way=3, shot=1)
        assert made.shot_rule(1) == "mean"
        assert made.shot_rule(2) is None
        torch.testing.assert_close(made.pair_scores(given.query, given.support.squeeze(2)), made(given).logits)

    def test_a_frozen_projection_is_stored_and_passes_gradients(self) -> None:
        made, given = matcher(projection="frozen"), features()
        assert all(not own.requires_grad for own in made.parameters())
        assert {"branches.0.projection.weight", "branches.1.projection.bias"} <= set(made.state_dict())
        support = given.support.requires_grad_()
        made(given).logits.sum().backward()
        assert support.grad is not None
        assert support.grad.any()
        assert all(own.requires_grad for own in matcher().parameters())

    def test_dropout_acts_in_training_only_unless_asked_for(self) -> None:
        given = features()
        silent, loud = matcher(dropout=0.5), matcher(dropout=0.5, eval_dropout=True)
        torch.testing.assert_close(silent(given).logits, matcher(dropout=0.0)(given).logits)
        dropped = loud(given).logits
        assert torch.equal(loud(given).logits, dropped)
        assert (dropped - silent(given).logits).abs().max() > 0.1
        assert loud.shot_rule(1) is None
        torch.manual_seed(0)
        first, second = (silent.train()(given).logits for _ in range(2))
        assert (first - second).abs().max() > 0.1

    def test_dropout_in_tests_does_not_depend_on_how_episodes_are_batched(self) -> None:
        made, given = matcher(dropout=0.5, eval_dropout=True), features(3)
        found = made(given).logits
        for i in range(3):
            alone = made(Features(support=given.support[i], query=given.query[i])).logits
            torch.testing.assert_close(found[i], alone, rtol=1e-12, atol=1e-12)

    def test_dropout_in_tests_keeps_the_share_it_should_and_its_scale(self) -> None:
        made = matcher(cardinalities=(1,), dropout=0.25, eval_dropout=True)
        seen: list[Tensor] = []
        projected = query_class.project_tuples

        def look(frames: Tensor, *rest: Tensor) -> Tensor:
            seen.append(frames)
            return projected(frames, *rest)

        ones = Features(support=torch.ones(2, 50, 4, 6), query=torch.ones(100, 4, 6))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(query_class, "project_tuples", look)
            made.float()(ones)
        (both,) = seen
        query, support = (own.flatten() for own in both.split(100, dim=1))
        assert not torch.equal(support, query)
        for own in (support, query):
            assert set(own.tolist()) == {0.0, float(torch.tensor(1.0) / 0.75)}
            assert (own == 0).float().mean().item() == pytest.approx(0.25, abs=0.03)

    def test_tuples_are_those_that_trx_keeps(self) -> None:
        fields = {"cardinalities": (2,), "tuple_fraction": 0.2, "tuple_seed": 4}
        shape = Shape(level="frame", frames=8, dim=6)
        built = [kind.model_validate(fields).build(shape) for kind in (QueryClass.Config, Trx.Config)]
        tables = [dict(own.named_buffers())["branches.0.table"] for own in built]
        assert torch.equal(tables[0], tables[1])
        assert len(tables[0]) == 6
        assert not any("table" in name for name in built[0].state_dict())

    def test_the_width_is_half_that_of_the_features_unless_given(self) -> None:
        for channels, given, expected in ((7, None, 3), (1, None, 1), (6, 5, 5)):
            weight = matcher(channels, dim=given).get_parameter("branches.0.projection.weight")
            assert weight.shape == (expected, 2 * channels)

    @pytest.mark.parametrize("cardinalities", [(), (0,), (2, 2)], ids=str)
    def test_faulty_cardinalities_are_refused(self, cardinalities: tuple[int, ...]) -> None:
        with pytest.raises(ValidationError, match="one or more distinct integers >= 1, got"):
            QueryClass.Config(cardinalities=cardinalities)

    def test_tuples_longer_than_the_clips_are_refused(self) -> None:
        with pytest.raises(ValueError, match="at most the 3 frames of a clip, got 4"):
            QueryClass.Config(cardinalities=(4,)).check(Shape(level="frame", frames=3, dim=6))


class TestInvariants:
    def test_classes_and_shots_have_no_order_and_a_second_copy_changes_nothing(self) -> None:
        made, given = matcher(), features()
        whole = made(given).logits
        torch.testing.assert_close(made(replace(given, support=given.support[[2, 0, 1]])).logits, whole[:, [2, 0, 1]])
        torch.testing.assert_close(made(replace(given, support=given.support[:, [1, 0]])).logits, whole)
        torch.testing.assert_close(made(replace(given, support=given.support[:, [0, 1, 0, 1]])).logits, whole)
        torch.testing.assert_close(made(replace(given, query=given.query[1:2])).logits, whole[1:2])

    @pytest.mark.parametrize("similarity", ["neg_l2", "cosine"])
    def test_a_clip_is_most_similar_to_itself(self, similarity: str) -> None:
        made, given = matcher(similarity=similarity, dim=32), features(shot=1)
        logits = made(replace(given, query=given.support[:, 0])).logits
        best = 0.0 if similarity == "neg_l2" else 1.0
        torch.testing.assert_close(logits.diagonal(), torch.full((3,), best, dtype=torch.float64), rtol=0, atol=1e-12)
        assert logits.argmax(1).tolist() == [0, 1, 2]
        assert (logits <= best + 1e-12).all()

    def test_under_autocast_the_logits_are_those_of_full_precision(self) -> None:
        made, given = matcher().float(), features()
        given = Features(support=given.support.bfloat16(), query=given.query.bfloat16())
        expected = made(Features(support=given.support.float(), query=given.query.float())).logits
        with torch.autocast("cpu", torch.bfloat16):
            found = made(given).logits
        assert found.dtype == torch.float32
        assert torch.equal(found, expected)

    @pytest.mark.parametrize("fields", [{}, {"eval_dropout": True}, {"tuple_fraction": 0.3}, {"similarity": "cosine"}])
    def test_it_runs_without_numbers(self, fields: dict[str, Any]) -> None:
        config = QueryClass.Config.model_validate({"cardinalities": (2, 3), **fields})
        with torch.device("meta"):
            made = config.build(Shape(level="frame", frames=8, dim=6)).eval()
            given = Features(support=torch.empty(2, 5, 1, 8, 6), query=torch.empty(2, 7, 6, 6))
            assert made(given).logits.shape == (2, 7, 5)
