"""What a video file's packets say without decoding: how many there are, how many were promised, what is unusual."""

from dataclasses import dataclass
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition

_AVI_SLACK = 2  # AVI writers miscount by a frame or two; MP4 tables are exact


@dataclass(frozen=True)
class Survey:
    packets: int
    fps: float
    codec: str
    plain: bool
    """MP4 or Matroska/WebM in which every packet is one shown frame: no edit list, starts with a key frame."""
    fault: str
    """Why the file is refused; empty if it is not."""


@dataclass(frozen=True)
class _Packets:
    count: int
    cut: bool  # an edit list hides some
    starts_with_key: bool
    end_s: float


def survey(path: Path) -> Survey:
    """Demuxes the whole file, some milliseconds. Raises av.error.FFmpegError where it cannot be opened."""
    with av.open(str(path), metadata_errors="replace") as container:
        stream = container.streams.best("video")
        if not isinstance(stream, av.VideoStream) or Disposition.attached_pic in stream.disposition:
            return Survey(0, 0.0, "", False, "no video stream")
        fps = float(stream.average_rate or stream.guessed_rate or 0)
        codec, declared, kind = stream.codec_context.name, stream.frames, container.format.name
        promised_s = _promised_seconds(container, stream)
        packets = _walk(container, stream)
    if not packets.count:
        return Survey(0, fps, codec, False, "no frames: its video stream is empty")
    tabled = any(name in kind for name in ("mp4", "matroska"))
    plain = tabled and not packets.cut and packets.starts_with_key and declared in (0, packets.count)
    return Survey(packets.count, fps, codec, plain, _truncation(path, kind, declared, promised_s, fps, packets))


def _walk(container: InputContainer, stream: av.VideoStream) -> _Packets:
    count, cut, starts_with_key, end_s = 0, False, False, 0.0
    for packet in container.demux(stream):
        if not packet.size or packet.is_corrupt:
            continue
        if not count:
            starts_with_key = packet.is_keyframe
        count += 1
        cut = cut or packet.is_discard or packet.pts is None or packet.pts < 0
        if packet.pts is not None:
            end_s = max(end_s, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return _Packets(count, cut, starts_with_key, end_s)


def _truncation(path: Path, kind: str, declared: int, promised_s: float, fps: float, packets: _Packets) -> str:
    slack = _AVI_SLACK if kind == "avi" else 0
    if declared and packets.count < declared - slack:
        found = _all_packets(path) if "mp4" in kind else packets.count
        if found < declared - slack:
            return f"truncated: header says {declared} frames, {found} found"
    # Matroska declares a length in time only; the last frame's own duration may be missing in it
    if "matroska" in kind and fps and promised_s - packets.end_s > max(3 / fps, 0.05 * promised_s):
        return f"truncated: header says about {round(promised_s * fps)} frames, {packets.count} found"
    return ""


def _all_packets(path: Path) -> int:
    """Counts those which an edit list hides, too."""
    with av.open(str(path), metadata_errors="replace", options={"ignore_editlist": "1"}) as container:
        stream = container.streams.best("video")
        return sum(1 for packet in container.demux(stream) if packet.size and not packet.is_corrupt) if stream else 0


def _promised_seconds(container: InputContainer, stream: av.VideoStream) -> float:
    """Length of the video stream as the header says it; 0 where only other streams could have set it."""
    clock = stream.metadata.get("DURATION", "").split(":")
    if len(clock) == 3:
        return int(clock[0]) * 3600 + int(clock[1]) * 60 + float(clock[2])
    alone = len(container.streams) == 1 and container.duration is not None
    return (container.duration or 0) / av.time_base if alone else 0.0
