"""The settings of a printed number as a checked value: what is not understood is refused, never passed over."""

from typing import TypeVar

from pydantic import Field, ValidationError

from fsar_core.data.config import DataConfig
from fsar_core.frozen import Frozen
from fsar_core.presets import Recipe
from search_spaces.papers.backbones import PrintedBackbone, with_printed_backbone
from search_spaces.papers.paper import Knobs, RefusedError
from search_spaces.variants import unknown


class RowSettings(Frozen):
    """What every row may say."""

    backbone: PrintedBackbone = "ResNet-50"
    frames: int = Field(default=8, ge=1)
    """Per clip."""
    train_dataset: str | None = None
    """The recipe's."""

    def changed(self, recipe: Recipe) -> Recipe:
        """With the backbone and the frames of this row."""
        data = DataConfig.model_validate({**dict(recipe.data), "frames": self.frames})
        return with_printed_backbone(self.backbone, recipe.model_copy(update={"data": data}))


S = TypeVar("S", bound=Frozen)


def read(kind: type[S], knobs: Knobs) -> S:
    """Raises RefusedError with all faults together: unknown names, values, what does not go together."""
    try:
        return kind.model_validate(dict(knobs))
    except ValidationError as error:
        raise RefusedError("; ".join(_faults(error, kind))) from None


def _faults(error: ValidationError, kind: type[Frozen]) -> list[str]:
    known = [field.alias or name for name, field in kind.model_fields.items()]
    faults: list[str] = []
    for fault in error.errors(include_url=False):
        name = ".".join(map(str, fault["loc"]))
        if fault["type"] == "extra_forbidden":
            faults.append(unknown("setting of such a row", name, known))
        elif fault["type"] == "missing":
            faults.append(f"{name} must be stated")
        elif name:
            faults.append(f"{name}: {fault['msg']}, got {fault['input']!r}")
        else:
            faults.append(fault["msg"].removeprefix("Value error, "))
    return faults
