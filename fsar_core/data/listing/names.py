"""How names are compared: lists, stores and annotations spell one video or class in several ways."""

import re
from functools import lru_cache

from fsar_core.data.folder_scan import SUFFIXES

_OTHERS = re.compile(r"[\W_]+")
_YOUTUBE = re.compile(r"(?:v_)?([A-Za-z0-9_-]{11})(?:_\d{6}_\d{6})?", re.ASCII)
_UCF = re.compile(r"v_([A-Za-z0-9]+)_g\d+_c\d+", re.ASCII)


def plain(name: str) -> str:
    """Lower case, letters and digits only."""
    return _OTHERS.sub("", name.lower())


@lru_cache(maxsize=10_000)
def class_key(name: str) -> str:
    """``plain`` for names of classes and folders, of which there are few, asked often."""
    return plain(name)


def bare(name: str) -> str:
    """A file's name without the extension of a video file; other dots belong to the name."""
    lower = name.lower()
    for suffix in SUFFIXES:
        if lower.endswith(suffix):
            return name[: -len(suffix)]
    return name


def youtube_id(name: str) -> str:
    """The 11 characters in ``<id>``, ``v_<id>`` (ActivityNet), ``<id>_000012_000022`` (Kinetics); else empty."""
    matched = _YOUTUBE.fullmatch(name)
    return matched[1] if matched else ""


def ucf_class(name: str) -> str:
    """The class in ``v_<class>_g01_c01``; empty for other names."""
    matched = _UCF.fullmatch(name)
    return matched[1] if matched else ""
