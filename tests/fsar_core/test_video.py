import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from fsar_core.data import video
from fsar_core.data.video import UnreadableVideo, probe, read_frames
from tests.fsar_core.videos import cut_file, numbers_in, turned, with_edit_list, write_sound, write_video

PLAIN: dict[str, dict[str, Any]] = {
    "bframes.mp4": {"options": {"bf": "3", "g": "250"}},
    "open_gop.mp4": {"options": {"bf": "3", "g": "12", "x264-params": "open-gop=1"}},
    "odd.mp4": {"width": 341, "height": 257, "pixels": "yuv444p", "frames": 20},
    "variable_rate.mp4": {"times": [2 * i + (i % 3 == 0) for i in range(30)], "options": {"bf": "2"}},
    "hidden_references.webm": {"codec": "libvpx-vp9", "options": {"lag-in-frames": "20", "auto-alt-ref": "1"}},
    "vp8.webm": {"codec": "libvpx"},
    "one.mp4": {"frames": 1},
    "matroska.mkv": {"options": {"bf": "3"}},
    "quicktime.mov": {"options": {"bf": "3"}},
}
AWKWARD: dict[str, dict[str, Any]] = {
    "bframes.avi": {"codec": "mpeg4", "options": {"bf": "2"}},
    "plain.avi": {"codec": "mpeg4", "options": {"bf": "0"}},
    "images.avi": {"codec": "mjpeg", "pixels": "yuvj420p"},
    "broadcast.ts": {"options": {"bf": "3"}},
    "av1.mp4": {"codec": "libsvtav1", "options": {"preset": "8", "crf": "10", "svtav1-params": "lp=1"}},
}


def sequential(path: Path) -> NDArray[np.uint8]:
    with av.open(str(path)) as container:
        return np.stack([frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]).astype(np.uint8)


@pytest.mark.parametrize("name", [*PLAIN, *AWKWARD])
def test_sparse_unsorted_repeated_indices_give_exactly_the_frames_of_sequential_decoding(
    tmp_path: Path, name: str
) -> None:
    arguments = (PLAIN | AWKWARD)[name]
    path = write_video(tmp_path / name, **arguments)
    truth = sequential(path)
    probed = probe(path)
    assert probed.frames == len(truth) == arguments.get("frames", 30)
    assert (probed.height, probed.width) == truth.shape[1:3]
    picks = np.random.default_rng(0).integers(probed.frames, size=9).tolist()
    np.testing.assert_array_equal(read_frames(path, picks, probed), truth[picks])
    np.testing.assert_array_equal(read_frames(path, None), truth)
    assert numbers_in(truth) == list(range(len(truth)))


