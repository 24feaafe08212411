"""A preset as it is chosen and listed."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from fsar_core.presets.recipe import Recipe


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A recipe for every data set, with a name. Its function's docstring is what is shown of it."""

    name: str
    source: str
    """Code base or paper, with the address."""
    recipe: Callable[[str], Recipe]

    def __call__(self, dataset: str) -> Recipe:
        return self.recipe(dataset)

    def about(self) -> str:
        """One line."""
        return self._paragraphs()[0]

    def notes(self) -> tuple[str, ...]:
        """Where the numbers come from, what the code base does besides, where it is silent: a paragraph each."""
        return tuple(self._paragraphs()[1:])

    def _paragraphs(self) -> list[str]:
        text = (inspect.getdoc(self.recipe) or "").replace("``", "'")
        return [" ".join(part.split()) for part in text.split("\n\n")]
