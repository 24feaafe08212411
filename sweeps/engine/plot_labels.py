"""Names beside points, such that none covers a point, an interval or another name."""

from collections.abc import Iterator, Sequence
from typing import Literal, NamedTuple

from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

_NEAR = 4.5
"""Points; a name further away than this gets a line to its point."""
_DISTANCES = (_NEAR, 11.0, 18.0, 27.0, 38.0)
_MARKER = 2.5
"""Points: half a marker."""


class Named(NamedTuple):
    """A point in data coordinates with its name."""

    x: float
    y: float
    half: float
    """Height of its interval above and below."""
    name: str


class _Side(NamedTuple):
    dx: float
    dy: float
    ha: Literal["left", "center", "right"]
    va: Literal["bottom", "center", "top"]


_SIDES = (
    _Side(1, 0, "left", "center"),
    _Side(-1, 0, "right", "center"),
    _Side(0.7, 0.7, "left", "bottom"),
    _Side(0.7, -0.7, "left", "top"),
    _Side(-0.7, 0.7, "right", "bottom"),
    _Side(-0.7, -0.7, "right", "top"),
    _Side(0, 1, "center", "bottom"),
    _Side(0, -1, "center", "top"),
)


def place_labels(panel: Axes, points: Sequence[Named], taken: Sequence[tuple[float, float]], size: float) -> bool:
    """Of a panel whose place in the figure is settled. ``taken``: other marks, in data coordinates; ``size`` in points.

    False where a name found no free place; it then stands right of its point, over whatever is there.
    """
    figure = panel.get_figure(root=True)
    assert figure is not None
    pixels = figure.dpi / 72
    boxes = [_marker(panel, x, y, 0.0, pixels) for x, y in taken]
    boxes += [_marker(panel, point.x, point.y, point.half, pixels) for point in points]
    frame = panel.get_window_extent()
    fits = True
    for point in sorted(points, key=lambda point: -point.y):
        note = panel.annotate(point.name, (point.x, point.y), (0, 0), textcoords="offset points", fontsize=size)
        note.set_in_layout(False)
        for distance, side in _tries():
            _move(note, side, distance)
            box = note.get_window_extent()
            if _inside(box, frame) and not any(box.overlaps(other) for other in boxes):
                boxes.append(box)
                _lead(panel, point, side, distance)
                break
        else:
            fits = False
            _move(note, _SIDES[0], _NEAR)
    return fits


def _tries() -> Iterator[tuple[float, _Side]]:
    return ((distance, side) for distance in _DISTANCES for side in _SIDES)


def _move(note: Annotation, side: _Side, distance: float) -> None:
    note.xyann = (side.dx * distance, side.dy * distance)
    note.set_horizontalalignment(side.ha)
    note.set_verticalalignment(side.va)


def _lead(panel: Axes, point: Named, side: _Side, distance: float) -> None:
    if distance > _NEAR:
        end = (side.dx * (distance - 1), side.dy * (distance - 1))
        arrow = {"arrowstyle": "-", "linewidth": 0.5, "color": "0.5", "shrinkA": 0, "shrinkB": 2}
        line = panel.annotate("", (point.x, point.y), end, textcoords="offset points", arrowprops=arrow, zorder=2)
        line.set_in_layout(False)


def _marker(panel: Axes, x: float, y: float, half: float, pixels: float) -> Bbox:
    (left, bottom), (right, top) = panel.transData.transform([(x, y - half), (x, y + half)])
    around = _MARKER * pixels
    return Bbox.from_extents(left - around, bottom - around, right + around, top + around)


def _inside(box: Bbox, frame: Bbox) -> bool:
    return frame.x0 <= box.x0 and box.x1 <= frame.x1 and frame.y0 <= box.y0 and box.y1 <= frame.y1
