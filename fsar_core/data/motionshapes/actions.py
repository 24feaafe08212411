"""Atomic actions: how the pose changes while progress goes from 0 to 1."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from fsar_core.data.motionshapes.poses import Pose, Traits
from fsar_core.data.motionshapes.shapes import Kind
from fsar_core.data.motionshapes.timing import Floats, portable

Animate = Callable[[Pose, Traits, Floats], Pose]


@dataclass(frozen=True)
class Atom:
    """One action; ``backward`` is its name when played in reverse. Two of different fields can follow each other."""

    forward: str
    backward: str
    animate: Animate
    kind: Kind | None = None
    """The kind of shape that the name of the action speaks of."""


def _move(direction: float) -> Animate:
    """``direction``: radians, 0 to the right, clockwise on the screen."""

    def animate(pose: Pose, traits: Traits, progress: Floats) -> Pose:
        heading = np.array([direction + traits.veer])
        way = traits.travel * (progress - 0.5)
        return replace(pose, x=pose.x + way * portable(np.cos(heading)), y=pose.y + way * portable(np.sin(heading)))

    return animate


def _grow(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, radius=pose.radius * (0.5 + 0.9 * progress))


def _turn(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    # A square without a notch looks the same every quarter turn: between sampled frames the sense of rotation is lost.
    notch = np.maximum(pose.notch, 0.55)
    return replace(pose, angle=pose.angle + traits.swing * (progress - 0.5), notch=notch)


def _fill(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, fill=progress)


def _brighten(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, shade=traits.contrast + (1 - traits.contrast) * progress)


def _appear(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, opacity=progress)


def _open(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, notch=1.1 * progress)


def _approach(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    radius = 0.72 * pose.radius
    apart, touching = 1.1 * traits.travel + traits.radius, 1.5 * traits.radius
    return replace(pose, radius=radius, separation=apart + (touching - apart) * progress)


def _split(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, radius=0.85 * pose.radius, separation=(0.4 * traits.travel + 1.6 * traits.radius) * progress)


def _round(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    return replace(pose, roundness=progress)


def _widen(pose: Pose, traits: Traits, progress: Floats) -> Pose:
    # Width against height is only readable where the shape stands upright.
    upright = 0.8 * traits.veer * np.ones_like(progress)
    return replace(pose, angle=upright, stretch=0.9 * (progress - 0.5))


MOVE_RIGHT = Atom("move_right", "move_left", _move(0.0))
MOVE_DOWN = Atom("move_down", "move_up", _move(np.pi / 2))
MOVE_DOWN_RIGHT = Atom("move_down_right", "move_up_left", _move(np.pi / 4))
MOVE_UP_RIGHT = Atom("move_up_right", "move_down_left", _move(-np.pi / 4))
MOVE_UP = Atom("move_up", "move_down", _move(-np.pi / 2))
MOVE_LEFT = Atom("move_left", "move_right", _move(np.pi))
GROW = Atom("grow", "shrink", _grow)
TURN = Atom("turn_clockwise", "turn_anticlockwise", _turn)
FILL = Atom("fill", "empty", _fill)
BRIGHTEN = Atom("brighten", "darken", _brighten)
APPEAR = Atom("appear", "vanish", _appear)
OPEN = Atom("open", "close", _open)
APPROACH = Atom("approach", "part", _approach)
SPLIT = Atom("split", "merge", _split)
ROUND = Atom("square_to_circle", "circle_to_square", _round, kind="square")
WIDEN = Atom("widen", "narrow", _widen)
