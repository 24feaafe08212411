"""What runs read: data sets, pretrained weights, videos."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from fsar_core.data.video import probe, read_frames
from sweeps.engine.doctor import Finding, fail, ok, warn
from sweeps.engine.site import BadRequest, Site

_FRAMES, _SIDE = 8, 64
_MADE = "motionshapes"
"""Is made where it is missing."""


def data_roots(site: Site) -> Iterator[Finding]:
    """Of the site file and of imports. What is in them, `fsar data import` and every sweep tell."""
    imported = sorted(path.stem for path in site.imports.glob("*.parquet")) if site.imports.is_dir() else []
    for name in dict.fromkeys([*site.datasets, *imported]):
        try:
            root = site.place(name).root
        except BadRequest as refusal:
            yield fail("data", refusal.faults[0], f"fsar data import {name} ROOT")
            continue
        yield _root(name, root)
    if site.weights is not None and not _readable(site.weights):
        todo = "put the files of pretrained weights there, named as torchvision names them"
        yield fail("weights", f"{site.weights} cannot be read", todo)


def _root(name: str, root: Path) -> Finding:
    if _readable(root):
        return ok("data", f"{name}: {root}")
    if not root.exists() and name == _MADE:
        return ok("data", f"{name}: is made in {root} on first use")
    return fail("data", f"{name}: {root} cannot be read", "mount it, mend its rights, or edit root in the site")


def _readable(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.R_OK | os.X_OK)


def decoding(site: Site) -> Iterator[Finding]:
    """A clip of eight grey frames, written and read back as runs read."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "clip.mp4"
        _write(path)
        decoder = probe(path).decoder
        levels = [round(float(frame.mean())) for frame in read_frames(path, range(_FRAMES))]
    if len(levels) != _FRAMES or any(abs(level - _grey(i)) > 8 for i, level in enumerate(levels)):
        yield fail("decoding", f"of {_FRAMES} frames, greys {levels} came back", "install av and decord anew")
    elif decoder == "decord":
        yield ok("decoding", f"{_FRAMES} of {_FRAMES} frames by decord, what it cannot by PyAV {av.__version__}")
    else:
        todo = "pip install decord==0.6.0, where there is a wheel for it"
        yield warn("decoding", f"{_FRAMES} of {_FRAMES} frames, by PyAV alone, which is slower", todo)


def _write(path: Path) -> None:
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=8, options={"crf": "10"})
        stream.codec_context.thread_count = 1
        stream.width = stream.height = _SIDE
        stream.pix_fmt = "yuv420p"
        for i in range(_FRAMES):
            grey = np.full((_SIDE, _SIDE, 3), _grey(i), np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(stream.encode())


def _grey(number: int) -> int:
    return 32 + 24 * number
