"""How the frames of a recipe are stored."""

from fsar_core.config import Need, RunConfig
from fsar_core.presets.recipe import Recipe


def with_jpeg(recipe: Recipe, quality: int | None) -> Recipe:
    """Every run of it, and what these need first, sees frames that were JPEG of this quality; None: no change."""
    if quality is None:
        return recipe
    data = recipe.data.model_copy(update={"jpeg": quality})
    return recipe.model_copy(update={"data": data, "needs": _coded(recipe.needs, quality)})


def _coded(needs: tuple[Need, ...], quality: int) -> tuple[Need, ...]:
    return tuple(
        Need(
            run=RunConfig.model_validate(
                {
                    **dict(need.run),
                    "data": need.run.data.model_copy(update={"jpeg": quality}),
                    "needs": _coded(need.run.needs, quality),
                }
            ),
            source=need.source,
            target=need.target,
        )
        for need in needs
    )