@pytest.mark.parametrize("name", PLAIN)
def test_both_decoders_give_the_same_pixels(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write_video(tmp_path / name, **PLAIN[name])
    if not video.has_decord():
        pytest.skip("decord is not made for this processor")
    assert probe(path).decoder == "decord"
    by_decord = read_frames(path, None)
    monkeypatch.setattr(video, "has_decord", lambda: False)
    assert probe(path).decoder == "pyav"
    np.testing.assert_array_equal(read_frames(path, None), by_decord)


@pytest.mark.parametrize("name", AWKWARD)
def test_files_on_which_decord_seeks_wrongly_are_left_to_pyav(tmp_path: Path, name: str) -> None:
    assert probe(write_video(tmp_path / name, **AWKWARD[name])).decoder == "pyav"


def test_frames_hidden_by_an_edit_list_do_not_count(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 60, options={"bf": "3", "g": "250"})
    path = with_edit_list(whole, tmp_path / "edited.mp4", skip=20)
    probed = probe(path)
    assert (probed.frames, probed.decoder) == (40, "pyav")
    assert numbers_in(read_frames(path, [39, 0, 7], probed)) == [59, 20, 27]


@pytest.mark.parametrize("by_decord", [True, False])
def test_a_turned_picture_is_read_as_it_is_shown(
    tmp_path: Path, by_decord: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not by_decord:
        monkeypatch.setattr(video, "has_decord", lambda: False)
    upright = write_video(tmp_path / "upright.mp4", 12, options={"bf": "2"})
    path = turned(upright, tmp_path / "turned.mp4")
    probed = probe(path)
    assert (probed.height, probed.width) == (96, 72)
    expected = np.rot90(read_frames(upright, [7, 2]), k=-1, axes=(1, 2))
    np.testing.assert_array_equal(read_frames(path, [7, 2], probed), expected)


def test_a_decord_that_sees_another_file_than_the_probe_is_not_believed(tmp_path: Path) -> None:
    path = write_video(tmp_path / "clip.mp4", 30)
    fewer = video.Probe(20, 72, 96, 12.0, "h264", "decord")
    assert numbers_in(read_frames(path, [19, 3], fewer)) == [19, 3]


def test_the_rate_of_a_file_is_known(tmp_path: Path) -> None:
    assert probe(write_video(tmp_path / "clip.webm", codec="libvpx")).fps == pytest.approx(12)


def test_no_indices_give_no_frames(tmp_path: Path) -> None:
    assert read_frames(write_video(tmp_path / "clip.mp4", 3), []).shape == (0, 72, 96, 3)


@pytest.mark.parametrize("index", [-1, 5])
def test_indices_outside_the_file_are_refused(tmp_path: Path, index: int) -> None:
    with pytest.raises(IndexError, match=r"in \[0, 5\), got"):
        read_frames(write_video(tmp_path / "clip.mp4", 5), [0, index])


def refused(path: Path) -> str:
    with pytest.raises(UnreadableVideo) as caught:
        probe(path)
    assert caught.value.path == path
    return caught.value.reason


def test_what_is_no_video_is_refused_with_its_reason(tmp_path: Path) -> None:
    empty, text, link = tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "link.mp4"
    empty.touch()
    text.write_text("an html page that a download script saved under this name")
    link.symlink_to(tmp_path / "nowhere.mp4")
    assert refused(tmp_path / "missing.mp4") == "no such file"
    assert refused(tmp_path) == "not a regular file"
    assert refused(empty) == "empty file (0 bytes)"
    assert refused(text).startswith("not a video that can be decoded")
    assert refused(link) == "a link that leads nowhere"
    assert refused(write_sound(tmp_path / "sound.mp4")) == "no video stream"


def test_a_cut_mp4_with_its_index_in_front_says_how_much_is_missing(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 90, options={"g": "12"}, movflags="faststart")
    reason = refused(cut_file(whole, tmp_path / "cut.mp4", 0.5))
    found = int(reason.removeprefix("truncated: header says 90 frames, ").removesuffix(" found"))
    assert 0 < found < 80


def test_a_cut_mp4_with_its_index_behind_is_called_truncated(tmp_path: Path) -> None:
    whole = write_video(tmp_path / "whole.mp4", 90)
    assert refused(cut_file(whole, tmp_path / "cut.mp4", 0.5)).startswith("truncated or damaged: an MP4 whose index")


@pytest.mark.parametrize(
    ("name", "codec"),
    [("cut.webm", "libvpx"), ("cut.mkv", "libx264"), ("cut.avi", "mpeg4")],
    ids=["webm", "mkv", "avi"],
)
def test_other_cut_files_are_called_truncated(tmp_path: Path, name: str, codec: str) -> None:
    whole = write_video(tmp_path / f"whole{name}", 90, codec=codec, options={"g": "12"}, height=144, width=192)
    assert refused(cut_file(whole, tmp_path / name, 0.6)).startswith("truncated: header says")


def test_the_error_survives_the_way_from_a_worker_process() -> None:
    error = pickle.loads(pickle.dumps(UnreadableVideo(Path("a/b.mp4"), "empty")))
    assert str(error) == "a/b.mp4: empty"


def test_reading_videos_needs_no_torch() -> None:
    code = "import sys, fsar_core.data.video, fsar_core.data.frame_cache; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
