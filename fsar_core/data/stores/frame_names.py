"""Which files of a folder are the frames of a clip, and in which order: by their names alone."""

import re
from collections import defaultdict
from collections.abc import Iterable
from itertools import pairwise

IMAGES = (".jpg", ".jpeg", ".png")
_FRAME = re.compile(r"(?P<before>.*?)(?P<number>\d+)\.(?P<kind>jpe?g|png)", re.IGNORECASE | re.DOTALL)
_FLOW = ("flow", "x_", "y_", "u_", "v_")
"""How TSN's and TSM's tools name optical flow, which lies beside the frames."""
_SHOWN = 3


class NoFrames(ValueError):  # noqa: N818 - reads as what it is where it is raised
    """Why a folder's names do not say what the frames are."""


def is_frame(name: str) -> bool:
    """Whether a file name is a number with an image's suffix, with or without something before the number."""
    return _FRAME.fullmatch(name) is not None


def in_order(names: Iterable[str]) -> tuple[str, ...]:
    """The frames among file names, by number: any first number, any count of digits, gaps allowed.

    Optical flow beside them is passed over. Raises NoFrames where there are none, where names have several beginnings
    or suffixes, and where a number comes twice.
    """
    groups: dict[tuple[str, str], list[tuple[int, str, str]]] = defaultdict(list)
    for name in names:
        found = _FRAME.fullmatch(name)
        if found is not None:
            digits = found["number"].lstrip("0")
            groups[found["before"], found["kind"].lower()].append((len(digits), digits, name))
    pictures = {key: group for key, group in groups.items() if not key[0].lower().startswith(_FLOW)}
    if not pictures:
        raise NoFrames("no frames: it holds no image whose name ends in a number")
    if len(pictures) > 1:
        kinds = ", ".join(f"{before}*.{kind}" for before, kind in sorted(pictures)[:_SHOWN])
        raise NoFrames(f"{len(pictures)} kinds of image names ({kinds}); leave those of the frames only")
    (ordered,) = (sorted(group) for group in pictures.values())
    for (_, number, name), (_, again, other) in pairwise(ordered):
        if number == again:
            raise NoFrames(f"two images have the number {number or 0}: {name} and {other}; remove one")
    return tuple(name for _, _, name in ordered)
