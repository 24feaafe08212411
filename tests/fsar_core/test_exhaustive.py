"""Exhaustive matching in time and space: reference numbers, and every tuple and every shift as slow loops."""

from itertools import combinations, product
from pathlib import Path

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from torch import Tensor

from fsar_core.episode import Features, Shape
from fsar_core.matchers import ExhaustiveSpatial, ExhaustiveTemporal
from fsar_core.matchers.windows import lattice_offsets, window_means, window_weights
from tests.fsar_core.matcher_cases import randn

GOLDEN = Path(__file__).parents[1] / "golden" / "vim_variants.npz"
TOLERANCE = {torch.float64: 1e-6, torch.float32: 1e-5}
every_dtype = pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
every_case = pytest.mark.parametrize("case", ["c0", "c1"])


def golden(case: str, dtype: torch.dtype) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
    """Maps of queries and supports, (V, T, D, h, w), and the reference numbers."""
    arrays = {k.removeprefix(f"{case}."): v for k, v in np.load(GOLDEN).items() if k.startswith(f"{case}.")}
    support, query = (torch.from_numpy(arrays.pop(name)).to(dtype).transpose(1, 2) for name in ("support", "query"))
    return query, support, {name: torch.from_numpy(np.asarray(value)) for name, value in arrays.items()}


def shape_of(maps: Tensor) -> Shape:
    return Shape(level="map", frames=maps.shape[-4], dim=maps.shape[-3], cells=maps.shape[-1])


@every_dtype
@every_case
class TestGolden:
    def test_spatial(self, case: str, dtype: torch.dtype) -> None:
        query, support, given = golden(case, dtype)
        for lattice, name in (("pixel", "enumerate_distance"), ("half_pixel", "half_pixel_distance")):
            config = ExhaustiveSpatial.Config.model_validate(
                {"lattice": lattice, "max_offset": int(given["max_offset"])}
            )
            found = -config.build(shape_of(support)).pair_scores(query, support).mT
            tol = TOLERANCE[dtype]
            torch.testing.assert_close(found, given[name].to(dtype), rtol=tol, atol=tol)

    def test_temporal(self, case: str, dtype: torch.dtype) -> None:
        query, support, given = golden(case, dtype)
        frames, tol = support.shape[1], TOLERANCE[dtype]

        def distance(*cardinalities: int) -> Tensor:
            matcher = ExhaustiveTemporal.Config(cardinalities=cardinalities).build(shape_of(support))
            return -matcher.pair_scores(query.mean((-2, -1)), support.mean((-2, -1))).mT

        expected = given["tuple_distance"].to(dtype)
        torch.testing.assert_close(torch.stack((distance(2), distance(3)), -1) / frames, expected, rtol=tol, atol=tol)
        torch.testing.assert_close(distance(2, 3), given["temporal_exhaustive"].to(dtype), rtol=tol, atol=tol)


def slow_distance(x: Tensor, y: Tensor) -> float:
    return 1 - float(x @ y / (x.norm() * y.norm()))


def slow_shift_distance(query: Tensor, support: Tensor, steps: list[float]) -> float:
    """(D, L, L) maps: the least distance over all shifts, each overlap summed cell by cell."""
    size = query.shape[-1]

    def share(place: float) -> float:
        """How much of a cell at this place is inside: it falls to 0 one cell outside."""
        return min(max(1 - max(-place, place - (size - 1)), 0.0), 1.0)

    def mean(maps: Tensor, dx: float, dy: float) -> Tensor:
        weights = [(r, c, share(r + dy) * share(c + dx)) for r, c in product(range(size), repeat=2)]
        return torch.stack([w * maps[:, r, c] for r, c, w in weights]).sum(0) / sum(w for *_, w in weights)

    return min(slow_distance(mean(query, -dx, -dy), mean(support, dx, dy)) for dx, dy in product(steps, repeat=2))


def slow_tuples(distances: Tensor, cardinality: int) -> float:
    """Mean over all pairs of tuples of the mean distance of their frames."""
    found = [
        sum(float(distances[a, b]) for a, b in zip(q, s, strict=True)) / cardinality
        for q in combinations(range(distances.shape[0]), cardinality)
        for s in combinations(range(distances.shape[1]), cardinality)
    ]
    return sum(found) / len(found)


