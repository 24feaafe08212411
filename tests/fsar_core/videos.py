"""Small test videos whose frames say their own number, readable after lossy coding."""

from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

_BITS = 8
_BACKGROUND = 96


def numbered_frame(number: int, height: int, width: int) -> NDArray[np.uint8]:
    """Grey, with the number's eight bits as white and black blocks across the full height: highest bit on the left."""
    frame = np.full((height, width, 3), _BACKGROUND, np.uint8)
    block = width // _BITS
    for bit in range(_BITS):
        lit = number >> (_BITS - 1 - bit) & 1
        frame[:, bit * block : (bit + 1) * block] = 235 if lit else 20
    return frame


def numbers_in(frames: NDArray[np.uint8]) -> list[int]:
    """Reads the numbers back from frames (n, H, W, 3) that ``numbered_frame`` drew and a codec may have blurred."""
    block = frames.shape[2] // _BITS
    centre = frames[:, frames.shape[1] // 2, block // 2 : block * _BITS : block].mean(-1)
    return [int(bits @ (1 << np.arange(_BITS)[::-1])) for bits in (centre > 128)]


def write_video(
    path: Path,
    frames: int = 30,
    *,
    height: int = 72,
    width: int = 96,
    codec: str = "libx264",
    times: Iterable[int] | None = None,
    options: dict[str, str] | None = None,
    movflags: str = "",
    first: int = 0,
    pixels: str = "yuv420p",
) -> Path:
    """Writes frames numbered from ``first``; ``times`` are presentation times in units of 1/12 s."""
    path.parent.mkdir(parents=True, exist_ok=True)
    clock = range(frames) if times is None else times
    with av.open(str(path), "w", options={"movflags": movflags} if movflags else {}) as container:
        stream = container.add_stream(codec, rate=12, options=options or {})
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height, stream.pix_fmt = width, height, pixels
        stream.codec_context.thread_count = 1
        stream.codec_context.time_base = Fraction(1, 12)
        for number, time in zip(range(first, first + frames), clock, strict=True):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number, height, width), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 12)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def write_sound(path: Path) -> Path:
    """A file with a soundtrack and no picture."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def with_edit_list(source: Path, target: Path, skip: int) -> Path:
    """Copies packets and rewrites times, so that the first ``skip`` frames are kept in the file but not shown."""
    with av.open(str(source)) as old, av.open(str(target), "w") as new:
        stream = old.streams.video[0]
        copy = new.add_stream_from_template(stream)
        for packet in old.demux(stream):
            if packet.dts is None or packet.pts is None:
                continue
            shift = round(skip / (12 * packet.time_base))
            packet.dts, packet.pts, packet.stream = packet.dts - shift, packet.pts - shift, copy
            new.mux(packet)
    return target


def turned(source: Path, target: Path) -> Path:
    """A copy of an MP4 whose header tells players to turn the picture by a quarter, as telephones write it."""
    content = bytearray(source.read_bytes())
    matrix = content.index(b"tkhd") + 4 + 40  # version 0: flags, times, id, length and layer stand before
    numbers = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)
    content[matrix : matrix + 36] = b"".join(number.to_bytes(4, "big", signed=True) for number in numbers)
    target.write_bytes(content)
    return target


def cut_file(source: Path, target: Path, share: float) -> Path:
    """The first ``share`` of the bytes of a file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    content = source.read_bytes()
    target.write_bytes(content[: int(len(content) * share)])
    return target
