"""Presets: everything of a run but its method, as a code base or this project has it, for a data set by its name."""

from collections.abc import Mapping

from fsar_core.presets.clean_protocol import clean
from fsar_core.presets.dataset_names import PAPER_DATASETS, paper_dataset
from fsar_core.presets.hyrsm import HYRSM
from fsar_core.presets.molo import MOLO
from fsar_core.presets.preset import Preset
from fsar_core.presets.recipe import Course, Recipe
from fsar_core.presets.small import laptop, laptop64, smoke, tiny
from fsar_core.presets.strm import STRM
from fsar_core.presets.trx import TRX
from fsar_core.presets.vim import VIM

__all__ = [
    "PAPER_DATASETS",
    "PRESETS",
    "Course",
    "Preset",
    "Recipe",
    "clean",
    "default_preset",
    "laptop",
    "laptop64",
    "paper_dataset",
    "smoke",
    "tiny",
]

_HOUSE = "this project"
PRESETS: Mapping[str, Preset] = {
    preset.name: preset
    for preset in (
        Preset(name="clean", source=_HOUSE, recipe=clean),
        TRX,
        STRM,
        HYRSM,
        MOLO,
        VIM,
        Preset(name="laptop", source=_HOUSE, recipe=laptop),
        Preset(name="laptop64", source=_HOUSE, recipe=laptop64),
        Preset(name="smoke", source=_HOUSE, recipe=smoke),
        Preset(name="tiny", source=_HOUSE, recipe=tiny),
    )
}
"""By name, as they are listed."""


def default_preset(dataset: str) -> str:
    """The preset that suits a data set when none is named."""
    return "laptop" if dataset == "motionshapes" else "clean"
