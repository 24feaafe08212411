"""The classes, their pairs and their splits. A pair never crosses a split."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from fsar_core.data.motionshapes import actions
from fsar_core.data.motionshapes.actions import Atom
from fsar_core.data.motionshapes.poses import Pose, Traits
from fsar_core.data.motionshapes.timing import Floats

Split = Literal["train", "val", "test"]


@dataclass(frozen=True)
class Pair:
    """One or two atoms, one after the other; the backward class undoes the second one, then the first."""

    atoms: tuple[Atom, ...]

    @property
    def forward(self) -> str:
        return "_then_".join(atom.forward for atom in self.atoms)

    @property
    def backward(self) -> str:
        return "_then_".join(atom.backward for atom in reversed(self.atoms))

    @property
    def durations(self) -> tuple[float, float]:
        """Smallest and largest fraction of the clip that the action takes."""
        return (0.35, 0.75) if len(self.atoms) == 1 else (0.55, 0.75)

    def animate(self, pose: Pose, traits: Traits, progress: Floats) -> Pose:
        """Each atom takes its equal share of the progress."""
        for position, atom in enumerate(self.atoms):
            pose = atom.animate(pose, traits, (progress * len(self.atoms) - position).clip(0.0, 1.0))
        return pose


_PAIRS: Mapping[Split, tuple[Pair, ...]] = MappingProxyType(
    {
        "train": (
            Pair((actions.MOVE_RIGHT,)),
            Pair((actions.MOVE_DOWN_RIGHT,)),
            Pair((actions.MOVE_UP_RIGHT,)),
            Pair((actions.GROW,)),
            Pair((actions.TURN,)),
            Pair((actions.FILL,)),
            Pair((actions.BRIGHTEN,)),
            Pair((actions.APPROACH,)),
            Pair((actions.MOVE_RIGHT, actions.GROW)),
            Pair((actions.TURN, actions.MOVE_DOWN_RIGHT)),
            Pair((actions.MOVE_UP_RIGHT, actions.FILL)),
            Pair((actions.BRIGHTEN, actions.APPROACH)),
        ),
        "val": (
            Pair((actions.APPEAR,)),
            Pair((actions.OPEN,)),
            Pair((actions.FILL, actions.MOVE_LEFT)),
            Pair((actions.GROW, actions.BRIGHTEN)),
        ),
        "test": (
            Pair((actions.MOVE_DOWN,)),
            Pair((actions.SPLIT,)),
            Pair((actions.ROUND,)),
            Pair((actions.WIDEN,)),
            Pair((actions.GROW, actions.MOVE_UP)),
            Pair((actions.TURN, actions.FILL)),
        ),
    }
)

CLASSES: Mapping[Split, tuple[str, ...]] = MappingProxyType(
    {split: tuple(sorted(name for p in pairs for name in (p.forward, p.backward))) for split, pairs in _PAIRS.items()}
)
"""Names of the classes of each split, sorted."""

CLIPS_PER_CLASS: Mapping[Split, int] = MappingProxyType({"train": 24, "val": 16, "test": 20})

_PAIR_OF: Mapping[str, Pair] = {
    name: pair for pairs in _PAIRS.values() for pair in pairs for name in (pair.forward, pair.backward)
}


def pair_of(label: str) -> Pair:
    """Raises KeyError for a name that is no class."""
    if label not in _PAIR_OF:
        raise KeyError(f"{label!r} is no class of MotionShapes; the classes are {sorted(_PAIR_OF)}")
    return _PAIR_OF[label]


def partner(label: str) -> str:
    """The class whose clips are those of ``label`` played backwards, in distribution."""
    pair = pair_of(label)
    return pair.backward if label == pair.forward else pair.forward
