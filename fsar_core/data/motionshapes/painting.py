"""Scene to pixels, all frames at once."""

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.motionshapes.poses import Colour
from fsar_core.data.motionshapes.scene import HEIGHT, WIDTH, Distractor, Scene, Stripes, along_axis, extent
from fsar_core.data.motionshapes.shapes import DEPTHS, Kind, Pixels, distance, notch_distance
from fsar_core.data.motionshapes.timing import Floats, portable

_OUTLINE = np.float32(2.5)
"""Pixels, width of the line of an empty shape."""
_NOISE = 5
"""Sensor noise is the difference of two uniform draws from 0 to this less one."""

Window = tuple[slice, slice]


def paint(scene: Scene, noise: np.random.Generator) -> tuple[NDArray[np.uint8], NDArray[np.bool_]]:
    """Frames (n, 72, 96, 3), and masks (n, 72, 96) of the pixels of which the actor covers at least half."""
    canvas = paint_nuisance(scene)
    masks = _paint_actor(canvas, scene)
    grain = noise.integers(0, _NOISE, size=(2, *canvas.shape[:3]), dtype=np.int8)
    canvas += (grain[0] - grain[1])[..., None]
    return np.clip(np.round(canvas), 0, 255).astype(np.uint8), masks


def paint_nuisance(scene: Scene) -> Pixels:
    """The clip without its actor and without noise: (n, 72, 96, 3), not yet limited to 0 to 255."""
    canvas = _background(scene)
    for distractor in scene.distractors:
        _paint_distractor(canvas, distractor)
    return canvas


def _background(scene: Scene) -> Pixels:
    canvas = np.empty((scene.frames, HEIGHT, WIDTH, 3), np.float32)
    waves = [(_wave(scene.stripes, scene.frames), scene.stripes.tint)]
    for blob in scene.blobs:
        across = _bell(blob.x.path(scene.frames), blob.width, WIDTH)
        down = _bell(blob.y.path(scene.frames), blob.width, HEIGHT)
        waves.append((down[:, :, None] * across[:, None, :], blob.tint))
    for channel, ground in enumerate(scene.ground):
        plane = np.full(canvas.shape[:3], ground, np.float32)
        for wave, tint in waves:
            plane += wave * np.float32(tint[channel])
        canvas[..., channel] = plane
    return canvas


def _bell(centres: Floats, width: float, size: int) -> Pixels:
    """(n, size), the bell curve about each centre."""
    offsets = (np.arange(size) + 0.5 - centres[:, None]) / width
    return portable(np.exp(-0.5 * offsets * offsets)).astype(np.float32)


def _wave(stripes: Stripes, frames: int) -> Pixels:
    """(n, HEIGHT, WIDTH) in [-1, 1]; the sine of a sum is split into products, so that few sines are taken."""
    across = stripes.across * np.arange(WIDTH)
    down = stripes.down * np.arange(HEIGHT) + stripes.phase.path(frames)[:, None]
    sine, cosine = portable(np.sin(down)).astype(np.float32), portable(np.cos(down)).astype(np.float32)
    even, odd = portable(np.cos(across)).astype(np.float32), portable(np.sin(across)).astype(np.float32)
    wave = sine[:, :, None] * even
    wave += cosine[:, :, None] * odd
    return wave


def _paint_distractor(canvas: Pixels, distractor: Distractor) -> None:
    frames = len(canvas)
    x, y, angle = (drift.path(frames) for drift in (distractor.x, distractor.y, distractor.angle))
    radius = np.full(frames, distractor.radius)
    window = _window(x, y, extent(radius))
    u, v = _local(window, x, y, angle, radius, np.zeros(frames))
    _blend(canvas, window, _coverage(distance(distractor.kind, u, v) * _column(radius)), distractor.colour)


def _paint_actor(canvas: Pixels, scene: Scene) -> NDArray[np.bool_]:
    traits, pose = scene.traits, scene.pose
    masks = np.zeros(canvas.shape[:3], np.bool_)
    across, down = along_axis(traits, pose.separation)
    sides = ((1, 0), (-1, 1)) if pose.separation.any() else ((1, 0),)
    # Two copies of one shape that come apart look alike; two shapes that never coincide are individuals.
    individuals = bool((pose.separation > 0).all())
    for side, shape in sides:
        x, y = pose.x + side * across, pose.y + side * down
        window = _window(x, y, extent(pose.radius))
        which = shape if individuals else 0
        alpha = _actor_coverage(scene, traits.kinds[which], window, x, y) * _column(pose.opacity)
        _blend(canvas, window, alpha, traits.colours[which], _column(pose.shade))
        masks[:, *window] |= alpha >= np.float32(0.5)
    return masks


def _actor_coverage(scene: Scene, kind: Kind, window: Window, x: Floats, y: Floats) -> Pixels:
    pose = scene.pose
    radius = _column(pose.radius)
    u, v = _local(window, x, y, pose.angle, pose.radius, pose.stretch)
    edge = distance(kind, u, v)
    if pose.roundness.any():
        edge += _column(pose.roundness) * (distance("circle", u, v) - edge)
    edge = edge * radius
    if pose.notch.any():
        sine, cosine = _column(portable(np.sin(pose.notch))), _column(portable(np.cos(pose.notch)))
        # Half a pixel less: a closed notch must not show as a soft line.
        edge = np.maximum(edge, notch_distance(u, v, sine, cosine) * radius - np.float32(0.5))
    if (pose.fill < 1).any():
        edge = np.maximum(edge, -edge - _OUTLINE - _column(pose.fill * pose.radius * DEPTHS[kind]))
    return _coverage(edge)


def _local(
    window: Window, x: Floats, y: Floats, angle: Floats, radius: Floats, stretch: Floats
) -> tuple[Pixels, Pixels]:
    """Pixel centres of the window in the shape's own coordinates, in which its radius is 1: (n, h, w) each."""
    rows, columns = window
    right = (np.arange(columns.start, columns.stop) + 0.5 - x[:, None]).astype(np.float32)[:, None, :]
    lower = (np.arange(rows.start, rows.stop) + 0.5 - y[:, None]).astype(np.float32)[:, :, None]
    sine, cosine = portable(np.sin(angle)), portable(np.cos(angle))
    wide, tall = portable(radius * np.exp(stretch)), portable(radius * np.exp(-stretch))
    u = right * _column(cosine / wide) + lower * _column(sine / wide)
    v = lower * _column(cosine / tall) - right * _column(sine / tall)
    return u, v


def _window(x: Floats, y: Floats, margin: float) -> Window:
    """The part of the frame that a shape can touch in any frame; empty if it is out of view throughout."""

    def bounds(centres: Floats, size: int) -> slice:
        low, high = int(centres.min() - margin), int(centres.max() + margin) + 1
        return slice(min(max(low, 0), size), min(max(high, 0), size))

    return bounds(y, HEIGHT), bounds(x, WIDTH)


def _coverage(edge: Pixels) -> Pixels:
    """Signed distance in pixels to the covered part of each pixel."""
    return np.clip(np.float32(0.5) - edge, 0, 1)


def _blend(canvas: Pixels, window: Window, alpha: Pixels, colour: Colour, shade: Pixels | None = None) -> None:
    for channel, value in enumerate(colour):
        plane = canvas[:, *window, channel]
        light = np.float32(value) if shade is None else np.float32(value) * shade
        plane += alpha * (light - plane)


def _column(values: Floats) -> Pixels:
    """(n,) to (n, 1, 1), to be spread over pixels."""
    return values.astype(np.float32)[:, None, None]
