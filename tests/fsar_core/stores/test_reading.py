"""Frames from folders and zips: the same as from videos, in order, and refused with the name of what is wrong."""

import os
import zipfile
import zlib
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import pytest

from fsar_core.data import video
from fsar_core.data.stores import images, zip_file
from fsar_core.data.stores.location import Location
from fsar_core.data.stores.reading import looked_at, probe, read_frames
from fsar_core.data.stores.stamp import NOWHERE, stamp_of
from fsar_core.data.video import UnreadableVideo
from tests.fsar_core.stores.made_stores import image, names, numbers_of, write_frames, write_zip
from tests.fsar_core.videos import write_video

LAYOUTS = {
    "eight digits": names(12),
    "from zero": names(12, first=0),
    "TSM": names(12, digits=5, before="img_"),
    "png": names(12, digits=6, kind="png"),
    "no zeros": names(12, digits=1),
}


@pytest.mark.parametrize("files", LAYOUTS.values(), ids=LAYOUTS.keys())
def test_frames_of_a_folder_come_by_number_and_by_index(tmp_path: Path, files: list[str]) -> None:
    where = Location(write_frames(tmp_path / "clip", files))
    known = probe(where)
    assert (known.frames, known.height, known.width, known.fps, known.decoder) == (12, 24, 32, 0.0, "images")
    assert known.codec == ("png" if files[0].endswith("png") else "jpeg")
    assert looked_at(where)[1] == known
    assert numbers_of(read_frames(where, None)) == list(range(12))
    picked = read_frames(where, [7, 0, 7, 11])
    assert numbers_of(picked) == [7, 0, 7, 11]
    assert (picked.shape, picked.dtype) == ((4, 24, 32, 3), np.uint8)
    assert read_frames(where, []).shape == (0, 24, 32, 3)


@pytest.mark.parametrize("packed", [False, True])
def test_a_zip_is_read_in_place(tmp_path: Path, packed: bool) -> None:
    path = write_zip(tmp_path / "store.zip", ["data/run/a", "data/run/b"], names(9), packed=packed)
    where = Location(path, "data/run/b")
    assert probe(where).frames == 9
    assert numbers_of(read_frames(where, [8, 3])) == [8, 3]
    assert [entry.name for entry in tmp_path.iterdir()] == ["store.zip"]


def test_pixels_are_those_that_pillow_decodes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    folder = write_frames(tmp_path / "clip", ["1.png"])
    pixels = rng.integers(256, size=(20, 30, 3), dtype=np.uint8)
    images.Image.fromarray(pixels).save(folder / "1.png")
    np.testing.assert_array_equal(read_frames(Location(folder), [0])[0], pixels)
    images.Image.fromarray(pixels[:, :, 0]).save(folder / "1.png")
    np.testing.assert_array_equal(read_frames(Location(folder), [0])[0], pixels[:, :, :1].repeat(3, axis=2))


def test_videos_are_read_as_ever(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", 12)
    assert looked_at(Location(path))[1] == probe(Location(path)) == video.probe(path)
    np.testing.assert_array_equal(read_frames(Location(path), [3, 1]), video.read_frames(path, [3, 1]))


def test_the_content_follows_names_and_bytes_and_not_the_place(tmp_path: Path) -> None:
    first, second = (Location(write_frames(tmp_path / name, names(4))) for name in ("a", "b"))
    content = looked_at(first)[0]
    assert len(content) == 32
    assert looked_at(second)[0] == content
    (second.path / names(4)[2]).write_bytes(image(9))
    changed = looked_at(second)[0]
    (second.path / names(4)[3]).rename(second.path / "00000009.jpg")
    assert len({content, changed, looked_at(second)[0]}) == 3


def test_the_content_of_a_zip_is_that_of_its_members(tmp_path: Path) -> None:
    one = write_zip(tmp_path / "1.zip", ["d/a", "d/b"])
    two = write_zip(tmp_path / "2.zip", ["else/b"], packed=True)
    assert looked_at(Location(one, "d/a"))[0] == looked_at(Location(two, "else/b"))[0]
    other = write_zip(tmp_path / "3.zip", ["d/a"], names(8, first=2))
    assert looked_at(Location(one, "d/a"))[0] != looked_at(Location(other, "d/a"))[0]


def test_a_stamp_sees_an_image_that_was_written_over(tmp_path: Path) -> None:
    folder = write_frames(tmp_path / "clip", names(4))
    before, changed = stamp_of(Location(folder)), folder / names(4)[1]
    assert stamp_of(Location(folder)) == before
    os.utime(changed, ns=(1, before.mtime_ns + 10**9))
    assert stamp_of(Location(folder)) != before
    assert stamp_of(Location(tmp_path / "gone")) == NOWHERE


def refused(where: Location) -> str:
    with pytest.raises(UnreadableVideo) as caught:
        looked_at(where)
    assert caught.value.path == where.shown()
    return caught.value.reason


@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "00000002.jpg: empty file (0 bytes)"),
        (b"<html>404</html>", "00000002.jpg: not a JPEG or PNG image"),
        (image(1)[:-8], "00000002.jpg: damaged: "),
        (
            image(1, height=26),
            "00000002.jpg: all frames of a clip must be of one size; it has 32x26 pixels, the first 32x24",
        ),
        (image(1, "png")[:-32], "00000002.jpg: damaged: "),
    ],
    ids=["empty", "foreign", "cut", "another size", "cut png"],
)
def test_a_bad_image_is_named_with_its_reason(tmp_path: Path, zipped: bool, content: bytes, said: str) -> None:
    if zipped:
        with zipfile.ZipFile(tmp_path / "s.zip", "w") as archive:
            archive.writestr("c/00000001.jpg", image(0))
            archive.writestr("c/00000002.jpg", content)
        where = Location(tmp_path / "s.zip", "c")
    else:
        where = Location(write_frames(tmp_path / "clip", names(4)))
        (where.path / "00000002.jpg").write_bytes(content)
    assert refused(where).startswith(said)


