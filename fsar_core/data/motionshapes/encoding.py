"""Frames to an H.264 file whose bytes depend on the frames and the encoder's version only."""

from pathlib import Path

import av
import numpy as np
from av.codec.context import Flags
from numpy.typing import NDArray

FPS = 12

# One thread, no rate control, no choice of algorithm by processor: each of these can change the bytes between runs.
# A key frame every second and no B-frames keep random access cheap.
_ENCODER = {
    "preset": "veryfast",
    "g": str(FPS),
    "bf": "0",
    "x264-params": "qp=20:scenecut=0:threads=1:lookahead-threads=1:cpu-independent=1",
}


def encode(frames: NDArray[np.uint8], path: Path) -> None:
    """Writes frames (n, H, W, 3), H and W even, as an mp4 file, whatever the name's ending."""
    height, width = frames.shape[1:3]
    with av.open(str(path), "w", format="mp4", options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options=_ENCODER)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.flags |= Flags.bitexact
        stream.codec_context.thread_count = 1
        for planes in _yuv420(frames):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(planes, format="yuv420p")))
        container.mux(stream.encode(None))


def _yuv420(frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """(n, 3H/2, W), BT.601 in limited range; in integers, since FFmpeg's scaler may round by processor."""
    count, height, width = frames.shape[:3]
    red, green, blue = (frames[..., channel].astype(np.int32) for channel in range(3))
    luma = (66 * red + 129 * green + 25 * blue + 128 >> 8) + 16
    planes = [luma.reshape(count, -1)]
    red, green, blue = (_sums_of_four(channel) for channel in (red, green, blue))
    for chroma in (-38 * red - 74 * green + 112 * blue, 112 * red - 94 * green - 18 * blue):
        planes.append(((chroma + 512 >> 10) + 128).reshape(count, -1))
    return np.concatenate(planes, axis=1).astype(np.uint8).reshape(count, height * 3 // 2, width)


def _sums_of_four(channel: NDArray[np.int32]) -> NDArray[np.int32]:
    """(n, H, W) to (n, H/2, W/2)"""
    return channel[:, ::2, ::2] + channel[:, 1::2, ::2] + channel[:, ::2, 1::2] + channel[:, 1::2, 1::2]
