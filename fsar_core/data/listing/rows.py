"""List files as rows: every line read, or told what is wrong with it."""

import json
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fsar_core.data.folder_scan import Split
from fsar_core.data.listing.faults import Faults
from fsar_core.data.listing.lines import BadLine, Line, parse
from fsar_core.data.listing.listed import Format
from fsar_core.data.listing.names import bare

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Row:
    place: str
    """File and line."""
    split: Split | None
    """Of the file; None in a class map."""
    line: Line


@dataclass
class Rows:
    rows: list[Row] = field(default_factory=list[Row])
    tolerated: Counter[str] = field(default_factory=Counter[str])
    faults: Faults = field(default_factory=Faults)

    @property
    def form(self) -> Format:
        """Of all rows."""
        return self.rows[0].line.form


def read_rows(files: dict[Split, Path], *, numbers: bool) -> Rows:
    """``numbers``: as in ``parse``. All files must be of one form."""
    rows = Rows()
    for split, path in files.items():
        _read_file(rows, split, path, numbers)
    _check_forms(rows)
    return rows


def read_class_map(path: Path) -> Rows:
    """A JSON object from video to class number."""
    rows = Rows()
    try:
        content = json.loads(path.read_bytes(), object_pairs_hook=_Pairs)
    except (ValueError, OSError, RecursionError) as error:
        rows.faults.add(str(path), f"not a JSON file that can be read: {error}")
        return rows
    if not isinstance(content, _Pairs) or not content:
        rows.faults.add(str(path), "a class map is a JSON object from video to class number, this one holds none")
        return rows
    for video, number in content:
        place = f"{path.name}: {video[:80]!r}"
        if type(number) is not int or number < 0:
            rows.faults.add(place, f"a class is a number from 0, got {str(number)[:80]!r}")
        elif bare(video) in ("", ".", "..") or any(c in "/\\" or ord(c) < 32 for c in video):
            rows.faults.add(place, "a video's name has no slash, no control character and is no '.' or '..'")
        else:
            rows.rows.append(Row(place, None, Line("class map", bare(video), number=number)))
    return rows


class _Pairs(list[tuple[str, Any]]):
    """A JSON object that keeps keys that stand twice."""


def _read_file(rows: Rows, split: Split, path: Path, numbers: bool) -> None:
    try:
        content = path.read_bytes()
    except OSError as error:
        rows.faults.add(str(path), f"cannot be read: {error.strerror or error}")
        return
    if content.startswith(_BOM):
        content = content[len(_BOM) :]
        rows.tolerated["byte order marks"] += 1
    if b"\r\n" in content:
        rows.tolerated["files with Windows line ends"] += 1
    before = len(rows.rows)
    for count, raw in enumerate(content.rstrip().split(b"\n"), start=1):
        place = f"{path.name}:{count}"
        try:
            text = raw.decode().strip()
            if text:
                line = parse(text, numbers=numbers)
                rows.tolerated["absolute paths, cut to their last folder and name"] += line.absolute
                rows.rows.append(Row(place, split, line))
            else:
                rows.tolerated["blank lines"] += 1
        except UnicodeDecodeError:
            rows.faults.add(place, "a list is UTF-8 text, this line is not; save it as UTF-8")
        except BadLine as fault:
            rows.faults.add(place, str(fault))
    if len(rows.rows) == before and not rows.faults:
        rows.faults.add(str(path), "the list names no video")


def _check_forms(rows: Rows) -> None:
    for row in rows.rows:
        if row.line.form != rows.form:
            message = f"this line is '{row.line.form}', those before are '{rows.form}'; lists have one form throughout"
            rows.faults.add(row.place, message)
        if row.line.prefix not in (None, row.split):
            rows.faults.add(row.place, f"the line says {row.line.prefix}, the file is the list for {row.split}")
