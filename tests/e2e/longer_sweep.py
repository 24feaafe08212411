"""A sweep script of trainings that take some seconds, and look at val at their end only: what saves them until
then is the clock. They need no other training."""

from fsar_core.config import Training
from fsar_core.methods import sgtm
from fsar_core.presets import Recipe
from search_spaces.table import Table
from sweeps.engine.cli import sweep_script
from tests.sweeps.made_folder import space_of, table_of

WEIGHTS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
STEPS = 100


def grid(recipe: Recipe) -> Table:
    training = Training(steps=STEPS, val_every=STEPS)
    episodes = recipe.episodes.model_copy(update={"training": training})
    longer = recipe.model_copy(update={"episodes": episodes, "needs": ()})
    masked = [sgtm.sgtm(recipe.backbone, strategy="random", weight=weight) for weight in WEIGHTS]
    methods = [sgtm.baseline(recipe.backbone), *masked]
    names = ("baseline", *(f"weight {weight}" for weight in WEIGHTS))
    return table_of(*(sgtm.run(longer, method) for method in methods), names=names)


if __name__ == "__main__":
    sweep_script((space_of(grid),), "A made sweep of longer trainings.")()
