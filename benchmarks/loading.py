"""The frame cache against what published code reads episodes from: mp4 by decord, JPEG folders and zips by Pillow.

  python benchmarks/loading.py          about 2 minutes on two cores, one thread

40 made clips, H.264, 340x256, 5 s, a key frame every 250 frames as x264 makes them by default, with as much noise as
gives them the bit rate of a real data set's small copy (0.8 Mbit/s). An episode is 10 or 50 videos of 8 random frames,
cropped to 224x224, as one uint8 tensor. All ways alternate in one run, with the same draws; those that read the same
bytes must give the same pixels, which is checked first. Seconds are CPU time of this process, so that other work on the
machine counts for little; everything is in the page cache.
"""

import io
import tempfile
import time
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import Any, Protocol

import av
import decord
import numpy as np
import psutil
import torch
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.progress import track
from rich.table import Table
from torch import Tensor

from fsar_core.data.cache_building import build_cache
from fsar_core.data.cache_contents import Contents
from fsar_core.data.clip_index import ClipIndex, index_folder
from fsar_core.data.clip_source import ClipSource
from fsar_core.data.config import DataConfig
from fsar_core.data.frame_cache import FrameCache
from fsar_core.data.frame_sampling import frame_indices
from fsar_core.data.resize import Resize
from fsar_core.data.transforms import drawn

CLIPS, FRAMES, HEIGHT, WIDTH, GOP = 40, 150, 256, 340, 250
SIZES = (10, 50)
NOISE = 13
ROUNDS = 3
QUALITY = 95
DATA = DataConfig(dataset="made", resize=Resize("short_side", 256), crop=224)
READERS = 4

Episode = Callable[[NDArray[np.int64], np.random.Generator], Tensor]


class Frames(Protocol):
    """One way to get the picked frames of a clip, (T, H, W, 3)."""

    def __call__(self, clip: int, picked: NDArray[np.int64]) -> NDArray[np.uint8]: ...


def main() -> None:
    """Prints the tables of benchmarks/README.md."""
    torch.set_num_threads(1)
    console = Console(width=120)
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        index = _made(root, console)
        clips = index.of("train")
        raw = build_cache(Contents(name="made", clips=clips, resize=DATA.resize), root / "cache")
        jpeg = build_cache(Contents(name="made", clips=clips, resize=DATA.resize, jpeg=QUALITY), root / "cache")
        _print_memory(raw, index, console)  # before this process maps the frames itself
        archive = _images(raw, index, root)
        plain: dict[str, Frames] = {
            "JPEG folder, Pillow": partial(_from_folder, root / "frames"),
            "zip in memory, Pillow": partial(_from_zip, archive),
            "mp4, decord": lambda clip, picked: _from_video(clips[clip].path, picked),
        }
        ways: dict[str, Episode] = {
            "cache, raw": partial(_ours, index, raw),
            "cache, JPEG": partial(_ours, index, jpeg),
        }
        ways |= {name: partial(_loop, index, frames) for name, frames in plain.items()}
        _demand_equal_pixels(ways)
        _print_speed(_timed(ways, console), index, raw, jpeg, console)