def test_absurd_images_are_refused_by_what_they_say_of_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_frames(tmp_path / "clip", names(2))
    huge = bytearray(image(1, "png"))
    huge[16:24] = (60_000).to_bytes(4, "big") * 2
    huge[29:33] = zlib.crc32(huge[12:29]).to_bytes(4, "big")
    (folder / names(2)[0]).write_bytes(huge)
    assert "larger than 50000000 pixels" in refused(Location(folder))
    monkeypatch.setattr(images, "MAX_PIXELS", 100)
    (folder / names(2)[0]).write_bytes(image(0))
    assert "larger than 100 pixels: it says 32x24" in refused(Location(folder))


def test_a_bomb_in_a_zip_is_refused_by_the_size_that_the_zip_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with zipfile.ZipFile(tmp_path / "s.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("c/1.jpg", bytes(2**20))
    monkeypatch.setattr(zip_file, "MAX_BYTES", 2**19)
    assert "1.jpg: larger than 524288 bytes: the zip says 1048576" in refused(Location(tmp_path / "s.zip", "c"))


def test_a_flipped_byte_in_a_zip_is_found(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "s.zip", ["c"], names(2))
    content = bytearray(path.read_bytes())
    content[200] ^= 255
    path.write_bytes(content)
    assert "00000001.jpg: cannot be read from the zip (Bad CRC-32" in refused(Location(path, "c"))


def test_what_is_no_zip_and_what_is_not_in_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "no.zip").write_text("no zip")
    assert "not a zip that can be read" in refused(Location(tmp_path / "no.zip", "c"))
    assert "no frames" in refused(Location(write_zip(tmp_path / "s.zip", ["c"]), "d"))


def test_indices_outside_are_refused(tmp_path: Path) -> None:
    where = Location(write_frames(tmp_path / "clip", names(4)))
    with pytest.raises(IndexError, match=r"in \[0, 4\), got \[4, -1\]"):
        read_frames(where, [0, 4, -1])


def test_a_zip_that_was_replaced_is_opened_again(tmp_path: Path) -> None:
    path = tmp_path / "s.zip"
    assert probe(Location(write_zip(path, ["c"], names(3)), "c")).frames == 3
    path.unlink()
    assert probe(Location(write_zip(path, ["c"], names(5)), "c")).frames == 5


def test_an_open_zip_can_be_read_in_a_forked_child(tmp_path: Path) -> None:
    where = Location(write_zip(tmp_path / "s.zip", ["c"], names(6)), "c")
    assert numbers_of(read_frames(where, None)) == list(range(6))
    child = get_context("fork").Process(target=_read_backwards, args=(where,))
    child.start()
    for _ in range(20):
        assert numbers_of(read_frames(where, None)) == list(range(6))
    child.join()
    assert child.exitcode == 0


def _read_backwards(where: Location) -> None:
    for _ in range(20):
        assert numbers_of(read_frames(where, [5, 4, 3, 2, 1, 0])) == [5, 4, 3, 2, 1, 0]
