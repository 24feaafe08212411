"""Instance masks from their files to a training batch: which file, which frame, which pixels."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_core.data import mask_store
from fsar_core.data.mask_files import MaskError, mask_path, parse_masks, write_masks
from fsar_core.data.mask_store import MaskStore
from fsar_core.mask_settings import MaskSettings
from tests.fsar_core.made_masks import (
    meta,
    numbered,
    put,
    write_listing,
)
from tests.fsar_core.masked_clips import SKIP, STRICT, clips_named

# Files


@pytest.mark.parametrize("width", [1, 7, 8, 13, 16])
def test_bits_come_back_as_0_and_255_at_widths_that_fill_no_byte(tmp_path: Path, width: int) -> None:
    soft = np.random.default_rng(width).random((3, 5, width)).astype(np.float32)
    path = tmp_path / "a" / "b.npz"
    write_masks(path, soft, [0, 2, 5], meta((5, width), threshold=0.4))
    found = parse_masks(path.read_bytes(), path)
    assert found.stored.shape == (3, 5, -(-width // 8))
    expected = np.where(soft >= np.float32(0.4), 255, 0)
    assert np.array_equal(found.take(np.array([2, 0, 1, 0])), expected[[2, 0, 1, 0]])
    assert found.frame_index.tolist() == [0, 2, 5]


def test_soft_masks_come_back_to_half_a_step_of_255(tmp_path: Path) -> None:
    soft = np.random.default_rng(0).random((4, 6, 6)).astype(np.float32)
    path = tmp_path / "a.npz"
    write_masks(path, soft, range(4), meta((6, 6)))
    assert np.abs(parse_masks(path.read_bytes(), path).take(np.arange(4)) / 255 - soft).max() <= 0.5 / 255 + 1e-6


class Trap:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[Path]]:
        return Path.touch, (self.path,)


def test_a_file_with_a_pickle_is_refused_and_not_run(tmp_path: Path) -> None:
    path, sprung = tmp_path / "a.npz", tmp_path / "sprung"
    np.savez(path, masks=np.array([Trap(sprung)], object), frame_index=np.arange(1), meta=np.array("{}"))
    with pytest.raises(MaskError, match="not a file of masks"):
        parse_masks(path.read_bytes(), path)
    assert not sprung.exists()


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"masks": np.zeros((2, 4, 5), np.uint8)}, r"must be uint8 of \(2, 4, 4\).* got uint8 of \(2, 4, 5\)"),
        ({"masks": np.zeros((2, 4, 4), np.float32)}, "got float32"),
        ({"frame_index": np.array([1, 1])}, "ascending"),
        ({"frame_index": np.array([-1, 1])}, "ascending"),
        ({"frame_index": np.array([0, 1, 2])}, "2 ascending numbers"),
        ({"frame_index": np.array([0.0, 1.0])}, "ascending"),
        ({"meta": np.array("{")}, "not a file of masks"),
        ({"meta": np.array('{"producer": "p", "model": "m", "prompt": ""}')}, "canvas"),
    ],
)
def test_a_file_that_contradicts_itself_is_refused(
    tmp_path: Path, change: dict[str, NDArray[np.generic]], said: str
) -> None:
    path = tmp_path / "a.npz"
    good = {
        "masks": np.zeros((2, 4, 4), np.uint8),
        "frame_index": np.arange(2),
        "meta": np.array(meta((4, 4)).model_dump_json()),
    }
    np.savez(path, allow_pickle=False, **(good | change))
    with pytest.raises(MaskError, match=said):
        parse_masks(path.read_bytes(), path)


@pytest.mark.parametrize("content", [b"", b"no archive at all", b"PK\x03\x04 cut"])
def test_a_damaged_file_is_named(content: bytes) -> None:
    with pytest.raises(MaskError, match=r"x/y\.npz: not a file of masks"):
        parse_masks(content, Path("x/y.npz"))


@pytest.mark.parametrize("name", ["../outside", "/etc/outside", "class/../../outside"])
def test_a_clip_name_never_leads_out_of_the_folder(tmp_path: Path, name: str) -> None:
    with pytest.raises(MaskError, match="mask files must lie in"):
        mask_path(tmp_path / "masks", name)


def test_a_link_never_leads_out_of_the_folder(tmp_path: Path) -> None:
    root = tmp_path / "masks"
    put(tmp_path, "outside", numbered(2, 4))
    put(root, "label/a", numbered(2, 4))
    write_listing(root, (4, 4))
    (root / "label" / "a.npz").unlink()
    (root / "label" / "a.npz").symlink_to(tmp_path / "outside.npz")
    with pytest.raises(MaskError, match="mask files must lie in"):
        MaskStore(root, STRICT).read("label/a", np.arange(2))
    assert "1 of 1" in MaskStore(root, STRICT).faults(clips_named("label/a"))[0]


# Which frame


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("stored", [[0], [0, 3, 6, 9], [2, 3, 11], list(range(12))])
def test_a_frame_takes_the_nearest_stored_mask_and_the_lower_of_two(
    tmp_path: Path, stride: int, stored: list[int]
) -> None:
    put(tmp_path, "c/v", numbered(12, 4)[stored], stored)
    write_listing(tmp_path, (4, 4))
    frames = np.array([11, 0, 5, 5, 1, 2, 3, 4, 6, 7, 8, 9, 10])
    masks, there = MaskStore(tmp_path, MaskSettings(missing="skip", stride=stride)).read("c/v", frames)
    for i, frame in enumerate(frames.tolist()):
        best = min(stored, key=lambda other: (abs(other - frame), other))
        assert there[i] == (abs(best - frame) < stride)
        assert (masks[i] == (best if there[i] else 0)).all()


def test_a_missing_mask_stops_training_and_says_which_frames(tmp_path: Path) -> None:
    put(tmp_path, "c/v", numbered(4, 4), [0, 1, 2, 4])
    write_listing(tmp_path, (4, 4))
    store = MaskStore(tmp_path, STRICT)
    with pytest.raises(MaskError, match=r"'c/v' must have masks.* none of frames \[3, 5\].* masks.missing to 'skip'"):
        store.read("c/v", np.array([5, 0, 3, 3]))
    with pytest.raises(MaskError, match=r"'c/other' must have masks"):
        store.read("c/other", np.array([0]))
    masks, there = MaskStore(tmp_path, SKIP).read("c/other", np.array([0, 7]))
    assert masks.shape == (2, 4, 4)
    assert there.tolist() == [False, False]


def test_an_empty_mask_is_a_target_and_not_missing(tmp_path: Path) -> None:
    put(tmp_path, "c/v", np.zeros((3, 4, 4), np.float32))
    write_listing(tmp_path, (4, 4))
    masks, there = MaskStore(tmp_path, STRICT).read("c/v", np.arange(3))
    assert there.all()
    assert not masks.any()


def test_a_file_that_was_exchanged_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "c/v", numbered(3, 4))
    write_listing(tmp_path, (4, 4))
    put(tmp_path, "c/v", numbered(3, 4)[::-1].copy())
    with pytest.raises(MaskError, match="not the file that the manifest names"):
        MaskStore(tmp_path, SKIP).read("c/v", np.arange(3))


# What is known before anything is scheduled


def test_faults_give_counts_names_and_what_to_do_without_reading_a_mask(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("c/1", "c/2", "c/3"):
        put(tmp_path, name, numbered(5, 4))
    write_listing(tmp_path, (4, 4), {"c/1": 5, "c/2": 9})
    mask_path(tmp_path, "c/3").write_bytes(b"cut")
    monkeypatch.setattr(mask_store, "parse_masks", lambda *_: pytest.fail("a mask is read"))  # pyright: ignore
    clips = clips_named("c/1", "c/2", "c/3", *(f"d/{i}" for i in range(7)))
    canvas, unlisted, spoilt, short = MaskStore(tmp_path, MaskSettings(canvas=8)).faults(clips)
    assert "must be 8x8 pixels, got 4x4" in canvas
    assert (
        "7 of 10 train clips (d/0, d/1, d/2, d/3, d/4, ...) have no masks; make them with `fsar masks make`" in unlisted
    )
    assert "1 of 10 train clips (c/3) have other mask files than the manifest says" in spoilt
    assert "1 of 10 train clips (c/1) have masks of too few frames for masks.stride 1" in short
    assert len(MaskStore(tmp_path, MaskSettings(stride=2)).faults(clips)) == 2
    assert len(MaskStore(tmp_path, SKIP).faults(clips)) == 1
    assert "7 of 7" in MaskStore(tmp_path, SKIP).faults(clips[3:])[0]
    assert MaskStore(tmp_path, STRICT).faults(clips[1:2]) == []


def test_a_folder_without_a_manifest_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(MaskError, match=r"no masks in .*manifest.json.*`fsar masks make`"):
        MaskStore(tmp_path / "none", STRICT)
    (tmp_path / "manifest.json").write_text('{"dataset": "d"}')
    with pytest.raises(MaskError, match=r"not a manifest of masks.*"):
        MaskStore(tmp_path, STRICT)


def test_a_fingerprint_names_the_contents_of_the_clips_asked_for_and_nothing_else(tmp_path: Path) -> None:
    def stored(folder: str, **values: int) -> MaskStore:
        for name, value in values.items():
            put(tmp_path / folder, f"c/{name}", numbered(9, 4)[value : value + 2].copy(), [0, 1])
        write_listing(tmp_path / folder, (4, 4))
        return MaskStore(tmp_path / folder, STRICT)

    names = ["c/a", "c/b"]
    first = stored("first", a=1, b=2).fingerprint(names)
    assert stored("same", b=2, a=1, other=3).fingerprint(reversed(names)) == first
    different = [stored("changed", a=1, b=3), stored("swapped", a=2, b=1), stored("fewer", a=1)]
    assert len({first, *(store.fingerprint(names) for store in different)}) == 4


# Which pixels
