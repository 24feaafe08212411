import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest
from filelock import FileLock

from fsar_core.data import clip_index, probe_memory
from fsar_core.data.clip_index import BadDataset, ClipIndex, index_folder
from fsar_core.data.processes import Lost, one_by_one, spread
from tests.fsar_core.videos import write_video
from tests.together import together


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two classes in train, one in val and one in test, two clips each of 6 to 13 frames."""
    root = tmp_path_factory.mktemp("original")
    frames = 6
    for split, label in [("train", "jump"), ("train", "run"), ("val", "sit"), ("test", "wave")]:
        for name in ("a.mp4", "b.mp4"):
            write_video(root / split / label / name, frames)
            frames += 1
    return root


@pytest.fixture
def root(original: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(original, tmp_path / "data"))


def indexed(root: Path, *, exclude_unreadable: bool = False, workers: int = 1) -> ClipIndex:
    memory = root.parent / "memory.parquet"
    return index_folder("toy", root, exclude_unreadable=exclude_unreadable, workers=workers, memory=memory)


def faults(root: Path, *, exclude_unreadable: bool = False) -> tuple[str, ...]:
    with pytest.raises(BadDataset) as caught:
        indexed(root, exclude_unreadable=exclude_unreadable)
    assert all(line in str(caught.value) for line in caught.value.lines)
    return caught.value.lines


def test_clips_are_named_sorted_and_described(root: Path) -> None:
    index = indexed(root)
    expected = ["wave/a", "wave/b", "jump/a", "jump/b", "run/a", "run/b", "sit/a", "sit/b"]
    assert [clip.name for clip in index.clips] == expected
    assert [clip.frames for clip in index.of("train")] == [6, 7, 8, 9]
    assert index.labels("train") == ("jump", "run")
    clip = index.of("val")[0]
    assert (clip.label, clip.split, clip.path, clip.height, clip.width) == (
        "sit",
        "val",
        root / "val/sit/a.mp4",
        72,
        96,
    )
    assert index.excluded == ()


def test_the_fingerprint_follows_names_and_bytes_but_not_the_place(root: Path, tmp_path: Path) -> None:
    before = indexed(root).fingerprint
    moved = root.rename(tmp_path / "elsewhere")
    assert indexed(moved).fingerprint == before
    os.utime(moved / "val/sit/a.mp4", (0, 0))
    assert indexed(moved).fingerprint == before
    (moved / "val/sit/a.mp4").rename(moved / "val/sit/c.mp4")
    renamed = indexed(moved).fingerprint
    write_video(moved / "val/sit/c.mp4", 10, first=1)
    assert len({before, renamed, indexed(moved).fingerprint}) == 3


def test_drivers_that_come_at_once_look_at_a_file_once(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked, looks = list[str](), clip_index._looks  # pyright: ignore[reportPrivateUsage] - counted on its way

    def counted(keys: list[str], workers: int) -> Iterator[tuple[str, probe_memory.Seen | Lost]]:
        looked.extend(keys)
        return looks(keys, workers)

    monkeypatch.setattr(clip_index, "_looks", counted)
    assert len({index.fingerprint for index in together(lambda: indexed(root))}) == 1
    assert len(looked) == len(set(looked)) == 8


def test_who_waits_tells_how_far_the_one_is_that_looks(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    indexed(root)
    monkeypatch.setattr(clip_index, "_TOLD_EVERY_S", 0.05)
    memory, told, waited = root.parent / "memory.parquet", list[tuple[int, int]](), Event()

    def progress(done: int, total: int) -> None:
        told.append((done, total))
        if len(told) > 1:
            waited.set()

    with ThreadPoolExecutor(1) as driver:
        seen = probe_memory.recall(memory)
        memory.unlink()
        with FileLock(memory.with_name(".memory.parquet.lock")):
            index = driver.submit(
                index_folder, "toy", root, exclude_unreadable=False, workers=1, memory=memory, progress=progress
            )
            assert waited.wait(60)
            probe_memory.remember(memory, dict(list(seen.items())[:3]))
            while told[-1] == (0, 8):
                time.sleep(0.01)
        assert len(index.result(60).clips) == 8
    assert told[0] == (0, 8)
    assert [done for done, _ in told if done] == [3] * sum(done == 3 for done, _ in told) + [4, 5, 6, 7, 8]


def test_unchanged_files_are_not_looked_at_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = indexed(root)
    write_video(root / "val/sit/c.mp4", 20)
    looked: list[str] = []

    def look(path: str) -> probe_memory.Seen:
        looked.append(Path(path).name)
        return probe_memory.look_at(path)

    monkeypatch.setattr(clip_index, "look_at", look)
    second = indexed(root)
    assert looked == ["c.mp4"]
    assert [clip for clip in second.clips if clip.name != "sit/c"] == list(first.clips)
    assert indexed(root) == second
    assert len(looked) == 1


def test_a_damaged_memory_is_made_again(root: Path) -> None:
    first = indexed(root)
    (root.parent / "memory.parquet").write_bytes(b"PAR1 and then nothing of use")
    assert indexed(root) == first
    assert len(probe_memory.recall(root.parent / "memory.parquet")) == len(first.clips)


def test_two_worker_processes_find_the_same_as_one(root: Path) -> None:
    alone = indexed(root, workers=1)
    (root.parent / "memory.parquet").unlink()
    calls: list[tuple[int, int]] = []

    def progress(done: int, total: int) -> None:
        calls.append((done, total))

    memory = root.parent / "other.parquet"
    index = index_folder("toy", root, exclude_unreadable=False, workers=2, memory=memory, progress=progress)
    assert index == alone
    assert calls == [(done, 8) for done in range(9)]


def test_all_faults_are_listed_at_once(root: Path) -> None:
    (root / "train/run/a.mp4").write_bytes(b"")
    (root / "train/run/b.mp4").write_text("no video")
    shutil.copytree(root / "train/jump", root / "test/jump")
    shutil.rmtree(root / "val")
    (root / "test/empty").mkdir()
    shutil.copy(root / "train/jump/a.mp4", root / "train/jump/a.avi")
    lines = "\n".join(faults(root))
    assert f"{root / 'train/run/a.mp4'}: empty file (0 bytes)" in lines
    assert f"{root / 'train/run/b.mp4'}: not a video that can be decoded" in lines
    assert f"{root / 'val'}: this split is missing" in lines
    assert f"{root / 'test/empty'}: no videos in this class" in lines
    assert "class 'jump' is in train and test" in lines
    assert "train/jump/a: one name for a.avi and a.mp4" in lines


def test_links_may_not_leave_the_root(root: Path, tmp_path: Path) -> None:
    outside = write_video(tmp_path / "outside" / "a.mp4", 6)
    (root / "val/sit/linked.mp4").symlink_to(outside)
    (root / "val/linked").symlink_to(outside.parent)
    (root / "val/sit/inner.mp4").symlink_to(root / "val/sit/a.mp4")
    lines = faults(root, exclude_unreadable=True)
    assert [line.split(":")[0] for line in lines] == [str(root / "val/linked"), str(root / "val/sit/linked.mp4")]
    assert all("a link that leaves" in line for line in lines)


def test_a_missing_root_is_named(tmp_path: Path) -> None:
    assert "no such folder" in faults(tmp_path / "nothing")[0]


def test_unreadable_videos_are_left_out_and_listed_when_that_is_allowed(root: Path) -> None:
    before = indexed(root)
    (root / "train/run/c.mp4").write_bytes(b"")
    (root / "train/run/d.mp4").symlink_to("nowhere.mp4")
    index = indexed(root, exclude_unreadable=True)
    assert index.excluded == (
        ("run/c", "empty file (0 bytes)"),
        ("run/d", "cannot be opened (No such file or directory)"),
    )
    assert (index.clips, index.fingerprint) == (before.clips, before.fingerprint)
    assert len(faults(root)) == 3


def test_a_class_of_which_nothing_is_left_is_a_fault(root: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        (root / "val/sit" / name).write_bytes(b"")
    assert faults(root, exclude_unreadable=True) == (
        "val/sit: none of its videos can be read; repair them or remove the class",
    )


def test_other_files_and_folders_are_passed_over(root: Path) -> None:
    before = indexed(root)
    (root / "masks").mkdir()
    (root / "val/readme.txt").touch()
    (root / "val/sit/labels.txt").touch()
    (root / "val/sit/.partial.mp4").touch()
    assert indexed(root) == before


def test_a_stuck_worker_costs_only_its_own_file() -> None:
    results = dict(spread(time.sleep, [0.0, 60.0, 0.01, 0.02], workers=2, limit_s=1))
    stuck = results.pop(60.0)
    assert isinstance(stuck, Lost)
    assert "longer than 1 s" in stuck.reason
    assert results == {0.0: None, 0.01: None, 0.02: None}


def test_a_crashed_worker_costs_only_its_own_file() -> None:
    results = dict(spread(signal.raise_signal, [signal.SIGCHLD, signal.SIGSEGV], workers=1, limit_s=9))
    assert results[signal.SIGCHLD] is None
    assert isinstance(results[signal.SIGSEGV], Lost)


def test_workers_end_when_their_parent_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import os, signal\nfrom fsar_core.data.processes import spread\n"
        "if __name__ == '__main__':\n"
        "    for _, pid in spread(eval, ['__import__(\"os\").getpid()'] * 2, workers=1, limit_s=9):\n"
        "        print(pid, flush=True)\n"
        "        os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == -signal.SIGKILL
    worker = int(ended.stdout.split()[0])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and Path(f"/proc/{worker}/cmdline").exists():
        if not Path(f"/proc/{worker}/cmdline").read_bytes():  # a zombie that nobody has collected
            break
        time.sleep(0.05)
    assert time.monotonic() < deadline


def test_a_script_without_a_main_guard_is_told_so(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import time\nfrom fsar_core.data.processes import spread\n"
        "list(spread(time.sleep, [0.0, 0.0], workers=2, limit_s=9))\n"
    )
    ended = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, timeout=60)
    assert ended.returncode == 1
    # not always the last line: the interpreter may end with words of its own on what the workers left behind
    said = ended.stderr.splitlines()
    assert any(line.startswith("RuntimeError: worker processes end while they start") for line in said)


def test_a_stuck_file_among_few_is_given_up() -> None:
    results = dict(one_by_one(time.sleep, [0.0, 5.0], limit_s=0.2))
    assert results[0.0] is None
    assert isinstance(results[5.0], Lost)


def test_an_exception_in_a_worker_is_not_swallowed() -> None:
    with pytest.raises(ValueError, match="sleep length must be non-negative"):
        list(spread(time.sleep, [-1.0], workers=1, limit_s=5))
    with pytest.raises(ValueError, match="sleep length must be non-negative"):
        list(one_by_one(time.sleep, [-1.0], limit_s=5))
