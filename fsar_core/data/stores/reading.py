"""Every clip read in one way: video files, folders of images, zips of images."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np

from fsar_core.data import video
from fsar_core.data.stores.frame_names import NoFrames
from fsar_core.data.stores.frame_store import FrameStore, opened
from fsar_core.data.stores.images import BadImage, Header, decode, header
from fsar_core.data.stores.location import Location
from fsar_core.data.video import Frames, Probe, UnreadableVideo

T = TypeVar("T")


def looked_at(location: Location) -> tuple[str, Probe]:
    """Content and facts of a clip; everything is read once.

    Content is BLAKE2b-128 in hexadecimal: of a video's bytes; of the names and bytes of a folder's images; of the
    names, sizes and CRC-32 of images in a zip. Raises UnreadableVideo, and OSError for a file that cannot be opened.
    """
    if _is_video(location):
        with location.path.open("rb") as file:
            content = hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()
        return content, video.probe(location.path)
    return _survey(location, _store(location))


def probe(location: Location) -> Probe:
    """What ``looked_at`` knows beside the content. Raises UnreadableVideo."""
    if _is_video(location):
        return video.probe(location.path)
    store = _store(location)
    first = _checked(location, store.names[0], lambda: header(store.read(store.names[0])))
    return _probe_of(store, first)


def read_frames(location: Location, pick: Sequence[int] | None, probed: Probe | None = None) -> Frames:
    """RGB frames (len(pick), H, W, 3) with the given indices, in the given order, repeats allowed; None gives all.

    ``probed`` saves a second look at a file that is known. Raises UnreadableVideo, and IndexError for an index outside.
    """
    if _is_video(location):
        return video.read_frames(location.path, pick, probed)
    store = _store(location)
    count = len(store.names)
    wanted = list(range(count)) if pick is None else [int(index) for index in pick]
    outside = [index for index in wanted if not 0 <= index < count]
    if outside:
        raise IndexError(f"{location.shown()}: frame indices must be in [0, {count}), got {outside[:5]}")
    if not wanted:
        known = probe(location)
        return np.empty((0, known.height, known.width, 3), np.uint8)
    return _read(location, store, wanted)


def _read(location: Location, store: FrameStore, wanted: list[int]) -> Frames:
    images: dict[int, Frames] = {}
    for index in wanted:
        if index not in images:
            name = store.names[index]
            images[index] = _checked(location, name, lambda name=name: decode(store.read(name)))
    first = images[wanted[0]]
    for index, image in images.items():
        _demand_same_size(location, store.names[index], image.shape[:2], first.shape[:2])
    return np.stack([images[index] for index in wanted])


def _survey(location: Location, store: FrameStore) -> tuple[str, Probe]:
    digest = hashlib.blake2b(digest_size=16)
    first: Header | None = None
    contents = store.contents()
    for name in store.names:
        image, named = _checked(location, name, lambda: next(contents))
        found = _checked(location, name, lambda image=image: header(image))
        if first is None:
            first = found
            _checked(location, name, lambda image=image: decode(image))
        _demand_same_size(location, name, (found.height, found.width), (first.height, first.width))
        text = name.encode("utf-8", "surrogateescape")
        digest.update(len(text).to_bytes(4, "little") + text + named)
    assert first is not None, "a store has frames"
    return digest.hexdigest(), _probe_of(store, first)


def _probe_of(store: FrameStore, first: Header) -> Probe:
    return Probe(len(store.names), first.height, first.width, 0.0, first.kind, "images")


def _is_video(location: Location) -> bool:
    return not location.inside and not location.path.is_dir()


def _store(location: Location) -> FrameStore:
    try:
        return opened(location)
    except NoFrames as error:
        raise UnreadableVideo(location.shown(), str(error)) from error
    except OSError as error:
        raise UnreadableVideo(location.shown(), f"cannot be opened ({error.strerror})") from error


def _checked(location: Location, name: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except BadImage as error:
        raise UnreadableVideo(location.shown(), f"{name}: {error}") from error
    except OSError as error:
        raise UnreadableVideo(location.shown(), f"{name}: cannot be opened ({error.strerror})") from error


def _demand_same_size(location: Location, name: str, found: tuple[int, ...], first: tuple[int, ...]) -> None:
    if found != first:
        sizes = f"{found[1]}x{found[0]} pixels, the first {first[1]}x{first[0]}"
        raise UnreadableVideo(location.shown(), f"{name}: all frames of a clip must be of one size; it has {sizes}")
