"""Which videos stored masks belong to, and how often their files are read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from fsar_core.data import mask_store
from fsar_core.data.clip_index import Clip
from fsar_core.data.mask_files import MaskError, StoredMasks, mask_path
from fsar_core.data.mask_store import MaskStore
from fsar_core.data.recent_masks import RecentMasks
from fsar_core.mask_settings import MaskSettings
from tests.fsar_core.made_masks import meta, numbered, put, write_listing

STRICT, FRAMES = MaskSettings(), np.arange(3)
CLIP = Clip("c/v", "c", "train", Path("none"), 3, "abc", 8, 8, 12.0)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("c/v", "c/w"):
        put(tmp_path, name, numbered(3, 4))
    write_listing(tmp_path, (4, 4))
    return tmp_path


class Calls:
    """Counts what the store does with contents of files."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.of: list[str] = []
        digest, parse = mask_store.digest, mask_store.parse_masks

        def digested(content: bytes) -> str:
            self.of.append("hash")
            return digest(content)

        def parsed(content: bytes, path: Path) -> StoredMasks:
            self.of.append("inflate")
            return parse(content, path)

        monkeypatch.setattr(mask_store, "digest", digested)
        monkeypatch.setattr(mask_store, "parse_masks", parsed)


def test_a_file_is_hashed_and_inflated_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store, calls = MaskStore(root, STRICT), Calls(monkeypatch)
    first, _ = store.read("c/v", FRAMES)
    first[:] = 99  # what a caller does with its masks is its own business
    again, _ = store.read("c/v", FRAMES[::-1])
    assert again[:, 0, 0].tolist() == [2, 1, 0]
    assert calls.of == ["hash", "inflate"]


def test_a_file_that_is_not_held_is_inflated_again_but_not_hashed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mask_store, "_HELD_BYTES", 0)
    store, calls = MaskStore(root, STRICT), Calls(monkeypatch)
    for _ in range(3):
        assert store.read("c/v", FRAMES)[0][:, 0, 0].tolist() == [0, 1, 2]
    assert calls.of == ["hash", "inflate", "inflate", "inflate"]


def test_a_file_that_is_exchanged_after_it_was_read_is_refused(root: Path) -> None:
    store = MaskStore(root, STRICT)
    store.read("c/v", FRAMES)
    put(root, "c/v", numbered(3, 4)[::-1].copy())
    with pytest.raises(MaskError, match="not the file that the manifest names"):
        store.read("c/v", FRAMES)
    mask_path(root, "c/w").unlink()
    with pytest.raises(MaskError, match="No such file"):
        store.read("c/w", FRAMES)


def test_the_file_used_longest_ago_goes_first_and_a_large_one_is_not_held() -> None:
    def stored(count: int) -> StoredMasks:
        return StoredMasks(np.zeros((count, 4, 4), np.uint8), np.arange(count), meta((4, 4)))

    recent, stamp = RecentMasks(limit=48), (1, 1)
    one, two, three = stored(1), stored(1), stored(1)
    recent.put("one", stamp, one)
    recent.put("two", stamp, two)
    recent.put("three", stamp, three)
    assert recent.get("one", stamp) is one
    recent.put("four", stamp, stored(1))
    assert recent.get("two", stamp) is None
    assert recent.get("one", stamp) is one
    recent.put("large", stamp, stored(4))
    assert recent.get("large", stamp) is None
    assert recent.get("three", stamp) is three
    assert recent.get("three", (2, 1)) is None
    for _ in range(9):
        recent.put("four", stamp, stored(1))  # takes its own place
    assert recent.get("one", stamp) is one


def test_masks_of_another_data_set_are_refused(root: Path) -> None:
    store = MaskStore(root, STRICT)
    (fault,) = store.faults([CLIP], "hmdb51")
    assert "must be those of 'hmdb51', got those of 'made'; make them with `fsar masks make`" in fault
    assert store.faults([CLIP], "made") == store.faults([CLIP]) == []


def test_masks_of_an_older_video_are_refused_where_the_manifest_noted_it(root: Path) -> None:
    write_listing(root, (4, 4), video="abc")
    clips = [CLIP, replace(CLIP, name="c/w", content="changed")]
    (fault,) = MaskStore(root, MaskSettings(missing="skip")).faults(clips)
    assert "1 of 2 train clips (c/w) have masks of another video than the present one" in fault
    write_listing(root, (4, 4))
    assert MaskStore(root, STRICT).faults(clips) == []


def test_too_few_masks_name_the_setting_that_would_fit(root: Path) -> None:
    write_listing(root, (4, 4), {"c/v": 3})
    (fault,) = MaskStore(root, STRICT).faults([replace(CLIP, frames=9)])
    assert "too few frames for masks.stride 1" in fault
    assert "or set masks.stride of the loss that reads them to the frames between two masks" in fault
    assert MaskStore(root, MaskSettings(stride=3)).faults([replace(CLIP, frames=9)]) == []
