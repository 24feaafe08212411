"""Masks without a model: an ellipse where the picture changes. For trials of the machinery, not of a method."""

import numpy as np
from numpy.typing import NDArray

from fsar_core.data.resize import resize_frames

_LEAST = 8.0  # grey levels: smaller differences are noise of the codec


class Motion:
    """Ignores the prompt."""

    name = "motion"
    model = "none"

    def segment(self, frames: NDArray[np.uint8], prompt: str, canvas: int) -> NDArray[np.float32]:
        """exp(-d^2 / 2), d the Mahalanobis distance to the changed pixels; zero in a frame in which nothing changes."""
        grey = resize_frames(frames, canvas, canvas).mean(-1, dtype=np.float32)
        change = np.zeros_like(grey)
        if len(grey) > 1:
            steps = np.abs(np.diff(grey, axis=0))
            change[:-1] = steps
            change[1:] = np.maximum(change[1:], steps)
        return np.stack([_ellipse(np.where(own < _LEAST, 0.0, own).astype(np.float64)) for own in change])


def _ellipse(weight: NDArray[np.float64]) -> NDArray[np.float32]:
    total = weight.sum()
    if total == 0:
        return np.zeros(weight.shape, np.float32)
    places = np.stack(np.meshgrid(*(np.arange(size) for size in weight.shape), indexing="ij"), -1).reshape(-1, 2)
    share = weight.reshape(-1) / total
    away = places - share @ places
    spread = (share[:, None] * away).T @ away + np.eye(2)  # one pixel of its own keeps a point invertible
    distance = np.einsum("pi,ij,pj->p", away, np.linalg.inv(spread), away)
    return np.exp(-0.5 * distance).reshape(weight.shape).astype(np.float32)