class TestEquations:
    @pytest.mark.parametrize(("query_frames", "frames"), [(3, 3), (5, 4), (3, 6)])
    @pytest.mark.parametrize("cardinalities", [(1,), (2, 3), (3, 1, 2)], ids=str)
    def test_temporal_is_the_mean_over_all_pairs_of_joined_tuples(
        self, cardinalities: tuple[int, ...], query_frames: int, frames: int
    ) -> None:
        query, support = randn(2, query_frames, 5), randn(3, frames, 5, seed=1)
        matcher = ExhaustiveTemporal.Config(cardinalities=cardinalities).build(shape_of(support[..., None, None]))
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for a, s, w in product(range(2), range(3), cardinalities):
            of_query = [torch.cat([query[a, i] for i in t]) for t in combinations(range(query_frames), w)]
            of_support = [torch.cat([support[s, i] for i in t]) for t in combinations(range(frames), w)]
            all_pairs = [slow_distance(x, y) for x, y in product(of_query, of_support)]
            expected[a, s] -= query_frames * sum(all_pairs) / len(all_pairs) / len(cardinalities)
        torch.testing.assert_close(matcher.pair_scores(query, support), expected)

    CASES = (
        (4, ExhaustiveSpatial.Config(), [-3, -2, -1, 0, 1, 2, 3]),
        (3, ExhaustiveSpatial.Config(max_offset=1), [-1, 0, 1]),
        (3, ExhaustiveSpatial.Config(max_offset=0), [0]),
        (1, ExhaustiveSpatial.Config(), [0]),
        (3, ExhaustiveSpatial.Config(lattice="half_pixel"), [-2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2]),
        (4, ExhaustiveSpatial.Config(lattice="half_pixel", max_offset=1), [-1, -0.5, 0, 0.5, 1]),
    )

    @pytest.mark.parametrize(("cells", "config", "steps"), CASES, ids=lambda c: str(c))
    def test_spatial_is_the_least_distance_over_all_shifts(
        self, cells: int, config: ExhaustiveSpatial.Config, steps: list[float]
    ) -> None:
        query, support = randn(2, 2, 5, cells, cells), randn(3, 2, 5, cells, cells, seed=1)
        expected = torch.zeros(2, 3, dtype=torch.float64)
        for a, s, t in product(range(2), range(3), range(2)):
            expected[a, s] -= slow_shift_distance(query[a, t], support[s, t], steps)
        torch.testing.assert_close(config.build(shape_of(support)).pair_scores(query, support), expected)

    @pytest.mark.parametrize(("query_frames", "frames"), [(3, 3), (4, 3)])
    def test_both_take_the_least_distance_of_every_frame_pair_first(self, query_frames: int, frames: int) -> None:
        query, support = randn(2, query_frames, 5, 2, 2), randn(2, frames, 5, 2, 2, seed=1)
        matcher = ExhaustiveSpatial.Config(temporal=True).build(shape_of(support))
        expected = torch.zeros(2, 2, dtype=torch.float64)
        for a, s in product(range(2), repeat=2):
            each = [[slow_shift_distance(x, y, [-1, 0, 1]) for y in support[s]] for x in query[a]]
            distances = torch.tensor(each, dtype=torch.float64)
            expected[a, s] = -query_frames * (slow_tuples(distances, 2) + slow_tuples(distances, 3)) / 2
        torch.testing.assert_close(matcher.pair_scores(query, support), expected)

    def test_without_shifts_it_is_the_prototype_of_means(self) -> None:
        features = Features(support=randn(3, 2, 4, 5, 3, 3), query=randn(5, 4, 5, 3, 3, seed=1))
        found = ExhaustiveSpatial.Config(max_offset=0).build(shape_of(features.query))(features).logits
        query, prototype = features.query.mean((-2, -1)), features.support.mean((1, -2, -1))
        cosines = torch.cosine_similarity(query.unsqueeze(1), prototype, dim=-1)
        torch.testing.assert_close(found, (cosines - 1).sum(-1))

    def test_a_shifted_copy_is_found(self) -> None:
        frames = randn(2, 5, 6, 6)  # (T, D, h, w)
        query, support = frames[..., :5, 1:].unsqueeze(0), frames[..., 1:, :5].unsqueeze(0)
        scores = ExhaustiveSpatial.Config().build(shape_of(support)).pair_scores(query, support)
        assert scores.item() == pytest.approx(0, abs=1e-12)