def _made(root: Path, console: Console) -> ClipIndex:
    """A scene that drifts past a noisy camera."""
    rng = np.random.default_rng(0)
    first = {"train": CLIPS, "val": 1, "test": 1}
    for split, count in first.items():
        for number in track(range(count), f"making {split} videos", console=console, transient=True):
            path = root / "videos" / split / split / f"{number}.mp4"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = rng.integers(40, 215, (HEIGHT // 8 + 20, WIDTH // 8 + 20, 3), dtype=np.uint8)
            scene = np.asarray(Image.fromarray(coarse).resize((WIDTH + 320, HEIGHT + 320), Image.Resampling.BICUBIC))
            noise = rng.normal(0, NOISE, (8, HEIGHT, WIDTH, 3)).astype(np.int16)
            _write(path, scene, noise)
    memory = root / "memory.parquet"
    return index_folder("made", root / "videos", exclude_unreadable=False, workers=1, memory=memory)


def _write(path: Path, scene: NDArray[np.uint8], noise: NDArray[np.int16]) -> None:
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"g": str(GOP), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for t in range(FRAMES):
            view = scene[t : t + HEIGHT, 2 * t : 2 * t + WIDTH] + noise[t % len(noise)]
            container.mux(stream.encode(av.VideoFrame.from_ndarray(view.clip(0, 255).astype(np.uint8), "rgb24")))
        container.mux(stream.encode())


def _images(raw: FrameCache, index: ClipIndex, root: Path) -> zipfile.ZipFile:
    """The same frames as a folder of JPEG files, and these in a zip that is held in memory."""
    memory = io.BytesIO()
    with zipfile.ZipFile(memory, "w", zipfile.ZIP_STORED) as archive:
        for number, clip in enumerate(index.of("train")):
            folder = root / "frames" / str(number)
            folder.mkdir(parents=True)
            for t, frame in enumerate(raw.clip(clip.name).frames()):
                Image.fromarray(frame).save(folder / f"{t:08d}.jpg", quality=QUALITY)
                archive.write(folder / f"{t:08d}.jpg", f"{number}/{t:08d}.jpg")
    return zipfile.ZipFile(memory)


def _from_video(path: Path, picked: NDArray[np.int64]) -> NDArray[np.uint8]:
    return decord.VideoReader(str(path), num_threads=1).get_batch(picked.tolist()).asnumpy()


def _from_folder(root: Path, clip: int, picked: NDArray[np.int64]) -> NDArray[np.uint8]:
    return np.stack([np.asarray(Image.open(root / str(clip) / f"{t:08d}.jpg")) for t in picked])


def _from_zip(archive: zipfile.ZipFile, clip: int, picked: NDArray[np.int64]) -> NDArray[np.uint8]:
    images = (io.BytesIO(archive.read(f"{clip}/{t:08d}.jpg")) for t in picked)
    return np.stack([np.asarray(Image.open(image)) for image in images])


def _ours(index: ClipIndex, cache: FrameCache, positions: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    source = ClipSource(index, "train", cache, DATA)
    return source.train_videos(positions, np.zeros(len(positions), bool), rng)


def _loop(index: ClipIndex, frames: Frames, positions: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
    """Video by video, as published code does, with the draws of our training."""
    clips, videos = index.of("train"), list[Tensor]()
    for position in positions.tolist():
        picked = frame_indices(DATA.train_sampling, clips[position].frames, DATA.frames, rng, clips[position].fps)
        place = drawn(HEIGHT, WIDTH, DATA, False, rng)
        part = frames(position, picked)[:, place.top : place.top + DATA.crop, place.left : place.left + DATA.crop]
        videos.append(torch.from_numpy(part).permute(0, 3, 1, 2))
    return torch.stack(videos)


def _episode(way: Episode, size: int, seed: int) -> Tensor:
    rng = np.random.default_rng((size, seed))
    return way(rng.integers(CLIPS, size=size), rng)


def _demand_equal_pixels(ways: Mapping[str, Episode]) -> None:
    found = {name: _episode(way, 10, 0) for name, way in ways.items()}
    for left, right in (
        ("cache, raw", "mp4, decord"),
        ("cache, JPEG", "JPEG folder, Pillow"),
        ("cache, JPEG", "zip in memory, Pillow"),
    ):
        assert torch.equal(found[left], found[right]), f"{left} and {right} give other pixels"


def _timed(ways: Mapping[str, Episode], console: Console) -> dict[tuple[str, int], float]:
    """Median CPU seconds of an episode."""
    seconds: dict[tuple[str, int], list[float]] = {(name, size): [] for name in ways for size in SIZES}
    for seed in track(range(1, ROUNDS + 1), "measuring", console=console, transient=True):
        for size in SIZES:
            for name, way in ways.items():
                began = time.process_time()
                _episode(way, size, seed)
                seconds[name, size].append(time.process_time() - began)
    return {key: median(values) for key, values in seconds.items()}


def _print_speed(
    seconds: Mapping[tuple[str, int], float], index: ClipIndex, raw: FrameCache, jpeg: FrameCache, console: Console
) -> None:
    table = Table("read from", *(f"{size} videos, episodes/s" for size in SIZES), "raw cache is faster by")
    for name in dict.fromkeys(name for name, _ in seconds):
        ratios = ", ".join(f"{seconds[name, size] / seconds['cache, raw', size]:.1f}x" for size in SIZES)
        table.add_row(name, *(f"{1 / seconds[name, size]:.2f}" for size in SIZES), ratios)
    console.print(table)
    mp4 = sum(clip.path.stat().st_size for clip in index.of("train"))
    stored = {"mp4": mp4, "raw": raw.stored_bytes(), f"JPEG {QUALITY}": jpeg.stored_bytes()}
    sizes = ", ".join(f"{name} {size / 1e6:.0f} MB" for name, size in stored.items())
    console.print(f"{CLIPS} clips, all {FRAMES} frames: {sizes}; one thread, torch {torch.__version__}")


def _print_memory(cache: FrameCache, index: ClipIndex, console: Console) -> None:
    table = Table("reader processes", "frames in each, MB (RSS)", "its share, MB (PSS)", "together, MB (PSS)")
    for readers in (1, READERS):
        rss, pss = zip(*_memory(cache, index, readers), strict=True)
        table.add_row(str(readers), f"{median(rss):.0f}", f"{median(pss):.0f}", f"{sum(pss):.0f}")
    console.print(table)


def _memory(cache: FrameCache, index: ClipIndex, readers: int) -> list[tuple[float, float]]:
    """(RSS, PSS) in MB that the cache's files take in processes that have all read every clip; PSS shares out what
    they have in common."""
    context = get_context("spawn")
    pipes = [context.Pipe() for _ in range(readers)]
    names = [clip.name for clip in index.of("train")]
    processes = [context.Process(target=_read_all, args=(cache, names, theirs)) for _, theirs in pipes]
    for process in processes:
        process.start()
    for ours, _ in pipes:
        ours.recv()
    found = [_mapped(process.pid, cache.folder) for process in processes]
    for (ours, _), process in zip(pipes, processes, strict=True):
        ours.send(None)
        process.join()
    return found


def _mapped(pid: int | None, folder: Path) -> tuple[float, float]:
    maps: list[Any] = psutil.Process(pid).memory_maps(grouped=True)
    own = [each for each in maps if each.path.startswith(str(folder))]
    return sum(each.rss for each in own) / 1e6, sum(each.pss for each in own) / 1e6


def _read_all(cache: FrameCache, names: list[str], pipe: Any) -> None:
    out = np.empty((FRAMES, DATA.crop, DATA.crop, 3), np.uint8)
    for name in names:
        cache.clip(name).pick(np.arange(FRAMES), out)
    pipe.send(None)
    pipe.recv()


if __name__ == "__main__":
    main()
