"""How the frames of a recipe are stored, and how many training videos it has."""

from fsar_core.config import Need, RunConfig
from fsar_core.data.config import DataConfig, Limit
from fsar_core.presets.recipe import Recipe


def with_jpeg(recipe: Recipe, quality: int | None) -> Recipe:
    """Every run of it, and what these need first, sees frames that were JPEG of this quality; None: no change."""
    return recipe if quality is None else _changed(recipe, {"jpeg": quality})


def with_limit(recipe: Recipe, per_class: int | None) -> Recipe:
    """Every run of it, and what these need first, has so many training videos a class; None: no change."""
    return recipe if per_class is None else _changed(recipe, {"limit": Limit(per_class=per_class)})


def _changed(recipe: Recipe, changes: dict[str, object]) -> Recipe:
    return recipe.model_copy(update={"data": _data(recipe.data, changes), "needs": _needs(recipe.needs, changes)})


def _needs(needs: tuple[Need, ...], changes: dict[str, object]) -> tuple[Need, ...]:
    return tuple(
        Need(
            run=RunConfig.model_validate(
                {
                    **dict(need.run),
                    "data": _data(need.run.data, changes),
                    "needs": _needs(need.run.needs, changes),
                }
            ),
            source=need.source,
            target=need.target,
        )
        for need in needs
    )


def _data(data: DataConfig, changes: dict[str, object]) -> DataConfig:
    return data.model_copy(update=changes)
