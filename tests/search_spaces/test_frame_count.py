"""Numbers of frames at their ends, and VIM's two numbers together."""

import pytest

from fsar_core.frame_samplers import VideoSampler
from fsar_core.methods import all_methods
from fsar_core.presets import laptop64
from search_spaces.spaces import all_spaces
from search_spaces.spaces.frame_count import SPACES, with_frames

RECIPE = laptop64("motionshapes")
FEWEST = {"otam": 2, "sgtm": 3, "trx": 3, "strm": 2, "hyrsm": 2, "i2st": 2}


@pytest.mark.parametrize("method", FEWEST)
def test_clips_have_as_many_frames_as_drawn_from_the_fewest_to_sixteen(method: str) -> None:
    space = all_spaces()[f"frame_count/{method}"]
    for frames in (FEWEST[method], 16):
        assert space.run({"frames": frames}, RECIPE).data.frames == frames
    with pytest.raises(ValueError, match="out of the range"):
        space.run({"frames": 17}, RECIPE)


@pytest.mark.parametrize(("method", "reason"), [("sgtm", "no visible frame of 2"), ("trx", "at most the 2 frames")])
def test_two_frames_are_not_drawn_where_the_paper_s_setting_needs_more(method: str, reason: str) -> None:
    space, module = all_spaces()[f"frame_count/{method}"], all_methods()[method]
    with pytest.raises(ValueError, match="out of the range"):
        space.run({"frames": 2}, RECIPE)
    with pytest.raises(ValueError, match=reason):
        module.run(with_frames(RECIPE, 2), module.variants[method](RECIPE.backbone))


@pytest.mark.parametrize(("keep", "spare"), [(4, 0), (16, 0), (16, 24), (8, 12)])
def test_vim_scans_as_many_frames_as_it_keeps_or_more(keep: int, spare: int) -> None:
    run = all_spaces()["frame_count/vim"].run({"frames": keep, "spare_frames": spare}, RECIPE)
    chosen = run.method.frame_sampler
    assert isinstance(chosen, VideoSampler.Config)
    assert (chosen.keep, run.data.frames) == (keep, keep + spare)


def test_vim_s_grid_draws_both_tables_with_the_usual_setting_once_in_each() -> None:
    table = all_spaces()["frame_count/vim"].grid(RECIPE)
    runs = {cell.row: cell.run.run_id() for cell in table.cells}
    assert len(runs) == 13
    assert runs["T=8"] == runs["M=20"]
    assert len(set(runs.values())) == 12
    assert all(cell.published for cell in table.cells)
    assert {(cell.settings["varies"], cell.settings["count"]) for cell in table.cells} >= {("T", 14), ("M", 32)}


def test_the_number_of_frames_changes_neither_steps_nor_episodes() -> None:
    space = all_spaces()["frame_count/otam"]
    few, many = (space.run({"frames": frames}, RECIPE) for frames in (2, 16))
    assert few.model_copy(update={"data": many.data}) == many


def test_each_number_of_frames_has_class_scores_of_its_own_on_one_backbone() -> None:
    space = all_spaces()["frame_count/sgtm"]
    needs = [{need.target: need.run for need in space.run({"frames": n}, RECIPE).needs} for n in (4, 8)]
    assert needs[0]["backbone"] == needs[1]["backbone"] == RECIPE.needs[0].run
    assert [own["losses.0.guide"].data.frames for own in needs] == [4, 8]


def test_other_clips_leave_what_the_backbone_needs() -> None:
    changed = with_frames(RECIPE, 12)
    assert changed.needs == RECIPE.needs
    assert changed.data.frames == 12


def test_grids_of_ours_go_from_two_to_ten_frames_like_i2st_s_figure() -> None:
    for space in SPACES[:-1]:
        table = space.grid(RECIPE)
        fewest = FEWEST[space.name.rpartition("/")[2]]
        assert table.rows() == tuple(f"T={n}" for n in (2, 4, 6, 8, 10) if n >= fewest)
        assert table.reference == "T=8"
        assert "grid of ours" in table.title
    assert "figure 4" in all_spaces()["frame_count/i2st"].grid(RECIPE).notes[0]
