"""One module per question. Its ``SPACES`` are found by their module, each with a grid and a free search."""

from functools import cache
from importlib import import_module
from pkgutil import iter_modules

from search_spaces.space import Space


@cache
def all_spaces() -> dict[str, Space]:
    """By name, module after module."""
    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__)]
    return {space.name: space for module in modules for space in getattr(module, "SPACES", ())}