class TestWindows:
    def test_offsets_are_symmetric_and_reach_the_last_overlap(self) -> None:
        assert lattice_offsets(4).tolist() == [-3, -2, -1, 0, 1, 2, 3]
        assert lattice_offsets(7, "half_pixel", 1).tolist() == [-1, -0.5, 0, 0.5, 1]
        assert lattice_offsets(1, "half_pixel").tolist() == [0]

    def test_means_of_a_constant_map_are_the_constant(self) -> None:
        weights = window_weights(5, lattice_offsets(5, "half_pixel"))
        means = window_means(torch.full((2, 3, 5, 5), 0.7, dtype=torch.float64), weights)
        torch.testing.assert_close(means, torch.full((2, 17 * 17, 3), 0.7, dtype=torch.float64))

    def test_rows_go_through_y_first(self) -> None:
        maps = torch.arange(4.0).view(1, 2, 2)  # value 2 y + x
        means = window_means(maps, window_weights(2, lattice_offsets(2))).view(3, 3)
        # Offset +1 leaves cell 0 of the axis, -1 cell 1.
        assert means.tolist() == [[3.0, 2.5, 2.0], [2.0, 1.5, 1.0], [1.0, 0.5, 0.0]]


class TestRefusals:
    def test_more_frames_per_tuple_than_a_clip_has(self) -> None:
        shape = Shape(level="frame", frames=2, dim=4)
        with pytest.raises(ValueError, match="at most the 2 frames of a clip, got 3"):
            ExhaustiveTemporal.Config().check(shape)
        with pytest.raises(ValueError, match="distinct integers >= 1, got"):
            ExhaustiveTemporal.Config(cardinalities=(2, 2)).check(shape)
        with pytest.raises(ValueError, match="at most the 2 frames of a clip, got 3"):
            ExhaustiveSpatial.Config(temporal=True).check(Shape(level="map", frames=2, dim=4, cells=3))
        ExhaustiveSpatial.Config().check(Shape(level="map", frames=2, dim=4, cells=3))

    def test_shifts_without_an_overlap(self) -> None:
        with pytest.raises(ValueError, match="below the 3 cells per side of the maps, got 3"):
            ExhaustiveSpatial.Config(max_offset=3).check(Shape(level="map", frames=2, dim=4, cells=3))

    def test_unequal_numbers_of_frames_frame_by_frame(self) -> None:
        matcher = ExhaustiveSpatial.Config().build(Shape(level="map", frames=2, dim=4, cells=2))
        with pytest.raises(ValueError, match="need equally many frames, but got 3 and 2"):
            matcher.pair_scores(randn(1, 3, 4, 2, 2), randn(1, 2, 4, 2, 2))


@pytest.mark.parametrize("kind", [ExhaustiveSpatial, ExhaustiveTemporal])
@pytest.mark.parametrize("cardinalities", [(), (0, 2), (2, 2)], ids=str)
def test_cardinalities_must_be_distinct_and_positive(
    kind: type[ExhaustiveSpatial] | type[ExhaustiveTemporal], cardinalities: tuple[int, ...]
) -> None:
    fields = {"cardinalities": cardinalities} | ({"temporal": True} if kind is ExhaustiveSpatial else {})
    with pytest.raises(ValidationError, match="one or more distinct integers >= 1, got"):
        kind.Config.model_validate(fields)


def test_cardinalities_that_would_not_be_read_are_refused() -> None:
    with pytest.raises(ValidationError, match="set temporal=True or leave them at"):
        ExhaustiveSpatial.Config(cardinalities=(2,))
    assert ExhaustiveSpatial.Config(cardinalities=(2,), temporal=True).cardinalities == (2,)
