"""Everything about the data that decides a run's result: list, sampling, geometry, augmentation, normalisation."""

from typing import Annotated, ClassVar, Self

from pydantic import Field

from fsar_core.data.frame_sampling import FrameSampling, is_random
from fsar_core.data.resize import Resize
from fsar_core.frozen import Frozen

DATASET_NAME = r"^[a-z0-9][a-z0-9_.-]*$"
Probability = Annotated[float, Field(ge=0, le=1)]
Spread = Annotated[float, Field(gt=0)]


class Flip(Frozen):
    """Probability of a horizontal flip, one draw per clip."""

    support: Probability = 0.0
    query: Probability = 0.0


class Jitter(Frozen):
    """Colour jitter with one draw per clip, the same for all its frames (HyRSM's and MoLo's released code)."""

    support: bool = False
    query: bool = True
    brightness: float = Field(default=0.5, ge=0)
    contrast: float = Field(default=0.5, ge=0)
    saturation: float = Field(default=0.5, ge=0)
    hue: float = Field(default=0.25, ge=0, le=0.5)
    grey: Probability = 0.3


class Normalisation(Frozen):
    """Pixels in [0, 1] become (pixel - mean) / std, per colour channel."""

    mean: tuple[float, float, float]
    std: tuple[Spread, Spread, Spread]


NORMALISATIONS = {
    "none": Normalisation(mean=(0.0, 0.0, 0.0), std=(1.0, 1.0, 1.0)),
    "codebase": Normalisation(mean=(0.45, 0.45, 0.45), std=(0.225, 0.225, 0.225)),
    "imagenet": Normalisation(mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225)),
}
"""``none``: TRX, STRM. ``codebase``: HyRSM, MoLo. ``imagenet``: torchvision's weights as trained."""


class Limit(Frozen):
    """Fewer training videos, as studies of limited data have it."""

    per_class: int = Field(ge=1)
    """Videos kept of each train class, drawn without replacement; classes with fewer keep all."""
    seed: int = Field(default=0, ge=0)
    """A larger ``per_class`` of the same seed keeps all that a smaller one keeps."""


class DataConfig(Frozen):
    """What a run sees of its data set. Paths are the site's business; the videos present are named by a fingerprint."""

    dataset: str = Field(pattern=DATASET_NAME)
    frames: int = Field(default=8, ge=1, le=64)
    """T, frames per clip."""
    train_sampling: FrameSampling = "segment-random"
    test_sampling: FrameSampling = "segment-centre"
    resize: Resize
    crop: int = Field(ge=8)
    """Side of the square crop in pixels: random in training, central in tests."""
    random_crop: bool = True
    flip: Flip = Flip()
    jitter: Jitter | None = None
    normalisation: Normalisation = NORMALISATIONS["codebase"]
    jpeg: int | None = Field(default=None, ge=1, le=100)
    """Quality at which the frame cache keeps resized frames: a tenth of the disk, other pixels. None: exact ones."""
    limit: Limit | None = None

    later: ClassVar[frozenset[str]] = frozenset({"jpeg", "limit"})

    def is_deterministic(self) -> bool:
        """True when training sees each clip exactly as a test does."""
        jittered = self.jitter is not None and (self.jitter.support or self.jitter.query)
        random = self.random_crop or self.flip.support > 0 or self.flip.query > 0 or jittered
        still = self.train_sampling == self.test_sampling and not is_random(self.train_sampling)
        return still and not random

    def deterministic(self) -> Self:
        """Training sees each clip as a test does; where tests draw frames at random, the middle of each segment."""
        sampling = "segment-centre" if is_random(self.test_sampling) else self.test_sampling
        still = {"random_crop": False, "flip": Flip(), "jitter": None}
        return self.model_copy(update={**still, "train_sampling": sampling, "test_sampling": sampling})
