"""When things happen in a clip. Every curve knows its time reversal, which is as likely as the curve itself.

Values of transcendental functions are rounded to nine decimals: their last bits differ between processors. All that
follows is arithmetic with one defined result, so the pixels are the same everywhere.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def portable(values: Floats) -> Floats:
    """Drops the digits in which processors disagree."""
    return np.round(values, 9)


@dataclass(frozen=True, kw_only=True)
class TimeCourse:
    """How far the action has come: 0 before its onset, 1 after its end, monotone between them."""

    frames: int
    onset: float
    """Start of the action, fraction of the clip."""
    duration: float
    """Length of the action, fraction of the clip; ``onset + duration <= 1``."""
    surge: float
    """Speed change that is even in time: above 0 fast at both ends, below 0 fast in the middle."""
    skew: float
    """Speed change that is odd in time: above 0 the first half is faster. ``surge**2 + skew**2 < 1``: no stop."""

    def progress(self) -> Floats:
        """(frames,) in [0, 1]."""
        elapsed = (np.arange(self.frames) / (self.frames - 1) - self.onset) / self.duration
        elapsed = np.clip(elapsed, 0.0, 1.0)
        angle = 2 * np.pi * elapsed
        bend = self.surge * np.sin(angle) + self.skew * (1 - np.cos(angle))
        return np.clip(portable(elapsed + bend / (2 * np.pi)), 0.0, 1.0)

    def reversed(self) -> Self:
        """The course of the opposite action in the clip played backwards."""
        return replace(self, onset=1 - self.onset - self.duration, skew=-self.skew)


def draw_time_course(rng: np.random.Generator, *, frames: int, durations: tuple[float, float]) -> TimeCourse:
    """``durations``: smallest and largest fraction of the clip that the action takes; where it lies is uniform."""
    duration = rng.uniform(*durations)
    onset = rng.uniform(0.0, 1.0 - duration)
    surge, skew = rng.uniform(-0.6, 0.6, size=2)
    return TimeCourse(frames=frames, onset=onset, duration=duration, surge=float(surge), skew=float(skew))


@dataclass(frozen=True, kw_only=True)
class Drift:
    """One coordinate of a nuisance: a straight drift and a sway, both about the middle of the clip."""

    middle: float
    velocity: float
    """Per frame."""
    sway: float
    rate: float
    """Radians per frame."""
    phase: float
    """Radians, at the middle of the clip."""

    def path(self, frames: int) -> Floats:
        """(frames,) positions."""
        time = np.arange(frames) - (frames - 1) / 2
        return self.middle + self.velocity * time + self.sway * portable(np.sin(self.rate * time + self.phase))

    def reversed(self) -> Self:
        """The same coordinate in the clip played backwards."""
        return replace(self, velocity=-self.velocity, phase=(np.pi - self.phase) % (2 * np.pi))


def draw_drift(rng: np.random.Generator, *, span: tuple[float, float], speed: float, sway: float) -> Drift:
    """``span`` bounds the middle position, ``speed`` the absolute velocity per frame, ``sway`` its amplitude.

    Velocity is symmetric about 0 and the phase uniform, so ``reversed`` leaves the distribution as it is.
    """
    return Drift(
        middle=rng.uniform(*span),
        velocity=rng.uniform(-speed, speed),
        sway=rng.uniform(0.0, sway),
        rate=rng.uniform(0.1, 0.5),
        phase=rng.uniform(0.0, 2 * np.pi),
    )
