"""One line of a list: what it says, in whichever of the forms in circulation it is written."""

import re
from dataclasses import dataclass, replace

from fsar_core.data.folder_scan import Split
from fsar_core.data.listing.listed import Format
from fsar_core.data.listing.names import bare

FORMS = "class/video, train8/video, label//path, path frames number or path number"
_NUMBERED = re.compile(r"(train|val|test)(\d{1,6})", re.ASCII)
_DRIVE = re.compile(r"^[A-Za-z]:")
_LAST_NUMBER = re.compile(r"[,\s]\s*(\d{1,9})$", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_LONGEST = 1000
_DIGITS = 9
_SPLIT: dict[str, Split] = {"train": "train", "val": "val", "test": "test"}


class BadLine(Exception):  # noqa: N818 - reads as what it is where it is raised
    """What is wrong with a line, without its place."""


@dataclass(frozen=True, slots=True)
class Line:
    form: Format
    video: str
    label: str = ""
    """The class as written; empty where the line gives a number."""
    number: int | None = None
    prefix: Split | None = None
    """The split that stands before the number."""
    frames: int | None = None
    hint: str = ""
    folder: str = ""
    """Name of the folder that the path names; empty where it names none."""
    absolute: bool = False
    """The path was absolute: only its last folder and its name are kept."""


def parse(text: str, *, numbers: bool = True) -> Line:
    """``text``: stripped, not empty. Without ``numbers`` a line ``path number`` is a video whose name ends in a number.

    Raises BadLine.
    """
    if len(text) > _LONGEST:
        raise BadLine(f"a line has at most {_LONGEST} characters, this one {len(text)}")
    if _CONTROL.search(text):
        raise BadLine(f"a control character in {text!r}; a list is plain text")
    head, two, rest = text.partition("//")
    if two and head and "/" not in head:
        return _labelled("label//path", head, rest)
    columns = text.rsplit(None, 2)
    if len(columns) == 3 and _is_number(columns[1]) and _is_number(columns[2]):
        frames, number = int(columns[1]), int(columns[2])
        return replace(_located("path frames number", columns[0], outside=True), frames=frames, number=number)
    head, slash, rest = text.partition("/")
    if slash and _NUMBERED.fullmatch(head):
        return _labelled("number/video", head, rest)
    pair = _pair(text) if numbers else None
    if pair is not None:
        return replace(_located("path number", pair[0], outside=True), number=pair[1])
    head, slash, rest = text.rpartition("/")
    if slash and head:
        return _labelled("class/video", head, rest)
    raise BadLine(f"a line is {FORMS}, got {text!r}")


def _is_number(text: str) -> bool:
    return len(text) <= _DIGITS and text.isascii() and text.isdecimal()


def _pair(text: str) -> tuple[str, int] | None:
    matched = _LAST_NUMBER.search(text)
    return (text[: matched.start()].rstrip(), int(matched[1])) if matched and matched.start() else None


def _labelled(form: Format, label: str, path: str) -> Line:
    line = _located(form, path)
    numbered = _NUMBERED.fullmatch(label)
    if numbered:
        return replace(line, number=int(numbered[2]), prefix=_SPLIT[numbered[1]])
    if label in (".", "..") or "/" in label or "\\" in label:
        raise BadLine(f"a class name has no slash and is no '.' or '..', got {label!r}")
    return replace(line, label=label)


def _located(form: Format, path: str, *, outside: bool = False) -> Line:
    """With ``outside`` an absolute path, of the machine where the list was made, is cut to its end."""
    parts = path.replace("\\", "/").split("/")
    absolute = (len(parts) > 1 and parts[0] == "") or _DRIVE.match(parts[0]) is not None
    if ".." in parts:
        raise BadLine(f"a path stays below the data root, got {path!r}; write it without '..'")
    if absolute and not outside:
        raise BadLine(f"a path is relative to the data root, got {path!r}")
    parts = [part for part in (_DRIVE.sub("", parts[0], count=1), *parts[1:]) if part not in ("", ".")]
    if absolute:
        parts = parts[-2:]
    video = bare(parts[-1]) if parts else ""
    if video in ("", ".", ".."):
        raise BadLine(f"a video needs a name, got {path!r}")
    folder = parts[-2] if len(parts) > 1 else ""
    hint = "/".join(parts) if len(parts) > 1 or form == "label//path" else ""
    return Line(form, video, hint=hint, folder=folder, absolute=absolute)
