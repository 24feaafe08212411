"""A sweep script like those of users, of three short trainings: for tests that stop a sweep and let it go on."""

from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine.cli import sweep_script
from tests.sweeps.made_folder import space_of, table_of

WEIGHTS = (0.25, 0.5)


def grid(recipe: Recipe) -> Table:
    masked = [sgtm.sgtm(recipe.backbone, strategy="random", weight=weight) for weight in WEIGHTS]
    methods = [sgtm.baseline(recipe.backbone), *masked]
    names = ("baseline", *(f"weight {weight}" for weight in WEIGHTS))
    return table_of(*(sgtm.run(recipe, method) for method in methods), names=names)


if __name__ == "__main__":
    sweep_script((space_of(grid),), "A made sweep.")()
